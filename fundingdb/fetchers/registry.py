"""The known sources, by id: the built-in ones and those of installed packages (entry points `fundingdb.fetchers`)."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from fundingdb.errors import BadPlugin, UnknownName

if TYPE_CHECKING:
    from fundingdb.fetchers.contract import Fetcher

# id -> where its fetcher stands
BUILT_IN = {
    "extended": "extended:FETCHER",
    "lighter": "lighter:FETCHER",
    "hyperliquid": "hyperliquid:FETCHER",
    "coingecko": "coingecko:FETCHER",
    "binance": "binance:FETCHER",
    "binance-coinm": "binance:COIN_M",
    "aster": "binance:ASTER",
    "bybit": "bybit:FETCHER",
    "okx": "okx:FETCHER",
    "gate": "gate:FETCHER",
    "dydx": "dydx:FETCHER",
    "backpack": "backpack:FETCHER",
    "pacifica": "pacifica:FETCHER",
    "grvt": "grvt:FETCHER",
    "drift": "drift:DRIFT",
    "velocity": "drift:VELOCITY",
    "variational": "variational:FETCHER",
    "edgex": "edgex:FETCHER",
    "nado": "nado:FETCHER",
    "paradex": "paradex:FETCHER",
}
# exchange -> where the fetcher of its archive stands, a second source
ARCHIVES = {
    "binance": "binance_archive:USD_M",
    "binance-coinm": "binance_archive:COIN_M",
    "drift": "drift_archive:DRIFT",
}


@cache
def names() -> tuple[str, ...]:
    """The ids of all sources, built-in ones first."""
    others = sorted({e.name for e in entry_points(group="fundingdb.fetchers")} - set(BUILT_IN))
    return (*BUILT_IN, *others)


@cache
def fetcher(name: str) -> Fetcher:
    """The fetcher of that id; raises UnknownName with near matches, BadPlugin for one that breaks its contract."""
    if name in BUILT_IN:
        return _standing(BUILT_IN[name])
    if name not in names():
        raise UnknownName("exchange", name, names())
    from fundingdb.fetchers.plugins import loaded, twice  # noqa: PLC0415 - built-in ones need no polars here

    first, *others = entry_points(group="fundingdb.fetchers", name=name)
    if others:
        raise twice([first, *others])
    return loaded(first)


def archive(name: str) -> Fetcher:
    """The fetcher of an exchange's archive of finished months; raises UnknownName where there is none."""
    if name not in ARCHIVES:
        raise UnknownName("exchange with an archive", name, ARCHIVES)
    return _standing(ARCHIVES[name])


def _standing(place: str) -> Fetcher:
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"fundingdb.fetchers.{module}"), attribute)


def usable() -> tuple[list[Fetcher], list[BadPlugin]]:
    """All fetchers that keep the contract, and what is wrong with the others."""
    found: list[Fetcher] = []
    broken: list[BadPlugin] = []
    for name in names():
        try:
            found.append(fetcher(name))
        except BadPlugin as error:
            broken.append(error)
    return found, broken
