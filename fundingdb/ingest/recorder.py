"""Records streams into the lake: at each tick one snapshot of each market with news since the last; never filled forward."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.catalog import catalog
from fundingdb.errors import BadCall, BadPayload, FundingdbError, UnknownName
from fundingdb.ingest import guard, ledger
from fundingdb.ingest.ledger import Attempt
from fundingdb.ingest.listing import select_markets, selects
from fundingdb.ingest.quarantine import keep
from fundingdb.schema import SNAPSHOTS
from fundingdb.transport.schedule import Schedule, next_tick, until
from fundingdb.transport.stream import Feed, Frames, NewestRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from fundingdb.fetchers.contract import Fetcher, Live, Market
    from fundingdb.ingest.collector import Collector

_TRADED = ("active", "reduce_only")
_COLUMNS = {name: kind for name, kind in SNAPSHOTS.schema.items() if name != "month"}
_READY_SECONDS = 15.0  # for this long at most the first tick waits for the first rate of each source


@dataclass(slots=True)
class Part:
    """What was received of one source since the last write; `error` is why nothing is received at present."""

    rows: int = 0
    frames: int = 0
    refused: int = 0
    reconnects: int = 0
    error: str | None = None


@dataclass(slots=True)
class RecordedBatch:
    """One write: `at` is its tick (or the instant of an interruption), `inserted` the rows that are new in the lake."""

    at: datetime
    parts: dict[str, Part] = field(default_factory=dict)
    inserted: int = 0

    @property
    def rows(self) -> int:
        """The number of snapshots of all sources."""
        return sum(p.rows for p in self.parts.values())


@dataclass(slots=True)
class Recorder:
    """Records streams into the lake of `collector`; `on` is called with each write, from any thread.

    `sleep` waits for the ticks; `stale_after` seconds without a rate a source's connection is made anew; `jitter` (0..1)
    spreads these attempts.
    """

    collector: Collector
    on: Callable[[RecordedBatch], None] = lambda _written: None
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    stale_after: float = 90.0
    _feeds: list[Feed] = field(default_factory=list)
    rows: int = 0  # written so far

    async def run(
        self, fetchers: Sequence[Fetcher], tokens: Sequence[str] | None, schedule: Schedule
    ) -> dict[str, FundingdbError]:
        """Record by the schedule (`count` counts writes); return the failures at the end by exchange, empty when all is well.

        Ends early when every source has ended for good. Cancelled, it writes what was received and raises CancelledError. Raises
        BadCall for a source without a stream, UnknownName for a token that no source lists, and what the lake raises.
        """
        self._feeds = [self._open(f, tokens) for f in fetchers]
        tasks = [asyncio.create_task(f.run()) for f in self._feeds]
        complete = False
        try:
            await self._ready(tokens)
            complete = await self._ticks(schedule, tasks)
        except UnknownName:
            complete = True  # a wrong call writes nothing
            raise
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            if not complete and any(f.waiting for f in self._feeds):
                await self._write(self.collector.now())
        for end in ended:
            if isinstance(end, Exception):
                raise end
        return {f.fetcher.exchange: f.failure for f in self._feeds if f.failure is not None}

    def _open(self, fetcher: Fetcher, tokens: Sequence[str] | None) -> Feed:
        live = stream_of(fetcher)
        return Feed(
            fetcher,
            live,
            partial(self.collector.refresh_markets, fetcher),
            partial(_wanted, tokens),
            partial(self._refused, fetcher),
            env=self.env,
            now=self.collector.now,
            jitter=self.jitter,
            stale_after=self.stale_after,
        )

    def _refused(self, fetcher: Fetcher, error: BadPayload) -> None:
        keep(self.collector.warehouse, Attempt.of(fetcher, "*", "current"), error, self.collector.now())

    async def _ready(self, tokens: Sequence[str] | None) -> None:
        waits = [asyncio.create_task(f.ready.wait()) for f in self._feeds]
        await asyncio.wait(waits, timeout=_READY_SECONDS)
        for wait in waits:
            wait.cancel()
        listed = {f.fetcher.exchange: f.listing for f in self._feeds if f.listing}
        if len(listed) == len(self._feeds):  # else one that is down may list it
            select_markets(listed, tokens)

    async def _ticks(self, schedule: Schedule, tasks: Sequence[asyncio.Task[None]]) -> bool:
        """Whether the schedule ended on a tick, so that rows received since belong to no write."""
        now, done = self.collector.now, 0
        stop = now() + schedule.span if schedule.span is not None else None
        while True:
            tick = next_tick(now(), schedule.every)
            end = tick if stop is None else min(tick, stop)
            async for _ in until(end, schedule.every, now, self.sleep, pause=1.0):
                if all(t.done() for t in tasks) or any(t.done() and t.exception() for t in tasks):
                    return False
            if end != tick:
                return False
            await self._write(tick)
            done += 1
            if done == schedule.count or tick == stop:
                return True

    async def _write(self, at: datetime) -> None:
        received = [(feed, feed.take()) for feed in self._feeds]
        try:
            await _to_the_end(partial(self._store, at, received))
        except FundingdbError:
            for feed, frames in received:
                feed.give_back(frames)
            raise

    def _store(self, at: datetime, received: Sequence[tuple[Feed, Frames]]) -> None:
        """Rows first, the ledger second, then the catalog."""
        written = RecordedBatch(at)
        snapshots: list[pl.DataFrame] = []
        ledger_rows: list[pl.DataFrame] = []
        for feed, frames in received:
            rows = self._checked(feed, frames)
            snapshots.append(rows)
            ledger_rows += self._ledger(feed, frames, rows, at)
            why = None if feed.failure is None else str(feed.failure)
            shown = guard.bounded(rows)
            beyond = shown["funding_rate"].null_count() - rows["funding_rate"].null_count()
            snapshots[-1] = shown
            part = Part(rows.height, frames.frames, frames.bad + beyond, frames.reconnects, why)
            written.parts[feed.fetcher.exchange] = part
        lake = self.collector.lake
        if written.rows:
            written.inserted = lake.upsert("snapshots", pl.concat(snapshots)).inserted
        if ledger_rows:
            lake.upsert("fetches", pl.concat(ledger_rows))
            catalog.rebuild(self.collector.warehouse)
        self.rows += written.rows
        self.on(written)

    def _checked(self, feed: Feed, frames: Frames) -> pl.DataFrame:
        """The newest rows that pass the gate; a frame whose row does not pass is quarantined."""
        newest = list(frames.newest.values())
        try:
            return _table(feed.fetcher, newest)
        except BadPayload:
            return _table(feed.fetcher, [one for one in newest if self._passes(feed.fetcher, frames, one)])

    def _passes(self, fetcher: Fetcher, frames: Frames, one: NewestRow) -> bool:
        try:
            _table(fetcher, [one])
        except BadPayload as error:
            self._refused(fetcher, error)
            frames.bad += 1
            return False
        return True

    def _ledger(self, feed: Feed, frames: Frames, rows: pl.DataFrame, at: datetime) -> list[pl.DataFrame]:
        """One ledger row where something was received or the source is down; none where nothing is new."""
        attempt = Attempt.of(feed.fetcher, "*", "current")
        if rows.height and frames.first_at is not None:
            seconds = max(0.0, (at - frames.first_at).total_seconds())
            cost = ledger.Cost(frames.frames, frames.bytes, seconds, frames.first_at)
            return [ledger.succeeded(attempt, rows, cost)]
        if feed.failure is not None:
            return [ledger.failed(attempt, feed.failure, self.collector.now())]
        return []


def stream_of(fetcher: Fetcher) -> Live:
    """The stream of a source; raises BadCall where it has none."""
    if fetcher.live is None:
        raise BadCall(
            f"{fetcher.exchange} has no stream: use 'fundingdb collect --source {fetcher.exchange}'"
        )
    return fetcher.live


def _wanted(tokens: Sequence[str] | None, listing: Mapping[str, Market]) -> list[Market]:
    trading = [m for m in listing.values() if m.status in _TRADED]
    if tokens is None:
        return trading
    return [m for m in trading if selects(m, tokens)]


def _table(fetcher: Fetcher, newest: Sequence[NewestRow]) -> pl.DataFrame:
    rows = pl.DataFrame([one.row for one in newest], schema=_COLUMNS, orient="row")
    body = newest[0].frame if len(newest) == 1 else b""
    return guard.admitted(fetcher, SNAPSHOTS, "stream", rows, body)


async def _to_the_end(work: Callable[[], None]) -> None:
    """Run `work` in a thread to its end, even when cancelled meanwhile."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
