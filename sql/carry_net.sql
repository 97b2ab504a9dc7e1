-- view:      carry_net
-- reads:     carry_net_with
-- grain:     asset_class, base, long_exchange, long_symbol, short_exchange, short_symbol
-- column:    asset_class      | varchar                  | unlike classes are never paired
-- column:    base             | varchar                  | canonical token
-- column:    known_at         | timestamp with time zone | full hour, UTC: the newest at which both rates were known
-- column:    long_exchange    | varchar                  | the lower rate: go long here
-- column:    long_symbol      | varchar                  | the exchange's own name
-- column:    short_exchange   | varchar                  | the higher rate: go short here
-- column:    short_symbol     | varchar                  | the exchange's own name
-- column:    long_rate_1h     | double                   | fraction of notional per hour; positive: longs pay shorts
-- column:    short_rate_1h    | double                   | fraction of notional per hour; positive: longs pay shorts
-- column:    spread_1h        | double                   | short_rate_1h - long_rate_1h: fraction of notional per hour
-- column:    spread_apr       | double                   | spread_1h x 8760: fraction of notional per year, not compounded, before costs
-- column:    long_fee         | double                   | fraction of notional per fill of the long leg; null = unknown
-- column:    short_fee        | double                   | fraction of notional per fill of the short leg; null = unknown
-- column:    costs            | double                   | 2 x (long_fee + short_fee), entry and exit of both legs: fraction of notional; null = unknown
-- column:    break_even_hours | double                   | costs / spread_1h: hours until the spread has paid them; null = unknown, or never
-- column:    horizon_hours    | double                   | hours the position is held for net_apr: 168
-- column:    net_apr          | double                   | (spread_1h x horizon_hours - costs) / horizon_hours x 8760: a year, not compounded; null =
--                                                          costs unknown
-- column:    reason           | varchar                  | which fee is unknown; null = none
-- check:     spread_1h >= 0
-- check:     long_exchange <> short_exchange
-- check:     (costs is null) = (reason is not null)
-- check:     (net_apr is null) = (costs is null)
-- check:     net_apr is null or abs(net_apr - spread_apr + costs * 8760 / horizon_hours) < 1e-9
-- check:     break_even_hours is null or break_even_hours >= 0
-- check:     epoch(known_at) % 3600 = 0
-- why:       What the spread of each pair leaves after taker fees of the base tier at four fills, held for a week if it stays
--            as it is, without slippage. Another instant, horizon, tier, maker fills, slippage: the macro carry_net_with. Fees are
--            those of the table fees in force at known_at; an unknown one leaves the net figure null, with the reason.
select
    n.asset_class, n.base, n.known_at, n.long_exchange, n.long_symbol, n.short_exchange, n.short_symbol, n.long_rate_1h,
    n.short_rate_1h, n.spread_1h, n.spread_apr, n.long_fee, n.short_fee, n.costs, n.break_even_hours, n.horizon_hours,
    n.net_apr, n.reason
from carry_net_with() as n
