"""Backpack: its responses written by hand, the rows they must give, and its history endpoint played."""

from dataclasses import replace
from datetime import UTC, datetime

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.backpack import FETCHER, LIMIT, symbol_market
from fundingdb.fetchers.testing import Case, Example, Refusal
from tests.fetchers.played import text

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
BTC = symbol_market("BTC_USDC_PERP")
PEPE = symbol_market("kPEPE_USDC_PERP")
AMAZON = replace(symbol_market("AMZN.US_USDC_PERP"), status="inactive")
HOUR_MS = 3_600_000


def payment(end="2026-09-13T22:00:00", rate="0.000008311", symbol="BTC_USDC_PERP"):
    return {"fundingRate": rate, "intervalEndTimestamp": end, "symbol": symbol}


def mark(symbol, rate, mark_price, index_price):
    return {
        "symbol": f"{symbol}_USDC_PERP",
        "fundingRate": rate,
        "markPrice": mark_price,
        "indexPrice": index_price,
        "nextFundingTimestamp": 1789340400000,
    }


def listing(base, state="Open", kind=None, **more):
    return {
        "symbol": f"{base}_USDC_PERP",
        "baseSymbol": base,
        "quoteSymbol": "USDC",
        "marketType": "PERP",
        "orderBookState": state,
        "fundingInterval": HOUR_MS,
        "fundingRateUpperBound": "150",
        "rwaMarketType": kind,
    } | more


RESPONSES = {
    "fundingRates_BTC_USDC_PERP": [
        payment("2026-09-13T23:00:00", "0.000001254"),  # the hour still running
        payment(),
        payment("2026-09-13T21:00:00", "0.000009713"),
        payment("2026-09-13T20:00:00", "0.000008029"),
    ],
    "markPrices": [
        mark("QQQ.US", "-0.000067905249028866543811955", "707.98", "708.74568749"),
        mark("AMZN.US", "0.00000625", "254.17", "254.17223877"),
        mark("BTC", "0.0000007945965277712049003927", "76746.5", "76785.99441873"),
        mark("kPEPE", "0.0000125", "0.0033465", "0.0033479"),
    ],
    "markets": [
        listing("SOL", symbol="SOL_USDC", marketType="SPOT", fundingInterval=None),
        listing("BTC"),
        listing("IP", "Closed"),
        listing("kPEPE"),
        listing("QQQ.US", kind="INDEX"),
        listing("AMZN.US", "PostOnly", "STOCK"),
    ],
}


def written(name):
    return text(RESPONSES[name])


def serve(request, settlements, cap=LIMIT):
    """Newest first, counted from the newest, at most `cap` rows; no time bounds."""
    params = dict(request.params)
    assert (params["symbol"], params["limit"]) == ("BTC_USDC_PERP", "1000")
    first = int(params["offset"])
    some = settlements[::-1][first : first + cap]
    return text([payment(f"{at:%Y-%m-%dT%H:%M:%S}", f"{rate:.9f}") for at, rate in some])


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text(
                [
                    payment("2026-09-13T23:00:00", "0.000001254"),  # the hour still running: no payment
                    payment(rate="-0.000008311"),
                    payment("2025-08-20T16:00:00", "0.0001"),  # of the days of eight hours
                ]
            ),
            [
                {
                    "funding_time": datetime(2025, 8, 20, 16, tzinfo=UTC),
                    "funding_rate": 0.0001,
                    "interval_hours": None,
                    "interval_from": "unknown",
                },
                {
                    "symbol": "BTC_USDC_PERP",
                    "base": "BTC",
                    "quote": "USDC",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 13, 22, tzinfo=UTC),  # text without zone is UTC
                    "reported_time": datetime(2026, 9, 13, 22, tzinfo=UTC),
                    "funding_rate": -0.000008311,
                    "native_rate": -0.000008311,
                    "interval_hours": 1.0,
                    "interval_from": "declared",
                    "rate_type": "regular",
                    "mark_price": None,
                },
            ],
            at=AT,
        )
    ],
    current=[
        Example(
            text(
                [
                    mark("BTC", "-0.0000007945", "76746.5", "76785.99441873"),
                    mark("AMZN.US", "0.00000625", "254.17", "254.17223877"),  # PostOnly: shows a rate
                    mark("kPEPE", "0.0000125", "0.0033465", "0.0033479"),
                ]
            ),
            [
                {
                    "symbol": "BTC_USDC_PERP",
                    "funding_rate": -0.0000007945,
                    "native_rate": -0.0000007945,
                    "interval_hours": 1.0,
                    "next_funding_time": datetime(2026, 9, 13, 23, tzinfo=UTC),
                    "mark_price": 76746.5,
                    "index_price": 76785.99441873,
                    "open_interest": None,
                },
                {
                    "symbol": "kPEPE_USDC_PERP",
                    "base": "PEPE",
                    "mark_price": 0.0000033465,  # 0.0033465 / 1000 tokens
                    "index_price": 0.0000033479,
                },
            ],
            at=AT,
            markets={market.symbol: market for market in (BTC, PEPE, AMAZON)},
        )
    ],
    markets=[
        Example(
            written("markets"),
            [
                {
                    "symbol": "BTC_USDC_PERP",
                    "base": "BTC",
                    "quote": "USDC",
                    "collateral": "USDC",
                    "status": "active",
                    "interval_hours": 1.0,  # 3,600,000 ms
                    "rate_cap": None,  # "150": its unit is not proven
                },
                {"symbol": "IP_USDC_PERP", "asset_class": "crypto", "status": "inactive"},
                {"symbol": "kPEPE_USDC_PERP", "base": "PEPE", "multiplier": 1000.0},
                {"symbol": "QQQ.US_USDC_PERP", "base": "QQQ", "asset_class": "equity"},
                {
                    "symbol": "AMZN.US_USDC_PERP",
                    "base": "AMZN",
                    "asset_class": "equity",
                    "status": "inactive",
                },
            ],
            at=AT,
        )
    ],
    empty=[("history", b"[]")],
    refusals=[
        Refusal(429, b"", RateLimited),
        Refusal(403, b"<html>", Refused),
        Refusal(404, b"", BadCall),
        Refusal(200, b"[]", None),
        Refusal(503, b"<html>", None),
    ],
    serve=serve,
)
