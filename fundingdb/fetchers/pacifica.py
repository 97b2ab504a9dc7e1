"""Pacifica (perpetuals on Solana): the datasheet of its API, and pure functions that read it.

Sources   docs.pacifica.fi (REST: info, info/prices, funding_rate/history); responses recorded 2026-09-13. Read
          2026-11-22.
Request   GET, no key. 100 credits a minute are documented (1,000 were observed): info and info/prices 10 each,
          history 90 whatever the limit, so the largest pages are requested.
Envelope  {"success": true, "data": ...}; history adds next_cursor and has_more.
Markets   /info: instrument_type perpetual or spot; no status field: what is listed trades.
Unit      fraction of notional per 1 hour, text, 8 decimals (rate_step 1e-8). Positive: longs pay shorts.
Interval  1 hour for all, nowhere in the payload: `interval_from` is declared.
Clock     ms. `created_at` of history comes 0.4-0.5 s (now and then seconds) after the hour: floored to the hour.
Current   /info/prices: `funding` is the rate FIXED for the next full hour (at 22:12 it was what 23:00 settled),
          `next_funding` the estimate for the hour after that: not kept. A row stamped within 5 s after an hour
          may still show the payment just made, so its next_funding_time is null.
History   /funding_rate/history?symbol=&limit=&cursor=: newest first, 4,000 rows, no time bounds. Rows name no
          market. `funding_rate` is what was paid; `next_funding_rate`, the next row's, is not kept.
Price     mark and oracle per contract unit: divided by the multiplier; history has the oracle price alone.
Size      open_interest is contract units (the docs state dollars), one side; dollars are it times mark. volume_24h is
          dollars.
Cap       none published; a rate beyond 0.05 is refused as another unit.
Symbol    bare (BTC); quote USDC, not in the payload. kBONK, kPEPE, kSHIB are 1000 tokens; EURUSD is one base,
          spot names carry their quote (SOL-USDC).
Class     not in the payload: tables of identity.py (NVDA, EURUSD, SP500).
Unknown   the response to an unknown symbol; the body of a 429.
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
    bounded,
    counted,
    decimals,
    decode,
    hour_of,
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
    snapshots_of,
)
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms, next_hour

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.errors import FundingdbError
    from fundingdb.window import Window

NAME = "pacifica"
LIMIT = 4000
RATE_STEP = 1e-8
_ABSURD = 0.05  # fraction per hour
_JUST_PAID_MS = 5000
_MOST_LEVERAGE = 1000
_HISTORY, _CURRENT, _MARKETS = "/funding_rate/history", "/info/prices", "/info"


class _PacificaPayment(msgspec.Struct):
    oracle_price: str
    funding_rate: str
    created_at: int


class _PacificaPage(msgspec.Struct):
    success: bool
    data: list[_PacificaPayment]
    has_more: bool
    next_cursor: str | None = None


class _Price(msgspec.Struct):
    symbol: str
    funding: str
    mark: str
    oracle: str
    open_interest: str
    volume_24h: str
    timestamp: int


class _PacificaListing(msgspec.Struct):
    symbol: str
    instrument_type: str
    base_asset: str
    max_leverage: int
    created_at: int


# --- history


def _history_request(market: Market, _window: Window, cursor: str | None) -> Request:
    params = [("symbol", market.symbol), ("limit", str(LIMIT))]
    if cursor is not None:
        params.append(("cursor", cursor))
    return Request(_HISTORY, _HISTORY, params=tuple(params), cost=90)


def _page(body: bytes) -> _PacificaPage:
    reader = Reader(NAME, _HISTORY)
    page = shaped(decode(body, NAME, _HISTORY), _PacificaPage, NAME, _HISTORY)
    if not page.success:
        raise reader.bad("success", "is false")
    if page.has_more and not page.next_cursor:
        raise reader.bad("next_cursor", "is empty where has_more is true")
    return page


def _next_cursor(body: bytes) -> str | None:
    page = _page(body)
    return page.next_cursor if page.has_more else None


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time of `context.market`, which the rows do not name (BadCall without it); possibly none."""
    reader = Reader(NAME, _HISTORY)
    rows = _page(body).data
    if not rows:
        return FUNDING.empty().drop("month")
    if (market := context.market) is None:
        raise BadCall(
            "pacifica: a history response does not name its market; give it (parse ... --symbol BTC)"
        )
    stamps = [reader.ms({"created_at": row.created_at}, "created_at") for row in rows]
    rates = [
        bounded(reader, "funding_rate", r, _ABSURD, market.symbol)
        for r in decimals(reader, "funding_rate", [row.funding_rate for row in rows])
    ]
    oracles = [counted(reader, "oracle_price", row.oracle_price, market.symbol) for row in rows]
    measured = {
        "funding_time": [hour_of(reader, "created_at", t) for t in stamps],
        "reported_time": stamps,
        "funding_rate": rates,
        "native_rate": rates,
        "mark_price": [None] * len(rows),
        "index_price": [price / market.multiplier or None for price in oracles],  # a price of 0 is none
    }
    return funding_rows(market, context, measured, hours=1.0)


