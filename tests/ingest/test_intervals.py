"""Intervals found from neighbouring settlements: worlds with changes and holes, the lake that heals, real Binance series."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import httpx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb.catalog import catalog
from fundingdb.cli import main
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest import intervals
from fundingdb.ingest.collector import Collector
from fundingdb.ingest.healing import Healer
from fundingdb.ingest.intervals import observed
from fundingdb.ingest.ledger import Attempt
from fundingdb.ingest.ledger import walked as ledger_rows
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING
from fundingdb.transport.http import Engine
from fundingdb.transport.walk import Fetched
from fundingdb.window import HOUR, Window
from tests.real_data import binance_without_intervals

T0 = datetime(2026, 1, 5, tzinfo=UTC)
BTC = ("binance", "binance", "BTC")
LEARNED = datetime(2026, 6, 1, tzinfo=UTC)


def rows(*at, symbol="BTC", known=None, kind="regular", source="binance", rate=1e-4):
    """FUNDING rows at these hours after T0, without interval but for `known` = (hours, evidence)."""
    times = [T0 + hour * HOUR for hour in at]
    filled, evidence = known or (None, "unknown")
    same = {
        "exchange": "binance",
        "source": source,
        "symbol": symbol,
        "base": symbol,
        "quote": "USDT",
        "asset_class": "crypto",
        "interval_hours": filled,
        "interval_from": evidence,
        "funding_rate": rate,
        "rate_type": kind,
        "native_rate": rate,
        "mark_price": None,
        "index_price": None,
        "fetched_at": LEARNED,
    }
    schema = {n: t for n, t in FUNDING.schema.items() if n != "month"}
    return FUNDING.check(
        pl.DataFrame([{**same, "funding_time": t, "reported_time": t} for t in times], schema=schema)
    )


def found(*at):
    result = observed(rows(*at))
    assert (result["interval_from"] == "observed").to_list() == result[
        "interval_hours"
    ].is_not_null().to_list()
    return result["interval_hours"].to_list()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((0, 8, 16, 24), [None, 8, 8, 8]),
        ((0, 8, 16), [None, None, None]),  # two gaps, each of which may hide a settlement
        ((0, 4, 8, 12, 20, 24, 28, 32), [None, 4, 4, 4, None, 4, 4, 4]),
        ((0, 4, 8, 12, 20, 28, 32, 36, 40), [None, 4, 4, 4, None, None, 4, 4, 4]),
        ((0, 8, 16, 24, 28, 32), [None, 8, 8, 8, 4, 4]),
        ((0, 8, 16, 24, 28), [None, 8, 8, 8, None]),
        ((0, 4, 8, 12, 20, 28), [None, 4, 4, 4, None, None]),
        ((0, 4, 8, 12, 20, 28, 36), [None, 4, 4, 4, 8, 8, 8]),
        ((0, 1, 2, 3, 6, 10, 14, 18), [None, 1, 1, 1, None, 4, 4, 4]),  # 3 hours between two rhythms
        ((0, 3, 6, 9, 12), [None] * 5),  # no exchange pays so
        ((0, 24, 48, 72, 84, 96, 102, 108), [None, 24, 24, 24, 12, 12, 6, 6]),
        ((0, 30, 34, 38), [None] * 4),  # two after a hole are not two after a rhythm
        ((5,), [None]),
        ((), []),
    ],
)
def test_a_gap_counts_when_its_neighbours_agree(at, expected):
    assert found(*at) == expected


def test_published_intervals_stay_and_special_payments_are_nobodys_neighbours():
    filled = pl.concat([rows(0, 8, 16), rows(24, known=(4.0, "row")), rows(32, 40)])
    result = observed(filled)
    assert result["interval_hours"].to_list() == [None, 8, 8, 4, 8, 8]
    assert result["interval_from"].to_list() == [
        "unknown",
        "observed",
        "observed",
        "row",
        "observed",
        "observed",
    ]
    special = pl.concat([rows(20, 24, kind="special"), rows(0, 8, 16, 24)])
    assert observed(special)["interval_hours"].to_list() == [None, None, None, 8, 8, 8]
    assert (
        observed(special)
        .drop("interval_hours", "interval_from")
        .equals(special.drop("interval_hours", "interval_from"))
    )


def test_markets_and_sources_do_not_mix():
    two = pl.concat([rows(0, 8, 16), rows(4, 12, 20, source="import"), rows(1, 2, 3, 4, symbol="ETH")])
    assert observed(two)["interval_hours"].to_list() == [None] * 6 + [None, 1, 1, 1]


def test_rows_outside_proven_spans_have_no_neighbours():
    def spans(*ends):
        return {BTC: [Window(T0 + a * HOUR, T0 + b * HOUR) for a, b in ends]}

    day = rows(*range(0, 24, 2))
    assert observed(day, spans())["interval_hours"].to_list() == [None] * 12
    assert observed(day, {})["interval_hours"].to_list() == [None] * 12
    parted = observed(day, spans((0, 8), (9, 24)))["interval_hours"].to_list()
    assert parted == [None, 2, 2, 2] + [None, None] + [2] * 6
    assert observed(day, spans((0, 8)))["interval_hours"].to_list() == [None, 2, 2, 2] + [None] * 8
    assert observed(day, spans((0, 24)))["interval_hours"].to_list() == [None] + [2] * 11


# --- worlds


@st.composite
def worlds(draw, holes=True):
    """(paid hours, true interval by hour, hours whose gap fits no rhythm): rhythms of at least five payments each.

    Holes as ingest/intervals.py bounds them: of three neighbouring gaps one has none, and none within two settlements of
    a change.
    """
    rhythms = draw(
        st.lists(st.tuples(st.sampled_from(intervals.HOURS), st.integers(5, 14)), min_size=1, max_size=4)
    )
    due, truth, odd, near = [], {}, set(), set()
    for hours, count in rhythms:
        step = int(hours)
        first = (due[-1] // step + 1) * step if due else 0
        if due:
            if first - due[-1] not in {step, truth[due[-1]]}:
                odd.add(first)
            near |= {*due[-3:], *(first + n * step for n in range(3))}
        for at in range(first, first + count * step, step):
            truth[at] = float(at - due[-1]) if due else None
            due.append(at)
    paid = list(due)
    if holes:
        for at in draw(st.lists(st.sampled_from(due), max_size=len(due))):
            left = [t for t in paid if t != at]
            whole = [truth[b] == b - a for a, b in pairwise(left)]
            if at not in near and all(any(whole[i : i + 3]) for i in range(len(whole) - 2)):
                paid = left
    return paid, truth, odd


@settings(max_examples=300)
@given(worlds(), st.data())
def test_an_interval_is_right_or_null_whatever_an_exchange_left_out(world, data):
    paid, truth, _ = world
    start = data.draw(st.integers(0, len(paid)))
    stop = data.draw(st.integers(start, len(paid)))
    for known in (paid, paid[start:stop]):
        for at, hours in zip(known, found(*known), strict=True):
            assert hours is None or hours == truth[at], f"hour {at} of {known}"


@settings(max_examples=100)
@given(worlds(holes=False))
def test_without_holes_only_the_first_row_and_steps_between_rhythms_stay_null(world):
    paid, truth, odd = world
    for at, hours in zip(paid, found(*paid), strict=True):
        assert hours == truth[at] or at == 0 or at in odd
        assert not (at == 0 and hours)


def proof(result):
    """A walk that reached rows older than its window, with a server's clock long after it."""
    return Fetched(result, 1, 1, 0.1, asked_at=LEARNED, server_time=LEARNED, step=8 * HOUR, behind=True)


