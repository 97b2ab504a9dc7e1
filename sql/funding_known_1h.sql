-- view:      funding_known_1h
-- reads:     funding_ranges
-- grain:     exchange, symbol, hour_at
-- column:    exchange       | varchar                  | where the perpetual trades
-- column:    symbol         | varchar                  | the exchange's own name
-- column:    base           | varchar                  | canonical token
-- column:    quote          | varchar                  | canonical quote
-- column:    asset_class    | varchar                  | with base the identity across exchanges
-- column:    hour_at        | timestamp with time zone | full hour, UTC, at which the rate was known
-- column:    funding_time   | timestamp with time zone | its settlement, UTC; never after hour_at
-- column:    interval_hours | double                   | hours the payment accrued over
-- column:    funding_rate   | double                   | fraction of notional per interval; positive: longs pay shorts
-- column:    rate_1h        | double                   | fraction of notional per hour
-- check:     funding_time <= hour_at
-- check:     hour_at < funding_time + interval_hours * interval '1 hour'
-- check:     epoch(hour_at) % 3600 = 0
-- why:       The last settled rate that could be known at each full hour: no look-ahead, none older than its own
--            interval. An hour without one is absent, and so is an hour after the last commit of the lake.
select
    exchange, symbol, base, quote, asset_class,
    timestamp with time zone '1970-01-01 00:00:00+00' + hour * interval '1 hour' as hour_at,
    funding_time, interval_hours, funding_rate, rate_1h
from (
    select
        exchange, symbol, base, quote, asset_class, funding_time, interval_hours, funding_rate, rate_1h,
        unnest(range(
            cast(ceil(epoch(known_from) / 3600) as bigint),
            cast(ceil(epoch(least(known_until, lake_as_of())) / 3600) as bigint)
        )) as hour
    from funding_ranges
) as known
