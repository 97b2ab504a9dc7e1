"""The demo: backfill and collect from a simulated world over a real socket, then compare every row with that world."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.catalog.catalog import connect
from fundingdb.errors import BadCall
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest.collector import Collector, CollectReport
from fundingdb.ingest.ledger import due
from fundingdb.lake import Lake
from fundingdb.simulator import Faults, Simulator, World
from fundingdb.transport.http import Engine
from fundingdb.window import HOUR, Window, floor_hour

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXCHANGES = ("extended", "lighter", "hyperliquid")
TOKENS = ("KAITO", "IP", "GRASS", "ZEC", "APT", "SUI", "TRUMP", "LDO", "OP", "PEPE")
_SETTLED = timedelta(minutes=30)  # the world has stamps up to 25 minutes late
_MARK = "simulated.txt"  # marks a demo warehouse, which may be deleted


@dataclass(slots=True)
class DemoResult:
    """What the demo did and how the lake compares with the world; `differences` names the first rows that differ."""

    seconds: float
    payments: int
    snapshots: int
    faults: dict[str, int]
    report: CollectReport
    differences: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether every row of the lake is the world's, and none is missing."""
        return not self.differences and not self.report.failures

    def verdict(self) -> str:
        """One line."""
        if self.right:
            struck = sum(self.faults.values())
            return (
                f"{self.payments:,} settled payments and {self.snapshots} snapshots, every row equal to the simulated world; "
                f"{struck} faults survived; {self.seconds:.1f} s"
            )
        return "NOT RIGHT:\n  " + "\n  ".join(
            [*self.differences, *(str(f.error) for f in self.report.failures)][:10]
        )

    def facts(self) -> dict[str, object]:
        """The figures under stable names."""
        return {
            "right": self.right,
            "payments": self.payments,
            "snapshots": self.snapshots,
            "faults": self.faults,
            "differences": self.differences,
            "failures": [str(f.error) for f in self.report.failures],
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo into `warehouse`, which must not exist or be an earlier demo's: that one is made anew."""

    warehouse: Path
    days: int

    def run(self, say: Callable[[str], object]) -> DemoResult:
        """Run it; `say` is called with each step. Raises BadCall for a folder that is not a demo's."""
        self._clear()
        begin = datetime.now(UTC)
        stop = due(begin, _SETTLED)
        window = Window(floor_hour(stop) - timedelta(days=self.days), stop)
        world = World(start=window.start - timedelta(days=2))
        with Simulator(world, faults=Faults.some()) as simulator:
            report, snapshot = asyncio.run(self._collect(simulator.env(), window, say))
            rows, differences = self._compare(world, window)
            struck = {str(kind): count for kind, count in sorted(simulator.faults.hit.items())}
        seconds = (datetime.now(UTC) - begin).total_seconds()
        report.failures += snapshot.failures
        return DemoResult(seconds, rows, snapshot.snapshots, struck, report, differences)

    async def _collect(
        self, env: dict[str, str], window: Window, say: Callable[[str], object]
    ) -> tuple[CollectReport, CollectReport]:
        lake = Lake(self.warehouse)
        async with Engine(env={**os.environ, **env}) as engine:
            collector = Collector(lake, self.warehouse, engine)
            say(f"backfill of {len(TOKENS)} tokens on {len(EXCHANGES)} exchanges ...\n")
            report = await collector.backfill([fetcher(e) for e in EXCHANGES], window, TOKENS)
            say("a round of CoinGecko snapshots ...\n")
            snapshot = await collector.round([fetcher("coingecko")], EXCHANGES, TOKENS)
        return report, snapshot

    def _clear(self) -> None:
        if self.warehouse.exists():
            if not (self.warehouse / _MARK).is_file():
                raise BadCall(
                    f"{self.warehouse} is not a demo's warehouse: move it away or give another --warehouse"
                )
            shutil.rmtree(self.warehouse)
        self.warehouse.mkdir(parents=True)
        (self.warehouse / _MARK).write_text("Simulated rows. Made anew by each `fundingdb demo`.\n")

    def _compare(self, world: World, window: Window) -> tuple[int, list[str]]:
        """Payments in the lake, and where lake and world differ (rates to 1e-12, far below any exchange's step)."""
        stored = Lake(self.warehouse).scan("funding").collect()
        columns = ["exchange", "symbol", "funding_time", "interval_hours", "funding_rate"]
        symbols = stored.select("exchange", "symbol").unique().rows()
        frames = [
            world.settled(exchange, symbol, window.start, window.stop).with_columns(exchange=pl.lit(exchange))
            for exchange, symbol in symbols
        ]
        want = pl.concat([stored.select(columns).clear(), *(f.select(columns) for f in frames)])
        both = stored.select(columns).join(
            want, on=["exchange", "symbol", "funding_time"], how="full", coalesce=True, suffix="_world"
        )
        close = (pl.col("funding_rate") - pl.col("funding_rate_world")).abs() < 1e-12
        same = close & (pl.col("interval_hours") == pl.col("interval_hours_world"))
        bad = both.filter(same.fill_null(value=False).not_()).sort("exchange", "symbol", "funding_time")
        differences = [
            f"{r['exchange']} {r['symbol']} {r['funding_time']}: lake {r['funding_rate']}, world {r['funding_rate_world']}"
            for r in bad.head(10).iter_rows(named=True)
        ]
        lacking = {(e, t) for e in EXCHANGES for t in TOKENS} - set(
            stored.select("exchange", "base").unique().rows()
        )
        differences += [f"{exchange} {token}: nothing in the lake" for exchange, token in sorted(lacking)]
        return stored.height, differences


def coverage(warehouse: Path) -> pl.DataFrame:
    """Payments per exchange: markets, payments, first and last."""
    return _ask(
        warehouse,
        "select exchange, count(distinct symbol) as markets, count(*) as payments, min(funding_time) as first_funding_time, "
        "max(funding_time) as last_funding_time from funding group by exchange order by exchange",
    )


def best(warehouse: Path) -> pl.DataFrame:
    """The widest pair of each asset at the newest hour at which all exchanges are known, widest first."""
    return _ask(
        warehouse,
        "select base, hour_at, long_exchange, short_exchange, spread_1h, spread_1h * 8760 as apr "
        "from best_spreads where hour_at = (select max(hour_at) from best_spreads where exchanges = 3) "
        "order by spread_1h desc, base limit 5",
    )


def pair_history(warehouse: Path, base: str, long: str, short: str) -> pl.DataFrame:
    """hour_at and percent_a_year of short minus long over the last 7 days, known rates only."""
    with connect(warehouse) as con:
        newest = con.sql("select max(hour_at) as at from funding_known_1h").pl().item()
        return con.sql(
            "select l.hour_at, (s.rate_1h - l.rate_1h) * 8760 * 100 as percent_a_year "
            "from funding_known_1h l join funding_known_1h s on s.hour_at = l.hour_at and s.base = l.base "
            "where l.base = ? and l.exchange = ? and s.exchange = ? and l.hour_at > ? order by 1",
            params=[base, long, short, newest - 168 * HOUR],
        ).pl()


def _ask(warehouse: Path, query: str) -> pl.DataFrame:
    with connect(warehouse) as con:
        return con.sql(query).pl()
