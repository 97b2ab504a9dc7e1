"""The lake in one process: what an upsert does, pinned reads, merging, checking, bad warehouses."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb.errors import BadWindow, LakeConflict, LakeError, SchemaError, UnknownName, VersionGone
from fundingdb.lake import Lake
from fundingdb.lake.log import Draft, Log
from fundingdb.lake.merge import split
from fundingdb.schema import FETCHES, FUNDING, MARKETS, TABLES, TIME
from tests.lake.lake_worker import FETCHED as FOUND
from tests.lake.lake_worker import retimed

START = datetime(2025, 1, 31, 20, tzinfo=UTC)
FETCHED = datetime(2025, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def funding(
    symbols=("BTC", "ETH"), hours=8, rate=1e-5, start=START, fetched=FETCHED, **other
) -> pl.DataFrame:
    rows = [
        {
            "exchange": "hyperliquid",
            "source": "hyperliquid",
            "symbol": symbol,
            "base": symbol,
            "quote": "USDC",
            "asset_class": "crypto",
            "funding_time": start + i * HOUR,
            "interval_hours": 1.0,
            "interval_from": "declared",
            "funding_rate": rate,
            "rate_type": "regular",
            "native_rate": rate,
            "mark_price": None,
            "index_price": None,
            "reported_time": start + i * HOUR,
            "fetched_at": fetched,
            **other,
        }
        for symbol in symbols
        for i in range(hours)
    ]
    return pl.DataFrame(rows, schema={k: v for k, v in FUNDING.schema.items() if k != "month"})


def ledger(rows: int, symbol="BTC", hours=8, **other) -> pl.DataFrame:
    row = {
        "exchange": "hyperliquid",
        "source": "hyperliquid",
        "symbol": symbol,
        "endpoint": "history",
        "window_start": START,
        "window_stop": START + hours * HOUR,
        "outcome": "rows",
        "rows": rows,
        "pages": 1,
        "bytes": 1,
        "seconds": 0.1,
        "error": None,
        "asked_at": FETCHED,
        "fetcher_version": "0/1",
        **other,
    }
    return pl.DataFrame([row], schema={k: v for k, v in FETCHES.schema.items() if k != "month"})


def market(**other) -> pl.DataFrame:
    row = {
        **dict.fromkeys(MARKETS.columns),
        "exchange": "hyperliquid",
        "symbol": "BTC",
        "base": "BTC",
        "asset_class": "crypto",
        "multiplier": 1.0,
        "status": "active",
        "first_seen": START,
        "last_seen": START,
        **other,
    }
    return pl.DataFrame([row], schema=MARKETS.schema)


def counts(done) -> tuple[int, int, int, int]:
    return done.inserted, done.restated, done.amended, done.unchanged


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path / "w")


# upsert


def test_new_rows_are_inserted_and_read_back_as_they_were(lake):
    frame = funding()
    done = lake.upsert("funding", frame)
    assert counts(done) == (16, 0, 0, 0)
    back = lake.scan("funding").collect()
    assert back.schema == FUNDING.schema
    keys = list(FUNDING.key)
    assert back.drop("month").sort(keys).equals(frame.sort(keys))
    assert sorted(back["month"].unique()) == ["2025-01", "2025-02"]


def test_what_is_already_there_makes_no_commit_even_when_learned_anew(lake):
    first = lake.upsert("funding", funding())
    files = lake.files("funding")
    again = lake.upsert("funding", funding(fetched=FETCHED + HOUR))
    assert counts(again) == (0, 0, 0, 16)
    assert again.version == first.version
    assert lake.files("funding") == files
    assert set(lake.scan("funding").collect()["fetched_at"]) == {FETCHED}


def test_a_part_of_it_new_inserts_only_that(lake):
    lake.upsert("funding", funding(hours=3))
    assert counts(lake.upsert("funding", funding(hours=8))) == (10, 0, 0, 6)
    assert lake.scan("funding").collect().height == 16


def test_rows_twice_in_one_frame_are_kept_once(lake):
    done = lake.upsert("funding", pl.concat([funding(), funding(fetched=FETCHED + HOUR)]))
    assert counts(done) == (16, 0, 0, 0)


def test_a_changed_rate_replaces_the_old_one_which_is_logged(lake):
    lake.upsert("funding", funding(rate=1e-5))
    later = FETCHED + HOUR
    done = lake.upsert("funding", funding(symbols=["ETH"], rate=-2e-5, fetched=later))
    assert counts(done) == (0, 8, 0, 0)
    rates = (
        lake.scan("funding").collect().group_by("symbol").agg(pl.col("funding_rate").unique()).sort("symbol")
    )
    assert rates["funding_rate"].to_list() == [[1e-5], [-2e-5]]
    log = lake.scan("restatements").collect()
    assert log.height == 8
    assert set(
        log.select("old_funding_rate", "new_funding_rate", "old_fetched_at", "new_fetched_at").rows()
    ) == {(1e-5, -2e-5, FETCHED, later)}


def test_an_interval_that_becomes_known_is_an_amendment_and_one_that_changes_a_restatement(lake):
    lake.upsert("funding", funding(hours=1, interval_hours=None, interval_from="unknown"))
    assert counts(lake.upsert("funding", funding(hours=1))) == (0, 0, 2, 0)
    assert not lake.files("restatements")
    assert counts(lake.upsert("funding", funding(hours=1, interval_hours=8.0, fetched=FETCHED + HOUR))) == (
        0,
        2,
        0,
        0,
    )
    assert lake.scan("restatements").collect()["old_interval_hours"].to_list() == [1.0, 1.0]


def test_null_does_not_undo_what_is_known(lake):
    lake.upsert("funding", funding(mark_price=7.0))
    done = lake.upsert("funding", funding(mark_price=None, interval_hours=None, interval_from="unknown"))
    assert counts(done) == (0, 0, 0, 16)
    row = lake.scan("funding").collect().row(0, named=True)
    assert (row["mark_price"], row["interval_hours"], row["interval_from"]) == (7.0, 1.0, "declared")


def test_a_price_that_arrives_later_is_an_amendment_and_keeps_the_rate(lake):
    lake.upsert("funding", funding())
    assert counts(lake.upsert("funding", funding(mark_price=7.0))) == (0, 0, 16, 0)
    assert not lake.files("restatements")


def test_a_market_is_replaced_whole_null_included(lake):
    lake.upsert("markets", market(status="delisted", delisted_at=START))
    done = lake.upsert("markets", market(last_seen=START + HOUR))
    assert counts(done) == (0, 1, 0, 0)
    row = lake.scan("markets").collect().row(0, named=True)
    assert (row["status"], row["delisted_at"], row["last_seen"]) == ("active", None, START + HOUR)


def test_a_restatement_repeated_after_a_crash_before_its_commit_is_logged_once(lake, monkeypatch):
    lake.upsert("funding", funding())
    commit = Log.commit

    def cut(self, *args, **kwargs):
        if self.table is FUNDING:
            raise LakeError("cut off")
        return commit(self, *args, **kwargs)

    changed = funding(symbols=["BTC"], rate=3e-5, fetched=FETCHED + HOUR)
    with monkeypatch.context() as patch:
        patch.setattr(Log, "commit", cut)
        with pytest.raises(LakeError, match="cut off"):
            lake.upsert("funding", changed)
    assert lake.scan("restatements").collect().height == 8
    assert set(lake.scan("funding").collect()["funding_rate"]) == {1e-5}
    again = changed.with_columns(fetched_at=FETCHED + 2 * HOUR)
    assert counts(lake.upsert("funding", again)) == (0, 8, 0, 0)
    assert lake.scan("restatements").collect().height == 8
    assert lake.check().clean
    on_disk = set(lake.home.glob("funding/*=*/**/*.parquet"))
    assert len(on_disk) == 4, "the drafts of the failed upsert are gone"


def one(interval: float | None = None, evidence="unknown", symbol="BTC", **other) -> pl.DataFrame:
    return funding((symbol,), 1, interval_hours=interval, interval_from=evidence, **other)


def stored(lake: Lake) -> dict:
    (row,) = lake.scan("funding").collect().to_dicts()
    return row


def test_hours_are_given_to_the_row_as_it_stands_when_they_are_written(lake):
    lake.upsert("funding", one())
    read = lake.scan("funding").collect()
    lake.upsert("funding", one(rate=7e-4, fetched=FETCHED + HOUR))
    assert (lake.amend(retimed(read, 8.0)).amended, stored(lake)["interval_hours"]) == (1, 8.0)
    assert (stored(lake)["funding_rate"], stored(lake)["fetched_at"]) == (7e-4, FETCHED + HOUR)
    assert lake.scan("restatements").collect().height == 1, "the rate alone"
    again = lake.amend(retimed(read, 4.0))
    assert (again.amended, again.restated, stored(lake)["interval_hours"]) == (0, 0, 8.0), (
        "others found hours since"
    )
    now = lake.scan("funding").collect()
    done = lake.amend(retimed(now, 4.0))
    assert (done.restated, stored(lake)["interval_hours"], stored(lake)["fetched_at"]) == (1, 4.0, FOUND)


def test_hours_that_the_source_published_are_not_replaced_and_a_row_that_is_gone_is_not_created(
    lake, tmp_path
):
    lake.upsert("funding", one())
    read = lake.scan("funding").collect()
    lake.upsert("funding", one(4.0, "row"))
    assert lake.amend(retimed(read, 8.0)).amended == 0
    assert lake.amend(retimed(lake.scan("funding").collect(), 8.0)).restated == 0
    assert (stored(lake)["interval_hours"], stored(lake)["interval_from"]) == (4.0, "row")
    other = Lake(tmp_path / "other")
    other.upsert("funding", one(symbol="ETH"))
    assert other.amend(retimed(read, 8.0)) == other.amend(retimed(read.clear(), 8.0))
    assert other.scan("funding").collect()["symbol"].to_list() == ["ETH"]


def test_a_frame_that_does_not_fit_is_refused_whole(lake):
    with pytest.raises(SchemaError, match="funding_rate"):
        lake.upsert("funding", funding(rate=float("nan")))
    assert not lake.home.exists()


@pytest.mark.parametrize("name", ["../../x", "a';drop", "A/B", "..", "a b", "a%2f"])
def test_a_hostile_exchange_name_is_no_folder(lake, name):
    with pytest.raises(SchemaError, match="exchange"):
        lake.upsert("funding", funding(exchange=name))
    assert not lake.home.exists()


@pytest.mark.parametrize("name", ["../../x", "a';drop", "kPEPE", "xyz:XYZ100", "1INCH", "Ünï 💰"])
def test_any_symbol_is_kept_verbatim(lake, name):
    lake.upsert("funding", funding(symbols=[name]))
    assert set(lake.scan("funding").collect()["symbol"]) == {name}
    assert counts(lake.upsert("funding", funding(symbols=[name]))) == (0, 0, 0, 8)
    assert lake.check().clean


def test_an_unknown_table_is_named_with_near_matches(lake):
    for call in (lambda: lake.upsert("fundings", funding()), lambda: lake.scan("fundings")):
        with pytest.raises(UnknownName, match="funding"):
            call()


def test_known_rows_are_counted_once_however_they_come(lake):
    lake.upsert("funding", funding())
    twice = pl.concat([funding(), funding()]).reverse()
    assert counts(lake.upsert("funding", twice)) == (0, 0, 0, 16)
    assert counts(lake.upsert("funding", FUNDING.check(funding()).select(reversed(FUNDING.columns)))) == (
        0,
        0,
        0,
        16,
    )
    assert counts(lake.upsert("funding", funding(symbols=["ETH"], hours=2))) == (0, 0, 0, 2)


def test_known_rows_with_a_wrong_month_or_type_are_refused_all_the_same(lake):
    lake.upsert("funding", funding())
    with pytest.raises(SchemaError, match="month"):
        lake.upsert("funding", funding().with_columns(month=pl.lit("2025-01")))
    with pytest.raises(SchemaError, match="native_rate"):
        lake.upsert("funding", funding().with_columns(pl.col("native_rate").cast(pl.Float32)))


def test_an_empty_frame_changes_nothing(lake):
    assert counts(lake.upsert("funding", funding(hours=0))) == (0, 0, 0, 0)
    assert not lake.home.exists()


facts = st.tuples(
    st.sampled_from(["A", "B"]),
    st.integers(0, 3),
    st.sampled_from([1e-5, 2e-5, -3e-5]),
    st.sampled_from([None, 1.0, 8.0]),
    st.sampled_from([None, 5.0]),
)


def frame_of(rows: dict) -> pl.DataFrame:
    frames = [
        funding(
            [s],
            1,
            rate,
            START + i * HOUR,
            interval_hours=interval,
            interval_from="unknown" if interval is None else "row",
            mark_price=price,
        )
        for (s, i), (rate, interval, price) in rows.items()
    ]
    return FUNDING.check(pl.concat(frames) if frames else funding(hours=0))


@settings(max_examples=60, deadline=None)
@given(old=st.lists(facts, max_size=6), new=st.lists(facts, max_size=6))
def test_split_agrees_with_a_dictionary(old, new):
    before = {(s, i): rest for s, i, *rest in old}
    after = {(s, i): rest for s, i, *rest in new}
    result = split(FUNDING, frame_of(after), frame_of(before))
    want = {
        k: [n if n is not None else o for n, o in zip(v, before.get(k, v), strict=True)]
        for k, v in after.items()
    }
    assert result.fresh.height == len(after.keys() - before.keys())
    changed = {k for k in after.keys() & before.keys() if want[k] != before[k]}
    assert result.changed.height == len(changed)
    assert result.unchanged == len(after.keys() & before.keys()) - len(changed)
    restated = {
        k
        for k in changed
        if want[k][0] != before[k][0] or (before[k][1] is not None and want[k][1] != before[k][1])
    }
    assert result.restated == len(restated)
    reported = {
        (r["symbol"], (r["funding_time"] - START) // HOUR): [
            r["funding_rate"],
            r["interval_hours"],
            r["mark_price"],
        ]
        for r in pl.concat([result.fresh, result.changed]).iter_rows(named=True)
    }
    assert reported == {k: want[k] for k in (after.keys() - before.keys()) | changed}
    FUNDING.check(pl.concat([result.fresh, result.changed]))


@settings(max_examples=12, deadline=None)
@given(calls=st.lists(st.lists(facts, min_size=1, max_size=5), min_size=1, max_size=5))
def test_any_sequence_of_upserts_agrees_with_a_dictionary(tmp_path_factory, calls):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    model: dict = {}
    for call in calls:
        rows = {(s, i): rest for s, i, *rest in call}
        done = lake.upsert("funding", frame_of(rows))
        want = {
            k: [n if n is not None else o for n, o in zip(v, model.get(k, v), strict=True)]
            for k, v in rows.items()
        }
        assert done.inserted == len(want.keys() - model.keys())
        assert done.unchanged == sum(model.get(k) == v for k, v in want.items())
        assert sum(counts(done)) == len(rows)
        model |= want
        result = {
            (r["symbol"], (r["funding_time"] - START) // HOUR): [
                r["funding_rate"],
                r["interval_hours"],
                r["mark_price"],
            ]
            for r in lake.scan("funding").collect().iter_rows(named=True)
        }
        assert result == model
    lake.compact()
    assert lake.check().clean
    assert lake.scan("funding").collect().height == len(model)


# pins


def test_an_absent_lake_reads_as_empty_tables_and_is_not_made_by_reading(tmp_path):
    lake = Lake(tmp_path / "none")
    for name, table in TABLES.items():
        assert lake.scan(name).collect().schema == table.schema
        assert lake.files(name) == []
        assert lake.version(name) is None
        assert lake.versions(name) == []
    assert lake.compact() == []
    assert lake.vacuum() == []
    assert lake.check().clean
    assert not (tmp_path / "none").exists()


def test_a_pinned_version_gives_the_same_rows_again(lake):
    v1 = lake.upsert("funding", funding(hours=3)).version
    seen = lake.scan("funding", v1).collect()
    v2 = lake.upsert("funding", funding(rate=9e-5, fetched=FETCHED + HOUR)).version
    lake.upsert("funding", funding(symbols=["SOL"]))
    lake.compact()
    assert lake.scan("funding", v1).collect().equals(seen)
    assert lake.scan("funding", v2).collect().height == 16
    assert [v.version for v in lake.versions()] == [0, 1, 2, 3, 4]
    assert [(v.inserted, v.restated) for v in lake.versions()] == [(0, 0), (6, 0), (10, 6), (8, 0), (0, 0)]


def test_a_version_of_funding_pins_the_other_tables_at_its_instant(lake):
    lake.upsert("fetches", ledger(8, asked_at=FETCHED))
    v1 = lake.upsert("funding", funding()).version
    _wait_a_tick(lake)
    lake.upsert("fetches", ledger(8, asked_at=FETCHED + HOUR))
    v2 = lake.upsert("funding", funding(symbols=["SOL"])).version
    assert lake.scan("fetches", v1).collect().height == 1
    assert lake.scan("fetches", v2).collect().height == 2
    assert lake.version("fetches", v1) == 1
    assert lake.version("markets", v2) is None
    assert lake.scan("markets", v2).collect().schema == MARKETS.schema


def _wait_a_tick(lake: Lake) -> None:
    """Instants of commits are kept in milliseconds."""
    last = lake.versions()[-1].at
    while datetime.now(UTC) <= last + timedelta(milliseconds=2):
        pass


def test_an_instant_pins_everything_as_of_then(lake):
    lake.upsert("funding", funding(hours=3))
    at = lake.versions()[-1].at
    _wait_a_tick(lake)
    lake.upsert("funding", funding(hours=8))
    assert lake.scan("funding", at).collect().height == 6
    assert lake.scan("funding", datetime.now(UTC)).collect().height == 16
    assert lake.scan("funding", at - HOUR).collect().height == 0


def test_unknown_versions_and_naive_instants_are_refused_by_name(lake):
    lake.upsert("funding", funding())
    for version in (99, -1):
        with pytest.raises(VersionGone, match=f"no version {version}"):
            lake.scan("funding", version)
        with pytest.raises(VersionGone, match=f"no version {version}"):
            lake.files("markets", version)
    with pytest.raises(BadWindow, match="naive"):
        lake.scan("funding", datetime(2025, 1, 1))  # noqa: DTZ001 - naive on purpose
    with pytest.raises(VersionGone, match="True"):
        lake.scan("funding", version=True)


# files


def test_files_are_sorted_zstd_with_utc_microseconds_and_no_partition_columns(lake):
    lake.upsert("funding", funding(symbols=["ZZZ", "AAA"]))
    for path in lake.files("funding"):
        assert path.is_absolute()
        meta = pq.read_metadata(path)
        names = [meta.schema.column(i).name for i in range(meta.num_columns)]
        assert not {"exchange", "source", "month"} & set(names)
        assert {meta.row_group(0).column(i).compression for i in range(meta.num_columns)} == {"ZSTD"}
        time = meta.schema.column(names.index("funding_time")).logical_type.to_json()
        assert json.loads(time) == json.loads(time) | {"isAdjustedToUTC": True, "timeUnit": "microseconds"}
        rows = pl.read_parquet(path, hive_partitioning=False)
        assert rows["base"].is_sorted()
        assert rows.schema["funding_rate"] == pl.Float64
        assert rows.schema["funding_time"] == TIME
    types = duckdb.sql(
        "SELECT * FROM read_parquet($files, hive_partitioning=true, hive_types={'month': VARCHAR})",
        params={"files": [str(p) for p in lake.files("funding")]},
    )
    named = dict(zip(types.columns, map(str, types.types), strict=True))
    assert named["funding_time"] == "TIMESTAMP WITH TIME ZONE"
    assert named["funding_rate"] == "DOUBLE"
    assert named["month"] == "VARCHAR"


def test_a_filter_on_one_symbol_skips_row_groups(tmp_path):
    lake = Lake(tmp_path)
    symbols = [f"S{i:03d}" for i in range(120)]
    lake.upsert("funding", funding(symbols=symbols, hours=700, start=datetime(2025, 1, 1, tzinfo=UTC)))
    (path,) = lake.files("funding")
    meta = pq.read_metadata(path)
    at = next(i for i in range(meta.num_columns) if meta.schema.column(i).name == "symbol")
    spans = [meta.row_group(g).column(at).statistics for g in range(meta.num_row_groups)]
    assert len(spans) >= 3
    assert sum(s.min <= "S100" <= s.max for s in spans) == 1
    assert lake.scan("funding").filter(pl.col("symbol") == "S100").collect().height == 700


def test_a_warehouse_below_a_folder_that_looks_like_a_partition_reads_the_same(tmp_path):
    lake = Lake(tmp_path / "env=prod")
    lake.upsert("funding", funding())
    assert lake.scan("funding").collect().schema == FUNDING.schema
    assert lake.scan("funding").filter(pl.col("month") == "2025-02").collect().height == 8
    assert lake.check().clean


def rounds(lake: Lake, count: int) -> None:
    for i in range(count):
        lake.upsert("funding", funding(hours=1, start=datetime(2025, 1, 1, tzinfo=UTC) + i * HOUR))


def most_files(lake: Lake) -> int:
    return pl.Series([str(p.parent) for p in lake.files("funding")]).value_counts()["count"].max()


@pytest.mark.slow
def test_hourly_rounds_leave_few_files(lake):
    rounds(lake, 55)
    assert most_files(lake) <= 24
    assert lake.scan("funding").collect().height == 110
    assert list((lake.home / "funding" / "_delta_log").glob("*.checkpoint.parquet")), "opening stays fast"
    assert lake.check().clean


@pytest.mark.slow
def test_a_month_of_hourly_rounds_leaves_few_files_and_opens_fast(lake):
    rounds(lake, 800)
    assert most_files(lake) <= 24
    assert lake.scan("funding").collect().height == 1600
    assert len(lake.versions()) == 801
    assert lake.check().clean
    lake.vacuum(timedelta(0))
    assert len(list(lake.home.glob("funding/*=*/**/*.parquet"))) == len(lake.files("funding"))


def test_compact_merges_and_vacuum_deletes_only_what_no_kept_version_needs(lake):
    for i in range(5):
        lake.upsert("funding", funding(hours=1, start=START - 10 * HOUR + i * HOUR))
    rows = lake.scan("funding").collect().sort(list(FUNDING.key))
    (merged,) = lake.compact()
    assert (merged.table, merged.before, merged.after) == ("funding", 5, 1)
    assert lake.scan("funding").collect().sort(list(FUNDING.key)).equals(rows)
    assert lake.compact() == []
    assert lake.vacuum() == []
    assert lake.scan("funding", 3).collect().height == 6
    assert len(lake.vacuum(timedelta(0))) == 5
    with pytest.raises(VersionGone, match="vacuumed"):
        lake.scan("funding", 3)
    assert lake.scan("funding").collect().height == 10
    assert lake.check().clean


def test_vacuum_takes_old_drafts_of_killed_writers_and_leaves_young_ones(lake):
    import os

    lake.upsert("funding", funding(hours=1))
    home = lake.files("funding")[0].parent
    young, old = home / "part-young.parquet", home / "part-old.parquet"
    for draft in (young, old):
        draft.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert lake.scan("funding").collect().height == 2
    assert lake.vacuum() == [old]
    assert young.exists()


# names of others


def test_a_name_with_a_line_separator_is_refused_at_the_door(lake):
    with pytest.raises(SchemaError, match=r"symbol = 'A\\u2028USDT'"):
        lake.upsert("funding", funding(symbols=["A\u2028USDT"]))
    assert not lake.home.exists()


def test_a_log_with_line_separators_inside_its_entries_is_read(lake):
    lake.upsert("funding", funding())
    entry = lake.home / "funding" / "_delta_log" / f"{1:020d}.json"
    text = entry.read_text(encoding="utf-8")
    strange = text.replace('"fundingdb":{', '"fundingdb":{"note":"A\u2028B\u2029C\x85D",')
    assert strange != text
    entry.write_text(strange, encoding="utf-8")
    again = Lake(lake.warehouse)
    assert [v.inserted for v in again.versions()] == [0, 16]
    assert again.upsert("funding", funding(hours=9)).inserted == 2
    assert again.check().clean


# check


def one_file(lake: Lake) -> Path:
    lake.upsert("funding", funding(hours=2))
    (path,) = lake.files("funding")
    return path


def problems(lake: Lake) -> str:
    return "\n".join(f"{f.table} {f.where} {f.problem}" for f in lake.check().findings)


def test_check_finds_a_missing_file(lake):
    one_file(lake).unlink()
    assert "does not exist" in problems(lake)


def test_check_finds_a_cut_file(lake):
    path = one_file(lake)
    path.write_bytes(path.read_bytes()[:-50])
    assert "not those that were written" in problems(lake)


@pytest.mark.parametrize(
    ("spoil", "reported"),
    [
        (lambda f: f.reverse(), "not sorted by base, symbol, funding_time"),
        (lambda f: f.head(3), "3 rows, but 4 in the log"),
        (lambda f: pl.concat([f.head(1), f]), "1 rows are repeated"),
        (
            lambda f: f.with_columns(pl.col("funding_time").dt.offset_by("1mo")),
            "column month is not the month",
        ),
        (lambda f: f.with_columns(funding_rate=pl.lit(float("inf"))), "funding_rate is not finite"),
        (lambda f: f.with_columns(symbol=pl.lit("BTC"), native_rate=pl.Series([1.0, 1, 2, 2])), "repeated"),
        (lambda f: f.with_columns(pl.col("funding_rate").cast(pl.Float32)), "columns and types"),
        (lambda f: f.drop("quote"), "columns and types"),
    ],
)
def test_check_finds_spoiled_rows(lake, spoil, reported):
    # under a name without a checksum, as earlier versions wrote them
    path = one_file(lake)
    log = Log(lake.home / "funding", FUNDING)
    pinned = log.open()
    other = path.with_name("part-0.parquet")
    spoil(pl.read_parquet(path, hive_partitioning=False)).write_parquet(other)
    parts = pinned.files.row(0, named=True)
    relative = other.relative_to(log.home).as_posix()
    draft = Draft(relative, {n: parts[n] for n in FUNDING.partitions}, 1, '{"numRecords": 4}')
    log.commit(pinned, [draft], pinned.files, {"operation": "compact"})
    path.unlink()
    assert reported in problems(lake)


def test_check_finds_a_ledger_that_promises_more_rows_than_there_are(lake):
    lake.upsert("funding", funding(symbols=["BTC"], hours=8))
    lake.upsert("fetches", ledger(8))
    assert lake.check().clean
    assert lake.check().windows == 1
    lake.upsert("fetches", ledger(9, asked_at=FETCHED + HOUR))
    lake.upsert("fetches", ledger(1, symbol="ETH"))
    found = lake.check().findings
    assert len(found) == 2
    assert "the ledger has 9 rows, funding 8" in found[0].problem
    assert "ETH" in found[1].where


# bad warehouses


def test_a_warehouse_that_is_a_file(tmp_path):
    (tmp_path / "w").write_text("x")
    with pytest.raises(LakeError, match="is a file"):
        Lake(tmp_path / "w")
    with pytest.raises(LakeError, match="w"):
        Lake(tmp_path / "w" / "below").upsert("funding", funding())


def test_a_folder_that_is_no_lake(tmp_path):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "holiday.jpg").write_text("x")
    with pytest.raises(LakeError, match=r"not a lake of fundingdb.*holiday\.jpg"):
        Lake(tmp_path)


def test_a_table_folder_that_is_no_delta_table(lake):
    lake.upsert("markets", market())
    (lake.home / "funding").mkdir()
    (lake.home / "funding" / "notes.txt").write_text("x")
    for call in (lambda: lake.scan("funding"), lambda: lake.upsert("funding", funding())):
        with pytest.raises(LakeError, match="not a Delta table"):
            call()


def test_a_lake_made_by_a_newer_version(lake):
    lake.upsert("markets", market())
    (lake.home / "layout.json").write_text('{"layout": 2}')
    with pytest.raises(LakeError, match=r"newer fundingdb \(layout 2, this version reads 1\)"):
        Lake(lake.warehouse)
    (lake.home / "layout.json").write_text("{")
    with pytest.raises(LakeError, match="damaged"):
        Lake(lake.warehouse)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB of its own; skips where mounting is not permitted."""
    home = tmp_path / "disk"
    home.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"can't mount a small disk here: {made.stderr.strip()}")
    yield home
    subprocess.run(["umount", "-l", str(home)], check=True)


