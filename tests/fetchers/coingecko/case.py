"""CoinGecko's answers, written by hand in its shape, and the rows that they must give."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.coingecko import FETCHER
from fundingdb.fetchers.contract import Market
from fundingdb.fetchers.testing import RECEIVED_AT, Case, Example, Refusal
from fundingdb.window import to_ms

NOW_S = to_ms(RECEIVED_AT) // 1000


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def row(market: str, symbol: str, token: str, rate: float | None, **fields: Any) -> dict[str, Any]:
    """A row of /derivatives."""
    return {
        "market": market,
        "symbol": symbol,
        "index_id": token,
        "price": "2.5",
        "contract_type": "perpetual",
        "index": 2.4,
        "basis": 0.1,
        "spread": None,
        "funding_rate": rate,
        "open_interest": 1000,
        "volume_24h": 2000.5,
        "last_traded_at": NOW_S - 60,
        "expired_at": None,
        **fields,
    }


def ticker(symbol: str, base: str, rate: float, index: float, **fields: Any) -> dict[str, Any]:
    """A ticker of /derivatives/exchanges/{id}."""
    return {
        "symbol": symbol,
        "base": base,
        "target": "USDT",
        "contract_type": "perpetual",
        "last": 0.473,
        "index": index,
        "funding_rate": rate,
        "open_interest_usd": 7505441.41551142,
        "h24_volume": 6822128.0,
        "converted_volume": {"btc": "42.07", "usd": "3222911.4917378246159226528"},
        "last_traded": NOW_S - 60,
        "expired_at": None,
        **fields,
    }


DERIVATIVES = [
    row("Hyperliquid (Futures)", "LIT-USD", "LIT", 0.00125),
    row("Hyperliquid (Futures)", "kPEPE-USD", "kPEPE", -0.0021),
    row("Deepcoin (Derivatives)", "1000SHIBUSDT", "SHIB", -0.007182),
    row("Lighter", "NVDA_USDC", "NVDA", None),
    row("Binance (Futures)", "DASHUSDT", "DASH", 0.01, index=47.26),
    row("Binance (Futures)", "DASHUSDT", "DASH", 0.01, index=0.00279),  # two instruments under one symbol
    row("Binance (Futures)", "BTCUSDT_260327", "BTC", None, contract_type="futures"),
    row("Bybit (Futures)", "STALEUSDT", "STALE", 0.01, last_traded_at=NOW_S - 7201),
    row("BYDFi (Futures)", "BTC-PERPUSDT", "BTC", 0.012),  # an exchange of no table
]
BINANCE = {
    "name": "Binance (Futures)",
    "open_interest_btc": 331945.73,
    "tickers": [
        ticker("0GUSDT", "0G", 0.005, 0.47388788),
        ticker("1000000BOBUSDT", "1000000BOB", -0.005, 0.01540057),
    ],
}
EXCHANGES = [
    {"id": "binance_futures", "name": "Binance (Futures)"},
    {"id": "bybit", "name": "Bybit (Futures)"},
]
LIMITED = {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit. Please visit ..."}}
WRONG_HOST = {
    "timestamp": "2025-09-01T13:07:05.880+00:00",
    "error_code": 10011,
    "status": {"error_message": "If you are using Demo API key, please change your root URL"},
}
# cut within its message
KEYLESS = b'{"status":{"timestamp":"2026-05-17T01:39:44.892+00:00","error_code":10002,"error_message":"API Key Missing. Pl'

CASE = Case(
    fetcher=FETCHER,
    market=Market("hyperliquid", "LIT-USD", "LIT", "USD", "crypto"),
    current=[
        Example(
            text(DERIVATIVES),
            [
                {
                    "exchange": "hyperliquid",
                    "source": "coingecko",
                    "symbol": "LIT-USD",
                    "base": "LIT",
                    "quote": "USD",
                    "asset_class": "crypto",
                    "observed_at": RECEIVED_AT,
                    "funding_rate": 0.0000125,  # 0.00125 percent per payment, here of an hour
                    "interval_hours": 1.0,
                    "native_rate": 0.00125,
                    "rate_step": 1e-8,
                    "next_funding_time": None,
                    "mark_price": None,
                    "index_price": 2.4,
                    "open_interest": None,
                    "open_interest_usd": 1000.0,
                    "volume_24h_usd": 2000.5,
                },
                {
                    "symbol": "kPEPE-USD",
                    "base": "PEPE",
                    "funding_rate": pytest.approx(-0.000021, rel=1e-12),
                    "index_price": 2.4 / 1000,
                },
                {
                    "exchange": "deepcoin",
                    "symbol": "1000SHIBUSDT",
                    "base": "SHIB",
                    "funding_rate": pytest.approx(-0.00007182, rel=1e-12),
                    "interval_hours": None,  # not in the answer
                    "index_price": 2.4 / 1000,
                },
                {
                    "exchange": "lighter",
                    "base": "NVDA",
                    "asset_class": "equity",
                    "funding_rate": None,
                    "native_rate": None,
                },
            ],
        ),
        Example(
            text(BINANCE),
            [
                {
                    "exchange": "binance",
                    "symbol": "0GUSDT",
                    "base": "0G",
                    "quote": "USDT",
                    "funding_rate": 0.00005,
                    "native_rate": 0.005,
                    "interval_hours": None,
                    "rate_step": 1e-5,
                    "index_price": 0.47388788,
                    "open_interest_usd": pytest.approx(7505441.4155),
                    "volume_24h_usd": pytest.approx(3222911.49174),
                },
                {
                    "symbol": "1000000BOBUSDT",
                    "base": "BOB",
                    "funding_rate": -0.00005,
                    "index_price": pytest.approx(0.01540057e-6),
                },
            ],
        ),
    ],
    markets=[
        Example(
            text(DERIVATIVES),
            [
                {
                    "exchange": "hyperliquid",
                    "symbol": "LIT-USD",
                    "status": "active",
                    "interval_hours": 1.0,
                    "rate_cap": None,
                },
                {"symbol": "kPEPE-USD", "base": "PEPE", "multiplier": 1000.0},
                {"exchange": "deepcoin", "base": "SHIB", "multiplier": 1000.0, "interval_hours": None},
                {"exchange": "lighter", "asset_class": "equity", "interval_hours": 1.0},
                {"exchange": "binance", "symbol": "DASHUSDT"},
            ],
        )
    ],
    refusals=[
        Refusal(429, text(LIMITED), RateLimited),
        Refusal(403, text(LIMITED), RateLimited),
        Refusal(429, b"", RateLimited),
        Refusal(429, b"<html>", RateLimited),
        Refusal(400, text(WRONG_HOST), Refused),
        Refusal(401, KEYLESS, Refused),
        Refusal(400, text({"error_code": 10010, "status": {"error_message": "m"}}), Refused),
        Refusal(403, text({"status": {"error_code": 10005, "error_message": "m"}}), Refused),
        Refusal(404, text({"error": "Market not found"}), BadCall),
        Refusal(403, b"<!DOCTYPE html> Access denied, error 1020", Refused),
        Refusal(403, b"error code: 1020", Refused),
        Refusal(200, text({"status": {"error_code": 10002, "error_message": "API Key Missing."}}), Refused),
        Refusal(200, text({"error": "coin not found"}), Refused),
        Refusal(418, b"", Refused),
        Refusal(503, b"<html>", None),
        Refusal(200, text(DERIVATIVES), None),
        Refusal(200, text(BINANCE), None),
        Refusal(200, text(EXCHANGES), None),
    ],
)
