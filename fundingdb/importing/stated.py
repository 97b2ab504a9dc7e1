"""What a file states about its own rows: settled or predicted, the hours of a payment, the unit of the rates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadData
from fundingdb.importing import reading
from fundingdb.importing.files import ROW
from fundingdb.importing.reading import named, plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PREDICTED_NAME = re.compile(
    r"predict|^next|nextfund|estimat|forecast|indicative|projected|upcoming|^est(funding|rate)"
)
_PREDICTED_FLAGS = (
    "ispredicted", "predicted", "ispredictedrate", "isestimated", "isestimate", "estimated", "isforecast", "forecast",
    "isprojected", "projected", "isindicative", "indicative", "isprovisional", "provisional", "ispreliminary", "preliminary",
    "ispending", "pending", "unsettled", "isrunning", "isnext",
)  # fmt: skip
_SETTLED_FLAGS = (
    "isactualfundingrate", "isactual", "actual", "issettled", "settled", "issettlement", "isrealized", "isrealised", "realized",
    "realised", "isfinal", "final", "isconfirmed", "confirmed", "ispaid", "paid",
)  # fmt: skip
_NEXT_TIMES = ("nextfundingtime", "nextfundingtimestamp", "nextfundingdatetime", "nextsettletime")
_KINDS = (
    "kind",
    "type",
    "ratetype",
    "ratekind",
    "fundingtype",
    "fundingratetype",
    "recordtype",
    "status",
    "state",
)
_PREDICTED_KIND = re.compile(
    r"(?i)(^|[^a-z])(predicted|prediction|estimated?|forecast|next|indicative|projected|provisional|preliminary|pending|"
    r"unsettled|upcoming|running|live)([^a-z]|$)"
)
_TRUE, _FALSE = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")
_UNITS = ("unit", "units", "rateunit", "fundingrateunit")
_UNIT_WORDS = {
    "%": "percent", "percent": "percent", "pct": "percent", "percentage": "percent", "fraction": "fraction",
    "decimal": "fraction", "ratio": "fraction", "bps": "bps", "bp": "bps", "basispoints": "bps",
}  # fmt: skip
_TIMED = re.compile(r"annual|apr|apy|year|hour|day|8h|1h")
_SPAN = re.compile(
    r"(?i)^(\d+(?:\.\d+)?)\s*(h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|ms)?$|^PT(\d+)H$|^(?:.*T)?0?(\d+):00(?::00.*)?$"
)
_PER_HOUR = {"h": 1, "m": 60, "s": 3600}


def refuse_predicted(rows: pl.DataFrame, path: Path, columns: Mapping[str, str]) -> None:
    """Raise BadData where columns state that the rate is the next payment's: by their names, or by a time of it in each row."""
    for role in ("funding_rate", "funding_time"):
        if _PREDICTED_NAME.search(plain(columns[role])):
            raise BadData(
                f"{path}: column {columns[role]} is that of the next payment by its name: a predicted rate, no settlement; "
                f"give --map {role}=COLUMN for the settled one"
            )
    for name in named(rows, _NEXT_TIMES):
        dated = rows.filter(pl.col(name).is_not_null())
        if dated.height:
            raise BadData(
                f"{path}: row {dated[ROW][0]}: column {name} dates the next payment, whose running rate such rows show: no "
                f"settlements; if {columns['funding_rate']} is what was paid, save the file without {name}"
            )


