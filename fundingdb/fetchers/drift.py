"""Drift (perpetuals on Solana, frozen) and Velocity, its successor: two exchanges, one API. Datasheet and pure functions.

Sources   drift-labs/v2-teacher (Data API), drift-docs-v2 (funding rates), data.velocity.exchange/openapi.json; responses
          recorded February, April and September 2026. Read 2026-11-22.
State     drift: last payment 2026-04-01 18:00Z, frozen after an exploit: history only, all markets delisted. Its
          API answered for old days in June 2026, 403 without the headers Origin and Referer. velocity: since
          2026-07-01, collateral USDT, few markets, tiny volume; no headers needed.
Request   GET, no key. Limits are not published: one request a second here. 403 is a refusal, no rate limit.
Envelope  {"success": true, "records" or "markets": [...], "meta": {"nextPage"}}.
Markets   /stats/markets, marketType perp or spot (they share indices). *-BET and *-PREDICT are no perpetuals.
Unit      history: MONEY per base unit and hour, decimal text: rate = fundingRate / oraclePriceTwap. Current:
          PERCENT per hour as each side's INCOME: rate = -fundingRate.long / 100. Positive rate: longs pay shorts.
          Legacy responses (/fundingRates?marketName=, 30 days, gone) write integers: fundingRate / 1e9, prices / 1e6,
          known by a price without a point.
Interval  1 hour for all: `interval_from` is declared. Updates are lazy: an hour can be missing, the next payment
          then covers more; nothing is filled in.
Clock     `ts`, seconds, up to about a minute after the hour and more when lazy: floored to the hour.
History   /market/{symbol}/fundingRates/{yyyy}/{mm}/{dd}: one UTC day, newest first; meta.nextPage leads on.
          Sides are apart in fundingRateLong and Short where the pool caps one: fundingRate is kept.
Price     markPriceTwap and oraclePriceTwap; per contract unit, divided by the multiplier.
Size      openInterest {long, -short}, contract units: the larger one. /contracts counts both sides: halved.
Symbol    SOL-PERP; 1M and 1K before capitals are multiples (1MBONK, 1KWEN). quoteAsset USDC (drift), USDT (velocity).
Cap       none is documented; a rate beyond 0.05 is refused as another unit.
Unknown   how far back days reach; whether a day without payments can be 404 (then it counts as failed, not as
          empty).
Archive   days of 2022-11 to 2025-01-08 lie on S3: drift_archive.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from fundingdb.errors import BadCall
from fundingdb.fetchers.contract import (
    Budget,
    Days,
    Fetcher,
    History,
    Market,
    Request,
    ResponseContext,
    Sweep,
)
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import HOUR_MS, Reader, bounded, counted, decode, hundredth, refused, shaped
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
from fundingdb.window import from_ms, next_hour

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from fundingdb.errors import FundingdbError
    from fundingdb.window import Window

FROZEN = datetime(2026, 4, 1, 18, tzinfo=UTC)  # drift's last payment
_ABSURD = 0.05  # fraction per hour
_HISTORY, _STATS, _CONTRACTS = "/market/{symbol}/fundingRates/{day}", "/stats/markets", "/contracts"
_SUFFIX = "-PERP"
_STATUS = {
    "initialized": "prelisted",
    "active": "active",
    "fundingPaused": "inactive",
    "ammPaused": "inactive",
    "fillPaused": "inactive",
    "withdrawPaused": "inactive",
    "reduceOnly": "reduce_only",
    "settlement": "delisted",
    "delisted": "delisted",
}


class _DriftPayment(msgspec.Struct, rename="camel"):
    symbol: str
    ts: int
    funding_rate: str
    oracle_price_twap: str
    mark_price_twap: str


class UnnamedSettlement(msgspec.Struct, rename="camel"):
    """A settlement that does not name its market, all figures as text: of a legacy response, or of the archive."""

    ts: str
    funding_rate: str
    oracle_price_twap: str
    mark_price_twap: str


class _DriftMeta(msgspec.Struct, rename="camel"):
    next_page: str | None = None


class _DriftPage(msgspec.Struct):
    success: bool
    records: list[_DriftPayment]
    meta: _DriftMeta | None = None


class _LegacyPage(msgspec.Struct, rename="camel"):
    funding_rates: list[UnnamedSettlement]


class _DriftSides(msgspec.Struct):
    long: str
    short: str


class _DriftLeverage(msgspec.Struct):
    max: float


class _Limits(msgspec.Struct):
    leverage: _DriftLeverage | None = None


class _Any(msgspec.Struct, rename="camel"):
    symbol: str
    market_type: str


class _DriftStats(msgspec.Struct, rename="camel"):
    symbol: str
    base_asset: str
    quote_asset: str
    status: str
    oracle_price: str
    mark_price: str
    open_interest: _DriftSides
    funding_rate: _DriftSides
    limits: _Limits | None = None


class _DriftContract(msgspec.Struct):
    ticker_id: str
    product_type: str
    index_price: str
    open_interest: str
    next_funding_rate: str
    next_funding_rate_timestamp: str


@dataclass(frozen=True, slots=True)
class _DriftVenue:
    """One of the two, and how its responses are read."""

    name: str
    quote: str
    delisted_at: datetime | None

    # --- history

    def history(self, body: bytes, context: ResponseContext) -> pl.DataFrame:
        """FUNDING rows by time, of `context.market` or else of the one market the records name; maybe none.

        Legacy rows name no market; `context.market` does (BadCall without it).
        """
        value = decode(body, self.name, _HISTORY)
        reader = Reader(self.name, _HISTORY)
        legacy = isinstance(value, dict) and "fundingRates" in value
        if legacy:
            rows = shaped(value, _LegacyPage, self.name, _HISTORY).funding_rates
            stamps = [written_at(reader, row.ts) for row in rows]
        else:
            page = self.page(value)
            rows, stamps = page.records, [reader.seconds({"ts": row.ts}, "ts") for row in page.records]
        if not rows:
            return FUNDING.empty().drop("month")
        market = context.market
        if not legacy:
            names = {row.symbol for row in rows if isinstance(row, _DriftPayment)}
            market = market or named(reader, self.market, min(names))
            if others := names - {market.symbol}:
                raise reader.bad("symbol", f"is {min(others)!r}, requested was {market.symbol!r}")
        if market is None:
            raise BadCall(
                f"{self.name}: a legacy response does not name its market; name it (parse ... --symbol SOL-PERP)"
            )
        paid = [payment(reader, row, ts * 1000, market) for row, ts in zip(rows, stamps, strict=True)]
        return funding_rows(
            market, context, {name: [row[name] for row in paid] for name in paid[0]}, hours=1.0
        )

    def page(self, value: Any) -> _DriftPage:
        """The records of a response; raises BadPayload where it reports a failure."""
        page = shaped(value, _DriftPage, self.name, _HISTORY)
        if not page.success:
            raise Reader(self.name, _HISTORY).bad("success", "is false")
        return page

    def next_cursor(self, body: bytes) -> str | None:
        """The token of the next page of a day."""
        meta = self.page(decode(body, self.name, _HISTORY)).meta
        return meta.next_page if meta else None

    # --- current

    def current(self, body: bytes, context: ResponseContext) -> pl.DataFrame:
        """SNAPSHOTS rows of the perpetuals that trade, from /stats/markets or /contracts: estimates of the running hour."""
        value = decode(body, self.name, _STATS)
        if isinstance(value, dict) and "contracts" in value:
            reader = Reader(self.name, _CONTRACTS)
            contracts = reader.items(value, "contracts")
            read = partial(self._of_contract, context)
            return snapshots_of(reader, context, contracts, _DriftContract, read, "contracts")
        reader = Reader(self.name, _STATS)

        def read_stats(one: dict[str, Any]) -> Row | None:
            row = self._perpetual(one)
            if row is None or self._status(row, context) not in ("active", "reduce_only"):
                return None
            return self._of_stats(row, context)

        return snapshots_of(reader, context, self._listed(value), dict[str, Any], read_stats, "markets")

    def _listed(self, value: Any) -> list[Any]:
        reader = Reader(self.name, _STATS)
        if not reader.get(value, "success", bool):
            raise reader.bad("success", "is false")
        if not (markets := reader.items(value, "markets")):
            raise reader.bad("markets", "is empty: no market at all")
        return markets

    def _perpetual(self, value: dict[str, Any]) -> _DriftStats | None:
        """The listing of a perpetual; None: of a spot market, which has other fields."""
        reader = Reader(self.name, _STATS)
        one = shaped(value, _Any, self.name, _STATS, "markets")
        if one.market_type not in ("perp", "spot"):
            raise reader.bad("marketType", f"of {one.symbol} is neither perp nor spot", one.market_type)
        if one.market_type == "spot" or not one.symbol.endswith(_SUFFIX):
            return None
        row = shaped(value, _DriftStats, self.name, _STATS, "markets")
        if f"{row.base_asset}{_SUFFIX}" != row.symbol or not row.base_asset:
            raise reader.bad("baseAsset", f"of {row.symbol} is another name", row.base_asset)
        return row

    def _status(self, row: _DriftStats, context: ResponseContext) -> str:
        return stated_status(Reader(self.name, _STATS), context, "status", row.symbol, row.status, _STATUS)

    def _of_stats(self, row: _DriftStats, context: ResponseContext) -> dict[str, Any]:
        reader = Reader(self.name, _STATS)
        market = self.market(row.symbol)
        income, written = hundredth(reader, "fundingRate.long", row.funding_rate.long)
        reader.finite("fundingRate.short", row.funding_rate.short)
        mark = counted(reader, "markPrice", row.mark_price, row.symbol)
        longs = counted(reader, "openInterest.long", row.open_interest.long, row.symbol)
        shorts = -reader.finite("openInterest.short", row.open_interest.short) + 0.0
        if shorts < 0:
            raise reader.bad(
                "openInterest.short", f"of {row.symbol} is not negative", row.open_interest.short
            )
        units = max(longs, shorts)
        known = {
            "funding_rate": bounded(reader, "fundingRate.long", -income, _ABSURD, row.symbol),
            "interval_hours": 1.0,
            "native_rate": written,
            "rate_step": 1e-8,
            "next_funding_time": next_hour(context.at),
            "mark_price": mark / market.multiplier or None,
            "index_price": counted(reader, "oraclePrice", row.oracle_price, row.symbol) / market.multiplier
            or None,
            "open_interest": units * market.multiplier,
            "open_interest_usd": units * mark if mark else None,
        }
        return snapshot_row(market, context.at, known)

    def _of_contract(self, context: ResponseContext, row: _DriftContract) -> Row | None:
        reader = Reader(self.name, _CONTRACTS)
        if row.product_type != "PERP" or not row.ticker_id.endswith(_SUFFIX):
            return None
        market = named(reader, self.market, row.ticker_id)
        rate, written = hundredth(reader, "next_funding_rate", row.next_funding_rate)
        due = row.next_funding_rate_timestamp
        if not (due.isascii() and due.isdigit()):
            raise reader.bad("next_funding_rate_timestamp", "is not a time in Unix ms, as text", due)
        stamp = reader.ms({"next_funding_rate_timestamp": int(due)}, "next_funding_rate_timestamp")
        both = counted(reader, "open_interest", row.open_interest, row.ticker_id)
        index = counted(reader, "index_price", row.index_price, row.ticker_id)
        known = {
            "funding_rate": bounded(reader, "next_funding_rate", rate, _ABSURD, row.ticker_id),
            "interval_hours": 1.0,
            "native_rate": written,
            "rate_step": 1e-8,
            "next_funding_time": from_ms(stamp - stamp % HOUR_MS),
            "index_price": index / market.multiplier or None,
            "open_interest": both / 2 * market.multiplier,
        }
        return snapshot_row(market, context.at, known)

    # --- markets

    def markets(self, body: bytes, context: ResponseContext) -> pl.DataFrame:
        """MARKETS rows of the perpetuals; those of a frozen exchange are delisted."""
        reader = Reader(self.name, _STATS)

        def read(one: dict[str, Any]) -> Row | None:
            if (row := self._perpetual(one)) is None:
                return None
            if row.quote_asset != self.quote:
                problem = f"of {row.symbol} is not {self.quote}"
                raise reader.bad("quoteAsset", problem, row.quote_asset)
            status = self._status(row, context)
            leverage = row.limits.leverage.max if row.limits and row.limits.leverage else None
            known = {
                "collateral": self.quote,
                "max_leverage": leverage or None,
                "status": "delisted" if self.delisted_at else status,
                "delisted_at": self.delisted_at,
            }
            return market_row(self.market(row.symbol), context, known)

        listed = self._listed(decode(body, self.name, _STATS))
        return markets_of(reader, context, listed, dict[str, Any], read, "markets", by_symbol=self.market)

    def market(self, symbol: str) -> Market:
        """The market of a symbol alone; raises BadCall for a name that is not BASE-PERP."""
        asset = symbol.removesuffix(_SUFFIX)
        if not symbol.endswith(_SUFFIX) or not asset:
            problem = f"{self.name}: {symbol!r} is no market name; names look like SOL-PERP"
            raise BadCall(f"{problem} (fundingdb markets {self.name})")
        what = identify(self.name, asset)
        status = "delisted" if self.delisted_at else "active"
        return Market(
            self.name,
            symbol,
            what.base,
            self.quote,
            what.asset_class,
            what.multiplier,
            status=status,
            interval_hours=1.0,
            delisted_at=self.delisted_at,
        )


def named(reader: Reader, market: Callable[[str], Market], symbol: str) -> Market:
    """The market that a response names; raises BadPayload for a name that is none."""
    try:
        return market(symbol)
    except BadCall:
        raise reader.bad("symbol", "is no market name", symbol) from None


def written_at(reader: Reader, ts: str) -> int:
    """Unix seconds written as text."""
    if not (ts.isascii() and ts.isdigit()):
        raise reader.bad("ts", "is not a time in Unix seconds, as text", ts)
    return reader.seconds({"ts": int(ts)}, "ts")


def payment(
    reader: Reader, row: _DriftPayment | UnnamedSettlement, stamp: int, market: Market
) -> dict[str, Any]:
    """The figures of one settlement: a rate from money and oracle price; integers without a point are legacy figures."""
    money = reader.finite("fundingRate", row.funding_rate)
    oracle = counted(reader, "oraclePriceTwap", row.oracle_price_twap, market.symbol)
    mark = counted(reader, "markPriceTwap", row.mark_price_twap, market.symbol)
    written = money
    if raw := "." not in row.oracle_price_twap:
        money, oracle, mark = money / 1e9, oracle / 1e6, mark / 1e6
    # a bare 0 is the same number in both
    if any(
        ("." not in text) != raw and figure
        for text, figure in ((row.funding_rate, written), (row.mark_price_twap, mark))
    ):
        raise reader.bad(
            "oraclePriceTwap", "is an integer beside decimals, or a decimal beside integers", row
        )
    if not oracle:
        raise reader.bad("oraclePriceTwap", f"of {market.symbol} is zero: it gives no rate")
    return {
        "funding_time": stamp - stamp % HOUR_MS,
        "reported_time": stamp,
        "funding_rate": bounded(reader, "fundingRate", money / oracle, _ABSURD, market.symbol),
        "native_rate": written,
        "mark_price": mark / market.multiplier or None,  # a price of 0 is none
        "index_price": oracle / market.multiplier,
    }


def _history_request(market: Market, window: Window, cursor: str | None) -> Request:
    if not market.symbol.strip("."):
        raise BadCall(f"{market.exchange}: {market.symbol!r} is no market name; names look like SOL-PERP")
    path = f"/market/{quote(market.symbol, safe='')}/fundingRates/{window.start:%Y/%m/%d}"
    return Request(_HISTORY, path, params=() if cursor is None else (("page", cursor),))


def _stats_requests(_markets: Sequence[Market]) -> list[Request]:
    return [Request(_STATS, _STATS)]


def _no_requests(_markets: Sequence[Market]) -> list[Request]:
    return []


def _refusal(name: str, status: int, body: bytes) -> FundingdbError | None:
    return refused(name, status, body, "it allows; how much that is, it does not publish")


def _headers(_env: object) -> dict[str, str]:
    return {"Origin": "https://app.drift.trade", "Referer": "https://app.drift.trade"}


def _history(venue: _DriftVenue, depth: str) -> History:
    return History(
        paging=Days(),
        request=_history_request,
        parse=venue.history,
        next_cursor=venue.next_cursor,
        depth=depth,
    )


_DRIFT = _DriftVenue("drift", "USDC", FROZEN)
_VELOCITY = _DriftVenue("velocity", "USDT", None)

DRIFT = Fetcher(
    exchange="drift",
    version=1,
    base_url="https://data.api.drift.trade",
    budget=Budget(scope="drift", capacity=60, per_seconds=60, concurrent=2),
    markets=Sweep(_stats_requests, _DRIFT.markets),
    current=Sweep(_no_requests, _DRIFT.current),
    history=_history(
        _DRIFT,
        "day by day up to 2026-04-01 18:00Z; the oldest day is not documented; 2022-11 to 2025-01-08 also by archive",
    ),
    market=_DRIFT.market,
    refusal=partial(_refusal, "drift"),
    headers=_headers,
    unit="money per base unit and hour",
    interval="1 h",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=10),
)
VELOCITY = Fetcher(
    exchange="velocity",
    version=1,
    base_url="https://data.velocity.exchange",
    budget=Budget(scope="velocity", capacity=60, per_seconds=60, concurrent=2),
    markets=Sweep(_stats_requests, _VELOCITY.markets),
    current=Sweep(_stats_requests, _VELOCITY.current),
    history=_history(_VELOCITY, "day by day, at most to 2026-07-01 (launch)"),
    market=_VELOCITY.market,
    refusal=partial(_refusal, "velocity"),
    unit="money per base unit and hour; percent for now",
    interval="1 h",
    checked="2026-11-22",
    evidence="recorded",
    settle_delay=timedelta(minutes=10),
)
