"""The catalog: what Python and the 1.5 shell open, and the verbs that read it."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from fundingdb.catalog import catalog, headers
from fundingdb.cli import coverage, gaps, shell, spreads
from fundingdb.cli import sql as sql_verb
from fundingdb.cli.common.output import show
from fundingdb.errors import BadCall, BadWindow, LakeError, MissingExtra, NoRowsWarning, UnknownName
from fundingdb.lake import Lake
from tests.sql.test_views import HOUR, T0, asked, fill, market, paid

SHELL = shutil.which("duckdb") or str(Path(sys.executable).with_name("duckdb"))


def in_shell(file, query, **other):
    done = subprocess.run(
        [SHELL, "-readonly", "-json", str(file), "-c", query],
        capture_output=True,
        text=True,
        check=False,
        **other,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "[]")


def run(verb, warehouse, *words, json=False):
    import argparse

    parser = argparse.ArgumentParser()
    verb.arguments(parser)
    args = parser.parse_args(words)
    args.warehouse, args.json = warehouse, json
    return verb.run(args)


def rows_of(capsys, verb, warehouse, *words):
    assert run(verb, warehouse, *words, json=True) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def now_lake(tmp_path_factory):
    """Two exchanges up to the last full hour, which does not end within the test; KAITO on one only."""
    left = 3600 - datetime.now(UTC).timestamp() % 3600
    if left < 30:
        time.sleep(left)
    last = int((datetime.now(UTC) - T0) / HOUR)
    rows = [paid("aster", h, 1e-5) for h in range(last - 5, last + 1)]
    rows += [paid("bybit", h, 3e-5, symbol="BTCUSDT") for h in range(last - 5, last + 1)]
    rows += [paid("bybit", last, 3e-5, base="KAITO", symbol="KAITO")]
    return fill(
        tmp_path_factory.mktemp("now"),
        rows,
        [asked("aster", last - 5, last + 1, "rows", at=last)],
        [market("aster")],
    )


def test_the_shell_of_1_5_opens_it_from_any_folder_under_a_hostile_name(tmp_path):
    warehouse = fill(tmp_path / "a'b c", [paid("a", h, 1e-5) for h in range(3)])
    file = catalog.rebuild(warehouse)
    assert file == warehouse / "fundingdb.duckdb"
    assert in_shell(file, "select count(*) as n from funding", cwd="/") == [{"n": 3}]
    assert in_shell(
        file, "select count(*) as n from carry('BTC', 'a', 'b', '2026-01-05', '2026-01-06')", cwd="/"
    ) == [{"n": 2}]
    for view in headers.views():
        if view.kind == "view":
            in_shell(file, f"select count(*) from {view.name}", cwd="/")
    said = in_shell(file, "select comment from duckdb_views() where view_name = 'best_spreads'")
    assert said[0]["comment"].startswith("One row per asset_class, base, hour_at.")
    unsaid = in_shell(
        file, "select table_name, column_name from duckdb_columns() where not internal and comment is null"
    )
    assert unsaid == []
    assert not list(warehouse.glob("*.draft"))


def test_an_empty_lake_opens_with_all_columns(tmp_path):
    file = catalog.rebuild(tmp_path)
    with pytest.warns(NoRowsWarning, match="has no lake: all tables read as empty"):
        con = catalog.connect(tmp_path)
    with con:
        for view in headers.views():
            if view.kind == "view":
                assert in_shell(file, f"select * from {view.name}") == []
                described = con.sql(f"describe {view.name}").pl()["column_name"].to_list()
                assert described == [name for name, _, _ in view.columns]
                assert con.sql(f"from {view.name}").pl().is_empty()


def test_an_open_connection_keeps_its_version_and_an_older_one_can_be_pinned(tmp_path):
    fill(tmp_path, [paid("a", 0, 1e-5)])
    older = Lake(tmp_path).version("funding")
    count = "select count(*) as n from funding"
    with catalog.connect(tmp_path) as before:
        first = catalog.rebuild(tmp_path).stat().st_ino
        fill(tmp_path, [paid("a", 1, 1e-5)])
        assert catalog.rebuild(tmp_path).stat().st_ino != first
        assert before.sql(count).pl().item() == 1
        with catalog.connect(tmp_path) as after:
            assert after.sql(count).pl().item() == 2
    with catalog.connect(tmp_path, version=older) as pinned:
        assert pinned.sql(count).pl().item() == 1


def test_a_mistyped_path_warns(tmp_path):
    with pytest.warns(NoRowsWarning, match="typo does not exist"), catalog.connect(tmp_path / "typo") as con:
        assert con.sql("from funding").pl().is_empty()
    assert not (tmp_path / "typo").exists()


def test_python_sees_utc_and_downloads_nothing(tmp_path):
    fill(tmp_path, [paid("a", 0, 1e-5)])
    with catalog.connect(tmp_path) as con:
        assert con.sql("select funding_time from funding").pl().schema["funding_time"] == pl.Datetime(
            "us", "UTC"
        )
        assert con.sql("select current_setting('autoinstall_known_extensions')").pl().item() is False


def test_files_are_split_by_preferred_source():
    def at(exchange, source):
        return Path(f"/w/lake/funding/exchange={exchange}/source={source}/month=2026-01/x.parquet")

    paths = [
        at("a", "import"),
        at("a", "ccxt"),
        at("a", "a"),
        at("b", "import"),
        at("c", "import"),
        at("c", "zeta"),
    ]
    first, rest = catalog.split(paths)
    assert first == [at("a", "a"), at("b", "import"), at("c", "zeta")]
    assert rest == [at("a", "import"), at("a", "ccxt"), at("c", "import")]


def test_the_exchange_itself_is_preferred_then_others_by_name_and_import_last(tmp_path):
    rows = [paid("a", 0, 1e-5, source=source) for source in ("import", "zeta", "a", "ccxt")]
    with catalog.connect(fill(tmp_path, rows)) as con:
        got = con.sql("select source from source_preference order by preference").fetchall()
    assert got == [("a",), ("ccxt",), ("zeta",), ("import",)]


def test_a_header_that_is_not_as_described_is_named(tmp_path):
    file = tmp_path / "x.sql"
    for header, problem in (
        ("-- view: y\nselect 1", "must name it"),
        ("-- view: x\n-- colum: a | b | c\nselect 1", "'colum' is none of"),
        ("-- view: x\n-- column: a | b\nselect 1", "name | type | note"),
    ):
        file.write_text(header)
        with pytest.raises(LakeError, match=problem.replace("|", r"\|")):
            headers.parse(file)


def test_a_folder_that_is_not_there_or_not_writable_is_named(tmp_path):
    with pytest.raises(LakeError, match="is no folder"):
        catalog.rebuild(tmp_path / "none")
    (tmp_path / "fundingdb.duckdb").mkdir()
    with pytest.raises(LakeError, match="can't be written"):
        catalog.rebuild(tmp_path)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from fundin", 'Did you mean "funding"'),
        ("select exchang from funding", "exchange"),
        ("copy (select 1) to 'OUT'", "COPY is refused"),
        ("copy (select 1 as i) to 'LAKE' (format parquet)", "COPY is refused"),
        ("explain analyze copy (select 1) to 'LAKE'", "COPY is refused"),
        ("insert into funding select * from funding", "INSERT is refused"),
        ("delete from funding", "DELETE is refused"),
        ("create table x (i int)", "CREATE is refused"),
        ("attach 'OUT'", "ATTACH is refused"),
        ("set enable_external_access = true", "SET is refused"),
        ("select * from read_text('/etc/hostname')", "disabled by configuration"),
        ("select 1; select 2", "2 statements"),
        ("", "0 statements"),
        ("selct 1", "syntax error"),
    ],
)
def test_a_query_only_reads_and_only_the_lake(now_lake, tmp_path, query, message):
    file = next(now_lake.rglob("*.parquet"))
    before = file.read_bytes()
    with pytest.raises(BadCall) as caught:
        catalog.ask(now_lake, query.replace("OUT", str(tmp_path / "out")).replace("LAKE", str(file)))
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "query", ["select 1 as n", "from latest", "describe spreads", "show tables", "explain from funding"]
)
def test_what_reads_is_answered(now_lake, query):
    assert catalog.ask(now_lake, query).height > 0


def test_sql_prints_json_and_csv(now_lake, capsys):
    query = "select timestamptz '2026-01-05 05:30:00+05:30' as t, null as n, 'nan'::double as x, 'a,b' as s"
    assert rows_of(capsys, sql_verb, now_lake, query) == [
        {"t": "2026-01-05T00:00:00Z", "n": None, "x": None, "s": "a,b"}
    ]
    assert run(sql_verb, now_lake, query, "--csv") == 0
    assert capsys.readouterr().out == 't,n,x,s\n2026-01-05T00:00:00Z,,,"a,b"\n'


def test_a_table_for_people_is_not_cut_in_a_pipe(capsys):
    show(pl.DataFrame({"a" * 150: [1.5], "b": [None]}, schema={"a" * 150: pl.Float64, "b": pl.String}))
    shown = capsys.readouterr().out
    assert "a" * 150 in shown
    assert "1.5" in shown
    assert "…" not in shown


def test_a_reader_that_has_gone_is_told_to_the_root(monkeypatch):
    class Gone(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(BrokenPipeError):
        show(pl.DataFrame({"a": [1]}), json=True)


def test_spreads_are_those_of_the_last_full_hour(now_lake, capsys):
    (row,) = rows_of(capsys, spreads, now_lake)
    assert (row["base"], row["long_exchange"], row["short_exchange"], row["exchanges"]) == (
        "BTC",
        "aster",
        "bybit",
        2,
    )
    assert row["spread_1h"] == pytest.approx(2e-5)
    assert row["known_at"] == datetime.now(UTC).strftime("%Y-%m-%dT%H:00:00Z")
    assert len(rows_of(capsys, spreads, now_lake, "--hours", "3")) == 3
    assert (
        len(rows_of(capsys, spreads, now_lake, "--tokens", "btc,BTCUSDT", "--exchanges", "bybit,aster")) == 1
    )
    earlier = (datetime.now(UTC) - 2 * HOUR + timedelta(seconds=0)).strftime("%Y-%m-%dT%H:05Z")
    assert len(rows_of(capsys, spreads, now_lake, "--at", earlier)) == 1
    assert run(spreads, now_lake, "--at", "2020-01-01") == 0
    assert "newest settlement stored" in capsys.readouterr().err


def test_spreads_of_an_hour_not_yet_published_are_those_of_the_newest_known_and_say_so(tmp_path, capsys):
    last = int((datetime.now(UTC) - T0) / HOUR) - 2
    rows = [paid(e, h, r) for e, r in (("aster", 1e-5), ("bybit", 3e-5)) for h in range(last - 3, last + 1)]
    lake = fill(tmp_path, rows)
    (row,) = rows_of(capsys, spreads, lake)
    assert row["known_at"] == (T0 + last * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert run(spreads, lake, "--rank", "net") == 0
    assert "nothing is known at" in capsys.readouterr().err


def test_coverage_and_gaps_are_printed_by_exchange(now_lake, capsys):
    by = {r["exchange"]: r for r in rows_of(capsys, coverage, now_lake, "--tokens", "BTC")}
    assert by["aster"]["payments"] == 6
    assert by["aster"]["last_outcome"] == "rows"
    assert by["aster"]["answer"] == "not due"
    assert rows_of(capsys, gaps, now_lake, "--exchanges", "aster", "--tokens", "BTC") == []
    (due,) = rows_of(capsys, gaps, now_lake, "--exchanges", "aster", "--reason", "not due")
    assert due["missing"] == 1
    assert run(coverage, now_lake) == 0
    assert "aster" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [spreads, coverage, gaps])
def test_unknown_names_come_with_near_matches(now_lake, verb):
    with pytest.raises(UnknownName, match="did you mean aster"):
        run(verb, now_lake, "--exchanges", "astre")
    with pytest.raises(UnknownName, match="did you mean KAITO"):
        run(verb, now_lake, "--tokens", "KAITOO")


def test_a_date_that_does_not_exist_and_a_count_below_one_are_refused(now_lake):
    with pytest.raises(BadWindow, match="no such date"):
        run(spreads, now_lake, "--at", "2026-02-30")
    with pytest.raises(BadCall, match="--top 0"):
        run(spreads, now_lake, "--top", "0")


def test_the_shell_runs_or_tells_how_to_get_it(now_lake, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "which", lambda *_args, **_more: None)
        with pytest.raises(MissingExtra, match="pip install duckdb-cli"):
            run(shell, now_lake)
    called = []
    monkeypatch.setattr(os, "execv", lambda *words: called.append(words))
    assert run(shell, now_lake, "-c", "select count(*) from funding") == 0
    binary, words = called[0]
    assert (
        subprocess.run(words, executable=binary, capture_output=True, text=True, check=True).stdout.count(
            "13"
        )
        == 1
    )


def test_no_view_tells_of_hours_after_the_last_commit_of_the_lake(tmp_path):
    last = int((datetime.now(UTC) - T0) / HOUR)
    home = fill(tmp_path, [paid("aster", last, 1e-4, hours=8), paid("bybit", last, 3e-4, hours=8)])
    with catalog.connect(home) as con:
        told = [
            con.sql(f"select distinct hour_at from {view} order by 1").pl()["hour_at"].to_list()
            for view in ("funding_known_1h", "best_spreads", "spreads")
        ]
    assert told == [[T0 + last * HOUR]] * 3
