"""The tables refuse what does not fit, whole and by name."""

import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import SchemaError, UnknownName
from fundingdb.schema import FETCHES, FUNDING, MARKETS, TABLES, TIME, table

T0 = datetime(2025, 1, 31, 22, tzinfo=UTC)
TIMES = [c for c, column in FUNDING.columns.items() if column.dtype == TIME]
FIGURES = [c for c, column in FUNDING.columns.items() if column.dtype == pl.Float64]


def funding(rows: int = 6) -> pl.DataFrame:
    """Hourly payments of two symbols across a month's end."""
    at = [T0 + timedelta(hours=i // 2) for i in range(rows)]
    return pl.DataFrame(
        {
            "exchange": ["lighter"] * rows,
            "source": ["lighter"] * rows,
            "symbol": ["BTC" if i % 2 else "1000PEPE" for i in range(rows)],
            "base": ["BTC" if i % 2 else "PEPE" for i in range(rows)],
            "quote": ["USDC"] * rows,
            "asset_class": ["crypto"] * rows,
            "funding_time": at,
            "interval_hours": [1.0] * rows,
            "interval_from": ["declared"] * rows,
            "funding_rate": [i * 1e-6 - 3e-6 for i in range(rows)],
            "rate_type": ["regular"] * rows,
            "native_rate": [i * 1e-4 - 3e-4 for i in range(rows)],
            "mark_price": [None] * rows,
            "index_price": [100.0 + i for i in range(rows)],
            "reported_time": at,
            "fetched_at": [T0 + timedelta(days=1)] * rows,
        },
        schema={c: FUNDING.columns[c].dtype for c in FUNDING.columns if c != "month"},
    )


def put(frame: pl.DataFrame, row: int, column: str, value: object) -> pl.DataFrame:
    """The frame with one cell changed."""
    cell = pl.Series(column, [value], frame.schema[column])
    return frame.with_columns(frame[column].scatter(row, cell))


def shown(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def refusal(frame: pl.DataFrame, of=FUNDING) -> str:
    with pytest.raises(SchemaError) as caught:
        of.check(frame)
    return str(caught.value)


def test_a_good_frame_comes_back_in_the_tables_order_with_its_month():
    checked = FUNDING.check(funding().select(reversed(funding().columns)))
    assert checked.schema == FUNDING.schema
    assert checked["month"].to_list() == ["2025-01"] * 4 + ["2025-02"] * 2
    assert checked.drop("month").equals(funding().select(checked.drop("month").columns))


def test_no_rows_fit_every_table():
    for one in TABLES.values():
        assert one.check(one.empty()).schema == one.schema


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("exchange", None, "column exchange is null: row 2 (None, "),
        ("exchange", "", "column exchange is empty: row 2"),
        ("symbol", "", "column symbol is empty: row 2 (lighter, lighter, , "),
        ("base", None, "column base is null: row 2"),
        (
            "asset_class",
            "coin",
            "column asset_class is not one of crypto, equity, commodity, fx, index: row 2",
        ),
        ("rate_type", "odd", "column rate_type is not one of regular, special: row 2"),
        ("funding_rate", None, "column funding_rate is null: row 2"),
        ("funding_rate", float("nan"), "column funding_rate is not finite: row 2"),
        ("funding_rate", float("-inf"), "funding_rate = -inf"),
        ("native_rate", float("inf"), "native_rate = inf"),
        ("interval_hours", 0.0, "column interval_hours is not positive: row 2"),
        ("interval_hours", -8.0, "interval_hours = -8.0"),
        ("mark_price", 0.0, "column mark_price is not positive: row 2"),
        ("index_price", float("nan"), "column index_price is not finite: row 2"),
        (
            "funding_time",
            datetime(1970, 1, 21, tzinfo=UTC),
            "column funding_time lies outside 2010..2099: row 2",
        ),
        ("fetched_at", datetime(2100, 1, 1, tzinfo=UTC), "column fetched_at lies outside 2010..2099: row 2"),
        ("reported_time", None, "column reported_time is null: row 2"),
    ],
)
def test_a_bad_cell_is_refused_with_column_row_and_value(column, value, reason):
    message = refusal(put(funding(), 2, column, value))
    assert reason in message
    assert f"{column} = {shown(value)}" in message
    assert "the frame does not fit table funding" in message


def test_each_reason_is_named_not_only_the_first():
    frame = put(put(put(funding(), 0, "funding_rate", None), 3, "mark_price", -1.0), 5, "rate_type", "odd")
    with pytest.raises(SchemaError) as caught:
        FUNDING.check(frame)
    found = [(reason.split()[1], re.findall(r"row (\d+)", reason)) for reason in caught.value.reasons]
    assert found == [("funding_rate", ["0"]), ("rate_type", ["5"]), ("mark_price", ["3"])]


@pytest.mark.parametrize("column", ["exchange", "symbol", "base", "quote"])
@pytest.mark.parametrize(
    "bad",
    [
        "\x00",
        "\n",
        "\x1f",
        "\x7f",
        "\x85",
        "\u200b",
        "\u200e",
        "\u202e",
        "\u2066",
        "\u2028",
        "\u2029",
        "\ufeff",
    ],
)
def test_a_name_with_an_invisible_character_is_refused_and_shown_escaped(column, bad):
    text = refusal(put(funding(), 4, column, f"A{bad}USDT"))
    assert f"column {column} has control or invisible characters: row 4" in text
    assert f"{column} = {f'A{bad}USDT'!r}" in text
    assert bad == "\n" or bad not in text


def test_a_name_is_refused_where_all_rows_have_it():
    frame = funding().with_columns(symbol=pl.lit("A\u2028"), reported_time=pl.col("funding_time"))
    assert "column symbol has control" in refusal(frame.gather_every(2))


def test_names_in_any_script_are_accepted():
    for name in ("币安人生USDT", "é", "ПУТИН", "a b", "x\u00a0y", "🦍"):
        assert FUNDING.check(put(funding(), 4, "symbol", name))["symbol"][4] == name


def test_many_bad_rows_are_counted_and_the_first_three_shown():
    message = refusal(funding().with_columns(funding_rate=pl.lit(float("nan"))))
    assert re.findall(r"row (\d)", message) == ["0", "1", "2"]
    assert message.endswith("and 3 more")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f.drop("native_rate"), "column native_rate is missing (Float64; the figure as the source"),
        (lambda f: f.with_columns(extra=1), "column extra is not in this table"),
        (
            lambda f: f.with_columns(pl.col("funding_rate").cast(pl.String)),
            "column funding_rate is String, must be Float64",
        ),
        (
            lambda f: f.with_columns(pl.col("funding_rate").cast(pl.Float32)),
            "column funding_rate is Float32, must be",
        ),
        (
            lambda f: f.with_columns(pl.col("funding_time").dt.replace_time_zone(None)),
            "column funding_time is Datetime",
        ),
        (
            lambda f: f.with_columns(pl.col("funding_time").dt.convert_time_zone("Asia/Kolkata")),
            "time_zone='Asia/Kolkata'), must be Datetime(time_unit='us', time_zone='UTC')",
        ),
        (
            lambda f: f.with_columns(pl.col("funding_time").dt.cast_time_unit("ms")),
            "column funding_time is Datetime",
        ),
    ],
)
def test_a_frame_of_another_shape_is_refused_with_the_column(change, reason):
    assert reason in refusal(change(funding()))


