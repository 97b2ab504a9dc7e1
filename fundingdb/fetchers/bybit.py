"""Bybit, linear perpetuals (USDT, USDC): the datasheet of its API, and pure functions that read it.

Pages     bybit-exchange.github.io/docs/v5/market (instrument, tickers, history-fund-rate), 2026-11-22. Recorded responses
          of September 2026. The inverse book is not read.
Request   GET, no key. 600 requests in 5 s and IP, here 400; past that 403 "access too frequent". The US is refused.
Envelope  {"retCode": 0, "retMsg", "result": {"list": [...]}}: `retCode` counts, errors come with HTTP 200 too.
Markets   /instruments-info?category=linear, 1,000 a page, `nextPageCursor` names the next. LinearPerpetual is read,
          LinearFutures is dated. Delisted markets are not listed; what is about to trade is.
Unit      fraction of notional per interval, text, at most 8 decimals (rate_step 1e-8). Positive: longs pay shorts.
Interval  ticker `fundingIntervalHour` (hours, text), instrument `fundingInterval` (minutes; 0 on dated ones). History
          states none: interval_from is unknown.
Clock     ms as text. History stamps are on the hour; more than a minute after it is refused.
History   /funding/history?category&symbol&startTime&endTime&limit: newest first; at most 200 rows, a wider window
          silently gives its newest 200. Both bounds are inclusive, startTime alone is refused.
          Documented to reach back to the listing; not measured.
Empty     fundingRate "" is no rate: dated contracts are in the same tickers ("", "", nextFundingTime "0").
Size      singleOpenInterest is one side, in contract units (coins; 1000BONK times 1000); openInterest counts both sides,
          exactly twice that, and is halved where the other is missing. Values are in the quote coin, read as dollars.
Cap       upperFundingRate and lowerFundingRate, ticker fundingCap: fractions per interval, of now.
Class     symbolType: "" and innovation are coins (XAUT too), then stock, ETF, commodity, forex.
Names     baseCoin and quoteCoin, never the symbol: 1000BONKPERP is 1000BONK in USDC. 0G is a name.
Unknown   how dividends of stock perpetuals are paid; two rates at one instant are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall, FundingdbError, RateLimited, Refused, Unreachable
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
from fundingdb.fetchers.payload import Reader, Span, bounded, counted, decode, shaped, text_ms
from fundingdb.fetchers.rows import (
    Row,
    late_stamped_rows,
    market_row,
    markets_of,
    named_market,
    snapshot_row,
    snapshots_of,
    stated_status,
    the_market,
)
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.window import Window

NAME = "bybit"
RATE_STEP = 1e-8
CAP = 200
_HOUR_MS = 3_600_000
_DAY = 24  # hours; no interval is longer
_ABSURD = 0.1  # fraction per interval; recorded caps end at 0.02
_STATUS = {
    "Trading": "active",
    "PreLaunch": "prelisted",
    "PendingOpen": "prelisted",
    "Settling": "inactive",
    "Delivering": "inactive",
    "Closed": "delisted",
}
_CLASSES = {
    "": "crypto",
    "innovation": "crypto",
    "stock": "equity",
    "ETF": "equity",
    "commodity": "commodity",
    "forex": "fx",
}
# What a symbol ends with where no list of markets is at hand -> quote.
_ENDINGS = {"USDT": "USDT", "USDC": "USDC", "PERP": "USDC"}
_NO_NAME = "bybit: {!r} is no name of a linear perpetual; names look like BTCUSDT or BTCPERP (fundingdb markets bybit)"


class _BybitPayment(msgspec.Struct, rename="camel"):
    symbol: str
    funding_rate: str
    funding_rate_timestamp: str


class _BybitTicker(msgspec.Struct, rename="camel"):
    symbol: str
    mark_price: str
    index_price: str
    open_interest: str
    funding_rate: str
    next_funding_time: str
    turnover24h: str
    single_open_interest: str = ""
    single_open_interest_value: str = ""
    funding_interval_hour: Span = ""
    funding_cap: str = ""
    delivery_time: str = ""


class _BybitLeverage(msgspec.Struct, rename="camel"):
    max_leverage: str


class _BybitInstrument(msgspec.Struct, rename="camel"):
    symbol: str
    contract_type: str
    status: str
    base_coin: str
    quote_coin: str
    funding_interval: Span
    symbol_type: str | None = None
    settle_coin: str | None = None
    launch_time: str = ""
    upper_funding_rate: str = ""
    lower_funding_rate: str = ""
    leverage_filter: _BybitLeverage | None = None


def _rows(body: bytes, endpoint: str) -> list[Any]:
    value = decode(body, NAME, endpoint)
    reader = Reader(NAME, endpoint)
    code = reader.get(value, "retCode", int)
    if code:
        raise reader.bad("retCode", f"is {code}, not 0", value.get("retMsg"))
    return reader.items(reader.get(value, "result", dict), "list")


# --- history


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    start, stop = window.ms
    span = (("startTime", str(start)), ("endTime", str(stop)), ("limit", str(CAP)))
    params = (("category", "linear"), ("symbol", market.symbol), *span)
    return Request("funding/history", "/funding/history", params=params)


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time, of `context.market` or else of the one symbol the rows name; possibly none. No interval."""
    endpoint = "funding/history"
    reader = Reader(NAME, endpoint)
    rows = shaped(_rows(body, endpoint), list[_BybitPayment], NAME, endpoint, "list")
    if not rows:
        return FUNDING.empty().drop("month")
    market = the_market(reader, context, ("symbol", [row.symbol for row in rows]), symbol_market)
    stamps = [text_ms(reader, "fundingRateTimestamp", row.funding_rate_timestamp) for row in rows]
    rates = [row.funding_rate for row in rows]
    return late_stamped_rows(
        reader,
        context,
        market,
        stamps=("fundingRateTimestamp", stamps),
        rates=("fundingRate", rates),
        bound=_ABSURD,
    )


