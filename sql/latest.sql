-- view:      latest
-- reads:     funding, snapshots
-- grain:     exchange, symbol
-- column:    exchange            | varchar                  | where the perpetual trades
-- column:    symbol              | varchar                  | the exchange's own name
-- column:    base                | varchar                  | canonical token
-- column:    asset_class         | varchar                  | with base the identity across exchanges
-- column:    funding_time        | timestamp with time zone | newest regular settlement, UTC; null = none here
-- column:    interval_hours      | double                   | hours it accrued over; null = unknown
-- column:    funding_rate        | double                   | settled, fraction per interval; positive: longs pay shorts
-- column:    rate_1h             | double                   | settled, fraction per hour; null where the interval is unknown
-- column:    settled_age_hours   | double                   | hours from funding_time to now
-- column:    predicted_source    | varchar                  | who published the prediction
-- column:    observed_at         | timestamp with time zone | when the newest prediction was observed, UTC; null = none here
-- column:    predicted_rate      | double                   | running estimate, fraction per interval; positive: longs pay shorts
-- column:    predicted_hours     | double                   | hours of the payment it predicts; null = unknown
-- column:    predicted_rate_1h   | double                   | fraction per hour; null where the interval is unknown
-- column:    next_funding_time   | timestamp with time zone | when it is due, UTC; null = not published
-- column:    predicted_age_hours | double                   | hours from observed_at to now
-- check:     funding_time is not null or observed_at is not null
-- check:     rate_1h is null or abs(rate_1h * interval_hours - funding_rate) < 1e-12
-- why:       Newest settled beside newest predicted, never in one column. Of predictions observed at one instant the
--            exchange's own comes first.
with newest as (
    select exchange, symbol, max(funding_time) as funding_time
    from funding
    where rate_type = 'regular'
    group by exchange, symbol
),
settled as (
    select
        paid.exchange, paid.symbol, paid.base, paid.asset_class, paid.funding_time, paid.interval_hours,
        paid.funding_rate, paid.rate_1h
    from funding as paid
    inner join newest
        on newest.exchange = paid.exchange and newest.symbol = paid.symbol and newest.funding_time = paid.funding_time
    where paid.rate_type = 'regular'
),
shown as (
    select
        exchange, symbol, base, asset_class, source, observed_at, funding_rate, interval_hours, next_funding_time,
        row_number() over (
            partition by exchange, symbol
            order by observed_at desc, case when source = exchange then 0 else 1 end, source
        ) as recency
    from snapshots
    where funding_rate is not null
),
predicted as (
    select exchange, symbol, base, asset_class, source, observed_at, funding_rate, interval_hours, next_funding_time
    from shown
    where recency = 1
)
select
    coalesce(settled.exchange, predicted.exchange) as exchange,
    coalesce(settled.symbol, predicted.symbol) as symbol,
    coalesce(settled.base, predicted.base) as base,
    coalesce(settled.asset_class, predicted.asset_class) as asset_class,
    settled.funding_time,
    settled.interval_hours,
    settled.funding_rate,
    settled.rate_1h,
    (epoch(now()) - epoch(settled.funding_time)) / 3600 as settled_age_hours,
    predicted.source as predicted_source,
    predicted.observed_at,
    predicted.funding_rate as predicted_rate,
    predicted.interval_hours as predicted_hours,
    predicted.funding_rate / predicted.interval_hours as predicted_rate_1h,
    predicted.next_funding_time,
    (epoch(now()) - epoch(predicted.observed_at)) / 3600 as predicted_age_hours
from settled
full outer join predicted on predicted.exchange = settled.exchange and predicted.symbol = settled.symbol
