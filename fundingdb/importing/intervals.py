"""The interval of each payment of a file: declared by the exchange, said by the user, or seen in the gaps; never two at odds."""

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
    path: Path, rows: pl.DataFrame, exchange: str, said: float | str | None
) -> tuple[pl.DataFrame, str]:
    """Rows (_row, symbol, stamp, hour, declared) with hours (null: unknown) and interval_from, and the evidence.

    Raises BadCall where neither exchange nor user nor gaps say it, BadData where two of them contradict each other.
    """
    since, before = _EARLIER.get(exchange, _NEVER)
    rows = rows.with_columns(
        _seen=observed(rows),
        hours=pl.when(pl.col("stamp") < since).then(pl.lit(before, pl.Float64)).otherwise("declared"),
    )
    source, told = "observed", "the gaps between payments show it"
    if isinstance(said, float):
        _refuse_other(path, rows, exchange, said)
        rows = rows.with_columns(hours=pl.lit(said))
        source, told = "declared", "as said"
    elif rows["hours"].null_count() < rows.height:
        told = f"{exchange} declares it"
    rows = rows.with_columns(
        interval_from=pl.when(pl.col("hours").is_not_null())
        .then(pl.lit("declared"))
        .when(pl.col("_seen").is_not_null())
        .then(pl.lit(source))
        .otherwise(pl.lit("unknown")),
        hours=pl.coalesce("hours", "_seen"),
    )
    share = 1 - rows["hours"].null_count() / rows.height
    if said is None and share < _PROVEN:
        raise BadCall(
            f"{path}: the interval is not proven (known for {share:.0%} of {rows.height:,} rows by {exchange} or the gaps): "
            "say --interval 8h, or --interval infer to leave the rest unknown"
        )
    _refuse_gaps(path, rows, told)
    counts = rows.group_by("hours").len().sort("len", descending=True)
    spans = ", ".join(f"{'unknown' if h is None else f'{h:g} h'} {n:,} rows" for h, n in counts.iter_rows())
    return rows.drop("_seen"), f"interval: {spans} ({told})"


def _refuse_other(path: Path, rows: pl.DataFrame, exchange: str, said: float) -> None:
    other = rows.filter(pl.col("hours") != said)
    if other.height:
        row = other.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {exchange} pays {row['symbol']} each {row['hours']:g} h, "
            f"not each {said:g} h as --interval says"
        )


def _refuse_gaps(path: Path, rows: pl.DataFrame, told: str) -> None:
    wrong = rows.filter((pl.col("_seen") < pl.col("hours")) | (pl.col("_seen") % pl.col("hours") != 0))
    if wrong.height:
        row = wrong.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} {row['hour']:%Y-%m-%d %H:%M} is paid each {row['_seen']:g} h by the gaps "
            f"around it ({wrong.height:,} such rows), not each {row['hours']:g} h ({told}); --interval infer reads the gaps"
        )
    sparse = rows.filter(pl.col("_seen") > pl.col("hours"))
    if sparse.height > 0.5 * rows.height:
        row = sparse.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} stands there each {row['_seen']:g} h, but is paid each "
            f"{row['hours']:g} h ({told}): sums or samples, no settlements"
        )
