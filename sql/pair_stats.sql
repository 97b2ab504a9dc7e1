-- view:      pair_stats
-- reads:     pair_stats_over
-- grain:     asset_class, base, long_exchange, long_symbol, short_exchange, short_symbol
-- column:    asset_class       | varchar                  | unlike classes are never paired
-- column:    base              | varchar                  | canonical token
-- column:    long_exchange     | varchar                  | long here, short there: the side on which the mean is not negative
-- column:    long_symbol       | varchar                  | the exchange's own name
-- column:    short_exchange    | varchar                  | short here
-- column:    short_symbol      | varchar                  | the exchange's own name
-- column:    first_at          | timestamp with time zone | end of the first hour counted, UTC
-- column:    last_at           | timestamp with time zone | end of the last hour counted, UTC
-- column:    hours             | bigint                   | hours of the window wholly covered by settled payments of both legs, once each
-- column:    missing_hours     | bigint                   | the other hours of the window
-- column:    mean_1h           | double                   | earned per hour, fraction of notional: short leg's rate - long leg's
-- column:    mean_apr          | double                   | mean_1h x 8760: fraction of notional per year, not compounded, before costs
-- column:    median_1h         | double                   | fraction of notional per hour
-- column:    trimmed_mean_1h   | double                   | without the lowest and the highest 5 % of hours, rounded down
-- column:    deviation_1h      | double                   | standard deviation over hours (n - 1); null = one hour
-- column:    stability         | double                   | mean_1h / deviation_1h; null = no deviation
-- column:    top_share         | double                   | share of the sum that the best 1 % of hours earned, rounded up; above 1: the rest
--                                                           lost; null = the sum is 0
-- column:    same_sign_share   | double                   | share of hours that earned more than 0
-- column:    half_life_hours   | double                   | -ln 2 / ln of the correlation between neighbouring hours; null where that is
--                                                           not above 0, or unknown
-- column:    drawdown          | double                   | deepest fall of the summed spread below its peak, from 0: fraction of notional
-- column:    drawdown_hours    | bigint                   | most consecutive hours at which the summed spread was below a peak; holes count
-- column:    open_interest_usd | double                   | of the thinner leg, one side: newest snapshot of the lake's last 7 days; null = none
-- column:    capacity_usd      | double                   | 1 % of open_interest_usd
-- column:    usd_per_day       | double                   | capacity_usd x mean_1h x 24, before costs
-- check:     long_exchange <> short_exchange
-- check:     hours >= 1
-- check:     missing_hours >= 0
-- check:     mean_1h >= -1e-15
-- check:     same_sign_share between 0 and 1
-- check:     drawdown >= 0
-- check:     drawdown_hours between 0 and hours + missing_hours
-- check:     half_life_hours is null or half_life_hours > 0
-- check:     (capacity_usd is null) = (open_interest_usd is null)
-- why:       How good each pair of exchanges was over the last 30 days of the lake, by settled payments spread over their own
--            hours: what both legs earned, not what was known. Another window, token or participation: the macro
--            pair_stats_over, which is also the quick way to one token. Payments of unknown interval, special payments and
--            markets that identity_checks calls a mismatch are left out.
select
    p.asset_class, p.base, p.long_exchange, p.long_symbol, p.short_exchange, p.short_symbol, p.first_at, p.last_at, p.hours,
    p.missing_hours, p.mean_1h, p.mean_apr, p.median_1h, p.trimmed_mean_1h, p.deviation_1h, p.stability, p.top_share,
    p.same_sign_share, p.half_life_hours, p.drawdown, p.drawdown_hours, p.open_interest_usd, p.capacity_usd, p.usd_per_day
from pair_stats_over() as p
