"""The view identity_checks, and what it takes out of the spreads: only co-movement tells one thing from another."""

import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from math import exp

import polars as pl
import pytest

from fundingdb.catalog import catalog
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING, SNAPSHOTS

T0 = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = 24


def walk(seed, size=0.005, start=100.0, hours=HOURS):
    chance, price, got = random.Random(seed), start, []
    for _ in range(hours):
        price *= exp(chance.gauss(0, size))
        got.append(price)
    return got


def shown(exchange, base, prices, depth, *, symbol=None, late=0):
    rows = [
        {c: None for c in SNAPSHOTS.schema if c != "month"}
        | {
            "exchange": exchange,
            "source": exchange,
            "symbol": symbol or base,
            "base": base,
            "asset_class": "crypto",
            "observed_at": T0 + n * HOUR + timedelta(minutes=10 + late),
            "mark_price": price,
            "open_interest_usd": depth,
        }
        for n, price in enumerate(prices)
    ]
    return pl.DataFrame(rows, schema={c: t for c, t in SNAPSHOTS.schema.items() if c != "month"})


def paid(exchange, base, rate):
    rows = [
        {
            "exchange": exchange,
            "source": exchange,
            "symbol": base,
            "base": base,
            "quote": None,
            "asset_class": "crypto",
            "funding_time": T0 + n * HOUR,
            "interval_hours": 1.0,
            "interval_from": "row",
            "funding_rate": rate,
            "rate_type": "regular",
            "native_rate": rate,
            "mark_price": None,
            "index_price": None,
            "reported_time": T0 + n * HOUR,
            "fetched_at": T0 + 90 * HOUR,
        }
        for n in range(HOURS)
    ]
    return pl.DataFrame(rows, schema={c: t for c, t in FUNDING.schema.items() if c != "month"})


def times(prices, factor, seed=None):
    noise = random.Random(seed)
    return [p * factor * exp(noise.gauss(0, 0.0004)) for p in prices]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """`deep` leads each asset; what `thin` lists under its name is what the base says."""
    one, calm = walk(1), walk(2, size=0.00001)
    cases = {
        "FITS": times(one, 1.02, 3),
        "SCALE": times(one, 1000, 4),
        "TRACKS": times(one, 1.5, 5),
        "OTHER": walk(6, start=0.3),
        "OTHERTEN": walk(7, start=one[0] * 1000),  # near a power of ten, and another thing
        "STUCK": [7.0] * HOURS,
        "FEW": times(one, 3, 8)[:6],
    }
    frames = [shown("deep", base, one, 1e6) for base in (*cases, "LATE")]
    frames += [shown("thin", base, prices, 1e3) for base, prices in cases.items()]
    frames += [shown("thin", "LATE", walk(9), 1e3, late=20)]
    frames[-1] = frames[-1].with_columns(pl.col("mark_price") * 9)
    frames += [shown("deep", "CALM", calm, 1e6), shown("thin", "CALM", times(calm, 1000)[::-1], 1e3)]
    funding = [
        paid(e, b, r)
        for b in ("OTHER", "SCALE", "FITS")
        for e, r in (("deep", 1e-5), ("mid", 2e-5), ("thin", 9e-5))
    ]
    home = tmp_path_factory.mktemp("identity")
    Lake(home).upsert("snapshots", SNAPSHOTS.check(pl.concat(frames)))
    Lake(home).upsert("funding", FUNDING.check(pl.concat(funding)))
    return home


