"""Instants and half-open spans of time, always UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fundingdb.errors import BadWindow

HOUR = timedelta(hours=1)
_FIRST = datetime(2010, 1, 1, tzinfo=UTC)  # before any perpetual paid funding
_LAST = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The half-open span [start, stop) in UTC; raises BadWindow when naive, reversed or empty."""

    start: datetime
    stop: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.stop.tzinfo is None:
            raise BadWindow(f"window [{self.start}, {self.stop}) has no time zone: use aware UTC datetimes")
        if self.start >= self.stop:
            raise BadWindow(f"window [{self.start}, {self.stop}) is reversed or empty: start must be before stop")

    @property
    def ms(self) -> tuple[int, int]:
        """First and last millisecond inside the window, both inclusive."""
        return to_ms(self.start), to_ms(self.stop) - 1

    @property
    def seconds(self) -> tuple[int, int]:
        """First and last second inside the window, both inclusive."""
        return to_ms(self.start) // 1000, (to_ms(self.stop) - 1) // 1000

    @property
    def hours(self) -> float:
        """Length in hours."""
        return (self.stop - self.start) / HOUR


def to_ms(at: datetime) -> int:
    """Unix milliseconds of an aware instant."""
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


def from_ms(ms: int) -> datetime:
    """The UTC instant of Unix milliseconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def floor_hour(at: datetime) -> datetime:
    """The full hour at or before `at`."""
    return at.replace(minute=0, second=0, microsecond=0)


def next_hour(at: datetime) -> datetime:
    """The first full hour after `at`."""
    return floor_hour(at) + HOUR


def instant(value: float | str | datetime, what: str = "instant") -> datetime:
    """A UTC instant from Unix seconds, an aware datetime or ISO text (a bare date is 00:00 UTC).

    Raises BadWindow for milliseconds, naive datetimes and days that don't exist.
    """
    if isinstance(value, bool):
        raise BadWindow(f"{what} {value!r}: not a time")
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadWindow(f"{what} {value.isoformat()}: naive datetime; give it a time zone, e.g. tzinfo=UTC")
        at = value.astimezone(UTC)
    elif isinstance(value, int | float):
        if not abs(value) < 1e11:
            raise BadWindow(f"{what} {value!r}: looks like milliseconds; Unix seconds are wanted")
        at = datetime.fromtimestamp(value, tz=UTC)
    else:
        at = _from_text(value, what)
    if not _FIRST <= at < _LAST:
        raise BadWindow(f"{what} {value!r}: {at.date()} lies outside 2010..2099; are the units seconds, UTC?")
    return at


def _from_text(text: str, what: str) -> datetime:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return instant(float(text), what)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadWindow(f"{what} {text!r}: no such date ({error}); write 2026-01-31 or 2026-01-31T08:00Z") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at.astimezone(UTC)
