"""Hyperliquid (main dex and HIP-3 builder dexes): the datasheet, read November 2026, and pure functions over it.

Request   POST /info with {"type": ...}, no key. Weight 1,200 a minute and IP; every call here is 20, fundingHistory
          also 1 per 20 rows of its response.
Markets   allPerpMetas: the meta of every dex. Tokens of `collateralToken` are named by a table: spotMeta, which would
          name the others, is another response, and each is parsed alone; an unknown token has a null quote.
Position  contexts belong to universe[i] by position alone; rows never move, delisted ones stay. native_id is the
          position within the dex.
Unit      fraction of notional per 1 hour, text, 10 decimals (rate_step 1e-10). Positive: longs pay shorts. The
          factor of a builder dex (assetToFundingMultiplier) is already in it.
Interval  not in the payload: 8 hours for stamps before 2023-06-08 00:30Z, 1 hour after; `interval_from` is declared.
Formula   8-hour rate = premium + clamp(0.0001 - premium, -0.0005, 0.0005), an eighth of it each hour; on the dex xyz the
          clamp is 0.0003 and a sixteenth is paid. It is proven by 114,459 recorded rows of the main dex since 2024 (those
          of 2023 fit clamps of 0.0003, none, 0.0002) and few of xyz. A response with a rate that does not follow from the
          premium beside it is refused, with both figures; a row without premium, and 0 beside 0 (delisted), pass.
Cap       4 % per hour; none is documented for the 8-hour regime, where eight times that is the bound.
Clock     ms of the block: 0-500 ms after the hour; 5.5 s and 111 s are recorded, once 08:23:53. funding_time is the nearest
          hour within 60 s, else the hour before. Contexts have no stamp: the instant of receipt.
History   fundingHistory: startTime, endTime inclusive; oldest first, the OLDEST 500 silently. Some hours have no row.
Size      openInterest in contract units (coins; k-coins), one side; dollars are units x markPx, the collateral (USDC,
          USDH, USDE) valued at one dollar, null where it has no name.
Names     case counts: kPEPE is 1000 PEPE, KPEPE nothing. Symbols are sent as they are.
Foreign   predictedFundings has Binance's and Bybit's rates too. They are second hand, without those exchanges'
          symbols, and their interval is doubtful (1 h for Bybit in the one capture): only HlPerp is read. Its
          nextFundingTime lags by an hour and is computed instead.
Traps     an unknown coin is 500 or 200 with `null`; seconds for ms answer the oldest rows without an error.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from fundingdb.errors import BadCall, FundingdbError, RateLimited, Refused
from fundingdb.fetchers.contract import (
    Budget,
    Fetcher,
    Forward,
    History,
    Live,
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import Reader, Span, decimals, decode, decode_lines, shaped
from fundingdb.fetchers.rows import (
    Row,
    funding_rows,
    market_row,
    markets_of,
    snapshot_row,
    snapshot_rows,
    snapshots_of,
    the_market,
)
from fundingdb.schema import FUNDING
from fundingdb.window import next_hour, to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fundingdb.window import Window

NAME = "hyperliquid"
RATE_STEP = 1e-10
RATE_CAP = 0.04  # fraction per hour
CAP = 500
_HOUR_MS = 3_600_000
_SLACK_MS = 60_000  # a stamp this close before an hour belongs to it
_HOURLY_SINCE = datetime(
    2023, 6, 8, 0, 30, tzinfo=UTC
)  # between the last 8-hour row and the first hourly one
_HOURLY_SINCE_MS = to_ms(_HOURLY_SINCE)
# collateralToken -> name (spotMeta, November 2026).
_TOKENS = {0: "USDC", 235: "USDE", 360: "USDH"}
# The collateral of the dexes, for responses without it: the main dex and those of the datasheet.
_DEX_QUOTES = {"": "USDC", "xyz": "USDC", "km": "USDH", "flx": "USDH", "hyna": "USDE"}
_INTEREST = 0.0001
# Dex -> clamp, the part of the 8-hour rate that is paid each hour, and the first stamp (ms) of that rule.
_FORMULAS = {"": (0.0005, 8.0, 1_704_067_200_000), "xyz": (0.0003, 16.0, 0)}
_ROUNDED = 1e-8  # exports write rates with 8 decimals
_WEIGHT = 20.0
_SUBSCRIPTIONS = 1000  # a connection and IP


class _HyperliquidPayment(msgspec.Struct):
    coin: str
    fundingRate: str  # noqa: N815 - the field's own name
    time: int
    premium: str | None


class _Named(msgspec.Struct):
    name: str


class _HyperliquidCoin(msgspec.Struct, rename="camel"):
    name: str
    max_leverage: int
    position: int  # within its dex
    token: int  # the collateral of its dex
    is_delisted: bool = False  # only there when true


class _HyperliquidMeta(msgspec.Struct, rename="camel"):
    universe: list[dict[str, Any]]
    collateral_token: int


class _Context(msgspec.Struct, rename="camel"):
    funding: str
    open_interest: str
    day_ntl_vlm: str
    oracle_px: str
    mark_px: str
    premium: str | None  # null: delisted


class _Forecast(msgspec.Struct, rename="camel"):
    funding_rate: str
    next_funding_time: int
    funding_interval_hours: Span | None = None


_PAGE = msgspec.json.Decoder(list[_HyperliquidPayment])


def _info(kind: str, cost: float = _WEIGHT, **rest: Any) -> Request:
    return Request(kind, "/info", method="POST", json={"type": kind, **rest}, cost=cost)


def _dex_of(symbol: str) -> str:
    return symbol.rpartition(":")[0]


def _rate(reader: Reader, name: str, text: str, symbol: str, hours: float = 1.0) -> float:
    rate = reader.finite(name, text) + 0.0  # no negative zero
    if abs(rate) > RATE_CAP * hours:
        problem = f"{symbol}: {rate:g} is beyond the cap, {RATE_CAP * hours:g} per {hours:g} h"
        raise reader.bad(name, problem, text)
    return rate


# --- history


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    start, stop = window.ms
    cost = _WEIGHT + min(CAP, window.hours) / 20
    span = {"startTime": start - _SLACK_MS, "endTime": stop}
    return _info("fundingHistory", cost, coin=market.symbol, **span)


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time, of `context.market` or else of the one coin the rows name; maybe none."""
    reader = Reader(NAME, "fundingHistory")
    try:
        rows = _PAGE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):  # once more, slowly, for the field and the problem
        value = decode(body, NAME, "fundingHistory")
        if value is None:
            raise reader.bad("(body)", "is null, as in the response for an unknown coin") from None
        rows = shaped(value, list[_HyperliquidPayment], NAME, "fundingHistory")
    if not rows:
        return FUNDING.empty().drop("month")
    market = the_market(reader, context, ("coin", [row.coin for row in rows]), partial(_of_coin, reader))
    stamps = [row.time for row in rows]
    times = _on_the_grid(reader, stamps)
    rates = [rate + 0.0 for rate in decimals(reader, "fundingRate", [row.fundingRate for row in rows])]
    for row, rate in zip(rows, rates, strict=True):
        if abs(rate) > RATE_CAP:  # few rows: each is looked at with its own regime
            _rate(
                reader, "fundingRate", row.fundingRate, row.coin, 8.0 if row.time < _HOURLY_SINCE_MS else 1.0
            )
    _follow_from_premiums(reader, rows, rates)
    measured = {
        "funding_time": times,
        "reported_time": stamps,
        "funding_rate": rates,
        "native_rate": rates,
        "mark_price": [None] * len(rows),
    }
    frame = funding_rows(market, context, measured, hours=1.0)
    if min(stamps) >= _HOURLY_SINCE_MS:
        return frame
    eight = pl.col("reported_time") < _HOURLY_SINCE
    return frame.with_columns(interval_hours=pl.when(eight).then(8.0).otherwise(1.0))