def walked(lake, healer, paid, start, stop):
    """One walk of [start, stop) as the collector writes it: rows first, ledger second."""
    window = Window(T0 + start * HOUR, T0 + stop * HOUR)
    result = rows(*(at for at in paid if start <= at < stop))
    ask = Attempt.of(fetcher("binance"), "BTC", "history", window)
    ledger = ledger_rows(ask, window, proof(result), LEARNED)
    filled, hours = healer.healed(result, ledger)
    done, after = lake.upsert("funding", filled), lake.amend(hours)
    lake.upsert("fetches", ledger)
    return replace(done, restated=done.restated + after.restated, amended=done.amended + after.amended)


@pytest.mark.slow
@settings(max_examples=8)
@given(worlds(), st.data())
def test_the_lake_ends_the_same_in_whatever_order_walks_come(tmp_path_factory, world, data):
    paid, _, _ = world
    lake = Lake(tmp_path_factory.mktemp("lake"))
    healer = Healer(lake)
    stop = paid[-1] + 1
    cuts = sorted({0, stop, *data.draw(st.lists(st.integers(1, stop), max_size=6))})
    for start, end in data.draw(st.permutations(list(pairwise(cuts)))):
        assert walked(lake, healer, paid, start, end).restated == 0
    result = lake.scan("funding").collect().sort("funding_time")
    assert result["interval_hours"].to_list() == found(*paid)
    assert lake.scan("restatements").collect().is_empty()


