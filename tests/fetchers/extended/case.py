"""Extended's answers, written by hand in its shape, and the rows that they must give."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fundingdb.errors import BadCall, RateLimited, Refused, Unreachable
from fundingdb.fetchers.contract import Market, Request
from fundingdb.fetchers.extended import FETCHER
from fundingdb.fetchers.testing import RECEIVED_AT, Case, Example, Refusal
from fundingdb.window import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

BTC = Market("extended", "BTC-USD", "BTC", "USD", "crypto", interval_hours=1.0, rate_cap=0.0025)
DUE = datetime(2026, 9, 13, 23, tzinfo=UTC)


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def answer(data: Any) -> dict[str, Any]:
    return {"status": "OK", "data": data}


def paid(f: Any = "0.000013", t: Any = 1789336801693, m: Any = "BTC-USD") -> dict[str, Any]:
    return {"m": m, "f": f, "T": t}


# newest first; 22:00:01.693, 21:00:00.772, 19:00:00.932 of 2026-09-13 (20:00 is missing)
HISTORY = answer([paid(), paid("-0.000027", 1789333200772), paid("0.000000", 1789326000932)])

STATS = {
    "dailyVolume": "72466662.264900",
    "dailyVolumeBase": "940.68192",
    "lastPrice": "77091",
    "markPrice": "77060.427881750001",
    "indexPrice": "77100.406683774985",
    "fundingRate": "0.000013",
    "nextFundingRate": 1789340400000,
    "openInterest": "44808704.907173",
    "openInterestBase": "579.77510",
}


def listing(
    name: str, *, cap: str = "1", stats: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    asset = name.removesuffix("-USD")
    return {
        "name": name,
        "type": "PERPETUAL",
        "category": "Crypto",
        "subCategory": "L1",
        "assetName": asset,
        "collateralAssetName": "USD",
        "active": True,
        "status": "ACTIVE",
        "marketStats": STATS | (stats or {}),
        "tradingConfig": {"maxLeverage": "10.00", "hourlyFundingRateCap": cap},
        "referenceMarket": "null",
        "createdAt": 1752829532673,
        **fields,
    }


PEPE = {
    "markPrice": "0.003396223971",
    "indexPrice": "0.003396623809",
    "fundingRate": "-0.000013",
    "openInterest": "355927.118778",
    "openInterestBase": "104530900",
    "dailyVolume": "1553.504000",
}
SHARE = {"category": "RWA", "subCategory": "Equity", "referenceMarket": "us_equity"}
MARKETS = answer(
    [
        listing(
            "BTC-USD", cap="0.25", tradingConfig={"maxLeverage": "50.00", "hourlyFundingRateCap": "0.25"}
        ),
        listing("1000PEPE-USD", stats=PEPE, cap="0.75"),
        listing("MU_24_5-USD", **SHARE),
        listing("MKR-USD", status="REDUCE_ONLY"),
        listing("NOW_24_5-USD", status="DELISTED", **SHARE),  # `active` is true on it too
        listing("SOON-USD", status="PRELISTED"),
        listing("BTCSPOT-USD", type="SPOT", stats={"markPrice": "0", "nextFundingRate": 0}),
    ]
)
# /stats of one market: the answer does not name it
ONE = answer(
    STATS | {"fundingRate": "0.000012", "nextFundingRate": 1777446000000, "openInterestBase": "1491.33012"}
)
FRAME = {"ts": 1701563440000, "data": {"m": "BTC-USD", "T": 1701563440000, "f": "-0.001"}, "seq": 2}


def serve(request: Request, settlements: Sequence[tuple[datetime, float]]) -> bytes:
    """Newest first; both bounds inclusive; the newest 1,000 of a wider window. Stamps come 1.2 s after the hour."""
    bounds = dict(request.params)
    start, stop = int(bounds["startTime"]), int(bounds["endTime"])
    stamped = [(to_ms(at) + 1200, rate) for at, rate in settlements]
    inside = [paid(f"{rate:.12f}", stamp) for stamp, rate in stamped if start <= stamp <= stop]
    return text(answer(inside[::-1][:1000]))


def error(code: Any, message: str = "") -> bytes:
    return text({"status": "ERROR", "error": {"code": code, "message": message}})


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text(HISTORY),
            [
                {
                    "funding_time": datetime(2026, 9, 13, 19, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 13, 19, 0, 0, 932_000, tzinfo=UTC),
                    "funding_rate": 0.0,
                },
                {
                    "funding_time": datetime(2026, 9, 13, 21, tzinfo=UTC),
                    "funding_rate": -0.000027,  # a fraction per hour: shorts pay
                    "native_rate": -0.000027,
                },
                {
                    "exchange": "extended",
                    "source": "extended",
                    "symbol": "BTC-USD",
                    "base": "BTC",
                    "quote": "USD",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 13, 22, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 13, 22, 0, 1, 693_000, tzinfo=UTC),
                    "interval_hours": 1.0,
                    "interval_from": "declared",
                    "funding_rate": 0.000013,
                    "native_rate": 0.000013,
                    "rate_type": "regular",
                    "mark_price": None,
                    "index_price": None,
                    "fetched_at": RECEIVED_AT,
                },
            ],
        )
    ],
    current=[
        Example(
            text(MARKETS),
            [
                {
                    "symbol": "BTC-USD",
                    "observed_at": RECEIVED_AT,
                    "funding_rate": 0.000013,
                    "interval_hours": 1.0,
                    "native_rate": 0.000013,
                    "rate_step": 1e-6,
                    "next_funding_time": DUE,
                    "mark_price": 77060.427881750001,
                    "index_price": 77100.406683774985,
                    "open_interest": 579.7751,
                    "open_interest_usd": 44808704.907173,
                    "volume_24h_usd": 72466662.2649,
                },
                {
                    "symbol": "1000PEPE-USD",
                    "base": "PEPE",
                    "funding_rate": -0.000013,  # a rate has no multiple
                    "mark_price": 0.003396223971 / 1000,
                    "index_price": 0.003396623809 / 1000,
                    "open_interest": 104_530_900_000.0,  # 104,530,900 contracts of 1,000
                    "open_interest_usd": 355927.118778,
                },
                {"symbol": "MU_24_5-USD", "base": "MU", "asset_class": "equity"},
                {"symbol": "MKR-USD"},
            ],
        ),
        Example(
            text(FRAME),
            [
                {
                    "symbol": "BTC-USD",
                    "observed_at": datetime(2023, 12, 3, 0, 30, 40, tzinfo=UTC),
                    "funding_rate": -0.001,
                    "next_funding_time": datetime(2023, 12, 3, 1, tzinfo=UTC),
                    "mark_price": None,
                }
            ],
        ),
    ],
    markets=[
        Example(
            text(MARKETS),
            [
                {
                    "symbol": "BTC-USD",
                    "base": "BTC",
                    "quote": "USD",
                    "collateral": "USDC",
                    "multiplier": 1.0,
                    "asset_class": "crypto",
                    "status": "active",
                    "interval_hours": 1.0,
                    "rate_cap": 0.0025,  # 0.25 percent
                    "max_leverage": 50.0,
                    "native_id": None,
                    "listed_at": datetime(2025, 7, 18, 9, 5, 32, 673_000, tzinfo=UTC),
                    "first_seen": RECEIVED_AT,
                    "delisted_at": None,
                },
                {"symbol": "1000PEPE-USD", "base": "PEPE", "multiplier": 1000.0, "rate_cap": 0.0075},
                {"symbol": "MU_24_5-USD", "base": "MU", "asset_class": "equity", "rate_cap": 0.01},
                {"symbol": "MKR-USD", "status": "reduce_only"},
                {"symbol": "NOW_24_5-USD", "base": "NOW", "asset_class": "equity", "status": "delisted"},
                {"symbol": "SOON-USD", "status": "prelisted"},
            ],
        )
    ],
    empty=[("history", text(answer([])))],
    refusals=[
        Refusal(429, b"Too Many Requests", RateLimited),
        Refusal(403, b"Forbidden", Refused),
        Refusal(404, b"", Refused),
        Refusal(400, error(1140, "New order cost exceeds available balance"), Refused),
        Refusal(404, error("NOT_FOUND", "Market not found"), BadCall),
        Refusal(400, error(1001, "Market not found"), BadCall),
        Refusal(200, error(1001, "Market not found"), BadCall),
        Refusal(200, error(1010), Unreachable),
        Refusal(200, text({"status": "ERROR"}), Refused),
        Refusal(502, b"<html>", None),
        Refusal(200, text(HISTORY), None),
    ],
    serve=serve,
)
