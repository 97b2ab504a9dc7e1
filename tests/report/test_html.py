"""`fundingdb backtest --html FILE` from the outside."""

import json
import re

import pytest

from fundingdb.catalog.catalog import rebuild
from fundingdb.cli import main
from fundingdb.lake import Lake
from tests.paid_rows import payment, rows


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """Five days of BTC: alpha pays 1e-5 an hour, beta 2e-4; a fee of 0.01 % on both."""
    place = tmp_path_factory.mktemp("lake")
    paid = [
        payment(exchange, "BTC-USD", n, rate, base="BTC")
        for exchange, rate in (("alpha", 1e-5), ("beta", 2e-4))
        for n in range(120)
    ]
    Lake(place).upsert("funding", rows(*paid))
    rebuild(place)
    fees = "exchange,tier,taker,maker,effective_at\n"
    fees += "".join(f"{e},base,0.0001,0.0001,2020-01-01\n" for e in ("alpha", "beta"))
    (place / "fees.csv").write_text(fees)
    return place


def ask(warehouse, *more):
    span = ["--start", "2025-01-02", "--end", "2025-01-05"]
    fees = str(warehouse / "fees.csv")
    return main(["backtest", "--warehouse", str(warehouse), "--fees", fees, *span, *more])


@pytest.mark.slow  # compiles the core
def test_the_page_of_a_run_has_the_figures_of_its_json(warehouse, tmp_path, capsys):
    assert ask(warehouse, "--html", str(tmp_path / "run.html"), "--json") == 0
    told = json.loads(capsys.readouterr().out)["summary"]
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    shown = dict(re.findall(r'<data id="figure-(\w+)" value="([^"]+)">', page))
    assert {name: float(value) for name, value in shown.items()} == {
        n: v for n, v in told.items() if v is not None
    }
    assert told["trades"] == 1
    assert told["funding_usd"] == pytest.approx(72 * 1.9e-4 * 10_000)
    assert [p.name for p in tmp_path.iterdir()] == ["run.html"]


@pytest.mark.slow  # compiles the core
def test_the_page_of_a_grid_and_of_a_run_without_trades(warehouse, tmp_path):
    assert (
        ask(warehouse, "--html", str(tmp_path / "grid.html"), "--grid", "entry=0.5:1.5:0.5,exit=0:1:0.5") == 0
    )
    assert "8 points over entry, exit" in (tmp_path / "grid.html").read_text(encoding="utf-8")
    assert ask(warehouse, "--html", str(tmp_path / "none.html"), "--entry-apr", "9") == 0
    assert "alpha below beta by 166.44 % a year" in (tmp_path / "none.html").read_text(encoding="utf-8")


def test_a_folder_is_refused_before_the_run_starts(warehouse, tmp_path, capsys):
    assert ask(warehouse, "--html", str(tmp_path)) == 2
    assert f"--html {str(tmp_path)!r}: is a folder; name a file in it" in capsys.readouterr().err
