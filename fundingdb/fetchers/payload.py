"""From the bytes of a response to checked values: JSON, typed fields, numbers, percent and money, times of many kinds.

Nothing is guessed: a missing field, text where a number is due, NaN, seconds where milliseconds are due raise BadPayload with
exchange, endpoint, field and a short excerpt.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from fundingdb.errors import BadCall, BadPayload, FundingdbError, RateLimited, Refused
from fundingdb.window import to_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")
Span = float | str  # how exchanges write hours, minutes or seconds; `Reader.span` reads it
HOUR_MS = 3_600_000
_EARLY_MS = 60_000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PLAIN = frozenset("0123456789+-.eE")
_MS = re.compile(r"[0-9]{1,16}")
_NS = re.compile(r"[0-9]{19}")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?")


def decode(body: bytes, exchange: str, endpoint: str) -> Any:
    """The JSON value of a body; raises BadPayload when it is empty, cut, HTML or not JSON."""
    text = body.lstrip()[:120].decode("utf-8", "replace")
    if not text:
        raise BadPayload(exchange, endpoint, "(body)", "is empty")
    if text[:1] == "<":
        raise BadPayload(exchange, endpoint, "(body)", "is HTML where JSON was due", text)
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise BadPayload(exchange, endpoint, "(body)", "is nested too deep", text) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadPayload(exchange, endpoint, "(body)", f"is not whole JSON: {error}", text) from None


def decode_lines(body: bytes, exchange: str, endpoint: str) -> list[Any]:
    """The JSON values of a body that holds one value, or one a line (saved WebSocket frames).

    Raises BadPayload as `decode` does.
    """
    try:
        return [decode(body, exchange, endpoint)]
    except BadPayload:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) < 2:  # one line was tried as a whole
            raise
        return [decode(line, exchange, endpoint) for line in lines]


def shaped(value: Any, kind: type[T], exchange: str, endpoint: str, at: str = "$") -> T:
    """A JSON value as `kind` (a msgspec Struct or a list of them), no type bent: text is no number, a bool no int.

    Raises BadPayload for the first field that is missing or of another type; fields that `kind` does not name pass.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at ")
        missing = re.search(r"required field `(.+?)`", problem)
        where = path.strip("`").replace("$", at, 1) or at
        field = f"{where}.{missing[1]}" if missing else where
        raise BadPayload(exchange, endpoint, field, "is missing" if missing else problem) from None


