-- macro:     carry_net_with
-- reads:     funding, identity_checks, fees, known_until, utc_instant
-- parameter: at_time | null | instant at which both rates are known; text or timestamp, UTC where it has no offset; null = each
--            pair's newest full hour, at most a day before the newest of the lake
-- parameter: horizon_hours | 168 | hours the position is held for net_apr
-- parameter: fill | 'taker' | what each of the four fills pays: taker or maker
-- parameter: tier | 'base' | tier of both exchanges, as the table fees calls it
-- parameter: slippage_bps | 0 | cost at each of the four fills beside the fee, in basis points of notional
-- grain:     asset_class, base, long_exchange, long_symbol, short_exchange, short_symbol
-- why:       What a spread leaves after entry and exit of both legs, at the table's fees; the columns are those of carry_net.
--
-- What is known at an hour is as in funding_known_1h. Only payments of the eight days before it are read: ranges
-- of the whole lake would cost a minute at 20 million payments.
with settings as (
    select
        case when fill in ('taker', 'maker') then fill else error('carry_net: fill is taker or maker') end as chosen_fill,
        tier as chosen_tier,
        case
            when horizon_hours > 0 then cast(horizon_hours as double) else error('carry_net: horizon_hours must be above 0')
        end as held_hours,
        case
            when slippage_bps >= 0 then cast(slippage_bps as double) / 10000
            else error('carry_net: slippage_bps must not be negative')
        end as slip,
        cast(epoch(utc_instant(at_time)) as double) as at_seconds_given
),
bounds as (
    select
        (coalesce(settings.at_seconds_given, newest.seconds) - 192 * 3600) as since,
        coalesce(settings.at_seconds_given, newest.seconds + 1) as until
    from settings
    cross join (select epoch(max(f.funding_time)) as seconds from funding as f) as newest
),
paid as (
    select
        f.asset_class, f.base, f.exchange, f.symbol, f.rate_1h, f.interval_hours, f.funding_time,
        lead(f.funding_time) over (
            partition by f.exchange, f.asset_class, f.base, f.symbol order by f.funding_time
        ) as next_time
    from funding as f
    cross join bounds
    where f.rate_type = 'regular' and epoch(f.funding_time) >= bounds.since and epoch(f.funding_time) <= bounds.until
),
ranges as (
    select
        paid.asset_class, paid.base, paid.exchange, paid.symbol, paid.rate_1h, epoch(paid.funding_time) as began,
        epoch(known_until(paid.funding_time, paid.next_time, paid.interval_hours)) as ended
    from paid
    left join identity_checks as c
        on c.verdict = 'mismatch' and c.asset_class = paid.asset_class and c.base = paid.base
        and c.exchange = paid.exchange and c.symbol = paid.symbol
    where paid.interval_hours is not null and c.symbol is null
),
-- the newest full hour inside each range
hourly as (
    select
        ranges.asset_class, ranges.base, ranges.exchange, ranges.symbol, ranges.rate_1h, ranges.began, ranges.ended,
        cast(ceil(least(ranges.ended, epoch(lake_as_of())) / 3600) as bigint) - 1 as last_hour
    from ranges
),
newest as (
    select max(hourly.last_hour) as hour
    from hourly
    where hourly.last_hour * 3600 >= hourly.began
),
known as (
    select
        hourly.asset_class, hourly.base, hourly.exchange, hourly.symbol, hourly.rate_1h, settings.at_seconds_given as at_seconds
    from hourly
    cross join settings
    where hourly.began <= settings.at_seconds_given and settings.at_seconds_given < hourly.ended
    union all
    select
        hourly.asset_class, hourly.base, hourly.exchange, hourly.symbol, hourly.rate_1h,
        cast(unnest(range(
            greatest(cast(ceil(hourly.began / 3600) as bigint), newest.hour - 24), hourly.last_hour + 1
        )) * 3600 as double) as at_seconds
    from hourly
    cross join newest
    cross join settings
    where settings.at_seconds_given is null and hourly.last_hour >= newest.hour - 24
),
paired as (
    select
        low.asset_class, low.base, low.at_seconds, low.exchange as long_exchange, low.symbol as long_symbol,
        high.exchange as short_exchange, high.symbol as short_symbol, low.rate_1h as long_rate_1h, high.rate_1h as short_rate_1h,
        max(low.at_seconds) over (
            partition by
                low.asset_class, low.base, least(low.exchange, high.exchange), greatest(low.exchange, high.exchange),
                case when low.exchange < high.exchange then low.symbol else high.symbol end,
                case when low.exchange < high.exchange then high.symbol else low.symbol end
        ) as newest_seconds
    from known as low
    inner join known as high
        on high.asset_class = low.asset_class and high.base = low.base and high.at_seconds = low.at_seconds
        and high.exchange <> low.exchange
        and (low.rate_1h < high.rate_1h or (low.rate_1h = high.rate_1h and low.exchange < high.exchange))
),
-- a market with a dex prefix pays other fees than its exchange
charged as (
    select
        paired.asset_class, paired.base, paired.at_seconds, paired.long_exchange, paired.long_symbol, paired.short_exchange,
        paired.short_symbol, paired.long_rate_1h, paired.short_rate_1h,
        case
            when position(':' in paired.long_symbol) > 0
                then paired.long_exchange || ':' || substr(paired.long_symbol, 1, position(':' in paired.long_symbol) - 1)
            else paired.long_exchange
        end as long_charged,
        case
            when position(':' in paired.short_symbol) > 0
                then paired.short_exchange || ':' || substr(paired.short_symbol, 1, position(':' in paired.short_symbol) - 1)
            else paired.short_exchange
        end as short_charged
    from paired
    where paired.at_seconds = paired.newest_seconds
),
priced as (
    select
        f.exchange, epoch(f.effective_at) as began,
        lead(epoch(f.effective_at)) over (partition by f.exchange order by f.effective_at) as ended,
        case when settings.chosen_fill = 'taker' then f.taker else f.maker end as fee
    from fees as f
    inner join settings on settings.chosen_tier = f.tier
),
costed as (
    select
        charged.asset_class, charged.base, charged.at_seconds, charged.long_exchange, charged.long_symbol,
        charged.short_exchange, charged.short_symbol, charged.long_rate_1h, charged.short_rate_1h,
        charged.long_charged, charged.short_charged,
        charged.short_rate_1h - charged.long_rate_1h as spread_1h,
        l.fee as long_fee, s.fee as short_fee,
        2 * (l.fee + s.fee) + 4 * settings.slip as costs,
        settings.held_hours, settings.chosen_fill, settings.chosen_tier
    from charged
    cross join settings
    left join priced as l
        on l.exchange = charged.long_charged and l.began <= charged.at_seconds
        and charged.at_seconds < coalesce(l.ended, charged.at_seconds + 1)
    left join priced as s
        on s.exchange = charged.short_charged and s.began <= charged.at_seconds
        and charged.at_seconds < coalesce(s.ended, charged.at_seconds + 1)
)
select
    costed.asset_class, costed.base,
    timestamp with time zone '1970-01-01 00:00:00+00' + costed.at_seconds * interval '1 second' as known_at,
    costed.long_exchange, costed.long_symbol, costed.short_exchange, costed.short_symbol,
    costed.long_rate_1h, costed.short_rate_1h, costed.spread_1h, costed.spread_1h * 8760 as spread_apr,
    costed.long_fee, costed.short_fee, costed.costs,
    case
        when costed.costs <= 0 then cast(0 as double)
        when costed.spread_1h > 0 then costed.costs / costed.spread_1h
    end as break_even_hours,
    costed.held_hours as horizon_hours,
    (costed.spread_1h * costed.held_hours - costed.costs) / costed.held_hours * 8760 as net_apr,
    case
        when costed.long_fee is null and costed.short_fee is null
            then 'no ' || costed.chosen_tier || ' ' || costed.chosen_fill || ' fee known at that hour for ' || costed.long_charged || ' and '
                || costed.short_charged
        when costed.long_fee is null
            then 'no ' || costed.chosen_tier || ' ' || costed.chosen_fill || ' fee known at that hour for ' || costed.long_charged
        when costed.short_fee is null
            then 'no ' || costed.chosen_tier || ' ' || costed.chosen_fill || ' fee known at that hour for ' || costed.short_charged
    end as reason
from costed
