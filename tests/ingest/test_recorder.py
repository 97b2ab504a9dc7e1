"""Streams against the simulated exchanges: what is written is what the world shows, through drops, silence and garbage."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest

from fundingdb.catalog import catalog
from fundingdb.cli import main
from fundingdb.errors import BadCall, BadPayload, Refused, Unreachable
from fundingdb.fetchers import hyperliquid
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest.collector import Collector
from fundingdb.ingest.recorder import Recorder
from fundingdb.lake import Lake
from fundingdb.simulator import Fault, Faults, Simulator, World
from fundingdb.transport.http import Engine
from fundingdb.transport.schedule import Schedule
from fundingdb.transport.stream import Feed, Frames, NewestRow
from tests.worlds import NOW

STREAMING = ("extended", "lighter", "hyperliquid")
TOKENS = ("BTC", "KAITO", "PEPE")
EVERY = timedelta(seconds=0.3)


def running_world() -> World:
    """Its clock runs from NOW on, so that figures stand still for a minute and stamps don't."""
    began = time.monotonic()
    return World(tokens=TOKENS, now=lambda: NOW + timedelta(seconds=time.monotonic() - began))


class Home:
    """A simulator, a lake and what was written into it."""

    def __init__(self, home, *faults):
        self.home, self.lake, self.written = home, Lake(home), []
        self.simulator = Simulator(running_world(), Faults(*faults), live=True, period=0.05)
        self.rows = 0

    def stream(self, *sources, tokens=None, count=1, span=None, env=None, **recorder):
        """Failures by exchange at the end of a stream of `sources` (names or fetchers)."""
        found = [fetcher(s) if isinstance(s, str) else s for s in sources or STREAMING]

        async def work():
            async with Engine(env=env, jitter=lambda: 0.0, now=self.simulator.world.now) as engine:
                collector = Collector(self.lake, self.home, engine, now=self.simulator.world.now)
                one = Recorder(collector, self.written.append, env, jitter=lambda: 0.0, **recorder)
                failures = await one.run(found, tokens, Schedule(EVERY, span, count))
                self.rows = one.rows
                return failures

        with self.simulator:
            env = {**os.environ, **self.simulator.env(), **(env or {})}
            return asyncio.run(work())

    def stream_until(self, seen, *sources, **recorder):
        """Streams until `seen` holds, for 15 s at most, then interrupts; gives the last write."""

        async def sleep(_seconds):
            await asyncio.sleep(0.01)
            if seen():
                raise asyncio.CancelledError
            assert time.monotonic() < deadline

        deadline = time.monotonic() + 15
        with pytest.raises(asyncio.CancelledError):
            self.stream(*sources, count=None, sleep=sleep, **recorder)
        return self.written[-1]

    def whole_again(self, exchange):
        """Whether the stream was opened again and a write since then has every market."""
        whole = self.simulator.world.current(exchange).height
        return self.opened[exchange] > 1 and self.written and self.written[-1].parts[exchange].rows == whole

    def snapshots(self, exchange=None) -> pl.DataFrame:
        rows = self.lake.scan("snapshots").collect().sort("exchange", "symbol", "observed_at")
        return rows if exchange is None else rows.filter(pl.col("exchange") == exchange)

    def quarantined(self, exchange) -> list[bytes]:
        return [p.read_bytes() for p in (self.home / "quarantine" / exchange).glob("*.body")]

    @property
    def opened(self):
        return self.simulator.streams.opened

    def heard(self, exchange):
        return [value for e, value in self.simulator.streams.received if e == exchange]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Without the catalog, which takes longer than all the rest; the tests of the verb have it."""
    monkeypatch.setattr(catalog, "rebuild", lambda _warehouse: None)
    return lambda *faults: Home(tmp_path, *faults)


def assert_is_the_world(home: Home, exchange: str, columns):
    want = home.simulator.world.current(exchange).sort("symbol")
    got = home.snapshots(exchange).group_by("symbol", maintain_order=True).last()
    assert got["symbol"].to_list() == want["symbol"].to_list()
    assert want.height > 4
    for column in columns:
        if want.schema[column] == pl.Float64:
            assert got[column].to_list() == pytest.approx(want[column].to_list(), rel=1e-12), column
        else:
            assert got[column].to_list() == want[column].to_list(), column


FULL = ("funding_rate", "interval_hours", "next_funding_time", "mark_price", "index_price", "open_interest")


@pytest.mark.parametrize(
    ("exchange", "columns"), [("extended", FULL[:3]), ("lighter", FULL), ("hyperliquid", FULL)]
)
def test_a_stream_writes_one_row_a_market_with_the_worlds_figures(home, exchange, columns):
    place = home()
    assert place.stream(exchange, count=2) == {}
    assert_is_the_world(place, exchange, columns)
    assert [w.rows <= place.simulator.world.current(exchange).height for w in place.written] == [True, True]
    ledger = place.lake.scan("fetches").filter(pl.col("endpoint") == "current").collect()
    assert set(ledger.select("exchange", "outcome").rows()) == {(exchange, "rows")}
    assert ledger["rows"].sum() == place.snapshots().height == place.rows


def test_extended_tells_rates_alone_and_nothing_is_made_up(home):
    place = home()
    place.stream("extended")
    unknown = ["mark_price", "index_price", "open_interest", "open_interest_usd", "volume_24h_usd"]
    assert place.snapshots().select(pl.col(unknown).is_null().all()).row(0) == (True,) * len(unknown)


def test_beyond_the_bound_of_subscriptions_hyperliquid_is_read_by_position(home, monkeypatch):
    monkeypatch.setattr(hyperliquid, "_SUBSCRIPTIONS", 3)
    place = home()
    assert place.stream("hyperliquid", count=2) == {}
    assert [m["subscription"]["type"] for m in place.heard("hyperliquid")] == ["allDexsAssetCtxs"]
    assert_is_the_world(place, "hyperliquid", FULL)


def test_tokens_narrow_what_is_subscribed_and_kept(home):
    place = home()
    assert place.stream(tokens=["kaito", "kPEPE"], count=2) == {}
    got = set(place.snapshots().select("exchange", "symbol").rows())
    assert got == {
        ("extended", "KAITO-USD"),
        ("lighter", "KAITO"),
        ("hyperliquid", "KAITO"),
        ("hyperliquid", "kPEPE"),
    }
    coins = {m["subscription"]["coin"] for m in place.heard("hyperliquid")}
    assert coins == {"KAITO", "kPEPE"}


def test_each_tick_writes_what_moved(home):
    place = home()
    place.stream("lighter", tokens=["BTC"], count=3)
    assert [w.rows for w in place.written] == [1, 1, 1]
    assert [w.inserted for w in place.written] == [1, 1, 1]
    ticks = [w.at for w in place.written]
    epoch = datetime(1970, 1, 1, tzinfo=NOW.tzinfo)
    assert all((t - epoch) % EVERY == timedelta(0) for t in ticks)
    seen = place.snapshots()["observed_at"].to_list()
    assert all(tick - EVERY * 3 < at <= tick + EVERY for at, tick in zip(seen, ticks, strict=True))


def test_where_nothing_new_came_nothing_is_written(home):
    place = home(Fault("ws-silence", value=1))
    assert place.stream("lighter", count=3) == {}
    first, *rest = place.written
    assert first.rows > 4
    assert [w.rows for w in rest] == [0, 0]
    assert place.snapshots().height == first.rows
    assert place.lake.scan("fetches").filter(pl.col("endpoint") == "current").collect().height == 1


def test_a_dropped_connection_is_opened_again(home):
    place = home(Fault("ws-drop", "hyperliquid", on=frozenset({1}), value=2))
    last = place.stream_until(lambda: place.whole_again("hyperliquid"), "hyperliquid")
    assert place.opened["hyperliquid"] == 2
    assert sum(w.parts["hyperliquid"].reconnects for w in place.written) == 1
    assert last.parts["hyperliquid"].error is None


@pytest.mark.parametrize("exchange", STREAMING)
def test_a_silent_stream_is_opened_again_by_the_watchdog(home, exchange):
    place = home(Fault("ws-silence", exchange, on=frozenset({1})))
    last = place.stream_until(lambda: place.whole_again(exchange), exchange, stale_after=0.5)
    assert last.parts[exchange].error is None


def test_pongs_alone_are_no_sign_of_life(home):
    place = home(Fault("ws-silence"))
    one = fetcher("hyperliquid")
    one = replace(one, live=replace(one.live, keepalive_seconds=0.05))

    def told():
        return any(w.parts["hyperliquid"].error for w in place.written)

    last = place.stream_until(told, one, stale_after=0.3)
    assert {"method": "ping"} in place.heard("hyperliquid")
    assert "no rate for 0.3 s" in last.parts["hyperliquid"].error
    assert place.snapshots().height == 0


def test_lighter_hears_a_pong_for_its_ping_and_pings_of_ours(home):
    place = home()
    one = fetcher("lighter")
    place.stream(replace(one, live=replace(one.live, keepalive_seconds=0.05)))
    assert {"type": "pong"} in place.heard("lighter")
    assert {"type": "ping"} in place.heard("lighter")


def test_a_garbage_frame_is_kept_with_its_reason_and_the_stream_goes_on(home):
    place = home(Fault("ws-garbage", "lighter", value=2))
    place.stream_until(lambda: place.snapshots()["symbol"].n_unique() > 4, "lighter")
    assert set(place.quarantined("lighter")) == {b'{"data":{"coin":"BTC","f":'}
    assert sum(w.parts["lighter"].refused for w in place.written) == 2
    assert place.opened["lighter"] == 1


def test_garbage_alone_ends_the_stream(home):
    place = home(Fault("ws-garbage", "hyperliquid", value=1000))
    failures = place.stream("hyperliquid", count=None)
    assert isinstance(failures["hyperliquid"], BadPayload)
    assert place.opened["hyperliquid"] == 1
    assert set(place.quarantined("hyperliquid")) == {b'{"data":{"coin":"BTC","f":'}


def test_a_row_that_does_not_fit_the_table_is_kept_aside_and_the_others_are_written(home):
    place, one = home(), fetcher("lighter")

    def parse(frame: bytes, asked: ResponseContext) -> pl.DataFrame:
        wrong = pl.when(symbol="BTC").then(-1.0).otherwise("open_interest")
        return one.live.parse(frame, asked).with_columns(open_interest=wrong)

    assert place.stream(replace(one, live=replace(one.live, parse=parse))) == {}
    got = place.snapshots()["symbol"].to_list()
    assert "BTC" not in got
    assert len(got) == place.simulator.world.current("lighter").height - 1
    (kept,) = place.quarantined("lighter")
    assert json.loads(kept)["channel"] == "market_stats:all"


def test_a_market_that_the_list_does_not_name_yet_makes_it_read_again(home):
    place, one, calls = home(), fetcher("lighter"), []

    def parse(frame: bytes, asked: ResponseContext) -> pl.DataFrame:
        calls.append(frame)
        if len(calls) == 3:
            raise BadCall("lighter: frames give no symbol for market_id 999")
        return one.live.parse(frame, asked)

    place.stream_until(
        lambda: place.whole_again("lighter"), replace(one, live=replace(one.live, parse=parse))
    )
    asked = [r for r in place.simulator.requests if r.path == "/orderBookDetails"]
    assert len(asked) > 1


def test_a_source_that_is_down_stops_no_other_and_stands_in_the_ledger(home):
    place = home()
    place.simulator.down("lighter")
    failures = place.stream("lighter", "hyperliquid", count=2)
    assert list(failures) == ["lighter"]
    assert isinstance(failures["lighter"], Unreachable)
    assert [w.parts["hyperliquid"].rows > 4 for w in place.written] == [True, True]
    failed = place.lake.scan("fetches").filter(outcome="failed", exchange="lighter").collect()
    assert set(failed["endpoint"]) == {"current"}
    assert "503" in failed["error"][0]


def test_a_stream_that_refuses_us_is_not_asked_again(home):
    place = home()
    with Simulator(World(), live=True) as other:  # a server of ours that has no such path
        wrong = {"FUNDINGDB_LIGHTER_WS_URL": f"ws://127.0.0.1:{other.streams.port}/elsewhere"}
        failures = place.stream("lighter", count=2, env=wrong)
    assert isinstance(failures["lighter"], Refused)
    assert "404" in str(failures["lighter"])


def test_the_end_of_the_span_writes_what_was_seen(home):
    place = home()
    assert place.stream("extended", count=None, span=EVERY * 1.5) == {}
    assert place.written[-1].rows == place.simulator.world.current("extended").height


@pytest.mark.parametrize("exchange", ["lighter", "hyperliquid"])
def test_frames_without_rates_give_no_rows(shared, exchange):
    name = {"lighter": "ws_market_stats.jsonl", "hyperliquid": "ws_control.jsonl"}[exchange]
    frames = (shared / "venues" / "payloads" / exchange / name).read_bytes().splitlines()
    control = [f for f in frames if b"connected" in f or b"pong" in f or b"subscriptionResponse" in f]
    assert control
    for frame in [*control, b'{"type":"pong"}' if exchange == "lighter" else b'{"channel":"pong"}']:
        assert fetcher(exchange).live.parse(frame, ResponseContext(at=NOW)).height == 0


def test_an_error_of_the_stream_is_told_in_its_own_words():
    frame = b'{"error":{"code":30005,"message":"Invalid Channel"}}'
    with pytest.raises(BadPayload, match="Invalid Channel"):
        fetcher("lighter").live.parse(frame, ResponseContext(at=NOW))


def test_a_connection_is_renewed_with_a_fresh_list_of_markets_now_and_then():
    lists, one = [], fetcher("lighter")

    async def markets():
        lists.append(len(lists))
        return {"BTC": replace(one.market("BTC"), native_id="1")}

    async def work():
        def wanted(listing):
            return list(listing.values())

        feed = Feed(one, one.live, markets, wanted, lists.append, env=simulator.env(), relist_after=0.1)
        task = asyncio.create_task(feed.run())
        while len(lists) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        return feed

    with Simulator(running_world(), live=True, period=0.02) as simulator:
        feed = asyncio.run(asyncio.wait_for(work(), 15))
    assert feed.failure is None
    assert feed.take().reconnects >= 2
    assert lists == [0, 1, 2]


def test_what_could_not_be_written_comes_again_unless_newer_was_seen():
    def seen(rate):
        return NewestRow({"funding_rate": rate}, NOW, b"")

    feed = Feed(fetcher("lighter"), fetcher("lighter").live, None, None, None)
    feed._received = Frames({"BTC": seen(1.0), "ETH": seen(2.0)})
    taken = feed.take()
    assert not feed.waiting
    feed._received.newest["BTC"] = seen(3.0)
    feed.give_back(taken)
    assert {s: x.row["funding_rate"] for s, x in feed.take().newest.items()} == {"BTC": 3.0, "ETH": 2.0}


# --- the verb


@pytest.fixture(scope="module")
def running():
    with Simulator(World(tokens=TOKENS), live=True, period=0.05) as simulator:
        yield simulator


@pytest.fixture
def stream(running, tmp_path, monkeypatch):
    """The verb in this process, on a lake in tmp_path; gives its exit code."""
    for name, value in running.env().items():
        monkeypatch.setenv(name, value)
    return lambda *args: main(["stream", *map(str, args), "--warehouse", str(tmp_path)])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["lightr"], "did you mean lighter"),
        (["coingecko"], "coingecko has no stream: use 'fundingdb collect --source coingecko'"),
        (["lighter", "--tokens", "KAITOO", "--every", "1s"], "did you mean KAITO"),
        (["lighter", "--count", "0"], "at least 1"),
        (["lighter", "--every", "0.1s"], "at least 1s"),
    ],
)
def test_a_wrong_call_ends_with_2_and_writes_no_snapshot(stream, tmp_path, capsys, args, says):
    assert stream(*args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert Lake(tmp_path).scan("snapshots").collect().height == 0


def test_count_ends_it_with_one_line_a_write(stream, tmp_path, capsys):
    assert stream("--every", "1s", "--count", 1, "--json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    (line,) = map(json.loads, out.splitlines())
    assert set(STREAMING) <= set(line["exchanges"])
    assert (tmp_path / "fundingdb.duckdb").is_file()
    assert line["snapshots"] == line["inserted"] == Lake(tmp_path).scan("snapshots").collect().height > 0


@pytest.mark.slow
def test_one_source_down_ends_with_3_and_all_down_with_1(stream, monkeypatch, capsys):
    monkeypatch.setenv("FUNDINGDB_HYPERLIQUID_WS_URL", "ws://127.0.0.1:9")
    assert stream("lighter", "hyperliquid", "--every", "1s", "--count", 1) == 3
    assert stream("hyperliquid", "--every", "1s", "--count", 1) == 1
    assert "failed: hyperliquid: hyperliquid stream: no connection" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_writes_what_was_seen_and_ends_with_130(running, tmp_path):
    before = sum(running.streams.opened.values())
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "fundingdb", "stream", *STREAMING, "--every", "24h"],
        env={**os.environ, **running.env(), "FUNDINGDB_WAREHOUSE": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while sum(running.streams.opened.values()) < before + len(STREAMING):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    rows = Lake(tmp_path).scan("snapshots").collect()
    assert set(rows["exchange"]) == set(STREAMING)
    assert f"  {rows.height} snapshots (" in out
