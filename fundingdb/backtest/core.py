"""The strategy hour by hour, in compiled code: arrays in, arrays out. What it does is told in `fundingdb.backtest`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

YEAR_HOURS = 8760.0
MISSING_HOURS = 24  # a leg whose rate was unknown for so many hours on end is given up
NEVER = 2**31 - 1  # an hour that does not come
ACTIONS = ("enter", "exit", "switch", "skip")
REASONS = ("exit", "switch", "missing", "delisted", "end")
ENTER, EXIT, SWITCH, SKIP = range(4)
BY_EXIT, BY_SWITCH, BY_MISSING, BY_DELISTED, BY_END = range(5)
# columns of the tables that `walk` gives
T_ASSET, T_LONG, T_SHORT, T_ENTERED, T_EXITED, T_PAYMENTS, T_UNKNOWN, T_REASON = range(8)
T_ENTRY_SPREAD, T_EXIT_SPREAD, T_LONG_FUNDING, T_SHORT_FUNDING, T_FEES = range(5)
D_HOUR, D_ACTION, D_ASSET, D_LONG, D_SHORT, D_REASON = range(6)
D_SPREAD, D_BEFORE = range(2)


class Walked(NamedTuple):
    """What `walk` gives; money in units of the notional. Tables by the column numbers T_* and D_*."""

    trades: np.ndarray  # int64
    money: np.ndarray  # float64, a row a trade
    decisions: np.ndarray  # int64
    told: np.ndarray  # float64, a row a decision
    funding: np.ndarray  # an hour
    fees: np.ndarray  # an hour, <= 0 but for rebates
    open_pairs: np.ndarray  # an hour, after its decisions
    daily: np.ndarray  # day, exchange, leg (0 long, 1 short), 0 funding 1 fees
    standing: np.ndarray  # exchange: sum over hours, and most at once, of legs that stand there
    fills: int


@njit(cache=True, nogil=True)
def best_pairs(known, asset_start, exchange, delisted):
    """The widest pair of each asset (rows) and hour: market to be long, to be short (-1: fewer than two are known).

    One market of each exchange counts, the first in order that is known and not delisted. Equal rates: the first
    exchange is long, the last short. Also each market's sum of such rates and their count, for the hours but the last.
    """
    assets, hours = asset_start.size - 1, known.shape[1]
    long = np.full((assets, hours), -1, np.int32)
    short = np.full((assets, hours), -1, np.int32)
    total, count = np.zeros(known.shape[0]), np.zeros(known.shape[0], np.int64)
    for a in range(assets):
        low, high = np.empty(hours), np.empty(hours)
        seen = np.full(hours, -1, np.int32)
        for m in range(asset_start[a], asset_start[a + 1]):
            for h in range(min(hours, delisted[m])):
                rate = known[m, h]
                if np.isnan(rate) or seen[h] == exchange[m]:
                    continue
                if h < hours - 1:
                    total[m] += rate
                    count[m] += 1
                if seen[h] == -1:
                    low[h], high[h] = rate, rate
                    long[a, h], short[a, h] = m, m
                elif rate < low[h]:
                    low[h], long[a, h] = rate, m
                elif rate >= high[h]:
                    high[h], short[a, h] = rate, m
                seen[h] = exchange[m]
        for h in range(hours):
            if long[a, h] == short[a, h]:
                long[a, h], short[a, h] = -1, -1
    return long, short, total, count


@njit(cache=True, nogil=True)
def _longer(table):
    more = np.zeros((table.shape[0] * 2, table.shape[1]), table.dtype)
    more[: table.shape[0]] = table
    return more


@njit(cache=True, nogil=True)
def _log(decisions, told, row, hour, action, asset, long, short, reason, spread, before):
    """Writes one decision; gives the tables, which may be longer ones."""
    if row == decisions.shape[0]:
        decisions, told = _longer(decisions), _longer(told)
    decisions[row, D_HOUR], decisions[row, D_ACTION], decisions[row, D_ASSET] = hour, action, asset
    decisions[row, D_LONG], decisions[row, D_SHORT], decisions[row, D_REASON] = long, short, reason
    told[row, D_SPREAD], told[row, D_BEFORE] = spread, before
    return decisions, told


@njit(cache=True, nogil=True)
def walk(
    known,
    settled,
    paid,
    exchange,
    delisted,
    best_long,
    best_short,
    cost,
    day,
    entry,
    leave,
    hold,
    most,
    band,
    record,
):
    """One run: the fields of `Walked`.

    `cost` (exchange x hour) is the part of the notional that a fill costs; `entry`, `leave`, `band` are a year (NaN: no
    switching), `hold` hours, `most` pairs at once. Without `record` decisions are not logged.
    """
    assets, hours = best_long.shape
    last = hours - 1
    exchanges = cost.shape[0]
    trades, money = np.zeros((256, 8), np.int64), np.zeros((256, 5))
    decisions, told = np.zeros((256, 6), np.int64), np.zeros((256, 2))
    n_trades, n_decisions, n_open, fills = 0, 0, 0, 0
    funding, fees, open_pairs = np.zeros(hours), np.zeros(hours), np.zeros(hours, np.int64)
    daily = np.zeros((day[last] + 1, exchanges, 2, 2))
    standing, legs = np.zeros((exchanges, 2), np.int64), np.zeros(exchanges, np.int64)
    row = np.full(assets, -1, np.int64)  # of the open trade
    closed = np.full(assets, -1, np.int64)  # row of the trade closed in this hour
    blind = np.zeros((assets, 2), np.int64)  # hours on end in which the leg's rate was unknown
    skipped = np.zeros(assets, np.bool_)
    turned = np.zeros(assets, np.bool_)  # leaves for another pair
    wish, width = np.zeros(assets, np.int64), np.zeros(assets)

    for h in range(hours):
        d = day[h]
        for a in range(assets):
            closed[a] = -1
            turned[a] = False
            if row[a] < 0:
                continue
            t = row[a]
            l, s = trades[t, T_LONG], trades[t, T_SHORT]
            if paid[l, h]:
                money[t, T_LONG_FUNDING] -= settled[l, h]
                funding[h] -= settled[l, h]
                daily[d, exchange[l], 0, 0] -= settled[l, h]
                trades[t, T_PAYMENTS] += paid[l, h]
            if paid[s, h]:
                money[t, T_SHORT_FUNDING] += settled[s, h]
                funding[h] += settled[s, h]
                daily[d, exchange[s], 1, 0] += settled[s, h]
                trades[t, T_PAYMENTS] += paid[s, h]
            blind[a, 0] = blind[a, 0] + 1 if np.isnan(known[l, h]) else 0
            blind[a, 1] = blind[a, 1] + 1 if np.isnan(known[s, h]) else 0
            spread = (known[s, h] - known[l, h]) * YEAR_HOURS
            reason, wider = -1, np.nan
            if delisted[l] <= h or delisted[s] <= h:
                reason = BY_DELISTED
            elif blind[a, 0] >= MISSING_HOURS or blind[a, 1] >= MISSING_HOURS:
                reason = BY_MISSING
            elif h == last:
                reason = BY_END
            elif np.isnan(spread):
                trades[t, T_UNKNOWN] += 1
            elif h - trades[t, T_ENTERED] >= hold:
                bl, bs = best_long[a, h], best_short[a, h]
                if spread < leave:
                    reason = BY_EXIT
                elif bl >= 0 and (bl != l or bs != s):
                    wider = (known[bs, h] - known[bl, h]) * YEAR_HOURS
                    if wider >= spread + band:
                        reason = BY_SWITCH
            if reason < 0:
                continue
            trades[t, T_EXITED], trades[t, T_REASON] = h, reason
            money[t, T_EXIT_SPREAD] = spread
            for leg in range(2):
                e = exchange[l] if leg == 0 else exchange[s]
                money[t, T_FEES] -= cost[e, h]
                fees[h] -= cost[e, h]
                daily[d, e, leg, 1] -= cost[e, h]
                legs[e] -= 1
                fills += 1
            row[a], closed[a], turned[a] = -1, t, reason == BY_SWITCH
            n_open -= 1
            if record and reason != BY_SWITCH:
                decisions, told = _log(decisions, told, n_decisions, h, EXIT, a, l, s, reason, spread, np.nan)
                n_decisions += 1

        # those that switch keep their place; then the widest, equal ones in order of name
        n = 0
        for a in range(assets):
            if turned[a]:
                wish[n], width[n] = a, -np.inf
                n += 1
        switching = n
        if h < last:
            for a in range(assets):
                l, s = best_long[a, h], best_short[a, h]
                spread = (known[s, h] - known[l, h]) * YEAR_HOURS if row[a] < 0 and l >= 0 else -np.inf
                if spread >= entry and not turned[a] and spread > -np.inf:
                    wish[n], width[n] = a, -spread
                    n += 1
                else:
                    skipped[a] = False
        order = np.argsort(width[:n], kind="mergesort") if n > 1 else np.zeros(n, np.int64)
        for i in order:
            a = wish[i]
            l, s = best_long[a, h], best_short[a, h]
            spread = (known[s, h] - known[l, h]) * YEAR_HOURS
            turning = i < switching
            if not turning and n_open >= most:
                action = SKIP
            else:
                action = SWITCH if turning else ENTER
            if record and not (action == SKIP and skipped[a]):
                before = money[closed[a], T_EXIT_SPREAD] if turning else np.nan
                decisions, told = _log(decisions, told, n_decisions, h, action, a, l, s, -1, spread, before)
                n_decisions += 1
            skipped[a] = action == SKIP
            if action == SKIP:
                continue
            if n_trades == trades.shape[0]:
                trades, money = _longer(trades), _longer(money)
            t = n_trades
            n_trades += 1
            trades[t, T_ASSET], trades[t, T_LONG], trades[t, T_SHORT], trades[t, T_ENTERED] = a, l, s, h
            money[t, T_ENTRY_SPREAD] = spread
            row[a] = t
            n_open += 1
            blind[a, 0], blind[a, 1] = 0, 0
            for leg in range(2):
                m = l if leg == 0 else s
                e = exchange[m]
                legs[e] += 1
                old = closed[a]
                if (
                    old >= 0 and trades[old, T_LONG + leg] == m
                ):  # stands on: the exit of this leg was not traded
                    money[old, T_FEES] += cost[e, h]
                    fees[h] += cost[e, h]
                    daily[d, e, leg, 1] += cost[e, h]
                    fills -= 1
                    continue
                money[t, T_FEES] -= cost[e, h]
                fees[h] -= cost[e, h]
                daily[d, e, leg, 1] -= cost[e, h]
                fills += 1
        open_pairs[h] = n_open
        if h < last:
            for e in range(exchanges):
                standing[e, 0] += legs[e]
                standing[e, 1] = max(standing[e, 1], legs[e])
    return (
        trades[:n_trades],
        money[:n_trades],
        decisions[:n_decisions],
        told[:n_decisions],
        funding,
        fees,
        open_pairs,
        daily,
        standing,
        fills,
    )
