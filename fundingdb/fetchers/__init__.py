"""The known sources, by id: the built-in ones and those of installed packages (entry points `fundingdb.fetchers`)."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall, UnknownName

if TYPE_CHECKING:
    from fundingdb.fetchers.base import Fetcher

BUILT_IN = ("extended", "lighter", "hyperliquid", "coingecko")


@cache
def names() -> tuple[str, ...]:
    """The ids of all sources, built-in ones first."""
    others = sorted({e.name for e in entry_points(group="fundingdb.fetchers")} - set(BUILT_IN))
    return (*BUILT_IN, *others)


@cache
def fetcher(name: str) -> Fetcher:
    """The fetcher of that id; raises UnknownName with near matches."""
    if name in BUILT_IN:
        return import_module(f"fundingdb.fetchers.{name}").FETCHER
    if name not in names():
        raise UnknownName("exchange", name, names())
    (entry,) = [e for e in entry_points(group="fundingdb.fetchers") if e.name == name][:1]
    found: Fetcher = entry.load()
    if found.exchange != name:
        raise BadCall(f"plugin {entry.value}: calls itself {found.exchange!r}, its entry point {name!r}")
    return found
