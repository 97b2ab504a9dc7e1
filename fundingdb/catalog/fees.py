"""Trading fees as dated data: what a fill costs on each exchange, from the shipped table and the user's own.

The shipped table is `fundingdb/catalog/fees.csv`; `fees.csv` in the warehouse (or any file of that form) overrides it. An
exchange without a row has an unknown fee: null, never a default.
"""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from importlib.resources import files as package_files
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.schema import TIME
from fundingdb.settings import default_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE = "fees.csv"
BASE_TIER = "base"
EVIDENCE = ("recorded", "documented", "inferred", "own")
# real base fees are below 0.002; the same figures in percent are above 0.01: a larger figure has the wrong unit
FEE_BOUND = 0.005
FEES_COLUMNS: Mapping[str, pl.DataType] = {
    "exchange": pl.String(),
    "tier": pl.String(),
    "taker": pl.Float64(),
    "maker": pl.Float64(),
    "effective_at": TIME,
    "source": pl.String(),
    "read_at": TIME,
    "evidence": pl.String(),
}
NOTE = (
    "One row per exchange, tier, effective_at: what a fill costs, from the table that comes with fundingdb and the warehouse's "
    "fees.csv, whose rows replace the others. An exchange without a row has an unknown fee."
)
FEES_NOTES: Mapping[str, str] = {
    "exchange": "where the perpetual trades; markets with a dex prefix (xyz:GOLD) have rows of their own (hyperliquid:xyz)",
    "tier": "base is what a new account pays; others by the exchange's own name",
    "taker": "fraction of notional per fill that takes; null = unknown",
    "maker": "fraction of notional per fill that makes; negative: a rebate; null = unknown",
    "effective_at": "it holds from this day on, 00:00 UTC, until the next row; before the first nothing is known",
    "source": "page or file with the figure",
    "read_at": "day on which the source was read, UTC; null = unknown",
    "evidence": "recorded (an answer of the exchange), documented (its page), inferred (from third parties), own (the user's)",
}
_PREFIX = r"^([^:]+):"
_ASKED = ("exchange", "tier", "taker", "maker", "effective_at")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.:-]*")


def fee_venue(symbol: str = "symbol", exchange: str = "exchange") -> pl.Expr:
    """The venue whose fee a market has: its exchange, or the dex of it for a symbol with a dex prefix (hyperliquid:xyz)."""
    dex = pl.col(symbol).str.extract(_PREFIX)
    return pl.concat_str(exchange, pl.when(dex.is_not_null()).then(pl.lit(":") + dex).otherwise(pl.lit("")))


def fees(file: Path | str | None = None, warehouse: Path | str | None = None) -> pl.DataFrame:
    """FEES_COLUMNS, one row per exchange, tier and effective_at, in that order; taker and maker are fractions of notional a fill.

    The user's own table is `file`, else `fees.csv` of `warehouse` (None = the default one), if there is such a file. For an
    exchange and tier that it names, its rows replace all shipped ones. An exchange without rows has unknown fees.
    Raises BadCall where `file` can't be read, BadData (with file and line) where a table is not as described.
    """
    own = _own(file, warehouse)
    if own is None:
        return shipped()
    own_rows = read(own)
    kept = shipped().join(own_rows, on=["exchange", "tier"], how="anti")
    return pl.concat([kept, own_rows]).sort("exchange", "tier", "effective_at")


def shipped() -> pl.DataFrame:
    """The FEES_COLUMNS that come with the package."""
    return read(Path(str(package_files("fundingdb.catalog"))) / FILE)


def _own(file: Path | str | None, warehouse: Path | str | None) -> Path | None:
    if file is not None:
        return Path(file)
    path = (default_warehouse() if warehouse is None else Path(warehouse)) / FILE
    return path if path.exists() else None


