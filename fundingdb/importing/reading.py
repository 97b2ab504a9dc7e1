"""Files as frames of text and numbers, and what their columns mean."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from fundingdb.errors import BadCall, BadData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ROW = "_row"
ROLES = ("funding_time", "funding_rate", "symbol", "price", "direction")
_TIMES = (
    "funding_time", "fundingTime", "fundingRateTimestamp", "effectiveAt", "timestamp", "time", "ts", "t", "T",
    "hour_timestamp", "datetime", "date", "Date", "captured_utc",
)  # fmt: skip
_RATES = ("funding_rate", "fundingRate", "rate", "r", "f", "Funding Rate", "avg_funding_rate")
_SYMBOLS = ("symbol", "Symbol", "instId", "ticker", "market", "m", "coin", "contract")
_EXCHANGES = ("exchange", "venue")
_RATE_LIKE = re.compile(r"fund.*rate|annual|apr\b|apy\b", re.IGNORECASE)
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def read(path: Path) -> pl.DataFrame:
    """The rows of a CSV, JSON, JSON Lines or Parquet file; `_row` counts them from 1. Cells of CSV are text, empty is null.

    JSON may wrap its one list of objects in other objects. Raises BadData for what can't be read, BadCall for other endings.
    """
    kind = path.suffix.lower()
    try:
        if kind == ".parquet":
            rows = pl.read_parquet(path, glob=False)
        elif kind in (".csv", ".tsv"):
            rows = pl.read_csv(
                path, infer_schema=False, glob=False, separator="\t" if kind == ".tsv" else ","
            )
        elif kind == ".json":
            rows = _objects(path, msgspec.json.decode(path.read_bytes()))
        elif kind in (".jsonl", ".ndjson"):
            lines = path.read_bytes().splitlines()
            rows = _objects(path, [msgspec.json.decode(line) for line in lines if line.strip()])
        else:
            raise BadCall(
                f"{path}: ending {kind or '(none)'}: .csv, .tsv, .json, .jsonl and .parquet are read"
            )
    except OSError as error:
        raise BadCall(f"{path}: can't be read ({error.strerror or error})") from None
    except (pl.exceptions.PolarsError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: is no whole {kind[1:]} file: {str(error)[:200]}") from None
    if rows.is_empty():
        raise BadData(f"{path}: has no rows")
    if ROW in rows.columns:
        raise BadData(f"{path}: a column is called {ROW}, which counts the rows here: give it another name")
    return rows.with_row_index(ROW, offset=1)


def _objects(path: Path, value: Any) -> pl.DataFrame:
    found = _lists(value)
    if len(found) != 1:
        raise BadData(f"{path}: holds {len(found)} lists of objects, must hold one")
    names = list(dict.fromkeys(name for row in found[0] for name in row))
    columns = []
    for name in names:
        cells = [row.get(name) for row in found[0]]
        kinds = {type(cell) for cell in cells if cell is not None}
        if kinds & {dict, list}:
            continue
        if kinds <= {int} or kinds <= {int, float}:
            columns.append(pl.Series(name, cells, pl.Int64 if kinds <= {int} else pl.Float64, strict=False))
        else:
            columns.append(pl.Series(name, [None if c is None else str(c) for c in cells], pl.String))
    return pl.DataFrame(columns)


def _lists(value: Any) -> list[list[dict[str, Any]]]:
    if isinstance(value, dict):
        return [found for part in value.values() for found in _lists(part)]
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return [value]
    return []


def chosen(rows: pl.DataFrame, path: Path, where: Mapping[str, str]) -> pl.DataFrame:
    """The rows whose columns match all patterns (`*` stands for any text); raises BadCall where none does."""
    for column, pattern in where.items():
        cells = _column(rows, path, column, "--where").cast(pl.String)
        values = cells.unique().drop_nulls().to_list()
        kept = [v for v in values if fnmatchcase(v, pattern)]
        if not kept:
            shown = ", ".join(sorted(values)[:8])
            raise BadCall(f"{path}: no row has {column} like {pattern!r}; there are {shown}")
        rows = rows.filter(cells.is_in(kept))
    return rows


def exchange_column(rows: pl.DataFrame, path: Path, given: str | None) -> str | None:
    """The column that names the exchange of each row; None where there is none."""
    if given is not None:
        return _column(rows, path, given, "--exchange-column").name
    return next((name for name in _EXCHANGES if name in rows.columns), None)


def roles(rows: pl.DataFrame, path: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Which column plays which role; `given` wins. Raises BadCall for a missing column or one that is not told."""
    found: dict[str, str] = {}
    for role, column in given.items():
        if role not in ROLES:
            raise BadCall(f"--map {role}=...: no such role; there are {', '.join(ROLES)}")
        found[role] = _column(rows, path, column, f"--map {role}").name
    if "funding_time" not in found:
        times = [name for name in _TIMES if name in rows.columns]
        # A count since 1970 or a zoned instant says more than a clock on some wall.
        times.sort(key=lambda name: not (rows[name].dtype.is_numeric() or _zoned(rows[name].dtype)))
        found["funding_time"] = _only(rows, path, times[:1], "funding_time")
    if "funding_rate" not in found:
        rates = [name for name in _RATES if name in rows.columns]
        rates = rates[:1] or [name for name in rows.columns if _RATE_LIKE.search(name)]
        found["funding_rate"] = _only(rows, path, rates, "funding_rate")
    symbols = [name for name in _SYMBOLS if name in rows.columns]
    if "symbol" not in found and symbols:
        found["symbol"] = symbols[0]
    if "price" not in found and {"base", "target", "index"} <= set(rows.columns):
        found["price"] = "index"
    if "direction" not in found and "direction" in rows.columns:
        found["direction"] = "direction"
    return found


def _zoned(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.Datetime) and dtype.time_zone is not None


def _only(rows: pl.DataFrame, path: Path, names: Sequence[str], role: str) -> str:
    if len(names) == 1:
        return names[0]
    have = ", ".join(name for name in rows.columns if name != ROW)
    if names:
        raise BadCall(
            f"{path}: {', '.join(names)} may each be {role}: say --map {role}=COLUMN, a run for each unit"
        )
    raise BadCall(f"{path}: no column is known as {role} (columns: {have}): say --map {role}=COLUMN")


def _column(rows: pl.DataFrame, path: Path, name: str, flag: str) -> pl.Series:
    if name not in rows.columns or name == ROW:
        have = ", ".join(c for c in rows.columns if c != ROW)
        raise BadCall(f"{path}: {flag}: column {name!r} is missing; there are {have}")
    return rows[name]


def numbers(rows: pl.DataFrame, path: Path, name: str) -> pl.Series:
    """A column as finite numbers, null where the cell is empty; raises BadData with the row of the first other one."""
    cells = rows[name]
    if cells.dtype == pl.String:
        text = cells.str.strip_chars()
        text = text.set(text == "", None)
        bad = rows.filter(~text.str.contains(_NUMBER))
        values = text if bad.height else text.cast(pl.Float64)
    elif cells.dtype.is_numeric() or cells.dtype == pl.Null or cells.dtype.is_decimal():
        values = cells.cast(pl.Float64)
        bad = rows.filter(~values.is_finite())
    else:
        raise BadData(f"{path}: column {name} is {cells.dtype}, must be numbers")
    if bad.height:
        raise BadData(f"{path}: row {bad[ROW][0]}: {name} = {bad[name][0]!r} is no finite number")
    return values
