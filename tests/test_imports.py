"""Imports point one way; the linter fails the build on a wrong one, this test says which rank is meant."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fundingdb"
RANK = {
    "errors": 0,
    "place": 0,
    "headers": 1,
    "window": 1,
    "schema": 2,
    "identity": 3,
    "ledger": 5,
    "listing": 5,
    "quarantine": 6,
    "costs": 3,
    "loaded": 7,
    "rounds": 3,
    "intervals": 3,
    "healing": 8,
    "fetchers": 4,
    "paging": 5,
    "importing": 5,
    "budget": 5,
    "http": 6,
    "bridge": 6,
    "lake": 5,
    "catalog": 6,
    "provider": 8,
    "backtest": 9,
    "asking": 7,
    "doctor": 7,
    "live": 7,
    "collector": 9,
    "streaming": 10,
    "sources": 10,
    "simulator": 3,
    "adapters": 11,
    "demo": 11,
    "cli": 12,
    "notebooks": 13,
}
THIRD_PARTY = {
    "httpx": {"http"},
    "deltalake": {"lake"},
    "duckdb": {"catalog", "provider", "loaded", "backtest", "cli"},
    "pandas": {"adapters"},
    "nautilus_trader": {"adapters"},
    "marimo": {"notebooks"},
    "altair": {"notebooks"},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_below(path):
    mine = room(path)
    if mine in {"__init__", "__main__"}:
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "fundingdb" and len(parts) > 1 and parts[1] in RANK and parts[1] != mine:
            assert RANK[parts[1]] < RANK[mine], f"{mine} imports {name}"
        if parts[0] in THIRD_PARTY:
            assert mine in THIRD_PARTY[parts[0]], f"{mine} imports {name}"


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("fundingdb/fetchers/wrong.py", "import httpx"),
        ("fundingdb/fetchers/wrong.py", "from pathlib import Path"),
        ("fundingdb/fetchers/wrong.py", "from fundingdb.lake import Lake"),
        ("fundingdb/schema_wrong.py", "import duckdb"),
        ("fundingdb/schema_wrong.py", "from fundingdb.collector import Collector"),
        ("fundingdb/cli/wrong.py", "import deltalake"),
        ("fundingdb/fetchers/wrong.py", "import websockets"),
        ("fundingdb/wrong.py", "from websockets.asyncio.client import connect"),
        ("fundingdb/wrong.py", "import pandas as pd"),
        ("fundingdb/wrong.py", "from nautilus_trader.model.data import FundingRateUpdate"),
    ],
)
def test_the_linter_fails_a_wrong_import(where, line):
    pytest.importorskip("ruff")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename", where, "-"],
        input=line + "\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "TID251" in done.stdout


def test_importing_the_package_is_light():
    code = "import sys, fundingdb; print([m for m in ('polars', 'duckdb', 'httpx', 'deltalake') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
