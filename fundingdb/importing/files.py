"""Files as frames: CSV, JSON, JSON Lines, Parquet and Arrow (Feather), plain or packed as .gz or .zip."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from fundingdb.errors import BadCall, BadData

if TYPE_CHECKING:
    from pathlib import Path

ROW = "_row"
INDEX = "(unnamed)"
"""A first column without a name: pandas writes its index so."""
_UNNAMED = ("", "Unnamed: 0", "__index_level_0__")
_INT64 = range(-(2**63), 2**63)
_SEPARATORS = ",;\t|"
_DECIMAL_COMMA = r"^[+-]?\d+(,\d+)?([eE][+-]?\d+)?%?$"
_READ = ".csv, .tsv, .json, .jsonl, .parquet, .feather or .arrow, also packed as .gz or .zip"


def read(path: Path) -> pl.DataFrame:
    """The rows of a file; `_row` counts them from 1. Cells of CSV are text, an empty cell is null.

    JSON may wrap its one list of objects in other objects; a .zip has one member. A first column without a name is called
    `(unnamed)`, and dropped where it only counts the rows. Raises BadData for what can't be read, BadCall for other endings.
    """
    try:
        body, name = _unpacked(path)
    except OSError as error:
        raise BadCall(f"{path}: can't be read ({error.strerror or 'input or output error'})") from None
    rows = _without_counter(_frame(path, body, name))
    if rows.is_empty():
        raise BadData(f"{path}: has no rows")
    if ROW in rows.columns:
        raise BadData(f"{path}: a column is called {ROW}, which counts the rows here: rename it")
    return rows.with_row_index(ROW, offset=1)


def stem(path: Path) -> str:
    """The name of a file without its endings: `BTCUSDT-fundingRate-2024-01` of `BTCUSDT-fundingRate-2024-01.csv.gz`."""
    name = path.name
    for ending in (
        ".gz",
        ".zip",
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".ndjson",
        ".parquet",
        ".feather",
        ".arrow",
    ):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def _unpacked(path: Path) -> tuple[bytes, str]:
    """The content of a file, or of the one file packed in it, and the name whose ending tells the format."""
    body, kind = path.read_bytes(), path.suffix.lower()
    try:
        if kind == ".gz":
            return gzip.decompress(body), path.stem
        if kind == ".zip":
            with zipfile.ZipFile(io.BytesIO(body)) as packed:
                members = [
                    m for m in packed.namelist() if not m.endswith("/") and not m.startswith("__MACOSX")
                ]
                if len(members) != 1:
                    raise BadData(
                        f"{path}: packs {len(members)} files, must pack one: unpack it and import them together"
                    )
                return packed.read(members[0]), members[0]
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError):
        raise BadData(
            f"{path}: can't be unpacked (incomplete, or with a password): download it again"
        ) from None
    return body, path.name


def _frame(path: Path, body: bytes, name: str) -> pl.DataFrame:
    kind = "." + name.rpartition(".")[2].lower() if "." in name else ""
    if kind == ".parquet":
        return _columnar(path, body, "Parquet", pl.read_parquet)
    if kind in (".feather", ".arrow", ".ipc"):
        return _columnar(path, body, "Arrow", pl.read_ipc)
    if kind in (".csv", ".tsv", ".txt"):
        return _csv(path, body)
    if kind == ".json":
        return _objects(path, _json(path, body, "the file"))
    if kind in (".jsonl", ".ndjson"):
        # bytes.splitlines parts at \n and \r alone, which JSON escapes inside of texts.
        lines = enumerate(body.splitlines(), 1)
        return _objects(path, [_json(path, line, f"line {n}") for n, line in lines if line.strip()])
    raise BadCall(f"{path}: files that end in {kind or 'nothing'} can't be imported: save it as {_READ}")


def _columnar(path: Path, body: bytes, kind: str, reader: Any) -> pl.DataFrame:
    try:
        rows: pl.DataFrame = reader(io.BytesIO(body))
    except (pl.exceptions.PolarsError, OSError):
        raise BadData(f"{path}: is no complete {kind} file: export or download it again") from None
    return rows


def _without_counter(rows: pl.DataFrame) -> pl.DataFrame:
    """A first column without a name as `(unnamed)`; without it where it counts the rows from 0 or 1."""
    first = rows.columns[0] if rows.columns else None
    if first not in _UNNAMED:
        return rows
    counts = rows[first].cast(pl.Int64, strict=False)
    steps = counts.diff().drop_nulls()
    if not counts.has_nulls() and counts.first() in (0, 1) and (steps == 1).all():
        return rows.drop(first)
    return rows.rename({first: INDEX})


def _csv(path: Path, body: bytes) -> pl.DataFrame:
    body = _header_first(_utf8(body))
    header = body.split(b"\n", 1)[0].decode("utf-8", "replace")
    separator = max(_SEPARATORS, key=header.count)  # the comma where none is there
    try:
        rows = pl.read_csv(io.BytesIO(body), infer_schema=False, separator=separator)
    except (pl.exceptions.PolarsError, OSError):
        raise BadData(f"{path}: {_csv_fault(body, separator)}") from None
    rows.columns = [name.strip() for name in rows.columns]
    # Spreadsheets of many countries write 0,0001 and therefore part the cells by another sign.
    return rows if separator == "," else rows.with_columns(map(_decimal_point, rows.get_columns()))


def _utf8(body: bytes) -> bytes:
    """The text as UTF-8 without its mark; spreadsheets also save UTF-16, with one."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace").encode()
    return body.removeprefix(codecs.BOM_UTF8)


