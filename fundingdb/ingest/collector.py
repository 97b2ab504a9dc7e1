"""Collects sources into a lake: lists of markets, snapshots, and the settled rates that the ledger lacks."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import FundingdbError, InternalError, RetryLater, UnknownName
from fundingdb.fetchers.registry import BUILT_IN
from fundingdb.ingest import guard, jobs, ledger
from fundingdb.ingest.batch import Batch, CollectReport
from fundingdb.ingest.ledger import Attempt
from fundingdb.ingest.listing import market_of, merged, select_markets, token_filter
from fundingdb.transport.backoff import SOURCE
from fundingdb.transport.walk import SourceReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from fundingdb.fetchers.contract import Fetcher, Market
    from fundingdb.ingest.jobs import Jobs
    from fundingdb.lake import Lake
    from fundingdb.transport.http import Engine
    from fundingdb.window import Window

__all__ = ["CollectReport", "Collector", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one exchange is: windows done, windows in all, rows received so far."""

    exchange: str
    done: int
    total: int
    rows: int


@dataclass(slots=True)
class Collector:
    """Collects sources into the lake of `warehouse`. `now` is the wall clock; `on` is called with each progress."""

    lake: Lake
    warehouse: Path
    engine: Engine
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    on: Callable[[Progress], None] = lambda _progress: None

    async def refresh_markets(self, fetcher: Fetcher, batch: Batch | None = None) -> dict[str, Market]:
        """The markets that the source lists, by symbol; they are stored in `markets`.

        A market that is listed no longer keeps its row, as delisted. A source without a list has that of another. The list
        of an aggregator is returned but not stored, since it spells the symbols of exchanges its own way; nor is that of a
        second source of an exchange whose own list says more. Rows that could not be read in full are reported to `batch`.
        """
        if fetcher.listed_by is not None:
            return await self.refresh_markets(fetcher.listed_by, batch)
        fetched = await SourceReader(fetcher, self.engine, guard.admitted).markets()
        if batch is not None:
            batch.leave_out(fetcher.source, fetched.left_out)
        rows = fetched.frame
        if fetcher.history is not None and (
            fetcher.source == fetcher.exchange or fetcher.exchange not in BUILT_IN
        ):
            stored = self.lake.scan("markets").filter(pl.col("exchange") == fetcher.exchange).collect()
            rows = merged(rows, stored, self.now(), fetched.left_out)
            self.lake.upsert("markets", rows)
            cost = ledger.Cost.of(fetched, self.now())
            row = ledger.succeeded(Attempt.of(fetcher, "*", "markets"), fetched.frame, cost)
            self.lake.upsert("fetches", row)
        return {row["symbol"]: market_of(row) for row in rows.iter_rows(named=True)}

    async def backfill(
        self,
        fetchers: Sequence[Fetcher],
        window: Window,
        tokens: Sequence[str] | None = None,
        *,
        again: bool = False,
    ) -> CollectReport:
        """Fetch the settled rates of `tokens` (None: all markets) in `window` that the lake does not have yet.

        again: request the whole window, whatever the ledger has.
        Failures of single markets or sources are in the report and in the ledger. Raises UnknownName for a token that no
        source lists, before any history is requested.
        """
        async with Batch(self.lake, self.now) as batch:
            listed = await self._list(fetchers, batch)
            chosen = select_markets({f.exchange: m for f, m in listed}, tokens)
            wanted = []
            for f, _ in listed:
                complete = self._state(f, batch).complete
                todo = jobs.of_range(f, chosen[f.exchange], window, {} if again else complete, self.now())
                wanted.append((f, todo))
            await asyncio.gather(*(self._work(f, todo, batch) for f, todo in wanted))
        return batch.report

    async def round(
        self,
        fetchers: Sequence[Fetcher],
        exchanges: Sequence[str] | None = None,
        tokens: Sequence[str] | None = None,
    ) -> CollectReport:
        """One round of collecting: a snapshot of every source, then its settled rows that have come due since the last run.

        Gaps that earlier runs left are filled too. A source that is down is in the report and delays no other.
        """
        async with Batch(self.lake, self.now) as batch:
            await asyncio.gather(*(self._round(f, exchanges, tokens, batch) for f in fetchers))
        return batch.report

    async def _round(
        self, fetcher: Fetcher, exchanges: Sequence[str] | None, tokens: Sequence[str] | None, batch: Batch
    ) -> None:
        attempt = Attempt.of(fetcher, "*", "current")
        try:
            with own_faults(attempt):
                markets = await self.refresh_markets(fetcher, batch) if fetcher.history else {}
                fetched = await SourceReader(fetcher, self.engine, guard.admitted).current(markets)
        except FundingdbError as error:
            batch.fail(attempt, error)
            return
        rows = fetched.frame
        if exchanges is not None:
            rows = rows.filter(pl.col("exchange").is_in(exchanges))
        if tokens is not None:
            rows = rows.filter(token_filter(tokens))
        await batch.snapshots(attempt, rows, fetched)
        if fetcher.history is None:
            return
        try:
            chosen = select_markets({fetcher.exchange: markets}, tokens)[fetcher.exchange]
        except UnknownName as error:
            batch.fail(attempt, error)
            return
        collected = {"active", "reduce_only"} if tokens is None else {"active", "reduce_only", "unknown"}
        trading = [m for m in chosen if m.status in collected]
        state = self._state(fetcher, batch)
        todo = jobs.since_last_run(fetcher, trading, state.spared, state.begins, self.now())
        await self._work(fetcher, todo, batch)

    async def _list(
        self, fetchers: Sequence[Fetcher], batch: Batch
    ) -> list[tuple[Fetcher, dict[str, Market]]]:
        """The markets of each source that can be listed; the others are failures of the batch."""
        results = await asyncio.gather(*(self._listed(f, batch) for f in fetchers), return_exceptions=True)
        listed = []
        for fetcher, markets in zip(fetchers, results, strict=True):
            if isinstance(markets, FundingdbError):
                batch.fail(Attempt.of(fetcher, "*", "markets"), markets)
            elif isinstance(markets, BaseException):
                raise markets
            else:
                listed.append((fetcher, markets))
        return listed

    async def _listed(self, fetcher: Fetcher, batch: Batch) -> dict[str, Market]:
        with own_faults(Attempt.of(fetcher, "*", "markets")):
            return await self.refresh_markets(fetcher, batch)

    def _state(self, fetcher: Fetcher, batch: Batch) -> _LedgerState:
        """What the ledger has of the history of a source."""
        mine = (pl.col("exchange") == fetcher.exchange) & (pl.col("source") == fetcher.source)
        fetches = self.lake.scan("fetches").filter(mine).collect()
        complete = ledger.covered(fetches)
        batch.healer.learn(fetcher.exchange, fetcher.source, complete)
        spared = dict(complete)
        for symbol, windows in ledger.resting(fetches, self.now()).items():
            spared[symbol] = ledger.joined([*complete.get(symbol, ()), *windows])
        return _LedgerState(complete, spared, ledger.begins(fetches))

    async def _work(self, fetcher: Fetcher, todo: Jobs, batch: Batch) -> None:
        """Fetch all windows, with as many workers as the budget's concurrency allows."""
        batch.report.covered += todo.covered
        state = _State(len(todo.walks))
        queue = iter(todo.walks)
        reader = SourceReader(fetcher, self.engine, guard.admitted)

        async def work() -> None:
            for market, window in queue:
                if SOURCE.gives_up(state.silent):
                    return
                attempt = Attempt.of(fetcher, market.symbol, "history", window)
                try:
                    with own_faults(attempt):
                        fetched = await reader.history(market, window)
                except FundingdbError as error:
                    state.silent += isinstance(error, RetryLater)
                    batch.fail(attempt, error)
                else:
                    state.silent = 0
                    state.rows += fetched.frame.height
                    await batch.add(attempt, fetched)
                state.done += 1
                self.on(Progress(fetcher.exchange, state.done, state.total, state.rows))

        self.on(Progress(fetcher.exchange, 0, state.total, 0))
        await asyncio.gather(*(work() for _ in range(min(fetcher.budget.concurrent, state.total))))
        if state.done < state.total:
            batch.report.not_asked[fetcher.exchange] = state.total - state.done


@contextmanager
def own_faults(attempt: Attempt) -> Iterator[None]:
    """Any error that is not one of fundingdb's becomes InternalError, of this attempt alone; MemoryError passes."""
    try:
        yield
    except (FundingdbError, MemoryError):
        raise
    except Exception as error:
        where = f"{attempt.exchange} {attempt.endpoint} {attempt.symbol}"
        problem = f"{where}: an error of fundingdb itself ({type(error).__name__}); its report is in warehouse/quarantine"
        raise InternalError(f"{problem}/{attempt.exchange}: please send it to the developers") from error


@dataclass(frozen=True, slots=True)
class _LedgerState:
    """By symbol: the complete windows, those that a round does not request, the start of the first window with a response."""

    complete: Mapping[str, Sequence[Window]]
    spared: Mapping[str, Sequence[Window]]
    begins: Mapping[str, datetime]


@dataclass(slots=True)
class _State:
    total: int
    done: int = 0
    rows: int = 0
    silent: int = 0  # requests in a row that the source did not answer
