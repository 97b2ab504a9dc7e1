-- view:      comparable_1h
-- reads:     funding_known_1h, identity_checks
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
-- why:       The rates that may be compared across exchanges: those of funding_known_1h without the markets that identity_checks
--            calls a mismatch.
select
    k.exchange, k.symbol, k.base, k.quote, k.asset_class, k.hour_at, k.funding_time, k.interval_hours, k.funding_rate,
    k.rate_1h
from funding_known_1h as k
where not exists (
    select 1
    from identity_checks as other
    where other.verdict = 'mismatch' and other.exchange = k.exchange and other.symbol = k.symbol
      and other.asset_class = k.asset_class and other.base = k.base
)
