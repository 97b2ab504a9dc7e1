"""Fetcher x market x window -> engine -> parse -> lake: the one place where net and disk meet.

Rows are written first, the ledger second: a crash between them costs a repeat, never a hole.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.catalog import catalog
from fundingdb.errors import BadPayload, FundingdbError, RetryLater, UnknownName
from fundingdb.fetchers.registry import BUILT_IN
from fundingdb.ingest import guard, ledger
from fundingdb.ingest.healing import Healer
from fundingdb.ingest.ledger import Attempt
from fundingdb.ingest.listing import choose, market_of, of_tokens, remembered
from fundingdb.ingest.quarantine import keep
from fundingdb.transport.backoff import SOURCE
from fundingdb.transport.paging import askable, pieces
from fundingdb.transport.walk import SourceReader
from fundingdb.window import HOUR, Window, floor_hour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from fundingdb.fetchers.contract import Fetcher, Market
    from fundingdb.lake import Lake
    from fundingdb.transport.http import Engine
    from fundingdb.transport.walk import Fetched

_BATCH_ROWS = 100_000
_BATCH_JOBS = 256
_BATCH_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Failure:
    """One market and window (or a whole source) that could not be had, and why."""

    exchange: str
    symbol: str
    window: Window | None
    error: FundingdbError


@dataclass(slots=True)
class CollectReport:
    """What a backfill or a round did; `windows` were asked, `covered` needed no asking."""

    inserted: int = 0
    restated: int = 0
    unchanged: int = 0
    windows: int = 0
    covered: int = 0
    pages: int = 0
    bytes: int = 0
    snapshots: int = 0
    failures: list[Failure] = field(default_factory=list)
    not_asked: dict[str, int] = field(default_factory=dict)  # exchange -> windows left after it went silent
    succeeded: int = 0

    @property
    def exit_code(self) -> int:
        """0 done, 3 partly done, 1 nothing could be had."""
        if not self.failures:
            return 0
        return 3 if self.succeeded or self.covered else 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one exchange is: windows done of all, rows received so far."""

    exchange: str
    done: int
    total: int
    rows: int


