"""A grid search: a backtest run for each combination of parameters, over data that is read once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import floor, isfinite, prod
from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.backtest.frames import figures
from fundingdb.backtest.running import READS, checked, prepare, walk
from fundingdb.catalog import catalog
from fundingdb.errors import BadCall, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from fundingdb.backtest.result import Settings
    from fundingdb.backtest.world import Ready

# the word of --grid -> the field of Settings
AXES = {
    "entry": "entry_apr",
    "exit": "exit_apr",
    "hold": "hold_hours",
    "max-pairs": "max_pairs",
    "switch-band": "switch_band_apr",
    "slippage-bps": "slippage_bps",
}
_MOST = 10_000  # points


@dataclass(frozen=True, slots=True)
class Grid:
    """One row a point in `table`: the fields that vary, then the figures of FIGURES; the rest as in Result."""

    settings: Settings  # common to all points
    fingerprint: str
    table: pl.DataFrame
    warnings: tuple[str, ...]


def grid(
    settings: Settings,
    axes: Mapping[str, Sequence[float]],
    warehouse: Path | str | None = None,
    version: int | datetime | None = None,
) -> Grid:
    """A run for each combination of `axes` (field of Settings -> values), in their order, the last axis fastest.

    Points whose entry is below their exit are left out, with a warning. Raises as `run`; UnknownName for an axis that can't
    vary, BadCall where no point is left or there are more than 10,000.
    """
    points(settings, axes)  # refused before anything is read
    with catalog.connect(warehouse, version, only=READS) as con:
        ready = prepare(con, settings, warehouse)
    table, notes = over_points(settings, axes, ready)
    return Grid(settings, ready.fingerprint, table, (*ready.notes, *notes))


def points(settings: Settings, axes: Mapping[str, Sequence[float]]) -> tuple[list[Settings], int]:
    """The points that make sense, and how many were left out because their entry is below their exit."""
    for name in axes:
        if name not in AXES.values():
            raise UnknownName("axis", name, AXES.values())
    count = prod(len(values) for values in axes.values())
    if count > _MOST:
        raise BadCall(f"the grid has {count} points: at most {_MOST} are run at once")
    every = [_point(settings, dict(zip(axes, values, strict=True))) for values in product(*axes.values())]
    kept = [p for p in every if not p.entry_apr < p.exit_apr]
    if not kept:
        raise BadCall("the grid has no point whose entry is at or above its exit")
    for point in kept:
        checked(point)
    return kept, len(every) - len(kept)


def over_points(
    settings: Settings, axes: Mapping[str, Sequence[float]], ready: Ready
) -> tuple[pl.DataFrame, list[str]]:
    """The table of a Grid over data that is read already, and its warnings."""
    kept, left = points(settings, axes)
    notes = [f"{left} of {left + len(kept)} points left out: their entry is below their exit"] if left else []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the walk holds no lock
        rows = list(pool.map(partial(_figures, ready), kept))
    varied = pl.DataFrame([{name: getattr(p, name) for name in axes} for p in kept], infer_schema_length=None)
    return pl.concat([varied, pl.DataFrame(rows, infer_schema_length=None)], how="horizontal"), notes


def axes_of(text: str) -> dict[str, list[float]]:
    """Field -> values of `entry=0.1:0.5:0.1,exit=0.05`: a value, or first:last:step with the last included.

    Raises BadCall naming the part that can't be read, UnknownName.
    """
    axes: dict[str, list[float]] = {}
    for part in text.split(","):
        word, _, values = part.partition("=")
        name = word.strip()
        if name not in AXES:
            raise UnknownName("axis of --grid", name, AXES)
        if AXES[name] in axes:
            raise BadCall(f"--grid: {name} is named twice")
        axes[AXES[name]] = _values(part.strip(), values)
    return axes


def _values(part: str, text: str) -> list[float]:
    form = f"--grid {part!r}: write name=value or name=first:last:step, such as entry=0.1:0.5:0.1"
    try:
        ends = [float(v.removesuffix("h")) for v in text.split(":")]
    except ValueError:
        raise BadCall(form) from None
    if not all(map(isfinite, ends)):
        raise BadCall(f"--grid {part!r}: not a finite number")
    if len(ends) == 1:
        return ends
    if len(ends) != 3:
        raise BadCall(form)
    first, last, step = ends
    if not step > 0 or not last >= first:
        raise BadCall(f"--grid {part!r}: the step must be above 0 and the last value not below the first")
    count = floor((last - first) / step + 1e-9) + 1
    if count > _MOST:
        raise BadCall(f"--grid {part!r}: {count} values; at most {_MOST} points are run at once")
    return [round(first + n * step, 12) for n in range(count)]


def _point(settings: Settings, varied: dict[str, Any]) -> Settings:
    most = varied.get("max_pairs")
    if most is not None and most == int(most):
        varied["max_pairs"] = int(most)
    return replace(settings, **varied)


def _figures(ready: Ready, point: Settings) -> dict[str, float | int | None]:
    return figures(walk(ready, point, record=False), point.notional_usd)
