"""Real processes: writers at once, writers that are killed, readers meanwhile."""

import random
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from fundingdb.lake import Lake
from tests.lake.lake_worker import ROWS, batch, whole

pytestmark = pytest.mark.slow
WORKER = Path(__file__).with_name("lake_worker.py")


def start(what: str, warehouse: Path, who: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(WORKER), what, str(warehouse), who, str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out.split()


def sound(lake: Lake) -> None:
    report = lake.check()
    assert report.clean, report.findings


def test_writers_of_different_rows_at_once_lose_nothing(tmp_path):
    writers = [start("write", tmp_path, who, 10) for who in ("AAA", "BBB")]
    for writer in writers:
        finish(writer)
    lake = Lake(tmp_path)
    rows = lake.scan("funding").collect()
    assert rows.height == 2 * 10 * 2 * ROWS
    assert whole(rows)
    sound(lake)


def test_writers_of_the_same_rows_at_once_double_nothing(tmp_path):
    writers = [start("write", tmp_path, "SAME", 10) for _ in range(3)]
    for writer in writers:
        finish(writer)
    lake = Lake(tmp_path)
    assert lake.scan("funding").collect().height == 10 * 2 * ROWS
    assert sum(v.inserted for v in lake.versions()) == 10 * 2 * ROWS
    sound(lake)


def test_restating_writers_at_once_leave_one_value_a_key_and_log_each_change(tmp_path):
    lake = Lake(tmp_path)
    for number in range(4):
        lake.upsert("funding", batch("AAA", number))
    writers = [start("restate", tmp_path, "AAA", 8) for _ in range(2)]
    for writer in writers:
        finish(writer)
    rows = lake.scan("funding").collect()
    assert rows.height == 4 * 2 * ROWS
    assert whole(rows)
    assert sum(v.restated for v in lake.versions()) <= lake.scan("restatements").collect().height
    sound(lake)


def test_hours_found_from_an_older_reading_never_undo_a_rate_that_another_process_restated(tmp_path):
    lake = Lake(tmp_path)
    lake.upsert("funding", batch("AAA", 0, hours=None))
    others = [start("reprice", tmp_path, "AAA", 8), *(start("retime", tmp_path, "-", 6) for _ in range(2))]
    for other in others:
        finish(other)
    rows = lake.scan("funding").sort("funding_time").collect()
    newest = batch("AAA", 0, rate=1e-5 * 9).sort("funding_time")
    assert rows["funding_rate"].to_list() == newest["funding_rate"].to_list()
    assert set(rows["interval_hours"]) <= {4.0, 8.0}
    assert any(v.operation == "amend" for v in lake.versions())
    changed = pl.col("old_funding_rate") != pl.col("new_funding_rate")
    steps = lake.scan("restatements").filter(changed).sort("funding_time", "new_fetched_at").collect()
    for (_,), mine in steps.group_by("funding_time"):
        old, new = mine["old_funding_rate"].to_list(), mine["new_funding_rate"].to_list()
        assert old[1:] == new[:-1], "no rate went back"
        assert mine.height == 8
    sound(lake)


def test_readers_never_fail_and_never_see_half_a_commit_while_others_write_restate_and_compact(tmp_path):
    lake = Lake(tmp_path)
    for number in range(4):
        lake.upsert("funding", batch("CCC", number))
    others = [
        start("write", tmp_path, "AAA", 12),
        start("restate", tmp_path, "CCC", 12),
        start("compact", tmp_path, "-", 10),
    ]
    reads = finish(start("read", tmp_path, "-", 25))
    for other in others:
        finish(other)
    assert reads[-1] == "24"
    assert whole(lake.scan("funding").collect())
    sound(lake)


def kill_at_random(tmp_path: Path, times: int, seed: int) -> None:
    """Kill a writer again and again; each goes on where the promise of the last one ended."""
    chance = random.Random(seed)
    lake = Lake(tmp_path)
    promised: set[tuple[str, int]] = set()
    for turn in range(times):
        who = f"W{turn}"
        what = "restate" if turn % 3 == 2 else "write"
        if what == "restate":
            who = "W0"
        writer = start(what, tmp_path, who, 400)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.4))
        writer.kill()
        out, _ = writer.communicate(timeout=20)
        lines = out.splitlines(keepends=True)
        if what == "write":
            promised |= {(who, int(line)) for line in lines if line.endswith("\n")}
        rows = lake.scan("funding").collect()
        assert whole(rows), f"half a commit after kill {turn}"
        sound(lake)
        there = {
            (s, n): c
            for s, n, c in rows.group_by(
                "symbol",
                ((pl.col("funding_time").dt.day() - 1) * 24 + pl.col("funding_time").dt.hour()) // ROWS,
            )
            .len()
            .rows()
        }
        for one in promised:
            assert there.get(one) == 2 * ROWS, f"batch {one} was promised, and is not there whole"
        assert all(c == 2 * ROWS for c in there.values())
    assert promised
    lake.upsert("funding", batch("AFTER", 0))
    sound(lake)


def test_sigkill_at_random_moments_leaves_what_was_committed_and_nothing_else(tmp_path):
    kill_at_random(tmp_path, 5, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sigkill_thirty_times_leaves_what_was_committed_and_nothing_else(tmp_path):
    kill_at_random(tmp_path, 30, seed=2)
