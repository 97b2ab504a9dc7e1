"""Paradex (perpetuals on its own chain): the datasheet, and pure functions over it.

Sources   docs.paradex.trade/api/prod/markets (get-markets, get-markets-summary, get-funding-data); responses recorded
          2026-09-04 and 2026-09-11. Read 2026-11-22.
Request   GET, no key. No limit of public calls is recorded; 60 a minute kept.
Markets   /markets (4 MB): asset_kind PERP; options are listed beside them. No status field: what is listed trades.
Unit      fraction of notional per funding_period_hours of /markets (8, on one market 24; 0 on options), text, up to 14
          decimals; the market's funding_multiplier is inside. rate = funding_rate / funding_period_hours, per hour.
          Positive: longs pay shorts.
Interval  none: funding accrues all the time, a position pays when it is touched. Snapshots and history are given per
          1 hour; interval_hours (and rate_cap) of the listing are the period that the exchange declares for its figure.
Clock     ms. created_at is when the summary was made. There is no next payment.
Current   /markets/summary?market=ALL (2 MB): funding_rate of perpetuals. "" on options, whose future_funding_rate is that of
          another market and is not read. The period is in /markets alone: the markets must be known.
History   made from samples: /funding/data?market&start_at&end_at&page_size (ms; 5,000 at most) has one in 1 to 5 seconds,
          newest first, with a cursor `next` to older ones; a sample is no payment. A position pays by the change of
          funding_index (USDC per contract unit), so an hour's settlement is that change between the newest samples at or
          before its two ends, over the price: hours follow each other without a seam. An hour is one request.
Proof     each response must prove itself: the index has to grow by funding_premium / funding_period_hours an hour, within 2 %
          over the hour as the samples show it, and funding_premium / funding_rate is the price (recorded: 6.29431 /
          0.00007785743 = 80,844 USDC); else the response is refused. An hour without a sample in the 2 minutes before one of
          its ends, or within which the period changed, has no row. native_rate is the change, in USDC per contract unit.
Price     mark_price, underlying_price (the index) per contract unit: divided by the multiplier.
Size      open_interest is contract units, one side; dollars are it times mark. volume_24h is dollars.
Cap       max_funding_rate: fraction per period. A rate beyond twice it is refused as another unit.
Symbol    BASE-USD-PERP, paid in settlement_currency (USDC): that is the quote. kPEPE, kBONK, kSHIB, kFLOKI are 1000
          tokens.
Class     tag RWA: no coin, the kind is not in the response: tables of identity.py, and one that they lack is joined with nothing
          (base RWA:NAME). All others are coins, PAXG too.
Unknown   whether 5,000 samples always hold an hour (a response that ends within it is refused); the limits; whether a
          market that is paused stays listed.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall
from fundingdb.fetchers.contract import (
    Budget,
    Fetcher,
    Fixed,
    History,
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import HOUR_MS, Reader, Span, bounded, counted, decode, refused, shaped
from fundingdb.fetchers.rows import Row, funding_rows, market_row, markets_of, snapshot_row, snapshots_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.errors import FundingdbError
    from fundingdb.fetchers.identity import Identity
    from fundingdb.window import Window

NAME = "paradex"
QUOTE = "USDC"
_ABSURD = 0.2  # fraction per period
_CURRENT, _MARKETS = "/markets/summary", "/markets"
_SUFFIX = "-USD-PERP"
_MOST_HOURS = 24
_HISTORY = "/funding/data"
_PAGE = 5000
_EDGE_MS = 120_000  # how long before an end of its hour the sample may be that is used for it
_OFF = 0.02  # that the index may move unlike its premium, as a part of the hour's premium
_MEASURED = ("funding_time", "reported_time", "funding_rate", "native_rate", "mark_price")
_LEAST_RATE = 1e-7  # per period: below it the quotient premium / rate has too few decimals for a price


class _Summary(msgspec.Struct):
    symbol: str
    mark_price: str
    underlying_price: str
    open_interest: str
    funding_rate: str
    volume_24h: str


class _ParadexListing(msgspec.Struct):
    symbol: str
    base_currency: str
    quote_currency: str
    settlement_currency: str
    funding_period_hours: Span
    max_funding_rate: str
    tags: list[str] | None = None


class _Sample(msgspec.Struct):
    market: str
    funding_index: str
    funding_premium: str
    funding_rate: str
    funding_period_hours: Span
    created_at: int


class _Samples(msgspec.Struct):
    results: list[_Sample]
    next: str | None = None


# --- history


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    """The samples of the hour up to the settlement at `window.start`, and those shortly before it."""
    first, last = window.ms
    params = (
        ("market", market.symbol),
        ("start_at", str(first - HOUR_MS - _EDGE_MS)),
        ("end_at", str(last // HOUR_MS * HOUR_MS)),  # the last settlement of the window
        ("page_size", str(_PAGE)),
    )
    return Request(_HISTORY, _HISTORY, params=params)


def _parse_history(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """One FUNDING row, of the hour whose end follows the newest sample; none where the samples don't reach both ends.

    Raises BadPayload for samples whose index does not move by their premium, and for a response that ends within the hour.
    """
    reader = Reader(NAME, _HISTORY)
    page = shaped(decode(body, NAME, _HISTORY), _Samples, NAME, _HISTORY)
    market = context.market
    if market is None:
        raise BadCall("paradex: history is of one market; name it (--symbol BTC-USD-PERP)")
    samples = sorted(page.results, key=lambda s: reader.ms({"created_at": s.created_at}, "created_at"))
    for sample in samples:
        if sample.market != market.symbol:
            raise reader.bad("market", f"is not {market.symbol}, which was requested", sample.market)
    if not samples:
        return funding_rows(market, context, dict.fromkeys(_MEASURED, ()), hours=1.0)
    hour = -(-samples[-1].created_at // HOUR_MS) * HOUR_MS
    before = [s for s in samples if s.created_at <= hour - HOUR_MS]
    if not before and page.next:
        problem = f"{len(samples)} samples end within the hour and a cursor names more"
        raise reader.bad("results", problem, samples[0].created_at)
    inside = [*before[-1:], *samples[len(before) :]]
    row = _settled(reader, inside, hour) if before else None
    known = {name: [] if row is None else [row[name]] for name in _MEASURED}
    return funding_rows(market, context, known, hours=1.0)


def _settled(reader: Reader, samples: list[_Sample], hour: int) -> dict[str, Any] | None:
    """The settlement of the hour from the newest sample at or before its start on; None where the samples don't determine it."""
    first, last = samples[0], samples[-1]
    late = max(hour - HOUR_MS - first.created_at, hour - last.created_at)
    periods = {reader.span("funding_period_hours", s.funding_period_hours) for s in samples}
    if late > _EDGE_MS or len(periods) > 1:
        return None
    period = periods.pop()
    if not 0 < period <= _MOST_HOURS:
        raise reader.bad("funding_period_hours", f"is not between 1 and {_MOST_HOURS}", period)
    premium = [reader.finite("funding_premium", s.funding_premium) for s in samples]
    index = [reader.finite("funding_index", s.funding_index) for s in (first, last)]
    change, due, size = index[1] - index[0], 0.0, 0.0
    for (one, two), (a, b) in zip(pairwise(samples), pairwise(premium), strict=True):
        hours = (two.created_at - one.created_at) / HOUR_MS
        due += (a + b) / 2 * hours / period
        size += (abs(a) + abs(b)) / 2 * hours / period
    if abs(change - due) > _OFF * size + 1e-9 * abs(index[1]):
        problem = (
            f"moves by {change:.6g} in the hour where its premium makes {due:.6g}: not the index described"
        )
        raise reader.bad("funding_index", problem, last.funding_index)
    prices = [p for s, v in zip(samples, premium, strict=True) if (p := _price(reader, s, v)) is not None]
    if not prices and size:
        return None
    rate = change / prices[-1] if prices else 0.0
    bounded(reader, "funding_index", rate * period, _ABSURD, last.market)
    return {
        "funding_time": hour,
        "reported_time": last.created_at,
        "funding_rate": rate,
        "native_rate": change,
        "mark_price": None,
    }


