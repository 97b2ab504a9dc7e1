"""What the simulated exchanges list: names, ids, prices and states, as in recorded responses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOKENS = (
    *("BTC", "ETH", "SOL", "KAITO", "IP", "GRASS", "ZEC", "APT", "SUI", "TRUMP", "LDO", "OP", "SEI", "HYPE"),
    *("PEPE", "BONK"),
)
SETTLING = ("extended", "lighter", "hyperliquid", "binance", "bybit", "dydx")

# How far back the history of each exchange reaches (venue pages, "depth").
DEPTH = {
    "extended": datetime(2025, 7, 18, 9, 5, 32, 673000, tzinfo=UTC),
    "lighter": datetime(2025, 1, 17, 0, 0, tzinfo=UTC),
    "hyperliquid": datetime(2023, 5, 11, 23, 30, tzinfo=UTC),
    "binance": datetime(2019, 9, 10, 4, 0, tzinfo=UTC),
    "bybit": datetime(2020, 3, 15, 0, 0, tzinfo=UTC),
    "dydx": datetime(2023, 10, 26, 17, 0, tzinfo=UTC),
}

_PRICES = {  # US dollars per ONE token
    "BTC": 77100.0,
    "ETH": 2575.0,
    "SOL": 131.0,
    "KAITO": 1.03,
    "IP": 3.62,
    "GRASS": 0.412,
    "ZEC": 411.0,
    "APT": 2.21,
    "SUI": 1.63,
    "TRUMP": 5.74,
    "LDO": 0.684,
    "OP": 0.317,
    "SEI": 0.142,
    "HYPE": 38.2,
    "PEPE": 0.0000034,
    "BONK": 0.0000112,
    "MU": 940.0,
    "NVDA": 188.0,
    "AAPL": 334.0,
    "XYZ100": 29438.0,
    "NOW": 111.687,
    "COIN": 301.0,
    "MKR": 1663.4,
    "MATIC": 0.3754,
    "PIPPIN": 0.0237,
    "MEGA": 0.21,
    "US500": 6900.0,
    "EURUSD": 1.16,
}
_LIGHTER_IDS = {
    "ETH": 0,
    "BTC": 1,
    "SOL": 2,
    "PEPE": 4,
    "BONK": 18,
    "OP": 55,
    "SUI": 16,
    "TRUMP": 15,
    "HYPE": 24,
    "LDO": 46,
    "IP": 34,
    "APT": 31,
    "KAITO": 33,
    "SEI": 32,
    "GRASS": 52,
    "ZEC": 90,
    "EURUSD": 96,
    "NVDA": 110,
    "PIPPIN": 135,
}
_THOUSANDS = ("PEPE", "BONK")
_MAJORS = ("BTC", "ETH", "SOL")
_CAP = 0.0025  # of the exchanges that pay each 4 or 8 hours, a fraction per hour


@dataclass(frozen=True, slots=True)
class Listing:
    """One perpetual of one exchange.

    `price` is US dollars per one base token, around which it moves; `decimals` the price tick of the
    contract; `hours` lie between two payments; `factor` scales the rate (HIP-3's assetToFundingMultiplier); `cap` is the largest
    |rate| as a fraction per hour. `status` is active, reduce_only, prelisted or delisted, and applies from `delisted_at`
    on where that is set.
    """

    exchange: str
    symbol: str
    base: str
    quote: str
    asset_class: str
    price: float
    decimals: int
    native_id: int | None = None
    multiplier: int = 1
    hours: int = 1
    factor: float = 1.0
    cap: float = 0.04
    max_leverage: int = 10
    status: str = "active"
    listed_at: datetime | None = None
    delisted_at: datetime | None = None


def price_of(base: str) -> float:
    """US dollars per token; tokens without a price of their own get one from their letters."""
    return _PRICES.get(base) or round(0.1 + sum(ord(c) * 7 for c in base) % 1000 / 100, 3)


def _decimals(price: float) -> int:
    return next(
        (d for d, least in ((1, 10_000), (2, 500), (3, 20), (4, 3), (5, 0.01), (6, 0.001)) if price >= least),
        7,
    )


def listings(tokens: Iterable[str]) -> list[Listing]:
    """Every perpetual of the settling exchanges: the requested tokens, and the special ones that are always listed."""
    wanted = tuple(dict.fromkeys(tokens))
    own = (_extended, _lighter, _hyperliquid, _binance, _bybit, _dydx)
    return [listing for exchange in own for listing in exchange(wanted)]


def _extended(tokens: tuple[str, ...]) -> Iterator[Listing]:
    for base in tokens:
        k = 1000 if base in _THOUSANDS else 1
        cap = 0.0075 if k == 1000 else 0.0025 if base in _MAJORS else 0.01
        yield _one("extended", f"{'1000' if k > 1 else ''}{base}-USD", base, "USD", multiplier=k, cap=cap)
    yield _one("extended", "MU_24_5-USD", "MU", "USD", "equity", cap=0.01)
    yield _one("extended", "MKR-USD", "MKR", "USD", cap=0.01, status="reduce_only")
    gone = datetime(2026, 9, 1, 14, 0, tzinfo=UTC)
    born = datetime(2026, 7, 15, 9, 18, 31, 980000, tzinfo=UTC)
    yield _one("extended", "NOW_24_5-USD", "NOW", "USD", "equity", cap=0.01, listed_at=born, delisted_at=gone)
    yield _one("extended", "MEGA-USD", "MEGA", "USD", cap=0.01, status="prelisted")


def _lighter(tokens: tuple[str, ...]) -> Iterator[Listing]:
    used = set(_LIGHTER_IDS.values())
    free = (n for n in range(140, 2048) if n not in used)
    for base in tokens:
        k = 1000 if base in _THOUSANDS else 1
        native = _LIGHTER_IDS[base] if base in _LIGHTER_IDS else next(free)
        name = f"{'1000' if k > 1 else ''}{base}"
        yield _one("lighter", name, base, "USDC", multiplier=k, cap=0.005, native_id=native)
    yield _one("lighter", "NVDA", "NVDA", "USDC", "equity", cap=0.005, native_id=_LIGHTER_IDS["NVDA"])
    yield _one("lighter", "EURUSD", "EURUSD", "USDC", "fx", cap=0.005, native_id=_LIGHTER_IDS["EURUSD"])
    gone = datetime(2026, 8, 20, 10, 0, tzinfo=UTC)
    yield _one(
        "lighter", "PIPPIN", "PIPPIN", "USDC", cap=0.005, native_id=_LIGHTER_IDS["PIPPIN"], delisted_at=gone
    )


def _hyperliquid(tokens: tuple[str, ...]) -> Iterator[Listing]:
    for base in tokens:
        k = 1000 if base in _THOUSANDS else 1
        yield _one("hyperliquid", f"{'k' if k > 1 else ''}{base}", base, "USDC", multiplier=k)
    gone = datetime(2024, 9, 10, 8, 0, tzinfo=UTC)
    yield _one("hyperliquid", "MATIC", "MATIC", "USDC", delisted_at=gone)
    built = datetime(2025, 11, 23, 17, 37, 10, tzinfo=UTC)  # no builder dex is older
    for base, kind in (("XYZ100", "index"), ("AAPL", "equity"), ("MU", "equity"), ("NVDA", "equity")):
        yield _one("hyperliquid", f"xyz:{base}", base, "USDC", kind, factor=0.5, listed_at=built)
    dead = datetime(2026, 6, 2, 12, 0, tzinfo=UTC)
    yield _one(
        "hyperliquid", "xyz:NOW", "NOW", "USDC", "equity", factor=0.5, listed_at=built, delisted_at=dead
    )
    yield _one("hyperliquid", "flx:COIN", "COIN", "USDH", "equity", factor=0.0, listed_at=built)
    yield _one("hyperliquid", "hyna:BTC", "BTC", "USDE", listed_at=built)


def _binance(tokens: tuple[str, ...]) -> Iterator[Listing]:
    yield from _usdt("binance", tokens)
    yield _one("binance", "NVDAUSDT", "NVDA", "USDT", "equity", cap=_CAP, hours=4)
    gone = datetime(2026, 10, 15, 9, 0, tzinfo=UTC)
    yield _one("binance", "MKRUSDT", "MKR", "USDT", cap=_CAP, hours=4, delisted_at=gone)


def _bybit(tokens: tuple[str, ...]) -> Iterator[Listing]:
    yield from _usdt("bybit", tokens)
    yield _one("bybit", "1000BONKPERP", "BONK", "USDC", multiplier=1000, cap=_CAP, hours=8)
    yield _one("bybit", "NVDAUSDT", "NVDA", "USDT", "equity", cap=_CAP, hours=1)


def _usdt(exchange: str, tokens: tuple[str, ...]) -> Iterator[Listing]:
    """The tokens against USDT, as Binance and Bybit name them."""
    for base in tokens:
        k = 1000 if base in _THOUSANDS else 1
        name = f"{'1000' if k > 1 else ''}{base}USDT"
        yield _one(exchange, name, base, "USDT", multiplier=k, cap=_CAP, hours=_hours(base))


def _dydx(tokens: tuple[str, ...]) -> Iterator[Listing]:
    for base in tokens:
        yield _one("dydx", f"{base}-USD", base, "USD", cap=0.015)
    gone = datetime(2024, 9, 4, 8, 0, tzinfo=UTC)
    yield _one("dydx", "MATIC-USD", "MATIC", "USD", cap=0.015, delisted_at=gone)


def _hours(base: str) -> int:
    """Between two payments, as most of the books of the large exchanges have it."""
    return 8 if base in (*_MAJORS, "KAITO", "OP") else 4


def _one(
    exchange: str,
    symbol: str,
    base: str,
    quote: str,
    kind: str = "crypto",
    *,
    multiplier: int = 1,
    hours: int = 1,
    factor: float = 1.0,
    cap: float = 0.04,
    native_id: int | None = None,
    status: str = "active",
    listed_at: datetime | None = None,
    delisted_at: datetime | None = None,
) -> Listing:
    price = price_of(base)
    return Listing(
        exchange=exchange,
        symbol=symbol,
        base=base,
        quote=quote,
        asset_class=kind,
        price=price,
        decimals=_decimals(price * multiplier),
        native_id=native_id,
        multiplier=multiplier,
        hours=hours,
        factor=factor,
        cap=cap,
        max_leverage=50 if base in _MAJORS else 10,
        status="delisted" if delisted_at else status,
        listed_at=listed_at,
        delisted_at=delisted_at,
    )
