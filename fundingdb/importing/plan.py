"""One file and what was said about it -> rows of table `funding` with the evidence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import BadCall, BadData
from fundingdb.fetchers import fetcher
from fundingdb.fetchers import names as sources
from fundingdb.fetchers.base import Market
from fundingdb.identity import identify
from fundingdb.importing import lake_says, reading, stamps, units
from fundingdb.importing.reading import ROW
from fundingdb.schema import FUNDING, TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# Until when an exchange paid at another interval than its fetcher's markets state (datasheet of hyperliquid.py).
_EARLIER = {"hyperliquid": (datetime(2023, 6, 8, 0, 30, tzinfo=UTC), 8.0)}
# How the first plan's collector's base and target spell a market.
_FORMS = {
    "lighter": "{base}", "hyperliquid": "{base}", "pacifica": "{base}", "extended": "{base}-USD", "dydx": "{base}-USD",
    "drift": "{base}-PERP", "binance": "{base}{target}", "bybit": "{base}{target}", "aster": "{base}{target}",
    "gate": "{base}_{target}", "okx": "{base}-{target}-SWAP",
}  # fmt: skip
_ENDINGS = re.compile(r"(?<=[A-Z0-9])[-_/]?(USDT|USDC|USD)([-_:]?(PERP|SWAP|Perp|USDT|USDC|USD))?$|-PERP$")
_ALIASES = {"XBT": "BTC"}
_PROVEN_INTERVALS = 0.9


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
    """The rows of a file, by exchange. `known(exchange)` gives the lake's (symbol, base, funding_time, funding_rate).

    Raises BadCall for what is missing to be sure, BadData for what can't be right; nothing is given then.
    """
    rows = reading.chosen(reading.read(path), path, wanted.where)
    column = reading.exchange_column(rows, path, wanted.exchange_column)
    if column is None or (column in wanted.where and wanted.exchange_column is None):
        if wanted.exchange is None:
            raise BadCall(f"{path}: says of no row where it was paid: give --exchange or --exchange-column")
        return [_one(path, rows, wanted, wanted.exchange, known, now)]
    named = rows.with_columns(_exchange=pl.col(column).cast(pl.String).str.to_lowercase())
    listed = sorted(named["_exchange"].drop_nulls().unique())
    if wanted.exchange is None:
        chosen = listed
    elif wanted.exchange in listed:
        chosen = [wanted.exchange]
    else:
        raise BadCall(f"{path}: no row has {column} {wanted.exchange!r}; there are {', '.join(listed[:12])}")
    return [
        _one(path, named.filter(pl.col("_exchange") == e).drop("_exchange"), wanted, e, known, now)
        for e in chosen
    ]


def _one(
    path: Path,
    raw: pl.DataFrame,
    wanted: Wanted,
    exchange: str,
    known: Callable[[str], pl.DataFrame],
    now: datetime,
) -> Prepared:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", exchange):
        raise BadCall(
            f"{path}: exchange {exchange!r} is no id: lower case letters, figures and dashes (see --where)"
        )
    if exchange == "coingecko":
        raise BadCall(
            f"{path}: coingecko is a source, no exchange: filter the rows of one exchange with --where"
        )
    said: list[str] = []
    if exchange not in sources():
        said.append(f"fundingdb has no fetcher for {exchange}: nothing it declares can confirm the file")
    if "sample_count" in raw.columns and (raw["sample_count"].cast(pl.Float64, strict=False) > 1).any():
        first = raw.filter(pl.col("sample_count").cast(pl.Float64, strict=False) > 1)[ROW][0]
        raise BadData(
            f"{path}: row {first}: a mean over samples (sample_count) of a running rate, no settlement"
        )
    columns = reading.roles(raw, path, wanted.columns)
    rows = _figures(path, raw, columns, wanted, exchange, said)
    clock, sure = stamps.stamps(rows, path, "_clock")
    lake = known(exchange)
    rows = rows.with_columns(stamp=clock.cast(TIME))
    stamps.refuse_samples(rows, path)
    rows = rows.with_columns(stamp=_in_utc(path, rows, clock, sure, wanted, lake, said))
    future = rows.filter(pl.col("stamp") > now)
    if future.height:
        raise BadData(
            f"{path}: row {future[ROW][0]}: {future['stamp'][0]:%Y-%m-%d %H:%M} is not yet: no settlement"
        )
    sign = units.refuse_unsigned(rows, path, signed=wanted.signed or "direction" in columns)
    said += [sign] if sign else []
    rows = _unique(path, rows.with_columns(hour=pl.col("stamp").dt.truncate("1h")), said)
    rows = _with_market(path, rows, exchange, wanted)
    rows = _with_interval(path, rows, wanted, exchange, said)
    unit = _unit(path, rows, wanted, exchange, lake, said)
    rows = rows.with_columns(rate=unit.fraction())
    if rows["rate"].null_count():
        first = rows.filter(pl.col("rate").is_null()).row(0, named=True)
        lacks = (
            "price, so money can't be proven into a rate"
            if unit.name == "money"
            else "known interval: say --interval"
        )
        raise BadData(
            f"{path}: row {first[ROW]}: {first['symbol']} {first['hour']:%Y-%m-%d %H:%M} has no {lacks}"
        )
    if unit.name == "money":
        said.append("money over the column of prices: as exact as that price is the one of the settlement")
    units.refuse_impossible(rows, path, unit)
    units.refuse_finer(rows, path, exchange)
    said += lake_says.agree(path, rows, lake, exchange)
    return Prepared(path, exchange, unit.shown, _funding(rows, exchange, now), tuple(said))


def _figures(
    path: Path, raw: pl.DataFrame, columns: Mapping[str, str], wanted: Wanted, exchange: str, said: list[str]
) -> pl.DataFrame:
    """Rows (_row, symbol, value, price, _clock) of what has a rate."""
    rate = columns["funding_rate"]
    value = reading.numbers(raw, path, rate)
    price = reading.numbers(raw, path, columns["price"]) if "price" in columns else pl.lit(None, pl.Float64)
    rows = raw.select(
        ROW,
        _symbol(path, raw, columns, wanted, exchange),
        value=value,
        price=price,
        _clock=columns["funding_time"],
    )
    if "direction" in columns:
        sides = raw[columns["direction"]].cast(pl.String)
        bad = raw.filter(~sides.is_in(["long", "short"]) | sides.is_null() | (value < 0))
        if bad.height:
            raise BadData(
                f"{path}: row {bad[ROW][0]}: direction must be long or short beside a rate without sign"
            )
        rows = rows.with_columns(value=pl.when(sides == "long").then(value).otherwise(-value) + 0.0)
        said.append("the sign is in `direction`, the side that pays: long is positive")
    said.append(f"times are in column {columns['funding_time']}, rates in column {rate}")
    empty = rows.filter(pl.col("value").is_null())
    if empty.height:
        if "funding_rate" not in wanted.columns:
            raise BadData(
                f"{path}: row {empty[ROW][0]}: {rate} is empty; --map funding_rate={rate} leaves such rows out"
            )
        said.append(f"{empty.height:,} rows without {rate} are left out")
        rows = rows.filter(pl.col("value").is_not_null())
    if rows.is_empty():
        raise BadData(f"{path}: no row has a {rate}")
    nameless = rows.filter(pl.col("symbol").is_null() | (pl.col("symbol") == ""))
    if nameless.height:
        raise BadData(f"{path}: row {nameless[ROW][0]}: names no market")
    return rows


def _symbol(
    path: Path, raw: pl.DataFrame, columns: Mapping[str, str], wanted: Wanted, exchange: str
) -> pl.Expr:
    if wanted.symbol is not None:
        return pl.lit(wanted.symbol).alias("symbol")
    form = wanted.symbol_form
    pair = {"base", "target"} <= set(raw.columns)
    if form is None and pair and "symbol" not in columns:
        form = _FORMS.get(exchange)
        if form is None:
            raise BadCall(
                f"{path}: how {exchange} spells a market of base and target: say --symbol-form '{{base}}-{{target}}'"
            )
    if form is not None and "{}" not in form:
        names = re.findall(r"\{(\w+)\}", form)
        for name in names:
            if name not in raw.columns:
                raise BadCall(f"{path}: --symbol-form {form}: there is no column {name!r}")
        blank = re.sub(r"\{\w+\}", "{}", form)
        return pl.format(blank, *(pl.col(n).cast(pl.String) for n in names)).alias("symbol")
    if "symbol" not in columns:
        raise BadCall(f"{path}: names no market: say --symbol S or --symbol-column COLUMN")
    name = pl.col(columns["symbol"]).cast(pl.String)
    return (name if form is None else pl.format(form, name)).alias("symbol")


def _in_utc(
    path: Path,
    rows: pl.DataFrame,
    clock: pl.Series,
    sure: bool,
    wanted: Wanted,
    lake: pl.DataFrame,
    said: list[str],
) -> pl.Series:
    clock = clock.cast(TIME)
    if sure:
        if wanted.tz is not None and stamps.zone_of(wanted.tz) not in (timedelta(0), "UTC"):
            raise BadCall(f"{path}: --tz {wanted.tz}: its times carry their zone themselves; leave --tz out")
        said.append("its times are UTC by themselves")
        return clock
    if wanted.tz is not None:
        said.append(f"its clock runs in {wanted.tz}, as said")
        return stamps.moved(clock, stamps.zone_of(wanted.tz)).cast(TIME)
    offset, why = lake_says.zone(rows, lake)
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
        raise BadCall(f"{path}: its times name no zone ({grid}; {fits}; {why}): say --tz UTC or --tz UTC+3")
    said.append(f"its clock runs in {_named(offset)}: {why}")
    return (clock - timedelta(hours=offset)).cast(TIME)


def _named(hours: int) -> str:
    return f"UTC{hours:+d}" if hours else "UTC"


def _unique(path: Path, rows: pl.DataFrame, said: list[str]) -> pl.DataFrame:
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
            f"{path}: rows {one[ROW]} and {other[ROW]}: {one['symbol']} {one['hour']:%Y-%m-%d %H:%M} stands there with "
            f"{one['value']!r} and {other['value']!r} ({unlike.height:,} such rows): one payment has one rate"
        )
    kept = rows.unique(subset=["symbol", "hour"], keep="first", maintain_order=True)
    said.append(f"{rows.height - kept.height:,} rows stand there twice with the same rate and count once")
    return kept


def _with_market(path: Path, rows: pl.DataFrame, exchange: str, wanted: Wanted) -> pl.DataFrame:
    """+ base, quote, asset_class, declared (hours, null where the exchange states none for all times)."""
    listed = []
    for symbol in rows["symbol"].unique():
        market = _market(path, exchange, symbol, wanted)
        hours = market.interval_hours
        listed.append((symbol, market.base, market.quote, market.asset_class, hours))
    schema = {
        "symbol": pl.String,
        "base": pl.String,
        "quote": pl.String,
        "asset_class": pl.String,
        "declared": pl.Float64,
    }
    return rows.join(
        pl.DataFrame(listed, schema, orient="row"), on="symbol", how="left", maintain_order="left"
    )


def _market(path: Path, exchange: str, symbol: str, wanted: Wanted) -> Market:
    if exchange in sources():
        try:
            return fetcher(exchange).market(symbol)
        except BadCall as error:
            hint = "" if wanted.symbol_form else "; --symbol-form '{}USDT' spells them from the file's names"
            raise BadCall(f"{path}: {error}{hint}") from None
    ending = _ENDINGS.search(symbol)
    name = symbol[: ending.start()] if ending else symbol
    what = identify(exchange, _ALIASES.get(name, name))
    quote = ending[1] if ending else None
    return Market(exchange, symbol, what.base, quote, what.asset_class, what.multiplier)


def _with_interval(
    path: Path, rows: pl.DataFrame, wanted: Wanted, exchange: str, said: list[str]
) -> pl.DataFrame:
    """+ hours (null: unknown) and interval_from."""
    seen = stamps.observed(rows)
    if rows["declared"].null_count() == 0:
        since, before = _EARLIER.get(exchange, (datetime(1970, 1, 1, tzinfo=UTC), 1.0))
        rows = rows.with_columns(
            hours=pl.when(pl.col("stamp") < since).then(before).otherwise("declared"),
            interval_from=pl.lit("declared"),
        )
        told = f"{exchange} declares it"
    elif isinstance(wanted.interval, float):
        rows = rows.with_columns(hours=pl.lit(wanted.interval), interval_from=pl.lit("declared"))
        told = "as said"
    else:
        rows = rows.with_columns(hours=seen).with_columns(
            interval_from=pl.when(pl.col("hours").is_null())
            .then(pl.lit("unknown"))
            .otherwise(pl.lit("observed"))
        )
        share = 1 - rows["hours"].null_count() / rows.height
        told = f"the gaps between payments show it for {share:.1%} of the rows, the rest is left unknown"
        if wanted.interval is None and share < _PROVEN_INTERVALS:
            raise BadCall(
                f"{path}: the interval is not proven (the gaps show it for {share:.0%} of {rows.height:,} rows): "
                "say --interval 8h, or --interval infer to leave the rest unknown"
            )
    wrong = rows.with_columns(_seen=seen)
    if isinstance(wanted.interval, float):
        wrong = wrong.with_columns(hours=pl.lit(wanted.interval), _seen=pl.coalesce("_seen", "hours"))
        other = rows.with_columns(_said=pl.lit(wanted.interval)).filter(pl.col("hours") != pl.col("_said"))
        if other.height:
            row = other.row(0, named=True)
            raise BadData(
                f"{path}: row {row[ROW]}: {exchange} pays {row['symbol']} each {row['hours']:g} h, "
                f"not each {wanted.interval:g} h as --interval says"
            )
    wrong = wrong.filter((pl.col("_seen") < pl.col("hours")) | (pl.col("_seen") % pl.col("hours") != 0))
    if wrong.height:
        row = wrong.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} {row['hour']:%Y-%m-%d %H:%M} is paid each {row['_seen']:g} h by the gaps "
            f"around it ({wrong.height:,} such rows), not each {row['hours']:g} h ({told}); --interval infer reads the gaps"
        )
    sparse = rows.with_columns(_seen=seen).filter(pl.col("_seen") > pl.col("hours"))
    if sparse.height > 0.5 * rows.height:
        row = sparse.row(0, named=True)
        raise BadData(
            f"{path}: row {row[ROW]}: {row['symbol']} stands there each {row['_seen']:g} h where {exchange} pays each "
            f"{row['hours']:g} h ({told}): sums or samples, no settlements"
        )
    counts = rows.group_by("hours").len().sort("len", descending=True)
    spans = ", ".join(f"{'unknown' if h is None else f'{h:g} h'} {n:,} rows" for h, n in counts.iter_rows())
    said.append(f"interval: {spans} ({told})")
    return rows


def _unit(
    path: Path, rows: pl.DataFrame, wanted: Wanted, exchange: str, lake: pl.DataFrame, said: list[str]
) -> units.Unit:
    found = units.masses(rows, exchange)
    given = None if wanted.unit is None else units.unit(wanted.unit)
    if given is not None and given.name == "money" and rows["price"].null_count() == rows.height:
        raise BadCall(f"{path}: money needs a price to become a rate: say --map price=COLUMN")
    units.refuse_change(rows, path, exchange)
    by_lake = lake_says.unit(rows, lake)
    by_mass = units.proven(found, rows)
    if given is not None:
        against = units.contradicted(given, found, rows)
        if against is not None:
            raise BadData(
                f"{path}: row {rows[ROW][0]} and on: --unit {given.shown} is contradicted: {units.told(against)}"
            )
        said.append(f"unit: {given.shown}, as said" + (f"; {units.told(found[0])}" if by_mass else ""))
        return given
    if by_lake is not None:
        said.append(f"unit: {by_lake[0].shown}: {by_lake[1]}")
        return by_lake[0]
    if by_mass is None:
        raise units.asks(path, found, exchange)
    said.append(f"unit: {by_mass.shown}: {units.told(found[0])}, under no other unit so many")
    return by_mass


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
