"""Fetchers of other packages: taken in only when they keep the contract, and watched while they are used.

Whatever such a package does wrong becomes BadPlugin, which names the package and the rule; nothing of it is stored.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, get_args

import polars as pl

from fundingdb.errors import BadPlugin, FundingdbError, SchemaError
from fundingdb.fetchers.contract import Budget, Fetcher, History, Live, Market, Paging, Request, Sweep
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def loaded(entry: EntryPoint) -> Fetcher:
    """The fetcher behind an entry point, each of its functions guarded; raises BadPlugin."""
    who = _package(entry)
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:
        raise BadPlugin(who, f"it can be imported ({type(error).__name__}: {error})") from error
    _keeps(who, entry.name, found)
    return _guarded(who, found)


def twice(entries: list[EntryPoint]) -> BadPlugin:
    """The refusal of a name that several packages claim."""
    return BadPlugin(", ".join(_package(e) for e in entries), f"one package alone claims {entries[0].name!r}")


def _package(entry: EntryPoint) -> str:
    told = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "(unknown)"
    return f"{told}, {entry.name} = {entry.value}"


def _keeps(who: str, name: str, found: Any) -> None:
    """Whether what was loaded is a fetcher as `fetchers/base.py` has it."""

    def rule(*, kept: bool, text: str) -> None:
        if not kept:
            raise BadPlugin(who, text)

    rule(kept=isinstance(found, Fetcher), text=f"it is a Fetcher (is {type(found).__name__})")
    rule(kept=found.exchange == name, text=f"exchange is the entry point's name (is {found.exchange!r})")
    rule(kept=bool(_ID.fullmatch(name)), text="exchange is lower case letters, digits and single hyphens")
    rule(kept=type(found.version) is int and found.version > 0, text="version is an int from 1 up")
    address = isinstance(found.base_url, str) and re.match(r"https?://[^/]", found.base_url)
    rule(kept=bool(address), text="base_url is an http(s) address")
    rule(kept=isinstance(found.budget, Budget), text="budget is a Budget")
    for side in ("markets", "current"):
        rule(kept=isinstance(getattr(found, side), Sweep), text=f"{side} is a Sweep")
        parts = (
            getattr(getattr(found, side), part) for part in ("requests", "parse", "combine", "next_page")
        )
        rule(
            kept=all(map(callable, parts)),
            text=f"requests, parse, combine and next_page of {side} are functions",
        )
    past = found.history
    rule(kept=past is None or isinstance(past, History), text="history is a History or None")
    if past is not None:
        rule(kept=isinstance(past.paging, get_args(Paging)), text="history.paging is one of fetchers/base.py")
        functions = callable(past.request) and callable(past.parse)
        rule(kept=functions, text="request and parse of history are functions")
        rule(
            kept=past.next_cursor is None or callable(past.next_cursor),
            text="next_cursor is a function or None",
        )
        rule(kept=isinstance(past.depth, str) and bool(past.depth), text="history.depth says how far back")
    rule(kept=found.live is None or isinstance(found.live, Live), text="live is a Live or None")
    ours = (found.source != found.exchange, found.call, found.listed_by)
    rule(kept=not any(ours), text="source, call and listed_by are left to fundingdb")
    delay = found.settle_delay
    rule(kept=isinstance(delay, timedelta) and delay >= timedelta(0), text="settle_delay is a timedelta")
    for part in ("market", "refusal", "headers", "response_time"):
        rule(kept=callable(getattr(found, part)), text=f"{part} is a function")
    for part in ("unit", "interval", "checked"):
        told = getattr(found, part)
        rule(kept=isinstance(told, str) and bool(told), text=f"{part} is stated, in words")


def _guarded(who: str, found: Fetcher) -> Fetcher:
    """The fetcher with each function watched: what it gives, and that it raises errors of fundingdb only."""
    name = found.exchange

    def side(which: str, table: Table) -> Sweep:
        one: Sweep = getattr(found, which)
        return replace(
            one,
            requests=_watched(who, f"{which}.requests", one.requests, _requests),
            parse=_watched(who, f"{which}.parse", one.parse, _rows(table, name)),
            combine=_watched(who, f"{which}.combine", one.combine, _rows(table, name)),
            next_page=_watched(who, f"{which}.next_page", one.next_page, _a(Request, None)),
        )

    live = found.live
    past = found.history
    if past is not None:
        following = past.next_cursor
        past = replace(
            past,
            request=_watched(who, "history.request", past.request, _a(Request)),
            parse=_watched(who, "history.parse", past.parse, _rows(FUNDING, name)),
            next_cursor=following and _watched(who, "history.next_cursor", following, _a(str, None)),
        )
    return replace(
        found,
        markets=side("markets", MARKETS),
        current=side("current", SNAPSHOTS),
        history=past,
        market=_watched(who, "market", found.market, _a(Market)),
        refusal=_watched(who, "refusal", found.refusal, _a(FundingdbError, None)),
        headers=_watched(who, "headers", found.headers, _a(dict)),
        response_time=_watched(who, "response_time", found.response_time, _a(datetime, None)),
        live=live and replace(live, parse=_watched(who, "live.parse", live.parse, _rows(SNAPSHOTS, name))),
    )


def _watched(
    who: str, what: str, function: Callable[..., Any], wrong: Callable[[Any], str | None]
) -> Callable[..., Any]:
    @wraps(function)
    def watched(*given: Any) -> Any:
        try:
            result = function(*given)
        except FundingdbError:
            raise
        except Exception as error:
            told = f"{what} raises errors of fundingdb only (raised {type(error).__name__}: {error})"
            raise BadPlugin(who, told) from error
        if broken := wrong(result):
            raise BadPlugin(who, f"{what} {broken}")
        return result

    return watched


def _a(*kinds: type | None) -> Callable[[Any], str | None]:
    types = tuple(type(None) if k is None else k for k in kinds)
    names = " or ".join("None" if k is None else k.__name__ for k in kinds)
    return lambda value: None if isinstance(value, types) else f"gives {names} (gave {type(value).__name__})"


def _requests(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(one, Request) for one in value):
        return None
    return f"gives a list of Request (gave {type(value).__name__})"


def _rows(table: Table, name: str) -> Callable[[Any], str | None]:
    def wrong(value: Any) -> str | None:
        if not isinstance(value, pl.DataFrame):
            return f"gives a Polars frame (gave {type(value).__name__})"
        try:
            rows = table.check(value)
        except SchemaError as error:
            return f"gives rows of the table {table.name}: {error}"
        for column in {"exchange", "source"} & set(rows.columns):
            if others := set(rows[column]) - {name}:
                return f"gives rows of its own {column} {name!r} only (gave {min(others)!r})"
        return None

    return wrong
