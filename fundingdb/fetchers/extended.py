"""Extended (perpetuals on Starknet): the datasheet, read November 2026, and pure functions over it.

Request   GET, no key. A User-Agent is mandatory (403 without). 1,000 requests a minute and IP.
Envelope  {"status": "OK"|"ERROR", "data": ..., "error": {code, message}}: `status` counts, not only HTTP.
Markets   /info/markets, all in one response. `status` counts, `active` does not (it is true on DELISTED rows); no SPOT.
Unit      fraction of notional per 1 hour, text, 6 decimals (rate_step 1e-6). Positive: longs pay shorts.
Interval  1 hour for all; not in the payload (docs): `interval_from` is declared.
Clock     ms. `nextFundingRate` is no rate: it is the time of the next payment. History stamps `T` come
          0.8-1.7 s after the hour (one recorded at +559 s): funding_time is `T` floored to the hour.
Cap       tradingConfig.hourlyFundingRateCap, percent per hour ("0.25", "0.75", "1"). Lists of September 2026
          also carry "0.006" where settled rates reach 0.0005: no percent, its unit is unproven, so a cap
          under 0.05 is read as unknown.
History   /info/{market}/funding?startTime=&endTime=, both ms, needed, inclusive. Newest first; at most 1,000
          rows, a wider window silently gives its newest 1,000. Seconds by mistake: `data: []`, no error.
Stream    {base}/funding, all markets, no subscription: rates alone, one frame a market and minute; no replay.
Size      openInterest is US dollars, openInterestBase contract units (x multiplier = base tokens), one side.
Traps     /info/markets/{m}/stats of an unknown market answers 200, every number zero; a price of 0 is none.
Unknown   whether payments use more than the 6 decimals shown; the body of a 429.
"""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from fundingdb.errors import BadCall, BadPayload, FundingdbError, RateLimited, Refused, Unreachable
from fundingdb.fetchers.contract import (
    Backward,
    Budget,
    Fetcher,
    History,
    Live,
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import Identity, identify
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
    the_market,
)
from fundingdb.schema import FUNDING
from fundingdb.window import HOUR, from_ms, next_hour

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.window import Window

NAME = "extended"
RATE_STEP = 1e-6
_HOUR_MS = 3_600_000
_FIRST_MS, _LAST_MS = 1_262_304_000_000, 4_102_444_800_000  # 2010 .. 2100
_EARLY_MS = 60_000  # a stamp this close BEFORE an hour can't be floored: none is recorded
_STATUS = {
    "ACTIVE": "active",
    "REDUCE_ONLY": "reduce_only",
    "PRELISTED": "prelisted",
    "DELISTED": "delisted",
    "DISABLED": "inactive",
}
_TRADED = ("active", "reduce_only")
# category RWA, /info/markets of 2026-09-13: subCategory -> class. Shares of private companies are shares.
_RWA = {"Equity": "equity", "Commodity": "commodity", "FX": "fx", "Pre-market": "equity"}
_SMALLEST_PERCENT_CAP = 0.05
_ABSURD = (
    0.05  # fraction per hour, five times the largest recorded cap: the bound where a market's cap is unknown
)
_NO_NAME = "extended: {!r} is no market name; names look like BTC-USD (fundingdb markets extended)"


class _ExtendedPayment(msgspec.Struct):
    m: str
    f: str
    T: int


class _ExtendedPage(msgspec.Struct):
    status: str
    data: list[_ExtendedPayment]


_PAGE = msgspec.json.Decoder(_ExtendedPage)


class _ExtendedStats(msgspec.Struct, rename="camel"):
    funding_rate: str
    next_funding_rate: int
    mark_price: str
    index_price: str
    open_interest: str
    open_interest_base: str
    daily_volume: str


class _Config(msgspec.Struct, rename="camel"):
    max_leverage: str
    hourly_funding_rate_cap: str


