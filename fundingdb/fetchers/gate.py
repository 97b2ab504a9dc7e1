"""Gate, perpetuals settled in USDT: the datasheet of its API, and pure functions that read it.

Pages     www.gate.com/docs/developers/apiv4 futures (contracts, tickers, funding_rate), 2026-11-22. Recorded responses
          of September 2026. The coin-settled book (/futures/btc) is not read.
Request   GET, no key. 200 requests in 10 s by endpoint and address.
Envelope  none: lists. An error is an object {"label", "message"} with a status of 400 or more.
Markets   /contracts, all in one response: `status` trading, `in_delisting` false, `is_pre_market` false trade. A pre-market
          contract has status trading too and a tiny cap. What is gone is not listed.
Unit      fraction of notional per interval, text, 6 decimals (rate_step 1e-6). Positive: longs pay shorts.
          `funding_rate` is the estimate due at `funding_next_apply`. `interest_rate` is per day: not read.
Interval  contract `funding_interval`, seconds. Neither tickers nor history state it: interval_from is unknown there.
Clock     Unix SECONDS. History stamps 1-3 s after the hour: funding_time is the hour within a minute, else refused.
History   /funding_rate?contract&from&to&limit: newest first; at most 1,000 rows, a wider window silently gives its newest
          1,000. Bounds are inclusive. Rows are {r, t} and name no market.
Size      contract position_size is one side, tickers total_size counts both, exactly twice that, and is halved; both in
          contracts of quanto_multiplier coins. That multiplier scales sizes, not prices or rates.
Cap       funding_rate_limit, fraction per interval, of now.
Class     contract_type: "" coins, stocks, indices, commodities, metals, forex; PAXG and XAUT (metals) and USDC (forex) are
          coins.
Names     BASE_USDT. 2Z is a name; CAT is Caterpillar.
Unknown   how dividends of stock perpetuals are paid; two rates at one instant are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall, FundingdbError, RateLimited, Refused
from fundingdb.fetchers.contract import (
    Backward,
    Budget,
    Fetcher,
    History,
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import Reader, Span, bounded, counted, decimals, decode, shaped
from fundingdb.fetchers.rows import (
    Row,
    funding_rows,
    market_row,
    markets_of,
    named_market,
    snapshot_row,
    snapshots_of,
    stated_status,
)
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.window import Window

NAME = "gate"
RATE_STEP = 1e-6
CAP = 1000
_HOUR = 3600
_NEAR = 60  # seconds that a stamp may be off its hour
_FIRST, _LAST = 1_262_304_000, 4_102_444_800  # 2010 .. 2100
_ABSURD = 0.1  # fraction per interval; recorded caps end at 0.02
_STATUS = {
    "trading": "active",
    "prelaunch": "prelisted",
    "circuit_breaker": "inactive",
    "delisting": "reduce_only",
    "delisted": "delisted",
}
_CLASSES = {
    "": "crypto",
    "stocks": "equity",
    "indices": "index",
    "metals": "commodity",
    "commodities": "commodity",
    "forex": "fx",
}
_COINS = ("PAXG", "XAUT", "USDC")  # tokens listed under metals and forex


class _GatePayment(msgspec.Struct):
    r: str
    t: int


class _GateContract(msgspec.Struct):
    name: str
    status: str
    in_delisting: bool
    is_pre_market: bool
    funding_rate: str
    funding_interval: Span
    funding_next_apply: int
    mark_price: str
    index_price: str
    quanto_multiplier: str
    contract_type: str | None = None
    position_size: int | str | None = None
    funding_rate_limit: str = ""
    leverage_max: str = ""
    launch_time: int = 0


class _GateTicker(msgspec.Struct):
    contract: str
    funding_rate: str
    mark_price: str
    index_price: str
    total_size: str
    quanto_multiplier: str
    volume_24h_quote: str


_PAYMENTS = msgspec.json.Decoder(list[_GatePayment])


# --- history


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    start, stop = window.seconds
    span = (("from", str(start - _NEAR)), ("to", str(stop)), ("limit", str(CAP)))
    return Request("funding_rate", "/funding_rate", params=(("contract", market.symbol), *span))


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time of `context.market` (BadCall without it: rows name none); possibly none. No interval."""
    reader = Reader(NAME, "funding_rate")
    try:
        rows = _PAYMENTS.decode(body)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
    ):  # slower, for an error that names the field
        rows = shaped(decode(body, NAME, "funding_rate"), list[_GatePayment], NAME, "funding_rate")
    market = context.market
    if market is None:
        raise BadCall(
            "gate: a response of funding_rate does not name its market; give it (parse ... --symbol BTC_USDT)"
        )
    if not rows:
        return FUNDING.empty().drop("month")
    stamps = [row.t for row in rows]
    for stamp in (min(stamps), max(stamps)):
        if not _FIRST <= stamp < _LAST:
            raise reader.bad("t", "is not a time in Unix seconds", stamp)
    if late := [t for t in stamps if _NEAR < t % _HOUR < _HOUR - _NEAR]:
        raise reader.bad("t", "is not within a minute of a full hour", late[0])
    rates = decimals(reader, "r", [row.r for row in rows])
    if absurd := [r for r in rates if abs(r) > _ABSURD]:
        raise reader.bad("r", f"{market.symbol}: {absurd[0]:g} is beyond {_ABSURD:g} per interval")
    measured = {
        "funding_time": [(t + _NEAR) // _HOUR * _HOUR * 1000 for t in stamps],
        "reported_time": [t * 1000 for t in stamps],
        "funding_rate": rates,
        "native_rate": rates,
        "mark_price": [None] * len(rows),
        "interval_hours": [None] * len(rows),
        "interval_from": ["unknown"] * len(rows),
    }
    return funding_rows(market, context, measured, hours=1.0)


# --- current


def _current_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request("contracts", "/contracts"), Request("tickers", "/tickers")]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of contracts that trade, or of tickers (no interval, but the volume), to be merged by symbol."""
    endpoint = context.request.endpoint if context.request else "contracts"
    reader = Reader(NAME, endpoint)
    value = decode(body, NAME, endpoint)
    if not isinstance(value, list) or not value:
        raise reader.bad("(body)", "is not a list of contracts")
    if isinstance(value[0], dict) and "contract" in value[0]:

        def read_ticker(ticker: _GateTicker) -> Row | None:
            market = _trading(reader, ticker.contract, context)
            return None if market is None else _of_ticker(reader, ticker, market, context)

        return snapshots_of(reader, context, value, _GateTicker, read_ticker)

    def read(row: _GateContract) -> Row | None:
        market = _of_contract(reader, row, context)
        return _snapshot(reader, row, market, context) if market.status == "active" else None

    return snapshots_of(reader, context, value, _GateContract, read)


def _trading(reader: Reader, symbol: str, context: ResponseContext) -> Market | None:
    if not context.markets:
        return named_market(reader, "contract", symbol, symbol_market)
    market = context.markets.get(symbol)
    return market if market is not None and market.status == "active" else None


def _sized(
    reader: Reader, row: _GateContract | _GateTicker, size: float | None, market: Market
) -> dict[str, Any]:
    """Prices per ONE base token, and what `size` contracts, one side, are worth."""
    mark = counted(reader, "mark_price", row.mark_price, market.symbol)
    index = counted(reader, "index_price", row.index_price, market.symbol)
    coins = counted(reader, "quanto_multiplier", row.quanto_multiplier, market.symbol)
    units = None if size is None or not coins else size * coins
    return {
        "mark_price": mark / market.multiplier or None,
        "index_price": index / market.multiplier or None,
        "open_interest": None if units is None else units * market.multiplier,
        "open_interest_usd": None if units is None or not mark else units * mark,
        "rate_step": RATE_STEP,
    }


def _snapshot(reader: Reader, row: _GateContract, market: Market, context: ResponseContext) -> dict[str, Any]:
    rate = reader.finite("funding_rate", row.funding_rate)
    most = min(_ABSURD, market.rate_cap or _ABSURD)
    if abs(rate) > most:
        problem = f"{market.symbol}: {rate:g} is beyond {most:g} per interval"
        raise reader.bad("funding_rate", problem)
    due = reader.seconds({"funding_next_apply": row.funding_next_apply}, "funding_next_apply")
    if due % _HOUR:
        raise reader.bad("funding_next_apply", f"of {market.symbol} is not on a full hour", due)
    size = (
        None
        if row.position_size is None
        else counted(reader, "position_size", str(row.position_size), row.name)
    )
    values = {
        **_sized(reader, row, size, market),
        "funding_rate": rate,
        "native_rate": rate,
        "interval_hours": market.interval_hours,
        "next_funding_time": from_ms(due * 1000),
    }
    return snapshot_row(market, context.at, values)


def _of_ticker(reader: Reader, row: _GateTicker, market: Market, context: ResponseContext) -> dict[str, Any]:
    rate = reader.finite("funding_rate", row.funding_rate)
    if abs(rate) > _ABSURD:
        raise reader.bad("funding_rate", f"{market.symbol}: {rate:g} is beyond {_ABSURD:g} per interval")
    values = {
        **_sized(reader, row, counted(reader, "total_size", row.total_size, row.contract) / 2, market),
        "funding_rate": rate,
        "native_rate": rate,
        "volume_24h_usd": counted(reader, "volume_24h_quote", row.volume_24h_quote, row.contract),
    }
    return snapshot_row(market, context.at, values)


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request("contracts", "/contracts")]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all contracts, pre-market ones as prelisted."""
    reader = Reader(NAME, "contracts")

    def read(row: _GateContract) -> Row:
        leverage = counted(reader, "leverage_max", row.leverage_max, row.name) if row.leverage_max else None
        values = {"collateral": "USDT", "max_leverage": leverage or None}
        return market_row(_of_contract(reader, row, context), context, values)

    contracts = reader.array(decode(body, NAME, "contracts"))
    return markets_of(reader, context, contracts, _GateContract, read, symbol="name", by_symbol=symbol_market)


