"""Walks over a window: which span to request next, and when the pages are complete. Pure, no I/O.

A walk relies on the order of rows that the datasheet declares and on nothing else: not on the cap (exchanges lower it
silently), not on the bounds (a fetcher widens its span, Lighter reaches back further), not on the count of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall, WalkNotProven
from fundingdb.fetchers.contract import Backward, Cursor, Days, Fixed, Forward, Months, Offset
from fundingdb.window import HOUR, Window

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import datetime, timedelta

    from fundingdb.fetchers.contract import Paging

_WALK_ROWS = 5000  # that one walk keeps in memory, about
_TAIL = 72 * HOUR  # the newest two days of a walk are complete only up to a row (ledger.LATE): no seam there
_MARGIN = 3  # rows that a fetcher's own widening may bring from before the near edge
_CURSOR_PAGES = 1000  # that a cursor may take beyond one page a settlement


@dataclass(frozen=True, slots=True)
class Page:
    """One response: the funding times of ALL its rows, in any order, and the cursor of the next page, if any."""

    times: Sequence[datetime]
    next_cursor: str | None = None


def pieces(paging: Paging, window: Window, step: timedelta) -> list[Window]:
    """The spans of `window` to walk one by one, oldest first: together the window, each of at most about _WALK_ROWS settlements.

    The whole window where each walk begins at the newest row of the exchange, whatever span is requested.
    """
    if not isinstance(paging, Forward | Backward):
        return [window]
    # a few rows less than whole pages: a full last page would need one more request
    rows = paging.cap * -(-_WALK_ROWS // paging.cap) - 3 * _MARGIN
    edges = [window.start]
    while window.stop - edges[-1] > rows * step + _TAIL:
        edges.append(edges[-1] + rows * step)
    return [Window(a, b) for a, b in pairwise([*edges, window.stop])]


def walk(paging: Paging, window: Window, step: timedelta) -> Generator[tuple[Window, str | None], Page, None]:
    """Yield (span of `window`, cursor) to request, be sent the Page of the response, return when `window` is complete.

    `step` is the market's settlement interval. A span is complete when its response is empty, or when no further settlement
    fits between the last row and the span's far edge; a short page shows nothing, the rest is requested again. Rows outside
    the requested span are never progress; a response of nothing else counts as empty where a fetcher's widening explains it
    (so the real cap must exceed the rows of that margin). Pages overlap at most where a fetcher widens: drop duplicates by
    key. Raises WalkNotProven when pages don't move the walk, contradict each other or repeat a cursor; BadCall for a
    step <= 0.
    """
    if step <= 0 * HOUR:
        raise BadCall(f"step {step}: the settlement interval must be positive")
    if isinstance(paging, Cursor):
        yield from _by_cursor(window, step, newest_first=paging.newest_first)
    elif isinstance(paging, Offset):
        yield from _by_offset(window)
    elif isinstance(paging, Days):
        yield from _by_day(window, step)
    elif isinstance(paging, Months):
        for month in _months(window):
            yield from _by_month(month)
    elif isinstance(paging, Fixed):
        start = window.start
        while start < window.stop:
            stop = min(start + paging.hours * HOUR, window.stop)
            yield from _by_edge(Window(start, stop), paging.cap, step, forward=False)
            start = stop
    else:
        open_start = isinstance(paging, Backward) and paging.open_start
        forward = isinstance(paging, Forward)
        if isinstance(paging, Forward) and paging.doubled:
            yield from _doubled(window, paging.cap, step)
        else:
            yield from _by_edge(window, paging.cap, step, forward=forward, open_start=open_start)


def _doubled(window: Window, cap: int, step: timedelta) -> Generator[tuple[Window, str | None], Page, None]:
    """Walk forward; where a full page ends the walk, its last instant is requested once more: the page may have cut it."""
    walker = _by_edge(window, cap, step, forward=True)
    request = next(walker)
    while True:
        page = yield request
        try:
            request = walker.send(page)
        except StopIteration:
            break
    inside = [t for t in page.times if window.start <= t < window.stop]
    if inside and len(page.times) >= cap:
        last = yield Window(max(inside), window.stop), None
        if len(last.times) >= cap:
            raise WalkNotProven(_text(window, f"{len(last.times)} rows at its last settlement fill a page"))


def _by_edge(
    window: Window, cap: int, step: timedelta, *, forward: bool, open_start: bool = False
) -> Generator[tuple[Window, str | None], Page, None]:
    """Walk from the near edge (where the exchange begins) to the far edge."""
    start, stop = window.start, window.stop
    grid = min(step, HOUR)
    gap = step  # least distance of two settlements: the declared one, or less where rows show less
    for _ in range(-((start - stop) // grid) + 1):
        span = Window(start, stop)
        page = yield span, None
        inside = sorted({t for t in page.times if start <= t < stop})
        if inside:
            if len(inside) > -((start - stop) // grid):
                raise WalkNotProven(_text(span, f"{len(inside)} settlements at most each {grid} can't fit"))
            gap = min([gap, *(b - a for a, b in pairwise(inside))])
            # a page full by the declared cap may end where the interval changed: only the hour grid proves there
            room = grid if len(page.times) >= cap else gap
            if forward:
                if inside[-1] + room >= stop:
                    return
                start = inside[-1] + grid
            else:
                if inside[0] - room < start:
                    return
                stop = inside[0]
            continue
        before = {t for t in page.times if (t < start if forward else t >= stop)}
        beyond = len(before) < len(set(page.times))
        if beyond and (before or open_start):
            return  # rows on both sides (or on the open one, before which the newest stand) and none between
        if len(page.times) >= cap:
            raise WalkNotProven(
                _text(span, f"a full page of {len(page.times)} rows, none of them inside", page, cap)
            )
        if len(before) > _MARGIN:
            raise WalkNotProven(_text(span, f"{len(before)} rows outside may hide those inside", page, cap))
        return
    raise WalkNotProven(_text(window, "more pages than settlements fit"))


def _by_cursor(
    window: Window, step: timedelta, *, newest_first: bool
) -> Generator[tuple[Window, str | None], Page, None]:
    earlier: set[str] = set()
    cursor: str | None = None
    oldest: datetime | None = None
    for _ in range(-((window.start - window.stop) // min(step, HOUR)) + _CURSOR_PAGES):
        page = yield window, cursor
        cursor = page.next_cursor
        if newest_first and page.times:
            if oldest is not None and max(page.times) > oldest:
                why = "a later page goes forward in time again: declare Cursor() without newest_first"
                raise WalkNotProven(_text(window, why))
            oldest = min(page.times)
        if not cursor or (newest_first and oldest is not None and oldest < window.start):
            return
        if cursor in earlier:
            raise WalkNotProven(
                _text(window, f"the cursor {cursor[:40]!r} came twice; the last page must have none")
            )
        earlier.add(cursor)
    raise WalkNotProven(_text(window, "the cursor does not end"))


def _by_offset(window: Window) -> Generator[tuple[Window, str | None], Page, None]:
    """Each page begins at the last row of the page before: rows that came in meanwhile move it, none is stepped over."""
    page = yield window, None
    count = 0
    before: set[datetime] = set()
    while page.times:
        oldest = min(page.times)
        if oldest < window.start:
            return
        count += len(page.times) - 1
        before = set(page.times)
        page = yield window, str(count)
        if oldest not in page.times:
            why = f"the page from row {count} does not join the one before; Offset() counts rows from the newest"
            raise WalkNotProven(_text(window, why))
        if len(before) > 1 and before == set(page.times):
            why = f"the page from row {count} repeats the one before: the count has no effect"
            raise WalkNotProven(_text(window, why, page, len(before)))
        if min(page.times) == oldest:
            page = yield window, str(count + len(page.times))
            if page.times and min(page.times) < oldest:
                raise WalkNotProven(_text(window, f"the page from row {count} ended, yet older rows follow"))
            return


def _by_day(window: Window, step: timedelta) -> Generator[tuple[Window, str | None], Page, None]:
    start = window.start
    while start < window.stop:
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        stop = min(midnight + 24 * HOUR, window.stop)
        span = Window(start, stop)
        pages = _by_cursor(span, step, newest_first=False)
        request = next(pages, None)
        inside = False
        while request is not None:
            page = yield request
            inside = inside or any(midnight <= t < midnight + 24 * HOUR for t in page.times)
            older = any(t < midnight for t in page.times)
            if any(t >= midnight + 24 * HOUR for t in page.times) or (older and not inside):
                raise WalkNotProven(_text(span, "rows of another day"))
            if older:
                break  # newest first: the cursor has led on into the day before
            try:
                request = pages.send(page)
            except StopIteration:
                request = None
        start = stop


def requestable(
    paging: Paging, window: Window, now: datetime, *, ended: datetime | None = None
) -> list[Window]:
    """The spans to request for `window`, each for itself: the window, or the whole months or days that it touches.

    Months that `paging` has no file of, those not surely published at `now`, and those after the market had `ended` are
    left out.
    """
    if isinstance(paging, Days) and paging.first and paging.last:
        return _days(paging.first, paging.last, window)
    if not isinstance(paging, Months):
        return [window]
    whole = [Window(_month_start(m.start), _next_month(m.start)) for m in _months(window)]
    first, newest = _month_start(paging.first), now - paging.published_after
    return [m for m in whole if first <= m.start and m.stop <= newest and (ended is None or m.start < ended)]


def _days(first: datetime, last: datetime, window: Window) -> list[Window]:
    """The whole days from `first` to `last` that `window` touches."""
    start = max(first, window.start.replace(hour=0, minute=0, second=0, microsecond=0))
    stop = min(last + 24 * HOUR, window.stop)
    return [
        Window(start + n * 24 * HOUR, start + (n + 1) * 24 * HOUR)
        for n in range(ceil((stop - start) / (24 * HOUR)))
    ]


def _months(window: Window) -> Generator[Window, None, None]:
    """The parts of `window`, month by month."""
    start = window.start
    while start < window.stop:
        stop = min(_next_month(start), window.stop)
        yield Window(start, stop)
        start = stop


def _by_month(window: Window) -> Generator[tuple[Window, str | None], Page, None]:
    page = yield window, None
    cursor = page.next_cursor
    if cursor is None or page.times:
        raise WalkNotProven(_text(window, "the first answer does not lead to the file of the month"))
    page = yield window, cursor
    if page.next_cursor is not None:
        raise WalkNotProven(_text(window, "the file of the month leads on"))
    month = Window(_month_start(window.start), _next_month(window.start))
    if not all(month.start <= t < month.stop for t in page.times):
        raise WalkNotProven(_text(window, "rows of another month"))


def _month_start(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next_month(at: datetime) -> datetime:
    return _month_start(_month_start(at) + 32 * 24 * HOUR)


def fitting_kinds(window: Window, times: Sequence[datetime], cap: int) -> str:
    """What a page of settlements at `times` for `window` says of the exchange, and the kinds of paging that fit; "" for none."""
    older = sum(t < window.start for t in times) > _MARGIN
    newer = sum(t >= window.stop for t in times) > _MARGIN
    if newer:
        return (
            "the page has rows newer than the window, as where an exchange takes no upper bound: "
            "Offset() or Cursor(newest_first=True)"
        )
    if older:
        return (
            "the page has rows older than the window, as where an exchange takes no lower bound: "
            f"Backward({cap}, open_start=True), else Cursor(newest_first=True) or Offset()"
        )
    if not times:
        return ""
    first, last = min(times) - window.start, window.stop - max(times)
    if first > last:
        return (
            "the page has the newest rows of the window: "
            f"Backward({cap}), or Fixed(hours, {cap}) where windows are limited"
        )
    return (
        "the page has the oldest rows of the window: "
        f"Forward({cap}), or Cursor() where the response names the next page"
    )


def _text(window: Window, why: str, page: Page | None = None, cap: int = 0) -> str:
    span = f"[{window.start:%Y-%m-%dT%H:%MZ}, {window.stop:%Y-%m-%dT%H:%MZ})"
    kinds = fitting_kinds(window, page.times, cap) if page else ""
    own = f" {kinds[0].upper()}{kinds[1:]} (paging of a fetcher of your own)." if kinds else ""
    return f"window {span} may be incomplete: {why}.{own} Has the exchange changed its order or paging? Report it"