def _price(reader: Reader, sample: _Sample, premium: float) -> float | None:
    rate = reader.finite("funding_rate", sample.funding_rate)
    if abs(rate) < _LEAST_RATE:
        return None
    if premium / rate <= 0:
        raise reader.bad(
            "funding_rate", f"has another sign than its premium {premium:g}", sample.funding_rate
        )
    return premium / rate


# --- current


def _current_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_CURRENT, _CURRENT, params=(("market", "ALL"),))]


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of the perpetuals of `context.markets`: the running rate, per hour.

    Raises BadCall without known markets: the response does not state over how many hours its rates are.
    """
    reader = Reader(NAME, _CURRENT)
    summaries = reader.items(decode(body, NAME, _CURRENT), "results")
    if not summaries:
        raise reader.bad("results", "is empty: no market at all")
    if not context.markets:
        raise BadCall(
            "paradex: the summary does not state over how many hours a rate is; the response of /markets is needed"
            " (parse ... --markets FILE)"
        )

    def read(value: dict[str, Any]) -> Row | None:
        market = context.markets.get(reader.get(value, "symbol", str))
        if market is None or market.status != "active":  # options have other fields
            return None
        return _snapshot(reader, shaped(value, _Summary, NAME, _CURRENT, "results"), market, context)

    return snapshots_of(reader, context, summaries, dict[str, Any], read, "results")


def _snapshot(reader: Reader, row: _Summary, market: Market, context: ResponseContext) -> dict[str, Any]:
    period, native, rate = market.interval_hours, None, None
    if row.funding_rate:
        native = reader.finite("funding_rate", row.funding_rate)
        most = min(_ABSURD, 2 * market.rate_cap) if market.rate_cap else _ABSURD
        native = bounded(reader, "funding_rate", native, most, row.symbol)
        rate = None if period is None else native / period
    mark = counted(reader, "mark_price", row.mark_price, row.symbol)
    index = counted(reader, "underlying_price", row.underlying_price, row.symbol)
    units = counted(reader, "open_interest", row.open_interest, row.symbol)
    known = {
        "funding_rate": rate,
        "interval_hours": None if rate is None else 1.0,
        "native_rate": native,
        "mark_price": mark / market.multiplier or None,  # a price of 0 is none
        "index_price": index / market.multiplier or None,
        "open_interest": units * market.multiplier,
        "open_interest_usd": units * mark if mark else None,
        "volume_24h_usd": counted(reader, "volume_24h", row.volume_24h, row.symbol),
    }
    return snapshot_row(market, context.at, known)


# --- markets


def _market_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_MARKETS, _MARKETS)]


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all perpetuals; no options."""
    reader = Reader(NAME, _MARKETS)

    def read(value: dict[str, Any]) -> Row | None:
        if reader.get(value, "asset_kind", str) != "PERP":  # options have other fields
            return None
        row = shaped(value, _ParadexListing, NAME, _MARKETS, "results")
        return market_row(_listed(reader, row), context, {"collateral": row.settlement_currency})

    listings = reader.items(decode(body, NAME, _MARKETS), "results")
    rows = markets_of(reader, context, listings, dict[str, Any], read, "results", by_symbol=symbol_market)
    if rows.is_empty():
        raise reader.bad("asset_kind", "names no perpetual at all")
    return rows


