"""ccxt without a network: its own methods read recorded answers; markets are given in place of its lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fundingdb.fetchers.ccxt.calls import Caller
from fundingdb.fetchers.ccxt.venues import VENUES, Venue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLOCK_MS = 1_790_000_000_000  # the recorder's
# ccxt's symbol -> the exchange's own name, as the recorded requests and answers have it
IDS: dict[str, dict[str, str]] = {
    "aster": {"BTC/USDT:USDT": "BTCUSDT", "INJ/USDT:USDT": "INJUSDT"},
    "binance": {"BTC/USDT:USDT": "BTCUSDT", "BLZ/USDT:USDT": "BLZUSDT"},
    "bitfinex": {"BTC/USDT:USDT": "tBTCF0:USTF0"},
    "blofin": {"BTC/USD:BTC": "BTC-USD-SWAP"},
    "btse": {"ETH/USDT:USDT": "ETH-PERP-USDT"},
    "bybit": {"BTC/USDT:USDT": "BTCUSDT", "ETH/USDC:USDC": "ETHPERP"},
    "coinbaseinternational": {"BTC/USDC:USDC": "BTC-PERP"},
    "delta": {"BTC/USDT:USDT": "BTCUSDT"},
    "deribit": {"BTC/USD:BTC": "BTC-PERPETUAL"},
    "dydx": {"BTC/USDC:USDC": "BTC-USD"},
    "gate": {"BTC/USDT:USDT": "BTC_USDT"},
    "grvt": {"BTC/USDT:USDT": "BTC_USDT_Perp"},
    "hashkey": {"BTC/USDT:USDT": "BTCUSDT-PERPETUAL", "ETH/USDT:USDT": "ETHUSDT-PERPETUAL"},
    "hibachi": {"BTC/USDT:USDT": "BTC/USDT-P", "ETH/USDT:USDT": "ETH/USDT-P"},
    "htx": {"BTC/USD:BTC": "BTC-USD", "BTC/USDT:USDT": "BTC-USDT", "MANA/USDT:USDT": "MANA-USDT"},
    "krakenfutures": {"ENJ/USD:USD": "PF_ENJUSD", "ETH/USD:ETH": "PI_ETHUSD"},
    "mexc": {"BTC/USDT:USDT": "BTC_USDT"},
    "nado": {"BTC/USDT0:USDT0": "1"},
    "okx": {"BTC/USD:BTC": "BTC-USD-SWAP", "BTC/USDT:USDT": "BTC-USDT-SWAP"},
    "pacifica": {"BTC/USDC:USDC": "BTC", "XPL/USDC:USDC": "XPL"},
    "paradex": {"BTC/USD:USDC": "BTC-USD-PERP"},
    "weex": {"ETH/USDT:USDT": "ETHUSDT"},
    "woofipro": {"ETH/USDC:USDC": "PERP_ETH_USDC", "AAVE/USDT:USDT": "PERP_AAVE_USDT"},
    "xt": {"BTC/USDT:USDT": "btc_usdt"},
}

INFO = {
    "bybit": {"fundingInterval": "480"},
    "paradex": {"funding_period_hours": "8"},
    "nado": {"ticker_id": "BTC-PERP_USDT0"},
}


def markets(exchange: Any, ids: dict[str, str]) -> list[dict[str, Any]]:
    """ccxt market structures of these symbols."""
    found = []
    for symbol, own in ids.items():
        pair, _, settle = symbol.partition(":")
        base, quote = pair.split("/")
        known = {
            "id": own,
            "symbol": symbol,
            "base": base,
            "quote": quote,
            "settle": settle,
            "baseId": base,
            "quoteId": quote,
            "settleId": settle,
            "type": "swap",
            "spot": False,
            "margin": False,
            "swap": True,
            "future": False,
            "option": False,
            "contract": True,
            "active": True,
            "linear": settle != base,
            "inverse": settle == base,
            "contractSize": 1.0,
            "info": {"contractType": "PERPETUAL", **INFO.get(exchange.id, {})},
        }
        found.append(exchange.safe_market_structure(known))
    return found


def opened(kind: str, ids: dict[str, str], answer: Callable[..., Any], **settings: Any) -> Any:
    """An exchange object of ccxt whose transport gives `answer(url, method, body)`, a JSON value or an exception."""
    import ccxt

    exchange = getattr(ccxt, kind)({"enableRateLimit": False, **settings})
    listed = markets(exchange, ids)
    exchange.fetch_markets = lambda params={}: listed
    exchange.milliseconds = lambda: CLOCK_MS
    exchange.has["fetchCurrencies"] = False

    def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        given = answer(url, method, body)
        if isinstance(given, Exception):
            raise given
        exchange.last_json_response = exchange.parse_json(json.dumps(given))
        return exchange.last_json_response

    exchange.fetch = fetch
    exchange.load_markets()
    return exchange


def caller(
    name: str, answer: Callable[..., Any], ids: dict[str, str] | None = None, rules: Venue | None = None
) -> Caller:
    """The bridge's caller of a venue, on an offline exchange."""
    rules = rules or VENUES[name]
    made = Caller(name, rules)
    options = {"defaultType": "swap", **rules.options}
    own = {"binance-coinm": "binance", "modetrade": "woofipro"}.get(name, name)
    made._exchange = opened(rules.kind, ids or IDS[own], answer, options=options)
    return made


def pairs(shared: Path) -> list[tuple[str, int, dict[str, Any]]]:
    """All recorded entries: (file's venue, number, entry)."""
    home = shared / "venues/payloads/ccxt"
    found = []
    for file in sorted(home.glob("*.json")):
        text = json.loads(file.read_text(), parse_float=float)
        found += [(text["exchange"], n, e) for n, e in enumerate(text["entries"])]
    return found
