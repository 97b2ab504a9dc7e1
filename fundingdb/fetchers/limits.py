"""Settled rates that their exchange cannot have published: finer than its step, or beyond a bound. Pure.

Steps and bounds are fractions per payment unless the column says per hour. They are the facts of the datasheets in
`fundingdb/fetchers/`, read there in November 2026; where an exchange writes figures without a fixed number of decimals (OKX 16,
dYdX up to 20, Drift and Paradex quotients, Variational a year's rate) it has no step, and none where its page leaves it open
(Extended: six decimals shown, whether payments have more is unknown).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

MARKET = ("exchange", "source", "symbol")  # what settles one series of payments


@dataclass(frozen=True, slots=True)
class Limit:
    """What an exchange publishes: smallest step (None: no fixed one), largest |rate| per hour or payment, and the source."""

    step: float | None
    bound: float
    per: Literal["hour", "payment"]
    source: str


LIMITS = {
    "aster": Limit(1e-8, 0.1, "payment", "datasheet binance.py: 8 decimals; recorded caps end at 0.02"),
    "backpack": Limit(1e-9, 0.05, "hour", "datasheet: 9 decimals in history; bounds of unproven unit"),
    "binance": Limit(1e-8, 0.1, "payment", "datasheet: 8 decimals; recorded caps end at 0.02"),
    "binance-coinm": Limit(1e-8, 0.1, "payment", "datasheet binance.py: 8 decimals"),
    "bybit": Limit(1e-8, 0.1, "payment", "datasheet: at most 8 decimals; recorded caps end at 0.02"),
    "drift": Limit(None, 0.05, "hour", "datasheet: money over price, no cap published"),
    "dydx": Limit(None, 0.1, "hour", "datasheet: up to 20 decimals, no cap published"),
    "edgex": Limit(1e-8, 0.1, "payment", "datasheet: 8 decimals"),
    "extended": Limit(None, 0.05, "hour", "datasheet: five times the largest cap seen"),
    "gate": Limit(1e-6, 0.1, "payment", "datasheet: 6 decimals; recorded caps end at 0.02"),
    "grvt": Limit(1e-6, 0.05, "payment", "datasheet: 4 decimals of a percent"),
    "hyperliquid": Limit(1e-10, 0.04, "hour", "datasheet: 10 decimals; cap 4 percent an hour"),
    "lighter": Limit(1e-6, 0.005, "hour", "datasheet: 4 decimals of a percent; cap 0.5 percent an hour"),
    "nado": Limit(None, 0.05, "hour", "datasheet: whole numbers of 1e-18, no cap published"),
    "okx": Limit(None, 0.1, "payment", "datasheet: 16 decimals; recorded caps end at 0.01"),
    "pacifica": Limit(1e-8, 0.05, "hour", "datasheet: 8 decimals, no cap published"),
    "paradex": Limit(None, 0.2, "payment", "datasheet: up to 14 decimals"),
    "variational": Limit(None, 0.1, "payment", "datasheet: 6 decimals of a year's rate"),
    "velocity": Limit(None, 0.05, "hour", "datasheet drift.py: no cap published"),
}
STEPS = {exchange: limit.step for exchange, limit in LIMITS.items() if limit.step is not None}
"""The step of settled rates by exchange, where there is a fixed one."""
LONGEST_HOURS = dict.fromkeys(("aster", "binance", "binance-coinm", "bybit", "gate", "okx"), 8.0)
"""The longest interval of an exchange whose markets pay every 1, 2, 4 or 8 hours: rows further apart leave payments out."""
MIDNIGHT_GRID = frozenset({*LONGEST_HOURS, "mexc"})
"""Exchanges that settle at multiples of the interval since 00:00 UTC, every 8 hours at 0, 8 and 16 o'clock: true of all
recorded payments, of KuCoin (4, 12, 20) and BitMEX (4, 12, 20) not."""
BOUND = 0.1  # of an exchange without an entry, per payment: no cap on record reaches it
SPECIAL_BOUND = 0.5  # a dividend of half the price
_OFF_GRID = 0.01  # of a step; a rate of 1 has the noise 2e-6 of a step of 1e-10
_MOVED = (
    2.0  # caps are those of today and are adjusted over time: a payment beyond twice the cap has another unit
)
_LONGEST = 8.0  # hours that a payment without interval is allowed to cover

_TABLE = pl.DataFrame(
    [(e, x.step, x.bound, x.per == "hour") for e, x in LIMITS.items()],
    schema={
        "exchange": pl.String(),
        "_step": pl.Float64(),
        "_bound": pl.Float64(),
        "_per_hour": pl.Boolean(),
    },
    orient="row",
)


def misfits(rows: pl.DataFrame, caps: pl.DataFrame | None = None) -> pl.DataFrame:
    """The FUNDING rows that cannot be right, in their order, with `reason` (finer, beyond) and `limit` (the step or bound).

    `caps`: exchange, symbol, rate_cap (fraction per payment, null: unknown) as in MARKETS. A regular rate is beyond when it is
    greater than the exchange's own bound, or than twice its market's cap; a special payment when it is greater than half the
    notional. Steps hold for regular rates alone. Empty: every rate is possible.
    """
    known = (
        caps if caps is not None else pl.DataFrame(schema=dict.fromkeys(["exchange", "symbol"], pl.String()))
    )
    if "rate_cap" not in known.columns:
        known = known.with_columns(rate_cap=pl.lit(None, pl.Float64))
    known = known.select("exchange", "symbol", _cap="rate_cap").unique(["exchange", "symbol"], keep="last")
    both = rows.join(_TABLE, on="exchange", how="left", maintain_order="left").join(
        known, on=["exchange", "symbol"], how="left", maintain_order="left"
    )
    hours = pl.when("_per_hour").then(pl.col("interval_hours").fill_null(_LONGEST)).otherwise(1.0)
    bound = pl.min_horizontal(
        pl.col("_bound").fill_null(BOUND) * hours.fill_null(1.0), pl.col("_cap") * _MOVED
    )
    regular = pl.col("rate_type") == "regular"
    both = both.with_columns(_most=pl.when(regular).then(bound).otherwise(SPECIAL_BOUND))
    steps = pl.col("funding_rate") / pl.col("_step")
    finer = regular & ((steps - steps.round()).abs() > _OFF_GRID).fill_null(value=False)
    beyond = pl.col("funding_rate").abs() > pl.col("_most") * (1 + 1e-9)
    reason = pl.when(beyond).then(pl.lit("beyond")).when(finer).then(pl.lit("finer"))
    limit = pl.when(beyond).then("_most").otherwise("_step")
    return (
        both.with_columns(reason=reason, limit=limit)
        .drop_nulls("reason")
        .select(*rows.columns, "reason", "limit")
    )


def contradictions(new: pl.DataFrame, stored: pl.DataFrame | None = None) -> pl.DataFrame:
    """Markets whose rows state an interval that their own settlement times contradict.

    One line a market and interval: exchange, source, symbol, interval_hours, gap_hours, count (gaps that contradict), of (gaps
    compared), since. The stored rows beside the new ones are neighbours too, but only gaps that end at a new row count.
    Shorter gaps contradict when there are three alike, and half of the gaps: a payment cannot accrue over more hours than
    have passed, and a change of the interval makes one such gap. Longer ones when twelve, and nine of ten gaps, are the same
    multiple of the interval: lost payments are not that regular. Special payments do not count.
    """
    columns = [*MARKET, "funding_time", "interval_hours"]
    regular = pl.col("rate_type") == "regular"
    sides = [new.filter(regular).select(columns).with_columns(_new=pl.lit(value=True))]
    if stored is not None:
        beside = stored.filter(regular).join(new.select(MARKET).unique(), on=MARKET, how="semi")
        sides.append(beside.select(columns).with_columns(_new=pl.lit(value=False)))
    rows = pl.concat(sides).unique([*MARKET, "funding_time"], keep="first").sort(*MARKET, "funding_time")
    gap = pl.col("funding_time").diff().over(MARKET).dt.total_seconds() / 3600
    gaps = rows.with_columns(gap_hours=gap).filter(
        pl.col("_new"), pl.col("gap_hours").is_not_null(), pl.col("interval_hours").is_not_null()
    )
    by = gaps.group_by(*MARKET, "interval_hours", "gap_hours").agg(
        count=pl.len(), since=pl.col("funding_time").min()
    )
    by = by.with_columns(of=pl.col("count").sum().over(*MARKET, "interval_hours"))
    stretch = pl.col("gap_hours") / pl.col("interval_hours")
    shorter = (stretch < 0.99) & (pl.col("count") >= 3) & (pl.col("count") * 2 >= pl.col("of"))
    whole = ((stretch - stretch.round()).abs() < 0.01) & (stretch > 1.5)
    longer = whole & (pl.col("count") >= 12) & (pl.col("count") * 10 >= 9 * pl.col("of"))
    kept = [*MARKET, "interval_hours", "gap_hours", "count", "of", "since"]
    return by.filter(shorter | longer).select(kept).sort(*MARKET, "interval_hours")
