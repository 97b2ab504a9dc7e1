"""Frames of a caller into the lake: settled rates into `funding`, predicted ones into `snapshots`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.catalog import catalog
from fundingdb.errors import BadCall
from fundingdb.ingest import guard, held
from fundingdb.schema import FUNDING, SNAPSHOTS, Table

if TYPE_CHECKING:
    from fundingdb.fetchers.contract import Fetcher
    from fundingdb.lake import Lake, Upserted


def save(lake: Lake, fetcher: Fetcher, frame: pl.DataFrame, *, append: bool = True) -> Upserted:
    """Write FUNDING or SNAPSHOTS rows of the source `fetcher` into their table, and bring the catalog up to date.

    `append=True` adds new rows, replaces those that differ, and leaves equal ones alone; `append=False` refuses a frame when
    the lake has rows of one of its markets inside its span. Settled rates that the gate holds go to table `held` and do not count
    in the result; predicted rates beyond the bound of their exchange become null. The ledger is not written: `coverage` and
    `backfill` treat the span as not requested yet. Raises BadCall for such a refusal and for a frame of neither table,
    SchemaError for rows that do not fit their table or are of another source, LakeError.
    """
    table = _table_of(frame)
    rows = guard.checked(fetcher, table, frame)
    if not append:
        _refuse_stored(lake, table, rows)
    settled = table is FUNDING
    passed = held.examined(lake, rows, datetime.now(UTC)).rows if settled else guard.bounded(rows)
    saved = lake.upsert(table.name, passed)
    catalog.rebuild(lake.warehouse)
    return saved


def _table_of(frame: pl.DataFrame) -> Table:
    fits = [t for t in (FUNDING, SNAPSHOTS) if t.time in frame.columns]
    if len(fits) != 1:
        raise BadCall(
            f"the frame has {'both' if fits else 'neither'} of the columns funding_time (settled rates) and observed_at "
            "(predicted rates): save the rows of get_historical_funding_rates, or those of get_funding_rates"
        )
    return fits[0]


def _refuse_stored(lake: Lake, table: Table, rows: pl.DataFrame) -> None:
    """Raise BadCall when the lake has rows of a market between its first and last row, both included."""
    market, time = ["exchange", "source", "symbol"], str(table.time)
    spans = rows.group_by(market).agg(_first=pl.col(time).min(), _last=pl.col(time).max())
    stored = (
        lake.scan(table.name)
        .join(spans.lazy(), on=market)
        .filter(pl.col(time).is_between("_first", "_last"))
        .group_by(market)
        .agg(pl.len(), first=pl.col(time).min(), last=pl.col(time).max())
        .sort(market)
        .collect()
    )
    if stored.height:
        row = stored.row(0, named=True)
        more = f", and of {stored.height - 1} more markets" if stored.height > 1 else ""
        span = f"{row['first']:%Y-%m-%d %H:%M} to {row['last']:%Y-%m-%d %H:%M} UTC{more}"
        raise BadCall(
            f"{row['exchange']} {row['symbol']}: table {table.name} already has {row['len']:,} rows from {span}; "
            "nothing was written. append=True adds what is missing and replaces what differs"
        )
