"""From a response of ccxt (one JSON envelope, see `calls`) to rows of the tables. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.errors import BadPayload
from fundingdb.fetchers.contract import Market
from fundingdb.fetchers.identity import identify
from fundingdb.fetchers.payload import Reader, decode
from fundingdb.fetchers.rows import Row, funding_rows, market_row, markets_of, snapshot_row, snapshots_of
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms, to_ms

if TYPE_CHECKING:
    from fundingdb.fetchers.ccxt.venues import IntervalField, Now, Past, Venue
    from fundingdb.fetchers.contract import ResponseContext

SOURCE = "ccxt"
TOLERANCE = 1e-12  # between the raw figure, scaled, and ccxt's
_HOUR_MS = 3_600_000
_OFF_MS = 60_000  # the most that a stamp may be off its full hour
_HOURS = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0)
_ABSURD = 0.25  # fraction per payment: beyond it the unit is another one than the list says


def history(name: str, rules: Past, body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time of `context.market`: settled payments up to the receipt; samples (interval 0) are no payments."""
    reader, rows, _ = opened(name, "fetch_funding_rate_history", body)
    market = context.market
    if market is None:
        raise reader.bad("market", "must be stated to read a history through ccxt")
    now = to_ms(context.at)
    paid = (_payment(reader, rules, row, market) for row in rows)
    kept = [row for row in paid if row is not None and row["reported_time"] <= now]
    if not kept:
        return FUNDING.empty().drop("month")
    measured = {column: [row[column] for row in kept] for column in kept[0]}
    frame = funding_rows(market, context, measured, hours=1.0)
    return frame.with_columns(source=pl.lit(SOURCE)).unique(maintain_order=True)


def _payment(reader: Reader, rules: Past, row: dict[str, Any], market: Market) -> dict[str, Any] | None:
    info = reader.get(row, "info", dict)
    if reader.get(row, "symbol", str) != market.native_id:
        raise reader.bad("symbol", f"is not {market.native_id!r}, which was requested", row["symbol"])
    stamp = reader.ms(row, "timestamp")
    rate, native = _rate(reader, info, rules.rate, row, rules.scale)
    if rules.payment is not None:  # ccxt reads a longer basis; the payment is another field
        rate = native = _figure(reader, info, rules.payment)
    if abs(rate) > _ABSURD:
        raise reader.bad(rules.rate, f"{market.symbol}: {rate:g} as a fraction is beyond {_ABSURD:g}")
    hours, evidence = _period(reader, rules.period, info, stamp)
    if hours == 0:
        return None
    return {
        "funding_time": _settled(reader, stamp, floor=rules.floor),
        "reported_time": stamp,
        "funding_rate": rate + 0.0,
        "native_rate": native,
        "mark_price": None,
        "interval_hours": hours,
        "interval_from": evidence,
    }


