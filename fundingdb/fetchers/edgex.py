"""edgeX V2 (perpetuals): the datasheet of its API, and pure functions that read it.

Sources   edgex-1.gitbook.io/edgeX-documentation/api (public API: metadata, funding), the venue's Go SDK; responses recorded
          2026-09-13. Read 2026-11-22. V1 (pro.edgex.exchange) responds with empty lists: it is another host, not read.
Request   GET, no key. Limits are not published; 4.4 requests a second worked. 429 or code RATE_LIMIT_EXCEEDED past them.
Envelope  {"code": "SUCCESS", "data", "msg"}: `code` counts, errors may come with HTTP 200.
Markets   /meta/getMetaData. A market trades when enableTrade, enableOpenPosition and enableDisplay are all true; hidden
          ones (ZRO) still show a rate: only what trades gives snapshots.
Unit      fraction of notional per interval, text, 8 decimals (rate_step 1e-8). Positive: longs pay shorts.
Interval  fundingRateIntervalMin, minutes as text, in every row ("row"): 240 on all. The V1 pages state 8 hours.
Clock     ms as text. fundingTime is the settlement, on the full hour; fundingTimestamp is the time of a sample.
History   /funding/getFundingRatePage, filterSettlementFundingRate=true (else each minute is a row), filterBegin-
          TimeInclusive and filterEndTimeExclusive: newest first, 100 rows; nextPageOffsetData is the cursor of the page
          after, "" at the end. Rows with isSettlement false are samples and are dropped. Rows name no market but its id.
Current   /funding/getLatestFundingRate?contractId=A,B: forecastFundingRate is the estimate for fundingTime + interval;
          fundingRate is what was settled at fundingTime, the newest row of history; predictedFundingRate is the interest
          part alone, no prediction. One sample a minute. "" is no rate. Rows name ids: the list of markets is needed.
Price     markPrice and indexPrice per contract unit: divided by the multiplier.
Size      not in these responses: null.
Cap       fundingMaxRate, fundingMinRate: fraction per interval, of now. A rate beyond twice the cap is refused as another
          unit in snapshots, one beyond 0.1 in history.
Symbol    contractName (BTCUSDC); two are Chinese. Base and quote from coinList, with digits (1000PEPE).
Class     isStock (funds too), isFx; else tables of identity.py: commodities are a group only in /contract-labels,
          PrepV2 (AppTradFi puts JPMorgan there). EURUSDC is the euro in dollars (1.169), JPYUSDC the yen in dollars
          (0.00649), which is no USDJPY.
Unknown   how far back history reaches; the unit of global.maxFundingRate, which is not read.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall, FundingdbError, RateLimited, Refused
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
from fundingdb.fetchers.payload import HOUR_MS, Reader, Span, bounded, counted, decode, refused, shaped
from fundingdb.fetchers.rows import Row, funding_rows, market_row, markets_of, snapshot_row, snapshots_of
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.fetchers.identity import Identity
    from fundingdb.window import Window

NAME = "edgex"
LIMIT = 100
RATE_STEP = 1e-8
_IDS = 100  # contracts in one request
_ABSURD = 0.1  # fraction per interval
_HOURS = (1, 2, 4, 8, 12, 24)
_LATE_MS = 60_000
_HISTORY, _CURRENT, _MARKETS = (
    "/funding/getFundingRatePage",
    "/funding/getLatestFundingRate",
    "/meta/getMetaData",
)
_QUOTE = "USDC"


class _EdgexRate(msgspec.Struct, rename="camel"):
    contract_id: str
    funding_time: str
    funding_rate: str
    is_settlement: bool
    forecast_funding_rate: str
    mark_price: str
    index_price: str
    funding_rate_interval_min: Span


class _EdgexPage(msgspec.Struct, rename="camel"):
    data_list: list[_EdgexRate]
    next_page_offset_data: str


class _EdgexCoin(msgspec.Struct, rename="camel"):
    coin_id: str
    coin_name: str


class _EdgexContract(msgspec.Struct, rename="camel"):
    contract_id: str
    contract_name: str
    base_coin_id: str
    quote_coin_id: str
    enable_trade: bool
    enable_display: bool
    enable_open_position: bool
    funding_max_rate: str
    funding_min_rate: str
    funding_rate_interval_min: Span
    is_stock: bool
    is_fx: bool
    display_max_leverage: str | None = None


class _EdgexMeta(msgspec.Struct, rename="camel"):
    coin_list: list[_EdgexCoin]
    contract_list: list[Any]


def _data(body: bytes, endpoint: str) -> Any:
    reader = Reader(NAME, endpoint)
    value = decode(body, NAME, endpoint)
    code = reader.get(value, "code", str)
    if code != "SUCCESS":
        raise reader.bad("code", f"is {code!r}, not SUCCESS", value.get("msg"))
    return reader.get(value, "data", dict, list)


def _hours(reader: Reader, written: Span, whose: str) -> float:
    hours = reader.span("fundingRateIntervalMin", written) / 60
    if hours not in _HOURS:
        problem = f"of {whose} is none of {', '.join(str(60 * h) for h in _HOURS)} minutes"
        raise reader.bad("fundingRateIntervalMin", problem, written)
    return hours


def _settled_at(reader: Reader, text: str) -> int:
    if not re.fullmatch(r"\d{13}", text, re.ASCII):
        raise reader.bad("fundingTime", "is not a time in Unix milliseconds, as text", text)
    stamp = reader.ms({"fundingTime": int(text)}, "fundingTime")
    if stamp % HOUR_MS >= _LATE_MS:
        raise reader.bad("fundingTime", "is more than a minute after a full hour", text)
    return stamp


def _price(reader: Reader, name: str, text: str, market: Market) -> float | None:
    return counted(reader, name, text, market.symbol) / market.multiplier or None  # a price of 0 is none


# --- history


def _history_request(market: Market, window: Window, cursor: str | None) -> Request:
    if market.native_id is None:
        raise BadCall(
            f"edgex: the contract id of {market.symbol} is missing (list it: fundingdb markets edgex)"
        )
    start, stop = window.ms
    params = (
        ("contractId", market.native_id),
        ("size", str(LIMIT)),
        ("filterSettlementFundingRate", "true"),
        ("filterBeginTimeInclusive", str(start - HOUR_MS)),
        ("filterEndTimeExclusive", str(stop + 1)),
        *(() if cursor is None else (("offsetData", cursor),)),
    )
    return Request(_HISTORY, _HISTORY, params=params)


def _page(body: bytes) -> _EdgexPage:
    return shaped(_data(body, _HISTORY), _EdgexPage, NAME, _HISTORY, "data")


def _next_cursor(body: bytes) -> str | None:
    page = _page(body)
    return page.next_page_offset_data or None if page.data_list else None


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time of `context.market`; samples are left out. Raises BadCall without a market: rows name only ids."""
    reader = Reader(NAME, _HISTORY)
    rows = _page(body).data_list
    market = context.market
    if not rows:
        return FUNDING.empty().drop("month")
    if market is None:
        raise BadCall(
            "edgex: a history response does not name its market; give it (parse ... --symbol BTCUSDC)"
        )
    if others := {row.contract_id for row in rows} - {market.native_id or rows[0].contract_id}:
        raise reader.bad(
            "contractId", f"is {min(others)!r}, requested was {market.symbol} {market.native_id}"
        )
    paid = [one for row in rows if (one := _payment(reader, row, market)) is not None]
    if not paid:
        return FUNDING.empty().drop("month")
    return funding_rows(market, context, {name: [row[name] for row in paid] for name in paid[0]}, hours=4.0)


