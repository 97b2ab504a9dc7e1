"""The lake on the real hourly series of all Hyperliquid coins; each figure beside a baseline of the same run.

Upsert of what is already there over reading the same partitions from the lake (aim: at most 2x, no commit); bytes a row over
the same rows as CSV (aim: 1/15); what commits cost beside writing the same rows as one bare Parquet file.
python tests/benchmarks/bench_lake.py [--short]    --short: three months instead of seventeen
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from fundingdb.lake import Lake
from tests.real_data import hyperliquid_all

SHARED = Path(__file__).resolve().parents[3] / "shared"


def seconds(work: Callable[[], object], tries: int = 5) -> float:
    """The best of some tries."""
    best = float("inf")
    for _ in range(tries):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def main() -> None:
    rows = hyperliquid_all(SHARED)
    if "--short" in sys.argv:
        rows = rows.filter(pl.col("month") >= "2026-01")
    month = rows.filter(pl.col("month") == "2026-01")
    with tempfile.TemporaryDirectory() as home:
        lake = Lake(Path(home) / "w")
        load = seconds(lambda: lake.upsert("funding", rows), tries=1)
        say(f"load: {rows.height:,} rows, {load:.2f} s, {rows.height / load:,.0f} rows/s")

        for name, part in (("one month", month), ("everything", rows)):
            months = part["month"].unique().to_list()

            def read_back(months: list[str] = months) -> pl.DataFrame:
                return lake.scan("funding").filter(pl.col("month").is_in(months)).collect()

            before = lake.version("funding")
            for order, frame in (
                ("as stored", part.sort("base", "symbol", "funding_time")),
                ("by time", part.sort("funding_time")),
            ):
                read = seconds(read_back)
                again = seconds(lambda frame=frame: lake.upsert("funding", frame))
                assert lake.version("funding") == before, "a commit without a change"
                say(
                    f"upsert of what is there, {name} ({part.height:,} rows {order}): {again * 1e3:.0f} ms, no commit, "
                    f"{again / read:.1f}x reading them ({read * 1e3:.0f} ms; aim <= 2x)"
                )
            assert read_back().height == part.height

        csv = Path(home) / "rows.csv"
        rows.write_csv(csv)
        stored = sum(p.stat().st_size for p in lake.files("funding"))
        say(
            f"bytes a row: {stored / rows.height:.2f}, as CSV {csv.stat().st_size / rows.height:.1f}: "
            f"1/{csv.stat().st_size / stored:.1f} (aim 1/15)"
        )

        bare = seconds(lambda: month.write_parquet(Path(home) / "bare.parquet", compression="zstd"))
        late = month.filter(pl.col("funding_time") == month["funding_time"].max())
        steps = iter(range(1, 100))

        def append() -> None:
            moved = pl.col("funding_time").dt.offset_by(f"{next(steps) * 7}m")
            lake.upsert("funding", late.with_columns(moved).drop("month"))

        def restate() -> None:
            n = next(steps)
            changed = month.head(1).with_columns(
                funding_rate=pl.lit(n * 1e-6), fetched_at=pl.col("fetched_at") + timedelta(hours=n)
            )
            lake.upsert("funding", changed)

        say(f"append of a round of {late.height} rows: {seconds(append) * 1e3:.0f} ms")
        spent = seconds(restate)
        say(
            f"one restated row in a partition of {month.height:,}, logged and rewritten: {spent * 1e3:.0f} ms, "
            f"{spent / bare:.1f}x writing that partition as a bare file ({bare * 1e3:.0f} ms)"
        )
        checked = seconds(lake.check, tries=1)
        say(f"check: {rows.height:,} rows read back, {checked:.2f} s")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
