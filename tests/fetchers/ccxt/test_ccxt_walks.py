"""Through the bridge into a lake: each venue's walk, proven against an answerer with its order, cap and bounds."""

import asyncio
import json
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest

pytest.importorskip("ccxt")

from fundingdb.cli import main
from fundingdb.fetchers.ccxt.bridge import bridged
from fundingdb.ingest import guard
from fundingdb.ingest.collector import Collector
from fundingdb.ingest.listing import market_of
from fundingdb.lake import Lake
from fundingdb.transport.http import Engine
from fundingdb.transport.walk import SourceReader
from fundingdb.window import Window, from_ms
from tests.fetchers.ccxt.ccxt_offline import CLOCK_MS, caller

HOUR_MS = 3_600_000
NOW = from_ms(CLOCK_MS)
LAST = CLOCK_MS - CLOCK_MS % (8 * HOUR_MS)


def rate(t):
    """The rate that the answerers pay at an instant: small, of both signs, another one each time."""
    return round(((t // HOUR_MS) * 7919 % 2001 - 1000) * 1e-8, 10)


class World:
    """Settlements each `every` hours over `days`; `sent` are the queries that came."""

    def __init__(self, every, days):
        self.times = list(range(LAST - days * 24 * HOUR_MS, LAST + 1, every * HOUR_MS))
        self.every, self.sent = every, []

    def newest(self, cap, stop=None, start=None):
        """The newest rows before `stop` (exclusive), newest first."""
        inside = [t for t in self.times if (stop is None or t < stop) and (start is None or t >= start)]
        return inside[::-1][:cap]


def okx(w, q):
    rows = w.newest(min(100, int(q["limit"])), stop=int(q["after"]))
    return {
        "code": "0",
        "data": [
            {
                "instId": "BTC-USDT-SWAP",
                "fundingTime": str(t),
                "realizedRate": str(rate(t)),
                "fundingRate": "0.9",
            }
            for t in rows
        ],
    }


def bybit(w, q):
    assert "startTime" not in q
    rows = w.newest(min(200, int(q["limit"])), stop=int(q["endTime"]) + 1)
    listed = [
        {"symbol": "BTCUSDT", "fundingRateTimestamp": str(t), "fundingRate": str(rate(t))} for t in rows
    ]
    return {"retCode": 0, "result": {"category": "linear", "list": listed}}


def gate(w, q):
    rows = w.newest(min(1000, int(q["limit"])), stop=(int(q["to"]) + 1) * 1000)
    return [{"r": str(rate(t)), "t": str(t // 1000 + 3)} for t in rows]  # stamps come late


def binance(w, q):
    inside = [t for t in w.times if int(q["startTime"]) <= t <= int(q["endTime"])][: int(q["limit"])]
    return [{"symbol": "BTCUSDT", "fundingRate": f"{rate(t):.8f}", "fundingTime": t + 4} for t in inside]


def mexc(w, q):
    page, size = int(q["page_num"]), 100  # less than was asked for
    rows = w.newest(None)[(page - 1) * size : page * size]
    listed = [
        {"symbol": "BTC_USDT", "fundingRate": rate(t), "settleTime": t, "collectCycle": w.every} for t in rows
    ]
    return {"success": True, "code": 0, "data": {"currentPage": page, "resultList": listed}}


def htx(w, q):
    page, size = int(q["page_index"]), int(q["page_size"])
    rows = w.newest(None)[(page - 1) * size : page * size]
    listed = [
        {"funding_rate": str(rate(t)), "funding_time": str(t), "contract_code": "BTC-USD"} for t in rows
    ]
    return {"status": "ok", "data": {"current_page": page, "data": listed}}


def kraken(w, _q):
    return {
        "rates": [
            {
                "timestamp": from_ms(t).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "fundingRate": "5",
                "relativeFundingRate": str(rate(t)),
            }
            for t in w.times
        ]
    }


def deribit(w, q):
    start, stop = int(q["start_timestamp"]), int(q["end_timestamp"])
    assert stop - start <= 745 * HOUR_MS
    rows = w.newest(744, stop=stop + 1, start=start)[::-1]
    return {
        "result": [
            {"timestamp": t, "interest_8h": rate(t) * 8, "interest_1h": rate(t), "index_price": 1.0}
            for t in rows
        ]
    }


def woofipro(w, q):
    page, start, stop = int(q["page"]), int(q["start_t"]), int(q["end_t"])
    assert stop > 10**12
    rows = w.newest(None, stop=stop + 1, start=start)[(page - 1) * 60 : page * 60]
    listed = [
        {
            "symbol": "PERP_ETH_USDC",
            "funding_rate": rate(t),
            "funding_rate_timestamp": t,
            "next_funding_time": t + w.every * HOUR_MS,
        }
        for t in rows
    ]
    return {"success": True, "data": {"rows": listed, "meta": {"total": len(w.times)}}}


def dydx(w, q):
    before = datetime.fromisoformat(q["effectiveBeforeOrAt"]) if "effectiveBeforeOrAt" in q else NOW
    rows = w.newest(min(100, int(q["limit"])), stop=int(before.timestamp() * 1000) + 1)
    return {
        "historicalFunding": [
            {
                "ticker": "BTC-USD",
                "rate": str(rate(t)),
                "price": "1",
                "effectiveAt": from_ms(t).strftime("%Y-%m-%dT%H:%M:%S.013Z"),
            }
            for t in rows
        ]
    }


def pacifica(w, q):
    at = int(q.get("cursor", "0"))
    rows = w.newest(None)[at : at + 150]
    listed = [
        {"funding_rate": str(rate(t)), "oracle_price": "1", "created_at": t + 35 * 60_000} for t in rows
    ]
    more = at + 150 < len(w.times)
    return {"success": True, "data": listed, "next_cursor": str(at + 150) if more else None, "has_more": more}


def grvt(w, q):
    rows = w.newest(int(q["limit"]) // 10, stop=int(q["end_time"]) // 10**6 + 1)
    listed = []
    for t in rows:  # a sample of the minute before stands beside each payment
        common = {"instrument": "BTC_USDT_Perp", "funding_rate": str(round(rate(t) * 100, 8))}
        listed.append({**common, "funding_time": f"{t}000000", "funding_interval_hours": str(w.every)})
        listed.append({**common, "funding_time": f"{t - 60_000}000000", "funding_interval_hours": "0"})
    return {"result": listed}


def hibachi(w, q):
    start, stop, at = int(q["startTime"]), int(q["endTime"]), int(q["offset"])
    rows = w.newest(None, stop=stop * 1000 + 1, start=start * 1000)[at : at + int(q["limit"])]
    return {
        "data": [{"contractId": 2, "fundingTimestamp": t // 1000, "fundingRate": str(rate(t))} for t in rows]
    }


def xt(w, q):
    older = [t for t in w.newest(None) if "id" not in q or t < int(q["id"])]
    items = [
        {
            "id": str(t),
            "symbol": "btc_usdt",
            "fundingRate": str(rate(t)),
            "createdTime": t,
            "collectionInternal": w.every * 3600,
        }
        for t in older[:200]
    ]
    return {"returnCode": 0, "result": {"hasNext": len(older) > 200, "items": items}}


def kucoin(w, q):
    rows = w.newest(100, stop=int(q["to"]) + 1, start=int(q["from"]))
    return {
        "code": "200000",
        "data": [{"symbol": "XBTUSDTM", "timepoint": t, "fundingRate": rate(t)} for t in rows],
    }


def bitget(w, q):
    page, size = int(q["pageNo"]), int(q["pageSize"])
    rows = w.newest(None)[(page - 1) * size : page * size]
    return {
        "code": "00000",
        "data": [{"symbol": "BTCUSDT", "fundingRate": str(rate(t)), "fundingTime": str(t)} for t in rows],
    }


def bingx(w, q):
    assert "startTime" not in q
    rows = w.newest(int(q["limit"]), stop=int(q["endTime"]) + 1)
    return {
        "code": 0,
        "data": [{"symbol": "BTC-USDT", "fundingRate": str(rate(t)), "fundingTime": t} for t in rows],
    }


def woo(w, q):
    page, size = int(q["page"]), int(q["size"])
    rows = w.newest(None)[(page - 1) * size : page * size]
    listed = [
        {
            "symbol": "PERP_BTC_USDT",
            "fundingRate": str(rate(t)),
            "fundingRateTimestamp": t,
            "nextFundingTime": t + w.every * HOUR_MS,
        }
        for t in rows
    ]
    return {"success": True, "data": {"rows": listed, "meta": {"currentPage": page}}}


def backpack(w, q):
    at = int(q["offset"])
    rows = [LAST + 8 * HOUR_MS, *w.newest(None)][at : at + min(100, int(q["limit"]))]  # the running one first
    return [
        {
            "symbol": "BTC_USDC_PERP",
            "fundingRate": str(rate(t)),
            "intervalEndTimestamp": from_ms(t).strftime("%Y-%m-%dT%H:%M:%S"),
        }
        for t in rows
    ]


def apex(w, q):
    assert "beginTimeInclusive" not in q
    rows = w.newest(int(q["limit"]), stop=int(q["endTimeExclusive"]))
    return {
        "data": {
            "historyFunds": [
                {"symbol": "BTC-USDT", "rate": str(rate(t)), "fundingTimestamp": t} for t in rows
            ]
        }
    }


def derive(w, q):
    rows = w.newest(None, stop=int(q["end_timestamp"]) + 1, start=int(q["start_timestamp"]))
    return {
        "result": {"funding_rate_history": [{"timestamp": t, "funding_rate": str(rate(t))} for t in rows]}
    }


def cryptocom(w, q):
    rows = w.newest(int(q["count"]), stop=int(q["end_ts"]) + 1)
    return {
        "code": 0,
        "result": {"instrument_name": "BTCUSD-PERP", "data": [{"v": str(rate(t)), "t": t} for t in rows]},
    }


# name, own symbol, ccxt's symbol, answerer, interval of the world, (hours, evidence) of each row
VENUES = [
    ("okx", "BTC-USDT-SWAP", "BTC/USDT:USDT", okx, 8, (None, "unknown")),
    ("bybit", "BTCUSDT", "BTC/USDT:USDT", bybit, 1, (None, "unknown")),
    ("gate", "BTC_USDT", "BTC/USDT:USDT", gate, 1, (None, "unknown")),
    ("binance", "BTCUSDT", "BTC/USDT:USDT", binance, 1, (None, "unknown")),
    ("aster", "BTCUSDT", "BTC/USDT:USDT", binance, 4, (None, "unknown")),
    ("mexc", "BTC_USDT", "BTC/USDT:USDT", mexc, 8, (8.0, "row")),
    ("htx", "BTC-USD", "BTC/USD:BTC", htx, 8, (None, "unknown")),
    ("krakenfutures", "PI_ETHUSD", "ETH/USD:ETH", kraken, 1, (1.0, "declared")),
    ("deribit", "BTC-PERPETUAL", "BTC/USD:BTC", deribit, 1, (1.0, "declared")),
    ("coinbaseinternational", "BTC-PERP", "BTC/USDC:USDC", deribit, 1, (1.0, "declared")),
    ("woofipro", "PERP_ETH_USDC", "ETH/USDC:USDC", woofipro, 8, (8.0, "row")),
    ("modetrade", "PERP_ETH_USDC", "ETH/USDC:USDC", woofipro, 4, (4.0, "row")),
    ("dydx", "BTC-USD", "BTC/USDC:USDC", dydx, 1, (1.0, "declared")),
    ("pacifica", "BTC", "BTC/USDC:USDC", pacifica, 1, (1.0, "declared")),
    ("grvt", "BTC_USDT_Perp", "BTC/USDT:USDT", grvt, 8, (8.0, "row")),
    ("hibachi", "BTC/USDT-P", "BTC/USDT:USDT", hibachi, 1, (1.0, "declared")),
    ("xt", "btc_usdt", "BTC/USDT:USDT", xt, 8, (8.0, "row")),
    ("kucoin", "XBTUSDTM", "BTC/USDT:USDT", kucoin, 1, (None, "unknown")),
    ("bitget", "BTCUSDT", "BTC/USDT:USDT", bitget, 4, (None, "unknown")),
    ("bingx", "BTC-USDT", "BTC/USDT:USDT", bingx, 1, (None, "unknown")),
    ("woo", "PERP_BTC_USDT", "BTC/USDT:USDT", woo, 8, (8.0, "row")),
    ("backpack", "BTC_USDC_PERP", "BTC/USDC:USDC", backpack, 1, (1.0, "declared")),
    ("apex", "BTC-USDT", "BTC/USDT:USDT", apex, 1, (1.0, "declared")),
    ("derive", "BTC-PERP", "BTC/USDC:USDC", derive, 1, (None, "unknown")),
    ("cryptocom", "BTCUSD-PERP", "BTC/USD:USD", cryptocom, 1, (None, "unknown")),
]


def through(monkeypatch, name, symbol, theirs, answerer, world):  # noqa: PLR0917 - a row of VENUES
    """The venue's fetcher with the answerer as its exchange."""

    def answer(url, _method, body):
        query = {k: v[-1] for k, v in parse_qs(urlsplit(url).query).items()}
        if body:
            query |= {k: str(v) for k, v in json.loads(body).items()}
        world.sent.append(query)
        return answerer(world, query)

    made = caller(name, answer, {theirs: symbol})
    monkeypatch.setattr("fundingdb.fetchers.ccxt.bridge.Caller", lambda _name, _rules: made)
    return bridged(name)


def collect(home, fetcher, window):
    async def work():
        async with Engine(now=lambda: NOW) as engine:
            collector = Collector(Lake(home), home, engine, now=lambda: NOW)
            return await collector.backfill([fetcher], window)

    return asyncio.run(work())


def test_every_venue_of_the_list_is_walked_here():
    from fundingdb.fetchers.ccxt.bridge import names

    assert {v[0] for v in VENUES} | {"binance-coinm"} == set(names())


@pytest.mark.parametrize("one", VENUES, ids=lambda v: v[0])
def test_a_walk_through_ccxt_brings_every_row(monkeypatch, one):
    name, symbol, theirs, answerer, every, (hours, evidence) = one
    days = 100
    world = World(every, days)
    fetcher = through(monkeypatch, name, symbol, theirs, answerer, world)
    window = Window(NOW.replace(minute=0, second=0) - timedelta(days=days - 10), NOW)

    async def work():
        async with Engine(now=lambda: NOW) as engine:
            (market,) = map(
                market_of,
                (await SourceReader(fetcher, engine, guard.admitted).markets()).frame.iter_rows(named=True),
            )
            return await SourceReader(fetcher, engine, guard.admitted).history(market, window)

    rows = asyncio.run(work()).frame
    expected = [t for t in world.times if window.start <= from_ms(t) < window.stop]
    assert rows["funding_time"].to_list() == [from_ms(t) for t in expected]
    assert rows["funding_rate"].to_list() == pytest.approx([rate(t) for t in expected], rel=1e-9, abs=1e-15)
    assert rows.select("exchange", "source", "symbol").unique().rows() == [(name, "ccxt", symbol)]
    assert rows.select("interval_hours", "interval_from").unique().rows() == [(hours, evidence)]


def test_the_ledger_names_the_version_of_ccxt_and_what_is_proven_is_not_asked_again(tmp_path, monkeypatch):
    world = World(8, 40)
    fetcher = through(monkeypatch, "xt", "btc_usdt", "BTC/USDT:USDT", xt, world)
    window = Window(from_ms(LAST - 30 * 24 * HOUR_MS), NOW)
    assert not collect(tmp_path, fetcher, window).failures
    fetches = Lake(tmp_path).scan("fetches").filter(pl.col("endpoint") == "history").collect()
    assert fetches["source"].to_list() == ["ccxt"]
    assert fetches["fetcher_version"].item().endswith("ccxt 4.5.90")
    before = len(world.sent)
    again = collect(tmp_path, fetcher, Window(window.start, from_ms(LAST)))
    assert len(world.sent) == before, "what is proven is not asked again"
    assert again.covered == 1


def test_a_page_that_lost_its_oldest_rows_is_asked_again(tmp_path, monkeypatch):
    """The cap was lowered silently: 30 rows where 100 were asked for."""

    def stingy(w, q):
        return okx(w, {**q, "limit": "30"})

    world = World(8, 60)
    fetcher = through(monkeypatch, "okx", "BTC-USDT-SWAP", "BTC/USDT:USDT", stingy, world)
    window = Window(from_ms(LAST - 50 * 24 * HOUR_MS), NOW)
    assert not collect(tmp_path, fetcher, window).failures
    assert Lake(tmp_path).scan("funding").collect().height == 151


def test_a_second_source_stands_beside_the_exchange_itself_and_leaves_its_listing_alone(
    tmp_path, monkeypatch
):
    world = World(8, 20)
    fetcher = through(monkeypatch, "okx", "BTC-USDT-SWAP", "BTC/USDT:USDT", okx, world)
    window = Window(from_ms(LAST - 10 * 24 * HOUR_MS), NOW)
    collect(tmp_path, fetcher, window)
    lake = Lake(tmp_path)
    assert lake.scan("markets").collect().is_empty()
    ours = lake.scan("funding").drop("month").collect().with_columns(source=pl.lit("okx"))
    lake.upsert("funding", ours)
    assert lake.scan("funding").collect().height == 2 * ours.height
    from fundingdb.catalog import catalog

    counted = catalog.connect(tmp_path).sql("select source, count(*) from funding group by all").fetchall()
    assert counted == [("okx", ours.height)]


def test_the_command_line_takes_ccxt_as_a_source(tmp_path, monkeypatch, capsys):
    world = World(8, 40)

    def answer(url, _method, _body):
        query = {k: v[-1] for k, v in parse_qs(urlsplit(url).query).items()}
        if "page_index" in query:
            return htx(world, query)
        row = {"contract_code": "BTC-USD", "funding_rate": "0.0001", "funding_time": str(LAST + 8 * HOUR_MS)}
        return {
            "status": "ok",
            "data": [{**row, "next_funding_time": None, "estimated_rate": None}],
            "ts": CLOCK_MS,
        }

    made = caller("htx", answer, {"BTC/USD:BTC": "BTC-USD"})
    monkeypatch.setattr("fundingdb.fetchers.ccxt.bridge.Caller", lambda _name, _rules: made)
    place = ["--warehouse", str(tmp_path)]
    span = [
        "--since",
        f"{from_ms(LAST - 30 * 24 * HOUR_MS):%Y-%m-%d}",
        "--until",
        f"{from_ms(LAST):%Y-%m-%d}",
    ]
    assert main(["backfill", "htx", "--source", "ccxt", "--tokens", "BTC", *span, *place]) == 0
    assert Lake(tmp_path).scan("funding").collect()["source"].unique().to_list() == ["ccxt"]
    assert main(["collect", "--source", "ccxt", "--exchanges", "htx", "--count", "1", *place]) == 0
    snapshots = Lake(tmp_path).scan("snapshots").collect()
    assert snapshots.select("exchange", "source", "symbol", "funding_rate").rows() == [
        ("htx", "ccxt", "BTC-USD", 0.0001)
    ]
    capsys.readouterr()
    assert main(["backfill", "--source", "ccxt", "--all", *place]) == 2
    assert "name the exchanges" in capsys.readouterr().err
    assert main(["backfill", "bitfinex", "--source", "ccxt", "--all", *place]) == 2
    assert "samples, not settlements; needed:" in capsys.readouterr().err
    assert main(["collect", "--source", "ccxt", "--count", "1", *place]) == 2
    assert "name the exchanges" in capsys.readouterr().err
