"""What `repair` takes out and takes back after rows are lost, and that nothing is lost by it."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from fundingdb.ingest.ledger import covered
from fundingdb.lake import Lake
from fundingdb.lake.log import Log
from fundingdb.lake.repair import repair
from fundingdb.schema import TABLES
from fundingdb.window import Window
from tests.lake.test_lake import FETCHED, HOUR, START, funding, ledger

STOP = START + 8 * HOUR  # of the ledger's window; the month ends 4 hours after its start
JANUARY = datetime(2025, 2, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path):
    """BTC and ETH with 8 hourly settlements each, 4 in January and 4 in February, and their windows in the ledger."""
    filled = Lake(tmp_path / "w", sleep=lambda _seconds: None)
    filled.upsert("funding", funding())
    filled.upsert("fetches", pl.concat([ledger(8), ledger(8, symbol="ETH")]))
    return filled


def complete(lake):
    return covered(lake.scan("fetches").collect())


def january(lake):
    (path,) = [p for p in lake.files("funding") if "month=2025-01" in str(p)]
    return path


def flip(path, at=200):
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize("spoil", [flip, cut, lambda path: path.unlink()], ids=["flipped", "cut", "deleted"])
def test_a_lost_file_is_taken_out_its_windows_become_missing_and_a_refill_makes_the_lake_sound(lake, spoil):
    path = january(lake)
    relative = path.relative_to(lake.home / "funding").as_posix()
    spoil(path)
    content = path.read_bytes() if path.exists() else None
    assert [f.where for f in lake.check().findings if f.table == "funding"] == [relative]
    assert complete(lake) == {"BTC": [Window(START, STOP)], "ETH": [Window(START, STOP)]}

    (file,) = lake.repair().files
    assert (file.table, file.path, file.rows) == ("funding", relative, 8)
    assert (file.first, file.last) == (START, START + 3 * HOUR)
    quarantined = lake.warehouse / "quarantine" / "lake" / "funding" / relative
    assert json.loads(quarantined.with_suffix(".json").read_text())["rows"] == 8
    if content is None:
        assert file.kept is None
    else:
        assert file.kept == quarantined
        assert quarantined.read_bytes() == content
    assert lake.check().clean
    assert complete(lake) == {}
    assert lake.scan("funding").collect()["funding_time"].min() == JANUARY

    lake.upsert("funding", funding())
    again = pl.concat([ledger(8, symbol=s, asked_at=FETCHED + HOUR) for s in ("BTC", "ETH")])
    lake.upsert("fetches", again)
    assert lake.check().clean
    assert lake.check().notes == []
    assert lake.scan("funding").collect().height == 16
    assert complete(lake) == {"BTC": [Window(START, STOP)], "ETH": [Window(START, STOP)]}


def test_an_older_log_put_back_is_reported_and_its_lost_windows_are_taken_back(lake, tmp_path):
    log = lake.home / "funding" / "_delta_log"
    shutil.copytree(log, tmp_path / "backup")
    later = START + 20 * HOUR
    lake.upsert("funding", funding(symbols=["BTC"], start=later))
    lake.upsert("fetches", ledger(8, window_start=later, window_stop=later + 8 * HOUR))
    shutil.rmtree(log)
    shutil.copytree(tmp_path / "backup", log)
    restored = Lake(lake.warehouse)
    (finding,) = restored.check().findings
    assert finding.problem == "the ledger has 8 rows, funding 0 of source hyperliquid"
    done = restored.repair()
    assert done.files == []
    assert done.windows.select("symbol", "window_start").rows() == [("BTC", later)]
    assert restored.check().clean
    assert complete(restored) == {"BTC": [Window(START, STOP)], "ETH": [Window(START, STOP)]}
    assert restored.upsert("funding", funding(symbols=["BTC"], start=later)).inserted == 8


def test_every_window_over_a_lost_settlement_is_taken_back_also_one_that_misses_no_row_of_its_own(lake):
    # The first response of ETH lacked a late settlement; one row less than now stored still fits its count.
    lake.upsert(
        "fetches",
        ledger(2, symbol="ETH", window_start=START + 2 * HOUR, window_stop=STOP, asked_at=FETCHED + HOUR),
    )
    january(lake).unlink()
    lake.repair()
    assert complete(lake) == {}


def test_a_repair_that_is_killed_between_files_and_ledger_is_finished_by_the_next(lake, monkeypatch):
    january(lake).unlink()
    before = lake.scan("fetches").collect()

    def killed(*_args, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(lake._writer), "upsert", killed)
        with pytest.raises(KeyboardInterrupt):
            lake.repair()
    assert lake.scan("fetches").collect().equals(before)
    assert {f.problem for f in lake.check().findings} == {
        "the ledger has 8 rows, funding 4 of source hyperliquid"
    }
    assert lake.repair().windows.height == 2
    assert lake.check().clean


def test_a_repair_while_another_process_writes_loses_none_of_its_rows(lake):
    path = january(lake)
    path.unlink()
    other = Lake(lake.warehouse)
    real, calls = lake._writer.withdraw, []

    class Late:
        upsert = lake._writer.upsert

        def withdraw(self, t, paths):
            calls.append(other.upsert("funding", funding(start=START + 100 * HOUR)).inserted)
            return real(t, paths)

    logs = {name: Log(lake.home / name, table) for name, table in TABLES.items()}
    repair(lake.warehouse, lake.home, logs, Late())
    assert calls == [16]
    assert lake.check().clean
    assert lake.scan("funding").collect().height == 8 + 16


def test_a_file_without_permission_is_a_finding_but_nothing_is_taken_out(lake, monkeypatch):
    path, real = january(lake), Path.read_bytes

    def read(self):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", read)
    assert [f.problem for f in lake.check().findings] == ["the file can't be opened: Permission denied"]
    done = lake.repair()
    assert (done.files, done.windows.height) == ([], 0)
    monkeypatch.undo()
    assert lake.check().clean


def test_settlements_without_a_ledger_row_are_a_note_those_of_imported_files_are_none(lake):
    lake.upsert("funding", funding(symbols=["SOL"], hours=3))
    lake.upsert("funding", funding(symbols=["XRP"], hours=3, source="import"))
    report = lake.check()
    assert report.clean
    (note,) = report.notes
    assert note.where == "hyperliquid hyperliquid"
    assert note.problem.startswith("3 settlements of 1 markets are in no complete window")


def test_a_sound_lake_stays_as_it_is(lake):
    versions = lake.versions("funding"), lake.versions("fetches")
    done = lake.repair()
    assert (done.files, done.windows.height) == ([], 0)
    assert (lake.versions("funding"), lake.versions("fetches")) == versions
    assert not (lake.warehouse / "quarantine").exists()


def test_each_flipped_bit_of_a_file_is_found(lake):
    path = january(lake)
    content = path.read_bytes()
    for at in range(0, len(content), 97):
        flip(path, at)
        assert [f.lost for f in lake.check().findings if f.table == "funding"] == [True]
        path.write_bytes(content)
    assert lake.check().clean
