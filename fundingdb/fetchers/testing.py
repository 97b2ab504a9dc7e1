"""The contract suite for fetchers: a Case shows what a fetcher reads, `clauses` are the tests that it must pass.

In the test file of a fetcher, built-in or of a package of its own:

    @pytest.mark.parametrize("clause", clauses(CASE), ids=str)
    def test_the_fetcher_keeps_the_contract(clause):
        clause.check()
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isclose
from random import Random
from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.errors import BadCall, FundingdbError
from fundingdb.fetchers.contract import (
    Backward,
    Days,
    Fixed,
    Forward,
    History,
    Market,
    Months,
    Request,
    ResponseContext,
    plain_path,
)
from fundingdb.fetchers.declaration import broken_rules
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS, TIME, Table
from fundingdb.transport.paging import Page, askable, fitting_kinds, walk
from fundingdb.window import HOUR, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from fundingdb.fetchers.contract import Fetcher

    _Serve = Callable[[Request, Sequence[tuple[datetime, float]]], bytes]

RECEIVED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Example:
    """One response in the venue's own shape, and the rows it must give.

    `rows`: for each expected row, in order, some of its columns with their values, worked out by hand. `request` is what the
    response answers, where parsing needs to know it; `at` the instant of receipt; `markets` the known markets by symbol.
    """

    body: bytes
    rows: Sequence[Mapping[str, object]]
    request: Request | None = None
    at: datetime = RECEIVED_AT
    markets: Mapping[str, Market] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status and body by which the venue refuses, and the error it must become; None: it is an ordinary response."""

    status: int
    body: bytes
    error: type[FundingdbError] | None


@dataclass(frozen=True, slots=True)
class Case:
    """All that the suite needs to prove one fetcher.

    `market` is the one that `history` and `serve` are about. `empty`: for an endpoint (history, current, markets) a response
    that rightly holds no rows. `serve` answers one history request as the venue would from these settlements (funding_time,
    funding_rate; oldest first): its bounds, its order, its cap; times lie `step_hours` apart or a multiple of it. `newest` is
    the last settlement of those worlds; by default the newest of the examples.
    """

    fetcher: Fetcher
    market: Market
    history: Sequence[Example] = ()
    current: Sequence[Example] = ()
    markets: Sequence[Example] = ()
    empty: Sequence[tuple[str, bytes]] = ()
    refusals: Sequence[Refusal] = ()
    serve: Callable[[Request, Sequence[tuple[datetime, float]]], bytes] | None = None
    step_hours: float = 1.0
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """One sentence of the contract, about the fetcher of one Case."""

    words: str
    problems: Callable[[], Iterator[str]] = field(repr=False)

    def check(self) -> None:
        """Raise AssertionError with the sentence and what breaks it (the first four of many, and the last)."""
        problems = list(self.problems())
        if len(problems) > 6:
            problems[4:-1] = [f"({len(problems) - 5} more)"]
        if problems:
            raise AssertionError("\n  ".join([f"{self.words}; this fetcher breaks it:", *problems]))

    def __str__(self) -> str:
        return self.words


def clauses(case: Case) -> list[Clause]:
    """All clauses of the contract for the fetcher of `case`, the cheap ones first."""
    return [Clause(words, partial(problems, case)) for words, problems in _CLAUSES.items()]


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
    for span in askable(history.paging, window, at + timedelta(days=365)):
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


