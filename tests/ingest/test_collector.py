from dataclasses import replace
from datetime import timedelta

import httpx
import polars as pl
import pytest

from fundingdb.errors import ClockWrong, InternalError, UnknownName
from fundingdb.ingest import held
from fundingdb.ingest.batch import Batch
from fundingdb.lake import Lake
from fundingdb.simulator import Fault, Faults, Simulator
from fundingdb.transport.walk import SourceReader
from fundingdb.window import Window
from tests.worlds import HOUR, NOW, collect, differing, payments, sources, world

TEN_DAYS = Window(NOW.replace(minute=0) - timedelta(days=10), NOW.replace(minute=0) + HOUR)
TWO_DAYS = Window(NOW.replace(minute=0) - timedelta(days=2), NOW.replace(minute=0) + HOUR)


def backfill(simulator, warehouse, *names, window=TEN_DAYS, tokens=("BTC", "KAITO", "PEPE"), now=None):
    return collect(simulator, warehouse, lambda c: c.backfill(sources(*names), window, tokens), now)


def history_requests(simulator, exchange):
    marks = ("funding", "fundingHistory")
    return [
        r
        for r in simulator.requests
        if r.exchange == exchange and r.path.rstrip("/").endswith((*marks, "fundings"))
    ]


@pytest.mark.parametrize("exchange", ["extended", "lighter", "hyperliquid"])
def test_a_backfill_brings_exactly_what_the_world_paid(tmp_path, exchange):
    with Simulator(world()) as simulator:
        report = backfill(simulator, tmp_path, exchange)
    assert report.failures == []
    assert report.exit_code == 0
    bases = set(payments(tmp_path)["base"])
    assert bases == {"BTC", "KAITO", "PEPE"}
    assert payments(tmp_path).height >= 3 * 239
    assert differing(tmp_path, simulator.world, TEN_DAYS.start, TEN_DAYS.stop).is_empty()


@pytest.mark.parametrize("exchange", ["extended", "lighter", "hyperliquid"])
def test_a_second_run_asks_for_no_history_again(tmp_path, exchange):
    with Simulator(world()) as simulator:
        backfill(simulator, tmp_path, exchange)
        requested = len(history_requests(simulator, exchange))
        again = backfill(simulator, tmp_path, exchange)
        assert len(history_requests(simulator, exchange)) == requested
    assert (again.inserted, again.windows, again.pages) == (0, 0, 0)
    assert again.covered > 0


def test_a_payment_beyond_twice_its_cap_is_held_the_rest_is_stored_and_its_window_counts_as_fetched(tmp_path):
    with Simulator(world()) as simulator:
        at = NOW.replace(hour=8, minute=0)
        simulator.world.restate("binance", "BTCUSDT", at, 0.09)
        report = backfill(simulator, tmp_path, "binance")
        assert (report.failures, report.exit_code) == ([], 3)
        (line,) = held.lines(report.verdicts)
        assert line.startswith(f"held: binance: beyond: BTCUSDT, since {at:%Y-%m-%d %H:%M}: rate 0.09 at")
        assert at not in payments(tmp_path).filter(pl.col("symbol") == "BTCUSDT")["funding_time"].to_list()
        again = backfill(simulator, tmp_path, "binance")
        assert (again.inserted, again.exit_code) == (0, 0)  # what is held is not requested again
        lake = Lake(tmp_path)
        held.release(lake, held.waiting(lake), NOW)
        released = pl.col("symbol").eq("BTCUSDT") & pl.col("funding_time").eq(at)
        assert payments(tmp_path).filter(released)["funding_rate"].to_list() == [0.09]
        assert lake.check().clean


def test_a_wider_second_run_asks_only_for_the_older_part(tmp_path):
    with Simulator(world()) as simulator:
        backfill(simulator, tmp_path, "extended", window=TWO_DAYS, tokens=["BTC"])
        seen = len(simulator.requests)
        backfill(simulator, tmp_path, "extended", tokens=["BTC"])
        requested = [r for r in simulator.requests[seen:] if "BTC-USD/funding" in r.path]
        latest = max(int(dict(r.params)["endTime"]) for r in requested)
    assert latest <= (TWO_DAYS.start + HOUR).timestamp() * 1000
    assert differing(tmp_path, simulator.world, TEN_DAYS.start, TEN_DAYS.stop).is_empty()


def test_every_recoverable_fault_leaves_a_right_lake(tmp_path):
    with Simulator(world(), faults=Faults.some(seed=3)) as simulator:
        report = backfill(simulator, tmp_path)
    assert report.failures == []
    assert differing(tmp_path, simulator.world, TEN_DAYS.start, TEN_DAYS.stop).is_empty()


