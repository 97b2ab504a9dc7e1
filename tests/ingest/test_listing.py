"""Exchanges whose rates are read with their listing at hand: markets, then rates, through the engine and the collector's door."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest import guard
from fundingdb.ingest.listing import market_of
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
def asked(shared):
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
def test_a_round_from_the_listing_to_the_rates(asked, exchange):
    known, current, history = asked(exchange)
    assert set(current["symbol"]) == VENUES[exchange][2]
    assert {s for s, m in known.items() if m.status == "active"} >= set(current["symbol"])
    assert current["funding_rate"].null_count() == 0
    assert current["interval_hours"].null_count() == 0
    if history is not None:
        times = history.frame["funding_time"].to_list()
        assert times == sorted(times)
        assert (times[-1], len(times)) == (LAST, 2)
