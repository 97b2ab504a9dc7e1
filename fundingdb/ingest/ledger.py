"""The ledger: what was asked, what is proven, what is missing. Pure: rows of the table `fetches` and spans of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

import polars as pl

from fundingdb.schema import FETCHES
from fundingdb.settings import version as package_version
from fundingdb.window import HOUR, Window, floor_hour

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fundingdb.errors import FundingdbError
    from fundingdb.fetchers.contract import Fetcher

LATE = timedelta(hours=48)  # an exchange may publish this late: an empty end younger than it proves nothing


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was asked of one source; symbol `*` stands for all its markets at once."""

    exchange: str
    symbol: str
    endpoint: str
    window: Window | None
    version: str
    source: str

    @classmethod
    def of(cls, fetcher: Fetcher, symbol: str, endpoint: str, window: Window | None = None) -> Self:
        """An ask of `fetcher`."""
        version = f"{package_version()}/{fetcher.version}{f' {fetcher.by}' if fetcher.by else ''}"
        return cls(fetcher.exchange, symbol, endpoint, window, version, fetcher.source)


@dataclass(frozen=True, slots=True)
class Cost:
    """What an ask took: answers, bytes, seconds; `asked_at` is when the first answer came, UTC."""

    pages: int
    bytes: int
    seconds: float
    asked_at: datetime


def answered(ask: Attempt, rows: pl.DataFrame, taken: Cost) -> pl.DataFrame:
    """The FETCHES row of an ask that was answered; its window is the part that is proven."""
    stop = None
    if ask.window:
        last = rows["funding_time"].max()
        stop = proven_stop(ask.window, last if isinstance(last, datetime) else None, taken.asked_at)
    return _row(ask, stop, "rows" if rows.height else "empty", taken, rows=rows.height)


def failed(ask: Attempt, error: FundingdbError, now: datetime) -> pl.DataFrame:
    """The FETCHES row of an ask that failed."""
    stop = ask.window.stop if ask.window else None
    text = f"{type(error).__name__}: {error}"[:500]
    return _row(ask, stop, "failed", Cost(0, 0, 0.0, now), error=text)


def _row(
    ask: Attempt, stop: datetime | None, outcome: str, taken: Cost, *, rows: int = 0, error: str | None = None
) -> pl.DataFrame:
    row = {
        "exchange": ask.exchange,
        "source": ask.source,
        "symbol": ask.symbol,
        "endpoint": ask.endpoint,
        "window_start": ask.window.start if ask.window else None,
        "window_stop": stop,
        "outcome": outcome,
        "rows": rows,
        "pages": taken.pages,
        "bytes": taken.bytes,
        "seconds": taken.seconds,
        "error": error,
        "asked_at": taken.asked_at,
        "fetcher_version": ask.version,
    }
    return pl.DataFrame([row], schema={k: v for k, v in FETCHES.schema.items() if k != "month"})


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
        (fetches["endpoint"] == "history")
        & (fetches["outcome"] != "failed")
        & (fetches["window_start"] < fetches["window_stop"])
    ).sort("symbol", "window_start")
    for symbol, start, stop in rows.select("symbol", "window_start", "window_stop").iter_rows():
        spans.setdefault(symbol, []).append(Window(start, stop))
    return {symbol: joined(windows) for symbol, windows in spans.items()}


def joined(windows: Iterable[Window]) -> list[Window]:
    """The same spans in order, those that overlap or touch made one."""
    spans: list[Window] = []
    for window in sorted(windows):
        if spans and window.start <= spans[-1].stop:
            spans[-1] = Window(spans[-1].start, max(window.stop, spans[-1].stop))
        else:
            spans.append(window)
    return spans


def missing(window: Window, done: Iterable[Window]) -> list[Window]:
    """The parts of `window` that no span of `done` covers, in order; `done` is sorted and disjoint."""
    left: list[Window] = []
    start = window.start
    for span in done:
        if span.stop <= start or span.start >= window.stop:
            continue
        if span.start > start:
            left.append(Window(start, span.start))
        start = max(start, span.stop)
    if start < window.stop:
        left.append(Window(start, window.stop))
    return left
