-- view:      funding
-- reads:     lake_funding_first, lake_funding_rest, source_preference
-- grain:     exchange, symbol, funding_time, rate_type
-- column:    exchange       | varchar                  | where the perpetual trades, lower case
-- column:    source         | varchar                  | who published it: the exchange itself, its archive, coingecko, ccxt, import
-- column:    symbol         | varchar                  | the exchange's own name, verbatim
-- column:    base           | varchar                  | canonical token, e.g. PEPE for kPEPE
-- column:    quote          | varchar                  | canonical quote, e.g. USDC
-- column:    asset_class    | varchar                  | with base the identity across exchanges
-- column:    month          | varchar                  | YYYY-MM of funding_time, UTC
-- column:    funding_time   | timestamp with time zone | end of the accrual = settlement, UTC, on the grid
-- column:    interval_hours | double                   | hours this payment accrued over; null = unknown
-- column:    interval_from  | varchar                  | the evidence for interval_hours: row, declared, observed, unknown
-- column:    funding_rate   | double                   | fraction of notional per interval; positive: longs pay shorts
-- column:    rate_type      | varchar                  | regular, or special: a one-time payment
-- column:    native_rate    | double                   | the figure as the source wrote it, in the source's unit
-- column:    mark_price     | double                   | quote per ONE base token
-- column:    index_price    | double                   | quote per ONE base token
-- column:    reported_time  | timestamp with time zone | the source's own stamp, UTC
-- column:    fetched_at     | timestamp with time zone | when it was fetched, UTC
-- column:    rate_1h        | double                   | fraction of notional per hour; null where the interval is unknown
--                                                        or the payment special
-- column:    apr            | double                   | rate_1h x 8760: fraction of notional per year, not compounded
-- check:     (rate_1h is null) = (interval_hours is null or rate_type = 'special')
-- check:     rate_1h is null or abs(rate_1h * interval_hours - funding_rate) < 1e-12
-- check:     month = strftime(funding_time at time zone 'UTC', '%Y-%m')
-- why:       Settled payments, one source each: where an exchange has several sources, the preferred one counts
--            (source_preference) and the next ones fill its holes. A missing interval comes from a source with
--            the same rate, where all of those agree.
--
-- Columns are qualified: DuckDB takes a bare `base` for the parameter of a macro that reads this view.
with chosen as (
    select * from lake_funding_first
    union all
    select rest.*
    from lake_funding_rest as rest
    inner join source_preference as own on own.exchange = rest.exchange and own.source = rest.source
    where not exists (
        select 1
        from lake_funding_first as kept
        where kept.exchange = rest.exchange
          and kept.symbol = rest.symbol
          and kept.funding_time = rest.funding_time
          and kept.rate_type = rest.rate_type
    )
      and not exists (
        select 1
        from lake_funding_rest as better
        inner join source_preference as theirs on theirs.exchange = better.exchange and theirs.source = better.source
        where better.exchange = rest.exchange
          and better.symbol = rest.symbol
          and better.funding_time = rest.funding_time
          and better.rate_type = rest.rate_type
          and theirs.preference < own.preference
    )
),
agreed as (
    select
        exchange, symbol, funding_time, funding_rate, max(interval_hours) as interval_hours,
        max(interval_from) as interval_from
    from lake_funding_rest
    where interval_hours is not null and rate_type = 'regular'
    group by exchange, symbol, funding_time, funding_rate
    having min(interval_hours) = max(interval_hours)
),
timed as (
    select
        chosen.exchange, chosen.source, chosen.symbol, chosen.base, chosen.quote, chosen.asset_class, chosen.month,
        chosen.funding_time, coalesce(chosen.interval_hours, agreed.interval_hours) as interval_hours,
        case when chosen.interval_hours is null and agreed.interval_hours is not null then agreed.interval_from
            else chosen.interval_from end as interval_from,
        chosen.funding_rate, chosen.rate_type, chosen.native_rate, chosen.mark_price, chosen.index_price,
        chosen.reported_time, chosen.fetched_at
    from chosen
    left join agreed
        on agreed.exchange = chosen.exchange and agreed.symbol = chosen.symbol
        and agreed.funding_time = chosen.funding_time and agreed.funding_rate = chosen.funding_rate
        and chosen.rate_type = 'regular'
)
select
    timed.exchange, timed.source, timed.symbol, timed.base, timed.quote, timed.asset_class, timed.month,
    timed.funding_time, timed.interval_hours, timed.interval_from, timed.funding_rate, timed.rate_type,
    timed.native_rate, timed.mark_price, timed.index_price, timed.reported_time, timed.fetched_at,
    case when timed.rate_type = 'regular' then timed.funding_rate / timed.interval_hours end as rate_1h,
    case when timed.rate_type = 'regular' then timed.funding_rate / timed.interval_hours end * 8760 as apr
from timed
