"""The strategy hour by hour, in compiled code: arrays in, arrays out. The strategy itself: `fundingdb.backtest`."""

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

MISSING_HOURS = 24  # a leg whose rate was unknown for so many hours on end is given up
EDGE = (
    1e-9  # a year: spreads that miss a threshold by less differ from it in the last bits of a division only
)
NEVER = 2**31 - 1  # an hour that does not come
ACTIONS = ("enter", "exit", "switch", "skip")
REASONS = ("exit", "switch", "missing", "delisted", "end")
ENTER, EXIT, SWITCH, SKIP = range(4)
STAYS, BY_EXIT, BY_SWITCH, BY_MISSING, BY_DELISTED, BY_END = range(-1, 5)
# columns of the tables that `walk` gives
T_ASSET, T_LONG, T_SHORT, T_ENTERED, T_EXITED, T_PAYMENTS, T_UNKNOWN, T_REASON = range(8)
T_ENTRY_SPREAD, T_EXIT_SPREAD, T_LONG_FUNDING, T_SHORT_FUNDING, T_FEES = range(5)
D_HOUR, D_ACTION, D_ASSET, D_LONG, D_SHORT, D_REASON = range(6)
D_SPREAD, D_BEFORE = range(2)
_FIRST_ROWS = 256


class Sight(NamedTuple):
    """What a run stands on: market x hour, asset x hour (best pairs), place x hour (cost), hour (day)."""

    known: Floats  # rate per hour, NaN: unknown
    settled: Floats
    paid: Counts
    exchange: Ints  # of a market
    delisted: Ints  # first hour at which that is known of a market
    best_long: Small
    best_short: Small
    cost: Floats  # the part of the notional that a fill costs
    place: Ints  # of a market: its row of `cost`
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


class Walked(NamedTuple):
    """What `walk` gives; money in units of the notional, fees negative."""

    trades: Ints
    money: Floats
    decisions: Ints
    spreads: Floats
    funding: Floats  # an hour
    fees: Floats  # an hour
    daily: Floats  # day, exchange, leg (0 long, 1 short), 0 funding 1 fees
    open_pairs: Ints  # an hour, after its decisions
    standing: Ints  # exchange: sum over hours, and most at once, of the legs that stand there
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
def _spread(sight: Sight, long: int, short: int, h: int) -> float:
    """What a pair is known to pay a year; NaN: unknown."""
    return (sight.known[short, h] - sight.known[long, h]) * YEAR_HOURS


@njit(cache=True, nogil=True)
def _settle(sight: Sight, book: Book, t: int, h: int) -> None:
    """Books what was paid on both legs of trade `t` since the hour before."""
    for leg in range(2):
        m = book.trades[t, T_LONG + leg]
        if sight.paid[m, h]:
            cash = sight.settled[m, h] if leg else -sight.settled[m, h]
            book.money[t, T_LONG_FUNDING + leg] += cash
            book.funding[h] += cash
            book.daily[sight.day[h], sight.exchange[m], leg, 0] += cash
            book.trades[t, T_PAYMENTS] += sight.paid[m, h]


@njit(cache=True, nogil=True)
def _fill(sight: Sight, book: Book, t: int, leg: int, h: int, times: int) -> int:  # noqa: PLR0917 - numba has no keyword-only
    """Books the cost of filling a leg of trade `t` (`times` 1), or takes it back (-1); gives `times`."""
    m = book.trades[t, T_LONG + leg]
    e, cost = sight.exchange[m], sight.cost[sight.place[m], h] * times
    book.money[t, T_FEES] -= cost
    book.fees[h] -= cost
    book.daily[sight.day[h], e, leg, 1] -= cost
    return times


