"""Reading for backtests, on the big real file through the lake: one look-up beside a boolean mask on a pandas frame of
the same rows (a plain pandas reader), loading and fingerprint beside a plain Parquet read, bytes a row held.

The plain read decodes every column of the same files into a Polars frame. The second one decodes only the seven columns
that loading reads too: it does no work on them, neither the list of files, nor the markets, nor the summary.

python tests/benchmarks/bench_provider.py [--short]    one line a measure: figures, ratio, aim
"""

import random
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from fundingdb.lake import Lake
from fundingdb.provider.provider import FundingRateBacktestDataProvider

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.real_data import hyperliquid_all, seven_venues

USED = ["asset_class", "base", "symbol", "rate_type", "funding_time", "interval_hours", "funding_rate"]
SHARED = Path(__file__).resolve().parents[3] / "shared"


def best(work: Callable[[], object], tries: int) -> float:
    seconds = []
    for _ in range(tries):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def say(measure: str, figures: str, ratio: float, aim: str, good: bool) -> None:
    print(f"{measure}: {figures}, ratio {ratio:,.1f} (aim {aim}) {'ok' if good else 'MISSED'}")


def main(short: bool) -> None:
    with tempfile.TemporaryDirectory() as home:
        lake = Lake(home)
        lake.upsert("funding", seven_venues(SHARED) if short else hyperliquid_all(SHARED))
        lake.compact()
        files = lake.files("funding")
        provider = FundingRateBacktestDataProvider(home)
        start, stop = datetime(2024, 10, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
        tries = 3 if short else 7
        loading = best(lambda: provider.load_data(start, stop), tries)
        plain = best(lambda: pl.read_parquet(files, hive_partitioning=True), tries)
        columns = best(lambda: pl.read_parquet(files, hive_partitioning=False, columns=USED), tries)
        hashing = best(provider.fingerprint, 3)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        again = FundingRateBacktestDataProvider(home)
        again.load_data(start, stop)
        grown = (
            tracemalloc.get_traced_memory()[0] - before
        )  # arrays, names, list of files; Polars keeps nothing
        tracemalloc.stop()

    rows = provider.payments()
    held, kept = again._rows.nbytes / rows.height, grown / rows.height
    say(
        f"load {rows.height:,} payments",
        f"{loading:.3f} s, plain read of the files {plain:.3f} s",
        loading / plain,
        "<= 3",
        loading <= 3 * plain,
    )
    say(
        "load, beside its columns alone",
        f"{columns:.3f} s",
        loading / columns,
        "<= 4",
        loading <= 4 * columns,
    )
    say("fingerprint", f"{hashing:.3f} s", hashing / plain, "under 1 s", hashing < 1)
    say("memory", f"{held:.1f} bytes a payment in arrays, {kept:.1f} in all", kept / 24, "<= 24", kept <= 24)

    frame = rows.to_pandas()
    rng = random.Random(7)
    asked = [
        (row["funding_time"].timestamp() + 1800, row["exchange"], row["base"])
        for row in rows.sample(20_000, with_replacement=True, seed=7).iter_rows(named=True)
    ]
    rng.shuffle(asked)

    def masks() -> list[float]:
        found = []
        for seconds, exchange, token in asked[:5]:
            at = datetime.fromtimestamp(seconds, tz=UTC)
            known = (frame["exchange"] == exchange) & (frame["base"] == token) & (frame["funding_time"] <= at)
            found.append(float(frame[known]["rate_1h"].iloc[-1]))
        return found

    def lookups() -> list[float | None]:
        return [provider.get_funding_rate(seconds, exchange, token) for seconds, exchange, token in asked]

    if masks() != lookups()[:5]:
        raise SystemExit("the two readers do not agree")
    mask, lookup = best(masks, 3) / 5, best(lookups, 5) / len(asked)
    aim = 300 if short else 3000  # the mask's cost grows with the rows
    say(
        "one get_funding_rate",
        f"{lookup * 1e6:.2f} us, pandas mask {mask * 1e3:.1f} ms",
        mask / lookup,
        f">= {aim:,}, about a microsecond",
        mask >= aim * lookup,
    )
    hours = pl.Series([seconds for seconds, _, _ in asked])
    exchange, token = asked[0][1:]
    many = best(lambda: provider.funding_rates(hours, exchange, token), 5) / len(asked)
    say(
        "one of 20,000 funding_rates",
        f"{many * 1e9:.0f} ns",
        lookup / many,
        ">= 5 x a single look-up",
        lookup >= 5 * many,
    )


if __name__ == "__main__":
    main(short="--short" in sys.argv[1:])
