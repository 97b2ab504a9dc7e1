"""The verb backtest on a small lake and on a real year: what it prints, writes and refuses."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fundingdb import backtest
from fundingdb.catalog.catalog import connect
from fundingdb.cli import main
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING
from tests.backtest.test_backtest import hourly, kept
from tests.real_data import seven_venues

FEES = "exchange,tier,taker,maker,effective_at\n"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    home = tmp_path_factory.mktemp("small")
    rows = hourly("alpha", [1e-5] * 60) + hourly("beta", [1e-4] * 40 + [0.0] * 20)
    schema = {c: FUNDING.columns[c].dtype for c in FUNDING.columns if c != "month"}
    Lake(home).upsert("funding", FUNDING.check(pl.DataFrame(rows, schema=schema)))
    (home / "fees.csv").write_text(
        FEES + "alpha,base,0.0005,0.0002,2024-01-01\nbeta,base,0.0005,0.0002,2024-01-01\n"
    )
    return home


def run_verb(capsys, warehouse, *words):
    code = main(["backtest", "--warehouse", str(warehouse), *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_one_json_object_holds_warnings_figures_settings_and_fingerprint(capsys, warehouse):
    code, out, _ = run_verb(capsys, warehouse, "--entry-apr", "0.5", "--json", "--hold", "0h")
    report = json.loads(out)
    assert code == 0
    assert list(report)[:4] == ["warnings", "summary", "settings", "fingerprint"]
    assert list(report["summary"]) == list(backtest.FIGURES)
    assert report["settings"]["start"] == "2025-01-01T20:00:00Z"
    assert report["settings"]["end"] == "2025-01-04T07:00:00Z"
    (trade,) = report["trades"]
    assert (trade["exit_reason"], trade["held_hours"]) == (
        "exit",
        40,
    )  # beta's 0 is first known at the hour 40
    assert report["summary"]["net_usd"] == pytest.approx(10_000 * (39 * 1e-4 + 0 - 40 * 1e-5) - 20)
    assert report["summary"]["trades"] == 1


def test_the_terminal_shows_the_same_figures_after_the_warnings(capsys, warehouse):
    code, out, _ = run_verb(capsys, warehouse, "--entry-apr", "0.5", "--end", "2025-01-05", "--hold", "0h")
    assert code == 0
    assert out.startswith("warning: the data ends at 2025-01-04 07:00Z, 17 hours before the end")
    places = [out.index(f"\n{name} ") for name in backtest.FIGURES]
    assert places == sorted(places)
    assert "net_usd                    15.00  usd" in out


def test_trades_and_decisions_are_written_as_csv_or_parquet(capsys, warehouse, tmp_path):
    trades, decisions = tmp_path / "trades.csv", tmp_path / "decisions.parquet"
    code, _, _ = run_verb(
        capsys, warehouse, "--entry-apr", "0.5", "--trades", str(trades), "--decisions", str(decisions)
    )
    assert code == 0
    assert pl.read_csv(trades)["entered_at"].to_list() == ["2025-01-01T20:00:00Z"]
    assert pl.read_parquet(decisions)["action"].to_list() == ["enter", "exit"]
    assert run_verb(capsys, warehouse, "--trades", "trades.txt")[0] == 2
    kept = trades.read_bytes()
    wrong = run_verb(
        capsys, warehouse, "--trades", str(trades), "--decisions", str(tmp_path / "absent" / "d.csv")
    )
    assert wrong[0] == 2
    assert "create it first" in wrong[2]
    assert trades.read_bytes() == kept
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({trades.name, decisions.name})


def test_a_grid_is_a_row_a_point(capsys, warehouse):
    code, out, _ = run_verb(capsys, warehouse, "--grid", "entry=0.1:0.9:0.4,exit=0.1", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(r["entry_apr"], r["exit_apr"], r["trades"]) for r in rows] == [
        (0.1, 0.1, 1),
        (0.5, 0.1, 1),
        (0.9, 0.1, 0),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--entry-apr", "0.1", "--exit-apr", "0.2"], "entry_apr 0.1 is below exit_apr 0.2"),
        (["--start", "2024-01-01", "--end", "2024-02-01"], "these markets have no settlement in it"),
        (["--start", "1735689600000"], "looks like milliseconds"),
        (["--start", "2025-01-01T00:30Z"], "full hours"),
        (["--hold", "soon"], "write a number and s, m, h or d"),
        (["--tokens", "BTX"], "did you mean BTC"),
        (["--exchanges", "alpha"], "nothing to pair"),
        (["--grid", "entry"], "write name=value"),
        (["--fees", "nothing.csv"], "nothing.csv: can't be read"),
    ],
)
def test_what_makes_no_sense_is_refused_with_exit_code_2(capsys, warehouse, words, message):
    code, out, err = run_verb(capsys, warehouse, *words)
    assert (code, out) == (2, "")
    assert message in err


# ---- a real year


@pytest.fixture(scope="module")
def year(shared, tmp_path_factory):
    home = tmp_path_factory.mktemp("year")
    Lake(home).upsert("funding", seven_venues(shared))
    names = {
        "binance": 0.0005,
        "bybit": 0.00055,
        "okx": 0.0005,
        "hyperliquid": 0.00045,
        "lighter": 0,
        "kraken": 0.0005,
        "dydx": 0.0005,
    }
    (home / "fees.csv").write_text(
        FEES + "".join(f"{e},base,{fee},{fee},2020-01-01\n" for e, fee in names.items())
    )
    return home


def test_a_real_trade_worked_out_by_hand(year):
    span = datetime(2025, 7, 1, tzinfo=UTC), datetime(2025, 7, 19, 10, tzinfo=UTC)
    settings = backtest.Settings(
        *span, 0.5, 0.0, notional_usd=100_000, tokens=("BTC",), exchanges=("binance", "hyperliquid")
    )
    (trade,) = backtest.run(settings, year).trades.to_dicts()
    # 2025-07-11 16:00Z: hyperliquid 0.00007236486166666666 an hour against binance 0.0001 in 8 h
    assert trade["entered_at"] == datetime(2025, 7, 11, 16, tzinfo=UTC)
    assert trade["entry_spread_apr"] == pytest.approx((0.00007236486166666666 - 0.0001 / 8) * 8760, rel=1e-12)
    # to 07-19 10:00Z binance settles 23 times: 22 times 0.0001, and 0.00008051 on 07-14 00:00Z
    assert trade["long_funding_usd"] == pytest.approx(-100_000 * (22 * 0.0001 + 0.00008051))
    assert trade["payments"] == 23 + 186
    assert trade["fees_usd"] == pytest.approx(-100_000 * 2 * (0.0005 + 0.00045))
    assert trade["net_usd"] == pytest.approx(-228.051 + 670.6973053508781 - 190)


def test_each_trade_of_a_real_year_earned_what_carry_says(year):
    settings = backtest.Settings(
        datetime(2025, 3, 8, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC), 0.4, 0.05,
        switch_band_apr=0.3, notional_usd=1.0,
    )  # fmt: skip
    result = backtest.run(settings, year)
    assert result.trades.height > 300
    kept(result)
    with connect(year) as con:
        for t in result.trades.sample(12, seed=1).iter_rows(named=True):
            legs = (
                t["base"],
                t["long_exchange"],
                t["short_exchange"],
                t["entered_at"].isoformat(),
                t["exited_at"].isoformat(),
            )
            cash, payments = con.sql(
                "select sum(cash), count(*) from carry(?, ?, ?, ?, ?)", params=list(legs)
            ).fetchall()[0]
            assert t["funding_usd"] == pytest.approx(cash or 0.0, abs=1e-12)
            assert t["payments"] == payments
    assert result.trades["exited_at"].max() - result.trades["entered_at"].min() > timedelta(days=300)
