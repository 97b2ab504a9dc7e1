"""Settings -> world -> core -> the frames of a Result."""

from __future__ import annotations

from hashlib import sha256
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fundingdb import catalog
from fundingdb.backtest import core, fills, frames, world
from fundingdb.errors import BadCall, BadWindow
from fundingdb.window import HOUR, floor_hour, instant

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection  # noqa: TID251 - the type alone; catalog opens it
    from numpy.typing import NDArray

    from fundingdb.backtest.result import Result, Settings


class Ready(NamedTuple):
    """A world with its best pairs and costs: what one run or many start from."""

    world: world.World
    best_long: NDArray[np.int32]
    best_short: NDArray[np.int32]
    heat: tuple[NDArray[np.float64], NDArray[np.int64]]
    cost: NDArray[np.float64]  # exchange x hour, without slippage
    day: NDArray[np.int64]
    notes: tuple[str, ...]
    fingerprint: str


def run(
    settings: Settings, warehouse: Path | str | None = None, version: int | datetime | None = None
) -> Result:
    """One run over a lake (default: FUNDINGDB_WAREHOUSE, else ./warehouse; `version` pins its rows).

    Raises BadCall (figures that make no sense, tokens that can't be paired, an exchange without fees), BadWindow,
    UnknownName, BadData (the table of fees), VersionGone, LakeError.
    """
    checked(settings)
    with catalog.connect(warehouse, version) as con:
        ready = prepare(con, settings, warehouse)
    return frames.result(settings, ready, walk(ready, settings, record=True))


def prepare(con: DuckDBPyConnection, settings: Settings, warehouse: Path | str | None) -> Ready:
    """Reads what the settings ask for: everything but the thresholds."""
    listed = world.chosen(world.markets(con), settings.exchanges, settings.tokens)
    seen = world.load(con, listed, settings.start, settings.end, all_tokens=settings.tokens is None)
    hours = seen.known.shape[1]
    cost, told, used = fills.costs(seen.exchanges, seen.start, hours, settings.fees, warehouse)
    long, short, total, count = core.best_pairs(seen.known, seen.asset_start, seen.exchange, seen.delisted)
    first = int(seen.start.timestamp()) // 3600
    day = (np.arange(hours) + first) // 24 - first // 24
    digest = sha256(f"{seen.fingerprint} {used}".encode()).hexdigest()
    return Ready(seen, long, short, (total, count), cost, day, (*told, *seen.notes), digest)


def walk(ready: Ready, settings: Settings, *, record: bool) -> core.Walked:
    """One walk over the hours."""
    seen, band, most = ready.world, settings.switch_band_apr, settings.max_pairs
    return core.Walked(
        *core.walk(
            seen.known, seen.settled, seen.paid, seen.exchange, seen.delisted, ready.best_long, ready.best_short,
            ready.cost + settings.slippage_bps / 1e4, ready.day, float(settings.entry_apr), float(settings.exit_apr),
            float(settings.hold_hours), seen.assets.height if most is None else int(most),
            np.nan if band is None else float(band), record,
        )
    )  # fmt: skip


def checked(settings: Settings) -> None:
    """Raises BadCall or BadWindow for settings that make no sense."""
    for name in ("start", "end"):
        at = instant(getattr(settings, name), name)
        if at != floor_hour(at):
            raise BadWindow(f"{name} {at.isoformat()}: decisions fall on full hours; give one")
    if settings.end <= settings.start:
        told = f"span {settings.start.isoformat()} .. {settings.end.isoformat()}"
        raise BadWindow(f"{told} is reversed or empty: start must be before end")
    figures = {
        "entry": settings.entry_apr, "exit": settings.exit_apr, "hold": settings.hold_hours,
        "switch band": settings.switch_band_apr, "notional": settings.notional_usd, "slippage": settings.slippage_bps,
    }  # fmt: skip
    for name, value in figures.items():
        if value is not None and not isfinite(value):
            raise BadCall(f"{name} {value}: not a finite number")
    if settings.entry_apr < settings.exit_apr:
        raise BadCall(
            f"entry {settings.entry_apr:g} a year lies below exit {settings.exit_apr:g}: each pair would be left as soon "
            "as it may be; give an entry at or above the exit"
        )
    low = {"entry": settings.entry_apr, "hold": settings.hold_hours, "slippage": settings.slippage_bps}
    for name, value in low.items():
        if value < 0:
            raise BadCall(f"{name} {value:g}: must be 0 or more")
    if settings.switch_band_apr is not None and settings.switch_band_apr <= 0:
        raise BadCall(f"switch band {settings.switch_band_apr:g}: must be above 0, or left out for never")
    if settings.notional_usd <= 0:
        raise BadCall(f"notional {settings.notional_usd:g}: must be above 0")
    if settings.max_pairs is not None and settings.max_pairs < 1:
        raise BadCall(f"max pairs {settings.max_pairs}: must be 1 or more")
    for name, value in (("entry", settings.entry_apr), ("exit", settings.exit_apr)):
        if abs(value) > 100:
            raise BadCall(f"{name} {value:g}: is a fraction a year, 0.2 for 20 %; this is {value:.0%}")
