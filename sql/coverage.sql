-- view:      coverage
-- reads:     funding, fetches, markets, gaps
-- grain:     exchange, symbol
-- column:    exchange          | varchar                  | where the perpetual trades
-- column:    symbol            | varchar                  | the exchange's own name
-- column:    base              | varchar                  | canonical token; null where nothing but the ledger knows the symbol
-- column:    asset_class       | varchar                  | with base the identity across exchanges
-- column:    first_time        | timestamp with time zone | first regular settlement stored, UTC
-- column:    last_time         | timestamp with time zone | last regular settlement stored, UTC
-- column:    payments          | bigint                   | regular payments stored
-- column:    expected          | bigint                   | payments by the interval, from the first asked or stored to now
-- column:    ratio             | double                   | payments / expected; null where none is expected
-- column:    holes             | bigint                   | spans missing
-- column:    has_none          | bigint                   | payments missing that the exchange is confirmed not to have
-- column:    unconfirmed       | bigint                   | payments missing from responses without rows, of one day
-- column:    failed            | bigint                   | payments missing because asking failed
-- column:    not_asked         | bigint                   | payments due, missing and not asked
-- column:    asked_from        | timestamp with time zone | start of the first window asked, UTC; null = never asked
-- column:    asked_until       | timestamp with time zone | stop of the last window asked, exclusive, UTC
-- column:    last_asked_at     | timestamp with time zone | when history was last asked, UTC
-- column:    last_outcome      | varchar                  | rows, none, empty or failed; null = never asked
-- column:    last_error        | varchar                  | why the last asking failed; null where it did not
-- column:    answer            | varchar                  | what stands in the way of more: failed, not asked, none unconfirmed, none
--                                                           confirmed, or not due (all that is due is here)
-- check:     payments >= 0
-- check:     expected >= payments
-- check:     (payments = 0) = (first_time is null)
-- check:     answer in ('failed', 'not asked', 'none unconfirmed', 'none confirmed', 'not due')
-- why:       From data and ledger together, for every market stored, asked or listed. Of several answers the one that a
--            repeat can cure comes first: failed, not asked, none unconfirmed.
with paid as (
    select
        exchange, symbol, max(base) as base, max(asset_class) as asset_class, min(funding_time) as first_time,
        max(funding_time) as last_time, count(*) as payments
    from funding
    where rate_type = 'regular'
    group by exchange, symbol
),
asked as (
    select
        exchange, symbol, min(window_start) as asked_from, max(window_stop) as asked_until,
        max(asked_at) as last_asked_at
    from fetches
    where endpoint = 'history'
    group by exchange, symbol
),
last_answer as (
    select f.exchange, f.symbol, max(f.outcome) as last_outcome, max(f.error) as last_error
    from fetches as f
    inner join asked
        on asked.exchange = f.exchange and asked.symbol = f.symbol and asked.last_asked_at = f.asked_at
    where f.endpoint = 'history'
    group by f.exchange, f.symbol
),
missed as (
    select
        exchange, symbol, count(*) as holes,
        sum(case when reason = 'none confirmed' then missing end) as has_none,
        sum(case when reason = 'none unconfirmed' then missing end) as unconfirmed,
        sum(case when reason = 'failed' then missing end) as failed,
        sum(case when reason = 'not asked' then missing end) as not_asked,
        max(case when reason = 'none confirmed' then 1 else 0 end) as any_none,
        max(case when reason = 'none unconfirmed' then 1 else 0 end) as any_unconfirmed,
        max(case when reason = 'failed' then 1 else 0 end) as any_failed,
        max(case when reason = 'not asked' then 1 else 0 end) as any_unasked
    from gaps
    where reason <> 'not due'
    group by exchange, symbol
),
known as (
    select exchange, symbol from paid
    union
    select exchange, symbol from asked
    union
    select exchange, symbol from markets
)
select
    known.exchange, known.symbol,
    coalesce(paid.base, markets.base) as base,
    coalesce(paid.asset_class, markets.asset_class) as asset_class,
    paid.first_time, paid.last_time,
    coalesce(paid.payments, 0) as payments,
    cast(
        coalesce(paid.payments, 0) + coalesce(missed.has_none, 0) + coalesce(missed.unconfirmed, 0) + coalesce(missed.failed, 0)
        + coalesce(missed.not_asked, 0) as bigint
    ) as expected,
    cast(paid.payments as double) / (
        paid.payments + coalesce(missed.has_none, 0) + coalesce(missed.unconfirmed, 0) + coalesce(missed.failed, 0)
        + coalesce(missed.not_asked, 0)
    ) as ratio,
    coalesce(missed.holes, 0) as holes,
    cast(coalesce(missed.has_none, 0) as bigint) as has_none,
    cast(coalesce(missed.unconfirmed, 0) as bigint) as unconfirmed,
    cast(coalesce(missed.failed, 0) as bigint) as failed,
    cast(coalesce(missed.not_asked, 0) as bigint) as not_asked,
    asked.asked_from, asked.asked_until, asked.last_asked_at, last_answer.last_outcome, last_answer.last_error,
    case
        when missed.any_failed = 1 then 'failed'
        when missed.any_unasked = 1 then 'not asked'
        when missed.any_unconfirmed = 1 then 'none unconfirmed'
        when missed.any_none = 1 then 'none confirmed'
        when paid.payments is null and asked.symbol is null then 'not asked'
        else 'not due'
    end as answer
from known
left join paid on paid.exchange = known.exchange and paid.symbol = known.symbol
left join asked on asked.exchange = known.exchange and asked.symbol = known.symbol
left join last_answer on last_answer.exchange = known.exchange and last_answer.symbol = known.symbol
left join missed on missed.exchange = known.exchange and missed.symbol = known.symbol
left join markets on markets.exchange = known.exchange and markets.symbol = known.symbol