@njit(cache=True, nogil=True)
def _verdict(sight: Sight, rules: Rules, book: Book, blind: Ints, t: int, h: int) -> int:  # noqa: PLR0917, PLR0911 - numba has no keyword-only; one return a reason
    """Why trade `t` is left at this hour, or STAYS; `blind` are the hours on end in which each leg was unknown."""
    asset, long, short = book.trades[t, T_ASSET], book.trades[t, T_LONG], book.trades[t, T_SHORT]
    if sight.delisted[long] <= h or sight.delisted[short] <= h:
        return BY_DELISTED
    if max(blind[0], blind[1]) >= MISSING_HOURS:
        return BY_MISSING
    if h == sight.day.size - 1:
        return BY_END
    spread = _spread(sight, long, short, h)
    if np.isnan(spread) or h - book.trades[t, T_ENTERED] < rules.hold:
        return STAYS
    if spread < rules.leave:
        return BY_EXIT
    best_long, best_short = sight.best_long[asset, h], sight.best_short[asset, h]
    if best_long < 0 or (best_long == long and best_short == short):
        return STAYS
    return BY_SWITCH if _spread(sight, best_long, best_short, h) >= spread + rules.band else STAYS


@njit(cache=True, nogil=True)
def _wanted(sight: Sight, rules: Rules, row: Ints, turning: Flags, h: int) -> tuple[Ints, int]:
    """Assets to enter: those that switch, by name, then the widest first, equal ones by name; and how many switch."""
    last = h == sight.day.size - 1
    assets, width = np.empty(row.size, np.int64), np.empty(row.size)
    n = 0
    for a in range(row.size):
        if turning[a]:
            assets[n], width[n] = a, np.inf
            n += 1
    switching = n
    for a in range(row.size):
        if last or turning[a] or row[a] >= 0 or sight.best_long[a, h] < 0:
            continue
        spread = _spread(sight, sight.best_long[a, h], sight.best_short[a, h], h)
        if spread < rules.entry:
            continue
        place = n
        while place > 0 and width[place - 1] < spread:
            assets[place], width[place] = assets[place - 1], width[place - 1]
            place -= 1
        assets[place], width[place] = a, spread
        n += 1
    return assets[:n], switching


@njit(cache=True, nogil=True)
def _longer(table: Any) -> Any:
    more = np.zeros((table.shape[0] * 2, table.shape[1]), table.dtype)
    for i in range(table.shape[0]):  # a slice would compile five seconds longer, for numpy's messages
        for j in range(table.shape[1]):
            more[i, j] = table[i, j]
    return more


@njit(cache=True, nogil=True)
def _note(
    log: DecisionLog, n: int, which: tuple[int, int, int, int, int, int], spread: float, before: float
) -> DecisionLog:
    """The log with decision `n` (the columns D_*) written."""
    if n == log.decisions.shape[0]:
        log = DecisionLog(_longer(log.decisions), _longer(log.spreads))
    hour, action, asset, long, short, reason = which
    log.decisions[n, D_HOUR], log.decisions[n, D_ACTION], log.decisions[n, D_ASSET] = hour, action, asset
    log.decisions[n, D_LONG], log.decisions[n, D_SHORT], log.decisions[n, D_REASON] = long, short, reason
    log.spreads[n, D_SPREAD], log.spreads[n, D_BEFORE] = spread, before
    return log


