"""The walk over a fetcher's history against a played exchange, and the clause that it returns every settlement."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall
from fundingdb.fetchers.contract import (
    Days,
    History,
    Market,
    Months,
    Request,
    ResponseContext,
)
from fundingdb.fetchers.testing.case import Case, error_text, newest_settlement, same_value
from fundingdb.schema import FUNDING
from fundingdb.transport.paging import Page, fitting_kinds, requestable, walk
from fundingdb.window import HOUR, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fundingdb.fetchers.contract import Fetcher

    _Serve = Callable[[Request, Sequence[tuple[datetime, float]]], bytes]


def walked(
    fetcher: Fetcher,
    market: Market,
    serve: Callable[[Request], bytes],
    window: Window,
    *,
    at: datetime | None = None,
) -> pl.DataFrame:
    """The FUNDING rows inside `window`, oldest first, of a walk over the responses that `serve` makes of each Request.

    The walk steps by `market.interval_hours` (1 hour where it is null); `at` is the instant of receipt, by default an hour
    after the window. Raises what the fetcher raises, SchemaError, WalkNotProven; BadCall for a fetcher without history.
    """
    history = fetcher.history
    if history is None:
        raise BadCall(f"{fetcher.exchange} has no funding history")
    at = at or window.stop + HOUR
    frames = [FUNDING.empty()]
    for span in requestable(history.paging, window, at + timedelta(days=365)):
        walker = walk(history.paging, span, timedelta(hours=market.interval_hours or 1))
        step = next(walker, None)
        while step is not None:
            request = history.request(market, *step)
            body = serve(request)
            frames.append(FUNDING.check(history.parse(body, ResponseContext(at, market, request=request))))
            cursor = history.next_cursor(body) if history.next_cursor else None
            try:
                step = walker.send(Page(frames[-1]["funding_time"].to_list(), cursor))
            except StopIteration:
                step = None
    inside = pl.col("funding_time").is_between(window.start, window.stop, closed="left")
    return pl.concat(frames).filter(inside).unique(list(FUNDING.key), keep="last").sort("funding_time")


# what is missing of the settlements of a world: none, four of ten, or all of the older half of the window
_MISSING: Mapping[str, float | None] = {
    "all paid": 0.0,
    "four of ten missing": 0.4,
    "the older half missing": None,
}


def round_trip(case: Case) -> Iterator[str]:
    """A walk over the history returns every settlement of a window, each with its rate."""
    history, serve = case.fetcher.history, case.serve
    if history is None or serve is None:
        return
    chance = Random(case.fetcher.exchange)  # noqa: S311 - the same worlds each time
    cap = getattr(history.paging, "cap", None)
    failed = False
    # a file a day or a month: there is none where nothing was paid, and its absence is a failure
    files = isinstance(history.paging, Months) or (isinstance(history.paging, Days) and history.paging.first)
    for steps in (1, 2, 30, 100, *((cap - 1, cap, cap + 1) if cap else ()), 3 * min(cap or 100, 500)):
        for worlds, missing in _MISSING.items():
            if missing is None and files:
                continue
            settlements, window = _world(case, chance, steps, missing)
            expected = {at: rate for at, rate in settlements if window.start <= at < window.stop}
            problem = _walk_problem(case, partial(_served, serve, settlements), window, expected)
            if problem:
                yield f"{steps} steps, {worlds}: {problem}"
                failed = True
    if failed:
        yield f"declared is {history.paging}; {_kinds_that_fit(case, history, serve)}"


def _walk_problem(
    case: Case, serve: Callable[[Request], bytes], window: Window, expected: Mapping[datetime, float]
) -> str:
    """What is wrong with one walk: its error, or the first difference from what is expected; "" for a right one."""
    try:
        frame = walked(case.fetcher, case.market, serve, window, at=newest_settlement(case) + HOUR)
    except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
        return error_text(error)
    rates = dict(frame.select("funding_time", "funding_rate").rows())
    if lost := sorted(expected.keys() - rates.keys()):
        return f"{len(lost)} of {len(expected)} are lost, the first at {lost[0]}"
    if surplus := sorted(rates.keys() - expected.keys()):
        return f"{len(surplus)} are too many, the first at {surplus[0]}"
    wrong = (at for at, rate in expected.items() if not same_value(rates[at], rate))
    return next((f"the rate at {at} is {rates[at]!r}, must be {expected[at]!r}" for at in wrong), "")


def _kinds_that_fit(case: Case, history: History, serve: _Serve) -> str:
    """What first pages of a short and of a long window show of the exchange, and the kinds of paging that fit."""
    settlements, window = _world(case, Random(0), 3 * (getattr(history.paging, "cap", None) or 100), 0)  # noqa: S311 - none is drawn
    short = replace(window, start=window.stop - 2 * timedelta(hours=case.step_hours))
    kinds = ""
    for span in (window, short):
        body = serve(history.request(case.market, span, None), settlements)
        context = ResponseContext(newest_settlement(case) + HOUR, case.market)
        times = history.parse(body, context)["funding_time"].to_list()
        if not kinds or any(not span.start <= t < span.stop for t in times):
            kinds = fitting_kinds(span, times, len(times)) or kinds
    return kinds or "the first pages hold no rows: is the window in the request?"


def _served(serve: _Serve, settlements: Sequence[tuple[datetime, float]], request: Request) -> bytes:
    return serve(request, settlements)


def _world(
    case: Case, chance: Random, steps: int, missing: float | None
) -> tuple[list[tuple[datetime, float]], Window]:
    """Settlements before, in and after a window of some steps, and that window; None of `missing`: a hole in it."""
    step = timedelta(hours=case.step_hours)
    newest = newest_settlement(case)
    window = Window(newest - (4 + steps) * step, newest - 4 * step)
    older = 40 + (getattr(case.fetcher.history and case.fetcher.history.paging, "cap", None) or 0)
    hole = Window(window.start, window.start + -(-steps // 2) * step)
    settlements = []
    for at in (newest - n * step for n in range(steps + older, -1, -1)):
        gone = hole.start <= at < hole.stop if missing is None else chance.random() < missing
        if not gone or at == newest:
            settlements.append((at, float(f"{chance.randint(-90, 90)}e-6")))
    return settlements, window
