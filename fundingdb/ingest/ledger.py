"""The ledger: which requests were made, which windows are complete, which are missing. Pure: rows of `fetches` and windows.

A window is complete when every settlement of the market in it is in the lake, or the exchange has shown that there is none:
a response without rows is evidence of that, not proof, so such a window is requested again until two days agree.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import polars as pl

from fundingdb.ingest.listing import reasons
from fundingdb.schema import FETCHES
from fundingdb.settings import version as package_version
from fundingdb.window import HOUR, Window, floor_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    """The FETCHES row of a successful attempt without a window, without its month."""
    outcome = "rows" if rows.height else "empty"
    return _row(attempt, None, None, outcome, cost, rows=rows.height, error=_left_out(cost))


def walked(attempt: Attempt, window: Window, fetched: Fetched, now: datetime) -> pl.DataFrame:
    """The FETCHES rows of a successful walk over `window`, without their month: one per span of `proven`.

    The cost is in the first of them. Where nothing is shown, one `empty` row of a window without length.
    """
    times = fetched.frame["funding_time"].unique().sort().to_list()
    spans = proven(window, times, fetched)
    first = Cost.of(fetched, now)
    if not spans:
        return _row(attempt, window.start, window.start, "empty", first, error=_left_out(first))
    rows = []
    for n, (span, outcome) in enumerate(spans):
        count = bisect_left(times, span.stop) - bisect_left(times, span.start)
        cost = Cost(0, 0, 0.0, first.asked_at) if n else first
        rows.append(_row(attempt, span.start, span.stop, outcome, cost, rows=count, error=_left_out(cost)))
    return pl.concat(rows)


def proven(window: Window, times: Sequence[datetime], fetched: Fetched) -> list[tuple[Window, str]]:
    """What a walk shows of `window`, in order: spans with their outcome; `times`: its settlements, sorted.

    rows: from the first settlement (or less than an interval before it) to an interval after the last. none: the walk has
    a row older than the span, so the exchange has no settlement there. empty: the responses for the span had no rows, or
    rows only after it; that is evidence, not proof. Nothing is shown after the last row within LATE of the server's clock.
    """
    end = complete_until(window, times[-1] if times else None, fetched.server_time)
    bare = "none" if fetched.behind else "empty"
    if not times:
        return [(Window(window.start, end), bare)] if end > window.start else []
    start = times[0] if times[0] - window.start >= fetched.step else window.start
    stop = min(end, max(times[-1] + HOUR, min(times[-1] + fetched.step, end)))
    parts = [(window.start, start, bare), (start, stop, "rows"), (stop, end, "none")]
    spans: list[tuple[Window, str]] = []
    for a, b, outcome in parts:
        if a >= b:
            continue
        cut = [(max(a, w.start), min(b, w.stop)) for w in joined(fetched.blanks)]
        blank = [Window(x, y) for x, y in cut if y - x >= min(fetched.step, b - a)]
        spans += [(w, outcome) for w in missing(Window(a, b), blank)] + [(w, "empty") for w in blank]
    return sorted(spans)


def _left_out(cost: Cost) -> str | None:
    """The reasons of rows left out, as the ledger keeps them; None where none was."""
    return "; ".join(cost.left_out)[:500] or None


def failed(attempt: Attempt, error: FundingdbError, now: datetime) -> pl.DataFrame:
    """The FETCHES row of a failed attempt, without its month."""
    text = f"{type(error).__name__}: {error}"[:500]
    start, stop = (attempt.window.start, attempt.window.stop) if attempt.window else (None, None)
    return _row(attempt, start, stop, "failed", Cost(0, 0, 0.0, now), error=text)


def _row(
    attempt: Attempt,
    start: datetime | None,
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
        "window_start": start,
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


def complete_until(window: Window, last: datetime | None, server_time: datetime | None) -> datetime:
    """The instant up to which a walk shows anything of its window; `window.start` where it shows nothing.

    Up to its last row. After that row a settlement may still be published late, unless LATE has passed by the clock of the
    server, which the clock of this machine does not replace.
    """
    after_last = window.start if last is None else last + HOUR
    settled = window.start if server_time is None else floor_hour(server_time - LATE)
    return min(window.stop, max(window.start, after_last, settled))


def covered(fetches: pl.DataFrame) -> dict[str, list[Window]]:
    """By symbol the complete windows, merged and in order, of the history rows of `fetches`.

    Those with rows, those proven to have none, and where `empty` responses of two different UTC days overlap.
    """
    history = _shown(fetches)
    windows = _by_symbol(history.filter(pl.col("outcome").is_in(["rows", "none"])))
    for symbol, evidence in _evidence(history).items():
        windows.setdefault(symbol, []).extend(e.window for e in evidence if e.days > 1)
    return {symbol: joined(spans) for symbol, spans in windows.items() if spans}


def resting(fetches: pl.DataFrame, now: datetime) -> dict[str, list[Window]]:
    """By symbol the windows with `empty` responses that are not requested again yet at `now`, merged and in order.

    After the first `empty` response a round requests a window again, then after 1, 2, 4 ... and at most 24 hours.
    """
    waits = {
        symbol: joined(
            e.window for e in evidence if e.count > 1 and 0 * HOUR <= now - e.newest < _pause(e.count)
        )
        for symbol, evidence in _evidence(_shown(fetches)).items()
    }
    return {symbol: windows for symbol, windows in waits.items() if windows}


def begins(fetches: pl.DataFrame) -> dict[str, datetime]:
    """By symbol the start of the first window of history with a response, whatever it shows."""
    rows = _shown(fetches).group_by("symbol").agg(pl.col("window_start").min())
    return dict(rows.iter_rows())


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The `empty` responses for one window: their count, the UTC days they are of, the instant of the newest."""

    window: Window
    count: int
    days: int
    newest: datetime


