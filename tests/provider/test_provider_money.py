"""What a position was paid: on its worth at the payment where that is known, with what is missing told."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadWindow
from fundingdb.lake import Lake
from fundingdb.provider import money
from fundingdb.provider.provider import FundingRateBacktestDataProvider
from tests.paid_rows import HOUR, T0, over, payment, rows
from tests.real_data import seven_venues

DAY = (T0, T0 + 24 * HOUR)


def pair(*payments, **more):
    return over(rows(*payments), **more)


def test_cash_follows_the_mark_price_of_each_leg_from_its_own_entry():
    held = pair(
        payment("a", "X", 0, 0.0, mark=100.0),
        payment("a", "X", 1, 0.01, mark=110.0),
        payment("a", "X", 2, 0.01, mark=90.0),
        payment("b", "X", 0, 0.0, mark=99.0),
        payment("b", "X", 1, 0.03, mark=198.0),
    )
    paid = held.carry("X", "a", "b", T0, T0 + 2 * HOUR, notional=1000.0)
    got = [tuple(row) for row in paid.select("leg", "cash", "mark_ratio").iter_rows()]
    # long a: -0.01 x 1000 x 110/100, then x 90/100; short b: +0.03 x 1000 x 198/99
    assert got == [
        ("long", pytest.approx(-11.0), pytest.approx(1.1)),
        ("short", pytest.approx(60.0), pytest.approx(2.0)),
        ("long", pytest.approx(-9.0), pytest.approx(0.9)),
    ]


def test_entry_has_the_mark_of_the_payment_known_then_and_no_later_one():
    marked = [payment("a", "X", h, 0.01, mark=100.0 + h) for h in range(3)]
    other = [payment("b", "X", h, 0.0) for h in range(3)]
    for minutes, entry in ((0, 100.0), (59, 100.0), (60, 101.0), (61, 101.0)):
        start = T0 + timedelta(minutes=minutes)
        paid = pair(*marked, *other).carry("X", "a", "b", start, T0 + 2 * HOUR).filter(leg="long")
        assert paid["mark_ratio"].to_list()[-1] == pytest.approx(102.0 / entry)
    late = [payment("a", "X", 0, 0.01, mark=100.0), payment("a", "X", 3, 0.01, mark=103.0)]
    for minutes, known in ((59, True), (60, False), (120, False)):  # its own interval after 00:00
        start = T0 + timedelta(minutes=minutes)
        paid = pair(*late, *other).carry("X", "a", "b", start, T0 + 3 * HOUR).filter(leg="long")
        assert paid["mark_ratio"].is_not_null().to_list() == [known]


def test_without_a_mark_cash_is_on_the_notional_at_entry_and_says_so():
    held = pair(
        payment("a", "X", 0, 0.0, mark=100.0), payment("a", "X", 1, 0.01), payment("a", "X", 2, 0.01, mark=50.0),
        payment("b", "X", 0, 0.0), payment("b", "X", 1, 0.02, mark=7.0),
    )  # fmt: skip
    paid = held.carry("X", "a", "b", T0, T0 + 2 * HOUR)
    assert paid.select("leg", "cash", "mark_ratio").rows() == [
        ("long", -0.01, None),
        ("short", 0.02, None),
        ("long", -0.005, 0.5),
    ]
    told = held.carry_summary("X", "a", "b", T0, T0 + 2 * HOUR)
    assert told["marks"].to_list() == [1, 0, 1]


def test_special_payments_move_money_on_the_worth_of_the_position_too():
    held = pair(
        payment("a", "X", 0, 0.0, mark=100.0), payment("a", "X", 1, 0.5, None, rate_type="special", mark=200.0),
        payment("b", "X", 0, 0.0),
    )  # fmt: skip
    assert held.carry("X", "a", "b", *DAY)["cash"].to_list() == [-1.0]
    assert held.carry_summary("X", "a", "b", *DAY)["specials"].to_list() == [1, 0, 1]


def test_the_summary_adds_up_and_names_what_is_missing():
    # a pays hourly and misses 05:00 to 07:00; b pays each 8 h; both end at 16:00 and the span at 20:00
    a = [payment("a", "X", h, 0.001) for h in range(17) if h not in (5, 6, 7)]
    b = [payment("b", "X", h, 0.008, 8.0) for h in (0, 8, 16)]
    told = pair(*a, *b).carry_summary("X", "a", "b", T0, T0 + 20 * HOUR, notional=100.0)
    assert told.columns == [
        "leg", "exchange", "symbol", "payments", "specials", "funding", "earned_apr", "span_hours", "hole_hours",
        "unknown_hours", "marks",
    ]  # fmt: skip
    long, short, both = told.iter_rows(named=True)
    assert (long["leg"], long["exchange"], long["payments"], long["hole_hours"]) == ("long", "a", 13, 3 + 4)
    assert (short["leg"], short["exchange"], short["payments"], short["hole_hours"]) == ("short", "b", 2, 0)
    assert (both["leg"], both["exchange"], both["payments"], both["hole_hours"]) == ("both", None, 15, 7)
    assert long["funding"] == pytest.approx(-1.3)
    assert both["funding"] == pytest.approx(-1.3 + 1.6)
    assert both["earned_apr"] == pytest.approx(0.3 / 100 / 20 * 8760)
    assert both["span_hours"] == 20


def test_a_span_before_the_data_is_a_hole_and_not_a_quiet_zero():
    held = pair(payment("a", "X", 100, 0.1), payment("b", "X", 100, 0.1))
    told = held.carry_summary("X", "a", "b", *DAY)
    assert told["payments"].to_list() == [0, 0, 0]
    assert told["hole_hours"].to_list() == [24.0, 24.0, 24.0]
    assert held.carry("X", "a", "b", *DAY).is_empty()


def test_hours_before_a_payment_of_unknown_interval_are_unknown():
    held = pair(
        payment("a", "X", 0, 0.1), payment("a", "X", 1, 0.1), payment("a", "X", 5, 0.1, None),
        payment("b", "X", 0, 0.1, 8.0),
    )  # fmt: skip
    told = held.carry_summary("X", "a", "b", T0, T0 + 6 * HOUR)
    assert told.select("hole_hours", "unknown_hours").rows() == [(0.0, 5.0), (0.0, 0.0), (0.0, 5.0)]


def test_the_real_holes_of_a_year_are_counted(shared, tmp_path):
    Lake(tmp_path).upsert("funding", seven_venues(shared).filter(base="BTC"))
    year = FundingRateBacktestDataProvider(tmp_path)
    year.load_data("2025-10-01", "2026-03-07")
    told = year.carry_summary(
        "BTC", "kraken", "lighter", 1_764_547_200.0, 1_765_152_000.0
    )  # 2025-12-01 .. 12-08
    # the README of the data: lighter has nothing from 2025-12-01 20:00 to 2025-12-05 14:00: 89 h are missing
    assert told.filter(leg="short")["hole_hours"].item() >= 89.0
    assert told.filter(leg="short")["payments"].item() + told.filter(leg="short")["hole_hours"].item() == 168
    assert told.filter(leg="long")["payments"].item() + told.filter(leg="long")["hole_hours"].item() == 168


def test_bad_calls_are_told():
    held = pair(payment("a", "X", 0, 0.1), payment("b", "X", 0, 0.1), payment("a", "ONE", 0, 0.1))
    for ask in (held.carry, held.carry_summary):
        with pytest.raises(BadCall, match="a against itself"):
            ask("X", "a", "a", *DAY)
        with pytest.raises(BadCall, match="unknown token on b 'ONE'"):
            ask("ONE", "a", "b", *DAY)
        with pytest.raises(BadWindow, match="looks like milliseconds"):
            ask("X", "a", "b", 1_735_689_600_000, T0 + HOUR)
        with pytest.raises(BadWindow, match="reversed or empty"):
            ask("X", "a", "b", T0 + HOUR, T0)
        for wrong in (0, -1.0, float("nan"), float("inf"), "1", True):
            with pytest.raises(BadCall, match="notional=.*above zero"):
                ask("X", "a", "b", *DAY, notional=wrong)


def test_an_exchange_without_history_has_no_payments_to_add_up():
    held = pair(payment("a", "X", 0, 0.1))
    for ask in (
        lambda: held.get_funding_payments("variational", "X", *DAY),
        lambda: held.carry("X", "a", "variational", *DAY),
    ):
        with pytest.raises(BadCall, match=r"variational has no settled payments.*history: none.*`latest`"):
            ask()


@settings(deadline=None, max_examples=60)
@given(st.sets(st.integers(1, 60), max_size=60), st.integers(0, 30), st.integers(1, 40))
def test_hours_paid_and_hours_missing_make_up_the_span(present, first, length):
    """Hourly payments at whole hours: each hour of (start, end] is paid or is a hole."""
    start, end = T0 + first * HOUR, T0 + (first + length) * HOUR
    paid = [(T0 + h * HOUR, 1.0) for h in sorted(present)]
    upto = [p for p in paid if p[0] <= end]
    before = [p for p in upto if p[0] <= start][-1:]
    lost = money.unpaid([*before, *(p for p in upto if p[0] > start)], start, end)
    inside = sum(1 for at, _ in upto if at > start)
    assert money.hours(lost.holes) + inside == length
    assert not lost.unknown


def test_overlapping_spans_are_counted_once():
    spans = [(T0, T0 + 3 * HOUR), (T0 + HOUR, T0 + 2 * HOUR), (T0 + 2 * HOUR, T0 + 5 * HOUR)]
    assert money.hours(spans) == 5.0
    assert money.hours([]) == 0.0


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.floats(-0.1, 0.1), st.none() | st.floats(1, 9)), max_size=25),
    st.integers(1, 40),
)
def test_nothing_after_the_end_changes_what_was_paid(some, end):
    known = {hour: payment("a", "X", hour, rate, mark=mark) for hour, rate, mark in some}
    names = [payment(e, "X", -300, 0.0) for e in "ab"]
    stop = T0 + end * HOUR
    whole = over(rows(*names, *known.values()))
    cut = over(rows(*names, *(p for p in known.values() if p["funding_time"] <= stop)))
    for ask in ("carry", "carry_summary"):
        assert getattr(whole, ask)("X", "a", "b", T0, stop).equals(getattr(cut, ask)("X", "a", "b", T0, stop))
    assert isinstance(whole.carry("X", "a", "b", T0, stop), pl.DataFrame)
