"""The same rows again: pinned versions, what was known by an instant, the fingerprint; and nothing from the future."""

import hashlib
import struct
import subprocess
import sys
from datetime import datetime, timedelta
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb import __version__
from fundingdb.errors import BadCall, BadWindow, LakeError, NoRowsWarning, VersionGone
from fundingdb.lake import Lake
from fundingdb.lake.log import Log
from fundingdb.provider.provider import FundingRateBacktestDataProvider
from fundingdb.schema import FUNDING, RESTATEMENTS, SNAPSHOTS
from tests.paid_rows import HOUR, T0, over, payment, rows

END = T0 + timedelta(days=3)


def loaded(folder, version=None, **more) -> FundingRateBacktestDataProvider:
    provider = FundingRateBacktestDataProvider(folder, version, **more)
    provider.load_data(T0, END)
    return provider


def answers(provider: FundingRateBacktestDataProvider, *tokens: str, until=END) -> list[object]:
    """What each read method says of every token and exchange up to an instant."""
    said: list[object] = []
    hours = pl.datetime_range(T0, until, "2h", time_unit="us", eager=True)
    for token in tokens:
        for exchange in "ab":
            said += [provider.get_funding(t, exchange, token) for t in hours]
            said.append(provider.funding_rates(hours, exchange, token).to_list())
            said.append(provider.get_funding_payments(exchange, token, T0, until).rows())
        said += [provider.get_best_spread(t, token) for t in hours]
        said += [provider.get_spread(t, "a", "b", token) for t in hours]
        said.append(provider.best_spreads(hours, token).rows())
        said.append(provider.spreads(hours, "a", "b", token).to_list())
        said.append(provider.matrix(token).filter(pl.col("timestamp") <= until).rows())
        held = provider.interpolate_missing_data(token, limit=5 * HOUR)
        said.append(held.filter(pl.col("timestamp") <= until).rows())
        said.append(provider.carry(token, "a", "b", T0, until).rows())
        said.append(provider.carry_summary(token, "a", "b", T0, until).rows())
    return said


# ---- pinned


@pytest.fixture
def moved(tmp_path):
    """A lake, its first version and instant, after later writes, a restatement and a compaction."""
    lake = Lake(tmp_path)
    first = [payment(e, "X", h, 0.01 * h, mark=100.0 + h) for e in "ab" for h in range(12)]
    version = lake.upsert("funding", rows(*first)).version
    instant = lake.learned_at(version)
    before = answers(loaded(tmp_path, version), "X")
    mark = loaded(tmp_path, version).fingerprint()
    late = T0 + timedelta(days=2)
    lake.upsert(
        "funding", rows(payment("a", "X", 3, 0.5, fetched=late), payment("a", "X", 14, 0.5, fetched=late))
    )
    lake.upsert("funding", rows(*(payment("b", "X", h, 0.2, fetched=late) for h in range(12, 20))))
    lake.compact()
    lake.upsert("funding", rows(payment("c", "X", 3, 0.9)))
    return tmp_path, version, instant, before, mark


def test_a_pinned_version_gives_the_same_answers_after_writes_restatements_and_compaction(moved):
    folder, version, instant, before, mark = moved
    for again in (
        loaded(folder, version),
        loaded(folder, as_of=instant),
        loaded(folder, as_of=instant.timestamp()),
    ):
        assert answers(again, "X") == before
        assert again.fingerprint() == mark
    newest = loaded(folder)
    assert answers(newest, "X") != before
    assert newest.fingerprint() != mark


def test_a_vacuumed_version_says_so(moved):
    folder, version, instant, _, _ = moved
    open_still = loaded(folder, version)
    Lake(folder).vacuum(timedelta(0))
    for pin in ({"version": version}, {"as_of": instant}):
        provider = FundingRateBacktestDataProvider(folder, **pin)
        with pytest.raises(VersionGone, match="was vacuumed: .* is deleted; pin a newer one"):
            provider.load_data(T0, END)
    assert open_still.get_funding_rate(T0 + HOUR, "a", "X") == 0.01  # from memory
    for ask in (
        lambda: open_still.get_funding_payments("a", "X", T0, END),
        lambda: open_still.carry("X", "a", "b", T0, END),
        open_still.fingerprint,
    ):
        with pytest.raises(VersionGone, match="that was loaded is vacuumed: .*; load_data again"):
            ask()


