"""Every command and snippet of the README runs, against the simulator where it would reach an exchange."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fundingdb.fetchers.registry import fetcher, names
from fundingdb.simulator import Simulator, World

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("fundingdb ")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to type the commands in, with the simulator as the exchanges; the commands run in the README's order."""
    home = tmp_path_factory.mktemp("readme")
    bin_dir = str(Path(sys.executable).parent)
    with Simulator(World(), live=True) as simulator:
        env = {**os.environ, **simulator.env(), "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}"}
        env.pop("FUNDINGDB_WAREHOUSE", None)
        outputs = {c: shell(c, home, env) for c in COMMANDS}
        yield home, env, outputs


def shell(command: str, home: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, shell=True, cwd=home, env=env, capture_output=True, text=True, timeout=110, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(place, command):
    done = place[2][command]
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("n", range(len(blocks("python"))))
def test_a_python_snippet_of_the_readme_runs(place, n):
    home, env, _ = place
    script = home / f"snippet_{n}.py"
    script.write_text(blocks("python")[n])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=home,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_provider_snippet_prints_a_rate_and_a_spread(place):
    home, env, _ = place
    script = home / "provider.py"
    script.write_text(next(b for b in blocks("python") if "get_spread" in b))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=home, env=env, capture_output=True, text=True, check=True
    )
    rate, spread = map(float, done.stdout.split())
    assert abs(rate) < 0.01
    assert abs(spread) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("query", blocks("sql"))
def test_a_query_of_the_readme_answers_in_the_duckdb_shell(place, query):
    home, env, _ = place
    done = subprocess.run(
        ["duckdb", "-readonly", "-csv", "warehouse/fundingdb.duckdb", "-c", query],
        cwd=home,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1


def test_the_readme_names_two_set_up_commands_that_need_only_python_and_pip():
    first, second = [
        line for block in blocks("sh") for line in block.splitlines() if line.startswith("python3 -m venv")
    ]
    assert first.endswith("fundingdb demo")
    assert second.endswith("pytest -q")


def test_the_table_of_exchanges_names_every_source():
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", README, re.MULTILINE))
    for name in names():
        assert name in rows
        assert fetcher(name).checked in rows[name]
