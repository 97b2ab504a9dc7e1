"""One file and what was said about it -> rows of table `funding` with the evidence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.fetchers.registry import names as sources
from fundingdb.importing import intervals, lake_says, markets, reading, stamps, units
from fundingdb.importing.reading import ROW
from fundingdb.schema import FUNDING, TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user says; None where the file must prove it itself. `interval` is hours, or "infer"."""

    exchange: str | None = None
    exchange_column: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)  # role -> column
    where: Mapping[str, str] = field(default_factory=dict)  # column -> pattern
    unit: str | None = None
    interval: float | str | None = None
    tz: str | None = None
    symbol: str | None = None
    symbol_form: str | None = None  # "{}USDT", or with columns: "{base}-{target}"
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """The rows of one exchange in one file, checked, and the evidence for what they mean, a line each."""

    path: Path
    exchange: str
    unit: str
    rows: pl.DataFrame
    evidence: tuple[str, ...]


def prepare(
    path: Path, wanted: Wanted, known: Callable[[str], pl.DataFrame], *, now: datetime
) -> list[Prepared]:
    """The rows of a file, by exchange; nothing is written.

    `known(exchange)` gives the regular payments that the lake has of it, at least (symbol, base, funding_time, funding_rate).
    Raises BadCall for what is missing to be sure, BadData for what can't be right; nothing is given then.
    """
    rows = reading.chosen(reading.read(path), path, wanted.where)
    column = reading.exchange_column(rows, path, wanted.exchange_column)
    if column is None or (column in wanted.where and wanted.exchange_column is None):
        if wanted.exchange is None:
            raise BadCall(f"{path}: says of no row where it was paid: give --exchange or --exchange-column")
        return [_File(path, wanted.exchange, wanted, known(wanted.exchange), now).rows(rows)]
    named = rows.with_columns(_exchange=pl.col(column).cast(pl.String).str.to_lowercase())
    listed = sorted(named["_exchange"].drop_nulls().unique())
    if wanted.exchange is None:
        chosen = listed
    elif wanted.exchange in listed:
        chosen = [wanted.exchange]
    else:
        raise BadCall(f"{path}: no row has {column} {wanted.exchange!r}; there are {', '.join(listed[:12])}")
    return [
        _File(path, e, wanted, known(e), now).rows(named.filter(pl.col("_exchange") == e).drop("_exchange"))
        for e in chosen
    ]


def together(ready: Sequence[Prepared]) -> pl.DataFrame:
    """The rows of all files; a payment that stands in two files counts once, with two rates it raises BadData."""
    rows = pl.concat(one.rows.with_columns(_file=pl.lit(i)) for i, one in enumerate(ready))
    key = ["exchange", "symbol", "funding_time"]
    rate = pl.col("funding_rate")
    unlike = rows.filter((rate.max() - rate.min()).over(key) > 1e-9 * rate.abs().max().over(key)).sort(
        *key, "_file"
    )
    if unlike.height:
        one, other = unlike.row(0, named=True), unlike.row(1, named=True)
        raise BadData(
            f"{ready[one['_file']].path} and {ready[other['_file']].path}: {one['symbol']} "
            f"{one['funding_time']:%Y-%m-%d %H:%M} stands there with {one['funding_rate']!r} and {other['funding_rate']!r} "
            f"({unlike.height:,} such rows): one payment has one rate"
        )
    # A row that knows its interval goes before one that doesn't.
    best = rows.sort(pl.col("interval_hours").is_null(), maintain_order=True)
    return best.unique(key, keep="first", maintain_order=True).drop("_file")


