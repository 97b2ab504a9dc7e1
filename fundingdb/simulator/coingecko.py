"""A simulated CoinGecko: its protocol, implemented independently of the fetcher.

Percent per the exchange's own interval, which no response states; six decimals in /derivatives, three in an
exchange's tickers. Null rates, dated futures, stale rows, and exchanges that the world does not have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.simulator.wire import Call, Reply, Tweaks, html, integer, reply
from fundingdb.simulator.world import mix, ms_of, rate_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fundingdb.simulator.listings import Listing
    from fundingdb.simulator.world import World

PREFIX = "/coingecko/api/v3"
CAPACITY, SECONDS = 30.0, 60.0  # requests, the lower of two documented figures
NAMES = {
    "binance_futures": "Binance (Futures)",
    "bybit": "Bybit (Futures)",
    "deepcoin_derivatives": "Deepcoin (Derivatives)",
    "bydfi_futures": "BYDFi (Futures)",
    "hyperliquid": "Hyperliquid (Futures)",
    "lighter": "Lighter",
    "extended": "Extended",
}
_STALE_S = 5 * 3600
_LIMITED = (
    "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing "
    "to subscribe to our API plans for higher rate limits."
)


@dataclass(frozen=True, slots=True)
class Ticker:
    """One contract as CoinGecko sees it; `rate` in percent per interval, `age` seconds since a trade."""

    exchange: str
    symbol: str
    base: str
    target: str
    rate: float | None
    price: float
    index: float
    held_usd: float
    age: int
    expired_at: int | None = None


def weight(_call: Call) -> float:
    """Every request counts once, failed ones too."""
    return 1.0


def name(call: Call) -> str:
    """The request in the log."""
    return call.path


def over_limit(after: float) -> Reply:
    """The answer beyond the limit."""
    body = {"status": {"error_code": 429, "error_message": _LIMITED}}
    return reply(body, 429, (("Retry-After", str(int(after + 1))),))


def answer(world: World, call: Call, tweaks: Tweaks) -> Reply:
    """The answer to one request; paths under /pro are the host of the paid plan."""
    parts = [part for part in call.path.split("/") if part]
    refused = _key_refused(call, pro=parts[:1] == ["pro"])
    if refused is not None:
        return refused
    now = ms_of(world.now()) // 1000
    match parts[1:] if parts[:1] == ["pro"] else parts:
        case ["derivatives"]:
            return reply(tweaks.rows([_row(t, now) for t in tickers(world) if not _expired(t, now)]))
        case ["derivatives", "exchanges"]:
            return _exchanges(world, call)
        case ["derivatives", "exchanges", "list"]:
            return reply([{"id": key, "name": title} for key, title in NAMES.items()])
        case ["derivatives", "exchanges", exchange] if exchange in NAMES:
            return _exchange(world, exchange, call.get("include_tickers"), tweaks)
        case ["derivatives", "exchanges", _]:
            missing = reply({"error": "Market not found"}, 404)
        case _:
            missing = html(404, "Not Found")
    return missing


def _key_refused(call: Call, *, pro: bool) -> Reply | None:
    """A key of the other plan, or none where one is needed."""
    sent = {
        plan: f"x-cg-{plan}-api-key" in call.headers or call.get(f"x_cg_{plan}_api_key") is not None
        for plan in ("demo", "pro")
    }
    at = "2026-11-22T00:00:00.000+00:00"
    if sent["demo" if pro else "pro"]:
        plan, host, code = ("Demo", "api", 10011) if pro else ("Pro", "pro-api", 10010)
        words = f"If you are using {plan} API key, please change your root URL to {host}.coingecko.com"
        return reply({"timestamp": at, "error_code": code, "status": {"error_message": words}}, 400)
    if pro and not sent["pro"]:
        status = {"timestamp": at, "error_code": 10002, "error_message": "API Key Missing."}
        return reply({"status": status}, 401)
    return None


def shown(world: World) -> pl.DataFrame:
    """The rows that a correct fetcher returns for the perpetuals that traded lately on the exchanges of the world, now.

    Columns exchange, symbol (CoinGecko's), base (the exchange's own spelling), funding_rate (/derivatives)
    and funding_rate_coarse (an exchange's tickers), both fractions per the exchange's own interval or null,
    open_interest_usd.
    """
    rows = [
        {
            "exchange": t.exchange,
            "symbol": t.symbol,
            "base": t.base,
            "funding_rate": None if t.rate is None else round(round(t.rate, 6) / 100, 8),
            "funding_rate_coarse": None if t.rate is None else round(round(t.rate, 3) / 100, 5),
            "open_interest_usd": t.held_usd,
        }
        for t in tickers(world)
        if t.exchange in ("extended", "lighter", "hyperliquid") and t.age < _STALE_S
    ]
    text = dict.fromkeys(("exchange", "symbol", "base"), pl.String)
    figures = dict.fromkeys(("funding_rate", "funding_rate_coarse", "open_interest_usd"), pl.Float64)
    return pl.DataFrame(rows, schema={**text, **figures})


def tickers(world: World) -> Iterator[Ticker]:
    """Every contract, ours last."""
    yield from _strangers(world)
    for exchange in ("hyperliquid", "lighter", "extended"):
        for x in world.listed(exchange):
            if x.status in ("active", "reduce_only"):
                yield _ticker(world, x)


def _ticker(world: World, x: Listing) -> Ticker:
    now = ms_of(world.now())
    mark, index = (float(world.price(x, now, kind)) for kind in ("mark", "index"))
    dex, _, asset = x.symbol.rpartition(":")
    base = f"{dex.upper()}:{asset}" if dex else asset.removesuffix("-USD")
    symbol = {"lighter": f"{base}_USDC", "hyperliquid": base if dex else f"{base}-USD"}.get(
        x.exchange, x.symbol
    )
    missing = mix(sum(ord(c) * i for i, c in enumerate(x.exchange + x.symbol, 1))) % 17 == 0
    return Ticker(
        exchange=x.exchange,
        symbol=symbol,
        base=base,
        target="USDC" if x.exchange == "lighter" else "USD",
        rate=None if missing else rate_of(x.exchange, world.estimate(x)) * 100,
        price=mark,
        index=index,
        held_usd=round(world.open_interest(x) * mark, 2),
        age=_STALE_S if x.symbol == "flx:COIN" else 40,
    )


def _strangers(world: World) -> Iterator[Ticker]:
    """Contracts of exchanges that are not simulated, dated and dead ones among them."""
    now = ms_of(world.now()) // 1000
    eth = Ticker("deepcoin_derivatives", "ETHUSDT", "ETH", "USDT", -0.007182, 3395.91, 3393.5342, 9.3e9, 60)
    yield eth
    yield replace(eth, exchange="bydfi_futures", symbol="BTC-PERPUSDT", base="BTC", rate=0.012, price=69434.1)
    btc = Ticker("binance_futures", "BTCUSDT", "BTC", "USDT", 0.007731, 77100.1, 77099.2, 9.1e9, 2)
    yield btc
    yield Ticker("binance_futures", "0GUSDT", "0G", "USDT", 0.005, 0.473, 0.47388788, 7505441.41551142, 20)
    bob = "1000000BOB"
    yield Ticker("binance_futures", f"{bob}USDT", bob, "USDT", 0.005, 0.015, 0.0154, 916291.3, _STALE_S)
    yield replace(btc, symbol="BTCUSDT_261225", rate=None, expired_at=now + 33 * 86_400)
    yield replace(btc, symbol="BTCUSDT_261119", rate=None, expired_at=now - 3 * 86_400, age=3 * 86_400)


def _expired(t: Ticker, now: int) -> bool:
    return t.expired_at is not None and t.expired_at < now


def _row(t: Ticker, now: int) -> dict[str, Any]:
    return {
        "market": NAMES[t.exchange],
        "symbol": t.symbol,
        "index_id": t.base,
        "price": f"{t.price:.10g}",
        "price_percentage_change_24h": 1.5274069068216,
        "contract_type": "futures" if t.expired_at else "perpetual",
        "index": t.index,
        "basis": (t.index / t.price - 1) * 100,
        "spread": 0.01,
        "funding_rate": None if t.rate is None else round(t.rate, 6),
        "open_interest": t.held_usd,
        "volume_24h": t.held_usd * 1.7,
        "last_traded_at": now - t.age,
        "expired_at": t.expired_at,
    }


def _full(t: Ticker, now: int) -> dict[str, Any]:
    volume = t.held_usd * 1.7
    return {
        "symbol": t.symbol,
        "base": t.base,
        "target": t.target,
        "coin_id": t.base.lower(),
        "target_coin_id": {"USDT": "tether", "USDC": "usd-coin"}.get(t.target),
        "trade_url": f"https://example.invalid/{t.exchange}/{t.symbol}",
        "contract_type": "futures" if t.expired_at else "perpetual",
        "last": round(t.price, 3),
        "h24_percentage_change": -1.149,
        "index": t.index,
        "index_basis_percentage": round((t.index / t.price - 1) * 100, 3),
        "bid_ask_spread": 0.0004225649693639931,
        "funding_rate": None if t.rate is None else round(t.rate, 3),
        "open_interest_usd": t.held_usd,
        "h24_volume": round(volume / t.price, 1),
        "converted_volume": _converted(volume),
        "converted_last": _converted(t.price),
        "last_traded": now - t.age,
        "expired_at": t.expired_at,
    }


def _converted(usd: float) -> dict[str, str]:
    return {"btc": f"{usd / 77100:.20f}", "eth": f"{usd / 2575:.20f}", "usd": f"{usd:.16f}"}


def _head(world: World, exchange: str) -> dict[str, Any]:
    mine = [t for t in tickers(world) if t.exchange == exchange]
    held = sum(t.held_usd for t in mine)
    return {
        "name": NAMES[exchange],
        "open_interest_btc": round(held / 77100, 2),
        "trade_volume_24h_btc": f"{held * 1.7 / 77100:.2f}",
        "number_of_perpetual_pairs": sum(t.expired_at is None for t in mine),
        "number_of_futures_pairs": sum(t.expired_at is not None for t in mine),
        "image": f"https://example.invalid/{exchange}.jpg",
        "year_established": 2019,
        "country": None if exchange in ("hyperliquid", "lighter", "extended") else "Cayman Islands",
        "description": "",
        "url": f"https://example.invalid/{exchange}",
    }


def _exchange(world: World, exchange: str, include: str | None, tweaks: Tweaks) -> Reply:
    if include not in (None, "all", "unexpired"):
        return reply({"error": "Invalid value for include_tickers"}, 400)
    head = _head(world, exchange)
    if include is None:  # without it there are no tickers
        return reply(head)
    now = ms_of(world.now()) // 1000
    mine = [
        t for t in tickers(world) if t.exchange == exchange and (include == "all" or not _expired(t, now))
    ]
    return reply(head | {"tickers": tweaks.rows([_full(t, now) for t in mine])})


def _exchanges(world: World, call: Call) -> Reply:
    size, page = integer(call.get("per_page")) or 50, integer(call.get("page")) or 1
    rows: list[dict[str, Any]] = [{"name": NAMES[e], "id": e} | _head(world, e) for e in NAMES]
    rows.sort(key=lambda row: -row["open_interest_btc"])
    return reply(rows[(page - 1) * size : page * size])
