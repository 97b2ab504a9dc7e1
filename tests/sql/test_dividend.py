"""A stock's dividend from the answers to the views: two payments at one instant, marked on Binance, unmarked on Aster."""

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest

from fundingdb.catalog import catalog
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest.collector import Collector
from fundingdb.lake import Lake
from fundingdb.transport.http import Engine
from fundingdb.window import HOUR, Window, to_ms

NOW = datetime(2026, 6, 22, 12, 30, tzinfo=UTC)
START, STOP = datetime(2026, 6, 15, tzinfo=UTC), datetime(2026, 6, 19, tzinfo=UTC)
DIVIDEND = datetime(2026, 6, 18, tzinfo=UTC)
REGULAR = {"binance": "0.00008000", "aster": "0.00004000"}
SPECIAL = {"binance": "-0.00239112", "aster": "-0.00239000"}
STOCK = {"symbol": "SPYUSDT", "status": "TRADING", "baseAsset": "SPY", "quoteAsset": "USDT"}
LISTED = {
    "binance": {**STOCK, "contractType": "TRADIFI_PERPETUAL", "underlyingType": "EQUITY"},
    "aster": {**STOCK, "contractType": "PERPETUAL", "underlyingSubType": ["STOCK"], "symbolType": 1},
}


def payments(exchange):
    """Each 8 hours 3 ms after the hour; with the dividend 8 ms later. Binance names the type of each."""
    rows = []
    for n in range(12):
        at = to_ms(START + n * 8 * HOUR)
        rows.append(("Regular", at + 3, REGULAR[exchange]))
        if at == to_ms(DIVIDEND):
            rows.append(("Special", at + 11, SPECIAL[exchange]))
    named = [
        {"symbol": "SPYUSDT", "fundingTime": t, "fundingRate": rate, "rateType": kind}
        for kind, t, rate in rows
    ]
    return (
        named if exchange == "binance" else [{k: v for k, v in r.items() if k != "rateType"} for r in named]
    )


def answer(request):
    exchange = "aster" if "aster" in request.url.host else "binance"
    what = request.url.path.rpartition("/")[2]
    if what == "exchangeInfo":
        return httpx.Response(200, json={"symbols": [LISTED[exchange]]})
    if what == "fundingInfo":
        return httpx.Response(200, json=[{"symbol": "SPYUSDT", "fundingIntervalHours": 8}])
    p = dict(request.url.params)
    inside = [r for r in payments(exchange) if int(p["startTime"]) <= r["fundingTime"] <= int(p["endTime"])]
    return httpx.Response(
        200, json=inside[: int(p["limit"])], headers={"Date": format_datetime(NOW, usegmt=True)}
    )


@pytest.fixture(scope="module")
def con(tmp_path_factory):
    home = tmp_path_factory.mktemp("dividend")

    async def work():
        async with Engine(transport=httpx.MockTransport(answer), now=lambda: NOW, env={}) as engine:
            collector = Collector(Lake(home), home, engine, now=lambda: NOW)
            sources = [fetcher("binance"), fetcher("aster")]
            assert not (await collector.backfill(sources, Window(START, STOP))).failures
            again = await collector.backfill(sources, Window(START, STOP))
            assert (again.windows, again.covered) == (0, 2)

    asyncio.run(work())
    return catalog.connect(home)


def test_both_payments_are_kept_and_the_special_one_is_no_rate_per_hour(con):
    rows = con.sql(
        "select exchange, rate_type, funding_rate, rate_1h from funding where funding_time = "
        "timestamptz '2026-06-18 00:00:00+00' order by exchange, rate_type"
    ).fetchall()
    assert rows == [
        ("aster", "regular", 0.00004, 0.000005),
        ("aster", "special", -0.00239, None),
        ("binance", "regular", 0.00008, 0.00001),
        ("binance", "special", -0.00239112, None),
    ]
    assert con.sql("select count(*) from funding").fetchall() == [(26,)]


def test_the_interval_stays_eight_hours_through_the_day(con):
    rows = con.sql(
        "select exchange, interval_hours, payments, change from intervals order by exchange, first_time"
    ).fetchall()
    assert rows == [
        (e, hours, count, change)
        for e in ("aster", "binance")
        for hours, count, change in ((None, 1, "unknown"), (8.0, 11, "first"))
    ]


def test_spreads_know_nothing_of_it(con):
    """(0.00008 - 0.00004) / 8 h in every hour, also in those after the special payment."""
    rows = con.sql(
        "select hour_at, long_exchange, short_exchange, spread_1h from spreads order by hour_at"
    ).fetchall()
    hours = [row[0] for row in rows]
    assert hours[0] == START + 8 * HOUR
    assert DIVIDEND in hours
    assert DIVIDEND + HOUR in hours
    assert {row[1:3] for row in rows} == {("aster", "binance")}
    assert [row[3] for row in rows] == pytest.approx([5e-6] * len(rows), rel=1e-12)
    assert con.sql("select max(spread_1h) from best_spreads").fetchall()[0][0] == pytest.approx(5e-6)


def test_carry_pays_it(con):
    """Long Aster, short Binance from before the second payment on: 11 x (0.00008 - 0.00004) + 0.00239 - 0.00239112."""
    pair = "carry('SPY', 'aster', 'binance', '2026-06-15 04:00:00+00', '2026-06-19 00:00:00+00', class := 'equity')"
    rows = con.sql(
        f"select leg, rate_type, count(*), sum(cash) from {pair} group by all order by all"
    ).fetchall()
    assert [row[:3] for row in rows] == [
        ("long", "regular", 11),
        ("long", "special", 1),
        ("short", "regular", 11),
        ("short", "special", 1),
    ]
    assert [row[3] for row in rows] == pytest.approx([-0.00044, 0.00239, 0.00088, -0.00239112], abs=1e-15)
    assert sum(row[3] for row in rows) == pytest.approx(0.00043888, abs=1e-15)