def _header_first(body: bytes) -> bytes:
    """The text without a first line that is the address of a website, as some put above the header."""
    first, _, rest = body.partition(b"\n")
    return rest if first.strip(b'"\r ').lower().startswith((b"http://", b"https://")) else body


def _decimal_point(cells: pl.Series) -> pl.Series:
    texts = cells.str.strip_chars()
    if texts.str.contains(",").any() and texts.drop_nulls().str.contains(_DECIMAL_COMMA).all():
        return texts.str.replace(",", ".", literal=True)
    return cells


def _csv_fault(body: bytes, separator: str) -> str:
    """What is wrong with a CSV file, with the first row that shows it."""
    row = 0
    try:
        cells = csv.reader(
            io.TextIOWrapper(io.BytesIO(body), "utf-8", newline=""), delimiter=separator, strict=True
        )
        header: list[str] = next(cells, [])
        for row, line in enumerate(cells, 1):
            if len(line) > len(header):
                return f"row {row}: has {len(line)} cells, the header names {len(header)} columns; correct the row"
        if len(set(header)) < len(header):
            return "two columns have the same name: rename one"
    except UnicodeDecodeError:
        return f"row {row + 1} and on: is no UTF-8 text: save it as UTF-8"
    except csv.Error:
        return f"row {row + 1}: a quotation mark is opened and not closed, or closed inside a cell; correct the row"
    return "has no rows" if not row else "is no CSV file with one header line: save it again as CSV"


def _json(path: Path, text: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        start = " ".join(text[:60].decode("utf-8", "replace").split())
        raise BadData(
            f"{path}: {where} is no complete JSON (it begins with {start!r}): export it again"
        ) from None


def _objects(path: Path, value: Any) -> pl.DataFrame:
    lists = _lists(value)
    if len(lists) != 1:
        raise BadData(f"{path}: has {len(lists)} lists of objects, must have one: a list of rows")
    rows = _unnested(lists[0])
    columns = []
    for name in dict.fromkeys(name for row in rows for name in row):
        cells = [row.get(name) for row in rows]
        kinds = {type(cell) for cell in cells if cell is not None}
        if kinds & {dict, list}:
            continue
        if kinds <= {int} and all(c is None or c in _INT64 for c in cells):
            columns.append(pl.Series(name, cells, pl.Int64))
        elif kinds <= {int, float}:
            columns.append(
                pl.Series(
                    name, [None if c is None else _float(path, name, n, c) for n, c in enumerate(cells, 1)]
                )
            )
        elif kinds == {bool}:
            columns.append(pl.Series(name, cells, pl.Boolean))
        else:
            columns.append(pl.Series(name, [None if c is None else str(c) for c in cells], pl.String))
    return pl.DataFrame(columns)


def _float(path: Path, name: str, row: int, cell: float) -> float:
    try:
        return float(cell)
    except OverflowError:
        raise BadData(f"{path}: row {row}: {name} has {len(str(cell))} digits; correct the row") from None


def _unnested(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows inside of rows, each with the single values of the row around it: a history for each market (Coinalyze)."""
    inner = {name for row in rows for name, cell in row.items() if _lists(cell)}
    if len(inner) != 1 or not all(_lists(row.get(name)) for name in inner for row in rows):
        return rows
    (name,) = inner
    outer = [{k: v for k, v in row.items() if not isinstance(v, (dict, list))} for row in rows]
    return [{**around, **cell} for around, row in zip(outer, rows, strict=True) for cell in row[name]]


def _lists(value: Any) -> list[list[dict[str, Any]]]:
    if isinstance(value, dict):
        return [rows for part in value.values() for rows in _lists(part)]
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return [value]
    return []
