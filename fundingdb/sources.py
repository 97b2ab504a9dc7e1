"""The Python interface: read rates from any exchange or aggregator, collect them on a schedule, save frames in the lake.

All frames are Polars frames with the columns of `fundingdb.schema`: rates are fractions of notional per `interval_hours`,
positive when longs pay shorts; times are UTC.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeVar

import polars as pl

from fundingdb.errors import BadCall, BadWindow, FundingdbError, UnknownName
from fundingdb.fetchers.registry import archive, fetcher
from fundingdb.ingest import guard
from fundingdb.ingest.collector import Collector
from fundingdb.ingest.downloads import LOG, Downloads, MarketDownload, chosen
from fundingdb.ingest.intervals import observed
from fundingdb.ingest.ledger import due
from fundingdb.ingest.listing import market_of, reasons, select_markets, select_rows
from fundingdb.ingest.names import exchange_names, names
from fundingdb.ingest.rate_collector import FundingRateCollector
from fundingdb.lake import Lake
from fundingdb.provider.spreads import spreads
from fundingdb.schema import FUNDING
from fundingdb.transport.http import USER_AGENT, Engine
from fundingdb.transport.paging import requestable
from fundingdb.transport.walk import SourceReader
from fundingdb.window import Window, floor_hour, instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from fundingdb.fetchers.contract import Fetcher, Market
    from fundingdb.ingest.names import Names
    from fundingdb.transport.walk import Fetched

    Instant = float | str | datetime

__all__ = [
    "BaseFundingDataSource",
    "CoinGeckoFundingDataSource",
    "ExtendedFundingDataSource",
    "FundingRateCollector",
    "HyperliquidFundingDataSource",
    "LighterFundingDataSource",
    "MarketDownload",
    "source",
]
T = TypeVar("T")
_TRADING = ("active", "reduce_only")


def _rows(fetched: Fetched) -> pl.DataFrame:
    """The rows; what was left out of them becomes a Python warning, one a reason."""
    for line in reasons(fetched.left_out):
        warnings.warn(line, stacklevel=4)
    return fetched.frame


class BaseFundingDataSource:
    """One source of funding rates; start it, or use it as an async context manager, inside one event loop.

    `user_agent` replaces the header of that name. `env` adds to the environment (FUNDINGDB_<EXCHANGE>_URL, keys). An argument
    that a source does not use is refused with BadCall. Names of exchanges and tokens are accepted in any case, symbols as the
    exchange writes them; one name may be given as text. Requests of one source share its budget, however many run at once.
    Every call raises RetryLater, Refused or BadPayload when the source can't be read; a failure is never an empty frame.
    """

    name: str = ""
    key_variable: str | None = None  # the environment variable of its API key, where it has one

    def __init__(
        self,
        api_key: str | None = None,
        user_agent: str | None = None,
        *,
        env: dict[str, str] | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.fetcher: Fetcher = _fetcher(self.name) if fetcher is None else fetcher
        self.name = self.fetcher.exchange
        self._env = {**os.environ, **(env or {})}
        if api_key is not None:
            if self.key_variable is None:
                raise BadCall(f"{self.name} uses no API key, its funding rates are public: leave out api_key")
            self._env[self.key_variable] = api_key
        if user_agent is not None and self.fetcher.call is not None:
            raise BadCall(f"{self.name} through ccxt uses no user_agent, ccxt sends its own: leave it out")
        self._user_agent = USER_AGENT if user_agent is None else user_agent
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._markets: dict[str, Market] | None = None

    async def start(self) -> None:
        """Open the connections; a second call does nothing."""
        if self._engine is None:
            self._engine = await Engine(env=self._env, user_agent=self._user_agent).__aenter__()
            self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """Close the connections; a second call does nothing. The source can be started again, in another event loop too."""
        if self._engine is not None:
            engine, self._engine, self._loop = self._engine, None, None
            await engine.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def started(self) -> bool:
        """Whether the connections are open."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The open engine; raises BadCall before `start`, and in another event loop than the one of `start`."""
        if self._engine is None:
            raise BadCall(f"{self.name}: call 'await source.start()' first, or use 'async with'")
        if self._loop not in (None, asyncio.get_running_loop()):
            raise BadCall(
                f"{self.name}: started in another event loop; start and use it in one asyncio.run(...)"
            )
        return self._engine

    async def markets(self) -> pl.DataFrame:
        """All perpetuals that the source lists: MARKETS rows, delisted ones included."""
        lister = self.fetcher.listed_by or self.fetcher
        frame = _rows(await SourceReader(lister, self.engine, guard.admitted).markets())
        self._markets = {row["symbol"]: market_of(row) for row in frame.iter_rows(named=True)}
        return frame

    async def get_available_markets(self) -> list[str]:
        """The symbols that trade now, as the exchange writes them, sorted; `markets()` has the facts of each."""
        frame = await self.markets()
        return frame.filter(pl.col("status").is_in(_TRADING))["symbol"].unique().sort().to_list()

    async def get_funding_rates(
        self, exchange: str | None = None, tokens: Names | None = None
    ) -> pl.DataFrame:
        """The predicted rates of now: SNAPSHOTS rows of `exchange` (None: all that the source covers) and `tokens` (None: all).

        Raises UnknownName for an exchange or a token without a row, BadCall for a source without rates of now (an archive).
        """
        return await self.get_funding_rates_multi_exchange(None if exchange is None else [exchange], tokens)

    async def get_funding_rates_multi_exchange(
        self, exchanges: Names | None, tokens: Names | None = None
    ) -> pl.DataFrame:
        """As `get_funding_rates`, for several exchanges at one moment."""
        wanted, tokens = exchange_names(exchanges), names("tokens", tokens)
        listed = {} if self.fetcher.history is None else await self._listed()
        if not self.fetcher.current.requests(list(listed.values())):
            raise BadCall(
                f"{self.fetcher.source} has no rates of now for {self.name}: read its history instead"
            )
        frame = _rows(await SourceReader(self.fetcher, self.engine, guard.admitted).current(listed))
        covered = frame["exchange"].unique().to_list() or [self.name]
        for exchange in wanted or []:
            if exchange not in covered:
                raise UnknownName("exchange", exchange, covered, f"(source: {self.name})")
        if wanted is not None:
            frame = frame.filter(pl.col("exchange").is_in(wanted))
        return frame if tokens is None else select_rows(frame, tokens)

    async def get_historical_funding_rates(
        self,
        market: str | None = None,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        limit: int | None = 10_000,
        *,
        token: str | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
    ) -> pl.DataFrame:
        """Settled rates with start_time <= funding_time < end_time of `market` (a symbol such as KAITO-USD, or a token).

        FUNDING rows by symbol and time, at most `limit`, the newest kept (None: all; a cut is logged). Times are Unix seconds,
        aware datetimes or ISO text; without `end_time`, up to the newest settlement that is surely published. An interval that
        the source does not publish is filled in where neighbouring rows prove it (`fundingdb.ingest.intervals`), so never on
        the first row. Empty: the source proved that it has none. `token`, `start`, `end`: older names of the same arguments.
        Raises BadCall for a source without history and a missing argument, UnknownName, BadWindow.
        """
        name = _one_of("market", market, "token", token)
        begin = _one_of("start_time", start_time, "start", start)
        stop = end_time if end is None else _one_of("end_time", end_time, "end", end)
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise BadCall(f"limit={limit!r}: give a number of rows from 1 up, or None for all")
        window = self._window(
            instant(begin, "start_time"), None if stop is None else instant(stop, "end_time")
        )
        listed = {self.name: await self._listed()}
        frames = await asyncio.gather(
            *(self._history(m, window) for m in select_markets(listed, [name])[self.name])
        )
        rows = pl.concat([FUNDING.empty(), *frames]).sort("funding_time", "symbol")
        if limit is not None and rows.height > limit:
            LOG.warning("%s %s: %s of %s rows are left out, the oldest: limit=%s", self.name, name,
                        rows.height - limit, rows.height, limit)  # fmt: skip
            rows = rows.tail(limit)
        return rows.sort("symbol", "funding_time")

    async def bulk_download_historical(
        self,
        tokens: Names,
        days: float = 30,
        quote: str | None = None,
        *,
        end: Instant | None = None,
        warehouse: Path | str | None = None,
        progress: Callable[[MarketDownload], object] = lambda _one: None,
    ) -> pl.DataFrame:
        """Settled rates of many tokens over the last `days` before `end` (None: now): FUNDING rows by symbol and time.

        `quote` limits them to markets quoted in it (USD, USDC, USDT; None: in any). Each market gives one call of `progress` and
        one line in the log `fundingdb` (rows and span, or the error); markets that fail are left out of the frame and the others
        returned; when all fail, the first error is raised. With `warehouse` the rows are written into that lake, only what it
        lacks is downloaded, and a repeat does the rest; without, nothing is stored. Raises BadCall for a source without history
        and a quote that the exchange does not have, BadWindow.
        """
        if isinstance(days, bool) or not isinstance(days, int | float) or not 0 < days < 10_000:
            raise BadWindow(f"days={days!r}: give a number above 0 and below 10000")
        stop = due(datetime.now(UTC), self.fetcher.settle_delay) if end is None else instant(end, "end")
        window = self._window(floor_hour(stop - timedelta(days=days)), stop)
        markets, errors = chosen(self.name, await self._listed(), names("tokens", tokens) or [], quote)
        downloads = Downloads(self.name, len(markets) + len(errors), progress)
        for token, error in errors.items():
            downloads.fail(token, error)
        if warehouse is not None and markets:
            await self._into_lake(Path(warehouse), markets, window, downloads)
        elif markets:
            await asyncio.gather(*(self._download(market, window, downloads) for market in markets))
        return downloads.rows()

    @staticmethod
    def calculate_spreads(funding_df: pl.DataFrame) -> pl.DataFrame:
        """The spreads between exchanges, current or historical: see `fundingdb.provider.pairs.pairs`."""
        return spreads(funding_df)

    async def _listed(self) -> dict[str, Market]:
        if self._markets is None:
            await self.markets()
        return self._markets or {}

    def _window(self, start: datetime, end: datetime | None) -> Window:
        if self.fetcher.history is None:
            raise BadCall(f"{self.name} has no funding history: collect its snapshots instead")
        newest = due(datetime.now(UTC), self.fetcher.settle_delay)
        return Window(start, newest if end is None else min(end, newest))

    async def _history(self, market: Market, window: Window) -> pl.DataFrame:
        """The rows of one market in order of time; of an archive, those of its published files."""
        source, history = SourceReader(self.fetcher, self.engine, guard.admitted), self.fetcher.history
        parts = (
            requestable(history.paging, window, datetime.now(UTC), ended=market.delisted_at)
            if history
            else []
        )
        frames = [(await source.history(market, part)).frame for part in parts]
        inside = pl.col("funding_time").is_between(window.start, window.stop, closed="left")
        return observed(pl.concat([FUNDING.empty(), *frames])).filter(inside)

    async def _download(self, market: Market, window: Window, downloads: Downloads) -> None:
        try:
            downloads.add(market.symbol, await self._history(market, window))
        except FundingdbError as error:
            downloads.fail(market.symbol, error)

    async def _into_lake(
        self, warehouse: Path, markets: list[Market], window: Window, downloads: Downloads
    ) -> None:
        lake = Lake(warehouse)
        symbols = [m.symbol for m in markets]
        report = await Collector(lake, warehouse, self.engine).backfill([self.fetcher], window, symbols)
        failed = {f.symbol: f.error for f in report.failures}
        if "*" in failed or report.not_asked:  # the exchange gives no list, or stopped responding
            raise next(iter(failed.values()))
        mine = (
            pl.col("exchange").eq(self.name)
            & pl.col("source").eq(self.fetcher.source)
            & pl.col("funding_time").is_between(window.start, window.stop, closed="left")
        )
        rows = lake.scan("funding").filter(mine, pl.col("symbol").is_in(symbols)).collect()
        for symbol in symbols:
            if symbol in failed:
                downloads.fail(symbol, failed[symbol])
            else:
                downloads.add(symbol, rows.filter(pl.col("symbol") == symbol).sort("funding_time"))


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
    key_variable = "COINGECKO_API_KEY"

    def __init__(
        self,
        api_key: str | None = None,
        user_agent: str | None = None,
        *,
        plan: Literal["demo", "pro"] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        """`api_key` and `plan` replace COINGECKO_API_KEY and COINGECKO_PLAN."""
        more = {} if plan is None else {"COINGECKO_PLAN": plan}
        super().__init__(api_key, user_agent, env={**(env or {}), **more})


_CLASSES = {
    c.name: c
    for c in (
        ExtendedFundingDataSource,
        LighterFundingDataSource,
        HyperliquidFundingDataSource,
        CoinGeckoFundingDataSource,
    )
}


def source(
    name: str,
    *,
    through: Literal["ccxt", "archive"] | None = None,
    api_key: str | None = None,
    user_agent: str | None = None,
    env: dict[str, str] | None = None,
) -> BaseFundingDataSource:
    """The source of an exchange or aggregator by its id, plugins included: `source("binance")`.

    `through="ccxt"` reads the exchange through ccxt (`fundingdb[ccxt]`), `through="archive"` its files of finished months or
    days; the rows then have that source. Raises UnknownName with near names, BadPlugin, BadCall for an argument that the source
    does not use and an exchange that ccxt is not used for, MissingExtra.
    """
    key = name.strip().lower()
    if through is None and key in _CLASSES:
        return _CLASSES[key](api_key, user_agent, env=env)
    if through == "ccxt":
        from fundingdb.fetchers.ccxt.bridge import bridged  # noqa: PLC0415 - ccxt is an extra, and slow to import

        one = bridged(key)
    elif through == "archive":
        one = archive(key)
    elif through is None:
        one = _fetcher(key)
    else:
        raise BadCall(f"through={through!r}: give 'ccxt' or 'archive', or leave it out")
    return BaseFundingDataSource(api_key, user_agent, env=env, fetcher=one)


def _fetcher(name: str) -> Fetcher:
    return fetcher(name)


def _one_of(name: str, value: T | None, old: str, older: T | None) -> T:
    one = older if value is None else value
    if one is None:
        raise BadCall(f"{name} is missing")
    if value is not None and older is not None:
        raise BadCall(f"{name} and {old} are one argument: give {name} alone")
    return one
