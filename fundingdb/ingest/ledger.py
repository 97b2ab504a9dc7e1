"""The ledger: which requests were made, which windows are complete, which are missing. Pure: rows of `fetches` and windows.

A window is complete when every settlement of the market in it is in the lake, or the exchange has shown that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

import polars as pl

from fundingdb.ingest.listing import reasons
from fundingdb.schema import FETCHES
from fundingdb.settings import version as package_version
from fundingdb.window import HOUR, Window, floor_hour

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fundingdb.errors import FundingdbError
    from fundingdb.fetchers.contract import Fetcher
    from fundingdb.transport.walk import Fetched

LATE = timedelta(hours=48)
"""An exchange may publish this late: that a window younger than this ends without rows does not make it complete."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was requested from one source; symbol `*`: all its markets at once; window None: the state of now."""

    exchange: str
    symbol: str
    endpoint: str
    window: Window | None
    version: str
    source: str

    @classmethod
    def of(cls, fetcher: Fetcher, symbol: str, endpoint: str, window: Window | None = None) -> Self:
        """A request of `fetcher`."""
        version = f"{package_version()}/{fetcher.version}{f' {fetcher.by}' if fetcher.by else ''}"
        return cls(fetcher.exchange, symbol, endpoint, window, version, fetcher.source)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an attempt: responses, bytes, seconds, rows left out; `asked_at` is when the first response came, UTC."""

    pages: int
    bytes: int
    seconds: float
    asked_at: datetime
    left_out: tuple[str, ...] = ()  # lines of `listing.reasons`

    @classmethod
    def of(cls, fetched: Fetched, now: datetime) -> Self:
        """The cost of what was fetched; without any response it counts as requested `now`."""
        asked_at, left_out = fetched.asked_at or now, tuple(reasons(fetched.left_out))
        return cls(fetched.pages, fetched.bytes, fetched.seconds, asked_at, left_out)


def succeeded(attempt: Attempt, rows: pl.DataFrame, cost: Cost) -> pl.DataFrame:
    """The FETCHES row of a successful attempt, without its month; its window is the part that is complete."""
    stop = None
    if attempt.window:
        last = rows["funding_time"].max()
        stop = complete_until(attempt.window, last if isinstance(last, datetime) else None, cost.asked_at)
    error = "; ".join(cost.left_out)[:500] or None
    return _row(attempt, stop, "rows" if rows.height else "empty", cost, rows=rows.height, error=error)


def failed(attempt: Attempt, error: FundingdbError, now: datetime) -> pl.DataFrame:
    """The FETCHES row of a failed attempt, without its month."""
    stop = attempt.window.stop if attempt.window else None
    text = f"{type(error).__name__}: {error}"[:500]
    return _row(attempt, stop, "failed", Cost(0, 0, 0.0, now), error=text)


def _row(
    attempt: Attempt,
    stop: datetime | None,
    outcome: str,
    cost: Cost,
    *,
    rows: int = 0,
    error: str | None = None,
) -> pl.DataFrame:
    row = {
        "exchange": attempt.exchange,
        "source": attempt.source,
        "symbol": attempt.symbol,
        "endpoint": attempt.endpoint,
        "window_start": attempt.window.start if attempt.window else None,
        "window_stop": stop,
        "outcome": outcome,
        "rows": rows,
        "pages": cost.pages,
        "bytes": cost.bytes,
        "seconds": cost.seconds,
        "error": error,
        "asked_at": cost.asked_at,
        "fetcher_version": attempt.version,
    }
    return pl.DataFrame([row], schema={k: v for k, v in FETCHES.schema.items() if k != "month"})


def due(now: datetime, settle_delay: timedelta) -> datetime:
    """The stop of a window that ends with the last settlement surely published at `now`."""
    return floor_hour(now - settle_delay) + HOUR


def complete_until(window: Window, last: datetime | None, asked_at: datetime) -> datetime:
    """The instant up to which a fetched window is complete; `window.start` where none of it is.

    It is complete up to its last row. After that row a settlement may still be published late, unless LATE has passed.
    """
    after_last = window.start if last is None else last + HOUR
    return min(window.stop, max(window.start, after_last, floor_hour(asked_at - LATE)))


def covered(fetches: pl.DataFrame) -> dict[str, list[Window]]:
    """By symbol the complete windows, merged and in order, of the history rows of `fetches` that did not fail."""
    windows: dict[str, list[Window]] = {}
    rows = fetches.filter(
        (fetches["endpoint"] == "history")
        & (fetches["outcome"] != "failed")
        & (fetches["window_start"] < fetches["window_stop"])
    ).sort("symbol", "window_start")
    for symbol, start, stop in rows.select("symbol", "window_start", "window_stop").iter_rows():
        windows.setdefault(symbol, []).append(Window(start, stop))
    return {symbol: joined(spans) for symbol, spans in windows.items()}


def joined(windows: Iterable[Window]) -> list[Window]:
    """The same windows in order, those that overlap or touch made one."""
    merged: list[Window] = []
    for window in sorted(windows):
        if merged and window.start <= merged[-1].stop:
            merged[-1] = Window(merged[-1].start, max(window.stop, merged[-1].stop))
        else:
            merged.append(window)
    return merged


def missing(window: Window, complete: Iterable[Window]) -> list[Window]:
    """The parts of `window` in none of the complete windows (sorted, disjoint), in order."""
    left: list[Window] = []
    start = window.start
    for span in complete:
        if span.stop <= start or span.start >= window.stop:
            continue
        if span.start > start:
            left.append(Window(start, span.start))
        start = max(start, span.stop)
    if start < window.stop:
        left.append(Window(start, window.stop))
    return left
