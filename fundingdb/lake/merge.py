"""What the rows of a frame change in the stored rows. Pure, no disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.schema import RESTATEMENTS

if TYPE_CHECKING:
    from fundingdb.schema import Table

_AS_NULL = {"interval_from": "unknown"}  # as null: any other evidence replaces it
EVENT = tuple(c for c in RESTATEMENTS.columns if c != "new_fetched_at")
"""A restatement that is logged again after a crash differs in the instant of its discovery alone."""


@dataclass(frozen=True, slots=True)
class Split:
    """`fresh`: rows with new keys. `changed`: rows that replace stored ones; `restated` of them are restatements, the rest
    amendments (a null filled, a side value changed). `unchanged`: the number of rows that are stored already.
    """

    fresh: pl.DataFrame
    changed: pl.DataFrame
    restated: int
    unchanged: int


def split(table: Table, frame: pl.DataFrame, there: pl.DataFrame) -> Split:
    """Compare `frame` with the stored rows `there` (key and values, at least) of the same partition.

    In a table of dated facts (one with a time) null means unknown and does not replace a stored value. In `markets` null is a
    state and replaces.
    """
    names = [*_key(table), *table.values]
    quiet = [pl.col(c).replace(v, None) for c, v in _AS_NULL.items() if c in table.values]
    old = there.select(names).with_columns(quiet).rename({c: f"_old_{c}" for c in table.values})
    both = frame.with_columns(quiet).join(
        old.with_columns(_there=True), on=_key(table), how="left", nulls_equal=True, maintain_order="left"
    )
    loud = [pl.col(c).fill_null(v) for c, v in _AS_NULL.items() if c in table.values]
    fresh = both.filter(pl.col("_there").is_null()).select(table.columns.keys()).with_columns(loud)
    both = both.filter(pl.col("_there").is_not_null())
    if table.time is not None:
        both = both.with_columns(pl.coalesce(c, f"_old_{c}").alias(c) for c in table.values)
    other = [pl.col(c).ne_missing(pl.col(f"_old_{c}")) for c in table.values]
    changed = both.filter(pl.any_horizontal(other))
    watched = table.restated or table.values
    replaced = [_replaced(c) if table.restated else pl.lit(value=True) for c in watched]
    restated = changed.filter(pl.any_horizontal(replaced)).height
    rows = changed.select(table.columns.keys()).with_columns(loud)
    return Split(fresh, rows, restated, both.height - changed.height)


def amended(table: Table, hours: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    """Whole rows of `there` with the hours that were derived for them, unless their hours have changed since.

    `hours`: key and partitions, seen_hours (those of the row when its hours were derived), interval_hours, interval_from and
    fetched_at (learned; a row that had no hours keeps its own). Hours that a source published are never replaced.
    """
    names = {"interval_hours": "_hours", "interval_from": "_from", "fetched_at": "_learned"}
    both = there.join(hours.rename(names), on=_key(table), how="inner", nulls_equal=True)
    still = pl.col("interval_hours").eq_missing(pl.col("seen_hours"))
    learned = pl.when(pl.col("seen_hours").is_null()).then("fetched_at").otherwise("_learned")
    return (
        both.filter(still, pl.col("interval_from").is_in(["unknown", "observed"]))
        .with_columns(interval_hours="_hours", interval_from="_from", fetched_at=learned)
        .select(table.columns.keys())
    )


def events(table: Table, changed: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    """The rows for `restatements`: of the changed ones those where a value of `table.restated` (not null) became another."""
    values = [*table.restated, "fetched_at"]
    old = there.select(*_key(table), *(pl.col(c).alias(f"_old_{c}") for c in values))
    both = changed.join(old, on=_key(table), how="inner", nulls_equal=True)
    both = both.filter(pl.any_horizontal(_replaced(c) for c in table.restated))
    return both.select(
        *table.key,
        *(pl.col(f"_old_{c}").alias(f"old_{c}") for c in values),
        *(pl.col(c).alias(f"new_{c}") for c in values),
        month="month",
    ).select(RESTATEMENTS.columns.keys())


def replace(table: Table, there: pl.DataFrame, changed: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """All rows of a partition after the change, in the table's order."""
    kept = there
    if changed.height:
        kept = there.join(changed.select(_key(table)), on=_key(table), how="anti", nulls_equal=True)
    return pl.concat([kept, changed, fresh]).sort(order(table))


def order(table: Table) -> list[str]:
    """The columns a file is sorted by: the table's sort, then what is left of the key, so that equal content is equal bytes."""
    return [*table.sort, *(k for k in _key(table) if k not in table.sort)]


def _key(table: Table) -> list[str]:
    """The part of the key that differs inside a partition."""
    return [k for k in table.key if k not in table.partitions]


def _replaced(column: str) -> pl.Expr:
    old = pl.col(f"_old_{column}")
    return old.is_not_null() & old.ne_missing(pl.col(column))
