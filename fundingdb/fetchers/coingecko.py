"""CoinGecko (derivatives endpoints): an aggregator of other exchanges; the datasheet, read November 2026.

Request   GET /derivatives: every ticker of every exchange in one response. /derivatives/exchanges/{id} with
          include_tickers has one exchange; both parse. 30 requests a minute (newest page: 100); each counts,
          failed ones too. COINGECKO_API_KEY with COINGECKO_PLAN demo (default) or pro: a key's prefix does not show
          the plan, and pro has another host and header. No history on any plan.
Exchange  display name (/derivatives) or {id}; rows carry our id of that exchange and source coingecko. By explicit
          tables; rows of other exchanges are left out. Left out though listed: Kraken (dollars, no rate),
          "dYdX Perpetual" (v3, closed), Drift (id unproven).
Unit      percent of notional per payment of the exchange itself; positive: longs pay shorts. Current value: predicted.
Interval  not in the response: 1 h for extended, hyperliquid, lighter, dydx, else null. Null rates stay null.
Step      /derivatives 1e-8: Binance's figures keep six decimals of a percent in the recorded response (its page:
          "5-6"). /derivatives/exchanges/{id} 1e-5: rounded to three, 20 % off at the hourly baseline 0.00125 %.
Clock     seconds of the last trade. Rows whose trade is over 2 h older than the receipt, or has no time, are stale and
          left out; a trade over 1 h after it means a wrong clock or unit. Observed at the receipt.
Price     price, last are trades, no marks: mark_price is null. index 0 or null is none.
Size      open_interest, open_interest_usd, volume_24h, converted_volume.usd: US dollars. h24_volume is base units and
          not read. Sizes of wash-traded exchanges are absurd; they are kept as published.
Names     symbol as CoinGecko spells it, which is not always the exchange's way (LIT-USD, HYNA:HYPE). The token is
          index_id or base; a multiple in the symbol alone (Deepcoin 1000SHIBUSDT, SHIB) counts.
Doubles   (market, symbol) is not unique: in the recorded response two instruments share one (Stormgain DASH-PERPUSDT at
          47.26 dollars and at 0.00279 bitcoin). Equal rows are kept once; of rows that differ none, since nothing
          shows which is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall, FundingdbError, RateLimited, Refused
from fundingdb.fetchers.contract import Budget, Fetcher, Market, Request, ResponseContext, Sweep
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import Reader, decode
from fundingdb.fetchers.rows import Row, market_row, markets_of, snapshot_row, snapshots_of
from fundingdb.window import from_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import polars as pl

NAME = "coingecko"
STEP = 1e-8
COARSE_STEP = 1e-5
_HOST = "https://api.coingecko.com/api/v3"
_PRO_HOST = "https://pro-api.coingecko.com/api/v3"
_ALL = Request("/derivatives", "/derivatives")
_ONE = "/derivatives/exchanges/{id}"

# {id} -> ours: ids in use (page of November 2026); dYdX's chain has two in different notes.
IDS = {
    "hyperliquid": "hyperliquid",
    "lighter": "lighter",
    "extended": "extended",
    "binance_futures": "binance",
    "bybit": "bybit",
    "bitget_futures": "bitget",
    "aster": "aster",
    "dydx_chain": "dydx",
    "dydx_v4": "dydx",
    "deepcoin_derivatives": "deepcoin",
}
# Display name -> ours: the page, the recorded /list, the recorded response of 2023 (Bitget, OKX, Gate).
DISPLAY_NAMES = {
    "Hyperliquid (Futures)": "hyperliquid",
    "Lighter": "lighter",
    "Extended": "extended",
    "Binance (Futures)": "binance",
    "Bybit (Futures)": "bybit",
    "Bitget Futures": "bitget",
    "OKX (Futures)": "okx",
    "Gate.io (Futures)": "gate",
    "Deepcoin (Derivatives)": "deepcoin",
}
INTERVAL_HOURS = {"hyperliquid": 1.0, "lighter": 1.0, "extended": 1.0, "dydx": 1.0}
_STALE = timedelta(hours=2)
_AHEAD = timedelta(hours=1)
_ABSURD = (
    0.1  # fraction per payment: beyond the caps of all exchanges in the tables (4 % is the widest known)
)
_MULTIPLE = r"(?:k|10{3,6}|1M)"
_QUOTE = re.compile(r"[-_/]?(USDT|USDC|BUSD|USDE|USDH|USD1|USD)(?:_PERP|-PERP|-SWAP|_UMCBL|_DMCBL)?")


class _CoingeckoRow(msgspec.Struct):
    """A row of /derivatives."""

    market: str
    symbol: str
    index_id: str
    contract_type: str
    index: float | None
    funding_rate: float | None
    open_interest: float | None
    volume_24h: float | None
    last_traded_at: int | None


class _Volume(msgspec.Struct):
    usd: str


class _CoingeckoTicker(msgspec.Struct):
    """A ticker of one exchange."""

    symbol: str
    base: str
    target: str
    contract_type: str
    index: float | None
    funding_rate: float | None
    open_interest_usd: float | None
    converted_volume: _Volume | None
    last_traded: int | None


class _Traded(msgspec.Struct):
    """The time of a row of either kind."""

    last_traded_at: int | None = None
    last_traded: int | None = None


class _Tickers(msgspec.Struct):
    """The times of one exchange's tickers."""

    tickers: list[_Traded]


