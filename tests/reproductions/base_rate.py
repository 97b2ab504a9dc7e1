"""How often longs pay shorts, and how often exactly the base rate of 0.01 percent in 8 hours is paid."""

import polars as pl
from pack import ALL_COINS, BINANCE, HISTORY, OLD, SEVEN, Lakes, Reproduced

from fundingdb.catalog import catalog

NAMES = {
    "binance": "Binance", "bybit": "Bybit", "dydx": "dYdX", "hyperliquid": "Hyperliquid", "kraken": "Kraken",
    "lighter": "Lighter", "okx": "OKX",
}  # fmt: skip
# Lighter publishes the calm 0.00125 percent an hour cut to 0.0012.
COUNTED = """
    with based as (
        select exchange, symbol, funding_time, funding_rate, interval_hours,
               interval_hours * case when exchange = 'lighter' then 0.000012 else 0.0001 / 8 end as base_rate
        from funding where rate_type = 'regular'
    )
    select exchange, count(*) as payments, count(distinct symbol) as markets,
           min(funding_time) as first, max(funding_time) as last,
           count(case when funding_rate > 0 then 1 end) / count(*) as positive,
           count(case when funding_rate = 0 then 1 end) / count(*) as zero,
           count(case when abs(funding_rate / base_rate - 1) < 1e-6 then 1 end) / count(base_rate) as at_base,
           mode(round(funding_rate / interval_hours, 10)) as most_frequent_1h
    from based group by exchange order by exchange
"""


def reproduce(lakes: Lakes) -> Reproduced:
    """One row a file and exchange; shares are of payments, `at_base` of those whose interval is known.

    `most_frequent_1h` is the rate per hour met most often. Of Hyperliquid's settled series no rate is 0, because its file
    leaves these out.
    """
    sets = {
        "seven exchanges": lakes.settled,
        "Binance, 293 symbols": lakes.binance,
        "Hyperliquid, 219 coins": lakes.hyperliquid,
        "Hyperliquid, fundingHistory": lakes.history,
        "2016 to 2024": lakes.old,
    }
    parts = []
    for name, warehouse in sets.items():
        with catalog.connect(warehouse) as con:
            parts.append(con.sql(COUNTED).pl().select(pl.lit(name).alias("data"), pl.all()))
    table = pl.concat(parts)
    seven = {row["exchange"]: row for row in table.filter(data="seven exchanges").iter_rows(named=True)}
    wide = table.filter(data="Hyperliquid, 219 coins").row(0, named=True)
    many = table.filter(data="Binance, 293 symbols").row(0, named=True)
    usual = {name: f"{row['most_frequent_1h']:.7f}".rstrip("0") for name, row in seven.items()}
    return Reproduced(
        title="Positive payments, base rate",
        data="The five tokens above; Hyperliquid, 219 coins, 2024-10-25 to 2026-03-31, 2,157,238 payments; Binance as above",
        files=(SEVEN, ALL_COINS, BINANCE, HISTORY, OLD),
        method=(
            "`fundingdb import`, then counted over the view `funding`; the base rate is 0.0000125 x interval_hours (0.00005 in "
            "4 h, 0.0001 in 8 h), on Lighter 0.000012."
        ),
        found=(
            "Positive / exactly the base rate, five tokens: "
            + ", ".join(
                f"{NAMES[e]} {row['positive']:.0%} / {row['at_base']:.0%}" for e, row in seven.items()
            )
            + f". All coins: Hyperliquid {wide['positive']:.0%} / {wide['at_base']:.0%} (its file leaves out rates of 0), "
            f"Binance {many['positive']:.0%} / {many['at_base']:.0%}"
        ),
        stated=(
            "Base rates an hour of 0.0000125 (Hyperliquid) and 0.000012 (Lighter): the most frequent ones are "
            f"{usual['hyperliquid']} and {usual['lighter']}. Shares: none known"
        ),
        table=table,
    )
