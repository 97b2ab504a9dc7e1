-- view:      freshness
-- reads:     lake_funding, snapshots, fetches
-- grain:     exchange, source
-- column:    exchange       | varchar                  | where the perpetuals trade
-- column:    source         | varchar                  | who published it
-- column:    last_settled   | timestamp with time zone | newest settlement stored, UTC
-- column:    last_observed  | timestamp with time zone | newest snapshot stored, UTC
-- column:    last_success   | timestamp with time zone | last successful request, UTC (with rows, or empty)
-- column:    last_failure   | timestamp with time zone | last failed request, UTC
-- column:    last_error     | varchar                  | error of that request
-- column:    row_age_hours  | double                   | hours from the newest row, settled or observed, to now; null = no row
-- check:     last_settled is not null or last_observed is not null or last_success is not null
--            or last_failure is not null
-- why:       Whether a source still responds, and how old its newest row is.
with instants as (
    select
        exchange, source, max(funding_time) as last_settled, cast(null as timestamp with time zone) as last_observed,
        cast(null as timestamp with time zone) as last_success, cast(null as timestamp with time zone) as last_failure
    from lake_funding
    group by exchange, source
    union all
    select exchange, source, null, max(observed_at), null, null
    from snapshots
    group by exchange, source
    union all
    select
        exchange, source, null, null,
        max(case when outcome <> 'failed' then asked_at end),
        max(case when outcome = 'failed' then asked_at end)
    from fetches
    group by exchange, source
),
merged as (
    select
        exchange, source, max(last_settled) as last_settled, max(last_observed) as last_observed,
        max(last_success) as last_success, max(last_failure) as last_failure
    from instants
    group by exchange, source
),
errors as (
    select exchange, source, asked_at, max(error) as error
    from fetches
    where outcome = 'failed'
    group by exchange, source, asked_at
)
select
    merged.exchange, merged.source, merged.last_settled, merged.last_observed, merged.last_success,
    merged.last_failure, errors.error as last_error,
    (epoch(now()) - epoch(coalesce(
        greatest(merged.last_settled, merged.last_observed), merged.last_settled, merged.last_observed
    ))) / 3600 as row_age_hours
from merged
left join errors
    on errors.exchange = merged.exchange
    and errors.source = merged.source
    and errors.asked_at = merged.last_failure
