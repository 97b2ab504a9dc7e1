"""Instants as arguments: Unix seconds or aware datetimes, one or many."""

from __future__ import annotations

from datetime import datetime
from numbers import Real
from typing import Any

import polars as pl

from fundingdb.errors import BadWindow
from fundingdb.schema import TIME
from fundingdb.window import instant


def seconds(timestamp: Any) -> float:
    """Unix seconds of an instant; raises BadWindow for naive datetimes and what is no time."""
    if isinstance(timestamp, datetime):
        return instant(timestamp, "timestamp").timestamp()
    if isinstance(timestamp, Real) and not isinstance(timestamp, bool):
        return float(timestamp)
    raise BadWindow(f"timestamp {timestamp!r}: not a time; give Unix seconds or an aware datetime")


def plain(timestamp: Any) -> float | datetime:
    """A datetime as it is, any other instant as Unix seconds."""
    return timestamp if isinstance(timestamp, datetime) else seconds(timestamp)


def as_time(at: pl.Series) -> pl.Series:
    """UTC instants of Unix seconds."""
    return (at * 1e6).round().cast(pl.Int64).cast(TIME)


def many(timestamps: Any) -> pl.Series:
    """Unix seconds (Float64) of many instants: a list, an array, a Series or a column of a frame.

    Raises BadWindow that names the first bad row.
    """
    _refuse_naive(timestamps)
    try:
        given = pl.Series("timestamp", timestamps)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise _first(timestamps, str(error)) from None
    if isinstance(given.dtype, pl.Datetime):
        if given.dtype.time_zone is None and given.len():
            raise BadWindow(
                f"timestamps: row 0: {given[0]}: naive datetimes; give them a time zone, e.g. UTC"
            )
        if given.null_count():
            raise BadWindow(f"timestamps: row {given.is_null().arg_max()} is null")
        # not by Polars: it multiplies by 1 / 1e6, and is a little off
        at = pl.Series("timestamp", given.dt.epoch("us").to_numpy() / 1e6)
    elif given.dtype.is_numeric():
        at = given.cast(pl.Float64)
    elif given.is_empty():
        at = pl.Series("timestamp", [], pl.Float64)
    elif given.null_count() == given.len():
        raise BadWindow("timestamps: row 0 is null")
    else:
        raise BadWindow(
            f"timestamps: row 0: {given[0]!r}: {given.dtype} are no Unix seconds or aware datetimes"
        )
    return at


def _refuse_naive(timestamps: Any) -> None:
    """Raises for what Polars would take for UTC, or not take at all: arrays of datetime64, naive among aware ones."""
    kind = getattr(getattr(timestamps, "dtype", None), "kind", "")
    if kind == "M" and len(timestamps) and getattr(timestamps.dtype, "tz", None) is None:
        raise BadWindow(
            f"timestamps: row 0: {timestamps[0]}: naive datetimes; give them a time zone, e.g. UTC"
        )
    if kind == "O" or isinstance(timestamps, (list, tuple)):
        for value in timestamps:
            if isinstance(value, datetime) and value.tzinfo is None and value == value:  # not NaT  # noqa: PLR0124
                raise _first(timestamps, "")


def _first(timestamps: Any, why: str) -> BadWindow:
    """The error for the first row that is no instant, or of another kind than the first one."""
    try:
        rows = list(timestamps)
    except TypeError:
        return BadWindow(f"timestamps: {timestamps!r}: not many instants; give a list, an array or a Series")
    for row, value in enumerate(rows):
        if value is None:
            return BadWindow(f"timestamps: row {row} is null")
        try:
            seconds(value)
        except BadWindow as error:
            return BadWindow(f"timestamps: row {row}: {error}")
        if isinstance(value, datetime) != isinstance(rows[0], datetime):
            return BadWindow(
                f"timestamps: row {row}: {value!r}: not one kind of Unix seconds or aware datetimes"
            )
    return BadWindow(f"timestamps: not one kind of Unix seconds or aware datetimes ({why})")
