-- view:      best_spreads
-- reads:     comparable_1h
-- grain:     asset_class, base, hour_at
-- column:    asset_class    | varchar                  | unlike classes are never paired
-- column:    base           | varchar                  | canonical token
-- column:    hour_at        | timestamp with time zone | full hour, UTC
-- column:    exchanges      | bigint                   | exchanges with a known rate at that hour
-- column:    long_exchange  | varchar                  | the lowest rate: go long here
-- column:    long_symbol    | varchar                  | the exchange's own name
-- column:    short_exchange | varchar                  | the highest rate on another exchange: go short here
-- column:    short_symbol   | varchar                  | the exchange's own name
-- column:    long_rate_1h   | double                   | fraction of notional per hour; positive: longs pay shorts
-- column:    short_rate_1h  | double                   | fraction of notional per hour; positive: longs pay shorts
-- column:    spread_1h      | double                   | short_rate_1h - long_rate_1h: fraction of notional per hour
-- column:    spread_apr     | double                   | spread_1h x 8760: fraction of notional per year, not compounded
-- check:     spread_1h >= 0
-- check:     long_exchange <> short_exchange
-- check:     exchanges >= 2
-- why:       The widest pair of unlike exchanges per asset and hour, by grouping: the lowest rate against the highest. Of equal
--            rates the first exchange and symbol by name is long, the last is short.
with hourly as (
    select
        asset_class, base, hour_at, count(distinct exchange) as exchanges,
        min({'rate': cast(rate_1h as double), 'exchange': cast(exchange as varchar), 'symbol': cast(symbol as varchar)}) as low,
        max({'rate': cast(rate_1h as double), 'exchange': cast(exchange as varchar), 'symbol': cast(symbol as varchar)}) as high
    from comparable_1h
    group by asset_class, base, hour_at
    having count(distinct exchange) > 1
),
-- where one exchange has both the lowest and the highest rate, on two of its symbols, every pair is compared
paired as (
    select
        hourly.asset_class, hourly.base, hourly.hour_at, hourly.exchanges,
        l.exchange as long_exchange, l.symbol as long_symbol, h.exchange as short_exchange, h.symbol as short_symbol,
        l.rate_1h as long_rate_1h, h.rate_1h as short_rate_1h,
        row_number() over (
            partition by hourly.asset_class, hourly.base, hourly.hour_at
            order by h.rate_1h - l.rate_1h desc, l.exchange, h.exchange desc, l.symbol, h.symbol desc
        ) as rank
    from hourly
    inner join comparable_1h as l
        on l.asset_class = hourly.asset_class and l.base = hourly.base and l.hour_at = hourly.hour_at
    inner join comparable_1h as h
        on h.asset_class = l.asset_class and h.base = l.base and h.hour_at = l.hour_at and h.exchange <> l.exchange
    where hourly.low.exchange = hourly.high.exchange
),
best as (
    select
        asset_class, base, hour_at, exchanges,
        low.exchange as long_exchange, low.symbol as long_symbol, high.exchange as short_exchange, high.symbol as short_symbol,
        low.rate as long_rate_1h, high.rate as short_rate_1h
    from hourly
    where low.exchange <> high.exchange
    union all
    select
        asset_class, base, hour_at, exchanges, long_exchange, long_symbol, short_exchange, short_symbol, long_rate_1h,
        short_rate_1h
    from paired
    where rank = 1
)
select
    asset_class, base, hour_at, exchanges, long_exchange, long_symbol, short_exchange, short_symbol, long_rate_1h, short_rate_1h,
    short_rate_1h - long_rate_1h as spread_1h,
    (short_rate_1h - long_rate_1h) * 8760 as spread_apr
from best
