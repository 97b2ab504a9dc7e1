"""Rows that are held, on real series: false holds, and the share of seeded faults that are held.

Clean series are fed as they would come: 30 days, a week, a day or an hour at a time after three weeks of history. Then the
batches come with a fault in every rate of one market, or of the whole exchange. `rounded`: a scaled rate is rounded to the step
that the exchange publishes, as when the exchange itself changes its unit; else it keeps all digits, as when a reader does.
python tests/benchmarks/bench_continuity.py [--short] [--rounds]    --short: Binance alone; --rounds: every hour (minutes);
--faults: no clean series
"""

import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from fundingdb.fetchers.limits import LIMITS, contradictions, misfits
from fundingdb.ingest.continuity import HOLD, verdicts
from tests.real_data import binance_without_intervals, hyperliquid_all, seven_venues

SHARED = Path(__file__).resolve().parents[3] / "shared"
HISTORY = timedelta(days=21)
FAULTS = (8, 1 / 8, 24, 1 / 24, 100, 1 / 100, 1095, 1 / 1095, 3, 1 / 3, -1)
MARKET = ["exchange", "source", "symbol"]


def batches(
    rows: pl.DataFrame, step: timedelta, every: int = 1
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """New rows of one step, and the stored ones of the three weeks before."""
    rows = rows.sort("funding_time")
    times = rows["funding_time"]
    at, number = times[0] + HISTORY, 0
    while at <= times[-1]:
        old, new, stop = (times.search_sorted(t) for t in (at - HISTORY, at, at + step))
        if number % every == 0 and stop > new:
            yield rows[new:stop], rows[old:new]
        at, number = at + step, number + 1


def held(new: pl.DataFrame, old: pl.DataFrame) -> dict[str, set[tuple[str, ...]]]:
    """The markets held, by what holds them."""
    return {
        "continuity": set(verdicts(new, old).filter(pl.col("verdict") == HOLD).select(MARKET).iter_rows()),
        "steps": set(misfits(new).select(MARKET).iter_rows()),
        "intervals": set(contradictions(new, old).select(MARKET).iter_rows()),
    }


def clean(name: str, rows: pl.DataFrame, step: timedelta, every: int = 1) -> None:
    """Print the false holds of one series."""
    count, markets, begin = 0, 0, time.process_time()
    false = {"continuity": 0, "steps": 0, "intervals": 0}
    for new, old in batches(rows, step, every):
        count += new.height
        markets += new.select(MARKET).n_unique()
        for by, who in held(new, old).items():
            false[by] += len(who)
    cpu = time.process_time() - begin
    shown = ", ".join(f"{by} {n}" for by, n in false.items())
    print(
        f"| {name} | {step / timedelta(hours=1):g} h | {count:,} | {markets:,} | {shown} | {cpu:.1f} s |",
        flush=True,
    )


def faulty(new: pl.DataFrame, factor: float, *, rounded: bool) -> pl.DataFrame:
    """The rows with every rate times the factor."""
    steps = {e: x.step for e, x in LIMITS.items() if x.step}
    rate = pl.col("funding_rate") * factor
    step = pl.col("exchange").replace_strict(steps, default=None, return_dtype=pl.Float64)
    coarse = pl.coalesce((rate / step).round() * step, rate)
    return new.with_columns(funding_rate=coarse if rounded else rate)


def lagging(new: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
    """Every rate one settlement late: the first repeats the newest stored one."""
    both = pl.concat([old, new]).sort(*MARKET, "funding_time")
    moved = both.with_columns(funding_rate=pl.col("funding_rate").shift().over(MARKET))
    return moved.join(
        new.select(*MARKET, "funding_time"), on=[*MARKET, "funding_time"], how="semi"
    ).drop_nulls("funding_rate")


def enough(new: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
    """Markets with at least 24 stored payments other than 0 and a new one."""
    moving = pl.col("funding_rate") != 0
    stored = old.filter(moving).group_by(MARKET).len().filter(pl.col("len") >= 24)
    return (
        new.filter(moving)
        .select(MARKET)
        .unique(maintain_order=True)
        .join(stored, on=MARKET, how="semi", maintain_order="left")
    )


def share(pairs: list[tuple[pl.DataFrame, pl.DataFrame]], factor: float, *, rounded: bool, alone: int) -> str:
    """Of the markets with a fault the share held by continuity, and by any check; `alone`: one market of so many has it."""
    hit = any_hit = of = 0
    for new, old in pairs:
        targets = enough(new, old)
        if alone:
            targets = targets.gather_every(alone)
        bad = new.join(targets, on=MARKET, how="semi")
        rest = new.join(targets, on=MARKET, how="anti")
        by = held(pl.concat([rest, faulty(bad, factor, rounded=rounded)]), old)
        who = set(targets.iter_rows())
        of += len(who)
        hit += len(by["continuity"] & who)
        any_hit += len((by["continuity"] | by["steps"]) & who)
    return f"{hit / of:.1%} / {any_hit / of:.1%} of {of:,}" if of else "none"


def late(pairs: list[tuple[pl.DataFrame, pl.DataFrame]], *, overlap: int) -> str:
    """Share held of markets whose rates come one settlement late; `overlap`: days of stored rows that come again."""
    hit = of = 0
    for new, old in pairs:
        targets = enough(new, old)
        start = new["funding_time"].min() - timedelta(days=overlap)
        again = old.filter(pl.col("funding_time") >= start)
        before = old.filter(pl.col("funding_time") < start)
        bad = lagging(pl.concat([again, new]), before).join(targets, on=MARKET, how="semi")
        who = set(targets.iter_rows())
        of += len(who)
        hit += len(held(bad, old)["continuity"] & who)
    return f"{hit / of:.1%} of {of:,}" if of else "none"


def main() -> None:
    seven = seven_venues(SHARED)
    # means of samples: 641 rows of Lighter that are finer than the step of its payments
    means = misfits(seven.filter(pl.col("exchange") == "lighter"))
    seven = seven.join(means, on=["exchange", "symbol", "funding_time"], how="anti")
    sets = {
        "hyperliquid, all coins": hyperliquid_all(SHARED),
        "binance, 293 symbols": binance_without_intervals(SHARED),
        **{
            f"{e}, 5 coins": seven.filter(pl.col("exchange") == e) for e in sorted(seven["exchange"].unique())
        },
    }
    sets.pop("hyperliquid, 5 coins")
    short = "--short" in sys.argv
    if short:
        sets = {name: rows for name, rows in sets.items() if name.startswith("binance, 293")}
    month, day, hour = timedelta(days=30), timedelta(days=1), timedelta(hours=1)
    print("| clean series | batch | rows | verdicts | false holds by | CPU |\n|---|---|---|---|---|---|")
    for name, rows in sets.items() if "--faults" not in sys.argv else ():
        large = rows.height > 1_000_000
        clean(name, rows, month)
        clean(name, rows, day, (10 if short else 2) if large else 3 if short else 1)
        every = 1 if "--rounds" in sys.argv else (400 if large else 60) * (5 if short else 1)
        clean(name, rows, hour, every)
    for title, step, alone in (
        ("whole exchange, one round", hour, 0),
        ("whole exchange, 30 days", month, 0),
        ("one market in ten, 30 days", month, 10),
    ):
        print(f"\n{title}: held by continuity / by any check\n\n| fault | " + " | ".join(sets) + " |")
        print("|---|" + "---|" * len(sets))
        pairs = {}
        for name, rows in sets.items():
            large = rows.height > 1_000_000
            every = (
                (4 if large else 1) if step == month else (1250 if large else 248)
            )  # rounds at 8 h and other hours
            pairs[name] = list(batches(rows, step, every * (3 if short else 1)))
        for factor in FAULTS[:2] if short else FAULTS:
            for rounded in (False, True):
                if rounded and (factor == -1 or alone):
                    continue
                shown = f"x{factor:g}" if abs(factor) >= 1 else f"/{1 / factor:g}"
                shown = "sign" if factor == -1 else shown + (" rounded" if rounded else "")
                cells = [share(p, factor, rounded=rounded, alone=alone) for p in pairs.values()]
                print(f"| {shown} | " + " | ".join(cells) + " |", flush=True)
        if alone == 0:
            for days in (0, 2):
                print(
                    f"| one settlement late, {days} days overlap | "
                    + " | ".join(late(p, overlap=days) for p in pairs.values())
                    + " |"
                )


if __name__ == "__main__":
    main()
