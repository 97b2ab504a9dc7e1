"""Lighter (zkLighter perpetuals): the datasheet, read November 2026, and pure functions over it.

Request   GET, no key. 60 requests in any minute and IP; beyond it 429, or 405 from the firewall; 403 is HTML
          (a blocked region). Bodies carry "code": 200; another code is a failure even under HTTP 200.
Interval  1 hour for all, paid on the hour (docs): `interval_from` is declared.

Four figures, four units:
  /fundings `rate`         percent per 1 hour, text, unsigned; `direction` is who pays: long = positive
  /fundings `value`        USDC per contract unit, no rate: value / (rate/100) is the price at settlement
  /funding-rates `rate`    fraction per 8 hours, signed, a number; rows of binance, bybit, hyperliquid too
  ws current_funding_rate  percent per 1 hour, text, signed: the payment to come
  ws funding_rate          the same, of the LAST payment, made at funding_timestamp (ms, 1-4 ms after the hour)

Step      4 decimals of a percent: 1e-6 as a fraction (the calm 0.0012 is 0.00125 cut).
Cap       0.5 percent per hour (4 % per 8 hours): 0.005.
History   /fundings?market_id=&resolution=1h&start_timestamp=&end_timestamp=&count_back=0, seconds, all needed,
          both ends EXCLUSIVE. Ascending; 749 rows at most, silently the newest. It may reach back beyond the
          start. Stamps are seconds, exactly on the hour.
Names     the base alone (ETH); quote USDC; 1000PEPE by thousands. Requests need market_id.
Size      open_interest is base units on REST, USDC on the stream; one side.
Traps     `quote_multiplier` is no multiplier; inactive markets still show prices; old frames have no symbol.

The price identity is checked: from one payment to the next (at most 6 hours later) the price can't move by 3x,
`value` being exact to one unit of its last digit. A row that breaks it has another unit: the response is refused.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall, FundingdbError, RateLimited, Refused
from fundingdb.fetchers.contract import (
    Budget,
    Fetcher,
    Fixed,
    History,
    Live,
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import Reader, decimals, decode, decode_lines, shaped
from fundingdb.fetchers.rows import (
    Row,
    funding_rows,
    market_row,
    markets_of,
    snapshot_row,
    snapshot_rows,
    snapshots_of,
    stated_status,
)
from fundingdb.window import HOUR, floor_hour, from_ms, next_hour, to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from fundingdb.window import Window

NAME = "lighter"
QUOTE = "USDC"
RATE_STEP = 1e-6
RATE_CAP = 0.005  # fraction per hour
_STATUS = {"active": "active", "inactive": "inactive"}
_SIGN = {"long": 1.0, "short": -1.0}
_LEAP, _LEAP_SECONDS = 3.0, 6 * 3600
_HOUR_MS = 3_600_000
_EARLY_MS = 60_000  # a stamp this close BEFORE an hour can't be floored: none is recorded


class _LighterPayment(msgspec.Struct):
    timestamp: int
    value: str
    rate: str
    direction: str


class _Fundings(msgspec.Struct):
    resolution: str
    fundings: list[_LighterPayment]


class _LighterRate(msgspec.Struct):
    market_id: int
    exchange: str
    symbol: str
    rate: float


class _Book(msgspec.Struct):
    symbol: str
    market_id: int
    market_type: str
    status: str
    min_initial_margin_fraction: int | None = None  # basis points
    funding_clamp_big: str | None = None  # percent per 8 hours
    created_at: str | None = None  # ms


class _Detail(_Book, kw_only=True):
    open_interest: float
    daily_quote_token_volume: float
    mark_price: str | None = None  # absent before mid 2026
    index_price: str | None = None


class _LighterStats(msgspec.Struct):
    market_id: int
    mark_price: str
    index_price: str
    open_interest: str
    current_funding_rate: str
    funding_timestamp: int
    daily_quote_token_volume: float
    symbol: str | None = None  # absent in frames of 2025


def _checked(value: Any, endpoint: str) -> Any:
    """The response, unless its code is that of a failure."""
    if isinstance(value, dict) and value.get("code", 200) != 200:
        raise Reader(NAME, endpoint).bad("code", "is not 200", value)
    return value


def _price(reader: Reader, name: str, text: str | None, market: Market) -> float | None:
    """Per ONE base token; a price of 0 is none."""
    if text is None:
        return None
    value = reader.finite(name, text)
    if value < 0:
        raise reader.bad(name, f"of {market.symbol} is negative", text)
    return value / market.multiplier or None


def _hundredth(reader: Reader, text: str) -> float:
    """A percent figure as an exact fraction: 0.0012 is 1.2e-05, where / 100 gives 1.1999999999999999e-05."""
    try:
        return float(f"{text}e-2")
    except ValueError:
        raise reader.bad("rate", "is no plain decimal", text) from None


def _check_cap(reader: Reader, name: str, rate: float, market: Market) -> None:
    cap = market.rate_cap or RATE_CAP
    if abs(rate) > cap * (1 + 1e-9):  # a quotient by 8 is not exact
        raise reader.bad(name, f"{market.symbol}: {rate:g} per hour is beyond the cap {cap:g}")


# --- history


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    if market.native_id is None:
        raise BadCall(
            f"lighter: no market_id is known for {market.symbol}: fundingdb markets lighter lists them"
        )
    first, stop = to_ms(window.start) // 1000, to_ms(window.stop) // 1000
    params = {
        "market_id": market.native_id,
        "resolution": "1h",
        "start_timestamp": str(first - 3600),  # both ends are exclusive
        "end_timestamp": str(stop),  # one hour after the last funding time of the window
        "count_back": "0",
    }
    return Request("/fundings", "/fundings", params=tuple(params.items()))


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows of `context.market` by time (the response does not name it: BadCall without it); maybe none.

    mark_price is value / (rate/100), null where that is not a price; it is as exact as the digits of `value`.
    """
    reader = Reader(NAME, "/fundings")
    if context.market is None:
        raise BadCall(
            "lighter: a /fundings response does not name its market; name it (parse ... --symbol ETH)"
        )
    market = context.market
    page = shaped(_checked(decode(body, NAME, "/fundings"), "/fundings"), _Fundings, NAME, "/fundings")
    if page.resolution != "1h":
        raise reader.bad("resolution", "is not 1h: such rows are sums of other spans", page.resolution)
    rows = sorted(page.fundings, key=lambda row: row.timestamp)
    natives = decimals(reader, "rate", [row.rate for row in rows])
    values = decimals(reader, "value", [row.value for row in rows])
    rates: list[float] = []
    for row, percent, value in zip(rows, natives, values, strict=True):
        if row.direction not in _SIGN:
            raise reader.bad("direction", "is neither long nor short", row.direction)
        if percent < 0 or value < 0:
            name, text = ("rate", row.rate) if percent < 0 else ("value", row.value)
            raise reader.bad(name, "is signed, but direction has the sign", text)
        if not 1_262_304_000 <= row.timestamp < 4_102_444_800 or row.timestamp % 3600:
            raise reader.bad("timestamp", "is not a full hour in Unix seconds", row.timestamp)
        rates.append(_SIGN[row.direction] * _hundredth(reader, row.rate) + 0.0)
    if rates:
        _check_cap(reader, "rate", max(rates, key=abs), market)
    prices = [v / abs(r) if r and v else None for r, v in zip(rates, values, strict=True)]
    _check_prices(reader, rows, prices)
    times = [row.timestamp * 1000 for row in rows]
    measured = {
        "funding_time": times,
        "reported_time": times,
        "funding_rate": rates,
        "native_rate": natives,
        "mark_price": [price and price / market.multiplier for price in prices],
    }
    return funding_rows(market, context, measured, hours=1.0)