# --- what an endpoint of a case is read with


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One kind of response: its table, its function, its examples, and whether the fetcher requests it at all."""

    name: str
    table: Table
    parse: Callable[[bytes, ResponseContext], pl.DataFrame]
    examples: Sequence[Example]
    request: Request | None  # None: never requested

    def rows(self, body: bytes, context: ResponseContext) -> pl.DataFrame:
        """The checked rows; raises what parse raises, SchemaError for rows that do not fit the table."""
        frame = self.parse(body, context)
        if not isinstance(frame, pl.DataFrame):
            raise TypeError(f"gives {type(frame).__name__}, must be a Polars frame")
        return self.table.check(frame)


def _endpoints(case: Case) -> Iterator[_Endpoint]:
    fetcher = case.fetcher
    if fetcher.history is not None:
        request = fetcher.history.request(case.market, _days_before(case, 2), None)
        yield _Endpoint("history", FUNDING, fetcher.history.parse, case.history, request)
    for name, table, sweep, examples in (
        ("current", SNAPSHOTS, fetcher.current, case.current),
        ("markets", MARKETS, fetcher.markets, case.markets),
    ):
        request = next(iter(sweep.requests([case.market])), None)
        yield _Endpoint(name, table, sweep.parse, examples, request)


def _context(case: Case, endpoint: _Endpoint, example: Example) -> ResponseContext:
    market = case.market if endpoint.name == "history" else None
    return ResponseContext(example.at, market, example.markets, example.request)


def _plain_context(case: Case, endpoint: _Endpoint) -> ResponseContext:
    """The context of a response without an example: the case's market, and the endpoint's own first request."""
    first = next(iter(endpoint.examples), Example(b"", ()))
    context = _context(case, endpoint, first)
    return replace(
        context,
        markets=context.markets or {case.market.symbol: case.market},
        request=context.request or endpoint.request,
    )


def _examples(case: Case) -> Iterator[tuple[str, _Endpoint, Example, ResponseContext]]:
    for endpoint in _endpoints(case):
        for number, example in enumerate(endpoint.examples):
            yield f"{endpoint.name} {number}", endpoint, example, _context(case, endpoint, example)


def _newest(case: Case) -> datetime:
    """The last settlement of the played worlds, on the grid of the market since midnight."""
    times = [row["funding_time"] for example in case.history for row in example.rows if "funding_time" in row]
    newest = case.newest or max((t for t in times if isinstance(t, datetime)), default=RECEIVED_AT)
    midnight = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    step = timedelta(hours=case.step_hours)
    return midnight + (newest - midnight) // step * step


def _days_before(case: Case, days: int) -> Window:
    stop = _newest(case)
    return Window(stop - timedelta(days=days), stop)


# --- the clauses


def _declaration(case: Case) -> Iterator[str]:
    yield from broken_rules(case.fetcher)


def _complete(case: Case) -> Iterator[str]:
    for endpoint in _endpoints(case):
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


def _exact_rows(case: Case) -> Iterator[str]:
    for name, endpoint, example, context in _examples(case):
        try:
            rows = endpoint.rows(example.body, context).to_dicts()
        except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
            yield f"{name}: {_text(error)}"
            continue
        if len(rows) != len(example.rows):
            yield f"{name}: {len(rows)} rows, expected {len(example.rows)}"
            continue
        for i, (row, expected) in enumerate(zip(rows, example.rows, strict=True)):
            for column, value in expected.items():
                if not _same(row.get(column, "no such column"), value):
                    yield f"{name}, row {i}, {column}: {row.get(column, 'no such column')!r}, expected {value!r}"


def _own_rows(case: Case) -> Iterator[str]:
    fetcher = case.fetcher
    for name, endpoint, example, context in _examples(case):
        frame = endpoint.parse(example.body, context)
        # an aggregator shows the rates of other exchanges: those that the expected rows name
        exchanges = {fetcher.exchange} | {row["exchange"] for row in example.rows if "exchange" in row}
        own = {"exchange": exchanges, "source": {fetcher.source}}
        for column in own.keys() & set(frame.columns):
            if others := set(frame[column]) - own[column]:
                yield f"{name}: {column} {min(map(str, others))!r}"
        # observed_at may be the response's own time
        for stamp in {"fetched_at", "last_seen"} & set(frame.columns):
            if set(frame[stamp]) - {context.at}:
                yield f"{name}: {stamp} is not the instant of receipt"
        if endpoint.name == "history" and not frame["funding_time"].is_sorted():
            yield f"{name}: rows are not in order of funding_time"


def _pure(case: Case) -> Iterator[str]:
    stamps = ["fetched_at", "observed_at", "first_seen", "last_seen"]
    for name, endpoint, example, context in _examples(case):
        first = endpoint.rows(example.body, context)
        if not first.equals(endpoint.rows(example.body, context)):
            yield f"{name}: the same bytes give other rows the second time"
        later = endpoint.rows(example.body, replace(context, at=context.at + timedelta(seconds=1)))
        kept = [column for column in first.columns if column not in stamps]
        if not first.select(kept).equals(later.select(kept)):
            yield f"{name}: received a second later, the same bytes give other rows"


_DEEP = 100_000
_JUNK: Mapping[str, bytes] = {
    "nothing": b"",
    "blanks": b" \n",
    "HTML": b"<html><body>403</body></html>",
    "null": b"null",
    "an empty object": b"{}",
    "an empty list": b"[]",
    "a list of a number": b"[1]",
    "a text": b'"x"',
    "a cut object": b"{",
    "a list 100,000 deep": b"[" * _DEEP + b"]" * _DEEP,
    "an object 100,000 deep": b'{"data":' * _DEEP + b"1" + b"}" * _DEEP,
    "an integer of 400 digits": b"1" * 400,
    "bytes that are no UTF-8": b"\xff\xfe",
    "NaN": b"[NaN]",
    "Infinity": b'{"data": Infinity}',
}


def _junk(case: Case) -> Iterator[str]:
    for endpoint in _endpoints(case):
        if endpoint.request is None:
            continue
        right = [body.strip() for name, body in case.empty if name == endpoint.name]
        context = _plain_context(case, endpoint)
        for name, body in _JUNK.items():
            if body.strip() not in right:
                yield from _not_refused(endpoint, f"{endpoint.name}, {name}", body, context)
        for example in endpoint.examples[:1]:
            whole = example.body.rstrip()
            for end in range(1, len(whole) - 1, max(1, len(whole) // 40)):
                yield from _not_refused(
                    endpoint, f"{endpoint.name} 0, cut at byte {end}", whole[:end], context
                )


def _not_refused(endpoint: _Endpoint, name: str, body: bytes, context: ResponseContext) -> Iterator[str]:
    try:
        frame = endpoint.parse(body, context)
    except FundingdbError:
        return
    except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
        yield f"{name}: {_text(error)}"
    else:
        yield f"{name}: {frame.height} rows, must raise BadPayload"


class _Gone:
    """In place of a value of an object: its key is removed."""


_REPLACED: tuple[tuple[str, object], ...] = (
    ("is removed", _Gone),
    ("is null", None),
    ("is the text x", "x"),
    ("is the text NaN", "NaN"),
    ("is the text Infinity", "Infinity"),
    ("is a list", []),
    ("is true", True),
    ("is an integer of 400 digits", 10**400),
    ("is -1", -1),
)


def _replaced_values(case: Case) -> Iterator[str]:
    for name, endpoint, example, context in _examples(case):
        for what, body in _changed(example.body, lambda _value: _REPLACED):
            try:
                endpoint.rows(body, context)
            except BadCall as error:
                yield f"{name}, {what}: {_text(error)}; must be BadPayload"
            except FundingdbError:
                continue
            except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
                yield f"{name}, {what}: {_text(error)}"


def _clocks(case: Case) -> Iterator[str]:
    for name, endpoint, example, context in _examples(case):
        times = [column for column, dtype in endpoint.table.schema.items() if dtype == TIME]
        right = endpoint.rows(example.body, context).select(times)
        for what, body in _changed(example.body, _in_other_units):
            try:
                rows = endpoint.rows(body, context).select(times)
            except FundingdbError:
                continue
            if not rows.equals(right):
                yield f"{name}, {what}: gives other times, must raise BadPayload"


def _in_other_units(value: object) -> Iterator[tuple[str, object]]:
    """A Unix time between 2010 and 2100, in seconds to nanoseconds, a thousand times later and earlier."""
    digits = isinstance(value, str) and value.isascii() and value.isdigit()
    if isinstance(value, bool) or not (isinstance(value, int) or digits):
        return
    number = int(value)
    if any(1_262_304_000 <= number / 1000**unit < 4_102_444_800 for unit in range(4)):
        for what, other in (("times 1000", number * 1000), ("divided by 1000", number // 1000)):
            yield what, str(other) if digits else other


def _empty(case: Case) -> Iterator[str]:
    for endpoint in _endpoints(case):
        for number, body in enumerate(body for name, body in case.empty if name == endpoint.name):
            rows = endpoint.rows(body, _plain_context(case, endpoint))
            if rows.height:
                yield f"empty {endpoint.name} {number}: {rows.height} rows"


def _refusals(case: Case) -> Iterator[str]:
    refusal = case.fetcher.refusal
    for one in case.refusals:
        error = refusal(one.status, one.body)
        if not isinstance(error, one.error or type(None)):
            expected = one.error.__name__ if one.error else "None"
            yield f"{one.status} {one.body[:60]!r}: {type(error).__name__}, expected {expected}"
    for name, _, example, _ in _examples(case):
        if error := refusal(200, example.body):
            yield f"{name}: an ordinary response becomes {_text(error)}"
    for status in (200, 400, 401, 403, 404, 429, 500, 503):
        for what, body in _JUNK.items():
            error = refusal(status, body)
            if not isinstance(error, FundingdbError | None):
                yield f"{status} with {what}: {type(error).__name__}, must be an error of fundingdb or None"


_HOSTILE = ("../../x", "a';drop", "x?y=1", "#", "\x00\n", "%2e%2e", "..", "日本", "")


def _requests(case: Case) -> Iterator[str]:
    fetcher, market = case.fetcher, case.market
    for name in ("current", "markets"):
        requests = getattr(fetcher, name).requests
        if requests([market]) != requests([market]):
            yield f"{name}: two calls give other requests"
        for request in requests([market]):
            yield from _not_plain(name, fetcher, request)
    if fetcher.history is None:
        return
    window = _days_before(case, 2)
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


def _bounds(case: Case) -> Iterator[str]:
    history = case.fetcher.history
    if history is None or not isinstance(history.paging, Forward | Backward | Fixed):
        return
    short = _days_before(case, 2)
    usual = history.request(case.market, short, None)
    shifted = {"stop": replace(short, stop=short.stop - 24 * HOUR)}
    if not (isinstance(history.paging, Backward) and history.paging.open_start):
        shifted["start"] = replace(short, start=short.start + 24 * HOUR)
    for bound, window in shifted.items():
        if history.request(case.market, window, None) == usual:
            yield f"the window's {bound} is not in the request, yet {history.paging} needs it"


def _names(case: Case) -> Iterator[str]:
    for symbol in (case.market.symbol, *_HOSTILE, "BTC"):
        try:
            market = case.fetcher.market(symbol)
        except BadCall:
            continue
        except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
            yield f"{symbol!r}: {_text(error)}; must be BadCall"
            continue
        if (market.exchange, market.symbol) != (case.fetcher.exchange, symbol):
            yield f"{symbol!r}: gives {market.symbol!r} of {market.exchange!r}"


def _round_trip(case: Case) -> Iterator[str]:
    history, serve = case.fetcher.history, case.serve
    if history is None or serve is None:
        return
    chance = Random(case.fetcher.exchange)  # noqa: S311 - the same worlds each time
    cap = getattr(history.paging, "cap", None)
    failed = False
    # a file a day or a month: there is none where nothing was paid, and its absence is a failure
    files = isinstance(history.paging, Months) or (isinstance(history.paging, Days) and history.paging.first)
    for steps in (1, 2, 30, 100, *((cap - 1, cap, cap + 1) if cap else ()), 3 * (cap or 100)):
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
        frame = walked(case.fetcher, case.market, serve, window, at=_newest(case) + HOUR)
    except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
        return _text(error)
    rates = dict(frame.select("funding_time", "funding_rate").rows())
    if lost := sorted(expected.keys() - rates.keys()):
        return f"{len(lost)} of {len(expected)} are lost, the first at {lost[0]}"
    if surplus := sorted(rates.keys() - expected.keys()):
        return f"{len(surplus)} are too many, the first at {surplus[0]}"
    wrong = (at for at, rate in expected.items() if not _same(rates[at], rate))
    return next((f"the rate at {at} is {rates[at]!r}, must be {expected[at]!r}" for at in wrong), "")


def _kinds_that_fit(case: Case, history: History, serve: _Serve) -> str:
    """What first pages of a short and of a long window show of the exchange, and the kinds of paging that fit."""
    settlements, window = _world(case, Random(0), 3 * (getattr(history.paging, "cap", None) or 100), 0)  # noqa: S311 - none is drawn
    short = replace(window, start=window.stop - 2 * timedelta(hours=case.step_hours))
    kinds = ""
    for span in (window, short):
        body = serve(history.request(case.market, span, None), settlements)
        context = ResponseContext(_newest(case) + HOUR, case.market)
        times = history.parse(body, context)["funding_time"].to_list()
        if not kinds or any(not span.start <= t < span.stop for t in times):
            kinds = fitting_kinds(span, times, len(times)) or kinds
    return kinds or "the first pages hold no rows: is the window in the request?"


def _served(serve: _Serve, settlements: Sequence[tuple[datetime, float]], request: Request) -> bytes:
    return serve(request, settlements)


# what is missing of the settlements of a world: none, four of ten, or all of the older half of the window
_MISSING: Mapping[str, float | None] = {
    "all paid": 0.0,
    "four of ten missing": 0.4,
    "the older half missing": None,
}


def _world(
    case: Case, chance: Random, steps: int, missing: float | None
) -> tuple[list[tuple[datetime, float]], Window]:
    """Settlements before, in and after a window of some steps, and that window; None of `missing`: a hole in it."""
    step = timedelta(hours=case.step_hours)
    newest = _newest(case)
    window = Window(newest - (4 + steps) * step, newest - 4 * step)
    older = 40 + (getattr(case.fetcher.history and case.fetcher.history.paging, "cap", None) or 0)
    hole = Window(window.start, window.start + -(-steps // 2) * step)
    settlements = []
    for at in (newest - n * step for n in range(steps + older, -1, -1)):
        gone = hole.start <= at < hole.stop if missing is None else chance.random() < missing
        if not gone or at == newest:
            settlements.append((at, float(f"{chance.randint(-90, 90)}e-6")))
    return settlements, window


_CLAUSES: Mapping[str, Callable[[Case], Iterator[str]]] = {
    "the declaration has all its parts and states its datasheet": _declaration,
    "the case shows a response of each kind that the fetcher requests": _complete,
    "a response gives exactly the rows worked out by hand": _exact_rows,
    "rows carry the fetcher's own exchange and source, the instant of receipt, and are in order": _own_rows,
    "parse is pure: the same bytes give the same rows": _pure,
    "a response without rows gives none, with all columns of its table": _empty,
    "what is no response raises an error of fundingdb": _junk,
    "a response with one wrong value raises BadPayload or gives rows that fit the table": _replaced_values,
    "a time in another unit (seconds for milliseconds) is refused": _clocks,
    "a refusal of the venue becomes the error that names what to do": _refusals,
    "a symbol gives its market or BadCall": _names,
    "requests are plain, repeatable and within the budget": _requests,
    "a request bounds what its paging kind needs bounded": _bounds,
    "a walk over the history returns every settlement of a window, each with its rate": _round_trip,
}


# --- small parts


def _changed(
    body: bytes, others: Callable[[object], Iterable[tuple[str, object]]]
) -> Iterator[tuple[str, bytes]]:
    """Copies of a JSON (or JSON Lines) body, each with one value replaced by one of `others` of it; none of other bodies."""
    try:
        values = [
            json.loads(line) for line in ([body] if _is_json(body) else body.splitlines()) if line.strip()
        ]
    except ValueError:
        return
    for parent, key, path in list(_places(values, "")):
        right = parent[key]
        for what, other in others(right):
            parent[key] = other
            yield f"{path} {what}", _encoded(values)
        parent[key] = right


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _encoded(values: list[Any]) -> bytes:
    return "\n".join(json.dumps(value) for value in _without_gone(values)).encode()


def _without_gone(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_gone(inner) for key, inner in value.items() if inner is not _Gone}
    return (
        [_without_gone(inner) for inner in value if inner is not _Gone] if isinstance(value, list) else value
    )


def _places(value: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """(container, key, path in words) of everything inside `value`."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        where = f"{path}.{key}".strip(".")
        yield value, key, where
        yield from _places(inner, where)


def _same(value: object, expected: object) -> bool:
    if isinstance(value, float) and isinstance(expected, int | float) and not isinstance(expected, bool):
        return isclose(value, expected, rel_tol=1e-12, abs_tol=0.0)
    return value == expected


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:600]}"
