"""Nado (perpetuals on Ink, margined in USDT0): the datasheet, and pure functions over it.

Sources   docs.nado.xyz (archive: funding_rate_history, v2/contracts; gateway: symbols; rate limits; core/funding-rates;
          oracle feed reference); responses recorded 2026-09-13. Read 2026-11-22.
Request   no key. Two hosts: the archive has rates, the gateway (403 without Accept-Encoding: gzip) the markets.
          2,400 weight a minute, 400 in 10 s: history 2 + rows / 100, symbols 2.
Markets   gateway /v1/query?type=symbols: trading_status live trades; post_only, not_tradable, reduce_only and
          soft_reduce_only (off hours) don't, and /v2/contracts shows rates of all: rows are read only of markets known
          to be live. `type` perp; spot is left out.
Unit      current: fraction per 24 HOURS, JSON number: rate = figure / 24. History: fraction per hour * 1e18, whole
          number as text: rate = figure / 1e18. Positive: longs pay shorts. In quiet markets 0.0003 a day is 0.0000125.
Interval  1 hour for all, nowhere in the payload: `interval_from` is declared. The 24 hours are a basis, no interval.
Clock     seconds on the full hour, text in history, a number in contracts. Early in an hour the estimate is noise.
History   POST /v1 {"funding_rate_history": {product_id, start_time, end_time, limit}}: oldest first, 1,000 rows.
          Rows name the product id alone. No prices.
Current   GET /v2/contracts?edge=false: a map by ticker_id; the estimate for next_funding_rate_timestamp.
Price     mark_price, index_price per contract unit: divided by the multiplier. contract_price is another one.
Size      open_interest is contract units, one side; open_interest_usd is it times contract_price, as published. quote_volume is
          USDT0 of 24 hours, counted as dollars.
Cap       none is documented; a rate beyond 0.05 per hour is refused as another unit.
Symbol    ticker_id BTC-PERP_USDT0, the gateway's BTC-PERP and the quote; native_id is product_id. kPEPE, kBONK are 1000
          tokens.
Class     in the docs' feed reference alone: tables of identity.py. WTI is CL of others.
Unknown   how far back history reaches; whether bounds are inclusive (an hour more is context).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall
from fundingdb.fetchers.contract import (
    Budget,
    Fetcher,
    Forward,
    History,
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import HOUR_MS, Reader, bounded, decode, refused, shaped
from fundingdb.fetchers.rows import (
    Row,
    funding_rows,
    market_row,
    markets_of,
    snapshot_row,
    snapshots_of,
    stated_status,
)
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.errors import FundingdbError
    from fundingdb.window import Window

NAME = "nado"
CAP = 1000
QUOTE = "USDT0"
_GATEWAY = "https://gateway.prod.nado.xyz"
_HISTORY, _CURRENT, _MARKETS = "funding_rate_history", "/v2/contracts", "query?type=symbols"
_HOURS_OF_BASIS = 24
_HOUR_S = 3600
_LATE_S = 60
_ABSURD = 0.05  # fraction per hour
_WHOLE, _SECONDS = re.compile(r"-?[0-9]{1,30}"), re.compile(r"[0-9]{10}")
_PERP = "-PERP"
_SUFFIX = f"{_PERP}_{QUOTE}"
_STATUS = {
    "live": "active",
    "post_only": "inactive",
    "not_tradable": "inactive",
    "reduce_only": "reduce_only",
    "soft_reduce_only": "reduce_only",
}


class _NadoPayment(msgspec.Struct):
    product_id: int
    timestamp: str
    funding_rate_x18: str


class _NadoPage(msgspec.Struct):
    funding_rates: list[_NadoPayment]


class _NadoContract(msgspec.Struct):
    product_id: int
    ticker_id: str
    base_currency: str
    quote_currency: str
    product_type: str
    mark_price: float
    index_price: float
    open_interest: float
    open_interest_usd: float
    quote_volume: float
    funding_rate: float
    next_funding_rate_timestamp: int


class _Symbol(msgspec.Struct):
    name: str  # the key of the row
    type: str
    product_id: int
    symbol: str
    trading_status: str


# --- history


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    if market.native_id is None or not re.fullmatch(r"\d{1,9}", market.native_id, re.ASCII):
        raise BadCall(f"nado: the product id of {market.symbol} is not known (fundingdb markets nado)")
    start, stop = window.seconds
    query = {
        "product_id": int(market.native_id),
        "start_time": start - _HOUR_S,
        "end_time": stop + 1,
        "limit": CAP,
    }
    return Request(_HISTORY, "/v1", method="POST", json={_HISTORY: query}, cost=2 + CAP / 100)


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time of `context.market`; maybe none. Raises BadCall without a market: rows name product ids."""
    reader = Reader(NAME, _HISTORY)
    rows = shaped(decode(body, NAME, _HISTORY), _NadoPage, NAME, _HISTORY).funding_rates
    market = context.market
    if not rows:
        return FUNDING.empty().drop("month")
    if market is None:
        raise BadCall(f"nado: a response does not name its market; name it (parse ... --symbol BTC{_SUFFIX})")
    product = market.native_id or str(rows[0].product_id)
    if others := {row.product_id for row in rows if str(row.product_id) != product}:
        raise reader.bad("product_id", f"is {min(others)}, requested was {market.symbol} {product}")
    stamps = [_settled_at(reader, row.timestamp) for row in rows]
    rates = [_of_x18(reader, row.funding_rate_x18, market.symbol) for row in rows]
    measured = {
        "funding_time": [t - t % HOUR_MS for t in stamps],
        "reported_time": stamps,
        "funding_rate": rates,
        "native_rate": [float(row.funding_rate_x18) for row in rows],
        "mark_price": [None] * len(rows),
    }
    return funding_rows(market, context, measured, hours=1.0)


