import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fundingdb.cli import GROUPS, VERBS
from fundingdb.lake import Lake
from fundingdb.simulator import Fault, Faults, Simulator, World
from tests.worlds import SETTLING, differing

TOKENS = ("BTC", "KAITO", "PEPE")


def run(*args, env=None, cwd=None, timeout=60):
    return subprocess.run(
        [sys.executable, "-m", "fundingdb", *map(str, args)],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def simulator():
    with Simulator(World(tokens=TOKENS)) as running:
        yield running


@pytest.fixture(scope="module")
def filled(simulator, tmp_path_factory):
    home = tmp_path_factory.mktemp("filled") / "warehouse"
    done = run(
        "backfill", *SETTLING, "--tokens", "BTC,KAITO", "--days", 3, "--warehouse", home, env=simulator.env()
    )
    assert done.returncode == 0, done.stderr
    return home


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example_and_the_common_options(verb):
    done = run(verb, "--help")
    assert done.returncode == 0
    assert f"fundingdb {verb}" in done.stdout.split("example:")[1]
    assert "--warehouse" in done.stdout
    assert "--json" in done.stdout


def test_the_root_help_lists_every_verb_once_by_group_in_80_columns():
    done = run("--help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for title, verbs in GROUPS.items():
        start = lines.index(f"{title}:") + 1
        assert [line.split()[0] for line in lines[start : start + len(verbs)]] == list(verbs)
    assert len(set(VERBS)) == len(VERBS)
    assert lines.index("start here:") < lines.index("get data:")


def test_fundingdb_alone_prints_the_help():
    assert run().stdout == run("--help").stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["backfill", "extendet", "--tokens", "BTC"], "unknown exchange 'extendet': did you mean extended?"),
        (["backfill", "coingecko", "--tokens", "BTC"], "coingecko has no funding history"),
        (["backfill", "--tokens", "BTC,,ETH"], "has an empty part"),
        (["backfill", "--tokens", "BTC", "--since", "2026-02-30"], "no such date"),
        (["backfill", "--tokens", "BTC", "--since", "2026-03-02", "--until", "2026-03-01"], "reversed"),
        (
            ["backfill", "--tokens", "BTC", "--since", "2031-01-01", "--until", "2031-02-01"],
            "is in the future",
        ),
        (["backfill", "--tokens", "BTC", "--since", "2026-01-01", "--days", "3"], "give one"),
        (["backfill", "--tokens", "BTC", "--since", "1767225600000"], "milliseconds"),
        (["backfill", "--tokens", "BTC", "--days", "0"], "above 0"),
        (["backfill"], "one of the arguments --tokens --all is required"),
        (["collect", "--every", "1y"], "write a number and s, m, h or d"),
        (["collect", "--count", "0"], "at least 1"),
        (["collect", "--source", "lightr"], "did you mean lighter"),
        (["demo", "--days", "0"], "between 1 and 365"),
        (["explode"], "invalid choice"),
    ],
)
def test_a_wrong_call_ends_with_2_says_why_and_writes_nothing(args, says, tmp_path):
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["KAITOO", "../../x", "a';drop table funding--"])
def test_an_unknown_token_is_named_and_nothing_of_it_becomes_a_path_or_sql(token, simulator, tmp_path):
    done = run("backfill", "extended", "--tokens", token, "--warehouse", tmp_path / "w", env=simulator.env())
    assert done.returncode == 2
    assert f"unknown token {token!r}" in done.stderr
    assert not (tmp_path / "x").exists()
    assert not any(r.path.startswith("/extended/api/v1/info/..") for r in simulator.requests)


def test_a_warehouse_that_is_a_file_is_refused(tmp_path, simulator):
    home = tmp_path / "w"
    home.write_text("not a folder")
    done = run("backfill", "extended", "--tokens", "BTC", "--warehouse", home, env=simulator.env())
    assert done.returncode == 1
    assert "file" in done.stderr
    assert home.read_text() == "not a folder"


def test_backfill_summary_for_machines_is_one_json_object(simulator, filled):
    done = run(
        "backfill",
        *SETTLING,
        "--tokens",
        "BTC,KAITO",
        "--days",
        3,
        "--warehouse",
        filled,
        "--json",
        env=simulator.env(),
    )
    facts = json.loads(done.stdout)
    assert (facts["inserted"], facts["windows_asked"], facts["failures"]) == (0, 0, [])