@contextmanager
def translated_errors(exchange: str, endpoint: str, field: str = "(body)") -> Iterator[None]:
    """Any error that is not one of fundingdb's becomes BadPayload with its type: a parser that met it can't read the response.

    MemoryError passes.
    """
    try:
        yield
    except (FundingdbError, MemoryError):
        raise
    except Exception as error:
        raise BadPayload(exchange, endpoint, field, f"can't be read ({type(error).__name__})") from error


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads typed fields of JSON objects of one endpoint; each method raises BadPayload that names the field."""

    exchange: str
    endpoint: str

    def bad(self, field: str, problem: str, value: Any = None) -> BadPayload:
        """The error to raise for `field`."""
        excerpt = "" if value is None else str(value)
        return BadPayload(self.exchange, self.endpoint, field, problem, excerpt)

    def get(self, row: Any, name: str, *kinds: type) -> Any:
        """`row[name]`, present and of one of `kinds` (a bool is no number)."""
        if not isinstance(row, dict):
            raise self.bad(name, "is read from something that is not an object", row)
        if name not in row:
            raise self.bad(name, "is missing", row)
        value = row[name]
        if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            wanted = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
            raise self.bad(name, f"is {type(value).__name__}, must be {wanted}", value)
        return value

    def items(self, row: Any, name: str) -> list[Any]:
        """`row[name]` as a list."""
        return self.get(row, name, list)

    def array(self, value: Any, *, may_be_empty: bool = False) -> list[Any]:
        """A whole response that is a list; refuses anything else, and an empty list unless `may_be_empty`."""
        if not isinstance(value, list):
            raise self.bad("(body)", f"is {type(value).__name__}, must be a list", value)
        if not value and not may_be_empty:
            raise self.bad("(body)", "is an empty list")
        return value

    def number(self, row: Any, name: str, *, text: bool) -> float:
        """A finite number, written as text ("0.0001", `text=True`) or as a JSON number; NaN, inf and blanks are refused."""
        value = self.get(row, name, str) if text else self.get(row, name, int, float)
        return self.finite(name, value)

    def number_or_null(self, row: Any, name: str, *, text: bool) -> float | None:
        """As `number`; null or a missing key gives None."""
        if isinstance(row, dict) and row.get(name) is None:
            return None
        return self.number(row, name, text=text)

    def finite(self, name: str, value: str | float) -> float:
        """The float of a plain decimal figure; raises BadPayload for NaN, inf and anything else."""
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            raise self.bad(name, "is not a finite decimal number", value)
        try:
            number = float(value)
        except OverflowError:  # an integer of hundreds of digits
            number = math.inf
        if not math.isfinite(number):
            raise self.bad(name, "is not a finite decimal number", value)
        return number

    def percent(self, row: Any, name: str, *, text: bool) -> float:
        """The fraction of a percentage: 0.01 (percent) is 0.0001, the float nearest to the exact hundredth."""
        return hundredth(self, name, str(self.number(row, name, text=text)))[0]

    def money_rate(self, row: Any, money: str, price: str, *, text: bool) -> float:
        """The rate behind a payment in money per token: `row[money] / row[price]`; a price of 0 or less is refused."""
        paid, paid_at = self.number(row, money, text=text), self.number(row, price, text=text)
        if paid_at <= 0:
            raise self.bad(price, "is not a positive price", paid_at)
        return paid / paid_at + 0.0  # no negative zero

    def span(self, name: str, value: float | str) -> float:
        """A declared span of time, a whole number of its unit from 0 on: 8, 8.0 and "8" are the same."""
        number = self.finite(name, value)
        if number < 0 or number % 1:
            raise self.bad(name, "is a negative span of time, or no whole one", value)
        return number

    def iso(self, row: Any, name: str, *, zone: str = "Z") -> int:
        """Unix milliseconds, rounded down, of ISO text in UTC that ends with exactly `zone` ("" where it has none)."""
        return iso_ms(self, name, self.get(row, name, str), zone=zone)

    def ms(self, row: Any, name: str) -> int:
        """Unix milliseconds between 2010 and 2100; seconds or microseconds are refused."""
        value = self.get(row, name, int)
        if not 1_262_304_000_000 <= value < 4_102_444_800_000:
            raise self.bad(name, "is not a time in Unix milliseconds", value)
        return value

    def seconds(self, row: Any, name: str) -> int:
        """Unix seconds between 2010 and 2100; milliseconds are refused."""
        value = self.get(row, name, int)
        if not 1_262_304_000 <= value < 4_102_444_800:
            raise self.bad(name, "is not a time in Unix seconds", value)
        return value


def decimals(reader: Reader, name: str, texts: Sequence[str]) -> list[float]:
    """The finite numbers written in `texts`; raises BadPayload for the first that is none, as `reader.finite` does."""
    # Without nan, inf, blanks and underscores, float() reads exactly the decimal figures.
    if _PLAIN.issuperset("".join(texts)):
        try:
            numbers = list(map(float, texts))
        except ValueError:
            numbers = [math.inf]
        if all(map(math.isfinite, numbers)):
            return numbers
    return [reader.finite(name, text) for text in texts]


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
    """A figure that can't be negative, such as a price or an open interest."""
    value = reader.finite(name, text)
    if value < 0:
        raise reader.bad(name, f"of {symbol} is negative", text)
    return value


def hundredth(reader: Reader, name: str, text: str) -> tuple[float, float]:
    """(fraction, figure) of a percent written as text; the fraction is the float nearest to the exact hundredth."""
    figure = reader.finite(name, text)
    exact = Decimal(repr(figure)).scaleb(-2) if "e" in text.lower() else f"{text}e-2"
    return float(exact) + 0.0, figure  # no negative zero


def bounded(reader: Reader, name: str, rate: float, most: float, symbol: str) -> float:
    """A rate within +-`most`; a larger one is refused, since the unit must be another than the datasheet's."""
    if abs(rate) > most:
        raise reader.bad(name, f"{symbol}: {rate:g} as a fraction is beyond {most:g}; has the unit changed?")
    return rate + 0.0  # no negative zero


def refused(exchange: str, status: int, body: bytes, limit: str) -> FundingdbError | None:
    """The error of an HTTP status where the exchange documents none; None for 200, and for 5xx, which the engine repeats.

    `limit` is the documented limit in words, for 429.
    """
    if status == 200 or status >= 500:
        return None
    text = body[:200].decode("utf-8", "replace").strip()
    refusal = f"{exchange} answers {status}{': ' + text if text else ''}"
    if status == 429:
        return RateLimited(f"{refusal}: more than {limit}")
    if status in (400, 404, 422):
        return BadCall(f"{refusal}: no such market or request; see: fundingdb markets {exchange}")
    return Refused(f"{refusal}: see the datasheet, fundingdb/fetchers")
