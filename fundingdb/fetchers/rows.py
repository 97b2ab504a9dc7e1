"""Rows of the tables from checked values; columns with one value for a whole response are filled in."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.errors import BadCall
from fundingdb.fetchers.payload import HOUR_MS, Reader, decimals
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from fundingdb.fetchers.contract import Market, ResponseContext

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
