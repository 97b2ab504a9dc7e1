-- macro:     pair_stats_over
-- reads:     funding, identity_checks, snapshots, utc_instant
-- parameter: start | null | window: hours that begin at or after it; text or timestamp, UTC where it has no offset; null = 30
--            days before stop
-- parameter: stop | null | hours that end at or before it, likewise; null = the newest settlement of the lake
-- parameter: token | null | canonical token, e.g. 'BTC'; null = all
-- parameter: participation | 0.01 | share of the thinner leg's open interest that one takes
-- grain:     asset_class, base, long_exchange, long_symbol, short_exchange, short_symbol
-- why:       How good each pair of exchanges was over a window, by what both legs earned; the columns are those of pair_stats.
--
-- The hours are those of funding_earned_1h, which would spread back every payment of the lake before the window is applied.
with arguments as (
    select
        utc_instant(start) as start_at, utc_instant(stop) as stop_at,
        case
            when participation > 0 and participation <= 1 then cast(participation as double)
            else error('pair_stats: participation is a share of open interest, above 0 and at most 1')
        end as share
),
settled as (
    select floor(epoch(max(f.funding_time)) / 3600) as hour
    from funding as f
    where f.rate_1h is not null
),
stopped as (
    select
        arguments.start_at, arguments.share,
        coalesce(floor(epoch(arguments.stop_at) / 3600), settled.hour) as stop_hour
    from arguments
    cross join settled
),
-- hours are named by their end: (start_hour, stop_hour]
bounds as (
    select
        cast(stopped.stop_hour as bigint) as stop_hour, stopped.share,
        cast(coalesce(ceil(epoch(stopped.start_at) / 3600), stopped.stop_hour - 720) as bigint) as start_hour
    from stopped
),
window_hours as (
    select
        bounds.start_hour, bounds.share,
        case
            when bounds.stop_hour <= bounds.start_hour then error('pair_stats: stop must be after start')
            else bounds.stop_hour
        end as stop_hour
    from bounds
),
paid as (
    select
        f.asset_class, f.base, f.exchange, f.symbol, f.rate_1h, window_hours.start_hour, window_hours.stop_hour,
        epoch(f.funding_time) / 3600 as ended, epoch(f.funding_time) / 3600 - f.interval_hours as began
    from funding as f
    cross join window_hours
    left join identity_checks as c
        on c.verdict = 'mismatch' and c.asset_class = f.asset_class and c.base = f.base
        and c.exchange = f.exchange and c.symbol = f.symbol
    where (token is null or f.base = token)
      and f.rate_1h is not null
      and epoch(f.funding_time) / 3600 > window_hours.start_hour
      and epoch(f.funding_time) / 3600 - f.interval_hours < window_hours.stop_hour
      and c.symbol is null
),
spread_back as (
    select
        paid.asset_class, paid.base, paid.exchange, paid.symbol, paid.rate_1h, paid.began, paid.ended,
        unnest(range(
            greatest(cast(floor(paid.began) as bigint), paid.start_hour) + 1,
            least(cast(ceil(paid.ended) as bigint), paid.stop_hour) + 1
        )) as hour
    from paid
),
-- an hour that a leg's payments cover in part, or twice, is left out
earned as (
    select
        b.asset_class, b.base, b.exchange, b.symbol, b.hour,
        sum(b.rate_1h * (least(b.ended, b.hour) - greatest(b.began, b.hour - 1))) as earned_1h
    from spread_back as b
    group by b.asset_class, b.base, b.exchange, b.symbol, b.hour
    having sum(least(b.ended, b.hour) - greatest(b.began, b.hour - 1)) between 0.999 and 1.001
),
members as (
    select
        named.asset_class, named.base, named.exchange, named.symbol,
        row_number() over (order by named.asset_class, named.base, named.exchange, named.symbol) as member,
        dense_rank() over (order by named.asset_class, named.base) as asset,
        dense_rank() over (order by named.exchange) as exchange_rank,
        count(*) over (partition by named.asset_class, named.base, named.exchange) as listed
    from (select distinct e.asset_class, e.base, e.exchange, e.symbol from earned as e) as named
),
numbered as (
    select members.asset, members.exchange_rank, members.member, earned.hour, earned.earned_1h
    from earned
    inner join members
        on members.asset_class = earned.asset_class and members.base = earned.base
        and members.exchange = earned.exchange and members.symbol = earned.symbol
),
-- what long the first, short the second earns
common as (
    select a.member as first, b.member as second, a.hour, b.earned_1h - a.earned_1h as earned_1h
    from numbered as a
    inner join numbered as b on b.asset = a.asset and b.hour = a.hour and b.exchange_rank > a.exchange_rank
),
totals as (
    select
        common.first, common.second, count(*) as hours, min(common.hour) as first_hour, max(common.hour) as last_hour,
        case when sum(common.earned_1h) < 0 then -1 else 1 end as sign
    from common
    group by common.first, common.second
),
directed as (
    select
        common.first, common.second, common.hour, totals.hours, totals.first_hour, totals.last_hour, totals.sign,
        totals.sign * common.earned_1h as spread_1h
    from common
    inner join totals on totals.first = common.first and totals.second = common.second
),
walked as (
    select
        directed.first, directed.second, directed.hour, directed.hours, directed.first_hour, directed.last_hour, directed.sign,
        directed.spread_1h,
        row_number() over (partition by directed.first, directed.second order by directed.spread_1h) as spread_rank,
        lag(directed.hour) over (partition by directed.first, directed.second order by directed.hour) as hour_before,
        lag(directed.spread_1h) over (partition by directed.first, directed.second order by directed.hour) as spread_before,
        sum(directed.spread_1h) over (
            partition by directed.first, directed.second order by directed.hour rows unbounded preceding
        ) as summed
    from directed
),
peaked as (
    select
        walked.first, walked.second, walked.hour, walked.hours, walked.first_hour, walked.last_hour, walked.sign, walked.spread_1h,
        walked.spread_rank, walked.summed,
        case when walked.hour - walked.hour_before = 1 then walked.spread_before end as spread_before,
        greatest(0, max(walked.summed) over (
            partition by walked.first, walked.second order by walked.hour rows unbounded preceding
        )) as peak
    from walked
),
fallen as (
    select
        peaked.first, peaked.second, peaked.hour, peaked.hours, peaked.first_hour, peaked.last_hour, peaked.sign,
        peaked.spread_1h, peaked.spread_rank, peaked.spread_before,
        peaked.peak - peaked.summed as depth,
        peaked.hour - coalesce(max(case when peaked.summed >= peaked.peak then peaked.hour end) over (
            partition by peaked.first, peaked.second order by peaked.hour rows unbounded preceding
        ), peaked.first_hour - 1) as below_hours
    from peaked
),
measured as (
    select
        fallen.first, fallen.second, max(fallen.sign) as sign, max(fallen.hours) as hours,
        max(fallen.first_hour) as first_hour, max(fallen.last_hour) as last_hour,
        avg(fallen.spread_1h) as mean_1h,
        stddev_samp(fallen.spread_1h) as deviation_1h,
        avg(case
            when fallen.spread_rank between floor((fallen.hours + 1) / 2.0) and ceil((fallen.hours + 1) / 2.0) then fallen.spread_1h
        end) as median_1h,
        avg(case
            when fallen.spread_rank > floor(0.05 * fallen.hours) and fallen.spread_rank <= fallen.hours - floor(0.05 * fallen.hours)
                then fallen.spread_1h
        end) as trimmed_mean_1h,
        sum(case when fallen.spread_rank > fallen.hours - ceil(fallen.hours / 100.0) then fallen.spread_1h else 0 end)
            / nullif(sum(fallen.spread_1h), 0) as top_share,
        sum(case when fallen.spread_1h > 0 then 1.0 else 0.0 end) / max(fallen.hours) as same_sign_share,
        corr(fallen.spread_1h, fallen.spread_before) as neighbours,
        max(fallen.depth) as drawdown,
        max(fallen.below_hours) as drawdown_hours
    from fallen
    group by fallen.first, fallen.second
),
-- other sources spell symbols their own way: one market here and one there are the same
shown as (
    select
        s.asset_class, s.base, s.exchange, s.symbol, s.open_interest_usd as usd,
        row_number() over (
            partition by s.asset_class, s.base, s.exchange, s.symbol
            order by s.observed_at desc, case when s.source = s.exchange then 0 else 1 end, s.source
        ) as recency
    from snapshots as s
    inner join (select max(t.observed_at) - 7 * interval '1 day' as since from snapshots as t) as week
        on s.observed_at >= week.since
    where s.open_interest_usd is not null and (token is null or s.base = token)
),
depths as (
    select
        shown.asset_class, shown.base, shown.exchange, shown.symbol, shown.usd,
        count(*) over (partition by shown.asset_class, shown.base, shown.exchange) as listed
    from shown
    where shown.recency = 1
),
sided as (
    select
        measured.hours, measured.first_hour, measured.last_hour, measured.mean_1h, measured.deviation_1h, measured.median_1h,
        measured.trimmed_mean_1h, measured.top_share, measured.same_sign_share, measured.neighbours, measured.drawdown,
        measured.drawdown_hours, l.asset_class, l.base, l.exchange as long_exchange, l.symbol as long_symbol,
        s.exchange as short_exchange, s.symbol as short_symbol, l.listed as long_listed, s.listed as short_listed
    from measured
    inner join members as l on l.member = case when measured.sign > 0 then measured.first else measured.second end
    inner join members as s on s.member = case when measured.sign > 0 then measured.second else measured.first end
),
sized as (
    select
        sided.hours, sided.first_hour, sided.last_hour, sided.mean_1h, sided.deviation_1h, sided.median_1h,
        sided.trimmed_mean_1h, sided.top_share, sided.same_sign_share, sided.neighbours, sided.drawdown, sided.drawdown_hours,
        sided.asset_class, sided.base, sided.long_exchange, sided.long_symbol, sided.short_exchange, sided.short_symbol,
        -- least() of a null and a number is the number here and null elsewhere
        case when l.usd is not null and s.usd is not null then least(l.usd, s.usd) end as open_interest_usd
    from sided
    left join depths as l
        on l.asset_class = sided.asset_class and l.base = sided.base
        and l.exchange = sided.long_exchange
        and (l.symbol = sided.long_symbol or (l.listed = 1 and sided.long_listed = 1))
    left join depths as s
        on s.asset_class = sided.asset_class and s.base = sided.base
        and s.exchange = sided.short_exchange
        and (s.symbol = sided.short_symbol or (s.listed = 1 and sided.short_listed = 1))
)
select
    sized.asset_class, sized.base, sized.long_exchange, sized.long_symbol, sized.short_exchange, sized.short_symbol,
    timestamp with time zone '1970-01-01 00:00:00+00' + sized.first_hour * interval '1 hour' as first_at,
    timestamp with time zone '1970-01-01 00:00:00+00' + sized.last_hour * interval '1 hour' as last_at,
    sized.hours,
    window_hours.stop_hour - window_hours.start_hour - sized.hours as missing_hours,
    sized.mean_1h, sized.mean_1h * 8760 as mean_apr, sized.median_1h, sized.trimmed_mean_1h, sized.deviation_1h,
    sized.mean_1h / nullif(sized.deviation_1h, 0) as stability,
    sized.top_share, sized.same_sign_share,
    -- a straight line has a correlation of 1, but for rounding
    case
        when sized.neighbours > 0 and sized.neighbours < 1 - 1e-9 then -ln(2) / ln(sized.neighbours)
    end as half_life_hours,
    sized.drawdown, sized.drawdown_hours, sized.open_interest_usd,
    window_hours.share * sized.open_interest_usd as capacity_usd,
    window_hours.share * sized.open_interest_usd * sized.mean_1h * 24 as usd_per_day
from sized
cross join window_hours
