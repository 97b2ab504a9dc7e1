"""Spreads between exchanges from a frame of rates, by the rule of the view `spreads`. Pure functions."""

from __future__ import annotations

import polars as pl

from fundingdb.errors import BadCall
from fundingdb.provider.pairs import every_pair

_ASSET = ("asset_class", "base")
_NEEDED = (*_ASSET, "exchange", "symbol", "funding_rate", "interval_hours")
_SETTLED = ("funding_time", "source", "rate_type", "fetched_at")
_PREDICTED = ("observed_at", "source")


def spreads(rates: pl.DataFrame) -> pl.DataFrame:
    """Every pair of exchanges for each asset: from FUNDING rows at each full hour, from SNAPSHOTS rows the newest of each market.

    Columns asset_class, base, hour_at (UTC; FUNDING rows only), long_exchange, long_symbol, short_exchange, short_symbol,
    long_rate_1h, short_rate_1h, spread_1h: fractions of notional per hour, positive when longs pay shorts. Long is the lower
    rate, short the higher, so that spread_1h is never negative; equal rates go by name. Ordered by hour, then widest first.
    A settled rate counts from its settlement until the next one, for its own interval at most, and at no hour after the
    newest `fetched_at`. Special payments and rows of unknown rate or interval take no part. Empty: no asset has rates of two
    exchanges at one time. Unlike the view, this compares no prices: two assets of one name are one here.
    Raises BadCall for a frame without the columns of one of the two tables.
    """
    settled = "funding_time" in rates.columns
    lacking = [c for c in (*_NEEDED, *(_SETTLED if settled else _PREDICTED)) if c not in rates.columns]
    if lacking:
        raise BadCall(
            f"spreads: the frame has no column {', '.join(lacking)}; give it rows of get_funding_rates, "
            "get_historical_funding_rates or bulk_download_historical"
        )
    rows = _by_hour(rates) if settled else _newest(rates)
    hour = ["hour_at"] if settled else []
    rate = pl.col("funding_rate") / pl.col("interval_hours")
    known = rows.drop_nulls(["funding_rate", "interval_hours"]).select(
        *_ASSET, *hour, "exchange", "symbol", rate_1h=rate
    )
    order = [*hour, "spread_1h", "base", "long_exchange", "short_exchange", "long_symbol", "short_symbol"]
    return every_pair(known, [*_ASSET, *hour]).sort(order, descending=[name == "spread_1h" for name in order])


def _newest(rates: pl.DataFrame) -> pl.DataFrame:
    """The newest snapshot of each market, the exchange's own before that of another source."""
    own = pl.col("source") == pl.col("exchange")
    return rates.sort(own, "observed_at", descending=True).unique(
        ["exchange", "symbol"], keep="first", maintain_order=True
    )


def _by_hour(rates: pl.DataFrame) -> pl.DataFrame:
    """One row a market and full hour (`hour_at`) at which a settled rate is known."""
    market = ["exchange", *_ASSET, "symbol"]
    paid = (
        rates.filter(pl.col("rate_type") == "regular")
        .sort(pl.col("source") != pl.col("exchange"), maintain_order=True)
        .unique([*market, "funding_time"], keep="first", maintain_order=True)
        .sort(*market, "funding_time")
    )
    span = (pl.col("interval_hours") * 3_600_000_000).round().cast(pl.Int64).cast(pl.Duration("us"))
    following = pl.col("funding_time").shift(-1).over(market)
    # one hour after the newest response is the first that it does not cover
    end = pl.col("fetched_at").max() + pl.duration(microseconds=1)
    until = pl.min_horizontal(following, pl.col("funding_time") + span, end)
    return (
        paid.with_columns(_until=until)
        .drop_nulls("interval_hours")
        .with_columns(hour_at=pl.datetime_ranges(_full_hour("funding_time"), _full_hour("_until"), "1h", closed="left"))
        .explode("hour_at")
        .drop_nulls("hour_at")
    )  # fmt: skip


def _full_hour(column: str) -> pl.Expr:
    """The first full hour at or after the instants of a column."""
    before = pl.col(column) - pl.duration(microseconds=1)
    return before.dt.truncate("1h") + pl.duration(hours=1)
