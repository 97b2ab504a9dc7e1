"""The backtest strategy hour by hour, in compiled code over arrays; its rules are described in `fundingdb.backtest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

from fundingdb.window import YEAR_HOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Small = NDArray[np.int32]
    Counts = NDArray[np.uint8]
    Flags = NDArray[np.bool_]

MISSING_HOURS = 24  # a pair is closed when the rate of a leg is unknown for so many consecutive hours
EDGE = 1e-9  # a year: tolerance of the thresholds, for the rounding of divisions
NEVER = 2**31 - 1  # an hour after every run
ACTIONS = ("enter", "exit", "switch", "skip")
REASONS = ("exit", "switch", "missing", "delisted", "end")
ENTER, EXIT, SWITCH, SKIP = range(4)
HELD, BY_EXIT, BY_SWITCH, BY_MISSING, BY_DELISTED, BY_END = range(-1, 5)
# columns of the tables that `walk` returns
T_ASSET, T_LONG, T_SHORT, T_ENTERED, T_EXITED, T_PAYMENTS, T_UNKNOWN, T_REASON = range(8)
T_ENTRY_SPREAD, T_EXIT_SPREAD, T_LONG_FUNDING, T_SHORT_FUNDING, T_FEES = range(5)
D_HOUR, D_ACTION, D_ASSET, D_LONG, D_SHORT, D_REASON = range(6)
D_SPREAD, D_BEFORE = range(2)
# counters of a run
TRADES, DECISIONS, OPEN, FILLS = range(4)
_FIRST_ROWS = 256


class Inputs(NamedTuple):
    """The market data of a run: market x hour, asset x hour (best pairs), fee venue x hour (cost), hour (day)."""

    known: Floats  # rate per hour, NaN: unknown
    settled: Floats
    paid: Counts
    exchange: Ints  # of a market
    delisted: Ints  # of a market: first hour at which its delisting is known
    best_long: Small
    best_short: Small
    cost: Floats  # of a fill, a fraction of the notional
    fee_venue: Ints  # of a market: its row of `cost`
    day: Ints


class Rules(NamedTuple):
    """The thresholds of a run: spreads are fractions a year, `band` NaN for no switching, `most` pairs at once."""

    entry: float
    leave: float
    hold: float
    most: int
    band: float


class Book(NamedTuple):
    """Trades (columns T_*, counts and money apart) and money by hour, and by day, exchange, leg and kind (funding, fees)."""

    trades: Ints
    money: Floats
    funding: Floats
    fees: Floats
    daily: Floats


class DecisionLog(NamedTuple):
    """Decisions (columns D_*, names and spreads apart)."""

    decisions: Ints
    spreads: Floats


class State(NamedTuple):
    """The open positions at the current hour."""

    trade: Ints  # of an asset: row of its open trade, -1: none
    closed: Ints  # of an asset: row of the trade closed at this hour, -1: none
    switches: Flags  # of an asset: that trade was closed for a wider pair
    missing: Ints  # asset x leg: consecutive hours in which its rate was unknown
    skipped: Ints  # of an asset: the last hour at which its entry was skipped
    legs: Ints  # of an exchange: open legs
    counts: Ints  # TRADES, DECISIONS, OPEN, FILLS


class Walked(NamedTuple):
    """The result of `walk`; money in units of the notional, fees negative."""

    trades: Ints
    money: Floats
    decisions: Ints
    spreads: Floats
    funding: Floats  # an hour
    fees: Floats  # an hour
    daily: Floats  # day, exchange, leg (0 long, 1 short), 0 funding 1 fees
    open_pairs: Ints  # an hour, after its decisions
    open_legs: Ints  # of an exchange: the sum over hours, and the most at once
    fills: int


@njit(cache=True, nogil=True)
def best_pairs(
    known: Floats, asset_start: Ints, exchange: Ints, delisted: Ints
) -> tuple[Small, Small, Floats, Ints]:
    """The widest pair of each asset (rows) and hour: market to be long, to be short (-1: fewer than two are known).

    One market of each exchange counts, the first in order that is known and not delisted. Equal rates: the first
    exchange is long, the last short. Also each market's sum of such rates and their count, for the hours but the last.
    """
    assets, hours = asset_start.size - 1, known.shape[1]
    long = np.full((assets, hours), -1, np.int32)
    short = np.full((assets, hours), -1, np.int32)
    total, count = np.zeros(known.shape[0]), np.zeros(known.shape[0], np.int64)
    for a in range(assets):
        low, high = np.full(hours, np.inf), np.full(hours, -np.inf)
        counted = np.full(hours, -1, np.int64)
        for m in range(asset_start[a], asset_start[a + 1]):
            for h in range(min(hours, delisted[m])):
                rate = known[m, h]
                if np.isnan(rate) or counted[h] == exchange[m]:
                    continue
                counted[h] = exchange[m]
                if h < hours - 1:
                    total[m] += rate
                    count[m] += 1
                if rate < low[h]:
                    low[h], long[a, h] = rate, m
                if rate >= high[h]:
                    high[h], short[a, h] = rate, m
        for h in range(hours):
            if long[a, h] == short[a, h]:
                long[a, h], short[a, h] = -1, -1
    return long, short, total, count


@njit(cache=True, nogil=True)
def _spread(data: Inputs, long: int, short: int, h: int) -> float:
    """The known spread of a pair, a fraction a year; NaN: unknown."""
    return (data.known[short, h] - data.known[long, h]) * YEAR_HOURS


@njit(cache=True, nogil=True)
def _settle(data: Inputs, book: Book, state: State, h: int) -> None:
    """Books the payments on the open trades since the hour before, and counts the hours without a known rate."""
    for a in range(state.trade.size):
        t = state.trade[a]
        if t < 0:
            continue
        for leg in range(2):
            m = book.trades[t, T_LONG + leg]
            state.missing[a, leg] = state.missing[a, leg] + 1 if np.isnan(data.known[m, h]) else 0
            if data.paid[m, h]:
                cash = data.settled[m, h] if leg else -data.settled[m, h]
                book.money[t, T_LONG_FUNDING + leg] += cash
                book.funding[h] += cash
                book.daily[data.day[h], data.exchange[m], leg, 0] += cash
                book.trades[t, T_PAYMENTS] += data.paid[m, h]


@njit(cache=True, nogil=True)
def _fill(data: Inputs, book: Book, t: int, leg: int, h: int, times: int) -> int:  # noqa: PLR0917 - numba has no keyword-only
    """Books the cost of filling a leg of trade `t` (`times` 1), or cancels that fill (-1); returns `times`."""
    m = book.trades[t, T_LONG + leg]
    cost = data.cost[data.fee_venue[m], h] * times
    book.money[t, T_FEES] -= cost
    book.fees[h] -= cost
    book.daily[data.day[h], data.exchange[m], leg, 1] -= cost
    return times


@njit(cache=True, nogil=True)
def _exit_reason(data: Inputs, rules: Rules, book: Book, missing: int, t: int, h: int) -> int:  # noqa: PLR0917, PLR0911 - numba has no keyword-only; one return a reason
    """Why trade `t` is closed at this hour, or HELD; `missing`: consecutive hours in which a leg's rate was unknown."""
    asset, long, short = book.trades[t, T_ASSET], book.trades[t, T_LONG], book.trades[t, T_SHORT]
    if data.delisted[long] <= h or data.delisted[short] <= h:
        return BY_DELISTED
    if missing >= MISSING_HOURS:
        return BY_MISSING
    if h == data.day.size - 1:
        return BY_END
    spread = _spread(data, long, short, h)
    if np.isnan(spread) or h - book.trades[t, T_ENTERED] < rules.hold:
        return HELD
    if spread < rules.leave:
        return BY_EXIT
    best_long, best_short = data.best_long[asset, h], data.best_short[asset, h]
    if best_long < 0 or (best_long == long and best_short == short):
        return HELD
    return BY_SWITCH if _spread(data, best_long, best_short, h) >= spread + rules.band else HELD