# --- current


def _current_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_CURRENT, _CURRENT, cost=10)]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows: the rate fixed for the next full hour, of the perpetuals in `context.markets`.

    Where `context.markets` is empty, all names but those with a quote (spot).
    """
    reader = Reader(NAME, _CURRENT)

    def read(row: _Price) -> Row | None:
        values = _snapshot(reader, row, context)  # those of no interest are checked too
        wanted = row.symbol in context.markets if context.markets else "-" not in row.symbol
        return values if wanted else None

    return snapshots_of(reader, context, _listed(reader, body), _Price, read, "data")


def _listed(reader: Reader, body: bytes) -> list[Any]:
    value = decode(body, NAME, reader.endpoint)
    if not reader.get(value, "success", bool):
        raise reader.bad("success", "is false")
    if not (rows := reader.items(value, "data")):
        raise reader.bad("data", "is empty: no market at all")
    return rows


def _snapshot(reader: Reader, row: _Price, context: ResponseContext) -> dict[str, Any]:
    market = context.markets.get(row.symbol) or named_market(reader, "symbol", row.symbol, symbol_market)
    stamp = reader.ms({"timestamp": row.timestamp}, "timestamp")
    rate = bounded(reader, "funding", reader.finite("funding", row.funding), _ABSURD, row.symbol)
    mark = counted(reader, "mark", row.mark, row.symbol)
    units = counted(reader, "open_interest", row.open_interest, row.symbol)
    values = {
        "funding_rate": rate,
        "interval_hours": 1.0,
        "native_rate": rate,
        "rate_step": RATE_STEP,
        "next_funding_time": None if stamp % HOUR_MS < _JUST_PAID_MS else next_hour(from_ms(stamp)),
        "mark_price": mark / market.multiplier or None,
        "index_price": counted(reader, "oracle", row.oracle, row.symbol) / market.multiplier or None,
        "open_interest": units * market.multiplier,
        "open_interest_usd": units * mark if mark else None,
        "volume_24h_usd": counted(reader, "volume_24h", row.volume_24h, row.symbol),
    }
    return snapshot_row(market, context.at, values)


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_MARKETS, _MARKETS, cost=10)]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all perpetuals; no spot."""
    reader = Reader(NAME, _MARKETS)

    def read(row: _PacificaListing) -> Row | None:
        if row.instrument_type not in ("perpetual", "spot"):
            problem = f"of {row.symbol} is neither perpetual nor spot"
            raise reader.bad("instrument_type", problem, row.instrument_type)
        if not 0 < row.max_leverage <= _MOST_LEVERAGE:
            raise reader.bad(
                "max_leverage", f"of {row.symbol} is not within 1..{_MOST_LEVERAGE}", row.max_leverage
            )
        listed_at = from_ms(reader.ms({"created_at": row.created_at}, "created_at"))
        if row.instrument_type == "spot":
            return None
        if row.base_asset != row.symbol:
            raise reader.bad("base_asset", f"of {row.symbol} is another name", row.base_asset)
        values = {"collateral": "USDC", "max_leverage": float(row.max_leverage), "listed_at": listed_at}
        return market_row(named_market(reader, "symbol", row.symbol, symbol_market), context, values)

    listings = _listed(reader, body)
    rows = markets_of(reader, context, listings, _PacificaListing, read, "data", by_symbol=symbol_market)
    if rows.is_empty():
        raise reader.bad("instrument_type", "names no perpetual at all")
    return rows


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone; raises BadCall for an empty name."""
    what = identify(NAME, symbol)
    return Market(NAME, symbol, what.base, "USDC", what.asset_class, what.multiplier, interval_hours=1.0)


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    return refused(NAME, status, body, "100 credits a minute from this address (a page of history takes 90)")


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://api.pacifica.fi/api/v1",
    budget=Budget(scope=NAME, capacity=100, per_seconds=60, concurrent=2),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        paging=Cursor(newest_first=True, cap=LIMIT),
        request=_history_request,
        parse=_parse_history,
        next_cursor=_next_cursor,
        depth="to the market's listing (2025-06)",
    ),
    market=symbol_market,
    refusal=_refusal,
    unit="fraction per hour",
    interval="1 h",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=5),
)