def _listed(reader: Reader, row: _ParadexListing) -> Market:
    if row.symbol != f"{row.base_currency}-{row.quote_currency}-PERP" or not row.base_currency:
        problem = f"is not made of base {row.base_currency!r} and quote {row.quote_currency!r}"
        raise reader.bad("symbol", problem, row)
    period = reader.span("funding_period_hours", row.funding_period_hours)
    if period > _MOST_HOURS:
        raise reader.bad(
            "funding_period_hours", f"of {row.symbol} is not between 0 and {_MOST_HOURS}", period
        )
    if not row.settlement_currency:
        raise reader.bad("settlement_currency", f"of {row.symbol} is empty")
    what = _identity(row)
    return Market(
        exchange=NAME,
        symbol=row.symbol,
        base=what.base,
        quote=row.settlement_currency,
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        interval_hours=period or None,
        rate_cap=_cap(reader, row) or None,
    )


def _cap(reader: Reader, row: _ParadexListing) -> float:
    cap = counted(reader, "max_funding_rate", row.max_funding_rate, row.symbol)
    return bounded(reader, "max_funding_rate", cap, 1.0, row.symbol)


def _identity(row: _ParadexListing) -> Identity:
    if row.tags is None:
        return identify(NAME, row.base_currency)
    if "RWA" in row.tags:
        return identify(NAME, f"RWA:{row.base_currency}")
    return identify(NAME, row.base_currency, asset_class="crypto")


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone: its period is unknown. Raises BadCall for a name that is not BASE-USD-PERP."""
    asset = symbol.removesuffix(_SUFFIX)
    if not symbol.endswith(_SUFFIX) or not asset:
        raise BadCall(
            f"paradex: {symbol!r} is no market name; names look like BTC-USD-PERP (fundingdb markets paradex)"
        )
    what = identify(NAME, asset)
    return Market(NAME, symbol, what.base, QUOTE, what.asset_class, what.multiplier)


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    return refused(NAME, status, body, "it allows from this address")


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://api.prod.paradex.trade/v1",
    budget=Budget(scope=NAME, capacity=60, per_seconds=60, concurrent=2),
    markets=Sweep(_market_requests, _parse_markets),
    current=Sweep(_current_requests, _parse_current),
    history=History(
        Fixed(hours=1, cap=2),
        _history_request,
        _parse_history,
        depth="as far as the samples reach; not documented",
    ),
    market=symbol_market,
    refusal=_refusal,
    unit="fraction per 8 h (by market)",
    interval="none: accrues all the time, given per 1 h",
    checked="2026-11-22",
    evidence="recorded; history documented, proven by each response",
    settle_delay=timedelta(minutes=5),
)
