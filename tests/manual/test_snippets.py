"""Every command, query and program of the README and the manual runs, against the simulator where it would reach an exchange."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fundingdb.simulator import Simulator, World

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "fundingdb" / "manual"
PAGES = {"README": (ROOT / "README.md").read_text()} | {
    page.stem: page.read_text()
    for page in sorted(MANUAL.glob("*.md"))
    if page.stem
    != "adding-an-exchange"  # its blocks are the files of one package, which tests/fetchers build and run
}
# programs for an open event loop, which tests/test_plan.py runs
PAGES["python"] = PAGES["python"].partition("\n## Four whole programs\n")[0]


def blocks(language):
    """(page, its block) of this language, in the order of the pages."""
    form = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [(page, block) for page, text in PAGES.items() for block in form.findall(text)]


def numbered(cases):
    return [pytest.param(block, id=f"{page}-{n}") for n, (page, block) in enumerate(cases)]


LINES = [(page, line) for page, block in blocks("sh") for line in block.splitlines()]
COMMANDS = [(page, line) for page, line in LINES if line.startswith(("fundingdb ", "printf "))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder to type the commands in, with the simulator as the exchanges; the commands run in the order of the pages."""
    home = tmp_path_factory.mktemp("manual")
    bin_dir = str(Path(sys.executable).parent)
    with Simulator(World(), live=True) as simulator:
        env = {**os.environ, **simulator.env(), "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}"}
        env.pop("FUNDINGDB_WAREHOUSE", None)
        done = {line: shell(line, home, env) for _, line in COMMANDS}
        yield home, env, done


def shell(command, home, env):
    return subprocess.run(
        command, shell=True, cwd=home, env=env, capture_output=True, text=True, timeout=110, check=False
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", numbered(COMMANDS))
def test_a_command_runs(folder, command):
    done = folder[2][command]
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_no_line_of_a_shell_block_is_left_out():
    others = {line for _, line in LINES} - {line for _, line in COMMANDS}
    assert all(
        line.startswith(
            ("python3 -m venv ", "pip install 'fundingdb[", "python tests/reproductions", "ruff ", "pytest ")
        )
        for line in others
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", numbered(blocks("python")))
def test_a_program_runs_without_a_warning(folder, tmp_path, program):
    home, env, _ = folder
    script = tmp_path / "program.py"
    script.write_text(program)
    done = shell(f"{sys.executable} -W error {script}", home, env)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_program_of_the_readme_prints_a_rate_and_a_spread(folder, tmp_path):
    home, env, _ = folder
    ((_, program),) = [case for case in blocks("python") if case[0] == "README"]
    (tmp_path / "program.py").write_text(program)
    rate, spread = map(float, shell(f"{sys.executable} {tmp_path / 'program.py'}", home, env).stdout.split())
    assert abs(rate) < 0.01
    assert abs(spread) < 0.01


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("query", numbered(blocks("sql")))
def test_a_query_runs_in_the_duckdb_shell_and_returns_rows(folder, query):
    home, env, _ = folder
    done = subprocess.run(
        ["duckdb", "-readonly", "-csv", "warehouse/fundingdb.duckdb", "-c", query],
        cwd=home, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_fee_file_of_the_page_costs_is_accepted(folder):
    home, env, _ = folder
    ((_, table),) = blocks("csv")
    (home / "own.csv").write_text(table)
    done = shell("fundingdb spreads --rank net --fees own.csv --top 1", home, env)
    assert done.returncode == 0, done.stderr
