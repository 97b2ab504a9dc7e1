"""Imports point one way, on files: the contracts of pyproject.toml, and a light `import fundingdb`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )


def test_imports_keep_the_contracts():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "line", "contract"),
    [
        ("fetchers/okx.py", "import httpx", "A fetcher is pure"),
        ("fetchers/okx.py", "from pathlib import Path", "A fetcher is pure"),
        ("fetchers/okx.py", "from fundingdb.lake.store import Lake", "Packages stand in layers"),
        ("fetchers/okx.py", "from fundingdb.fetchers.gate import FETCHER", "Venue files"),
        ("schema/__init__.py", "import duckdb", "DuckDB"),
        (
            "schema/__init__.py",
            "from fundingdb.ingest.collector import Collector",
            "Packages stand in layers",
        ),
        ("cli/spreads.py", "import deltalake", "Delta tables"),
        ("catalog/doctor.py", "from websockets.asyncio.client import connect", "websockets"),
        ("window.py", "import pandas as pd", "pandas"),
        ("lake/files.py", "from fundingdb.lake.store import Lake", "circle"),
        ("simulator/okx.py", "from fundingdb.fetchers.okx import FETCHER", "simulator"),
    ],
)
def test_a_wrong_import_breaks_its_contract(tmp_path, where, line, contract):
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for path in (ROOT / "fundingdb").rglob("*.py"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    wrong = tmp_path / "fundingdb" / where
    wrong.write_text((wrong.read_text() if wrong.exists() else "") + f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout
    broken = [text for text in done.stdout.splitlines() if "BROKEN" in text]
    assert any(contract in text for text in broken), broken


def test_importing_the_package_is_light():
    code = "import sys, fundingdb; print([m for m in ('polars', 'duckdb', 'httpx', 'deltalake') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
