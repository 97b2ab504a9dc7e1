"""Lists of markets: selecting markets and rows by token, and merging a new list with the stored one. Pure.

A token selects a market by its base in any case, or by its symbol verbatim.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import UnknownName
from fundingdb.fetchers.contract import Market

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from fundingdb.fetchers.contract import LeftOut

_UNSURE = ("prelisted", "unknown")


def market_of(row: Mapping[str, object]) -> Market:
    """The Market of one MARKETS row."""
    return Market(**{name: row[name] for name in Market.__dataclass_fields__})  # type: ignore[bad-argument-type]


def select_markets(
    listed: Mapping[str, Mapping[str, Market]], tokens: Sequence[str] | None
) -> dict[str, list[Market]]:
    """By exchange the markets that `tokens` select; None: all but those that do not trade yet or whose status is unknown.

    Raises UnknownName for a token that no exchange lists.
    """
    if tokens is None:
        return {e: [m for m in ms.values() if m.status not in _UNSURE] for e, ms in listed.items()}
    markets = [m for ms in listed.values() for m in ms.values()]
    for token in tokens:
        if listed and not any(selects(m, [token]) for m in markets):
            raise UnknownName("token", token, {m.base for m in markets}, f"(on {', '.join(listed)})")
    return {e: [m for m in ms.values() if selects(m, tokens)] for e, ms in listed.items()}


def selects(market: Market, tokens: Sequence[str]) -> bool:
    """Whether one of `tokens` selects the market."""
    return any(token == market.symbol or token.upper() == market.base.upper() for token in tokens)


def token_filter(tokens: Sequence[str]) -> pl.Expr:
    """The filter for rows (with base and symbol) that one of `tokens` selects."""
    upper = [token.upper() for token in tokens]
    return pl.col("base").str.to_uppercase().is_in(upper) | pl.col("symbol").is_in(list(tokens))


def select_rows(rows: pl.DataFrame, tokens: Sequence[str]) -> pl.DataFrame:
    """The rows that `tokens` select; raises UnknownName for a token that selects none."""
    for token in tokens:
        if rows.filter(token_filter([token])).is_empty():
            raise UnknownName("token", token, rows["base"].to_list())
    return rows.filter(token_filter(tokens))


def merged(
    new: pl.DataFrame, stored: pl.DataFrame, now: datetime, left_out: Sequence[LeftOut] = ()
) -> pl.DataFrame:
    """A new list of MARKETS rows with what only the stored one has: first_seen, delisted_at, markets listed no longer.

    Those become delisted, as of `now`, except when the new list is empty. A market whose new row is left out or has the status
    unknown stays as it is stored; where a row that is left out names no market, none becomes delisted.
    """
    unread = [one.symbol for one in left_out if one.symbol is not None]
    nameless = len(unread) < len(left_out)
    unknown = new.filter(pl.col("status") == "unknown").select("exchange", "symbol", "last_seen")
    described = stored.filter(pl.col("status") != "unknown").select(new.columns)
    listed_still = described.drop("last_seen").join(unknown, on=["exchange", "symbol"], how="inner")
    kept = described.join(new, on=["exchange", "symbol"], how="anti").filter(
        pl.col("symbol").is_in(unread) | nameless
    )
    new = pl.concat(
        [new.join(listed_still, on=["exchange", "symbol"], how="anti"), listed_still.select(new.columns)]
    )
    stored = stored.join(kept, on=["exchange", "symbol"], how="anti")
    gone = (
        stored.join(new, on=["exchange", "symbol"], how="anti")
        .select(new.columns)
        .with_columns(status=pl.lit("delisted"), delisted_at=pl.col("delisted_at").fill_null(now))
        if new.height
        else stored.clear()
    )
    past = stored.select("exchange", "symbol", _first="first_seen", _gone="delisted_at")
    delisted = pl.col("status") == "delisted"
    listed = new.join(past, on=["exchange", "symbol"], how="left", maintain_order="left").with_columns(
        first_seen=pl.coalesce("_first", "first_seen"),
        delisted_at=pl.when(delisted).then(pl.coalesce("delisted_at", "_gone", pl.lit(now))),
    )
    return pl.concat([listed.drop("_first", "_gone"), gone, kept])


def reasons(left_out: Sequence[LeftOut]) -> list[str]:
    """One line per field: how many rows are left out or kept as unknown for it, and the first reason."""
    by_field: dict[str, list[LeftOut]] = {}
    for one in left_out:
        by_field.setdefault(re.sub(r"\[\d+\]", "", one.error.field), []).append(one)
    return [
        f"{len(same)} rows left out or of unknown status, the first: {same[0].error}"
        for same in by_field.values()
    ]
