"""Ask one source: fetcher and engine together, from a wish to a checked frame. Network only, no disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import polars as pl

from fundingdb.errors import BadCall, BadPayload, SchemaError, WalkNotProven
from fundingdb.fetchers.contract import Fetcher, Market, ResponseContext
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS, Table
from fundingdb.transport.paging import Page, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fundingdb.fetchers.contract import Request, Sweep
    from fundingdb.transport.http import Engine, Response
    from fundingdb.window import Window

_PAGES = 50  # of one list of markets


@dataclass(slots=True)
class Fetched:
    """Rows of one ask and what they took; `asked_at` is the instant the first answer came."""

    frame: pl.DataFrame
    pages: int = 0
    bytes: int = 0
    seconds: float = 0.0
    asked_at: datetime | None = None

    def add(self, answer: Response) -> None:
        """Count one answer."""
        self.pages += 1
        self.bytes += len(answer.body)
        self.seconds += answer.seconds
        self.asked_at = self.asked_at or answer.received_at


@dataclass(frozen=True, slots=True)
class Source:
    """One fetcher on one engine."""

    fetcher: Fetcher
    engine: Engine = field(repr=False)

    async def history(self, market: Market, window: Window) -> Fetched:
        """FUNDING rows of `market` with funding_time in `window`, in order of time, proven whole.

        Empty means that the exchange has none there. Raises BadCall for a source without history, WalkNotProven,
        BadPayload, and what the engine raises.
        """
        history = self.fetcher.history
        if history is None:
            raise BadCall(f"{self.fetcher.exchange} has no funding history; collect its snapshots instead")
        got = Fetched(FUNDING.empty())
        frames: list[pl.DataFrame] = []
        walker = walk(history.paging, window, timedelta(hours=market.interval_hours or 1))
        step = next(walker, None)
        while step is not None:
            request = history.request(market, *step)
            answer = await self.engine.ask(self.fetcher, request)
            got.add(answer)
            context = ResponseContext(at=answer.received_at, market=market, request=request)
            frames.append(_read(self.fetcher, FUNDING, history.parse, answer.body, context))
            cursor = history.next_cursor(answer.body) if history.next_cursor else None
            try:
                step = walker.send(Page(frames[-1]["funding_time"].to_list(), cursor))
            except StopIteration:
                step = None
        if frames:
            inside = pl.col("funding_time").is_between(window.start, window.stop, closed="left")
            rows = pl.concat(frames).filter(inside)
            got.frame = rows.unique(list(FUNDING.key), keep="last", maintain_order=True).sort("funding_time")
        return got

    async def current(self, markets: Mapping[str, Market]) -> Fetched:
        """SNAPSHOTS rows of all trading markets, one per symbol, as of now."""
        return await self._round("current", SNAPSHOTS, markets)

    async def markets(self) -> Fetched:
        """MARKETS rows of all perpetuals the source lists, delisted ones included."""
        return await self._round("markets", MARKETS, {})

    async def _round(
        self, what: Literal["current", "markets"], table: Table, markets: Mapping[str, Market]
    ) -> Fetched:
        side = self.fetcher.current if what == "current" else self.fetcher.markets
        requests = side.requests(list(markets.values()))
        got = Fetched(table.empty())
        lists = await asyncio.gather(*(self._one(table, side, r, markets, got) for r in requests))
        if frames := [frame for pages in lists for frame in pages]:
            got.frame = side.combine(_together(table, frames))
        return got

    async def _one(
        self,
        table: Table,
        side: Sweep,
        request: Request,
        markets: Mapping[str, Market],
        got: Fetched,
    ) -> list[pl.DataFrame]:
        """The rows of one list, page by page."""
        frames: list[pl.DataFrame] = []
        page: Request | None = request
        while page is not None:
            if len(frames) == _PAGES:
                raise WalkNotProven(f"{self.fetcher.exchange} {request.endpoint}: more than {_PAGES} pages")
            answer = await self.engine.ask(self.fetcher, page)
            got.add(answer)
            context = ResponseContext(at=answer.received_at, markets=markets, request=page)
            frames.append(_read(self.fetcher, table, side.parse, answer.body, context))
            page = side.next_page(page, answer.body)
        return frames


def _read(
    fetcher: Fetcher,
    table: Table,
    parse: Callable[[bytes, ResponseContext], pl.DataFrame],
    body: bytes,
    context: ResponseContext,
) -> pl.DataFrame:
    try:
        return table.check(parse(body, context))
    except BadPayload as error:
        error.body = body
        raise
    except SchemaError as error:
        endpoint = context.request.endpoint if context.request else table.name
        bad = BadPayload(fetcher.exchange, endpoint, "(rows)", str(error))
        bad.body = body
        raise bad from error


def _together(table: Table, frames: list[pl.DataFrame]) -> pl.DataFrame:
    """One row per key without the instant: the first non-null value of each column over the answers of a round."""
    rows = pl.concat(frames)
    who = [k for k in table.key if k != table.time]
    if len(frames) == 1 and not rows.select(pl.struct(who).is_duplicated().any()).item():
        return rows
    first = [pl.col(c).drop_nulls().first() for c in table.columns if c not in {*who, table.time}]
    earliest = [] if table.time is None else [pl.col(table.time).min()]
    merged = rows.group_by(who, maintain_order=True).agg(*first, *earliest)
    if table.time is not None and "month" in table.columns:
        merged = merged.drop("month")
    return table.check(merged)
