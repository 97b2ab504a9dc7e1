"""How far stamps lie off the settlement grid, and what a join on equal raw stamps loses."""

import polars as pl
from pack import BINANCE, BTC_2023, BTC_2024, BTC_BINANCE, HISTORY, OLD, SEVEN, Lakes, Reproduced

from fundingdb.catalog import catalog

OFF = """
    select exchange, count(*) as payments,
           count(case when reported_time <> funding_time then 1 end) as off_grid,
           min(epoch_ms(reported_time) - epoch_ms(funding_time)) as least_ms,
           median(epoch_ms(reported_time) - epoch_ms(funding_time)) as median_ms,
           max(epoch_ms(reported_time) - epoch_ms(funding_time)) as latest_ms
    from funding group by exchange order by exchange
"""
JOINED = """
    select mine.exchange, count(*) as hours_met,
           count(case when mine.reported_time = other.reported_time then 1 end) as stamps_met
    from funding as mine
    inner join funding as other
        on other.base = mine.base and other.funding_time = mine.funding_time and other.exchange <> mine.exchange
    group by mine.exchange
"""


def reproduce(lakes: Lakes) -> Reproduced:
    """One row a file and exchange.

    `hours_met`: payments of this exchange and another one of the same token and hour; `stamps_met`: those whose raw stamps
    are equal; `lost`: the rest, as a share. Null where the file has no second exchange.
    """
    sets = {
        "seven exchanges": lakes.venues,
        "Binance, 293 symbols": lakes.binance,
        "answers, BTC": lakes.answers,
        "Hyperliquid, fundingHistory": lakes.history,
        "Hyperliquid, BTC 2023": lakes.early,
        "2016 to 2024": lakes.old,
    }
    parts = []
    for name, warehouse in sets.items():
        with catalog.connect(warehouse) as con:
            both = con.sql(OFF).pl().join(con.sql(JOINED).pl(), on="exchange", how="left")
        parts.append(both.select(pl.lit(name).alias("data"), pl.all()))
    table = pl.concat(parts).with_columns(
        off_share=pl.col("off_grid") / pl.col("payments"), lost=1 - pl.col("stamps_met") / pl.col("hours_met")
    )
    at = {(row["data"], row["exchange"]): row for row in table.iter_rows(named=True)}
    binance, dydx = at["seven exchanges", "binance"], at["seven exchanges", "dydx"]
    own, other = at["answers, BTC", "hyperliquid"], at["answers, BTC", "binance"]
    month, first = (
        at["Hyperliquid, fundingHistory", "hyperliquid"],
        at["Hyperliquid, BTC 2023", "hyperliquid"],
    )
    return Reproduced(
        title="Jitter of stamps",
        data="The seven exchanges; BTC as Binance (2022 to 2025) and Hyperliquid (2024 to 2025) answered; four more files",
        files=(SEVEN, BTC_BINANCE, BTC_2024, BTC_2023, HISTORY, BINANCE, OLD),
        method=(
            "`reported_time` (the raw stamp) against `funding_time` (the settlement) of the same row of the lake; the joins "
            "are on (base, raw stamp) and on (base, settlement)."
        ),
        found=(
            f"Off the full hour: {binance['off_share']:.0%} of Binance's stamps (by up to {binance['latest_ms']} ms), "
            f"{dydx['off_share']:.0%} of dYdX's ({dydx['latest_ms'] / 1000:.1f} s), {own['off_share']:.0%} of Hyperliquid's "
            f"own ({own['latest_ms'] / 1000:.0f} s, {own['median_ms']:.0f} ms in the middle). A join on equal stamps loses "
            f"{binance['lost']:.0%} of the hours that Binance shares with others, {dydx['lost']:.0%} of dYdX's; of those "
            f"that Hyperliquid and Binance share by their own stamps it keeps {own['stamps_met']} of {own['hours_met']:,}"
        ),
        stated=(
            f"Hyperliquid up to 200 ms, 111 s, once 23 min 53 s: {month['latest_ms']} ms, {own['latest_ms'] / 1000:.0f} s, "
            f"{first['latest_ms'] // 60_000} min {first['latest_ms'] % 60_000 / 1000:.0f} s. Binance BTC 0-16 ms: up to "
            f"{other['latest_ms']} ms. dYdX 0.2-0.9 s: {dydx['least_ms'] / 1000:.3f} to {dydx['latest_ms'] / 1000:.3f} s. "
            "Losses: none known"
        ),
        table=table,
    )
