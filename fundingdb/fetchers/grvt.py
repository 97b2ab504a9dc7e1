"""GRVT (perpetuals, margined in USDT): the datasheet of its API, and pure functions that read it.

Sources   api-docs.grvt.io/market_data_api (all_instruments, ticker, funding); responses recorded 2026-09-13. Read
          2026-11-22.
Request   POST with JSON, response in `result`, no key. A header states 1500 without a window; 100 requests a
          minute are safe.
Markets   /all_instruments {"is_active": true}: only what trades is listed. create_time is one instant for all
          of them (a migration of 2026-08-27): no listing date.
Unit      PERCENT of notional per interval, text, 4 decimals (rate_step 1e-6): rate = figure / 100. Positive: longs
          pay shorts. "0.0066" is 0.000066; Binance paid 0.00004788 at that instant.
Interval  funding_interval_hours, 8 or 4: in each row of history ("row"), for the current rate from the listing.
          The name funding_rate_8h_curr misleads: it equals funding_rate, which is per the market's own interval.
Clock     Unix NANOSECONDS as text, divided as integers. funding_time is on the hour, the end of the interval.
History   /funding {instrument, start_time, end_time, limit, cursor}: newest first, 1,000 rows, bounds in ns.
          `next` is the cursor of the page after, passed back as it is, absent at the end. Some responses mix in
          one-minute samples: rows with interval 0 or off the interval's grid are no payments and are dropped.
Current   /ticker {instrument}: one market a response.
Price     mark and index per contract unit: divided by the multiplier.
Size      open_interest is contract units, one side; dollars are it times mark.
Cap       adjusted_funding_rate_cap and _floor, percent per interval too ("0.3" is 0.003). It is adjusted over time:
          a rate beyond twice the cap of now is refused in tickers, one beyond 0.05 in history.
Symbol    BTC_USDT_Perp. Capital K is 1000 tokens in KPEPE, KBONK, KSHIB alone; KAITO is a name.
Class     asset_class is UNSPECIFIED on all, shares too: tables of identity.py.
Unknown   whether bounds are inclusive (an hour more is context); the body of a 429.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall
from fundingdb.fetchers.contract import (
    Budget,
    Cursor,
    Fetcher,
    History,
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import (
    HOUR_MS,
    Reader,
    Span,
    bounded,
    counted,
    decode,
    hundredth,
    ns_ms,
    refused,
    shaped,
)
from fundingdb.fetchers.rows import (
    Row,
    funding_rows,
    market_row,
    markets_of,
    named_market,
    snapshot_row,
    snapshot_rows,
    the_market,
)
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.errors import FundingdbError
    from fundingdb.window import Window

NAME = "grvt"
LIMIT = 1000
RATE_STEP = 1e-6
_ABSURD = 0.05  # fraction per interval
_INTERVALS = (0, 1, 2, 4, 8, 12, 24)  # 0: a sample
_LATE_MS = 60_000
_NS = 1_000_000  # of a millisecond
_HISTORY, _CURRENT, _MARKETS = "/funding", "/ticker", "/all_instruments"
_SUFFIX = "_Perp"


class _GrvtPayment(msgspec.Struct):
    instrument: str
    funding_rate: str
    funding_time: str
    mark_price: str
    funding_interval_hours: Span


class _GrvtPage(msgspec.Struct):
    result: list[_GrvtPayment]
    next: str | None = None


class _GrvtTicker(msgspec.Struct):
    instrument: str
    mark_price: str
    index_price: str
    funding_rate: str
    next_funding_time: str
    open_interest: str


class _GrvtTickerResponse(msgspec.Struct):
    result: _GrvtTicker


class _GrvtListing(msgspec.Struct):
    instrument: str
    base: str
    quote: str
    kind: str
    funding_interval_hours: Span
    adjusted_funding_rate_cap: str
    adjusted_funding_rate_floor: str


def _post(path: str, **what: Any) -> Request:
    return Request(path, path, method="POST", json=what)


# --- history


def _history_request(market: Market, window: Window, cursor: str | None) -> Request:
    start, stop = window.ms
    query = {
        "instrument": market.symbol,
        "start_time": str((start - HOUR_MS) * _NS),
        "end_time": str(stop * _NS),
        "limit": LIMIT,
    }
    return _post(_HISTORY, **query, **({} if cursor is None else {"cursor": cursor}))


def _page(body: bytes) -> _GrvtPage:
    return shaped(decode(body, NAME, _HISTORY), _GrvtPage, NAME, _HISTORY)


def _next_cursor(body: bytes) -> str | None:
    page = _page(body)
    return page.next if page.result else None


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time, of `context.market` or else of the one market the rows name; samples are left out."""
    reader = Reader(NAME, _HISTORY)
    every = _page(body).result
    if not every:
        return FUNDING.empty().drop("month")
    market = the_market(reader, context, ("instrument", [row.instrument for row in every]), symbol_market)
    paid = [one for row in every if (one := _payment(reader, row, market)) is not None]
    if not paid:
        return FUNDING.empty().drop("month")
    return funding_rows(market, context, {name: [row[name] for row in paid] for name in paid[0]}, hours=8.0)


