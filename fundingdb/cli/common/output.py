"""Frames on stdout: a table for people, one JSON object a row or CSV for machines."""

from __future__ import annotations

import csv as csv_rows
import json as json_text
import math
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fundingdb.errors import escaped_lines

if TYPE_CHECKING:
    import polars as pl

_WIDE = 4000  # columns; a pipe has no width at which a table must wrap


def show(frame: pl.DataFrame, *, json: bool = False, csv: bool = False) -> None:
    """Print all rows in the frame's order.

    Table: invisible characters of a text are printed as escapes. CSV: see `without_formulas`.
    JSON and CSV: instants as ISO text with Z, null as null or an empty cell; NaN and infinity, which JSON does not have, as null.
    Raises BrokenPipeError when the reader has closed the pipe.
    """
    if json:
        for row in frame.iter_rows(named=True):
            sys.stdout.write(json_text.dumps(plain(row), ensure_ascii=False) + "\n")
    elif csv:
        out = csv_rows.writer(sys.stdout, lineterminator="\n")
        out.writerow(frame.columns)
        out.writerows([plain(v) for v in row] for row in without_formulas(frame).iter_rows())
    else:
        _table(frame)
    sys.stdout.flush()


def without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame for a CSV file: an apostrophe before each text that a spreadsheet would run as a formula (= + - @ at its start).

    Numbers, also those that are stored as text, stay as they are.
    """
    import polars as pl

    text = pl.col(pl.String)
    formula = text.str.contains(r"^[=+\-@]") & text.cast(pl.Float64, strict=False).is_null()
    return frame.with_columns(pl.when(formula).then(text.str.replace("^", "'")).otherwise(text))


def plain(value: Any) -> Any:
    """The value as JSON can hold it: instants as ISO text with Z, NaN and infinity as None."""
    match value:
        case dict():
            simple: Any = {k: plain(v) for k, v in value.items()}
        case list():
            simple = [plain(v) for v in value]
        case float():
            simple = value if math.isfinite(value) else None
        case datetime(tzinfo=zone) if zone is not None:
            simple = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date() | time():
            simple = value.isoformat()
        case timedelta() | Decimal():
            simple = str(value)
        case bytes():
            simple = value.hex()
        case _:
            simple = value
    return simple


def _table(frame: pl.DataFrame) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, dtype in frame.schema.items():
        table.add_column(
            escaped_lines(name), justify="right" if dtype.is_numeric() else "left", overflow="fold"
        )
    for row in frame.iter_rows():
        table.add_row(*(Text(_cell(value)) for value in row))
    # `soft_wrap` would spoil columns: only a terminal has a width
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ").replace(":00Z", "Z")
    return escaped_lines(str(value))
