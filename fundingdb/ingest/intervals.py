"""Derives the interval of a payment from its neighbours where the source does not publish it. Pure.

The hours of a payment are the hours since the settlement before it. The gap between two neighbouring regular rows of one
(exchange, source, symbol) shows it only where the rows between them are complete, and even then an
exchange may have left out a settlement, which makes a gap longer and never shorter. So a gap counts when it is 1, 2, 4,
6, 8, 12 or 24 hours and one of

- three or more equal gaps in a row, or
- two equal gaps in a row, right after a longer gap that is itself on this list (the market began to pay more often).

All other rows keep null: the first of a run, the first two after a change to longer hours while they are the newest, a
step from one rhythm to the next that fits neither, the row after a missing one. That is never wrong while of three
neighbouring gaps at least one misses no row and no settlement is left out within two of a change. A row that comes late, or more
neighbours, can turn null into hours, and so complete rows that are stored already.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.fetchers.limits import MARKET
from fundingdb.schema import TIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fundingdb.window import Window

HOURS = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0)
REACH = 6 * timedelta(hours=HOURS[-1])
"""Rows farther from a new row than this keep their interval: it changes three gaps, each evidence for two more."""
_SURE = 3  # equal gaps in a row
_SHORTER = 2  # equal gaps in a row after a longer one


def unknown(rows: pl.DataFrame) -> bool:
    """Whether any regular row has no interval."""
    return rows["interval_hours"].has_nulls() and not rows.filter(_open()).is_empty()


def observed(
    rows: pl.DataFrame, complete: Mapping[tuple[str, str, str], Sequence[Window]] | None = None
) -> pl.DataFrame:
    """The FUNDING rows, in their order, with interval_hours and interval_from (observed) where neighbours show them.

    `complete`: by (exchange, source, symbol) the windows, disjoint and in order, in which no row is missing; rows outside them
    have no neighbours. None: the rows of each market are complete. Intervals that the source publishes stay as they are, an
    observed one is replaced when a late row shows another. Special payments are nobody's neighbours and stay null.
    """
    if rows.is_empty() or not unknown(rows):
        return rows
    hours = _hours(_runs(rows, complete))
    both = rows.with_row_index("_row").join(hours, on="_row", how="left", maintain_order="left")
    new = pl.col("_hours").is_not_null() & (_open() | (pl.col("interval_from") == "observed"))
    return both.with_columns(
        interval_hours=pl.when(new).then("_hours").otherwise("interval_hours"),
        interval_from=pl.when(new).then(pl.lit("observed")).otherwise("interval_from"),
    ).select(rows.columns)


def _open() -> pl.Expr:
    return pl.col("interval_hours").is_null() & (pl.col("rate_type") == "regular")


def _runs(
    rows: pl.DataFrame, complete: Mapping[tuple[str, str, str], Sequence[Window]] | None
) -> pl.DataFrame:
    """_row, _run and funding_time of the regular rows inside complete windows, by run and time."""
    regular = (
        rows.with_row_index("_row")
        .filter(pl.col("rate_type") == "regular")
        .select("_row", *MARKET, "funding_time")
    )
    if complete is None:
        runs = regular.with_columns(_run=pl.struct(MARKET).rank("dense"))
        return runs.select("_row", "_run", "funding_time").sort("_run", "funding_time")
    spans = pl.DataFrame(
        [(*market, w.start, w.stop) for market, windows in complete.items() for w in windows],
        schema={**dict.fromkeys(MARKET, pl.String()), "_start": TIME, "_stop": TIME},
        orient="row",
    ).with_row_index("_run")
    near = regular.sort("funding_time").join_asof(
        spans.sort("_start"),
        left_on="funding_time",
        right_on="_start",
        by=list(MARKET),
        strategy="backward",
        check_sortedness=False,  # both just sorted
    )
    inside = near.filter(pl.col("funding_time") < pl.col("_stop"))
    return inside.select("_row", "_run", "funding_time").sort("_run", "funding_time")


def _hours(runs: pl.DataFrame) -> pl.DataFrame:
    """_row and _hours (null: unknown) of rows by run and time."""
    gap = (pl.col("funding_time").diff() / timedelta(hours=1)).cast(pl.Float64)
    gaps = (
        runs.with_columns(_gap=pl.when(pl.col("_run") == pl.col("_run").shift()).then(gap))
        .with_columns(
            _stretch=pl.struct("_run", "_gap").rle_id(),
            _listed=pl.when(pl.col("_gap").is_in(HOURS)).then("_gap"),
        )
        .with_columns(_before=pl.col("_listed").shift())
    )
    equal, before = pl.len().over("_stretch"), pl.col("_before").first().over("_stretch")
    sure = (equal >= _SURE) | ((equal == _SHORTER) & (before > pl.col("_gap")))
    return gaps.select("_row", _hours=pl.when(sure.fill_null(value=False)).then("_listed"))