def test_hour_by_hour_a_row_heals_those_before_it_and_its_own_comes_at_once(tmp_path):
    lake, healer = Lake(tmp_path), None
    for at in range(6):
        healer = healer or Healer(lake)
        done = walked(lake, healer, range(6), at, at + 1)
        assert (done.inserted, done.amended) == (1, 2 if at == 3 else 0)
    assert lake.scan("funding").collect().sort("funding_time")["interval_hours"].to_list() == [
        None,
        1,
        1,
        1,
        1,
        1,
    ]


def test_older_rows_heal_the_first_one_and_nothing_is_restated(tmp_path):
    lake, healer = Lake(tmp_path), Healer(Lake(tmp_path))
    walked(lake, healer, range(0, 200, 8), 80, 160)
    done = walked(lake, healer, range(0, 200, 8), 0, 80)
    assert (done.inserted, done.amended, done.restated) == (10, 1, 0)
    again = walked(lake, healer, range(0, 200, 8), 0, 160)
    assert (again.inserted, again.amended, again.restated, again.unchanged) == (0, 0, 0, 20)


def test_a_settlement_that_comes_late_restates_what_its_absence_feigned(tmp_path):
    """Three left out in rhythm look like another interval; the rows that fill them correct it, and the old hours are kept."""
    lake, healer = Lake(tmp_path), Healer(Lake(tmp_path))
    paid = [at for at in range(0, 80, 4) if at not in (36, 44, 52)]
    walked(lake, healer, paid, 0, 80)
    feigned = lake.scan("funding").filter(pl.col("interval_hours") == 8).collect()
    assert feigned["funding_time"].to_list() == [T0 + at * HOUR for at in (40, 48, 56)]
    done = walked(lake, healer, range(0, 80, 4), 36, 53)
    assert (done.inserted, done.restated) == (3, 3)
    assert lake.scan("funding").collect()["interval_hours"].drop_nulls().unique().to_list() == [4]
    kept = lake.scan("restatements").collect()
    assert kept.select("old_interval_hours", "new_interval_hours").unique().rows() == [(8, 4)]
    assert (kept["old_funding_rate"] == kept["new_funding_rate"]).all()