@njit(cache=True, nogil=True)
def _entries(data: Inputs, rules: Rules, state: State, h: int) -> tuple[Ints, int]:
    """Assets to enter: those that switch, by name, then the widest first, equal ones by name; and how many switch."""
    last = h == data.day.size - 1
    assets, width = np.empty(state.trade.size, np.int64), np.empty(state.trade.size)
    n = 0
    for a in range(state.trade.size):
        if state.switches[a]:
            assets[n], width[n] = a, np.inf
            n += 1
    switching = n
    for a in range(state.trade.size):
        if last or state.switches[a] or state.trade[a] >= 0 or data.best_long[a, h] < 0:
            continue
        spread = _spread(data, data.best_long[a, h], data.best_short[a, h], h)
        if spread < rules.entry:
            continue
        rank = n
        while rank > 0 and width[rank - 1] < spread:
            assets[rank], width[rank] = assets[rank - 1], width[rank - 1]
            rank -= 1
        assets[rank], width[rank] = a, spread
        n += 1
    return assets[:n], switching


@njit(cache=True, nogil=True)
def _with_room(table: Any, rows: int) -> Any:
    """The table itself where it has so many rows, else a copy of at least twice its length."""
    if rows <= table.shape[0]:
        return table
    more = np.zeros((max(rows, table.shape[0] * 2), table.shape[1]), table.dtype)
    for i in range(table.shape[0]):  # a slice would compile five seconds longer, for numpy's messages
        for j in range(table.shape[1]):
            more[i, j] = table[i, j]
    return more