def test_a_full_disk_is_reported_and_leaves_the_lake_as_it_was(small_disk):
    lake = Lake(small_disk / "w")
    lake.upsert("funding", funding())
    rows = lake.scan("funding").collect()
    fill = small_disk / "fill"
    free = 2 * 1024 * 1024
    with fill.open("wb", buffering=0) as handle:
        while free:
            try:
                free -= handle.write(b"x" * min(free, 4096))
            except OSError:
                break
    with pytest.raises(LakeError, match="disk is full"):
        lake.upsert("funding", funding(symbols=[f"S{i}" for i in range(300)]))
    with pytest.raises(LakeError, match="disk is full"):
        lake.upsert("markets", market())
    assert lake.scan("funding").collect().equals(rows)
    assert lake.check().clean
    fill.unlink()
    assert lake.upsert("funding", funding(symbols=["NEW"])).inserted == 8
    assert lake.upsert("markets", market()).inserted == 1
    assert lake.check().clean
    assert len(list(lake.home.glob("funding/*=*/**/*.parquet"))) == len(lake.files("funding"))


def test_a_read_only_disk_can_be_read_and_says_why_it_can_not_be_written(small_disk):
    lake = Lake(small_disk / "w")
    lake.upsert("funding", funding())
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(LakeError, match="read-only"):
        lake.upsert("funding", funding(symbols=["NEW"]))
    with pytest.raises(LakeError, match="read-only"):
        lake.upsert("markets", market())
    with pytest.raises(LakeError, match="read-only"):
        Lake(small_disk / "other").upsert("funding", funding())
    assert lake.scan("funding").collect().height == 16
    assert lake.upsert("funding", funding()).unchanged == 16
    assert lake.check().clean


