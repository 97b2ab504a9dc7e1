"""Hyperliquid's rate from its premium: (premium + clamp(0.0001 - premium, -c, c)) / 8 an hour, or whole per 8 hours.

Source of the formula, with c = 0.0005: the exchange's page "Funding". The clamps of 2023 are read off the rates: each is the
only one of 0, 0.01, 0.02, 0.03 and 0.05 percent that explains all rates of its span, but for the 22 hours of the fourth (0.03 and
0.05 do); 0.02 percent rests on one rate, that of 2023-07-16 01:00.
"""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from pack import BTC_2023, BTC_2024, HISTORY, Lakes, Reproduced

from fundingdb.lake import Lake

INTEREST, TODAY = 0.0001, 0.0005
# First payment of each span of 2023 in which one clamp explains every rate of BTC.
SPANS = (
    (datetime(2023, 5, 12, tzinfo=UTC), 0.0003),
    (datetime(2023, 6, 8, 1, tzinfo=UTC), 0.0003),  # from here on paid each hour
    (datetime(2023, 6, 16, 21, tzinfo=UTC), 0.0),
    (datetime(2023, 7, 15, 3, tzinfo=UTC), 0.0003),
    (datetime(2023, 7, 16, 1, tzinfo=UTC), 0.0002),
)
LATER = datetime(2023, 8, 1, tzinfo=UTC)


def reproduce(lakes: Lakes) -> Reproduced:
    """One row a file and span.

    `matching`: payments equal to the formula with the span's clamp within half the last decimal that the file writes;
    `matching_today`: with the clamp of 0.0005.
    """
    early = spans(with_premium(lakes.data / BTC_2023, lakes.early), 1e-8)
    parts = [early.select(pl.lit("BTC 2023").alias("data"), pl.all())]
    for name, file, warehouse, step in (
        ("BTC 2024-25", BTC_2024, lakes.answers, 1e-10),
        ("all coins 2024", HISTORY, lakes.history, 1e-8),
    ):
        rows = with_premium(lakes.data / file, warehouse)
        if name == "all coins 2024":
            rows = rows.filter((pl.col("premium") != 0) | (pl.col("funding_rate") != 0))
        parts.append(spans(rows, step).select(pl.lit(name).alias("data"), pl.all()))
    table = pl.concat(parts)
    first, later = table.filter(data="BTC 2023"), table.filter(pl.col("data") != "BTC 2023")
    free = first.filter(clamp=0.0).row(0, named=True)
    paid, good, today = (first[name].sum() for name in ("payments", "matching", "matching_today"))
    return Reproduced(
        title="Hyperliquid's rate from its premium",
        data=(
            f"fundingHistory: BTC 2023-05-12 to 07-17, {paid:,} rows; BTC 2024 to 2025 and all coins 2024-10-25 to 11-24, "
            f"{later['payments'].sum():,} rows (without 0 / 0 of delisted coins)"
        ),
        files=(BTC_2023, BTC_2024, HISTORY),
        method=(
            "rate = (premium + clamp(0.0001 - premium, -c, c)) x interval_hours / 8, with the rate of the lake and the "
            "premium of the same answer; equal within half of the last decimal that the answer writes."
        ),
        found=(
            f"With a clamp of 0.05% {later['matching'].sum():,} of {later['payments'].sum():,} rates since 2024 follow from "
            f"their premium. Of the {paid:,} of 2023, paid by 8 hours until 06-08 00:00 and then by the hour, {today:,} do; "
            f"with the clamps of their days {good:,}: 0.03%, none from {free['from']:%m-%d %H:%M} to "
            f"{free['to']:%m-%d %H:%M} (an eighth of the premium), 0.03% or more for 22 hours, 0.02%"
        ),
        stated=(
            '"In every row" since 2024, to 1e-8: yes, to half of the last decimal. "premium + 0.0003 while clamped" of '
            "the 8-hour days: yes. That the clamp moved in the hourly days of 2023 too: no source known"
        ),
        table=table,
    )


def with_premium(file: Path, warehouse: Path) -> pl.DataFrame:
    """The lake's payments of Hyperliquid with the premium that the file has beside them."""
    raw = pl.read_parquet(file) if file.suffix == ".parquet" else pl.read_json(file)
    premium = raw.select(
        symbol="coin",
        reported_time=pl.from_epoch("time", "ms").dt.cast_time_unit("us").dt.replace_time_zone("UTC"),
        premium=pl.col("premium").cast(pl.Float64),
    )
    paid = Lake(warehouse).scan("funding").filter(pl.col("exchange") == "hyperliquid").collect()
    return paid.join(premium, on=["symbol", "reported_time"], how="inner", validate="1:1")


def spans(rows: pl.DataFrame, step: float) -> pl.DataFrame:
    """from, to, interval_hours, clamp, payments, matching, matching_today."""
    clamp = pl.lit(TODAY)
    for start, width in SPANS:
        inside = (pl.col("funding_time") >= start) & (pl.col("funding_time") < LATER)
        clamp = pl.when(inside).then(width).otherwise(clamp)
    start = pl.max_horizontal(pl.when(pl.col("funding_time") >= at).then(pl.lit(at)) for at, _ in SPANS)
    found = rows.with_columns(clamp=clamp, span=start)
    return (
        found.group_by("span", "interval_hours", "clamp")
        .agg(
            pl.col("funding_time").min().alias("from"),
            pl.col("funding_time").max().alias("to"),
            pl.len().alias("payments"),
            fits(pl.col("clamp"), step).sum().alias("matching"),
            fits(pl.lit(TODAY), step).sum().alias("matching_today"),
        )
        .sort("from")
        .select("from", "to", "interval_hours", "clamp", "payments", "matching", "matching_today")
    )


def fits(clamp: pl.Expr, step: float) -> pl.Expr:
    """Whether the formula gives the rate that is written."""
    premium = pl.col("premium")
    eight = premium + (INTEREST - premium).clip(-clamp, clamp)
    rate = eight * pl.col("interval_hours") / 8
    return (rate - pl.col("funding_rate")).abs() <= 0.5001 * step
