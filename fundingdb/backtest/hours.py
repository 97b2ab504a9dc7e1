"""Payments laid on full hours, in compiled code: what was known at each hour, and what was settled in it."""

from __future__ import annotations

import numpy as np
from numba import njit

HOUR_US = 3_600_000_000
_NEVER = -(2**62)


@njit(cache=True, nogil=True)
def _ceil_hour(us):
    return -((-us) // HOUR_US)


@njit(cache=True, nogil=True)
def _mix(x):
    """One value's share in a sum that does not depend on the order of rows (the finish of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def lay(
    number, time, interval, rate, special, numbers, rows, seeds, first_hour, pad, as_of, known, settled, paid
):
    """Writes one exchange's payments into the rows `rows` of `known`, `settled`, `paid` (market x hour).

    A payment's market is the place of its `number` in `numbers` (sorted). Column 0 is the hour `first_hour` (hours
    since 1970); payments up to `pad` hours before it still count as known. `known` is the rate per hour of the last
    regular payment at or before the hour while the hour lies within that payment's own interval and before `as_of`
    (microseconds), else NaN: the view `funding_known_1h`. `settled` is the sum of all rates paid after the hour
    before and up to the hour, `paid` their count. Gives a checksum of the rows and how many had no interval.
    """
    markets, hours = numbers.size, known.shape[1]
    at = np.full((markets, pad + hours), _NEVER, np.int64)
    until = np.zeros((markets, pad + hours), np.int64)
    rate_1h = np.zeros((markets, pad + hours))
    bits, lengths = rate.view(np.uint64), interval.view(np.uint64)
    checksum = np.uint64(0)
    unknown = np.zeros(markets, np.int64)
    m, last = 0, np.uint64(0)
    for k in range(number.size):
        if k == 0 or number[k] != last:
            last = number[k]
            m = np.searchsorted(numbers, last)
        t = time[k]
        nameless = np.isnan(interval[k])
        length = np.uint64(0) if nameless else lengths[k]
        row = _mix(np.uint64(t) ^ seeds[m])
        row = _mix(row ^ bits[k])
        row = _mix(row ^ length) + np.uint64(special[k])
        checksum += _mix(row)
        hour = _ceil_hour(t)
        place = hour - first_hour + pad
        if place < 0 or place >= pad + hours:
            continue
        if place >= pad:
            settled[rows[m], place - pad] += rate[k]
            paid[rows[m], place - pad] += 1
            if nameless and not special[k]:
                unknown[m] += 1
        if special[k] or t < at[m, place]:
            continue
        at[m, place] = t
        if nameless:
            until[m, place] = hour
        else:
            until[m, place] = _ceil_hour(t + np.int64(np.round(interval[k] * HOUR_US)))
            rate_1h[m, place] = rate[k] / interval[k]
    for m in range(markets):
        value, stop = np.nan, np.int64(0)
        for place in range(pad + hours):
            if at[m, place] != _NEVER:
                value, stop = rate_1h[m, place], until[m, place]
            if place >= pad:
                hour = place - pad + first_hour
                inside = hour < stop and hour * HOUR_US < as_of
                known[rows[m], place - pad] = value if inside else np.nan
    return checksum, unknown


@njit(cache=True, nogil=True)
def holes(known, delisted):
    """Each market's unknown hours between its first and last known one, the longest run of them and where it begins."""
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
