"""Reads one source: requests, responses and paging, up to a frame of checked rows. Network only, no disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import polars as pl

from fundingdb.errors import BadCall, BadPayload, WalkNotProven
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.payload import translated_errors
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from fundingdb.fetchers.contract import Fetcher, LeftOut, Market, Request, Sweep
    from fundingdb.schema import Table
    from fundingdb.transport.http import Engine, Response
    from fundingdb.window import Window

_PAGES = 50  # of one list of markets


class Gate(Protocol):
    """A check of rows before anybody uses them: `ingest.guard.admitted`."""

    def __call__(
        self, fetcher: Fetcher, table: Table, endpoint: str, rows: pl.DataFrame, body: bytes = b""
    ) -> pl.DataFrame:
        """The rows; raises BadPayload, with the body, for those that don't pass."""
        ...


@dataclass(slots=True)
class Fetched:
    """The rows of one call, and its cost: responses, bytes, seconds; `asked_at` is when the first response came, UTC.

    `left_out`: the rows of lists and current rates that could not be read in full.
    server_time: the earliest clock in the responses, UTC; None where one has none. Of a walk also: step, the settlement
    interval of the market; behind, whether a row older than the window came; blanks, the spans whose responses had no row.
    """

    frame: pl.DataFrame
    pages: int = 0
    bytes: int = 0
    seconds: float = 0.0
    asked_at: datetime | None = None
    left_out: list[LeftOut] = field(default_factory=list)
    server_time: datetime | None = None
    step: timedelta = timedelta(hours=1)
    behind: bool = False
    blanks: list[Window] = field(default_factory=list)

    def add(self, response: Response) -> None:
        """Count one response."""
        clocks = (response.server_time,) if not self.pages else (self.server_time, response.server_time)
        self.server_time = (
            min((c for c in clocks if c is not None), default=None) if None not in clocks else None
        )
        self.pages += 1
        self.bytes += len(response.body)
        self.seconds += response.seconds
        self.asked_at = self.asked_at or response.received_at


@dataclass(frozen=True, slots=True)
class SourceReader:
    """One source over one engine; every row passes `gate`."""

    fetcher: Fetcher
    engine: Engine = field(repr=False)
    gate: Gate = field(repr=False)

    async def history(self, market: Market, window: Window) -> Fetched:
        """All FUNDING rows of `market` with funding_time in `window`, in order of time.

        Empty: the responses had none there, which proves absence only where `behind`. Raises BadCall for a source without
        history, WalkNotProven, BadPayload, and what the engine raises.
        """
        history = self.fetcher.history
        if history is None:
            raise BadCall(f"{self.fetcher.exchange} has no funding history; collect its snapshots instead")
        step = timedelta(hours=market.interval_hours or 1)
        fetched = Fetched(FUNDING.empty(), step=step)
        counts: dict[Window, int] = {}
        frames: list[pl.DataFrame] = []
        pages = walk(history.paging, window, step)
        page = next(pages, None)
        while page is not None:
            request = history.request(market, *page)
            rows, body = await self._rows(FUNDING, history.parse, request, fetched, market=market)
            frames.append(rows)
            counts[page[0]] = counts.get(page[0], 0) + rows.height
            with translated_errors(self.fetcher.exchange, request.endpoint):
                cursor = history.next_cursor(body) if history.next_cursor else None
            try:
                page = pages.send(Page(rows["funding_time"].to_list(), cursor))
            except StopIteration:
                page = None
        fetched.blanks = [span for span, count in counts.items() if not count]
        if frames:
            inside = pl.col("funding_time").is_between(window.start, window.stop, closed="left")
            every = pl.concat(frames)
            fetched.behind = bool((every["funding_time"] < window.start).any())
            rows = every.filter(inside)
            fetched.frame = rows.unique(list(FUNDING.key), keep="last", maintain_order=True).sort(
                "funding_time"
            )
        return fetched

    async def current(self, markets: Mapping[str, Market]) -> Fetched:
        """SNAPSHOTS rows of all trading markets, one per symbol, as of now."""
        return await self._sweep(self.fetcher.current, SNAPSHOTS, markets)

    async def markets(self) -> Fetched:
        """MARKETS rows of all perpetuals the source lists, delisted ones included."""
        return await self._sweep(self.fetcher.markets, MARKETS, {})

    async def _sweep(self, sweep: Sweep, table: Table, markets: Mapping[str, Market]) -> Fetched:
        requests = sweep.requests(list(markets.values()))
        fetched = Fetched(table.empty())
        lists = await asyncio.gather(*(self._list(table, sweep, r, markets, fetched) for r in requests))
        if frames := [frame for pages in lists for frame in pages]:
            with translated_errors(self.fetcher.exchange, requests[0].endpoint):
                rows = sweep.combine(_merged(table, frames))
            fetched.frame = self.gate(self.fetcher, table, requests[0].endpoint, rows)
        return fetched

    async def _list(
        self, table: Table, sweep: Sweep, request: Request, markets: Mapping[str, Market], fetched: Fetched
    ) -> list[pl.DataFrame]:
        """The rows of one list of the source, page by page."""
        frames: list[pl.DataFrame] = []
        page: Request | None = request
        while page is not None:
            if len(frames) == _PAGES:
                raise WalkNotProven(
                    f"{self.fetcher.exchange} {request.endpoint}: more than {_PAGES} pages; does its list have no end? "
                    "Report it"
                )
            rows, body = await self._rows(table, sweep.parse, page, fetched, markets=markets)
            frames.append(rows)
            with translated_errors(self.fetcher.exchange, request.endpoint):
                page = sweep.next_page(page, body)
        return frames

    async def _rows(
        self,
        table: Table,
        parse: Callable[[bytes, ResponseContext], pl.DataFrame],
        request: Request,
        fetched: Fetched,
        *,
        market: Market | None = None,
        markets: Mapping[str, Market] | None = None,
    ) -> tuple[pl.DataFrame, bytes]:
        """The rows of the response to one request, and its body, which a BadPayload has too."""
        response = await self.engine.fetch(self.fetcher, request)
        fetched.add(response)
        context = ResponseContext(
            response.received_at, market, markets or {}, request, left_out=fetched.left_out
        )
        try:
            with translated_errors(self.fetcher.exchange, request.endpoint):
                rows = parse(response.body, context)
        except BadPayload as error:
            error.body = response.body
            raise
        return self.gate(self.fetcher, table, request.endpoint, rows, response.body), response.body


def _merged(table: Table, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One row per market: the first non-null value of each column over the responses of a sweep, and the earliest instant."""
    rows = pl.concat(frames)
    who = [k for k in table.key if k != table.time]
    if len(frames) == 1 and not rows.select(pl.struct(who).is_duplicated().any()).item():
        return rows
    rest = [c for c in table.columns if c not in {*who, table.time, "month"}]
    first = [pl.col(c).drop_nulls().first() for c in rest]
    earliest = [pl.col(table.time).min()] if table.time else []
    return rows.group_by(who, maintain_order=True).agg(*first, *earliest)
