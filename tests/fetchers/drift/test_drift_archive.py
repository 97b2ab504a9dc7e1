"""Drift's archive of days: figures of recorded rows in its documented form, a scale that each file proves, days one by one."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.drift_archive import DRIFT
from fundingdb.fetchers.registry import archive
from fundingdb.schema import FUNDING
from fundingdb.transport.paging import Page, requestable, walk
from fundingdb.window import Window
from tests.fetchers.drift.case import DAY, DECIMAL, day_file

SOL = DRIFT.market("SOL-PERP")
HOUR = timedelta(hours=1)


def read(body, market=SOL, day=DAY):
    request = DRIFT.history.request(SOL, Window(day, day + 24 * HOUR), None)
    return FUNDING.check(DRIFT.history.parse(body, ResponseContext(day, market, request=request))).to_dicts()


def test_an_unpacked_file_and_columns_in_another_order_read_the_same():
    plain = gzip.decompress(day_file())
    assert read(plain) == read(day_file())
    lines = [line.split(",") for line in plain.decode().splitlines()]
    turned = "\n".join(",".join([*line[::-1], "SOL-PERP" if n else "symbol"]) for n, line in enumerate(lines))
    assert read(turned.encode(), market=None) == read(plain)


@pytest.mark.parametrize(
    "figures",
    [
        ("-1.024958", "84.693889", "84.652352"),  # 1,000 times too much
        ("-0.000001025", "84.693889", "84.652352"),
        ("0.001024958", "84.693889", "84.652352"),  # turned
        ("-3095708000", "97493700", "97399905"),
    ],
)
def test_a_file_that_does_not_prove_its_scale_is_refused(figures):
    with pytest.raises(BadPayload, match="its scale is not proven|beyond"):
        read(day_file(figures))


def test_clamped_hours_beside_others_are_read():
    start = int(DAY.timestamp())
    rows = [
        f"{start + n * 3600},{','.join(DECIMAL if n % 3 == 0 else ('-0.0001', *DECIMAL[1:]))}"
        for n in range(24)
    ]
    body = "\n".join(["ts,fundingRate,oraclePriceTwap,markPriceTwap", *rows]).encode()
    assert len(read(body)) == 24


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "is empty"),
        (day_file()[:-20], "is no whole gzip file"),
        (gzip.compress(b"0" * (2 << 20), mtime=0), "is larger than a day"),
        (b"\xff\xfe", "neither gzip nor plain text"),
        (gzip.compress(b"", mtime=0), "lacks ts, fundingRate"),
        (b'"' + b"0" * 200_000, "is no CSV"),
        (day_file(header="ts,fundingRate,oracle,mark"), "lacks oraclePriceTwap, markPriceTwap"),
        (day_file(("1", "2")), "cells, the header"),
        (day_file(hours=0), "are none"),
        (day_file(day=DAY + 24 * HOUR), "another day than the file's"),
        (day_file(("NaN", "84.6", "84.7")), "fundingRate"),
        (day_file(("0.1", "0.0", "84.7")), "zero"),
        (day_file(("-3095708", "97.4937", "97.399905")), "integer beside decimals"),
    ],
)
def test_what_is_no_such_file_is_refused(body, problem):
    with pytest.raises(BadPayload, match=problem):
        read(body)


def test_a_file_that_names_no_market_needs_one():
    with pytest.raises(BadCall, match="may not name its market"):
        read(day_file(), market=None)


def test_each_day_is_requested_on_its_own_within_the_archives_days():
    assert archive("drift") is DRIFT
    days = requestable(DRIFT.history.paging, Window(DAY + 5 * HOUR, DAY + 49 * HOUR), DAY + 900 * HOUR)
    assert [d.start for d in days] == [DAY, DAY + 24 * HOUR, DAY + 48 * HOUR]
    assert {d.stop - d.start for d in days} == {24 * HOUR}
    late = requestable(
        DRIFT.history.paging, Window(datetime(2025, 1, 7, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)), DAY
    )
    assert [f"{d.start:%m-%d}" for d in late] == ["01-07", "01-08"]
    assert (
        requestable(
            DRIFT.history.paging,
            Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
            DAY,
        )
        == []
    )
    walker = walk(DRIFT.history.paging, days[0], HOUR)
    request = DRIFT.history.request(SOL, *next(walker))
    assert request.path.endswith("/market/SOL-PERP/fundingRateRecords/2024/20240603")
    with pytest.raises(StopIteration):
        walker.send(Page([r["funding_time"] for r in read(day_file())]))


@pytest.mark.parametrize("status", [403, 404])
def test_a_missing_day_is_a_failure_and_no_empty_day(status):
    assert "it does not say which" in str(DRIFT.refusal(status, b"<Error><Code>NoSuchKey</Code></Error>"))
