-- view:      best_spreads
-- reads:     funding, identity_checks
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
-- why:       The widest pair of unlike exchanges per asset and hour, by grouping. Payments are grouped before they are
--            unrolled to hours. Only assets with a market that changed its interval, or that one exchange lists more than
--            once, or with a market that identity_checks calls a mismatch (it is left out), are ordered in time and
--            reduced per exchange first.
--
-- A market of one interval on one grid has no two payments for one hour, so that no window is needed. One integer
-- holds rate (steps of 1e-15) and exchange: the least and the greatest name their exchange, ties go by name.
with listed as (
    select
        exchange, symbol, asset_class, base,
        max(case when interval_hours is null then 1 else 0 end) as unknown,
        min(interval_hours) as least_hours, max(interval_hours) as most_hours,
        min(epoch(funding_time) % (interval_hours * 3600)) as least_phase,
        max(epoch(funding_time) % (interval_hours * 3600)) as most_phase
    from funding
    where rate_type = 'regular'
    group by exchange, symbol, asset_class, base
),
-- small: a filter on the payments themselves would be asked for each of them
mismatched as (
    select asset_class, base, exchange, symbol
    from identity_checks
    where verdict = 'mismatch'
),
closer as (
    select listed.asset_class, listed.base
    from listed
    left join mismatched
        on mismatched.asset_class = listed.asset_class and mismatched.base = listed.base
        and mismatched.exchange = listed.exchange and mismatched.symbol = listed.symbol
    group by listed.asset_class, listed.base
    having count(*) > count(distinct listed.exchange)
        or max(unknown) = 1
        or count(mismatched.symbol) > 0
        or max(case when least_hours <> most_hours or least_phase <> most_phase then 1 else 0 end) = 1
),
coded as (
    select exchange, row_number() over (order by exchange) as code
    from (select distinct exchange from listed) as named
),
once_paid as (
    select
        paid.asset_class, paid.base,
        cast(ceil(epoch(paid.funding_time) / 3600) as bigint) as first_hour,
        cast(ceil(epoch(paid.funding_time) / 3600 + paid.interval_hours) as bigint) as end_hour,
        count(*) as exchanges,
        min(paid.rate_1h) as low, max(paid.rate_1h) as high,
        min(cast(greatest(least(paid.rate_1h, 9), -9) * 1e15 as bigint) * 1000 + coded.code) as low_key,
        max(cast(greatest(least(paid.rate_1h, 9), -9) * 1e15 as bigint) * 1000 + coded.code) as high_key
    from funding as paid
    inner join coded on coded.exchange = paid.exchange
    where paid.rate_1h is not null
    group by paid.asset_class, paid.base, paid.funding_time, paid.interval_hours
),
once_hours as (
    select asset_class, base, exchanges, low, high, low_key, high_key, unnest(range(first_hour, end_hour)) as hour
    from once_paid
    where not exists (
        select 1 from closer where closer.asset_class = once_paid.asset_class and closer.base = once_paid.base
    )
),
once as (
    select
        asset_class, base, hour, sum(exchanges) as exchanges, min(low) as low, max(high) as high,
        min(low_key) as low_key, max(high_key) as high_key
    from once_hours
    group by asset_class, base, hour
    having sum(exchanges) > 1
),
many_paid as (
    select
        paid.asset_class, paid.base, paid.exchange, paid.symbol, paid.interval_hours, paid.rate_1h,
        epoch(paid.funding_time) as paid_at,
        lead(epoch(paid.funding_time)) over (
            partition by paid.exchange, paid.asset_class, paid.base, paid.symbol order by paid.funding_time
        ) as next_at
    from funding as paid
    inner join closer on closer.asset_class = paid.asset_class and closer.base = paid.base
    where paid.rate_type = 'regular'
      and not exists (
        select 1
        from mismatched
        where mismatched.asset_class = paid.asset_class and mismatched.base = paid.base
          and mismatched.exchange = paid.exchange and mismatched.symbol = paid.symbol
    )
),
many_hours as (
    select
        asset_class, base, exchange, symbol, rate_1h,
        unnest(range(
            cast(ceil(paid_at / 3600) as bigint),
            cast(ceil(least(
                coalesce(next_at, paid_at + 3600 * interval_hours), paid_at + 3600 * interval_hours
            ) / 3600) as bigint)
        )) as hour
    from many_paid
    where interval_hours is not null
),
per_exchange as (
    select
        asset_class, base, hour, exchange,
        min({'rate': cast(rate_1h as double), 'symbol': cast(symbol as varchar)}) as low,
        max({'rate': cast(rate_1h as double), 'symbol': cast(symbol as varchar)}) as high
    from many_hours
    group by asset_class, base, hour, exchange
),
per_hour as (
    select
        asset_class, base, hour, count(*) as exchanges,
        min({'rate': cast(low.rate as double), 'exchange': cast(exchange as varchar), 'symbol': cast(low.symbol as varchar)}) as low,
        max({'rate': cast(high.rate as double), 'exchange': cast(exchange as varchar), 'symbol': cast(high.symbol as varchar)}) as high
    from per_exchange
    group by asset_class, base, hour
    having count(*) > 1
),
-- one exchange holds both ends: the best pair is looked for among all
paired as (
    select
        l.asset_class, l.base, l.hour, per_hour.exchanges,
        l.exchange as long_exchange, l.low.symbol as long_symbol, l.low.rate as low,
        h.exchange as short_exchange, h.high.symbol as short_symbol, h.high.rate as high,
        row_number() over (
            partition by l.asset_class, l.base, l.hour
            order by h.high.rate - l.low.rate desc, l.exchange, h.exchange desc
        ) as place
    from per_hour
    inner join per_exchange as l
        on l.asset_class = per_hour.asset_class and l.base = per_hour.base and l.hour = per_hour.hour
    inner join per_exchange as h
        on h.asset_class = l.asset_class and h.base = l.base and h.hour = l.hour and h.exchange <> l.exchange
    where per_hour.low.exchange = per_hour.high.exchange
),
chosen as (
    select
        once.asset_class, once.base, once.hour, once.exchanges,
        long_code.exchange as long_exchange, long_listed.symbol as long_symbol,
        short_code.exchange as short_exchange, short_listed.symbol as short_symbol,
        once.low, once.high
    from once
    inner join coded as long_code on long_code.code = ((once.low_key % 1000) + 1000) % 1000
    inner join coded as short_code on short_code.code = ((once.high_key % 1000) + 1000) % 1000
    inner join listed as long_listed
        on long_listed.exchange = long_code.exchange
        and long_listed.asset_class = once.asset_class and long_listed.base = once.base
    inner join listed as short_listed
        on short_listed.exchange = short_code.exchange
        and short_listed.asset_class = once.asset_class and short_listed.base = once.base
    union all
    select
        asset_class, base, hour, exchanges, low.exchange, low.symbol, high.exchange, high.symbol, low.rate, high.rate
    from per_hour
    where low.exchange <> high.exchange
    union all
    select asset_class, base, hour, exchanges, long_exchange, long_symbol, short_exchange, short_symbol, low, high
    from paired
    where place = 1
)
select
    asset_class, base,
    timestamp with time zone '1970-01-01 00:00:00+00' + hour * interval '1 hour' as hour_at,
    cast(exchanges as bigint) as exchanges,
    long_exchange, long_symbol, short_exchange, short_symbol,
    low as long_rate_1h, high as short_rate_1h,
    high - low as spread_1h,
    (high - low) * 8760 as spread_apr
from chosen
where hour * 3600 < epoch(lake_as_of())