# --- current


def _current_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request("tickers", "/tickers", params=(("category", "linear"),))]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of the perpetuals that trade; where `context.markets` is empty, of all that are not dated."""
    reader = Reader(NAME, "tickers")
    tickers = _rows(body, "tickers")
    if not tickers:
        raise reader.bad("list", "is empty: no market at all")

    def read(ticker: _BybitTicker) -> Row | None:
        if context.markets:
            market = context.markets.get(ticker.symbol)
            if market is None or market.status != "active":
                return None
        elif ticker.delivery_time not in ("", "0"):
            return None
        else:
            market = named_market(reader, "symbol", ticker.symbol, symbol_market)
        return _snapshot(reader, ticker, market, context)

    return snapshots_of(reader, context, tickers, _BybitTicker, read, "list")


def _snapshot(
    reader: Reader, ticker: _BybitTicker, market: Market, context: ResponseContext
) -> dict[str, Any]:
    def figure(name: str, text: str) -> float | None:
        return counted(reader, name, text, market.symbol) if text else None

    def price(name: str, text: str) -> float | None:
        return (figure(name, text) or 0) / market.multiplier or None

    cap = min(_ABSURD, figure("fundingCap", ticker.funding_cap) or _ABSURD)
    rate = reader.finite("fundingRate", ticker.funding_rate) if ticker.funding_rate else None
    if rate is not None and abs(rate) > cap:
        raise reader.bad("fundingRate", f"{market.symbol}: {rate:g} is beyond the cap {cap:g} per interval")
    due = (
        None
        if ticker.next_funding_time == "0"
        else text_ms(reader, "nextFundingTime", ticker.next_funding_time)
    )
    if due is not None and due % _HOUR_MS:
        raise reader.bad("nextFundingTime", f"of {market.symbol} is not on a full hour", due)
    written = ticker.funding_interval_hour
    hours = None if written == "" else reader.span("fundingIntervalHour", written)
    if hours is not None and hours > _DAY:
        raise reader.bad("fundingIntervalHour", f"of {market.symbol} is beyond {_DAY}", hours)
    both, one = (
        figure("openInterest", ticker.open_interest),
        figure("singleOpenInterest", ticker.single_open_interest),
    )
    if one is None and both is not None:
        one = both / 2
    values = {
        "funding_rate": rate,
        "native_rate": rate,
        "interval_hours": hours or None,
        "rate_step": RATE_STEP,
        "next_funding_time": None if due is None else from_ms(due),
        "mark_price": price("markPrice", ticker.mark_price),
        "index_price": price("indexPrice", ticker.index_price),
        "open_interest": None if one is None else one * market.multiplier,
        "open_interest_usd": figure("singleOpenInterestValue", ticker.single_open_interest_value),
        "volume_24h_usd": figure("turnover24h", ticker.turnover24h),
    }
    return snapshot_row(market, context.at, values)


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    params = (("category", "linear"), ("limit", "1000"))
    return [Request("instruments-info", "/instruments-info", params=params)]


def _more_markets(request: Request, body: bytes) -> Request | None:
    result = Reader(NAME, request.endpoint).get(decode(body, NAME, request.endpoint), "result", dict)
    cursor = result.get("nextPageCursor")
    if not cursor:
        return None
    params = (*(pair for pair in request.params if pair[0] != "cursor"), ("cursor", str(cursor)))
    return Request(request.endpoint, request.path, params=params)


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of the linear perpetuals of one page; no dated ones."""
    endpoint = "instruments-info"
    reader = Reader(NAME, endpoint)
    listed = _rows(body, endpoint)
    if not listed:
        raise reader.bad("list", "is empty: no market at all")

    def read(row: _BybitInstrument) -> Row | None:
        if row.contract_type == "LinearFutures":
            return None
        market = _of_instrument(reader, row, context)
        leverage = (
            counted(reader, "maxLeverage", row.leverage_filter.max_leverage, row.symbol)
            if row.leverage_filter
            else None
        )
        values = {"collateral": row.settle_coin or None, "max_leverage": leverage or None}
        return market_row(market, context, values)

    return markets_of(reader, context, listed, _BybitInstrument, read, "list", by_symbol=symbol_market)