def _payment(reader: Reader, row: _EdgexRate, market: Market) -> dict[str, Any] | None:
    if not row.is_settlement:
        return None
    stamp = _settled_at(reader, row.funding_time)
    rate = reader.finite("fundingRate", row.funding_rate)
    return {
        "funding_time": stamp - stamp % HOUR_MS,
        "reported_time": stamp,
        "funding_rate": bounded(reader, "fundingRate", rate, _ABSURD, market.symbol),
        "native_rate": rate,
        "mark_price": _price(reader, "markPrice", row.mark_price, market),
        "index_price": _price(reader, "indexPrice", row.index_price, market),
        "interval_hours": _hours(reader, row.funding_rate_interval_min, market.symbol),
        "interval_from": "row",
    }


# --- current


def _current_requests(markets: Sequence[Market]) -> list[Request]:
    ids = [m.native_id for m in markets if m.status == "active" and m.native_id is not None]
    spans = [ids[i : i + _IDS] for i in range(0, len(ids), _IDS)]
    return [Request(_CURRENT, _CURRENT, params=(("contractId", ",".join(span)),)) for span in spans]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of the markets that are active in `context.markets`: the estimate of the running interval.

    Raises BadCall without markets: the response names contracts by id and does not state which trade.
    """
    reader = Reader(NAME, _CURRENT)
    rows = _data(body, _CURRENT)
    if not isinstance(rows, list) or not rows:
        raise reader.bad("data", "is no list of contracts, or an empty one")
    if not context.markets:
        raise BadCall(
            "edgex: getLatestFundingRate names contracts by id; the response of /meta/getMetaData is needed"
            " (parse ... --markets FILE)"
        )
    by_id = {m.native_id: m for m in context.markets.values() if m.status == "active"}

    def read(row: _EdgexRate) -> Row | None:
        market = by_id.get(row.contract_id)
        return None if market is None else _snapshot(reader, row, market, context)

    return snapshots_of(reader, context, rows, _EdgexRate, read, "data")


def _snapshot(reader: Reader, row: _EdgexRate, market: Market, context: ResponseContext) -> dict[str, Any]:
    hours = _hours(reader, row.funding_rate_interval_min, market.symbol)
    last = _settled_at(reader, row.funding_time)
    rate = None
    if row.forecast_funding_rate:
        rate = reader.finite("forecastFundingRate", row.forecast_funding_rate)
        most = min(_ABSURD, 2 * market.rate_cap) if market.rate_cap else _ABSURD
        rate = bounded(reader, "forecastFundingRate", rate, most, market.symbol)
    values = {
        "funding_rate": rate,
        "interval_hours": hours,
        "native_rate": rate,
        "rate_step": RATE_STEP,
        "next_funding_time": from_ms(last - last % HOUR_MS) + timedelta(hours=hours),
        "mark_price": _price(reader, "markPrice", row.mark_price, market),
        "index_price": _price(reader, "indexPrice", row.index_price, market),
    }
    return snapshot_row(market, context.at, values)


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_MARKETS, _MARKETS)]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all contracts, those that don't trade too."""
    reader = Reader(NAME, _MARKETS)
    meta = shaped(_data(body, _MARKETS), _EdgexMeta, NAME, _MARKETS, "data")
    if not meta.contract_list:
        raise reader.bad("contractList", "is empty: no market at all")
    coins = {coin.coin_id: coin.coin_name for coin in meta.coin_list}

    def read(row: _EdgexContract) -> Row:
        market = _listed(reader, row, coins)
        leverage = (
            None
            if row.display_max_leverage is None
            else counted(reader, "displayMaxLeverage", row.display_max_leverage, row.contract_name)
        )
        return market_row(market, context, {"collateral": market.quote, "max_leverage": leverage or None})

    return markets_of(
        reader,
        context,
        meta.contract_list,
        _EdgexContract,
        read,
        "data.contractList",
        symbol="contractName",
        by_symbol=symbol_market,
    )


