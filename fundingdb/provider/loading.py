"""The rows of a provider in memory: 18 bytes a payment, searched by bisection.

Rows of one market are contiguous, oldest first: the settlement (Unix seconds; doubles keep microseconds apart), the
rate per interval, and a code for the interval. How long a rate counts as known: `fundingdb.provider.known`.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fundingdb.errors import BadCall, BadWindow, UnknownName
from fundingdb.fetchers.identity import matching, spellings
from fundingdb.provider import instants, names
from fundingdb.provider.known import interval_us
from fundingdb.provider.names import WHO, Chosen, LoadedMarket
from fundingdb.provider.rows import gathered
from fundingdb.schema import TIME
from fundingdb.window import Window, instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fundingdb.provider.lake_view import LakeView

_HALF = 5e-7  # half a microsecond: instants are whole ones, doubles are a little off them


class Loaded:
    """The rows of one load and their names; raises UnknownName for chosen names the lake does not have."""

    def __init__(self, lake_view: LakeView, window: Window, chosen: Chosen) -> None:
        self.lake_view, self.window, self.chosen = lake_view, window, chosen
        self.start, self.stop = window.start.timestamp(), window.stop.timestamp()
        self.spans: dict[tuple[str, str], tuple[int, int]] = {}  # (exchange, token) -> rows, as read so far
        self._read()
        self._classes = names.classes(self._markets)
        self._named = names.named(self._markets, self._classes)
        self._exchanges = {market.exchange for market in self._markets}
        self._paired: dict[str, list[str]] = {}
        self._everywhere: list[LoadedMarket] = []
        self._absent: dict[str, dict[str, LoadedMarket]] | None = (
            None  # names without rows here, read when missed
        )
        for exchange in chosen.exchanges or ():
            self.exchange(exchange)
        for token in chosen.tokens or ():
            self.listing(token)

    def _read(self) -> None:
        rows = gathered(
            self.lake_view.parts(self.window, self.chosen, ["interval_hours", "funding_rate"]),
            self.window,
            ["interval_hours", "funding_rate"],
        )
        regular = [i for i, who in enumerate(rows.series) if who[-1] == "regular"]
        cuts = [slice(rows.lows[i], rows.lows[i + 1]) for i in regular]
        whole = len(regular) == len(rows.series)
        time = rows.time if whole else _of(rows.time, cuts)
        self._time = time / 1e6
        self._rate = rows.values["funding_rate"] if whole else _of(rows.values["funding_rate"], cuts)
        hours = rows.values["interval_hours"] if whole else _of(rows.values["interval_hours"], cuts)
        self._code, self._hours = _coded(hours)
        self._keep = interval_us(self._hours) / 1e6 - _HALF  # NaN: never known
        self.times, self.rates = self._time.data, self._rate.data
        self.codes = self._code.data
        self.hours: list[float] = self._hours.tolist()
        self.keeps: list[float] = self._keep.tolist()
        lows = [0, *np.cumsum([cut.stop - cut.start for cut in cuts], dtype=np.int64).tolist()]
        self._markets = [
            LoadedMarket(*rows.series[i][:4], low, high)
            for i, (low, high) in zip(regular, pairwise(lows), strict=True)
        ]

    @property
    def nbytes(self) -> int:
        """The bytes held for rows."""
        return self._time.nbytes + self._rate.nbytes + self._code.nbytes

    # ---- names

    def span(self, exchange: str, token: str) -> tuple[int, int]:
        """The rows [low, high) of a token on an exchange; raises UnknownName."""
        market = self.market(exchange, token)
        self.spans[exchange, token] = market.low, market.high
        return market.low, market.high

    def market(self, exchange: str, token: str) -> LoadedMarket:
        """The market that a token means on an exchange; without rows where the lake has none in this span."""
        market = self._named.get(token, {}).get(exchange)
        if market is None:
            exchange = self.exchange(exchange)
            market = self._on(token).get(exchange) or self._on(token, self._lake()).get(exchange)
        if market is None:
            raise self._unknown(token, f"token on {exchange}", exchange)
        return market

    def listing(self, token: str) -> list[str]:
        """The exchanges that have a token, in order of name; raises UnknownName."""
        on = self._on(token) or self._on(token, self._lake())
        if not on:
            raise self._unknown(token, "token", None)
        return sorted(on)

    def _on(
        self, token: str, names: dict[str, dict[str, LoadedMarket]] | None = None
    ) -> dict[str, LoadedMarket]:
        """Exchange -> market of a token in the user's spelling."""
        names = self._named if names is None else names
        return names.get(matching(token, names) or token, {})

    def paired(self, token: str) -> list[str]:
        """Those of `listing` whose market is the same asset, not another one of the same name."""
        if token not in self._paired:
            other = self.lake_view.mismatched()
            self._paired[token] = [e for e in self.listing(token) if self.market(e, token).who not in other]
        return self._paired[token]

    def exchange(self, name: str) -> str:
        """The exchange of this name in any case; raises UnknownName, or BadCall when load_data left it out."""
        loaded = matching(name, self._exchanges)
        if loaded is not None:
            return loaded
        lake = {market.exchange for market in self._all()}
        exchange = matching(name, lake)
        if exchange is None:
            raise UnknownName("exchange", name, lake)
        only = self.chosen.exchanges
        if only is not None and exchange not in (self.chosen.spelled[0] or ()):
            raise BadCall(f"exchange {exchange} was not loaded: load_data was limited to {', '.join(only)}")
        return exchange

    def _all(self) -> list[LoadedMarket]:
        self._lake()
        return self._everywhere

    def _lake(self) -> dict[str, dict[str, LoadedMarket]]:
        if self._absent is None:
            self._everywhere = [LoadedMarket(**row) for row in self.lake_view.names().iter_rows(named=True)]
            markets = [m for m in self._everywhere if self.chosen.has(m)]
            self._absent = names.named(markets, names.classes(markets) | self._classes)
        return self._absent

    def _unknown(self, token: str, kind: str, exchange: str | None) -> BadCall:
        """The error for a token that is not loaded: left out, of another class, or unknown."""
        there = [m for m in self._all() if exchange in (None, m.exchange)]
        same = sorted(
            {
                f"{m.asset_class} {m.symbol} on {m.exchange}"
                for m in there
                if {m.base, m.symbol} & set(spellings(token))
            }
        )
        if same:
            means = self._classes.get(matching(token, self._classes) or token)
            why = f"here {token} means the {means}" if means else f"load_data was limited to {self.chosen}"
            return BadCall(
                f"{kind} {token!r} was not loaded: the lake has it as {', '.join(same[:3])}, but {why}"
            )
        return UnknownName(kind, token, {name for m in there for name in (m.base, m.symbol)})

    # ---- instants

    def outside(self, timestamp: Any) -> BadWindow:
        """The error for an instant that can't be answered: wrong unit, no time, outside the loaded span."""
        at = instant(instants.plain(timestamp), "timestamp")
        problem = f"timestamp {at.isoformat()}: is outside the loaded span"
        window = f"{self.window.start.isoformat()} .. {self.window.stop.isoformat()}"
        return BadWindow(f"{problem} {window}; load_data a wider one")

    def held(self, start: Any, end: Any) -> tuple[datetime, datetime]:
        """Both instants as UTC datetimes; raises BadWindow when reversed or outside the loaded span."""
        for at in (start, end):
            if not self.start <= instants.seconds(at) <= self.stop:
                raise self.outside(at)
        span = Window(instant(instants.plain(start), "start"), instant(instants.plain(end), "end"))
        return span.start, span.stop

    def instants(self, timestamps: Any) -> pl.Series:
        """Unix seconds (Float64) of many instants; raises BadWindow naming the first bad one."""
        at = instants.many(timestamps)
        bad = (~at.is_between(self.start, self.stop)).fill_null(value=True)
        if bad.any():
            row = bad.arg_max() or 0
            if at[row] is None:
                raise BadWindow(f"timestamps: row {row} is null")
            try:
                error = self.outside(at[row])
            except BadWindow as wrong:
                error = wrong
            raise BadWindow(f"timestamps: row {row}: {error}")
        return at

    def grid(self, every: timedelta) -> pl.Series:
        """The instants of the span from its start on; raises BadCall for a step that is no timedelta above zero."""
        if not isinstance(every, timedelta) or every <= timedelta():
            raise BadCall(f"every={every!r}: give a timedelta above zero")
        return pl.datetime_range(self.window.start, self.window.stop, every, time_unit="us", eager=True)

    # ---- rows

    def settled(
        self, market: LoadedMarket, start: datetime, end: datetime
    ) -> list[tuple[datetime, float | None]]:
        """Time and interval_hours (None: unknown) of the regular payments in (start, end] and the one before, in order."""
        low = max(market.low, bisect_right(self.times, start.timestamp(), market.low, market.high) - 1)
        high = bisect_right(self.times, end.timestamp(), market.low, market.high)
        payments = list[tuple[datetime, float | None]]()
        for row in range(low, high):
            hours = self.hours[self.codes[row]]
            payments.append((instant(self.times[row], "settlement"), None if hours != hours else hours))  # noqa: PLR0124
        return payments

    def known(self, at: pl.Series, market: LoadedMarket, longer: float = 0.0) -> pl.DataFrame:
        """What is known at Unix seconds, or was up to `longer` seconds before: a row each, nulls where nothing was.

        Columns rate_1h, funding_time (Unix seconds), fresh (known at that instant itself).
        """
        seconds = at.to_numpy()
        if market.low == market.high:
            return pl.DataFrame(schema=_KNOWN).clear(len(seconds))
        row = np.searchsorted(self._time[market.low : market.high], seconds, side="right") - 1 + market.low
        none = row < market.low
        row[none] = market.low
        age, code = seconds - self._time[row], self._code[row]
        lost = none | ~(age < self._keep[code] + longer)  # a payment of unknown interval is never known
        columns = {"rate_1h": self._rate[row] / self._hours[code], "funding_time": self._time[row]}
        return pl.DataFrame(
            {name: np.where(lost, np.nan, figures) for name, figures in columns.items()}
        ).select(
            pl.all().fill_nan(None), fresh=pl.when(pl.Series(~lost)).then(pl.Series(age < self._keep[code]))
        )

    def payments(self) -> pl.DataFrame:
        """The payments of known interval in the span, market by market."""
        counts = [m.high - m.low for m in self._markets]
        number = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
        hours = self._hours[self._code]
        rows = pl.DataFrame(
            {
                "market": number,
                "funding_time": instants.as_time(pl.Series(self._time)),
                "interval_hours": hours,
                "funding_rate": self._rate,
                "rate_1h": self._rate / hours,
            }
        ).filter(pl.col("rate_1h").is_not_nan(), pl.col("funding_time") >= self.window.start)
        who = self._who()[rows["market"]]
        return pl.concat([who, rows.drop("market")], how="horizontal")

    def summary(self) -> pl.DataFrame:
        """One row a market: see `get_data_summary`."""
        other = self.lake_view.mismatched()
        columns: dict[str, list[Any]] = {name: [] for name in _SUMMARY}
        for market in self._markets:
            main = self._named[market.base].get(market.exchange) is market
            row = (*market.who, main, market.who in other, *self._counted(market))
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
        return pl.DataFrame([pl.Series(name, columns[name], dtype) for name, dtype in _SUMMARY.items()])

    def without_rows(self, summary: pl.DataFrame) -> list[str]:
        """The chosen exchanges and tokens without a payment in the span, by the `summary`; `any market` where there is none."""
        paid = summary.filter(pl.col("payments") > 0)
        if not paid.height:
            return [str(self.chosen) if self.chosen.exchanges or self.chosen.tokens else "any market"]
        absent = [e for e in self.chosen.exchanges or () if self.exchange(e) not in paid["exchange"]]
        for token in self.chosen.tokens or ():
            markets = [self.market(exchange, token).who for exchange in self.listing(token)]
            if not paid.join(pl.DataFrame(markets, schema=WHO, orient="row"), on=WHO, how="semi").height:
                absent.append(token)
        return absent

    def _counted(
        self, market: LoadedMarket
    ) -> tuple[int, datetime | None, datetime | None, list[float], int, float]:
        """Payments, first, last, interval_hours, holes and hole_hours of a market."""
        time, code = self._time[market.low : market.high], self._code[market.low : market.high]
        turns = np.flatnonzero(code[1:] != code[:-1]) + 1
        codes = list(dict.fromkeys(code[[0, *turns]].tolist()))
        hours = [self.hours[c] for c in codes if self.hours[c] == self.hours[c]]  # not NaN
        following = time[1:]
        if len(hours) < len(codes):  # a payment of unknown interval ends what was known, and is none itself
            known = np.flatnonzero(~np.isnan(self._hours[code]))
            following = time[np.minimum(known + 1, len(time) - 1)][:-1]
            time, code = time[known], code[known]
        first = int(np.searchsorted(time, self.start))
        ends = (
            [instant(float(at), "settlement") for at in time[first:][[0, -1]]]
            if first < len(time)
            else [None, None]
        )
        keep = self._keep[codes[0]] if len(codes) == 1 else self._keep[code[:-1]]
        gap = time[1:] - time[:-1]
        late = np.flatnonzero((gap > keep + 2 * _HALF) | (following != time[1:]))
        until = np.minimum(time[late] + self._keep[code[late]] + _HALF, following[late])
        lost = time[late + 1] - np.maximum(until, self.start)
        lost = lost[lost > _HALF]
        return len(time) - first, ends[0], ends[1], hours, len(lost), float(lost.sum()) / 3600

    def _who(self) -> pl.DataFrame:
        return pl.DataFrame(
            [m.who for m in self._markets], schema=dict.fromkeys(WHO, pl.String), orient="row"
        )


