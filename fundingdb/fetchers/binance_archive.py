"""Binance's archive of finished months (source `binance-archive`), for USD-M and COIN-M. Datasheet and pure functions.

Pages     github.com/binance/binance-public-data; public notes of 2023 to 2026 that list, hash and unpack its files. 2026-11-22.
          No whole file was at hand: documented. Tests have the first rows of three files as others published them
          (BTCUSDT 2024-01, BTCUSD_PERP 2023-06, SPYUSDT 2026-06); those of BTCUSDT are the API's own figures.
Request   GET https://data.binance.vision/data/futures/{um|cm}/monthly/fundingRate/{S}/{S}-fundingRate-{YYYY-MM}.zip, no
          key, no published limit; 20 a second here. Beside each file lies {file}.CHECKSUM: "<sha256>  <file name>". It is
          requested first, and a file with another hash is refused. Some files of other kinds never had one.
Form      a zip with one member {S}-fundingRate-{YYYY-MM}.csv, header calc_time,funding_interval_hours,last_funding_rate.
          The rows do not name their market: only the member's name does, so it must be the requested one. A file
          without header is refused (none was met).
Unit      fraction of notional per interval, text. Positive: longs pay shorts. Equal to the API's fundingRate.
Interval  funding_interval_hours: the one source that states it for past payments (`interval_from` row). Where the payment
          before it in the file is another number of hours away it is contradicted, and null: so the first payment after
          longer hours come back (SPYUSDT 2026-06-18 08:00Z states 8, four hours after the one before). A file
          where that is so of more than a quarter of the rows does not state intervals, and is refused.
Clock     calc_time, ms, some ms after the hour: funding_time is the hour; more than a minute off is refused.
Special   not marked: of two rows at one instant the later is the special payment (SPYUSDT 2026-06-18 00:00Z). It accrues
          over no hours: null.
Price     none.
History   USD-M from 2020-01, COIN-M from 2022-07: earlier months are 404. Monthly files come on the first Monday of the next
          month: a month is requested eight days after
          its end. There are no daily files. The files of delisted markets stay.
Missing   404 gives no reason: not published, or no payment in that month. It is a failure, never an empty month.
Markets   listed by the API; one that the API no longer lists is requested only while the lake has it.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from fundingdb.errors import BadCall
from fundingdb.fetchers import binance
from fundingdb.fetchers.archived import NO_LIST, NOTHING_NOW, refusal
from fundingdb.fetchers.binance import BinancePayment, rate_types, refuse_absurd
from fundingdb.fetchers.contract import (
    Budget,
    Fetcher,
    History,
    Market,
    Months,
    Request,
    ResponseContext,
)
from fundingdb.fetchers.payload import HOUR_MS, Reader, decimals, text_ms
from fundingdb.fetchers.rows import funding_rows
from fundingdb.schema import FUNDING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fundingdb.window import Window

SOURCE = "binance-archive"
_BASE = "https://data.binance.vision"
_FILE, _SUM = "fundingRate.zip", "fundingRate.zip.CHECKSUM"
_HEADER = "calc_time,funding_interval_hours,last_funding_rate"
_NAME = re.compile(r"([^/\\]+)-fundingRate-(\d{4}-(?:0[1-9]|1[0-2]))\.csv")
_CHECKSUM = re.compile(rb"([0-9a-f]{64})  ([^\s/]{1,200})\s*")
_LATE_MS = 60_000
_MOST_BYTES = 1 << 20  # of a file and of what is in it; 744 hourly rows are 30 kB
_CONTRADICTED = 0.25  # of the rows, from 4 on


@dataclass(frozen=True, slots=True)
class _BinanceArchiveRow:
    stamp: int
    hours: int
    rate: str


def _request(kind: str, market: Market, window: Window, sha256: str | None) -> Request:
    symbol = quote(market.symbol, safe="")
    if not market.symbol.strip("."):
        raise BadCall(f"{market.exchange}: {market.symbol!r} is no market name")
    path = f"/data/futures/{kind}/monthly/fundingRate/{symbol}/{symbol}-fundingRate-{window.start:%Y-%m}.zip"
    if sha256 is None:
        return Request(_SUM, f"{path}.CHECKSUM")
    return Request(_FILE, path, sha256=sha256)


def _parse(api: Fetcher, body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time of one month; none of a checksum, which leads to them."""
    reader = Reader(api.exchange, context.request.endpoint if context.request else _FILE)
    wanted = unquote(context.request.path.rpartition("/")[2]) if context.request else ""
    if not body.startswith(b"PK"):
        if context.request is not None and context.request.endpoint == _FILE:
            raise reader.bad("(body)", "is no zip archive", body[:60].decode("utf-8", "replace"))
        _, name = _sum_of(reader, body)
        if wanted and f"{name}.CHECKSUM" != wanted:
            raise reader.bad("(file name)", f"is not that of {wanted}", name)
        return FUNDING.empty().drop("month")
    if context.request is not None and hashlib.sha256(body).hexdigest() != context.request.sha256:
        raise reader.bad("(body)", "does not hash to the checksum beside it; damaged, or just replaced")
    name, text = _member(reader, body)
    named = _NAME.fullmatch(name)
    if named is None or (wanted and name != f"{wanted.removesuffix('.zip')}.csv"):
        raise reader.bad("(member)", f"is not the month of {wanted or 'a market'}", name)
    market = context.market or api.market(named[1])
    if named[1] != market.symbol:
        raise reader.bad("(member)", f"is not of the requested {market.symbol}", name)
    return _rows(reader, market, context, _read(reader, text, named[2]))