def _of_contract(reader: Reader, row: _GateContract, context: ResponseContext) -> Market:
    base, _, quote = row.name.rpartition("_")
    if not base or not quote:
        raise reader.bad("name", "is not BASE_QUOTE", row.name)
    seconds = reader.span("funding_interval", row.funding_interval)
    if not _HOUR <= seconds <= 24 * _HOUR or seconds % _HOUR:
        raise reader.bad(
            "funding_interval", f"of {row.name} is not 1 to 24 full hours in seconds", row.funding_interval
        )
    if row.contract_type is not None and row.contract_type not in _CLASSES:
        raise reader.bad(
            "contract_type", f"of {row.name} is none of the documented kinds of asset", row.contract_type
        )
    stated = None if row.contract_type is None else _CLASSES[row.contract_type]
    what = identify(NAME, base, asset_class="crypto" if base in _COINS else stated)
    status = stated_status(reader, context, "status", row.name, row.status, _STATUS)
    if status == "active" and row.is_pre_market:
        status = "prelisted"
    elif status == "active" and row.in_delisting:
        status = "reduce_only"
    cap = (
        counted(reader, "funding_rate_limit", row.funding_rate_limit, row.name)
        if row.funding_rate_limit
        else None
    )
    since = reader.seconds({"launch_time": row.launch_time}, "launch_time") if row.launch_time else None
    if cap is not None:
        bounded(reader, "funding_rate_limit", cap, 1.0, row.name)
    return Market(
        exchange=NAME,
        symbol=row.name,
        base=what.base,
        quote=quote,
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        status=status,
        interval_hours=seconds / _HOUR,
        rate_cap=cap or None,
        listed_at=None if since is None else from_ms(since * 1000),
    )


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses: the class comes from tables, not from the exchange.

    Raises BadCall for a name without a quote.
    """
    base, _, quote = symbol.rpartition("_")
    if not base or not quote:
        raise BadCall(
            f"gate: {symbol!r} is no market name; names look like BTC_USDT (fundingdb markets gate)"
        )
    what = identify(NAME, base)
    return Market(NAME, symbol, what.base, quote, what.asset_class, what.multiplier)


# --- refusals


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    label, message = _error_of(body)
    if status >= 500 or (status == 200 and label is None):
        return None
    refusal = ", ".join(filter(None, (f"gate answers {status}", label, message)))
    if status == 429 or label in ("TOO_MANY_REQUESTS", "TOO_FAST"):
        return RateLimited(f"{refusal}: more than 200 requests in 10 s from this address")
    if label == "CONTRACT_NOT_FOUND":
        return BadCall(f"{refusal}: it has no such market; see: fundingdb markets gate")
    return Refused(f"{refusal}: see the datasheet, fundingdb/fetchers/gate.py")


def _error_of(body: bytes) -> tuple[str | None, str]:
    if body.lstrip()[:1] != b"{" or b'"label"' not in body[:4096]:
        return None, ""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, ""
    return str(error.get("label", "?")), str(error.get("message", ""))[:200]


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://api.gateio.ws/api/v4/futures/usdt",
    budget=Budget(scope=NAME, capacity=200, per_seconds=10, concurrent=8),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        paging=Backward(cap=CAP),
        request=_history_request,
        parse=_parse_history,
        depth="unknown; requested back to the market's listing",
    ),
    market=symbol_market,
    refusal=_refusal,
    unit="fraction per interval",
    interval="1, 2, 4 or 8 h, moves by market; history does not state it",
    checked="2026-11-22",
    evidence="recorded",
)