def settled(rows: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """The rows that no column of the file calls predicted, and one line of evidence for each column that leaves rows out.

    Raises BadData where none is left.
    """
    lines = []
    for name, predicted in _marks(rows, path):
        kept = rows.filter(~predicted)
        if kept.height < rows.height:
            lines.append(f"{rows.height - kept.height:,} rows are predicted by column {name} and left out")
        if kept.is_empty():
            raise BadData(
                f"{path}: row {rows[ROW][0]}: column {name} calls all {rows.height:,} rows predicted: no settlements"
            )
        rows = kept
    return rows, lines


def _marks(rows: pl.DataFrame, path: Path) -> list[tuple[str, pl.Expr]]:
    """The columns that part settled from predicted rows, each with the filter for its predicted rows."""
    marks: list[tuple[str, pl.Expr]] = []
    for names, flagged in ((_PREDICTED_FLAGS, _TRUE), (_SETTLED_FLAGS, _FALSE)):
        for name in named(rows, names):
            cells = reading.text(rows, path, name).str.strip_chars().str.to_lowercase()
            odd = rows.filter(~cells.is_in([*_TRUE, *_FALSE]))
            if odd.is_empty():
                cell = pl.col(name).cast(pl.String).str.strip_chars().str.to_lowercase()
                marks.append((name, cell.is_in(flagged).fill_null(value=False)))
            elif not cells.str.contains(
                r"^[-+]?[\d.]+(e[-+]?\d+)?%?$"
            ).all():  # figures are another rate, no flag
                raise BadData(
                    f"{path}: row {odd[ROW][0]}: {name} = {odd[name][0]!r} is neither true nor false: which rows are "
                    "predicted? Choose those that were paid with --where"
                )
    marks.extend(
        (name, pl.col(name).str.contains(_PREDICTED_KIND.pattern).fill_null(value=False))
        for name in named(rows, _KINDS)
        if rows[name].dtype == pl.String
    )
    return marks


def hours(rows: pl.DataFrame, path: Path, name: str | None) -> pl.Series:
    """The interval of each row in hours, by the column of that name; null without one or where its cell is empty.

    Cells are hours (8), minutes (480) or seconds (28800) by their size, or state it: 8h, 480min, PT8H, 08:00:00 (BitMEX).
    Raises BadData for other cells.
    """
    if name is None:
        return pl.repeat(None, rows.height, dtype=pl.Float64, eager=True)
    cells = reading.text(rows, path, name).str.strip_chars()
    spans = {cell: _hours(cell) for cell in cells.drop_nulls().unique() if cell}
    for cell, span in spans.items():
        if span is None:
            row = rows.filter(cells == cell)
            raise BadData(
                f"{path}: row {row[ROW][0]}: {name} = {cell!r} is no interval of 1 to 24 hours; correct the row, "
                "or give --interval infer to leave the column out"
            )
    return cells.replace_strict(spans, default=None, return_dtype=pl.Float64)


def _hours(cell: str) -> float | None:
    match = _SPAN.match(cell)
    if match is None:
        return None
    figure = float(match[1] or match[3] or match[4])
    if match[2]:
        figure /= 3.6e6 if match[2].lower() == "ms" else _PER_HOUR[match[2][0].lower()]
    elif match[1]:
        figure /= next(
            (over for most, over in ((24, 1), (1440, 60), (86_400, 3600)) if figure <= most), 3.6e6
        )
    return figure if 1 <= figure <= 24 else None


def unit(rows: pl.DataFrame, path: Path, name: str, *, unified: bool) -> tuple[str, str] | None:
    """The unit that a file states for its column of rates, and by what; None: it states none.

    `unified`: its symbols are those of ccxt. Raises BadData where a column of units has several.
    """
    if reading.percent_signs(rows, path, name):
        return "percent", f"the figures of {name} carry a percent sign"
    return _by_column(rows, path) or _by_name(name, unified=unified)


def _by_column(rows: pl.DataFrame, path: Path) -> tuple[str, str] | None:
    for column in named(rows, _UNITS):
        words = (
            rows[column]
            .cast(pl.String)
            .str.to_lowercase()
            .str.replace_all(r"[^a-z%]", "")
            .unique()
            .drop_nulls()
        )
        if not words.is_in(list(_UNIT_WORDS)).all() or words.is_empty():
            continue
        units = sorted({_UNIT_WORDS[word] for word in words})
        if len(units) > 1:
            raise BadData(
                f"{path}: column {column} states {' and '.join(units)}: choose rows with --where {column}=..."
            )
        return units[0], f"column {column} states it"
    return None


def _by_name(name: str, *, unified: bool) -> tuple[str, str] | None:
    short = plain(name)
    if not _TIMED.search(short) and ("percent" in short or short.endswith("pct") or "%" in name):
        return "percent", f"the column is called {name}"
    if not _TIMED.search(short) and short.endswith("bps"):
        return "bps", f"the column is called {name}"
    if short == "lastfundingrate":
        return "fraction", "Binance's archive of funding rates publishes fractions"
    return ("fraction", "rates of ccxt are fractions") if unified else None
