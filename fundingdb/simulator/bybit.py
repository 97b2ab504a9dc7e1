"""A simulated Bybit (linear perpetuals): its protocol, implemented independently of the fetcher.

Envelope {"retCode", "retMsg", "result"}, errors with status 200 too. Rows of /funding/history: "fundingRate" (text, fraction per
interval, at most 8 decimals), "fundingRateTimestamp" (ms as text, the full hour); both bounds inclusive, newest first, the newest
200 of a range silently. No row has its interval. What is delisted is in no list; a dated future is in both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fundingdb.simulator.wire import Call, Reply, Tweaks, html, integer, joined, reply, text
from fundingdb.simulator.world import HOUR_MS, ms_of

if TYPE_CHECKING:
    from fundingdb.simulator.listings import Listing
    from fundingdb.simulator.world import World

PREFIX = "/bybit/v5/market"
CAPACITY, SECONDS = 600.0, 5.0
CAP = 200
_PAGE = 1000  # instruments an answer at most, 500 without a limit
_DATED = "BTCUSDT-25DEC26"


def weight(_call: Call) -> float:
    """Every request counts once."""
    return 1.0


def name(call: Call) -> str:
    """The request in the log."""
    return call.path


def over_limit(_after: float) -> Reply:
    """The answer beyond the limit."""
    return text(403, "access too frequent")


def answer(world: World, call: Call, tweaks: Tweaks) -> Reply:
    """The answer to one request."""
    routes = {
        "/funding/history": _history,
        "/tickers": _tickers,
        "/instruments-info": _instruments,
    }
    if call.path not in routes:
        return html(404, "Not Found")
    if call.get("category") != "linear":
        return _error(world, 10001, "params error: Category is invalid")
    return routes[call.path](world, call, tweaks)


def _error(world: World, code: int, words: str) -> Reply:
    envelope: dict[str, Any] = {"retCode": code, "retMsg": words, "result": {}, "retExtInfo": {}}
    return reply(envelope | {"time": ms_of(world.now())})


def _lists(world: World, rows: list[dict[str, Any]], **more: str) -> Reply:
    result = {"category": "linear", "list": rows, **more}
    envelope: dict[str, Any] = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}}
    return reply(envelope | {"time": ms_of(world.now())})


def _history(world: World, call: Call, tweaks: Tweaks) -> Reply:
    listing = world.listing("bybit", call.get("symbol") or "")
    if listing is None:
        return _error(world, 10001, "params error: symbol invalid")
    start, end, limit = (integer(call.get(key)) for key in ("startTime", "endTime", "limit"))
    if end is None and start is not None:
        return _error(world, 10001, "params error: endTime is required")
    late = tweaks.late_ms
    last = ms_of(world.now()) if end is None else end
    most = tweaks.limit(min(limit or CAP, CAP))
    newest = world.payments(listing, (start or 0) - late, last - late, late, most=-most)[::-1]
    rows = tweaks.rows([_row(listing.symbol, p.ticks, p.stamp + late) for p in newest])
    head = '{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":['
    return joined(head, rows, f']}},"retExtInfo":{{}},"time":{ms_of(world.now())}}}')


@lru_cache(maxsize=1 << 17)
def _row(symbol: str, ticks: int, stamp: int) -> str:
    return f'{{"symbol":"{symbol}","fundingRate":"{_decimal(ticks)}","fundingRateTimestamp":"{stamp}"}}'


def _decimal(ticks: int) -> str:
    """Eight decimals without trailing zeros, "0" for none."""
    return f"{ticks / 1e8:.8f}".rstrip("0").rstrip(".") if ticks else "0"


def _alive(world: World) -> list[Listing]:
    return [x for x in world.listed("bybit") if x.status == "active"]


def _tickers(world: World, _call: Call, tweaks: Tweaks) -> Reply:
    rows = [_ticker(world, x) for x in _alive(world)]
    idle = {
        "symbol": _DATED,
        "fundingRate": "",
        "nextFundingTime": "0",
        "fundingIntervalHour": "",
        "fundingCap": "",
    }
    dated = rows[0] | idle | {"deliveryTime": "1798185600000", "deliveryFeeRate": "0", "basis": "12.5"}
    return _lists(world, tweaks.rows([*rows, dated]))


def _ticker(world: World, x: Listing) -> dict[str, Any]:
    now, coming = ms_of(world.now()), world.next_hour(x)
    hours = world.interval(x, coming)
    mark, index = world.price(x, now, "mark"), world.price(x, now, "index")
    held = world.open_interest(x)
    empty = ("predictedDeliveryPrice", "basisRate", "deliveryFeeRate", "basis", "preOpenPrice", "preQty")
    return {
        "symbol": x.symbol,
        "lastPrice": mark,
        "indexPrice": index,
        "markPrice": mark,
        "prevPrice24h": mark,
        "price24hPcnt": "0.008413",
        "highPrice24h": mark,
        "lowPrice24h": mark,
        "prevPrice1h": mark,
        "openInterest": f"{2 * held:.3f}",
        "openInterestValue": f"{2 * held * float(mark):.2f}",
        "singleOpenInterest": f"{held:.3f}",
        "singleOpenInterestValue": f"{held * float(mark):.2f}",
        "turnover24h": f"{3.1 * held * float(mark):.4f}",
        "volume24h": f"{3.1 * held:.4f}",
        "fundingRate": _decimal(world.estimate(x)),
        "nextFundingTime": str(coming * HOUR_MS),
        "deliveryTime": "0",
        "ask1Size": "2.763",
        "bid1Price": mark,
        "ask1Price": mark,
        "bid1Size": "0.181",
        **dict.fromkeys((*empty, "curPreListingPhase", "basisRateYear"), ""),
        "fundingIntervalHour": str(hours),
        "fundingCap": f"{x.cap * hours:g}",
    }


def _instruments(world: World, call: Call, tweaks: Tweaks) -> Reply:
    rows = [_instrument(world, x) for x in _alive(world)]
    kept = {"fundingInterval": 0, "deliveryTime": "1798185600000", "contractType": "LinearFutures"}
    rows.append(rows[0] | kept | {"symbol": _DATED, "displayName": _DATED, "deliveryFeeRate": "0"})
    size = min(integer(call.get("limit")) or 500, _PAGE)
    at = integer((call.get("cursor") or "").removeprefix("page_token=")) or 0
    cursor = f"page_token={at + size}" if at + size < len(rows) else ""
    return _lists(world, tweaks.rows(rows[at : at + size]), nextPageCursor=cursor)


def _instrument(world: World, x: Listing) -> dict[str, Any]:
    hours = world.interval(x, world.next_hour(x))
    kinds = {"crypto": "", "equity": "stock", "commodity": "commodity", "fx": "forex"}
    leverage = {"minLeverage": "1", "maxLeverage": f"{x.max_leverage}.00", "leverageStep": "0.01"}
    return {
        "symbol": x.symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": x.symbol.removesuffix("PERP").removesuffix("USDT"),
        "quoteCoin": x.quote,
        "launchTime": str(ms_of(world.listed_at(x))),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(x.decimals),
        "leverageFilter": leverage,
        "unifiedMarginTrade": True,
        "fundingInterval": hours * 60,
        "settleCoin": x.quote,
        "copyTrading": "both",
        "upperFundingRate": f"{x.cap * hours:g}",
        "lowerFundingRate": f"-{x.cap * hours:g}",
        "isPreListing": False,
        "preListingInfo": None,
        "displayName": x.symbol,
        "symbolType": kinds[x.asset_class],
        "forbidUplWithdrawal": False,
        "symbolId": 5,
        "fullName": x.base,
        "marketRegion": "",
        "underlyingTicker": "",
    }
