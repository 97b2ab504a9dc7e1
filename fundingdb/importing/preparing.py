"""One file and the options of its import become rows of table `funding`, with the evidence for their meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.fetchers.registry import names as sources
from fundingdb.importing import intervals, markets, overlap, reading, stamps, stated, units
from fundingdb.importing.files import ROW, read
from fundingdb.schema import FUNDING, TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the caller states about a file; None where the file itself must prove it. `interval` is hours, or "infer"."""

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
class CheckedRows:
    """The FUNDING rows of one exchange in one file, and the evidence for their meaning, one line each."""

    path: Path
    exchange: str
    unit: str
    rows: pl.DataFrame
    evidence: tuple[str, ...]


def prepare(
    path: Path, options: ImportOptions, known: Callable[[str], pl.DataFrame], *, now: datetime
) -> list[CheckedRows]:
    """As `prepare_all`, of one file."""
    return prepare_all([path], options, known, now=now)


def prepare_all(
    paths: Sequence[Path], options: ImportOptions, known: Callable[[str], pl.DataFrame], *, now: datetime
) -> list[CheckedRows]:
    """The rows of the files, by file and exchange; nothing is written.

    `known(exchange)` returns the regular payments of it in the lake, at least (symbol, base, funding_time, funding_rate).
    What the rows of one file prove of intervals and unit counts for all files of the exchange. Raises BadCall for an option
    that is needed and missing, BadData for a file that can't be right; never part of a file.
    """
    ready = [
        (one, one.read(rows))
        for path in paths
        for exchange, rows in _by_exchange(path, options)
        for one in [_Preparation(path, exchange, options, known(exchange), now)]
    ]
    return [
        one.checked(rows, [other for o, other in ready if o.exchange == one.exchange]) for one, rows in ready
    ]


def _by_exchange(path: Path, options: ImportOptions) -> list[tuple[str, pl.DataFrame]]:
    """The chosen rows of a file with the exchange of each part."""
    rows = reading.chosen(read(path), path, options.where)
    column = reading.exchange_column(rows, path, options.exchange_column)
    if column is None or (column in options.where and options.exchange_column is None):
        if options.exchange is None:
            raise BadCall(
                f"{path}: no column names the exchange of each row: give --exchange or --exchange-column"
            )
        return [(options.exchange, rows)]
    rows = rows.with_columns(_exchange=reading.text(rows, path, column).str.to_lowercase())
    listed = sorted(rows["_exchange"].drop_nulls().unique())
    if options.exchange is not None and options.exchange not in listed:
        raise BadCall(
            f"{path}: no row has {column} {options.exchange!r}; there are {', '.join(map(_printable, listed[:12]))}"
        )
    chosen = listed if options.exchange is None else [options.exchange]
    return [(e, rows.filter(pl.col("_exchange") == e).drop("_exchange")) for e in chosen]


def together(ready: Sequence[CheckedRows]) -> pl.DataFrame:
    """The rows of all files; a payment that is in two files counts once, with two rates it raises BadData."""
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
            f"{one['funding_time']:%Y-%m-%d %H:%M} has the rates {one['funding_rate']!r} and {other['funding_rate']!r} "
            f"({unlike.height:,} such rows), and a payment has one: leave one of the files out"
        )
    # A row with an interval goes before one without.
    best = rows.sort(pl.col("interval_hours").is_null(), maintain_order=True)
    return best.unique(key, keep="first", maintain_order=True).drop("_file")


