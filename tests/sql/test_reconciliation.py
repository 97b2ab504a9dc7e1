"""The views reconciliation and reconciliation_summary: seeded faults are named, clean real series are not."""

import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fundingdb.catalog import catalog
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING, SNAPSHOTS
from tests.real_data import LEARNED, hyperliquid_all, seven_venues

T0 = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def series(n=200, seed=1):
    """Rates with half their mass at a base rate, in 8 decimals, and a price that moves by a few percent a day."""
    chance, rates, prices, price = random.Random(seed), [], [], 3000.0
    for _ in range(n):
        rates.append(1.25e-5 if chance.random() < 0.5 else round(chance.gauss(0, 6e-5), 8))
        price *= 1 + chance.gauss(0, 0.01)
        prices.append(price)
    return rates, prices


def wrong(fault, rates, prices):
    factor = {"x8": 8, "/8": 1 / 8, "x24": 24, "/24": 1 / 24, "x100": 100, "/100": 1 / 100, "sign": -1}
    if fault in factor:
        return [r * factor[fault] for r in rates]
    return {
        "agree": rates,
        "price-scaled": [r * p for r, p in zip(rates, prices, strict=True)],
        "divided by price": [r / p for r, p in zip(rates, prices, strict=True)],
        "one earlier": [*rates[1:], 0.0],
        "one later": [0.0, *rates[:-1]],
        "rounded": [round(r, 6) for r in rates],
        "unlike": series(len(rates), seed=2)[0],
        "no sign": [abs(r) for r in rates],
        "percent from the middle on": [r * (100 if n >= 100 else 1) for n, r in enumerate(rates)],
        "one row wrong": [r * (100 if n == 9 else 1) for n, r in enumerate(rates)],
    }[fault]


NAMED = {
    **{f: f for f in ("agree", "x8", "/8", "x24", "/24", "x100", "/100", "sign", "price-scaled", "rounded", "unlike")},
    "divided by price": "price-scaled",
    "one earlier": "shifted",
    "one later": "shifted",
    "no sign": "sign",
    "percent from the middle on": "x100",
    "one row wrong": "agree",
}  # fmt: skip


def settled(symbol, rates, *, source="import", hours=1.0, base=None, prices=None, exchange="venue"):
    rows = [
        {
            "exchange": exchange,
            "source": source,
            "symbol": symbol,
            "base": base or symbol,
            "quote": "USDC",
            "asset_class": "crypto",
            "funding_time": T0 + n * HOUR * (hours or 8),
            "interval_hours": hours,
            "interval_from": "unknown" if hours is None else "row",
            "funding_rate": rate,
            "rate_type": "regular",
            "native_rate": rate,
            "mark_price": prices[n] if prices else None,
            "index_price": None,
            "reported_time": None,
            "fetched_at": LEARNED,
        }
        for n, rate in enumerate(rates)
    ]
    return pl.DataFrame(rows, schema={c: t for c, t in FUNDING.schema.items() if c != "month"}).with_columns(
        reported_time="funding_time"
    )


def shown(symbol, rates, *, source="venue", base=None, prices=None, step=None, hours=1.0, before=30):
    """Snapshots `before` minutes before each full hour from T0 on."""
    rows = [
        {c: None for c in SNAPSHOTS.schema if c != "month"}
        | {
            "exchange": "venue",
            "source": source,
            "symbol": symbol,
            "base": base or symbol,
            "asset_class": "crypto",
            "observed_at": T0 + n * HOUR - timedelta(minutes=before),
            "funding_rate": rate,
            "interval_hours": hours,
            "rate_step": step,
            "mark_price": prices[n] if prices else None,
        }
        for n, rate in enumerate(rates)
    ]
    return pl.DataFrame(rows, schema={c: t for c, t in SNAPSHOTS.schema.items() if c != "month"})


def lake(folder, funding=(), snapshots=()):
    made = Lake(folder)
    for table, frames in ((FUNDING, funding), (SNAPSHOTS, snapshots)):
        if frames:
            made.upsert(table.name, table.check(pl.concat(frames)))
    return folder


def summary(folder):
    with catalog.connect(folder) as con:
        return con.sql("from reconciliation_summary order by symbol").pl()


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    funding = []
    for fault in NAMED:
        rates, prices = series()
        funding.append(settled(fault, rates, source="venue", prices=prices))
        funding.append(settled(fault, wrong(fault, rates, prices)))
    return lake(tmp_path_factory.mktemp("seeded"), funding)