def test_a_commit_that_landed_counts_though_what_followed_it_failed(lake, monkeypatch):
    import deltalake

    lake.upsert("funding", funding(hours=1))
    real = deltalake.DeltaTable.create_write_transaction

    def breaks(self, *args, **kwargs):
        real(self, *args, **kwargs)
        raise OSError("checkpoint: No space left on device (os error 28)")

    monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", breaks)
    assert lake.upsert("funding", funding(hours=2)).inserted == 2
    assert lake.scan("funding").collect().height == 4
    assert lake.check().clean


def test_a_writer_that_always_loses_gives_up_and_leaves_nothing(tmp_path, monkeypatch):
    pauses: list[float] = []
    lake = Lake(tmp_path, sleep=pauses.append)
    lake.upsert("funding", funding(hours=1))

    def loses(self, *args, **kwargs):
        raise LakeConflict("lost")

    monkeypatch.setattr(Log, "commit", loses)
    with pytest.raises(LakeConflict, match="repeat"):
        lake.upsert("funding", funding(hours=2))
    assert len(pauses) > 20
    assert max(pauses) <= 0.5
    assert len(list(lake.home.glob("funding/*=*/**/*.parquet"))) == 1


def test_two_writers_on_one_version_conflict_even_when_both_only_append(lake):
    lake.upsert("funding", funding(hours=1))
    log = Log(lake.home / "funding", FUNDING)
    first, second = log.open(), log.open()
    log.commit(first, [], first.files.clear(), {"operation": "upsert"})
    with pytest.raises(LakeConflict):
        log.commit(second, [], second.files.clear(), {"operation": "upsert"})


