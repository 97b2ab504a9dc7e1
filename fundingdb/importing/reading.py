"""Files as frames of text and numbers, and which column plays which role."""

from __future__ import annotations

import csv
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
_INT64 = range(-(2**63), 2**63)


def read(path: Path) -> pl.DataFrame:
    """The rows of a CSV, JSON, JSON Lines or Parquet file; `_row` counts them from 1. Cells of CSV are text, empty is null.

    JSON may wrap its one list of objects in other objects. Raises BadData for what can't be read, BadCall for other endings.
    """
    kind = path.suffix.lower()
    try:
        if kind == ".parquet":
            rows = _parquet(path)
        elif kind in (".csv", ".tsv"):
            rows = _csv(path, "\t" if kind == ".tsv" else ",")
        elif kind == ".json":
            rows = _objects(path, _json(path, path.read_bytes(), "the file"))
        elif kind in (".jsonl", ".ndjson"):
            lines = enumerate(path.read_bytes().splitlines(), 1)
            rows = _objects(path, [_json(path, line, f"line {n}") for n, line in lines if line.strip()])
        else:
            raise BadCall(
                f"{path}: files that end in {kind or 'nothing'} can't be imported: "
                "save it as .csv, .tsv, .json, .jsonl or .parquet"
            )
    except OSError as error:
        raise BadCall(f"{path}: can't be read ({error.strerror or 'input or output error'})") from None
    if rows.is_empty():
        raise BadData(f"{path}: has no rows")
    if ROW in rows.columns:
        raise BadData(f"{path}: a column is called {ROW}, which counts the rows here: rename it")
    return rows.with_row_index(ROW, offset=1)


def _parquet(path: Path) -> pl.DataFrame:
    path.stat()  # a missing file is an OSError, not a broken one
    try:
        return pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError):
        raise BadData(f"{path}: is no complete Parquet file: export or download it again") from None


def _csv(path: Path, separator: str) -> pl.DataFrame:
    path.stat()
    try:
        return pl.read_csv(path, infer_schema=False, glob=False, separator=separator)
    except pl.exceptions.PolarsError:
        raise BadData(f"{path}: {_csv_fault(path, separator)}") from None


def _csv_fault(path: Path, separator: str) -> str:
    """What is wrong with a CSV file, with the first row that shows it."""
    row = 0
    try:
        with path.open(encoding="utf-8", newline="") as file:
            cells = csv.reader(file, delimiter=separator, strict=True)
            header: list[str] = next(cells, [])
            for row, line in enumerate(cells, 1):
                if len(line) > len(header):
                    return f"row {row}: has {len(line)} cells, the header names {len(header)} columns; correct the row"
    except UnicodeDecodeError:
        return f"row {row + 1} and on: is no UTF-8 text: save it as UTF-8"
    except csv.Error:
        return f"row {row + 1}: a quotation mark is opened and not closed, or closed inside a cell; correct the row"
    return "has no rows" if not row else "is no CSV file with one header line: save it again as CSV"


