"""The rules that a fetcher's declaration keeps, each in words: for the contract suite and for the fetchers of other packages."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, get_args

from fundingdb.fetchers.contract import Budget, Cursor, Fetcher, History, Live, Months, Paging, Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ADDRESS = re.compile(r"https?://[^/]")


def broken_rules(fetcher: Any) -> list[str]:
    """Each rule that `fetcher` breaks, in words with the wrong value; empty for a declaration that keeps them all."""
    if not isinstance(fetcher, Fetcher):
        return [f"it is a Fetcher (is {type(fetcher).__name__})"]
    rules = [*_identity(fetcher), *_sweeps(fetcher), *_history(fetcher), *_rest(fetcher)]
    return [words for kept, words in rules if not kept]


def _identity(fetcher: Fetcher) -> Iterator[tuple[bool, str]]:
    name, budget = fetcher.exchange, fetcher.budget
    good = isinstance(name, str) and _ID.fullmatch(name)
    yield bool(good), f"exchange is lower case letters, digits and single hyphens (is {name!r})"
    yield type(fetcher.version) is int and fetcher.version > 0, "version is an int from 1 up"
    address = isinstance(fetcher.base_url, str) and _ADDRESS.match(fetcher.base_url)
    yield bool(address), f"base_url is an http(s) address (is {fetcher.base_url!r})"
    yield isinstance(budget, Budget), "budget is a Budget"
    if isinstance(budget, Budget):
        figures = (budget.capacity, budget.per_seconds, budget.concurrent)
        yield (
            all(isinstance(figure, int | float) and figure > 0 for figure in figures),
            "capacity, per_seconds and concurrent of budget are positive numbers",
        )


def _sweeps(fetcher: Fetcher) -> Iterator[tuple[bool, str]]:
    for name in ("markets", "current"):
        sweep = getattr(fetcher, name)
        yield isinstance(sweep, Sweep), f"{name} is a Sweep"
        parts = ("requests", "parse", "combine", "next_page")
        yield (
            all(callable(getattr(sweep, part, None)) for part in parts),
            f"requests, parse, combine and next_page of {name} are functions",
        )


def _history(fetcher: Fetcher) -> Iterator[tuple[bool, str]]:
    history = fetcher.history
    if not isinstance(history, History):
        yield history is None, "history is a History, or None where the exchange has none"
        return
    kinds = ", ".join(kind.__name__ for kind in get_args(Paging))
    yield isinstance(history.paging, get_args(Paging)), f"history.paging is one of {kinds}"
    yield callable(history.request) and callable(history.parse), "request and parse of history are functions"
    cursor = history.next_cursor
    yield cursor is None or callable(cursor), "next_cursor of history is a function or None"
    if isinstance(history.paging, Cursor | Months):
        yield cursor is not None, f"paging by {type(history.paging).__name__} has its function next_cursor"
    yield _stated(history.depth), "history.depth states how far back, in words"


def _rest(fetcher: Fetcher) -> Iterator[tuple[bool, str]]:
    live, delay = fetcher.live, fetcher.settle_delay
    yield live is None or isinstance(live, Live), "live is a Live, or None where there is no stream"
    yield (
        isinstance(delay, timedelta) and timedelta(0) <= delay <= timedelta(hours=1),
        "settle_delay is a timedelta of at most an hour",
    )
    for part in ("market", "refusal", "headers", "response_time"):
        yield callable(getattr(fetcher, part)), f"{part} is a function"
    for part in ("unit", "interval"):
        yield _stated(getattr(fetcher, part)), f"{part} is stated, in words"
    yield _is_day(fetcher.checked), "checked is the day the datasheet was checked, like 2026-11-22"


def _stated(words: Any) -> bool:
    return isinstance(words, str) and bool(words.strip())


def _is_day(text: Any) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except (TypeError, ValueError):
        return False