def test_a_lake_from_before_intervals_were_found_is_healed_from_its_own_rows(tmp_path, capsys):
    """Paid each 8 h, each 4 h from hour 160 on; two walks with a hole between: of 12 + 25 rows 11 + 24."""
    lake, paid = Lake(tmp_path), [*range(0, 160, 8), *range(160, 240, 4)]
    filled = []
    for start, stop in ((0, 96), (120, 240)):
        result = rows(*(at for at in paid if start <= at < stop))
        lake.upsert("funding", result)
        ask = Attempt.of(fetcher("binance"), "BTC", "history", Window(T0 + start * HOUR, T0 + stop * HOUR))
        lake.upsert("fetches", ledger_rows(ask, ask.window, proof(result), LEARNED))
        filled += found(*(at for at in paid if start <= at < stop))
    assert lake.scan("funding").collect()["interval_hours"].null_count() == 12 + 5 + 20
    assert main(["check", "--heal", "--warehouse", str(tmp_path)]) == 0
    result = lake.scan("funding").sort("funding_time").collect()
    assert result["interval_hours"].to_list() == filled
    assert "35 payments have their interval now" in capsys.readouterr().err
    assert lake.scan("restatements").collect().is_empty()
    assert main(["check", "--heal", "--warehouse", str(tmp_path)]) == 0
    assert "0 payments have" in capsys.readouterr().err
    con = catalog.connect(tmp_path)
    assert con.sql("select count(*) from funding where rate_1h is not null").fetchall() == [(35,)]


# --- the real series: 293 symbols of Binance, January to March 2026

CHANGES = {  # symbol -> its changes
    "ALICEUSDT": [(8, 1, "02-28 01"), (1, 4, "03-03 12")],
    "ANIMEUSDT": [(4, 1, "03-17 05")],
    "ANKRUSDT": [(8, 1, "03-18 09")],
    "AZTECUSDT": [(1, 4, "02-27 04")],
    "BULLAUSDT": [(4, 1, "02-24 09"), (1, 4, "02-26 12")],
    "COSUSDT": [(4, 1, "03-08 13"), (1, 4, "03-11 00"), (4, 1, "03-14 17"), (1, 4, "03-17 04")],
    "ENJUSDT": [(8, 1, "03-18 09")],
    "ENSOUSDT": [(1, 4, "03-06 04")],
    "ESPUSDT": [(1, 4, "03-06 04")],
    "FIOUSDT": [(4, 1, "03-01 01"), (1, 4, "03-02 12")],
    "GUSDT": [(4, 1, "03-16 13"), (1, 4, "03-19 12")],
    "ICXUSDT": [(8, 1, "03-11 09"), (1, 4, "03-13 08")],
    "INITUSDT": [(1, 4, "02-19 08")],
    "JELLYJELLYUSDT": [(4, 1, "03-10 09"), (1, 4, "03-11 08")],
}
"""(hours before, hours after, first settlement with the new hours, 2026 UTC)"""


@pytest.fixture(scope="module")
def census(shared, tmp_path_factory):
    """The lake of the real file: rows without intervals, healed as one walk of each symbol from its first to its last row."""
    warehouse = tmp_path_factory.mktemp("binance")
    lake, bare = Lake(warehouse), binance_without_intervals(shared)
    lake.upsert("funding", bare)
    stored = lake.scan("funding").collect()
    spans = stored.group_by("symbol").agg(
        start=pl.col("funding_time").min(), stop=pl.col("funding_time").max()
    )
    proven = {("binance", "import", s): [Window(a, b + HOUR)] for s, a, b in spans.rows()}
    done = lake.upsert("funding", observed(stored, proven))
    assert (done.inserted, done.restated, done.amended) == (0, 0, 58_330 - 304)
    with catalog.connect(warehouse) as con:
        yield con


def test_every_symbol_of_the_real_file_has_its_interval(census):
    newest = census.sql(
        "select hours, count(*) from (select symbol, max_by(interval_hours, funding_time) as hours from funding "
        "where interval_hours is not null group by symbol) group by hours order by hours"
    ).fetchall()
    assert newest == [(1.0, 5), (4.0, 210), (8.0, 78)]
    payments = census.sql(
        "select interval_hours, count(*) from funding group by interval_hours order by interval_hours nulls last"
    ).fetchall()
    assert payments == [(1.0, 1259), (4.0, 40799), (8.0, 15968), (None, 304)]


def test_every_change_of_the_real_file_is_found_with_its_time(census):
    found = {}
    for symbol, before, after, at in census.sql(
        "select symbol, previous_interval_hours, interval_hours, "
        "strftime(first_time at time zone 'UTC', '%m-%d %H') from intervals "
        "where change in ('shorter', 'longer') order by symbol, first_time"
    ).fetchall():
        found.setdefault(symbol, []).append((before, after, at))
    assert found == CHANGES
    assert sum(map(len, CHANGES.values())) == 23


