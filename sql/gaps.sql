-- view:      gaps
-- reads:     funding, fetches, markets
-- grain:     exchange, symbol, gap_start
-- column:    exchange       | varchar                  | where the perpetual trades
-- column:    symbol         | varchar                  | the exchange's own name
-- column:    gap_start      | timestamp with time zone | first settlement missing, UTC; where no interval is known, start of
--                                                        the window asked
-- column:    gap_stop       | timestamp with time zone | end of the span, exclusive, UTC
-- column:    interval_hours | double                   | hours between the payments missing; null = unknown
-- column:    missing        | bigint                   | regular payments missing; null where no interval is known
-- column:    place          | varchar                  | before, between or after the settlements stored; all: none is stored
-- column:    reason         | varchar                  | none confirmed (proven, or two UTC days without rows), none
--                                                        unconfirmed (responses without rows, of one day), failed,
--                                                        not asked (no response for it, and due), not due (the next
--                                                        settlement, still to come)
-- check:     gap_start < gap_stop
-- check:     missing is null or missing > 0
-- check:     reason in ('none confirmed', 'none unconfirmed', 'failed', 'not asked', 'not due')
-- why:       What is missing, and why: five different reasons. From data and ledger together; a step of more than one and
--            a half intervals is a hole. What was never asked and has no row is only in `coverage`.
with paid as (
    select
        exchange, symbol, funding_time, interval_hours,
        lag(funding_time) over (partition by exchange, symbol order by funding_time) as previous_time,
        lag(interval_hours) over (partition by exchange, symbol order by funding_time) as previous_hours
    from funding
    where rate_type = 'regular'
),
asked as (
    select
        exchange, symbol, epoch(window_start) as start, epoch(window_stop) as stop,
        outcome, floor(epoch(asked_at) / 86400) as day
    from fetches
    where endpoint = 'history' and window_start < window_stop
),
asked_from as (
    select exchange, symbol, min(start) as start, max(stop) as stop
    from asked
    group by exchange, symbol
),
ends as (
    select
        exchange, symbol, min(funding_time) as first_time, max(funding_time) as last_time,
        min_by(interval_hours, funding_time) filter (where interval_hours is not null) as first_hours,
        max_by(interval_hours, funding_time) filter (where interval_hours is not null) as last_hours
    from paid
    group by exchange, symbol
),
alive as (
    select
        ends.exchange, ends.symbol, epoch(ends.first_time) as first_at, epoch(ends.last_time) as last_at,
        ends.first_hours * 3600 as first_step,
        ends.last_hours * 3600 as last_step,
        case when markets.status = 'delisted' or markets.delisted_at is not null then 1 else 0 end as ended,
        least(epoch(now()), coalesce(epoch(markets.delisted_at), epoch(now()))) as until
    from ends
    left join markets on markets.exchange = ends.exchange and markets.symbol = ends.symbol
),
between_paid as (
    select
        exchange, symbol,
        epoch(funding_time) as stop,
        epoch(funding_time) - epoch(previous_time) as step,
        coalesce(interval_hours, previous_hours) * 3600 as every
    from paid
),
holes as (
    select
        exchange, symbol, 'between' as place,
        stop - (ceil(step / every - 0.5) - 1) * every as start, stop, every
    from between_paid
    where step > 1.5 * every
    union all
    select
        alive.exchange, alive.symbol, 'before',
        alive.first_at - floor((alive.first_at - asked_from.start) / alive.first_step) * alive.first_step,
        alive.first_at, alive.first_step
    from alive
    inner join asked_from on asked_from.exchange = alive.exchange and asked_from.symbol = alive.symbol
    where alive.first_at - asked_from.start >= alive.first_step
    union all
    select
        exchange, symbol, 'after',
        last_at + last_step,
        last_at + (floor((until - last_at) / last_step) + 1) * last_step,
        last_step
    from alive
    where until - last_at >= last_step
    union all
    select asked_from.exchange, asked_from.symbol, 'all', asked_from.start, asked_from.stop, null
    from asked_from
    left join ends on ends.exchange = asked_from.exchange and ends.symbol = asked_from.symbol
    where ends.symbol is null
),
cuts as (
    select exchange, symbol, place, start, stop, every, start as cut
    from holes
    union
    select holes.exchange, holes.symbol, holes.place, holes.start, holes.stop, holes.every, asked.start
    from holes
    inner join asked
        on asked.exchange = holes.exchange and asked.symbol = holes.symbol
        and asked.start > holes.start and asked.start < holes.stop
    union
    select holes.exchange, holes.symbol, holes.place, holes.start, holes.stop, holes.every, asked.stop
    from holes
    inner join asked
        on asked.exchange = holes.exchange and asked.symbol = holes.symbol
        and asked.stop > holes.start and asked.stop < holes.stop
),
pieces as (
    select
        exchange, symbol, place, start, every, cut,
        coalesce(
            lead(cut) over (partition by exchange, symbol, place, start order by cut), stop
        ) as cut_stop
    from cuts
),
answered as (
    select
        pieces.exchange, pieces.symbol, pieces.place, pieces.start, pieces.every, pieces.cut, pieces.cut_stop,
        case
            when max(case when asked.outcome in ('rows', 'none') then 1 end) = 1 then 0
            when count(distinct case when asked.outcome = 'empty' then asked.day end) > 1 then 0
            when max(case when asked.outcome = 'empty' then 1 end) = 1 then 1
            when max(case when asked.outcome = 'failed' then 1 end) = 1 then 2
        end as state
    from pieces
    left join asked
        on asked.exchange = pieces.exchange and asked.symbol = pieces.symbol
        and asked.start <= pieces.cut and asked.stop >= pieces.cut_stop
    group by
        pieces.exchange, pieces.symbol, pieces.place, pieces.start, pieces.every, pieces.cut, pieces.cut_stop
),
gridded as (
    select
        exchange, symbol, place, every, state, start,
        case
            when every is null then cut
            else start + ceil((cut - start) / every) * every
        end as piece_start,
        case
            when every is null then cut_stop
            else start + ceil((cut_stop - start) / every) * every
        end as piece_stop
    from answered
),
marked as (
    select
        exchange, symbol, place, every, state, start, piece_start, piece_stop,
        case
            when coalesce(state, -1) is not distinct from
                lag(coalesce(state, -1)) over (partition by exchange, symbol, place, start order by piece_start) then 0
            else 1
        end as turns
    from gridded
    where piece_start < piece_stop
),
numbered as (
    select
        exchange, symbol, place, every, state, start, piece_start, piece_stop,
        sum(turns) over (
            partition by exchange, symbol, place, start order by piece_start
            rows between unbounded preceding and current row
        ) as run
    from marked
),
merged as (
    select
        exchange, symbol, place, every,
        case
            when state = 0 then 'none confirmed'
            when state = 1 then 'none unconfirmed'
            when state = 2 then 'failed'
            else 'not asked'
        end as reason,
        min(piece_start) as start, max(piece_stop) as stop
    from numbered
    group by exchange, symbol, place, every, state, start, run
    union all
    select
        exchange, symbol, 'after', last_step, 'not due',
        last_at + (floor((until - last_at) / last_step) + 1) * last_step,
        last_at + (floor((until - last_at) / last_step) + 2) * last_step
    from alive
    where ended = 0 and last_step is not null and until >= last_at
)
select
    exchange, symbol,
    timestamp with time zone '1970-01-01 00:00:00+00' + start * interval '1 second' as gap_start,
    timestamp with time zone '1970-01-01 00:00:00+00' + stop * interval '1 second' as gap_stop,
    every / 3600 as interval_hours,
    cast(round((stop - start) / every) as bigint) as missing,
    place, reason
from merged
