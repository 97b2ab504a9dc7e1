"""The notebook: its verdicts, and that it runs as a script and answers as an app."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "fundingdb" / "notebooks" / "judge_a_pair.py"
MARIMO = [sys.executable, "-m", "marimo"]


@pytest.fixture(scope="module")
def judge():
    pytest.importorskip("marimo")
    pytest.importorskip("altair")
    from fundingdb.notebooks.judge_a_pair import judge

    return judge


@pytest.mark.parametrize(
    ("figures", "verdict", "because"),  # figures: gross, costs, missing hours, net of the rule
    [
        ((0.006, 0.001, 0, 0.004), "worth a closer look", "left +0.500%"),
        ((0.006, 0.001, 0, -0.004), "worth a closer look", "the rule lost 0.400%"),
        ((0.006, 0.004, 0, 0.001), "worth a closer look", "costs eat 67%"),
        ((0.006, 0.004, 0, -0.001), "no", "costs eat 67%"),
        ((0.001, 0.001, 0, 0.004), "no", "costs of 0.100% eat the 0.100% earned"),
        ((-0.001, 0.001, 0, None), "no", "paid instead of earning"),
        ((0.0, 0.0, 0, None), "no", "paid instead of earning"),
        ((0.006, None, 0, 0.004), "unknown", "a fee is unknown"),
        ((None, 0.001, 0, None), "unknown", "no payment"),
        ((0.006, 0.001, 19, 0.004), "unknown", "19 of 360 hours"),
    ],
)
def test_a_pair_is_judged_by_what_is_left(judge, figures, verdict, because):
    gross, costs, missing, rule_net = figures
    outcome, reasons = judge(gross, costs, 360, missing, rule_net)
    assert outcome == verdict
    assert because in "; ".join(reasons)


def test_the_package_tells_where_the_notebook_is():
    done = subprocess.run(
        [sys.executable, "-m", "fundingdb.notebooks"], capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == NOTEBOOK


@pytest.mark.slow
def test_marimo_finds_nothing_wrong_with_it():
    pytest.importorskip("marimo")
    done = subprocess.run(
        [*MARIMO, "check", "--strict", str(NOTEBOOK)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_it_runs_as_a_script_and_prints_the_judgement(tmp_path):
    pytest.importorskip("marimo")
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "fundingdb.notebooks.judge_a_pair"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first.endswith("simulated data")
    printed = {line[:11].strip(): line[12:] for line in lines}
    assert list(printed) == [
        "gross", "costs", "net", "net a year", "break-even", "rule, net", "size", "missing", "verdict", "because",
    ]  # fmt: skip
    assert printed["verdict"] in {"no", "worth a closer look", "unknown"}
    gross, costs, net = (float(printed[name].split("%")[0]) for name in ("gross", "costs", "net"))
    assert net == pytest.approx(gross + costs, abs=0.0011)
    assert not list(tmp_path.glob("fundingdb-notebook-*"))  # the demo lake is gone


@pytest.mark.slow
def test_it_answers_as_an_app(tmp_path):
    pytest.importorskip("marimo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *MARIMO,
        "run",
        "--headless",
        "--no-token",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        str(NOTEBOOK),
    ]
    app = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        page = None
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    page = answer.read().decode()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert app.poll() is None, "marimo run ended"
                time.sleep(0.25)
        assert page is not None
        assert "fundingdb: judge a pair" in page
    finally:
        app.terminate()
        app.wait(20)
