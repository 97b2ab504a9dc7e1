"""A simulated dYdX v4 indexer: its protocol, implemented independently of the fetcher.

Rows of /historicalFunding/{ticker}: "rate" (text, fraction per hour), "price" (oracle), "effectiveAt" (ISO text, 0-0.8 s after
the hour); newest first, at most 100 at or before `effectiveBeforeOrAt`, and no lower bound. What is closed stays in the list. The
answers to an unknown ticker and beyond the limit are nowhere recorded.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fundingdb.simulator.wire import Call, Reply, Tweaks, integer, joined, reply
from fundingdb.simulator.world import HOUR_MS, ms_of

if TYPE_CHECKING:
    from fundingdb.simulator.listings import Listing
    from fundingdb.simulator.world import World

PREFIX = "/dydx/v4"
CAPACITY, SECONDS = 10.0, 1.0
CAP = 100


def weight(_call: Call) -> float:
    """Every request counts once."""
    return 1.0


def name(call: Call) -> str:
    """The request in the log."""
    return call.path


def over_limit(_after: float) -> Reply:
    """The answer beyond the limit."""
    return _error(429, "Too many requests")


def answer(world: World, call: Call, tweaks: Tweaks) -> Reply:
    """The answer to one request."""
    match [part for part in call.path.split("/") if part]:
        case ["perpetualMarkets"]:
            return reply({"markets": {x.symbol: _market(world, x) for x in world.listed("dydx")}})
        case ["historicalFunding", ticker]:
            return _history(world, call, ticker, tweaks)
        case _:
            return _error(404, "Not Found")


def _error(status: int, words: str) -> Reply:
    return reply({"errors": [{"msg": words}]}, status)


def _history(world: World, call: Call, ticker: str, tweaks: Tweaks) -> Reply:
    listing = world.listing("dydx", ticker)
    if listing is None:
        return _error(400, "ticker must be a valid ticker (BTC-USD, etc)")
    until = call.get("effectiveBeforeOrAt")
    try:
        last = ms_of(datetime.fromisoformat(until)) if until else ms_of(world.now())
    except ValueError:
        return _error(400, "effectiveBeforeOrAt must be a valid ISO 8601 timestamp")
    most = tweaks.limit(min(integer(call.get("limit")) or CAP, CAP))
    late = tweaks.late_ms
    newest = world.payments(listing, 0, last - late, late, most=-most)[::-1]
    rows = [
        _row(ticker, p.ticks, p.stamp + late, world.price(listing, p.hour * HOUR_MS, "index")) for p in newest
    ]
    return joined('{"historicalFunding":[', tweaks.rows(rows), "]}")


@lru_cache(maxsize=1 << 17)
def _row(ticker: str, ticks: int, stamp: int, price: str) -> str:
    at = datetime.fromtimestamp(stamp // 1000, UTC)
    when = f'"effectiveAtHeight":"{stamp // 600}","effectiveAt":"{at:%Y-%m-%dT%H:%M:%S}.{stamp % 1000:03d}Z"'
    return f'{{"ticker":"{ticker}","rate":"{_decimal(ticks)}","price":"{price}",{when}}}'


def _decimal(ticks: int) -> str:
    """Ten decimals without trailing zeros, "0" for none."""
    return f"{ticks / 1e10:.10f}".rstrip("0").rstrip(".") if ticks else "0"


def _market(world: World, x: Listing) -> dict[str, Any]:
    alive = x.status == "active"
    held = world.open_interest(x)
    return {
        "clobPairId": "0",
        "ticker": x.symbol,
        "status": "ACTIVE" if alive else "FINAL_SETTLEMENT",
        "oraclePrice": world.price(x, ms_of(world.now()), "index"),
        "volume24H": f"{held * 3.1 * x.price:.4f}",
        "nextFundingRate": _decimal(world.estimate(x)) if alive else "0.0000125",
        "openInterest": f"{held:.3f}",
        "marketType": "CROSS",
    }
