"""Pairs of exchanges by their rates per hour: every pair, and the widest one. The same rules as sql/spreads.sql and
sql/best_spreads.sql.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class BestPair(NamedTuple):
    """Of each instant the row that is long (the lowest rate) and short (the highest), -1 where fewer than two rates are known."""

    long: NDArray[np.int64]
    short: NDArray[np.int64]
    exchanges: NDArray[np.int64]  # how many rates are known


def best_pair(rates: NDArray[np.float64]) -> BestPair:
    """The widest pair of each instant (column) among exchanges (rows, in order of name).

    Rates are per hour, NaN where unknown. Of equal rates the first row is long, the last is short.
    """
    known = ~np.isnan(rates)
    exchanges = known.sum(axis=0)
    if not len(rates):
        none = np.full(rates.shape[1], -1)
        return BestPair(none, none, exchanges)
    long = np.where(known, rates, np.inf).argmin(axis=0)
    short = len(rates) - 1 - np.where(known, rates, -np.inf)[::-1].argmax(axis=0)
    enough = exchanges > 1
    return BestPair(np.where(enough, long, -1), np.where(enough, short, -1), exchanges)


def every_pair(known: pl.DataFrame, by: Sequence[str] = ("asset_class", "base")) -> pl.DataFrame:
    """Every pair of unlike exchanges among the rows that agree in `by`: long the lower rate, short the higher.

    `known` has the columns of `by`, exchange, symbol and rate_1h (per hour, fraction of notional; null takes no part). Columns of
    the answer: `by`, long_exchange, long_symbol, short_exchange, short_symbol, long_rate_1h, short_rate_1h, spread_1h (>= 0).
    Of equal rates the first exchange by name is long. No order; empty where no two exchanges are known.
    """
    rows = known.drop_nulls("rate_1h").select(*by, "exchange", "symbol", "rate_1h")
    lower, alike = pl.col("rate_1h") < pl.col("rate_1h_short"), pl.col("rate_1h") == pl.col("rate_1h_short")
    both = rows.join(rows, on=list(by), suffix="_short").filter(
        pl.col("exchange") != pl.col("exchange_short"),
        lower | (alike & (pl.col("exchange") < pl.col("exchange_short"))),
    )
    return both.select(
        *by,
        long_exchange="exchange",
        long_symbol="symbol",
        short_exchange="exchange_short",
        short_symbol="symbol_short",
        long_rate_1h="rate_1h",
        short_rate_1h="rate_1h_short",
        spread_1h=pl.col("rate_1h_short") - pl.col("rate_1h"),
    )
