"""The marks of chart axes: round figures, and round instants in UTC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fundingdb.charts.text import number

_HOUR = timedelta(hours=1)
_HOURS = (1, 2, 3, 6, 12, 24, 48, 24 * 7, 24 * 14)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)
_MARKS = 8
_NARROW, _WIDE = 240, 430  # pixels of an axis on a phone, and of the smaller charts elsewhere
_LETTER, _APART, _MARGIN = 6.8, 8, 12  # pixels
# Monday 2024-01-01: weeks and days are counted from it
_ANCHOR = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis of values: `low` at the bottom, `high` at the top, both marked."""

    low: float
    high: float
    ticks: tuple[float, ...]
    decimals: int

    def share(self, value: float) -> float:
        """0 at the bottom, 1 at the top; outside it stays at the edge."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def label(self, value: float) -> str:
        """The mark's text, as exact as the step needs."""
        return number(value, self.decimals)


def scale(least: float, most: float, *, marks: int = 5) -> Scale:
    """An axis over all of [least, most] and zero, with about `marks` steps of 1, 2, 2.5 or 5 times a power of ten."""
    low, high = min(0.0, least), max(0.0, most)
    if high - low < 1e-9:
        high = low + 1.0
    raw = (high - low) / marks
    power = 10.0 ** math.floor(math.log10(raw))
    factor = next(f for f in (1.0, 2.0, 2.5, 5.0, 10.0) if raw <= f * power * (1 + 1e-9))
    step = factor * power
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    exponent = math.floor(math.log10(step) + 1e-9)
    decimals = max(0, -exponent + (1 if factor == 2.5 else 0))
    ticks = tuple(round(n * step, 12) for n in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks, decimals)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of the time axis: share of the width, its text, and the text's anchor.

    `needs` is the least width in pixels at which the text has room: 0, or a wider page, or None where it has none.
    """

    share: float
    label: str
    anchor: str
    needs: int | None


def time_marks(start: datetime, end: datetime) -> list[Mark]:
    """At most nine marks at round instants of [start, end]; the first, and the first of a year, show the year."""
    hours = (end - start) / _HOUR
    if hours <= 0:
        return []
    step = next((h for h in _HOURS if hours / h <= _MARKS), None)
    at = _by_hours(start, end, step) if step else _by_months(start, end, hours)
    shares = [(instant - start) / (end - start) for instant in at]
    labels = _labels(at, step)
    anchors = [_anchor(s, text) for s, text in zip(shares, labels, strict=True)]
    room: dict[int, int] = {}
    for width in (_NARROW, _WIDE):
        for n in range(len(at)):
            left, right = _reach(shares[n], labels[n], anchors[n], width)
            others = (_reach(shares[m], labels[m], anchors[m], width) for m in room)
            if n not in room and all(right + _APART < a or b + _APART < left for a, b in others):
                room[n] = 0 if width == _NARROW else width
    return [Mark(shares[n], labels[n], anchors[n], room.get(n)) for n in range(len(at))]


def _labels(at: list[datetime], step: int | None) -> list[str]:
    labels: list[str] = []
    for n, instant in enumerate(at):
        before = at[n - 1] if n else None
        year = f" {instant.year}" if before is None or before.year != instant.year else ""
        if step is None:
            labels.append(f"{instant:%b}{year}")
        elif step >= 24:
            labels.append(f"{instant.day} {instant:%b}{year}")
        elif before is None or before.date() != instant.date():
            labels.append(f"{instant.day} {instant:%b}{year} {instant:%H:%M}")
        else:
            labels.append(f"{instant:%H:%M}")
    return labels


def _anchor(share: float, label: str) -> str:
    left, right = _reach(share, label, "mid", _NARROW)
    return "first" if left < -_MARGIN else "last" if right > _NARROW + _MARGIN else "mid"


def _reach(share: float, label: str, anchor: str, width: int) -> tuple[float, float]:
    wide = _LETTER * len(label)
    left = share * width - {"first": 0.0, "mid": 0.5, "last": 1.0}[anchor] * wide
    return left, left + wide


def _by_hours(start: datetime, end: datetime, step: int) -> list[datetime]:
    first = math.ceil((start - _ANCHOR) / _HOUR / step)
    last = math.floor((end - _ANCHOR) / _HOUR / step)
    return [_ANCHOR + n * step * _HOUR for n in range(first, last + 1)]


def _by_months(start: datetime, end: datetime, hours: float) -> list[datetime]:
    step = next((m for m in _MONTHS if hours / (m * 730.5) <= _MARKS), _MONTHS[-1])
    first = start.year * 12 + start.month - 1
    last = end.year * 12 + end.month - 1
    months = (n for n in range(first - first % step, last + 1, step))
    every = (datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in months)
    return [at for at in every if start <= at <= end]
