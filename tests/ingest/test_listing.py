"""Exchanges whose rates are read with their listing at hand: markets, then rates, through the engine and the collector's door."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import polars as pl
import pytest

from fundingdb.errors import BadPayload
from fundingdb.fetchers.contract import LeftOut
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest import guard
from fundingdb.ingest.listing import market_of, merged, reasons, select_markets
from fundingdb.schema import MARKETS
from fundingdb.transport.http import Engine
from fundingdb.transport.walk import SourceReader
from fundingdb.window import Window

# exchange -> folder, (part of the address, recorded answer), symbols with a rate, market with a history
VENUES = {
    "backpack": (
        "backpack",
        {"/markets": "markets.json", "/markPrices": "markPrices.json"},
        {"BTC_USDC_PERP", "QQQ.US_USDC_PERP", "kPEPE_USDC_PERP"},
        None,
    ),
    "edgex": (
        "edgex-v2",
        {
            "/getMetaData": "getMetaData.json",
            "/getLatestFundingRate": "getLatestFundingRate.json",
            "/getFundingRatePage": "getFundingRatePage_30000001.json",
        },
        {"1000PEPEUSDC", "BTCUSDC", "SPYUSDC"},
        "BTCUSDC",
    ),
    "nado": (
        "nado",
        {
            "gateway.prod.nado.xyz/v1/query": "symbols.json",
            "archive.prod.nado.xyz/v2/contracts": "contracts.json",
            "archive.prod.nado.xyz/v1": "funding_rate_history_2.json",
        },
        {"BTC-PERP_USDT0", "SPY-PERP_USDT0", "WTI-PERP_USDT0", "kPEPE-PERP_USDT0"},
        "BTC-PERP_USDT0",
    ),
    "paradex": (
        "paradex",
        {"/markets/summary": "markets_summary.json", "/markets": "markets.json"},
        {"BTC-USD-PERP"},
        None,
    ),
    "variational": (
        "variational",
        {"/metadata/stats": "metadata_stats.json"},
        {"1000PEPE", "BTC", "CAT", "HYPER", "STORJ"},
        None,
    ),
}
LAST = datetime(2026, 9, 13, 20, tzinfo=UTC)


@pytest.fixture
def recorded(shared):
    async def round_of(exchange):
        folder, answers, _, paying = VENUES[exchange]

        def answer(request):
            where = f"{request.url.host}{request.url.path}"
            name = next(name for part, name in answers.items() if where.endswith(part))
            body = (shared / "venues/payloads" / folder / name).read_bytes()
            if name.startswith("getFundingRatePage"):
                body = body.replace(b'"0880F48DD58934"', b'""')  # the rows behind it were cut from the record
            return httpx.Response(200, content=body)

        async with Engine(transport=httpx.MockTransport(answer), env={}) as engine:
            source = SourceReader(fetcher(exchange), engine, guard.admitted)
            listing = await source.markets()
            known = {row["symbol"]: market_of(row) for row in listing.frame.iter_rows(named=True)}
            current = await source.current(known)
            history = None
            if paying is not None:
                step = timedelta(hours=known[paying].interval_hours)
                history = await source.history(known[paying], Window(LAST - step, LAST + timedelta(hours=1)))
            return known, current.frame, history

    return lambda exchange: asyncio.run(round_of(exchange))


@pytest.mark.parametrize("exchange", VENUES)
def test_a_round_from_the_listing_to_the_rates(recorded, exchange):
    known, current, history = recorded(exchange)
    assert set(current["symbol"]) == VENUES[exchange][2]
    assert {s for s, m in known.items() if m.status == "active"} >= set(current["symbol"])
    assert current["funding_rate"].null_count() == 0
    assert current["interval_hours"].null_count() == 0
    if history is not None:
        times = history.frame["funding_time"].to_list()
        assert times == sorted(times)
        assert (times[-1], len(times)) == (LAST, 2)


def listed_rows(*rows):
    """MARKETS rows of binance from (symbol, status, base)."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    values = [
        {
            "exchange": "binance",
            "symbol": s,
            "base": b,
            "asset_class": "crypto",
            "multiplier": 1.0,
            "status": status,
        }
        | {"first_seen": at, "last_seen": at}
        for s, status, b in rows
    ]
    return MARKETS.check(pl.DataFrame(values, schema=MARKETS.schema))


def statuses(frame):
    return dict(frame.sort("symbol").select("symbol", "status").rows())


BAD = BadPayload("binance", "exchangeInfo", "symbols[3].status", "is none of TRADING", "PAUSED")
STORED = listed_rows(("AUSDT", "active", "A"), ("BUSDT", "active", "B"))
NOW = datetime(2026, 1, 3, tzinfo=UTC)


def test_a_stored_market_whose_new_row_is_unknown_stays_as_stored():
    new = listed_rows(
        ("AUSDT", "active", "A"), ("BUSDT", "unknown", "binance:BUSDT"), ("CUSDT", "unknown", "C")
    )
    both = merged(new, STORED, NOW, [LeftOut("BUSDT", BAD), LeftOut("CUSDT", BAD)])
    assert statuses(both) == {"AUSDT": "active", "BUSDT": "active", "CUSDT": "unknown"}
    assert both.filter(symbol="BUSDT")["base"].to_list() == ["B"]


def test_a_market_becomes_delisted_only_when_every_left_out_row_names_its_market():
    new = listed_rows(("AUSDT", "active", "A"))
    assert statuses(merged(new, STORED, NOW))["BUSDT"] == "delisted"
    assert statuses(merged(new, STORED, NOW, [LeftOut("CUSDT", BAD)]))["BUSDT"] == "delisted"
    assert statuses(merged(new, STORED, NOW, [LeftOut("BUSDT", BAD)]))["BUSDT"] == "active"
    assert statuses(merged(new, STORED, NOW, [LeftOut(None, BAD)]))["BUSDT"] == "active"


def test_an_unknown_market_is_requested_by_name_alone():
    markets = {row["symbol"]: market_of(row) for row in listed_rows(("CUSDT", "unknown", "C")).to_dicts()}
    assert select_markets({"binance": markets}, None) == {"binance": []}
    assert [m.symbol for m in select_markets({"binance": markets}, ["CUSDT"])["binance"]] == ["CUSDT"]


def test_rows_left_out_are_counted_by_field_with_the_first_reason():
    other = BadPayload("binance", "exchangeInfo", "symbols[7].status", "is none of TRADING", "STOPPED")
    (line,) = reasons([LeftOut("BUSDT", BAD), LeftOut(None, other)])
    assert line.startswith("2 rows left out or of unknown status")
    assert "PAUSED" in line
