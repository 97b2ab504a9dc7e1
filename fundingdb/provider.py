"""A thin reader for backtests: the rate known at an instant, the payments made over a span.

All rates that are compared are PER HOUR, fractions of notional, positive when longs pay shorts: a payment
counts divided by the hours of its own interval. *Known* at t is the last settled payment at or before t, as
long as it is not older than its interval and a quarter (view `funding_ranges`); where nothing is known the
answer is None, never zero and never an older value. Money moves only through settlements:
`get_funding_payments` and `carry`.

Instants are Unix seconds or aware datetimes. A `token` is a canonical base (`PEPE`) or, where no base is
called so, an exchange's own symbol (`xyz:XYZ100`). A base of several asset classes means the first of crypto,
equity, commodity, fx, index that is loaded, on all exchanges alike. Where one exchange lists a base more than
once its main market answers: one without a dex prefix first, then the first by name; the others answer to
their symbols.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Never

import polars as pl

from fundingdb import catalog
from fundingdb.errors import BadCall, UnknownName
from fundingdb.loaded import Chosen, Loaded, as_time, seconds
from fundingdb.schema import ASSET_CLASSES
from fundingdb.window import Window, instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date
    from pathlib import Path

    Instant = float | datetime
    Instants = pl.Series | Sequence[float] | Sequence[datetime]


@dataclass(frozen=True, slots=True)
class Known:
    """The payment known at an instant: `funding_rate` is per `interval_hours`, `rate_1h` per hour."""

    exchange: str
    symbol: str
    funding_time: datetime
    interval_hours: float
    funding_rate: float
    rate_1h: float


@dataclass(frozen=True, slots=True)
class BestSpread:
    """The widest pair: long the lowest rate, short the highest; `spread_1h` is >= 0, per hour."""

    long_exchange: str
    short_exchange: str
    spread_1h: float


class FundingRateBacktestDataProvider:
    """Known rates and payments of a lake, from memory once `load_data` was called.

    `warehouse` is the lake's folder (default: FUNDINGDB_WAREHOUSE, else ./warehouse); `version` pins it (a
    version of table `funding`, or an aware datetime: as of then), so that a backtest reads the same rows
    again.
    """

    def __init__(self, warehouse: Path | str | None = None, version: int | datetime | None = None) -> None:
        self._warehouse, self._version = warehouse, version
        self._rows: Loaded | None = None

    def load_data(
        self,
        start_date: str | date | Instant,
        end_date: str | date | Instant,
        exchanges: Iterable[str] | None = None,
        tokens: Iterable[str] | None = None,
        *,
        asset_class: str | None = None,
    ) -> pl.DataFrame:
        """Load what answers for every instant from start to end, both included; gives `get_data_summary()`.

        Replaces what was loaded before. A bare date is its 00:00 UTC. A payment before the start that is
        still known at it is loaded too. Raises BadWindow (reversed, naive, milliseconds), UnknownName (an
        exchange, token or asset class that the lake does not have, with near matches), LakeError.
        """
        span = Window(instant(start_date, "start_date"), instant(end_date, "end_date"))
        if asset_class is not None and asset_class not in ASSET_CLASSES:
            raise UnknownName("asset class", asset_class, ASSET_CLASSES)
        chosen = Chosen(_several("exchanges", exchanges), _several("tokens", tokens), asset_class)
        con = catalog.connect(self._warehouse, self._version)
        self._rows = Loaded(con, span, chosen)
        return self.get_data_summary()

    # ---- one instant

    def get_funding_rate(self, timestamp: Instant, exchange: str, token: str) -> float | None:
        """The rate known at an instant, PER HOUR, fraction of notional, positive when longs pay; None:
        unknown.

        `get_funding` has the same payment per its own interval. Raises BadWindow for milliseconds, naive
        datetimes and instants outside the loaded span, UnknownName with near matches, BadCall before
        `load_data`.
        """
        rows = self._rows or _none()
        low, high = rows.spans.get((exchange, token)) or rows.span(exchange, token)
        at = timestamp if timestamp.__class__ is float else seconds(timestamp)
        if not rows.start <= at <= rows.stop:
            raise rows.outside(timestamp)
        row = bisect_right(rows.times, at, low, high) - 1
        if row < low:
            return None
        rate = rows.rates_1h[row]
        return rate if rate == rate else None  # NaN marks where nothing is known  # noqa: PLR0124

    def get_funding(self, timestamp: Instant, exchange: str, token: str) -> Known | None:
        """The payment known at an instant, with its interval; None: unknown. Raises as `get_funding_rate`."""
        rate_1h = self.get_funding_rate(timestamp, exchange, token)
        if rate_1h is None:
            return None
        rows = self._rows or _none()
        market = rows.market(exchange, token)
        row = bisect_right(rows.times, seconds(timestamp), market.low, market.high) - 1
        settled = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(rows.times[row] * 1e6))
        return Known(exchange, market.symbol, settled, rows.hours(row), rows.rates[row], rate_1h)

    def get_spread(self, timestamp: Instant, exchange1: str, exchange2: str, token: str) -> float | None:
        """Known rate on exchange2 minus that on exchange1, PER HOUR: what long exchange1 / short exchange2
        earns.

        Positive: the pair earns. None: one of the two is unknown. Raises as `get_funding_rate`; BadCall for
        an exchange against itself.
        """
        _two(exchange1, exchange2)
        first = self.get_funding_rate(timestamp, exchange1, token)
        second = self.get_funding_rate(timestamp, exchange2, token)
        return None if first is None or second is None else second - first

    def get_best_spread(self, timestamp: Instant, token: str) -> BestSpread | None:
        """The widest spread known at an instant over all loaded exchanges; None: fewer than two are known.

        Equal rates: the first exchange by name is the long side, the last one the short side. Raises as
        `get_funding_rate`.
        """
        known = []
        for exchange in (self._rows or _none()).listing(token):
            rate = self.get_funding_rate(timestamp, exchange, token)
            if rate is not None:
                known.append((rate, exchange))
        if len(known) < 2:
            return None
        (low, long), (high, short) = min(known), max(known)
        return BestSpread(long, short, high - low)

    # ---- many instants

    def funding_rates(self, timestamps: Instants, exchange: str, token: str) -> pl.Series:
        """`get_funding_rate` for each instant, in their order: Float64 per hour, null where unknown.

        Instants are numbers (Unix seconds) or datetimes with a time zone, as a Series, an array or a list.
        """
        rows = self._rows or _none()
        return rows.known(rows.instants(timestamps), rows.market(exchange, token)).alias("rate_1h")

    def spreads(self, timestamps: Instants, exchange1: str, exchange2: str, token: str) -> pl.Series:
        """`get_spread` for each instant, in their order: Float64 per hour, null where one side is unknown."""
        _two(exchange1, exchange2)
        rows = self._rows or _none()
        at = rows.instants(timestamps)
        first, second = (rows.known(at, rows.market(e, token)) for e in (exchange1, exchange2))
        return (second - first).alias("spread_1h")

    def best_spreads(self, timestamps: Instants, token: str) -> pl.DataFrame:
        """`get_best_spread` for each instant, in their order.

        Columns timestamp (UTC), long_exchange, short_exchange, spread_1h (per hour, >= 0), exchanges (how
        many are known); nulls where fewer than two are known.
        """
        rows = self._rows or _none()
        at = rows.instants(timestamps)
        names = rows.listing(token)
        wide = pl.DataFrame({name: rows.known(at, rows.market(name, token)) for name in names})
        low, high = pl.min_horizontal(names), pl.max_horizontal(names)
        count = pl.sum_horizontal(pl.col(name).is_not_null() for name in names)
        long = pl.coalesce(pl.when(pl.col(n) == low).then(pl.lit(n)) for n in names)
        short = pl.coalesce(pl.when(pl.col(n) == high).then(pl.lit(n)) for n in reversed(names))
        pair = pl.when(count >= 2)
        return wide.select(
            timestamp=as_time(at),
            long_exchange=pair.then(long),
            short_exchange=pair.then(short),
            spread_1h=pair.then(high - low),
            exchanges=count.cast(pl.Int64),
        )

    def matrix(self, token: str, every: timedelta = timedelta(hours=1)) -> pl.DataFrame:
        """Known rates over the loaded span: column timestamp (UTC, from the start on), one column per
        exchange.

        Rates are per hour, null where unknown; exchanges in order of name.
        """
        rows = self._rows or _none()
        if every <= timedelta():
            raise BadCall(f"every={every}: must be longer than nothing")
        names = rows.listing(token)
        at = pl.datetime_range(rows.window.start, rows.window.stop, every, time_unit="us", eager=True)
        seconds = rows.instants(at)
        known = {name: rows.known(seconds, rows.market(name, token)) for name in names}
        return pl.DataFrame({"timestamp": at, **known})

    # ---- what was paid

    def get_funding_payments(self, exchange: str, token: str, start: Instant, end: Instant) -> pl.DataFrame:
        """The settlements of one market with start < funding_time <= end, oldest first, special payments
        included.

        Columns funding_time, exchange, symbol, rate_type, funding_rate (fraction of notional per interval,
        positive: longs pay), interval_hours (null: unknown). Empty: nothing was settled, or the lake does not
        have it (view `coverage` tells). Raises as `get_funding_rate`.
        """
        rows = self._rows or _none()
        market = rows.market(exchange, token)
        return rows.ask(
            "SELECT funding_time, exchange, symbol, rate_type, funding_rate, interval_hours FROM funding"
            " WHERE exchange = ? AND symbol = ? AND funding_time > ? AND funding_time <= ?"
            " ORDER BY funding_time, rate_type",
            [exchange, market.symbol, *rows.held(start, end)],
        )

    def carry(self, token: str, long: str, short: str, start: Instant, end: Instant) -> pl.DataFrame:
        """What long on one exchange and short on another was paid: settlements with start < funding_time <=
        end.

        One row a payment, oldest first: funding_time, exchange, symbol, leg (long, short), rate_type,
        interval_hours, funding_rate (per interval, positive: longs pay), cash (in units of notional,
        positive: received). The macro `carry` computes it. Empty as in `get_funding_payments`. Raises as
        `get_spread`.
        """
        _two(long, short)
        rows = self._rows or _none()
        legs = [rows.market(exchange, token) for exchange in (long, short)]
        if legs[0].base != legs[1].base:
            raise BadCall(f"{token} is {legs[0].base} on {long} and {legs[1].base} on {short}: not one asset")
        places = [f"{leg.exchange}/{leg.symbol}" for leg in legs]
        span = [at.isoformat() for at in rows.held(start, end)]
        return rows.ask(
            "SELECT * FROM carry(?, ?, ?, ?, ?, class := ?) ORDER BY funding_time, leg, rate_type",
            [legs[0].base, *places, *span, legs[0].asset_class],
        )

    def get_funding_payment_times(self, exchange: str) -> pl.Series:
        """The distinct funding times of an exchange in the loaded span, in order (UTC)."""
        rows = self._rows or _none()
        return rows.payments().filter(exchange=rows.exchange(exchange))["funding_time"].unique().sort()

    def payments(self) -> pl.DataFrame:
        """The loaded regular payments of known interval, by exchange, asset class, base, symbol and time.

        Columns exchange, asset_class, base, symbol, funding_time (UTC), interval_hours, funding_rate (per
        interval), rate_1h (per hour).
        """
        return (self._rows or _none()).payments()

    def get_data_summary(self) -> pl.DataFrame:
        """What is loaded, one row a market.

        Columns exchange, asset_class, base, symbol, main (the market its base stands for), payments, first,
        last (funding times in the loaded span), interval_hours (the intervals met), holes and hole_hours
        (spans between two payments, and hours of them, in which nothing was known).
        """
        return (self._rows or _none()).summary()


def _none() -> Never:
    raise BadCall("nothing is loaded: call load_data(start_date, end_date) first")


def _two(exchange1: str, exchange2: str) -> None:
    if exchange1 == exchange2:
        raise BadCall(f"{exchange1} against itself: a spread takes two exchanges")


def _several(what: str, names: Iterable[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    several = (names,) if isinstance(names, str) else tuple(names)
    if not several:
        raise BadCall(f"{what} is empty: name some, or leave it out for all")
    return several
