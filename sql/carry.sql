-- macro:     carry
-- reads:     funding, known_until, utc_instant
-- parameter: base | - | canonical token, e.g. 'BTC'
-- parameter: long | - | exchange of the long leg, or exchange/symbol where it lists the token more than once
-- parameter: short | - | exchange of the short leg, or exchange/symbol
-- parameter: start | - | entry; text or timestamp, UTC where it has no offset; a settlement at this instant is excluded
-- parameter: stop | - | exit, UTC likewise; a settlement at this instant is included
-- parameter: class | 'crypto' | asset class of base
-- parameter: notional | 1.0 | of each leg at entry; cash is in its unit
-- grain:     leg, exchange, symbol, funding_time, rate_type
-- column:    funding_time   | timestamp with time zone | settlement, UTC: start < funding_time <= stop
-- column:    exchange       | varchar                  | where the leg is held
-- column:    symbol         | varchar                  | the exchange's own name
-- column:    leg            | varchar                  | long or short
-- column:    rate_type      | varchar                  | regular, or special: both move money
-- column:    interval_hours | double                   | hours it accrued over; null = unknown, the money is the same
-- column:    funding_rate   | double                   | fraction of notional paid; positive: longs pay shorts
-- column:    cash           | double                   | received, in units of notional; negative: paid
-- column:    mark_ratio     | double                   | mark price at the payment / at entry: what the position's worth moved by;
--                                                        null = one of them is unknown, cash is on the notional at entry
-- check:     abs(cash - case when leg = 'long' then -1 else 1 end * funding_rate * coalesce(mark_ratio, 1)) < 1e-15
-- check:     mark_ratio is null or mark_ratio > 0
-- why:       What the pair earned, settlement by settlement. Money moves only at settlements after entry, each leg at its
--            own times. A leg holds the quantity it entered with, so that it pays on its worth at the settlement: entry's
--            mark price is that of the leg's own payment known at start. It fails where an exchange lists the token under
--            several symbols: their payments would be counted twice.
with bounds as (
    select
        base as token, class as token_class, utc_instant(start) as entry_time, utc_instant(stop) as exit_time
),
legs as (
    select 'long' as leg, long as market_name
    union all
    select 'short' as leg, short as market_name
),
settled as (
    select
        f.funding_time, f.exchange, f.symbol, legs.leg, legs.market_name, f.rate_type, f.interval_hours, f.funding_rate,
        f.mark_price, bounds.entry_time,
        lead(f.funding_time) over (
            partition by f.exchange, f.symbol, legs.leg, f.rate_type order by f.funding_time
        ) as next_time
    from funding as f
    inner join legs on legs.market_name = f.exchange or legs.market_name = f.exchange || '/' || f.symbol
    cross join bounds
    where f.base = bounds.token
      and f.asset_class = bounds.token_class
      and f.funding_time <= bounds.exit_time
),
paid as (
    select funding_time, exchange, symbol, leg, market_name, rate_type, interval_hours, funding_rate, mark_price
    from settled
    where funding_time > entry_time
),
entered as (
    select exchange, symbol, leg, mark_price
    from settled
    where rate_type = 'regular' and funding_time <= entry_time
      and known_until(funding_time, next_time, interval_hours) > entry_time
),
counted as (
    select leg, min(symbol) as first_symbol, max(symbol) as last_symbol
    from paid
    group by leg
)
select
    paid.funding_time, paid.exchange, paid.symbol, paid.leg, paid.rate_type, paid.interval_hours, paid.funding_rate,
    case
        when counted.first_symbol <> counted.last_symbol
            then error('carry: ' || paid.market_name || ' lists the token as ' || counted.first_symbol || ' and '
                || counted.last_symbol || '; name one, e.g. ' || paid.exchange || '/' || counted.first_symbol)
        when paid.leg = 'long' then -paid.funding_rate
        else paid.funding_rate
    end * notional * coalesce(paid.mark_price / entered.mark_price, 1) as cash,
    paid.mark_price / entered.mark_price as mark_ratio
from paid
inner join counted on counted.leg = paid.leg
left join entered
    on entered.exchange = paid.exchange and entered.symbol = paid.symbol and entered.leg = paid.leg
