-- view:      reconciliation
-- reads:     lake_funding, lake_funding_rest, snapshots, markets, source_preference
-- grain:     exchange, symbol, left_source, left_kind, left_symbol, right_source, right_kind, funding_time
-- column:    exchange      | varchar                  | where the perpetual trades
-- column:    symbol        | varchar                  | the name on the right
-- column:    base          | varchar                  | canonical token
-- column:    asset_class   | varchar                  | with base the identity across exchanges
-- column:    left_source   | varchar                  | who is compared
-- column:    left_kind     | varchar                  | settled, or predicted: its last snapshot in the hour before funding_time
-- column:    left_symbol   | varchar                  | the name it uses
-- column:    right_source  | varchar                  | who it is compared with: the preferred of the two
-- column:    right_kind    | varchar                  | settled or predicted
-- column:    funding_time  | timestamp with time zone | the settlement that is compared, UTC
-- column:    basis         | varchar                  | hour: both have the interval; payment: one has not, figures as they are
-- column:    left_rate     | double                   | fraction of notional per basis; positive: longs pay shorts
-- column:    right_rate    | double                   | fraction of notional per basis; positive: longs pay shorts
-- column:    right_before  | double                   | the right's rate one settlement earlier, fraction per basis; null = missing
-- column:    right_after   | double                   | the right's rate one settlement later, fraction per basis; null = missing
-- column:    price         | double                   | quote per ONE base token, of either row, else the day's mean of the
--                                                       exchange's snapshots; null = unknown
-- column:    ratio         | double                   | left_rate / right_rate; null where right_rate is 0
-- column:    step          | double                   | precision of the coarser source, fraction per basis: rate_step of its
--                                                       snapshot, else the decimals that all its figures keep to, at least 8
-- column:    steps         | double                   | (left_rate - right_rate) / step
-- column:    verdict       | varchar                  | agree, rounded (within a step), x8, /8, x24, /24, x100, /100, sign,
--                                                       price-scaled, shifted (a neighbour of the right), unlike
-- check:     verdict in ('agree', 'rounded', 'x8', '/8', 'x24', '/24', 'x100', '/100', 'sign', 'price-scaled', 'shifted', 'unlike')
-- check:     step > 0
-- check:     (ratio is null) = (right_rate = 0)
-- check:     left_source <> right_source or left_kind <> right_kind
-- why:       Two sources, or the prediction and the settlement, of one payment. A settled figure agrees within 8 decimals, a
--            prediction within a quarter. Symbols match by name, else by (exchange, asset class, base) where each has one
--            only. One row can coincide by chance: reconciliation_summary names a fault from many.
with named as (
    select
        exchange, source, symbol, 'settled' as kind, max(asset_class) as asset_class, max(base) as base,
        min(epoch(funding_time)) as first_at, max(epoch(funding_time)) as last_at
    from lake_funding
    where rate_type = 'regular'
      and (
        exists (select 1 from lake_funding_rest as rest where rest.exchange = lake_funding.exchange)
        or exists (select 1 from snapshots as shown where shown.exchange = lake_funding.exchange)
      )
    group by exchange, source, symbol
    union all
    select
        exchange, source, symbol, 'predicted' as kind, max(asset_class) as asset_class, max(base) as base,
        min(epoch(observed_at)) as first_at, max(epoch(observed_at)) + 3600 as last_at
    from snapshots
    where funding_rate is not null
    group by exchange, source, symbol
),
ranked as (
    select
        named.exchange, named.source, named.symbol, kind, asset_class, base, first_at, last_at, preference
    from named
    inner join source_preference
        on source_preference.exchange = named.exchange and source_preference.source = named.source
),
sides as (
    select
        exchange, source, symbol, kind, asset_class, base, first_at, last_at, preference,
        min(preference) over (partition by exchange, kind) as best_preference,
        count(*) over (partition by exchange, source, kind, asset_class, base) as twins
    from ranked
),
listed as (
    select exchange, asset_class, base, count(*) as twins
    from markets
    where status <> 'delisted'
    group by exchange, asset_class, base
),
paired as (
    select
        l.exchange, l.asset_class, l.base,
        l.source as left_source, l.kind as left_kind, l.symbol as left_symbol, l.preference as left_preference,
        l.first_at as left_first, l.last_at as left_last,
        r.source as right_source, r.kind as right_kind, r.symbol as right_symbol, r.preference as right_preference,
        r.best_preference, r.first_at as right_first, r.last_at as right_last
    from sides as l
    inner join sides as r on r.exchange = l.exchange and r.symbol = l.symbol
    union all
    select
        l.exchange, l.asset_class, l.base,
        l.source, l.kind, l.symbol, l.preference, l.first_at, l.last_at,
        r.source, r.kind, r.symbol, r.preference, r.best_preference, r.first_at, r.last_at
    from sides as l
    inner join sides as r
        on r.exchange = l.exchange and r.asset_class = l.asset_class and r.base = l.base and r.symbol <> l.symbol
    left join listed
        on listed.exchange = l.exchange and listed.asset_class = l.asset_class and listed.base = l.base
    where l.twins = 1 and r.twins = 1 and coalesce(listed.twins, 1) = 1
),
pairs as (
    select
        exchange, asset_class, base, left_source, left_kind, left_symbol, right_source, right_kind, right_symbol,
        row_number() over (
            order by exchange, left_source, left_kind, left_symbol, right_source, right_kind, right_symbol
        ) as pair,
        greatest(left_first, right_first) - 172800 as start,
        least(left_last, right_last) + 172800 as stop
    from paired
    where greatest(left_first, right_first) <= least(left_last, right_last)
      and (
        (left_kind = right_kind and left_preference > right_preference)
        or (left_kind = 'predicted' and right_kind = 'settled' and right_preference = best_preference)
      )
),
ends as (
    select
        pair, 'left' as side, exchange, left_source as source, left_symbol as symbol, left_kind as kind, start, stop
    from pairs
    union all
    select pair, 'right', exchange, right_source, right_symbol, right_kind, start, stop from pairs
),
needed as (
    select exchange, source, symbol, kind, min(start) as start, max(stop) as stop
    from ends
    group by exchange, source, symbol, kind
),
figures as (
    select
        f.exchange, f.source, f.symbol, 'settled' as kind, cast(epoch(f.funding_time) as bigint) as due,
        f.funding_rate, f.interval_hours, cast(null as double) as rate_step,
        cast(null as double) as next_at, coalesce(f.mark_price, f.index_price) as price
    from lake_funding as f
    inner join needed
        on needed.kind = 'settled' and needed.exchange = f.exchange and needed.source = f.source
        and needed.symbol = f.symbol
    where f.rate_type = 'regular' and epoch(f.funding_time) >= needed.start and epoch(f.funding_time) <= needed.stop
    union all
    select
        s.exchange, s.source, s.symbol, 'predicted' as kind,
        cast(floor(epoch(s.observed_at) / 3600) as bigint) * 3600 + 3600 as due,
        max_by(s.funding_rate, s.observed_at) as funding_rate,
        max_by(s.interval_hours, s.observed_at) as interval_hours,
        max(s.rate_step) as rate_step,
        max_by(epoch(s.next_funding_time), s.observed_at) as next_at,
        max_by(coalesce(s.mark_price, s.index_price), s.observed_at) as price
    from snapshots as s
    inner join needed
        on needed.kind = 'predicted' and needed.exchange = s.exchange and needed.source = s.source
        and needed.symbol = s.symbol
    where s.funding_rate is not null
    group by s.exchange, s.source, s.symbol, cast(floor(epoch(s.observed_at) / 3600) as bigint)
),
-- settled rows state no step: the decimals that many unlike figures keep to
grids as (
    select
        exchange, source, symbol, kind,
        case
            when count(distinct funding_rate) < 16 then 1e-8
            when max(abs(funding_rate * 1e5 - round(funding_rate * 1e5))) < 1e-6 then 1e-5
            when max(abs(funding_rate * 1e6 - round(funding_rate * 1e6))) < 1e-6 then 1e-6
            when max(abs(funding_rate * 1e7 - round(funding_rate * 1e7))) < 1e-6 then 1e-7
            else 1e-8
        end as grid
    from figures
    group by exchange, source, symbol, kind
),
series as (
    select
        figures.exchange, figures.source, figures.symbol, figures.kind, due, funding_rate, interval_hours,
        coalesce(rate_step, grid) as rate_step, next_at, price,
        lag(due) over (partition by figures.exchange, figures.source, figures.symbol, figures.kind order by due) as before_at,
        lag(funding_rate) over (partition by figures.exchange, figures.source, figures.symbol, figures.kind order by due) as before_rate,
        lead(due) over (partition by figures.exchange, figures.source, figures.symbol, figures.kind order by due) as after_at,
        lead(funding_rate) over (partition by figures.exchange, figures.source, figures.symbol, figures.kind order by due) as after_rate
    from figures
    inner join grids
        on grids.exchange = figures.exchange and grids.source = figures.source
        and grids.symbol = figures.symbol and grids.kind = figures.kind
),
prices as (
    select
        exchange, asset_class, base, cast(floor(epoch(observed_at) / 86400) as bigint) as day,
        avg(coalesce(mark_price, index_price)) as price
    from snapshots
    where coalesce(mark_price, index_price) is not null
    group by exchange, asset_class, base, cast(floor(epoch(observed_at) / 86400) as bigint)
),
-- grouped rather than joined: a join of two long series may start from the hour that all markets share
abreast as (
    select
        ends.pair, series.due,
        max(case when side = 'left' then series.funding_rate end) as left_raw,
        max(case when side = 'right' then series.funding_rate end) as right_raw,
        max(case when side = 'left' then series.interval_hours end) as left_hours,
        max(case when side = 'right' then series.interval_hours end) as right_hours,
        max(case when side = 'left' then series.rate_step end) as left_step,
        max(case when side = 'right' then series.rate_step end) as right_step,
        max(case when side = 'left' then series.next_at end) as left_next_at,
        max(case when side = 'left' then series.price end) as left_price,
        max(case when side = 'right' then series.price end) as right_price,
        max(case when side = 'right' then series.before_at end) as before_at,
        max(case when side = 'right' then series.before_rate end) as before_rate,
        max(case when side = 'right' then series.after_at end) as after_at,
        max(case when side = 'right' then series.after_rate end) as after_rate
    from series
    inner join ends
        on ends.exchange = series.exchange and ends.source = series.source
        and ends.symbol = series.symbol and ends.kind = series.kind
    group by ends.pair, series.due
    having count(*) = 2
),
priced as (
    select
        pairs.exchange, pairs.right_symbol as symbol, pairs.base, pairs.asset_class,
        pairs.left_source, pairs.left_kind, pairs.left_symbol, pairs.right_source, pairs.right_kind, abreast.due,
        left_raw, right_raw,
        case when left_hours is not null and right_hours is not null then 1 else 0 end as hourly,
        case when left_hours is not null and right_hours is not null then left_hours else 1 end as left_per,
        case when left_hours is not null and right_hours is not null then right_hours else 1 end as right_per,
        greatest(coalesce(left_step, 1e-8), 1e-8) as left_step,
        greatest(coalesce(right_step, 1e-8), 1e-8) as right_step,
        case when abreast.due - before_at <= 5400 * coalesce(right_hours, 8) then before_rate end as before_raw,
        case when after_at - abreast.due <= 5400 * coalesce(right_hours, 8) then after_rate end as after_raw,
        coalesce(left_price, right_price, prices.price) as price
    from abreast
    inner join pairs on pairs.pair = abreast.pair
    left join prices
        on prices.exchange = pairs.exchange and prices.asset_class = pairs.asset_class
        and prices.base = pairs.base and prices.day = cast(floor(abreast.due / 86400) as bigint)
    where pairs.left_kind = pairs.right_kind or left_next_at is null or abs(left_next_at - abreast.due) <= 300
),
scaled as (
    select
        exchange, symbol, base, asset_class, left_source, left_kind, left_symbol, right_source, right_kind, due, hourly,
        left_raw / left_per as a, right_raw / right_per as b,
        before_raw / right_per as before, after_raw / right_per as after, price,
        1.01e-8 / least(left_per, right_per) as fine,
        greatest(left_step / left_per, right_step / right_per) as step,
        left_step / left_per as left_step, right_step / right_per as right_step,
        -- what a prediction may be off by
        case when left_kind = 'predicted' then 0.25 else 1e-6 end as loose
    from priced
)
select
    exchange, symbol, base, asset_class, left_source, left_kind, left_symbol, right_source, right_kind,
    timestamp with time zone '1970-01-01 00:00:00+00' + due * interval '1 second' as funding_time,
    case when hourly = 1 then 'hour' else 'payment' end as basis,
    a as left_rate, b as right_rate, before as right_before, after as right_after, price,
    case when b <> 0 then a / b end as ratio,
    step,
    (a - b) / step as steps,
    case
        when abs(a - b) <= fine + 1e-6 * abs(b) then 'agree'
        when abs(a - b) <= 1.01 * step then case when step > fine then 'rounded' else 'agree' end
        when abs(a - b) <= loose * abs(b) then 'agree'
        when abs(a - 8 * b) <= loose * abs(8 * b) + 8 * right_step + left_step then 'x8'
        when abs(8 * a - b) <= loose * abs(b) + 8 * left_step + right_step then '/8'
        when abs(a - 24 * b) <= loose * abs(24 * b) + 24 * right_step + left_step then 'x24'
        when abs(24 * a - b) <= loose * abs(b) + 24 * left_step + right_step then '/24'
        when abs(a - 100 * b) <= loose * abs(100 * b) + 100 * right_step + left_step then 'x100'
        when abs(100 * a - b) <= loose * abs(b) + 100 * left_step + right_step then '/100'
        when abs(a + b) <= loose * abs(b) + left_step + right_step then 'sign'
        when abs(a - price * b) <= greatest(loose, 0.05) * abs(price * b) and abs(b) > right_step then 'price-scaled'
        when abs(price * a - b) <= greatest(loose, 0.05) * abs(b) and abs(b) > right_step then 'price-scaled'
        when abs(a - before) <= fine + step then 'shifted'
        when abs(a - after) <= fine + step then 'shifted'
        else 'unlike'
    end as verdict
from scaled