def _pause(count: int) -> timedelta:
    return min(24 * HOUR, HOUR * 2 ** min(count - 2, 5))


def _shown(fetches: pl.DataFrame) -> pl.DataFrame:
    history = (pl.col("endpoint") == "history") & (pl.col("outcome") != "failed")
    return fetches.filter(history & (pl.col("window_start") < pl.col("window_stop")))


def _by_symbol(rows: pl.DataFrame) -> dict[str, list[Window]]:
    windows: dict[str, list[Window]] = {}
    for symbol, start, stop in rows.select("symbol", "window_start", "window_stop").iter_rows():
        windows.setdefault(symbol, []).append(Window(start, stop))
    return windows


def _evidence(history: pl.DataFrame) -> dict[str, list[_Evidence]]:
    """By symbol the windows of `empty` responses, cut where the set of responses changes, in order."""
    empty = history.filter(pl.col("outcome") == "empty").sort("symbol", "window_start")
    requests: dict[str, list[tuple[datetime, datetime, datetime]]] = {}
    columns = ("symbol", "window_start", "window_stop", "asked_at")
    for symbol, start, stop, at in empty.select(columns).iter_rows():
        requests.setdefault(symbol, []).append((start, stop, at))
    return {symbol: _cut(mine) for symbol, mine in requests.items()}


def _cut(requests: Sequence[tuple[datetime, datetime, datetime]]) -> list[_Evidence]:
    """The windows of (start, stop, asked_at), sorted by start, cut at each start and stop."""
    parts: list[_Evidence] = []
    open_: list[tuple[datetime, datetime, datetime]] = []
    edges = sorted({edge for start, stop, _ in requests for edge in (start, stop)})
    after = 0
    for a, b in pairwise(edges):
        open_ = [r for r in open_ if r[1] > a]
        while after < len(requests) and requests[after][0] <= a:
            open_.append(requests[after])
            after += 1
        if open_:
            instants = [at for _, _, at in open_]
            days = len({at.date() for at in instants})
            parts.append(_Evidence(Window(a, b), len(open_), days, max(instants)))
    return parts


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