@njit(cache=True, nogil=True)
def _log(
    log: DecisionLog, state: State, row: tuple[int, int, int, int, int, int], spread: float, before: float
) -> None:
    """Writes a decision (the columns D_*), unless the log has no rows: none are recorded."""
    n = state.counts[DECISIONS]
    if log.decisions.shape[0] == 0:
        return
    state.counts[DECISIONS] += 1
    hour, action, asset, long, short, reason = row
    log.decisions[n, D_HOUR], log.decisions[n, D_ACTION], log.decisions[n, D_ASSET] = hour, action, asset
    log.decisions[n, D_LONG], log.decisions[n, D_SHORT], log.decisions[n, D_REASON] = long, short, reason
    log.spreads[n, D_SPREAD], log.spreads[n, D_BEFORE] = spread, before


@njit(cache=True, nogil=True)
def _close(data: Inputs, rules: Rules, book: Book, state: State, log: DecisionLog, h: int) -> None:  # noqa: PLR0917 - numba has no keyword-only
    """Closes the open trades that a rule ends at this hour."""
    for a in range(state.trade.size):
        t = state.trade[a]
        state.closed[a], state.switches[a] = -1, False
        if t < 0:
            continue
        long, short = book.trades[t, T_LONG], book.trades[t, T_SHORT]
        spread = _spread(data, long, short, h)
        reason = _exit_reason(data, rules, book, max(state.missing[a, 0], state.missing[a, 1]), t, h)
        if reason == HELD:
            book.trades[t, T_UNKNOWN] += np.isnan(spread)
            continue
        book.trades[t, T_EXITED], book.trades[t, T_REASON] = h, reason
        book.money[t, T_EXIT_SPREAD] = spread
        for leg in range(2):
            state.counts[FILLS] += _fill(data, book, t, leg, h, 1)
            state.legs[data.exchange[book.trades[t, T_LONG + leg]]] -= 1
        state.trade[a], state.closed[a], state.switches[a] = -1, t, reason == BY_SWITCH
        state.counts[OPEN] -= 1
        if reason != BY_SWITCH:
            _log(log, state, (h, EXIT, a, long, short, reason), spread, np.nan)