def test_a_fault_of_a_second_source_is_named(seeded):
    got = {row["symbol"]: row for row in summary(seeded).rows(named=True)}
    assert {symbol: row["verdict"] for symbol, row in got.items()} == NAMED
    assert {(row["left_source"], row["right_source"]) for row in got.values()} == {("import", "venue")}
    assert got["agree"]["agreeing"] == got["agree"]["compared"] == 200
    assert got["x8"]["ratio"] == pytest.approx(8)
    half = got["percent from the middle on"]
    assert 90 <= half["faulty"] <= 100 <= half["agreeing"]
    assert got["one row wrong"]["other"] == 1


def test_a_row_tells_ratio_and_steps(seeded):
    with catalog.connect(seeded) as con:
        got = (
            con.sql("from reconciliation where symbol = 'x100' and verdict = 'x100'").pl().row(0, named=True)
        )
        alone = con.sql("from reconciliation where symbol = 'one row wrong' and verdict <> 'agree'").pl()
    assert got["ratio"] == pytest.approx(100)
    assert got["basis"] == "hour"
    assert got["step"] == 1e-6  # of the coarser: all its figures keep to 6 decimals
    assert got["steps"] == pytest.approx(99 * got["right_rate"] / 1e-6)
    assert alone["verdict"].to_list() == ["x100"]
    assert alone["funding_time"].to_list() == [T0 + 9 * HOUR]


def test_a_fault_of_predictions_is_named_though_they_move(tmp_path):
    funding, snapshots, noise = [], [], random.Random(3)
    faults = ("agree", "x8", "/8", "x24", "x100", "sign", "price-scaled", "one later")
    for fault in faults:
        rates, prices = series()
        near = [r if fault == "one later" else r * noise.uniform(0.85, 1.15) for r in rates]
        funding.append(settled(fault, rates, source="venue"))
        snapshots.append(shown(fault, wrong(fault, near, prices), prices=prices))
    got = summary(lake(tmp_path, funding, snapshots))
    assert got["left_kind"].unique().to_list() == ["predicted"]
    assert dict(got.select("symbol", "verdict").rows()) == {f: NAMED[f] for f in faults}


def test_only_the_last_snapshot_of_the_hour_before_counts(tmp_path):
    rates, _ = series(20)
    early = shown("A", [9.0] * 20, before=50)
    folder = lake(tmp_path, [settled("A", rates, source="venue")], [early, shown("A", rates, before=1)])
    got = summary(folder).row(0, named=True)
    assert (got["verdict"], got["compared"], got["agreeing"]) == ("agree", 20, 20)


def test_an_aggregator_with_names_of_its_own_is_matched_where_the_asset_is_unique(tmp_path):
    rates, _ = series(40)
    percent = [r * 100 for r in rates]
    funding = [
        settled(s, rates, source="venue", base=b) for s, b in (("LIT", "LIT"), ("A1", "A"), ("A2", "A"))
    ]
    snapshots = [
        shown(s, percent, source="coingecko", base=b, step=1e-8, hours=None)
        for s, b in (("LIT-USD", "LIT"), ("A-USD", "A"))
    ]
    got = summary(lake(tmp_path, funding, snapshots))
    assert got.select("left_symbol", "symbol", "verdict").rows() == [("LIT-USD", "LIT", "x100")]


def test_what_its_coarse_step_cannot_tell_is_rounded_and_no_fault(tmp_path):
    rates, _ = series(100)
    coarse = [round(r, 5) for r in rates]
    folder = lake(
        tmp_path, [settled("A", rates, source="venue")], [shown("A", coarse, source="coingecko", step=1e-5)]
    )
    got = summary(folder).row(0, named=True)
    assert (got["verdict"], got["agreeing"]) == ("rounded", 100)


def test_a_wrong_interval_shows_as_its_factor(tmp_path):
    rates, _ = series(100)
    once, eight = settled("A", rates, source="venue", hours=8.0), settled("A", rates, hours=8.0)
    mistaken = eight.with_columns(interval_hours=pl.lit(1.0))
    unknown = settled("A", rates, hours=None, source="other")
    got = summary(lake(tmp_path, [once, mistaken, unknown]))
    verdicts = {(r["left_source"], r["right_source"]): r["verdict"] for r in got.rows(named=True)}
    assert verdicts["import", "venue"] == "x8"
    assert verdicts["other", "venue"] == "agree"  # payment beside payment