@dataclass(frozen=True, slots=True)
class _Ticker:
    """One perpetual of an exchange of the tables; `rate` in percent per payment."""

    market: Market
    rate: float | None
    step: float
    index: float | None
    held_usd: float | None
    volume_usd: float | None


def _requests(_markets: Sequence[Market]) -> list[Request]:
    return [_ALL]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of the perpetuals that traded lately on exchanges of the tables; `exchange` is theirs."""

    def read(ticker: _Ticker) -> Row:
        return _snapshot(ticker, context)

    return _rows(body, context, snapshots_of, read)


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of the same perpetuals, as CoinGecko spells them; `exchange` is theirs."""

    def read(ticker: _Ticker) -> Row:
        return market_row(ticker.market, context, {})

    return _rows(body, context, partial(markets_of, by_symbol=None), read)


def _snapshot(one: _Ticker, context: ResponseContext) -> dict[str, Any]:
    known = {
        "source": NAME,
        "funding_rate": None if one.rate is None else one.rate / 100,
        "interval_hours": one.market.interval_hours,
        "native_rate": one.rate,
        "rate_step": one.step,
        "index_price": None if not one.index else one.index / one.market.multiplier,
        "open_interest_usd": one.held_usd,
        "volume_24h_usd": one.volume_usd,
    }
    return snapshot_row(one.market, context.at, known)


def _rows(
    body: bytes,
    context: ResponseContext,
    table_of: Callable[..., pl.DataFrame],
    read: Callable[[_Ticker], Row],
) -> pl.DataFrame:
    """Rows of the perpetuals of a response of either kind, made by `read`."""
    value = decode(body, NAME, "/derivatives")
    if isinstance(value, dict):
        return _of_tickers(value, context, table_of, read)
    reader = Reader(NAME, "/derivatives")

    def read_row(row: _CoingeckoRow) -> Row | None:
        exchange = DISPLAY_NAMES.get(row.market)
        if exchange is None or not _is_perpetual(reader, row.contract_type, row.symbol):
            return None
        if not _fresh(reader, "last_traded_at", row.last_traded_at, row.symbol, context.at):
            return None
        ticker = _Ticker(
            _market(exchange, row.symbol, row.index_id, _quote(row.symbol, row.index_id)),
            _percent(reader, row.funding_rate, row.symbol),
            STEP,
            _counted(reader, "index", row.index, row.symbol),
            _counted(reader, "open_interest", row.open_interest, row.symbol),
            _counted(reader, "volume_24h", row.volume_24h, row.symbol),
        )
        return read(ticker)

    return table_of(reader, context, reader.array(value), _CoingeckoRow, read_row)


