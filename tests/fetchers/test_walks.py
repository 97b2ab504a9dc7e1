"""A walk returns every payment of a window, whatever the exchange's real page: venues that fill a page with the newest rows."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fundingdb.window import HOUR, Window
from tests.fetchers.bybit import case as bybit
from tests.fetchers.gate import case as gate
from tests.fetchers.okx import case as okx
from tests.fetchers.played import capped, played
from tests.fetchers.walking import walked

START = datetime(2026, 6, 1, tzinfo=UTC)
PAGES = {bybit: (3, 50, 200), gate: (5, 50, 1000), okx: (5, 50, 100)}  # rows of a page, the last as declared


@pytest.mark.parametrize("venue", [*PAGES], ids=lambda venue: venue.CASE.fetcher.exchange)
@example(hours=[0, 1, 3, 5], size=0, ends=(0, 201), step=4)
@given(
    hours=st.lists(st.integers(0, 500), max_size=80, unique=True),
    size=st.sampled_from([0, 1, 2]),
    ends=st.tuples(st.integers(-5, 200), st.integers(201, 510)),
    step=st.sampled_from([1, 4, 8]),
)
@settings(max_examples=50)
def test_a_walk_finds_every_payment_of_a_window_whatever_the_cap(venue, hours, size, ends, step):
    cap = PAGES[venue][size]
    window = Window(START + ends[0] * HOUR, START + ends[1] * HOUR)
    due = [START + h * HOUR for h in sorted(hours) if ends[0] <= h < ends[1]]
    answer, _ = played(venue.serve, [START + h * HOUR for h in hours], cap=cap)
    market = replace(venue.BTC, interval_hours=float(step))
    rows = walked(capped(venue.CASE.fetcher, cap), market, answer, window)
    assert rows["funding_time"].to_list() == due
