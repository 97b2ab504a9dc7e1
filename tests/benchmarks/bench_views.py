"""Views over a lake of real size, as ratios to a plain sum over the rate column in the same run.

Real settled rates of 219 coins on Hyperliquid (../shared/data/large; percent per hour until 2025-03-07 13:00, percent per year
after: see the README there) as ten exchanges that pay hourly and six that pay each 8 hours: 23.2 million payments. --short: the
last weeks, 2 million. Aims: best_spreads over everything at most 12x; one asset a year on all exchanges at most 1/10 of it.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from fundingdb.catalog import catalog
from fundingdb.schema import FUNDING, TABLES

SOURCE = (
    Path(__file__).resolve().parents[3]
    / "shared/data/large/hyperliquid_all_coins_hourly_2024-10_2026-03.parquet"
)
EXCHANGES = [*((f"hourly{n}", 1) for n in range(10)), *((f"eight{n}", 8) for n in range(6))]
GROUP = 20_000  # rows: one asset is read without the others
YEAR = "hour_at >= '2025-03-31 00:00:00+00'"


def series(short: bool) -> pl.DataFrame:
    percent, yearly = pl.col("fundingRate_percent") / 100, pl.col("fundingRate_annualized") / 876_000
    at = pl.col("timestamp").cast(pl.Datetime("us", "UTC")).dt.truncate("1h")  # on the grid, as in the lake
    rows = pl.read_parquet(SOURCE).sort("generated_at")
    rows = rows.select(at=at, coin="coin", rate=pl.coalesce(percent, yearly)).sort("coin", "at")
    rows = rows.unique(["coin", "at"], keep="first", maintain_order=True)
    return rows.filter(pl.col("at") >= datetime(2026, 2, 20, tzinfo=UTC)) if short else rows


def lay(folder: Path, rows: pl.DataFrame) -> list[Path]:
    """Files as the lake lays them: one a month, sorted by base and time."""
    files = []
    for place, (exchange, hours) in enumerate(EXCHANGES):
        mine = rows.filter(pl.col("at").dt.hour() % hours == 0).select(
            symbol="coin",
            base="coin",
            quote=pl.lit("USDC"),
            asset_class=pl.lit("crypto"),
            funding_time="at",
            interval_hours=pl.lit(float(hours)),
            interval_from=pl.lit("declared"),
            funding_rate=pl.col("rate") * hours * (1 + place / 10) + place * 1e-6,
            rate_type=pl.lit("regular"),
            native_rate="rate",
            mark_price=pl.lit(None, pl.Float64),
            index_price=pl.lit(None, pl.Float64),
            reported_time="at",
            fetched_at="at",
        )
        assert set(mine.columns) == set(FUNDING.schema) - set(FUNDING.partitions)
        for (month,), part in mine.group_by(pl.col("funding_time").dt.strftime("%Y-%m"), maintain_order=True):
            path = folder / f"exchange={exchange}/source={exchange}/month={month}/rows.parquet"
            path.parent.mkdir(parents=True)
            part.write_parquet(path, compression="zstd", row_group_size=GROUP)
            files.append(path)
    return files


def main() -> None:
    short = "--short" in sys.argv
    if not SOURCE.exists():
        print(f"views: skipped, {SOURCE} is absent")
        return
    with tempfile.TemporaryDirectory() as folder, catalog.connect(folder) as con:
        catalog.build(con, {name: [] for name in TABLES} | {"funding": lay(Path(folder), series(short))})

        def seconds(query: str, times: int) -> float:
            spent = []
            for _ in range(times):
                begin = time.perf_counter()
                con.sql(query).fetchall()
                spent.append(time.perf_counter() - begin)
            return min(spent)

        def one(query: str) -> int:
            return con.sql(query).fetchall()[0][0]

        rows = one("select count(*) from funding")
        scan = seconds("select sum(funding_rate) from funding", 5)
        whole = seconds("select count(*), sum(spread_1h) from best_spreads", 1)
        asset = "where asset_class = 'crypto' and base = 'BTC' and " + YEAR
        best = seconds(f"select count(*), sum(spread_1h) from best_spreads {asset}", 3)
        known = seconds(f"select count(*), sum(rate_1h) from funding_known_1h {asset}", 3)
        costs = seconds("select count(*), sum(spread_1h) from carry_net", 1)
        pair = seconds("select count(*), sum(mean_1h) from pair_stats_over(token := 'BTC')", 3)
        pairs = seconds("select count(*), sum(mean_1h) from pair_stats", 1)
        print(
            f"views: {rows:,} payments, sum over the rate column {scan:.3f} s\n"
            f"  best_spreads, everything: {whole:.2f} s = {whole / scan:.0f}x the sum (aim <= 12x)\n"
            f"  best_spreads, BTC, a year: {best:.3f} s = 1/{whole / best:.0f} of everything (aim <= 1/10)\n"
            f"  funding_known_1h, BTC, a year: {known:.3f} s = {known / scan:.2f}x the sum\n"
            f"  carry_net: {costs:.2f} s; pair_stats_over, BTC, 30 days: {pair:.2f} s; pair_stats, 30 days: {pairs:.1f} s"
        )


if __name__ == "__main__":
    main()
