"""Hyperliquid's answers, written by hand in its shape, and the rows that they must give."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.hyperliquid import FETCHER, symbol_market
from fundingdb.fetchers.testing import RECEIVED_AT, Case, Example, Refusal
from fundingdb.window import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fundingdb.fetchers.contract import Request

NEXT = datetime(2026, 1, 2, 4, tzinfo=UTC)  # the hour after RECEIVED_AT


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def paid(
    rate: Any = "0.0000125", time: Any = 1789142400047, coin: str = "BTC", premium: Any = "0.0"
) -> dict[str, Any]:
    return {"coin": coin, "fundingRate": rate, "premium": premium, "time": time}


# 15:00:00.047, 16:00:00.047, 17:00:00.028 of 2026-09-11
HISTORY = [
    paid("0.0000125", 1789138800047, premium="-0.0002987676"),
    paid("-0.0000213", 1789142400047, premium="-0.0006704"),
    paid("0.0", 1789146000028),
]
# Payments of 8 hours up to 2023-06-08 00:00, of 1 hour from 01:00 on; one stamp of 08:23:53.
OLD_HISTORY = [
    paid("-0.00061334", 1683849600048),
    paid("-0.00017541", 1684830233040),
    paid("0.0001", 1686153600026),
    paid("0.0001", 1686182400254),
    paid("0.0000125", 1686186000054),
    paid("0.0000125", 1686189600123),
]
DEX_HISTORY = [
    paid("0.00000625", 1789142400047, "xyz:XYZ100", "-0.000009148"),
    paid("0.00000625", 1789146000028, "xyz:XYZ100", "-0.0001360247"),
]


def coin(name: str, leverage: int = 10, **fields: Any) -> dict[str, Any]:
    return {"szDecimals": 1, "name": name, "maxLeverage": leverage, **fields}


def meta(*coins: dict[str, Any], token: int = 0) -> dict[str, Any]:
    return {"universe": list(coins), "marginTables": [], "collateralToken": token}


def universe(names: Sequence[str], token: int = 0) -> dict[str, Any]:
    return meta(*map(coin, names), token=token)


def context(**change: Any) -> dict[str, Any]:
    return {
        "funding": "0.0000125",
        "openInterest": "100.0",
        "prevDayPx": "1.0",
        "dayNtlVlm": "5000.5",
        "premium": "0.0",
        "oraclePx": "2.0",
        "markPx": "4.0",
        "midPx": None,
        "impactPxs": None,
        "dayBaseVlm": "1.0",
        **change,
    }


DEAD = context(premium=None, funding="0.0", openInterest="0.0")
META = meta(coin("BTC", 40), coin("kPEPE"), coin("MATIC", 20, isDelisted=True))
MAIN = [META, [context(), context(markPx="0.004", oraclePx="0.005"), DEAD]]
CURRENT = [
    META,
    [
        context(
            funding="0.0000083651",
            openInterest="35818.6831799999",
            dayNtlVlm="3571973656.4438381195",
            premium="-0.0001015642",
            oraclePx="77783.3",
            markPx="77748.0",
        ),
        context(funding="-0.0000213", markPx="0.004", oraclePx="0.005"),
        DEAD,
    ],
]
DEX = [
    meta(coin("xyz:XYZ100", 30), coin("xyz:AAPL", 20), coin("xyz:GONE", isDelisted=True)),
    [context(funding="0.00000625"), context(funding="-0.0000178177", markPx="333.93"), DEAD],
]
DEXES = [META, meta(coin("km:US500", 20), token=360), meta(coin("hyna:BTC", 20), token=235)]


def forecast(rate: str, due: int = 1759489200000, hours: int = 1) -> dict[str, Any]:
    return {"fundingRate": rate, "nextFundingTime": due, "fundingIntervalHours": hours}


FORECASTS = [
    [
        "0G",
        [
            ["BinPerp", forecast("-0.00019328", 1759492800000)],
            ["HlPerp", forecast("-0.0001942593")],
            ["BybitPerp", forecast("0.0000125", 1759492800000)],
        ],
    ],
    ["2Z", [["BinPerp", forecast("-0.0014888", 1759492800000, 4)], ["HlPerp", forecast("0.0003093788")]]],
]
FRAME = {"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": context(funding="-0.00002")}}
# Contexts by position alone: the main dex, flx and xyz.
POSITIONS = {
    "channel": "allDexsAssetCtxs",
    "data": {
        "ctxs": [
            ["", [context(funding="-0.0000015186", markPx="77562.0"), context(markPx="0.003632"), DEAD]],
            ["flx", [context(), context(funding="0.0002617097")]],
            ["xyz", [context(), context(markPx="433.64")]],
        ]
    },
}


def serve(request: Request, settlements: Sequence[tuple[datetime, float]]) -> bytes:
    """Oldest first, both bounds inclusive; the oldest 500 of a wider window. Stamps come 47 ms after the hour."""
    bounds = request.json
    stamped = [(to_ms(at) + 47, rate) for at, rate in settlements]
    inside = [(stamp, rate) for stamp, rate in stamped if bounds["startTime"] <= stamp <= bounds["endTime"]]
    return text([paid(f"{rate:.12f}", stamp, premium=premium_of(rate)) for stamp, rate in inside[:500]])


def premium_of(rate: float) -> str:
    """A premium from which the hourly rate follows: 8 x rate, and the clamp of 0.0005 away from the interest of 0.0001."""
    return f"{8 * rate + (0.0005 if 8 * rate > 0.0001 else -0.0005):.12f}"


CASE = Case(
    fetcher=FETCHER,
    market=symbol_market("BTC"),
    history=[
        Example(
            text(HISTORY),
            [
                {
                    "exchange": "hyperliquid",
                    "source": "hyperliquid",
                    "symbol": "BTC",
                    "base": "BTC",
                    "quote": "USDC",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 11, 15, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 11, 15, 0, 0, 47_000, tzinfo=UTC),
                    "interval_hours": 1.0,
                    "interval_from": "declared",
                    "funding_rate": 0.0000125,  # a fraction per hour: longs pay
                    "native_rate": 0.0000125,
                    "rate_type": "regular",
                    "mark_price": None,
                    "index_price": None,
                    "fetched_at": RECEIVED_AT,
                },
                {"funding_time": datetime(2026, 9, 11, 16, tzinfo=UTC), "funding_rate": -0.0000213},
                {"funding_time": datetime(2026, 9, 11, 17, tzinfo=UTC), "funding_rate": 0.0},
            ],
        ),
        Example(
            text(OLD_HISTORY),
            [
                {
                    "funding_time": datetime(2023, 5, 12, tzinfo=UTC),
                    "interval_hours": 8.0,
                    "funding_rate": -0.00061334,
                },
                {
                    "funding_time": datetime(2023, 5, 23, 8, tzinfo=UTC),
                    "reported_time": datetime(2023, 5, 23, 8, 23, 53, 40_000, tzinfo=UTC),
                    "interval_hours": 8.0,
                },
                {"funding_time": datetime(2023, 6, 7, 16, tzinfo=UTC), "interval_hours": 8.0},
                {"funding_time": datetime(2023, 6, 8, 0, tzinfo=UTC), "interval_hours": 8.0},
                {"funding_time": datetime(2023, 6, 8, 1, tzinfo=UTC), "interval_hours": 1.0},
                {"funding_time": datetime(2023, 6, 8, 2, tzinfo=UTC), "interval_hours": 1.0},
            ],
        ),
    ],
    current=[
        Example(
            text(CURRENT),
            [
                {
                    "symbol": "BTC",
                    "observed_at": RECEIVED_AT,
                    "funding_rate": 0.0000083651,
                    "interval_hours": 1.0,
                    "native_rate": 0.0000083651,
                    "rate_step": 1e-10,
                    "next_funding_time": NEXT,
                    "mark_price": 77748.0,
                    "index_price": 77783.3,
                    "open_interest": 35818.6831799999,
                    "open_interest_usd": 35818.6831799999 * 77748.0,
                    "volume_24h_usd": 3571973656.4438381195,
                },
                {
                    "symbol": "kPEPE",
                    "base": "PEPE",
                    "funding_rate": -0.0000213,  # a rate has no multiple
                    "mark_price": 0.004 / 1000,
                    "index_price": 0.005 / 1000,
                    "open_interest": 100_000.0,  # 100 contracts of 1,000
                    "open_interest_usd": 100.0 * 0.004,
                },
            ],
        ),
        Example(
            text(DEX),
            [
                {
                    "symbol": "xyz:XYZ100",
                    "base": "XYZ100",
                    "asset_class": "index",
                    "funding_rate": 0.00000625,  # the factor of the dex is in it
                },
                {
                    "symbol": "xyz:AAPL",
                    "base": "AAPL",
                    "asset_class": "equity",
                    "funding_rate": -0.0000178177,
                    "mark_price": 333.93,
                },
            ],
        ),
        Example(
            text(FORECASTS),  # its own rows alone; its nextFundingTime lags and is computed instead
            [
                {
                    "exchange": "hyperliquid",
                    "symbol": "0G",
                    "funding_rate": -0.0001942593,
                    "interval_hours": 1.0,
                    "next_funding_time": NEXT,
                    "mark_price": None,
                },
                {"symbol": "2Z", "funding_rate": 0.0003093788},
            ],
        ),
        Example(text(FRAME), [{"symbol": "BTC", "funding_rate": -0.00002, "mark_price": 4.0}]),
    ],
    markets=[
        Example(
            text(DEXES),
            [
                {
                    "symbol": "BTC",
                    "native_id": "0",
                    "quote": "USDC",
                    "collateral": "USDC",
                    "status": "active",
                    "interval_hours": 1.0,
                    "rate_cap": 0.04,
                    "max_leverage": 40.0,
                },
                {"symbol": "kPEPE", "native_id": "1", "base": "PEPE", "multiplier": 1000.0},
                {"symbol": "MATIC", "native_id": "2", "status": "delisted"},
                {"symbol": "km:US500", "native_id": "0", "asset_class": "index", "quote": "USDH"},
                {"symbol": "hyna:BTC", "base": "BTC", "quote": "USDE", "max_leverage": 20.0},
            ],
        ),
        Example(text(CURRENT), [{"symbol": "BTC"}, {"symbol": "kPEPE"}, {"status": "delisted"}]),
    ],
    empty=[("history", b"[]")],
    refusals=[
        Refusal(429, b"null", RateLimited),
        Refusal(429, b"", RateLimited),
        Refusal(422, b"Failed to deserialize the JSON body into the target type", BadCall),
        Refusal(500, b"null", BadCall),  # an unknown coin
        Refusal(200, b" null\n", BadCall),
        Refusal(403, b"<html>", Refused),
        Refusal(502, b"<html>", None),
        Refusal(200, b"[]", None),
    ],
    serve=serve,
)