# verbs


def test_verb_check_prints_findings_and_ends_with_1(lake, capsys):
    from argparse import Namespace

    from fundingdb.cli import check

    path = one_file(lake)
    assert check.run(Namespace(warehouse=lake.warehouse, json=False, heal=False, repair=False)) == 0
    assert "sound" in capsys.readouterr().err
    path.unlink()
    assert check.run(Namespace(warehouse=lake.warehouse, json=True, heal=False, repair=False)) == 1
    assert json.loads(capsys.readouterr().out)["problem"] == "the file is listed but does not exist"
    assert check.run(Namespace(warehouse=lake.warehouse, json=False, heal=False, repair=True)) == 1
    err = capsys.readouterr().err
    assert "withdrawn: funding" in err
    assert "no table has a row" in err
    lake.upsert("funding", funding(hours=2))
    assert check.run(Namespace(warehouse=lake.warehouse, json=False, heal=False, repair=False)) == 0
    with pytest.raises(LakeError, match="does not exist"):
        check.run(Namespace(warehouse=lake.warehouse / "typo", json=False, heal=False, repair=False))


def test_verb_compact_merges_and_reports(lake, capsys):
    from argparse import Namespace

    from fundingdb.cli import compact

    for i in range(3):
        lake.upsert("funding", funding(hours=1, start=START - 10 * HOUR + i * HOUR))
    assert compact.run(Namespace(warehouse=lake.warehouse, json=False, keep="7d")) == 0
    assert capsys.readouterr().out.splitlines()[0] == "funding: 3 files became 1"
