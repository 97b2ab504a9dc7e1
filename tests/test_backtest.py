"""The backtest: the same as a plain reference on random worlds, no look-ahead, money kept, figures worked out by hand."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from backtest_reference import Reference
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from fundingdb import catalog
from fundingdb.backtest import FIGURES, Settings
from fundingdb.backtest.frames import result
from fundingdb.backtest.running import checked, prepare, walk
from fundingdb.errors import BadCall, BadWindow, UnknownName
from fundingdb.schema import FUNDING, MARKETS, TABLES

T0 = datetime(2025, 1, 1, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATE = datetime(2099, 1, 1, tzinfo=UTC)
EXCHANGES = ("alpha", "beta", "gamma", "delta")
FEES = {
    "alpha": [(datetime(2024, 1, 1, tzinfo=UTC), 0.0005), (datetime(2025, 1, 3, tzinfo=UTC), 0.0003)],
    "beta": [(datetime(2024, 1, 1, tzinfo=UTC), 0.00045)],
    "gamma": [(datetime(2025, 1, 2, tzinfo=UTC), 0.0), (datetime(2025, 1, 4, tzinfo=UTC), 0.001)],
    "delta": [(datetime(2024, 6, 1, tzinfo=UTC), -0.0001)],
}


def payment(exchange, base, hours, rate, interval=1.0, *, symbol=None, asset_class="crypto", rate_type="regular"):
    """A row of the lake, `hours` after T0."""
    at = T0 + hours * HOUR
    return {
        "exchange": exchange, "source": exchange, "symbol": symbol or base, "base": base, "quote": "USDC",
        "asset_class": asset_class, "funding_time": at, "interval_hours": interval,
        "interval_from": "unknown" if interval is None else "declared", "funding_rate": rate,
        "rate_type": rate_type, "native_rate": rate, "mark_price": None, "index_price": None,
        "reported_time": at, "fetched_at": at,
    }  # fmt: skip


def frame(payments) -> pl.DataFrame:
    schema = {c: FUNDING.columns[c].dtype for c in FUNDING.columns if c != "month"}
    return FUNDING.check(pl.DataFrame(list(payments), schema=schema))


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """`lake(payments, delisted, as_of)` gives a connection whose views stand over these rows, and the folder with fees.csv."""
    home = tmp_path_factory.mktemp("lake")
    lines = [f"{e},base,{fee},{fee},{at:%Y-%m-%d}" for e, rows in FEES.items() for at, fee in rows]
    (home / "fees.csv").write_text("\n".join(["exchange,tier,taker,maker,effective_at", *lines]) + "\n")
    with catalog.connect(home) as con:

        def over(payments, delisted=None, as_of=LATE):
            gone = [(e, s, at) for (e, s), at in (delisted or {}).items()]
            schema = {n: MARKETS.columns[n].dtype for n in ("exchange", "symbol", "delisted_at")}
            con.register("given", frame(payments).to_arrow())
            con.register("gone", pl.DataFrame(gone, schema=schema, orient="row").to_arrow())
            con.sql("CREATE OR REPLACE VIEW lake_funding_first AS SELECT * FROM given")
            con.sql("CREATE OR REPLACE VIEW markets AS SELECT * FROM gone")
            con.sql(f"CREATE OR REPLACE MACRO lake_as_of() AS CAST('{as_of.isoformat()}' AS TIMESTAMPTZ)")
            return con, home

        yield over


def ran(lake, settings, payments, delisted=None, as_of=LATE):
    con, home = lake(payments, delisted, as_of)
    ready = prepare(con, settings, home)
    return result(settings, ready, walk(ready, settings, record=True))


# ---- the reference on random worlds

RATES = (-2e-4, -1e-4, -5e-5, 0.0, 1e-5, 1.25e-5, 5e-5, 1e-4, 1e-4, 3e-4)  # few, so that there are ties
ASSETS = (("BTC", "crypto"), ("CAT", "crypto"), ("CAT", "equity"))


def world(seed):
    """Payments of one or three assets on four exchanges over four days: holes, changes, specials, off-hour stamps."""
    roll = random.Random(seed)
    rows, delisted = [], {}
    for base, asset_class in ASSETS[: roll.choice([1, 3])]:
        for exchange in EXCHANGES:
            extra = [f"xyz:{base}-{asset_class}"] if roll.random() < 0.2 else []
            for symbol in [f"{base}-{asset_class}", *extra]:
                rows += series(roll, exchange, base, symbol, asset_class)
                if roll.random() < 0.15:
                    delisted[exchange, symbol] = T0 + roll.randint(-5, 90 * 4) * HOUR / 4
    return rows, delisted


def series(roll, exchange, base, symbol, asset_class):
    interval, offset = roll.choice([1.0, 1.0, 4.0, 8.0, 0.5]), roll.choice([0.0, 0.0, 0.0, 0.25, -0.5])
    at, rows = float(roll.randint(-9, 6)), []
    names = {"symbol": symbol, "asset_class": asset_class}
    while at < 90:
        event = roll.randint(0, 50)
        known = None if event == 1 else interval
        rows.append(payment(exchange, base, at + offset, roll.choice(RATES) * interval, known, **names))
        if event == 2:
            rows.append(payment(exchange, base, at + offset, 0.001, None, rate_type="special", **names))
        if event == 3:
            interval = roll.choice([1.0, 4.0, 8.0])
        at += interval * (roll.randint(2, 40) if event == 4 else 1)
        if event == 5 and roll.random() < 0.3:
            break
    return rows


@st.composite
def asked(draw):
    entry = draw(st.sampled_from([0.0, 0.1, 0.4, 0.8]))
    return Settings(
        start=T0,
        end=T0 + draw(st.sampled_from([1, 50, 90])) * HOUR,
        entry_apr=entry,
        exit_apr=draw(st.sampled_from([e for e in (-0.5, 0.0, 0.1, 0.4) if e <= entry])),
        hold_hours=draw(st.sampled_from([0.0, 3.0, 24.0, 2.5])),
        max_pairs=draw(st.sampled_from([None, 1, 2])),
        switch_band_apr=draw(st.sampled_from([None, 0.05, 0.5])),
        notional_usd=draw(st.sampled_from([1.0, 10_000.0])),
        slippage_bps=draw(st.sampled_from([0.0, 1.5])),
    )


def pairable(rows, settings) -> bool:
    """Whether some asset is on two exchanges in the span; else a run is refused."""
    on = {}
    for r in rows:
        if r["funding_time"] <= settings.end:
            on.setdefault((r["base"], r["asset_class"]), set()).add(r["exchange"])
    return any(len(exchanges) > 1 for exchanges in on.values())


def agrees(lake, seed, settings, as_of):
    rows, delisted = world(seed)
    if not rows or not pairable(rows, settings):
        return
    got = ran(lake, settings, rows, delisted, as_of)
    want = Reference(rows, delisted, FEES, settings, as_of)
    near = pytest.approx
    assert got.trades.height == len(want.trades)
    for row, t in zip(got.trades.iter_rows(named=True), want.trades, strict=True):
        assert (row["base"], row["asset_class"]) == t.asset
        assert (row["long_exchange"], row["long_symbol"]) == t.long
        assert (row["short_exchange"], row["short_symbol"]) == t.short
        assert (row["entered_at"], row["exited_at"], row["exit_reason"]) == (t.entered, t.exited, t.reason)
        assert (row["payments"], row["unknown_hours"]) == (t.payments, t.unknown)
        assert row["held_hours"] == (t.exited - t.entered) / HOUR
        assert (row["entry_spread_apr"], row["exit_spread_apr"]) == (t.entry_spread, t.exit_spread)
        assert row["long_funding_usd"] == near(t.cash["long"], abs=1e-9)
        assert row["short_funding_usd"] == near(t.cash["short"], abs=1e-9)
        assert row["fees_usd"] == near(t.fees, abs=1e-9)
    told = [
        (d["hour_at"], d["action"], (d["base"], d["asset_class"]), d["long_exchange"], d["short_exchange"], d["spread_apr"])
        for d in got.decisions.iter_rows(named=True)
    ]
    assert told == [d[:6] for d in want.decisions]
    for row in got.equity.iter_rows(named=True):
        at = row["hour_at"]
        for kind in ("funding", "fees"):
            assert row[f"{kind}_usd"] == near(sum(b[4] for b in want.booked if b[0] == at and b[3] == kind), abs=1e-9)
        assert row["open_pairs"] == want.open_pairs[at]
    for row in got.daily.iter_rows(named=True):
        here = [b for b in want.booked if (b[0].date(), b[1], b[2]) == (row["day"], row["exchange"], row["leg"])]
        for kind in ("funding", "fees"):
            assert row[f"{kind}_usd"] == near(sum(b[4] for b in here if b[3] == kind), abs=1e-9)
    kept(got)
    assert got.summary["turnover_usd"] == near(want.fills * settings.notional_usd)


def kept(got):
    """Money is neither made nor lost between the tables."""
    net, near = got.summary["net_usd"], pytest.approx
    assert got.trades["net_usd"].sum() == near(net, abs=1e-8)
    assert got.equity["equity_usd"][-1] == near(net, abs=1e-8)
    assert got.daily["net_usd"].sum() == near(net, abs=1e-8)
    assert got.daily["fees_usd"].sum() == near(got.trades["fees_usd"].sum(), abs=1e-8)
    assert got.summary["held_hours"] == got.equity["open_pairs"].sum()
    legs = 2 * got.settings.notional_usd * got.equity["open_pairs"][:-1].mean()
    assert got.exposure["mean_usd"].sum() == near(legs, abs=1e-6)


AS_OF = st.sampled_from([LATE, LATE, T0 + 40 * HOUR, T0 + 40.5 * HOUR])


@effort(max_examples=40)
@given(seed=st.integers(0, 2**32), settings=asked(), as_of=AS_OF)
def test_the_compiled_core_agrees_with_the_plain_reference(lake, seed, settings, as_of):
    agrees(lake, seed, settings, as_of)


@pytest.mark.slow
@effort(max_examples=600)
@given(seed=st.integers(0, 2**32), settings=asked(), as_of=AS_OF)
def test_the_compiled_core_agrees_with_the_plain_reference_on_many_worlds(lake, seed, settings, as_of):
    agrees(lake, seed, settings, as_of)
