"""Many instants at once, in every form a user has them, and held values on a grid."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadWindow
from tests.paid_rows import HOUR, T0, over, payment, rows

WHEN = [T0 + h * HOUR for h in (0, 2, 5)]
SECONDS = [t.timestamp() for t in WHEN]
MS = [int(s) * 1000 for s in SECONDS]


@pytest.fixture(scope="module")
def pair():
    """a pays each hour, but not from 03:00 to 05:00; b each 8 h."""
    return over(
        rows(*(payment("a", "X", h, 0.1 * h) for h in (0, 1, 2, 6, 7)), payment("b", "X", 0, 0.8, 8.0)),
        stop=T0 + 9 * HOUR,
    )


@pytest.mark.parametrize(
    "given",
    [
        WHEN,
        tuple(WHEN),
        SECONDS,
        np.array(SECONDS),
        np.array(SECONDS, dtype=np.int64),
        pl.Series(WHEN),
        pl.Series(WHEN).cast(pl.Datetime("ms", "UTC")),
        pl.Series(WHEN).cast(pl.Datetime("ns", "UTC")),
        pl.Series(WHEN).dt.convert_time_zone("Asia/Kolkata"),
        pl.Series(SECONDS),
        pl.Series(SECONDS).cast(pl.Int64),
        pl.DataFrame({"when": WHEN})["when"],
        pd.DataFrame({"when": WHEN})["when"],
        pd.DatetimeIndex(WHEN),
        pd.Series(SECONDS),
    ],
    ids=lambda given: f"{type(given).__module__}.{type(given).__name__}",
)
def test_every_form_of_many_instants_gives_the_same_answers(pair, given):
    assert pair.funding_rates(given, "b", "X").to_list() == [0.1, 0.1, 0.1]
    assert pair.spreads(given, "a", "b", "X").to_list() == pytest.approx([0.1, -0.1, None])
    best = pair.best_spreads(given, "X")
    assert best["timestamp"].to_list() == WHEN
    assert best["long_exchange"].to_list() == ["a", "b", None]


BAD = [
    ([SECONDS[0], float("nan")], "row 1: timestamp nan"),
    (np.array([SECONDS[0], np.nan]), "row 1: timestamp nan"),
    (pl.Series([SECONDS[0], None]), "row 1 is null"),
    ([WHEN[0], None], "row 1 is null"),
    (pl.Series([*WHEN[:2], None]), "row 2 is null"),
    (pd.Series([WHEN[0], pd.NaT]), "row 1 is null"),
    ([None, None], "row 0 is null"),
    (
        [SECONDS[0], MS[1]],
        "row 1: timestamp 1735696800000.0: looks like milliseconds; Unix seconds are wanted",
    ),
    (np.array(MS), "row 0: timestamp 1735689600000.0: looks like milliseconds"),
    ([WHEN[0], datetime(2025, 1, 1)], "row 1: timestamp 2025-01-01T00:00:00: naive datetime"),  # noqa: DTZ001
    ([datetime(2025, 1, 1)], "row 0: .*naive"),  # noqa: DTZ001
    (np.array(["2025-01-01"], dtype="datetime64[s]"), "row 0: .*naive"),
    (pl.Series([datetime(2025, 1, 1)]), "row 0: .*naive"),  # noqa: DTZ001
    (pd.Series([pd.Timestamp("2025-01-01")]), "row 0: .*naive"),
    ([SECONDS[0], WHEN[1]], "row 1: .*not one kind"),
    ([SECONDS[0], "x"], "row 1: timestamp 'x': not a time"),
    (["2025-01-01"], "row 0: '2025-01-01': String are no Unix seconds or aware datetimes"),
    ([True], "row 0: True: Boolean are no Unix seconds"),
    (SECONDS[0], "not many instants; give a list, an array or a Series"),
    (WHEN[0], "not many instants; give a list, an array or a Series"),
    ([SECONDS[0], SECONDS[0] - 1], "row 1: .*outside the loaded span"),
]


@pytest.mark.parametrize(("given", "told"), BAD, ids=[told for _, told in BAD])
def test_a_bad_instant_of_many_is_named_with_its_row(pair, given, told):
    for ask in (
        lambda: pair.funding_rates(given, "a", "X"),
        lambda: pair.spreads(given, "a", "b", "X"),
        lambda: pair.best_spreads(given, "X"),
    ):
        with pytest.raises(BadWindow, match=told):
            ask()


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 10**7))
def test_a_span_that_starts_between_two_seconds_answers_from_its_first_microsecond(late):
    start = T0 + timedelta(microseconds=late)
    some = over(rows(payment("a", "X", 0, 0.8, 8.0)), start, start + HOUR)
    assert some.matrix("X").select("timestamp", "a").rows() == [(start, 0.1), (start + HOUR, 0.1)]
    assert some.funding_rates([start], "a", "X").to_list() == [some.get_funding_rate(start, "a", "X")]


# ---- held values


def held(provider, **more):
    frame = provider.interpolate_missing_data("X", **more)
    return {
        (t - T0) / HOUR: (r, f)
        for t, r, f in frame.filter(exchange="a").select("timestamp", "rate_1h", "filled").rows()
    }


def test_missing_hours_hold_the_last_known_rate_flagged_and_not_beyond_the_limit(pair):
    # 0.2 of 02:00 is known until 03:00; two hours longer it is held
    known = {0: 0.0, 1: 0.1, 2: 0.2, 6: pytest.approx(0.6), 7: pytest.approx(0.7)}
    got = held(pair, limit=timedelta(hours=2))
    assert got == {
        **{h: (rate, False) for h, rate in known.items()},
        **dict.fromkeys((3, 4), (0.2, True)),
        5: (None, False),
        **{h: (pytest.approx(0.7), True) for h in (8, 9)},
    }
    assert held(pair, limit=timedelta(hours=1))[4] == (None, False)
    assert held(pair, limit=timedelta(hours=2))[5] == (None, False)  # 05:00 is 03:00 + 2:00
    assert held(pair, limit=timedelta(hours=2, seconds=1))[5] == (0.2, True)


def test_the_frame_says_which_payment_a_cell_comes_from(pair):
    frame = pair.interpolate_missing_data("X", limit=2 * HOUR, every=timedelta(hours=3))
    assert frame.schema == {
        "timestamp": pl.Datetime("us", "UTC"), "exchange": pl.String, "symbol": pl.String, "rate_1h": pl.Float64,
        "filled": pl.Boolean, "funding_time": pl.Datetime("us", "UTC"),
    }  # fmt: skip
    assert frame.select("timestamp", "exchange").rows() == [
        (T0 + h * HOUR, e) for h in (0, 3, 6, 9) for e in "ab"
    ]
    assert frame.filter(exchange="a")["funding_time"].to_list() == [T0 + h * HOUR for h in (0, 2, 6, 7)]
    wide = frame.filter(~pl.col("filled")).pivot("exchange", index="timestamp", values="rate_1h")  # noqa: PD010 - Polars
    assert wide.columns == ["timestamp", "a", "b"]


def test_ordinary_reads_are_the_same_before_and_after_filling(pair):
    before = pair.matrix("X")
    frame = pair.interpolate_missing_data("X", limit=9 * HOUR)
    assert pair.matrix("X").equals(before)
    assert pair.get_funding_rate(T0 + 5 * HOUR, "a", "X") is None
    plain = frame.filter(~pl.col("filled")).pivot("exchange", index="timestamp", values="rate_1h")  # noqa: PD010 - Polars
    assert (
        before.join(plain, on="timestamp", how="left")
        .select("timestamp", a="a_right", b="b_right")
        .equals(before)
    )


def test_nothing_is_held_across_a_payment_whose_rate_per_hour_is_unknown():
    some = over(rows(payment("a", "X", 0, 0.1), payment("a", "X", 1, 0.1, None)), stop=T0 + 4 * HOUR)
    assert held(some, limit=9 * HOUR) == {0: (0.1, False), **dict.fromkeys((1, 2, 3, 4), (None, False))}


@pytest.mark.parametrize("wrong", [timedelta(0), timedelta(hours=-1), 3600, None])
def test_a_limit_and_a_step_are_spans_of_time(pair, wrong):
    with pytest.raises(BadCall, match="limit=.*timedelta above zero"):
        pair.interpolate_missing_data("X", limit=wrong)
    with pytest.raises(BadCall, match="every=.*timedelta above zero"):
        pair.interpolate_missing_data("X", limit=HOUR, every=wrong)
    with pytest.raises(BadCall, match="every=.*timedelta above zero"):
        pair.matrix("X", wrong)


@settings(deadline=None, max_examples=6)
@given(st.sets(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 12), st.integers(1, 40))
def test_a_held_value_is_the_last_one_before_and_knows_nothing_later(hours, limit, until):
    some = [payment("a", "X", h, 0.001 * h) for h in sorted(hours)]
    got = held(over(rows(*some), stop=T0 + 40 * HOUR), limit=limit * HOUR)
    for at, (rate, filled) in got.items():
        last = max((h for h in hours if h <= at), default=None)
        age = None if last is None else at - last
        want = (None, False) if age is None or age >= 1 + limit else (0.001 * last, age >= 1)
        assert (rate, filled) == want
    early = [payment("a", "X", -400, 0.0), *(p for p in some if p["funding_time"] <= T0 + until * HOUR)]
    cut = held(over(rows(*early), stop=T0 + 40 * HOUR), limit=limit * HOUR)
    assert all(cut[at] == got[at] for at in range(until + 1))