class _ExtendedListing(msgspec.Struct, rename="camel"):
    name: str
    type: str
    status: str
    category: str
    asset_name: str
    collateral_asset_name: str
    market_stats: _ExtendedStats
    trading_config: _Config
    created_at: int
    sub_category: str | None = None
    reference_market: str | None = None

    def identity(self) -> Identity:
        """From the category that the listing states; a real-world asset of unknown kind is never a coin."""
        stated = None
        if self.category == "Crypto":
            stated = "crypto"
        elif self.category == "RWA" and self.sub_category == "ETF/Index":
            stated = "equity" if self.reference_market == "us_equity" else "index"  # shares of a fund, or not
        elif self.category == "RWA":
            by_name = identify(NAME, self.asset_name).asset_class
            stated = _RWA.get(self.sub_category or "", "equity" if by_name == "crypto" else by_name)
        return identify(NAME, self.asset_name, asset_class=stated)


class _Frame(msgspec.Struct):
    ts: int
    data: _ExtendedPayment
    seq: int


def _data(value: Any, endpoint: str) -> Any:
    reader = Reader(NAME, endpoint)
    status = reader.get(value, "status", str)
    if status != "OK":
        raise reader.bad("status", f"is {status!r}, not 'OK'", value.get("error"))
    return reader.get(value, "data")


def _segment(symbol: str) -> str:
    """Any symbol as one segment of a path."""
    if not symbol.strip("."):
        raise BadCall(_NO_NAME.format(symbol))
    return quote(symbol, safe="")


def _check_cap(reader: Reader, rate: float, market: Market) -> None:
    if abs(rate) > (market.rate_cap or _ABSURD):
        cap = (
            f"the market's cap {market.rate_cap:g}"
            if market.rate_cap
            else f"{_ABSURD:g} (its cap is unknown)"
        )
        raise reader.bad("fundingRate", f"{market.symbol}: {rate:g} per hour is beyond {cap}")


# --- history


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    start, stop = window.ms
    path = f"/info/{_segment(market.symbol)}/funding"
    return Request("/info/{market}/funding", path, params=(("startTime", str(start)), ("endTime", str(stop))))


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time, of `context.market` or else of the one market the rows name; maybe none."""
    endpoint = "/info/{market}/funding"
    reader = Reader(NAME, endpoint)
    try:
        page = _PAGE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        page = None
    if page and page.status == "OK":
        rows = page.data
    else:  # once more, slowly, for the field and the problem
        rows = shaped(
            _data(decode(body, NAME, endpoint), endpoint), list[_ExtendedPayment], NAME, endpoint, "data"
        )
    if not rows:
        return FUNDING.empty().drop("month")
    market = the_market(reader, context, ("m", [row.m for row in rows]), partial(_named, reader))
    stamps = [row.T for row in rows]
    if min(stamps) < _FIRST_MS or max(stamps) >= _LAST_MS:
        raise reader.bad(
            "T", "is not a time in Unix milliseconds", max(stamps, key=lambda t: abs(t - _FIRST_MS))
        )
    if early := [t for t in stamps if t % _HOUR_MS >= _HOUR_MS - _EARLY_MS]:
        raise reader.bad("T", "lies just before an hour; stamps come after it", early[0])
    rates = decimals(reader, "f", [row.f for row in rows])
    _check_cap(reader, max(rates, key=abs), market)
    measured = {
        "funding_time": [t - t % _HOUR_MS for t in stamps],
        "reported_time": stamps,
        "funding_rate": rates,
        "native_rate": rates,
        "mark_price": [None] * len(rows),
    }
    return funding_rows(market, context, measured, hours=1.0)


# --- current


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request("/info/markets", "/info/markets")]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of the markets that trade, from /info/markets, /stats or frames of the funding stream.

    A /stats response does not name its market; `context.market` does (BadCall without it).

    Stream frames are running estimates, observed at their own `ts`; one stamped within 5 s after an hour may
    be the payment just made, so its next_funding_time is null.
    """
    values = decode_lines(body, NAME, "/info/markets")
    reader, first = Reader(NAME, "/info/markets"), values[0]

    def read(listing: _ExtendedListing) -> Row | None:
        market = _market_of(listing, context)
        if market is None or market.status not in _TRADED:
            return None
        return _snapshot(listing.market_stats, market, context)

    if isinstance(first, dict) and "status" not in first and "seq" in first:
        rows = [_of_frame(f, context) for f in shaped(values, list[_Frame], NAME, "stream/funding")]
    elif len(values) > 1:
        raise BadPayload(
            NAME, "stream/funding", "(body)", "has lines that are no frames of the funding stream"
        )
    elif isinstance(data := _data(first, "/info/markets"), dict):
        rows = [_of_stats(shaped(data, _ExtendedStats, NAME, "/info/markets/{m}/stats", "data"), context)]
    else:
        return snapshots_of(reader, context, reader.array(data), _ExtendedListing, read, "data")
    return snapshot_rows(rows)


