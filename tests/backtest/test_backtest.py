"""The backtest: the same as a plain reference on random worlds, no look-ahead, money kept, figures worked out by hand."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from fundingdb.backtest import FIGURES, Settings
from fundingdb.backtest.frames import result
from fundingdb.backtest.grids import axes_of, over_points
from fundingdb.backtest.running import checked, prepare, walk
from fundingdb.catalog import catalog
from fundingdb.errors import BadCall, BadWindow, UnknownName
from fundingdb.schema import FUNDING, MARKETS
from tests.backtest.backtest_reference import Reference

# some lakes here are empty on purpose
pytestmark = pytest.mark.filterwarnings("ignore::fundingdb.errors.NoRowsWarning")

T0 = datetime(2025, 1, 1, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATE = datetime(2099, 1, 1, tzinfo=UTC)
EXCHANGES = ("alpha", "beta", "gamma", "delta")
FEES = {
    "alpha": [(datetime(2024, 1, 1, tzinfo=UTC), 0.0005), (datetime(2025, 1, 3, tzinfo=UTC), 0.0003)],
    "beta": [(datetime(2024, 1, 1, tzinfo=UTC), 0.00045)],
    "gamma": [(datetime(2025, 1, 2, tzinfo=UTC), 0.0), (datetime(2025, 1, 4, tzinfo=UTC), 0.001)],
    "delta": [(datetime(2024, 6, 1, tzinfo=UTC), -0.0001)],
} | {f"{e}:xyz": [(datetime(2024, 1, 1, tzinfo=UTC), 0.0009)] for e in ("alpha", "beta", "gamma", "delta")}


def payment(
    exchange, base, hours, rate, interval=1.0, *, symbol=None, asset_class="crypto", rate_type="regular"
):
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
    """Whether some asset is on two exchanges in the span, or shortly before, so that a rate may count; else a run is refused."""
    longest = max((r["interval_hours"] or 0 for r in rows), default=0)
    reach = settings.start - (ceil(longest) + 1) * HOUR
    last = {}
    for r in rows:
        who = (r["base"], r["asset_class"], r["exchange"], r["symbol"])
        last.setdefault(who, []).append(r["funding_time"])
    on = {}
    for (base, asset_class, exchange, _), times in last.items():
        if max(times) > reach and min(times) <= settings.end:
            on.setdefault((base, asset_class), set()).add(exchange)
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
        (
            d["hour_at"],
            d["action"],
            (d["base"], d["asset_class"]),
            d["long_exchange"],
            d["short_exchange"],
            d["spread_apr"],
        )
        for d in got.decisions.iter_rows(named=True)
    ]
    assert told == want.decisions
    for row in got.equity.iter_rows(named=True):
        at = row["hour_at"]
        for kind in ("funding", "fees"):
            assert row[f"{kind}_usd"] == near(
                sum(b[4] for b in want.booked if b[0] == at and b[3] == kind), abs=1e-9
            )
        assert row["open_pairs"] == want.open_pairs[at]
    for row in got.daily.iter_rows(named=True):
        here = [
            b for b in want.booked if (b[0].date(), b[1], b[2]) == (row["day"], row["exchange"], row["leg"])
        ]
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


@effort(max_examples=25)
@given(seed=st.integers(0, 2**32), settings=asked(), as_of=AS_OF)
def test_the_compiled_core_agrees_with_the_plain_reference(lake, seed, settings, as_of):
    agrees(lake, seed, settings, as_of)


@pytest.mark.slow
@effort(max_examples=600)
@given(seed=st.integers(0, 2**32), settings=asked(), as_of=AS_OF)
def test_the_compiled_core_agrees_with_the_plain_reference_on_many_worlds(lake, seed, settings, as_of):
    agrees(lake, seed, settings, as_of)


# ---- what was known, what was paid


@pytest.mark.parametrize("seed", range(4))
def test_known_rates_are_those_of_the_view_and_settlements_those_of_the_lake(lake, seed):
    rows, delisted = world(seed)
    con, home = lake(rows, delisted, T0 + 70.5 * HOUR)
    seen = prepare(con, SETTINGS, home).world
    view = con.sql("select exchange, symbol, hour_at, rate_1h from funding_known_1h").pl()
    view = view.filter(pl.col("hour_at").is_between(SETTINGS.start, SETTINGS.end))
    told = {(e, s, at): rate for e, s, at, rate in view.iter_rows()}
    got, paid = {}, {}
    for m, (exchange, symbol) in enumerate(seen.markets.select("exchange", "symbol").iter_rows()):
        for h in range(seen.known.shape[1]):
            at = SETTINGS.start + h * HOUR
            if not np.isnan(seen.known[m, h]):
                got[exchange, symbol, at] = seen.known[m, h]
            paid[exchange, symbol, at] = seen.settled[m, h], seen.paid[m, h]
    assert got == told
    for r in rows:
        at = SETTINGS.start + max(0, -((SETTINGS.start - r["funding_time"]) // HOUR)) * HOUR
        where = (r["exchange"], r["symbol"], at)
        if at - HOUR < r["funding_time"] and where in paid:
            paid[where] = paid[where][0] - r["funding_rate"], paid[where][1] - 1
    assert max(abs(rate) for rate, _ in paid.values()) < 1e-15
    assert {count for _, count in paid.values()} == {0}


SETTINGS = Settings(T0, T0 + 90 * HOUR, 0.1, 0.0, hold_hours=3, switch_band_apr=0.05, max_pairs=2)


@effort(max_examples=10)
@given(seed=st.integers(0, 2**32), hour=st.integers(1, 89), how=st.sampled_from(["without", "other"]))
def test_no_row_after_an_hour_changes_a_decision_up_to_it(lake, seed, hour, how):
    rows, delisted = world(seed)
    until = T0 + hour * HOUR
    past = [r for r in rows if r["funding_time"] <= until]
    if not pairable(past, SETTINGS):
        return
    future = (
        []
        if how == "without"
        else [r | {"funding_rate": -3 * r["funding_rate"]} for r in rows if r not in past]
    )
    known = {m: at for m, at in delisted.items() if at <= until}
    whole, altered = (ran(lake, SETTINGS, r, d) for r, d in ((rows, delisted), (past + future, known)))
    for name, at in (("decisions", "hour_at"), ("equity", "hour_at")):
        same = [getattr(x, name).filter(pl.col(at) <= until) for x in (whole, altered)]
        assert same[0].equals(same[1])


def test_two_runs_over_the_same_rows_have_one_fingerprint_and_a_restated_row_another(lake):
    rows, _ = world(3)
    con, home = lake(rows)
    first = prepare(con, SETTINGS, home).fingerprint
    assert prepare(con, SETTINGS, home).fingerprint == first
    con, home = lake(rows[::-1])
    assert prepare(con, SETTINGS, home).fingerprint == first
    con, home = lake([rows[0] | {"funding_rate": 0.00077}, *rows[1:]])
    assert prepare(con, SETTINGS, home).fingerprint != first


# ---- figures by hand


def hourly(exchange, rates, start=0, **more):
    return [payment(exchange, "BTC", start + n, rate, **more) for n, rate in enumerate(rates)]


def test_a_trade_by_hand(lake):
    # known at T0: alpha 0.00001 an hour, beta 0.00008 / 8 h = 0.00001 ... until beta pays 0.0008 at T0+4 (0.0001 an hour)
    alpha = hourly("alpha", [1e-5] * 40)
    beta = [
        payment("beta", "BTC", at, rate, 8.0)
        for at, rate in ((-4, 8e-5), (4, 8e-4), (12, 8e-4), (20, 1.6e-4), (28, 8e-5))
    ]
    asked = Settings(T0, T0 + 38 * HOUR, 0.5, 0.15, hold_hours=3, notional_usd=10_000, slippage_bps=2)
    got = ran(lake, asked, alpha + beta)
    (trade,) = got.trades.to_dicts()
    assert (trade["long_exchange"], trade["short_exchange"]) == ("alpha", "beta")
    # in at T0+4, when the spread is first known; the 0.0008 paid at that very hour is not ours
    assert (trade["entered_at"], trade["entry_spread_apr"]) == (T0 + 4 * HOUR, (8e-4 / 8 - 1e-5) * 8760)
    # at T0+20 beta is known to pay 0.00002 an hour: 0.0876 a year, below the exit; its payment of that hour is ours
    assert (trade["exited_at"], trade["exit_reason"]) == (T0 + 20 * HOUR, "exit")
    assert trade["exit_spread_apr"] == pytest.approx(1e-5 * 8760)
    assert trade["long_funding_usd"] == pytest.approx(-16 * 0.1)  # 16 hours of 0.00001 on 10,000
    assert trade["short_funding_usd"] == pytest.approx(8 + 1.6)  # at T0+12 and T0+20
    # in on 2025-01-02 00:00, out at 16:00; alpha takes 0.0005 until 01-03, beta 0.00045; slippage 0.0002 four times
    assert trade["fees_usd"] == pytest.approx(-10_000 * (2 * 0.0005 + 2 * 0.00045 + 4 * 0.0002))
    assert trade["payments"] == 16 + 2
    assert got.summary["turnover_usd"] == 40_000
    kept(got)


def test_a_dated_fee_counts_from_its_day_on(lake):
    rates = hourly("alpha", [1e-5] * 60) + hourly("beta", [1e-4] * 60)
    (trade,) = ran(
        lake, Settings(T0, T0 + 50 * HOUR, 0.5, 0.0, notional_usd=1_000_000), rates
    ).trades.to_dicts()
    assert trade["exited_at"] == datetime(2025, 1, 3, 22, tzinfo=UTC)  # alpha's second fee holds from 01-03
    assert trade["fees_usd"] == pytest.approx(-1_000_000 * (0.0005 + 0.0003 + 2 * 0.00045))


def test_a_leg_that_stands_on_in_a_switch_is_not_traded(lake):
    rates = (
        hourly("alpha", [1e-5] * 30)
        + hourly("beta", [1e-4] * 30)
        + hourly("delta", [5e-5] * 10 + [3e-4] * 20)
    )
    asked = Settings(T0, T0 + 20 * HOUR, 0.5, 0.0, hold_hours=2, switch_band_apr=0.5, notional_usd=10_000)
    got = ran(lake, asked, rates)
    first, second = got.trades.to_dicts()
    assert (first["exit_reason"], second["entered_at"]) == ("switch", T0 + 10 * HOUR)
    assert first["fees_usd"] == pytest.approx(-5 - 4.5 - 4.5)  # in on both, out on beta
    assert second["fees_usd"] == pytest.approx(1 + 1 - 5)  # delta pays a rebate of 0.0001; out on alpha
    assert got.summary["turnover_usd"] == 60_000
    assert got.decisions["action"].to_list() == ["enter", "switch", "exit"]


def test_a_leg_unknown_for_a_day_is_given_up_and_one_hour_less_is_waited_for(lake):
    for hours, reason in ((23, "end"), (24, "missing")):
        alpha = [
            p
            for p in hourly("alpha", [1e-5] * 60)
            if not T0 + 5 * HOUR < p["funding_time"] <= T0 + (5 + hours) * HOUR
        ]
        got = ran(lake, Settings(T0, T0 + 40 * HOUR, 0.5, 0.0), alpha + hourly("beta", [1e-4] * 60))
        assert got.trades["exit_reason"][0] == reason
        assert got.trades["unknown_hours"][0] == 23
        assert any("unknown" in w for w in got.warnings)


def test_a_delisting_ends_a_trade_at_the_hour_at_which_it_is_known(lake):
    rates = hourly("alpha", [1e-5] * 60) + hourly("beta", [1e-4] * 60)
    got = ran(lake, Settings(T0, T0 + 40 * HOUR, 0.5, 0.0), rates, {("beta", "BTC"): T0 + 9.5 * HOUR})
    assert got.trades.select("exited_at", "exit_reason").rows() == [(T0 + 10 * HOUR, "delisted")]


# ---- what is refused, and what is told first


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"entry_apr": 0.1, "exit_apr": 0.2}, "entry_apr 0.1 is below exit_apr 0.2"),
        ({"entry_apr": -0.1, "exit_apr": -0.2}, "entry_apr -0.1: must be 0 or more"),
        ({"entry_apr": float("nan")}, "not a finite number"),
        ({"entry_apr": 5000.0}, "0.2 for 20 %"),
        ({"max_pairs": 0}, "1 or more"),
        ({"notional_usd": 0.0}, "must be above 0"),
        ({"switch_band_apr": 0.0}, "must be above 0"),
        ({"slippage_bps": -1.0}, "must be 0 or more"),
        ({"start": datetime(2025, 1, 1)}, "naive datetime"),  # noqa: DTZ001 - that is the fault
        ({"start": 1_735_689_600_000}, "looks like milliseconds"),
        ({"start": datetime(2025, 1, 1, 0, 30, tzinfo=UTC)}, "full hours"),
        ({"end": T0}, "start must be before end"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, words):
    with pytest.raises((BadCall, BadWindow), match=words):
        checked(replace(SETTINGS, **wrong))


def test_tokens_and_exchanges_that_cannot_be_traded_are_refused_by_name(lake):
    rows = (
        hourly("alpha", [1e-5] * 30)
        + hourly("beta", [1e-4] * 30)
        + [payment("alpha", "ETH", n, 1e-4) for n in range(30)]
    )
    asked = Settings(T0, T0 + 20 * HOUR, 0.5, 0.0)
    with pytest.raises(BadCall, match=r"nothing to pair: .*one exchange only in this span: ETH \(alpha\)"):
        ran(lake, replace(asked, tokens=("ETH",)), rows)
    with pytest.raises(UnknownName, match=r"unknown token 'BTX': did you mean BTC\?"):
        ran(lake, replace(asked, tokens=("BTX",)), rows)
    with pytest.raises(UnknownName, match="unknown exchange 'alfa': did you mean alpha"):
        ran(lake, replace(asked, exchanges=("alfa",)), rows)
    with pytest.raises(BadWindow, match="the lake has 2025-01-01 20:00Z .. 2025-01-03 01:00Z"):
        ran(
            lake,
            replace(asked, start=datetime(2024, 1, 1, tzinfo=UTC), end=datetime(2024, 6, 1, tzinfo=UTC)),
            rows,
        )
    with pytest.raises(BadCall, match=r"no taker fee is known for omega: .*--fees FILE"):
        ran(lake, asked, rows + hourly("omega", [1e-4] * 30))
    assert (
        ran(
            lake, replace(asked, exchanges=("alpha", "beta")), rows + hourly("omega", [1e-4] * 30)
        ).trades.height
        == 1
    )
    with pytest.raises(BadCall, match="no settled payment"):
        ran(lake, asked, [])


def test_what_is_missing_is_told_first(lake):
    beta = [p for p in hourly("beta", [1e-4] * 40) if not 10 <= (p["funding_time"] - T0) / HOUR < 15]
    rows = hourly("alpha", [1e-5] * 40) + beta + [payment("alpha", "ETH", n, 1e-4) for n in range(30)]
    rows += hourly("gamma", [1e-5] * 3, interval=None)
    told = "\n".join(ran(lake, Settings(T0 - 30 * HOUR, T0 + 80 * HOUR, 0.5, 0.0), rows).warnings)
    for words in (
        "1 token(s) on one exchange only, never paired: ETH (alpha)",
        "the data begins at 2025-01-01 20:00Z, 30 hours after the start",
        "the data ends at 2025-01-03 11:00Z, 41 hours before the end",
        "gamma: 3 payments of unknown interval on 1 market(s) move money but give no signal",
        "1 of 3 markets have holes: 5 hours in which no rate is known; the longest beta BTC, 5 hours from 2025-01-02 06:00Z",
        "taker fees before their first day are not known, that day's are used: gamma 0 from 2025-01-02",
        "ended because a leg's rate was unknown for 24 hours",
    ):
        assert words in told


def test_markets_of_a_dex_whose_fee_is_unknown_are_left_out_and_named(lake):
    rows = hourly("alpha", [1e-5] * 30) + hourly("beta", [1e-4] * 30)
    rows += hourly("gamma", [9e-4] * 30, symbol="abc:BTC")
    got = ran(lake, Settings(T0, T0 + 20 * HOUR, 0.5, 0.0), rows)
    assert got.trades["short_exchange"].to_list() == ["beta"]
    assert "left out: 1 markets of gamma:abc, whose taker fee is not known" in got.warnings[0]


def test_rates_equal_but_for_their_last_bits_do_not_end_a_trade(lake):
    # 0.0001 / 8 and 0.000012499999999999997 are one rate: a spread of -3e-17 is not below 0
    beta = hourly("beta", [1e-4] * 5 + [1.2499999999999997e-05] * 40)
    got = ran(
        lake, Settings(T0, T0 + 40 * HOUR, 0.5, 0.0, hold_hours=2), hourly("alpha", [1e-4 / 8] * 50) + beta
    )
    assert got.trades["exit_reason"].to_list() == ["end"]


# ---- grids


def test_a_point_of_a_grid_has_the_figures_of_a_run_of_its_own(lake):
    rows, delisted = world(11)
    con, home = lake(rows, delisted)
    ready = prepare(con, SETTINGS, home)
    axes = axes_of("entry=0.1:0.5:0.2,exit=0:0.2:0.1,max-pairs=1:2:1,hold=2h")
    table, notes = over_points(SETTINGS, axes, ready)
    assert table.height == 2 * (2 + 3 + 3)
    assert notes == ["2 of 18 points left out: their entry is below their exit"]
    for row in table.iter_rows(named=True):
        point = replace(SETTINGS, **{name: row[name] for name in axes})
        assert {name: row[name] for name in FIGURES} == result(
            point, ready, walk(ready, point, record=True)
        ).summary


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("entri=0.1", "did you mean entry"),
        ("entry", "write name=value"),
        ("entry=0.1:0.5", "write name=value"),
        ("entry=0.5:0.1:0.1", "not below the first"),
        ("entry=0.1:0.5:0", "the step must be above 0"),
        ("entry=0:1:0.00000001", "at most 10000 points"),
        ("entry=0.1,entry=0.2", "named twice"),
        ("entry=nan", "not a finite number"),
        ("entry=ten", "write name=value"),
    ],
)
def test_a_grid_that_cannot_be_read_is_refused(text, words):
    with pytest.raises(BadCall, match=words):
        axes_of(text)
