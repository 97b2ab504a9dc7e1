"""A simulated Hyperliquid: its protocol, implemented independently of the fetcher.

POST /info with {"type": ...}. Rows of fundingHistory: "coin", "fundingRate" (text, fraction per interval),
"premium", "time" (ms of the block); both bounds inclusive, oldest first, the oldest 500 of a range
silently; 8-hourly until 2023-06-08 00:00Z, hourly after.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fundingdb.simulator.wire import Call, Reply, Tweaks, joined, reply, text
from fundingdb.simulator.world import HOUR_MS, mix, ms_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from fundingdb.simulator.listings import Listing
    from fundingdb.simulator.world import World

PREFIX = "/hyperliquid"
CAPACITY, SECONDS = 1200.0, 60.0  # weight
CAP = 500
_LIGHT = (
    "l2Book",
    "allMids",
    "clearinghouseState",
    "orderStatus",
    "spotClearinghouseState",
    "exchangeStatus",
)
DEXES = {"": ("", 0), "xyz": ("XYZ", 0), "flx": ("Felix Exchange", 360), "hyna": ("HyENA", 235)}
_TOKENS = {0: "USDC", 1: "PURR", 150: "HYPE", 235: "USDE", 360: "USDH"}
_MARGINS = [
    [55, {"description": "tiered 25x", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": 25}]}],
    [56, {"description": "tiered 40x", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": 40}]}],
]
_UNKNOWN = Reply(500, b"null")


def weight(call: Call) -> float:
    """The weight before the rows are known."""
    kind = _query(call).get("type")
    return 2.0 if kind in _LIGHT else 60.0 if kind == "userRole" else 20.0


def name(call: Call) -> str:
    """The request in the log, with its type."""
    return f"{call.path}#{_query(call).get('type', '')}"


def over_limit(_after: float) -> Reply:
    """The answer beyond the limit: no Retry-After, no object."""
    return Reply(429, b"null")


def answer(world: World, call: Call, tweaks: Tweaks) -> Reply:
    """The answer to one request."""
    if call.path != "/info" or call.method != "POST":
        return Reply(405 if call.path == "/info" else 404, b"")
    query = _query(call)
    kind, dex = query.get("type"), query.get("dex") or ""
    if kind == "fundingHistory":
        return _history(world, query, tweaks)
    if kind in ("meta", "metaAndAssetCtxs") and (not isinstance(dex, str) or dex not in DEXES):
        return _UNKNOWN
    lists: dict[Any, Callable[[], Any]] = {
        "meta": lambda: _meta(world, dex),
        "metaAndAssetCtxs": lambda: [_meta(world, dex), [context(world, x) for x in of_dex(world, dex)]],
        "perpDexs": lambda: [None, *(_dex(world, d) for d in DEXES if d)],
        "allPerpMetas": lambda: [_meta(world, d) for d in DEXES],
        "spotMeta": _spot_meta,
        "predictedFundings": lambda: _predicted(world),
    }
    return reply(lists[kind]()) if isinstance(kind, str) and kind in lists else _unreadable()


def _query(call: Call) -> dict[str, Any]:
    try:
        value = json.loads(call.body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _unreadable() -> Reply:
    return text(422, "Failed to deserialize the JSON body into the target type")


def _history(world: World, query: dict[str, Any], tweaks: Tweaks) -> Reply:
    coin, start, end = query.get("coin"), query.get("startTime"), query.get("endTime")
    if not isinstance(coin, str) or type(start) is not int or not (end is None or type(end) is int):
        return _unreadable()
    listing = world.listing("hyperliquid", coin)
    if listing is None:
        return _UNKNOWN
    late = tweaks.late_ms
    last = ms_of(world.now()) if end is None else end
    payments = world.payments(listing, start - late, last - late, late, most=tweaks.limit(CAP))
    rows = tweaks.rows([_row(coin, p.ticks, p.premium, p.stamp + late) for p in payments])
    return joined("[", rows, "]", weight=len(rows) / 20)


@lru_cache(maxsize=1 << 17)
def _row(coin: str, ticks: int, premium: int, stamp: int) -> str:
    rate, average = _decimal(ticks), _decimal(premium)
    return f'{{"coin":"{coin}","fundingRate":"{rate}","premium":"{average}","time":{stamp}}}'


def _decimal(ticks: int) -> str:
    """A figure of at most ten decimals without its trailing zeros, "0.0" for none."""
    sign, size = "-" if ticks < 0 else "", abs(ticks)
    part = f"{size % 10**10:010d}".rstrip("0") or "0"
    return f"{sign}{size // 10**10}.{part}"


def of_dex(world: World, dex: str) -> list[Listing]:
    """The coins of a dex by position."""
    return [x for x in world.listed("hyperliquid") if x.symbol.rpartition(":")[0] == dex]


def _meta(world: World, dex: str) -> dict[str, Any]:
    universe = []
    for x in of_dex(world, dex):
        row = {"szDecimals": max(5 - x.decimals, 0), "name": x.symbol, "maxLeverage": x.max_leverage}
        row["marginTableId"] = 56 if x.max_leverage > 10 else 55
        if x.status == "delisted":
            row["isDelisted"] = True
        if dex:
            row |= {
                "growthMode": "enabled",
                "lastFeeScaleChangeTime": "2025-11-23T17:37:10.033211662",
                "deployerFeeScale": "1.0",
            }
        universe.append(row)
    return {"universe": universe, "marginTables": [] if dex else _MARGINS, "collateralToken": DEXES[dex][1]}


def context(world: World, x: Listing) -> dict[str, Any]:
    """The asset context of a coin."""
    now = ms_of(world.now())
    mark, oracle = _price(world.price(x, now, "mark")), _price(world.price(x, now, "index"))
    if x.status == "delisted":
        none = {"premium": None, "oraclePx": oracle, "markPx": mark, "midPx": None, "impactPxs": None}
        dead = {"funding": "0.0", "openInterest": "0.0", "prevDayPx": mark, "dayNtlVlm": "0.0"}
        return dead | none | {"dayBaseVlm": "0.0"}
    held = world.open_interest(x)
    return {
        "funding": _decimal(world.estimate(x)),
        "openInterest": f"{held}",
        "prevDayPx": mark,
        "dayNtlVlm": f"{held * float(mark) * 1.7:.10f}",
        "premium": _decimal(round(world.premium(x, world.coming_hour()) * 10**10)),
        "oraclePx": oracle,
        "markPx": mark,
        "midPx": mark,
        "impactPxs": [mark, mark],
        "dayBaseVlm": f"{held * 1.7:.5f}",
    }


def _price(figure: str) -> str:
    """Without trailing zeros, but always with a decimal point."""
    whole, _, part = figure.partition(".")
    return f"{whole}.{part.rstrip('0') or '0'}"


def _dex(world: World, dex: str) -> dict[str, Any]:
    factors = [[x.symbol, f"{x.factor:.1f}"] for x in of_dex(world, dex)]
    return {"name": dex, "fullName": DEXES[dex][0], "assetToFundingMultiplier": factors}


def _spot_meta() -> dict[str, Any]:
    tokens = [
        {
            "name": token,
            "szDecimals": 2,
            "weiDecimals": 8,
            "index": index,
            "tokenId": f"0x{mix(index):032x}",
            "isCanonical": index < 2,
            "evmContract": None,
            "fullName": None,
            "deployerTradingFeeShare": "0.0",
        }
        for index, token in _TOKENS.items()
    ]
    return {
        "universe": [{"tokens": [1, 0], "name": "PURR/USDC", "index": 0, "isCanonical": True}],
        "tokens": tokens,
    }


def _predicted(world: World) -> list[Any]:
    coming = world.coming_hour()
    rows: list[Any] = []
    for x in of_dex(world, ""):
        if x.status == "delisted":
            continue
        rate = world.estimate(x)
        eight = (coming + 7) // 8 * 8 * HOUR_MS
        others = {"nextFundingTime": eight, "fundingIntervalHours": 8}
        own = {"fundingRate": _decimal(rate), "nextFundingTime": coming * HOUR_MS, "fundingIntervalHours": 1}
        binance = {"fundingRate": f"{rate * 8 / 1e10:.8f}"} | others
        bybit = None if mix(sum(x.symbol.encode())) % 5 == 0 else {"fundingRate": _decimal(rate * 8)} | others
        rows.append([x.symbol, [["BinPerp", binance], ["HlPerp", own], ["BybitPerp", bybit]]])
    return rows
