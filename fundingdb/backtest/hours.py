"""From payments to full hours, in compiled code: the rate known at each hour, and the rates settled in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from fundingdb.provider.known import HOUR_US, interval_us

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Numbers = NDArray[np.uint64]

_NEVER = -(2**62)


_interval_us = njit(nogil=True)(interval_us)


class Payments(NamedTuple):
    """Payments of one exchange, a column each; `number` identifies the market."""

    number: Numbers
    time: Ints  # microseconds since 1970
    interval: Floats  # hours; NaN: unknown
    rate: Floats
    special: NDArray[np.bool_]


class Markets(NamedTuple):
    """The markets of one exchange, by number: their row among all markets, and a seed for the checksum."""

    numbers: Numbers
    rows: Ints
    seeds: Numbers


class HourlyRates(NamedTuple):
    """Arrays of market x hour that `fill` writes; column 0 is the hour `first` (hours since 1970).

    Payments up to `pad` hours before it still count as known; nothing is known from `as_of` (microseconds) on.
    """

    known: Floats
    settled: Floats
    paid: NDArray[np.uint8]
    first: int
    pad: int
    as_of: int


class _Marks(NamedTuple):
    """The last regular payment of each hour, market x hour, beginning `pad` hours before that hour."""

    time: Ints
    until: Ints  # first hour, since 1970, at which it is no longer known
    rate_1h: Floats


@njit(cache=True, nogil=True)
def _ceil_hour(us: int) -> int:
    return -((-us) // HOUR_US)


@njit(cache=True, nogil=True)
def _mix(x: np.uint64) -> np.uint64:
    """One value's share in a sum that does not depend on the order of rows (the finish of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def fill(paid: Payments, markets: Markets, hourly: HourlyRates) -> tuple[np.uint64, Ints]:
    """Fills the rows of these markets; returns a checksum of the payments and, by market, how many had no known interval.

    `known` is the rate per hour of the last regular payment at or before the hour while the hour is within that
    payment's own interval and before `as_of`, else NaN: the view `funding_known_1h`. `settled` is the sum of all rates
    paid after the hour before and up to the hour, `paid` their count. Payments after the last hour are not allowed.
    """
    size, hours, pad = markets.numbers.size, hourly.known.shape[1], hourly.pad
    marks = _Marks(
        np.full((size, pad + hours), _NEVER, np.int64),
        np.zeros((size, pad + hours), np.int64),
        np.zeros((size, pad + hours)),
    )
    unknown = np.zeros(size, np.int64)
    checksum = np.uint64(0)
    rates, lengths = paid.rate.view(np.uint64), paid.interval.view(np.uint64)
    m = 0
    for k in range(paid.number.size):
        if k == 0 or paid.number[k] != paid.number[k - 1]:  # rows come market by market
            m = np.searchsorted(markets.numbers, paid.number[k])
        length = np.uint64(0) if np.isnan(paid.interval[k]) else lengths[k]
        mixed = _mix(_mix(_mix(np.uint64(paid.time[k]) ^ markets.seeds[m]) ^ rates[k]) ^ length)
        checksum += _mix(mixed + np.uint64(paid.special[k]))
        column = _ceil_hour(paid.time[k]) - hourly.first + pad
        if column < 0:
            continue
        if column >= pad:
            hourly.settled[markets.rows[m], column - pad] += paid.rate[k]
            hourly.paid[markets.rows[m], column - pad] += 1
            if np.isnan(paid.interval[k]) and not paid.special[k]:
                unknown[m] += 1
        if not paid.special[k] and paid.time[k] >= marks.time[m, column]:
            _mark(marks, m, column, paid.time[k], paid.interval[k])
            marks.rate_1h[m, column] = paid.rate[k] / paid.interval[k]
    for m in range(size):
        _write_known(marks, hourly, m, markets.rows[m])
    return checksum, unknown


@njit(cache=True, nogil=True)
def _mark(marks: _Marks, m: int, column: int, time: int, interval: float) -> None:
    marks.time[m, column] = time
    if np.isnan(interval):
        marks.until[m, column] = _NEVER
    else:
        marks.until[m, column] = _ceil_hour(time + int(_interval_us(interval)))


@njit(cache=True, nogil=True)
def _write_known(marks: _Marks, hourly: HourlyRates, m: int, row: int) -> None:
    """Writes one row of `known`, hour by hour from the last mark."""
    value, until = np.nan, _NEVER
    for column in range(marks.time.shape[1]):
        if marks.time[m, column] != _NEVER:
            value, until = marks.rate_1h[m, column], marks.until[m, column]
        if column >= hourly.pad:
            hour = column - hourly.pad + hourly.first
            inside = hour < until and hour * HOUR_US < hourly.as_of
            hourly.known[row, column - hourly.pad] = value if inside else np.nan


@njit(cache=True, nogil=True)
def holes(known: Floats, delisted: Ints) -> tuple[Ints, Ints, Ints]:
    """Each market's unknown hours between its first and last known one, the longest run of them, and where that begins."""
    markets, hours = known.shape
    unknown, longest, begins = (
        np.zeros(markets, np.int64),
        np.zeros(markets, np.int64),
        np.zeros(markets, np.int64),
    )
    for m in range(markets):
        last = -1
        for h in range(min(hours, delisted[m])):
            if np.isnan(known[m, h]):
                continue
            run = h - last - 1
            if last >= 0 and run > 0:
                unknown[m] += run
                if run > longest[m]:
                    longest[m], begins[m] = run, last + 1
            last = h
    return unknown, longest, begins
