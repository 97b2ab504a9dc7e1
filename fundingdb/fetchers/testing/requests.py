"""Clauses about the declaration, the completeness of the case, the requests and the names of markets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall, FundingdbError
from fundingdb.fetchers.contract import (
    Backward,
    Fixed,
    Forward,
    Request,
    plain_path,
)
from fundingdb.fetchers.declaration import broken_rules
from fundingdb.fetchers.testing.case import Case, days_before, endpoints, error_text
from fundingdb.window import HOUR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from fundingdb.fetchers.contract import Fetcher

    _Serve = Callable[[Request, Sequence[tuple[datetime, float]]], bytes]


def declaration(case: Case) -> Iterator[str]:
    """The declaration has all its parts and states its datasheet."""
    yield from broken_rules(case.fetcher)


def complete(case: Case) -> Iterator[str]:
    """The case shows a response of each kind that the fetcher requests, a negative rate and a served history."""
    for endpoint in endpoints(case):
        if endpoint.request is not None and not endpoint.examples:
            yield f"Case.{endpoint.name} has no Example, yet the fetcher requests {endpoint.request.path}"
    if case.fetcher.history is None:
        return
    if case.serve is None:
        yield "Case.serve is missing, yet the fetcher has a history"
    rates = [row.get("funding_rate") for example in case.history for row in example.rows]
    if not any(isinstance(rate, float) and rate < 0 for rate in rates):
        yield "no row of Case.history states a negative funding_rate: the sign is not shown"
    if not any("funding_time" in row for example in case.history for row in example.rows):
        yield "no row of Case.history states its funding_time: the clock is not shown"


_HOSTILE = ("../../x", "a';drop", "x?y=1", "#", "\x00\n", "%2e%2e", "..", "日本", "")


def plain_requests(case: Case) -> Iterator[str]:
    """Requests are plain, repeatable and within the budget."""
    fetcher, market = case.fetcher, case.market
    for name in ("current", "markets"):
        requests = getattr(fetcher, name).requests
        if requests([market]) != requests([market]):
            yield f"{name}: two calls give other requests"
        for request in requests([market]):
            yield from _not_plain(name, fetcher, request)
    if fetcher.history is None:
        return
    window = days_before(case, 2)
    usual = fetcher.history.request(market, window, None)
    yield from _not_plain("history", fetcher, usual)
    if usual != fetcher.history.request(market, window, None):
        yield "history: two calls give other requests"
    for symbol in _HOSTILE:
        try:
            request = fetcher.history.request(replace(market, symbol=symbol), window, None)
        except FundingdbError:
            continue
        if not plain_path(request.path):
            continue  # the engine refuses to send it
        if request.path.count("/") != usual.path.count("/") or len(request.params) != len(usual.params):
            yield f"history of a market called {symbol!r}: the name changes path or parameters"


def _not_plain(name: str, fetcher: Fetcher, request: Request) -> Iterator[str]:
    if not plain_path(request.path):
        yield f"{name}: the path {request.path!r} is not plain; quote what stands in it"
    if request.method not in ("GET", "POST"):
        yield f"{name}: the method {request.method!r} is neither GET nor POST"
    if not all(isinstance(text, str) for pair in request.params for text in pair):
        yield f"{name}: a parameter is not text: {request.params}"
    if not 0 < request.cost <= fetcher.budget.capacity:
        yield f"{name}: its cost {request.cost:g} is not within the budget's capacity {fetcher.budget.capacity:g}"


def bounded_requests(case: Case) -> Iterator[str]:
    """A request states the bounds that its kind of paging needs."""
    history = case.fetcher.history
    if history is None or not isinstance(history.paging, Forward | Backward | Fixed):
        return
    short = days_before(case, 2)
    usual = history.request(case.market, short, None)
    shifted = {"stop": replace(short, stop=short.stop - 24 * HOUR)}
    if not (isinstance(history.paging, Backward) and history.paging.open_start):
        shifted["start"] = replace(short, start=short.start + 24 * HOUR)
    for bound, window in shifted.items():
        if history.request(case.market, window, None) == usual:
            yield f"the window's {bound} is not in the request, yet {history.paging} needs it"


def named_markets(case: Case) -> Iterator[str]:
    """A symbol gives its market or BadCall."""
    for symbol in (case.market.symbol, *_HOSTILE, "BTC"):
        try:
            market = case.fetcher.market(symbol)
        except BadCall:
            continue
        except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
            yield f"{symbol!r}: {error_text(error)}; must be BadCall"
            continue
        if (market.exchange, market.symbol) != (case.fetcher.exchange, symbol):
            yield f"{symbol!r}: gives {market.symbol!r} of {market.exchange!r}"
