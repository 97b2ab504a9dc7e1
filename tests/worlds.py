"""A simulated world, a collector on it and the comparison of lake and world, for the tests that go end to end."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest.collector import Collector
from fundingdb.lake import Lake
from fundingdb.simulator import Simulator, World
from fundingdb.transport.http import Engine

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTLING = ("extended", "lighter", "hyperliquid")


def world(tokens=("BTC", "KAITO", "PEPE"), now=NOW, **more) -> World:
    return World(tokens=tokens, now=lambda: now, **more)


def collect(
    simulator: Simulator,
    warehouse: Path,
    work: Callable[[Collector], Awaitable],
    now: datetime | None = None,
    **engine,
):
    """Runs `work` with a collector whose clock is the world's (or `now`) and whose back-offs take no time."""

    async def run():
        env = {**os.environ, **simulator.env()}

        def clock() -> datetime:
            return now or simulator.world.now()

        async with Engine(env=env, jitter=lambda: 0.0, now=clock, **engine) as net:
            return await work(Collector(Lake(warehouse), warehouse, net, now=clock))

    return asyncio.run(run())


def sources(*names: str):
    return [fetcher(n) for n in names or SETTLING]


def payments(warehouse: Path) -> pl.DataFrame:
    return Lake(warehouse).scan("funding").collect().sort("exchange", "symbol", "funding_time")


def differing(warehouse: Path, truth: World, start: datetime, stop: datetime) -> pl.DataFrame:
    """The rows in which lake and world differ in [start, stop), over the markets that the lake has; empty when right."""
    stored = payments(warehouse).filter(pl.col("funding_time").is_between(start, stop, closed="left"))
    columns = ["exchange", "symbol", "funding_time", "interval_hours", "funding_rate"]
    want = pl.concat(
        [stored.select(columns).clear()]
        + [
            truth.settled(e, s, start, stop).with_columns(exchange=pl.lit(e)).select(columns)
            for e, s in stored.select("exchange", "symbol").unique().rows()
        ]
    )
    both = stored.select(columns).join(want, on=columns[:3], how="full", coalesce=True, suffix="_world")
    same = ((pl.col("funding_rate") - pl.col("funding_rate_world")).abs() < 1e-12) & (
        pl.col("interval_hours") == pl.col("interval_hours_world")
    )
    return both.filter(same.fill_null(value=False).not_())
