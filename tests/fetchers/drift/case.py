"""Answers of Drift, of its archive and of Velocity, written by hand in their shape, and the rows that they must give."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers import drift_archive
from fundingdb.fetchers.drift import DRIFT, FROZEN, VELOCITY
from fundingdb.fetchers.testing import RECEIVED_AT, Case, Example, Refusal
from fundingdb.window import to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fundingdb.fetchers.contract import Request

SOL = DRIFT.market("SOL-PERP")
BTC = VELOCITY.market("BTC-PERP")


def text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def paid(
    ts: Any = 1775066400,
    rate: Any = "-0.001024958",
    oracle: str = "84.693889",
    mark: str = "84.652352",
    symbol: str = "SOL-PERP",
) -> dict[str, Any]:
    return {
        "ts": ts,
        "marketIndex": 0,
        "symbol": symbol,
        "fundingRate": rate,
        "fundingRateLong": rate,
        "fundingRateShort": rate,
        "oraclePriceTwap": oracle,
        "markPriceTwap": mark,
    }


def page(*rows: Any, cursor: str | None = None) -> dict[str, Any]:
    return {"success": True, "records": list(rows), "meta": {"nextPage": cursor}}


EMPTY_DAY = {"success": True, "records": [], "meta": {"records": 0, "totalRecords": 0}}
LAST_OF_DRIFT = page(paid())
# newest first; 22:01:00, 21:00:59, 20:01:00 of 2026-09-13
VELOCITY_HISTORY = page(
    paid(1789336860, "6.399237833", "77333.726817", "77502.772950", "BTC-PERP"),
    paid(1789333259, "-6.320036916", "77287.184923", "77154.320927", "BTC-PERP"),
    paid(1789329660, "6.206000708", "77262.392462", "77426.786640", "BTC-PERP"),
    cursor="eyJwayI6Ik1BUktFVCJ9",
)
LEGACY = {
    "fundingRates": [
        {
            "ts": "1770195607",
            "fundingRate": "-3095708",
            "oraclePriceTwap": "97493700",
            "markPriceTwap": "97399905",
            "marketIndex": 0,
        }
    ]
}


def stats(base: str, quote: str, **fields: Any) -> dict[str, Any]:
    return {
        "symbol": f"{base}-PERP",
        "marketIndex": 0,
        "marketType": "perp",
        "baseAsset": base,
        "quoteAsset": quote,
        "status": "active",
        "oraclePrice": "81.889579",
        "markPrice": "81.856150",
        "openInterest": {"long": "471252.73", "short": "-471093.53"},
        "fundingRate": {"long": "-0.000022", "short": "0.000022"},
        "fundingRate24h": "-0.001100",
        **fields,
    }


def listed(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "markets": list(rows)}


DRIFT_STATS = listed(stats("SOL", "USDC"))
VELOCITY_STATS = listed(
    stats(
        "BTC",
        "USDT",
        limits={"leverage": {"min": 1, "max": 20}},
        oraclePrice="76753.471975",
        markPrice="76908.600000",
        openInterest={"long": "0.335", "short": "-0.0206"},
        fundingRate={"long": "-0.008181", "short": "0.008181"},
    ),
    stats("1MBONK", "USDT", status="reduceOnly", fundingRate={"long": "0.002", "short": "-0.002"}),
    stats("OLD", "USDT", status="delisted"),
    stats("SOON", "USDT", status="initialized"),
    {"symbol": "SOL", "marketIndex": 1, "marketType": "spot", "status": "active", "oraclePrice": "99.615636"},
    {"symbol": "TRUMP-WIN-2024-BET", "marketIndex": 2, "marketType": "perp"},
)
CONTRACTS = {
    "contracts": [
        {
            "contract_index": 0,
            "ticker_id": "SOL-PERP",
            "product_type": "PERP",
            "open_interest": "943191.730000000",
            "index_price": "81.683295",
            "funding_rate": "0.000281332",
            "next_funding_rate": "0.000039",
            "next_funding_rate_timestamp": "1771480806000",
        }
    ]
}
# means over 24 h, 7 d and more: no estimate of the running hour
MEANS = {
    "success": True,
    "markets": [{"marketIndex": 0, "symbol": "SOL-PERP", "fundingRates": {"24h": "-0.001275543"}}],
}


def serve(request: Request, settlements: Sequence[tuple[datetime, float]]) -> bytes:
    """One UTC day, newest first, in pages of 20 with a cursor. Stamps come a minute late; money at a price of 100."""
    _, _, symbol, _, day = request.path.split("/", 4)
    rows = [
        paid(to_ms(at) // 1000 + 60, f"{100 * rate:.15f}", "100.000000", "100.000000", symbol)
        for at, rate in settlements
        if f"{at + timedelta(seconds=60):%Y/%m/%d}" == day
    ][::-1]
    first = int(dict(request.params).get("page", "0"))
    more = str(first + 20) if first + 20 < len(rows) else None
    return text(page(*rows[first : first + 20], cursor=more))


DRIFT_CASE = Case(
    fetcher=DRIFT,
    market=SOL,
    history=[
        Example(
            text(LAST_OF_DRIFT),
            [
                {
                    "exchange": "drift",
                    "source": "drift",
                    "symbol": "SOL-PERP",
                    "base": "SOL",
                    "quote": "USDC",
                    "asset_class": "crypto",
                    "funding_time": FROZEN,
                    "interval_hours": 1.0,
                    "interval_from": "declared",
                    "funding_rate": -0.001024958 / 84.693889,  # dollars per SOL over its price: -0.0000121019
                    "native_rate": -0.001024958,
                    "rate_type": "regular",
                    "mark_price": 84.652352,
                    "index_price": 84.693889,
                    "fetched_at": RECEIVED_AT,
                }
            ],
        ),
        Example(
            text(LEGACY),
            [
                {
                    "funding_time": datetime(2026, 2, 4, 9, tzinfo=UTC),
                    "reported_time": datetime(2026, 2, 4, 9, 0, 7, tzinfo=UTC),
                    # (-3,095,708 / 1e9) / (97,493,700 / 1e6)
                    "funding_rate": pytest.approx(-0.0000317529, abs=5e-11),
                    "native_rate": -3095708.0,
                    "mark_price": 97.399905,
                    "index_price": 97.4937,
                }
            ],
        ),
    ],
    current=[
        Example(
            text(DRIFT_STATS),
            [
                {
                    "symbol": "SOL-PERP",
                    "funding_rate": pytest.approx(
                        2.2e-7, rel=1e-12
                    ),  # the longs' income, percent, turned round
                    "open_interest": 471252.73,
                }
            ],
        ),
        Example(
            text(CONTRACTS),
            [
                {
                    "symbol": "SOL-PERP",
                    "funding_rate": pytest.approx(3.9e-7, rel=1e-12),  # 0.000039 percent, ordinary sign
                    "next_funding_time": datetime(2026, 2, 19, 6, tzinfo=UTC),
                    "index_price": 81.683295,
                    "open_interest": 471595.865,  # 943,191.73 counts both sides
                }
            ],
        ),
    ],
    markets=[
        Example(
            text(DRIFT_STATS),
            [{"symbol": "SOL-PERP", "status": "delisted", "delisted_at": FROZEN, "collateral": "USDC"}],
        )
    ],
    empty=[("history", text(EMPTY_DAY))],
    refusals=[
        Refusal(403, text({"message": "Forbidden"}), Refused),
        Refusal(429, b"", RateLimited),
        Refusal(404, b"", BadCall),
        Refusal(502, b"<html>", None),
        Refusal(200, b"{}", None),
    ],
    serve=serve,
)

VELOCITY_CASE = Case(
    fetcher=VELOCITY,
    market=BTC,
    history=[
        Example(
            text(VELOCITY_HISTORY),
            [
                {
                    "funding_time": datetime(2026, 9, 13, 20, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 13, 20, 1, tzinfo=UTC),
                    "funding_rate": 6.206000708 / 77262.392462,
                },
                {
                    "funding_time": datetime(2026, 9, 13, 21, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 13, 21, 0, 59, tzinfo=UTC),
                    "funding_rate": -6.320036916 / 77287.184923,
                },
                {
                    "exchange": "velocity",
                    "source": "velocity",
                    "base": "BTC",
                    "quote": "USDT",
                    "funding_time": datetime(2026, 9, 13, 22, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 13, 22, 1, tzinfo=UTC),
                    "funding_rate": 6.399237833 / 77333.726817,  # 0.0000827483
                    "native_rate": 6.399237833,
                },
            ],
        )
    ],
    current=[
        Example(
            text(VELOCITY_STATS),
            [
                {
                    "symbol": "BTC-PERP",
                    "observed_at": RECEIVED_AT,
                    "funding_rate": pytest.approx(0.00008181, rel=1e-12),  # the longs' income is -0.008181 %
                    "interval_hours": 1.0,
                    "native_rate": -0.008181,
                    "next_funding_time": datetime(2026, 1, 2, 4, tzinfo=UTC),
                    "mark_price": 76908.6,
                    "index_price": 76753.471975,
                    "open_interest": 0.335,  # the larger side
                    "open_interest_usd": 0.335 * 76908.6,
                },
                {
                    "symbol": "1MBONK-PERP",
                    "base": "BONK",
                    "funding_rate": pytest.approx(-0.00002, rel=1e-12),
                    "mark_price": 81.856150 / 1e6,
                    "open_interest": 471252.73 * 1e6,
                    "open_interest_usd": 471252.73 * 81.856150,
                },
            ],
        )
    ],
    markets=[
        Example(
            text(VELOCITY_STATS),
            [
                {
                    "symbol": "BTC-PERP",
                    "quote": "USDT",
                    "collateral": "USDT",
                    "status": "active",
                    "interval_hours": 1.0,
                    "max_leverage": 20.0,
                    "delisted_at": None,
                },
                {"symbol": "1MBONK-PERP", "base": "BONK", "multiplier": 1e6, "status": "reduce_only"},
                {"symbol": "OLD-PERP", "status": "delisted"},
                {"symbol": "SOON-PERP", "status": "prelisted"},
            ],
        )
    ],
    empty=[("history", text(EMPTY_DAY))],
    refusals=DRIFT_CASE.refusals,
    serve=serve,
)

# --- the archive

DAY = datetime(2024, 6, 3, tzinfo=UTC)
HEADER = "ts,fundingRate,oraclePriceTwap,markPriceTwap"
# (fundingRate, oraclePriceTwap, markPriceTwap), as decimals and as legacy integers; money x 24 is mark - oracle + oracle / 5,000
DECIMAL = ("-0.001024958", "84.693889", "84.652352")
INTEGERS = ("-3095708", "97493700", "97399905")


def day_file(
    figures: Sequence[str] = DECIMAL,
    hours: int = 24,
    *,
    day: datetime = DAY,
    header: str = HEADER,
    late: int = 7,
) -> bytes:
    start = to_ms(day) // 1000
    lines = [f"{start + n * 3600 + late},{','.join(figures)}" for n in range(hours)]
    return gzip.compress("\n".join([header, *lines]).encode(), mtime=0)


def serve_days(request: Request, settlements: Sequence[tuple[datetime, float]]) -> bytes:
    """The file of one UTC day, at an oracle price of 100; stamps come 7 seconds late."""
    lines = [HEADER]
    for at, rate in settlements:
        if request.path.endswith(f"/{at:%Y/%Y%m%d}"):
            mark = 100 * (1 + 24 * rate)  # what the protocol's formula makes of it
            lines.append(f"{to_ms(at) // 1000 + 7},{100 * rate:.12f},100.000000,{mark:.12f}")
    return gzip.compress("\n".join(lines).encode(), mtime=0)


ARCHIVE_CASE = Case(
    fetcher=drift_archive.DRIFT,
    market=SOL,
    history=[
        Example(
            day_file(hours=3),
            [
                {
                    "exchange": "drift",
                    "source": "drift-archive",
                    "symbol": "SOL-PERP",
                    "funding_time": DAY + timedelta(hours=n),
                    "reported_time": DAY + timedelta(hours=n, seconds=7),
                    "interval_hours": 1.0,
                    "funding_rate": -0.001024958 / 84.693889,
                    "native_rate": -0.001024958,
                    "mark_price": 84.652352,
                    "index_price": 84.693889,
                }
                for n in range(3)
            ],
        ),
        Example(
            day_file(INTEGERS, hours=3),
            [{"funding_rate": pytest.approx(-0.0000317529, abs=5e-11), "native_rate": -3095708.0}] * 3,
        ),
    ],
    refusals=[
        Refusal(403, b"<Error><Code>AccessDenied</Code></Error>", BadCall),
        Refusal(404, b"<Error><Code>NoSuchKey</Code></Error>", BadCall),
        Refusal(429, b"", RateLimited),
        Refusal(400, b"", Refused),
        Refusal(503, b"<Error><Code>SlowDown</Code></Error>", None),
    ],
    serve=serve_days,
    newest=DAY + timedelta(hours=23),
)

CASES = [DRIFT_CASE, VELOCITY_CASE, ARCHIVE_CASE]
