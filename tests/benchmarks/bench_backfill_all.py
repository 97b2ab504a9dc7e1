"""`fundingdb backfill --all` of 5 exchanges x 100 tokens x 90 days against the simulator, which holds the exchanges' limits: wall
time over the least that the limits allow, processor time and memory of the process; and its memory over a 10x longer range.

The verb runs as a process of its own. Its budgets and the simulator's limits run --faster N times as fast (1: as the exchanges
have them, which takes 20 minutes, most of them Hyperliquid's). --short: fewer tokens and days, 30 times as fast.

python tests/benchmarks/bench_backfill_all.py [--short] [--faster N]    one line a measure: figures, ratio, aim
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fundingdb.simulator import Logged, Simulator, World

EXCHANGES = ("extended", "lighter", "hyperliquid", "binance", "bybit")
RANGE = ("hyperliquid", "binance")  # for the memory: those that reach back far enough


def child(argv: list[str], faster: float) -> None:
    """The verb with budgets so many times as fast; at the end its own figures, one line of JSON on stderr."""
    import resource
    import time

    from fundingdb.cli import main
    from fundingdb.fetchers import registry as fetchers

    known = fetchers.fetcher

    def quick(name: str):
        fetcher = known(name)
        seconds = fetcher.budget.per_seconds / faster
        return replace(fetcher, budget=replace(fetcher.budget, per_seconds=seconds))

    if faster != 1:
        fetchers.fetcher = quick
    begin = time.perf_counter()
    code = main(argv)
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    figures = {
        "seconds": time.perf_counter() - begin,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_mb": int(peak.split()[1]) / 1024,
    }
    sys.stderr.write("\n" + json.dumps({"code": code, **figures}) + "\n")


def backfill(world: World, exchanges: tuple[str, ...], *span: str, faster: float, limits: bool = True):
    """(what it summary, its own figures, the requests) of one run into an empty warehouse."""
    with tempfile.TemporaryDirectory() as home, Simulator(world, limits=limits, scale=faster) as simulator:
        argv = ["backfill", *exchanges, "--all", *span, "--json", "--warehouse", home]
        command = [sys.executable, __file__, "--child", json.dumps(argv), "--faster", str(faster)]
        done = subprocess.run(
            command, env={**os.environ, **simulator.env()}, capture_output=True, text=True, check=True
        )
        figures = json.loads(done.stderr.splitlines()[-1])
        if figures["code"]:
            raise SystemExit(done.stderr)
        return json.loads(done.stdout), figures, simulator.requests


def least(requests: list[Logged], capacity: float, per_seconds: float) -> float:
    """Seconds that a client needs at least to send these in their order, never more than `capacity` in any `per_seconds`."""
    sent: list[tuple[float, float]] = []
    now, spent, oldest = 0.0, 0.0, 0
    for request in requests:
        while spent + request.weight > capacity:
            at, weight = sent[oldest]
            now, spent, oldest = max(now, at + per_seconds), spent - weight, oldest + 1
        sent.append((now, request.weight))
        spent += request.weight
    return now


def say(measure: str, figures: str, ratio: float, aim: float) -> None:
    print(
        f"{measure}: {figures}, ratio {ratio:.2f} (aim <= {aim}) {'ok' if ratio <= aim else 'MISSED'}",
        flush=True,
    )


def whole(short: bool, faster: float) -> None:
    from fundingdb.fetchers.registry import fetcher

    markets, days = (20, 60) if short else (100, 90)
    tokens = tuple(f"T{n}" for n in range(markets))
    world = World(tokens=tokens)
    summary, figures, requests = backfill(world, EXCHANGES, "--days", str(days), faster=faster)
    lows = []
    for exchange in EXCHANGES:
        mine = [r for r in requests if r.exchange == exchange]
        budget = fetcher(exchange).budget
        lows.append(least(mine, budget.capacity, budget.per_seconds / faster))
        took = (mine[-1].at - mine[0].at).total_seconds()
        refused = sum(r.status in (403, 429) for r in mine)
        print(
            f"  {exchange}: {len(mine)} requests ({refused} over the limit) of weight {sum(r.weight for r in mine):,.0f} "
            f"in {took:.1f} s, least {lows[-1]:.1f} s"
        )
    seconds = figures["seconds"]
    print(
        f"  {figures['cpu']:.1f} s of processor ({figures['cpu'] / seconds:.0%}), at most {figures['peak_mb']:.0f} MB"
    )
    say(
        f"backfill --all, {len(EXCHANGES)} exchanges x {markets} tokens x {days} days, limits {faster:g} times as fast",
        f"{summary['inserted']:,} rows in {seconds:.1f} s, least {max(lows):.1f} s",
        seconds / max(lows),
        1.1,
    )


def memory(short: bool) -> None:
    days = 36 if short else 125
    tokens = tuple(f"T{n}" for n in range(12 if short else 30))
    now = datetime.now(UTC)
    world = World(tokens=tokens, start=now - timedelta(days=11 * days))
    peaks = []
    for times in (1, 10):
        summary, figures, _ = backfill(world, RANGE, "--days", str(times * days), faster=1000, limits=False)
        peaks.append(figures["peak_mb"])
        print(
            f"  {times * days} days: {summary['inserted']:,} rows, {figures['peak_mb']:.0f} MB, {figures['seconds']:.1f} s"
        )
    say(
        f"memory of {10 * days} days over {days}",
        f"{peaks[1]:.0f} MB over {peaks[0]:.0f} MB",
        peaks[1] / peaks[0],
        1.25,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--faster", type=float)
    parser.add_argument("--child")
    args = parser.parse_args()
    if args.child:
        child(json.loads(args.child), args.faster)
        return
    memory(args.short)
    whole(args.short, args.faster or (30 if args.short else 1))


if __name__ == "__main__":
    main()