def _check_prices(reader: Reader, rows: Sequence[_LighterPayment], prices: Sequence[float | None]) -> None:
    """No row's price may leap from the one before, even if each `value` is off by one unit of its last digit."""
    before: tuple[_LighterPayment, float] | None = None
    for row, price in zip(rows, prices, strict=True):
        if price is None:
            continue
        if before and row.timestamp - before[0].timestamp <= _LEAP_SECONDS:
            last, was = before
            leaps = price > _LEAP * was or was > _LEAP * price
            if leaps and (
                price * _doubt(row, -1) > _LEAP * was * _doubt(last, 1)
                or was * _doubt(last, -1) > _LEAP * price * _doubt(row, 1)
            ):
                leap = f"the price value / (rate/100) leaps from {was:g} to {price:g}: a unit is wrong"
                raise reader.bad("value", leap, f"timestamp {row.timestamp}, rate {row.rate}")
        before = row, price


def _doubt(row: _LighterPayment, way: int) -> float:
    """By what factor `value` changes when its last digit goes up (way 1) or down (-1)."""
    return 1 + way * 10.0 ** -len(row.value.partition(".")[2]) / float(row.value)


# --- current

_DETAILS = Request("/orderBookDetails", "/orderBookDetails", params=(("filter", "perp"),))