def test_a_month_of_another_time_is_refused():
    frame = funding().with_columns(month=pl.lit("2025-01"))
    message = refusal(frame)
    assert "column month is not the month of funding_time: row 4" in message
    assert "month = '2025-01'" in message


def test_an_interval_needs_its_evidence_and_no_interval_has_none():
    assert "row 1 " in (text := refusal(put(funding(), 1, "interval_hours", None)))
    assert "interval_hours = None interval_from = 'declared'" in text
    assert "interval_from must be unknown" in refusal(put(funding(), 1, "interval_from", "unknown"))
    both = put(put(funding(), 1, "interval_from", "unknown"), 1, "interval_hours", None)
    assert FUNDING.check(both)["interval_hours"].null_count() == 1


def test_equal_rows_are_kept_once_and_stamps_do_not_make_them_unequal():
    later = funding().with_columns(fetched_at=pl.col("fetched_at") + timedelta(hours=1))
    checked = FUNDING.check(pl.concat([funding(), later, funding()]))
    assert checked.drop("month").equals(funding().select(checked.drop("month").columns))


def test_one_key_with_two_values_is_refused_with_both():
    other = put(funding(), 3, "funding_rate", 0.5)[3:4]
    message = refusal(pl.concat([funding(), other]))
    assert "key (exchange, source, symbol, funding_time, rate_type) repeated with different values" in message
    assert re.findall(r"row (\d)", message) == ["3", "6"]
    assert "funding_rate = 0.5" in message
    assert "funding_rate = 0.0" in message


def test_a_repeated_key_is_named_beside_other_reasons():
    other = put(funding(), 3, "funding_rate", 0.5)[3:4]
    message = refusal(put(pl.concat([funding(), other]), 0, "native_rate", None))
    assert "column native_rate is null: row 0" in message
    assert "repeated with different values: row 3" in message


def test_a_special_payment_may_fall_on_the_instant_of_a_regular_one():
    special = funding()[:1].with_columns(rate_type=pl.lit("special"), funding_rate=pl.lit(0.01))
    assert FUNDING.check(pl.concat([funding(), special])).height == 7


