"""A simulated Lighter: its protocol, implemented independently of the fetcher.

/fundings rows: "timestamp" (s, the full hour), "value" (USDC per base unit), "rate" (text, PERCENT per
hour, unsigned, cut to 4 decimals), "direction" (who pays); bounds exclusive, ascending, the newest 749 of a
range silently, `count_back` a minimum. /funding-rates: fraction scaled to 8 hours, other exchanges' rows
too.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from fundingdb.simulator.wire import Call, Reply, Tweaks, html, integer, joined, reply
from fundingdb.simulator.world import HOUR_MS, mix, ms_of

if TYPE_CHECKING:
    from fundingdb.simulator.listings import Listing
    from fundingdb.simulator.world import World

PREFIX = "/lighter/api/v1"
CAPACITY, SECONDS = 60.0, 60.0  # requests
CAP = 749
_REQUIRED = ("market_id", "resolution", "start_timestamp", "end_timestamp", "count_back")
_SPOT_ID = 2048


def weight(_call: Call) -> float:
    """Every request counts once."""
    return 1.0


def name(call: Call) -> str:
    """The request in the log."""
    return call.path


def over_limit(_after: float) -> Reply:
    """The answer beyond the limit."""
    return _error(429, 23000, "Too Many Requests!")


def answer(world: World, call: Call, tweaks: Tweaks) -> Reply:
    """The answer to one request."""
    match call.path:
        case "/orderBookDetails":
            return _books(world, call, "order_book_details", full=True)
        case "/orderBooks":
            return _books(world, call, "order_books", full=False)
        case "/fundings":
            return _fundings(world, call, tweaks)
        case "/funding-rates":
            return reply({"code": 200, "funding_rates": tweaks.rows(_rates(world))})
        case _:
            return html(403, "403 ERROR")  # the firewall in front


def _error(status: int, code: int, message: str) -> Reply:
    return reply({"code": code, "message": message}, status)


def _fundings(world: World, call: Call, tweaks: Tweaks) -> Reply:
    resolution = call.get("resolution")
    numbers = [integer(call.get(key)) for key in _REQUIRED if key != "resolution"]
    if resolution not in ("1h", "1d") or None in numbers:
        return _error(400, 20001, "invalid param")
    market, start, end, count_back = (n for n in numbers if n is not None)
    listing = next((x for x in world.listed("lighter") if x.native_id == market), None)
    if listing is None:
        return _error(400, 21100, "market is not found")
    last = _ms(end) - 1
    payments = world.payments(listing, _ms(start) + 1, last, tweaks.late_ms)
    if len(payments) < count_back:
        payments = world.payments(listing, 0, last, tweaks.late_ms)[-count_back:]
    if resolution == "1d":
        days = groupby(payments, key=lambda p: p.hour // 24)
        sums = [(day * 24, sum(p.ticks for p in rows)) for day, rows in days]
        rows = [_row(*_row_parts(world, listing, hour, ticks)) for hour, ticks in sums]
    else:
        rows = [_row(*_row_parts(world, listing, p.hour, p.ticks)) for p in payments]
    rows = tweaks.rows(rows[-tweaks.limit(CAP) :])
    return joined(f'{{"code":200,"resolution":"{resolution}","fundings":[', rows, "]}")


def _ms(value: int) -> int:
    """Seconds and milliseconds are both accepted."""
    return value if value > 10**11 else value * 1000


def _row_parts(world: World, listing: Listing, hour: int, ticks: int) -> tuple[int, int, str]:
    return hour * 3600, ticks, _settled_price(world, listing, hour)


@lru_cache(maxsize=1 << 17)
def _settled_price(world: World, listing: Listing, hour: int) -> str:
    return world.price(listing, hour * HOUR_MS, "mark")


@lru_cache(maxsize=1 << 17)
def _row(timestamp: int, ticks: int, price: str) -> str:
    """`value` is exactly rate / 100 x price, so that the quotient is on the price tick."""
    size, decimals = abs(ticks), len(price.partition(".")[2])
    scale = max(8, 6 + decimals)
    value = size * int(price.replace(".", "")) * 10 ** (scale - 6 - decimals)
    paid = f"{value // 10**scale}.{value % 10**scale:0{scale}d}"
    rate, direction = f"{size // 10**4}.{size % 10**4:04d}", "short" if ticks < 0 else "long"
    return f'{{"timestamp":{timestamp},"value":"{paid}","rate":"{rate}","direction":"{direction}"}}'


def _rates(world: World) -> list[dict[str, Any]]:
    rows = []
    for x in world.listed("lighter"):
        if x.status != "active":
            continue
        own = world.estimate(x)
        who = {"market_id": x.native_id, "symbol": x.symbol}
        chance = mix(int(x.native_id or 0) * 31 + world.coming_hour())
        if x.asset_class == "crypto":
            rows.append(who | {"exchange": "binance", "rate": (chance % 20_000 - 5_000) / 1e8})
            rows.append(who | {"exchange": "bybit", "rate": (chance >> 20) % 10_000 / 1e8})
            twin = world.listing("hyperliquid", x.symbol)
            if twin:
                rows.append(who | {"exchange": "hyperliquid", "rate": world.estimate(twin) / 1e10 * 8})
        rows.append(who | {"exchange": "lighter", "rate": own / 1e6 * 8})
    order = ("market_id", "exchange", "symbol", "rate")
    return [{key: row[key] for key in order} for row in rows]


def _books(world: World, call: Call, key: str, *, full: bool) -> Reply:
    wanted, kind = call.get("market_id"), call.get("filter") or "all"
    if kind not in ("perp", "spot", "all") or (wanted is not None and integer(wanted) is None):
        return _error(400, 20001, "invalid param")
    perps = [_book(world, x, full=full) for x in world.listed("lighter")]
    spots = [_spot(perps[0])]
    if wanted not in (None, "255"):  # 255 means all
        perps, spots = ([r for r in rows if r["market_id"] == integer(wanted)] for rows in (perps, spots))
        if not perps and not spots:
            return _error(400, 21100, "market is not found")
    perps, spots = perps if kind != "spot" else [], spots if kind != "perp" else []
    if full:
        return reply({"code": 200, key: perps, f"spot_{key}": spots})
    return reply({"code": 200, key: perps + spots})


def _book(world: World, x: Listing, *, full: bool) -> dict[str, Any]:
    active = x.status == "active"
    row: dict[str, Any] = {
        "symbol": x.symbol,
        "market_id": x.native_id,
        "market_type": "perp",
        "base_asset_id": 0,
        "quote_asset_id": 0,
        "status": "active" if active else "inactive",
        "taker_fee": "0.0000",
        "is_taker_fee_enabled": True,
        "maker_fee": "0.0000",
        "is_maker_fee_enabled": True,
        "liquidation_fee": "1.0000",
        "min_base_amount": "0.0050",
        "min_quote_amount": "10.000000",
        "order_quote_limit": "281474976.710655",
        "supported_size_decimals": 4,
        "supported_price_decimals": x.decimals,
        "supported_quote_decimals": 6,
    }
    if not full:
        return row
    now = ms_of(world.now())
    mark, index = world.price(x, now, "mark"), world.price(x, now, "index")
    held = world.open_interest(x) if active else 1407378.2  # inactive rows still show some
    traded = round(held * 2.7, 4) if active else 0
    return row | {
        "size_decimals": 4,
        "price_decimals": x.decimals,
        "quote_multiplier": 1,
        "default_initial_margin_fraction": 500,
        "min_initial_margin_fraction": 10_000 // x.max_leverage,
        "maintenance_margin_fraction": 120,
        "closeout_margin_fraction": 80,
        "last_trade_price": float(mark),
        "daily_trades_count": 428074 if active else 0,
        "daily_base_token_volume": traded,
        "daily_quote_token_volume": round(traded * float(mark), 6),
        "daily_price_low": float(mark) * 0.99,
        "daily_price_high": float(mark) * 1.01,
        "daily_price_change": -0.5215684126709949,
        "mark_price": mark,
        "index_price": index,
        "open_interest": held,
        "daily_chart": {},
        "funding_clamp_small": "0.0500",
        "funding_clamp_big": "4.0000",
        "base_interest_rate": "0.0100",
        "created_at": str(ms_of(world.listed_at(x))),
        "market_config": {
            "market_margin_mode": 0,
            "insurance_fund_account_index": 281474976710655,
            "liquidation_mode": 0,
            "force_reduce_only": False,
            "trading_hours": "",
            "funding_fee_discounts_enabled": False,
            "hidden": False,
            "rfq_enabled": True,
        },
        "strategy_index": 2,
    }


def _spot(like: dict[str, Any]) -> dict[str, Any]:
    without = ("mark_price", "index_price", "funding_clamp_small", "funding_clamp_big", "base_interest_rate")
    row = {key: value for key, value in like.items() if key not in without}
    return row | {"symbol": "ETH/USDC", "market_id": _SPOT_ID, "market_type": "spot", "status": "active"}