def test_a_cap_that_the_exchange_lowered_silently_loses_nothing(tmp_path):
    faults = Faults(*(Fault("cap", e, value=60) for e in ("extended", "lighter", "hyperliquid")))
    with Simulator(world(missing_one_in=40), faults=faults) as simulator:
        report = backfill(simulator, tmp_path)
    assert report.failures == []
    assert differing(tmp_path, simulator.world, TEN_DAYS.start, TEN_DAYS.stop).is_empty()


@pytest.mark.slow
def test_one_source_that_is_down_does_not_stop_the_others(tmp_path):
    with Simulator(world()) as simulator:
        simulator.down("lighter")
        report = collect(
            simulator, tmp_path, lambda c: c.backfill(sources(), TWO_DAYS, ["KAITO"]), sleep=_no_sleep
        )
        assert report.exit_code == 3
        assert {f.exchange for f in report.failures} == {"lighter"}
        assert set(payments(tmp_path)["exchange"]) == {"extended", "hyperliquid"}
        simulator.up("lighter")
        report = backfill(simulator, tmp_path, window=TWO_DAYS, tokens=["KAITO"])
    assert report.failures == []
    assert set(payments(tmp_path)["exchange"]) == {"extended", "hyperliquid", "lighter"}


async def _no_sleep(_seconds: float) -> None:
    return


def test_one_market_that_fails_does_not_stop_the_others_and_a_repeat_does_only_that(tmp_path):
    broken = Faults(Fault("truncated", "extended", path="KAITO-USD/funding"))
    with Simulator(world(), faults=broken) as simulator:
        report = collect(
            simulator,
            tmp_path,
            lambda c: c.backfill(sources("extended"), TWO_DAYS, ["BTC", "KAITO"]),
            sleep=_no_sleep,
        )
    assert report.exit_code == 3
    assert [f.symbol for f in report.failures] == ["KAITO-USD"]
    assert set(payments(tmp_path)["symbol"]) == {"BTC-USD"}
    ledger = Lake(tmp_path).scan("fetches").filter(pl.col("endpoint") == "history").collect()
    assert dict(ledger.select("symbol", "outcome").rows()) == {"BTC-USD": "rows", "KAITO-USD": "failed"}
    with Simulator(world()) as simulator:
        again = backfill(simulator, tmp_path, "extended", window=TWO_DAYS, tokens=["BTC", "KAITO"])
        assert {r.path.split("/")[-2] for r in history_requests(simulator, "extended")} == {"KAITO-USD"}
    assert (again.failures, again.covered) == ([], 1)


def test_an_unknown_token_is_named_with_near_matches_before_any_history_is_requested(tmp_path):
    with Simulator(world()) as simulator:
        with pytest.raises(UnknownName, match="KAITOO.*KAITO"):
            backfill(simulator, tmp_path, tokens=["BTC", "KAITOO"])
        assert not any(history_requests(simulator, e) for e in ("extended", "lighter", "hyperliquid"))


def test_a_payment_that_was_changed_is_restated_and_the_old_value_kept(tmp_path):
    truth = world()
    at = NOW.replace(minute=0) - 5 * HOUR
    with Simulator(truth) as simulator:
        backfill(simulator, tmp_path, "extended", window=TWO_DAYS, tokens=["BTC"])
        old = payments(tmp_path).filter(pl.col("funding_time") == at)["funding_rate"].item()
        new = truth.restate("extended", "BTC-USD", at)
        lake = Lake(tmp_path)
        source = sources("extended")[0]

        async def again(c):
            from fundingdb.ingest import guard
            from fundingdb.transport.walk import SourceReader

            markets = await c.refresh_markets(source)
            result = await SourceReader(source, c.engine, guard.admitted).history(
                markets["BTC-USD"], TWO_DAYS
            )
            return lake.upsert("funding", result.frame)

        done = collect(simulator, tmp_path, again)
    assert (done.inserted, done.restated) == (0, 1)
    assert payments(tmp_path).filter(pl.col("funding_time") == at)["funding_rate"].item() == pytest.approx(
        new, abs=1e-15
    )
    kept = lake.scan("restatements").collect().row(0, named=True)
    assert (kept["old_funding_rate"], kept["new_funding_rate"]) == (old, pytest.approx(new, abs=1e-15))


