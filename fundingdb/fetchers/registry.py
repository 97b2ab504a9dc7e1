"""All sources by id: the built-in ones, and those of installed packages (entry points of the group `fundingdb.fetchers`).

A fetcher of another package is loaded only when its declaration keeps the rules of `declaration.py`, and each result of its
functions is checked while it is used; what breaks a rule raises BadPlugin, which names package and rule.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache, wraps
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from fundingdb.errors import BadPlugin, FundingdbError, SchemaError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from fundingdb.fetchers.contract import Fetcher, Sweep

_GROUP = "fundingdb.fetchers"
# id -> module and name of its fetcher
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
# exchange -> module and name of the fetcher of its archive, a second source
ARCHIVES = {
    "binance": "binance_archive:USD_M",
    "binance-coinm": "binance_archive:COIN_M",
    "drift": "drift_archive:DRIFT",
}


@cache
def names() -> tuple[str, ...]:
    """The ids of all sources, built-in ones first."""
    others = sorted({e.name for e in entry_points(group=_GROUP)} - set(BUILT_IN))
    return (*BUILT_IN, *others)


@cache
def fetcher(name: str) -> Fetcher:
    """The fetcher of that id; raises UnknownName with near matches, BadPlugin for one that breaks the contract."""
    if name in BUILT_IN:
        return _built_in(BUILT_IN[name])
    if name not in names():
        raise UnknownName("exchange", name, names())
    return _plugin(list(entry_points(group=_GROUP, name=name)))


def archive(name: str) -> Fetcher:
    """The fetcher of an exchange's archive of files; raises UnknownName where there is none."""
    if name not in ARCHIVES:
        raise UnknownName("exchange with an archive", name, ARCHIVES)
    return _built_in(ARCHIVES[name])


def usable() -> tuple[list[Fetcher], list[BadPlugin]]:
    """All fetchers that keep the contract, and what is wrong with the others."""
    good: list[Fetcher] = []
    broken: list[BadPlugin] = []
    for name in names():
        try:
            good.append(fetcher(name))
        except BadPlugin as error:
            broken.append(error)
    return good, broken


def _built_in(where: str) -> Fetcher:
    module, _, attribute = where.partition(":")
    return getattr(import_module(f"fundingdb.fetchers.{module}"), attribute)


# --- fetchers of other packages


def _plugin(entries: list[EntryPoint]) -> Fetcher:
    """The one fetcher behind the entry points of a name, its functions watched; raises BadPlugin."""
    from fundingdb.fetchers.declaration import broken_rules  # noqa: PLC0415 - of no use to built-in fetchers

    entry = entries[0]
    package = ", ".join(_package(e) for e in entries)
    if len(entries) > 1:
        raise BadPlugin(package, f"one package alone claims {entry.name!r}")
    try:
        plugin = entry.load()
    except (Exception, SystemExit) as error:
        raise BadPlugin(package, f"it can be imported ({type(error).__name__}: {error})") from error
    if rules := broken_rules(plugin):
        raise BadPlugin(package, rules[0])
    if plugin.exchange != entry.name:
        raise BadPlugin(package, f"exchange is the entry point's name (is {plugin.exchange!r})")
    if plugin.source != plugin.exchange or plugin.call or plugin.listed_by:
        raise BadPlugin(package, "source, call and listed_by are left to fundingdb")
    return _watched_fetcher(package, plugin)


def _package(entry: EntryPoint) -> str:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "(unknown)"
    return f"{package}, {entry.name} = {entry.value}"


def _watched_fetcher(package: str, plugin: Fetcher) -> Fetcher:
    """The fetcher with each function watched: the type of its result, its rows, and that it raises our errors only."""
    from fundingdb.fetchers.contract import Market, Request  # noqa: PLC0415 - the list of names needs none of it
    from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS  # noqa: PLC0415 - nor Polars

    def watched(what: str, function: Callable[..., Any], wrong: Callable[[Any], str | None]) -> Any:
        return _watched(package, what, function, wrong)

    def rows(table: Any) -> Callable[[Any], str | None]:
        return lambda frame: _wrong_rows(table, plugin.exchange, frame)

    def sweep(name: str, one: Sweep, table: Any) -> Sweep:
        return replace(
            one,
            requests=watched(f"{name}.requests", one.requests, _wrong_requests),
            parse=watched(f"{name}.parse", one.parse, rows(table)),
            combine=watched(f"{name}.combine", one.combine, rows(table)),
            next_page=watched(f"{name}.next_page", one.next_page, _one_of(Request, None)),
        )

    history, live = plugin.history, plugin.live
    if history is not None:
        cursor = history.next_cursor
        history = replace(
            history,
            request=watched("history.request", history.request, _one_of(Request)),
            parse=watched("history.parse", history.parse, rows(FUNDING)),
            next_cursor=cursor and watched("history.next_cursor", cursor, _one_of(str, None)),
        )
    return replace(
        plugin,
        markets=sweep("markets", plugin.markets, MARKETS),
        current=sweep("current", plugin.current, SNAPSHOTS),
        history=history,
        market=watched("market", plugin.market, _one_of(Market)),
        refusal=watched("refusal", plugin.refusal, _one_of(FundingdbError, None)),
        headers=watched("headers", plugin.headers, _one_of(dict)),
        response_time=watched("response_time", plugin.response_time, _one_of(datetime, None)),
        live=live and replace(live, parse=watched("live.parse", live.parse, rows(SNAPSHOTS))),
    )


def _watched(
    package: str, what: str, function: Callable[..., Any], wrong: Callable[[Any], str | None]
) -> Callable[..., Any]:
    @wraps(function)
    def watched(*arguments: Any) -> Any:
        try:
            result = function(*arguments)
        except FundingdbError:
            raise
        except Exception as error:
            rule = f"{what} raises errors of fundingdb only (raised {type(error).__name__}: {error})"
            raise BadPlugin(package, rule) from error
        if broken := wrong(result):
            raise BadPlugin(package, f"{what} {broken}")
        return result

    return watched


def _one_of(*kinds: type | None) -> Callable[[Any], str | None]:
    types = tuple(type(None) if kind is None else kind for kind in kinds)
    words = " or ".join("None" if kind is None else kind.__name__ for kind in kinds)
    return lambda value: (
        None if isinstance(value, types) else f"returns {words} (returned {type(value).__name__})"
    )


def _wrong_requests(value: Any) -> str | None:
    from fundingdb.fetchers.contract import Request  # noqa: PLC0415 - the list of names needs none of it

    if isinstance(value, list) and all(isinstance(one, Request) for one in value):
        return None
    return f"returns a list of Request (returned {type(value).__name__})"


def _wrong_rows(table: Any, exchange: str, frame: Any) -> str | None:
    import polars as pl  # noqa: PLC0415 - built-in fetchers need none of it here

    if not isinstance(frame, pl.DataFrame):
        return f"returns a Polars frame (returned {type(frame).__name__})"
    try:
        rows = table.check(frame)
    except SchemaError as error:
        return f"returns rows of the table {table.name}: {error}"
    for column in {"exchange", "source"} & set(rows.columns):
        if others := set(rows[column]) - {exchange}:
            return f"returns rows of its own {column} {exchange!r} only (returned {min(others)!r})"
    return None