_KNOWN = {"rate_1h": pl.Float64, "funding_time": pl.Float64, "fresh": pl.Boolean}
_SUMMARY = {
    **dict.fromkeys(WHO, pl.String),
    "main": pl.Boolean,
    "mismatch": pl.Boolean,
    "payments": pl.Int64,
    "first": TIME,
    "last": TIME,
    "interval_hours": pl.List(pl.Float64),
    "holes": pl.Int64,
    "hole_hours": pl.Float64,
}


def _of(array: npt.NDArray[Any], cuts: Sequence[slice]) -> npt.NDArray[Any]:
    return np.concatenate([array[cut] for cut in cuts]) if cuts else array[:0]


def _coded(hours: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.float64]]:
    """The interval code of each row, and the hours of each code; NaN (unknown) is one of them."""
    unknown = np.isnan(hours)
    plain = np.where(unknown, 0.0, hours) if unknown.any() else hours
    starts = (
        np.concatenate([[0], np.flatnonzero(plain[1:] != plain[:-1]) + 1]) if len(plain) else np.empty(0, int)
    )
    spells, number = np.unique(plain[starts], return_inverse=True)
    kind = np.uint16 if len(spells) <= np.iinfo(np.uint16).max else np.uint32
    code = np.repeat(number.astype(kind), np.diff([*starts, len(plain)]))
    return code, np.where(spells == 0.0, np.nan, spells)
