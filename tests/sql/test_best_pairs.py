"""best_spreads and spreads against every pair compared in plain Python: random worlds, the demo lake, real series."""

from datetime import UTC, datetime
from fractions import Fraction
from itertools import permutations, zip_longest

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fundingdb.catalog import catalog
from fundingdb.cli import main
from fundingdb.lake import Lake
from fundingdb.provider.pairs import every_pair
from tests.by_hand import paid
from tests.real_data import seven_venues
from tests.sql.test_views import in_memory

# some lakes here are empty on purpose
pytestmark = pytest.mark.filterwarnings("ignore::fundingdb.errors.NoRowsWarning")

HOUR_S = 3600
PAIR = ("long_exchange", "long_symbol", "short_exchange", "short_symbol")


def known_each_hour(payments: pl.DataFrame) -> dict[tuple[str, str, int], list[tuple[float, str, str]]]:
    """(asset_class, base, hour since 1970) -> (rate_1h, exchange, symbol) of all markets whose own interval covers it."""
    regular = payments.filter(rate_type="regular").sort("exchange", "symbol", "funding_time")
    rows = regular.select(
        "exchange",
        "symbol",
        "asset_class",
        "base",
        "interval_hours",
        "funding_rate",
        at=pl.col("funding_time").dt.epoch("us"),
    ).rows()
    hours: dict[tuple[str, str, int], list[tuple[float, str, str]]] = {}
    for row, after in zip_longest(rows, rows[1:]):
        exchange, symbol, asset_class, base, interval, rate, at = row
        if interval is None:
            continue
        ends = at + round(interval * HOUR_S * 1e6)
        if after is not None and after[:2] == row[:2]:
            ends = min(ends, after[-1])
        first, last = -(-at // (HOUR_S * 10**6)), -(-ends // (HOUR_S * 10**6))
        for hour in range(first, last):
            hours.setdefault((asset_class, base, hour), []).append((rate / interval, exchange, symbol))
    return hours


def pairs_of(rates):
    """(spread, long, short) of all pairs of unlike exchanges, long the lower rate, of equal ones the first by name."""
    for low, high in permutations(rates, 2):
        if low[1] != high[1] and (low[0] < high[0] or (low[0] == high[0] and low[1] < high[1])):
            yield high[0] - low[0], low, high


def by_name_backwards(text):
    return (*(-ord(letter) for letter in text), 0)


def widest(rates):
    """Of the widest pairs the first by long exchange and symbol, then the last by short exchange and symbol.

    Widths are compared exactly: two unlike rates can have one rounded difference to a third.
    """
    order = {
        pair: (
            Fraction(low[0]) - Fraction(high[0]),
            low[1],
            by_name_backwards(high[1]),
            low[2],
            by_name_backwards(high[2]),
        )
        for pair in pairs_of(rates)
        for _, low, high in [pair]
    }
    if not order:
        return None
    spread, low, high = min(order, key=order.__getitem__)
    return len({r[1] for r in rates}), spread, low[1:], high[1:]


def shown(con, view, more):
    names = ", ".join(("asset_class", "base", "cast(epoch(hour_at) / 3600 as bigint)", *more))
    return con.sql(f"select {names} from {view}").fetchall()


def in_python(payments: pl.DataFrame) -> set[tuple[object, ...]]:
    """The rows of `spreads` by fundingdb.provider.pairs."""
    rows = [(*key, *rate) for key, rates in known_each_hour(payments).items() for rate in rates]
    known = pl.DataFrame(
        rows,
        schema=["asset_class", "base", "hour", "rate_1h", "exchange", "symbol"],
        orient="row",
        infer_schema_length=None,
    )
    if known.is_empty():
        return set()
    by = ("asset_class", "base", "hour")
    return set(every_pair(known, by).select(*by, "spread_1h", *PAIR).rows())


def compare(con, payments: pl.DataFrame, *, pairs: bool = True) -> int:
    hours = known_each_hour(payments)
    best = {key: got for key, rates in hours.items() if (got := widest(rates)) is not None}
    rows = shown(con, "best_spreads", ("exchanges", "spread_1h", *PAIR))
    assert {row[:3]: (*row[3:5], row[5:7], row[7:9]) for row in rows} == best
    assert len(rows) == len(best)
    if pairs:
        wanted = {
            (*key, w, *low[1:], *high[1:]) for key, rates in hours.items() for w, low, high in pairs_of(rates)
        }
        rows = shown(con, "spreads", ("spread_1h", *PAIR))
        assert set(rows) == wanted
        assert in_python(payments) == wanted
        assert len(rows) == len(wanted)
    return len(best)


PAYMENTS = st.lists(
    st.builds(
        lambda exchange, symbol, halves, interval, rate, kind: paid(
            exchange, halves / 2, rate * (interval or 1) / 1000, interval, symbol=symbol, rate_type=kind
        ),
        st.sampled_from("abcd"),
        st.sampled_from(["BTC", "BTC2"]),
        st.integers(0, 40),
        st.sampled_from([1.0, 1.0, 4.0, 8.0, 0.5, None]),
        st.integers(-2, 2),
        st.sampled_from(["regular"] * 9 + ["special"]),
    ),
    min_size=1,
    max_size=50,
    unique_by=lambda p: (p["exchange"], p["symbol"], p["funding_time"], p["rate_type"]),
)


@settings(max_examples=15)
@given(PAYMENTS)
@example(
    [paid("a", 0, -1.0), paid("a", 0, 9.0, symbol="BTC2"), paid("b", 0, 5.0), paid("c", 0, 3.0)]
)  # a has both ends
@example([paid(e, 0, 1e-5, symbol=s) for e in "cab" for s in ("BTC2", "BTC")])  # all alike
def test_every_pair_and_the_widest_one_are_those_of_plain_python(payments):
    con = in_memory(payments)
    compare(con, con.sql("select * from lake_funding").pl())


def test_of_equal_rates_the_first_by_name_is_long_and_the_last_is_short():
    con = in_memory([paid("b", 0, 1e-5), paid("a", 0, 1e-5), paid("d", 0, 4e-5), paid("c", 0, 4e-5)])
    got = con.sql("select long_exchange, short_exchange, exchanges from best_spreads").fetchall()
    assert got == [("a", "d", 4)]


def test_the_widest_pair_never_stands_on_one_exchange_alone():
    # a: -1 and 9 on two symbols; b 5, c 3 per hour: short a's 9 against c's 3 earns 6, long a's -1 against b's 5 earns 6 too
    con = in_memory([paid("a", 0, -1.0), paid("a", 0, 9.0, symbol="Z"), paid("b", 0, 5.0), paid("c", 0, 3.0)])
    got = con.sql(
        "select long_exchange, long_symbol, short_exchange, short_symbol, spread_1h, exchanges from best_spreads"
    )
    assert got.fetchall() == [("a", "BTC", "b", "BTC", 6.0, 3)]


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    warehouse = tmp_path_factory.mktemp("real")
    payments = seven_venues(shared)
    Lake(warehouse).upsert("funding", payments)
    with catalog.connect(warehouse) as con:
        yield con, payments.filter(pl.col("funding_time") >= datetime(2025, 11, 1, tzinfo=UTC))


@pytest.mark.slow
def test_the_real_series_give_the_same_rows_as_plain_python(real):
    con, payments = real
    con.register("recent", payments.to_arrow())
    con.sql("create or replace view lake_funding_first as select * from recent")
    assert compare(con, payments) > 5 * 24 * 120


@pytest.mark.slow
def test_the_demo_lake_gives_the_same_rows_as_plain_python(tmp_path):
    assert main(["demo", "--warehouse", str(tmp_path)]) == 0
    with catalog.connect(tmp_path / "demo") as con:
        assert con.sql("select * from identity_checks where verdict = 'mismatch'").fetchall() == []
        assert compare(con, con.sql("select * from funding").pl()) > 0