def _of_tickers(
    value: dict[str, Any],
    context: ResponseContext,
    table_of: Callable[..., pl.DataFrame],
    read: Callable[[_Ticker], Row],
) -> pl.DataFrame:
    reader = Reader(NAME, _ONE)
    exchange = _exchange(reader, value, context)
    if "tickers" not in value:
        raise reader.bad("tickers", "is missing: the request lacked include_tickers=unexpired")
    tickers = reader.get(value, "tickers", list, dict)
    if isinstance(tickers, dict):  # older responses nest it once more
        tickers = reader.items(tickers, "tickers")

    def read_ticker(row: _CoingeckoTicker) -> Row | None:
        if not _is_perpetual(reader, row.contract_type, row.symbol):
            return None
        if not _fresh(reader, "last_traded", row.last_traded, row.symbol, context.at):
            return None
        volume = None
        if row.converted_volume is not None:
            volume = reader.finite("converted_volume.usd", row.converted_volume.usd)
        ticker = _Ticker(
            _market(exchange, row.symbol, row.base, row.target or None),
            _percent(reader, row.funding_rate, row.symbol),
            COARSE_STEP,
            _counted(reader, "index", row.index, row.symbol),
            _counted(reader, "open_interest_usd", row.open_interest_usd, row.symbol),
            _counted(reader, "converted_volume.usd", volume, row.symbol),
        )
        return read(ticker)

    return table_of(reader, context, tickers, _CoingeckoTicker, read_ticker, "tickers")


def _exchange(reader: Reader, value: dict[str, Any], context: ResponseContext) -> str:
    """Our id of the exchange: by the id in the request, else by the display name in the response."""
    name = reader.get(value, "name", str)
    if context.request is not None and context.request.path.startswith("/derivatives/exchanges/"):
        exchange_id = context.request.path.rsplit("/", 1)[1]
        if exchange_id in IDS:
            return IDS[exchange_id]
        raise BadCall(
            f"coingecko: exchange id {exchange_id!r} is in no table; the table has {', '.join(sorted(IDS))}"
        )
    if name in DISPLAY_NAMES:
        return DISPLAY_NAMES[name]
    raise reader.bad("name", f"is in no table; the table has {', '.join(sorted(DISPLAY_NAMES))}", name)


def _is_perpetual(reader: Reader, contract_type: str, symbol: str) -> bool:
    if contract_type not in ("perpetual", "futures"):
        raise reader.bad("contract_type", f"of {symbol} is neither perpetual nor futures", contract_type)
    return contract_type == "perpetual"


def _fresh(reader: Reader, field: str, traded: int | None, symbol: str, at: datetime) -> bool:
    if traded is None:
        return False
    when = from_ms(reader.seconds({field: traded}, field) * 1000)
    if when > at + _AHEAD:
        raise reader.bad(
            field, f"of {symbol} lies after the receipt of the response, {at:%Y-%m-%dT%H:%MZ}", traded
        )
    return at - when <= _STALE


def _percent(reader: Reader, percent: float | None, symbol: str) -> float | None:
    if percent is None:
        return None
    if abs(percent) > _ABSURD * 100:
        raise reader.bad("funding_rate", f"of {symbol} is beyond {_ABSURD * 100:g} percent", percent)
    return percent + 0.0  # no negative zero


def _counted(reader: Reader, field: str, value: float | None, symbol: str) -> float | None:
    if value is not None and reader.finite(field, value) < 0:
        raise reader.bad(field, f"of {symbol} is negative", value)
    return value


def _quote(symbol: str, asset: str) -> str | None:
    """The quote where the symbol is plainly asset and quote, else None."""
    match = re.fullmatch(f"{_MULTIPLE}?{re.escape(asset)}{_QUOTE.pattern}", symbol)
    return match[1] if match else None


def _market(exchange: str, symbol: str, asset: str, quote: str | None) -> Market:
    if not symbol or not asset:
        raise Reader(NAME, "/derivatives").bad("symbol", f"or token is empty: {symbol!r}, {asset!r}")
    multiple = re.match(f"{_MULTIPLE}(?={re.escape(asset)})", symbol)
    dex, colon, _ = symbol.rpartition(":")
    name = (multiple[0] if multiple else "") + asset.rpartition(":")[2]
    if exchange == "hyperliquid" and colon:
        name = f"{dex.lower()}:{name}"  # CoinGecko writes builder dexes in capitals
    what = identify(exchange, name)
    return Market(
        exchange,
        symbol,
        what.base,
        quote,
        what.asset_class,
        what.multiplier,
        interval_hours=INTERVAL_HOURS.get(exchange),
    )