def test_too_few_payments_name_nothing(tmp_path):
    rates = [2e-5 + n * 1e-6 for n in range(5)]
    folder = lake(tmp_path, [settled("A", rates, source="venue"), settled("A", [8 * r for r in rates])])
    assert summary(folder)["verdict"].to_list() == ["unclear"]


# ---- real series


def history_file(shared):
    rows = pl.read_parquet(
        shared / "data/large/hyperliquid_fundingHistory_all_coins_2024-10-25_2024-11-24.parquet"
    )
    at = pl.from_epoch("time", "ms").dt.replace_time_zone("UTC").cast(FUNDING.schema["reported_time"])
    rate = pl.col("fundingRate").cast(pl.Float64)
    return rows.select(
        exchange=pl.lit("hyperliquid"),
        source=pl.lit("hyperliquid"),
        symbol="coin",
        base="coin",
        quote=pl.lit("USDC"),
        asset_class=pl.lit("crypto"),
        funding_time=at.dt.truncate("1h"),
        interval_hours=pl.lit(1.0),
        interval_from=pl.lit("declared"),
        funding_rate=rate,
        rate_type=pl.lit("regular"),
        native_rate=rate,
        mark_price=pl.lit(None, pl.Float64),
        index_price=pl.lit(None, pl.Float64),
        reported_time=at,
        fetched_at=pl.lit(LEARNED, FUNDING.schema["fetched_at"]),
    )


FIVE = ["BTC", "ETH", "SOL", "HYPE", "DOGE"]


@pytest.fixture(scope="module")
def year(shared):
    return hyperliquid_all(shared).with_columns(source=pl.lit("hyperliquid")).drop("month")


@pytest.mark.slow
def test_two_real_sources_of_all_coins_agree_in_every_row(shared, tmp_path):
    month = hyperliquid_all(shared).filter(pl.col("funding_time") < datetime(2024, 11, 25, tzinfo=UTC))
    got = summary(lake(tmp_path, [history_file(shared), month.drop("month")]))
    assert got["verdict"].unique().to_list() == ["agree"]
    assert (got.height, got["compared"].sum(), got["agreeing"].sum()) == (145, 101_841, 101_841)


@pytest.mark.slow
def test_a_prediction_kept_as_settled_is_named_shifted_and_is_none_where_it_is_a_prediction(
    shared, tmp_path, year
):
    five = year.filter(pl.col("symbol").is_in(FIVE))
    sampled = seven_venues(shared).filter(pl.col("exchange") == "hyperliquid").drop("month")
    got = summary(lake(tmp_path / "settled", [five, sampled]))
    assert got.select("symbol", "verdict").rows() == [(coin, "shifted") for coin in sorted(FIVE)]
    assert (got["error_shifted"] < 0.6 * got["error"]).all()
    seen = sampled.select(
        exchange="exchange", source=pl.lit("hyperliquid"), symbol="symbol", base="base", quote="quote",
        asset_class="asset_class", observed_at="funding_time", funding_rate="funding_rate",
        interval_hours="interval_hours", native_rate="native_rate",
    )  # fmt: skip
    missing = [
        pl.lit(None, t).alias(c) for c, t in SNAPSHOTS.schema.items() if c not in {*seen.columns, "month"}
    ]
    got = summary(lake(tmp_path / "predicted", [five], [seen.with_columns(missing)]))
    assert got.select("symbol", "left_kind", "verdict").rows() == [
        (coin, "predicted", "agree") for coin in sorted(FIVE)
    ]


