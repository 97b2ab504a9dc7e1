"""The interval of each payment of a file: stated, declared by the exchange, or observed in the gaps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.importing.reading import ROW
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


def with_interval(
    path: Path, rows: pl.DataFrame, exchange: str, stated: float | str | None
) -> tuple[pl.DataFrame, str]:
    """Rows (_row, symbol, stamp, hour, declared) with hours (null: unknown) and interval_from, and the evidence as text.

    Raises BadCall where neither user nor exchange nor gaps state it, BadData where two of them contradict each other.
    """
    since, before = _EARLIER.get(exchange, _NEVER)
    rows = rows.with_columns(
        _observed=observed(rows),
        hours=pl.when(pl.col("stamp") < since).then(pl.lit(before, pl.Float64)).otherwise("declared"),
    )
    source, reason = "observed", "by the gaps between payments"
    if isinstance(stated, float):
        _refuse_other(path, rows, exchange, stated)
        rows = rows.with_columns(hours=pl.lit(stated))
        source, reason = "declared", "as stated"
    elif rows["hours"].null_count() < rows.height:
        reason = f"as {exchange} declares"
    rows = rows.with_columns(
        interval_from=pl.when(pl.col("hours").is_not_null())
        .then(pl.lit("declared"))
        .when(pl.col("_observed").is_not_null())
        .then(pl.lit(source))
        .otherwise(pl.lit("unknown")),
        hours=pl.coalesce("hours", "_observed"),
    )
    share = 1 - rows["hours"].null_count() / rows.height
    if stated is None and share < _PROVEN:
        raise BadCall(
            f"{path}: the interval is not proven ({exchange} or the gaps prove it for {share:.0%} of {rows.height:,} rows): "
            "give --interval 8h, or --interval infer to leave the rest unknown"
        )
    _refuse_gaps(path, rows, reason)
    counts = rows.group_by("hours").len().sort("len", descending=True)
    spans = ", ".join(f"{'unknown' if h is None else f'{h:g} h'} {n:,} rows" for h, n in counts.iter_rows())
    return rows.drop("_observed"), f"interval: {spans} ({reason})"


def _refuse_other(path: Path, rows: pl.DataFrame, exchange: str, stated: float) -> None:
    other = rows.filter(pl.col("hours") != stated)
    if other.height:
        row = other.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {exchange} pays {row['symbol']} every {row['hours']:g} h, "
            f"not every {stated:g} h; leave --interval out"
        )


def _refuse_gaps(path: Path, rows: pl.DataFrame, reason: str) -> None:
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
    if sparse.height > 0.5 * rows.height:
        row = sparse.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} has a row every {row['_observed']:g} h, but is paid every "
            f"{row['hours']:g} h ({reason}): sums or samples, no settlements"
        )