def test_a_null_in_a_key_still_counts_as_the_same_key():
    ledger = {
        "exchange": ["lighter"] * 2, "source": ["lighter"] * 2, "symbol": ["*"] * 2, "endpoint": ["markets"] * 2,
        "window_start": [None] * 2, "window_stop": [None] * 2, "outcome": ["rows", "failed"], "rows": [1, 1],
        "pages": [1, 1], "bytes": [9, 9], "seconds": [0.1, 0.1], "error": [None] * 2, "asked_at": [T0] * 2,
        "fetcher_version": ["1"] * 2,
    }  # fmt: skip
    frame = pl.DataFrame(
        ledger, schema={c: FETCHES.columns[c].dtype for c in FETCHES.columns if c != "month"}
    )
    assert "repeated with different values: row 0" in refusal(frame, FETCHES)
    assert "column rows is negative: row 1" in refusal(put(frame, 1, "rows", -1), FETCHES)


def test_counts_may_be_zero_but_multipliers_may_not():
    column = MARKETS.columns["multiplier"]
    bad = dict(column.faults("multiplier"))["column multiplier is not positive"]
    assert pl.DataFrame({"multiplier": [0.0, 1000.0]}).select(bad).to_series().to_list() == [True, False]


def test_an_unknown_table_comes_with_near_names():
    with pytest.raises(UnknownName, match="unknown table 'fundings': did you mean funding"):
        table("fundings")
    assert table("funding") is FUNDING


BAD = {
    **dict.fromkeys(FIGURES, st.sampled_from([float("nan"), float("inf"), float("-inf")])),
    **dict.fromkeys(
        TIMES, st.sampled_from([datetime(1969, 12, 31, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)])
    ),
    "exchange": st.sampled_from([None, ""]),
    "symbol": st.sampled_from([None, ""]),
    "asset_class": st.text(max_size=5).filter(lambda v: v not in ("index", "fx")),
    "interval_from": st.text(max_size=6).filter(lambda v: v != "row"),
}


def one_market(rows: int) -> pl.DataFrame:
    """As one answer of an exchange: these frames are accepted at a glance."""
    return funding(rows * 2).filter(base="BTC")


def test_an_answer_of_one_market_is_checked_as_strictly():
    good = one_market(40)
    assert FUNDING._surely_fits(FUNDING.check(good), month_given=True) is False  # two months: a closer look
    assert FUNDING._surely_fits(FUNDING.check(good[2:]), month_given=True)
    wrong = good[2:].with_columns(month=pl.lit("2025-01"))
    assert "column month is not the month of funding_time: row 0" in refusal(wrong)
    assert FUNDING.check(pl.concat([good, good])).equals(FUNDING.check(good))
    assert "repeated with different values" in refusal(pl.concat([good, put(good, 7, "funding_rate", 0.9)]))
    assert "interval_from must be unknown" in refusal(put(good, 7, "interval_hours", None))


@given(st.data(), st.integers(1, 40), st.sampled_from([funding, one_market]))
def test_whatever_cell_is_spoiled_its_row_and_column_are_named(data, rows, made):
    row = data.draw(st.integers(0, rows - 1))
    column = data.draw(st.sampled_from(sorted(BAD)))
    value = data.draw(BAD[column])
    frame = put(made(rows), row, column, value)
    if column == "funding_time":
        frame = frame.with_columns(month=pl.col("funding_time").dt.strftime("%Y-%m"))
    with pytest.raises(SchemaError) as caught:
        FUNDING.check(frame)
    of_column = [reason for reason in caught.value.reasons if reason.startswith(f"column {column} ")]
    assert of_column
    assert all(re.findall(r"row (\d+) ", reason) == [str(row)] for reason in caught.value.reasons)
    assert f"{column} = {shown(value)}" in of_column[0]


@given(st.lists(st.integers(0, 9), max_size=30))
def test_rows_that_come_again_change_nothing(picks):
    frame = funding(10)
    again = frame[picks] if picks else frame.clear()
    assert FUNDING.check(pl.concat([frame, again])).equals(FUNDING.check(frame))


@given(st.integers(0, 9), st.integers(0, 9), st.sampled_from(["funding_rate", "native_rate", "index_price"]))
def test_a_key_with_another_value_is_refused_wherever_it_stands(row, place, column):
    frame = funding(10)
    other = frame[row : row + 1].with_columns(pl.col(column) + 1.0)
    mixed = pl.concat([frame[:place], other, frame[place:]])
    named = {int(n) for n in re.findall(r"row (\d+)", refusal(mixed))}
    assert named == {place, row if row < place else row + 1}
