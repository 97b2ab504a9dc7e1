"""Stamps of many kinds as Unix milliseconds and on the hour grid; figures that may not be negative; plain refusals."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall, FundingdbError, RateLimited, Refused
from fundingdb.window import to_ms

if TYPE_CHECKING:
    from fundingdb.fetchers.contract import Reader

HOUR_MS = 3_600_000
_EARLY_MS = 60_000
_MS = re.compile(r"[0-9]{1,16}")
_NS = re.compile(r"[0-9]{19}")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?")


def iso_ms(reader: Reader, name: str, text: str, *, zone: str) -> int:
    """Unix ms, rounded down, of ISO text in UTC that ends with exactly `zone` ("Z", or "" where it writes none)."""
    bare = text.removesuffix(zone)
    if not text.endswith(zone) or not _ISO.fullmatch(bare) or not text.isascii():
        raise reader.bad(name, f"is not a time like 2026-01-31T08:00:00{zone}", text)
    try:
        at = datetime.fromisoformat(bare).replace(tzinfo=UTC)
    except ValueError as error:
        raise reader.bad(name, f"is no such time ({error})", text) from None
    return reader.ms({name: to_ms(at)}, name)


def text_ms(reader: Reader, name: str, text: str) -> int:
    """Unix ms written as text."""
    if not _MS.fullmatch(text):
        raise reader.bad(name, "is not a time in Unix milliseconds", text)
    return reader.ms({name: int(text)}, name)


def ns_ms(reader: Reader, name: str, text: str) -> int:
    """Unix ms, rounded down, of Unix nanoseconds written as text; never through a float."""
    if not _NS.fullmatch(text):
        raise reader.bad(name, "is not a time in Unix nanoseconds, as text", text)
    return reader.ms({name: int(text) // 1_000_000}, name)


def hour_of(reader: Reader, name: str, stamp: int) -> int:
    """The full hour at or before a stamp in ms that comes late; raises BadPayload within the last minute of an hour."""
    if stamp % HOUR_MS >= HOUR_MS - _EARLY_MS:
        raise reader.bad(name, "lies just before an hour; stamps come after it", stamp)
    return stamp - stamp % HOUR_MS


def counted(reader: Reader, name: str, text: str, symbol: str) -> float:
    """A figure that can't be negative."""
    value = reader.finite(name, text)
    if value < 0:
        raise reader.bad(name, f"of {symbol} is negative", text)
    return value


def hundredth(reader: Reader, name: str, text: str) -> tuple[float, float]:
    """(fraction, figure) of a percent written as text; the fraction is the float nearest to the exact hundredth."""
    figure = reader.finite(name, text)
    exact = Decimal(text).scaleb(-2) if "e" in text.lower() else f"{text}e-2"
    return float(exact) + 0.0, figure  # no negative zero


def bounded(reader: Reader, name: str, rate: float, most: float, symbol: str) -> float:
    """A rate within +-`most`; beyond it the unit is another one than the datasheet says."""
    if abs(rate) > most:
        raise reader.bad(name, f"{symbol}: {rate:g} as a fraction is beyond {most:g}; has the unit changed?")
    return rate + 0.0  # no negative zero


def refused(exchange: str, status: int, body: bytes, limit: str) -> FundingdbError | None:
    """What a status means where nothing better is known; None: an answer, or one to ask again."""
    if status == 200 or status >= 500:
        return None
    text = body[:200].decode("utf-8", "replace").strip()
    said = f"{exchange} answers {status}{': ' + text if text else ''}"
    if status == 429:
        return RateLimited(f"{said}: more than {limit}")
    if status in (400, 404, 422):
        return BadCall(f"{said}: no such market or request; see: fundingdb markets {exchange}")
    return Refused(f"{said}: see the datasheet, fundingdb/fetchers")
