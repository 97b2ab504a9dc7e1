"""What a test of a fetcher consists of: its Case, the Clauses that it must keep, and how a case's responses are read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.fetchers.contract import (
    Market,
    Request,
    ResponseContext,
)
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS, Table
from fundingdb.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fundingdb.errors import FundingdbError
    from fundingdb.fetchers.contract import Fetcher

RECEIVED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Example:
    """One response in the venue's own shape, and the rows it must give.

    `rows`: for each expected row, in order, some of its columns with their values, worked out by hand. `request` is what the
    response answers, where parsing needs to know it; `at` the instant of receipt; `markets` the listed markets by symbol.
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
        problems = []
        try:
            problems.extend(self.problems())
        except Exception as error:  # noqa: BLE001 - whatever the fetcher under test raises is reported
            problems.append(error_text(error))
        if len(problems) > 6:
            problems[4:-1] = [f"({len(problems) - 5} more)"]
        if problems:
            raise AssertionError("\n  ".join([f"{self.words}; this fetcher breaks it:", *problems]))

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Endpoint:
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


def endpoints(case: Case) -> Iterator[Endpoint]:
    """The kinds of responses of a case: history where the fetcher has one, current, markets."""
    fetcher = case.fetcher
    if fetcher.history is not None:
        request = fetcher.history.request(case.market, days_before(case, 2), None)
        yield Endpoint("history", FUNDING, fetcher.history.parse, case.history, request)
    for name, table, sweep, examples in (
        ("current", SNAPSHOTS, fetcher.current, case.current),
        ("markets", MARKETS, fetcher.markets, case.markets),
    ):
        request = next(iter(sweep.requests([case.market])), None)
        yield Endpoint(name, table, sweep.parse, examples, request)


def _context(case: Case, endpoint: Endpoint, example: Example) -> ResponseContext:
    market = case.market if endpoint.name == "history" else None
    return ResponseContext(example.at, market, example.markets, example.request)


def plain_context(case: Case, endpoint: Endpoint) -> ResponseContext:
    """The context of a response without an example: the case's market, and the endpoint's own first request."""
    first = next(iter(endpoint.examples), Example(b"", ()))
    context = _context(case, endpoint, first)
    return replace(
        context,
        markets=context.markets or {case.market.symbol: case.market},
        request=endpoint.request or context.request,
    )


def examples_of(case: Case) -> Iterator[tuple[str, Endpoint, Example, ResponseContext]]:
    """(name for messages, endpoint, example, its context) of each example of a case."""
    for endpoint in endpoints(case):
        for number, example in enumerate(endpoint.examples):
            yield f"{endpoint.name} {number}", endpoint, example, _context(case, endpoint, example)


def newest_settlement(case: Case) -> datetime:
    """The last settlement of the played worlds, on the grid of the market since midnight."""
    times = [row["funding_time"] for example in case.history for row in example.rows if "funding_time" in row]
    newest = case.newest or max((t for t in times if isinstance(t, datetime)), default=RECEIVED_AT)
    midnight = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    step = timedelta(hours=case.step_hours)
    return midnight + (newest - midnight) // step * step


def days_before(case: Case, days: int) -> Window:
    """The window of some days up to the newest settlement."""
    stop = newest_settlement(case)
    return Window(stop - timedelta(days=days), stop)


def same_value(value: object, expected: object) -> bool:
    """Whether two values are equal; floats to 1e-12 of their size."""
    if isinstance(value, float) and isinstance(expected, int | float) and not isinstance(expected, bool):
        return isclose(value, expected, rel_tol=1e-12, abs_tol=0.0)
    return value == expected


def error_text(error: Exception) -> str:
    """An error in one line: its kind and the beginning of its text."""
    return f"{type(error).__name__}: {str(error)[:600]}"