def _json(path: Path, text: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        start = " ".join(text[:60].decode("utf-8", "replace").split())
        raise BadData(
            f"{path}: {where} is no complete JSON (it begins with {start!r}): export it again"
        ) from None


def _objects(path: Path, value: Any) -> pl.DataFrame:
    lists = _lists(value)
    if len(lists) != 1:
        raise BadData(f"{path}: has {len(lists)} lists of objects, must have one: a list of rows")
    rows = lists[0]
    columns = []
    for name in dict.fromkeys(name for row in rows for name in row):
        cells = [row.get(name) for row in rows]
        kinds = {type(cell) for cell in cells if cell is not None}
        if kinds & {dict, list}:
            continue
        if kinds <= {int} and all(c is None or c in _INT64 for c in cells):
            columns.append(pl.Series(name, cells, pl.Int64))
        elif kinds <= {int, float}:
            columns.append(pl.Series(name, [None if c is None else float(c) for c in cells], pl.Float64))
        else:
            columns.append(pl.Series(name, [None if c is None else str(c) for c in cells], pl.String))
    return pl.DataFrame(columns)


def _lists(value: Any) -> list[list[dict[str, Any]]]:
    if isinstance(value, dict):
        return [rows for part in value.values() for rows in _lists(part)]
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return [value]
    return []


def chosen(rows: pl.DataFrame, path: Path, where: Mapping[str, str]) -> pl.DataFrame:
    """The rows whose columns match all patterns (`*` stands for any text); raises BadCall where none does."""
    for column, pattern in where.items():
        cells = text(rows, path, _column(rows, path, column, "--where").name)
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
    """The column of each role; `given` wins. Raises BadCall for a column that is missing or could be one of several."""
    columns: dict[str, str] = {}
    for role, column in given.items():
        if role not in ROLES:
            raise BadCall(f"--map {role}=...: no such role; there are {', '.join(ROLES)}")
        columns[role] = _column(rows, path, column, f"--map {role}").name
    if "funding_time" not in columns:
        times = [name for name in _TIMES if name in rows.columns]
        # A count since 1970 or an instant with its zone proves more than a clock without one.
        times.sort(key=lambda name: not (rows[name].dtype.is_numeric() or _zoned(rows[name].dtype)))
        columns["funding_time"] = _only(rows, path, times[:1], "funding_time")
    if "funding_rate" not in columns:
        rates = [name for name in _RATES if name in rows.columns]
        rates = rates[:1] or [name for name in rows.columns if _RATE_LIKE.search(name)]
        columns["funding_rate"] = _only(rows, path, rates, "funding_rate")
    symbols = [name for name in _SYMBOLS if name in rows.columns]
    if "symbol" not in columns and symbols:
        columns["symbol"] = symbols[0]
    if "price" not in columns and {"base", "target", "index"} <= set(rows.columns):
        columns["price"] = "index"
    if "direction" not in columns and "direction" in rows.columns:
        columns["direction"] = "direction"
    return columns


def _zoned(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.Datetime) and dtype.time_zone is not None


def _only(rows: pl.DataFrame, path: Path, names: Sequence[str], role: str) -> str:
    if len(names) == 1:
        return names[0]
    have = ", ".join(name for name in rows.columns if name != ROW)
    if names:
        raise BadCall(
            f"{path}: {', '.join(names)} may each be {role}: give --map {role}=COLUMN, one import for each unit"
        )
    raise BadCall(f"{path}: no column is named like a {role} (columns: {have}): give --map {role}=COLUMN")


def _column(rows: pl.DataFrame, path: Path, name: str, flag: str) -> pl.Series:
    if name not in rows.columns or name == ROW:
        have = ", ".join(c for c in rows.columns if c != ROW)
        raise BadCall(f"{path}: {flag}: column {name!r} is missing; there are {have}")
    return rows[name]


def text(rows: pl.DataFrame, path: Path, name: str) -> pl.Series:
    """A column as text, null where the cell is empty; raises BadData for lists, objects and bytes."""
    cells = rows[name]
    if cells.dtype.is_nested() or cells.dtype in (pl.Binary, pl.Object):
        raise BadData(
            f"{path}: column {name} has lists, objects or bytes, must have text: choose another column"
        )
    return cells.cast(pl.String)


def numbers(rows: pl.DataFrame, path: Path, name: str) -> pl.Series:
    """A column as finite numbers, null where the cell is empty; raises BadData with the row of the first other one."""
    cells = rows[name]
    if cells.dtype == pl.String:
        written = cells.str.strip_chars()
        written = written.set(written == "", None)
        values = written.set(~written.str.contains(_NUMBER), "nan").cast(pl.Float64)
    elif cells.dtype.is_numeric() or cells.dtype == pl.Null:
        values = cells.cast(pl.Float64)
    else:
        raise BadData(f"{path}: column {name} has no numbers: choose another column with --map")
    bad = rows.filter(~values.is_finite())
    if bad.height:
        raise BadData(
            f"{path}: row {bad[ROW][0]}: {name} = {bad[name][0]!r} is no finite number; correct the row"
        )
    return values
