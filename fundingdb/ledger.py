"""Which windows were asked and proven, and which are missing: pure arithmetic over the table `fetches`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fundingdb.window import HOUR, Window, floor_hour

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

LATE = timedelta(hours=48)  # an exchange may publish this late: an empty end younger than it proves nothing


def due(now: datetime, settle_delay: timedelta) -> datetime:
    """The stop of a window that ends with the last settlement surely published at `now`."""
    return floor_hour(now - settle_delay) + HOUR


def proven_stop(window: Window, last: datetime | None, asked_at: datetime) -> datetime:
    """Where the proven part of a walked window ends.

    Up to the last row all is proven; beyond it an empty answer proves that there is nothing only when the hours are older
    than LATE, else they may still come. Equals `window.start` when nothing is proven.
    """
    after_last = window.start if last is None else last + HOUR
    return min(window.stop, max(window.start, after_last, floor_hour(asked_at - LATE)))


def covered(fetches: pl.DataFrame) -> dict[str, list[Window]]:
    """By symbol the merged proven spans, in order, of the history rows of `fetches` that did not fail."""
    spans: dict[str, list[Window]] = {}
    rows = fetches.filter(
        (fetches["endpoint"] == "history") & (fetches["outcome"] != "failed") & (fetches["window_start"] < fetches["window_stop"])
    ).sort("symbol", "window_start")
    for symbol, start, stop in rows.select("symbol", "window_start", "window_stop").iter_rows():
        mine = spans.setdefault(symbol, [])
        if mine and start <= mine[-1].stop:
            mine[-1] = Window(mine[-1].start, max(stop, mine[-1].stop))
        else:
            mine.append(Window(start, stop))
    return spans


def missing(window: Window, done: Iterable[Window]) -> list[Window]:
    """The parts of `window` that no span of `done` covers, in order; `done` is sorted and disjoint."""
    left, start = [], window.start
    for span in done:
        if span.stop <= start or span.start >= window.stop:
            continue
        if span.start > start:
            left.append(Window(start, span.start))
        start = max(start, span.stop)
    if start < window.stop:
        left.append(Window(start, window.stop))
    return left
