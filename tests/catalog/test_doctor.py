"""What `doctor` finds: one seeded fault of each section, and none in a lake that is well."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from fundingdb.catalog.doctor import SECTIONS, examine
from fundingdb.errors import LakeError
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING, SNAPSHOTS
from tests.sql.test_identity_checks import shown, walk
from tests.sql.test_reconciliation import series, settled
from tests.sql.test_views import asked, fill, market

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def recent(frame, column="funding_time"):
    """The same rows, the newest at this hour."""
    shift = NOW - frame[column].max()
    return frame.with_columns(pl.col(column) + shift)


def put(warehouse, *frames, table=FUNDING):
    for frame in frames:
        Lake(warehouse).upsert(table.name, table.check(frame))


@pytest.fixture
def well(tmp_path):
    rates, _ = series(48)
    put(tmp_path, recent(settled("A", rates, source="venue")))
    return tmp_path


def alarms(warehouse, **limits):
    return {one.section: one for one in examine(warehouse, **limits) if one.alarm}


def test_a_lake_that_is_well_has_no_alarm(well):
    assert alarms(well) == {}
    assert [(f.section, f.exchange, f.subject) for f in examine(well)] == [("freshness", "venue", "venue")]


def test_a_folder_without_a_lake_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(LakeError, match=r"mistyped does not exist: --warehouse names another folder"):
        examine(tmp_path / "mistyped")
    with pytest.raises(LakeError, match="has no lake"):
        examine(tmp_path)


def test_a_lake_without_rows_is_an_alarm(tmp_path):
    (tmp_path / "lake").mkdir(exist_ok=True)
    (tmp_path / "lake" / "layout.json").write_text('{"layout": 1}')
    assert [(f.section, f.alarm, f.detail) for f in examine(tmp_path)] == [
        ("lake", True, "no table has a row")
    ]


def test_rows_that_the_ledger_promises_and_the_lake_lacks_are_an_alarm_until_they_are_back(well):
    window = {"window_start": NOW - 10 * HOUR, "window_stop": NOW + HOUR, "symbol": "A", "rows": 12}
    fill(well, fetches=[asked("venue", 0, 9, "rows") | window])
    alarm = alarms(well)["lake"]
    assert alarm.subject.startswith("venue A [")
    assert alarm.detail == "the ledger has 12 rows, funding 11 of source venue"
    Lake(well).repair()
    assert set(alarms(well)) == {"failures"}
    fill(well, fetches=[asked("venue", 0, 9, "rows") | window | {"rows": 11, "asked_at": NOW}])
    assert alarms(well) == {}


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_lost_file_is_an_alarm_and_no_traceback(well, spoil):
    spoil(Lake(well).files("funding")[0])
    assert set(alarms(well)) == {"lake"}
    done = doctor(well)
    assert (done.returncode, "check --repair" in done.stderr, "Traceback" in done.stderr) == (3, True, False)
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == ["lake: 1 to look at"]


def test_a_source_that_fell_silent_is_found_an_imported_file_and_a_dead_exchange_are_not(tmp_path):
    rates, _ = series(4)
    put(tmp_path, settled("A", rates, source="venue"), settled("B", rates, exchange="files"))
    put(tmp_path, settled("C", rates, source="dead", exchange="dead"))
    fill(tmp_path, markets=[market("dead", "C", status="delisted", delisted=9)])
    found = [one for one in examine(tmp_path) if one.section == "freshness"]
    assert {(one.exchange, one.alarm) for one in found} == {
        ("venue", True),
        ("files", False),
        ("dead", False),
    }
    assert [one.alarm for one in examine(tmp_path, stale_hours=1e9) if one.section == "freshness"] == [
        False
    ] * 3


def test_failures_and_holes(well):
    window = {"window_start": NOW - 40 * HOUR, "window_stop": NOW - 30 * HOUR}
    fetches = [asked("venue", 0, 9, "failed", error="503") | window | {"symbol": "A"}]
    fetches += [asked("well", 0, 9, "failed", at=900), asked("well", 0, 9, "empty", at=901)]
    fill(well, fetches=fetches)
    got = alarms(well)
    assert (got["failures"].exchange, got["failures"].detail) == (
        "venue",
        "1 history failed at the newest request, the newest: A: 503",
    )
    assert set(got) == {"failures"}
    rates, _ = series(9)
    holed = recent(settled("B", rates, source="venue"))
    put(well, holed.filter(pl.int_range(pl.len()) != 4))
    hole = alarms(well)["holes"]
    assert (hole.subject, hole.detail) == ("not asked", "1 spans of 1 markets, 1 payments")


def test_a_restatement_is_found_while_it_is_new(well):
    rates, _ = series(48)
    first = recent(settled("B", rates, source="venue"))
    later = first.with_columns(
        pl.col("funding_rate") + 1e-6, fetched_at=pl.lit(NOW - HOUR, FUNDING.schema["fetched_at"])
    )
    put(well, first, later)
    assert "48 settled values changed" in alarms(well)["restatements"].detail
    assert "restatements" not in alarms(well, restated_days=0.01)


def test_reconciliation_and_identity(well):
    rates, _ = series(48)
    put(well, recent(settled("P", rates, source="venue")), recent(settled("P", [100 * r for r in rates])))
    assert alarms(well)["reconciliation"].detail == "x100: 1 markets, 48 payments compared, e.g. P"
    one = [shown("venue", "Q", walk(1), 9e9), shown("other", "Q", walk(2, start=5.0), 1.0)]
    put(well, *(recent(frame, "observed_at") for frame in one), table=SNAPSHOTS)
    got = alarms(well)["identity"]
    assert (got.exchange, got.subject) == ("other", "Q")
    assert got.detail.startswith("mismatch: crypto Q at ")


def test_an_answer_in_quarantine(well):
    home = well / "quarantine" / "venue"
    home.mkdir(parents=True)
    (home / "20260105T000000-abc.body").write_bytes(b"?")
    (home / "20260105T000000-abc.json").write_text(json.dumps({"reason": "venue: field rate is\nmissing"}))
    (home / "20260104T000000-abc.body").write_bytes(b"?")
    got = alarms(well)["quarantine"]
    assert got.detail == "2 refused answers, the newest: venue: field rate is missing"
    (home / "20260105T000000-abc.json").write_text("{")
    assert "can't be read" in alarms(well)["quarantine"].detail


def doctor(warehouse, *args):
    command = [sys.executable, "-m", "fundingdb", "doctor", "--warehouse", str(warehouse), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_verb_ends_with_0_or_3_and_shows_each_section(well):
    done = doctor(well)
    assert (done.returncode, "all is well" in done.stderr) == (0, True)
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        f"{s}: well" for s in SECTIONS
    ]
    (well / "quarantine" / "venue").mkdir(parents=True)
    (well / "quarantine" / "venue" / "1.body").write_bytes(b"")
    done = doctor(well, "--json")
    assert done.returncode == 3
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["section"], r["alarm"]) for r in rows] == [("freshness", False), ("quarantine", True)]
    assert doctor(well, "--stale", "-1").returncode == 2


def test_the_verb_fails_for_a_mistyped_path(tmp_path):
    done = doctor(tmp_path / "typo")
    assert (done.returncode, done.stdout) == (1, "")
    assert "typo does not exist: --warehouse names another folder" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_rows_that_the_newest_list_had_and_could_not_be_read_are_named(well):
    line = "2 rows left out or of unknown status, the first: venue list: field status: of B-USD is none of live near 'odd'"
    of_list = asked("venue", 0, 1, "rows") | {"symbol": "*", "endpoint": "markets"}
    of_list |= {"window_start": None, "window_stop": None}
    runs = [
        of_list | {"asked_at": NOW - hours * HOUR, "error": error} for hours, error in ((2, None), (1, line))
    ]
    fill(well, fetches=runs)
    assert alarms(well)["left out"].detail == f"markets: {line}"


def test_an_error_of_fundingdb_itself_is_an_alarm(well):
    (well / "quarantine/venue").mkdir(parents=True)
    (well / "quarantine/venue/20260101T000000-abc.error.txt").write_text("KeyError")
    assert alarms(well)["quarantine"].subject == "20260101T000000-abc.error.txt"