def _listed(reader: Reader, row: _EdgexContract, coins: dict[str, str]) -> Market:
    for name, coin in (("baseCoinId", row.base_coin_id), ("quoteCoinId", row.quote_coin_id)):
        if not coins.get(coin):
            raise reader.bad(name, f"of {row.contract_name} is missing from coinList", coin)
    if not row.contract_name or not re.fullmatch(r"\d+", row.contract_id, re.ASCII):
        raise reader.bad("contractId", f"or name of {row.contract_name!r} is none", row.contract_id)
    caps = [
        bounded(reader, name, reader.finite(name, text), 1.0, row.contract_name)
        for name, text in (("fundingMaxRate", row.funding_max_rate), ("fundingMinRate", row.funding_min_rate))
    ]
    what = _identity(row, coins[row.base_coin_id])
    trades = row.enable_trade and row.enable_display
    return Market(
        exchange=NAME,
        symbol=row.contract_name,
        base=what.base,
        quote=coins[row.quote_coin_id],
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        native_id=row.contract_id,
        status="inactive" if not trades else "active" if row.enable_open_position else "reduce_only",
        interval_hours=_hours(reader, row.funding_rate_interval_min, row.contract_name),
        rate_cap=max(map(abs, caps)) or None,
    )


def _identity(row: _EdgexContract, coin: str) -> Identity:
    if row.is_fx or row.is_stock:
        return identify(NAME, coin, asset_class="fx" if row.is_fx else "equity")
    what = identify(NAME, coin)
    return identify(NAME, coin, asset_class="crypto") if what.asset_class in ("equity", "fx") else what


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses: its contract id is unknown.

    Raises BadCall for a name that does not end with USDC.
    """
    asset = symbol.removesuffix(_QUOTE)
    if not symbol.endswith(_QUOTE) or not asset:
        raise BadCall(
            f"edgex: {symbol!r} is no market name; names look like BTCUSDC (fundingdb markets edgex)"
        )
    what = identify(NAME, asset)
    return Market(NAME, symbol, what.base, _QUOTE, what.asset_class, what.multiplier, interval_hours=4.0)


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    limit = "it allows; how much that is, it does not publish"
    if b'"code"' in body[:4096] and (match := re.search(rb'"code"\s*:\s*"([A-Z0-9_]{1,80})"', body[:4096])):
        code = match[1].decode()
        if code == "RATE_LIMIT_EXCEEDED":
            return RateLimited(f"edgex answers {status}, {code}: more than {limit}")
        if status == 200 and code != "SUCCESS":
            return Refused(f"edgex answers {code}: see the datasheet, fundingdb/fetchers/edgex.py")
    return refused(NAME, status, body, limit)


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://edgex-prod-v2.edgex.exchange/api/v2/public",
    budget=Budget(scope=NAME, capacity=4, per_seconds=1, concurrent=4),
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
    unit="fraction per interval",
    interval="4 h, in each row",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=5),
)
