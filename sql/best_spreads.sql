-- view:      best_spreads
-- reads:     funding, funding_ranges
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
-- why:       The widest pair of unlike exchanges per asset and hour, by grouping. Ranges are grouped before they are
--            unrolled to hours, and only assets that one exchange lists more than once are reduced per exchange first.
--
-- many_paid repeats funding_ranges (4500 s = a quarter beyond an hour) below its join: a filter can't pass that view's
-- window, and the usual case, no such asset, would pay for the window twice.
with twice as (
    select distinct asset_class, base
    from (
        select asset_class, base, exchange
        from (
            select distinct asset_class, base, exchange, symbol
            from funding
            where rate_1h is not null
        ) as listed
        group by asset_class, base, exchange
        having count(*) > 1
    ) as doubled
),
once_ranges as (
    select
        asset_class, base,
        cast(ceil(epoch(known_from) / 3600) as bigint) as first_hour,
        cast(ceil(epoch(known_until) / 3600) as bigint) as end_hour,
        count(*) as exchanges,
        min({'rate': cast(rate_1h as double), 'exchange': cast(exchange as varchar), 'symbol': cast(symbol as varchar)}) as low,
        max({'rate': cast(rate_1h as double), 'exchange': cast(exchange as varchar), 'symbol': cast(symbol as varchar)}) as high
    from funding_ranges
    group by asset_class, base, first_hour, end_hour
),
once_hours as (
    select asset_class, base, exchanges, low, high, unnest(range(first_hour, end_hour)) as hour
    from once_ranges as r
    where not exists (select 1 from twice where twice.asset_class = r.asset_class and twice.base = r.base)
),
once as (
    select asset_class, base, hour, sum(exchanges) as exchanges, min(low) as low, max(high) as high
    from once_hours
    group by asset_class, base, hour
    having sum(exchanges) > 1
),
many_paid as (
    select
        f.asset_class, f.base, f.exchange, f.symbol, f.interval_hours, f.rate_1h, epoch(f.funding_time) as paid_at,
        lead(epoch(f.funding_time)) over (
            partition by f.exchange, f.asset_class, f.base, f.symbol order by f.funding_time
        ) as next_at
    from funding as f
    inner join twice on twice.asset_class = f.asset_class and twice.base = f.base
    where f.rate_type = 'regular'
),
many_hours as (
    select
        asset_class, base, exchange, symbol, rate_1h,
        unnest(range(
            cast(ceil(paid_at / 3600) as bigint),
            cast(ceil(least(
                coalesce(next_at, paid_at + 4500 * interval_hours), paid_at + 4500 * interval_hours
            ) / 3600) as bigint)
        )) as hour
    from many_paid
    where interval_hours is not null
),
per_exchange as (
    select
        asset_class, base, hour, exchange,
        min({'rate': cast(rate_1h as double), 'exchange': cast(exchange as varchar), 'symbol': cast(symbol as varchar)}) as low,
        max({'rate': cast(rate_1h as double), 'exchange': cast(exchange as varchar), 'symbol': cast(symbol as varchar)}) as high
    from many_hours
    group by asset_class, base, hour, exchange
),
many as (
    select
        l.asset_class, l.base, l.hour, count(distinct l.exchange) as exchanges,
        max({'spread': cast(h.high.rate - l.low.rate as double), 'low': l.low, 'high': h.high}) as best
    from per_exchange as l
    inner join per_exchange as h
        on h.asset_class = l.asset_class and h.base = l.base and h.hour = l.hour and h.exchange <> l.exchange
    group by l.asset_class, l.base, l.hour
),
chosen as (
    select asset_class, base, hour, exchanges, low, high from once
    union all
    select asset_class, base, hour, exchanges, best.low, best.high from many
)
select
    asset_class, base,
    timestamp with time zone '1970-01-01 00:00:00+00' + hour * interval '1 hour' as hour_at,
    cast(exchanges as bigint) as exchanges,
    low.exchange as long_exchange, low.symbol as long_symbol,
    high.exchange as short_exchange, high.symbol as short_symbol,
    low.rate as long_rate_1h, high.rate as short_rate_1h,
    high.rate - low.rate as spread_1h,
    (high.rate - low.rate) * 8760 as spread_apr
from chosen
where hour * 3600 < epoch(lake_as_of())
