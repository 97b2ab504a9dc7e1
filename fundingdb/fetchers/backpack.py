"""Backpack (perpetuals): the datasheet of its API, and pure functions that read it.

Sources   docs.backpack.exchange (REST: markets, markPrices, fundingRates); responses recorded 2026-09-13. Read
          2026-11-22.
Request   GET, no key. 2,000 requests a minute, of fundingRates 30 a minute.
Markets   /markets, spot too: `marketType` PERP. `orderBookState` Open trades; Closed and PostOnly do not, and
          /markPrices still shows rates of them: only markets listed as Open give rows.
Unit      fraction of notional per interval, text; 9 decimals in history, up to 28 in markPrices. Positive: longs
          pay shorts.
Interval  `fundingInterval` of /markets, ms: 3600000 on every perpetual. Until 2025-08-20 rows were 8 hours apart;
          the hour of the change is not published, so rows up to 2025-08-21 00:00 have no interval ("unknown").
Clock     ISO text WITHOUT zone, UTC, on the full hour: the end of the interval. nextFundingTimestamp is ms.
History   /fundingRates?symbol=&limit=&offset=: newest first, no bounds, 1,000 rows used (docs: 10,000). The first
          row is the hour still running: its rate moves (0.000000724 became 0.00000216). It is no payment: rows
          that end after the instant of receipt are dropped.
Price     markPrice and indexPrice per contract unit: divided by the multiplier. PostOnly markets show the index
          as mark.
Size      not in these responses (/openInterest is not read): null.
Cap       fundingRateUpperBound "100", "150": its unit is not proven, so it is not used; a rate beyond 0.05 is
          refused as another unit.
Symbol    baseSymbol, quote USDC. kPEPE, kBONK, kSHIB are 1000 tokens. Shares end in .US (MU.US).
Class     rwaMarketType: null crypto, STOCK equity, INDEX of a .US name is a fund's share (QQQ, SPY, DRAM).
Unknown   the response to an unknown symbol; whether bounds are basis points.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import (
    Budget,
    Fetcher,
    History,
    Market,
    Offset,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import Identity, identify
from fundingdb.fetchers.payload import (
    HOUR_MS,
    Reader,
    Span,
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
    snapshot_row,
    snapshots_of,
    stated_status,
    the_market,
)
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.errors import FundingdbError
    from fundingdb.window import Window

NAME = "backpack"
LIMIT = 1000
_ABSURD = 0.05  # fraction per hour
_HOURLY_AFTER_MS = to_ms(datetime(2025, 8, 21, tzinfo=UTC))
_RUNNING = 2  # rows that may end after the receipt: the running hour, and one more by a clock that lags
_HISTORY, _CURRENT, _MARKETS = "/fundingRates", "/markPrices", "/markets"
_STATUS = {
    "Open": "active",
    "PostOnly": "inactive",
    "LimitOnly": "inactive",
    "CancelOnly": "inactive",
    "Closed": "inactive",
}
_SUFFIX = "_PERP"


class _BackpackPayment(msgspec.Struct, rename="camel"):
    funding_rate: str
    interval_end_timestamp: str
    symbol: str


class _BackpackMark(msgspec.Struct, rename="camel"):
    symbol: str
    funding_rate: str
    index_price: str
    mark_price: str
    next_funding_timestamp: int


class _BackpackListing(msgspec.Struct, rename="camel"):
    symbol: str
    base_symbol: str
    quote_symbol: str
    market_type: str
    order_book_state: str
    funding_interval: Span | None
    rwa_market_type: str | None


# --- history


def _history_request(market: Market, _window: Window, cursor: str | None) -> Request:
    params = (("symbol", market.symbol), ("limit", str(LIMIT)), ("offset", cursor or "0"))
    return Request(_HISTORY, _HISTORY, params=params, cost=2000 / 30)


def _payments(body: bytes) -> tuple[list[_BackpackPayment], list[int]]:
    reader = Reader(NAME, _HISTORY)
    rows = shaped(decode(body, NAME, _HISTORY), list[_BackpackPayment], NAME, _HISTORY)
    return rows, [iso_ms(reader, "intervalEndTimestamp", row.interval_end_timestamp, zone="") for row in rows]


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time of what was settled at `context.at`, of `context.market` or the one market the rows name."""
    reader = Reader(NAME, _HISTORY)
    every, ends = _payments(body)
    if not every:
        return FUNDING.empty().drop("month")
    market = the_market(reader, context, ("symbol", [row.symbol for row in every]), symbol_market)
    rates = [
        bounded(reader, "fundingRate", r, _ABSURD, market.symbol)
        for r in decimals(reader, "fundingRate", [row.funding_rate for row in every])
    ]
    hours = [hour_of(reader, "intervalEndTimestamp", t) for t in ends]
    now = to_ms(context.at)
    settled = [i for i, t in enumerate(ends) if t <= now]
    if len(every) - len(settled) > _RUNNING:
        problem = (
            "lies after the instant of receipt in more than the running hour; is this machine's clock right?"
        )
        raise reader.bad("intervalEndTimestamp", problem, every[0].interval_end_timestamp)
    declared = [market.interval_hours == 1.0 and ends[i] > _HOURLY_AFTER_MS for i in settled]
    measured = {
        "funding_time": [hours[i] for i in settled],
        "reported_time": [ends[i] for i in settled],
        "funding_rate": [rates[i] for i in settled],
        "native_rate": [rates[i] for i in settled],
        "mark_price": [None] * len(settled),
        "interval_hours": [1.0 if hourly else None for hourly in declared],
        "interval_from": ["declared" if hourly else "unknown" for hourly in declared],
    }
    return funding_rows(market, context, measured, hours=1.0)


