"""OKX perpetual swaps, linear and inverse: the datasheet of its API, and pure functions that read it.

Pages     www.okx.com/docs-v5 public data (funding rate, funding rate history, instruments, mark price), 2026-11-22. Recorded
          responses of September 2026.
Request   GET, no key. History 10 requests in 2 s by address and instrument; here 10 in 2 s by address for all.
Envelope  {"code": "0", "data": [...], "msg"}: `code` counts; a refusal for too many requests may be HTTP 200 with 50011.
Markets   /instruments?instType=SWAP, `state` live. Names are BASE-QUOTE-SWAP with USDT, USDC or USD; base and quote come
          from instFamily. ctVal and ctMult scale contracts, not prices or rates. `OPENAI-USDT-SWAP` is quoted at a
          tenth of its asset: multiplier 0.1.
Unit      fraction of notional per interval, text, 16 decimals (rate_step 1e-16). Positive: longs pay shorts, on
          inverse swaps too.
Current   /funding-rate?instId=ANY: `fundingRate` is the estimate due at `fundingTime`, `nextFundingTime` the payment
          after it. Dated contracts that pay funding (XAU-USD_UM_XPERP-310502) are in the same list: left out.
Interval  no field. fundingTime - prevFundingTime is the running period, nextFundingTime - fundingTime the one after;
          where they differ the market has just moved: the running period counts once settState is settled, else
          none. History states none: interval_from is unknown.
Clock     ms as text, on the hour; more than a minute after it is refused.
History   /funding-rate-history?instId&after&limit: newest first, strictly older than `after`, at most 100 rows, no lower
          bound. `realizedRate` is what was paid; `fundingRate` is what was forecast. THREE MONTHS only: what is older
          is gone, an older window is proven empty as of now.
Cap       maxFundingRate and minFundingRate of the current rows, fractions per interval, of now.
Class     instCategory: 1 coins, 3 stocks and indices (which of them by table), 4 commodities, 5 fx; 6 bonds have no
          class here and are left out. `category` is a fee group.
Price     /mark-price?instType=SWAP, a second response of each sweep; history has none. Open interest is not requested.
Unknown   how dividends of stock perpetuals are paid; two rates at one instant are refused.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from fundingdb.errors import BadCall, FundingdbError, RateLimited, Refused, Unreachable
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
from fundingdb.fetchers.payload import Reader, bounded, counted, decode, shaped, text_ms
from fundingdb.fetchers.rows import (
    Row,
    late_stamped_rows,
    market_row,
    markets_of,
    snapshot_row,
    snapshots_of,
    stated_status,
    the_market,
)
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fundingdb.window import Window

NAME = "okx"
RATE_STEP = 1e-16
CAP = 100
_HOUR_MS = 3_600_000
_ABSURD = 0.1  # fraction per interval; recorded caps end at 0.01
_SWAP = re.compile(r"([A-Z0-9]+)-(USDT|USDC|USD)-SWAP")
_STATUS = {"live": "active", "preopen": "prelisted", "suspend": "inactive", "test": "inactive"}
_CLASSES = {"1": "crypto", "3": "equity", "4": "commodity", "5": "fx"}
_UNCLASSED = "6"  # bonds
# Quoted at a part of its asset (checked live, September 2026).
_SCALED = {"OPENAI": 0.1}


class _OkxPayment(msgspec.Struct, rename="camel"):
    inst_id: str
    realized_rate: str
    funding_time: str


class _OkxRate(msgspec.Struct, rename="camel"):
    inst_id: str
    inst_type: str
    funding_rate: str
    funding_time: str
    next_funding_time: str
    prev_funding_time: str = ""
    sett_state: str = ""
    max_funding_rate: str = ""
    min_funding_rate: str = ""


class _OkxMark(msgspec.Struct, rename="camel"):
    inst_id: str
    mark_px: str


class _OkxInstrument(msgspec.Struct, rename="camel"):
    inst_id: str
    inst_family: str
    state: str
    inst_category: str | None = None
    settle_ccy: str = ""
    lever: str = ""
    list_time: str = ""


def _rows(body: bytes, endpoint: str) -> list[Any]:
    value = decode(body, NAME, endpoint)
    reader = Reader(NAME, endpoint)
    code = reader.get(value, "code", str)
    if code != "0":
        raise reader.bad("code", f"is {code!r}, not '0'", value.get("msg"))
    return reader.items(value, "data")


# --- history


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    params = (("instId", market.symbol), ("after", str(to_ms(window.stop))), ("limit", str(CAP)))
    return Request("funding-rate-history", "/funding-rate-history", params=params)


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time, of `context.market` or else of the one instrument the rows name; possibly none. No interval."""
    endpoint = "funding-rate-history"
    reader = Reader(NAME, endpoint)
    rows = shaped(_rows(body, endpoint), list[_OkxPayment], NAME, endpoint, "data")
    if not rows:
        return FUNDING.empty().drop("month")
    market = the_market(reader, context, ("instId", [row.inst_id for row in rows]), symbol_market)
    stamps = [text_ms(reader, "fundingTime", row.funding_time) for row in rows]
    rates = [row.realized_rate for row in rows]
    return late_stamped_rows(
        reader, context, market, stamps=("fundingTime", stamps), rates=("realizedRate", rates), bound=_ABSURD
    )


