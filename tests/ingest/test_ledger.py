from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.ingest import ledger
from fundingdb.schema import FETCHES, TIME
from fundingdb.transport.walk import Fetched
from fundingdb.window import HOUR, Window

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def span(a: int, b: int) -> Window:
    return Window(T0 + a * HOUR, T0 + b * HOUR)


def fetch(symbol: str, a: int, b: int, outcome: str = "rows", at: int = 0) -> dict:
    return {
        "exchange": "extended",
        "source": "extended",
        "symbol": symbol,
        "endpoint": "history",
        "window_start": T0 + a * HOUR,
        "window_stop": T0 + b * HOUR,
        "outcome": outcome,
        "rows": 0,
        "pages": 1,
        "bytes": 2,
        "seconds": 0.1,
        "error": None,
        "asked_at": T0 + at * timedelta(seconds=1),
        "fetcher_version": "0/1",
    }


def table(*rows: dict) -> pl.DataFrame:
    return FETCHES.check(pl.DataFrame(rows, schema={k: v for k, v in FETCHES.schema.items() if k != "month"}))


hours = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda t: (t[0], t[0] + t[1]))


@given(st.lists(hours, max_size=8), hours)
def test_what_is_missing_and_what_is_covered_make_the_window_whole(fetched, window):
    rows = [fetch("A", a, b, at=n) for n, (a, b) in enumerate(fetched)]
    done = ledger.covered(table(*rows)).get("A", []) if rows else []
    left = ledger.missing(span(*window), done)
    wanted = set(range(*window)) - {h for a, b in fetched for h in range(a, b)}
    result = [h for w in left for h in range(round((w.start - T0) / HOUR), round((w.stop - T0) / HOUR))]
    assert sorted(result) == sorted(wanted)
    assert len(result) == len(set(result))


def test_a_failed_window_is_missing_again():
    done = ledger.covered(table(fetch("A", 0, 5), fetch("A", 5, 9, "failed", at=1)))
    assert ledger.missing(span(0, 9), done["A"]) == [span(5, 9)]


def test_one_market_covers_nothing_of_another():
    done = ledger.covered(table(fetch("A", 0, 5)))
    assert "B" not in done


def test_an_empty_end_that_is_young_is_not_proven():
    window = span(0, 100)
    assert ledger.complete_until(window, T0 + 97 * HOUR, T0 + 100 * HOUR) == T0 + 98 * HOUR


def test_an_empty_end_that_is_old_is_proven():
    window = span(0, 100)
    assert ledger.complete_until(window, T0 + 20 * HOUR, T0 + 1000 * HOUR) == window.stop


def test_a_young_window_without_rows_proves_nothing():
    window = span(90, 100)
    assert ledger.complete_until(window, None, T0 + 100 * HOUR) == window.start


def test_a_settlement_is_due_after_its_delay_and_not_before():
    delay = timedelta(minutes=2)
    assert ledger.due(T0 + timedelta(minutes=1), delay) == T0
    assert ledger.due(T0 + timedelta(minutes=2), delay) == T0 + HOUR


DAY = 24 * 3600


def test_an_empty_response_is_no_proof_until_another_utc_day_agrees():
    once = [fetch("A", 0, 10, "empty"), fetch("A", 0, 10, "empty", at=7200)]
    assert ledger.covered(table(*once)) == {}
    twice = [*once, fetch("A", 4, 12, "empty", at=DAY)]
    assert ledger.covered(table(*twice)) == {"A": [span(4, 10)]}


def test_an_empty_window_is_requested_again_at_once_then_after_growing_pauses():
    rows = [fetch("A", 0, 10, "empty")]
    assert ledger.resting(table(*rows), T0) == {}
    for at, hours_of_pause in enumerate((1, 2, 4, 8, 16, 24, 24), 1):
        rows.append(fetch("A", 0, 10, "empty", at=at))
        end = T0 + timedelta(seconds=at) + hours_of_pause * HOUR
        assert ledger.resting(table(*rows), end - timedelta(seconds=1)) == {"A": [span(0, 10)]}
        assert ledger.resting(table(*rows), end) == {}


@given(st.lists(st.tuples(hours, st.integers(0, 5)), min_size=1, max_size=8, unique=True))
def test_an_hour_is_covered_by_empty_responses_exactly_where_two_days_have_one(responses):
    rows = [fetch("A", a, b, "empty", at=day * DAY + n) for n, ((a, b), day) in enumerate(responses)]
    done = ledger.covered(table(*rows)).get("A", [])
    result = {h for h in range(100) if any(w.start <= T0 + h * HOUR < w.stop for w in done)}
    assert result == {h for h in range(100) if len({d for (a, b), d in responses if a <= h < b}) > 1}


def fetched(*times: int, clock: int | None = 1000, **more) -> Fetched:
    frame = pl.DataFrame({"funding_time": [T0 + h * HOUR for h in times]}, schema={"funding_time": TIME})
    server_time = None if clock is None else T0 + clock * HOUR
    return Fetched(frame, server_time=server_time, **more)


def shown(window: Window, walk: Fetched) -> list[tuple[int, int, str]]:
    spans = ledger.proven(window, walk.frame["funding_time"].to_list(), walk)
    return [(int((w.start - T0) / HOUR), int((w.stop - T0) / HOUR), outcome) for w, outcome in spans]


def test_a_walk_without_rows_proves_absence_only_with_an_older_row():
    assert shown(span(0, 10), fetched()) == [(0, 10, "empty")]
    assert shown(span(0, 10), fetched(behind=True)) == [(0, 10, "none")]


def test_the_part_before_the_first_row_is_evidence_and_the_part_after_the_last_has_an_older_row():
    assert shown(span(0, 10), fetched(4, 5)) == [(0, 4, "empty"), (4, 6, "rows"), (6, 10, "none")]


def test_a_span_whose_own_response_had_no_row_is_evidence_even_between_rows():
    walk = fetched(0, 1, 8, 9, blanks=[span(2, 8)])
    assert shown(span(0, 10), walk) == [(0, 2, "rows"), (2, 8, "empty"), (8, 10, "rows")]


def test_less_than_an_interval_beside_a_row_belongs_to_the_rows():
    walk = fetched(7, 15, step=8 * HOUR, blanks=[span(16, 20)])
    assert shown(span(0, 20), walk) == [(0, 20, "rows")]


def test_without_the_clock_of_the_server_only_rows_prove():
    assert shown(span(0, 10), fetched(0, 1, clock=None)) == [(0, 2, "rows")]
    assert shown(span(0, 10), fetched(clock=None)) == []