def _follow_from_premiums(
    reader: Reader, rows: Sequence[_HyperliquidPayment], rates: Sequence[float]
) -> None:
    """Raise BadPayload for a rate that does not follow from the premium beside it, on dexes whose formula is proven."""
    stated = [(row, rate) for row, rate in zip(rows, rates, strict=True) if row.premium is not None]
    premiums = decimals(reader, "premium", [row.premium or "" for row, _ in stated])
    clamp, parts, since = _FORMULAS.get(_dex_of(rows[0].coin), (0.0, 1.0, None))
    for (row, rate), premium in zip(stated, premiums, strict=True):
        if since is None or row.time < since or rate == premium == 0:
            continue
        due = (premium + max(-clamp, min(clamp, _INTEREST - premium))) / parts
        due = max(-RATE_CAP, min(RATE_CAP, due))
        if abs(due - rate) > _ROUNDED:
            problem = f"{row.coin}: {row.fundingRate} does not follow from the premium {row.premium}, which makes {due:.10f}"
            raise reader.bad("fundingRate", problem)


def _on_the_grid(reader: Reader, stamps: Sequence[int]) -> list[int]:
    """The settlement hours (Unix ms) of block times: the nearest hour within the slack, else the hour before."""
    for stamp in (min(stamps), max(stamps)):
        reader.ms({"time": stamp}, "time")
    times = [(stamp + _SLACK_MS) // _HOUR_MS * _HOUR_MS for stamp in stamps]
    if min(stamps) < _HOURLY_SINCE_MS:
        for stamp, time in zip(stamps, times, strict=True):
            if stamp < _HOURLY_SINCE_MS and time % (8 * _HOUR_MS):
                problem = "lies in the 8-hour regime, but not at 00, 08 or 16 o'clock UTC"
                raise reader.bad("time", problem, stamp)
    return times


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [_info("allPerpMetas")]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of every coin, delisted ones too, from allPerpMetas, meta or metaAndAssetCtxs."""
    value = decode(body, NAME, "allPerpMetas")
    if _is_meta_with_contexts(value):
        metas = [_with_contexts(value)[0]]
    else:
        metas = [_meta(one) for one in (value if isinstance(value, list) else [value])]
    if not any(meta.universe for meta in metas):
        raise Reader(NAME, "allPerpMetas").bad("universe", "is empty: no market at all")
    coins = [coin for meta in metas for coin in meta.universe]
    reader = Reader(NAME, "meta")

    def read(coin: _HyperliquidCoin) -> Row:
        leverage = reader.finite("maxLeverage", coin.max_leverage)
        if leverage <= 0:
            raise reader.bad("maxLeverage", "is not positive", leverage)
        values = {"collateral": _TOKENS.get(coin.token), "max_leverage": leverage}
        return market_row(_market(coin), context, values)

    by_symbol = partial(_of_coin, reader)
    return markets_of(
        reader, context, coins, _HyperliquidCoin, read, "universe", symbol="name", by_symbol=by_symbol
    )


def _meta(value: Any) -> _HyperliquidMeta:
    """One dex's list, its names proven to be of one dex and each there once; each coin with its position and token."""
    meta = shaped(value, _HyperliquidMeta, NAME, "meta", "meta")
    names = [shaped(coin, _Named, NAME, "meta", "name").name for coin in meta.universe]
    if len({_dex_of(name) for name in names}) > 1:
        raise Reader(NAME, "meta").bad("name", "the coins of one list are of several dexes", names)
    if len(set(names)) < len(names) or "" in names:
        raise Reader(NAME, "meta").bad("name", "a coin has no name or is listed twice", names)
    token = meta.collateral_token
    meta.universe = [{**coin, "position": i, "token": token} for i, coin in enumerate(meta.universe)]
    return meta


def _market(coin: _HyperliquidCoin) -> Market:
    what = identify(NAME, coin.name)
    return Market(
        exchange=NAME,
        symbol=coin.name,
        base=what.base,
        quote=_TOKENS.get(coin.token),
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        native_id=str(coin.position),
        status="delisted" if coin.is_delisted else "active",
        interval_hours=1.0,
        rate_cap=RATE_CAP,
    )


def _of_coin(reader: Reader, coin: str) -> Market:
    """The market that a response names; raises BadPayload for an empty name."""
    if not coin:
        raise reader.bad("coin", "is empty")
    return symbol_market(coin)


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses; its quote is null for a dex that no table names."""
    what = identify(NAME, symbol)
    quote = _DEX_QUOTES.get(_dex_of(symbol))
    return Market(
        NAME,
        symbol,
        what.base,
        quote,
        what.asset_class,
        what.multiplier,
        interval_hours=1.0,
        rate_cap=RATE_CAP,
    )


# --- current


def _current_requests(markets: Sequence[Market]) -> list[Request]:
    dexes = sorted({_dex_of(m.symbol) for m in markets if m.status != "delisted"} - {""})
    return [_info("metaAndAssetCtxs"), *(_info("metaAndAssetCtxs", dex=dex) for dex in dexes)]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of coins that trade, from metaAndAssetCtxs, predictedFundings or saved WebSocket frames.

    Frames (one a line): activeAssetCtx names its coin. allDexsAssetCtxs and assetCtxs do not: `context.markets` must
    have the markets of its dexes with their positions (native_id), else BadCall is raised. All are observed at
    `context.at`, so of several frames the last of each coin counts.
    """
    values = decode_lines(body, NAME, "metaAndAssetCtxs")
    first = values[0]
    if len(values) > 1 or (isinstance(first, dict) and "channel" in first):
        return snapshot_rows(_of_frames(values, context))
    if _is_meta_with_contexts(first):
        meta, contexts = _with_contexts(first)
        _same_dex(meta, context)

        def read(pair: tuple[_HyperliquidCoin, _Context]) -> Row | None:
            coin, state = pair
            row = _of_context(_market(coin), state, context)  # delisted ones are checked too
            return None if coin.is_delisted else row

        pairs = list(zip(meta.universe, contexts, strict=True))
        reader = Reader(NAME, "metaAndAssetCtxs")
        return snapshots_of(reader, context, pairs, tuple[_HyperliquidCoin, _Context], read, "contexts")
    return _of_forecasts(first, context)


def _is_meta_with_contexts(value: Any) -> bool:
    """Whether it is [meta, contexts], and not a list of metas or of forecasts."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    return isinstance(value[0], dict) and isinstance(value[1], list)


def _with_contexts(value: list[Any]) -> tuple[_HyperliquidMeta, list[Any]]:
    meta, contexts = _meta(value[0]), value[1]
    if len(contexts) != len(meta.universe):
        problem = f"{len(contexts)} contexts for {len(meta.universe)} coins: they belong to coins by position"
        raise Reader(NAME, "metaAndAssetCtxs").bad("contexts", problem)
    return meta, contexts


def _same_dex(meta: _HyperliquidMeta, context: ResponseContext) -> None:
    if context.request is None or not isinstance(context.request.json, dict) or not meta.universe:
        return
    requested, dex = context.request.json.get("dex", ""), _dex_of(meta.universe[0]["name"])
    if requested != dex:
        raise Reader(NAME, "metaAndAssetCtxs").bad("name", f"is of dex {dex!r}, requested was {requested!r}")


def _of_context(market: Market, coin: _Context, context: ResponseContext) -> dict[str, Any]:
    reader = Reader(NAME, "metaAndAssetCtxs")

    def counted(name: str, text: str) -> float:
        value = reader.finite(name, text)
        if value < 0:
            raise reader.bad(name, f"of {market.symbol} is negative", text)
        return value

    rate = _rate(reader, "funding", coin.funding, market.symbol)
    if coin.premium is not None:
        reader.finite("premium", coin.premium)
    units = counted("openInterest", coin.open_interest)
    mark, volume = counted("markPx", coin.mark_px), counted("dayNtlVlm", coin.day_ntl_vlm)
    in_dollars = market.quote is not None
    known = {
        "funding_rate": rate,
        "interval_hours": 1.0,
        "native_rate": rate,
        "rate_step": RATE_STEP,
        "next_funding_time": next_hour(context.at),
        "mark_price": mark / market.multiplier or None,  # a price of 0 is none
        "index_price": counted("oraclePx", coin.oracle_px) / market.multiplier or None,
        "open_interest": units * market.multiplier,
        "open_interest_usd": units * mark if in_dollars and mark else None,
        "volume_24h_usd": volume if in_dollars else None,
    }
    return snapshot_row(market, context.at, known)


def _of_forecasts(value: Any, context: ResponseContext) -> pl.DataFrame:
    """Rows of HlPerp's entries of predictedFundings; a null entry is no row."""
    name = "predictedFundings"
    reader = Reader(NAME, name)

    def read(entry: tuple[str, list[tuple[str, _Forecast | None]]]) -> Row | None:
        coin, venues = entry
        forecast = next((f for venue, f in venues if venue == "HlPerp" and f is not None), None)
        if forecast is None:
            return None
        hours = forecast.funding_interval_hours
        if hours is not None and reader.span("fundingIntervalHours", hours) != 1:
            raise reader.bad("fundingIntervalHours", f"of {coin} on HlPerp is not 1", hours)
        reader.ms({"nextFundingTime": forecast.next_funding_time}, "nextFundingTime")
        rate = _rate(reader, "fundingRate", forecast.funding_rate, coin)
        values = {
            "funding_rate": rate,
            "interval_hours": 1.0,
            "native_rate": rate,
            "rate_step": RATE_STEP,
            "next_funding_time": next_hour(context.at),
        }
        market = context.markets.get(coin) or _of_coin(reader, coin)
        return None if market.status == "delisted" else snapshot_row(market, context.at, values)

    kind = tuple[str, list[tuple[str, _Forecast | None]]]
    return snapshots_of(reader, context, reader.array(value), kind, read)


def _of_frames(values: Sequence[Any], context: ResponseContext) -> list[dict[str, Any]]:
    reader = Reader(NAME, "ws")
    rows: dict[str, dict[str, Any]] = {}
    for frame in values:
        channel = reader.get(frame, "channel", str)
        if channel in ("subscriptionResponse", "pong"):
            continue
        if channel == "error":
            raise reader.bad("channel", "the stream reports an error", frame)
        for market, coin in _named(channel, reader.get(frame, "data", dict), context):
            if market.status != "delisted" and coin.premium is not None:
                rows[market.symbol] = _of_context(market, coin, context)
    return list(rows.values())


def _named(channel: str, data: Any, context: ResponseContext) -> list[tuple[Market, _Context]]:
    reader = Reader(NAME, f"ws {channel}")
    if channel == "activeAssetCtx":
        coin = reader.get(data, "coin", str)
        read = shaped(reader.get(data, "ctx", dict), _Context, NAME, reader.endpoint, "ctx")
        return [(context.markets.get(coin) or _of_coin(reader, coin), read)]
    if channel == "allDexsAssetCtxs":
        dexes = shaped(reader.items(data, "ctxs"), list[tuple[str, list[_Context]]], NAME, reader.endpoint)
    elif channel == "assetCtxs":
        contexts = shaped(reader.items(data, "ctxs"), list[_Context], NAME, reader.endpoint, "ctxs")
        dexes = [(reader.get(data, "dex", str) if "dex" in data else "", contexts)]
    else:
        raise reader.bad("channel", "is none with funding rates", channel)
    return [pair for dex, contexts in dexes for pair in _by_position(reader, dex, contexts, context)]


def _by_position(
    reader: Reader, dex: str, contexts: Sequence[_Context], context: ResponseContext
) -> list[tuple[Market, _Context]]:
    coins = {m.native_id: m for m in context.markets.values() if _dex_of(m.symbol) == dex}
    missing = [i for i in range(len(contexts)) if str(i) not in coins]
    if missing:
        raise BadCall(
            f"hyperliquid {reader.endpoint}: positions {missing[0]}..{missing[-1]} of dex {dex!r} name no coin; the markets"
            f" of that dex (response of allPerpMetas, no older than the frame) are needed"
        )
    if len(coins) > len(contexts):
        problem = f"of dex {dex!r} has {len(contexts)} contexts, {len(coins)} coins are listed: it is cut"
        raise reader.bad("ctxs", problem)
    return [(coins[str(i)], coin) for i, coin in enumerate(contexts)]


# --- stream


def _subscribe(markets: Sequence[Market]) -> list[str]:
    """By name; more markets than the exchange allows subscriptions come by position, all dexes in one."""
    kinds: list[dict[str, str]] = [{"type": "activeAssetCtx", "coin": m.symbol} for m in markets]
    if len(kinds) > _SUBSCRIPTIONS:
        kinds = [{"type": "allDexsAssetCtxs"}]
    return [json.dumps({"method": "subscribe", "subscription": kind}) for kind in kinds]


# --- refusals

_UNKNOWN_COIN = "hyperliquid answers {} with null: no such coin or dex; case counts (kPEPE), see: fundingdb markets hyperliquid"


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    text = body[:200].decode("utf-8", "replace").strip()
    if text == "null" and status in (200, 500):
        return BadCall(_UNKNOWN_COIN.format(status))
    if status == 200 or status >= 500:
        return None
    refusal = f"hyperliquid answers {status}{': ' + text if text and text != 'null' else ''}"
    if status == 429:
        return RateLimited(f"{refusal}: more than 1,200 weight a minute from this address")
    if status == 422:
        return BadCall(
            f"{refusal}: it can't read the request; see the datasheet, fundingdb/fetchers/hyperliquid.py"
        )
    return Refused(f"{refusal}: see the datasheet, fundingdb/fetchers/hyperliquid.py")


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://api.hyperliquid.xyz",
    budget=Budget(scope=NAME, capacity=1200, per_seconds=60, concurrent=8),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        paging=Forward(cap=CAP),
        request=_history_request,
        parse=_parse_history,
        depth="to the coin's listing, at most to 2023-05-12 (BTC)",
    ),
    market=symbol_market,
    refusal=_refusal,
    live=Live(
        "wss://api.hyperliquid.xyz",
        "/ws",
        _parse_current,
        subscribe=_subscribe,
        keepalive='{"method":"ping"}',
        keepalive_seconds=50,  # it closes a connection on which it sent nothing for 60 s
    ),
    unit="fraction per hour; per 8 hours before 2023-06-08 00:30Z",
    interval="1 h; 8 h before 2023-06-08 00:30Z",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=5),  # one payment of twelve thousand was stamped 111 s after its hour
)
