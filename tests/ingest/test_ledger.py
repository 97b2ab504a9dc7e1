from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.ingest import ledger
from fundingdb.schema import FETCHES
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
def test_what_is_missing_and_what_is_covered_make_the_window_whole(asked, window):
    rows = [fetch("A", a, b, at=n) for n, (a, b) in enumerate(asked)]
    done = ledger.covered(table(*rows)).get("A", []) if rows else []
    left = ledger.missing(span(*window), done)
    wanted = set(range(*window)) - {h for a, b in asked for h in range(a, b)}
    got = [h for w in left for h in range(round((w.start - T0) / HOUR), round((w.stop - T0) / HOUR))]
    assert sorted(got) == sorted(wanted)
    assert len(got) == len(set(got))


def test_a_failed_window_is_asked_again():
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