def _current_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request("/funding-rates", "/funding-rates"), _DETAILS]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of active markets, from /funding-rates, /orderBookDetails or market_stats frames, one a line.

    /funding-rates has rates, /orderBookDetails prices and sizes, frames both; what a response lacks is null. Frames
    are observed at their own timestamp, where they have one. The markets of frames without a symbol come
    from `context.markets`; unnamed ones are left out, and BadCall is raised when no row is left.
    """
    values = decode_lines(body, NAME, "market_stats")
    first = values[0]
    if len(values) > 1 or (isinstance(first, dict) and ("type" in first or "error" in first)):
        return snapshot_rows(_of_frames(values, context))
    if isinstance(first, dict) and "funding_rates" in first:
        return _of_rates(_checked(first, "/funding-rates"), context)
    name, reader = "order_book_details", Reader(NAME, "/orderBookDetails")

    def read(book: _Detail) -> Row | None:
        trades = _is_perpetual(book) and _status(book, context) == "active"
        return _of_book(book, context) if trades else None

    return snapshots_of(reader, context, _books(first, name), _Detail, read, name)


def _of_rates(value: Any, context: ResponseContext) -> pl.DataFrame:
    reader = Reader(NAME, "/funding-rates")
    ours = False

    def read(row: _LighterRate) -> Row | None:
        nonlocal ours
        if row.exchange != NAME:
            return None
        ours = True
        market = context.markets.get(row.symbol) or _named(reader, row.symbol)
        if market.status != "active":
            return None
        _check_cap(reader, "rate", row.rate / 8, market)
        known = {
            "funding_rate": row.rate / 8,
            "interval_hours": 1.0,
            "native_rate": row.rate,
            "rate_step": RATE_STEP,
            "next_funding_time": next_hour(context.at),
        }
        return snapshot_row(market, context.at, known)

    name = "funding_rates"
    rows = snapshots_of(reader, context, reader.items(value, name), _LighterRate, read, name)
    if not ours:
        raise reader.bad("exchange", "is never 'lighter': the response has no row of this exchange")
    return rows


def _books(value: Any, name: str) -> list[Any]:
    endpoint = "/orderBooks" if name == "order_books" else "/orderBookDetails"
    return Reader(NAME, endpoint).items(_checked(value, endpoint), name)


def _is_perpetual(book: _Book) -> bool:
    reader = Reader(NAME, "/orderBookDetails")
    _named(reader, book.symbol)
    if book.market_type not in ("perp", "spot"):
        raise reader.bad("market_type", f"of {book.symbol} is neither perp nor spot", book.market_type)
    return book.market_type == "perp"


def _status(book: _Book, context: ResponseContext) -> str:
    reader = Reader(NAME, "/orderBookDetails")
    return stated_status(reader, context, "status", book.symbol, book.status, _STATUS)


def _of_book(book: _Detail, context: ResponseContext) -> dict[str, Any]:
    reader = Reader(NAME, "/orderBookDetails")
    market = symbol_market(book.symbol)
    known = {
        "mark_price": _price(reader, "mark_price", book.mark_price, market),
        "index_price": _price(reader, "index_price", book.index_price, market),
        "open_interest": book.open_interest * market.multiplier,
        "volume_24h_usd": book.daily_quote_token_volume,
    }
    return snapshot_row(market, context.at, known)


def _of_frames(values: Sequence[Any], context: ResponseContext) -> list[dict[str, Any]]:
    reader = Reader(NAME, "market_stats")
    by_id = {
        m.native_id: m for m in (*context.markets.values(), *filter(None, [context.market])) if m.native_id
    }
    rows: dict[tuple[str, datetime], dict[str, Any]] = {}
    nameless: set[int] = set()
    for frame in values:
        if isinstance(frame, dict) and "error" in frame:
            raise reader.bad("error", "the stream reports an error", frame)
        kind = reader.get(frame, "type", str)
        if kind in ("connected", "ping", "pong"):
            continue
        if kind not in ("subscribed/market_stats", "update/market_stats"):
            raise reader.bad("type", "is no frame of market_stats", kind)
        at = from_ms(reader.ms(frame, "timestamp")) if "timestamp" in frame else context.at
        for stats in _stats_of(reader, frame):
            market = by_id.get(str(stats.market_id)) or (
                None if stats.symbol is None else _named(reader, stats.symbol)
            )
            if not market:
                nameless.add(stats.market_id)
            elif market.status == "active":
                rows[market.symbol, at] = _of_stats(reader, stats, market, at)
    if nameless and not rows:
        ids = ", ".join(map(str, sorted(nameless)))
        raise BadCall(f"lighter: frames have no symbol for market_id {ids}; the list of markets is needed")
    return list(rows.values())


def _stats_of(reader: Reader, frame: Any) -> list[_LighterStats]:
    channel, stats = reader.get(frame, "channel", str), reader.get(frame, "market_stats", dict)
    each = list(stats.values()) if channel == "market_stats:all" else [stats]
    return shaped(each, list[_LighterStats], NAME, reader.endpoint, "market_stats")


def _of_stats(reader: Reader, stats: _LighterStats, market: Market, at: datetime) -> dict[str, Any]:
    percent = reader.finite("current_funding_rate", stats.current_funding_rate)
    rate = _hundredth(reader, stats.current_funding_rate)
    _check_cap(reader, "current_funding_rate", rate, market)
    last_ms = reader.ms({"funding_timestamp": stats.funding_timestamp}, "funding_timestamp")
    if last_ms % _HOUR_MS >= _HOUR_MS - _EARLY_MS:
        raise reader.bad("funding_timestamp", "lies just before an hour; stamps come after it", last_ms)
    mark = _price(reader, "mark_price", stats.mark_price, market)
    dollars = reader.finite("open_interest", stats.open_interest)
    known = {
        "funding_rate": rate,
        "interval_hours": 1.0,
        "native_rate": percent,
        "rate_step": RATE_STEP,
        "next_funding_time": floor_hour(from_ms(last_ms)) + HOUR,
        "mark_price": mark,
        "index_price": _price(reader, "index_price", stats.index_price, market),
        "open_interest": dollars / mark if mark else None,
        "open_interest_usd": dollars,
        "volume_24h_usd": stats.daily_quote_token_volume,
    }
    return snapshot_row(market, at, known)


# --- stream


def _answer(frame: bytes) -> str | None:
    return '{"type":"pong"}' if len(frame) < 100 and b'"ping"' in frame else None


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [_DETAILS]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all perpetuals of /orderBookDetails or /orderBooks, inactive ones too.

    native_id is market_id.
    """
    value = decode(body, NAME, "/orderBookDetails")
    if isinstance(value, dict) and "order_books" in value:
        name, kind = "order_books", _Book
    else:
        name, kind = "order_book_details", _Detail
    reader = Reader(NAME, "/orderBookDetails")

    def read(book: _Book) -> Row | None:
        return _market_row(book, context) if _is_perpetual(book) else None

    return markets_of(reader, context, _books(value, name), kind, read, name, by_symbol=symbol_market)