@dataclass(slots=True)
class Collector:
    """Brings sources into a lake. `now` is the wall clock, `on` hears of progress."""

    lake: Lake
    warehouse: Path
    engine: Engine
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    on: Callable[[Progress], None] = lambda _progress: None

    async def refresh_markets(self, fetcher: Fetcher) -> dict[str, Market]:
        """Attempt what the source lists, keep it in `markets`, give it by symbol.

        A market that vanished keeps its row, as delisted. A source without a list takes that of another. Rows of an
        aggregator are given but not kept: it spells other exchanges' symbols its own way; nor those of a second source of
        an exchange that tells more itself.
        """
        if fetcher.listed_by is not None:
            return await self.refresh_markets(fetcher.listed_by)
        got = await SourceReader(fetcher, self.engine, guard.admitted).markets()
        if fetcher.history is None or (fetcher.source != fetcher.exchange and fetcher.exchange in BUILT_IN):
            return {row["symbol"]: market_of(row) for row in got.frame.iter_rows(named=True)}
        old = self.lake.scan("markets").filter(pl.col("exchange") == fetcher.exchange).collect()
        rows = remembered(got.frame, old, self.now())
        self.lake.upsert("markets", rows)
        self.lake.upsert("fetches", _answered(Attempt.of(fetcher, "*", "markets"), got, self.now()))
        return {row["symbol"]: market_of(row) for row in rows.iter_rows(named=True)}

    async def backfill(
        self, fetchers: Sequence[Fetcher], window: Window, tokens: Sequence[str] | None = None
    ) -> CollectReport:
        """Bring the settled rates of `tokens` (None: all markets) in `window` into the lake, asking only what is missing.

        Raises UnknownName, before any history is asked, for a token that none of the sources lists. Failures of single
        markets or sources stand in the report and in the ledger.
        """
        report = CollectReport()
        listed = await self._list(fetchers, report)
        chosen = choose({f.exchange: m for f, m in listed}, tokens)
        batch = _Batch(self, report)
        jobs = {f.exchange: self._jobs(f, chosen[f.exchange], window, batch) for f, _ in listed}
        try:
            await asyncio.gather(*(self._fetch(f, jobs[f.exchange], batch) for f, _ in listed))
        finally:
            await batch.close()
        return report

    async def round(
        self,
        fetchers: Sequence[Fetcher],
        exchanges: Sequence[str] | None = None,
        tokens: Sequence[str] | None = None,
    ) -> CollectReport:
        """One round of collecting: a snapshot of every source, then the settled rows that have come due since the last
        run, holes of earlier runs included. A source that is down stands in the report and stops nobody else.
        """
        report = CollectReport()
        batch = _Batch(self, report)
        try:
            await asyncio.gather(*(self._round(f, exchanges, tokens, batch) for f in fetchers))
        finally:
            await batch.close()
        return report

    async def _round(
        self, fetcher: Fetcher, exchanges: Sequence[str] | None, tokens: Sequence[str] | None, batch: _Batch
    ) -> None:
        report = batch.report
        try:
            markets = await self.refresh_markets(fetcher) if fetcher.history else {}
            got = await SourceReader(fetcher, self.engine, guard.admitted).current(markets)
        except FundingdbError as error:
            batch.note(self._failed(report, Attempt.of(fetcher, "*", "current"), error))
            return
        rows = got.frame
        if exchanges is not None:
            rows = rows.filter(pl.col("exchange").is_in(exchanges))
        if tokens is not None:
            rows = rows.filter(of_tokens(tokens))
        await batch.snapshots(fetcher, rows, got)
        if fetcher.history is None:
            return
        try:
            mine = choose({fetcher.exchange: markets}, tokens)[fetcher.exchange]
        except UnknownName as error:
            batch.note(self._failed(report, Attempt.of(fetcher, "*", "current"), error))
            return
        trading = [m for m in mine if m.status in {"active", "reduce_only"}]
        await self._fetch(fetcher, self._due_jobs(fetcher, trading, batch), batch)

    async def _list(
        self, fetchers: Sequence[Fetcher], report: CollectReport
    ) -> list[tuple[Fetcher, dict[str, Market]]]:
        found = await asyncio.gather(*(self.refresh_markets(f) for f in fetchers), return_exceptions=True)
        listed = []
        for fetcher, markets in zip(fetchers, found, strict=True):
            if isinstance(markets, FundingdbError):
                row = self._failed(report, Attempt.of(fetcher, "*", "markets"), markets)
                self.lake.upsert("fetches", row)
            elif isinstance(markets, BaseException):
                raise markets
            else:
                listed.append((fetcher, markets))
        return listed

    def _spans(self, fetcher: Fetcher, batch: _Batch) -> dict[str, list[Window]]:
        mine = (pl.col("exchange") == fetcher.exchange) & (pl.col("source") == fetcher.source)
        fetches = self.lake.scan("fetches").filter(mine).collect()
        spans = ledger.covered(fetches)
        batch.healer.learn(fetcher.exchange, fetcher.source, spans)
        return spans

    def _jobs(
        self, fetcher: Fetcher, markets: Iterable[Market], window: Window, batch: _Batch
    ) -> list[tuple[Market, Window]]:
        stop = min(window.stop, ledger.due(self.now(), fetcher.settle_delay))
        spans = self._spans(fetcher, batch)
        jobs: list[tuple[Market, Window]] = []
        for market in markets:
            listed = floor_hour(market.listed_at) if market.listed_at else window.start
            start = max(window.start, listed)
            if start >= stop or fetcher.history is None:
                continue
            span = Window(start, stop)
            whole = askable(fetcher.history.paging, span, self.now(), ended=market.delisted_at)
            done = spans.get(market.symbol, [])
            if market.listed_at:
                whole = [Window(max(w.start, listed), w.stop) for w in whole]
            left = [w for part in whole for w in ledger.missing(part, done)]
            jobs += _walks(fetcher, market, left)
            batch.report.covered += bool(whole) and not left
        return jobs

    def _due_jobs(
        self, fetcher: Fetcher, markets: Iterable[Market], batch: _Batch
    ) -> list[tuple[Market, Window]]:
        stop = ledger.due(self.now(), fetcher.settle_delay)
        spans = self._spans(fetcher, batch)
        jobs: list[tuple[Market, Window]] = []
        for market in markets:
            done = spans.get(market.symbol, [])
            start = done[0].start if done else floor_hour(stop - ledger.LATE / 2)
            if start < stop:
                left = ledger.missing(Window(start, stop), done)
                jobs += _walks(fetcher, market, left)
                batch.report.covered += not left
        return jobs

    async def _fetch(self, fetcher: Fetcher, jobs: list[tuple[Market, Window]], batch: _Batch) -> None:
        """Work through the jobs with as many workers as the budget's concurrency allows."""
        state = _State(len(jobs))
        queue = iter(jobs)
        source = SourceReader(fetcher, self.engine, guard.admitted)

        async def work() -> None:
            for market, window in queue:
                if SOURCE.gives_up(state.silent):
                    return
                try:
                    got = await source.history(market, window)
                except FundingdbError as error:
                    state.silent += isinstance(error, RetryLater)
                    batch.note(
                        self._failed(
                            batch.report, Attempt.of(fetcher, market.symbol, "history", window), error
                        )
                    )
                else:
                    state.silent = 0
                    state.rows += got.frame.height
                    await batch.add(fetcher, market, window, got)
                state.done += 1
                self.on(Progress(fetcher.exchange, state.done, state.total, state.rows))

        self.on(Progress(fetcher.exchange, 0, state.total, 0))
        await asyncio.gather(*(work() for _ in range(min(fetcher.budget.concurrent, len(jobs)))))
        if state.done < state.total:
            batch.report.not_asked[fetcher.exchange] = state.total - state.done

    def _failed(self, report: CollectReport, ask: Attempt, error: FundingdbError) -> pl.DataFrame:
        """Note a failure, keep a refused answer, give its ledger row."""
        report.failures.append(Failure(ask.exchange, ask.symbol, ask.window, error))
        if isinstance(error, BadPayload) and error.body:
            keep(self.warehouse, ask, error, self.now())
        return ledger.failed(ask, error, self.now())


