-- view:      funding
-- reads:     lake_funding_first, lake_funding_rest
-- grain:     exchange, symbol, funding_time, rate_type
-- column:    exchange       | varchar                  | where the perpetual trades, lower case
-- column:    source         | varchar                  | who told us: the exchange itself, coingecko, ccxt, import
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
-- column:    fetched_at     | timestamp with time zone | when we learned it, UTC
-- column:    rate_1h        | double                   | fraction of notional per hour; null where the interval is unknown
--                                                        or the payment special
-- column:    apr            | double                   | rate_1h x 8760: fraction of notional per year, not compounded
-- check:     (rate_1h is null) = (interval_hours is null or rate_type = 'special')
-- check:     rate_1h is null or abs(rate_1h * interval_hours - funding_rate) < 1e-12
-- check:     month = strftime(funding_time at time zone 'UTC', '%Y-%m')
-- why:       Settled payments, one source each: where an exchange has several sources, the preferred one counts (the
--            exchange itself, then others by name, import last) and the next ones fill its holes.
--
-- Columns are qualified: DuckDB takes a bare `base` for the parameter of a macro that reads this view.
with chosen as (
    select * from lake_funding_first
    union all
    select * from lake_funding_rest as rest
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
        where better.exchange = rest.exchange
          and better.symbol = rest.symbol
          and better.funding_time = rest.funding_time
          and better.rate_type = rest.rate_type
          and (case when better.source = 'import' then 1 else 0 end, better.source)
            < (case when rest.source = 'import' then 1 else 0 end, rest.source)
    )
)
select
    chosen.exchange, chosen.source, chosen.symbol, chosen.base, chosen.quote, chosen.asset_class, chosen.month,
    chosen.funding_time, chosen.interval_hours, chosen.interval_from, chosen.funding_rate, chosen.rate_type,
    chosen.native_rate, chosen.mark_price, chosen.index_price, chosen.reported_time, chosen.fetched_at,
    case when chosen.rate_type = 'regular' then chosen.funding_rate / chosen.interval_hours end as rate_1h,
    case when chosen.rate_type = 'regular' then chosen.funding_rate / chosen.interval_hours end * 8760 as apr
from chosen