def _settled_at(reader: Reader, text: str) -> int:
    if not _SECONDS.fullmatch(text):
        raise reader.bad("timestamp", "is not a time in Unix seconds, as text", text)
    stamp = reader.seconds({"timestamp": int(text)}, "timestamp")
    if stamp % _HOUR_S >= _LATE_S:
        raise reader.bad("timestamp", "is more than a minute after a full hour", text)
    return stamp * 1000


def _of_x18(reader: Reader, text: str, symbol: str) -> float:
    if not _WHOLE.fullmatch(text):
        raise reader.bad("funding_rate_x18", "is not a whole number as text", text)
    return bounded(reader, "funding_rate_x18", float(f"{text}e-18"), _ABSURD, symbol)


# --- current


def _current_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_CURRENT, _CURRENT, params=(("edge", "false"),))]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of the markets that are live in `context.markets`: the estimate of the running hour.

    Raises BadCall without known markets: the response does not show which of them trade.
    """
    reader = Reader(NAME, _CURRENT)
    contracts = decode(body, NAME, _CURRENT)
    if not isinstance(contracts, dict):
        raise reader.bad("(body)", f"is {type(contracts).__name__}, must be an object", contracts)
    if not contracts:
        raise reader.bad("(body)", "is an empty map: no market at all")
    if not context.markets:
        raise BadCall(
            "nado: contracts does not show which markets trade; the gateway's response for symbols is needed"
            " (parse ... --markets FILE)"
        )

    def read(entry: tuple[str, _NadoContract]) -> Row | None:
        name, row = entry
        known = _read(reader, name, row)
        market = context.markets.get(name)
        if market is None or market.status != "active":
            return None
        if market.native_id not in (None, str(row.product_id)):
            raise reader.bad("product_id", f"of {name} is not {market.native_id}", row.product_id)
        return _snapshot(market, row, known, context)

    return snapshots_of(reader, context, contracts.items(), tuple[str, _NadoContract], read)


def _read(reader: Reader, name: str, row: _NadoContract) -> dict[str, Any]:
    if row.ticker_id != name or name != f"{row.base_currency}_{row.quote_currency}":
        raise reader.bad("ticker_id", f"is not made of base and quote under the name {name!r}", row)
    if row.product_type != "perpetual":
        raise reader.bad("product_type", f"of {name} is not perpetual", row.product_type)
    due = reader.seconds(
        {"next_funding_rate_timestamp": row.next_funding_rate_timestamp}, "next_funding_rate_timestamp"
    )
    if due % _HOUR_S:
        raise reader.bad("next_funding_rate_timestamp", f"of {name} is not on a full hour", due)
    sizes = {
        f: getattr(row, f)
        for f in ("mark_price", "index_price", "open_interest", "open_interest_usd", "quote_volume")
    }
    for field, value in sizes.items():
        if reader.finite(field, value) < 0:
            raise reader.bad(field, f"of {name} is negative", value)
    daily = reader.finite("funding_rate", row.funding_rate)
    return {
        "funding_rate": bounded(reader, "funding_rate", daily / _HOURS_OF_BASIS, _ABSURD, name),
        "interval_hours": 1.0,
        "native_rate": daily,
        "next_funding_time": from_ms(due * 1000),
        "open_interest_usd": row.open_interest_usd,
        "volume_24h_usd": row.quote_volume,
    }


def _snapshot(
    market: Market, row: _NadoContract, known: dict[str, Any], context: ResponseContext
) -> dict[str, Any]:
    own = {
        "mark_price": row.mark_price / market.multiplier or None,  # a price of 0 is none
        "index_price": row.index_price / market.multiplier or None,
        "open_interest": row.open_interest * market.multiplier,
    }
    return snapshot_row(market, context.at, {**known, **own})


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_MARKETS, "/v1/query", params=(("type", "symbols"),), cost=2, base_url=_GATEWAY)]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all perpetuals, those that don't trade too; no spot."""
    reader = Reader(NAME, _MARKETS)
    response = decode(body, NAME, _MARKETS)
    if (status := reader.get(response, "status", str)) != "success":
        raise reader.bad("status", "is not success", status)
    symbols = reader.get(reader.get(response, "data", dict), "symbols", dict)

    def read(row: _Symbol) -> Row | None:
        if row.type not in ("perp", "spot"):
            raise reader.bad("type", f"of {row.name} is neither perp nor spot", row.type)
        return (
            None
            if row.type == "spot"
            else market_row(_listed(reader, row, context), context, {"collateral": QUOTE})
        )

    rows = markets_of(
        reader,
        context,
        [{**row, "name": name} if isinstance(row, dict) else row for name, row in symbols.items()],
        _Symbol,
        read,
        "symbols",
        symbol="name",
        by_symbol=lambda name: symbol_market(f"{name}_{QUOTE}"),
    )
    if rows.is_empty():
        raise reader.bad("symbols", "names no perpetual at all")
    return rows


