"""Funding intervals of Binance, which its history does not tell, and when they changed."""

import polars as pl
from pack import BINANCE, Lakes, Reproduced

from fundingdb.catalog import catalog

CHANGES = """
    select symbol, previous_interval_hours as hours_before, interval_hours as hours_after, change,
           first_time as first_payment
    from intervals where change in ('shorter', 'longer') order by symbol, first_time
"""
NEWEST = """
    select hours, count(*) as symbols
    from (select symbol, max_by(interval_hours, funding_time) as hours from funding
          where interval_hours is not null group by symbol)
    group by hours
"""


def reproduce(lakes: Lakes) -> Reproduced:
    """One row a change; the first payment is the first with the new hours."""
    with catalog.connect(lakes.binance) as con:
        changes, newest = con.sql(CHANGES).pl(), dict(con.sql(NEWEST).fetchall())
        ((payments, null),) = con.sql(
            "select count(*), count(*) - count(interval_hours) from funding"
        ).fetchall()
    steps = raw_steps(lakes)
    symbols = sum(newest.values())
    odd = steps.filter(pl.col("gap").is_in([2.0, 3.0])).height
    return Reproduced(
        title="Intervals of Binance",
        data=f"Binance, {symbols} symbols, 2026-01-12 to 03-20, {payments:,} payments",
        files=(BINANCE,),
        method=(
            "`fundingdb import` without a flag, then the view `intervals`. A row is a change; first_payment is the first "
            "with the new hours. Beside it, without fundingdb: every change of the gap between two stamps of the file."
        ),
        found=(
            f"{newest[1.0]} symbols were last paid each 1 h, {newest[4.0]} each 4 h, {newest[8.0]} each 8 h; "
            f"{changes.height} changes in {changes['symbol'].n_unique()} symbols; {null} payments ({null / payments:.1%}) are "
            f"not proven and null. The bare gaps change {steps.height} times, {odd} of them to a step of 2 or 3 h"
        ),
        stated=(
            f'"4 h for three quarters of the symbols, 8 h for a quarter": {newest[4.0] / symbols:.0%}, '
            f'{newest[8.0] / symbols:.0%}. "26 of 539 symbols change" is said of a larger file'
        ),
        table=changes,
    )


def raw_steps(lakes: Lakes) -> pl.DataFrame:
    """Every change of the gap between neighbouring stamps of a symbol, in hours, by nothing but the file."""
    rows = pl.read_parquet(lakes.data / BINANCE).sort("symbol", "timestamp")
    hour = (pl.col("timestamp") // 3_600_000).cast(pl.Float64)
    gaps = rows.select("symbol", gap=hour.diff().over("symbol")).drop_nulls()
    return gaps.filter((pl.col("gap") != pl.col("gap").shift()).over("symbol"))
