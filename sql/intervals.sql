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
-- column:    previous_interval_hours | double                   | hours in the last span before whose hours are known; null = none
-- column:    change                  | varchar                  | first (no known hours before), shorter, longer, none (the
--                                                                 same hours, an unknown payment between), or unknown
-- check:     first_time <= last_time
-- check:     payments > 0
-- check:     (change = 'unknown') = (interval_hours is null)
-- check:     (change = 'shorter') = coalesce(interval_hours < previous_interval_hours, false)
-- check:     (change = 'longer') = coalesce(interval_hours > previous_interval_hours, false)
-- why:       The interval is dated data, not a constant of an exchange: one row per span in which it stays the same. The
--            changes are the rows where change is shorter or longer; between two rhythms a payment can fit neither.
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
),
counted as (
    select
        exchange, symbol, base, asset_class, interval_hours, first_time, last_time, payments,
        count(interval_hours) over (
            partition by exchange, symbol order by span rows between unbounded preceding and current row
        ) as known
    from spans
),
stated as (
    select exchange, symbol, interval_hours, known
    from counted
    where interval_hours is not null
)
select
    counted.exchange, counted.symbol, counted.base, counted.asset_class, counted.interval_hours,
    counted.first_time, counted.last_time, counted.payments,
    stated.interval_hours as previous_interval_hours,
    case
        when counted.interval_hours is null then 'unknown'
        when stated.interval_hours is null then 'first'
        when counted.interval_hours < stated.interval_hours then 'shorter'
        when counted.interval_hours > stated.interval_hours then 'longer'
        else 'none'
    end as change
from counted
left join stated
    on stated.exchange = counted.exchange
   and stated.symbol = counted.symbol
   and stated.known = case when counted.interval_hours is null then counted.known else counted.known - 1 end