def _listed(reader: Reader, row: _Symbol, context: ResponseContext) -> Market:
    name = row.name
    if row.symbol != name or not name.endswith(_PERP) or name == _PERP:
        raise reader.bad("symbol", f"is {row.symbol!r} under the name {name!r}, must be like BTC-PERP")
    if row.product_id < 0:
        raise reader.bad("product_id", f"of {name} is negative", row.product_id)
    what = identify(NAME, name.removesuffix(_PERP))
    return Market(
        exchange=NAME,
        symbol=f"{name}_{QUOTE}",
        base=what.base,
        quote=QUOTE,
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        native_id=str(row.product_id),
        status=stated_status(
            reader, context, "trading_status", f"{name}_{QUOTE}", row.trading_status, _STATUS
        ),
        interval_hours=1.0,
    )


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses: its product id is unknown.

    Raises BadCall for a name that is not BASE-PERP_USDT0.
    """
    asset = symbol.removesuffix(_SUFFIX)
    if not symbol.endswith(_SUFFIX) or not asset:
        raise BadCall(
            f"nado: {symbol!r} is no market name; names look like BTC{_SUFFIX} (fundingdb markets nado)"
        )
    what = identify(NAME, asset)
    return Market(NAME, symbol, what.base, QUOTE, what.asset_class, what.multiplier, interval_hours=1.0)


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    return refused(NAME, status, body, "2,400 weight a minute or 400 in 10 seconds from this address")


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://archive.prod.nado.xyz",
    budget=Budget(scope=NAME, capacity=400, per_seconds=10, concurrent=4),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        paging=Forward(cap=CAP),
        request=_history_request,
        parse=_parse_history,
        depth="not documented; requested back to the market's listing",
    ),
    market=symbol_market,
    refusal=_refusal,
    unit="fraction per hour times 1e18; per 24 h for now",
    interval="1 h",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=5),
)