def test_what_stays_null_in_the_real_file_is_the_first_row_and_eleven_steps(census):
    null = census.sql(
        "select symbol, first_time, payments from intervals where change = 'unknown' order by symbol, first_time"
    ).pl()
    first = census.sql("select symbol, min(funding_time) as first_time from funding group by symbol").pl()
    assert null.join(first, on=["symbol", "first_time"]).height == 293
    inside = null.join(first, on=["symbol", "first_time"], how="anti").with_columns(
        pl.col("first_time").dt.strftime("%m-%d %H")
    )
    assert inside.rows() == [
        (
            "ANIMEUSDT",
            "03-19 20",
            2,
        ),  # 1 h until 17 o'clock, then 3 h and, newest, 4 h: not yet twice the same
        ("AZTECUSDT", "02-27 00", 1),  # the others: 2 or 3 h between 1 h and the first full 4 h
        ("BULLAUSDT", "02-26 08", 1),
        ("COSUSDT", "03-10 20", 1),
        ("COSUSDT", "03-17 00", 1),
        ("ESPUSDT", "03-06 00", 1),
        ("GUSDT", "03-19 08", 1),
        ("INITUSDT", "02-19 04", 1),
        ("JELLYJELLYUSDT", "03-11 04", 1),
    ]
    two = null.join(first, on=["symbol", "first_time"]).filter(pl.col("payments") > 1)
    assert two["symbol"].to_list() == ["0GUSDT"]  # 2 h between its first row and 4 h


# --- end to end: what Binance answers, through engine, walk, ledger and lake


class Answers:
    """Binance's answers out of the real rows, as far as `now`: oldest first, at most 1,000, both bounds inclusive."""

    def __init__(self, real, symbols, now):
        kept = real.filter(pl.col("symbol").is_in(symbols)).sort("symbol", "funding_time")
        self.paid = {
            s: [
                (int(t.timestamp() * 1000) + 7, f"{r:.8f}")
                for t, r in zip(f["funding_time"], f["funding_rate"], strict=True)
            ]
            for (s,), f in kept.partition_by("symbol", as_dict=True).items()
        }
        self.now = now

    def __call__(self, request):
        params, path = request.url.params, request.url.path.rpartition("/")[2]
        now = int(self.now.timestamp() * 1000)
        if path == "exchangeInfo":
            return httpx.Response(200, json={"symbols": [self.listing(s) for s in self.paid]})
        if path == "fundingInfo":
            hours = {"fundingIntervalHours": 4}
            return httpx.Response(200, json=[{"symbol": s, **hours} for s in self.paid])
        if path == "premiumIndex":
            due = {"nextFundingTime": now // 3_600_000 * 3_600_000 + 3_600_000, "lastFundingRate": "0.0001"}
            live = {"markPrice": "1", "indexPrice": "1", "time": now, **due}
            return httpx.Response(200, json=[{"symbol": s, **live} for s in self.paid])
        inside = [
            {"symbol": params["symbol"], "fundingTime": t, "fundingRate": r, "markPrice": ""}
            for t, r in self.paid[params["symbol"]]
            if int(params["startTime"]) <= t <= min(int(params["endTime"]), now)
        ]
        return httpx.Response(200, content=json.dumps(inside[: int(params["limit"])]).encode())

    @staticmethod
    def listing(symbol):
        kind = {"contractType": "PERPETUAL", "status": "TRADING", "underlyingType": "COIN"}
        return {"symbol": symbol, "baseAsset": symbol.removesuffix("USDT"), "quoteAsset": "USDT", **kind}


def collect(answers, warehouse, work):
    """Runs `work` with a collector at the time of `answers`; waiting for the budget takes no time."""
    clock = [0.0]

    async def sleep(seconds):
        clock[0] += seconds
        await asyncio.sleep(0)

    async def run():
        async with Engine(
            transport=httpx.MockTransport(answers),
            env={},
            clock=lambda: clock[0],
            sleep=sleep,
            now=lambda: answers.now,
        ) as net:
            return await work(Collector(Lake(warehouse), warehouse, net, now=lambda: answers.now))

    return asyncio.run(run())


def hours_of(warehouse, symbol):
    with catalog.connect(warehouse) as con:
        result = con.sql(
            f"select funding_time, interval_hours, rate_1h, funding_rate from funding where symbol = '{symbol}' order by 1"
        ).pl()
    assert (result["rate_1h"].is_null() == result["interval_hours"].is_null()).all()
    per_hour = result.drop_nulls("rate_1h")
    assert all(abs(h * r - f) < 1e-15 for _, h, r, f in per_hour.iter_rows())
    return dict(result.select("funding_time", "interval_hours").rows())


@pytest.mark.slow
def test_a_backfill_of_binance_has_rates_per_hour(shared, tmp_path):
    symbols = ["ALICEUSDT", "GUSDT", "BTCUSDT", "1000PEPEUSDT"]
    answers = Answers(binance_without_intervals(shared), symbols, datetime(2026, 3, 20, 5, tzinfo=UTC))
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 20, 5, tzinfo=UTC))
    report = collect(answers, tmp_path, lambda c: c.backfill([fetcher("binance")], window))
    assert (report.failures, report.inserted) == ([], 800)
    for symbol, nulls in zip(symbols, (1, 2, 1, 1), strict=True):
        hours = list(hours_of(tmp_path, symbol).values())
        assert hours.count(None) == nulls
        assert hours[0] is None


