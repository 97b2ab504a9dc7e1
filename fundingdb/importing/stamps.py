"""Stamps of files: their zone, the hour they settle, the interval between them; and what is no settlement at all."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.importing.reading import ROW
from fundingdb.schema import TIME

if TYPE_CHECKING:
    from pathlib import Path

INTERVALS = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0)
_EPOCHS = ((1e9, 5e9, 1_000_000, 1), (1e12, 5e12, 1000, 1), (1e15, 5e15, 1, 1), (1e18, 5e18, 1, 1000))
_ZONE = r"(?i)\s*(Z|UTC|[+-]\d\d:?\d\d)$"
_FORMS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_LATE_S, _EARLY_S = 600, 3540
_DENSE = timedelta(minutes=30)


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
        raise BadCall(f"--tz {text!r}: write UTC, UTC+3, +05:30 or a zone like Europe/Moscow") from None


def stamps(rows: pl.DataFrame, path: Path, name: str) -> tuple[pl.Series, bool]:
    """A column as instants, and whether they are UTC for sure; if not, they are the hands of a clock in an unknown zone.

    Numbers are Unix s, ms, us or ns by their size, one kind a file. Raises BadData with the row of what is no time.
    """
    cells = rows[name]
    if isinstance(cells.dtype, pl.Datetime):
        aware = cells.dtype.time_zone is not None
        moved = cells.dt.convert_time_zone("UTC") if aware else cells.dt.replace_time_zone("UTC")
        got = moved.cast(TIME), aware
    elif cells.dtype == pl.Date:
        got = cells.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), False
    elif cells.dtype.is_numeric():
        got = _counted(rows, path, name, cells), True
    elif cells.dtype == pl.String and cells.drop_nulls().str.contains(r"^\d{10,19}(\.\d+)?$").all():
        whole = cells.str.contains(r"^\d+$").all()
        got = _counted(rows, path, name, cells.cast(pl.Int64 if whole else pl.Float64)), True
    elif cells.dtype == pl.String:
        got = _written(rows, path, name, cells)
    else:
        raise BadData(f"{path}: column {name} is {cells.dtype}, must be times")
    if got[0].null_count():
        row = rows.filter(got[0].is_null()).row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {name} = {row[name]!r} is no date that can be read (ISO, or Unix time)"
        )
    return got


def _counted(rows: pl.DataFrame, path: Path, name: str, cells: pl.Series) -> pl.Series:
    known = cells.drop_nulls()
    for low, high, times, over in _EPOCHS:
        if known.len() and low <= known[0] < high:
            bad = rows.filter(~cells.is_between(low, high))
            if bad.height:
                row = bad.row(0, named=True)
                raise BadData(
                    f"{path}: row {row[ROW]}: {name} = {row[name]!r} counts time in another unit than row 1"
                )
            exact = cells if cells.dtype.is_integer() else cells.cast(pl.Float64)
            return (exact * times // over if over > 1 else exact * times).cast(pl.Int64).cast(TIME)
    raise BadData(
        f"{path}: row {rows[ROW][0]}: {name} = {cells[0]!r} is no Unix time (s, ms, us, ns) since 2001"
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
            f"{path}: row {row[ROW]}: {name} = {row[name]!r} has no zone, others have: two clocks in one file"
        )
    minutes = {z: 0 if z in ("Z", "UTC") else _minutes(z) for z in some.unique()}
    off = zones.replace_strict(minutes, return_dtype=pl.Int64)
    return at - (off * 60_000_000).cast(pl.Duration("us")), True


def _minutes(zone: str) -> int:
    sign, digits = (-1 if zone[0] == "-" else 1), zone[1:].replace(":", "")
    return sign * (int(digits[:2]) * 60 + int(digits[2:]))


def moved(clock: pl.Series, zone: timedelta | str) -> pl.Series:
    """Clock readings of `zone` as instants UTC; readings that its summer time skips or repeats raise BadCall."""
    if isinstance(zone, timedelta):
        return clock - zone
    try:
        local = clock.dt.replace_time_zone(None).dt.replace_time_zone(
            zone, ambiguous="raise", non_existent="raise"
        )
    except pl.exceptions.PolarsError as error:
        raise BadCall(
            f"--tz {zone}: a reading is skipped or repeated by its summer time: {str(error)[:120]}"
        ) from None
    return local.dt.convert_time_zone("UTC")


def refuse_samples(rows: pl.DataFrame, path: Path) -> None:
    """Raise BadData where the series (symbol, stamp) is sampled or captured, not settled."""
    gaps = rows.sort("symbol", "stamp").select(
        ROW, "symbol", gap=(pl.col("stamp") - pl.col("stamp").shift(1)).over("symbol")
    )
    steps = gaps.filter(pl.col("gap") > timedelta(0))
    middle = steps["gap"].median()
    if isinstance(middle, timedelta) and middle < _DENSE:
        row = steps.filter(pl.col("gap") < _DENSE).row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} has a row each {middle}: a sampled series of the predicted rate; "
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
    """Interval in hours of each row (symbol, hour), by the gaps of its market; null where they don't prove it.

    Two equal gaps in a row prove the second row's interval. The row after a hole has the interval of both its sides if
    they are one. The first row of a market has no gap; a few doubled gaps inside an even series are holes, no interval.
    """
    gap = (pl.col("hour") - pl.col("hour").shift(1)).over("symbol").dt.total_seconds() / 3600
    got = (
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
    return got.with_columns(hours=hours).sort("_at")["hours"]


def phases(rows: pl.DataFrame) -> dict[int, int]:
    """Hour of the clock modulo 8 -> rows, the most frequent first."""
    counts = rows.group_by((pl.col("stamp").dt.hour() % 8).alias("phase")).len().sort("len", descending=True)
    return dict(counts.iter_rows())