# --- current


def _current_requests(_markets: Sequence[Market]) -> list[Request]:
    marks = Request("mark-price", "/mark-price", params=(("instType", "SWAP"),))
    return [_rates_request(), marks]


def _rates_request() -> Request:
    return Request("funding-rate", "/funding-rate", params=(("instId", "ANY"),))


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of funding-rate (rate, interval) or of mark-price, to be merged by symbol.

    Of `context.markets` those that trade; where these are unknown, every swap.
    """
    endpoint = context.request.endpoint if context.request else "funding-rate"
    reader = Reader(NAME, endpoint)
    data = _rows(body, endpoint)
    if not data:
        raise reader.bad("data", "is empty: no market at all")
    if isinstance(data[0], dict) and "markPx" in data[0]:

        def read_mark(mark: _OkxMark) -> Row | None:
            price = counted(reader, "markPx", mark.mark_px, mark.inst_id)
            if (market := _trading(mark.inst_id, context)) is None:
                return None
            return snapshot_row(market, context.at, {"mark_price": price / market.multiplier or None})

        return snapshots_of(reader, context, data, _OkxMark, read_mark, "data")

    def read(rate: _OkxRate) -> Row | None:
        market = _trading(rate.inst_id, context)
        return None if market is None else _snapshot(reader, rate, market, context)

    return snapshots_of(reader, context, data, _OkxRate, read, "data")


def _trading(symbol: str, context: ResponseContext) -> Market | None:
    if not _SWAP.fullmatch(symbol):
        return None
    if not context.markets:
        return symbol_market(symbol)
    market = context.markets.get(symbol)
    return market if market is not None and market.status == "active" else None


def _snapshot(reader: Reader, row: _OkxRate, market: Market, context: ResponseContext) -> dict[str, Any]:
    due, cap = text_ms(reader, "fundingTime", row.funding_time), min(_ABSURD, _cap(reader, row) or _ABSURD)
    if due % _HOUR_MS:
        raise reader.bad("fundingTime", f"of {market.symbol} is not on a full hour", due)
    rate = reader.finite("fundingRate", row.funding_rate) if row.funding_rate else None
    if rate is not None and abs(rate) > cap:
        raise reader.bad("fundingRate", f"{market.symbol}: {rate:g} is beyond the cap {cap:g} per interval")
    values = {
        "funding_rate": rate,
        "native_rate": rate,
        "interval_hours": _interval(reader, row),
        "rate_step": RATE_STEP,
        "next_funding_time": from_ms(due),
    }
    return snapshot_row(market, context.at, values)


def _cap(reader: Reader, row: _OkxRate) -> float | None:
    texts = (("maxFundingRate", row.max_funding_rate), ("minFundingRate", row.min_funding_rate))
    caps = [bounded(reader, n, reader.finite(n, text), 1.0, row.inst_id) for n, text in texts if text]
    return max(map(abs, caps), default=None) or None


def _interval(reader: Reader, row: _OkxRate) -> float | None:
    """Hours of the payment due at fundingTime; None where the row leaves it open."""
    due, after = (
        text_ms(reader, "fundingTime", row.funding_time),
        text_ms(reader, "nextFundingTime", row.next_funding_time),
    )
    before = text_ms(reader, "prevFundingTime", row.prev_funding_time) if row.prev_funding_time else None
    spans = [after - due] if before is None else [due - before, after - due]
    for span in spans:
        if not _HOUR_MS <= span <= 24 * _HOUR_MS or span % _HOUR_MS:
            raise reader.bad("nextFundingTime", f"of {row.inst_id} is not 1 to 24 full hours off", span)
    if len(set(spans)) > 1 and row.sett_state != "settled":
        return None
    return spans[0] / _HOUR_MS


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request("instruments", "/instruments", params=(("instType", "SWAP"),)), _rates_request()]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of the swaps of instruments, or rows without quote that carry funding-rate's intervals and caps."""
    endpoint = context.request.endpoint if context.request else "instruments"
    reader = Reader(NAME, endpoint)
    data = _rows(body, endpoint)
    if not data:
        raise reader.bad("data", "is empty: no market at all")
    if isinstance(data[0], dict) and "fundingRate" in data[0]:
        read_rate = partial(_of_rate, reader, context)
        return markets_of(reader, context, data, _OkxRate, read_rate, "data", by_symbol=None)

    def read(row: _OkxInstrument) -> Row | None:
        if (market := _of_instrument(reader, row, context)) is None:
            return None
        leverage = counted(reader, "lever", row.lever, row.inst_id) if row.lever else None
        values = {"collateral": row.settle_ccy or None, "max_leverage": leverage or None}
        return market_row(market, context, values)

    return markets_of(
        reader, context, data, _OkxInstrument, read, "data", symbol="instId", by_symbol=symbol_market
    )


