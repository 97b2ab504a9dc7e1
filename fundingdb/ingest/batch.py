"""Writes what was fetched into the lake in batches: rows first, the ledger second, then the catalog."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import polars as pl

from fundingdb.catalog import catalog
from fundingdb.errors import BadPayload, ClockWrong, InternalError
from fundingdb.ingest import guard, held, ledger
from fundingdb.ingest.healing import Healer
from fundingdb.ingest.listing import reasons
from fundingdb.ingest.quarantine import keep, keep_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from fundingdb.errors import FundingdbError
    from fundingdb.fetchers.contract import LeftOut
    from fundingdb.ingest.ledger import Attempt
    from fundingdb.lake import Lake
    from fundingdb.transport.walk import Fetched
    from fundingdb.window import Window

_ROWS = 100_000
_WINDOWS = 256
_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A window of one market (symbol `*`: a whole source) that could not be fetched, and why."""

    exchange: str
    symbol: str
    window: Window | None
    error: FundingdbError


@dataclass(slots=True)
class CollectReport:
    """The result of a backfill or a round of collecting.

    inserted, restated, unchanged: rows of `funding`; snapshots: rows of `snapshots`. windows: those requested with
    success; covered: markets of which nothing was missing; succeeded: windows and sweeps. verdicts: of the gate, a frame a write
    (continuity.VERDICTS); unbounded: predicted rates beyond the bound of their exchange, stored as null; left_out: rows of lists
    and current rates that could not be read in full.
    """

    inserted: int = 0
    restated: int = 0
    unchanged: int = 0
    windows: int = 0
    covered: int = 0
    pages: int = 0
    bytes: int = 0
    snapshots: int = 0
    failures: list[Failure] = field(default_factory=list)
    not_asked: dict[str, int] = field(default_factory=dict)  # exchange -> windows left when it went silent
    succeeded: int = 0
    verdicts: list[pl.DataFrame] = field(default_factory=list)
    unbounded: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)  # source -> reasons, each with its count

    @property
    def exit_code(self) -> int:
        """0: all done; 3: partly, or rows are held; 1: nothing could be fetched."""
        if not self.failures:
            return 3 if any(held.holds(v) for v in self.verdicts) else 0
        return 3 if self.succeeded or self.covered else 1


class Batch:
    """Fetched windows on their way into the lake; use it inside `async with`, which writes the rest and the catalog.

    A crash between rows and ledger costs a repeated request, never a gap. Windows wait until there are many rows or
    windows, or for a short time: a longer range takes more writes, not more memory.
    """

    def __init__(self, lake: Lake, now: Callable[[], datetime]) -> None:
        self.report = CollectReport()
        self.healer = Healer(lake)
        self._lake, self._now = lake, now
        # rows of data, where there are any, and the ledger row
        self._waiting: list[tuple[pl.DataFrame | None, pl.DataFrame]] = []
        self._rows = 0
        self._stale = True  # whether the catalog lacks something that was written
        self._since = asyncio.get_running_loop().time()
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        while self._waiting:
            await self._flush(lambda: True)
        async with self._lock:
            if self._stale:
                await asyncio.to_thread(catalog.rebuild, self._lake.warehouse)

    async def add(self, attempt: Attempt, fetched: Fetched) -> None:
        """Take the rows of one window; write when enough are waiting."""
        self._waiting.append((fetched.frame, self._ledger_row(attempt, fetched)))
        self._rows += fetched.frame.height
        self.report.windows += 1
        self._count(fetched)
        while self._due():
            await self._flush(self._due)

    async def snapshots(self, attempt: Attempt, rows: pl.DataFrame, fetched: Fetched) -> None:
        """Write at once `rows`, those wanted of one sweep."""
        async with self._lock:
            await asyncio.to_thread(self._write_snapshots, rows, self._ledger_row(attempt, fetched))
        self.report.snapshots += rows.height
        self.leave_out(attempt.source, fetched.left_out)
        self._count(fetched)

    def leave_out(self, source: str, left_out: Sequence[LeftOut]) -> None:
        """Report the rows of a list or of current rates that could not be read in full."""
        if left_out:
            self.report.left_out.setdefault(source, []).extend(reasons(left_out))

    def fail(self, attempt: Attempt, error: FundingdbError) -> None:
        """Take a failure: into the report, into the ledger, and a refused response or an internal error into quarantine.

        Raises ClockWrong: no market can be collected by a wrong clock, so the run ends.
        """
        if isinstance(error, ClockWrong):
            raise error
        if isinstance(error, InternalError):
            keep_trace(self._lake.warehouse, attempt, error, self._now())
        self.report.failures.append(Failure(attempt.exchange, attempt.symbol, attempt.window, error))
        if isinstance(error, BadPayload) and error.body:
            keep(self._lake.warehouse, attempt, error, self._now())
        self._waiting.append((None, ledger.failed(attempt, error, self._now())))

    def _ledger_row(self, attempt: Attempt, fetched: Fetched) -> pl.DataFrame:
        if attempt.window:
            return ledger.walked(attempt, attempt.window, fetched, self._now())
        return ledger.succeeded(attempt, fetched.frame, ledger.Cost.of(fetched, self._now()))

    def _count(self, fetched: Fetched) -> None:
        self.report.succeeded += 1
        self.report.pages += fetched.pages
        self.report.bytes += fetched.bytes

    def _due(self) -> bool:
        age = asyncio.get_running_loop().time() - self._since
        full = self._rows >= _ROWS or len(self._waiting) >= _WINDOWS
        return full or (age >= _SECONDS and bool(self._waiting))

    async def _flush(self, wanted: Callable[[], bool]) -> None:
        """Write the oldest that wait, unless another task has done so meanwhile."""
        async with self._lock:
            if not wanted():
                return
            rows = count = 0
            while count < len(self._waiting) and rows < _ROWS:
                frame = self._waiting[count][0]
                rows += 0 if frame is None else frame.height
                count += 1
            part, self._waiting = self._waiting[:count], self._waiting[count:]
            self._rows -= rows
            self._since = asyncio.get_running_loop().time()
            await asyncio.to_thread(self._write, part)

    def _write(self, part: list[tuple[pl.DataFrame | None, pl.DataFrame]]) -> None:
        frames = [frame for frame, _ in part if frame is not None]
        ledger_rows = pl.concat(row for _, row in part)
        if frames:
            rows, hours = self.healer.healed(pl.concat(frames), ledger_rows)
            rows, verdicts = held.examined(self._lake, rows, self._now())
            self.report.verdicts.append(verdicts)
            if rows.height:
                done = self._lake.upsert("funding", rows)
                self.report.inserted += done.inserted
                self.report.restated += done.restated
                self.report.unchanged += done.unchanged
            if hours.height:
                self.report.restated += self._lake.amend(hours).restated
        self._lake.upsert("fetches", ledger_rows)
        catalog.rebuild(self._lake.warehouse)
        self._stale = False

    def _write_snapshots(self, rows: pl.DataFrame, ledger_row: pl.DataFrame) -> None:
        if rows.height:
            shown = guard.bounded(rows)
            self.report.unbounded += shown["funding_rate"].null_count() - rows["funding_rate"].null_count()
            self._lake.upsert("snapshots", shown)
        self._lake.upsert("fetches", ledger_row)
        self._stale = True
