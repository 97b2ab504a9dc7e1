"""The rows a provider answers from: three doubles a row, found by bisection.

Rows of one market lie together, oldest first: when a rate became known (Unix seconds; doubles keep
microseconds apart), the rate per hour, the rate per interval. Where nothing is known any more a row with rate
NaN says so, which makes "the last row at or before t" the whole of a lookup. Intervals are kept as spells of
equal ones.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from numbers import Real
from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.errors import BadCall, BadWindow, LakeError, UnknownName
from fundingdb.schema import ASSET_CLASSES, TIME
from fundingdb.window import Window, instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from duckdb import DuckDBPyConnection  # noqa: TID251 - the type alone; catalog opens it

_WHO = ["exchange", "asset_class", "base", "symbol"]
KEEPS = 1.25  # a rate is known for its interval and a quarter, as in sql/funding_ranges.sql
_HOUR = 3_600_000_000  # microseconds
_NEVER = 2**62
_NOTHING = pl.lit(float("nan"))
_FOLLOWING = pl.when(pl.col("market") == pl.col("market").shift(-1)).then(pl.col("time").shift(-1))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What load_data was limited to; None: everything."""

    exchanges: tuple[str, ...] | None
    tokens: tuple[str, ...] | None
    asset_class: str | None

    def __str__(self) -> str:
        parts = (", ".join(self.exchanges or ()), ", ".join(self.tokens or ()), self.asset_class or "")
        return "; ".join(part for part in parts if part) or "nothing"

    def has(self, market: Market) -> bool:
        """Whether a market is among what was chosen."""
        return (
            (self.exchanges is None or market.exchange in self.exchanges)
            and (self.tokens is None or market.base in self.tokens or market.symbol in self.tokens)
            and self.asset_class in (None, market.asset_class)
        )

    def where(self) -> tuple[str, list[str]]:
        """A SQL condition on exchange, base, symbol, asset_class, and its parameters."""
        conditions, values = ["true"], list[str]()
        if self.exchanges is not None:
            conditions.append(f"exchange IN ({_marks(self.exchanges)})")
            values += self.exchanges
        if self.tokens is not None:
            conditions.append(f"(base IN ({_marks(self.tokens)}) OR symbol IN ({_marks(self.tokens)}))")
            values += [*self.tokens, *self.tokens]
        if self.asset_class is not None:
            conditions.append("asset_class = ?")
            values.append(self.asset_class)
        return " AND ".join(conditions), values


@dataclass(frozen=True, slots=True)
class Market:
    """One market and its rows [low, high)."""

    exchange: str
    asset_class: str
    base: str
    symbol: str
    low: int = 0
    high: int = 0


