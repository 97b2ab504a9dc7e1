"""Binance USD-M (`binance`), Binance COIN-M (`binance-coinm`) and Aster (`aster`): one shape, three exchanges.

Pages     developers.binance.com derivatives market data (Get-Funding-Rate-History and its neighbours, USD-M and COIN-M),
          docs.asterdex.com; 2026-11-22. Recorded responses of September 2026; COIN-M is documented, never recorded.
Request   GET, no key. fundingRate and fundingInfo share 500 requests in 5 minutes and IP; the rest has 2,400 weight a
          minute, which a sweep never nears. 451 from the US, 403 from some clouds, 418 is a ban after many 429.
Markets   /exchangeInfo (status; `contractStatus` on COIN-M) and /fundingInfo (interval, caps). PERPETUAL and
          TRADIFI_PERPETUAL are perpetuals; dated contracts are none; PENDING_TRADING has contract type "". A symbol of
          fundingInfo that exchangeInfo does not list (Aster's GNSUSD) is no market.
Unit      fraction of notional per interval, text, 8 decimals (rate_step 1e-8), "0" for zero on Aster. Positive: longs
          pay shorts. `lastFundingRate` is the running estimate for `nextFundingTime`, not the last rate;
          where that time is 0 (dated and delisted symbols) nothing is due and "0.00000000" is no rate.
Interval  fundingInfo states today's (1, 2, 4, 8 h), history none: rows of history have none, interval_from is
          unknown. A market that fundingInfo does not list has none either; on COIN-M it lists nothing at all.
Clock     ms. History stamps 0-9 ms after the hour: funding_time is the hour; more than a minute off is refused.
History   /fundingRate: oldest first from startTime, at most 1,000, both bounds inclusive. Requests start an
          hour before the window, so that no page's end can part two payments of one instant. Documented to reach back to the
          listing (BTCUSDT: rows from September 2019 exist). The archive of finished months: binance_archive.py.
Special   a stock's dividend is a second payment at one instant: `rateType` Special on Binance (since August 2026),
          unmarked on Aster, where of two rows at one instant the later is the special one.
Price     markPrice per contract unit ("" on old rows, none on Aster): divided by the multiplier.
Cap       adjustedFundingRateCap and Floor (text), Aster fundingFeeCap and Floor (number, null in 2025): of now, so they
          bound the estimate; old rows only by 10 % an interval.
Class     underlyingType on Binance; on Aster it is COIN on everything: symbolType 1 is no coin, underlyingSubType names
          the kind. Baskets of coins (INDEX: BTCDOM, ALL) are crypto.
Unknown   whether COIN-M has a cap or interval in any response; open interest is in none of these responses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import Reader, bounded, counted, decimals, decode, shaped
from fundingdb.fetchers.rows import (
    Row,
    funding_rows,
    market_row,
    markets_of,
    named_market,
    snapshot_row,
    snapshots_of,
    stated_status,
    the_market,
)
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fundingdb.window import Window

RATE_STEP = 1e-8
CAP = 1000
_HOUR_MS = 3_600_000
_LATE_MS = 60_000
_FIRST_MS, _LAST_MS = 1_262_304_000_000, 4_102_444_800_000  # 2010 .. 2100
_ABSURD = 0.1  # fraction per interval; recorded caps end at 0.02
_ABSURD_SPECIAL = 0.5  # a dividend of half the price, as in ingest/steps.py
_STATUS = {
    "TRADING": "active",
    "PENDING_TRADING": "prelisted",
    "PRE_SETTLE": "inactive",
    "SETTLING": "inactive",
    "PRE_DELIVERING": "inactive",
    "DELIVERING": "inactive",
    "BREAK": "inactive",
    "HALT": "inactive",
    "CLOSE": "delisted",
    "DELIVERED": "delisted",
}
_PERPETUAL = ("PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL DELIVERING", "PERPETUAL_DELIVERING")
_DATED = re.compile(r"((CURRENT|NEXT)_(MONTH|QUARTER))( DELIVERING|_DELIVERING)?")
# underlyingType -> class, by contract type. Baskets of coins and coins before their listing are coins; shares of
# private companies are shares.
_REAL = {"EQUITY": "equity", "COMMODITY": "commodity", "FOREX": "fx", "FX": "fx"}
_PLAIN = {**_REAL, "COIN": "crypto", "INDEX": "crypto", "PREMARKET": "crypto"}
_TRADFI = {**_REAL, "INDEX": "index", "PREMARKET": "equity"}
_TAGS = {
    "COMMODITIES": "commodity",
    "STOCK": "equity",
    "ETF": "equity",
    "FOREX": "fx",
    "FX": "fx",
    "INDEX": "index",
}
# Longest first: what a symbol ends with where no list of markets is at hand.
_QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "USD1", "USD", "BTC", "U")
_RATE_TYPES = {"Regular": "regular", "Special": "special"}


@dataclass(frozen=True, slots=True)
class _BinanceVenue:
    name: str
    base_url: str
    example: str
    coin_margined: bool = False
    lists_intervals: bool = True


_USD_M = _BinanceVenue("binance", "https://fapi.binance.com/fapi/v1", "BTCUSDT")
_COIN_M = _BinanceVenue(
    "binance-coinm",
    "https://dapi.binance.com/dapi/v1",
    "BTCUSD_PERP",
    coin_margined=True,
    lists_intervals=False,
)
_ASTER = _BinanceVenue("aster", "https://fapi.asterdex.com/fapi/v1", "BTCUSDT")


class BinancePayment(msgspec.Struct, rename="camel"):
    """One row of the history as it is written."""

    symbol: str
    funding_time: int
    funding_rate: str
    mark_price: str = ""
    rate_type: str = ""


class _Premium(msgspec.Struct, rename="camel"):
    symbol: str
    mark_price: str
    index_price: str
    last_funding_rate: str
    next_funding_time: int
    time: int


class _Info(msgspec.Struct, rename="camel"):
    symbol: str
    funding_interval_hours: int
    adjusted_funding_rate_cap: str | None = None
    adjusted_funding_rate_floor: str | None = None
    funding_fee_cap: float | None = None
    funding_fee_floor: float | None = None


class _BinanceListing(msgspec.Struct, rename="camel"):
    symbol: str
    contract_type: str
    quote_asset: str
    status: str | None = None
    contract_status: str | None = None
    base_asset: str | None = None
    margin_asset: str | None = None
    underlying_type: str | None = None
    underlying_sub_type: list[str] = []
    symbol_type: int | None = None
    onboard_date: int | None = None


_PAYMENTS = msgspec.json.Decoder(list[BinancePayment])


# --- history


def _history_request(_venue: _BinanceVenue, market: Market, window: Window, _cursor: str | None) -> Request:
    start, stop = window.ms
    span = (("startTime", str(start - _HOUR_MS)), ("endTime", str(stop)))
    return Request(
        "fundingRate", "/fundingRate", params=(("symbol", market.symbol), *span, ("limit", str(CAP)))
    )


def _parse_history(venue: _BinanceVenue, body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time, of `context.market` or else of the one symbol the rows name; possibly none.

    interval_hours is null. Two payments of one instant are two rows of different rate_type.
    """
    reader = Reader(venue.name, "fundingRate")
    try:
        rows = _PAYMENTS.decode(body)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
    ):  # slower, for an error that names the field
        rows = shaped(
            decode(body, venue.name, "fundingRate"), list[BinancePayment], venue.name, "fundingRate"
        )
    if not rows:
        return FUNDING.empty().drop("month")
    market = the_market(
        reader, context, ("symbol", [row.symbol for row in rows]), partial(_symbol_market, venue)
    )
    stamps = [row.funding_time for row in rows]
    for stamp in (min(stamps), max(stamps)):
        if not _FIRST_MS <= stamp < _LAST_MS:
            raise reader.bad("fundingTime", "is not a time in Unix milliseconds", stamp)
    if late := [t for t in stamps if t % _HOUR_MS > _LATE_MS]:
        raise reader.bad("fundingTime", "is not within a minute after a full hour", late[0])
    rates = decimals(reader, "fundingRate", [row.funding_rate for row in rows])
    types = rate_types(reader, rows)
    refuse_absurd(reader, "fundingRate", market, rates, types)
    measured = {
        "funding_time": [t - t % _HOUR_MS for t in stamps],
        "reported_time": stamps,
        "funding_rate": rates,
        "native_rate": rates,
        "mark_price": [_price(reader, "markPrice", row.mark_price, market) for row in rows],
        "rate_type": types,
        "interval_hours": [None] * len(rows),
        "interval_from": ["unknown"] * len(rows),
    }
    return funding_rows(market, context, measured, hours=1.0)