def test_verdicts_come_from_co_movement_alone(warehouse):
    with catalog.connect(warehouse) as con:
        got = {r["base"]: r for r in con.sql("from identity_checks").pl().rows(named=True)}
    assert {base: row["verdict"] for base, row in got.items()} == {
        "SCALE": "scale",
        "TRACKS": "tracks",
        "OTHER": "mismatch",
        "OTHERTEN": "mismatch",
        "STUCK": "unverified",
        "FEW": "unverified",
        "LATE": "unverified",
        "CALM": "unverified",
    }
    assert {(r["exchange"], r["deepest_exchange"]) for r in got.values()} == {("thin", "deep")}
    assert got["SCALE"]["ratio"] == pytest.approx(1000, rel=0.01)
    assert got["SCALE"]["moves"] == HOURS - 1
    assert got["LATE"]["moves"] == 0
    assert "moves unlike deep OTHER" in got["OTHER"]["reason"]


def test_a_mismatched_member_is_in_no_spread_and_a_scaled_one_stays(warehouse):
    with catalog.connect(warehouse) as con:
        for view in ("spreads", "best_spreads"):
            got = con.sql(
                f"select base, long_exchange, short_exchange, count(*) from {view} group by all"
            ).fetchall()
            assert {(low, high) for base, low, high, _ in got if base == "OTHER"} == {("deep", "mid")}, view
            assert ("SCALE", "deep", "thin", HOURS) in got, view
            assert ("FITS", "deep", "thin", HOURS) in got, view
        exchanges = con.sql("select base, max(exchanges) from best_spreads group by 1 order by 1").fetchall()
    assert exchanges == [("FITS", 3), ("OTHER", 2), ("SCALE", 3)]


def test_the_spreads_verb_leaves_it_out_and_says_why(warehouse):
    command = [sys.executable, "-m", "fundingdb", "spreads", "--json", "--at", "2026-01-05T05:00Z"]
    done = subprocess.run(
        [*command, "--warehouse", str(warehouse)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = {row["base"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert (rows["OTHER"]["short_exchange"], rows["FITS"]["short_exchange"]) == ("mid", "thin")
    assert "left out: thin OTHER is not the OTHER of the others: moves unlike deep OTHER" in done.stderr


def test_real_hours_of_seven_exchanges_find_the_missing_multipliers_and_call_no_coin_another_thing(
    shared, tmp_path
):
    """The files name 1000NEIROUSDT and 1000TOSHIUSDT by the coin but keep the price; LISTA stood still on Hyperliquid."""
    names = ("2026-01-02T20_2026-01-03T02", "2026-01-04T12_2026-01-04T18")
    rows = pl.concat(
        [pl.read_parquet(shared / f"data/cross_venue/market_history_11venues_{n}.parquet") for n in names]
    )
    rows = rows.filter(
        pl.col("exchange").is_in(
            ["hyperliquid", "aster", "paradex", "edgex", "extended", "pacifica", "lighter"]
        ),
        pl.col("avg_mark_price") > 0,
        pl.col("normalized_symbol").n_unique().over("exchange", "normalized_symbol", "hour_timestamp") == 1,
    ).unique(["exchange", "symbol", "hour_timestamp"])
    given = rows.select(
        exchange="exchange",
        source="exchange",
        symbol="symbol",
        base="normalized_symbol",
        asset_class=pl.lit("crypto"),
        observed_at=pl.from_epoch("hour_timestamp", "s")
        .dt.replace_time_zone("UTC")
        .cast(SNAPSHOTS.schema["observed_at"]),
        mark_price="avg_mark_price",
        open_interest_usd="avg_open_interest_usd",
    )
    missing = [
        pl.lit(None, t).alias(c) for c, t in SNAPSHOTS.schema.items() if c not in {*given.columns, "month"}
    ]
    Lake(tmp_path).upsert("snapshots", SNAPSHOTS.check(given.with_columns(missing)))
    with catalog.connect(tmp_path) as con:
        got = con.sql(
            "select base, exchange, verdict, round(ratio, 3) from identity_checks order by 1, 2"
        ).fetchall()
    assert got == [
        ("LISTA", "hyperliquid", "unverified", 0.707),
        ("NEIRO", "aster", "scale", 0.001),
        ("TOSHI", "aster", "scale", 0.001),
    ]