@dataclass(slots=True)
class _State:
    total: int
    done: int = 0
    rows: int = 0
    silent: int = 0


class _Batch:
    """Finished windows on their way into the lake: rows first, ledger second, then the catalog.

    What waits is written when it is large or old enough, at most about _BATCH_ROWS at once: a longer range takes more writes, not
    more memory.
    """

    def __init__(self, collector: Collector, report: CollectReport) -> None:
        self.collector, self.report = collector, report
        self.healer = Healer(collector.lake)
        self._waiting: list[
            tuple[pl.DataFrame | None, pl.DataFrame]
        ] = []  # rows, and what the ledger says of them
        self._rows = 0
        self._stale = True  # the catalog, of what was written so far
        self._since = asyncio.get_running_loop().time()
        self._lock = asyncio.Lock()

    async def add(self, fetcher: Fetcher, market: Market, window: Window, got: Fetched) -> None:
        """Take one walked window; write the batch when it is large or old enough."""
        ask = Attempt.of(fetcher, market.symbol, "history", window)
        self._waiting.append((got.frame, _answered(ask, got, self.collector.now())))
        self._rows += got.frame.height
        self.report.windows += 1
        self.report.succeeded += 1
        self.report.pages += got.pages
        self.report.bytes += got.bytes
        while self._due():
            await self._flush(self._due)

    def note(self, ledger_row: pl.DataFrame) -> None:
        """Take a ledger row without rows of data."""
        self._waiting.append((None, ledger_row))

    async def snapshots(self, fetcher: Fetcher, rows: pl.DataFrame, got: Fetched) -> None:
        """Write a snapshot round at once."""
        async with self._lock:
            ledger_row = _answered(Attempt.of(fetcher, "*", "current"), got, self.collector.now())
            await asyncio.to_thread(self._write_snapshots, rows, ledger_row)
        self.report.snapshots += rows.height
        self.report.succeeded += 1
        self.report.pages += got.pages
        self.report.bytes += got.bytes

    def _write_snapshots(self, rows: pl.DataFrame, ledger_row: pl.DataFrame) -> None:
        lake = self.collector.lake
        if rows.height:
            lake.upsert("snapshots", rows)
        lake.upsert("fetches", ledger_row)
        self._stale = True

    def _due(self) -> bool:
        age = asyncio.get_running_loop().time() - self._since
        full = self._rows >= _BATCH_ROWS or len(self._waiting) >= _BATCH_JOBS
        return full or (age >= _BATCH_SECONDS and bool(self._waiting))

    async def close(self) -> None:
        """Write what is waiting, and the catalog where it does not show all."""
        while self._waiting:
            await self._flush(lambda: True)
        async with self._lock:
            if self._stale:
                await asyncio.to_thread(catalog.rebuild, self.collector.warehouse)

    async def _flush(self, wanted: Callable[[], bool]) -> None:
        """Write the oldest that wait, unless somebody else has done it meanwhile."""
        async with self._lock:
            if not wanted():
                return
            rows = count = 0
            while count < len(self._waiting) and rows < _BATCH_ROWS:
                frame = self._waiting[count][0]
                rows += 0 if frame is None else frame.height
                count += 1
            part, self._waiting = self._waiting[:count], self._waiting[count:]
            self._rows -= rows
            self._since = asyncio.get_running_loop().time()
            await asyncio.to_thread(self._write, part)

    def _write(self, part: list[tuple[pl.DataFrame | None, pl.DataFrame]]) -> None:
        lake = self.collector.lake
        frames = [frame for frame, _ in part if frame is not None]
        rows = pl.concat(row for _, row in part)
        if frames:
            found, hours = self.healer.healed(pl.concat(frames), rows)
            if found.height:
                done = lake.upsert("funding", found)
                self.report.inserted += done.inserted
                self.report.restated += done.restated
                self.report.unchanged += done.unchanged
            if hours.height:
                self.report.restated += lake.amend(hours).restated
        lake.upsert("fetches", rows)
        catalog.rebuild(self.collector.warehouse)
        self._stale = False


def _walks(fetcher: Fetcher, market: Market, left: Iterable[Window]) -> list[tuple[Market, Window]]:
    """What to walk of `market`, each in one go; a long span in pieces, so that it takes no more memory than a short one."""
    if fetcher.history is None:
        return []
    step = HOUR * (market.interval_hours or 1)
    return [(market, piece) for w in left for piece in pieces(fetcher.history.paging, w, step)]


def _answered(ask: Attempt, got: Fetched, now: datetime) -> pl.DataFrame:
    taken = ledger.Cost(got.pages, got.bytes, got.seconds, got.asked_at or now)
    return ledger.answered(ask, got.frame, taken)
