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
--
-- Columns are qualified: DuckDB takes a bare `start` for the parameter of a macro that reads this view.
select
    spread_back.exchange, spread_back.symbol, spread_back.base, spread_back.quote, spread_back.asset_class,
    timestamp with time zone '1970-01-01 00:00:00+00' + spread_back.hour * interval '1 hour' as hour_at,
    sum(
        spread_back.rate_1h
        * (least(spread_back.ended, spread_back.hour) - greatest(spread_back.began, spread_back.hour - 1))
    ) as earned_1h,
    sum(least(spread_back.ended, spread_back.hour) - greatest(spread_back.began, spread_back.hour - 1)) as accrued_hours
from (
    select
        paid.exchange, paid.symbol, paid.base, paid.quote, paid.asset_class, paid.rate_1h, paid.began, paid.ended,
        unnest(range(cast(floor(paid.began) as bigint) + 1, cast(ceil(paid.ended) as bigint) + 1)) as hour
    from (
        select
            f.exchange, f.symbol, f.base, f.quote, f.asset_class, f.rate_1h,
            epoch(f.funding_time) / 3600 as ended,
            epoch(f.funding_time) / 3600 - f.interval_hours as began
        from funding as f
        where f.rate_1h is not null
    ) as paid
) as spread_back
group by
    spread_back.exchange, spread_back.symbol, spread_back.base, spread_back.quote, spread_back.asset_class, spread_back.hour