@pytest.mark.slow
def test_rounds_bring_what_came_due_and_fill_the_holes_of_a_source_that_was_down(tmp_path):
    truth = world(tokens=("BTC", "KAITO"))
    with Simulator(truth) as simulator:
        one = lambda c: c.round(sources("extended", "hyperliquid"), tokens=["BTC", "KAITO"])  # noqa: E731
        first = collect(simulator, tmp_path, one)
        assert first.failures == []
        assert first.snapshots == 4 + 1  # hyna:BTC is a Bitcoin market too
        truth.now = lambda: NOW + HOUR
        simulator.down("extended")
        second = collect(simulator, tmp_path, one, sleep=_no_sleep)
        assert {f.exchange for f in second.failures} == {"extended"}
        truth.now = lambda: NOW + 3 * HOUR
        simulator.up("extended")
        third = collect(simulator, tmp_path, one)
        assert third.failures == []
        assert (
            third.inserted == 2 * 3 + 3 * 2
        )  # extended: three hours of two markets; hyperliquid: two hours of three
    result = payments(tmp_path)
    assert result["funding_time"].max() == NOW.replace(minute=0) + 3 * HOUR
    start = result["funding_time"].min()
    assert differing(tmp_path, truth, start, NOW + 4 * HOUR).is_empty()
    times = (
        Lake(tmp_path).scan("snapshots").collect().group_by("exchange").agg(pl.col("observed_at").n_unique())
    )
    assert dict(times.rows()) == {"extended": 2, "hyperliquid": 3}


def test_a_late_settlement_is_requested_again_until_it_is_stored(tmp_path):
    truth = world(tokens=("BTC",))
    newest = NOW.replace(minute=0)
    with Simulator(truth) as simulator:
        truth.drop("extended", "BTC-USD", newest)
        one = lambda c: c.round(sources("extended"), tokens=["BTC"])  # noqa: E731
        collect(simulator, tmp_path, one)
        assert payments(tmp_path)["funding_time"].max() == newest - HOUR
        truth._dropped.clear()
        truth._forget("extended", "BTC-USD")
        collect(simulator, tmp_path, one)
    assert payments(tmp_path)["funding_time"].max() == newest


def test_a_market_that_vanished_is_kept_as_delisted(tmp_path):
    truth = world(tokens=("BTC", "KAITO"))
    with Simulator(truth) as simulator:
        collect(simulator, tmp_path, lambda c: c.refresh_markets(sources("extended")[0]))
        truth._listings = {k: v for k, v in truth._listings.items() if k[1] != "KAITO-USD"}
        truth.now = lambda: NOW + HOUR
        collect(simulator, tmp_path, lambda c: c.refresh_markets(sources("extended")[0]))
    rows = Lake(tmp_path).scan("markets").collect()
    kaito = rows.row(by_predicate=pl.col("symbol") == "KAITO-USD", named=True)
    btc = rows.row(by_predicate=pl.col("symbol") == "BTC-USD", named=True)
    assert (kaito["status"], kaito["delisted_at"]) == ("delisted", NOW + HOUR)
    assert btc["first_seen"] < btc["last_seen"]


def test_coingecko_rows_are_snapshots_of_other_exchanges_and_never_markets(tmp_path):
    with Simulator(world(tokens=("BTC", "KAITO"))) as simulator:
        report = collect(
            simulator, tmp_path, lambda c: c.round(sources("coingecko"), ["extended", "lighter"], ["KAITO"])
        )
    assert report.failures == []
    rows = Lake(tmp_path).scan("snapshots").collect()
    assert set(rows["exchange"]) == {"extended", "lighter"}
    assert set(rows["source"]) == {"coingecko"}
    assert set(rows["base"]) == {"KAITO"}
    assert Lake(tmp_path).scan("markets").collect().is_empty()


def test_a_refused_answer_is_kept_in_quarantine_with_its_reason(tmp_path):
    truth = world(tokens=("BTC",))
    with Simulator(truth) as simulator:
        truth.restate("extended", "BTC-USD", NOW.replace(minute=0) - 3 * HOUR, 0.02)  # the cap is 0.0025
        report = backfill(simulator, tmp_path, "extended", window=TWO_DAYS, tokens=["BTC"])
    assert report.exit_code == 1
    assert "cap" in str(report.failures[0].error)
    kept = sorted((tmp_path / "quarantine" / "extended").iterdir())
    assert [p.suffix for p in kept] == [".body", ".json"]
    assert b"0.02" in kept[0].read_bytes()
    assert payments(tmp_path).is_empty()


