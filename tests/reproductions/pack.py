"""What a reproduction is, and the lakes they read: real files of ../shared/data, brought in as `fundingdb import` does."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from fundingdb.importing import CheckedRows, ImportOptions, prepare, together
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SEVEN = "cross_venue/funding_7venues_5tokens_2025-03_2026-03.parquet"
BINANCE = "large/binance_usdm_symbols_0-L_2026-01_2026-03.parquet"
ALL_COINS = "large/hyperliquid_all_coins_hourly_2024-10_2026-03.parquet"
HISTORY = "large/hyperliquid_fundingHistory_all_coins_2024-10-25_2024-11-24.parquet"
BTC_2023 = "raw/hyperliquid/fundingHistory_BTC_2023-05-12_2023-07-17_no_endTime.json"
BTC_2024 = "raw/hyperliquid/fundingHistory_BTC_2024-01_2025-12_rekeyed.json"
BTC_BINANCE = "raw/binance/fundingRate_BTCUSDT_2022-01_2025-12_rekeyed.json"
OLD = "cross_venue/drift_binance_bitmex_apollox_BTC_ETH_SOL_2016_2024.parquet"

NOTHING = pl.DataFrame(
    schema={
        "symbol": pl.String,
        "base": pl.String,
        "funding_time": pl.Datetime("us", "UTC"),
        "funding_rate": pl.Float64,
    }
)
FORMS = {"binance": "{}USDT", "bybit": "{}USDT", "okx": "{}-USDT-SWAP", "dydx": "{}-USD"}
SETTLED = ("binance", "bybit", "dydx", "kraken", "lighter", "okx")
"""The exchanges of SEVEN whose rows are settlements; its Hyperliquid rows are predictions."""


@dataclass(frozen=True, slots=True)
class Reproduced:
    """One table with what must be known to judge it.

    `data`, `found` and `stated` are cells of the page reproductions.md; `stated` says how far the figures are from those
    published before: the README of ../shared/data, the page of an exchange.
    """

    title: str
    data: str
    files: tuple[str, ...]
    method: str
    found: str
    stated: str
    table: pl.DataFrame


class Lakes:
    """Warehouses of real data under one folder, each made when it is first asked for."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.data, self.folder = data, folder

    @cached_property
    def binance(self) -> Path:
        """293 symbols of Binance, no interval given."""
        return self._stored("binance", self._read(BINANCE, exchange="binance"))

    @cached_property
    def venues(self) -> Path:
        """The six settled exchanges of SEVEN, intervals by the gaps; its Hyperliquid rows put in as they are written."""
        return self._stored("venues", pl.concat([self._six, column_as_written(self.data)]))

    @cached_property
    def settled(self) -> Path:
        """As `venues`, but with what Hyperliquid settled in those hours instead of what SEVEN says of it."""
        coins, times = self._six["base"].unique().implode(), self._six["funding_time"]
        paid = Lake(self.hyperliquid).scan("funding").filter(pl.col("symbol").is_in(coins))
        paid = paid.filter(pl.col("funding_time").is_between(times.min(), times.max()))
        return self._stored("settled", pl.concat([self._six, FUNDING.check(paid.collect())]))

    @cached_property
    def _six(self) -> pl.DataFrame:
        wanted = {"interval": "infer", "unit": "fraction"}
        return pl.concat(self._read(SEVEN, exchange=e, symbol_form=FORMS.get(e), **wanted) for e in SETTLED)

    @cached_property
    def hyperliquid(self) -> Path:
        """All coins of Hyperliquid, settled: a part in percent per hour, a part in percent per year."""
        columns = [{"funding_rate": f"fundingRate_{part}"} for part in ("percent", "annualized")]
        first = self._prepared(ALL_COINS, NOTHING, exchange="hyperliquid", columns=columns[0])
        known = first[0].rows.select(NOTHING.columns)
        second = self._prepared(ALL_COINS, known, exchange="hyperliquid", columns=columns[1])
        return self._stored("hyperliquid", together([*first, *second]))

    @cached_property
    def history(self) -> Path:
        """A month of all coins of Hyperliquid as its fundingHistory answers."""
        return self._stored("history", self._read(HISTORY, exchange="hyperliquid"))

    @cached_property
    def answers(self) -> Path:
        """BTC as Binance and Hyperliquid answered for 2024 and 2025."""
        binance = self._read(BTC_BINANCE, exchange="binance", symbol="BTCUSDT")
        return self._stored("answers", pl.concat([binance, self._read(BTC_2024, exchange="hyperliquid")]))

    @cached_property
    def early(self) -> Path:
        """BTC as Hyperliquid answered for its first nine weeks."""
        return self._stored("early", self._read(BTC_2023, exchange="hyperliquid", unit="fraction"))

    @cached_property
    def old(self) -> Path:
        """BTC, ETH and SOL of four exchanges, 2016 to 2024."""
        names = pl.read_parquet(self.data / OLD)["source_file"].unique().sort()
        ids = {"apollox": "aster"}
        rows = []
        for name in names:
            exchange, symbol = name.removesuffix(".csv").split("_")
            rows.append(
                self._read(
                    OLD,
                    exchange=ids.get(exchange, exchange),
                    where={"source_file": name},
                    symbol=symbol,
                    unit="fraction",
                    interval="infer",
                )
            )
        return self._stored("old", pl.concat(rows))

    def _read(self, file: str, **wanted: object) -> pl.DataFrame:
        return together(self._prepared(file, NOTHING, **wanted))

    def _prepared(self, file: str, known: pl.DataFrame, **wanted: object) -> list[CheckedRows]:
        return prepare(self.data / file, ImportOptions(**wanted), lambda _exchange: known, now=NOW)

    def _stored(self, name: str, rows: pl.DataFrame) -> Path:
        warehouse = self.folder / name
        Lake(warehouse).upsert("funding", rows)
        return warehouse


def column_as_written(data: Path) -> pl.DataFrame:
    """The Hyperliquid rows of SEVEN as FUNDING rows of one hour, which the importer refuses: they are no settlements."""
    rows = pl.read_parquet(data / SEVEN).filter(pl.col("venue") == "hyperliquid")
    nothing = pl.lit(None, pl.Float64)
    return FUNDING.check(
        rows.select(
            exchange="venue",
            source=pl.lit("import"),
            symbol="coin",
            base="coin",
            quote=pl.lit("USDC"),
            asset_class=pl.lit("crypto"),
            funding_time="timestamp",
            interval_hours=pl.lit(1.0),
            interval_from=pl.lit("declared"),
            funding_rate="funding_rate",
            rate_type=pl.lit("regular"),
            native_rate="funding_rate",
            mark_price=nothing,
            index_price=nothing,
            reported_time="timestamp",
            fetched_at=pl.lit(NOW, pl.Datetime("us", "UTC")),
        )
    )
