"""Backfill wall time against the simulator over the least that the limits allow (aim: at most 1.1x).

Lighter's budget of 60 requests a minute is run 20 times faster on both sides, and the simulator holds it: one request too many
in any window answers 429 and shows in the time.
"""

import asyncio
import os
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest.collector import Collector
from fundingdb.lake import Lake
from fundingdb.simulator import Simulator, World
from fundingdb.transport.http import Engine
from fundingdb.window import Window

FASTER = 20


def main() -> None:
    short = "--short" in sys.argv
    tokens = tuple(f"T{n}" for n in range(24 if short else 75))
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    window = Window(now - timedelta(days=120), now)
    lighter = fetcher("lighter")
    budget = replace(lighter.budget, per_seconds=lighter.budget.per_seconds / FASTER)
    quick = replace(lighter, budget=budget)

    async def run(home: Path, env: dict[str, str]) -> tuple[int, float]:
        async with Engine(env={**os.environ, **env}) as engine:
            collector = Collector(Lake(home), home, engine)
            begin = time.perf_counter()
            report = await collector.backfill([quick], window, tokens)
            assert not report.failures, report.failures
            return report.inserted, time.perf_counter() - begin

    with (
        tempfile.TemporaryDirectory() as home,
        Simulator(World(tokens=tokens), limits=True, scale=FASTER) as simulator,
    ):
        rows, seconds = asyncio.run(run(Path(home), simulator.env()))
        requests = len(simulator.requests)
        refused = simulator.count(status=429)
    least = (requests - 1) // budget.capacity * budget.per_seconds
    print(
        f"backfill: {rows} rows, {requests} requests ({refused} answered 429), {seconds:.2f} s, "
        f"{seconds / least:.2f}x the least the limit allows ({least:.2f} s; aim <= 1.1x)"
    )


if __name__ == "__main__":
    main()
