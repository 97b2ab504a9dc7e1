-- view:      reconciliation_summary
-- reads:     reconciliation
-- grain:     exchange, symbol, left_source, left_kind, left_symbol, right_source, right_kind
-- column:    exchange      | varchar                  | where the perpetual trades
-- column:    symbol        | varchar                  | the name on the right
-- column:    base          | varchar                  | canonical token
-- column:    asset_class   | varchar                  | with base the identity across exchanges
-- column:    left_source   | varchar                  | who is compared
-- column:    left_kind     | varchar                  | settled or predicted
-- column:    left_symbol   | varchar                  | the name it uses
-- column:    right_source  | varchar                  | who it is compared with
-- column:    right_kind    | varchar                  | settled or predicted
-- column:    verdict       | varchar                  | agree, rounded, x8, /8, x24, /24, x100, /100, sign, price-scaled, shifted,
--                                                       unlike, or unclear: too few rows disagree, or are there, to name anything
-- column:    compared      | bigint                   | payments that both have
-- column:    agreeing      | bigint                   | rows that agree or are rounded
-- column:    faulty        | bigint                   | rows with the verdict named here; 0 where they agree
-- column:    other         | bigint                   | rows that neither agree nor have it
-- column:    ratio         | double                   | geometric mean of |left / right| over rows where neither is 0
-- column:    error         | double                   | sum of |left - right| / sum of |right|; null where all right rates are 0
-- column:    error_shifted | double                   | the same against the nearer neighbour series of the right
-- column:    first_time    | timestamp with time zone | first payment compared, UTC
-- column:    last_time     | timestamp with time zone | last payment compared, UTC
-- check:     compared = agreeing + faulty + other
-- check:     first_time <= last_time
-- why:       A fault is named where at least 8 payments and a twentieth of them disagree and most of these are wrong in one
--            way. Settled sources that differ are shifted where the neighbour fits clearly better. Predictions move: they
--            agree where half of them come within a quarter of the settled rate, or all together within half.
with marked as (
    select
        exchange, symbol, base, asset_class, left_source, left_kind, left_symbol, right_source, right_kind, funding_time,
        left_rate, right_rate, right_before, right_after, ratio, step, verdict,
        case
            when right_before is not null and right_after is not null then 1 else 0
        end as inside
    from reconciliation
),
summed as (
    select
        exchange, symbol, left_source, left_kind, left_symbol, right_source, right_kind,
        max(base) as base, max(asset_class) as asset_class,
        count(*) as compared,
        sum(case when verdict in ('agree', 'rounded') then 1 else 0 end) as agreeing,
        sum(case when verdict = 'rounded' then 1 else 0 end) as rounded,
        sum(case when verdict = 'x8' then 1 else 0 end) as x8,
        sum(case when verdict = '/8' then 1 else 0 end) as by8,
        sum(case when verdict = 'x24' then 1 else 0 end) as x24,
        sum(case when verdict = '/24' then 1 else 0 end) as by24,
        sum(case when verdict = 'x100' then 1 else 0 end) as x100,
        sum(case when verdict = '/100' then 1 else 0 end) as by100,
        sum(case when verdict = 'sign' then 1 else 0 end) as turned,
        sum(case when verdict = 'price-scaled' then 1 else 0 end) as priced,
        sum(case when verdict = 'shifted' then 1 else 0 end) as shifted,
        sum(case when verdict = 'unlike' then 1 else 0 end) as unlike,
        exp(avg(case when ratio <> 0 then ln(abs(ratio)) end)) as ratio,
        sum(abs(left_rate - right_rate)) as off,
        sum(abs(right_rate)) as size,
        sum(case when inside = 1 then abs(left_rate - right_rate) end) as off_now,
        sum(case when inside = 1 then abs(left_rate - right_before) end) as off_before,
        sum(case when inside = 1 then abs(left_rate - right_after) end) as off_after,
        sum(case when inside = 1 then abs(right_rate) end) as size_inside,
        -- only where the neighbour is another figure is equality with it evidence
        sum(case when abs(right_before - right_rate) > 2 * step then 1 else 0 end) as moved,
        sum(case when abs(right_before - right_rate) > 2 * step and abs(left_rate - right_before) <= step then 1 else 0 end)
            as stale,
        sum(case when abs(right_before - right_rate) > 2 * step and abs(left_rate - right_rate) <= step then 1 else 0 end)
            as true_moved,
        min(funding_time) as first_time, max(funding_time) as last_time
    from marked
    group by exchange, symbol, left_source, left_kind, left_symbol, right_source, right_kind
),
topped as (
    select
        exchange, symbol, base, asset_class, left_source, left_kind, left_symbol, right_source, right_kind, compared, agreeing,
        rounded, x8, by8, x24, by24, x100, by100, turned, priced, shifted, unlike, ratio, off, size, off_now, off_before,
        off_after, size_inside, moved, stale, true_moved, first_time, last_time,
        compared - agreeing as against,
        greatest(x8, by8, x24, by24, x100, by100, turned, priced) as top
    from summed
),
verdicts as (
    select
        exchange, symbol, base, asset_class, left_source, left_kind, left_symbol, right_source, right_kind, compared, agreeing,
        rounded, x8, by8, x24, by24, x100, by100, turned, priced, shifted, unlike, ratio, off, size, off_now, off_before,
        off_after, size_inside, first_time, last_time,
        case
            when left_kind = 'predicted' and right_kind = 'settled' and moved >= 8
                and stale >= 0.5 * moved and true_moved <= 0.2 * moved then 'shifted'
            when against < 8 and against > 0.05 * compared then 'unclear'
            when against <= 0.05 * compared then case when rounded > 0.05 * compared then 'rounded' else 'agree' end
            when top >= 0.6 * against then
                case
                    when x8 = top then 'x8'
                    when by8 = top then '/8'
                    when x24 = top then 'x24'
                    when by24 = top then '/24'
                    when x100 = top then 'x100'
                    when by100 = top then '/100'
                    when turned = top then 'sign'
                    else 'price-scaled'
                end
            when left_kind = 'settled' and (
                shifted >= 0.6 * against or least(off_before, off_after) < 0.7 * off_now
            ) then 'shifted'
            when left_kind = 'predicted' and (agreeing >= 0.5 * compared or off <= 0.5 * size) then 'agree'
            else 'unlike'
        end as verdict
    from topped
),
counted as (
    select
        exchange, symbol, base, asset_class, left_source, left_kind, left_symbol, right_source, right_kind, verdict, compared,
        agreeing,
        case verdict
            when 'x8' then x8
            when '/8' then by8
            when 'x24' then x24
            when '/24' then by24
            when 'x100' then x100
            when '/100' then by100
            when 'sign' then turned
            when 'price-scaled' then priced
            when 'shifted' then shifted
            when 'unlike' then unlike
            else 0
        end as faulty,
        ratio, off, size, off_before, off_after, size_inside, first_time, last_time
    from verdicts
)
select
    exchange, symbol, base, asset_class, left_source, left_kind, left_symbol, right_source, right_kind, verdict,
    compared, cast(agreeing as bigint) as agreeing, cast(faulty as bigint) as faulty,
    cast(compared - agreeing - faulty as bigint) as other,
    ratio,
    case when size > 0 then off / size end as error,
    case when size_inside > 0 then least(off_before, off_after) / size_inside end as error_shifted,
    first_time, last_time
from counted