class Loaded:
    """The rows of one load and their names; raises UnknownName for chosen names the lake does not have."""

    def __init__(self, con: DuckDBPyConnection, window: Window, chosen: Chosen) -> None:
        self.window, self.start, self.stop = window, window.start.timestamp(), window.stop.timestamp()
        self.spans: dict[tuple[str, str], tuple[int, int]] = {}  # (exchange, token) -> rows, as asked so far
        self._con, self._chosen = con, chosen
        rows, found = self._read()
        self._time = rows["time"]
        self._rate_1h, self._rate = rows["rate_1h"], rows["funding_rate"]
        self.times, self.rates_1h, self.rates = map(_view, (self._time, self._rate_1h, self._rate))
        spells = rows["interval_hours"].rle().struct.unnest()
        self._spell_stops: list[int] = spells["len"].cum_sum().to_list()
        self._spell_hours: list[float] = spells["value"].to_list()
        self._markets = [Market(**row) for row in found.iter_rows(named=True)]
        self._classes = _classes(self._markets)
        self._named = _named(self._markets, self._classes)
        self._exchanges = {market.exchange for market in self._markets}
        self._everywhere: list[Market] = []
        self._absent: dict[str, dict[str, Market]] | None = (
            None  # the lake's names without rows here, read when missed
        )
        for exchange in chosen.exchanges or ():
            self.exchange(exchange)
        for token in chosen.tokens or ():
            self.listing(token)

    def _read(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows, market by market and oldest first, and the markets with their rows.

        They are those of the view `funding_ranges`; the tests hold it to that. The view has to look at the
        whole lake to know what follows a payment; this looks at the months of the span.
        """
        longest = self.ask("SELECT max(interval_hours) AS hours FROM funding", [])["hours"].item() or 0.0
        condition, values = self._chosen.where()
        span = [self.window.start - timedelta(hours=longest * KEEPS), self.window.stop]
        asked = f"FROM funding WHERE rate_type = 'regular' AND funding_time > ? AND funding_time <= ? AND {condition}"
        number = f"hash({', '.join(_WHO)}) AS number"  # names travel as one number a row
        names = self.ask(f"SELECT DISTINCT {number}, {', '.join(_WHO)} {asked}", [*span, *values])
        paid = self.ask(
            f"SELECT {number}, epoch_us(funding_time) AS time, interval_hours, funding_rate, rate_1h {asked}",
            [*span, *values],
        )
        markets = names.sort(_WHO)
        places = markets.select("number").with_row_index("market")
        rows = _by_market(paid, places)
        last = pl.col("time") + (pl.col("interval_hours") * (KEEPS * _HOUR)).cast(pl.Int64)
        rows = rows.with_columns(place=pl.int_range(pl.len()) * 2, last=last, following=_FOLLOWING)
        unknown = pl.lit(None, pl.Float64)
        marks = rows.filter(pl.col("last") < pl.col("following").fill_null(_NEVER)).with_columns(
            place=pl.col("place") + 1, time="last", rate_1h=unknown, funding_rate=unknown
        )
        rows = pl.concat([rows, marks]).sort("place").with_columns(following=_FOLLOWING)
        start = int(self.start * 1e6)
        rows = rows.filter((pl.col("time") >= start) | (pl.col("following") > start))
        nothing = pl.col("rate_1h").is_null()
        rows = rows.filter(~nothing | ((pl.col("market") == pl.col("market").shift()) & ~nothing.shift()))
        spans = rows["market"].rle().struct.unnest()
        high = spans["len"].cum_sum().cast(pl.Int64)
        found = markets.select(_WHO)[spans["value"]].with_columns(low=high - spans["len"], high=high)
        rates = pl.when(nothing.not_()).then(pl.col("funding_rate", "rate_1h")).otherwise(_NOTHING)
        return rows.select("interval_hours", rates, time=pl.col("time") / 1e6).rechunk(), found

    def ask(self, sql: str, values: Sequence[Any]) -> pl.DataFrame:
        """A query over the same version of the lake."""
        return self._con.sql(sql, params=list(values)).pl()

    # ---- names

    def span(self, exchange: str, token: str) -> tuple[int, int]:
        """The rows [low, high) of a token on an exchange; raises UnknownName."""
        market = self.market(exchange, token)
        self.spans[exchange, token] = market.low, market.high
        return market.low, market.high

    def market(self, exchange: str, token: str) -> Market:
        """The market a token stands for on an exchange; without rows where the lake has none in this span."""
        market = self._named.get(token, {}).get(exchange)
        if market is None:
            self.exchange(exchange)
            market = self._lake().get(token, {}).get(exchange)
        if market is None:
            raise self._unknown(token, f"token on {exchange}", exchange)
        return market

    def listing(self, token: str) -> list[str]:
        """The exchanges that have a token, in order of name; raises UnknownName."""
        on = self._named.get(token) or self._lake().get(token)
        if not on:
            raise self._unknown(token, "token", None)
        return sorted(on)

    def exchange(self, name: str) -> str:
        """The name of an exchange; raises UnknownName, or BadCall when load_data left it out."""
        if name not in self._exchanges:
            lake = self.ask("SELECT DISTINCT exchange FROM funding", [])["exchange"].to_list()
            if name not in lake:
                raise UnknownName("exchange", name, lake)
            only = self._chosen.exchanges
            if only is not None and name not in only:
                loaded = ", ".join(only)
                raise BadCall(f"exchange {name} was not loaded: load_data was limited to {loaded}")
        return name

    def _lake(self) -> dict[str, dict[str, Market]]:
        if self._absent is None:
            found = self.ask(f"SELECT DISTINCT {', '.join(_WHO)} FROM funding", [])
            self._everywhere = [Market(**row) for row in found.iter_rows(named=True)]
            markets = [m for m in self._everywhere if self._chosen.has(m)]
            self._absent = _named(markets, _classes(markets) | self._classes)
        return self._absent

    def _unknown(self, token: str, kind: str, exchange: str | None) -> BadCall:
        """The error for a token that is not loaded, told apart: left out, of another class, or unknown."""
        self._lake()
        there = [m for m in self._everywhere if exchange in (None, m.exchange)]
        same = sorted(
            {f"{m.asset_class} {m.symbol} on {m.exchange}" for m in there if token in (m.base, m.symbol)}
        )
        if same:
            means = self._classes.get(token)
            why = f"here {token} means the {means}" if means else f"load_data was limited to {self._chosen}"
            return BadCall(
                f"{kind} {token!r} was not loaded: the lake has it as {', '.join(same[:3])}, but {why}"
            )
        return UnknownName(kind, token, {name for m in there for name in (m.base, m.symbol)})

    # ---- instants

    def outside(self, timestamp: Any) -> BadWindow:
        """The error for an instant that can't be answered: wrong unit, no time, outside the loaded span."""
        at = instant(timestamp if isinstance(timestamp, datetime) else seconds(timestamp), "timestamp")
        told = f"timestamp {at.isoformat()}: lies outside the loaded span"
        window = f"{self.window.start.isoformat()} .. {self.window.stop.isoformat()}"
        return BadWindow(f"{told} {window}; load_data a wider one")

    def held(self, start: Any, end: Any) -> tuple[datetime, datetime]:
        """Both instants as UTC datetimes; raises BadWindow when reversed or outside the loaded span."""
        for at in (start, end):
            if not self.start <= seconds(at) <= self.stop:
                raise self.outside(at)
        span = Window(instant(start, "start"), instant(end, "end"))
        return span.start, span.stop

    def instants(self, timestamps: Any) -> pl.Series:
        """Unix seconds (Float64) of many instants; raises BadWindow naming the first bad one."""
        try:
            given = pl.Series("timestamp", timestamps)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            raise BadWindow(
                f"timestamps: not one kind of Unix seconds or aware datetimes ({error})"
            ) from None
        if isinstance(given.dtype, pl.Datetime):
            if given.dtype.time_zone is None:
                raise BadWindow("timestamps: naive datetimes; give them a time zone, e.g. UTC")
            at = given.dt.epoch("us") / 1e6
        elif given.dtype.is_numeric():
            at = given.cast(pl.Float64)
        elif given.is_empty():
            at = pl.Series("timestamp", [], pl.Float64)
        else:
            raise BadWindow(f"timestamps: {given.dtype} are no Unix seconds or aware datetimes")
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

    # ---- rows

    def known(self, at: pl.Series, market: Market) -> pl.Series:
        """The rates per hour known at Unix seconds; null: unknown."""
        rows = slice(market.low, market.high)
        before = self._time[rows].search_sorted(at, side="right").cast(pl.Int64) - 1
        return self._rate_1h[rows].gather(before.replace(-1, None)).fill_nan(None)

    def hours(self, row: int) -> float:
        """The interval of one row."""
        return self._spell_hours[bisect_right(self._spell_stops, row)]

    def payments(self) -> pl.DataFrame:
        """The payments in the span, market by market."""
        rows = self._frame().filter(
            pl.col("rate_1h").is_not_nan(), pl.col("funding_time") >= self.window.start
        )
        names = self._who()[rows["market"]]
        return pl.concat([names, rows.drop("market")], how="horizontal")

    def summary(self) -> pl.DataFrame:
        """One row a market: see `get_data_summary`."""
        paid = pl.col("rate_1h").is_not_nan()
        inside = paid & (pl.col("funding_time") >= self.window.start)
        hole = ~paid & pl.col("until").is_not_null()
        follows = pl.col("market") == pl.col("market").shift(-1)
        rows = self._frame().with_columns(until=pl.when(follows).then(pl.col("funding_time").shift(-1)))
        main = [self._named[m.base].get(m.exchange) is m for m in self._markets]
        counted = rows.group_by("market", maintain_order=True).agg(
            payments=inside.sum().cast(pl.Int64),
            first=pl.col("funding_time").filter(inside).first(),
            last=pl.col("funding_time").filter(inside).last(),
            interval_hours=pl.col("interval_hours").filter(paid).unique(maintain_order=True),
            holes=hole.sum().cast(pl.Int64),
            hole_hours=(pl.col("until") - pl.col("funding_time")).filter(hole).sum().dt.total_seconds()
            / 3600,
        )
        return pl.concat(
            [self._who(), pl.DataFrame({"main": main}, {"main": pl.Boolean}), counted.drop("market")],
            how="horizontal",
        )

    def _who(self) -> pl.DataFrame:
        names = [(m.exchange, m.asset_class, m.base, m.symbol) for m in self._markets]
        return pl.DataFrame(names, schema=dict.fromkeys(_WHO, pl.String), orient="row")

    def _frame(self) -> pl.DataFrame:
        """All rows, marks included, with the number of their market."""
        stops = self._spell_stops
        spells = [stop - start for start, stop in zip([0, *stops], stops, strict=False)]
        return pl.DataFrame(
            {
                "market": _repeat(
                    range(len(self._markets)), [m.high - m.low for m in self._markets], pl.Int64()
                ),
                "funding_time": as_time(self._time),
                "interval_hours": _repeat(self._spell_hours, spells, pl.Float64()),
                "funding_rate": self._rate,
                "rate_1h": self._rate_1h,
            }
        )


def _by_market(paid: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Rows by market and time; the market's place is looked up once a run of rows, not once a row."""
    if not places["number"].is_unique().all():
        raise LakeError("two markets of the lake share one hash: load fewer exchanges or tokens at a time")
    runs = paid["number"].rle().struct.unnest()
    found = runs.join(places, left_on="value", right_on="number", how="left", maintain_order="left")
    market = _repeat(found["market"].to_list(), found["len"].to_list(), pl.Int64())
    together = pl.col("market") * 2**42 + pl.col("time") // 1000  # one key sorts faster than two
    return paid.drop("number").with_columns(market=market).sort(together)


def seconds(timestamp: Any) -> float:
    """Unix seconds of an instant; raises BadWindow for naive datetimes and what is no time."""
    if isinstance(timestamp, datetime):
        return instant(timestamp, "timestamp").timestamp()
    if isinstance(timestamp, Real) and not isinstance(timestamp, bool):
        return float(timestamp)
    raise BadWindow(f"timestamp {timestamp!r}: not a time; give Unix seconds or an aware datetime")


def as_time(at: pl.Series) -> pl.Series:
    """UTC instants of Unix seconds."""
    return (at * 1e6).round().cast(pl.Int64).cast(TIME)


def _classes(markets: Iterable[Market]) -> dict[str, str]:
    """The asset class that a base stands for."""
    classes: dict[str, str] = {}
    for market in markets:
        met = classes.setdefault(market.base, market.asset_class)
        classes[market.base] = min(met, market.asset_class, key=ASSET_CLASSES.index)
    return classes


def _named(markets: Sequence[Market], classes: Mapping[str, str]) -> dict[str, dict[str, Market]]:
    """Token -> exchange -> market: bases first, then symbols that are no base."""
    named: dict[str, dict[str, Market]] = {}
    for market in sorted(markets, key=lambda m: (":" in m.symbol, m.symbol)):
        if market.asset_class == classes[market.base]:
            named.setdefault(market.base, {}).setdefault(market.exchange, market)
    for market in markets:
        if market.symbol not in classes:
            named.setdefault(market.symbol, {}).setdefault(market.exchange, market)
    return named


def _repeat(values: Sequence[Any], times: Sequence[int], dtype: pl.DataType) -> pl.Series:
    """Each value as often as it is told, in order."""
    each = pl.DataFrame({"value": pl.Series(values, dtype=dtype), "times": pl.Series(times, dtype=pl.Int64)})
    return each.select(pl.col("value").repeat_by("times").explode(empty_as_null=False))["value"]


def _view(column: pl.Series) -> memoryview[float]:
    """The doubles of a column in place: indexing it gives Python floats at once."""
    array = column.to_arrow()
    buffer = array.buffers()[1]
    return memoryview(buffer if buffer is not None else b"").cast("d")[
        array.offset : array.offset + len(array)
    ]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
