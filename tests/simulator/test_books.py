"""The simulated Binance, Bybit and dYdX: shapes as recorded, orders, caps, bounds and errors as described, and a lake that equals
the world row by row."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fundingdb.errors import BadCall, RateLimited
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest import guard
from fundingdb.simulator import Fault, Faults, Simulator
from fundingdb.simulator.world import ms_of
from fundingdb.transport.walk import SourceReader
from fundingdb.window import Window
from tests.simulated import ask, get, recorded, same_shape
from tests.worlds import HOUR, NOW, collect, payments, sources, world

BOOKS = ("binance", "bybit", "dydx")
START = NOW.replace(minute=0) - timedelta(days=14)


@pytest.fixture(scope="module")
def simulator():
    with Simulator(world()) as running:
        yield running


def binance(simulator, symbol="BTCUSDT", **params):
    return get(simulator, "binance", "/fundingRate", {"symbol": symbol, **params})


def bybit(simulator, symbol="BTCUSDT", **params):
    params = {"category": "linear", "symbol": symbol, **params}
    return get(simulator, "bybit", "/funding/history", params)["result"]["list"]


def dydx(simulator, until, **params):
    params = {"effectiveBeforeOrAt": f"{until:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z", **params}
    return get(simulator, "dydx", "/historicalFunding/BTC-USD", params)["historicalFunding"]


def test_responses_have_the_recorded_shapes(simulator, shared):
    more = (
        "timezone",
        "serverTime",
        *(f"symbols[].{k}" for k in ("onboardDate", "marginAsset", "pricePrecision")),
    )
    same_shape(
        recorded(shared, "binance/exchangeInfo_tradfi.json"),
        get(simulator, "binance", "/exchangeInfo"),
        more=[f".{where}" for where in more],
    )
    caps = (
        "adjustedFundingRateCap",
        "adjustedFundingRateFloor",
        "disclaimer",
    )  # cut from the recorded answer
    infos = get(simulator, "binance", "/fundingInfo")
    same_shape(recorded(shared, "binance/fundingInfo.json"), infos, more=[f"[].{key}" for key in caps])
    same_shape(recorded(shared, "binance/premiumIndex.json"), get(simulator, "binance", "/premiumIndex"))
    rows = binance(simulator, startTime=ms_of(START), limit=3)
    same_shape(recorded(shared, "binance/fundingRate_BTCUSDT.json"), rows)
    linear = {"category": "linear"}
    same_shape(
        recorded(shared, "bybit/instruments_linear.json"),
        get(simulator, "bybit", "/instruments-info", linear),
    )
    free = ("basis", "deliveryFeeRate", "price24hPcnt", "fundingCap", "fundingRate", "fundingIntervalHour")
    same_shape(
        recorded(shared, "bybit/tickers_linear.json"),
        get(simulator, "bybit", "/tickers", linear),
        free=[f".result.list[].{key}" for key in free],
    )
    history = get(simulator, "bybit", "/funding/history", {**linear, "symbol": "BTCUSDT"})
    same_shape(recorded(shared, "bybit/funding_history_BTCUSDT.json"), history)
    same_shape(
        recorded(shared, "dydx/historicalFunding_LINK-USD.json"), {"historicalFunding": dydx(simulator, NOW)}
    )
    keys = {"BTC-USD", "KAITO-USD", "PEPE-USD", "MATIC-USD"}
    markets = get(simulator, "dydx", "/perpetualMarkets")["markets"]
    assert set(markets) == keys
    real = recorded(shared, "dydx/perpetualMarkets.json")["markets"]
    for ours, theirs in (("BTC-USD", "ETH-USD"), ("MATIC-USD", "MATIC-USD")):
        assert set(markets[ours]) == set(real[theirs])
        assert markets[ours]["status"] == real[theirs]["status"]


def test_binance_gives_the_oldest_thousand_of_a_range_and_the_newest_without_one(simulator):
    rows = binance(simulator, startTime=0, endTime=ms_of(NOW), limit=1000)
    stamps = [row["fundingTime"] for row in rows]
    assert (len(rows), stamps) == (1000, sorted(stamps))
    assert stamps[0] // 3_600_000 * 3_600_000 == ms_of(datetime(2019, 9, 10, 8, tzinfo=UTC))
    assert max(stamp % 3_600_000 for stamp in stamps) == 9
    assert len(binance(simulator, startTime=0)) == len(binance(simulator)) == 100
    newest = binance(simulator, limit=2)
    assert newest[-1]["fundingTime"] // 3_600_000 * 3_600_000 == ms_of(NOW.replace(hour=8, minute=0))
    first, last = (row["fundingTime"] for row in newest)
    assert binance(simulator, startTime=first, endTime=last) == newest
    assert binance(simulator, startTime=first + 1, endTime=last - 1) == []


def test_bybit_gives_the_newest_two_hundred_and_wants_both_bounds_or_none(simulator):
    rows = bybit(simulator, startTime=0, endTime=ms_of(NOW), limit=1000)
    stamps = [int(row["fundingRateTimestamp"]) for row in rows]
    assert (len(rows), stamps) == (200, sorted(stamps, reverse=True))
    assert stamps[0] == ms_of(NOW.replace(hour=8, minute=0))
    assert bybit(simulator, startTime=stamps[1], endTime=stamps[0]) == rows[:2]
    refused = get(
        simulator, "bybit", "/funding/history", {"category": "linear", "symbol": "BTCUSDT", "startTime": 1}
    )
    assert refused["retCode"] == 10001


def test_bybit_lists_a_page_of_instruments_at_a_time(simulator):
    def page(**params):
        return get(simulator, "bybit", "/instruments-info", {"category": "linear", **params})["result"]

    everything = page()
    first = page(limit=4)
    rest = page(limit=4, cursor=first["nextPageCursor"])
    assert everything["nextPageCursor"] == rest["nextPageCursor"] == ""
    assert first["list"] + rest["list"] == everything["list"]


def test_dydx_gives_the_newest_hundred_up_to_an_instant_and_knows_no_start(simulator):
    rows = dydx(simulator, NOW)
    assert len(rows) == 100
    assert [row["effectiveAt"] for row in rows] == sorted((row["effectiveAt"] for row in rows), reverse=True)
    assert rows[0]["effectiveAt"].startswith("2026-11-20T12:00:00.")
    assert dydx(simulator, NOW - 50 * HOUR)[:50] == rows[50:]
    assert dydx(simulator, NOW, limit=7) == rows[:7]


def test_a_backfill_gives_the_world_row_by_row(tmp_path):
    truth = world()
    stop = NOW.replace(minute=0)
    with Simulator(truth) as simulator:
        report = collect(simulator, tmp_path, lambda c: c.backfill(sources(*BOOKS), Window(START, stop)))
    assert (report.failures, report.restated) == ([], 0)
    for name in BOOKS:
        got = payments(tmp_path).filter(pl.col("exchange") == name)
        frames = [truth.settled(name, symbol, START, stop) for symbol in truth.symbols(name)]
        want = pl.concat(f for f in frames if f.height).sort("symbol", "funding_time")
        assert got.select(want.columns).drop("interval_hours").equals(want.drop("interval_hours"))
        told = got["interval_hours"].is_not_null()
        assert got.filter(told)["interval_hours"].equals(want.filter(told)["interval_hours"])
        # where no row tells it, the first payment of a window has no neighbour before it
        assert (~told).sum() == (0 if name == "dydx" else want["symbol"].n_unique())


@pytest.mark.parametrize("name", BOOKS)
def test_the_current_figures_are_the_worlds(name, simulator, tmp_path):
    async def rounds(collector):
        source = SourceReader(fetcher(name), collector.engine, guard.admitted)
        markets = await collector.refresh_markets(fetcher(name))
        return (await source.current(markets)).frame

    got = collect(simulator, tmp_path, rounds).sort("symbol")
    want = simulator.world.current(name).sort("symbol")
    assert got.height == want.height > 2
    assert got["base"].to_list() == [simulator.world.listing(name, s).base for s in want["symbol"]]
    for column in ("symbol", "interval_hours", "next_funding_time"):
        assert got[column].to_list() == want[column].to_list(), column
    columns = {"binance": ["mark_price", "index_price"], "dydx": ["index_price", "open_interest"]}
    both = ["mark_price", "index_price", "open_interest"]
    for column in ["funding_rate", *columns.get(name, both)]:
        assert got[column].to_list() == pytest.approx(want[column].to_list(), rel=1e-4), column


def test_a_change_of_interval_is_in_history_current_figures_and_truth(tmp_path):
    change = NOW.replace(hour=8, minute=0) - timedelta(days=3)
    schedule = ((START, 8), (change + HOUR, 4))
    truth = world(intervals={("bybit", "KAITOUSDT"): schedule, ("binance", "KAITOUSDT"): schedule})
    window = Window(change - timedelta(days=2), NOW.replace(minute=0))
    with Simulator(truth) as simulator:
        collect(simulator, tmp_path, lambda c: c.backfill(sources("binance", "bybit"), window, ["KAITO"]))
        infos = {r["symbol"]: r for r in get(simulator, "binance", "/fundingInfo")}
    assert infos["KAITOUSDT"]["fundingIntervalHours"] == 4
    for exchange in ("binance", "bybit"):
        rows = payments(tmp_path).filter(pl.col("exchange") == exchange)
        hours = dict(rows.select("funding_time", "interval_hours").rows())
        assert (hours[change], hours[change + 4 * HOUR]) == (8.0, 4.0)
        assert rows["interval_hours"].drop_nulls().unique().sort().to_list() == [4.0, 8.0]


def test_errors_are_read_as_what_they_mean(simulator):
    status, _, body = ask(simulator, "binance", "/fundingRate", {"symbol": "NOPE"})
    assert isinstance(fetcher("binance").refusal(status, body), BadCall)
    status, _, body = ask(simulator, "bybit", "/funding/history", {"category": "linear", "symbol": "NOPE"})
    assert status == 200
    assert isinstance(fetcher("bybit").refusal(status, body), BadCall)
    status, _, body = ask(simulator, "bybit", "/tickers")
    assert json.loads(body)["retCode"] == 10001
    status, _, body = ask(simulator, "dydx", "/historicalFunding/NOPE")
    assert isinstance(fetcher("dydx").refusal(status, body), BadCall)
    assert [ask(simulator, name, "/nothing")[0] for name in BOOKS] == [404, 404, 404]


def test_the_limits_hold_and_are_told_as_limits():
    agent = {"user-agent": "fundingdb-tests"}
    calls = {
        "binance": ("/binance/fapi/v1/fundingInfo", 500),
        "bybit": ("/bybit/v5/market/instruments-info?category=linear", 600),
        "dydx": ("/dydx/v4/historicalFunding/NOPE", 10),
    }
    with Simulator(world(), limits=True, scale=0.01) as simulator:  # slow, so that no window ends meanwhile
        for name, (target, most) in calls.items():
            replies = [simulator.serve("GET", target, agent, b"")[0] for _ in range(most + 1)]
            assert all(reply.status < 403 for reply in replies[:-1])
            refused = fetcher(name).refusal(replies[-1].status, replies[-1].body)
            assert isinstance(refused, RateLimited), name
        free = simulator.serve("GET", "/binance/fapi/v1/exchangeInfo", agent, b"")[0]
        assert free.status == 200, "the other limit is another one"


@pytest.mark.slow
def test_faults_change_nothing_in_the_lake(tmp_path):
    truth = world(tokens=("KAITO",))
    struck = (Fault("duplicates", every=2), Fault("shuffled", every=3), Fault("cap", value=11))
    faults = Faults(*struck, Fault("late", value=2), Fault("5xx", on=frozenset({2})))
    window = Window(START, START + timedelta(days=5))
    with Simulator(truth, faults) as simulator:
        report = collect(simulator, tmp_path, lambda c: c.backfill(sources(*BOOKS), window, ["KAITO"]))
    assert report.failures == []
    for name in BOOKS:
        symbol = {"dydx": "KAITO-USD"}.get(name, "KAITOUSDT")
        want = truth.settled(name, symbol, window.start, window.stop)["funding_rate"]
        rows = payments(tmp_path).filter(pl.col("exchange") == name)
        assert rows["funding_rate"].to_list() == want.to_list()
        assert simulator.count(name) > len(want) / 11
