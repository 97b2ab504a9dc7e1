"""What a market's name means: canonical base, multiplier, asset class. Pure; explicit tables, each with its
evidence.

(asset_class, base) is the identity across exchanges: the coin STX is Stacks, the equity STX is Seagate.
Rules, in order:

1. A HIP-3 prefix (`xyz:XYZ100`) is removed; the dex decides what it lists. A dex that is not in DEXES keeps
   its prefix in `base` unless the ticker is in TICKERS, so that an asset without a class is joined with
   nothing.
2. The exchange's own statement of the class wins; then NAMES (one exchange's names), TICKERS (names that no
   recorded coin has), the dex; what is left on a coin exchange is `crypto`. A ticker that is also a coin
   (CAT, QNT, BB, ON) is the coin unless the exchange or the dex states otherwise.
3. Multiples exist for crypto only: `k` before capitals, a power of ten from 1000 up before letters.
   `KAITO`, `KAS`, `1INCH`, `4`, `0G`, `2Z` and trailing digits (`SPX500`, `JP225`) are names.
4. Gold the metal (commodity, XAU) and gold tokens (crypto, PAXG, XAUT) are different things.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall
from fundingdb.schema import ASSET_CLASSES

if TYPE_CHECKING:
    from collections.abc import Container


@dataclass(frozen=True, slots=True)
class Identity:
    """`multiplier` = base tokens per contract unit: divide prices, multiply sizes by it, not rates."""

    base: str
    multiplier: float
    asset_class: str


_POWER_OF_TEN = re.compile(r"(1000|10000|100000|1000000)([A-Z][A-Z0-9]+)")
_LOWER_K = re.compile(r"k([A-Z][A-Z0-9]*)")
# Spelled by hand, since `1M` is no general rule: 1MBABYDOGE (Binance, Bybit), 1MBONK (ApeX).
# The one trailing multiple is Bybit's SHIB1000USDT, index 0.008402 beside 0.00000841 of SHIBUSDT (January 2023).
_SPELLED = {"1MBABYDOGE": ("BABYDOGE", 1e6), "1MBONK": ("BONK", 1e6), "SHIB1000": ("SHIB", 1e3)}
# Drift and its successor write multiples as 1M or 1K before capitals: 1MBONK, 1MPEPE, 1KWEN, 1KMEW, 1KPUMP, 1KMON
# (driftpy constants/perp_markets.py).
_COUNTED = {"drift": re.compile(r"1([KM])([A-Z][A-Z0-9]+)")}
_COUNTED["velocity"] = _COUNTED["drift"]
# One ticker, two coins: Binance lists 1000000BOB ("Build on BNB", 2.5e-8 dollars in December 2025) beside BOB
# ("Build on Bitcoin", 0.0123 on Aster in January 2026). `BOB` is the base of the older, the multiple.
_HOMONYMS = {"BOB": "BOB-BITCOIN"}
# Capital K means 1000 on GRVT alone, and there only for these (capture of its all_instruments, September
# 2026).
_CAPITAL_K = {"grvt": {"KPEPE": "PEPE", "KBONK": "BONK", "KSHIB": "SHIB"}}

# Trading-hours suffixes. Extended: MU_24_5 is Micron (uiName MU-USD), NOW_24_5 ServiceNow: all `_24_5` rows
# are us_equity.
# Backpack: shares and fund shares end in .US (rwaMarketType STOCK, INDEX; capture of 2026-09-13).
_SUFFIXES = {"extended": {"_24_5": "equity"}, "backpack": {".US": "equity"}}

# One exchange's names that mean something else than elsewhere: (class, base).
# extended, captures of 2026-01-03 (prices) and 2026-09-13 (/info/markets): SPX500m at 6,862 is the S&P 500
# (uiName SPX-USD) while SPX-USD at 0.61 is the coin SPX6900; TECH100m at 25,260 is the Nasdaq-100; EUR-USD
# at 1.17 is the euro in dollars; STXX is "Seagate Technology".
# hyperliquid HIP-3: docs.trade.xyz specification index (2026): GOLD, SILVER, PLATINUM follow XAU/USD,
# XAG/USD, XPT/USD; JPY and KRW follow USD/JPY (158.91) and USD/KRW (1512.5), EUR and GBP follow EUR/USD,
# GBP/USD. Frame of 2026-05: gold is 4569.5..4574.6 on four dexes; flx:GAS is 3.049 like xyz:NATGAS, the
# coin GAS is another thing.
# dydx, capture of 2026-09: EUR-USD has the oracle price 1.161447835, the euro in dollars.
# binance, bitget, gate, variational: CAT is Caterpillar (817 dollars, September 2026), the coin is 1000CAT.
# edgex: EURUSDC is the euro in dollars (1.169), JPYUSDC the yen in dollars (0.00649, the inverse of USDJPY; September
# 2026); /contract-labels of that month: XAU, XAG, CL, BZ, COPPER, NATGAS, XPD, XPT are its commodities, BZ is Brent.
# nado: shares by the feed reference of its docs (September 2026): PENG at 50.84 is Penguin Solutions.
# aster: RTX is RateX (0.72 dollars, symbolType 0, September 2026); Raytheon is RTX elsewhere (199 on Gate).
NAMES: dict[str, dict[str, tuple[str, str]]] = {
    **{exchange: {"CAT": ("equity", "CAT")} for exchange in ("binance", "bitget", "gate", "variational")},
    "aster": {"RTX": ("crypto", "RTX")},
    "extended": {
        "SPX500m": ("index", "SPX500"),
        "TECH100m": ("index", "TECH100"),
        "EUR": ("fx", "EURUSD"),
        "STXX": ("equity", "STX"),
    },
    "xyz": {
        "EUR": ("fx", "EURUSD"),
        "GBP": ("fx", "GBPUSD"),
        "JPY": ("fx", "USDJPY"),
        "KRW": ("fx", "USDKRW"),
    },
    "km": {"EUR": ("fx", "EURUSD")},
    "dydx": {"EUR": ("fx", "EURUSD")},
    "nado": {name: ("equity", name) for name in ("BBX", "PENG", "ZHIPU")},
    "edgex": {
        "BZ": ("commodity", "BRENT"),
        "EUR": ("fx", "EURUSD"),
        "JPY": ("fx", "JPYUSD"),
    },
    "flx": {
        "GAS": ("commodity", "NATGAS"),
        "OIL": ("commodity", "OIL"),
        "BTC": ("crypto", "BTC"),
        "XMR": ("crypto", "XMR"),
        "USDE": ("crypto", "USDE"),
    },
}

# What a HIP-3 dex lists where no table states otherwise. xyz (docs.trade.xyz), km, cash, flx: shares first,
# commodities, fx and indices by table; vntl: baskets and private companies; hyna: coins (frame of 2026-05:
# BTC, ETH, kPEPE ... quoted in USDE).
DEXES: dict[str, str] = {
    "xyz": "equity",
    "km": "equity",
    "cash": "equity",
    "flx": "equity",
    "vntl": "index",
    "hyna": "crypto",
}

# Names for one thing: the metals, by ounce; US crude (September 2026: WTI 97.34 on dYdX, CL 97.47 on Aster).
_ALIASES = {
    ("commodity", "WTI"): "CL",
    ("commodity", "GOLD"): "XAU",
    ("commodity", "SILVER"): "XAG",
    ("commodity", "PLATINUM"): "XPT",
    ("commodity", "PALLADIUM"): "XPD",
}

# Tickers that no coin of the recorded lists has (a test proves that). Sources: Lighter's market lists of
# 2026-01-03 and 2026-02-03 (NVDA, SPY, XAU, EURUSD ...; prices of 2026-01-03: AAPL 271.03, XAU 4333, USDKRW
# 1443); Aster's of 2026-01-03; docs.trade.xyz specification index (2026); Extended /info/markets of
# 2026-09-13 (category RWA).
_EQUITIES = """
AAPL AMAT AMD AMZN ASML AVGO BABA BMNR BRK.B CBRS COIN COST CRCL CRWV DELL DKNG DRAM EBAY EWJ EWT EWY EWZ
GME GOOG GOOGL HIMS HOOD HYUNDAI IBIDEN IBM INTC INTU KIOXIA KLAC KORU KWEB LITE LLY META MRVL MSFT MSTR MU
NBIS NFLX NOK NVDA ORCL PLTR QCOM QQQ RIVN RKLB RTX SAMSUNG SBET SHOP SKHX SKHY SKHYNIX SMH SMSN SNDK
SOFTBANK SOXL SPY STRC TENCENT TSLA TSM URNM USAR WDC XIAOMI XLE ANTHROPIC OPENAI SPACEX SPCX
"""
_COMMODITIES = """
ALUMINIUM BRENT BRENTOIL CL COPPER CORN GOLD NATGAS PALLADIUM PLATINUM SILVER TTF UKOIL URANIUM USOIL WHEAT
WTI WTIOIL XAG XAU XBR XCU XNG XPD XPT
"""
_FX = "AUDUSD EURUSD GBPUSD NZDUSD USDCAD USDCHF USDJPY USDKRW"
_INDICES = """
BTCD DXY HK50 IBOV JP225 JPN225 KR200 MAG7 NAS100 NIFTY SMALL2000 SP500 SPX500 TECH100 TOTAL2 US100 US30
US500 USA100 USA500 USTECH VIX XYZ100
"""
TICKERS: dict[str, str] = {
    ticker: asset_class
    for asset_class, tickers in (
        ("equity", _EQUITIES),
        ("commodity", _COMMODITIES),
        ("fx", _FX),
        ("index", _INDICES),
    )
    for ticker in tickers.split()
}


def identify(exchange: str, name: str, *, asset_class: str | None = None) -> Identity:
    """The identity behind `name`, the asset part of a symbol without its quote ("1000PEPE", "xyz:XYZ100").

    `asset_class` is what the exchange itself states, None where it states nothing. Raises BadCall for an
    empty name or a class that does not exist.
    """
    if asset_class is not None and asset_class not in ASSET_CLASSES:
        raise BadCall(
            f"asset class {asset_class!r} of {exchange} {name!r}: use one of {', '.join(ASSET_CLASSES)}"
        )
    *prefixes, bare = name.split(":")
    if not bare:
        raise BadCall(f"{exchange}: {name!r} names no asset")
    dex = prefixes[0] if prefixes else None
    bare, hinted = _without_suffix(exchange, bare)
    named = NAMES.get(dex or exchange, {}).get(bare)
    if named and asset_class in (None, named[0]):
        return Identity(named[1], 1.0, named[0])
    stated = asset_class or hinted or TICKERS.get(bare)
    if stated is None and dex is not None:
        if dex not in DEXES:
            return Identity(name, 1.0, "crypto")
        stated = DEXES[dex]
    if stated not in (None, "crypto"):
        return Identity(_ALIASES.get((stated, bare), bare), 1.0, stated)
    base, multiplier = _multiple(exchange, bare)
    return Identity(base, multiplier, "crypto")


def _without_suffix(exchange: str, bare: str) -> tuple[str, str | None]:
    for suffix, asset_class in _SUFFIXES.get(exchange, {}).items():
        if bare.endswith(suffix) and bare != suffix:
            return bare.removesuffix(suffix), asset_class
    return bare, None


def _multiple(exchange: str, bare: str) -> tuple[str, float]:
    if bare in _SPELLED:
        return _SPELLED[bare]
    if bare in _CAPITAL_K.get(exchange, {}):
        return _CAPITAL_K[exchange][bare], 1e3
    if exchange in _COUNTED and (match := _COUNTED[exchange].fullmatch(bare)):
        return match[2], 1e6 if match[1] == "M" else 1e3
    if match := _POWER_OF_TEN.fullmatch(bare):
        return match[2], float(match[1])
    if match := _LOWER_K.fullmatch(bare):
        return match[1], 1e3
    return _HOMONYMS.get(bare, bare), 1.0


def spellings(word: str) -> tuple[str, ...]:
    """The spellings in which a user's word is a name, in this order: as written, in capitals, in small letters."""
    return tuple(dict.fromkeys((word, word.upper(), word.casefold())))


def matching(word: str, names: Container[str]) -> str | None:
    """The one of `names` (tokens, symbols or exchanges) that a user's word means: its first spelling among them; None: none."""
    return next((spelling for spelling in spellings(word) if spelling in names), None)