def test_a_pin_that_pins_nothing_is_refused(moved):
    folder, version, instant, _, _ = moved
    make = FundingRateBacktestDataProvider
    with pytest.raises(BadCall, match="version and as_of pin twice"):
        make(folder, version, as_of=instant)
    with pytest.raises(BadCall, match="give the number of a version, or an instant as as_of="):
        make(folder, instant)  # type: ignore[arg-type]
    with pytest.raises(BadWindow, match="as_of 2025-01-01T00:00:00: naive datetime"):
        make(folder, as_of=datetime(2025, 1, 1))  # noqa: DTZ001 - the bad input
    with pytest.raises(BadWindow, match="as_of .* looks like milliseconds"):
        make(folder, as_of=1_735_689_600_000)
    with pytest.raises(BadWindow, match="known_by .* naive datetime"):
        make(folder, known_by=datetime(2025, 1, 1))  # noqa: DTZ001 - the bad input
    with pytest.raises(BadWindow, match="as_of 2090-01-01T00:00:00\\+00:00 is still to come"):
        make(folder, as_of=datetime.fromisoformat("2090-01-01T00:00Z"))
    with pytest.raises(VersionGone, match="table funding has no version 99"):
        make(folder, 99).load_data(T0, END)
    with pytest.raises(VersionGone, match="nothing was committed by as_of 2020-01-01"):
        make(folder, as_of=datetime.fromisoformat("2020-01-01T00:00Z")).load_data(T0, END)


def test_a_lake_of_other_tables_is_refused(tmp_path):
    import dataclasses

    Lake(tmp_path / "newer").upsert("funding", rows(payment("a", "X", 0, 0.1)))
    (tmp_path / "newer/lake/layout.json").write_text('{"layout": 2}')
    with pytest.raises(
        LakeError, match=r"made by a newer fundingdb \(layout 2, this version reads 1\): update fundingdb"
    ):
        loaded(tmp_path / "newer")
    lake = Lake(tmp_path / "other")
    lake.upsert(
        "restatements", replayed([payment("a", "X", 1, r, fetched=t) for r, t in ((0.1, T0), (0.2, END))])[1]
    )
    columns = {c: v for c, v in FUNDING.columns.items() if c != "index_price"}
    Log(lake.home / "funding", dataclasses.replace(FUNDING, columns=columns)).create()
    with pytest.raises(
        LakeError, match="table funding .* has the columns .* which are not those of this version"
    ):
        loaded(tmp_path / "other")


# ---- known by an instant


def test_a_value_restated_later_is_the_older_one_and_what_was_fetched_later_is_not_there(tmp_path):
    lake = Lake(tmp_path)
    days = [T0 + timedelta(days=d) for d in range(5)]
    lake.upsert(
        "funding",
        rows(payment("a", "X", 1, 0.1, fetched=days[1]), payment("a", "X", 2, 0.2, fetched=days[1])),
    )
    lake.upsert("funding", rows(payment("a", "X", 1, 0.15, fetched=days[2])))
    lake.upsert("funding", rows(payment("a", "X", 1, 0.8, 2.0, fetched=days[3])))
    lake.upsert("funding", rows(payment("a", "X", 3, 0.3, mark=7.0, fetched=days[4])))
    end = T0 + 3 * HOUR
    expected = {
        days[0]: [],
        days[1]: [(0.1, 1.0), (0.2, 1.0)],
        days[2]: [(0.15, 1.0), (0.2, 1.0)],
        days[3] - timedelta(microseconds=1): [(0.15, 1.0), (0.2, 1.0)],
        days[3]: [(0.8, 2.0), (0.2, 1.0)],
        days[4]: [(0.8, 2.0), (0.2, 1.0), (0.3, 1.0)],
    }
    for known_by, paid in expected.items():
        if not paid:
            with pytest.warns(NoRowsWarning, match="no settlement"):
                assert loaded(tmp_path, known_by=known_by).get_data_summary().is_empty()
            continue
        provider = loaded(tmp_path, known_by=known_by)
        got = provider.get_funding_payments("a", "X", T0, end)
        assert got.select("funding_rate", "interval_hours").rows() == paid
        rate, hours = paid[0]
        assert provider.get_funding_rate(T0 + HOUR, "a", "X") == rate / hours
    assert loaded(tmp_path).get_funding_payments("a", "X", T0, end).height == 3


