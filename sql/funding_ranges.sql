-- view:      funding_ranges
-- reads:     funding, known_until
-- grain:     exchange, symbol, known_from
-- column:    exchange       | varchar                  | where the perpetual trades
-- column:    source         | varchar                  | who published it
-- column:    symbol         | varchar                  | the exchange's own name
-- column:    base           | varchar                  | canonical token
-- column:    quote          | varchar                  | canonical quote
-- column:    asset_class    | varchar                  | with base the identity across exchanges
-- column:    funding_time   | timestamp with time zone | settlement, UTC
-- column:    interval_hours | double                   | hours the payment accrued over
-- column:    funding_rate   | double                   | fraction of notional per interval; positive: longs pay shorts
-- column:    rate_1h        | double                   | fraction of notional per hour
-- column:    known_from     | timestamp with time zone | first instant at which it is the last settled rate, UTC
-- column:    known_until    | timestamp with time zone | first instant at which it no longer counts, UTC: the next settlement, or
--                                                        the end of its own interval after this one, whichever is earlier
-- check:     known_from = funding_time
-- check:     known_until > known_from
-- check:     epoch(known_until) <= epoch(known_from) + 3600 * interval_hours + 0.000002
-- why:       The rate known at t is the row with known_from <= t < known_until: never from the future, never older than
--            its own interval. Special payments and unknown intervals have no rate; a payment of unknown interval still
--            ends the range before it.
select
    exchange, source, symbol, base, quote, asset_class, funding_time, interval_hours, funding_rate, rate_1h,
    funding_time as known_from,
    known_until(funding_time, next_time, interval_hours) as known_until
from (
    select
        exchange, source, symbol, base, quote, asset_class, funding_time, interval_hours, funding_rate, rate_1h,
        lead(funding_time) over (
            partition by exchange, asset_class, base, symbol order by funding_time
        ) as next_time
    from funding
    where rate_type = 'regular'
) as paid
where interval_hours is not null
