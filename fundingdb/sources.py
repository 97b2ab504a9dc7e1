"""The public face over the fetchers: ask a source from Python, collect from any source, keep what was got.

All frames are Polars frames with the columns of `fundingdb.schema`: rates are fractions per `interval_hours`, positive when
longs pay shorts; times are UTC.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import polars as pl

from fundingdb.catalog import catalog
from fundingdb.errors import BadCall, FundingdbError, UnknownName
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest import guard
from fundingdb.ingest.collector import Collector
from fundingdb.ingest.intervals import observed
from fundingdb.ingest.ledger import due
from fundingdb.ingest.listing import market_of, select_markets, select_rows, token_filter
from fundingdb.lake import Lake, Upserted
from fundingdb.schema import FUNDING, SNAPSHOTS
from fundingdb.settings import default_warehouse
from fundingdb.transport.http import Engine
from fundingdb.transport.schedule import Schedule, run_rounds
from fundingdb.transport.walk import SourceReader
from fundingdb.window import Window, floor_hour, instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from fundingdb.fetchers.contract import Fetcher, Market
    from fundingdb.ingest.collector import CollectReport


class BaseFundingDataSource:
    """One source of funding rates; start it, or use it as an async context manager.

    Every call raises RetryLater, Refused or BadPayload when the source can't be read; a failure is never an empty frame.
    """

    name: ClassVar[str] = ""

    def __init__(self, *, env: dict[str, str] | None = None) -> None:
        self.fetcher: Fetcher = fetcher(self.name)
        self._env = {**os.environ, **(env or {})}
        self._engine: Engine | None = None
        self._markets: dict[str, Market] | None = None

    async def start(self) -> None:
        """Open the connections; a second call does nothing."""
        if self._engine is None:
            self._engine = await Engine(env=self._env).__aenter__()

    async def stop(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def engine(self) -> Engine:
        """The open engine; raises BadCall before `start`."""
        if self._engine is None:
            raise BadCall(f"{self.name}: call 'await source.start()' first, or use 'async with'")
        return self._engine

    async def get_available_markets(self) -> pl.DataFrame:
        """What the source lists: MARKETS rows, delisted ones included."""
        frame = (await SourceReader(self.fetcher, self.engine, guard.admitted).markets()).frame
        self._markets = {row["symbol"]: market_of(row) for row in frame.iter_rows(named=True)}
        return frame

    async def get_funding_rates(
        self, exchange: str | None = None, tokens: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The predicted rates of now: SNAPSHOTS rows of `exchange` (None: all that the source knows) and `tokens` (None: all).

        Raises UnknownName for an exchange the source does not cover and for a token it does not show.
        """
        return await self.get_funding_rates_multi_exchange(None if exchange is None else [exchange], tokens)

    async def get_funding_rates_multi_exchange(
        self, exchanges: Sequence[str] | None, tokens: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """As `get_funding_rates`, for several exchanges at one moment."""
        markets = {} if self.fetcher.history is None else await self._known()
        frame = (await SourceReader(self.fetcher, self.engine, guard.admitted).current(markets)).frame
        covered = frame["exchange"].unique().to_list() or [self.name]
        for exchange in exchanges or []:
            if exchange not in covered:
                raise UnknownName("exchange", exchange, covered, f"(source: {self.name})")
        if exchanges is not None:
            frame = frame.filter(pl.col("exchange").is_in(list(exchanges)))
        if tokens is None:
            return frame
        return select_rows(frame, tokens)

    async def get_historical_funding_rates(
        self, token: str, start: float | str | datetime, end: float | str | datetime | None = None
    ) -> pl.DataFrame:
        """Settled rates of `token` (base or symbol) with start <= funding_time < end: FUNDING rows in order of time.

        `end` defaults to the last settlement surely published. Intervals that the source does not tell are found where their
        neighbours show them (`fundingdb.ingest.intervals`), so never for the first row. Empty means that the source proved it has
        none. Raises BadCall for a source without history, UnknownName, BadWindow.
        """
        return await self._history(
            [token], instant(start, "start"), None if end is None else instant(end, "end")
        )

    async def bulk_download_historical(
        self,
        tokens: Sequence[str],
        days: float = 90,
        end: float | str | datetime | None = None,
        warehouse: Path | str | None = None,
    ) -> pl.DataFrame:
        """Settled rates of many tokens over the last `days`: FUNDING rows ordered by symbol and time.

        With `warehouse` they are brought into that lake (asking only for what it lacks) and read from it; without, nothing is
        stored. Raises the first error of a market; what was finished before it is kept.
        """
        stop = due(datetime.now(UTC), self.fetcher.settle_delay) if end is None else instant(end, "end")
        window = Window(floor_hour(stop - timedelta(days=days)), stop)
        if warehouse is None:
            return await self._history(tokens, window.start, window.stop)
        home = Path(warehouse)
        lake = Lake(home)
        report = await Collector(lake, home, self.engine).backfill([self.fetcher], window, tokens)
        _raise_first(report)
        mine = (
            pl.col("exchange").eq(self.name)
            & pl.col("source").eq(self.name)
            & pl.col("funding_time").is_between(window.start, window.stop, closed="left")
        )
        rows = lake.scan("funding").filter(mine).collect()
        return rows.filter(token_filter(tokens)).sort("symbol", "funding_time")

    @staticmethod
    def calculate_spreads(rates: pl.DataFrame) -> pl.DataFrame:
        """Every pair of exchanges for each asset in `rates` (SNAPSHOTS or FUNDING rows of one moment), widest first.

        Columns asset_class, base, long_exchange, short_exchange, long_rate_1h, short_rate_1h, spread_1h: fractions per hour;
        long the lower rate, short the higher, so never negative. Rows with an unknown rate or interval take no part.
        """
        known = rates.drop_nulls(["funding_rate", "interval_hours"]).select(
            "asset_class",
            "base",
            "exchange",
            "symbol",
            rate_1h=pl.col("funding_rate") / pl.col("interval_hours"),
        )
        pairs = known.join(known, on=["asset_class", "base"], suffix="_short").filter(
            (pl.col("exchange") != pl.col("exchange_short"))
            & (
                (pl.col("rate_1h") < pl.col("rate_1h_short"))
                | (
                    (pl.col("rate_1h") == pl.col("rate_1h_short"))
                    & (pl.col("exchange") < pl.col("exchange_short"))
                )
            )
        )
        return pairs.select(
            "asset_class",
            "base",
            long_exchange="exchange",
            long_symbol="symbol",
            short_exchange="exchange_short",
            short_symbol="symbol_short",
            long_rate_1h="rate_1h",
            short_rate_1h="rate_1h_short",
            spread_1h=pl.col("rate_1h_short") - pl.col("rate_1h"),
        ).sort("spread_1h", "base", descending=[True, False])

    async def _known(self) -> dict[str, Market]:
        if self._markets is None:
            await self.get_available_markets()
        return self._markets or {}

    async def _history(self, tokens: Sequence[str], start: datetime, end: datetime | None) -> pl.DataFrame:
        if self.fetcher.history is None:
            raise BadCall(f"{self.name} has no funding history: collect its snapshots instead")
        newest = due(datetime.now(UTC), self.fetcher.settle_delay)
        window = Window(start, newest if end is None else min(end, newest))
        markets = select_markets({self.name: await self._known()}, tokens)[self.name]
        source = SourceReader(self.fetcher, self.engine, guard.admitted)
        got = await asyncio.gather(*(source.history(m, window) for m in markets))
        frames = [observed(g.frame) for g in got]
        return pl.concat([FUNDING.empty(), *frames]).sort("symbol", "funding_time")


class ExtendedFundingDataSource(BaseFundingDataSource):
    """Extended: hourly, settled history since the listing of each market."""

    name = "extended"


class LighterFundingDataSource(BaseFundingDataSource):
    """Lighter: hourly, settled history since January 2025."""

    name = "lighter"


class HyperliquidFundingDataSource(BaseFundingDataSource):
    """Hyperliquid and its builder dexes: hourly, settled history since the listing of each market."""

    name = "hyperliquid"


class CoinGeckoFundingDataSource(BaseFundingDataSource):
    """CoinGecko: coarse snapshots of many exchanges, no history."""

    name = "coingecko"

    def __init__(
        self, api_key: str | None = None, *, plan: str | None = None, env: dict[str, str] | None = None
    ) -> None:
        """`api_key` and `plan` (demo or pro) stand for COINGECKO_API_KEY and COINGECKO_PLAN."""
        given = {"COINGECKO_API_KEY": api_key, "COINGECKO_PLAN": plan}
        super().__init__(env={**(env or {}), **{k: v for k, v in given.items() if v is not None}})


class FundingRateCollector:
    """Collects from any one source into a lake: snapshots, and settled rates where the source has them.

    `exchanges` and `tokens` narrow what is kept (None: all). `warehouse` is the folder of the lake (None: the default one).
    """

    def __init__(
        self,
        data_source: BaseFundingDataSource,
        exchanges: Sequence[str] | None = None,
        tokens: Sequence[str] | None = None,
        warehouse: Path | str | None = None,
    ) -> None:
        self.data_source = data_source
        self.exchanges = None if exchanges is None else list(exchanges)
        self.tokens = None if tokens is None else list(tokens)
        self.warehouse = default_warehouse() if warehouse is None else Path(warehouse)
        self.lake = Lake(self.warehouse)
        self._stop = asyncio.Event()

    async def collect_single_snapshot(self) -> pl.DataFrame:
        """The predicted rates of now, not stored: SNAPSHOTS rows."""
        exchanges = self.exchanges
        if exchanges is None:
            return await self.data_source.get_funding_rates(tokens=self.tokens)
        return await self.data_source.get_funding_rates_multi_exchange(exchanges, self.tokens)

    def save_snapshot(self, snapshot: pl.DataFrame) -> Upserted:
        """Keep a snapshot; the same one twice is kept once.

        Raises SchemaError for a frame that is no snapshot, or not one of this collector's source.
        """
        rows = guard.checked(self.data_source.fetcher, SNAPSHOTS, snapshot)
        saved = self.lake.upsert(SNAPSHOTS.name, rows)
        catalog.rebuild(self.warehouse)
        return saved

    async def start_collection(
        self,
        duration_hours: float | None = None,
        interval_minutes: float = 60,
        max_snapshots: int | None = None,
    ) -> list[CollectReport]:
        """Collect round by round until `duration_hours` or `max_snapshots` or `stop_collection`; give each round's report.

        The first round starts at once, the next ones on full multiples of `interval_minutes`. A round during which the source
        is down has its failures in its report; the next round fills what it missed.
        """
        if interval_minutes <= 0:
            raise BadCall(f"interval_minutes={interval_minutes}: must be above 0")
        span = None if duration_hours is None else timedelta(hours=duration_hours)
        schedule = Schedule(timedelta(minutes=interval_minutes), span, max_snapshots)
        collector = Collector(self.lake, self.warehouse, self.data_source.engine)
        self._stop.clear()
        reports = []

        async def one() -> CollectReport:
            return await collector.round([self.data_source.fetcher], self.exchanges, self.tokens)

        async for _, report in run_rounds(one, schedule, sleep=self._wait, stopped=self._stop.is_set):
            reports.append(report)
        return reports

    def stop_collection(self) -> None:
        """End the collection after the round in progress."""
        self._stop.set()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def _raise_first(report: CollectReport) -> None:
    if report.failures:
        first = report.failures[0]
        error: FundingdbError = first.error
        error.add_note(
            f"{first.exchange} {first.symbol}: one of {len(report.failures)} failures; repeat to do the rest"
        )
        raise error