@pytest.mark.slow
def test_hourly_predictions_of_all_coins_name_no_fault(shared, tmp_path, year):
    days = year.filter(
        pl.col("funding_time").is_between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC))
    )
    files = sorted((shared / "data/cross_venue").glob("market_history_11venues_*.parquet"))
    rows = pl.concat([pl.read_parquet(file) for file in files]).filter(pl.col("exchange") == "hyperliquid")
    hour = (
        pl.from_epoch("hour_timestamp", "s").dt.replace_time_zone("UTC").cast(SNAPSHOTS.schema["observed_at"])
    )
    seen = rows.select(
        exchange="exchange", source="exchange", symbol="symbol", base="symbol", asset_class=pl.lit("crypto"),
        observed_at=hour + timedelta(minutes=30), funding_rate="avg_funding_rate", interval_hours=pl.lit(1.0),
        mark_price="avg_mark_price",
    )  # fmt: skip
    missing = [
        pl.lit(None, t).alias(c) for c, t in SNAPSHOTS.schema.items() if c not in {*seen.columns, "month"}
    ]
    got = summary(lake(tmp_path, [days], [seen.with_columns(missing)]))
    assert got.height == 187
    assert set(got["verdict"]) == {"agree", "unclear"}


def test_binance_from_two_files_agrees_under_two_names(shared, tmp_path):
    rows = pl.read_parquet(shared / "data/large/binance_usdm_symbols_0-L_2026-01_2026-03.parquet")
    at = pl.from_epoch("timestamp", "ms").dt.replace_time_zone("UTC").cast(FUNDING.schema["reported_time"])
    other = rows.filter(pl.col("symbol").is_in([f"{c}USDT" for c in FIVE])).select(
        *(pl.lit(v).alias(c) for c, v in (("exchange", "binance"), ("source", "binance"))),
        "symbol",
        base=pl.col("symbol").str.strip_suffix("USDT"),
        quote=pl.lit("USDT"),
        asset_class=pl.lit("crypto"),
        funding_time=at.dt.truncate("1h"),
        interval_hours=pl.lit(None, pl.Float64),
        interval_from=pl.lit("unknown"),
        funding_rate=pl.col("funding_rate").cast(pl.Float64),
        rate_type=pl.lit("regular"),
        native_rate=pl.col("funding_rate").cast(pl.Float64),
        mark_price=pl.lit(None, pl.Float64),
        index_price=pl.lit(None, pl.Float64),
        reported_time=at,
        fetched_at=pl.lit(LEARNED, FUNDING.schema["fetched_at"]),
    )
    got = summary(lake(tmp_path, [other, seven_venues(shared).drop("month")]))
    assert got.height >= 4
    assert got["verdict"].unique().to_list() == ["agree"]
    assert (got["agreeing"] == got["compared"]).all()
    assert (got["left_symbol"] + "USDT" == got["symbol"]).all()


@pytest.mark.slow
def test_faults_seeded_into_real_series_are_named(tmp_path, year):
    month = year.filter(
        pl.col("symbol").is_in(FIVE),
        pl.col("funding_time").is_between(datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)),
    ).sort("symbol", "funding_time")
    rate = pl.col("funding_rate")
    price = 2000 + pl.col("funding_time").rank().over("symbol")
    faults = {
        "x8": rate * 8, "/8": rate / 8, "x24": rate * 24, "x100": rate * 100, "sign": -rate, "price-scaled": rate * price,
        "shifted": rate.shift(1).over("symbol").fill_null(0), "rounded": rate.round(6),
        "unlike": rate.reverse().over("symbol"),
    }  # fmt: skip
    for fault, made in faults.items():
        second = month.with_columns(source=pl.lit("import"), funding_rate=made, mark_price=price)
        got = summary(lake(tmp_path / fault.replace("/", "by"), [month, second]))
        assert got.select("symbol", "verdict").rows() == [(coin, fault) for coin in sorted(FIVE)], fault


# ---- the verb


def reconcile(folder, *args):
    command = [sys.executable, "-m", "fundingdb", "reconcile", "--warehouse", str(folder), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_the_verb_names_faults_and_ends_with_3(seeded):
    done = reconcile(seeded)
    assert done.returncode == 3, done.stderr
    assert "price-scaled" in done.stdout
    rows = [json.loads(line) for line in reconcile(seeded, "--json").stdout.splitlines()]
    assert {row["symbol"]: row["verdict"] for row in rows} == NAMED
    each = [
        json.loads(line)
        for line in reconcile(seeded, "--json", "--rows", "--tokens", "sign").stdout.splitlines()
    ]
    assert {row["verdict"] for row in each} == {"sign"}


def test_the_verb_ends_with_0_where_all_agree(seeded):
    done = reconcile(seeded, "--tokens", "agree,rounded")
    assert done.returncode == 0
    assert "no fault" in done.stderr