def test_a_second_source_stands_in_for_what_the_first_learned_later(tmp_path):
    lake, late = Lake(tmp_path), T0 + timedelta(days=9)
    lake.upsert("funding", rows(payment("a", "X", 0, 0.1), payment("a", "X", 1, 0.1, fetched=late)))
    lake.upsert(
        "funding",
        rows(payment("a", "X", 1, 0.3, source="import"), payment("a", "X", 2, 0.3, source="import")),
    )
    hours = [T0 + h * HOUR for h in range(3)]
    assert loaded(tmp_path).funding_rates(hours, "a", "X").to_list() == [0.1, 0.1, 0.3]
    assert loaded(tmp_path, known_by=T0).funding_rates(hours, "a", "X").to_list() == [0.1, 0.3, 0.3]


def test_snapshots_seen_later_do_not_say_what_is_a_mismatch(tmp_path):
    lake = Lake(tmp_path)
    chance = Random(3)
    prices = {
        e: [100.0 * 1.01 ** chance.gauss(0, 1) * (1 if e != "c" else 9) for _ in range(30)] for e in "abc"
    }
    prices["b"] = prices["a"]
    blank = {c: None for c in SNAPSHOTS.schema if c != "month"}
    seen = [
        blank
        | {"exchange": e, "source": e, "symbol": "X", "base": "X", "asset_class": "crypto"}
        | {"observed_at": T0 + n * HOUR, "mark_price": p, "open_interest_usd": 9.0 if e == "a" else 1.0}
        for e, walk in prices.items()
        for n, p in enumerate(walk)
    ]
    schema = {c: t for c, t in SNAPSHOTS.schema.items() if c != "month"}
    lake.upsert("snapshots", SNAPSHOTS.check(pl.DataFrame(seen, schema=schema)))
    lake.upsert("funding", rows(*(payment(e, "X", 0, r) for e, r in (("a", 0.1), ("b", 0.2), ("c", 0.9)))))
    whole = loaded(tmp_path)
    assert dict(whole.get_data_summary().select("exchange", "mismatch").iter_rows()) == {
        "a": False, "b": False, "c": True,
    }  # fmt: skip
    best = whole.get_best_spread(T0, "X")
    assert (best.long_exchange, best.short_exchange) == ("a", "b")
    assert whole.best_spreads([T0], "X").row(0, named=True)["short_exchange"] == "b"
    assert whole.best_spreads([T0], "X")["exchanges"].to_list() == [2]
    assert whole.get_funding_rate(T0, "c", "X") == 0.9  # it answers for itself
    assert whole.get_spread(T0, "a", "c", "X") == pytest.approx(0.8)
    with_view = whole._rows.lake_view.query("SELECT count(*) FROM identity_checks WHERE verdict = 'mismatch'")
    assert with_view.item() == 1
    early = loaded(tmp_path, known_by=T0 + 3 * HOUR)
    assert early.get_best_spread(T0, "X").short_exchange == "c"
    assert not early.get_data_summary()["mismatch"].any()


# ---- properties: nothing from the future

