"""Rows of the tables from what a fetcher has read; the columns that are one for a whole answer are filled in."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

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

    `measured` has funding_time and reported_time (Unix ms), funding_rate, native_rate, mark_price, equally long.
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
    """FUNDING rows by time of payments stamped up to a minute after their hour, whose interval is not told.

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


def the_market(
    reader: Reader,
    context: ResponseContext,
    named: tuple[str, Sequence[str]],
    by_symbol: Callable[[str], Market],
) -> Market:
    """The market asked for, else the one that all rows name; raises BadPayload when a row names another."""
    field, symbols = named
    market = context.market or by_symbol(symbols[0])
    if others := set(symbols) - {market.symbol}:
        raise reader.bad(field, f"is {min(others)!r}, asked was {market.symbol!r}")
    return market


_FUNDING = {name: dtype for name, dtype in FUNDING.schema.items() if name != "month"}


def snapshot_row(market: Market, observed_at: datetime, known: Mapping[str, Any]) -> dict[str, Any]:
    """One SNAPSHOTS row; what `known` does not say is null."""
    return {
        **dict.fromkeys(SNAPSHOTS.columns),
        "exchange": market.exchange,
        "source": market.exchange,
        "symbol": market.symbol,
        "base": market.base,
        "quote": market.quote,
        "asset_class": market.asset_class,
        "observed_at": observed_at,
        **known,
    }


def snapshot_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """SNAPSHOTS rows without month."""
    return pl.DataFrame(rows, schema=SNAPSHOTS.schema, orient="row").drop("month")


def market_row(market: Market, context: ResponseContext, known: Mapping[str, Any]) -> dict[str, Any]:
    """One MARKETS row, seen at `context.at`; what neither `market` nor `known` says is null."""
    own = {name: getattr(market, name) for name in MARKETS.columns if hasattr(market, name)}
    return {
        **dict.fromkeys(MARKETS.columns),
        **own,
        "first_seen": context.at,
        "last_seen": context.at,
        **known,
    }


def market_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """MARKETS rows."""
    return pl.DataFrame(rows, schema=MARKETS.schema, orient="row")