def _just_before_the_newest_end(body: bytes) -> datetime | None:
    """Just before the newest interval ends: the first row of a response is the running one."""
    try:
        ends = _payments(body)[1]
    except BadPayload:
        return None
    return from_ms(max(ends) - 1000) if ends else None


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_MARKETS, _MARKETS)]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all perpetuals, closed ones too; no spot."""
    reader = Reader(NAME, _MARKETS)

    def read(row: _BackpackListing) -> Row | None:
        if row.market_type != "PERP":
            return None
        return market_row(_listed(reader, row, context), context, {"collateral": row.quote_symbol})

    listings = reader.array(decode(body, NAME, _MARKETS))
    rows = markets_of(reader, context, listings, _BackpackListing, read, by_symbol=symbol_market)
    if rows.is_empty():
        raise reader.bad("marketType", "names no perpetual at all")
    return rows


def _listed(reader: Reader, row: _BackpackListing, context: ResponseContext) -> Market:
    every = None if row.funding_interval is None else reader.span("fundingInterval", row.funding_interval)
    if every is not None and (not HOUR_MS <= every <= 24 * HOUR_MS or every % HOUR_MS):
        raise reader.bad("fundingInterval", f"of {row.symbol} is not 1 to 24 full hours in ms", every)
    what = _identity(reader, row)
    return Market(
        exchange=NAME,
        symbol=row.symbol,
        base=what.base,
        quote=row.quote_symbol,
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        status=stated_status(reader, context, "orderBookState", row.symbol, row.order_book_state, _STATUS),
        interval_hours=None if every is None else every / HOUR_MS,
    )


def _identity(reader: Reader, row: _BackpackListing) -> Identity:
    if not row.base_symbol:
        raise reader.bad("baseSymbol", f"of {row.symbol} is empty")
    kind, share = row.rwa_market_type, row.base_symbol.endswith(".US")
    if kind is None:
        return identify(NAME, row.base_symbol, asset_class=None if share else "crypto")
    if kind not in ("STOCK", "INDEX"):
        raise reader.bad("rwaMarketType", f"of {row.symbol} is neither null, STOCK nor INDEX", kind)
    return identify(NAME, row.base_symbol, asset_class="equity" if share or kind == "STOCK" else "index")


# --- current


def _current_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_CURRENT, _CURRENT)]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of the markets that are active in `context.markets`: the estimate of the running hour.

    Raises BadCall without markets: the response does not state which of them trade.
    """
    reader = Reader(NAME, _CURRENT)
    marks = reader.array(decode(body, NAME, _CURRENT))
    if not context.markets:
        raise BadCall(
            "backpack: markPrices does not state which markets trade; the response of /markets is needed"
            " (parse ... --markets FILE)"
        )

    def read(mark: _BackpackMark) -> Row | None:
        values, market = _read(reader, mark), context.markets.get(mark.symbol)
        if market is None or market.status != "active":
            return None
        return _snapshot(market, values, context)

    return snapshots_of(reader, context, marks, _BackpackMark, read)


def _read(reader: Reader, mark: _BackpackMark) -> dict[str, Any]:
    rate = reader.finite("fundingRate", mark.funding_rate)
    due = reader.ms({"nextFundingTimestamp": mark.next_funding_timestamp}, "nextFundingTimestamp")
    if due % HOUR_MS:
        raise reader.bad("nextFundingTimestamp", f"of {mark.symbol} is not on a full hour", due)
    return {
        "funding_rate": bounded(reader, "fundingRate", rate, _ABSURD, mark.symbol),
        "native_rate": rate,
        "next_funding_time": from_ms(due),
        "mark_price": counted(reader, "markPrice", mark.mark_price, mark.symbol),
        "index_price": counted(reader, "indexPrice", mark.index_price, mark.symbol),
    }


def _snapshot(market: Market, values: dict[str, Any], context: ResponseContext) -> dict[str, Any]:
    prices = {name: values[name] / market.multiplier or None for name in ("mark_price", "index_price")}
    return snapshot_row(market, context.at, {**values, **prices, "interval_hours": market.interval_hours})


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses; raises BadCall for a name that is not BASE_QUOTE_PERP."""
    asset, _, money = symbol.removesuffix(_SUFFIX).rpartition("_")
    if not symbol.endswith(_SUFFIX) or not asset or not money:
        raise BadCall(
            f"backpack: {symbol!r} is no market name; names look like BTC_USDC_PERP (fundingdb markets backpack)"
        )
    what = identify(NAME, asset)
    return Market(NAME, symbol, what.base, money, what.asset_class, what.multiplier, interval_hours=1.0)


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    return refused(NAME, status, body, "2,000 requests (30 of history) a minute from this address")


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://api.backpack.exchange/api/v1",
    budget=Budget(scope=NAME, capacity=2000, per_seconds=60, concurrent=4),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        paging=Offset(cap=LIMIT),
        request=_history_request,
        parse=_parse_history,
        depth="to the market's listing (2025-01); rows up to 2025-08-21 00:00Z come without interval",
    ),
    market=symbol_market,
    refusal=_refusal,
    response_time=_just_before_the_newest_end,
    unit="fraction per interval",
    interval="1 h (8 h before 2025-08-20, not stated)",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=5),
)
