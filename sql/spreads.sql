-- view:      spreads
-- reads:     comparable_1h
-- grain:     asset_class, base, hour_at, long_exchange, long_symbol, short_exchange, short_symbol
-- column:    asset_class    | varchar                  | unlike classes are never paired
-- column:    base           | varchar                  | canonical token
-- column:    hour_at        | timestamp with time zone | full hour, UTC
-- column:    long_exchange  | varchar                  | the lower rate: go long here
-- column:    long_symbol    | varchar                  | the exchange's own name
-- column:    long_quote     | varchar                  | shown, not compared
-- column:    short_exchange | varchar                  | the higher rate: go short here
-- column:    short_symbol   | varchar                  | the exchange's own name
-- column:    short_quote    | varchar                  | shown, not compared
-- column:    long_rate_1h   | double                   | fraction of notional per hour; positive: longs pay shorts
-- column:    short_rate_1h  | double                   | fraction of notional per hour; positive: longs pay shorts
-- column:    spread_1h      | double                   | short_rate_1h - long_rate_1h: fraction of notional per hour
-- column:    spread_apr     | double                   | spread_1h x 8760: fraction of notional per year, not compounded
-- check:     spread_1h >= 0
-- check:     long_exchange <> short_exchange
-- why:       Every pair of unlike exchanges on rates known at that hour. An hour missing on one exchange is missing here,
--            and so is a market that identity_checks calls a mismatch.
select
    low.asset_class, low.base, low.hour_at,
    low.exchange as long_exchange, low.symbol as long_symbol, low.quote as long_quote,
    high.exchange as short_exchange, high.symbol as short_symbol, high.quote as short_quote,
    low.rate_1h as long_rate_1h, high.rate_1h as short_rate_1h,
    high.rate_1h - low.rate_1h as spread_1h,
    (high.rate_1h - low.rate_1h) * 8760 as spread_apr
from comparable_1h as low
inner join comparable_1h as high
    on high.asset_class = low.asset_class
    and high.base = low.base
    and high.hour_at = low.hour_at
    and high.exchange <> low.exchange
    and (low.rate_1h < high.rate_1h or (low.rate_1h = high.rate_1h and low.exchange < high.exchange))