def _payment(reader: Reader, row: _GrvtPayment, market: Market) -> dict[str, Any] | None:
    stamp = ns_ms(reader, "funding_time", row.funding_time)
    rate, native = hundredth(reader, "funding_rate", row.funding_rate)
    mark = counted(reader, "mark_price", row.mark_price, market.symbol)
    hours = reader.span("funding_interval_hours", row.funding_interval_hours)
    if hours not in _INTERVALS:
        raise reader.bad("funding_interval_hours", f"of {market.symbol} is none of {_INTERVALS}", hours)
    if hours == 0 or stamp % int(hours * HOUR_MS) >= _LATE_MS:
        return None
    return {
        "funding_time": stamp - stamp % HOUR_MS,
        "reported_time": stamp,
        "funding_rate": bounded(reader, "funding_rate", rate, _ABSURD, market.symbol),
        "native_rate": native,
        "mark_price": mark / market.multiplier or None,  # a price of 0 is none
        "interval_hours": hours,
        "interval_from": "row",
    }


# --- current


def _current_requests(markets: Sequence[Market]) -> list[Request]:
    return [_post(_CURRENT, instrument=m.symbol) for m in markets if m.status == "active"]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """The SNAPSHOTS row of one market; its interval is that of the listing, null where `context.markets` lacks it."""
    reader = Reader(NAME, _CURRENT)
    row = shaped(decode(body, NAME, _CURRENT), _GrvtTickerResponse, NAME, _CURRENT).result
    wanted = (
        context.request.json["instrument"] if context.request and context.request.json else row.instrument
    )
    if row.instrument != wanted:
        raise reader.bad("instrument", f"is {row.instrument!r}, requested was {wanted!r}")
    market = context.markets.get(row.instrument) or named_market(
        reader, "instrument", row.instrument, symbol_market
    )
    rate, native = hundredth(reader, "funding_rate", row.funding_rate)
    due = ns_ms(reader, "next_funding_time", row.next_funding_time)
    if due % HOUR_MS:
        raise reader.bad("next_funding_time", f"of {market.symbol} is not on a full hour", due)
    mark = counted(reader, "mark_price", row.mark_price, market.symbol)
    units = counted(reader, "open_interest", row.open_interest, market.symbol)
    most = min(_ABSURD, 2 * market.rate_cap) if market.rate_cap else _ABSURD
    values = {
        "funding_rate": bounded(reader, "funding_rate", rate, most, market.symbol),
        "interval_hours": market.interval_hours,
        "native_rate": native,
        "rate_step": RATE_STEP,
        "next_funding_time": from_ms(due),
        "mark_price": mark / market.multiplier or None,
        "index_price": counted(reader, "index_price", row.index_price, market.symbol) / market.multiplier
        or None,
        "open_interest": units * market.multiplier,
        "open_interest_usd": units * mark if mark else None,
    }
    return snapshot_rows([snapshot_row(market, context.at, values)])


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [_post(_MARKETS, is_active=True)]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of the perpetuals that trade."""
    reader = Reader(NAME, _MARKETS)

    def read(value: dict[str, Any]) -> Row | None:
        if reader.get(value, "kind", str) != "PERPETUAL":  # options and futures have other fields
            return None
        row = shaped(value, _GrvtListing, NAME, _MARKETS, "result")
        return market_row(_listed(reader, row), context, {"collateral": row.quote})

    rows = markets_of(
        reader,
        context,
        reader.items(decode(body, NAME, _MARKETS), "result"),
        dict[str, Any],
        read,
        "result",
        symbol="instrument",
        by_symbol=symbol_market,
    )
    if rows.is_empty():
        raise reader.bad("kind", "names no perpetual at all")
    return rows


def _listed(reader: Reader, row: _GrvtListing) -> Market:
    hours = reader.span("funding_interval_hours", row.funding_interval_hours)
    if hours not in _INTERVALS[1:]:
        raise reader.bad("funding_interval_hours", f"of {row.instrument} is none of {_INTERVALS[1:]}", hours)
    if row.instrument != f"{row.base}_{row.quote}{_SUFFIX}" or not row.base:
        raise reader.bad("instrument", f"is not made of base {row.base!r} and quote {row.quote!r}", row)
    cap, _ = hundredth(reader, "adjusted_funding_rate_cap", row.adjusted_funding_rate_cap)
    floor, _ = hundredth(reader, "adjusted_funding_rate_floor", row.adjusted_funding_rate_floor)
    for name, limit in (("adjusted_funding_rate_cap", cap), ("adjusted_funding_rate_floor", floor)):
        bounded(reader, name, limit, 1.0, row.instrument)
    what = identify(NAME, row.base)
    return Market(
        exchange=NAME,
        symbol=row.instrument,
        base=what.base,
        quote=row.quote,
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        interval_hours=hours,
        rate_cap=max(abs(cap), abs(floor)) or None,
    )


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses: its interval is unknown, for it differs by market.

    Raises BadCall for a name that is not BASE_QUOTE_Perp.
    """
    asset, _, money = symbol.removesuffix(_SUFFIX).rpartition("_")
    if not symbol.endswith(_SUFFIX) or not asset or not money:
        raise BadCall(
            f"grvt: {symbol!r} is no market name; names look like BTC_USDT_Perp (fundingdb markets grvt)"
        )
    what = identify(NAME, asset)
    return Market(NAME, symbol, what.base, money, what.asset_class, what.multiplier)


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    return refused(NAME, status, body, "100 requests a minute from this address")


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://market-data.grvt.io/full/v1",
    budget=Budget(scope=NAME, capacity=100, per_seconds=60, concurrent=4),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        paging=Cursor(newest_first=True, cap=LIMIT),
        request=_history_request,
        parse=_parse_history,
        next_cursor=_next_cursor,
        depth="not published; what the cursor reaches",
    ),
    market=symbol_market,
    refusal=_refusal,
    unit="percent per interval",
    interval="8 or 4 h, in each row",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=5),
)