@njit(cache=True, nogil=True)
def _open(data: Inputs, book: Book, state: State, a: int, h: int) -> None:
    """Opens the best pair of asset `a`; a leg that the trade closed at this hour shares is neither left nor entered."""
    t, old = state.counts[TRADES], state.closed[a]
    state.counts[TRADES] += 1
    state.counts[OPEN] += 1
    long, short = data.best_long[a, h], data.best_short[a, h]
    book.trades[t, T_ASSET], book.trades[t, T_ENTERED] = a, h
    book.trades[t, T_LONG], book.trades[t, T_SHORT] = long, short
    book.money[t, T_ENTRY_SPREAD] = _spread(data, long, short, h)
    state.trade[a], state.missing[a, 0], state.missing[a, 1] = t, 0, 0
    for leg in range(2):
        m = book.trades[t, T_LONG + leg]
        state.legs[data.exchange[m]] += 1
        if old >= 0 and book.trades[old, T_LONG + leg] == m:
            state.counts[FILLS] += _fill(data, book, old, leg, h, -1)
        else:
            state.counts[FILLS] += _fill(data, book, t, leg, h, 1)


@njit(cache=True, nogil=True)
def _enter(data: Inputs, rules: Rules, book: Book, state: State, log: DecisionLog, h: int) -> None:  # noqa: PLR0917 - numba has no keyword-only
    """Switches and entries of this hour; an entry skipped in consecutive hours is logged once."""
    assets, switching = _entries(data, rules, state, h)
    for i in range(assets.size):
        a = assets[i]
        action = SWITCH if i < switching else ENTER
        repeated = False
        if action == ENTER and state.counts[OPEN] >= rules.most:
            action, repeated = SKIP, state.skipped[a] == h - 1
            state.skipped[a] = h
        if not repeated:
            long, short = int(data.best_long[a, h]), int(data.best_short[a, h])
            before = book.money[state.closed[a], T_EXIT_SPREAD] if action == SWITCH else np.nan
            _log(log, state, (h, action, a, long, short, HELD), _spread(data, long, short, h), before)
        if action != SKIP:
            _open(data, book, state, a, h)


@njit(cache=True, nogil=True)
def walk(data: Inputs, rules: Rules, exchanges: int, record: bool) -> tuple[object, ...]:
    """One run: the fields of `Walked`. Without `record` decisions are not logged."""
    assets, hours = data.best_long.shape
    trades, money = np.zeros((_FIRST_ROWS, 8), np.int64), np.zeros((_FIRST_ROWS, 5))
    first = _FIRST_ROWS if record else 0
    decisions, spreads = np.zeros((first, 6), np.int64), np.zeros((first, 2))
    funding, fees = np.zeros(hours), np.zeros(hours)
    daily = np.zeros((data.day[-1] + 1, exchanges, 2, 2))
    open_pairs, open_legs = np.zeros(hours, np.int64), np.zeros((exchanges, 2), np.int64)
    state = State(
        trade=np.full(assets, -1, np.int64),
        closed=np.full(assets, -1, np.int64),
        switches=np.zeros(assets, np.bool_),
        missing=np.zeros((assets, 2), np.int64),
        skipped=np.full(assets, -2, np.int64),
        legs=np.zeros(exchanges, np.int64),
        counts=np.zeros(4, np.int64),
    )
    for h in range(hours):
        most = state.counts[TRADES] + assets  # an hour enters each asset at most once
        trades, money = _with_room(trades, most), _with_room(money, most)
        if record:
            most = state.counts[DECISIONS] + 2 * assets
            decisions, spreads = _with_room(decisions, most), _with_room(spreads, most)
        book, log = Book(trades, money, funding, fees, daily), DecisionLog(decisions, spreads)
        _settle(data, book, state, h)
        _close(data, rules, book, state, log, h)
        _enter(data, rules, book, state, log, h)
        open_pairs[h] = state.counts[OPEN]
        if h < hours - 1:
            for e in range(exchanges):
                open_legs[e, 0] += state.legs[e]
                open_legs[e, 1] = max(open_legs[e, 1], state.legs[e])
    return (
        trades[: state.counts[TRADES]],
        money[: state.counts[TRADES]],
        decisions[: state.counts[DECISIONS]],
        spreads[: state.counts[DECISIONS]],
        funding,
        fees,
        daily,
        open_pairs,
        open_legs,
        state.counts[FILLS],
    )
