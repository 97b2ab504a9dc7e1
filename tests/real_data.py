"""Real series of ../shared as FUNDING frames, read in place."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from fundingdb.schema import FUNDING

LEARNED = datetime(2026, 3, 8, tzinfo=UTC)
QUOTES = {"hyperliquid": "USDC", "lighter": "USDC", "kraken": "USD", "dydx": "USD"}  # the others: USDT


def seven_venues(shared: Path) -> pl.DataFrame:
    """One year of BTC, ETH, SOL, HYPE, DOGE on seven exchanges: 115,218 rows, source `import`.

    Intervals as the README of ../shared/data has them: 8 h on binance, bybit, okx, but 4 h for HYPE on binance and
    okx; 1 h elsewhere. Stamps trail the settlement by at most about a second and are snapped to its hour. Symbols are
    the coins. The hyperliquid column is a sample of the predicted rate, good as a series, not as history.
    """
    rows = pl.read_parquet(shared / "data/cross_venue/funding_7venues_5tokens_2025-03_2026-03.parquet")
    four = pl.col("venue").is_in(["binance", "okx"]) & (pl.col("coin") == "HYPE")
    eight = pl.col("venue").is_in(["binance", "bybit", "okx"])
    return FUNDING.check(
        rows.select(
            exchange="venue",
            source=pl.lit("import"),
            symbol="coin",
            base="coin",
            quote=pl.col("venue").replace_strict(QUOTES, default="USDT"),
            asset_class=pl.lit("crypto"),
            funding_time=pl.col("timestamp").dt.truncate("1h"),
            interval_hours=pl.when(four).then(4.0).when(eight).then(8.0).otherwise(1.0),
            interval_from=pl.lit("declared"),
            funding_rate="funding_rate",
            rate_type=pl.lit("regular"),
            native_rate="funding_rate",
            mark_price=pl.lit(None, pl.Float64),
            index_price=pl.lit(None, pl.Float64),
            reported_time="timestamp",
            fetched_at=pl.lit(LEARNED, pl.Datetime("us", "UTC")),
        )
    )


def hyperliquid_all(shared: Path) -> pl.DataFrame:
    """All coins of Hyperliquid, 2024-10 .. 2026-03, settled, hourly: 2,157,238 rows, source `import`.

    The file changes its unit from percent per hour to percent per year (x 876,000) on 2025-03-07; the hours written
    twice are taken once, as first written. A coin whose rate was exactly 0 is not in its hour.
    """
    rows = pl.read_parquet(shared / "data/large/hyperliquid_all_coins_hourly_2024-10_2026-03.parquet")
    rows = rows.sort("generated_at").unique(["coin", "timestamp"], keep="first", maintain_order=True)
    native = pl.coalesce("fundingRate_percent", "fundingRate_annualized")
    return FUNDING.check(
        rows.select(
            exchange=pl.lit("hyperliquid"),
            source=pl.lit("import"),
            symbol="coin",
            base="coin",
            quote=pl.lit("USDC"),
            asset_class=pl.lit("crypto"),
            funding_time="timestamp",
            interval_hours=pl.lit(1.0),
            interval_from=pl.lit("declared"),
            funding_rate=pl.coalesce(
                pl.col("fundingRate_percent") / 100, pl.col("fundingRate_annualized") / 876_000
            ),
            rate_type=pl.lit("regular"),
            native_rate=native,
            mark_price=pl.lit(None, pl.Float64),
            index_price=pl.lit(None, pl.Float64),
            reported_time="timestamp",
            fetched_at="generated_at",
        )
    )


def binance_without_intervals(shared: Path) -> pl.DataFrame:
    """293 symbols of Binance USD-M, at most their last 200 settlements each: 58,330 rows, source `import`.

    The file tells no interval, so all are null. Stamps trail the settlement by up to 17 ms and are snapped to its hour.
    """
    rows = pl.read_parquet(shared / "data/large/binance_usdm_symbols_0-L_2026-01_2026-03.parquet")
    reported = (pl.col("timestamp") * 1000).cast(pl.Datetime("us", "UTC"))
    return FUNDING.check(
        rows.select(
            exchange=pl.lit("binance"),
            source=pl.lit("import"),
            symbol="symbol",
            base=pl.col("symbol").str.replace("USD[TC]$", ""),
            quote=pl.col("symbol").str.slice(-4),
            asset_class=pl.lit("crypto"),
            funding_time=reported.dt.truncate("1h"),
            interval_hours=pl.lit(None, pl.Float64),
            interval_from=pl.lit("unknown"),
            funding_rate="funding_rate",
            rate_type=pl.lit("regular"),
            native_rate="funding_rate",
            mark_price=pl.lit(None, pl.Float64),
            index_price=pl.lit(None, pl.Float64),
            reported_time=reported,
            fetched_at=pl.lit(datetime(2026, 3, 20, 5, tzinfo=UTC), pl.Datetime("us", "UTC")),
        )
    )