def _market_of(row: _ExtendedListing, context: ResponseContext) -> Market | None:
    """The market of a listing; None: a spot market."""
    reader = Reader(NAME, "/info/markets")
    if row.type not in ("PERPETUAL", "SPOT"):
        raise reader.bad("type", f"of {row.name} is neither PERPETUAL nor SPOT", row.type)
    if row.type == "SPOT":
        return None
    if not row.asset_name:
        raise reader.bad("assetName", f"of {row.name} is empty")
    what = row.identity()
    percent = reader.finite("hourlyFundingRateCap", row.trading_config.hourly_funding_rate_cap)
    if percent > _ABSURD * 100:
        raise reader.bad("hourlyFundingRateCap", f"of {row.name} is beyond {_ABSURD:.0%} an hour", percent)
    return Market(
        exchange=NAME,
        symbol=row.name,
        base=what.base,
        quote=row.collateral_asset_name,
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        status=stated_status(reader, context, "status", row.name, row.status, _STATUS),
        interval_hours=1.0,
        rate_cap=percent / 100 if percent >= _SMALLEST_PERCENT_CAP else None,
        listed_at=from_ms(reader.ms({"createdAt": row.created_at}, "createdAt")),
    )


def _of_stats(stats: _ExtendedStats, context: ResponseContext) -> dict[str, Any]:
    reader = Reader(NAME, "/info/markets/{m}/stats")
    if context.market is None:
        raise BadCall(
            "extended: a stats response does not name its market; name it (parse ... --symbol BTC-USD)"
        )
    prices = (
        stats.mark_price,
        stats.index_price,
        stats.open_interest,
        stats.open_interest_base,
        stats.daily_volume,
    )
    if not any(reader.finite("(numbers)", text) for text in prices):
        problem = f"every number of {context.market.symbol} is zero, as in the response for an unknown market"
        raise reader.bad("(numbers)", problem)
    return _snapshot(stats, context.market, context)


def _snapshot(stats: _ExtendedStats, market: Market, context: ResponseContext) -> dict[str, Any]:
    reader = Reader(NAME, "/info/markets")

    def price(name: str, text: str) -> float | None:
        value = reader.finite(name, text)
        if value < 0:
            raise reader.bad(name, f"of {market.symbol} is negative", text)
        return value / market.multiplier or None

    due = reader.ms({"nextFundingRate": stats.next_funding_rate}, "nextFundingRate")
    if due % _HOUR_MS:
        raise reader.bad("nextFundingRate", f"of {market.symbol} is not on a full hour", due)
    rate = reader.finite("fundingRate", stats.funding_rate)
    _check_cap(reader, rate, market)
    known = {
        "funding_rate": rate,
        "interval_hours": 1.0,
        "native_rate": rate,
        "rate_step": RATE_STEP,
        "next_funding_time": from_ms(due),
        "mark_price": price("markPrice", stats.mark_price),
        "index_price": price("indexPrice", stats.index_price),
        "open_interest": reader.finite("openInterestBase", stats.open_interest_base) * market.multiplier,
        "open_interest_usd": reader.finite("openInterest", stats.open_interest),
        "volume_24h_usd": reader.finite("dailyVolume", stats.daily_volume),
    }
    return snapshot_row(market, context.at, known)


