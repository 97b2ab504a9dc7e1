"""The one retry policy: bounds that hold for every policy and every chance, and the figures of the four in use."""

from datetime import UTC, datetime
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall
from fundingdb.transport.backoff import COMMIT, RECONNECT, REQUEST, SOURCE, Backoff, retry_after

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECONDS = st.floats(0.0, 1000.0)
CHANCE = st.floats(0.0, 1.0)
POLICIES = st.builds(
    Backoff, tries=st.none() | st.integers(1, 100), first=SECONDS, longest=SECONDS, patience=SECONDS
)


@given(POLICIES, st.integers(1, 10**6), CHANCE, st.none() | SECONDS, SECONDS)
def test_a_wait_is_never_below_retry_after_and_never_above_the_longest_without_it(
    policy, failures, chance, asked_for, first
):
    wait = policy.wait(failures, chance, asked_for, first=first)
    assert (asked_for or 0.0) <= wait <= max(policy.longest, asked_for or 0.0)


@given(POLICIES, st.data())
def test_all_waits_of_one_call_together_are_bounded(policy, data):
    total, failures = 0.0, 1
    while failures < 200:
        asked_for = data.draw(st.none() | SECONDS)
        if policy.gives_up(failures, asked_for):
            break
        total += policy.wait(failures, data.draw(CHANCE), asked_for)
        failures += 1
    assert failures <= (policy.tries or inf)
    assert total <= (failures - 1) * max(policy.longest, policy.patience) * (1 + 1e-12)


@given(POLICIES, st.integers(1, 1000), CHANCE)
def test_waits_never_shrink_from_failure_to_failure(policy, failures, chance):
    assert policy.wait(failures, chance) <= policy.wait(failures + 1, chance)


@pytest.mark.parametrize(
    ("policy", "longest_waits"),
    [
        (REQUEST, [0.5, 1.0, 2.0, 4.0, 8.0]),
        (RECONNECT, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]),
        (COMMIT, [0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.5, 0.5]),
    ],
)
def test_the_bound_doubles_up_to_the_longest_wait(policy, longest_waits):
    assert [policy.wait(n, 1.0) for n in range(1, len(longest_waits) + 1)] == longest_waits
    assert policy.wait(3, 0.5) == longest_waits[2] / 2


def test_a_request_has_six_tries_and_waits_ten_minutes_at_most_on_the_word_of_the_exchange():
    assert [REQUEST.gives_up(n) for n in (5, 6)] == [False, True]
    assert [REQUEST.gives_up(1, after) for after in (None, 600.0, 600.1)] == [False, False, True]


def test_a_stream_is_never_given_up_and_a_silent_source_after_three_requests():
    assert not RECONNECT.gives_up(10**9, 86_400.0)
    assert RECONNECT.wait(10**9, 1.0) == 60.0
    assert [SOURCE.gives_up(n) for n in (2, 3)] == [False, True]


def test_a_first_bound_of_the_caller_counts_where_it_is_longer():
    assert [REQUEST.wait(1, 1.0, first=f) for f in (0.1, 4.0)] == [0.5, 4.0]


def test_a_policy_needs_a_try():
    with pytest.raises(BadCall, match="at least one is needed"):
        Backoff(tries=0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 20 Nov 2026 13:00:30 +0100", 30.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_count_of_seconds_or_a_date(header, seconds):
    assert retry_after(header, NOW) == seconds
