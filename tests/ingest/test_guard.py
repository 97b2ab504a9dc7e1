"""The gate: rows that do not fit their table, or that name another exchange or source, are refused whoever brings them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import polars as pl
import pytest

from fundingdb.errors import BadPayload, SchemaError
from fundingdb.fetchers.contract import Market, Request
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest import guard
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING, SNAPSHOTS
from fundingdb.sources import CoinGeckoFundingDataSource, FundingRateCollector, LighterFundingDataSource
from fundingdb.transport.http import Engine
from fundingdb.transport.walk import SourceReader
from fundingdb.window import HOUR, Window

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LIGHTER = fetcher("lighter")


def snapshots(*exchanges, source="lighter", **other) -> pl.DataFrame:
    rows = [
        {
            **dict.fromkeys(SNAPSHOTS.columns),
            "exchange": exchange,
            "source": source,
            "symbol": "BTC",
            "base": "BTC",
            "asset_class": "crypto",
            "observed_at": NOON,
            "funding_rate": 0.0001,
            "interval_hours": 1.0,
            **other,
        }
        for exchange in exchanges
    ]
    return pl.DataFrame(rows, schema=SNAPSHOTS.schema).drop("month")


def test_rows_of_the_source_pass_with_their_month():
    passed = guard.admitted(LIGHTER, SNAPSHOTS, "funding-rates", snapshots("lighter"))
    assert passed.columns == list(SNAPSHOTS.columns)
    assert passed["month"].to_list() == ["2026-11"]
    assert guard.admitted(LIGHTER, SNAPSHOTS, "funding-rates", snapshots()).is_empty()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (snapshots("lighter", "extended"), "column exchange is 'extended', must be 'lighter'"),
        (snapshots("extended"), "column exchange is 'extended', must be 'lighter'"),
        (snapshots("lighter", source="ccxt"), "column source is 'ccxt', must be 'lighter'"),
        (snapshots("lighter", funding_rate=float("nan")), "column funding_rate is not finite"),
        (snapshots("lighter").drop("base"), "column base is missing"),
    ],
    ids=["one exchange too many", "another exchange", "another source", "NaN", "no base"],
)
def test_a_response_is_refused_with_its_body_and_a_users_frame_with_the_same_reason(rows, reason):
    with pytest.raises(BadPayload, match=reason) as response:
        guard.admitted(LIGHTER, SNAPSHOTS, "funding-rates", rows, b"the body")
    assert (response.value.exchange, response.value.endpoint) == ("lighter", "funding-rates")
    assert response.value.body == b"the body"
    with pytest.raises(SchemaError, match=reason):
        guard.checked(LIGHTER, SNAPSHOTS, rows)


def test_an_aggregator_shows_other_exchanges_under_its_own_source():
    coingecko = fetcher("coingecko")
    rows = snapshots("lighter", "extended", source="coingecko")
    assert guard.checked(coingecko, SNAPSHOTS, rows).height == 2
    with pytest.raises(SchemaError, match="column source is 'lighter', must be 'coingecko'"):
        guard.checked(coingecko, SNAPSHOTS, snapshots("lighter"))


def test_a_collector_saves_no_snapshot_of_another_source(tmp_path):
    collector = FundingRateCollector(LighterFundingDataSource(), warehouse=tmp_path)
    assert collector.save_snapshot(snapshots("lighter")).inserted == 1
    with pytest.raises(SchemaError, match="must be 'lighter', the exchange requested"):
        collector.save_snapshot(snapshots("extended", source="extended"))
    assert Lake(tmp_path).scan("snapshots").collect().height == 1
    others = FundingRateCollector(CoinGeckoFundingDataSource(), warehouse=tmp_path)
    assert others.save_snapshot(snapshots("extended", source="coingecko")).inserted == 1


def test_history_of_another_exchange_is_refused_page_by_page():
    """A fetcher that reads the exchange's name out of the response, and gets another one."""
    row = {
        **dict.fromkeys(FUNDING.columns),
        **snapshots("paradex").row(0, named=True),
        "funding_time": NOON,
        "interval_from": "declared",
        "rate_type": "regular",
        "native_rate": 0.0001,
        "reported_time": NOON,
        "fetched_at": NOON,
    }
    rows = pl.DataFrame(
        [{c: row[c] for c in FUNDING.columns if c != "month"}], schema_overrides=FUNDING.schema
    )
    history = replace(
        LIGHTER.history, request=lambda *_: Request("fundings", "/f"), parse=lambda _body, _context: rows
    )
    market = Market("lighter", "BTC", "BTC", "USDC", "crypto")

    async def work():
        transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=b"[1]"))
        async with Engine(transport=transport, env={}) as engine:
            reader = SourceReader(replace(LIGHTER, history=history), engine, guard.admitted)
            return await reader.history(market, Window(NOON, NOON + HOUR))

    with pytest.raises(BadPayload, match=r"lighter fundings: (.|\n)*is 'paradex'") as refused:
        asyncio.run(work())
    assert refused.value.body == b"[1]"
