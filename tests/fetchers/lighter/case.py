"""Lighter's answers, written by hand in its shape, and the rows that they must give."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.contract import Market, Request
from fundingdb.fetchers.lighter import FETCHER
from fundingdb.fetchers.testing import RECEIVED_AT, Case, Example, Refusal
from fundingdb.window import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

ETH = Market("lighter", "ETH", "ETH", "USDC", "crypto", native_id="0", interval_hours=1.0, rate_cap=0.005)
BTC = Market("lighter", "BTC", "BTC", "USDC", "crypto", native_id="1", interval_hours=1.0, rate_cap=0.005)
T0 = 1_778_702_400  # 2026-05-13 20:00


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def row(
    hour: int = 0, value: Any = "0.02707872", rate: Any = "0.0012", direction: str = "long"
) -> dict[str, Any]:
    return {"timestamp": T0 + 3600 * hour, "value": value, "rate": rate, "direction": direction}


def fundings(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"code": 200, "resolution": "1h", "fundings": list(rows)}


HISTORY = fundings(row(), row(1, "0.00452778", "0.0002", "short"))


def rate(market_id: int, exchange: str, symbol: str, figure: float) -> dict[str, Any]:
    return {"market_id": market_id, "exchange": exchange, "symbol": symbol, "rate": figure}


RATES = {
    "code": 200,
    "funding_rates": [
        rate(1, "binance", "BTC", 2.494e-05),  # second-hand figures of other exchanges
        rate(1, "bybit", "BTC", 4.936e-05),
        rate(1, "hyperliquid", "BTC", 6.55096e-05),
        rate(0, "lighter", "ETH", -0.000032),
        rate(1, "lighter", "BTC", 9.6e-05),
        rate(7, "lighter", "1000PEPE", 0.0004),
    ],
}


def book(symbol: str, market_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "market_id": market_id,
        "market_type": "perp",
        "status": "active",
        "quote_multiplier": 1,  # no multiplier
        "mark_price": "77758.9",
        "index_price": "77791.3",
        "open_interest": 2092.76507,
        "daily_quote_token_volume": 850015955.986308,
        "daily_base_token_volume": 10954.89124,
        **fields,
    }


DETAILS = {
    "code": 200,
    "order_book_details": [
        book("BTC", 1),
        book("ETH", 0, mark_price="2574.08", min_initial_margin_fraction=200),
        book("PIPPIN", 135, status="inactive", mark_price="0.02372", daily_quote_token_volume=0),
        book("1000PEPE", 7, mark_price="0.0034", index_price="0.0036"),
        book("NVDA", 110, funding_clamp_big="2.0000", created_at="1737072000000"),
        book("ETH/USDC", 2048, market_type="spot"),
    ],
}
# As given in May 2026: without prices.
OLD_DETAILS = {
    "code": 200,
    "order_book_details": [
        {
            "symbol": "ETH",
            "market_id": 0,
            "market_type": "perp",
            "status": "active",
            "min_initial_margin_fraction": 200,
            "daily_quote_token_volume": 460664167.955905,
            "open_interest": 27350.8981,
        }
    ],
    "spot_order_book_details": [],
}
ORDER_BOOKS = {
    "code": 200,
    "order_books": [{"symbol": "ETH", "market_id": 0, "market_type": "perp", "status": "active"}],
}

CONNECTED = {"session_id": "6b27e9ee", "type": "connected"}


def stats(market_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "market_id": market_id,
        "index_price": "64400.1",
        "mark_price": "64356.3",
        "open_interest": "102123609.308856",
        "current_funding_rate": "-0.0028",
        "funding_rate": "-0.0005",
        "funding_timestamp": 1780545600001,
        "daily_base_token_volume": 23621.29428,
        "daily_quote_token_volume": 1531624159.687143,
        **fields,
    }


def ethereum(open_interest: str) -> dict[str, Any]:
    """Stats of October 2025: no symbol."""
    return stats(
        0,
        index_price="4670.22",
        mark_price="4670.63",
        open_interest=open_interest,
        current_funding_rate="0.0012",
        funding_rate="0.0012",
        funding_timestamp=1759824000001,
    )


FRAME = {
    "channel": "market_stats:1",
    "market_stats": stats(1, symbol="BTC"),
    "timestamp": 1780546209291,
    "type": "subscribed/market_stats",
}
FRAMES = [
    CONNECTED,
    {
        "type": "subscribed/market_stats",
        "channel": "market_stats:all",
        "market_stats": {"0": ethereum("186660482.292979")},
    },
    {
        "type": "update/market_stats",
        "channel": "market_stats:all",
        "market_stats": {"0": ethereum("186660435.586679")},
    },
    FRAME,
    {"type": "ping"},
]


def lines(*frames: Any) -> bytes:
    return b"\n".join(map(text, frames))


def serve(request: Request, settlements: Sequence[tuple[datetime, float]]) -> bytes:
    """Oldest first, both bounds exclusive; the newest 749 of a wider window. Percent, unsigned, direction apart."""
    bounds = dict(request.params)
    start, stop = int(bounds["start_timestamp"]), int(bounds["end_timestamp"])
    rows = [
        {
            "timestamp": to_ms(at) // 1000,
            "value": f"{2000 * abs(rate):.12f}",  # at a price of 2,000
            "rate": f"{100 * abs(rate):.12f}",
            "direction": "short" if rate < 0 else "long",
        }
        for at, rate in settlements
        if start < to_ms(at) // 1000 < stop
    ]
    return text(fundings(*rows[-749:]))


CASE = Case(
    fetcher=FETCHER,
    market=ETH,
    history=[
        Example(
            text(HISTORY),
            [
                {
                    "exchange": "lighter",
                    "source": "lighter",
                    "symbol": "ETH",
                    "base": "ETH",
                    "quote": "USDC",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 5, 13, 20, tzinfo=UTC),
                    "reported_time": datetime(2026, 5, 13, 20, tzinfo=UTC),
                    "interval_hours": 1.0,
                    "interval_from": "declared",
                    "funding_rate": 0.000012,  # 0.0012 percent, paid by the longs
                    "native_rate": 0.0012,
                    "rate_type": "regular",
                    "mark_price": 0.02707872 / 0.000012,  # 2,256.56: value / rate
                    "index_price": None,
                    "fetched_at": RECEIVED_AT,
                },
                {
                    "funding_time": datetime(2026, 5, 13, 21, tzinfo=UTC),
                    "funding_rate": -0.000002,  # direction short: the shorts pay
                    "native_rate": 0.0002,
                    "mark_price": 0.00452778 / 0.000002,  # 2,263.89
                },
            ],
        )
    ],
    current=[
        Example(
            text(RATES),
            [
                {
                    "symbol": "ETH",
                    "funding_rate": -0.000004,  # -0.000032 / 8
                    "interval_hours": 1.0,
                    "native_rate": -0.000032,
                    "rate_step": 1e-6,
                    "next_funding_time": datetime(2026, 1, 2, 4, tzinfo=UTC),
                    "mark_price": None,
                    "open_interest": None,
                    "observed_at": RECEIVED_AT,
                },
                {"symbol": "BTC", "funding_rate": 0.000012},  # 0.000096 / 8
                {"symbol": "1000PEPE", "base": "PEPE", "funding_rate": 0.00005},
            ],
        ),
        Example(
            text(DETAILS),
            [
                {
                    "symbol": "BTC",
                    "funding_rate": None,
                    "rate_step": None,
                    "mark_price": 77758.9,
                    "index_price": 77791.3,
                    "open_interest": 2092.76507,
                    "open_interest_usd": None,
                    "volume_24h_usd": 850015955.986308,
                },
                {"symbol": "ETH", "mark_price": 2574.08},
                {
                    "symbol": "1000PEPE",
                    "base": "PEPE",
                    "mark_price": 0.0034 / 1000,
                    "index_price": 0.0036 / 1000,
                    "open_interest": 2092.76507 * 1000,
                },
                {"symbol": "NVDA", "asset_class": "equity"},
            ],
        ),
        Example(
            text(FRAME),
            [
                {
                    "symbol": "BTC",
                    "observed_at": datetime(2026, 6, 4, 4, 10, 9, 291_000, tzinfo=UTC),
                    "funding_rate": -0.000028,  # -0.0028 percent: current_funding_rate, not the last payment
                    "native_rate": -0.0028,
                    "next_funding_time": datetime(2026, 6, 4, 5, tzinfo=UTC),
                    "mark_price": 64356.3,
                    "index_price": 64400.1,
                    "open_interest_usd": 102123609.308856,  # dollars on the stream
                    "open_interest": 102123609.308856 / 64356.3,
                    "volume_24h_usd": 1531624159.687143,
                }
            ],
            markets={"BTC": BTC},
        ),
    ],
    markets=[
        Example(
            text(DETAILS),
            [
                {
                    "symbol": "BTC",
                    "native_id": "1",
                    "quote": "USDC",
                    "collateral": "USDC",
                    "status": "active",
                    "interval_hours": 1.0,
                    "rate_cap": 0.005,
                    "max_leverage": None,
                },
                {"symbol": "ETH", "native_id": "0", "max_leverage": 50.0},  # 200 basis points of margin
                {"symbol": "PIPPIN", "native_id": "135", "status": "inactive"},
                {"symbol": "1000PEPE", "base": "PEPE", "multiplier": 1000.0},
                {
                    "symbol": "NVDA",
                    "asset_class": "equity",
                    "rate_cap": 0.0025,  # 2 percent per 8 hours
                    "listed_at": datetime(2025, 1, 17, tzinfo=UTC),
                },
            ],
        ),
        Example(text(ORDER_BOOKS), [{"symbol": "ETH", "native_id": "0", "status": "active"}]),
    ],
    empty=[("history", text(fundings()))],
    refusals=[
        Refusal(429, text({"code": 23000, "message": "Too Many Requests!"}), RateLimited),
        Refusal(200, text({"code": 23000, "message": "Too Many Requests!"}), RateLimited),
        Refusal(405, b"", RateLimited),  # its firewall
        Refusal(400, text({"code": 20001, "message": "invalid param"}), Refused),
        Refusal(400, text({"code": 21100, "message": "market is not found"}), BadCall),
        Refusal(403, b"<html>", Refused),
        Refusal(404, b"", Refused),
        Refusal(503, b"<html>", None),
        Refusal(200, text(DETAILS), None),
        Refusal(200, b'{"funding_rates": []}', None),
    ],
    serve=serve,
)