@pytest.mark.slow
def test_collect_writes_one_line_a_round(simulator, tmp_path):
    done = run(
        *("collect", "--source", "extended", "--source", "coingecko", "--tokens", "KAITO"),
        *("--every", "2s", "--count", 2, "--warehouse", tmp_path),
        env=simulator.env(),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert "snapshots" in lines[0]
    assert Lake(tmp_path).scan("snapshots").select("observed_at").unique().collect().height >= 2


@pytest.mark.slow
def test_collect_survives_a_source_that_is_down_and_ends_with_3(tmp_path):
    with Simulator(World(tokens=TOKENS), faults=Faults(Fault("5xx", "extended"))) as simulator:
        done = run(
            *(
                "collect",
                "--source",
                "extended",
                "--source",
                "hyperliquid",
                "--tokens",
                "KAITO",
                "--count",
                1,
            ),
            *("--warehouse", tmp_path),
            env=simulator.env(),
            timeout=110,
        )
    assert done.returncode == 3
    assert "failed: extended" in done.stderr
    assert Lake(tmp_path).scan("snapshots").collect()["exchange"].unique().to_list() == ["hyperliquid"]


def test_markets_lists_what_is_traded_without_storing_it(simulator, tmp_path):
    done = run("markets", "extended", "--tokens", "PEPE", "--json", env=simulator.env(), cwd=tmp_path)
    row = json.loads(done.stdout)
    assert (row["symbol"], row["base"], row["multiplier"]) == ("1000PEPE-USD", "PEPE", 1000.0)
    assert list(tmp_path.iterdir()) == []


def test_views_answer_over_a_backfilled_lake(filled):
    done = run(
        "sql",
        "select exchange, count(*) as n from funding group by 1 order by 1",
        "--json",
        "--warehouse",
        filled,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["exchange"] for r in rows] == ["extended", "hyperliquid", "lighter"]
    assert all(r["n"] >= 140 for r in rows)
    assert run("check", "--warehouse", filled).returncode == 0


@pytest.mark.slow
def test_a_killed_backfill_keeps_what_it_committed_and_a_repeat_finishes(tmp_path):
    command = [
        sys.executable,
        "-m",
        "fundingdb",
        "backfill",
        "extended",
        "--all",
        "--days",
        "90",
        "--warehouse",
    ]
    with Simulator(World(tokens=tuple(f"T{n}" for n in range(30)))) as simulator:
        env = {**os.environ, **simulator.env()}
        for requests in (20, 60):
            child = subprocess.Popen([*command, str(tmp_path)], env=env, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 30
            before = simulator.count("extended")
            while simulator.count("extended") < before + requests and time.monotonic() < deadline:
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
            child.wait()
            checked = run("check", "--warehouse", tmp_path)
            assert checked.returncode == 0, checked.stdout + checked.stderr
        done = run(*command[3:], tmp_path, env=simulator.env(), timeout=110)
        assert done.returncode == 0, done.stderr
        rows = Lake(tmp_path).scan("funding").collect()
        assert rows["symbol"].n_unique() >= 30
        first, last = rows["funding_time"].min(), rows["funding_time"].max()
        assert differing(tmp_path, simulator.world, first, last).is_empty()


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_finished_and_says_so(tmp_path):
    with Simulator(World(tokens=tuple(f"T{n}" for n in range(40)))) as simulator:
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "fundingdb",
                "backfill",
                "lighter",
                "--all",
                "--days",
                "60",
                "--warehouse",
                str(tmp_path),
            ],
            env={**os.environ, **simulator.env()},
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 40
        while simulator.count("lighter") < 12 and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert Lake(tmp_path).scan("funding").collect().height > 0
    assert run("check", "--warehouse", tmp_path).returncode == 0


@pytest.mark.slow
def test_a_closed_pipe_is_quiet(filled):
    command = f"{sys.executable} -m fundingdb sql 'from funding' --csv --warehouse {filled} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("exchange,")


def test_help_is_quick():
    def seconds(*command):
        best = 9.0
        for _ in range(3):
            begin = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            best = min(best, time.perf_counter() - begin)
        return best

    assert seconds(sys.executable, "-m", "fundingdb", "--help") - seconds(sys.executable, "-c", "pass") < 0.3


@pytest.mark.slow
def test_the_demo_is_right_and_leaves_nothing_outside_its_folder(tmp_path):
    done = run("demo", "--days", 5, cwd=tmp_path, timeout=100)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "every row equal to the simulated world" in done.stdout
    assert "fundingdb spreads --warehouse" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["warehouse"]
    assert [p.name for p in (tmp_path / "warehouse").iterdir()] == ["demo"]
    again = run("demo", "--days", 2, "--json", cwd=tmp_path, timeout=100)
    assert json.loads(again.stdout)["right"] is True


def test_the_demo_deletes_no_folder_that_is_not_its_own(tmp_path):
    mine = tmp_path / "warehouse" / "demo" / "precious.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = run("demo", cwd=tmp_path)
    assert done.returncode == 2
    assert "not a demo's warehouse" in done.stderr
    assert mine.read_text() == "mine"


def test_a_module_run_is_the_command():
    assert run("--version").stdout.startswith("fundingdb ")
    assert Path(sys.executable).parent.joinpath("fundingdb").exists()