def _of_frame(frame: _Frame, context: ResponseContext) -> dict[str, Any]:
    reader = Reader(NAME, "stream/funding")
    sent = from_ms(reader.ms({"ts": frame.ts}, "ts"))
    stamp = from_ms(reader.ms({"T": frame.data.T}, "T"))
    market = context.markets.get(frame.data.m) or _named(reader, frame.data.m)
    rate = reader.finite("f", frame.data.f)
    _check_cap(reader, rate, market)
    just_paid = next_hour(stamp) - stamp > HOUR - timedelta(seconds=5)
    known = {
        "funding_rate": rate,
        "interval_hours": 1.0,
        "native_rate": rate,
        "rate_step": RATE_STEP,
        "next_funding_time": None if just_paid else next_hour(stamp),
    }
    return snapshot_row(market, sent, known)


# --- markets


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all perpetuals, delisted ones too; no SPOT rows."""
    reader = Reader(NAME, "/info/markets")

    def read(listing: _ExtendedListing) -> Row | None:
        if (market := _market_of(listing, context)) is None:
            return None
        leverage = reader.finite("maxLeverage", listing.trading_config.max_leverage)
        known = {"collateral": "USDC", "max_leverage": leverage or None}
        return market_row(market, context, known)

    listings = reader.array(_data(decode(body, NAME, "/info/markets"), "/info/markets"), may_be_empty=True)
    return markets_of(
        reader, context, listings, _ExtendedListing, read, "data", symbol="name", by_symbol=symbol_market
    )


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses: the class comes from tables, not from the exchange.

    Raises BadCall for a name without a quote.
    """
    asset, dash, collateral = symbol.rpartition("-")
    if not (asset and dash and collateral):
        raise BadCall(_NO_NAME.format(symbol))
    what = identify(NAME, asset)
    return Market(NAME, symbol, what.base, collateral, what.asset_class, what.multiplier, interval_hours=1.0)


def _named(reader: Reader, symbol: str) -> Market:
    """The market that a response names in its field `m`; raises BadPayload for a name that is none."""
    try:
        return symbol_market(symbol)
    except BadCall:
        raise reader.bad("m", "is no market name", symbol) from None


# --- refusals


_CODES: dict[str, tuple[type[FundingdbError], str]] = {
    "1001": (BadCall, "it has no such market; see: fundingdb markets extended"),
    "NOT_FOUND": (BadCall, "it has no such market; see: fundingdb markets extended"),
    "1002": (BadCall, "the market is disabled; see: fundingdb markets extended"),
    "1010": (Unreachable, "maintenance; try again later"),
}


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    code, message = _error_of(body)
    if status >= 500 or (status == 200 and code is None):
        return None
    refusal = ", ".join(filter(None, (f"extended answers {status}", code and f"code {code}", message)))
    if status == 429:
        return RateLimited(f"{refusal}: more than 1,000 requests a minute from this address")
    if status == 403:
        return Refused(f"{refusal}: it refuses requests without a User-Agent header; does a proxy remove it?")
    kind, why = _CODES.get(code or "", (Refused, "see the datasheet, fundingdb/fetchers/extended.py"))
    return kind(f"{refusal}: {why}")


def _error_of(body: bytes) -> tuple[str | None, str]:
    if b'"ERROR"' not in body[:4096]:
        return None, ""
    try:
        envelope = json.loads(body)
    except ValueError:
        return None, ""
    if not isinstance(envelope, dict) or envelope.get("status") != "ERROR":
        return None, ""
    error = envelope.get("error")
    if not isinstance(error, dict):
        return "?", ""
    return str(error.get("code", "?")), str(error.get("message", ""))[:200]


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://api.starknet.extended.exchange/api/v1",
    budget=Budget(scope=NAME, capacity=1000, per_seconds=60, concurrent=8),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_market_requests, _parse_current),
    history=History(
        paging=Backward(cap=1000),
        request=_history_request,
        parse=_parse_history,
        depth="to the market's listing, at most to 2025-07-18 (launch on Starknet)",
    ),
    market=symbol_market,
    refusal=_refusal,
    live=Live("wss://api.starknet.extended.exchange/stream.extended.exchange/v1", "/funding", _parse_current),
    unit="fraction per hour",
    interval="1 h",
    checked="2026-11-22",
    evidence="recorded; stream documented",
    settle_delay=timedelta(minutes=10),  # one payment of a thousand was stamped 559 s after its hour
)
