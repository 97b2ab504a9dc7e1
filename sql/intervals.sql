-- view:      intervals
-- reads:     funding
-- grain:     exchange, symbol, first_time
-- column:    exchange                | varchar                  | where the perpetual trades
-- column:    symbol                  | varchar                  | the exchange's own name
-- column:    base                    | varchar                  | canonical token
-- column:    asset_class             | varchar                  | with base the identity across exchanges
-- column:    interval_hours          | double                   | hours per payment in this span; null = unknown
-- column:    first_time              | timestamp with time zone | first settlement of the span, UTC
-- column:    last_time               | timestamp with time zone | last settlement of the span, UTC, inclusive
-- column:    payments                | bigint                   | regular payments in the span
-- column:    previous_interval_hours | double                   | hours in the span before; null = unknown or the first span
-- column:    change                  | varchar                  | first, shorter, longer, or unclear (an unknown interval beside it)
-- check:     first_time <= last_time
-- check:     payments > 0
-- why:       The interval is dated data, not a constant of an exchange: one row per span in which it stays the same.
with marked as (
    select
        exchange, symbol, base, asset_class, funding_time, interval_hours,
        case
            when row_number() over (partition by exchange, symbol order by funding_time) = 1 then 1
            when interval_hours is distinct from
                lag(interval_hours) over (partition by exchange, symbol order by funding_time) then 1
            else 0
        end as starts
    from funding
    where rate_type = 'regular'
),
numbered as (
    select
        exchange, symbol, base, asset_class, funding_time, interval_hours,
        sum(starts) over (
            partition by exchange, symbol order by funding_time rows between unbounded preceding and current row
        ) as span
    from marked
),
spans as (
    select
        exchange, symbol, span, max(base) as base, max(asset_class) as asset_class,
        max(interval_hours) as interval_hours,
        min(funding_time) as first_time,
        max(funding_time) as last_time,
        count(*) as payments
    from numbered
    group by exchange, symbol, span
)
select
    exchange, symbol, base, asset_class, interval_hours, first_time, last_time, payments,
    lag(interval_hours) over (partition by exchange, symbol order by span) as previous_interval_hours,
    case
        when span = 1 then 'first'
        when interval_hours < lag(interval_hours) over (partition by exchange, symbol order by span) then 'shorter'
        when interval_hours > lag(interval_hours) over (partition by exchange, symbol order by span) then 'longer'
        else 'unclear'
    end as change
from spans
