"""Instants and half-open spans of time, always UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from fundingdb.errors import BadWindow

HOUR = timedelta(hours=1)
YEAR_HOURS = 8760.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = datetime(2010, 1, 1, tzinfo=UTC)  # before any perpetual paid funding
_LAST = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The half-open span [start, stop), kept in UTC; raises BadWindow when naive, reversed or empty."""

    start: datetime
    stop: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.stop.tzinfo is None:
            raise BadWindow(f"window [{self.start}, {self.stop}) has no time zone: use aware UTC datetimes")
        if self.start >= self.stop:
            span = f"window [{self.start}, {self.stop})"
            raise BadWindow(f"{span} is reversed or empty: start must be before stop")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "stop", self.stop.astimezone(UTC))

    @property
    def ms(self) -> tuple[int, int]:
        """First and last millisecond inside the window, both inclusive."""
        return -(-_us(self.start) // 1000), (_us(self.stop) - 1) // 1000

    @property
    def seconds(self) -> tuple[int, int]:
        """First and last second inside the window, both inclusive."""
        return -(-_us(self.start) // 1_000_000), (_us(self.stop) - 1) // 1_000_000

    @property
    def hours(self) -> float:
        """Length in hours."""
        return (self.stop - self.start) / HOUR


def to_ms(at: datetime) -> int:
    """Unix milliseconds of an aware instant, rounded down."""
    return _us(at) // 1000


def from_ms(ms: int) -> datetime:
    """The UTC instant of Unix milliseconds."""
    return _EPOCH + timedelta(milliseconds=ms)


def _us(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def floor_hour(at: datetime) -> datetime:
    """The full hour, in UTC, at or before the aware instant `at`."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def next_hour(at: datetime) -> datetime:
    """The first full hour, in UTC, after the aware instant `at`."""
    return floor_hour(at) + HOUR


def instant(value: float | str | date | datetime, what: str = "instant") -> datetime:
    """A UTC instant from Unix seconds, an aware datetime, a date or ISO text (a bare date is 00:00 UTC).

    Raises BadWindow for milliseconds, datetimes without time zone, days that don't exist and anything that is no time.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadWindow(
                f"{what} {value.isoformat()}: naive datetime; give it a time zone, e.g. tzinfo=UTC"
            )
        at = value.astimezone(UTC)
    elif isinstance(value, date):
        at = datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif isinstance(value, str):
        at = _from_text(value, what)
    elif isinstance(value, bool) or not isinstance(value, int | float) or value - value != 0:
        raise BadWindow(f"{what} {value!r}: not a time; give Unix seconds or an aware datetime")
    elif abs(value) >= 1e11:
        raise BadWindow(f"{what} {value!r}: looks like milliseconds; Unix seconds are wanted")
    else:
        at = datetime.fromtimestamp(value, tz=UTC)
    if not _FIRST <= at < _LAST:
        raise BadWindow(f"{what} {value!r}: {at.date()} lies outside 2010..2099; are the units seconds, UTC?")
    return at


def _from_text(text: str, what: str) -> datetime:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return instant(float(text), what)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadWindow(f"{what} {text!r}: no such date; write 2026-01-31 or 2026-01-31T08:00Z") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at.astimezone(UTC)
