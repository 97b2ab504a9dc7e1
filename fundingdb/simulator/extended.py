"""A simulated Extended: its protocol, implemented independently of the fetcher.

Envelope {"status", "data"}. Funding rows: "m", "f" (text, fraction per hour, 6 decimals), "T" (ms, 0.8-1.7 s
after the hour); both bounds inclusive, newest first, the newest 1,000 of a range silently.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fundingdb.simulator.wire import Call, Reply, Tweaks, integer, joined, reply, text
from fundingdb.simulator.world import HOUR_MS, ms_of

if TYPE_CHECKING:
    from fundingdb.simulator.listings import Listing
    from fundingdb.simulator.world import World

PREFIX = "/extended/api/v1"
CAPACITY, SECONDS = 1000.0, 60.0  # requests
CAP = 1000
_STATS = (
    *(
        "dailyVolume",
        "dailyVolumeBase",
        "dailyPriceChange",
        "dailyPriceChangePercentage",
        "dailyLow",
        "dailyHigh",
    ),
    *("lastPrice", "askPrice", "bidPrice", "markPrice", "indexPrice", "fundingRate"),
)
_SPOT = "BTCSPOT-USD"


def weight(_call: Call) -> float:
    """Every request counts once."""
    return 1.0


def name(call: Call) -> str:
    """The request in the log."""
    return call.path


def over_limit(_after: float) -> Reply:
    """The answer beyond the limit; no capture of it exists, plain text is what other readers report."""
    return text(429, "Too Many Requests")


def answer(world: World, call: Call, tweaks: Tweaks) -> Reply:
    """The answer to one request."""
    if not call.headers.get("user-agent"):
        return text(403, "Forbidden", "text/html")
    match [part for part in call.path.split("/") if part]:
        case ["info", "markets"]:
            return _markets(world, call.all("market"))
        case ["info", "markets", market, "stats"]:
            return _stats_of(world, market)
        case ["info", market, "funding"]:
            return _funding(world, call, market, tweaks)
        case _:
            return Reply(404, b"")


def _error(status: int, code: int | str, message: str) -> Reply:
    return reply({"status": "ERROR", "error": {"code": code, "message": message}}, status)


def _markets(world: World, wanted: list[str]) -> Reply:
    rows = [_market(world, x) for x in world.listed("extended")]
    rows.append(_spot(rows[0]))
    if wanted:
        known = {row["name"] for row in rows}
        if not known.issuperset(wanted):
            return _error(404, "NOT_FOUND", "Market not found")
        rows = [row for row in rows if row["name"] in wanted]
    return reply({"status": "OK", "data": rows})


def _stats_of(world: World, market: str) -> Reply:
    listing = world.listing("extended", market)
    if listing is None:  # the real one answers zeros, not an error
        stats: dict[str, Any] = dict.fromkeys(_STATS, "0")
        stats |= {"nextFundingRate": 0, "openInterest": "0", "openInterestBase": "0"}
    else:
        stats = _stats(world, listing)
    return reply(
        {"status": "OK", "data": stats | {"deleverageLevels": {"shortPositions": [], "longPositions": []}}}
    )


def _funding(world: World, call: Call, market: str, tweaks: Tweaks) -> Reply:
    start, end = integer(call.get("startTime")), integer(call.get("endTime"))
    if start is None or end is None:
        return _error(400, 1006, "Required parameter is missing: startTime and endTime")
    if market == _SPOT:
        return reply({"status": "OK", "data": []})
    listing = world.listing("extended", market)
    if listing is None:
        return _error(404, "NOT_FOUND", "Market not found")
    late = tweaks.late_ms
    newest = world.payments(listing, start - late, end - late, late, most=-tweaks.limit(CAP))[::-1]
    rows = tweaks.rows([_row(market, p.ticks, p.stamp + late) for p in newest])
    return joined('{"status":"OK","data":[', rows, "]}")


@lru_cache(maxsize=1 << 17)
def _row(market: str, ticks: int, stamp: int) -> str:
    return f'{{"m":"{market}","f":"{ticks / 1e6:.6f}","T":{stamp}}}'


def _stats(world: World, listing: Listing) -> dict[str, Any]:
    now = ms_of(world.now())
    mark, index = world.price(listing, now, "mark"), world.price(listing, now, "index")
    dead = listing.status != "active"
    held = world.open_interest(listing)
    trade = "0" if dead else f"{float(mark):.{listing.decimals}f}"
    volume = 3.1 * held
    return {
        "dailyVolume": "0" if dead else f"{volume * float(mark):.6f}",
        "dailyVolumeBase": "0" if dead else f"{volume:.5f}",
        "dailyPriceChange": "0" if dead else f"{-0.0013 * float(mark):.{listing.decimals}f}",
        "dailyPriceChangePercentage": "0" if dead else "-0.0013",
        "dailyLow": "0" if dead else f"{0.99 * float(mark):.{listing.decimals}f}",
        "dailyHigh": "0" if dead else f"{1.01 * float(mark):.{listing.decimals}f}",
        "lastPrice": trade,
        "askPrice": trade,
        "bidPrice": trade,
        "markPrice": mark,
        "indexPrice": index,
        # dead markets go on showing a rate
        "fundingRate": "0.000005" if listing.status == "delisted" else f"{world.estimate(listing) / 1e6:.6f}",
        "nextFundingRate": world.coming_hour() * HOUR_MS,
        "openInterest": f"{held * float(mark):.6f}",
        "openInterestBase": f"{held:.3f}",
    }


def _market(world: World, listing: Listing) -> dict[str, Any]:
    equity = listing.asset_class == "equity"
    asset = listing.symbol.removesuffix("-USD")
    shown = f"k{listing.base}" if listing.multiplier == 1000 else listing.base
    small = 10**-listing.decimals
    return {
        "name": listing.symbol,
        "type": "PERPETUAL",
        "uiName": f"{shown}-USD",
        "category": "RWA" if equity else "Crypto",
        "subCategory": "Equity" if equity else "Meme" if listing.multiplier > 1 else "L1",
        "assetName": asset,
        "assetPrecision": 3,
        "collateralAssetName": "USD",
        "collateralAssetPrecision": 6,
        "description": listing.base,
        "active": True,  # on delisted rows too
        "isRfq": False,
        "isOffHours": False,
        "status": listing.status.upper(),
        "tradingHours": "WEEKDAYS" if equity and listing.status == "delisted" else "CONTINUOUS",
        "marketStats": _stats(world, listing),
        "tradingConfig": {
            "minOrderSize": "0.0001",
            "minOrderSizeChange": "0.00001",
            "minPriceChange": f"{small:.{listing.decimals}f}",
            "maxMarketOrderValue": "3000000",
            "maxLimitOrderValue": "15000000",
            "maxPositionValue": "60000000",
            "maxLeverage": f"{listing.max_leverage}.00",
            "hourlyFundingRateCap": f"{listing.cap * 100:g}",
            "openInterestLimit": "0",
            "maxNumOrders": "200",
            "limitPriceCap": "0.05",
            "limitPriceFloor": "0.05",
            "uPnlWithdrawable": not equity,
            "postWithdrawalMarginFactor": "0.1",
        },
        "visibleOnUi": listing.status == "active",
        "referenceMarket": "us_equity" if equity else "null",
        "createdAt": ms_of(world.listed_at(listing)),
    }


def _spot(like: dict[str, Any]) -> dict[str, Any]:
    stats = dict.fromkeys(_STATS, "0") | {"nextFundingRate": 0, "openInterest": "0", "openInterestBase": "0"}
    return like | {
        "name": _SPOT,
        "type": "SPOT",
        "uiName": "wBTC/USDC",
        "assetName": "BTCSPOT",
        "assetPrecision": 8,
        "description": "Wrapped Bitcoin",
        "marketStats": stats | {"lastPrice": "81403", "indexPrice": "77091.183594235873"},
        "tradingConfig": like["tradingConfig"] | {"maxLeverage": "1"},
        "createdAt": 1778084398595,
    }