def rate_types(reader: Reader, rows: Sequence[BinancePayment]) -> list[str]:
    """The type that each row names; of two unnamed rows at one instant the later is the special one."""
    unnamed: dict[int, list[BinancePayment]] = {}
    for row in rows:
        if not row.rate_type:
            mine = unnamed.setdefault(row.funding_time // _HOUR_MS, [])
            if row not in mine:
                mine.append(row)
        elif row.rate_type not in _RATE_TYPES:
            raise reader.bad("rateType", f"is none of {', '.join(_RATE_TYPES)}", row.rate_type)
    later: dict[int, int] = {}
    for hour, mine in unnamed.items():
        if len(mine) > 1:
            stamps = sorted(row.funding_time for row in mine)
            if len(mine) > 2 or stamps[0] == stamps[1]:
                problem = "payments at one instant, and nothing marks the regular one"
                raise reader.bad("fundingTime", f"{len(mine)} {problem}", stamps[0])
            later[hour] = stamps[1]
    return [
        _RATE_TYPES.get(row.rate_type)
        or ("special" if later.get(row.funding_time // _HOUR_MS) == row.funding_time else "regular")
        for row in rows
    ]


def refuse_absurd(
    reader: Reader, name: str, market: Market, rates: Sequence[float], types: Sequence[str]
) -> None:
    """Raise BadPayload for a regular rate beyond 0.1 and for a special one beyond 0.5: another unit, or damage."""
    for rate, kind in zip(rates, types, strict=True):
        most = _ABSURD_SPECIAL if kind == "special" else _ABSURD
        if abs(rate) > most:
            raise reader.bad(name, f"{market.symbol}: {rate:g} is beyond {most:g} per interval")


def _price(reader: Reader, name: str, text: str, market: Market) -> float | None:
    """Quote per ONE base token; blank and zero are none."""
    if not text:
        return None
    return counted(reader, name, text, market.symbol) / market.multiplier or None


# --- current


def _current_requests(venue: _BinanceVenue, _markets: Sequence[Market]) -> list[Request]:
    rates = Request("premiumIndex", "/premiumIndex")
    return [rates, Request("fundingInfo", "/fundingInfo")] if venue.lists_intervals else [rates]


def _parse_current(venue: _BinanceVenue, body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of premiumIndex (rate, prices) or of fundingInfo (interval), to be merged by symbol.

    Of `context.markets` those that trade; where these are unknown, every symbol that is no dated contract.
    """
    endpoint = context.request.endpoint if context.request else "premiumIndex"
    value = decode(body, venue.name, endpoint)
    reader = Reader(venue.name, endpoint)
    if not isinstance(value, list) or not value:
        raise reader.bad("(body)", "is not a list of markets")
    if isinstance(value[0], dict) and "fundingIntervalHours" in value[0]:

        def read_info(info: _Info) -> Row | None:
            hours = _interval(reader, info)
            market = _trading(venue, reader, info.symbol, context)
            return None if market is None else snapshot_row(market, context.at, {"interval_hours": hours})

        return snapshots_of(reader, context, value, _Info, read_info)

    def read(premium: _Premium) -> Row | None:
        market = _trading(venue, reader, premium.symbol, context)
        reader.ms({"time": premium.time}, "time")
        if market is None or not (context.markets or premium.next_funding_time):
            return None
        return _snapshot(reader, premium, market, context)

    return snapshots_of(reader, context, value, _Premium, read)


def _trading(venue: _BinanceVenue, reader: Reader, symbol: str, context: ResponseContext) -> Market | None:
    if context.markets:
        market = context.markets.get(symbol)
        return market if market is not None and market.status == "active" else None
    if re.search(r"_\d{6}$", symbol):
        return None
    return named_market(reader, "symbol", symbol, partial(_symbol_market, venue))


def _snapshot(reader: Reader, premium: _Premium, market: Market, context: ResponseContext) -> dict[str, Any]:
    values: dict[str, Any] = {
        "rate_step": RATE_STEP,
        "mark_price": _price(reader, "markPrice", premium.mark_price, market),
        "index_price": _price(reader, "indexPrice", premium.index_price, market),
    }
    if premium.next_funding_time:
        due = reader.ms({"nextFundingTime": premium.next_funding_time}, "nextFundingTime")
        if due % _HOUR_MS:
            raise reader.bad("nextFundingTime", f"of {market.symbol} is not on a full hour", due)
        rate = reader.finite("lastFundingRate", premium.last_funding_rate)
        most = min(_ABSURD, market.rate_cap or _ABSURD)
        if abs(rate) > most:
            problem = f"{market.symbol}: {rate:g} is beyond {most:g} per interval"
            raise reader.bad("lastFundingRate", problem)
        values |= {"funding_rate": rate, "native_rate": rate, "next_funding_time": from_ms(due)}
    return snapshot_row(market, context.at, values)


def _interval(reader: Reader, info: _Info) -> float:
    hours = reader.span("fundingIntervalHours", info.funding_interval_hours)
    if not 1 <= hours <= 24:
        raise reader.bad("fundingIntervalHours", f"of {info.symbol} is not within 1..24", hours)
    return hours


# --- markets


def _market_requests(_venue: _BinanceVenue, _markets: Sequence[Market]) -> list[Request]:
    return [Request("exchangeInfo", "/exchangeInfo"), Request("fundingInfo", "/fundingInfo")]


def _parse_markets(venue: _BinanceVenue, body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of the perpetuals of exchangeInfo, or rows without quote that carry fundingInfo's intervals and caps."""
    endpoint = context.request.endpoint if context.request else "exchangeInfo"
    value = decode(body, venue.name, endpoint)
    reader = Reader(venue.name, endpoint)
    if isinstance(value, list) and (value or endpoint == "fundingInfo"):
        read_info = partial(_of_info, venue, reader, context)
        return markets_of(reader, context, value, _Info, read_info, by_symbol=None)
    listings = reader.items(value, "symbols")
    if not listings:
        raise reader.bad("symbols", "is empty: no market at all")

    def read(row: _BinanceListing) -> Row | None:
        market = _of_listing(venue, reader, row, context)
        return (
            None if market is None else market_row(market, context, {"collateral": row.margin_asset or None})
        )

    by_symbol = partial(_symbol_market, venue)
    return markets_of(reader, context, listings, _BinanceListing, read, "symbols", by_symbol=by_symbol)


def _of_info(venue: _BinanceVenue, reader: Reader, context: ResponseContext, info: _Info) -> Row:
    """Interval and cap of a symbol from fundingInfo; a null quote marks that exchangeInfo has not listed it."""
    try:
        what = _symbol_market(venue, info.symbol)
    except BadCall:
        what = Market(venue.name, info.symbol, info.symbol, None, "crypto")
    texts = (
        ("adjustedFundingRateCap", info.adjusted_funding_rate_cap),
        ("adjustedFundingRateFloor", info.adjusted_funding_rate_floor),
    )
    numbers = (("fundingFeeCap", info.funding_fee_cap), ("fundingFeeFloor", info.funding_fee_floor))
    caps = [
        bounded(reader, name, reader.finite(name, figure), 1.0, info.symbol)
        for name, figure in (*texts, *numbers)
        if figure is not None
    ]
    values = {
        "quote": None,
        "status": "inactive",
        "interval_hours": _interval(reader, info),
        "rate_cap": max(map(abs, caps), default=None) or None,
    }
    return market_row(what, context, values)


def _listed(rows: pl.DataFrame) -> pl.DataFrame:
    """The merged rows of a sweep that exchangeInfo lists."""
    return rows.filter(pl.col("quote").is_not_null())


def _of_listing(
    venue: _BinanceVenue, reader: Reader, row: _BinanceListing, context: ResponseContext
) -> Market | None:
    """The market of a listing; None: a dated contract."""
    name = "contractStatus" if venue.coin_margined else "status"
    written = row.contract_status if venue.coin_margined else row.status
    if _DATED.fullmatch(row.contract_type):
        return None
    status = stated_status(reader, context, name, row.symbol, written or "", _STATUS)
    if row.contract_type not in _PERPETUAL and (row.contract_type or status == "active"):
        raise reader.bad("contractType", f"of {row.symbol} is neither perpetual nor dated", row.contract_type)
    base = row.base_asset
    if base is None:
        base = row.symbol.removesuffix(row.quote_asset)
        if base == row.symbol or "_" in base:
            raise reader.bad(
                "baseAsset", f"of {row.symbol} is missing, and its name does not end with its quote"
            )
    if not base or not row.quote_asset:
        raise reader.bad("baseAsset", f"or quoteAsset of {row.symbol} is empty")
    what = identify(venue.name, base, asset_class=_stated_class(venue, reader, row, base))
    since = row.onboard_date
    return Market(
        exchange=venue.name,
        symbol=row.symbol,
        base=what.base,
        quote=row.quote_asset,
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        status=status,
        listed_at=from_ms(reader.ms({"onboardDate": since}, "onboardDate")) if since else None,
    )


def _stated_class(venue: _BinanceVenue, reader: Reader, row: _BinanceListing, base: str) -> str | None:
    """The class that the listing states, None where it states none; an undocumented kind is refused."""
    if venue.name == "aster":
        field, kind_of = "underlyingSubType", row.underlying_sub_type if row.symbol_type is not None else None
        kinds = {_TAGS[tag.upper()] for tag in row.underlying_sub_type if tag.upper() in _TAGS}
        kinds = kinds if row.symbol_type else {"crypto"}
    else:
        field, kind_of = "underlyingType", row.underlying_type
        region_less = "EQUITY" if (kind_of or "").endswith("_EQUITY") else kind_of
        kinds = {(_TRADFI if row.contract_type == "TRADIFI_PERPETUAL" else _PLAIN).get(region_less or "")}
    if kind_of is None:
        return None
    kind = kinds.pop() if len(kinds) == 1 else None
    by_name = kind or identify(venue.name, base).asset_class
    if kind is None and by_name == "crypto":
        raise reader.bad(field, f"of {row.symbol} is none of the documented kinds of asset", kind_of)
    return by_name


def _symbol_market(venue: _BinanceVenue, symbol: str) -> Market:
    """The market of a symbol alone, for saved responses: quote by its ending, class by the tables.

    Raises BadCall for a name that ends with none of the quotes.
    """
    pair = symbol.removesuffix("_PERP") if venue.coin_margined else symbol
    quotes = ("USD",) if venue.coin_margined else _QUOTES
    quote = next((q for q in quotes if pair.endswith(q) and pair != q), None)
    if quote is None:
        raise BadCall(f"{venue.name}: {symbol!r} is no market name; names look like {venue.example}")
    what = identify(venue.name, pair.removesuffix(quote))
    return Market(venue.name, symbol, what.base, quote, what.asset_class, what.multiplier)


# --- refusals


def _refusal(venue: _BinanceVenue, status: int, body: bytes) -> FundingdbError | None:
    code, message = _error_of(body)
    if status >= 500 or (status == 200 and code is None):
        return None
    refusal = ", ".join(filter(None, (f"{venue.name} answers {status}", code and f"code {code}", message)))
    if status in (418, 429) or code == "-1003":
        return RateLimited(f"{refusal}: too many requests from this address")
    if status == 451:
        return Refused(f"{refusal}: it does not serve this country")
    if status == 403:
        return Refused(f"{refusal}: it refuses this address (some clouds are blocked)")
    if code == "-1121":
        return BadCall(f"{refusal}: it has no such market; see: fundingdb markets {venue.name}")
    return Refused(f"{refusal}: see the datasheet, fundingdb/fetchers/binance.py")


def _error_of(body: bytes) -> tuple[str | None, str]:
    if body[:1] != b"{" or b'"code"' not in body[:4096]:
        return None, ""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, ""
    if "symbols" in error or error.get("code") in (None, 0, 200):
        return None, ""
    return str(error["code"]), str(error.get("msg", ""))[:200]


def _fetcher(venue: _BinanceVenue, evidence: str, archive: str = "") -> Fetcher:
    return Fetcher(
        exchange=venue.name,
        version=1,
        base_url=venue.base_url,
        budget=Budget(scope=venue.name, capacity=500, per_seconds=300, concurrent=8),
        markets=Sweep(partial(_market_requests, venue), partial(_parse_markets, venue), combine=_listed),
        current=Sweep(partial(_current_requests, venue), partial(_parse_current, venue)),
        history=History(
            paging=Forward(cap=CAP, doubled=True),
            request=partial(_history_request, venue),
            parse=partial(_parse_history, venue),
            depth=f"to the market's listing{archive}",
        ),
        market=partial(_symbol_market, venue),
        refusal=partial(_refusal, venue),
        unit="fraction per interval",
        interval=f"1, 2, 4 or 8 h, moves by market; history does not state it{', the archive does' if archive else ''}",
        checked="2026-11-22",
        evidence=evidence,
    )


FETCHER = _fetcher(
    _USD_M, "recorded; special payments reconstructed", "; finished months from 2020-01 also by archive"
)
COIN_M = _fetcher(_COIN_M, "documented", "; finished months from 2022-07 also by archive")
ASTER = _fetcher(_ASTER, "recorded; special payments documented")