@pytest.mark.slow
def test_rounds_end_where_one_backfill_does(shared, tmp_path, monkeypatch):
    """Across both changes of ALICE, 8 h to 1 h and 1 h to 4 h: the newest row has its interval as soon as neighbours agree."""
    monkeypatch.setattr(
        catalog, "rebuild", lambda _warehouse: None
    )  # half a second a round, and not read here
    answers = Answers(binance_without_intervals(shared), ["ALICEUSDT"], T0)
    days = ("02-27 00", "02-27 08", "02-28 00", "02-28 01", "02-28 02", "03-03 08", "03-03 12", "03-03 20")
    at_first = []
    for day in days:
        answers.now = datetime.strptime(f"2026-{day}:05 +0000", "%Y-%m-%d %H:%M %z")
        report = collect(answers, tmp_path / "rounds", lambda c: c.round([fetcher("binance")]))
        assert (report.failures, report.restated) == ([], 0)
        newest = Lake(tmp_path / "rounds").scan("funding").sort("funding_time").last().collect()
        at_first.append(newest["interval_hours"].item())
    assert at_first == [None, 8.0, 8.0, None, 1.0, 1.0, None, 4.0]
    hours = hours_of(tmp_path / "rounds", "ALICEUSDT")
    window = Window(min(hours), answers.now)
    collect(answers, tmp_path / "at_once", lambda c: c.backfill([fetcher("binance")], window))
    assert hours == hours_of(tmp_path / "at_once", "ALICEUSDT")
    assert [t for t, h in hours.items() if h is None] == [min(hours)]


def test_the_public_face_fills_what_it_gives(shared, monkeypatch):
    from fundingdb.sources import BaseFundingDataSource

    answers = Answers(binance_without_intervals(shared), ["GUSDT"], datetime(2026, 3, 20, 5, tzinfo=UTC))

    class Face(BaseFundingDataSource):
        name = "binance"

    async def ask():
        source = Face(env={})
        source._engine = Engine(transport=httpx.MockTransport(answers), env={}, now=lambda: answers.now)
        async with source:
            return await source.get_historical_funding_rates("G", T0, answers.now)

    result = asyncio.run(ask())
    assert result["interval_hours"].value_counts().sort("interval_hours").rows() == [
        (None, 2),
        (1.0, 66),
        (4.0, 132),
    ]
