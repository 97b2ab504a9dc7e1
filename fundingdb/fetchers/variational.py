"""Variational Omni (perpetuals quoted by its own pool): the datasheet, and pure functions over it.

Sources   docs.variational.io, read-only API (metadata/stats); a response recorded 2026-09-13. Read 2026-11-22.
Request   GET /metadata/stats, no key: everything in one response. 10 requests in 10 s.
History   none at all: what is not recorded is gone. Snapshots only.
Markets   `listings`; no status field: what is listed trades. A listing with funding_interval_s 0 is a swap, which
          pays no funding, not a funding of 0: no row.
Unit      fraction PER YEAR of 365 days, text, 6 decimals, trailing zeros cut: rate = funding_rate *
          funding_interval_s / 31,536,000. Positive: longs pay shorts. 0.1095 at 4 h is 0.00005; STORJ showed -85.536623
          at 1 h, which is -0.98 % an hour.
Interval  funding_interval_s of the listing, seconds: 1, 4 or 8 h, copied from other exchanges. interval_hours.
Clock     none. quotes.updated_at is the age of a quote, not of the rate: observed_at is the instant of receipt, the
          next payment is not in the response.
Price     mark_price per contract unit: divided by the multiplier. No index.
Size      open_interest.long_ and short_open_interest are dollars (BTC: 79,488,330 at a price of 77,229), the users'
          longs and shorts apart. The pool is the other side of each of them, so one side of the whole is their sum (the top
          of the response shows twice that). No size in tokens. volume_24h is dollars.
Step      1e-6 a year, over the interval.
Cap       none is documented; a rate beyond 0.1 per interval is refused as another unit.
Symbol    `ticker`, bare; quote and collateral USDC, not in the payload. 1000PEPE and 1000000MOG are multiples,
          OPN_OPINION and RE_ETH whole names.
Class     not in the payload (`name` is prose): tables of identity.py.
Unknown   when the next payment is due; the body of a 429.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from fundingdb.errors import BadCall
from fundingdb.fetchers.contract import Budget, Fetcher, Market, Request, ResponseContext, Sweep
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import Reader, Span, bounded, counted, decode, refused
from fundingdb.fetchers.rows import Row, market_row, markets_of, snapshot_row, snapshots_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.errors import FundingdbError

NAME = "variational"
QUOTE = "USDC"
_STATS = "/metadata/stats"
_READER = Reader(NAME, _STATS)
_YEAR_S = 31_536_000  # 365 days
_HOUR_S = 3600
_LONGEST_S = 24 * _HOUR_S
_STEP_A_YEAR = Decimal("1e-6")
_ABSURD = 0.1  # fraction per interval


class _VariationalSides(msgspec.Struct):
    long_open_interest: str
    short_open_interest: str


class _VariationalListing(msgspec.Struct):
    ticker: str
    mark_price: str
    volume_24h: str
    open_interest: _VariationalSides
    funding_rate: str
    funding_interval_s: Span


def _requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_STATS, _STATS)]


def _listings(body: bytes) -> list[Any]:
    return _READER.items(decode(body, NAME, _STATS), "listings")


def _paid(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the listings that pay funding, at least one."""
    if rows.is_empty():
        raise _READER.bad("listings", "has no perpetual at all")
    return rows


def _seconds(row: _VariationalListing) -> int:
    """The interval; 0: it pays no funding."""
    seconds = _READER.span("funding_interval_s", row.funding_interval_s)
    if seconds % _HOUR_S or seconds > _LONGEST_S:
        problem = f"of {row.ticker} is no whole number of hours up to 24, in seconds"
        raise _READER.bad("funding_interval_s", problem, row.funding_interval_s)
    if not row.ticker:
        raise _READER.bad("ticker", "is empty", row)
    return int(seconds)


def _parse_current(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of all perpetuals: the running rate, per interval."""
    read = partial(_snapshot, context)
    return _paid(snapshots_of(_READER, context, _listings(body), _VariationalListing, read, "listings"))


def _snapshot(context: ResponseContext, row: _VariationalListing) -> Row | None:
    if not (seconds := _seconds(row)):
        return None
    reader, market = _READER, _listed(row, seconds)
    yearly = reader.finite("funding_rate", row.funding_rate)
    share = Decimal(seconds) / _YEAR_S
    rate = float(Decimal(repr(yearly)) * share)
    mark = counted(reader, "mark_price", row.mark_price, row.ticker)
    sides = row.open_interest
    known = {
        "funding_rate": bounded(reader, "funding_rate", rate, _ABSURD, row.ticker),
        "interval_hours": market.interval_hours,
        "native_rate": yearly,
        "rate_step": float(_STEP_A_YEAR * share),
        "mark_price": mark / market.multiplier or None,  # a price of 0 is none
        "open_interest_usd": counted(reader, "long_open_interest", sides.long_open_interest, row.ticker)
        + counted(reader, "short_open_interest", sides.short_open_interest, row.ticker),
        "volume_24h_usd": counted(reader, "volume_24h", row.volume_24h, row.ticker),
    }
    return snapshot_row(market, context.at, known)


def _parse_markets(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all perpetuals, each with its interval of now."""

    def read(row: _VariationalListing) -> Row | None:
        seconds = _seconds(row)
        return market_row(_listed(row, seconds), context, {"collateral": QUOTE}) if seconds else None

    rows = markets_of(
        _READER,
        context,
        _listings(body),
        _VariationalListing,
        read,
        "listings",
        symbol="ticker",
        by_symbol=symbol_market,
    )
    return _paid(rows)


def _listed(row: _VariationalListing, seconds: int) -> Market:
    what = identify(NAME, row.ticker)
    return Market(
        exchange=NAME,
        symbol=row.ticker,
        base=what.base,
        quote=QUOTE,
        asset_class=what.asset_class,
        multiplier=what.multiplier,
        interval_hours=seconds / _HOUR_S,
    )


def symbol_market(symbol: str) -> Market:
    """The market of a symbol alone: its interval is unknown, for it differs by market. Raises BadCall for an empty name."""
    if not symbol.strip():
        raise BadCall("variational: an empty name; names look like BTC (fundingdb markets variational)")
    what = identify(NAME, symbol)
    return Market(NAME, symbol, what.base, QUOTE, what.asset_class, what.multiplier)


def _refusal(status: int, body: bytes) -> FundingdbError | None:
    return refused(NAME, status, body, "10 requests in 10 seconds from this address")


FETCHER = Fetcher(
    exchange=NAME,
    version=1,
    base_url="https://omni-client-api.prod.ap-northeast-1.variational.io",
    budget=Budget(scope=NAME, capacity=10, per_seconds=10, concurrent=2),
    markets=Sweep(_requests, _parse_markets),
    current=Sweep(_requests, _parse_current),
    history=None,
    market=symbol_market,
    refusal=_refusal,
    unit="fraction per year",
    interval="1, 4 or 8 h, by market",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=5),
)