@dataclass(slots=True)
class _Preparation:
    """The rows of one exchange in one file, step by step; `evidence` grows with each."""

    path: Path
    exchange: str
    options: ImportOptions
    lake: pl.DataFrame
    now: datetime
    evidence: list[str] = field(default_factory=list)
    unit_of_file: tuple[str, str] | None = None  # the unit that the file states, and how
    ahead: int | None = (
        None  # hours of the file's clock before UTC, where the file itself does not state its zone
    )

    def read(self, raw: pl.DataFrame) -> pl.DataFrame:
        """The payments of a file: stamp and hour in UTC, value as written, price, premium, row_hours, and the market."""
        self._check_exchange()
        self._refuse_means(raw)
        columns = reading.roles(raw, self.path, self.options.columns)
        stated.refuse_predicted(raw, self.path, columns)
        raw, left_out = stated.settled(raw, self.path)
        self.evidence.extend(left_out)
        rows = self._signed(self._figures(raw, columns), raw, columns)
        rows = self._timed(
            self._named(self._complete(rows, columns["funding_rate"])), columns["funding_time"]
        )
        sign = units.refuse_unsigned(rows, self.path, signed=self.options.signed or "direction" in columns)
        self.evidence.extend([sign] if sign else [])
        rows = self._unique(rows.with_columns(hour=pl.col("stamp").dt.truncate("1h")))
        return markets.with_market(
            self.path, rows, self.exchange, respelled=self.options.symbol_form is not None
        )

    def checked(self, rows: pl.DataFrame, every: Sequence[pl.DataFrame]) -> CheckedRows:
        """The rows of `read` as FUNDING rows; `every`: those of all files of the exchange, which prove more together."""
        pool = (
            rows
            if len(every) == 1
            else pl.concat(every).unique(["symbol", "hour"], keep="first", maintain_order=True)
        )
        gaps = intervals.by_gaps(pool)
        pool, rows = (
            part.join(gaps, on=["symbol", "hour"], how="left", maintain_order="left") for part in (pool, rows)
        )
        rows, interval = intervals.with_interval(self.path, rows, self.exchange, self.options.interval)
        self.evidence.append(interval)
        stamps.refuse_off_grid(rows, self.path, self.exchange, ahead=self.ahead)
        unit = self._unit(
            rows, pool.with_columns(hours=pl.coalesce("row_hours", "declared", "_observed", "_first"))
        )
        rows = self._rated(rows, unit)
        self.evidence.extend(overlap.agree(self.path, rows, self.lake))
        units.refuse_impossible(rows, self.path, unit)
        by_premium = units.refuse_against_premium(rows, self.path, self.exchange)
        self.evidence.extend([by_premium] if by_premium else [])
        units.refuse_finer(rows, self.path, self.exchange)
        funding = _funding(rows, self.exchange, self.now)
        return CheckedRows(self.path, self.exchange, unit.shown, funding, tuple(self.evidence))

    def _check_exchange(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.exchange):
            raise BadCall(
                f"{self.path}: {self.exchange!r} is no id of an exchange (lower case letters, figures and dashes): "
                "give --exchange, or choose rows with --where"
            )
        if self.exchange == "coingecko":
            raise BadCall(
                f"{self.path}: coingecko is an aggregator, no exchange: choose the rows of one exchange with --where"
            )
        if self.exchange not in sources():
            close = get_close_matches(self.exchange, sources(), n=1, cutoff=0.75)
            near = f" (did you mean {close[0]}?)" if close else ""
            self.evidence.append(
                f"fundingdb has no fetcher for {self.exchange}{near}: no datasheet can confirm the file"
            )

    def _refuse_means(self, raw: pl.DataFrame) -> None:
        if "sample_count" not in raw.columns:
            return
        means = raw.filter(reading.numbers(raw, self.path, "sample_count") > 1)
        if means.height:
            raise BadData(
                f"{self.path}: row {means[ROW][0]}: a mean over samples (sample_count) of the predicted rate, no settlement; "
                "table funding takes settlements only"
            )

    def _figures(self, raw: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
        """Rows (_row, symbol, value, price, _clock); value and price are null where the cell is empty."""
        price = columns.get("price")
        symbol = markets.symbol(
            self.path,
            raw,
            columns.get("symbol"),
            self.exchange,
            stated=self.options.symbol or (None if "symbol" in columns else self._symbol_of_path()),
            form=self.options.symbol_form,
        )
        self.evidence.append(
            f"times are in column {columns['funding_time']}, rates in column {columns['funding_rate']}"
        )
        premium = reading.named(raw, ("premium",)) if self.exchange == "hyperliquid" else []
        interval = None if self.options.interval == "infer" else columns.get("interval")
        figures = raw.select(
            ROW,
            symbol,
            row_hours=stated.hours(raw, self.path, interval),
            premium=reading.numbers(raw, self.path, premium[0]) if premium else pl.lit(None, pl.Float64),
            value=reading.numbers(raw, self.path, columns["funding_rate"]),
            price=reading.numbers(raw, self.path, price) if price else pl.lit(None, pl.Float64),
            _clock=columns["funding_time"],
        )
        names = figures["symbol"].drop_nulls()
        self.unit_of_file = stated.unit(
            raw, self.path, columns["funding_rate"], unified=markets.unified(names)
        )
        return figures

    def _symbol_of_path(self) -> str | None:
        name = reading.name_in_path(self.path)
        if name is not None and self.options.symbol_form is None:
            self.evidence.append(f"the market is {name} by the name of the file")
            return name
        return None

    def _named(self, rows: pl.DataFrame) -> pl.DataFrame:
        rows, lines = markets.spelled(self.path, rows, self.exchange)
        self.evidence.extend(lines)
        return rows

    def _signed(self, rows: pl.DataFrame, raw: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
        """The sign from column `direction`, where there is one."""
        if "direction" not in columns:
            return rows
        sides = reading.text(raw, self.path, columns["direction"])
        bad = raw.filter(~sides.is_in(["long", "short"]) | sides.is_null() | (rows["value"] < 0))
        if bad.height:
            raise BadData(
                f"{self.path}: row {bad[ROW][0]}: direction must be long or short beside a rate without sign"
            )
        self.evidence.append("the sign is in `direction`, the side that pays: long is positive")
        value = pl.col("value")
        return rows.with_columns(value=pl.when(sides == "long").then(value).otherwise(-value) + 0.0)

    def _complete(self, rows: pl.DataFrame, rate: str) -> pl.DataFrame:
        """The rows that have a rate and a symbol; raises BadData for empty cells, unless --map names the column of rates."""
        empty = rows.filter(pl.col("value").is_null())
        if empty.height and "funding_rate" not in self.options.columns:
            raise BadData(
                f"{self.path}: row {empty[ROW][0]}: {rate} is empty; --map funding_rate={rate} leaves such rows out"
            )
        if empty.height:
            self.evidence.append(f"{empty.height:,} rows without {rate} are left out")
            rows = rows.filter(pl.col("value").is_not_null())
        if rows.is_empty():
            raise BadData(f"{self.path}: no row has a {rate}")
        nameless = rows.filter(pl.col("symbol").is_null() | (pl.col("symbol") == ""))
        if nameless.height:
            raise BadData(
                f"{self.path}: row {nameless[ROW][0]}: the name of the market is empty; give --symbol, or --where"
            )
        return rows

    def _timed(self, rows: pl.DataFrame, column: str) -> pl.DataFrame:
        """+ stamp, UTC; raises for samples and for payments to come."""
        clock, utc = stamps.stamps(rows.select(ROW, pl.col("_clock").alias(column)), self.path, column)
        rows = rows.with_columns(stamp=clock.cast(TIME))
        stamps.refuse_samples(rows, self.path)
        rows = rows.with_columns(stamp=self._in_utc(rows, clock.cast(TIME), utc=utc))
        future = rows.filter(pl.col("stamp") > self.now)
        if future.height:
            raise BadData(
                f"{self.path}: row {future[ROW][0]}: {future['stamp'][0]:%Y-%m-%d %H:%M} lies in the future: no settlement"
            )
        return rows

    def _in_utc(self, rows: pl.DataFrame, clock: pl.Series, *, utc: bool) -> pl.Series:
        tz = self.options.tz
        if utc:
            if tz is not None and stamps.zone_of(tz) not in (timedelta(0), "UTC"):
                raise BadCall(
                    f"{self.path}: --tz {tz}: the times of the file state their zone; leave --tz out"
                )
            self.evidence.append("the times state their zone, or count from 1970: UTC")
            return clock
        if tz is not None:
            self.evidence.append(f"the clock of the file is {tz}: --tz")
            zone = stamps.zone_of(tz)
            if isinstance(zone, timedelta) and not zone % timedelta(hours=1):
                self.ahead = zone // timedelta(hours=1)
            return stamps.moved(rows, zone, self.path).cast(TIME)
        offset, why = overlap.zone(rows, self.lake)
        if offset is None:
            raise BadCall(
                f"{self.path}: the times state no zone ({_zones_that_fit(rows)}; {why}): give --tz UTC or --tz UTC+3"
            )
        self.evidence.append(f"the clock of the file is {stamps.named_zone(offset)}: {why}")
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
                f"{self.path}: rows {one[ROW]} and {other[ROW]}: {one['symbol']} {one['hour']:%Y-%m-%d %H:%M} has the rates "
                f"{one['value']!r} and {other['value']!r} ({unlike.height:,} such rows), and a payment has one: "
                "choose rows with --where"
            )
        kept = rows.unique(subset=["symbol", "hour"], keep="first", maintain_order=True)
        self.evidence.append(
            f"{rows.height - kept.height:,} rows repeat a payment with the same rate and count once"
        )
        return kept

    def _unit(self, rows: pl.DataFrame, pool: pl.DataFrame) -> units.Unit:
        """The unit of column value: as stated, else as the lake, the premiums or the figures prove it."""
        masses = units.masses(rows, self.exchange)
        given = self._given_unit(rows)
        units.refuse_change(rows, self.path, self.exchange)
        by_lake = overlap.unit(rows, self.lake)
        by_mass = units.proven(masses, rows, self.exchange)
        pool = pool.filter(pl.col("symbol").is_in(rows["symbol"].unique().implode()))
        if by_mass is None and units.of_one_size(rows, pool):
            by_mass = units.proven(units.masses(pool, self.exchange), pool, self.exchange)
            masses = units.masses(pool, self.exchange) if by_mass else masses
        if by_lake is not None and by_mass is not None and not units.same(by_lake[0], by_mass, rows):
            raise BadData(
                f"{self.path}: row {rows[ROW][0]} and on: the unit is {by_lake[0].shown} by the lake ({by_lake[1]}), but "
                f"{by_mass.shown} by the figures ({units.evidence(masses[0])}): one of the two is wrong; compare some rows"
            )
        if given is not None:
            unit, why = given
            against = units.contradicted(unit, masses, rows)
            if against is not None:
                flag = f"--unit {unit.shown}" if self.options.unit else f"the unit {unit.shown} ({why})"
                raise BadData(
                    f"{self.path}: row {rows[ROW][0]} and on: the rates contradict {flag}: {units.evidence(against)}"
                )
            more = f"; {units.evidence(masses[0])}" if by_mass else ""
            self.evidence.append(f"unit: {unit.shown}, {why}{more}")
            return unit
        if by_lake is not None:
            self.evidence.append(f"unit: {by_lake[0].shown}: {by_lake[1]}")
            return by_lake[0]
        if by_mass is not None:
            self.evidence.append(
                f"unit: {by_mass.shown}: {units.evidence(masses[0])}, more than under any other unit"
            )
            return by_mass
        by_premium = units.proven_by_premium(rows, self.exchange)
        if by_premium is None:
            raise units.unproven(self.path, masses, self.exchange)
        self.evidence.append(
            f"unit: {by_premium.shown}: under it the rates follow from the premium beside them"
        )
        return by_premium

    def _given_unit(self, rows: pl.DataFrame) -> tuple[units.Unit, str] | None:
        """The unit that the caller or the file states, and who; raises where the two differ, or money has no price."""
        by_file = self.unit_of_file
        if self.options.unit is None:
            return None if by_file is None else (units.unit(by_file[0]), by_file[1])
        unit = units.unit(self.options.unit)
        if unit.name == "money" and rows["price"].null_count() == rows.height:
            raise BadCall(f"{self.path}: money needs a price to become a rate: give --map price=COLUMN")
        if by_file is not None and (by_file[0] == "percent") != unit.name.startswith("percent"):
            raise BadData(
                f"{self.path}: row {rows[ROW][0]} and on: --unit {unit.shown} contradicts the file: {by_file[1]} ({by_file[0]})"
            )
        return unit, "as stated"

    def _rated(self, rows: pl.DataFrame, unit: units.Unit) -> pl.DataFrame:
        """+ rate, the fraction per interval; raises BadData where a row lacks the price or interval that it takes."""
        rows = rows.with_columns(rate=unit.fraction())
        if rows["rate"].null_count():
            row = rows.filter(pl.col("rate").is_null()).row(0, named=True)
            lacks = (
                "price, which an amount of money needs to become a rate; choose rows with --where"
                if unit.name == "money"
                else "interval, which this unit needs; give --interval"
            )
            raise BadData(
                f"{self.path}: row {row[ROW]}: {row['symbol']} {row['hour']:%Y-%m-%d %H:%M} has no {lacks}"
            )
        if unit.name == "money":
            self.evidence.append(
                "rates are money over the column of prices: exact as far as that is the price of the settlement"
            )
        return rows


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def _zones_that_fit(rows: pl.DataFrame) -> str:
    """Which zones the hours of the rows allow, for a message: payments of 8 hours are made at 0, 8 and 16 o'clock UTC."""
    counts = stamps.phases(rows)
    grid = ", ".join(f"{n:,} rows at hour {p} of 8" for p, n in list(counts.items())[:3])
    if len(counts) >= 4:
        return f"{grid}; hourly rows fit any zone"
    first = next(iter(counts))
    offsets = (-8, 0, 8) if first == 0 else [h for h in range(-12, 15) if (first - h) % 8 == 0]
    return f"{grid}; payments of 8 hours fit {', '.join(stamps.named_zone(h) for h in offsets)}"


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
