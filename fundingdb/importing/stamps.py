"""Times of a file: their zone, their hour of settlement, the interval between them; and series that are no settlements."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.fetchers.limits import MIDNIGHT_GRID
from fundingdb.importing.files import ROW
from fundingdb.schema import TIME

if TYPE_CHECKING:
    from pathlib import Path

INTERVALS = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0)
_EPOCHS = ((1e9, 5e9, 1_000_000, 1), (1e12, 5e12, 1000, 1), (1e15, 5e15, 1, 1), (1e18, 5e18, 1, 1000))
_ZONE = r"(?i)\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)$"
_FORMS = (
    "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M:%S%.f", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M",
)  # fmt: skip
_LATE_S, _EARLY_S = 600, 3540
_DENSE = timedelta(minutes=30)
_OFF_GRID = 0.01  # share of rows: of 96,000 recorded payments none is off


def zone_of(text: str) -> timedelta | str:
    """An offset (`UTC`, `UTC+3`, `+05:30`) or the name of a zone (`Europe/Moscow`); raises BadCall."""
    match = re.fullmatch(r"(?:UTC|GMT|Z)?(?:([+-])(\d{1,2})(?::?(\d\d))?)?", text.strip(), re.IGNORECASE)
    if match and text.strip():
        span = timedelta(hours=int(match[2] or 0), minutes=int(match[3] or 0))
        if span <= timedelta(hours=14):
            return -span if match[1] == "-" else span
    try:
        return ZoneInfo(text).key
    except (KeyError, ValueError, OSError):
        raise BadCall(
            f"--tz {text!r}: no such zone; write UTC, UTC+3, +05:30 or a name like Europe/Moscow"
        ) from None


def stamps(rows: pl.DataFrame, path: Path, name: str) -> tuple[pl.Series, bool]:
    """A column as instants, and whether they are UTC; if not, they are readings of a clock in an unknown zone.

    Numbers are Unix s, ms, us or ns by their size, one kind a file. Raises BadData with the first row that is no time.
    """
    cells = rows[name]
    if isinstance(cells.dtype, pl.Datetime):
        aware = cells.dtype.time_zone is not None
        utc = cells.dt.convert_time_zone("UTC") if aware else cells.dt.replace_time_zone("UTC")
        read = utc.cast(TIME), aware
    elif cells.dtype == pl.Date:
        read = cells.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), False
    elif cells.dtype.is_numeric():
        read = _counted(rows, path, name, cells), True
    elif cells.dtype == pl.String and cells.drop_nulls().str.contains(r"^\d{10,19}(\.\d+)?$").all():
        whole = cells.str.contains(r"^\d+$").all()
        read = _counted(rows, path, name, cells.cast(pl.Int64 if whole else pl.Float64, strict=False)), True
    elif cells.dtype == pl.String:
        read = _written(rows, path, name, cells)
    else:
        raise BadData(
            f"{path}: column {name} has no times: choose another column with --map funding_time=COLUMN"
        )
    if read[0].null_count():
        row = rows.filter(read[0].is_null()).row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {name} = {row[name]!r} is no time (ISO, as 2026-01-31 08:00, or Unix): correct the row"
        )
    return read


def _counted(rows: pl.DataFrame, path: Path, name: str, cells: pl.Series) -> pl.Series:
    counts = cells.drop_nulls()
    for low, high, times, over in _EPOCHS:
        if counts.len() and low <= counts[0] < high:
            bad = rows.filter(~cells.is_between(low, high))
            if bad.height:
                row = bad.row(0, named=True)
                raise BadData(
                    f"{path}: row {row[ROW]}: {name} = {row[name]!r} has another time unit than row 1; import each part alone"
                )
            exact = cells if cells.dtype.is_integer() else cells.cast(pl.Float64)
            return (exact * times // over if over > 1 else exact * times).cast(pl.Int64).cast(TIME)
    raise BadData(
        f"{path}: row {rows[ROW][0]}: {name} = {cells[0]!r} is no Unix time (s, ms, us, ns) since 2001; use --map"
    )


def _written(rows: pl.DataFrame, path: Path, name: str, cells: pl.Series) -> tuple[pl.Series, bool]:
    text = cells.str.strip_chars()
    zones = text.str.extract(_ZONE, 1).str.to_uppercase()
    # The dash of a bare date is no offset.
    zones = zones.set(~text.str.contains(r"\d:\d\d"), None)
    bare = pl.DataFrame({"t": text, "z": zones}).select(
        pl.when(pl.col("z").is_null())
        .then("t")
        .otherwise(pl.col("t").str.replace(_ZONE, ""))
        .str.replace("T", " ")
    )["t"]
    at = pl.select(
        pl.coalesce(bare.str.to_datetime(form, strict=False, time_unit="us") for form in _FORMS)
    ).to_series()
    at = at.dt.replace_time_zone("UTC")
    some = zones.drop_nulls()
    if some.is_empty():
        return at, False
    if some.len() < zones.len():
        row = rows.filter(zones.is_null()).row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {name} = {row[name]!r} states no zone, other rows do; import each part alone"
        )
    minutes = {z: 0 if z in ("Z", "UTC") else _minutes(z) for z in some.unique()}
    off = zones.replace_strict(minutes, return_dtype=pl.Int64)
    return at - (off * 60_000_000).cast(pl.Duration("us")), True


def _minutes(zone: str) -> int:
    sign, digits = (-1 if zone[0] == "-" else 1), zone[1:].replace(":", "").ljust(4, "0")
    return sign * (int(digits[:2]) * 60 + int(digits[2:]))


def moved(rows: pl.DataFrame, zone: timedelta | str, path: Path) -> pl.Series:
    """The readings `stamp` of rows (_row, symbol, stamp) of a clock in `zone`, as instants UTC.

    A reading that summer time repeats is the instant that fits the other payments of its market: that on the grid of
    its hours, or of two equal readings each in its order. Raises BadCall where neither decides, or summer time
    skips the reading.
    """
    if isinstance(zone, timedelta):
        return rows["stamp"] - zone
    readings = rows["stamp"].dt.replace_time_zone(None)
    either = rows.select(ROW, "symbol").with_columns(
        early=_instants(readings, zone, "earliest"), late=_instants(readings, zone, "latest")
    )
    twice = pl.col("early") != pl.col("late")
    instants = either.with_columns(
        at=pl.when(twice.not_()).then("early"),
        _copies=pl.len().over("symbol", "early"),
        _copy=pl.int_range(pl.len()).over("symbol", "early"),
        _falls=(pl.col("early").diff() < timedelta(0)).mean().over("symbol") > 0.5,
    )
    gap = _gaps(instants)
    instants = instants.join(gap, on="symbol", how="left", maintain_order="left")
    fits_early, fits_late = (_hour(name) % pl.col("_gap") == pl.col("_phase") for name in ("early", "late"))
    first = pl.col("_falls") != (pl.col("_copy") == 0)
    at = (
        pl.when(twice.not_())
        .then("early")
        .when(fits_early & fits_late.not_())
        .then("early")
        .when(fits_late & fits_early.not_())
        .then("late")
        .when(pl.col("_copies") == 2)
        .then(pl.when(first).then("early").otherwise("late"))
    )
    instants = instants.with_columns(at=at)
    if instants["at"].null_count() > readings.null_count():
        row = (instants["at"].is_null() & readings.is_not_null()).arg_true()[0]
        raise BadCall(
            f"{path}: row {rows[ROW][row]}: {readings[row]:%Y-%m-%d %H:%M} is skipped or repeated by the summer time of {zone}; "
            "give --tz as an offset, such as UTC+3, one import for each"
        )
    return instants["at"]


def _instants(readings: pl.Series, zone: str, side: Literal["earliest", "latest"]) -> pl.Series:
    local = readings.dt.replace_time_zone(zone, ambiguous=side, non_existent="null")
    return local.dt.convert_time_zone("UTC")


def _hour(name: str) -> pl.Expr:
    return pl.col(name).dt.epoch("s") // 3600


def _gaps(instants: pl.DataFrame) -> pl.DataFrame:
    """Of each market its usual hours between two instants `at`, and the usual hour of the day modulo these."""
    sure = instants.drop_nulls("at").sort("symbol", "at")
    step = (_hour("at") - _hour("at").shift(1)).over("symbol")
    steps = sure.with_columns(_step=step).filter(pl.col("_step") > 0)
    gap = steps.group_by("symbol").agg(_gap=pl.col("_step").mode().min())
    return (
        sure.join(gap, on="symbol")
        .group_by("symbol", "_gap")
        .agg(_phase=(_hour("at") % pl.col("_gap").first()).mode().min())
    )


def refuse_off_grid(rows: pl.DataFrame, path: Path, exchange: str, *, ahead: int | None) -> None:
    """Raise BadData where rows (_row, symbol, hour, hours) lie off the settlement grid of their exchange, naming the zone.

    `ahead`: hours of the stated or derived zone before UTC; None where it has none to name.
    """
    known = rows.drop_nulls("hours")
    off = known.filter(_off(pl.col("hour")))
    if exchange not in MIDNIGHT_GRID or off.height <= _OFF_GRID * rows.height:
        return
    row = off.row(0, named=True)
    moves = [
        h
        for h in range(-12, 15)
        if known.filter(_off(pl.col("hour") - timedelta(hours=h))).height <= 0.01 * rows.height
    ]
    zones = sorted((ahead + h for h in moves if ahead is not None and -12 <= ahead + h <= 14), key=abs)
    fits = ", ".join(map(named_zone, zones))
    raise BadData(
        f"{path}: row {row[ROW]}: {row['symbol']} {row['hour']:%Y-%m-%d %H:%M} UTC is no settlement of {exchange}, whose "
        "payments "
        f"of {row['hours']:g} hours fall on multiples of {row['hours']:g} since midnight ({off.height:,} of {rows.height:,} rows "
        f"are off); "
        + (
            f"the clock of the file fits {fits}: give --tz"
            if fits
            else "compare the times with another source"
        )
    )


def _off(hour: pl.Expr) -> pl.Expr:
    return hour.dt.hour().cast(pl.Float64) % pl.col("hours") != 0


def named_zone(hours: int) -> str:
    """UTC, UTC+3 or UTC-5."""
    return f"UTC{hours:+d}" if hours else "UTC"


def refuse_samples(rows: pl.DataFrame, path: Path) -> None:
    """Raise BadData where the series (symbol, stamp) is of snapshots, not of settlements."""
    gaps = rows.sort("symbol", "stamp").select(
        ROW, "symbol", gap=(pl.col("stamp") - pl.col("stamp").shift(1)).over("symbol")
    )
    steps = gaps.filter(pl.col("gap") > timedelta(0))
    middle = steps["gap"].median()
    if isinstance(middle, timedelta) and middle < _DENSE:
        row = steps.filter(pl.col("gap") < _DENSE).row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} has a row every {middle}: samples of the predicted rate; "
            "table funding takes settlements only"
        )
    late = rows.with_columns(_late=(pl.col("stamp") - pl.col("stamp").dt.truncate("1h")).dt.total_seconds())
    off = late.filter(pl.col("_late").is_between(_LATE_S, _EARLY_S - 1))
    if off.height > 0.05 * rows.height:
        row = off.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} at {row['stamp']:%Y-%m-%d %H:%M:%S}: {off.height:,} of {rows.height:,} "
            "stamps lie off the settlement grid: snapshots of a predicted rate, no settlements"
        )
    early = late.filter(pl.col("_late") >= _EARLY_S)
    if early.height > max(1, 0.001 * rows.height):
        row = early.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['stamp']:%Y-%m-%d %H:%M:%S} lies just before an hour ({early.height:,} rows do): "
            "stamps of settlements come after it"
        )


def observed(rows: pl.DataFrame) -> pl.Series:
    """Interval in hours of each row (symbol, hour), by the gaps of its market; null where they prove none.

    Two equal gaps in a row prove the second row's interval. The row after a hole has the interval of both its sides if
    they are one. The first row of a market has no gap; a few doubled gaps inside an even series are holes, no interval.
    """
    gap = (pl.col("hour") - pl.col("hour").shift(1)).over("symbol").dt.total_seconds() / 3600
    gaps = (
        rows.select(ROW, "symbol", "hour")
        .with_row_index("_at")
        .sort("symbol", "hour")
        .with_columns(gap=gap)
        .with_columns(_run=pl.col("gap").rle_id().over("symbol"))
        .with_columns(_len=pl.len().over("symbol", "_run"))
        .with_columns(_long=pl.when((pl.col("_len") >= 4) & pl.col("gap").is_in(INTERVALS)).then("gap"))
        .with_columns(
            _before=pl.col("_long").forward_fill().over("symbol"),
            _after=pl.col("_long").backward_fill().over("symbol"),
        )
    )
    even = pl.col("_before") == pl.col("_after")
    hole = even & (pl.col("gap") > pl.col("_before")) & (pl.col("gap") % pl.col("_before") == 0)
    run = (pl.col("_len") >= 2) & pl.col("gap").is_in(INTERVALS)
    hours = (
        pl.when(pl.col("_long").is_not_null())
        .then("_long")
        .when(hole & (pl.col("_len") == 1))
        .then("_before")
        .when(hole)
        .then(None)
        .when(run)
        .then("gap")
    )
    return gaps.with_columns(hours=hours).sort("_at")["hours"]


def phases(rows: pl.DataFrame) -> dict[int, int]:
    """Hour of the clock modulo 8 -> rows, the most frequent first."""
    counts = rows.group_by((pl.col("stamp").dt.hour() % 8).alias("phase")).len().sort("len", descending=True)
    return dict(counts.iter_rows())