def _of_instrument(reader: Reader, row: _BybitInstrument, context: ResponseContext) -> Market:
    if row.contract_type != "LinearPerpetual":
        raise reader.bad(
            "contractType", f"of {row.symbol} is neither LinearPerpetual nor LinearFutures", row.contract_type
        )
    if not row.base_coin or not row.quote_coin:
        raise reader.bad("baseCoin", f"or quoteCoin of {row.symbol} is empty")
    minutes = reader.span("fundingInterval", row.funding_interval)
    if minutes > _DAY * 60 or minutes % 60:
        raise reader.bad(
            "fundingInterval", f"of {row.symbol} is not 0 to 24 full hours in minutes", row.funding_interval
        )
    stated = None if row.symbol_type is None else _CLASSES.get(row.symbol_type, "")
    if stated == "":
        stated = identify(NAME, row.base_coin).asset_class
        if stated == "crypto":
            raise reader.bad(
                "symbolType", f"of {row.symbol} is none of the documented kinds of asset", row.symbol_type
            )
    what = identify(NAME, row.base_coin, asset_class=stated)
    caps = (("upperFundingRate", row.upper_funding_rate), ("lowerFundingRate", row.lower_funding_rate))
    return Market(
        exchange=NAME,
        symbol=row.symbol,
        base=what.base,
        quote=row.quote_coin,
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        status=stated_status(reader, context, "status", row.symbol, row.status, _STATUS),
        interval_hours=minutes / 60 or None,
        rate_cap=max((_cap(reader, n, text, row) for n, text in caps if text), default=None) or None,
        listed_at=None
        if row.launch_time in ("", "0")
        else from_ms(text_ms(reader, "launchTime", row.launch_time)),
    )


def _cap(reader: Reader, name: str, text: str, row: _BybitInstrument) -> float:
    return abs(bounded(reader, name, reader.finite(name, text), 1.0, row.symbol))


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses: quote by its ending, class by the tables.

    Raises BadCall for a name that ends with none of the quotes, dated ones among them.
    """
    ending = next((e for e in _ENDINGS if symbol.endswith(e) and symbol != e), None)
    if ending is None:
        raise BadCall(_NO_NAME.format(symbol))
    what = identify(NAME, symbol.removesuffix(ending))
    return Market(NAME, symbol, what.base, _ENDINGS[ending], what.asset_class, what.multiplier)


# --- refusals


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    code, message = _error_of(body)
    if status >= 500 or (status == 200 and code is None):
        return None
    refusal = ", ".join(filter(None, (f"bybit answers {status}", code and f"code {code}", message)))
    if status == 429 or code in ("10006", "10018") or b"too frequent" in body[:4096]:
        return RateLimited(f"{refusal}: too many requests from this address")
    if code in ("10000", "10016"):
        return Unreachable(f"{refusal}: its server failed; try again later")
    if status == 403:
        return Refused(f"{refusal}: it refuses this address (the US and some clouds are blocked)")
    if code == "10001" and "symbol" in message.lower():
        return BadCall(f"{refusal}: it has no such market; see: fundingdb markets bybit")
    return Refused(f"{refusal}: see the datasheet, fundingdb/fetchers/bybit.py")


def _error_of(body: bytes) -> tuple[str | None, str]:
    if b'"retCode"' not in body[:4096]:
        return None, ""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, ""
    if not isinstance(error, dict) or error.get("retCode") in (0, None):
        return None, ""
    return str(error["retCode"]), str(error.get("retMsg", ""))[:200]


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://api.bybit.com/v5/market",
    budget=Budget(scope=NAME, capacity=400, per_seconds=5, concurrent=8),
    markets=Sweep(_market_requests, _parse_markets, next_page=_more_markets),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        paging=Backward(cap=CAP),
        request=_history_request,
        parse=_parse_history,
        depth="to the market's listing",
    ),
    market=symbol_market,
    refusal=_refusal,
    unit="fraction per interval",
    interval="1, 2, 4 or 8 h, moves by market; history does not state it",
    checked="2026-11-22",
    evidence="recorded",
)
