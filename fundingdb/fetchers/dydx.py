"""dYdX v4 (perpetuals on its own chain, read through the indexer): the datasheet of its API, and pure functions that read it.

Sources   docs.dydx.xyz, indexer API (perpetualMarkets, historicalFunding); responses recorded 2026-09-11 and
          2026-09-13. Read 2026-11-22.
Request   GET, no key. 10 requests a second worked; the limit itself is not published here.
Markets   /perpetualMarkets: a map by ticker. `status` ACTIVE trades; FINAL_SETTLEMENT is closed for good and
          still shows a rate (EUR-USD 0.0000125): only ACTIVE markets give snapshots.
Unit      fraction of notional per 1 hour, text, up to 20 decimals. Positive: longs pay shorts. "0" is a rate.
Interval  1 hour for all; nowhere in the payload: `interval_from` is declared.
Clock     ISO text with Z. `effectiveAt` comes 0-0.8 s after the hour: funding_time is it floored to the hour.
          `nextFundingRate` is the estimate for the next full hour.
History   /historicalFunding/{ticker}?limit=&effectiveBeforeOrAt=: newest first, at most 100 rows, no lower bound:
          the page is filled with rows before the window.
Price     no mark price anywhere: `oraclePrice` and history's `price` are the oracle (index_price).
Size      openInterest is base tokens, one side; dollars are it times the oracle price. volume24H is dollars.
Cap       none in the payload as a rate; a rate beyond 0.1 per hour is refused as another unit.
Symbol    BASE-USD, collateral USDC, no multiples. Tickers of the long tail contain commas and addresses
          (NAME,VENUE,ADDRESS-USD): the whole of it stays the base, so it is joined with nothing by name alone.
Class     not in the payload: tables of identity.py (WTI, XAG; EUR-USD at 1.161 is the euro in dollars).
Unknown   how many rows a first response has after a standstill of the chain; the body of a 429.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from fundingdb.errors import BadCall
from fundingdb.fetchers.contract import (
    Backward,
    Budget,
    Fetcher,
    History,
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import (
    Reader,
    bounded,
    counted,
    decimals,
    decode,
    hour_of,
    iso_ms,
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
    stated_status,
    the_market,
)
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms, next_hour

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.errors import FundingdbError
    from fundingdb.window import Window

NAME = "dydx"
CAP = 100
_ABSURD = 0.1  # fraction per hour
_STATUS = {
    "ACTIVE": "active",
    "PAUSED": "inactive",
    "CANCEL_ONLY": "inactive",
    "POST_ONLY": "inactive",
    "INITIALIZING": "prelisted",
    "FINAL_SETTLEMENT": "delisted",
}
_HISTORY = "/historicalFunding/{ticker}"
_MARKETS = "/perpetualMarkets"


class _DydxPayment(msgspec.Struct, rename="camel"):
    ticker: str
    rate: str
    price: str
    effective_at: str


class _DydxPage(msgspec.Struct, rename="camel"):
    historical_funding: list[_DydxPayment]


class _DydxListing(msgspec.Struct, rename="camel"):
    name: str  # the key of the row
    ticker: str
    status: str
    oracle_price: str | None  # null before the first price of a new market
    next_funding_rate: str
    open_interest: str
    volume_24h: str = msgspec.field(name="volume24H")


# --- history


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    if not market.symbol.strip("."):
        raise BadCall(f"dydx: {market.symbol!r} is no market name; names look like BTC-USD")
    last = from_ms(window.ms[1])  # stamps come after their hour, never before
    params = (
        ("limit", str(CAP)),
        ("effectiveBeforeOrAt", f"{last:%Y-%m-%dT%H:%M:%S}.{last.microsecond // 1000:03d}Z"),
    )
    return Request(_HISTORY, f"/historicalFunding/{quote(market.symbol, safe='')}", params=params)


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time, of `context.market` or else of the one market the rows name; possibly none."""
    reader = Reader(NAME, _HISTORY)
    rows = shaped(decode(body, NAME, _HISTORY), _DydxPage, NAME, _HISTORY).historical_funding
    if not rows:
        return FUNDING.empty().drop("month")
    market = the_market(reader, context, ("ticker", [row.ticker for row in rows]), symbol_market)
    stamps = [iso_ms(reader, "effectiveAt", row.effective_at, zone="Z") for row in rows]
    rates = [
        bounded(reader, "rate", r, _ABSURD, market.symbol)
        for r in decimals(reader, "rate", [row.rate for row in rows])
    ]
    measured = {
        "funding_time": [hour_of(reader, "effectiveAt", t) for t in stamps],
        "reported_time": stamps,
        "funding_rate": rates,
        "native_rate": rates,
        "mark_price": [None] * len(rows),
        "index_price": [counted(reader, "price", row.price, market.symbol) or None for row in rows],
    }
    return funding_rows(market, context, measured, hours=1.0)


