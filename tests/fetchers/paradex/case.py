"""Paradex's answers, written by hand in its shape, and the rows that they must give."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.paradex import FETCHER, symbol_market
from fundingdb.fetchers.testing import RECEIVED_AT, Case, Example, Refusal
from fundingdb.window import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fundingdb.fetchers.contract import Request

HOUR_MS = 3_600_000
BTC = replace(symbol_market("BTC-USD-PERP"), interval_hours=8.0, rate_cap=0.02)
PEPE = replace(symbol_market("kPEPE-USD-PERP"), interval_hours=8.0, rate_cap=0.02)
SLOW = replace(symbol_market("SLOW-USD-PERP"), interval_hours=24.0)
KNOWN = {market.symbol: market for market in (BTC, PEPE, SLOW)}


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def sample(at: int, index: float, premium: float, price: float = 80_000.0, **fields: Any) -> dict[str, Any]:
    return {
        "market": "BTC-USD-PERP",
        "funding_index": f"{index:.14f}",
        "funding_premium": f"{premium:.14f}",
        "funding_rate": f"{premium / price:.14f}",
        "funding_rate_8h": f"{premium / price:.8f}",
        "funding_period_hours": 8,
        "created_at": at,
        **fields,
    }


END = to_ms(datetime(2026, 9, 4, 3, tzinfo=UTC))


def hour_of(premium: float) -> dict[str, Any]:
    """The hour up to END, newest first, in samples a few seconds before its ends and in its middle."""
    before, middle, last = END - HOUR_MS - 2000, END - HOUR_MS // 2, END - 2940
    per_ms = premium / 8 / HOUR_MS
    return {
        "next": "eyJm",
        "results": [
            sample(last, 3.0 + per_ms * (last - before), premium),
            sample(middle, 3.0 + per_ms * (middle - before), premium),
            sample(before, 3.0, premium),
        ],
    }


def listing(base: str, period: int = 8, **fields: Any) -> dict[str, Any]:
    return {
        "symbol": f"{base}-USD-PERP",
        "base_currency": base,
        "quote_currency": "USD",
        "settlement_currency": "USDC",
        "asset_kind": "PERP",
        "expiry_at": 0,
        "funding_period_hours": period,
        "funding_multiplier": 1,
        "max_funding_rate": "0.02",
        "tags": ["LAYER-1"],
        **fields,
    }


OPTION = {
    "symbol": "SOL-USD-25DEC26-96-C",
    "base_currency": "SOL",
    "quote_currency": "USD",
    "settlement_currency": "USDC",
    "asset_kind": "OPTION",
    "expiry_at": 1798185600000,
    "funding_period_hours": 0,
    "max_funding_rate": "0",
}
MARKETS = {
    "results": [
        listing("BTC"),
        OPTION,
        listing("kPEPE", tags=["MEME"]),
        listing("SLOW", 24),
        listing("NVDA", tags=["RWA"]),
        listing("XAU", tags=["RWA"]),
    ]
}


def summary(symbol: str, rate: str, **fields: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "mark_price": "77804.85141726",
        "delta": "1.00021352",
        "volume_24h": "4273947.632803999",
        "created_at": 1789147120003,
        "underlying_price": "77788.24195927",
        "open_interest": "50.4599",
        "funding_rate": rate,
        **fields,
    }


SUMMARY = {
    "results": [
        summary("BTC-USD-PERP", "0.00007688102642"),
        summary("BTC-USD-25JUN27-86000-C", "", future_funding_rate="0.00007688"),  # that of its underlying
        summary("kPEPE-USD-PERP", "-0.0002", mark_price="0.004", underlying_price="0.005"),
        summary("SLOW-USD-PERP", "0.0024", mark_price="0"),
    ]
}


def serve(request: Request, settlements: Sequence[tuple[datetime, float]]) -> bytes:
    """Samples at both ends of each hour that settles, both bounds inclusive, newest first; at a price of 80,000."""
    bounds = dict(request.params)
    start, stop = int(bounds["start_at"]), int(bounds["end_at"])
    rows = []
    for at, rate in settlements:
        if to_ms(at) == stop:
            premium = 8 * 80_000 * rate
            rows = [sample(stop, premium / 8, premium), sample(stop - HOUR_MS, 0.0, premium)]
    inside = [row for row in rows if start <= row["created_at"] <= stop]
    return text({"next": None, "results": inside[: int(bounds["page_size"])]})


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text(hour_of(6.294)),
            [
                {
                    "exchange": "paradex",
                    "source": "paradex",
                    "symbol": "BTC-USD-PERP",
                    "base": "BTC",
                    "quote": "USDC",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 4, 3, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 4, 2, 59, 57, 60_000, tzinfo=UTC),
                    "interval_hours": 1.0,
                    "interval_from": "declared",
                    # 6.294 USDC per 8 hours and coin make 0.78675 an hour; its samples are 3,599.06 s apart
                    "native_rate": 0.78675 * 3599.06 / 3600,
                    "funding_rate": 0.78675 * 3599.06 / 3600 / 80_000,
                    "mark_price": None,
                    "fetched_at": RECEIVED_AT,
                }
            ],
        ),
        Example(
            text(hour_of(-6.294)),
            [{"funding_rate": -0.78675 * 3599.06 / 3600 / 80_000}],
        ),
    ],
    current=[
        Example(
            text(SUMMARY),
            [
                {
                    "symbol": "BTC-USD-PERP",
                    "observed_at": RECEIVED_AT,
                    "funding_rate": pytest.approx(0.0000096101283025, rel=1e-14),  # 0.00007688102642 / 8
                    "interval_hours": 1.0,
                    "native_rate": 0.00007688102642,
                    "next_funding_time": None,  # it accrues all the time
                    "mark_price": 77804.85141726,
                    "index_price": 77788.24195927,
                    "open_interest": 50.4599,
                    "open_interest_usd": 50.4599 * 77804.85141726,
                    "volume_24h_usd": 4273947.632803999,
                },
                {
                    "symbol": "kPEPE-USD-PERP",
                    "base": "PEPE",
                    "funding_rate": -0.000025,  # -0.0002 / 8; a rate has no multiple
                    "mark_price": 0.004 / 1000,
                    "index_price": 0.005 / 1000,
                    "open_interest": pytest.approx(50_459.9),
                    "open_interest_usd": 50.4599 * 0.004,
                },
                {
                    "symbol": "SLOW-USD-PERP",
                    "funding_rate": pytest.approx(0.0001, rel=1e-14),  # 0.0024 / 24
                    "mark_price": None,
                    "open_interest_usd": None,
                },
            ],
            markets=KNOWN,
        )
    ],
    markets=[
        Example(
            text(MARKETS),
            [
                {
                    "symbol": "BTC-USD-PERP",
                    "base": "BTC",
                    "quote": "USDC",
                    "collateral": "USDC",
                    "asset_class": "crypto",
                    "status": "active",
                    "interval_hours": 8.0,
                    "rate_cap": 0.02,
                },
                {"symbol": "kPEPE-USD-PERP", "base": "PEPE", "multiplier": 1000.0},
                {"symbol": "SLOW-USD-PERP", "interval_hours": 24.0},
                {"symbol": "NVDA-USD-PERP", "asset_class": "equity"},
                {"symbol": "XAU-USD-PERP", "asset_class": "commodity"},
            ],
        )
    ],
    empty=[("history", text({"next": None, "results": []}))],
    refusals=[
        Refusal(429, b"", RateLimited),
        Refusal(403, b"<html>", Refused),
        Refusal(404, b"", BadCall),
        Refusal(502, b"<html>", None),
        Refusal(200, b"{}", None),
    ],
    serve=serve,
)
