"""A simulated Binance USD-M: its protocol, implemented independently of the fetcher.

Rows of /fundingRate: "fundingTime" (ms, 0-9 after the hour), "fundingRate" (text, fraction per interval, 8 decimals),
"markPrice"; both bounds inclusive, oldest first, the oldest `limit` (at most 1,000) of a range silently, the newest where no
start is given. No row has its interval: /fundingInfo has the current one. Dated contracts are in the lists, their next time is 0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fundingdb.simulator.wire import Call, Reply, Tweaks, html, integer, joined, reply
from fundingdb.simulator.world import HOUR_MS, ms_of

if TYPE_CHECKING:
    from fundingdb.simulator.listings import Listing
    from fundingdb.simulator.world import World

PREFIX = "/binance/fapi/v1"
CAPACITY, SECONDS = 500.0, 300.0  # requests of /fundingRate and /fundingInfo together
CAP = 1000
_METERED = ("/fundingRate", "/fundingInfo")
_DATED = "BTCUSDT_261225"


def weight(call: Call) -> float:
    """What a request costs of the small limit: 1, or 0 where only the large one counts, which is never reached."""
    return 1.0 if call.path in _METERED else 0.0


def name(call: Call) -> str:
    """The request in the log."""
    return call.path


def over_limit(after: float) -> Reply:
    """The answer beyond the limit."""
    limited = {"code": -1003, "msg": "Too many requests; please use the websocket for live updates."}
    return reply(limited, 429, (("Retry-After", str(int(after + 1))),))


def answer(world: World, call: Call, tweaks: Tweaks) -> Reply:
    """The answer to one request."""
    match call.path:
        case "/exchangeInfo":
            return _exchange_info(world)
        case "/fundingInfo":
            return reply(tweaks.rows([_info(world, x) for x in _trading(world)]))
        case "/premiumIndex":
            return reply(tweaks.rows(_premium_index(world)))
        case "/fundingRate":
            return _history(world, call, tweaks)
        case _:
            return html(404, "Not Found")


def _history(world: World, call: Call, tweaks: Tweaks) -> Reply:
    listing = world.listing("binance", call.get("symbol") or "")
    if listing is None:
        return reply({"code": -1121, "msg": "Invalid symbol."}, 400)
    start, end, limit = (integer(call.get(key)) for key in ("startTime", "endTime", "limit"))
    most = tweaks.limit(min(limit or 100, CAP))
    late = tweaks.late_ms
    last = ms_of(world.now()) if end is None else end
    payments = world.payments(
        listing, (start or 0) - late, last - late, late, most=-most if start is None else most
    )
    rows = [
        _row(listing.symbol, p.ticks, p.stamp + late, world.price(listing, p.hour * HOUR_MS, "mark"))
        for p in payments
    ]
    return joined("[", tweaks.rows(rows), "]")


@lru_cache(maxsize=1 << 17)
def _row(symbol: str, ticks: int, stamp: int, price: str) -> str:
    paid = f'"fundingRate":"{ticks / 1e8:.8f}","markPrice":"{float(price):.8f}"'
    return f'{{"symbol":"{symbol}","fundingTime":{stamp},{paid},"rateType":"Regular"}}'


def _trading(world: World) -> list[Listing]:
    return [x for x in world.listed("binance") if x.status == "active"]


def _exchange_info(world: World) -> Reply:
    rows = [_market(world, x) for x in world.listed("binance")]
    dated = rows[0] | {"symbol": _DATED, "contractType": "CURRENT_QUARTER", "underlyingSubType": []}
    return reply({"timezone": "UTC", "serverTime": ms_of(world.now()), "symbols": [*rows, dated]})


def _market(world: World, x: Listing) -> dict[str, Any]:
    real = x.asset_class != "crypto"
    return {
        "symbol": x.symbol,
        "status": "TRADING" if x.status == "active" else "SETTLING",
        "contractType": "TRADIFI_PERPETUAL" if real else "PERPETUAL",
        "onboardDate": ms_of(world.listed_at(x)),
        "baseAsset": x.symbol.removesuffix(x.quote),
        "quoteAsset": x.quote,
        "marginAsset": x.quote,
        "pricePrecision": x.decimals,
        "underlyingType": x.asset_class.upper() if real else "COIN",
        "underlyingSubType": ["TradFi"] if real else ["Crypto"],
    }


def _info(world: World, x: Listing) -> dict[str, Any]:
    hours = world.interval(x, world.next_hour(x))
    bound = f"{x.cap * hours:.8f}"
    caps = {"adjustedFundingRateCap": bound, "adjustedFundingRateFloor": f"-{bound}"}
    return {"symbol": x.symbol, **caps, "fundingIntervalHours": hours, "disclaimer": False}


def _premium_index(world: World) -> list[dict[str, Any]]:
    now = ms_of(world.now())
    rows = []
    for x in world.listed("binance"):
        mark, index = (f"{float(world.price(x, now, kind)):.8f}" for kind in ("mark", "index"))
        alive = x.status == "active"
        rows.append(
            {
                "symbol": x.symbol,
                "markPrice": mark,
                "indexPrice": index,
                "estimatedSettlePrice": index,
                "lastFundingRate": f"{world.estimate(x) / 1e8:.8f}" if alive else "0.00000000",
                "interestRate": "0.00010000",
                "nextFundingTime": world.next_hour(x) * HOUR_MS if alive else 0,
                "time": now,
            }
        )
    idle = {"symbol": _DATED, "lastFundingRate": "0.00000000", "nextFundingTime": 0}
    return [*rows, rows[0] | idle]