# --- current and markets: one response


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_MARKETS, _MARKETS)]


def _listings(body: bytes) -> list[Any]:
    reader = Reader(NAME, _MARKETS)
    listings = reader.get(decode(body, NAME, _MARKETS), "markets", dict)
    if not listings:
        raise reader.bad("markets", "is empty: no market at all")
    return [{**row, "name": name} if isinstance(row, dict) else row for name, row in listings.items()]


def _status(reader: Reader, row: _DydxListing, context: ResponseContext) -> str:
    if row.ticker != row.name:
        raise reader.bad("ticker", f"is {row.ticker!r} under the name {row.name!r}")
    return stated_status(reader, context, "status", row.ticker, row.status, _STATUS)


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of the markets that trade: the estimate for the next full hour."""
    reader = Reader(NAME, _MARKETS)

    def read(row: _DydxListing) -> Row | None:
        return _snapshot(row, context) if _status(reader, row, context) == "active" else None

    return snapshots_of(reader, context, _listings(body), _DydxListing, read, "markets")


def _snapshot(row: _DydxListing, context: ResponseContext) -> dict[str, Any]:
    reader = Reader(NAME, _MARKETS)
    rate = reader.finite("nextFundingRate", row.next_funding_rate)
    oracle = None
    if row.oracle_price is not None:
        oracle = counted(reader, "oraclePrice", row.oracle_price, row.ticker) or None  # a price of 0 is none
    tokens = counted(reader, "openInterest", row.open_interest, row.ticker)
    values = {
        "funding_rate": bounded(reader, "nextFundingRate", rate, _ABSURD, row.ticker),
        "interval_hours": 1.0,
        "native_rate": rate,
        "next_funding_time": next_hour(context.at),
        "index_price": oracle,
        "open_interest": tokens,
        "open_interest_usd": tokens * oracle if oracle else None,
        "volume_24h_usd": counted(reader, "volume24H", row.volume_24h, row.ticker),
    }
    return snapshot_row(_listed(row.ticker), context.at, values)


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all perpetuals, closed ones too."""
    reader = Reader(NAME, _MARKETS)

    def read(row: _DydxListing) -> Row | None:
        values = {"status": _status(reader, row, context), "collateral": "USDC"}
        return market_row(_listed(row.ticker), context, values)

    listings = _listings(body)
    return markets_of(
        reader, context, listings, _DydxListing, read, "markets", symbol="name", by_symbol=symbol_market
    )


def _listed(ticker: str) -> Market:
    return named_market(Reader(NAME, _MARKETS), "ticker", ticker, symbol_market)


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone; raises BadCall for a name that is not BASE-USD."""
    asset, _, money = symbol.rpartition("-")
    if not asset or money != "USD":
        raise BadCall(f"dydx: {symbol!r} is no market name; names look like BTC-USD (fundingdb markets dydx)")
    what = identify(NAME, asset)
    return Market(NAME, symbol, what.base, "USD", what.asset_class, what.multiplier, interval_hours=1.0)


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    return refused(NAME, status, body, "10 requests a second from this address")


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://indexer.dydx.trade/v4",
    budget=Budget(scope=NAME, capacity=10, per_seconds=1, concurrent=4),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_market_requests, _parse_current),
    history=History(
        paging=Backward(cap=CAP, open_start=True),
        request=_history_request,
        parse=_parse_history,
        depth="to the market's listing, at most to the chain's start (2023-10)",
    ),
    market=symbol_market,
    refusal=_refusal,
    unit="fraction per hour",
    interval="1 h",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=5),
)
