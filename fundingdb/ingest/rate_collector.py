"""FundingRateCollector: any source by one parameter, round by round into a lake."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from fundingdb.errors import BadCall, UnknownName
from fundingdb.ingest.collector import Collector, CollectReport
from fundingdb.ingest.names import exchange_names, names
from fundingdb.ingest.saving import save
from fundingdb.lake import Lake, Upserted
from fundingdb.settings import default_warehouse
from fundingdb.transport.schedule import Schedule, run_rounds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import TracebackType

    import polars as pl

    from fundingdb.fetchers.contract import Fetcher
    from fundingdb.ingest.names import Names
    from fundingdb.transport.http import Engine


class DataSource(Protocol):
    """What the collector needs of a source: `fundingdb.sources.BaseFundingDataSource` has it."""

    name: str
    fetcher: Fetcher

    @property
    def started(self) -> bool:
        """Whether the connections are open."""
        ...

    @property
    def engine(self) -> Engine:
        """The open engine."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def get_funding_rates_multi_exchange(
        self, exchanges: Names | None, tokens: Names | None = None
    ) -> pl.DataFrame:
        """SNAPSHOTS rows of now."""
        ...


class FundingRateCollector:
    """Collects from any one source into a lake: snapshots, and settled rates where the source has them.

    `exchanges` and `tokens` limit what is kept (None: all). `storage_path`, also called `warehouse`, is the folder of the lake
    (None: FUNDINGDB_WAREHOUSE, else ./warehouse). A source that is not started is started for each call and stopped after it.
    `now` and `sleep` are the clock of the schedule.
    """

    def __init__(
        self,
        data_source: DataSource,
        exchanges: Names | None = None,
        tokens: Names | None = None,
        storage_path: Path | str | None = None,
        *,
        warehouse: Path | str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if storage_path is not None and warehouse is not None:
            raise BadCall("storage_path and warehouse are the same folder under two names: give one")
        self.data_source = data_source
        self.exchanges, self.tokens = exchange_names(exchanges), names("tokens", tokens)
        folder = warehouse if storage_path is None else storage_path
        self.warehouse = default_warehouse() if folder is None else Path(folder)
        self.lake = Lake(self.warehouse)
        self._now, self._sleep = now, sleep
        self._stop = asyncio.Event()

    async def collect_single_snapshot(self) -> pl.DataFrame:
        """The predicted rates of now, not stored: SNAPSHOTS rows."""
        async with self._started() as open_source:
            return await open_source.get_funding_rates_multi_exchange(self.exchanges, self.tokens)

    def save_snapshot(self, snapshot: pl.DataFrame, append: bool = True) -> Upserted:
        """Save a frame: settled rates (column funding_time) in table `funding`, predicted ones (observed_at) in `snapshots`.

        With `append` new rows are added, rows that differ replaced and equal ones left alone, so that a repeat changes nothing;
        `append=False` raises BadCall when the lake already has rows of one of the markets inside the frame's span. Raises
        SchemaError for rows that do not fit the table or are of another source, BadCall for a frame of neither.
        """
        return save(self.lake, self.data_source.fetcher, snapshot, append=append)

    async def start_collection(
        self,
        duration_hours: float | None = None,
        interval_minutes: float = 60,
        max_snapshots: int | None = None,
    ) -> list[CollectReport]:
        """Collect round by round until `duration_hours`, `max_snapshots` or `stop_collection`; the report of each round.

        The first round starts at once, the next ones on full multiples of `interval_minutes`. A round during which the source
        is down has its failures in its report; the next round fetches what it missed. Raises UnknownName and other BadCall
        after the first round, where no later one can succeed.
        """
        if interval_minutes <= 0:
            raise BadCall(f"interval_minutes={interval_minutes}: must be above 0")
        span = None if duration_hours is None else timedelta(hours=duration_hours)
        schedule = Schedule(timedelta(minutes=interval_minutes), span, max_snapshots)
        self._stop.clear()
        reports: list[CollectReport] = []
        async with self._started() as open_source:
            self._refuse_uncovered(open_source)
            collector = Collector(self.lake, self.warehouse, open_source.engine)

            async def one() -> CollectReport:
                return await collector.round([open_source.fetcher], self.exchanges, self.tokens)

            rounds = run_rounds(one, schedule, now=self._now, sleep=self._wait, stopped=self._stop.is_set)
            async for _, report in rounds:
                if not reports:
                    self._refuse_hopeless(report)
                reports.append(report)
        return reports

    def stop_collection(self) -> None:
        """End the collection after the round in progress."""
        self._stop.set()

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[DataSource]:
        """The source, started if it was not, and then stopped at the end."""
        if self.data_source.started:
            yield self.data_source
        else:
            async with self.data_source as open_source:
                yield open_source

    def _refuse_uncovered(self, one: DataSource) -> None:
        for exchange in self.exchanges or []:
            if one.fetcher.history is not None and exchange != one.name:
                raise UnknownName("exchange", exchange, [one.name], f"(source: {one.name})")

    def _refuse_hopeless(self, report: CollectReport) -> None:
        for failure in report.failures:
            if isinstance(failure.error, BadCall):
                raise failure.error
        if not report.failures and not report.snapshots and (self.exchanges or self.tokens):
            kept = ", ".join([*(self.exchanges or []), *(self.tokens or [])])
            raise BadCall(f"{self.data_source.name} has no rate of {kept}: see its get_funding_rates()")

    async def _wait(self, seconds: float) -> None:
        """Sleep, or wake when the collection is stopped."""
        naps = [asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._stop.wait())]
        try:
            done, _ = await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for nap in naps:
                nap.cancel()
        for nap in done:
            nap.result()
