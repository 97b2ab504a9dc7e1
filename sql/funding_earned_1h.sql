-- view:      funding_earned_1h
-- reads:     funding
-- grain:     exchange, symbol, hour_at
-- column:    exchange       | varchar                  | where the perpetual trades
-- column:    symbol         | varchar                  | the exchange's own name
-- column:    base           | varchar                  | canonical token
-- column:    quote          | varchar                  | canonical quote
-- column:    asset_class    | varchar                  | with base the identity across exchanges
-- column:    hour_at        | timestamp with time zone | END of the hour in which it accrued, UTC
-- column:    earned_1h      | double                   | fraction of notional accrued in that hour; positive: longs paid shorts
-- column:    accrued_hours  | double                   | hours of accrual inside this hour; 1 in the usual case
-- check:     accrued_hours > 0
-- check:     epoch(hour_at) % 3600 = 0
-- why:       Each regular payment spread evenly back over the hours in (funding_time - interval, funding_time] it accrued
--            in; the sum over hours is the sum of payments. What was earned, not what was known: looks ahead.
select
    exchange, symbol, base, quote, asset_class,
    timestamp with time zone '1970-01-01 00:00:00+00' + hour * interval '1 hour' as hour_at,
    sum(rate_1h * (least(stop, hour) - greatest(start, hour - 1))) as earned_1h,
    sum(least(stop, hour) - greatest(start, hour - 1)) as accrued_hours
from (
    select
        exchange, symbol, base, quote, asset_class, rate_1h, start, stop,
        unnest(range(cast(floor(start) as bigint) + 1, cast(ceil(stop) as bigint) + 1)) as hour
    from (
        select
            exchange, symbol, base, quote, asset_class, rate_1h,
            epoch(funding_time) / 3600 as stop,
            epoch(funding_time) / 3600 - interval_hours as start
        from funding
        where rate_1h is not null
    ) as paid
) as spread_back
group by exchange, symbol, base, quote, asset_class, hour
