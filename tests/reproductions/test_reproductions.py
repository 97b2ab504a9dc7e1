"""The command prints the table of the manual's page; its figures are those worked out here from the bare files."""

import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from pack import ALL_COINS, BINANCE, BTC_2023, BTC_2024, BTC_BINANCE, HISTORY, SEVEN
from run import NAMES, main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "fundingdb/manual/reproductions.md").read_text()
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def made(shared, tmp_path_factory):
    """What the page's command prints, and the folder of its CSV files."""
    (line,) = re.findall(r"^python (tests/reproductions.*)$", PAGE, re.MULTILINE)
    out = tmp_path_factory.mktemp("tables")
    done = subprocess.run(
        [sys.executable, *shlex.split(line), "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, out


@pytest.fixture(scope="module")
def seven(shared):
    rows = pl.read_parquet(shared / "data" / SEVEN)
    return rows.with_columns(hour=pl.col("timestamp").dt.truncate("1h"))


def table(made, name):
    return pl.read_csv(made[1] / f"{name}.csv", try_parse_dates=True)


def printed(made, name, what):
    text = made[0].split(f"\n{name}: ")[-1] if f"\n{name}: " in made[0] else made[0]
    return re.search(rf"^{what} +(.*)$", text, re.MULTILINE)[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_what_is_computed(made, name):
    title = re.search(rf"^{name}: (.*)$", made[0], re.MULTILINE)[1]
    cells = [printed(made, name, what) for what in ("data", "found", "stated")]
    assert f"| {' | '.join([title, *cells])} |" in PAGE


@pytest.mark.slow
def test_every_change_of_binances_intervals_has_its_first_payment(made, shared):
    got = table(made, "interval_census")
    assert (got.height, got["symbol"].n_unique()) == (23, 14)
    assert got.filter(symbol="ALICEUSDT").drop("symbol", "change").rows() == [
        (8.0, 1.0, datetime(2026, 2, 28, 1, tzinfo=UTC)),
        (1.0, 4.0, datetime(2026, 3, 3, 12, tzinfo=UTC)),
    ]
    # Each first payment stands in the file, as long after the one before as the new interval says.
    raw = pl.read_parquet(shared / "data" / BINANCE).sort("symbol", "timestamp")
    raw = raw.select(
        "symbol",
        hour=pl.from_epoch("timestamp", "ms")
        .dt.truncate("1h")
        .dt.cast_time_unit("us")
        .dt.replace_time_zone("UTC"),
        gap=(pl.col("timestamp") // 3_600_000).diff().over("symbol"),
    )
    both = got.join(raw, left_on=["symbol", "first_payment"], right_on=["symbol", "hour"])
    assert both["gap"].cast(float).to_list() == both["hours_after"].to_list()
    assert both.height == 23


@pytest.mark.slow
def test_carry_and_naive_carry_are_what_bare_sums_say(made, seven):
    got = table(made, "true_carry")
    row = got.filter(base="BTC", long="binance", short="hyperliquid").row(0, named=True)
    binance, hyperliquid = (seven.filter(venue=v, coin="BTC") for v in ("binance", "hyperliquid"))
    hours = 364 * 24
    paid = hyperliquid["funding_rate"].sum() - binance["funding_rate"].sum()
    assert paid * 8760 / hours == pytest.approx(0.0466, abs=5e-5)
    assert row["true_apr"] == pytest.approx(
        paid * 8760 / hours, abs=1e-4
    )  # its first 8 h have no proven interval
    both = binance.join(hyperliquid, on="hour", suffix="_h")
    naive = (both["funding_rate_h"] - both["funding_rate"]).mean() * 3 * 365
    assert naive == pytest.approx(-0.0325, abs=5e-5)
    assert row["naive_apr"] == pytest.approx(naive, rel=1e-9)
    wrong = (both["funding_rate_h"] - both["funding_rate"]) * (
        both["funding_rate_h"] - both["funding_rate"] / 8
    ) < 0
    assert row["wrong_signs"] == wrong[1:].sum() == 728
    unlike = got.filter(unlike=1)
    assert (got.height, unlike.height) == (105, 62)
    assert unlike.filter(pl.col("true_apr") * pl.col("naive_apr") < 0).height == 40
    assert unlike.filter(pl.col("true_apr") * pl.col("sampled_apr") < 0).height == 1
    assert got.filter(unlike=0)["wrong_signs"].sum() == 0


@pytest.mark.slow
def test_shares_of_positive_payments_and_of_the_base_rate(made, seven, shared):
    got = table(made, "base_rate")
    # The first payment of a token has the interval of the even series after it.
    for name, base, known in (("bybit", 0.0001, 5_460), ("lighter", 0.000012, 9_692)):
        rates = seven.filter(venue=name)["funding_rate"]
        row = got.filter(data="seven exchanges", exchange=name).row(0, named=True)
        assert row["positive"] == pytest.approx((rates > 0).mean(), rel=1e-12)
        assert row["at_base"] == pytest.approx(((rates - base).abs() < 1e-11).sum() / known, rel=1e-12)
    month = pl.read_parquet(shared / "data" / HISTORY)["fundingRate"]
    row = got.filter(data="Hyperliquid, fundingHistory").row(0, named=True)
    assert (row["positive"], row["zero"]) == (
        pytest.approx((month > 0).mean()),
        pytest.approx((month == 0).mean()),
    )
    wide = got.filter(data="Hyperliquid, 219 coins").row(0, named=True)
    assert (wide["payments"], wide["markets"]) == (2_157_238, 219)
    raw = (
        pl.read_parquet(shared / "data" / ALL_COINS)
        .sort("generated_at")
        .unique(["coin", "timestamp"], keep="first")
    )
    hourly = raw.select(
        pl.coalesce(pl.col("fundingRate_percent") / 100, pl.col("fundingRate_annualized") / 876_000)
    )
    rates = hourly.to_series()
    assert wide["positive"] == pytest.approx((rates > 0).mean(), rel=1e-12)
    assert wide["at_base"] == pytest.approx(((rates - 0.0000125).abs() < 1.25e-11).mean(), rel=1e-12)


@pytest.mark.slow
def test_stamps_off_the_grid_and_what_an_exact_join_loses(made, seven, shared):
    got = table(made, "stamps")
    late = seven.with_columns(late=(pl.col("timestamp") - pl.col("hour")).dt.total_milliseconds())
    for name in ("binance", "dydx", "kraken"):
        row = got.filter(data="seven exchanges", exchange=name).row(0, named=True)
        mine = late.filter(venue=name)["late"]
        assert (row["off_grid"], row["latest_ms"]) == ((mine > 0).sum(), mine.max())
    mine, others = seven.filter(venue="binance"), seven.filter(pl.col("venue") != "binance")
    row = got.filter(data="seven exchanges", exchange="binance").row(0, named=True)
    assert row["hours_met"] == mine.join(others, on=["coin", "hour"]).height
    assert row["stamps_met"] == mine.join(others, on=["coin", "timestamp"]).height
    stamps = [
        pl.read_json(shared / "data" / file).select("time", hour=pl.col("time") // 3_600_000)
        for file in (BTC_BINANCE, BTC_2024)
    ]
    row = got.filter(data="answers, BTC", exchange="hyperliquid").row(0, named=True)
    assert row["hours_met"] == stamps[0].join(stamps[1], on="hour").height == 1_536
    assert row["stamps_met"] == stamps[0].join(stamps[1], on="time").height == 12


@pytest.mark.slow
def test_the_column_fits_the_settled_series_an_hour_later(made, seven, shared):
    got = table(made, "predicted")
    five = dict(got.filter(coins="5 coins").select("lag_hours", "correlation").iter_rows())
    assert max(five, key=five.__getitem__) == 1
    assert [round(five[lag], 2) for lag in range(-2, 3)] == [0.42, 0.47, 0.74, 0.94, 0.57]
    written = seven.filter(venue="hyperliquid", coin="BTC").select(hour="hour", column="funding_rate")
    answers = pl.read_json(shared / "data" / BTC_2024).select(
        hour=pl.from_epoch(pl.col("time") // 3_600_000 * 3600)
        .dt.cast_time_unit("us")
        .dt.replace_time_zone("UTC"),
        settled=pl.col("funding_rate").cast(float),
    )
    for lag in (0, 1):
        both = written.with_columns(pl.col("hour").dt.offset_by(f"{lag}h")).join(answers, on="hour")
        row = got.filter(coins="BTC, fundingHistory", lag_hours=lag).row(0, named=True)
        assert row["correlation"] == pytest.approx(both.select(pl.corr("column", "settled")).item(), rel=1e-9)
    assert "5 of 5 coins `shifted`" in printed(made, "predicted", "found")
    assert "5 of 5 `agree`. `import` refuses it" in printed(made, "predicted", "found")


@pytest.mark.slow
def test_every_rate_follows_from_its_premium(made, shared):
    got = table(made, "premium")
    assert got["matching"].to_list() == got["payments"].to_list() == [82, 212, 677, 22, 45, 12_192, 102_267]
    assert got["matching_today"].to_list() == [17, 81, 0, 22, 44, 12_192, 102_267]
    # By hand: -0.00091334 + 0.0003 = -0.00061334 (8 h, clamped); 0.00026996 / 8 = 0.00003375 (1 h, no clamp).
    rows = pl.read_json(shared / "data" / BTC_2023)
    written = {row["premium"]: row["fundingRate"] for row in rows.iter_rows(named=True)}
    assert written["-0.00091334"] == "-0.00061334"
    assert written["0.00026996"] == "0.00003375"


def test_an_unknown_name_or_no_data_is_refused_with_what_there_is(capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        main(["premiums"], tmp_path)
    assert stop.value.code == 2
    assert (
        "no reproduction is called premiums; there are interval_census, true_carry" in capsys.readouterr().err
    )
    assert main(["premium"], tmp_path / "nothing") == 1
    assert "is absent: the reproductions read the real series" in capsys.readouterr().err
