"""Rows of the tables from what a fetcher has read; the columns that are one for a whole answer are filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from fundingdb.fetchers.base import Asked, Market

_MEASURED = {
    "funding_time": pl.Int64,
    "reported_time": pl.Int64,
    "funding_rate": pl.Float64,
    "native_rate": pl.Float64,
    "mark_price": pl.Float64,
}


def funding_rows(
    market: Market, asked: Asked, measured: Mapping[str, Sequence[float | None]], hours: float
) -> pl.DataFrame:
    """FUNDING rows by time of one market that pays each `hours` (declared by the exchange).

    `measured` has funding_time and reported_time (Unix ms), funding_rate, native_rate, mark_price, equally long.
    """
    frame = pl.DataFrame(dict(measured), schema=_MEASURED).with_columns(
        (pl.col("funding_time", "reported_time") * 1000).cast(TIME),
        exchange=pl.lit(market.exchange),
        source=pl.lit(market.exchange),
        symbol=pl.lit(market.symbol),
        base=pl.lit(market.base),
        quote=pl.lit(market.quote, pl.String),
        asset_class=pl.lit(market.asset_class),
        interval_hours=pl.lit(hours),
        interval_from=pl.lit("declared"),
        rate_type=pl.lit("regular"),
        index_price=pl.lit(None, pl.Float64),
        fetched_at=pl.lit(asked.at, TIME),
    )
    return frame.select(c for c in FUNDING.columns if c != "month").sort("funding_time")


def snapshot_row(market: Market, observed_at: datetime, known: Mapping[str, Any]) -> dict[str, Any]:
    """One SNAPSHOTS row; what `known` does not say is null."""
    return {
        **dict.fromkeys(SNAPSHOTS.columns),
        "exchange": market.exchange,
        "source": market.exchange,
        "symbol": market.symbol,
        "base": market.base,
        "quote": market.quote,
        "asset_class": market.asset_class,
        "observed_at": observed_at,
        **known,
    }


def snapshot_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """SNAPSHOTS rows without month."""
    return pl.DataFrame(rows, schema=SNAPSHOTS.schema, orient="row").drop("month")


def market_row(market: Market, asked: Asked, known: Mapping[str, Any]) -> dict[str, Any]:
    """One MARKETS row, seen at `asked.at`; what neither `market` nor `known` says is null."""
    own = {name: getattr(market, name) for name in MARKETS.columns if hasattr(market, name)}
    return {**dict.fromkeys(MARKETS.columns), **own, "first_seen": asked.at, "last_seen": asked.at, **known}


def market_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """MARKETS rows."""
    return pl.DataFrame(rows, schema=MARKETS.schema, orient="row")