WHEN = [T0 + timedelta(hours=h) for h in (0, 30, 60, 90)]  # four instants of fetching
worlds = st.lists(
    st.builds(
        payment,
        st.sampled_from("ab"),
        st.just("X"),
        st.integers(-10, -1) | st.sampled_from([h / 2 for h in range(1, 80)]),
        st.floats(-1, 1),
        st.sampled_from([1.0, 1.0, 4.0, 8.0, None]),
        rate_type=st.sampled_from(["regular"] * 6 + ["special"]),
        mark=st.none() | st.floats(1, 9),
        fetched=st.sampled_from(WHEN),
    ),
    max_size=40,
)
NAMES = [payment(e, "X", 0, 0.0) for e in "ab"]  # so that both are there, whatever else is
KEY = ("exchange", "source", "symbol", "funding_time", "rate_type")


def key(paid):
    return tuple(paid[k] for k in KEY)


def replayed(some) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the lake holds after each payment was fetched in turn: the newest values, and the restatements.

    The last one fetched counts whole; a change of rate or interval is a restatement.
    """
    now, events = {}, []
    for paid in sorted(some, key=lambda p: p["fetched_at"]):
        old = now.get(key(paid))
        if old is not None and old["fetched_at"] == paid["fetched_at"]:
            continue
        now[key(paid)] = paid
        if old is not None and (old["funding_rate"], old["interval_hours"]) != (
            paid["funding_rate"],
            paid["interval_hours"],
        ):
            events.append(
                {k: paid[k] for k in KEY} | {"month": f"{paid['funding_time']:%Y-%m}"}
                | {f"old_{c}": old[c] for c in ("funding_rate", "interval_hours", "fetched_at")}
                | {f"new_{c}": paid[c] for c in ("funding_rate", "interval_hours", "fetched_at")}
            )  # fmt: skip
    return rows(*NAMES, *now.values()), pl.DataFrame(events, schema=RESTATEMENTS.schema)


def without(some, known_by):
    return [p for p in some if p["fetched_at"] <= known_by]


@settings(deadline=None, max_examples=4)
@given(worlds, st.sampled_from(WHEN))
def test_what_was_fetched_later_changes_no_answer(some, known_by):
    """The lake of today, read as known by T, answers as the lake of T did, restatements and all.

    Marks are left out: what a restated row's mark was then is not kept.
    """
    some = [p | {"mark_price": None} for p in some]
    frame, events = replayed(some)
    today = over(frame, T0, END, restated=events, known_by=known_by)
    then = over(replayed(without(some, known_by))[0], T0, END)
    assert answers(today, "X", until=T0 + 40 * HOUR) == answers(then, "X", until=T0 + 40 * HOUR)
    assert today.fingerprint() == then.fingerprint()


@settings(deadline=None, max_examples=4)
@given(worlds, st.sampled_from(WHEN), st.integers(1, 80))
def test_deleting_what_is_paid_after_an_instant_or_fetched_after_another_changes_no_answer(
    some, known_by, halves
):
    t = T0 + halves * HOUR / 2
    one = list({key(p): p for p in some}.values())  # no restatements here
    whole = over(rows(*NAMES, *one), T0, END, known_by=known_by)
    kept = [p for p in one if p["funding_time"] <= t and p["fetched_at"] <= known_by]
    cut = over(rows(*NAMES, *kept), T0, END)
    assert answers(whole, "X", until=t) == answers(cut, "X", until=t)


def test_files_and_views_give_the_same_answers(tmp_path):
    """The lake read file by file is the lake read through its views: several files, overlapping, two months."""
    chance = Random(11)
    lake = Lake(tmp_path)
    for part in range(4):
        some = [
            payment(e, s, 0.5 * h, chance.uniform(-1, 1), chance.choice([1.0, 8.0, None]), mark=chance.choice([None, 5.0]),
                    base="B" if s == "B2" else s, rate_type="special" if chance.random() < 0.05 else "regular")
            for e in "ab" for s in ("X", "Y", "B", "B2") for h in range(-300, 140) if h % 4 == part and chance.random() < 0.7
        ]  # fmt: skip
        lake.upsert("funding", rows(*some))
    for chosen in ({}, {"tokens": ["B"]}, {"exchanges": ["a"], "tokens": ["X", "B2"]}):
        files, views = FundingRateBacktestDataProvider(tmp_path), FundingRateBacktestDataProvider(tmp_path)
        seen = files.load_data(T0, END, **chosen)
        views._known_by = END  # everything was fetched before: the same rows, by the other way
        assert views.load_data(T0, END, **chosen).equals(seen)
        assert views.payments().equals(files.payments())
        assert views.fingerprint() == files.fingerprint()
        assert set(files.payments()["exchange"]) == set(chosen.get("exchanges", "ab"))


# ---- the fingerprint


def test_the_fingerprint_is_of_the_rows_not_of_their_files_or_order(tmp_path):
    some = [payment(e, s, h, h / 7, mark=3.0) for e in "ab" for s in "XY" for h in range(9)]
    one, many = Lake(tmp_path / "one"), Lake(tmp_path / "many")
    one.upsert("funding", rows(*some))
    for part in range(3):
        many.upsert("funding", rows(*reversed(some[part::3])))
    first = loaded(tmp_path / "one").fingerprint()
    assert loaded(tmp_path / "many").fingerprint() == first
    many.compact()
    assert loaded(tmp_path / "many").fingerprint() == first
    code = (
        "from fundingdb import FundingRateBacktestDataProvider as P; import sys; from datetime import datetime as d;"
        "p = P(sys.argv[1]); p.load_data(*map(d.fromisoformat, sys.argv[2:])); print(p.fingerprint())"
    )
    asked = [sys.executable, "-c", code, str(tmp_path / "many"), T0.isoformat(), END.isoformat()]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == first


@pytest.mark.parametrize(
    "changed",
    [
        {"funding_rate": 0.10000000000000002}, {"interval_hours": 2.0}, {"mark_price": 4.0}, {"mark_price": None},
        {"symbol": "Z"}, {"base": "Z"}, {"asset_class": "equity"}, {"exchange": "c"}, {"rate_type": "special"},
        {"funding_time": T0 + HOUR / 2},
    ],
)  # fmt: skip
def test_the_fingerprint_changes_with_every_figure_and_name_read(changed):
    some = payment("a", "X", 1, 0.1, mark=3.0)
    other = payment("b", "X", 1, 0.1)
    before = over(rows(some, other)).fingerprint()
    assert over(rows(some | changed, other)).fingerprint() != before
    assert over(rows(other, some)).fingerprint() == before


def test_the_fingerprint_leaves_out_what_is_not_read():
    some = [payment("a", "X", h, 0.1) for h in (0, 1, 2)]
    before = over(rows(*some), T0 + HOUR, T0 + 2 * HOUR).fingerprint()
    outside = [payment("a", "X", -5, 0.9), payment("b", "X", -9, 0.5, 8.0), payment("a", "X", 3, 0.9)]
    assert over(rows(*some, *outside), T0 + HOUR, T0 + 2 * HOUR).fingerprint() == before
    known = payment("b", "X", -5, 0.5, 8.0)  # still known at the start
    assert over(rows(*some, known), T0 + HOUR, T0 + 2 * HOUR).fingerprint() != before


def test_the_fingerprint_is_the_hash_of_a_layout_that_anyone_can_write_down():
    """Names as JSON, then microseconds and doubles, little end first: no library's own hash is in it."""
    held = over(
        rows(
            payment("a", "X", 0, 0.1, mark=3.0),
            payment("b", "X", 0, -0.0, 8.0),
            payment("a", "X", 1, 0.2, None),
        )
    )
    start, hour, unknown = 1_735_689_600_000_000, 3_600_000_000, float("nan")  # 2025-01-01
    layout = [
        b'["funding_rate", "interval_hours", "mark_price"]',
        b'["a", "crypto", "X", "X", "regular", 2]',
        struct.pack("<2q6d", start, start + hour, 0.1, 0.2, 1.0, unknown, 3.0, unknown),
        b'["b", "crypto", "X", "X", "regular", 1]',
        struct.pack("<q3d", start, 0.0, 8.0, unknown),
    ]
    wanted = hashlib.sha256(b"".join(layout)).hexdigest()[:32]
    digits, version, code = held.fingerprint().split("-")
    assert (digits, version) == (wanted, __version__)
    assert len(code) == 12
