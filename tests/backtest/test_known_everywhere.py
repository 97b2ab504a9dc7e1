"""How long a settled rate counts as known is one rule: views, provider, backtest and plain Python agree on random worlds."""

from datetime import datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fundingdb.backtest import core, world
from fundingdb.catalog import catalog
from fundingdb.provider.lake_view import LakeView
from fundingdb.provider.loading import Loaded
from fundingdb.provider.names import Chosen
from fundingdb.provider.pairs import best_pair
from fundingdb.provider.provider import FundingRateBacktestDataProvider
from fundingdb.window import Window
from tests.paid_rows import HOUR, T0, payment, rows

# some lakes here are empty on purpose
pytestmark = pytest.mark.filterwarnings("ignore::fundingdb.errors.NoRowsWarning")

EXCHANGES, TOKENS, HOURS = "abc", "XY", 30
STOP = T0 + HOURS * HOUR
# every market is in the lake, with a rate that is no longer known at T0, at a minute that no other payment has
BEFORE = [payment(e, s, -73 / 60, 0.5) for e in EXCHANGES for s in TOKENS]

RATES = st.sampled_from([-0.3, -0.1, 0.0, 0.1, 0.1, 0.2, 0.4])
INTERVALS = st.sampled_from([1.0, 1.0, 4.0, 8.0, 0.5, 1 / 3, None])
STAMPS = st.integers(-9 * 6, HOURS * 6).map(lambda tens: tens / 6) | st.integers(-18, 2 * HOURS).map(
    lambda halves: halves / 2
)
LATE = st.sampled_from([0.0, 0.0, 0.0, 0.185, 5e-6])  # seconds after the settlement


@st.composite
def paid(draw):
    interval = draw(INTERVALS)
    kind = draw(st.sampled_from(["regular"] * 9 + ["special"]))
    hours = draw(STAMPS) + draw(LATE) / 3600
    rate = draw(RATES) * (interval or 1.0)
    return payment(
        draw(st.sampled_from(EXCHANGES)), draw(st.sampled_from(TOKENS)), hours, rate, interval, rate_type=kind
    )


WORLDS = st.lists(
    paid(), max_size=60, unique_by=lambda p: (p["exchange"], p["symbol"], p["funding_time"], p["rate_type"])
).map(lambda some: [*BEFORE, *some])
INSTANTS = st.lists(
    st.integers(0, HOURS * 3600 * 4).map(lambda quarters: T0 + timedelta(seconds=quarters / 4))
    | st.integers(0, HOURS * 6).map(
        lambda tens: T0 + timedelta(minutes=10 * tens) - timedelta(microseconds=1)
    ),
    max_size=20,
)


def known(some, exchange, token, at: datetime) -> float | None:
    """The rate per hour by the rule, read off the list of payments."""
    mine = [p for p in some if (p["exchange"], p["symbol"], p["rate_type"]) == (exchange, token, "regular")]
    earlier = [p for p in mine if p["funding_time"] <= at]
    if not earlier:
        return None
    last = max(earlier, key=lambda p: p["funding_time"])
    hours = last["interval_hours"]
    if hours is None or at >= last["funding_time"] + timedelta(hours=hours):
        return None
    return last["funding_rate"] / hours


@cache
def connection():
    return catalog.connect("/nowhere")


def over(some):
    con = connection()
    con.register("given", rows(*some).to_arrow())
    for name, kept in (("lake_funding", "true"), ("lake_funding_first", "true")):
        con.sql(f"create or replace view {name} as select * from given where {kept}")
    provider = FundingRateBacktestDataProvider()
    provider._rows = Loaded(LakeView({}, con=con), Window(T0, STOP), Chosen())
    return con, provider


def widest(some, token, at):
    """(spread, long, short, exchanges) of an hour: the lowest rate, first by name, against the highest, last by name."""
    rates = [(r, e) for e in EXCHANGES if (r := known(some, e, token, at)) is not None]
    if len(rates) < 2:
        return None
    return max(rates)[0] - min(rates)[0], min(rates)[1], max(rates)[1], len(rates)