@dataclass(frozen=True, slots=True)
class _File:
    """The rows of one exchange in one file on their way; `said` collects the evidence."""

    path: Path
    exchange: str
    wanted: Wanted
    lake: pl.DataFrame
    now: datetime
    said: list[str] = field(default_factory=list)

    def rows(self, raw: pl.DataFrame) -> Prepared:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.exchange):
            raise BadCall(
                f"{self.path}: exchange {self.exchange!r} is no id: lower case letters, figures and dashes (see --where)"
            )
        if self.exchange == "coingecko":
            raise BadCall(
                f"{self.path}: coingecko is a source, no exchange: filter the rows of one exchange with --where"
            )
        if self.exchange not in sources():
            close = get_close_matches(self.exchange, sources(), n=1, cutoff=0.75)
            near = f" (did you mean {close[0]}?)" if close else ""
            self.said.append(
                f"fundingdb has no fetcher for {self.exchange}{near}: nothing it declares can confirm the file"
            )
        if "sample_count" in raw.columns and (raw["sample_count"].cast(pl.Float64, strict=False) > 1).any():
            first = raw.filter(pl.col("sample_count").cast(pl.Float64, strict=False) > 1)[ROW][0]
            raise BadData(
                f"{self.path}: row {first}: a mean over samples (sample_count) of a running rate, no settlement"
            )
        columns = reading.roles(raw, self.path, self.wanted.columns)
        rows = self._figures(raw, columns)
        clock, sure = stamps.stamps(
            rows.select(ROW, pl.col("_clock").alias(columns["funding_time"])),
            self.path,
            columns["funding_time"],
        )
        rows = rows.with_columns(stamp=clock.cast(TIME))
        stamps.refuse_samples(rows, self.path)
        rows = rows.with_columns(stamp=self._in_utc(rows, clock, sure=sure))
        future = rows.filter(pl.col("stamp") > self.now)
        if future.height:
            raise BadData(
                f"{self.path}: row {future[ROW][0]}: {future['stamp'][0]:%Y-%m-%d %H:%M} is not yet: no settlement"
            )
        sign = units.refuse_unsigned(rows, self.path, signed=self.wanted.signed or "direction" in columns)
        self.said.extend([sign] if sign else [])
        rows = self._unique(rows.with_columns(hour=pl.col("stamp").dt.truncate("1h")))
        rows = markets.with_market(
            self.path, rows, self.exchange, respelled=self.wanted.symbol_form is not None
        )
        rows, interval = intervals.with_interval(self.path, rows, self.exchange, self.wanted.interval)
        self.said.append(interval)
        unit = self._unit(rows)
        rows = rows.with_columns(rate=unit.fraction())
        if rows["rate"].null_count():
            first = rows.filter(pl.col("rate").is_null()).row(0, named=True)
            lacks = (
                "price, so money can't be proven into a rate"
                if unit.name == "money"
                else "known interval: say --interval"
            )
            raise BadData(
                f"{self.path}: row {first[ROW]}: {first['symbol']} {first['hour']:%Y-%m-%d %H:%M} has no {lacks}"
            )
        if unit.name == "money":
            self.said.append(
                "money over the column of prices: as exact as that price is the one of the settlement"
            )
        self.said.extend(lake_says.agree(self.path, rows, self.lake, self.exchange))
        units.refuse_impossible(rows, self.path, unit)
        units.refuse_finer(rows, self.path, self.exchange)
        return Prepared(
            self.path, self.exchange, unit.shown, _funding(rows, self.exchange, self.now), tuple(self.said)
        )

    def _figures(self, raw: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
        """Rows (_row, symbol, value, price, _clock) of what has a rate."""
        rate = columns["funding_rate"]
        value = reading.numbers(raw, self.path, rate)
        price = (
            reading.numbers(raw, self.path, columns["price"])
            if "price" in columns
            else pl.lit(None, pl.Float64)
        )
        rows = raw.select(
            ROW,
            markets.symbol(
                self.path,
                raw,
                columns.get("symbol"),
                self.exchange,
                said=self.wanted.symbol,
                form=self.wanted.symbol_form,
            ),
            value=value,
            price=price,
            _clock=columns["funding_time"],
        )
        if "direction" in columns:
            sides = raw[columns["direction"]].cast(pl.String)
            bad = raw.filter(~sides.is_in(["long", "short"]) | sides.is_null() | (value < 0))
            if bad.height:
                raise BadData(
                    f"{self.path}: row {bad[ROW][0]}: direction must be long or short beside a rate without sign"
                )
            rows = rows.with_columns(value=pl.when(sides == "long").then(value).otherwise(-value) + 0.0)
            self.said.append("the sign is in `direction`, the side that pays: long is positive")
        self.said.append(f"times are in column {columns['funding_time']}, rates in column {rate}")
        empty = rows.filter(pl.col("value").is_null())
        if empty.height:
            if "funding_rate" not in self.wanted.columns:
                raise BadData(
                    f"{self.path}: row {empty[ROW][0]}: {rate} is empty; --map funding_rate={rate} leaves such rows out"
                )
            self.said.append(f"{empty.height:,} rows without {rate} are left out")
            rows = rows.filter(pl.col("value").is_not_null())
        if rows.is_empty():
            raise BadData(f"{self.path}: no row has a {rate}")
        nameless = rows.filter(pl.col("symbol").is_null() | (pl.col("symbol") == ""))
        if nameless.height:
            raise BadData(f"{self.path}: row {nameless[ROW][0]}: names no market")
        return rows

    def _in_utc(self, rows: pl.DataFrame, clock: pl.Series, *, sure: bool) -> pl.Series:
        clock = clock.cast(TIME)
        if sure:
            if self.wanted.tz is not None and stamps.zone_of(self.wanted.tz) not in (timedelta(0), "UTC"):
                raise BadCall(
                    f"{self.path}: --tz {self.wanted.tz}: its times carry their zone themselves; leave --tz out"
                )
            self.said.append("its times are UTC by themselves")
            return clock
        if self.wanted.tz is not None:
            self.said.append(f"its clock runs in {self.wanted.tz}, as said")
            return stamps.moved(clock, stamps.zone_of(self.wanted.tz)).cast(TIME)
        offset, why = lake_says.zone(rows, self.lake)
        if offset is None:
            counts = stamps.phases(rows)
            grid = ", ".join(f"{n:,} rows at hour {p} of 8" for p, n in list(counts.items())[:3])
            shifted = (
                ", ".join(_named(h) for h in (-8, 0, 8))
                if next(iter(counts)) == 0
                else ", ".join(_named(h) for h in range(-12, 15) if (next(iter(counts)) - h) % 8 == 0)
            )
            fits = (
                f"the grid of 8-hour payments would fit {shifted}"
                if len(counts) < 4
                else "hourly rows fit any zone"
            )
            raise BadCall(
                f"{self.path}: its times name no zone ({grid}; {fits}; {why}): say --tz UTC or --tz UTC+3"
            )
        self.said.append(f"its clock runs in {_named(offset)}: {why}")
        return (clock - timedelta(hours=offset)).cast(TIME)

    def _unique(self, rows: pl.DataFrame) -> pl.DataFrame:
        """One row a market and hour; the same rate twice counts once, two rates raise BadData."""
        twice = rows.filter(pl.struct("symbol", "hour").is_duplicated()).sort("symbol", "hour", ROW)
        if twice.is_empty():
            return rows
        spread = (pl.col("value").max() - pl.col("value").min()).over("symbol", "hour")
        most = pl.col("value").abs().max().over("symbol", "hour")
        unlike = twice.filter(spread > 1e-9 * most)
        if unlike.height:
            one, other = unlike.row(0, named=True), unlike.row(1, named=True)
            raise BadData(
                f"{self.path}: rows {one[ROW]} and {other[ROW]}: {one['symbol']} {one['hour']:%Y-%m-%d %H:%M} stands there with "
                f"{one['value']!r} and {other['value']!r} ({unlike.height:,} such rows): one payment has one rate"
            )
        kept = rows.unique(subset=["symbol", "hour"], keep="first", maintain_order=True)
        self.said.append(
            f"{rows.height - kept.height:,} rows stand there twice with the same rate and count once"
        )
        return kept

    def _unit(self, rows: pl.DataFrame) -> units.Unit:
        found = units.masses(rows, self.exchange)
        given = None if self.wanted.unit is None else units.unit(self.wanted.unit)
        if given is not None and given.name == "money" and rows["price"].null_count() == rows.height:
            raise BadCall(f"{self.path}: money needs a price to become a rate: say --map price=COLUMN")
        units.refuse_change(rows, self.path, self.exchange)
        by_lake = lake_says.unit(rows, self.lake)
        by_mass = units.proven(found, rows, self.exchange)
        if by_lake is not None and by_mass is not None and not units.same(by_lake[0], by_mass, rows):
            raise BadData(
                f"{self.path}: row {rows[ROW][0]} and on: the lake's payments say {by_lake[0].shown} ({by_lake[1]}), the "
                f"figures say {by_mass.shown} ({units.told(found[0])}): one of the two is wrong"
            )
        if given is not None:
            against = units.contradicted(given, found, rows)
            if against is not None:
                raise BadData(
                    f"{self.path}: row {rows[ROW][0]} and on: --unit {given.shown} is contradicted: {units.told(against)}"
                )
            self.said.append(
                f"unit: {given.shown}, as said" + (f"; {units.told(found[0])}" if by_mass else "")
            )
            return given
        if by_lake is not None:
            self.said.append(f"unit: {by_lake[0].shown}: {by_lake[1]}")
            return by_lake[0]
        if by_mass is None:
            raise units.asks(self.path, found, self.exchange)
        self.said.append(f"unit: {by_mass.shown}: {units.told(found[0])}, under no other unit so many")
        return by_mass


def _named(hours: int) -> str:
    return f"UTC{hours:+d}" if hours else "UTC"


def _funding(rows: pl.DataFrame, exchange: str, now: datetime) -> pl.DataFrame:
    nothing = pl.lit(None, pl.Float64)
    return FUNDING.check(
        rows.select(
            "symbol", "base", "quote", "asset_class", "interval_from",
            exchange=pl.lit(exchange), source=pl.lit("import"),
            funding_time="hour", interval_hours="hours", funding_rate="rate", rate_type=pl.lit("regular"),
            native_rate="value", mark_price=nothing, index_price=nothing,
            reported_time="stamp", fetched_at=pl.lit(now, TIME),
        )
    )  # fmt: skip