@njit(cache=True, nogil=True)
def walk(sight: Sight, rules: Rules, exchanges: int, record: bool) -> tuple[object, ...]:  # noqa: C901, PLR0912, PLR0915 - one pass over the hours, in the order in which things happen
    """One run: the fields of `Walked`. Without `record` decisions are not logged."""
    assets, hours = sight.best_long.shape
    days = sight.day[-1] + 1
    book = Book(
        np.zeros((_FIRST_ROWS, 8), np.int64),
        np.zeros((_FIRST_ROWS, 5)),
        np.zeros(hours),
        np.zeros(hours),
        np.zeros((days, exchanges, 2, 2)),
    )
    log = DecisionLog(np.zeros((_FIRST_ROWS, 6), np.int64), np.zeros((_FIRST_ROWS, 2)))
    n_trades, n_decisions, n_open, fills = 0, 0, 0, 0
    open_pairs = np.zeros(hours, np.int64)
    standing, legs = np.zeros((exchanges, 2), np.int64), np.zeros(exchanges, np.int64)
    row = np.full(assets, -1, np.int64)  # of the open trade
    closed = np.full(assets, -1, np.int64)  # row of the trade closed at this hour
    blind = np.zeros((assets, 2), np.int64)  # hours on end in which the leg's rate was unknown
    skipped, turning = np.zeros(assets, np.bool_), np.zeros(assets, np.bool_)

    for h in range(hours):
        for a in range(assets):
            t = row[a]
            closed[a], turning[a] = -1, False
            if t < 0:
                continue
            _settle(sight, book, t, h)
            long, short = book.trades[t, T_LONG], book.trades[t, T_SHORT]
            blind[a, 0] = blind[a, 0] + 1 if np.isnan(sight.known[long, h]) else 0
            blind[a, 1] = blind[a, 1] + 1 if np.isnan(sight.known[short, h]) else 0
            spread = _spread(sight, long, short, h)
            reason = _verdict(sight, rules, book, blind[a], t, h)
            if reason == STAYS:
                book.trades[t, T_UNKNOWN] += np.isnan(spread)
                continue
            book.trades[t, T_EXITED], book.trades[t, T_REASON] = h, reason
            book.money[t, T_EXIT_SPREAD] = spread
            for leg in range(2):
                fills += _fill(sight, book, t, leg, h, 1)
                legs[sight.exchange[book.trades[t, T_LONG + leg]]] -= 1
            row[a], closed[a], turning[a] = -1, t, reason == BY_SWITCH
            n_open -= 1
            if record and reason != BY_SWITCH:
                log = _note(log, n_decisions, (h, EXIT, a, long, short, reason), spread, np.nan)
                n_decisions += 1

        wanted, switching = _wanted(sight, rules, row, turning, h)
        passed = skipped
        skipped = np.zeros(assets, np.bool_)
        for i in range(wanted.size):
            a = wanted[i]
            long, short = int(sight.best_long[a, h]), int(sight.best_short[a, h])
            spread = _spread(sight, long, short, h)
            action = SWITCH if i < switching else ENTER
            if action == ENTER and n_open >= rules.most:
                action = SKIP
                skipped[a] = True
            if record and not (action == SKIP and passed[a]):
                before = book.money[closed[a], T_EXIT_SPREAD] if action == SWITCH else np.nan
                log = _note(log, n_decisions, (h, action, a, long, short, -1), spread, before)
                n_decisions += 1
            if action == SKIP:
                continue
            t = n_trades
            if t == book.trades.shape[0]:
                book = Book(_longer(book.trades), _longer(book.money), book.funding, book.fees, book.daily)
            n_trades, n_open = n_trades + 1, n_open + 1
            book.trades[t, T_ASSET], book.trades[t, T_ENTERED] = a, h
            book.trades[t, T_LONG], book.trades[t, T_SHORT] = long, short
            book.money[t, T_ENTRY_SPREAD] = spread
            row[a], blind[a, 0], blind[a, 1] = t, 0, 0
            for leg in range(2):
                legs[sight.exchange[book.trades[t, T_LONG + leg]]] += 1
                old = closed[a]
                if old >= 0 and book.trades[old, T_LONG + leg] == book.trades[t, T_LONG + leg]:
                    fills += _fill(sight, book, old, leg, h, -1)  # it stands on: neither left nor entered
                else:
                    fills += _fill(sight, book, t, leg, h, 1)
        open_pairs[h] = n_open
        if h < hours - 1:
            for e in range(exchanges):
                standing[e, 0] += legs[e]
                standing[e, 1] = max(standing[e, 1], legs[e])
    return (
        book.trades[:n_trades],
        book.money[:n_trades],
        log.decisions[:n_decisions],
        log.spreads[:n_decisions],
        book.funding,
        book.fees,
        book.daily,
        open_pairs,
        standing,
        fills,
    )