def _sum_of(reader: Reader, body: bytes) -> tuple[str, str]:
    match = _CHECKSUM.fullmatch(body)
    if match is None:
        problem = "is neither a zip archive nor a checksum"
        raise reader.bad("(body)", problem, body[:60].decode("utf-8", "replace"))
    return match[1].decode(), match[2].decode("utf-8", "replace")


def _next(body: bytes) -> str | None:
    """The checksum, which leads to the file; None behind the file itself."""
    match = _CHECKSUM.fullmatch(body)
    return match[1].decode() if match else None


def _member(reader: Reader, body: bytes) -> tuple[str, str]:
    """Name and text of the one member, unpacked in memory and no further than a month can reach."""
    if len(body) > _MOST_BYTES:
        raise reader.bad("(body)", f"is larger than a month of payments ({len(body)} bytes)")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            inside = archive.infolist()
            if len(inside) != 1:
                raise reader.bad("(body)", f"has {len(inside)} members, must be one")
            (one,) = inside
            if one.flag_bits & 1 or one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise reader.bad("(member)", "is encrypted or packed in another way than deflate")
            with archive.open(one) as member:
                text = member.read(_MOST_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise reader.bad("(body)", f"is no whole zip archive: {error}") from None
    if len(text) > _MOST_BYTES:
        raise reader.bad("(member)", "is larger than a month of payments", one.filename)
    try:
        return one.filename, text.decode("ascii")
    except UnicodeDecodeError:
        raise reader.bad("(member)", "is no plain text", one.filename) from None


def _read(reader: Reader, text: str, month: str) -> list[_BinanceArchiveRow]:
    header, *lines = text.splitlines() or [""]
    if header != _HEADER:
        raise reader.bad("(header)", f"is not {_HEADER}", header)
    if not lines:
        raise reader.bad("(rows)", "are none; a month without payments has no file")
    rows = []
    for line in lines:
        cells = line.split(",")
        if len(cells) != 3:
            raise reader.bad("(rows)", f"has {len(cells)} cells, must be 3", line)
        stamp = text_ms(reader, "calc_time", cells[0])
        if stamp % HOUR_MS > _LATE_MS:
            raise reader.bad("calc_time", "is not within a minute after a full hour", stamp)
        if f"{datetime.fromtimestamp(stamp / 1000, UTC):%Y-%m}" != month:
            raise reader.bad("calc_time", f"lies outside the month {month}", stamp)
        if not re.fullmatch(r"[0-9]{1,2}", cells[1]) or not 1 <= int(cells[1]) <= 24:
            raise reader.bad("funding_interval_hours", "is not within 1..24", cells[1])
        rows.append(_BinanceArchiveRow(stamp, int(cells[1]), cells[2]))
    return rows


def _rows(
    reader: Reader, market: Market, context: ResponseContext, rows: Sequence[_BinanceArchiveRow]
) -> pl.DataFrame:
    rates = decimals(reader, "last_funding_rate", [row.rate for row in rows])
    types = rate_types(reader, [BinancePayment(market.symbol, row.stamp, row.rate) for row in rows])
    refuse_absurd(reader, "last_funding_rate", market, rates, types)
    instants = [row.stamp - row.stamp % HOUR_MS for row in rows]
    stated = _stated(reader, market, instants, rows)
    hours = [h if kind == "regular" else None for h, kind in zip(stated, types, strict=True)]
    measured = {
        "source": [SOURCE] * len(rows),
        "funding_time": instants,
        "reported_time": [row.stamp for row in rows],
        "funding_rate": rates,
        "native_rate": rates,
        "mark_price": [None] * len(rows),
        "rate_type": types,
        "interval_hours": hours,
        "interval_from": ["unknown" if h is None else "row" for h in hours],
    }
    return funding_rows(market, context, measured, hours=1.0)


def _stated(
    reader: Reader, market: Market, instants: list[int], rows: Sequence[_BinanceArchiveRow]
) -> list[float | None]:
    """The stated hours of each row, None where the distance to the instant before contradicts them."""
    distinct = sorted(set(instants))
    gaps = {b: (b - a) / HOUR_MS for a, b in pairwise(distinct)}
    hours = [
        float(row.hours) if gaps.get(at, row.hours) == row.hours else None
        for at, row in zip(instants, rows, strict=True)
    ]
    wrong = hours.count(None)
    if len(rows) >= 4 and wrong > _CONTRADICTED * len(rows):
        problem = (
            f"of {market.symbol} contradicts the distance of the payments in {wrong} of {len(rows)} rows"
        )
        raise reader.bad("funding_interval_hours", problem)
    return hours


_refusal = partial(
    refusal,
    SOURCE,
    missing=(404,),
    lacking="month ({status}): not published, or the market had no payment then",
)


def _archive(api: Fetcher, kind: str, first: datetime) -> Fetcher:
    return Fetcher(
        exchange=api.exchange,
        source=SOURCE,
        version=1,
        base_url=_BASE,
        budget=Budget(scope=SOURCE, capacity=20, per_seconds=1, concurrent=8),
        markets=NO_LIST,
        current=NOTHING_NOW,
        history=History(
            paging=Months(first=first, published_after=timedelta(days=8)),
            request=partial(_request, kind),
            parse=partial(_parse, api),
            depth=f"finished months from {first:%Y-%m} on",
            next_cursor=_next,
        ),
        market=api.market,
        refusal=_refusal,
        listed_by=api,
        unit="fraction per interval",
        interval="stated with each payment",
        checked="2026-11-22",
        evidence="documented",
    )


USD_M = _archive(binance.FETCHER, "um", datetime(2020, 1, 1, tzinfo=UTC))
COIN_M = _archive(binance.COIN_M, "cm", datetime(2022, 7, 1, tzinfo=UTC))
