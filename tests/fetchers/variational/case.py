"""Variational's answer, written by hand in its shape, and the rows that it must give."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.testing import RECEIVED_AT, Case, Example, Refusal
from fundingdb.fetchers.variational import FETCHER, symbol_market


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def listing(
    ticker: str,
    rate: str,
    seconds: int,
    price: str,
    *,
    sides: tuple[str, str] = ("70.5", "30.25"),
    volume: str = "10",
) -> dict[str, Any]:
    return {
        "ticker": ticker,
        "name": "prose",
        "mark_price": price,
        "volume_24h": volume,
        "open_interest": {"long_open_interest": sides[0], "short_open_interest": sides[1]},
        "funding_rate": rate,
        "funding_interval_s": seconds,
        "base_spread_bps": "1.08",
        "quotes": {"updated_at": "2026-09-13T22:00:06.684094484Z"},
    }


SIDES = ("79488330.90156663078909270000", "70056049.647245814573357420000")
STATS = {
    "open_interest": "1612663282.9575674",
    "num_markets": 6,
    "listings": [
        listing("BTC", "0.091241", 28800, "77229.3565140889", sides=SIDES, volume="245987215.191356"),
        listing("HYPER", "0.1095", 14400, "0.0688824349790803"),
        listing("STORJ", "-85.536623", 3600, "0.03558592558897481"),
        listing("1000PEPE", "0.1095", 28800, "0.003408630799146218"),
        listing("CAT", "0", 28800, "817.81145807819"),
        listing("XAUS", "0", 0, "4330.57"),  # a swap
    ],
}

CASE = Case(
    fetcher=FETCHER,
    market=symbol_market("BTC"),
    current=[
        Example(
            text(STATS),
            [
                {
                    "exchange": "variational",
                    "source": "variational",
                    "symbol": "BTC",
                    "base": "BTC",
                    "quote": "USDC",
                    "asset_class": "crypto",
                    "observed_at": RECEIVED_AT,
                    # a year of 365 days has 3 x 365 = 1,095 payments at 8 h, 2,190 at 4 h, 8,760 at 1 h
                    "funding_rate": pytest.approx(0.0000833251142, rel=1e-8),  # 0.091241 / 1,095
                    "interval_hours": 8.0,
                    "native_rate": 0.091241,
                    "rate_step": pytest.approx(1e-6 / 1095),
                    "next_funding_time": None,
                    "mark_price": 77229.3565140889,
                    "index_price": None,
                    "open_interest": None,
                    "open_interest_usd": pytest.approx(149_544_380.5492),  # both sides stand against the pool
                    "volume_24h_usd": 245987215.191356,
                },
                {"symbol": "HYPER", "funding_rate": 0.00005, "interval_hours": 4.0},  # 0.1095 / 2,190
                {
                    "symbol": "STORJ",
                    "funding_rate": pytest.approx(-0.00976445468, rel=1e-9),  # -85.536623 / 8,760
                    "interval_hours": 1.0,
                },
                {
                    "symbol": "1000PEPE",
                    "base": "PEPE",
                    "funding_rate": 0.0001,  # 0.1095 / 1,095; a rate has no multiple
                    "mark_price": 0.003408630799146218 / 1000,
                    "open_interest_usd": 100.75,
                },
                {"symbol": "CAT", "asset_class": "equity", "funding_rate": 0.0},  # zero is a rate
            ],
        )
    ],
    markets=[
        Example(
            text(STATS),
            [
                {
                    "symbol": "BTC",
                    "quote": "USDC",
                    "collateral": "USDC",
                    "status": "active",
                    "interval_hours": 8.0,
                    "rate_cap": None,
                },
                {"symbol": "HYPER", "interval_hours": 4.0},
                {"symbol": "STORJ", "interval_hours": 1.0},
                {"symbol": "1000PEPE", "base": "PEPE", "multiplier": 1000.0},
                {"symbol": "CAT", "base": "CAT", "asset_class": "equity"},
            ],
        )
    ],
    refusals=[
        Refusal(429, b"", RateLimited),
        Refusal(403, b"<html>", Refused),
        Refusal(404, b"", BadCall),
        Refusal(502, b"<html>", None),
        Refusal(200, text(STATS), None),
    ],
)
