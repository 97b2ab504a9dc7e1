"""The columns of a file: which one plays which role, and its cells as text or numbers."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.importing.files import INDEX, ROW, stem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ROLES = ("funding_time", "funding_rate", "symbol", "price", "direction", "interval")
# Names without case and signs, the surest first. Of ccxt, of the exchanges' responses and exports (fundingRateTimestamp: Bybit,
# calc_time: Binance's archive, effectiveAt: dYdX, created_at: Pacifica), of aggregators (t: Coinalyze).
_TIMES = (
    "fundingtime", "fundingratetimestamp", "effectiveat", "calctime", "settlementtime", "settletime", "timestamp",
    "fundingtimestamp", "timestampms", "time", "ts", "t", "hourtimestamp", "datetime", "date", "capturedutc", "createdat",
)  # fmt: skip
# OKX: realizedRate is what was paid, fundingRate what had been predicted.
_RATES = (
    "realizedrate", "realizedfundingrate", "realfundingrate", "settledfundingrate", "actualfundingrate", "fundingrate", "rate",
    "r", "f", "avgfundingrate",
)  # fmt: skip
_SYMBOLS = (
    "symbol", "instid", "ticker", "market", "m", "coin", "contract", "contracts", "instrument", "instrumentname", "pair",
)  # fmt: skip
_EXCHANGES = ("exchange", "venue")
_INTERVALS = (
    "intervalhours", "fundingintervalhours", "fundingintervalhour", "fundinginterval", "interval", "intervalh",
    "fundingperiod",
)  # fmt: skip
_CANDLES = (("open", "high", "low", "close"), ("o", "h", "l", "c"))
_RATE_LIKE = re.compile(r"fund.*rate|annual|apr\b|apy\b", re.IGNORECASE)
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def plain(name: str) -> str:
    """A column's name without case and signs: `fundingrate` of `Funding Rate` and of `funding_rate`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def named(rows: pl.DataFrame, wanted: Sequence[str]) -> list[str]:
    """The columns whose plain names are wanted, in the order of `wanted`."""
    columns = [(plain(name), name) for name in rows.columns if name != ROW]
    return [name for want in wanted for short, name in columns if short == want]


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
    return next(iter(named(rows, _EXCHANGES)), None)


def roles(rows: pl.DataFrame, path: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The column of each role; `given` wins. Raises BadCall for a column that is missing or could be one of several."""
    columns: dict[str, str] = {}
    for role, column in given.items():
        if role not in ROLES:
            raise BadCall(f"--map {role}=...: no such role; there are {', '.join(ROLES)}")
        columns[role] = _column(rows, path, column, f"--map {role}").name
    if "funding_time" not in columns:
        columns["funding_time"] = _time(rows, path)
    if "funding_rate" not in columns:
        columns["funding_rate"] = _rate(rows, path)
    for role, wanted in (("symbol", _SYMBOLS), ("interval", _INTERVALS), ("direction", ("direction",))):
        if role not in columns and (names := named(rows, wanted)):
            columns[role] = names[0]
    if "price" not in columns and {"base", "target", "index"} <= set(rows.columns):
        columns["price"] = "index"
    return columns


def _time(rows: pl.DataFrame, path: Path) -> str:
    times = named(rows, _TIMES) or [name for name in (INDEX, "index") if name in rows.columns]
    # A count since 1970 or an instant with its zone proves more than a clock without one.
    times.sort(key=lambda name: not (rows[name].dtype.is_numeric() or _zoned(rows[name].dtype)))
    return _only(rows, path, times[:1], "funding_time")


def _rate(rows: pl.DataFrame, path: Path) -> str:
    # Binance's archive calls the settled rate so; beside other times it is the running one (premiumIndex).
    archive = ("lastfundingrate",) if named(rows, ("calctime",)) else ()
    if names := named(rows, (*archive, *_RATES)):
        return names[0]
    likely = [name for name in rows.columns if _RATE_LIKE.search(name)]
    if not likely and (candle := next((c for c in _CANDLES if len(named(rows, c)) == len(c)), None)):
        return _opening(rows, path, named(rows, candle))
    return _only(rows, path, likely, "funding_rate")


def _opening(rows: pl.DataFrame, path: Path, candle: Sequence[str]) -> str:
    """The first column of candles: freqtrade stores settled rates so, with zeros in the others."""
    first, *others = candle
    filled = rows.filter(pl.any_horizontal(numbers(rows, path, name) != 0 for name in others))
    if filled.height:
        raise BadData(
            f"{path}: row {filled[ROW][0]}: candles ({', '.join(candle)}) of a price or of a running rate, no settlements; "
            f"freqtrade's candles of settled rates are zero but for {first}"
        )
    return first


def name_in_path(path: Path) -> str | None:
    """The market that the name of a file states, as Binance's archive and freqtrade name theirs; None: it states none."""
    if match := re.fullmatch(r"([A-Za-z0-9_]+)-fundingRate-[\d-]+", stem(path)):
        return match[1]
    if match := re.fullmatch(r"([^_]+)_([A-Z0-9]+)_([A-Z0-9]+)-\w+-funding_rate", stem(path)):
        return f"{match[1]}/{match[2]}:{match[3]}"
    return None


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
    """A column as finite numbers, null where the cell is empty; raises BadData with the row of the first other one.

    A percent sign behind a number is left out: `percent_signs` reads it.
    """
    cells = rows[name]
    if cells.dtype == pl.String:
        written = cells.str.strip_chars()
        written = written.set(written == "", None).str.strip_suffix("%").str.strip_chars()
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


def percent_signs(rows: pl.DataFrame, path: Path, name: str) -> bool:
    """Whether the numbers of a column carry a percent sign, all of them; raises BadData where only some do."""
    cells = rows[name]
    if cells.dtype != pl.String:
        return False
    signs = cells.str.strip_chars().str.ends_with("%")
    if signs.any() and not signs.all():
        row = rows.filter(signs != signs.drop_nulls()[0])
        raise BadData(
            f"{path}: row {row[ROW][0]}: {name} = {row[name][0]!r}: some rates have a percent sign, others none"
        )
    return bool(signs.any())
