"""Example: the datasheet (docs.example.com, read 2026-11-22), and pure functions over it.

Request   GET, no key, 60 requests a minute from one address.
Unit      `rate` of /rates and /tickers: PERCENT of notional per hour, text. Positive: longs pay shorts.
Interval  1 hour on all markets; documented, no field of a response states it.
Clock     `paid_at` of /rates: ISO text with Z, the full hour of the payment, the END of its interval.
          `next` of /tickers: Unix milliseconds of the payment to come.
History   /rates?symbol=&to=: the newest 100 rows at or before `to` (Unix ms), newest first; no lower bound.
Price     `mark` of /tickers: dollars per token.
Symbol    BTC-PERP; the quote is USD.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from fundingdb.fetchers.payload import Reader, decode, refused
from fundingdb.fetchers.rows import (
    funding_rows,
    market_row,
    markets_of,
    named_market,
    snapshot_row,
    snapshots_of,
)
from fundingdb.window import from_ms

if TYPE_CHECKING:
    import polars as pl
    from fundingdb.errors import FundingdbError
    from fundingdb.window import Window


def market(symbol: str) -> Market:
    """The market of a symbol alone; raises BadCall for a name that is not like BTC-PERP."""
    asset = symbol.removesuffix("-PERP")
    if asset in ("", symbol):
        raise BadCall(f"example: {symbol!r} is no market name; names look like BTC-PERP")
    what = identify("example", asset)
    return Market("example", symbol, what.base, "USD", what.asset_class, what.multiplier, interval_hours=1.0)


def ask_history(market: Market, window: Window, _cursor: str | None) -> Request:
    return Request("/rates", "/rates", params=(("symbol", market.symbol), ("to", str(window.ms[1]))))


def parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    read = Reader("example", "/rates")
    rows = read.array(decode(body, "example", "/rates"), may_be_empty=True)
    if context.market is None:
        raise BadCall("example: /rates does not name its market; state it: --symbol BTC-PERP")
    times = [read.iso(row, "paid_at") for row in rows]
    values = {
        "funding_time": times,
        "reported_time": times,
        "funding_rate": [read.percent(row, "rate", text=True) for row in rows],
        "native_rate": [read.number(row, "rate", text=True) for row in rows],
    }
    return funding_rows(context.market, context, values, hours=1.0)


def parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    read = Reader("example", "/tickers")

    def snapshot(row: dict[str, Any]) -> dict[str, Any]:
        values = {
            "funding_rate": read.percent(row, "rate", text=True),
            "native_rate": read.number(row, "rate", text=True),
            "interval_hours": 1.0,
            "next_funding_time": from_ms(read.ms(row, "next")),
            "mark_price": read.number(row, "mark", text=False),
        }
        one = named_market(read, "symbol", read.get(row, "symbol", str), market)
        return snapshot_row(one, context.at, values)

    tickers = read.array(decode(body, "example", "/tickers"))
    return snapshots_of(read, context, tickers, dict[str, Any], snapshot)


def parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    read = Reader("example", "/markets")

    def listed(row: dict[str, Any]) -> dict[str, Any]:
        one = named_market(read, "symbol", read.get(row, "symbol", str), market)
        return market_row(one, context, {"collateral": "USDC"})

    rows = read.array(decode(body, "example", "/markets"))
    return markets_of(read, context, rows, dict[str, Any], listed, by_symbol=market)


def refusal(status: int, body: bytes) -> FundingdbError | None:
    return refused("example", status, body, "60 requests a minute from this address")


FETCHER = Fetcher(
    exchange="example",
    version=1,
    base_url="https://api.example.com",
    budget=Budget("example", capacity=60, per_seconds=60),
    markets=Sweep(lambda _markets: [Request("/markets", "/markets")], parse_markets),
    current=Sweep(lambda _markets: [Request("/tickers", "/tickers")], parse_current),
    history=History(Backward(100, open_start=True), ask_history, parse_history, depth="since listing"),
    market=market,
    refusal=refusal,
    unit="percent per hour",
    interval="1 h",
    checked="2026-11-22",
    evidence="documented",
)
