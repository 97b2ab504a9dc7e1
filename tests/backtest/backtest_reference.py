"""The strategy of fundingdb.backtest, said again in plain Python: slow, obvious, over payments as they are in the lake.

Nothing of the compiled core is used or followed: each question ("what was known?", "what was paid?") is answered from the list of
payments each time it is asked.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
EDGE = 1e-9


@dataclass
class Position:
    asset: tuple  # base, asset_class
    long: tuple  # exchange, symbol
    short: tuple
    entered: datetime
    entry_spread: float
    cash: dict = field(default_factory=lambda: {"long": 0.0, "short": 0.0})
    fees: float = 0.0
    payments: int = 0
    unknown: int = 0
    exited: datetime | None = None
    exit_spread: float | None = None
    reason: str = ""

    def legs(self):
        return (("long", self.long), ("short", self.short))


class Reference:
    """Runs at once; then `trades`, `decisions` and `booked` (hour, exchange, leg, kind, usd) tell."""

    def __init__(self, payments, delisted, fees, asked, as_of):
        self.fees, self.asked, self.delisted, self.as_of = fees, asked, delisted, as_of
        self.assets, self.paid = {}, {}
        for p in payments:
            asset, market = (p["base"], p["asset_class"]), (p["exchange"], p["symbol"])
            self.assets.setdefault(asset, set()).add(market)
            self.paid.setdefault((asset, market), []).append(p)
        for rows in self.paid.values():
            rows.sort(key=lambda p: p["funding_time"])
        self.trades, self.decisions, self.booked, self.open_pairs = [], [], [], {}
        self.fills = 0
        self.walk()

    # ---- what one could know

    def known(self, asset, market, at):
        """The rate per hour of the last regular payment, while its own interval lasts."""
        if at >= self.as_of:
            return None
        before = [
            p for p in self.paid[asset, market] if p["rate_type"] == "regular" and p["funding_time"] <= at
        ]
        if not before or before[-1]["interval_hours"] is None:
            return None
        last = before[-1]
        if at >= last["funding_time"] + last["interval_hours"] * HOUR:
            return None
        return last["funding_rate"] / last["interval_hours"]

    def gone(self, market, at):
        return market in self.delisted and self.delisted[market] <= at

    def spread(self, asset, long, short, at):
        low, high = self.known(asset, long, at), self.known(asset, short, at)
        return None if low is None or high is None else (high - low) * 8760

    def widest(self, asset, at):
        """(spread, long, short), or None: one market an exchange, the first one known."""
        standing = {}
        for exchange, symbol in sorted(self.assets[asset], key=lambda m: (m[0], ":" in m[1], m[1])):
            rate = self.known(asset, (exchange, symbol), at)
            if rate is not None and not self.gone((exchange, symbol), at):
                standing.setdefault(exchange, (rate, exchange, symbol))
        if len(standing) < 2:
            return None
        low, high = min(standing.values()), max(standing.values())
        return (high[0] - low[0]) * 8760, low[1:], high[1:]

    # ---- money

    def fee(self, market, at):
        exchange, symbol = market
        rows = sorted(self.fees[f"{exchange}:xyz" if symbol.startswith("xyz:") else exchange])
        return max((r for r in rows if r[0] <= at), default=rows[0])[1]

    def fill(self, position, leg, market, at, times=1):
        cost = self.asked.notional_usd * (self.fee(market, at) + self.asked.slippage_bps / 10_000)
        position.fees -= times * cost
        self.booked.append((at, market[0], leg, "fees", -times * cost))
        self.fills += times

    def settle(self, position, at):
        for leg, market in position.legs():
            for p in self.paid[position.asset, market]:
                if at - HOUR < p["funding_time"] <= at:
                    cash = self.asked.notional_usd * p["funding_rate"] * (-1 if leg == "long" else 1)
                    position.cash[leg] += cash
                    position.payments += 1
                    self.booked.append((at, market[0], leg, "funding", cash))

    # ---- decisions

    def blind(self, position, at):
        """Whether a leg's rate was unknown at this hour and the 23 before it, all of them after the entry."""
        for _, market in position.legs():
            hours = [at - n * HOUR for n in range(24)]
            if hours[-1] > position.entered and all(
                self.known(position.asset, market, h) is None for h in hours
            ):
                return True
        return False

    def verdict(self, position, at):
        own = self.spread(position.asset, position.long, position.short, at)
        reason = None
        if any(self.gone(market, at) for _, market in position.legs()):
            reason = "delisted"
        elif self.blind(position, at):
            reason = "missing"
        elif at == self.asked.end:
            reason = "end"
        elif own is not None and at - position.entered >= self.asked.hold_hours * HOUR:
            if own < self.asked.exit_apr - EDGE:
                reason = "exit"
            elif self.better(position, own, at):
                reason = "switch"
        return reason

    def better(self, position, own, at):
        best, band = self.widest(position.asset, at), self.asked.switch_band_apr
        if band is None or best is None or best[1:] == (position.long, position.short):
            return False
        return best[0] >= own + (band - EDGE)

    def walk(self):
        standing, skipped = {}, set()
        at = self.asked.start
        while at <= self.asked.end:
            left = self.leave(standing, at)
            self.enter(standing, left, skipped, at)
            self.open_pairs[at] = len(standing)
            at += HOUR

    def leave(self, standing, at):
        """The positions left at this hour, by asset."""
        left = {}
        for asset in sorted(standing):
            position = standing[asset]
            self.settle(position, at)
            own = self.spread(asset, position.long, position.short, at)
            reason = self.verdict(position, at)
            if reason is None:
                position.unknown += own is None
                continue
            position.exited, position.exit_spread, position.reason = at, own, reason
            for leg, market in position.legs():
                self.fill(position, leg, market, at)
            left[asset] = standing.pop(asset)
            if reason != "switch":
                self.decisions.append((at, "exit", asset, position.long[0], position.short[0], own))
        return left

    def enter(self, standing, left, skipped, at):
        wanted = [("switch", a) for a in sorted(left) if left[a].reason == "switch"]
        if at < self.asked.end:
            taken = {a for _, a in wanted}
            offers = {a: self.widest(a, at) for a in self.assets if a not in standing and a not in taken}
            paying = [a for a, o in offers.items() if o is not None and o[0] >= self.asked.entry_apr - EDGE]
            wanted += [("enter", a) for a in sorted(paying, key=lambda a: (-offers[a][0], a))]
            skipped &= set(paying)
        for action, asset in wanted:
            spread, long, short = self.widest(asset, at)
            told = (asset, long[0], short[0], spread)
            most = self.asked.max_pairs
            if action == "enter" and most is not None and len(standing) >= most:
                if asset not in skipped:
                    self.decisions.append((at, "skip", *told))
                skipped.add(asset)
                continue
            skipped.discard(asset)
            self.decisions.append((at, action, *told))
            position = standing[asset] = Position(asset, long, short, at, spread)
            self.trades.append(position)
            for leg, market in position.legs():
                if asset in left and dict(left[asset].legs())[leg] == market:
                    self.fill(left[asset], leg, market, at, times=-1)  # it stands on
                else:
                    self.fill(position, leg, market, at)
