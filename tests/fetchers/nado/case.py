"""Nado's answers, written by hand in its shape, and the rows that they must give."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.nado import FETCHER, symbol_market
from fundingdb.fetchers.testing import RECEIVED_AT, Case, Example, Refusal
from fundingdb.window import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fundingdb.fetchers.contract import Market, Request


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def known_market(symbol: str, product: int, status: str = "active") -> Market:
    return replace(symbol_market(symbol), native_id=str(product), status=status)


MARKETS = [
    known_market("ADA-PERP_USDT0", 60, "inactive"),
    known_market("BTC-PERP_USDT0", 2),
    known_market("SPY-PERP_USDT0", 100),
    known_market("WTI-PERP_USDT0", 90),
    known_market("PENG-PERP_USDT0", 162, "reduce_only"),
    known_market("kPEPE-PERP_USDT0", 38),
]
KNOWN = {market.symbol: market for market in MARKETS}
BTC = KNOWN["BTC-PERP_USDT0"]


def paid(
    at: datetime = datetime(2026, 9, 13, 20, tzinfo=UTC), rate: Any = "12419191342080", product: int = 2
) -> dict[str, Any]:
    return {"product_id": product, "timestamp": str(to_ms(at) // 1000), "funding_rate_x18": rate}


def page(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"funding_rates": list(rows)}


HISTORY = page(
    paid(datetime(2026, 9, 13, 17, tzinfo=UTC), "10519664719234"),
    paid(datetime(2026, 9, 13, 18, tzinfo=UTC), "-12504446974278"),
    paid(datetime(2026, 9, 13, 19, tzinfo=UTC), "0"),
    paid(),
)


def contract(base: str, product: int, rate: float, *, mark: float = 100.0, **fields: Any) -> dict[str, Any]:
    return {
        "product_id": product,
        "ticker_id": f"{base}_USDT0",
        "base_currency": base,
        "quote_currency": "USDT0",
        "product_type": "perpetual",
        "contract_price": mark + 1,  # another price
        "contract_price_currency": "USD",
        "open_interest": 10.0,
        "open_interest_usd": 10.0 * (mark + 1),
        "index_price": mark + 0.5,
        "mark_price": mark,
        "quote_volume": 5000.5,
        "funding_rate": rate,
        "next_funding_rate_timestamp": 1789340400,
        **fields,
    }


CONTRACTS = {
    row["ticker_id"]: row
    for row in (
        contract(
            "kPEPE-PERP",
            38,
            0.0003,
            mark=0.003348504249999997,
            index_price=0.0033475,
            contract_price=0.003353725,
            open_interest=58108000.0,
            open_interest_usd=194878.2523,
            quote_volume=25799.83053765907,
        ),
        contract("WTI-PERP", 90, -0.003550171430818078),
        contract("SPY-PERP", 100, -0.000786859369046869),
        contract("ADA-PERP", 60, 0.0003),
        contract("BTC-PERP", 2, 0.00010991167139984, mark=76805.68219579448, index_price=76796.975),
        contract("PENG-PERP", 162, 0.0003),
    )
}


def symbol(name: str, product: int, status: str = "live", kind: str = "perp") -> dict[str, Any]:
    return {
        "type": kind,
        "product_id": product,
        "symbol": name,
        "trading_status": status,
        "isolated_only": False,
    }


SYMBOLS = {
    "status": "success",
    "data": {
        "symbols": {
            row["symbol"]: row
            for row in (
                symbol("ADA-PERP", 60, "not_tradable"),
                symbol("BTC-PERP", 2),
                symbol("SPY-PERP", 100),
                symbol("WTI-PERP", 90),
                symbol("PENG-PERP", 162, "soft_reduce_only"),
                symbol("kPEPE-PERP", 38),
                symbol("KBTC", 1, kind="spot"),
            )
        }
    },
    "request_type": "query_symbols",
}


def serve(request: Request, settlements: Sequence[tuple[datetime, float]]) -> bytes:
    """Oldest first, both bounds inclusive; the oldest `limit` rows of a wider window, at most 1,000."""
    query = request.json["funding_rate_history"]
    inside = [
        paid(at, str(round(rate * 10**18)))
        for at, rate in settlements
        if query["start_time"] <= to_ms(at) // 1000 <= query["end_time"]
    ]
    return text(page(*inside[: min(query["limit"], 1000)]))


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text(HISTORY),
            [
                {
                    "exchange": "nado",
                    "source": "nado",
                    "symbol": "BTC-PERP_USDT0",
                    "base": "BTC",
                    "quote": "USDT0",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 13, 17, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 13, 17, tzinfo=UTC),
                    "interval_hours": 1.0,
                    "interval_from": "declared",
                    "funding_rate": 0.000010519664719234,  # 10,519,664,719,234 / 1e18, per hour
                    "native_rate": 10519664719234.0,
                    "rate_type": "regular",
                    "mark_price": None,
                    "index_price": None,
                    "fetched_at": RECEIVED_AT,
                },
                {"funding_rate": -0.000012504446974278},
                {"funding_rate": 0.0},
                {"funding_time": datetime(2026, 9, 13, 20, tzinfo=UTC), "funding_rate": 0.00001241919134208},
            ],
        )
    ],
    current=[
        Example(
            text(CONTRACTS),  # ADA and PENG show a rate and do not trade
            [
                {
                    "symbol": "kPEPE-PERP_USDT0",
                    "base": "PEPE",
                    "funding_rate": pytest.approx(0.0000125, rel=1e-12),  # 0.0003 / 24
                    "interval_hours": 1.0,
                    "native_rate": 0.0003,
                    "next_funding_time": datetime(2026, 9, 13, 23, tzinfo=UTC),
                    "mark_price": 0.003348504249999997 / 1000,
                    "index_price": 0.0033475 / 1000,
                    "open_interest": 58_108_000_000.0,  # 58,108,000 contracts of 1,000
                    "open_interest_usd": 194878.2523,
                    "volume_24h_usd": 25799.83053765907,
                    "observed_at": RECEIVED_AT,
                },
                {
                    "symbol": "WTI-PERP_USDT0",
                    "base": "CL",
                    "asset_class": "commodity",
                    "funding_rate": pytest.approx(-0.000147923809617, rel=1e-11),  # -0.0035501714... / 24
                },
                {
                    "symbol": "SPY-PERP_USDT0",
                    "asset_class": "equity",
                    "funding_rate": pytest.approx(-0.0000327858070436, rel=1e-11),
                },
                {
                    "symbol": "BTC-PERP_USDT0",
                    "funding_rate": pytest.approx(0.00000457965297499, rel=1e-11),
                    "mark_price": 76805.68219579448,
                    "index_price": 76796.975,
                    "open_interest": 10.0,
                },
            ],
            markets=KNOWN,
        )
    ],
    markets=[
        Example(
            text(SYMBOLS),
            [
                {"symbol": "ADA-PERP_USDT0", "status": "inactive", "native_id": "60"},
                {
                    "symbol": "BTC-PERP_USDT0",
                    "base": "BTC",
                    "quote": "USDT0",
                    "collateral": "USDT0",
                    "native_id": "2",
                    "status": "active",
                    "interval_hours": 1.0,
                    "rate_cap": None,
                },
                {"symbol": "SPY-PERP_USDT0", "asset_class": "equity"},
                {"symbol": "WTI-PERP_USDT0", "base": "CL", "asset_class": "commodity"},
                {"symbol": "PENG-PERP_USDT0", "asset_class": "equity", "status": "reduce_only"},
                {"symbol": "kPEPE-PERP_USDT0", "base": "PEPE", "multiplier": 1000.0},
            ],
        )
    ],
    empty=[("history", text(page()))],
    refusals=[
        Refusal(429, b"", RateLimited),
        Refusal(403, b"<html>", Refused),
        Refusal(404, b"", BadCall),
        Refusal(422, b"Failed to deserialize", BadCall),
        Refusal(503, b"<html>", None),
        Refusal(200, text(HISTORY), None),
    ],
    serve=serve,
)