def _of_rate(reader: Reader, context: ResponseContext, row: _OkxRate) -> Row | None:
    """Interval and cap of a swap from funding-rate; a null quote marks that instruments has not listed it."""
    if not _SWAP.fullmatch(row.inst_id):
        return None
    values = {
        "quote": None,
        "status": "inactive",
        "interval_hours": _interval(reader, row),
        "rate_cap": _cap(reader, row),
    }
    return market_row(symbol_market(row.inst_id), context, values)


def _listed(rows: pl.DataFrame) -> pl.DataFrame:
    """The merged rows of a sweep that instruments lists."""
    return rows.filter(pl.col("quote").is_not_null())


def _of_instrument(reader: Reader, row: _OkxInstrument, context: ResponseContext) -> Market | None:
    """The market of a swap; None: another name, or a kind without class."""
    if not _SWAP.fullmatch(row.inst_id) or row.inst_category == _UNCLASSED:
        return None
    if row.inst_category is not None and row.inst_category not in _CLASSES:
        raise reader.bad(
            "instCategory", f"of {row.inst_id} is none of the documented kinds of asset", row.inst_category
        )
    if f"{row.inst_family}-SWAP" != row.inst_id:
        raise reader.bad("instFamily", f"of {row.inst_id} does not fit its name", row.inst_family)
    stated = None if row.inst_category is None else _CLASSES[row.inst_category]
    listed = from_ms(text_ms(reader, "listTime", row.list_time)) if row.list_time else None
    status = stated_status(reader, context, "state", row.inst_id, row.state, _STATUS)
    return _market(row.inst_id, stated, status, listed)


def _market(
    symbol: str, stated: str | None = None, status: str = "active", listed_at: datetime | None = None
) -> Market:
    base, quote, _ = symbol.split("-")
    if stated == "equity" and identify(NAME, base).asset_class == "index":
        stated = "index"
    what = identify(NAME, base, asset_class=stated)
    return Market(
        exchange=NAME,
        symbol=symbol,
        base=what.base,
        quote=quote,
        asset_class=what.asset_class,
        multiplier=what.multiplier * _SCALED.get(base, 1.0),
        status=status,
        listed_at=listed_at,
    )


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone, for saved responses: the class comes from tables, not from the exchange.

    Raises BadCall for a name that is no swap's.
    """
    if not _SWAP.fullmatch(symbol):
        raise BadCall(f"okx: {symbol!r} is no swap; names look like BTC-USDT-SWAP (fundingdb markets okx)")
    return _market(symbol)


# --- refusals


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    code, message = _error_of(body)
    if status >= 500 or (status == 200 and code is None):
        return None
    refusal = ", ".join(filter(None, (f"okx answers {status}", code and f"code {code}", message)))
    if status == 429 or code in ("50011", "50061"):
        return RateLimited(f"{refusal}: more than 10 requests in 2 s from this address")
    if code in ("50001", "50004", "50013", "50026"):
        return Unreachable(f"{refusal}: its server is busy or down; try again later")
    if code in ("51001", "51000"):
        return BadCall(f"{refusal}: it has no such instrument; see: fundingdb markets okx")
    return Refused(f"{refusal}: see the datasheet, fundingdb/fetchers/okx.py")


def _error_of(body: bytes) -> tuple[str | None, str]:
    if b'"code"' not in body[:4096] and b'"code"' not in body[-4096:]:
        return None, ""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, ""
    if not isinstance(error, dict) or error.get("code") in ("0", None):
        return None, ""
    return str(error["code"]), str(error.get("msg", ""))[:200]


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://www.okx.com/api/v5/public",
    budget=Budget(scope=NAME, capacity=10, per_seconds=2, concurrent=4),
    markets=Sweep(_market_requests, _parse_markets, combine=_listed),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        paging=Backward(cap=CAP, open_start=True),
        request=_history_request,
        parse=_parse_history,
        depth="three months; older payments are gone",
    ),
    market=symbol_market,
    refusal=_refusal,
    unit="fraction per interval",
    interval="1, 2, 4, 6 or 8 h, moves by market; history does not state it",
    checked="2026-11-22",
    evidence="recorded",
)
