"""Drift's S3 archive of days (source `drift-archive`), 2022-11 to 2025-01-08. Datasheet and pure functions.

Pages     docs of drift-labs (historical data), two public readers of the files; 2026-11-22. No file is recorded: documented.
Request   GET drift-historical-data-v2.s3.eu-west-1.amazonaws.com/program/{id}/market/{S}/fundingRateRecords/{YYYY}/{YYYYMMDD},
          no key, no published limit; 5 a second here.
Form      gzip (or unpacked on the way) of CSV with a header; the columns are the fields of the API's records, in any order:
          ts, fundingRate, oraclePriceTwap, markPriceTwap are read, and symbol where it is one of them.
Unit      as drift.py: MONEY per base unit and hour, rate = fundingRate / oraclePriceTwap; integers without a point are legacy
          figures (/ 1e9, / 1e6). Public readers disagree, by 1,000x, so each file must prove its scale: on 3 rows at least, and a
          quarter of them, money x 24 is within 2 % of mark - oracle, or of that + oracle / 5000 (the formula of the protocol,
          with its later offset; clamped rows pay less). Read wrongly it would be off by 1,000. Else the file is refused.
Clock     ts, seconds, floored to the hour; a row of another day than the file's is refused.
Missing   some 1 % of the records are lost (public readers). A missing file (404, or 403 where listing is closed) has no reason: a
          failure, never an empty day. The exchange itself may have the day (drift.py).
"""

from __future__ import annotations

import csv
import zlib
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from fundingdb.errors import BadCall
from fundingdb.fetchers import drift
from fundingdb.fetchers.archived import NO_LIST, NOTHING_NOW, refusal
from fundingdb.fetchers.contract import Budget, Days, Fetcher, History, Market, Request, ResponseContext
from fundingdb.fetchers.payload import Reader
from fundingdb.fetchers.rows import funding_rows

if TYPE_CHECKING:
    import polars as pl

    from fundingdb.window import Window

SOURCE = "drift-archive"
_BASE = "https://drift-historical-data-v2.s3.eu-west-1.amazonaws.com"
_PROGRAM = "dRiftyHA39MWEi3m9aunc5MzRF1JYuBsbn6VPcn33UH"
_FILE = "fundingRateRecords"
_FIRST, _LAST = datetime(2022, 11, 1, tzinfo=UTC), datetime(2025, 1, 8, tzinfo=UTC)
_MOST_BYTES = 1 << 20  # of a file and of what is in it; a day has 24 rows
_COLUMNS = ("ts", "fundingRate", "oraclePriceTwap", "markPriceTwap")
_LEAST, _SHARE, _NEAR = 3, 0.25, 0.02


def _history_request(market: Market, window: Window, _cursor: str | None) -> Request:
    if not market.symbol.strip("."):
        raise BadCall(f"drift: {market.symbol!r} is no market name; names look like SOL-PERP")
    symbol = quote(market.symbol, safe="")
    return Request(_FILE, f"/program/{_PROGRAM}/market/{symbol}/{_FILE}/{window.start:%Y/%Y%m%d}")


def _parse(body: bytes, context: ResponseContext) -> pl.DataFrame:
    """FUNDING rows by time of one day of `context.market`, or of the one market that a column names."""
    reader = Reader("drift", _FILE)
    try:
        header, *lines = list(csv.reader(_text(reader, body).splitlines())) or [[]]
    except csv.Error as error:
        raise reader.bad("(body)", f"is no CSV: {error}") from None
    if missing := [name for name in _COLUMNS if name not in header]:
        raise reader.bad("(header)", f"lacks {', '.join(missing)}", ",".join(header)[:200])
    if wrong := [line for line in lines if len(line) != len(header)]:
        raise reader.bad("(rows)", f"has {len(wrong[0])} cells, the header {len(header)}", wrong[0])
    if not lines:
        raise reader.bad("(rows)", "are none; a day without records has no file")
    cells = {name: [line[header.index(name)] for line in lines] for name in header}
    market = _market(reader, context, set(cells.get("symbol", ())))
    rows = [drift.UnnamedSettlement(*row) for row in zip(*(cells[name] for name in _COLUMNS), strict=True)]
    paid = [drift.payment(reader, row, _stamp(reader, context, row.ts), market) for row in rows]
    _prove(reader, paid, market)
    known = {name: [row[name] for row in paid] for name in paid[0]}
    return funding_rows(market, context, known | {"source": [SOURCE] * len(paid)}, hours=1.0)


def _text(reader: Reader, body: bytes) -> str:
    if not body:
        raise reader.bad("(body)", "is empty")
    if body.startswith(b"\x1f\x8b"):
        try:
            unpacking = zlib.decompressobj(wbits=31)
            body = unpacking.decompress(body, _MOST_BYTES + 1)
        except zlib.error as error:
            raise reader.bad("(body)", f"is no whole gzip file: {error}") from None
        if not unpacking.eof and len(body) <= _MOST_BYTES:
            raise reader.bad("(body)", "is no whole gzip file: it is cut")
    if len(body) > _MOST_BYTES:
        raise reader.bad("(body)", f"is larger than a day of records ({_MOST_BYTES} bytes)")
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise reader.bad("(body)", "is neither gzip nor plain text") from None


def _market(reader: Reader, context: ResponseContext, named: set[str]) -> Market:
    if context.market is None and len(named) != 1:
        raise BadCall("drift: a file of the archive may not name its market; name it (--symbol SOL-PERP)")
    market = context.market or drift.named(reader, drift.DRIFT.market, min(named))
    if others := named - {market.symbol}:
        raise reader.bad("symbol", f"is {min(others)!r}, requested was {market.symbol!r}")
    return market


def _stamp(reader: Reader, context: ResponseContext, text: str) -> int:
    seconds = drift.written_at(reader, text)
    day = f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d}"
    if context.request is not None and not context.request.path.endswith(f"/{day}"):
        raise reader.bad("ts", f"lies on {day}, another day than the file's", text)
    return seconds * 1000


def _prove(reader: Reader, paid: list[dict[str, float]], market: Market) -> None:
    """Raise BadPayload unless enough rows pay what the protocol's formula makes of their own prices."""
    fits = 0
    for row in paid:
        index, mark = row["index_price"], row["mark_price"] or 0.0
        apart = mark / index - 1
        due = (apart / 24, (apart + 1 / 5000) / 24)
        fits += any(d and abs(row["funding_rate"] / d - 1) < _NEAR for d in due)
    if fits < max(_LEAST, _SHARE * len(paid)):
        problem = f"of {market.symbol} follows from its prices in {fits} of {len(paid)} rows only: its scale is not proven"
        raise reader.bad("fundingRate", problem)


_refusal = partial(
    refusal,
    SOURCE,
    missing=(403, 404),
    lacking="day ({status}): lost, or the market had no record then",
)
DRIFT = Fetcher(
    exchange="drift",
    source=SOURCE,
    version=1,
    base_url=_BASE,
    budget=Budget(scope=SOURCE, capacity=5, per_seconds=1, concurrent=4),
    markets=NO_LIST,
    current=NOTHING_NOW,
    history=History(
        paging=Days(first=_FIRST, last=_LAST),
        request=_history_request,
        parse=_parse,
        depth="days from 2022-11 to 2025-01-08",
    ),
    market=drift.DRIFT.market,
    refusal=_refusal,
    listed_by=drift.DRIFT,
    unit="money per base unit and hour",
    interval="1 h",
    checked="2026-11-22",
    evidence="documented, scale proven by each file",
)