def _cap(reader: Reader, clamp: str) -> float:
    """The cap per hour of a clamp in percent per 8 hours."""
    cap = reader.finite("funding_clamp_big", clamp) / 800
    if cap > 10 * RATE_CAP:
        raise reader.bad("funding_clamp_big", f"is beyond ten times the usual cap, {RATE_CAP * 800:g}", clamp)
    return cap


def _market_row(book: _Book, context: ResponseContext) -> dict[str, Any]:
    reader = Reader(NAME, "/orderBookDetails")
    clamp, margin = book.funding_clamp_big, book.min_initial_margin_fraction
    known: dict[str, Any] = {
        "native_id": str(book.market_id),
        "collateral": QUOTE,
        "status": _status(book, context),
        "rate_cap": RATE_CAP if clamp is None else _cap(reader, clamp),
        "max_leverage": 10_000 / margin if margin else None,
    }
    if book.created_at is not None:
        created = int(reader.finite("created_at", book.created_at))
        known["listed_at"] = from_ms(reader.ms({"created_at": created}, "created_at"))
    return market_row(symbol_market(book.symbol), context, known)


def _named(reader: Reader, symbol: str) -> Market:
    """The market that a response names; raises BadPayload for an empty name."""
    if not symbol:
        raise reader.bad("symbol", "is empty")
    return symbol_market(symbol)


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses: native_id, which requests need, is then None."""
    what = identify(NAME, symbol)
    return Market(NAME, symbol, what.base, QUOTE, what.asset_class, what.multiplier, interval_hours=1.0)


# --- refusals

_CODE = re.compile(rb'"code"\s*:\s*(\d+)')
_MESSAGE = re.compile(rb'"message"\s*:\s*"([^"]{0,200})')


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    head = body[:2000]
    code_match, message = _CODE.search(head), _MESSAGE.search(head)
    code = int(code_match[1]) if code_match else None
    if status >= 500 or (status == 200 and code in (None, 200)):
        return None
    refusal = f"lighter answers {status}" + (f", code {code}" if code is not None else "")
    refusal += f", {message[1].decode('utf-8', 'replace')}" if message else ""
    if status in (405, 429) or code in range(23_000, 23_100):
        return RateLimited(
            f"{refusal}: more than 60 requests a minute from this address (405 is its firewall)"
        )
    if code in range(21_100, 22_500):
        return BadCall(f"{refusal}: unknown market or broken rule; see: fundingdb markets lighter")
    if status == 403:
        return Refused(f"{refusal}: blocked for this address, region or path")
    return Refused(f"{refusal}: see the datasheet, fundingdb/fetchers/lighter.py")


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://mainnet.zklighter.elliot.ai/api/v1",
    budget=Budget(scope=NAME, capacity=60, per_seconds=60, concurrent=4),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        paging=Fixed(hours=720, cap=749),
        request=_history_request,
        parse=_parse_history,
        depth="to the market's listing, at most to 2025-01-17 (ETH)",
    ),
    market=symbol_market,
    refusal=_refusal,
    live=Live(
        "wss://mainnet.zklighter.elliot.ai",
        "/stream?readonly=true",  # also where trading is blocked
        _parse_current,
        subscribe=lambda _markets: ['{"type":"subscribe","channel":"market_stats/all"}'],
        answer=_answer,
        keepalive='{"type":"ping"}',
        keepalive_seconds=60,  # a connection without a message for 2 minutes is closed
    ),
    unit="percent per hour, unsigned with a direction (/fundings); fraction per 8 hours (/funding-rates)",
    interval="1 h",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=2),
)
