"""A backtest over a lake of real size: the whole verb, one run and a grid of 100 points, beside a plain sum over the rate column.

Real settled rates of the 200 longest-listed coins of Hyperliquid (../shared/data/large) as 20 exchanges, 16 that pay hourly and 4
that pay each 8 hours: a year is 35 million known hours. --short: 40 coins, 8 exchanges, a month. Aims: the verb, reading
included, at most 10 s on 2 cores; a grid of 100 points at most 20x one run.

python tests/benchmarks/bench_backtest.py [--short]
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import bench_views
import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from fundingdb.backtest import Settings, running
from fundingdb.backtest.frames import result
from fundingdb.backtest.grids import over_points
from fundingdb.catalog import catalog
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING

SHORT = "--short" in sys.argv
START = datetime(2026, 2, 28, tzinfo=UTC) if SHORT else datetime(2025, 3, 31, tzinfo=UTC)
END = datetime(2026, 3, 31, tzinfo=UTC)
HOURLY, EIGHT, COINS, TRIES = (6, 2, 40, 3) if SHORT else (16, 4, 200, 3)


def best(work: Callable[[], object], tries: int = TRIES) -> float:
    seconds = []
    for _ in range(tries):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def build(home: Path) -> None:
    """A lake whose funding table is the files of bench_views, committed as they are, and a table of fees."""
    bench_views.EXCHANGES = [
        *((f"hourly{n:02}", 1) for n in range(HOURLY)),
        *((f"eight{n}", 8) for n in range(EIGHT)),
    ]
    rows = bench_views.series(SHORT).filter(pl.col("at") >= START.replace(day=1))
    longest = rows.group_by("coin").len().sort("len", "coin", descending=[True, False])["coin"].head(COINS)
    rows = rows.filter(pl.col("coin").is_in(longest.implode()))
    Lake(home).upsert("funding", frame_of(bench_views.lay(home / "one", rows.head(1))[0]))  # makes the table
    folder = home / "lake" / "funding"
    files = bench_views.lay(folder / "laid", rows)
    table = DeltaTable(folder)
    actions = [
        AddAction(
            path=str(file.relative_to(folder)),
            size=file.stat().st_size,
            partition_values=partitions(file),
            modification_time=int(file.stat().st_mtime * 1000),
            data_change=True,
            stats="{}",
        )
        for file in files
    ]
    table.create_write_transaction(actions, "overwrite", table.schema(), list(FUNDING.partitions))
    fees = [f"{name},base,0.0005,0.0002,2020-01-01" for name, _ in bench_views.EXCHANGES]
    (home / "fees.csv").write_text("\n".join(["exchange,tier,taker,maker,effective_at", *fees]) + "\n")


def partitions(file: Path) -> dict[str, str | None]:
    return dict(part.split("=", 1) for part in file.parts if "=" in part)


def frame_of(file: Path) -> pl.DataFrame:
    return FUNDING.check(
        pl.read_parquet(file, hive_partitioning=False).with_columns(
            exchange=pl.lit(partitions(file)["exchange"]), source=pl.lit(partitions(file)["source"])
        )
    )


def main() -> None:
    if not bench_views.SOURCE.exists():
        print(f"backtest: skipped, {bench_views.SOURCE} is absent")
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        build(home)
        asked = Settings(START, END, 0.3, 0.05)
        span = [
            "--start",
            f"{START:%Y-%m-%d}",
            "--end",
            f"{END:%Y-%m-%d}",
            "--entry-apr",
            "0.3",
            "--exit-apr",
            "0.05",
        ]
        verb = [sys.executable, "-m", "fundingdb", "backtest", "--warehouse", str(home), *span]
        subprocess.run(verb, check=True, capture_output=True)  # compiles once
        whole = best(lambda: subprocess.run(verb, check=True, capture_output=True))
        with catalog.connect(home) as con:
            scan = best(lambda: con.sql("select sum(funding_rate) from lake_funding").fetchall())
            ready = running.prepare(con, asked, home)
            reading = best(lambda: running.prepare(con, asked, home), 1)
        walked = running.walk(ready, asked, record=True)
        walk = best(lambda: running.walk(ready, asked, record=True))
        tables = best(lambda: result(asked, ready, walked))
        tight = best(
            lambda: running.walk(ready, replace(asked, max_pairs=10, switch_band_apr=0.2), record=True)
        )
        axes = {"entry_apr": [0.2 + n / 50 for n in range(20)], "exit_apr": [0.0, 0.03, 0.06, 0.09, 0.12]}
        many = best(lambda: over_points(asked, axes, ready), 1)
    one = reading + walk + tables
    hours = int((ready.world.known == ready.world.known).sum())
    print(
        f"backtest: {hours:,} known hours, {len(walked.trades):,} trades; sum over the rate column {scan:.2f} s\n"
        f"  the whole verb: {whole:.2f} s = {whole / scan:.0f}x the sum (aim <= 10 s on 2 cores)\n"
        f"  reading {reading:.2f} s, walking {walk:.3f} s (10 pairs at once, switching: {tight:.3f} s), frames {tables:.2f} s\n"
        f"  100 points: {many:.2f} s walking, {(reading + many) / one:.1f}x one run (aim <= 20x)\n"
        f"  memory at most {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6:.2f} GB (the verb)"
    )


if __name__ == "__main__":
    main()
