"""Rows of the tables from checked values; columns with one value for a whole response are filled in."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import LeftOut
from fundingdb.fetchers.payload import HOUR_MS, Reader, decimals, shaped, translated_errors
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from fundingdb.fetchers.contract import Market, ResponseContext
    from fundingdb.schema import Table

T = TypeVar("T")
Row = dict[str, Any]
_LATE_MS = 60_000


def funding_rows(
    market: Market, context: ResponseContext, measured: Mapping[str, Sequence[Any]], hours: float
) -> pl.DataFrame:
    """FUNDING rows by time of one market that pays each `hours` (declared by the exchange).

    `measured`: column name -> values, equally long: funding_time and reported_time (Unix ms), funding_rate, native_rate, and
    what else the response states (mark_price, interval_hours with interval_from); other columns are null or declared.
    """
    times = measured["funding_time"]
    order = sorted(range(len(times)), key=times.__getitem__)
    ordered = (
        measured
        if order == list(range(len(times)))
        else {name: list(map(values.__getitem__, order)) for name, values in measured.items()}
    )
    same = {
        "exchange": market.exchange,
        "source": market.exchange,
        "symbol": market.symbol,
        "base": market.base,
        "quote": market.quote,
        "asset_class": market.asset_class,
        "interval_hours": hours,
        "interval_from": "declared",
        "rate_type": "regular",
        "fetched_at": context.at,
    }
    columns: list[pl.Series] = []
    for name, dtype in _FUNDING.items():
        values = ordered.get(name)
        if values is None or _one(values):
            value = same.get(name) if values is None else values[0]
            columns.append(_single(name, value).new_from_index(0, len(times)))
        elif name in ("funding_time", "reported_time"):
            columns.append((pl.Series(name, values, pl.Int64) * 1000).cast(dtype))
        else:
            columns.append(pl.Series(name, values, dtype))
    return pl.DataFrame(columns)


def _one(values: Sequence[Any]) -> bool:
    """Whether a column is nothing but one null or one text."""
    first = values[0] if values else 0
    return (first is None or isinstance(first, str)) and values.count(first) == len(values)


@lru_cache(maxsize=1024)
def _single(name: str, value: Any) -> pl.Series:
    return pl.Series(name, [value], _FUNDING[name])


def late_stamped_rows(
    reader: Reader,
    context: ResponseContext,
    market: Market,
    *,
    stamps: tuple[str, Sequence[int]],
    rates: tuple[str, Sequence[str]],
    bound: float,
) -> pl.DataFrame:
    """FUNDING rows by time of payments stamped up to a minute after their hour, whose interval the exchange does not state.

    `stamps` (Unix ms) and `rates` (text, fraction per interval) each come with the name of their field. Raises BadPayload for
    a stamp off the hour, a figure that is no number, and a rate beyond `bound`.
    """
    field, times = stamps
    if late := [t for t in times if t % HOUR_MS > _LATE_MS]:
        raise reader.bad(field, "is not within a minute after a full hour", late[0])
    name, texts = rates
    figures = decimals(reader, name, texts)
    if absurd := [r for r in figures if abs(r) > bound]:
        raise reader.bad(name, f"{market.symbol}: {absurd[0]:g} is beyond {bound:g} per interval")
    measured = {
        "funding_time": [t - t % HOUR_MS for t in times],
        "reported_time": times,
        "funding_rate": figures,
        "native_rate": figures,
        "mark_price": [None] * len(times),
        "interval_hours": [None] * len(times),
        "interval_from": ["unknown"] * len(times),
    }
    return funding_rows(market, context, measured, hours=1.0)


def named_market(reader: Reader, name: str, symbol: str, by_symbol: Callable[[str], Market]) -> Market:
    """The market of a symbol read from the field `name`; raises BadPayload where `by_symbol` raises BadCall."""
    try:
        return by_symbol(symbol)
    except BadCall as error:
        raise reader.bad(name, str(error), symbol) from None


def the_market(
    reader: Reader,
    context: ResponseContext,
    named: tuple[str, Sequence[str]],
    by_symbol: Callable[[str], Market],
) -> Market:
    """The requested market, else the one that all rows name; raises BadPayload when a row names another."""
    name, symbols = named
    market = context.market or named_market(reader, name, symbols[0], by_symbol)
    if others := set(symbols) - {market.symbol}:
        raise reader.bad(name, f"is {min(others)!r}, requested was {market.symbol!r}")
    return market


_FUNDING = {name: dtype for name, dtype in FUNDING.schema.items() if name != "month"}


def snapshot_row(market: Market, observed_at: datetime, values: Mapping[str, Any]) -> dict[str, Any]:
    """One SNAPSHOTS row of a market; columns that `values` lacks are null."""
    return {
        **dict.fromkeys(SNAPSHOTS.columns),
        "exchange": market.exchange,
        "source": market.exchange,
        "symbol": market.symbol,
        "base": market.base,
        "quote": market.quote,
        "asset_class": market.asset_class,
        "observed_at": observed_at,
        **values,
    }


def snapshot_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """SNAPSHOTS rows without month."""
    return pl.DataFrame(rows, schema=SNAPSHOTS.schema, orient="row").drop("month")


def market_row(market: Market, context: ResponseContext, values: Mapping[str, Any]) -> dict[str, Any]:
    """One MARKETS row of a market listed at `context.at`; columns that neither `market` nor `values` has are null."""
    own = {name: getattr(market, name) for name in MARKETS.columns if hasattr(market, name)}
    return {
        **dict.fromkeys(MARKETS.columns),
        **own,
        "first_seen": context.at,
        "last_seen": context.at,
        **values,
    }


def market_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """MARKETS rows."""
    return pl.DataFrame(rows, schema=MARKETS.schema, orient="row")


# --- responses over many markets: a bad row is left out, the others are kept


def snapshots_of(  # noqa: PLR0917 - one call for each response, alike in all fetchers
    reader: Reader,
    context: ResponseContext,
    values: Iterable[Any],
    kind: type[T],
    read: Callable[[T], Row | None],
    at: str = "(body)",
) -> pl.DataFrame:
    """SNAPSHOTS rows without month of a response over many markets; rows that are not as described are left out.

    Each of `values` is converted to `kind` and read to a row (None: of no interest). One that raises BadPayload, does not
    fit the table or shares its market with a different row goes to `context.left_out`; where none is left, the first error
    is raised. `at` is the field that the values come from.
    """
    rows = _readable(SNAPSHOTS, reader, context, values, kind, read, at)
    return snapshot_rows(rows)


def markets_of(  # noqa: PLR0917 - as snapshots_of, and how a row is named
    reader: Reader,
    context: ResponseContext,
    values: Iterable[Any],
    kind: type[T],
    read: Callable[[T], Row | None],
    at: str = "(body)",
    *,
    symbol: str = "symbol",
    by_symbol: Callable[[str], Market] | None,
) -> pl.DataFrame:
    """MARKETS rows of a response, as `snapshots_of`; a bad row that names its market is kept with the status unknown.

    `symbol` is the field with the name, `by_symbol` makes its market (None: such rows are not kept). Base and class are then
    not proven: its base is `exchange:symbol`, which no other market shares.
    """

    def unknown(value: Any) -> Row | None:
        name = value.get(symbol) if isinstance(value, dict) else None
        if by_symbol is None or not isinstance(name, str):
            return None
        try:
            market = by_symbol(name)
        except BadCall:
            return None
        base = f"{market.exchange}:{market.symbol}"
        return market_row(replace(market, base=base, status="unknown"), context, {})

    return market_rows(_readable(MARKETS, reader, context, values, kind, read, at, unknown))


def _readable(  # noqa: PLR0917 - one call for both tables
    table: Table,
    reader: Reader,
    context: ResponseContext,
    values: Iterable[Any],
    kind: type[T],
    read: Callable[[T], Row | None],
    at: str,
    unknown: Callable[[Any], Row | None] = lambda _value: None,
) -> list[Row]:
    """The rows of `values` that can be read, then the unknown ones; raises the first error where no row is as described."""
    good: list[Row] = []
    doubtful: list[Row] = []
    first = len(context.left_out)
    for i, value in enumerate(values):
        already = len(context.left_out)
        try:
            with translated_errors(reader.exchange, reader.endpoint, f"{at}[{i}]"):
                row = read(shaped(value, kind, reader.exchange, reader.endpoint, f"{at}[{i}]"))
        except BadPayload as error:
            row = unknown(value)
            context.left_out.append(LeftOut(row["symbol"] if row else None, error))
        if row is not None:
            (good if len(context.left_out) == already else doubtful).append(row)
    good = _single_rows(table, reader, context, _fitting(table, reader, context, good))
    if not good and len(context.left_out) > first:
        raise context.left_out[first].error
    names = {row["symbol"] for row in good}
    return good + list({row["symbol"]: row for row in doubtful if row["symbol"] not in names}.values())


def _fitting(table: Table, reader: Reader, context: ResponseContext, rows: list[Row]) -> list[Row]:
    """The rows whose values their columns allow; others are left out."""
    faults = [
        fault for name, column in table.columns.items() if name != "month" for fault in column.faults(name)
    ]
    frame = pl.DataFrame(rows, schema=table.schema, orient="row")
    bad = frame.select(expr.fill_null(value=False).alias(problem) for problem, expr in faults)
    reasons = [
        next(name for name, is_bad in row.items() if is_bad) if any(row.values()) else ""
        for row in bad.to_dicts()
    ]
    for row, reason in zip(rows, reasons, strict=True):
        if reason:
            error = reader.bad("(rows)", f"of {row['symbol']}: {reason}")
            context.left_out.append(LeftOut(row["symbol"], error))
    return [row for row, reason in zip(rows, reasons, strict=True) if not reason]


def _single_rows(table: Table, reader: Reader, context: ResponseContext, rows: list[Row]) -> list[Row]:
    """The rows without repetitions; markets with two different rows at one instant are left out."""
    by_key: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        same = by_key.setdefault(tuple(row[name] for name in table.key), [])
        if row not in same:
            same.append(row)
    for same in by_key.values():
        if len(same) > 1:
            symbol = same[0]["symbol"]
            problem = f"{symbol} has {len(same)} different rows"
            context.left_out.append(LeftOut(symbol, reader.bad("(rows)", problem)))
    return [same[0] for same in by_key.values() if len(same) == 1]


def stated_status(  # noqa: PLR0917 - a word with its field, its symbol and its table
    reader: Reader, context: ResponseContext, name: str, symbol: str, word: str, words: Mapping[str, str]
) -> str:
    """The status that `word` means; of another word the status listed in `context.markets`, else unknown, and it is reported."""
    if word in words:
        return words[word]
    problem = f"of {symbol} is none of {', '.join(words)}"
    context.left_out.append(LeftOut(symbol, reader.bad(name, problem, word)))
    listed = context.markets.get(symbol)
    return "unknown" if listed is None else listed.status
