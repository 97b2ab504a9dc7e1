from datetime import UTC, datetime, timedelta

from fundingdb.charts.terminal import chart

TIMES = [datetime(2026, 3, 1, tzinfo=UTC) + n * timedelta(hours=1) for n in range(4)]


def test_the_greatest_value_fills_its_column_and_zero_stays_empty():
    lines = chart(TIMES, [0.0, 5.0, 10.0, 10.0]).splitlines()
    cells = [line[11:15] for line in lines[:10]]
    assert [row[2] for row in cells] == ["█"] * 10
    assert [row[0] for row in cells] == [" "] * 10
    assert [row[1] for row in cells] == [" "] * 5 + ["█"] * 5
    assert lines[0].startswith("    10.00 |")


def test_an_unknown_value_leaves_a_gap():
    lines = chart(TIMES, [1.0, None, 1.0, 1.0]).splitlines()
    assert all(line[12] == " " for line in lines[:10])


def test_nothing_known_says_so():
    assert chart(TIMES, [None] * 4) == "(nothing known)\n"
