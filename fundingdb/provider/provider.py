"""A thin reader for backtests: the rate known at an instant, the payments made over a span.

All rates that are compared are PER HOUR, fractions of notional, positive when longs pay shorts: a payment
counts divided by the hours of its own interval. *Known* at t is the last settled payment at or before t, for
exactly its own interval (view `funding_ranges`); where nothing is known the
answer is None, never zero and never an older value. Money moves only through settlements:
`get_funding_payments` and `carry`.

Instants are Unix seconds or aware datetimes. A `token` is a canonical base (`PEPE`) or, where no base is
called so, an exchange's own symbol (`xyz:XYZ100`). A base of several asset classes means the first of crypto,
equity, commodity, fx, index that is loaded, on all exchanges alike. Where one exchange lists a base more than
once its main market answers: one without a dex prefix first, then the first by name; the others answer to
their symbols.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Never

import numpy as np
import polars as pl

from fundingdb.catalog import catalog
from fundingdb.errors import BadCall, BadWindow, NoRowsWarning, UnknownName, VersionGone
from fundingdb.fetchers.registry import fetcher
from fundingdb.provider import fingerprint, instants, money
from fundingdb.provider.lake_view import LakeView
from fundingdb.provider.loading import Loaded
from fundingdb.provider.names import Chosen, LoadedMarket
from fundingdb.provider.pairs import best_pair
from fundingdb.provider.rows import gathered
from fundingdb.schema import ASSET_CLASSES
from fundingdb.settings import default_warehouse
from fundingdb.window import HOUR, Window, instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    import numpy.typing as npt

    Instant = float | datetime
    Instants = pl.Series | npt.NDArray[np.generic] | Sequence[float] | Sequence[datetime]


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

    `warehouse` is the lake's folder (default: FUNDINGDB_WAREHOUSE, else ./warehouse). `version` (a version of table
    `funding`) or `as_of` (aware datetime: what was committed by then) pins it: the same rows for ever, whatever is
    written, restated or merged later, until `vacuum` deletes them (VersionGone). `known_by` (aware datetime) hides
    what was fetched later: settlements and snapshots learned after it are not there, and one restated after it has
    the value of then; a row changed after it in another way (a figure filled in) is left out too. A lake that was
    filled afterwards knows nothing by an early `known_by`. Raises BadCall for `version` with `as_of`, BadWindow for
    naive datetimes, milliseconds and an `as_of` to come.
    """

    def __init__(
        self,
        warehouse: Path | str | None = None,
        version: int | None = None,
        *,
        as_of: Instant | None = None,
        known_by: Instant | None = None,
    ) -> None:
        if version is not None and as_of is not None:
            raise BadCall("version and as_of pin twice: give one of them")
        if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
            raise BadCall(f"version {version!r}: give the number of a version, or an instant as as_of=")
        self._warehouse, self._version = warehouse, version
        self._as_of = None if as_of is None else instant(instants.plain(as_of), "as_of")
        self._known_by = None if known_by is None else instant(instants.plain(known_by), "known_by")
        if self._as_of is not None and self._as_of > datetime.now(UTC):
            raise BadWindow(f"as_of {self._as_of.isoformat()} is still to come: it pins nothing")
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
        """Load the rows for every instant from start to end, both included; returns `get_data_summary()`.

        Replaces what was loaded before. A bare date is its 00:00 UTC. A payment before the start that is
        still known at it is loaded too. Raises BadWindow (reversed, naive, milliseconds), UnknownName (an
        exchange, token or asset class that the lake does not have, with near matches), VersionGone (the pinned
        version does not exist or was vacuumed), LakeError. Warns (NoRowsWarning) where the folder has no lake, and
        where no settlement of the span is stored, of any market or of a chosen exchange or token.
        """
        span = Window(instant(start_date, "start_date"), instant(end_date, "end_date"))
        if asset_class is not None and asset_class not in ASSET_CLASSES:
            raise UnknownName("asset class", asset_class, ASSET_CLASSES)
        chosen = Chosen(_several("exchanges", exchanges), _several("tokens", tokens), asset_class)
        folder = default_warehouse() if self._warehouse is None else Path(self._warehouse)
        filled = catalog.has_lake(folder)
        listed, committed = catalog.pinned(folder, self._as_of or self._version)
        if self._as_of is not None and committed is None:
            raise VersionGone(f"{folder}: nothing was committed by as_of {self._as_of.isoformat()}")
        self._rows = Loaded(LakeView(listed, committed, self._known_by), span, chosen)
        summary = self.get_data_summary()
        absent = self._rows.without_rows(summary) if filled else []
        if absent:
            warnings.warn(
                f"{folder}: no settlement from {span.start:%Y-%m-%d %H:%M}Z to {span.stop:%Y-%m-%d %H:%M}Z is stored "
                f"{'for ' if summary['payments'].sum() else 'at all for '}{', '.join(absent)}: "
                "'fundingdb coverage' lists what is, 'fundingdb backfill' fetches more",
                NoRowsWarning,
                stacklevel=2,
            )
        return summary

    # ---- one instant

    def rate_1h(self, timestamp: Instant, exchange: str, token: str) -> float | None:
        """The rate known at an instant, per hour: fraction of notional, positive when longs pay; None: unknown.

        `rates_1h` answers many instants at once, `get_funding` returns the same payment per its own interval. Raises BadWindow
        for milliseconds, naive datetimes and instants outside the loaded span, UnknownName with near matches, BadCall before
        `load_data`.
        """
        rows = self._rows or _none()
        low, high = rows.spans.get((exchange, token)) or rows.span(exchange, token)
        at = timestamp if timestamp.__class__ is float else instants.seconds(timestamp)
        if not rows.start <= at <= rows.stop:
            raise rows.outside(timestamp)
        row = bisect_right(rows.times, at, low, high) - 1
        if row < low:
            return None
        code = rows.codes[row]
        return rows.rates[row] / rows.hours[code] if at - rows.times[row] < rows.keeps[code] else None

    def get_funding_rate(self, timestamp: Instant, exchange: str, token: str) -> float | None:
        """`rate_1h` under its first name: the rate known at an instant PER HOUR, not per interval."""
        return self.rate_1h(timestamp, exchange, token)

    def get_funding(self, timestamp: Instant, exchange: str, token: str) -> Known | None:
        """The payment known at an instant, with its interval; None: unknown. Raises as `get_funding_rate`."""
        rate_1h = self.rate_1h(timestamp, exchange, token)
        if rate_1h is None:
            return None
        rows = self._rows or _none()
        market = rows.market(exchange, token)
        row = bisect_right(rows.times, instants.seconds(timestamp), market.low, market.high) - 1
        settled = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(rows.times[row] * 1e6))
        hours = rows.hours[rows.codes[row]]
        return Known(market.exchange, market.symbol, settled, hours, rows.rates[row], rate_1h)

    def get_spread(self, timestamp: Instant, exchange1: str, exchange2: str, token: str) -> float | None:
        """Known rate on exchange2 minus that on exchange1, PER HOUR: what long exchange1 / short exchange2
        earns.

        Positive: the pair earns. None: one of the two is unknown. Raises as `get_funding_rate`; BadCall for
        an exchange against itself. Both are matched by name alone: `get_data_summary` shows a mismatch.
        """
        _two(exchange1, exchange2)
        first = self.rate_1h(timestamp, exchange1, token)
        second = self.rate_1h(timestamp, exchange2, token)
        return None if first is None or second is None else second - first

    def get_best_spread(self, timestamp: Instant, token: str) -> BestSpread | None:
        """The widest spread known at an instant over all loaded exchanges; None: fewer than two are known.

        Equal rates: the first exchange by name is the long side, the last one the short side. A market that the view
        `identity_checks` calls a mismatch (by all snapshots read, whatever the instant) is left out. Raises as
        `get_funding_rate`.
        """
        names = (self._rows or _none()).paired(token)
        rates = [self.rate_1h(timestamp, exchange, token) for exchange in names]
        known = np.array([[np.nan if rate is None else rate] for rate in rates]).reshape(-1, 1)
        long, short = (int(row[0]) for row in best_pair(known)[:2])
        return (
            None
            if long < 0
            else BestSpread(names[long], names[short], float(known[short, 0] - known[long, 0]))
        )

    # ---- many instants

    def rates_1h(self, timestamps: Instants, exchange: str, token: str) -> pl.Series:
        """`rate_1h` for each instant, in their order: Float64 per hour, named rate_1h, null where unknown.

        Instants are numbers (Unix seconds) or datetimes with a time zone: a list, an array, a Series or a column of a
        frame. Raises as `rate_1h`, BadWindow with the first bad row.
        """
        rows = self._rows or _none()
        return rows.known(rows.instants(timestamps), rows.market(exchange, token))["rate_1h"]

    def funding_rates(self, timestamps: Instants, exchange: str, token: str) -> pl.Series:
        """`rates_1h` under its first name: per hour, not per interval."""
        return self.rates_1h(timestamps, exchange, token)

    def spreads(self, timestamps: Instants, exchange1: str, exchange2: str, token: str) -> pl.Series:
        """`get_spread` for each instant, in their order: Float64 per hour, null where one side is unknown."""
        _two(exchange1, exchange2)
        rows = self._rows or _none()
        at = rows.instants(timestamps)
        first, second = (rows.known(at, rows.market(e, token))["rate_1h"] for e in (exchange1, exchange2))
        return (second - first).alias("spread_1h")

    def best_spreads(self, timestamps: Instants, token: str) -> pl.DataFrame:
        """`get_best_spread` for each instant, in their order.

        Columns timestamp (UTC), long_exchange, short_exchange, spread_1h (per hour, >= 0), exchanges (how
        many are known); nulls where fewer than two are known.
        """
        rows = self._rows or _none()
        at = rows.instants(timestamps)
        names = rows.paired(token)
        each = [rows.known(at, rows.market(name, token))["rate_1h"].fill_null(np.nan) for name in names]
        rates = np.array([rate.to_numpy() for rate in each]).reshape(len(names), at.len())
        best = best_pair(rates)
        exchange = pl.Series([*names, None], dtype=pl.String)  # -1: none
        column = np.arange(at.len())
        wide = (
            np.where(best.long < 0, np.nan, rates[best.short, column] - rates[best.long, column])
            if names
            else at * np.nan
        )
        return pl.DataFrame(
            {
                "timestamp": instants.as_time(at),
                "long_exchange": exchange[best.long % len(exchange)],
                "short_exchange": exchange[best.short % len(exchange)],
                "spread_1h": pl.Series(wide, dtype=pl.Float64).fill_nan(None),
                "exchanges": pl.Series(best.exchanges, dtype=pl.Int64),
            }
        )

    def matrix(self, token: str, every: timedelta = timedelta(hours=1)) -> pl.DataFrame:
        """Known rates over the loaded span: column timestamp (UTC, from the start on), one column per
        exchange.

        Rates are per hour, null where unknown; exchanges in order of name.
        """
        rows = self._rows or _none()
        at = rows.grid(every)
        names, seconds = rows.listing(token), rows.instants(at)
        known = {name: rows.known(seconds, rows.market(name, token))["rate_1h"] for name in names}
        return pl.DataFrame({"timestamp": at, **known})

    def interpolate_missing_data(
        self, token: str, *, limit: timedelta, every: timedelta = timedelta(hours=1)
    ) -> pl.DataFrame:
        """Known rates on a regular grid, the last one held over missing hours for at most `limit`, and flagged.

        One row per instant of the grid (the loaded span from its start on) and exchange, in that order: timestamp
        (UTC), exchange, symbol, rate_1h (per hour; null: nothing was known for longer than `limit`), filled (true: not
        known at that instant, held from before), funding_time (the payment it comes from). Held forward only: never
        from a later payment, no line drawn between two, nothing across a payment of unknown interval. `limit` counts
        from the instant at which the rate stopped being known (its interval after the settlement). No
        other read fills anything; `.filter("filled")` are the invented cells,
        `.pivot("exchange", index="timestamp", values="rate_1h")` is the shape of `matrix`. Raises BadCall for a
        `limit` or `every` that is no timedelta above zero; else as `get_funding_rate`.
        """
        rows = self._rows or _none()
        if not isinstance(limit, timedelta) or limit <= timedelta():
            raise BadCall(f"limit={limit!r}: give a timedelta above zero, how long a value may be held")
        at = rows.grid(every)
        seconds = rows.instants(at)
        frames = []
        for exchange in rows.listing(token):
            market = rows.market(exchange, token)
            held = rows.known(seconds, market, limit.total_seconds())
            frames.append(
                held.select(
                    timestamp=at,
                    exchange=pl.lit(exchange),
                    symbol=pl.lit(market.symbol),
                    rate_1h="rate_1h",
                    filled=~pl.col("fresh").fill_null(value=True),
                    funding_time=instants.as_time(held["funding_time"]),
                )
            )
        return pl.concat(frames).sort("timestamp", "exchange")

    # ---- what was paid

    def get_funding_payments(self, exchange: str, token: str, start: Instant, end: Instant) -> pl.DataFrame:
        """The settlements of one market with start < funding_time <= end, oldest first, special payments
        included.

        Columns funding_time, exchange, symbol, rate_type, funding_rate (fraction of notional per interval,
        positive: longs pay), interval_hours (null: unknown), mark_price (quote per base token; null: unknown).
        Empty: nothing was settled, or the lake does not have it (see `carry_summary` and the view `coverage`). Raises as
        `get_funding_rate`; BadCall for an exchange that shows no history (Variational): the lake has no settlements
        of it, and what its published rates come to can't be proven.
        """
        rows = self._rows or _none()
        market = self._settling(exchange, token)
        return rows.lake_view.query(
            "SELECT funding_time, exchange, symbol, rate_type, funding_rate, interval_hours, mark_price FROM funding"
            " WHERE exchange = ? AND asset_class = ? AND base = ? AND symbol = ?"
            " AND funding_time > ? AND funding_time <= ? ORDER BY funding_time, rate_type",
            [*market.who, *rows.held(start, end)],
        )

    def carry(  # noqa: PLR0917 - what and where, when, how much: the order of the sentence
        self, token: str, long: str, short: str, start: Instant, end: Instant, notional: float = 1.0
    ) -> pl.DataFrame:
        """What long on one exchange and short on another was paid: settlements with start < funding_time <=
        end, each leg at its own times.

        One row a payment, oldest first: funding_time, exchange, symbol, leg (long, short), rate_type,
        interval_hours, funding_rate (per interval, positive: longs pay), cash (in the unit of `notional`, the worth of
        each leg at entry; positive: received), mark_ratio. A leg holds the quantity it entered with: cash is funding_rate
        x notional x mark_ratio, the mark price at the payment over that at entry. mark_ratio is null where one of them
        is unknown: cash is then on the notional at entry. The macro `carry` computes it. Empty as in
        `get_funding_payments`; `carry_summary` says what is missing. Raises as `get_spread` and `get_funding_payments`;
        BadCall for a notional that is no number above zero.
        """
        _two(long, short)
        rows = self._rows or _none()
        legs = self._legs(token, long, short)
        if (
            isinstance(notional, bool)
            or not isinstance(notional, int | float)
            or not 0 < notional < float("inf")
        ):
            raise BadCall(f"notional={notional!r}: give the worth of one leg at entry, a number above zero")
        names = [f"{leg.exchange}/{leg.symbol}" for leg in legs]
        span = [at.isoformat() for at in rows.held(start, end)]
        return rows.lake_view.query(
            "SELECT * FROM carry(?, ?, ?, ?, ?, class := ?, notional := ?) ORDER BY funding_time, leg, rate_type",
            [legs[0].base, *names, *span, legs[0].asset_class, float(notional)],
        )

    def carry_summary(  # noqa: PLR0917 - as `carry`
        self, token: str, long: str, short: str, start: Instant, end: Instant, notional: float = 1.0
    ) -> pl.DataFrame:
        """What `carry` adds up to, and what is missing from it: rows long, short and both.

        Columns leg, exchange, symbol (null for both), payments, specials (of them), funding (sum of cash, in the unit of
        `notional`), earned_apr (funding / notional a year over the whole span, not compounded), span_hours, hole_hours
        (no payment accounts for them, as far as one could know at the end; for both: one leg or the other), unknown_hours
        (before a payment of unknown interval: nobody can know), marks (payments whose mark_ratio is known). With
        hole_hours above 0 the sum is of what the lake has, not of what was paid. Raises as `carry`.
        """
        paid = self.carry(token, long, short, start, end, notional)
        rows = self._rows or _none()
        first, last = rows.held(start, end)
        lost = {
            leg: (market, money.unpaid(rows.settled(market, first, last), first, last))
            for leg, market in zip(("long", "short"), self._legs(token, long, short), strict=True)
        }
        return money.summary(paid, lost, (last - first) / HOUR, notional)

    def _legs(self, token: str, long: str, short: str) -> list[LoadedMarket]:
        legs = [self._settling(exchange, token) for exchange in (long, short)]
        if legs[0].base != legs[1].base:
            raise BadCall(f"{token} is {legs[0].base} on {long} and {legs[1].base} on {short}: not one asset")
        return legs

    def _settling(self, exchange: str, token: str) -> LoadedMarket:
        """The market, of an exchange with settlements."""
        try:
            return (self._rows or _none()).market(exchange, token)
        except UnknownName as error:
            why = _why_never(exchange)
            if why is None:
                raise
            raise BadCall(
                f"{exchange} has no settled payments to add up ({why}): what it shows of now is in view `latest`"
            ) from error

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

        Columns exchange, asset_class, base, symbol, main (the market that its base names), payments, first,
        last (funding times in the loaded span), interval_hours (the intervals that occur), holes and hole_hours
        (spans between two payments, and hours of them in the loaded span, in which nothing was known), mismatch (view
        `identity_checks` says it is another thing of the same name: left out of the best spreads, it answers to all
        else).
        """
        return (self._rows or _none()).summary()

    def fingerprint(self) -> str:
        """A hash of the rows read and of the code, `rows-version-code`: equal fingerprints mean equal figures.

        Of every settlement in the loaded span, special ones included, and of those known at its start: exchange, asset
        class, base, symbol, kind, time, interval, rate and mark price. Neither files nor the order of writing count,
        so that it survives a compaction; `code` changes with any module or view of fundingdb. The same in every
        process. Raises BadCall before `load_data`, VersionGone where the rows were vacuumed meanwhile.
        """
        rows = self._rows or _none()
        columns = ["interval_hours", "funding_rate", "mark_price"]
        read = gathered(rows.lake_view.parts(rows.window, rows.chosen, columns), rows.window, columns)
        return f"{fingerprint.of_rows(read)[:32]}-{fingerprint.of_code()}"


def _none() -> Never:
    raise BadCall("nothing is loaded: call load_data(start_date, end_date) first")


def _why_never(exchange: str) -> str | None:
    """Why an exchange settles nothing that can be stored; None: it does, or the exchange is unknown."""
    try:
        source = fetcher(exchange)
    except UnknownName:
        return None
    return f"interval: {source.interval}; history: none" if source.history is None else None


def _two(exchange1: str, exchange2: str) -> None:
    if exchange1.casefold() == exchange2.casefold():
        raise BadCall(f"{exchange1} against itself: a spread takes two exchanges")


def _several(what: str, names: Iterable[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    several = (names,) if isinstance(names, str) else tuple(names)
    if not several:
        raise BadCall(f"{what} is empty: name some, or leave it out for all")
    return several
