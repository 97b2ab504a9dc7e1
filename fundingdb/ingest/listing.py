"""What exchanges list: choosing markets by token, remembering what a listing of now no longer says. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import UnknownName
from fundingdb.fetchers.contract import Market

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


def market_of(row: Mapping[str, object]) -> Market:
    """The Market of one MARKETS row."""
    return Market(**{name: row[name] for name in Market.__dataclass_fields__})  # type: ignore[bad-argument-type]


def choose(
    listed: Mapping[str, Mapping[str, Market]], tokens: Sequence[str] | None
) -> dict[str, list[Market]]:
    """By exchange the markets of `tokens` (base in any case, or symbol verbatim); None: all but those not yet trading.

    Raises UnknownName for a token that no exchange lists.
    """
    if tokens is None:
        return {e: [m for m in ms.values() if m.status != "prelisted"] for e, ms in listed.items()}
    for token in tokens:
        if not any(_is(token, m) for ms in listed.values() for m in ms.values()) and listed:
            known = {m.base for ms in listed.values() for m in ms.values()}
            raise UnknownName("token", token, known, f"(asked: {', '.join(listed)})")
    return {e: [m for m in ms.values() if is_one(m, tokens)] for e, ms in listed.items()}


def is_one(market: Market, tokens: Sequence[str]) -> bool:
    """Whether one of `tokens` names the market: its base in any case, or its symbol verbatim."""
    return any(_is(token, market) for token in tokens)


def of_tokens(tokens: Sequence[str]) -> pl.Expr:
    """The rows (with base and symbol) that one of `tokens` names, by the same rule."""
    upper = [token.upper() for token in tokens]
    return pl.col("base").str.to_uppercase().is_in(upper) | pl.col("symbol").is_in(list(tokens))


def named(rows: pl.DataFrame, tokens: Sequence[str]) -> pl.DataFrame:
    """The rows that `tokens` name; raises UnknownName for a token that names none."""
    for token in tokens:
        if rows.filter(of_tokens([token])).is_empty():
            raise UnknownName("token", token, rows["base"].to_list())
    return rows.filter(of_tokens(tokens))


def _is(token: str, market: Market) -> bool:
    return token == market.symbol or token.upper() == market.base.upper()


def remembered(new: pl.DataFrame, old: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The listing of now with what only the lake remembers: first_seen, delisted_at, markets that vanished."""
    gone = (
        old.join(new, on=["exchange", "symbol"], how="anti")
        .select(new.columns)
        .with_columns(status=pl.lit("delisted"), delisted_at=pl.col("delisted_at").fill_null(now))
        if new.height
        else old.clear()
    )
    past = old.select("exchange", "symbol", _first="first_seen", _gone="delisted_at")
    dead = pl.col("status") == "delisted"
    seen = new.join(past, on=["exchange", "symbol"], how="left", maintain_order="left").with_columns(
        first_seen=pl.coalesce("_first", "first_seen"),
        delisted_at=pl.when(dead).then(pl.coalesce("delisted_at", "_gone", pl.lit(now))),
    )
    return pl.concat([seen.drop("_first", "_gone"), gone])