def test_a_long_range_is_walked_in_pieces_and_written_in_bounded_batches_without_a_seam(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("fundingdb.transport.paging._WALK_ROWS", 20)
    monkeypatch.setattr("fundingdb.ingest.batch._ROWS", 150)
    written = []
    write = Batch._write

    def watched(batch, part):
        written.append(sum(frame.height for frame, _ in part if frame is not None))
        write(batch, part)

    monkeypatch.setattr(Batch, "_write", watched)
    requested = [
        replace(f, history=replace(f.history, paging=replace(f.history.paging, cap=30)))
        for f in sources("hyperliquid", "bybit")
    ]
    with Simulator(world(), Faults(Fault("cap", value=30))) as simulator:
        report = collect(simulator, tmp_path, lambda c: c.backfill(requested, TEN_DAYS, ["KAITO"]))
    assert report.failures == []
    assert report.windows > 6, "hyperliquid has seven pieces, bybit two"
    assert len(written) > 1
    assert max(written) < 150 + 30 + 72
    wrong = differing(tmp_path, simulator.world, TEN_DAYS.start, TEN_DAYS.stop)
    assert wrong.filter(pl.col("funding_rate") != pl.col("funding_rate_world")).is_empty()
    unknown = payments(tmp_path).filter(pl.col("interval_hours").is_null())
    assert set(unknown["exchange"]) == {"bybit"}
    assert unknown["symbol"].n_unique() == unknown.height == wrong.height, (
        "the first of each market, no other"
    )


def test_an_error_of_our_own_fails_one_market_and_leaves_a_report_others_finish(tmp_path, monkeypatch):
    whole = SourceReader.history

    async def broken(self, market, window):
        if market.symbol == "KAITO-USD":
            raise KeyError("a bug")
        return await whole(self, market, window)

    monkeypatch.setattr(SourceReader, "history", broken)
    with Simulator(world()) as simulator:
        report = backfill(simulator, tmp_path, "extended")
    assert {f.symbol for f in report.failures} == {"KAITO-USD"}
    assert all(isinstance(f.error, InternalError) for f in report.failures)
    assert set(payments(tmp_path)["base"]) == {"BTC", "PEPE"}
    kept = list((tmp_path / "quarantine/extended").glob("*.error.txt"))
    assert kept
    assert "KeyError" in kept[0].read_text()


def silenced(request):
    """Whether a request is for the history of a market."""
    return b"fundingHistory" in request.content or request.url.path.rstrip("/").endswith(
        ("/funding", "/fundings", "/fundingRate")
    )


class Silent(httpx.AsyncHTTPTransport):
    """Answers requests for history without rows while `on`."""

    on = True

    async def handle_async_request(self, request):
        response = await super().handle_async_request(request)
        if not self.on or not silenced(request):
            return response
        body = b"[]"
        if request.url.path.endswith("/fundings"):
            body = b'{"code":200,"resolution":"1h","fundings":[]}'
        elif request.url.path.rstrip("/").endswith("/funding"):
            body = b'{"status":"OK","data":[],"pagination":{"cursor":0,"count":0}}'
        await response.aread()
        return httpx.Response(200, content=body, headers={"Date": response.headers["date"]})


def test_every_hour_comes_after_an_exchange_answered_without_rows_for_a_while(tmp_path):
    names = ("extended", "lighter", "hyperliquid", "binance")
    with Simulator(world()) as simulator:

        def run(*, on, again=False):
            transport = Silent()
            transport.on = on
            work = lambda c: c.backfill(sources(*names), TEN_DAYS, ["BTC"], again=again)  # noqa: E731
            return collect(simulator, tmp_path, work, transport=transport)

        assert run(on=True).inserted == 0
        assert run(on=False).failures == []
        stored = payments(tmp_path)
        assert set(stored["exchange"]) == set(names)
        wrong = differing(tmp_path, simulator.world, TEN_DAYS.start, TEN_DAYS.stop)
        rates = pl.col("funding_rate").ne_missing(pl.col("funding_rate_world"))
        assert wrong.filter(rates).is_empty()  # the first row of an 8-hour market has no interval yet
        repeat = run(on=False, again=True)
        assert (repeat.inserted, repeat.unchanged) == (0, stored.height)


def test_a_clock_ten_days_ahead_stops_the_run_and_nothing_is_written(tmp_path):
    with Simulator(world()) as simulator, pytest.raises(ClockWrong, match="ahead of that of extended"):
        backfill(simulator, tmp_path, "extended", tokens=["BTC"], now=NOW + timedelta(days=10))
    assert Lake(tmp_path).scan("fetches").collect().is_empty()
    assert payments(tmp_path).is_empty()