def _settled(reader: Reader, stamp: int, *, floor: bool) -> int:
    if floor:
        return stamp - stamp % _HOUR_MS
    nearest = (stamp + _HOUR_MS // 2) // _HOUR_MS * _HOUR_MS
    if abs(stamp - nearest) > _OFF_MS:
        raise reader.bad(
            "timestamp", "is more than a minute off the full hour: no settlement", from_ms(stamp)
        )
    return nearest


def _rate(  # noqa: PLR0917 - one figure, its field, ccxt's row and the two ways to scale it
    reader: Reader,
    info: dict[str, Any],
    name: str,
    row: dict[str, Any],
    scale: float,
    over: str | None = None,
) -> tuple[float, float]:
    """(fraction, raw figure); raises BadPayload when ccxt's own figure is another one."""
    native = _figure(reader, info, name)
    rate = native * scale
    if over is not None:
        divisor = _figure(reader, info, over)
        if divisor <= 0:
            raise reader.bad(over, "must be above 0", divisor)
        rate /= divisor
    theirs = reader.number(row, "fundingRate", text=False)
    if abs(rate - theirs) > TOLERANCE * max(1.0, abs(rate), abs(theirs)):
        raise reader.bad(
            name,
            f"the unit changed upstream: {native!r} scaled is {rate!r}, ccxt {row.get('ccxt', '')} reads {theirs!r}",
        )
    return rate, native


def _figure(reader: Reader, info: dict[str, Any], name: str) -> float:
    return reader.finite(name, reader.get(info, name, str, int, float))


def _period(
    reader: Reader, rules: IntervalField, info: dict[str, Any], stamp: int | None
) -> tuple[float | None, str]:
    """(hours, evidence); 0 is a sample between payments. Raises BadPayload for hours off the grid of settlements."""
    if rules.hours is not None:
        valid = stamp is None or stamp >= rules.since
        return (rules.hours, "declared") if valid else (None, "unknown")
    if rules.name is None or (rules.optional and info.get(rules.name) in (None, "")):
        return None, "unknown"
    figure = _figure(reader, info, rules.name)
    if rules.times is not None:
        hours = figure * rules.times
    elif rules.start is not None:
        hours = (figure - _figure(reader, info, rules.start)) / _HOUR_MS
    elif stamp is not None:
        hours = (figure - stamp) / _HOUR_MS
    else:
        raise reader.bad("timestamp", "is missing, so the interval is unknown")
    if hours == 0 and rules.times is not None:
        return 0.0, "row"
    near = min(_HOURS, key=lambda h: abs(h - hours))
    if abs(near - hours) * _HOUR_MS > _OFF_MS:
        raise reader.bad(
            rules.name, f"gives an interval of {hours:g} h, which contradicts the grid of settlements", figure
        )
    return near, "row"


def current(name: str, rules: Now, venue: Venue, body: bytes, context: ResponseContext) -> pl.DataFrame:
    """SNAPSHOTS rows of the active markets of `context.markets`; rows of others, and without a rate, are left out."""
    call = context.request.endpoint if context.request else "fetch_funding_rates"
    reader, rows, _ = opened(name, call, body)
    active = {m.native_id: m for m in context.markets.values() if m.status == "active"}

    def read(row: dict[str, Any]) -> Row | None:
        market = active.get(reader.get(row, "symbol", str))
        if market is None or (venue.linear_now and not _linear(market)):
            return None
        info = reader.get(row, "info", dict)
        values: dict[str, Any] = {"source": SOURCE}
        raw = info.get(rules.rate)
        hours, _ = _period(reader, rules.period, info, row.get("timestamp"))
        values["interval_hours"] = hours or None
        if raw not in (None, "") and row.get("fundingRate") is not None:
            rate, native = _rate(reader, info, rules.rate, row, 1.0, rules.over)
            if abs(rate) > _ABSURD:
                raise reader.bad(rules.rate, f"{market.symbol}: {rate:g} is beyond {_ABSURD:g}", raw)
            values |= {"funding_rate": rate + 0.0, "native_rate": native}
            for ours, theirs in (("mark_price", "markPrice"), ("index_price", "indexPrice")):
                price = reader.number_or_null(row, theirs, text=False)
                values[ours] = price / market.multiplier if price and price > 0 else None
            if rules.due is not None and row.get(rules.due) is not None:
                values["next_funding_time"] = from_ms(reader.ms(row, rules.due))
        return snapshot_row(market, context.at, values)

    return snapshots_of(reader, context, rows, dict[str, Any], read, "rows")


def _linear(market: Market) -> bool:
    _, _, settle = (market.native_id or "").partition(":")
    return bool(settle) and settle in ("USD", "USDT", "USDC")


def markets(name: str, venue: Venue, body: bytes, context: ResponseContext) -> pl.DataFrame:
    """MARKETS rows of all perpetuals that the rules of the venue cover; `native_id` is ccxt's symbol."""
    reader, rows, _ = opened(name, "load_markets", body)

    def read(row: dict[str, Any]) -> Row | None:
        if row.get("swap") is not True or (venue.only and row.get(venue.only) is not True):
            return None
        symbol, base = reader.get(row, "id", str), reader.get(row, "base", str)
        if symbol.startswith("."):
            return None  # KuCoin lists indices so
        what = identify(name, base)
        active = row.get("active")
        market = Market(
            exchange=name,
            symbol=symbol,
            base=what.base,
            quote=reader.get(row, "quote", str),
            asset_class=what.asset_class,
            multiplier=what.multiplier,
            native_id=reader.get(row, "symbol", str),
            status="inactive" if active is False else "active",  # null: it is listed, no more is stated
        )
        return market_row(market, context, {"collateral": row.get("settle")})

    listed = markets_of(reader, context, rows, dict[str, Any], read, "rows", by_symbol=None)
    if listed.is_empty():
        raise reader.bad("markets", "names no perpetual that the rules cover")
    return listed


def opened(name: str, call: str, body: bytes) -> tuple[Reader, list[dict[str, Any]], str | None]:
    """(reader, rows, cursor of the next page) of an envelope; raises BadPayload."""
    endpoint = f"{SOURCE} {call}"
    envelope = decode(body, name, endpoint)
    reader = Reader(name, endpoint)
    if reader.get(envelope, "venue", str) != name:
        raise reader.bad("venue", f"is not {name!r}", envelope["venue"])
    version = reader.get(envelope, "ccxt", str)
    rows = reader.items(envelope, "rows")
    for row in rows:
        if not isinstance(row, dict):
            raise reader.bad("rows", "has an entry that is no object", row)
        row["ccxt"] = version
    return reader, rows, envelope.get("next")


def following(name: str, body: bytes) -> str | None:
    """The cursor of the next page; None at the end, and where paging has none."""
    try:
        return opened(name, "fetch_funding_rate_history", body)[2]
    except BadPayload:
        return None