def read(path: Path) -> pl.DataFrame:
    """FEES_COLUMNS of one CSV: exchange, tier, taker, maker, effective_at and optionally source, read_at, evidence.

    Raises BadCall where it can't be read, BadData with the line where it is not as described.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            rows = csv.reader(opened, strict=True)
            table = [(rows.line_num, [cell.strip() for cell in row]) for row in rows if row]
    except OSError as error:
        raise BadCall(f"fees {path}: can't be read ({error.strerror or error})") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadData(f"fees {path}: is no CSV in UTF-8: {error}") from None
    header = _header(path, table[0][1] if table else [])
    lines: dict[tuple[object, ...], int] = {}
    held: list[dict[str, object]] = []
    for line, cells in table[1:]:
        row = _Row(path, line, header, cells).values()
        key = (row["exchange"], row["tier"], row["effective_at"])
        if key in lines:
            raise BadData(
                f"fees {path} line {line}: {cells[header.index('exchange')]}, the same tier and effective_at "
                f"are on line {lines[key]} already: keep one"
            )
        lines[key] = line
        held.append(row)
    return pl.DataFrame(held, schema=dict(FEES_COLUMNS), orient="row").sort(
        "exchange", "tier", "effective_at"
    )


def _header(path: Path, names: list[str]) -> list[str]:
    wrong = [f"no column {n}" for n in _ASKED if n not in names]
    wrong += [f"unknown column {n!r}" for n in names if n not in FEES_COLUMNS]
    wrong += [f"column {n} twice" for n in dict.fromkeys(names) if names.count(n) > 1 and n in FEES_COLUMNS]
    if wrong:
        raise BadData(
            f"fees {path} line 1: {'; '.join(wrong)}. The first line must name {', '.join(_ASKED)}, "
            "and may name source, read_at, evidence"
        )
    return names


class _Row:
    """One line of a table of fees."""

    def __init__(self, path: Path, line: int, header: list[str], cells: list[str]) -> None:
        self.path, self.at = path, f"fees {path} line {line}"
        if len(cells) != len(header):
            raise BadData(f"{self.at}: {len(cells)} cells where the first line names {len(header)} columns")
        self.cells = dict(zip(header, cells, strict=True))

    def values(self) -> dict[str, object]:
        """The row as typed values."""
        row: dict[str, object] = dict(self._names())
        taker, maker = self._fee("taker"), self._fee("maker")
        if taker is None and maker is None:
            raise BadData(f"{self.at}: neither taker nor maker: an unknown fee has no row")
        row |= {"taker": taker, "maker": maker, "effective_at": self._day("effective_at")}
        if row["effective_at"] is None:
            raise BadData(f"{self.at}: effective_at is empty: write the day from which the fee holds")
        evidence = self.cells.get("evidence") or "own"
        if evidence not in EVIDENCE:
            raise BadData(f"{self.at}: evidence {evidence!r} is not one of {', '.join(EVIDENCE)}")
        source = self.cells.get("source") or str(self.path)
        return row | {"source": source, "read_at": self._day("read_at"), "evidence": evidence}

    def _names(self) -> Iterator[tuple[str, str]]:
        for column in ("exchange", "tier"):
            name = self.cells[column]
            if not _NAME.fullmatch(name):
                raise BadData(
                    f"{self.at}: {column} {name!r}: write it in lower case, such as hyperliquid or base"
                )
            yield column, name

    def _fee(self, column: str) -> float | None:
        text = self.cells[column]
        if not text:
            return None
        try:
            fee = float(text)
        except ValueError:
            fee = float("nan")
        if not isfinite(fee) or "_" in text:
            raise BadData(
                f"{self.at}: {column} {text!r} is no number: write a fraction of notional, 0.0005 for 0.05 %"
            )
        if abs(fee) >= FEE_BOUND:
            raise BadData(
                f"{self.at}: {column} {text} would be {fee:.4g} of the notional at each fill ({fee:.3%}): fees are fractions, "
                f"not percent or basis points, below {FEE_BOUND}: write 0.0005 for 0.05 %"
            )
        return fee

    def _day(self, column: str) -> datetime | None:
        text = self.cells.get(column, "")
        if not text:
            return None
        try:
            return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise BadData(f"{self.at}: {column} {text!r} is no day: write YYYY-MM-DD, UTC") from None
