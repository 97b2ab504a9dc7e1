"""Instants and windows: UTC, seconds, half-open; nothing else gets in."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadWindow
from fundingdb.window import HOUR, Window, floor_hour, from_ms, instant, next_hour, to_ms

T0 = datetime(2026, 1, 31, 8, tzinfo=UTC)
KOLKATA = timezone(timedelta(hours=5, minutes=30))
AWARE = st.datetimes(datetime(2010, 1, 2), datetime(2099, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@pytest.mark.parametrize(
    "value",
    [
        T0.timestamp(),
        int(T0.timestamp()),
        "2026-01-31T08:00Z",
        "2026-01-31T08:00",
        "2026-01-31T13:30+05:30",
        str(int(T0.timestamp())),
        T0,
        T0.astimezone(KOLKATA),
    ],
)
def test_one_instant_in_many_forms(value):
    at = instant(value)
    assert at == T0
    assert at.tzinfo is UTC


def test_a_day_is_its_first_instant():
    assert instant("2026-01-31") == instant(date(2026, 1, 31)) == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_769_846_400_000, "looks like milliseconds; Unix seconds are wanted"),
        ("1769846400000", "looks like milliseconds"),
        (-1e12, "looks like milliseconds"),
        (
            T0.replace(tzinfo=None),
            "2026-01-31T08:00:00: naive datetime; give it a time zone, e.g. tzinfo=UTC",
        ),
        ("2026-02-30", "'2026-02-30': no such date"),
        ("yesterday", "write 2026-01-31 or 2026-01-31T08:00Z"),
        ("", "no such date"),
        (True, "True: not a time"),
        (float("nan"), "nan: not a time"),
        (float("inf"), "inf: not a time"),
        (None, "None: not a time"),
        ([1], "not a time"),
        (20260131, "1970-08-23 lies outside 2010..2099; are the units seconds, UTC?"),
        (0, "outside 2010..2099"),
        ("2100-01-01", "outside 2010..2099"),
    ],
)
def test_what_is_no_instant_is_refused_with_its_name_and_value(value, text):
    with pytest.raises(BadWindow) as caught:
        instant(value, "start_date")
    assert text in str(caught.value)
    assert str(caught.value).startswith("start_date ")


@given(AWARE)
def test_milliseconds_and_back_lose_less_than_one(at):
    assert timedelta() <= at - from_ms(to_ms(at)) < timedelta(milliseconds=1)


@given(AWARE, st.sampled_from([UTC, KOLKATA, timezone(timedelta(hours=-4))]))
def test_full_hours_are_those_of_utc_in_any_zone(at, zone):
    floor = floor_hour(at.astimezone(zone))
    assert floor.utcoffset() == timedelta()
    assert floor.minute == floor.second == floor.microsecond == 0
    assert floor <= at < floor + HOUR == next_hour(at.astimezone(zone))


def test_a_window_without_a_zone_or_turned_round_is_refused():
    with pytest.raises(BadWindow, match="has no time zone: use aware UTC datetimes"):
        Window(T0, (T0 + HOUR).replace(tzinfo=None))
    for stop in (T0, T0 - HOUR):
        with pytest.raises(BadWindow, match="is reversed or empty: start must be before stop"):
            Window(T0, stop)


def test_a_window_is_kept_in_utc_and_knows_its_length():
    window = Window(T0.astimezone(KOLKATA), T0 + 36 * HOUR)
    assert window == Window(T0, T0 + 36 * HOUR)
    assert window.start.tzinfo is UTC
    assert window.hours == 36.0


@given(AWARE, st.timedeltas(timedelta(seconds=2), timedelta(days=900)))
def test_whole_milliseconds_and_seconds_of_a_window_are_all_inside_and_none_is_missed(start, length):
    window = Window(start, start + length)
    for (first, last), unit in (
        (window.ms, timedelta(milliseconds=1)),
        (window.seconds, timedelta(seconds=1)),
    ):
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        assert window.start <= epoch + first * unit
        assert epoch + last * unit < window.stop
        assert epoch + (first - 1) * unit < window.start
        assert epoch + (last + 1) * unit >= window.stop
