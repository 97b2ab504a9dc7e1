"""From names of tokens, exchanges and asset classes to markets. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fundingdb.fetchers.identity import spellings
from fundingdb.schema import ASSET_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WHO = ("exchange", "asset_class", "base", "symbol")


@dataclass(frozen=True, slots=True)
class LoadedMarket:
    """One market and its rows [low, high)."""

    exchange: str
    asset_class: str
    base: str
    symbol: str
    low: int = 0
    high: int = 0

    @property
    def who(self) -> tuple[str, str, str, str]:
        """Its name, as `WHO` has it."""
        return self.exchange, self.asset_class, self.base, self.symbol


@dataclass(frozen=True, slots=True)
class Chosen:
    """What load_data was limited to, in the user's spelling; None: everything."""

    exchanges: tuple[str, ...] | None = None
    tokens: tuple[str, ...] | None = None
    asset_class: str | None = None

    def __str__(self) -> str:
        parts = (", ".join(self.exchanges or ()), ", ".join(self.tokens or ()), self.asset_class or "")
        return "; ".join(part for part in parts if part) or "nothing"

    @property
    def spelled(self) -> tuple[list[str] | None, list[str] | None]:
        """Exchanges and tokens in every spelling that `identity.matching` accepts."""
        exchanges, tokens = (
            None if words is None else [name for word in words for name in spellings(word)]
            for words in (self.exchanges, self.tokens)
        )
        return exchanges, tokens

    def has(self, market: LoadedMarket) -> bool:
        """Whether a market is among what was chosen."""
        exchanges, tokens = self.spelled
        return (
            (exchanges is None or market.exchange in exchanges)
            and (tokens is None or market.base in tokens or market.symbol in tokens)
            and self.asset_class in (None, market.asset_class)
        )


def classes(markets: Iterable[LoadedMarket]) -> dict[str, str]:
    """Base -> its asset class; of several the first in ASSET_CLASSES."""
    by_base: dict[str, str] = {}
    for market in markets:
        known = by_base.setdefault(market.base, market.asset_class)
        by_base[market.base] = min(known, market.asset_class, key=ASSET_CLASSES.index)
    return by_base


def named(markets: Sequence[LoadedMarket], meant: Mapping[str, str]) -> dict[str, dict[str, LoadedMarket]]:
    """Token -> exchange -> market: bases first, then symbols that are no base."""
    by_name: dict[str, dict[str, LoadedMarket]] = {}
    for market in sorted(markets, key=lambda m: (":" in m.symbol, m.symbol)):
        if market.asset_class == meant[market.base]:
            by_name.setdefault(market.base, {}).setdefault(market.exchange, market)
    for market in markets:
        if market.symbol not in meant:
            by_name.setdefault(market.symbol, {}).setdefault(market.exchange, market)
    return by_name
