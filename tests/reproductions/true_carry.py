"""What a pair really earned, against the difference of rates as they are written, which public tools annualise."""

from datetime import datetime
from pathlib import Path

import polars as pl
from pack import ALL_COINS, SEVEN, Lakes, Reproduced

from fundingdb import FundingRateBacktestDataProvider
from fundingdb.catalog import catalog

EARNED = """
    with whole as (
        select exchange, base, hour_at, earned_1h from funding_earned_1h where accrued_hours > 0.999
    )
    select low.base, low.exchange as long, high.exchange as short, count(*) as hours,
           sum(high.earned_1h - low.earned_1h) / count(*) * 8760 as true_apr
    from whole as low
    inner join whole as high
        on high.base = low.base and high.hour_at = low.hour_at and high.exchange > low.exchange
    group by low.base, low.exchange, high.exchange
"""
WRITTEN = """
    select low.base, low.exchange as long, high.exchange as short, count(*) as matched,
           avg(high.funding_rate - low.funding_rate) * 3 * 365 as naive_apr,
           avg(high.rate_1h - low.rate_1h) * 8760 as sampled_apr,
           max(case when low.interval_hours <> high.interval_hours then 1 else 0 end) as unlike,
           count(case when (high.rate_1h - low.rate_1h) * (high.funding_rate - low.funding_rate) < 0 then 1 end) as wrong_signs,
           count(case when (high.rate_1h - low.rate_1h) * (high.funding_rate - low.funding_rate) <> 0 then 1 end) as signs
    from funding as low
    inner join funding as high
        on high.base = low.base and high.funding_time = low.funding_time and high.exchange > low.exchange
    group by low.base, low.exchange, high.exchange
"""
KEY = ["base", "long", "short"]
START, STOP, HOURS = "2025-03-08T08:00Z", "2026-03-07T08:00Z", 364 * 24


def reproduce(lakes: Lakes) -> Reproduced:
    """One row a token and pair, long the first exchange by name; *_apr are fractions a year, not compounded.

    `sampled_apr`: rates per hour, but of the instants alone that the naive difference sees.
    """
    table = pairs(lakes.venues)
    unlike, alike = (table.filter(pl.col("unlike") == flag) for flag in (1, 0))
    wrong, sampled, like = (
        rows.filter(pl.col("true_apr") * pl.col(name) < 0).height
        for rows, name in ((unlike, "naive_apr"), (unlike, "sampled_apr"), (alike, "naive_apr"))
    )
    naive = btc(table)["naive_apr"]
    settled = btc(pairs(lakes.settled))
    return Reproduced(
        title="True and naive carry",
        data="Seven exchanges, BTC ETH SOL HYPE DOGE, 2025-03-08 to 2026-03-07, 115,218 rows",
        files=(SEVEN, ALL_COINS),
        method=(
            "True: view `funding_earned_1h` over the hours in which both legs accrued, x 8,760; for the pair named first "
            "`carry` of the provider. Naive: the two rates of one instant (stamps cut to the hour) subtracted as they are "
            "written, whatever their intervals; the mean x 3 x 365. Its sign is wrong where true and naive have opposite "
            "signs; at an instant, where the difference of the rates per hour has the opposite sign."
        ),
        found=(
            f"Long Binance, short Hyperliquid BTC earns {carry(lakes) * 8760 / HOURS:+.2%} a year; subtracted as written, "
            f"x 3 x 365, it would be {naive:+.2%}. That difference has the wrong sign in {wrong} of {unlike.height} pairs of "
            f"unlike intervals ({sampled} if the same instants are taken per hour) and at "
            f"{unlike['wrong_signs'].sum() / unlike['signs'].sum():.0%} of {unlike['signs'].sum():,} instants; in {like} of "
            f"{alike.height} pairs of like intervals"
        ),
        stated=(
            f"+4.66% and -3.25%: the same. But the file's Hyperliquid rates are predictions: with the settled ones the pair "
            f"earns {settled['true_apr']:+.2%} ({settled['hours']:,} of {HOURS:,} h). Shares: none known"
        ),
        table=table,
    )


def btc(table: pl.DataFrame) -> dict[str, float]:
    """The row of the pair that the page names."""
    return table.filter(base="BTC", long="binance", short="hyperliquid").row(0, named=True)


def pairs(warehouse: Path) -> pl.DataFrame:
    """true_apr and naive_apr of every token and pair of exchanges."""
    with catalog.connect(warehouse) as con:
        return con.sql(EARNED).pl().join(con.sql(WRITTEN).pl(), on=KEY, how="inner").sort(KEY)


def carry(lakes: Lakes) -> float:
    """What long Binance and short Hyperliquid BTC was paid, settlement by settlement."""
    provider = FundingRateBacktestDataProvider(lakes.venues)
    provider.load_data(START, STOP, exchanges=["binance", "hyperliquid"], tokens=["BTC"])
    span = (datetime.fromisoformat(START), datetime.fromisoformat(STOP))
    return provider.carry("BTC", "binance", "hyperliquid", *span)["cash"].sum()