@settings(max_examples=25, deadline=None)
@given(WORLDS)
@example(
    [
        *BEFORE,
        payment("a", "X", 0.5, 0.1, 4.0),
        payment("a", "X", 2.5, 0.1, None),
        payment("b", "X", 0, 0.8, 8.0),
    ]
)
@example(
    [
        *BEFORE,
        payment("a", "X", 2 / 3, 0.1, 1 / 3),
        payment("a", "Y", 29.9, 0.8, 8.0),
        payment("a", "Y", 30, 9.0, None),
    ]
)
def test_views_provider_and_backtest_know_the_same_at_every_full_hour(some):
    con, provider = over(some)
    hours = [T0 + h * HOUR for h in range(HOURS + 1)]
    view = con.sql("select exchange, symbol, hour_at, rate_1h from funding_known_1h").pl()
    by_view = {(e, s, at): rate for e, s, at, rate in view.rows()}
    ranges = con.sql("select exchange, symbol, known_from, known_until, rate_1h from funding_ranges").pl()
    arrays = world.load(con, world.markets(con), T0, STOP, all_tokens=True)
    row_of = {(e, s): row for row, (e, _, _, s) in enumerate(arrays.markets.rows())}
    best = {(b, at): row for b, at, *row in con.sql(
        "select base, hour_at, spread_1h, long_exchange, short_exchange, exchanges from best_spreads"
    ).pl().rows()}  # fmt: skip
    for token in TOKENS:
        matrix = provider.matrix(token)
        many = provider.best_spreads(hours, token)
        for exchange in EXCHANGES:
            want = [known(some, exchange, token, at) for at in hours]
            mine = ranges.filter(exchange=exchange, symbol=token)
            in_ranges = [
                mine.filter(pl.col("known_from") <= t, pl.col("known_until") > t)["rate_1h"].to_list()
                for t in hours
            ]
            assert in_ranges == [[] if rate is None else [rate] for rate in want]
            assert [by_view.get((exchange, token, at)) for at in hours] == want
            assert [provider.get_funding_rate(at, exchange, token) for at in hours] == want
            assert provider.funding_rates(hours, exchange, token).to_list() == want
            in_matrix = matrix[exchange].to_list() if exchange in matrix.columns else [None] * len(hours)
            assert in_matrix == want
            in_arrays = arrays.known[row_of[exchange, token]]
            assert [None if np.isnan(rate) else rate for rate in in_arrays] == want
        for at, row in zip(hours, many.rows(named=True), strict=True):
            want = widest(some, token, at)
            got = best.get((token, at))
            assert (None if got is None else tuple(got)) == want
            one = provider.get_best_spread(at, token)
            assert (one and (one.spread_1h, one.long_exchange, one.short_exchange)) == (want and want[:3])
            assert (row["spread_1h"], row["long_exchange"], row["short_exchange"]) == (want or (None,) * 4)[
                :3
            ]


@settings(max_examples=25, deadline=None)
@given(WORLDS, INSTANTS)
def test_ranges_and_provider_know_the_same_between_hours(some, instants):
    con, provider = over(some)
    ranges = con.sql("select exchange, symbol, known_from, known_until, rate_1h from funding_ranges").pl()
    edges = [p["funding_time"] + timedelta(microseconds=us) for p in some for us in (-1, 0, 1)]
    ends = [
        p["funding_time"] + timedelta(hours=p["interval_hours"] or 1, microseconds=us)
        for p in some
        for us in (-1, 0)
    ]
    at = [t for t in (*instants, *edges, *ends) if T0 <= t <= STOP]
    for exchange in EXCHANGES:
        for token in TOKENS:
            want = [known(some, exchange, token, t) for t in at]
            mine = ranges.filter(exchange=exchange, symbol=token)
            in_ranges = [
                mine.filter(pl.col("known_from") <= t, pl.col("known_until") > t)["rate_1h"].to_list()
                for t in at
            ]
            assert in_ranges == [[] if rate is None else [rate] for rate in want]
            assert [provider.get_funding_rate(t, exchange, token) for t in at] == want
            assert provider.funding_rates(at, exchange, token).to_list() == want


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_compiled_best_pair_is_the_vectorised_one(exchanges, hours, roll):
    rates = [
        [roll.choice([-0.1, 0.0, 0.0, 0.2, float("nan")]) for _ in range(hours)] for _ in range(exchanges)
    ]
    known, number = np.array(rates), np.arange(exchanges)
    never = np.full(exchanges, core.NEVER)
    long, short, _, _ = core.best_pairs(known, np.array([0, exchanges]), number, never)
    best = best_pair(known)
    assert long[0].tolist() == best.long.tolist()
    assert short[0].tolist() == best.short.tolist()
    assert best.exchanges.tolist() == [sum(row[h] == row[h] for row in rates) for h in range(hours)]