def response_time(body: bytes) -> datetime | None:
    """The instant of the newest trade in a response, nearly the time of the response; None where it has none."""
    try:
        value = msgspec.json.decode(body, type=list[_Traded] | _Tickers)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    rows = value.tickers if isinstance(value, _Tickers) else value
    times = [row.last_traded_at or row.last_traded or 0 for row in rows]
    newest = max(times, default=0)
    return from_ms(newest * 1000) if 1_262_304_000 <= newest < 4_102_444_800 else None


def symbol_market(symbol: str) -> Market:
    """Raises BadCall: many exchanges share a symbol."""
    raise BadCall(
        f"coingecko: {symbol!r} names no market, many exchanges share a symbol; name the exchange itself"
    )


# --- keys and plans


def _plan(env: Mapping[str, str]) -> str:
    plan = env.get("COINGECKO_PLAN") or "demo"
    if plan not in ("demo", "pro"):
        raise BadCall(f"COINGECKO_PLAN is {plan!r}: it must be demo or pro")
    return plan


def headers(env: Mapping[str, str]) -> dict[str, str]:
    """The key's header, by plan; none without COINGECKO_API_KEY (requests without a key work, slower).

    Raises BadCall for a plan that does not exist, for pro without a key, for a key no header can carry; the key is in
    no message.
    """
    plan, key = _plan(env), (env.get("COINGECKO_API_KEY") or "").strip()
    if not key:
        if plan == "pro":
            raise BadCall("COINGECKO_PLAN is pro, but COINGECKO_API_KEY is not set")
        return {}
    if not re.fullmatch(r"[!-~]+", key):
        raise BadCall("COINGECKO_API_KEY has characters that no key has (blanks, line ends, non-ASCII)")
    return {f"x-cg-{plan}-api-key": key}


def base_for(env: Mapping[str, str]) -> str:
    """The host of the plan in COINGECKO_PLAN."""
    return _PRO_HOST if _plan(env) == "pro" else _HOST


# --- refusals

_HINTS = {
    10002: "a key is needed: set COINGECKO_API_KEY, and COINGECKO_PLAN to demo or pro",
    10005: "the plan does not include this",
    10010: "this is a pro key on the demo host: set COINGECKO_PLAN=pro",
    10011: "this is a demo key on the pro host: set COINGECKO_PLAN=demo",
}
_ENVELOPE = 8192  # no error is longer
# By pattern, so that a body cut short still shows its code.
_CODE = re.compile(rb'"error_code"\s*:\s*(\d+)')
_MESSAGE = re.compile(rb'"(?:error_message|error)"\s*:\s*"([^"]*)')


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    code, message = _error_of(body)
    if status >= 500 or (status == 200 and code is None and not message):
        return None
    refusal = f"coingecko answers {status}" + (f", code {code}" if code is not None else "")
    refusal += f": {message}" if message else ""
    if 429 in (status, code):
        return RateLimited(
            f"{refusal} (more requests than the plan allows; without a key the limit is shared)"
        )
    kind, why = Refused, "see the datasheet, fundingdb/fetchers/coingecko.py"
    if code in _HINTS or status == 401:
        why = _HINTS[code if code in _HINTS else 10002]
    elif body.lstrip()[:1] == b"<" or b"1020" in body[:64]:
        why = "Cloudflare blocks this address; wait, or use another address"
    elif message and status in (400, 404, 422):
        kind, why = BadCall, "unknown id or parameter"
    return kind(f"{refusal} - {why}")


def _error_of(body: bytes) -> tuple[int | None, str]:
    """Code and message of the three shapes: status.error_code, error_code + status.error_message, error."""
    if len(body) > _ENVELOPE:
        return None, ""
    code, message = _CODE.search(body), _MESSAGE.search(body)
    shown = message[1].decode("utf-8", "replace")[:300] if message else ""
    return (int(code[1]) if code else None), re.sub(r"CG-\w+", "CG-***", shown)


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url=_HOST,
    budget=Budget(scope=NAME, capacity=30, per_seconds=60, concurrent=2),
    markets=Sweep(_requests, _parse_markets),
    current=Sweep(_requests, _parse_current),
    history=None,
    market=symbol_market,
    refusal=_refusal,
    headers=headers,
    base_for=base_for,
    response_time=response_time,
    unit="percent per payment of the exchange itself",
    interval="the exchange's own, not in the response",
    checked="2026-11-22",
    evidence="documented; /derivatives recorded in 2023",
)
