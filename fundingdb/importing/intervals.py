"""The interval of each payment of a file: stated, declared by the exchange, or observed in the gaps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.fetchers.limits import LONGEST_HOURS
from fundingdb.importing.files import ROW
from fundingdb.importing.stamps import observed

if TYPE_CHECKING:
    from pathlib import Path

# Until when an exchange paid at another interval than its fetcher's markets state, by its datasheet; None: unknown.
_EARLIER: dict[str, tuple[datetime, float | None]] = {
    "hyperliquid": (datetime(2023, 6, 8, 0, 30, tzinfo=UTC), 8.0),
    "backpack": (datetime(2025, 8, 21, tzinfo=UTC), None),
}
_NEVER = (datetime(1970, 1, 1, tzinfo=UTC), None)
_PROVEN = 0.9
_EVEN = 4  # equal gaps that give their interval to the payment before them
_RARE = 0.1  # share of rows further apart than the exchange pays


def with_interval(
    path: Path, rows: pl.DataFrame, exchange: str, stated: float | str | None
) -> tuple[pl.DataFrame, str]:
    """Rows (_row, symbol, stamp, hour, declared, row_hours, _observed, _first) with hours (null: unknown) and interval_from.

    Also the evidence as text. `row_hours` is what the file states, `_observed` the gaps of all files of the call. Raises BadCall
    where neither user nor file nor exchange nor gaps state it, BadData where two of them contradict each other.
    """
    since, before = _EARLIER.get(exchange, _NEVER)
    rows = rows.with_columns(
        hours=pl.when(pl.col("stamp") < since).then(pl.lit(before, pl.Float64)).otherwise("declared"),
    )
    by_row = stated != "infer" and rows["row_hours"].null_count() < rows.height
    if by_row:
        _refuse_other(
            path,
            rows.drop_nulls("row_hours"),
            exchange,
            pl.col("row_hours"),
            "correct the column of intervals",
        )
    if isinstance(stated, float):
        _refuse_other(path, rows, exchange, pl.lit(stated), "leave --interval out")
        _refuse_rows(path, rows, stated)
    _refuse_rare(path, rows, exchange, stated)
    reason = f"as {exchange} declares"
    if isinstance(stated, float):
        rows, reason = rows.with_columns(hours=pl.lit(stated)), "as stated"
    elif by_row:
        rows = rows.with_columns(hours=pl.coalesce("row_hours", "hours"))
        reason = "as the rows state"
    elif rows["hours"].null_count() == rows.height:
        reason = "by the gaps between payments"
    rows = rows.with_columns(
        interval_from=pl.when(pl.lit(by_row and reason != "as stated") & pl.col("row_hours").is_not_null())
        .then(pl.lit("row"))
        .when(pl.col("hours").is_not_null())
        .then(pl.lit("declared"))
        .when(pl.coalesce("_observed", "_first").is_not_null())
        .then(pl.lit("observed"))
        .otherwise(pl.lit("unknown")),
        hours=pl.coalesce("hours", "_observed", "_first"),
    )
    share = 1 - rows["hours"].null_count() / rows.height
    if stated is None and share < _PROVEN:
        raise BadCall(
            f"{path}: the interval is not proven ({exchange} or the gaps prove it for {share:.0%} of {rows.height:,} rows): "
            "give --interval 8h, or --interval infer to leave the rest unknown"
        )
    _refuse_gaps(path, rows, reason, 0.1 if by_row else 0.5)
    counts = rows.group_by("hours").len().sort("len", descending=True)
    spans = ", ".join(f"{'unknown' if h is None else f'{h:g} h'} {n:,} rows" for h, n in counts.iter_rows())
    return rows, f"interval: {spans} ({reason})"


def by_gaps(rows: pl.DataFrame) -> pl.DataFrame:
    """symbol, hour, _observed (hours by the gaps) and _first of rows (_row, symbol, hour), one line a payment.

    `_first`: the first payment of a market has no gap before it; where all its payments after it, at least four, are the same
    hours apart and it lies on their grid since midnight, it has their interval.
    """
    one = rows.unique(["symbol", "hour"], keep="first", maintain_order=True)
    one = one.select("symbol", "hour", _observed=observed(one))
    even = (pl.col("_observed").n_unique() == 2) & (pl.col("_observed").count() == pl.len() - 1)
    on_grid = pl.col("hour").dt.hour().cast(pl.Float64) % pl.col("_observed").max().over("symbol") == 0
    first = (pl.col("hour") == pl.col("hour").min().over("symbol")) & even.over("symbol") & on_grid
    enough = pl.col("_observed").count().over("symbol") >= _EVEN
    return one.with_columns(
        _first=pl.when(first & enough & pl.col("_observed").is_null()).then(
            pl.col("_observed").max().over("symbol")
        )
    )


def _refuse_other(path: Path, rows: pl.DataFrame, exchange: str, stated: pl.Expr, remedy: str) -> None:
    other = rows.with_columns(_stated=stated).filter(pl.col("hours") != pl.col("_stated"))
    if other.height:
        row = other.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {exchange} pays {row['symbol']} every {row['hours']:g} h, "
            f"not every {row['_stated']:g} h; {remedy}"
        )


def _refuse_rows(path: Path, rows: pl.DataFrame, stated: float) -> None:
    other = rows.filter(pl.col("row_hours") != stated)
    if other.height:
        row = other.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: the file states {row['row_hours']:g} h for {row['symbol']}, not {stated:g} h; "
            "leave --interval out"
        )


def _refuse_rare(path: Path, rows: pl.DataFrame, exchange: str, stated: float | str | None) -> None:
    """Raise BadData where rows are further apart than any payments of the exchange: sums, means or samples."""
    most = LONGEST_HOURS.get(exchange)
    if most is None:
        return
    given = pl.lit(stated, pl.Float64) if isinstance(stated, float) else pl.col("row_hours")
    wide = rows.with_columns(_given=given).filter((pl.col("_given") > most) | (pl.col("_observed") > most))
    if wide.filter(pl.col("_given") > most).height or wide.height > _RARE * rows.height:
        row = wide.row(0, named=True)
        hours = max(h for h in (row["_observed"], row["_given"]) if h is not None)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} has a row every {hours:g} h, but {exchange} pays at least every "
            f"{most:g} h: a sum, mean or sample of several payments, no settlement"
        )


def _refuse_gaps(path: Path, rows: pl.DataFrame, reason: str, sparse_share: float) -> None:
    wrong = rows.filter(
        (pl.col("_observed") < pl.col("hours")) | (pl.col("_observed") % pl.col("hours") != 0)
    )
    if wrong.height:
        row = wrong.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} {row['hour']:%Y-%m-%d %H:%M} is paid every {row['_observed']:g} h "
            f"by the gaps around it ({wrong.height:,} such rows), not every {row['hours']:g} h ({reason}); "
            "--interval infer takes the gaps"
        )
    sparse = rows.filter(pl.col("_observed") > pl.col("hours"))
    if sparse.height > sparse_share * rows.height:
        row = sparse.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} has a row every {row['_observed']:g} h, but is paid every "
            f"{row['hours']:g} h ({reason}): sums or samples, no settlements"
        )
