"""One backtest run: read the markets, walk over the hours, make the frames of the Result."""

from __future__ import annotations

from hashlib import sha256
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from fundingdb.backtest import core, fills, frames, world
from fundingdb.catalog import catalog
from fundingdb.catalog.fees import fee_venue
from fundingdb.errors import BadCall, BadWindow
from fundingdb.window import floor_hour, instant

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from fundingdb.backtest.result import Result, Settings
    from fundingdb.catalog.catalog import Connection


READS = ("funding", "identity_checks")  # of the views


def run(
    settings: Settings, warehouse: Path | str | None = None, version: int | datetime | None = None
) -> Result:
    """One run over a lake (default: FUNDINGDB_WAREHOUSE, else ./warehouse; `version` pins its rows).

    Raises BadCall (figures that make no sense, tokens that can't be paired, an exchange without fees), BadWindow,
    UnknownName, BadData (the table of fees), VersionGone, LakeError.
    """
    checked(settings)
    with catalog.connect(warehouse, version, only=READS) as con:
        ready = prepare(con, settings, warehouse)
    return frames.result(settings, ready, walk(ready, settings, record=True))


def prepare(con: Connection, settings: Settings, warehouse: Path | str | None) -> world.Ready:
    """Reads rates, settlements and fees for the settings; the thresholds play no part yet."""
    notes: list[str] = []
    fees = fills.Fees(settings.fees, warehouse)
    listed = world.chosen(world.markets(con), settings.exchanges, settings.tokens)
    listed = fees.priced(listed, notes)
    arrays = world.load(con, listed, settings.start, settings.end, all_tokens=settings.tokens is None)
    hours = arrays.known.shape[1]
    venues = arrays.markets.select(fee_venue()).to_series()
    names = venues.unique().sort().to_list()
    cost, used = fees.by_hour(names, arrays.start, hours, notes)
    long, short, total, count = core.best_pairs(
        arrays.known, arrays.asset_start, arrays.exchange, arrays.delisted
    )
    first = int(arrays.start.timestamp()) // 3600
    return world.Ready(
        world=arrays,
        best_long=long,
        best_short=short,
        heat=(total, count),
        fee=cost,
        fee_venue=np.searchsorted(np.array(names), venues.to_numpy()).astype(np.int64),
        day=(np.arange(hours) + first) // 24 - first // 24,
        notes=(*notes, *arrays.notes),
        fingerprint=sha256(f"{arrays.fingerprint} {used}".encode()).hexdigest(),
    )


def walk(ready: world.Ready, settings: Settings, *, record: bool) -> core.Walked:
    """Runs the strategy over data that is read already."""
    arrays, band, most = ready.world, settings.switch_band_apr, settings.max_pairs
    data = core.Inputs(
        known=arrays.known,
        settled=arrays.settled,
        paid=arrays.paid,
        exchange=arrays.exchange,
        delisted=arrays.delisted,
        best_long=ready.best_long,
        best_short=ready.best_short,
        cost=ready.fee + settings.slippage_bps / 1e4,
        fee_venue=ready.fee_venue,
        day=ready.day,
    )
    rules = core.Rules(
        entry=settings.entry_apr - core.EDGE,
        leave=settings.exit_apr - core.EDGE,
        hold=float(settings.hold_hours),
        most=arrays.assets.height if most is None else int(most),
        band=float("nan") if band is None else band - core.EDGE,
    )
    walked: Any = core.walk(data, rules, len(arrays.exchanges), record)
    return core.Walked(*walked)


_FRACTIONS = ("entry_apr", "exit_apr", "switch_band_apr")  # of a year: 20 is a slip for 0.2
_COUNTED = ("entry_apr", "hold_hours", "slippage_bps")  # 0 or more


def checked(settings: Settings) -> None:
    """Raises BadCall or BadWindow for settings that make no sense."""
    for name in ("start", "end"):
        at = instant(getattr(settings, name), name)
        if at != floor_hour(at):
            raise BadWindow(f"{name} {at.isoformat()}: decisions fall on full hours; give one")
    if settings.end <= settings.start:
        span = f"span {settings.start.isoformat()} .. {settings.end.isoformat()}"
        raise BadWindow(f"{span} is reversed or empty: start must be before end")
    figures = {
        name: getattr(settings, name) for name in (*_FRACTIONS, *_COUNTED, "notional_usd", "max_pairs")
    }
    for name, value in figures.items():
        _figure(name, value)
    if settings.entry_apr < settings.exit_apr:
        raise BadCall(
            f"entry_apr {settings.entry_apr:g} is below exit_apr {settings.exit_apr:g}: each pair would be closed as soon as "
            "it may be; give an entry at or above the exit"
        )


def _figure(name: str, value: float | None) -> None:
    """Raises BadCall for a figure that makes no sense."""
    if value is None:
        return
    if not isfinite(value):
        raise BadCall(f"{name} {value}: not a finite number")
    if name in _COUNTED and value < 0:
        raise BadCall(f"{name} {value:g}: must be 0 or more")
    if name in _FRACTIONS and abs(value) > 100:
        raise BadCall(f"{name} {value:g}: is a fraction a year, 0.2 for 20 %; this would be {value:,.0%}")
    if name == "notional_usd" and value <= 0:
        raise BadCall(f"{name} {value:g}: must be above 0")
    if name == "switch_band_apr" and value <= 0:
        raise BadCall(f"{name} {value:g}: must be above 0; leave it out for no switching")
    if name == "max_pairs" and (value < 1 or value != int(value)):
        raise BadCall(f"{name} {value:g}: must be a whole number, 1 or more")
