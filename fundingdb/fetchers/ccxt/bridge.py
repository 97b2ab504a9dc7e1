"""The ccxt bridge: exchanges on an allowlist, requested through ccxt, as fetchers whose rows have source `ccxt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fundingdb.errors import BadCall
from fundingdb.fetchers.ccxt import reading
from fundingdb.fetchers.ccxt.calls import HISTORY, MARKETS, Caller, offered, tested_version
from fundingdb.fetchers.ccxt.venues import VENUES, venue
from fundingdb.fetchers.contract import Budget, Fetcher, History, Request, Sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.fetchers.ccxt.venues import Now, Past, Venue
    from fundingdb.fetchers.contract import Market, ResponseContext
    from fundingdb.window import Window

SOURCE = reading.SOURCE
VERSION = 1
_LOAD = 12.0  # load_markets makes up to 11 requests


def names() -> tuple[str, ...]:
    """The exchanges on the list, which ccxt may be used for."""
    return tuple(VENUES)


def bridged(name: str) -> Fetcher:
    """The fetcher of an exchange through ccxt: rows have that exchange and source `ccxt`.

    Raises MissingExtra, BadCall for a version outside the tested range and for an exchange that is not on the list.
    """
    rules = venue(name, offered)
    version = tested_version()
    return Fetcher(
        exchange=name,
        version=VERSION,
        base_url="",
        budget=Budget(scope=f"ccxt {name}", capacity=60, per_seconds=30, concurrent=1),
        markets=_markets(name, rules),
        current=_current(name, rules, rules.now),
        history=_history(name, rules.past),
        market=_unlisted(name),
        refusal=lambda _status, _body: None,
        unit=f"{rules.past.rate} of the raw row, times {rules.past.scale:g} a fraction",
        interval="from the row where it states one",
        checked="2026-11-22",
        evidence=rules.evidence,
        source=SOURCE,
        by=f"ccxt {version}",
        call=Caller(name, rules),
    )


def _history(name: str, rules: Past) -> History:
    def request(market: Market, window: Window, cursor: str | None) -> Request:
        since, limit, params = rules.ask(window, cursor)
        query = {"symbol": market.native_id, "since": since, "limit": limit, "params": params}
        return Request(HISTORY, "/", json=query)

    def parse(body: bytes, context: ResponseContext) -> pl.DataFrame:
        return reading.history(name, rules, body, context)

    return History(
        rules.paging, request, parse, rules.depth, next_cursor=lambda body: reading.following(name, body)
    )


def _markets(name: str, rules: Venue) -> Sweep:
    def parse(body: bytes, context: ResponseContext) -> pl.DataFrame:
        return reading.markets(name, rules, body, context)

    return Sweep(lambda _markets: [Request(MARKETS, "/", json={}, cost=_LOAD)], parse)


def _current(name: str, venue_rules: Venue, rules: Now | None) -> Sweep:
    def requests(markets: Sequence[Market]) -> list[Request]:
        if rules is None:
            return []
        if rules.single:
            ((call, params),) = rules.calls
            trading = [m for m in markets if m.status == "active"]
            return [Request(call, "/", json={"symbol": m.native_id, "params": dict(params)}) for m in trading]
        return [Request(call, "/", json={"params": dict(params)}) for call, params in rules.calls]

    def parse(body: bytes, context: ResponseContext) -> pl.DataFrame:
        if rules is None:
            raise BadCall(f"{name}: no current rate is read through ccxt")
        return reading.current(name, rules, venue_rules, body, context)

    def combine(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.filter(rows["funding_rate"].is_not_null())

    return Sweep(requests, parse, combine)


def _unlisted(name: str):  # noqa: ANN202 - a function that only raises
    def market(symbol: str) -> Market:
        raise BadCall(f"{name}: {symbol!r} alone is not enough through ccxt; its market list is needed")

    return market
