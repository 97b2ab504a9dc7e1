"""The views and macros of sql/: what their headers promise, and figures worked out by hand."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types

from fundingdb.catalog import catalog, headers
from fundingdb.lake import Lake
from fundingdb.schema import FETCHES, FUNDING, MARKETS, TABLES
from tests.by_hand import HOUR, T0, paid
from tests.real_data import seven_venues

# some lakes here are empty on purpose
pytestmark = pytest.mark.filterwarnings("ignore::fundingdb.errors.NoRowsWarning")

VIEWS = {view.name: view for view in headers.views()}
SELECTS = sorted(name for name, view in VIEWS.items() if view.kind == "view")
RELATIONS = {
    *VIEWS,
    *TABLES,
    "lake_funding",
    "lake_funding_first",
    "lake_funding_rest",
    "source_preference",
    "fees",
}


def asked(exchange, start, stop, outcome, *, at=900, error=None):
    return {
        "exchange": exchange,
        "source": exchange,
        "symbol": "BTC",
        "endpoint": "history",
        "window_start": T0 + start * HOUR,
        "window_stop": T0 + stop * HOUR,
        "outcome": outcome,
        "rows": 0,
        "pages": 1,
        "bytes": 1,
        "seconds": 0.1,
        "error": error,
        "asked_at": T0 + at * HOUR,
        "fetcher_version": "1",
    }


def observed(exchange, hour, price, depth):
    """A snapshot of HOMONYM."""
    row = dict.fromkeys(name for name in TABLES["snapshots"].schema if name != "month")
    return row | {
        "exchange": exchange,
        "source": exchange,
        "symbol": "HOMONYM",
        "base": "HOMONYM",
        "asset_class": "crypto",
        "observed_at": T0 + hour * HOUR,
        "mark_price": price,
        "open_interest_usd": depth,
    }


def market(exchange, symbol="BTC", status="active", delisted=None):
    return {
        "exchange": exchange,
        "symbol": symbol,
        "base": symbol,
        "quote": "USDC",
        "asset_class": "crypto",
        "native_id": None,
        "collateral": None,
        "multiplier": 1.0,
        "status": status,
        "interval_hours": 1.0,
        "rate_cap": None,
        "max_leverage": None,
        "listed_at": None,
        "first_seen": T0,
        "last_seen": T0,
        "delisted_at": None if delisted is None else T0 + delisted * HOUR,
    }


def frame(table, rows):
    schema = {name: kind for name, kind in table.schema.items() if name != "month"}
    return table.check(pl.DataFrame(rows, schema=schema, orient="row"))


def fill(warehouse, funding=(), fetches=(), markets=()):
    lake = Lake(warehouse)
    for table, rows in ((FUNDING, funding), (FETCHES, fetches), (MARKETS, markets)):
        if rows:
            lake.upsert(table.name, frame(table, list(rows)))
    return warehouse


@cache
def one_connection():
    return catalog.connect(Path("/nowhere"))


def in_memory(rows):
    """The views over rows in memory, one connection for all: writing lakes and views would cost all the time."""
    con = one_connection()
    given_rows = frame(FUNDING, rows)
    con.register("given", given_rows)
    con.sql("create or replace table given_rows as select * from given")
    for name, kept in (
        ("lake_funding", "true"),
        ("lake_funding_first", "true"),
        ("lake_funding_rest", "false"),
    ):
        shown = ", ".join(f"h.{c}" for c in FUNDING.schema)
        con.sql(f"create or replace view {name} as select {shown} from given_rows as h where {kept}")
    con.sql(catalog.preference_view((row["exchange"], row["source"]) for row in rows))
    return con


def hours(con, query):
    return [int((at - T0) / HOUR) for at in con.sql(query).pl().to_series()]


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    warehouse = tmp_path_factory.mktemp("real")
    Lake(warehouse).upsert("funding", seven_venues(shared))
    with catalog.connect(warehouse) as con:
        yield con


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Holes, an interval change, specials, unknown intervals, two symbols on one exchange, classes, sources, homonyms."""
    rows = [paid("a", h, 1e-5 * (h % 5 - 2)) for h in range(72) if h not in (10, 11, 40)]
    rows += [paid("b", h, 8e-5 * (h % 3 - 1), 8.0) for h in range(0, 41, 8)]
    rows += [paid("b", h, 4e-5, 4.0) for h in range(44, 72, 4)]
    rows += [paid("c", h, 2e-5, symbol="BTC-USDC") for h in range(72)]
    rows += [paid("c", h, -9e-5, symbol="BTC-USDT", quote="USDT") for h in range(0, 72, 2)]
    rows += [paid("d", h, 1e-4, None) for h in range(72)]
    rows += [paid("b", 16, 0.01, None, rate_type="special")]
    rows += [paid("a", h, 7e-5, base="CAT", symbol="CAT") for h in range(24)]
    rows += [paid("b", h, 1e-5, base="CAT", symbol="xyz:CAT", asset_class="equity") for h in range(24)]
    rows += [paid("a", h, 0.5, source="import") for h in range(5, 12)]
    fetches = [
        asked("a", -5, 72, "rows"),
        asked("b", 0, 72, "failed", error="time-out"),
        asked("e", 0, 9, "empty"),
    ]
    warehouse = fill(tmp_path_factory.mktemp("world"), rows, fetches, [market("a"), market("f")])
    seen = [observed("a", h, 1.0 + (h % 7) / 100, 1e6) for h in range(24)]
    seen += [observed("b", h, 9.0 + (h % 5) / 10, 1e3) for h in range(24)]
    Lake(warehouse).upsert("snapshots", frame(TABLES["snapshots"], seen))
    with catalog.connect(warehouse) as con:
        yield con


@pytest.mark.parametrize("name", SELECTS)
@pytest.mark.parametrize("lake", ["world", pytest.param("real", marks=pytest.mark.slow)])
def test_a_view_is_what_its_header_says(request, lake, name):
    con, view = request.getfixturevalue(lake), VIEWS[name]
    described = con.sql(f"describe {name}").pl()
    assert list(zip(described["column_name"], described["column_type"].str.to_lowercase(), strict=True)) == [
        (column, kind) for column, kind, _ in view.columns
    ]
    grain = ", ".join(view.grain)
    assert con.sql(f"select {grain} from {name} group by all having count(*) > 1").pl().is_empty()
    if not view.checks:
        return
    held = " and ".join(f"({check}) is true" for check in view.checks)  # the view is computed once
    broken = con.sql(f"select * from {name} where not ({held}) limit 3").pl()
    assert broken.is_empty(), f"one of {view.checks} fails: {broken.rows(named=True)}"


@pytest.mark.parametrize("name", SELECTS)
def test_every_view_has_rows_in_the_seeded_world(world, name):
    if name != "latest":
        assert world.sql(f"select count(*) from {name}").pl().item() > 0


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_a_view_reads_what_its_header_says_and_only_portable_sql(name):
    tree = sqlglot.parse_one(VIEWS[name].sql, read="duckdb")
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    called = {call.name for call in tree.find_all(exp.Anonymous)} & set(VIEWS)
    assert {table.this.name for table in tree.find_all(exp.Table)} - own | called == set(VIEWS[name].reads)
    assert set(VIEWS[name].reads) <= RELATIONS
    assert not list(tree.find_all(exp.Pivot, exp.Columns, exp.ReadParquet, exp.ReadCSV))
    assert "arg_m" not in VIEWS[name].sql.lower(), "min_by and max_by are what others know"
    assert not [join for join in tree.find_all(exp.Join) if join.args.get("method")], (
        "ASOF or POSITIONAL join"
    )
    assert "date_trunc" not in VIEWS[name].sql.lower(), "truncates in the session's zone"
    for dialect in ("spark", "trino"):
        annotate_types(tree).sql(dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)


def test_the_refused_constructs_would_be_seen():
    for query in (
        "select * from a asof join b using (t)",
        "pivot a on b using sum(c)",
        "select columns('x') from a",
        "select * from read_parquet('x')",
    ):
        tree = sqlglot.parse_one(query, read="duckdb")
        seen = list(tree.find_all(exp.Pivot, exp.Columns, exp.ReadParquet))
        assert seen or [j for j in tree.find_all(exp.Join) if j.args.get("method")], query


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("name", SELECTS)
def test_a_view_gives_the_same_rows_in_any_session_zone(world, name, zone):
    columns = [c for c, _, _ in VIEWS[name].columns if not c.endswith("age_hours")]
    key = ", ".join(VIEWS[name].grain)

    def rows():
        shown = ", ".join(
            f"epoch_us({c})" if c.endswith(("_time", "_at")) or c.startswith("known_") else c for c in columns
        )
        return world.sql(f"select {shown} from {name} order by {key}").fetchall()

    instants = {c for c, kind, _ in VIEWS[name].columns if kind == "timestamp with time zone"}
    columns = [
        c for c in columns if c not in instants or c.endswith(("_time", "_at")) or c.startswith("known_")
    ]
    before = rows()
    world.sql(f"set TimeZone = '{zone}'")
    try:
        assert rows() == before
    finally:
        world.sql("set TimeZone = 'UTC'")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_carry_reads_text_without_offset_as_utc_in_any_session_zone(world, zone):
    world.sql(f"set TimeZone = '{zone}'")
    try:
        spans = [
            "'2026-01-05', '2026-01-05 08:00'",
            "date '2026-01-05', timestamp '2026-01-05 08:00:00'",
            "timestamptz '2026-01-05 00:00:00+00', '2026-01-05 13:30:00+05:30'",
        ]
        for span in spans:
            got = world.sql(f"select count(*), sum(cash) from carry('BTC', 'a', 'b', {span})").fetchall()
            assert got[0][0] == 8 + 1, span
    finally:
        world.sql("set TimeZone = 'UTC'")


def test_carry_by_hand(world):
    # a pays hourly: entry at 08:00 excluded, exit at 10:00 included, the holes at 10 and 11 come from `import`
    got = world.sql(
        "from carry('BTC', 'b', 'a', '2026-01-05 08:00', '2026-01-05 16:00') order by funding_time, leg"
    )
    rows = [(int((r[0] - T0) / HOUR), r[1], r[3], r[4], round(r[7], 9)) for r in got.fetchall()]
    short = {9: 2e-5, 10: 0.5, 11: 0.5, 12: 0.0, 13: 1e-5, 14: 2e-5, 15: -2e-5, 16: -1e-5}
    want = [(h, "a", "short", "regular", rate) for h, rate in short.items()]
    want += [(16, "b", "long", "regular", 0.0), (16, "b", "long", "special", -0.01)]
    assert sorted(rows) == sorted(want)


def test_carry_refuses_a_leg_that_stands_for_two_symbols(world):
    with pytest.raises(
        Exception, match=r"c lists the token as BTC-USDC and BTC-USDT; name one, e.g. c/BTC-USDC"
    ):
        world.sql("select sum(cash) from carry('BTC', 'c', 'a', '2026-01-05', '2026-01-06')").fetchall()
    named = world.sql(
        "select count(*) from carry('BTC', 'c/BTC-USDT', 'a', '2026-01-05', '2026-01-06') where leg = 'long'"
    )
    assert named.fetchall() == [(12,)]


def test_a_spread_by_hand():
    con = in_memory([paid("a", 0, 3e-5), paid("b", 0, 8e-5, 8.0), paid("c", 0, 1.6e-4, 8.0)])
    # per hour: a 3e-5, b 1e-5, c 2e-5
    got = con.sql("from best_spreads where hour_at = '2026-01-05 00:00:00+00'").pl().row(0, named=True)
    assert (got["exchanges"], got["long_exchange"], got["short_exchange"]) == (3, "b", "a")
    assert got["spread_1h"] == pytest.approx(2e-5)
    assert got["spread_apr"] == pytest.approx(0.1752)
    pairs = con.sql(
        "select long_exchange, short_exchange from spreads where hour_at = '2026-01-05 00:00:00+00'"
    )
    assert sorted(pairs.fetchall()) == [("b", "a"), ("b", "c"), ("c", "a")]


def test_a_rate_is_known_until_the_next_and_at_full_hours_not_beyond_its_interval():
    con = in_memory([paid("a", h, 1e-5 + h, 8.0) for h in (0, 8, 24)])
    at = "select hour_at from funding_known_1h where epoch(funding_time) = {} order by 1"
    assert hours(con, at.format(int(T0.timestamp()))) == list(range(8))
    assert hours(con, at.format(int((T0 + 8 * HOUR).timestamp()))) == list(range(8, 16))
    until = con.sql("select known_until from funding_ranges order by known_from").pl()["known_until"]
    assert [(u - T0) / HOUR for u in until] == [8, 16, 32]


@pytest.mark.parametrize("hours", ["8", "8.0", "cast(8 as double)"])
def test_known_until_takes_hours_as_they_are_typed_in_a_shell(hours):
    call = f"known_until(timestamptz '2026-01-01 00:00:00+00', null, {hours})"
    with catalog.connect(Path("/nowhere")) as con:
        assert con.sql(f"select {call} as at").pl()["at"].item() == datetime(2026, 1, 1, 8, tzinfo=UTC)


def test_a_payment_of_unknown_interval_ends_the_range_before_it_and_has_none():
    con = in_memory(
        [paid("a", 0, 1e-5, 8.0), paid("a", 3, 1e-5, None), paid("a", 5, 0.1, None, rate_type="special")]
    )
    assert hours(con, "select hour_at from funding_known_1h order by 1") == [0, 1, 2]


def test_what_was_earned_sums_to_what_was_paid():
    rows = [paid("a", 8, 8e-5, 8.0), paid("a", 12, 4e-5, 4.0), paid("a", 12.5, 1e-5, 0.5)]
    con = in_memory(rows)
    got = con.sql("select hour_at, earned_1h, accrued_hours from funding_earned_1h order by 1").pl()
    assert [int((t - T0) / HOUR) for t in got["hour_at"]] == list(range(1, 14))
    assert got["earned_1h"].sum() == pytest.approx(13e-5)
    assert got["accrued_hours"].to_list() == [1.0] * 12 + [0.5]


def test_holes_of_the_preferred_source_are_filled_from_the_next_best():
    rows = [paid("a", 0, 1.0), paid("a", 2, 1.0)]
    rows += [paid("a", h, 2.0, source="ccxt") for h in (0, 1)]
    rows += [paid("a", h, 3.0, source="import") for h in range(4)]
    con = in_memory(rows)
    for name, keep in (("lake_funding_first", "="), ("lake_funding_rest", "<>")):
        con.sql(f"create or replace view {name} as select * from lake_funding as f where f.source {keep} 'a'")
    got = con.sql("select funding_rate, source from funding order by funding_time").fetchall()
    assert got == [(1.0, "a"), (2.0, "ccxt"), (1.0, "a"), (3.0, "import")]


def test_intervals_are_dated_spans(world):
    got = world.sql(
        "select interval_hours, payments, previous_interval_hours, change from intervals where exchange = 'b' "
        "and symbol = 'BTC' order by first_time"
    ).fetchall()
    assert got == [(8.0, 6, None, "first"), (4.0, 7, 8.0, "shorter")]


def test_a_change_of_interval_is_told_across_an_unknown_payment(tmp_path):
    hours = [None, 1.0, 1.0, None, 4.0, None, 4.0, 8.0, None]
    warehouse = fill(tmp_path, [paid("a", h, 1e-5, told) for h, told in enumerate(hours)])
    with catalog.connect(warehouse) as con:
        got = con.sql(
            "select interval_hours, previous_interval_hours, change from intervals order by first_time"
        ).fetchall()
    assert got == [
        (None, None, "unknown"),
        (1.0, None, "first"),
        (None, 1.0, "unknown"),
        (4.0, 1.0, "longer"),
        (None, 4.0, "unknown"),
        (4.0, 4.0, "none"),
        (8.0, 4.0, "longer"),
        (None, 8.0, "unknown"),
    ]


def test_gaps_have_different_reasons(tmp_path):
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    last = int((now - T0) / HOUR)
    rows = [paid("a", h, 1e-5) for h in (*range(5), 8, 9, 20, last)]
    fetches = [asked("a", -2, 6, "rows", at=last), asked("a", 6, 10, "failed", error="503", at=last + 1)]
    fetches += [asked("b", 0, 24, "empty"), asked("z", 0, 24, "failed", error="cut")]
    warehouse = fill(tmp_path, rows, fetches, [market("n")])
    with catalog.connect(warehouse) as con:
        got = con.sql("from gaps where exchange = 'a' order by gap_start").pl()
        spans = [int((t - T0) / HOUR) for t in got["gap_start"]]
        assert list(zip(spans, got["missing"], got["place"], got["reason"], strict=True)) == [
            (-2, 2, "before", "none confirmed"),
            (5, 1, "between", "none confirmed"),
            (6, 2, "between", "failed"),
            (10, 10, "between", "not asked"),
            (21, last - 21, "between", "not asked"),
            (last + 1, 1, "after", "not due"),
        ]
        whole = con.sql(
            "select exchange, place, missing, reason from gaps where exchange in ('b', 'z') order by 1"
        ).fetchall()
        assert whole == [("b", "all", None, "none unconfirmed"), ("z", "all", None, "failed")]
        answers = dict(con.sql("select exchange, answer from coverage").fetchall())
        assert answers == {"a": "failed", "b": "none unconfirmed", "z": "failed", "n": "not asked"}
        one = con.sql("from coverage where exchange = 'a'").pl().row(0, named=True)
        assert (one["payments"], one["has_none"], one["failed"], one["not_asked"]) == (
            9,
            3,
            2,
            10 + last - 21,
        )
        assert one["expected"] == 9 + 3 + 2 + 10 + last - 21
        assert one["last_error"] == "503"


def test_what_has_come_due_and_was_not_asked_is_a_gap_and_a_delisted_market_has_none(tmp_path):
    rows = [paid("a", 0, 1e-5), paid("gone", 0, 1e-5)]
    fetches = [asked("gone", 0, 3, "rows")]
    warehouse = fill(tmp_path, rows, fetches, [market("gone", status="delisted", delisted=2)])
    with catalog.connect(warehouse) as con:
        got = con.sql(
            "select exchange, missing, reason from gaps where reason <> 'not due' order by 1"
        ).fetchall()
    assert [(e, r) for e, _, r in got] == [("a", "not asked"), ("gone", "none confirmed")]
    assert got[0][1] == int((datetime.now(UTC) - T0) / HOUR)
    assert got[1][1] == 2


def test_latest_and_freshness_have_ages(tmp_path):
    at = datetime.now(UTC) - timedelta(hours=2)
    shown = {
        "exchange": "a",
        "source": "coingecko",
        "symbol": "BTC",
        "base": "BTC",
        "quote": "USDC",
        "asset_class": "crypto",
        "observed_at": at,
        "funding_rate": 8e-5,
        "interval_hours": 8.0,
        "native_rate": 0.008,
        "rate_step": None,
        "next_funding_time": None,
        "mark_price": None,
        "index_price": None,
        "open_interest": None,
        "open_interest_usd": None,
        "volume_24h_usd": None,
    }
    fill(tmp_path, [paid("a", 0, 1e-5), paid("a", 1, 2e-5)], [asked("a", 0, 2, "failed", error="503")])
    Lake(tmp_path).upsert(
        "snapshots", frame(TABLES["snapshots"], [shown, shown | {"source": "a", "funding_rate": 9e-5}])
    )
    with catalog.connect(tmp_path) as con:
        (row,) = con.sql("from latest").pl().rows(named=True)
        assert (row["funding_rate"], row["predicted_source"], row["predicted_rate"]) == (2e-5, "a", 9e-5)
        assert row["predicted_rate_1h"] == pytest.approx(9e-5 / 8)
        assert row["predicted_age_hours"] == pytest.approx(2, abs=0.1)
        fresh = {(r["exchange"], r["source"]): r for r in con.sql("from freshness").pl().rows(named=True)}
        assert set(fresh) == {("a", "a"), ("a", "coingecko")}
        assert fresh["a", "a"]["last_error"] == "503"
        assert fresh["a", "coingecko"]["row_age_hours"] == pytest.approx(2, abs=0.1)


PAYMENTS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["X1", "X2"]),
        st.sampled_from(["X", "Y"]),
        st.integers(0, 60),
        st.sampled_from([1.0, 4.0, 8.0, 0.5, None]),
        st.integers(-3, 3),
    ),
    max_size=40,
    unique_by=lambda p: (p[0], p[1] + p[2], p[3]),
)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    PAYMENTS,
    st.lists(
        st.tuples(st.sampled_from("cd"), st.integers(0, 60), st.integers(-3, 3)),
        max_size=20,
        unique_by=lambda p: p[:2],
    ),
)
def test_the_best_spread_is_the_widest_pair_of_every_hour(payments, more):
    rows = [paid(e, h / 2, r / 1000, i, base=b, symbol=s + b) for e, s, b, h, i, r in payments]
    rows += [paid(e, h, r / 1000, 1.0, base="X", symbol="X") for e, h, r in more]
    if not rows:
        return
    con = in_memory(rows)
    wide = con.sql(
        "select asset_class, base, hour_at, max(spread_1h) as spread_1h, count(distinct long_exchange) > 0 as any_pair "
        "from spreads group by all"
    ).pl()
    best = con.sql("from best_spreads").pl()
    key = ["asset_class", "base", "hour_at"]
    assert best.height == wide.height
    both = best.join(wide, on=key, how="inner", validate="1:1")
    assert both.height == wide.height
    assert both.filter((pl.col("spread_1h") - pl.col("spread_1h_right")).abs() > 1e-15).is_empty()
    pair = [*key, "long_exchange", "long_symbol", "short_exchange", "short_symbol"]
    known = con.sql("from spreads").pl()
    assert best.filter(pl.col("spread_1h") > 0).join(known, on=pair, how="anti").is_empty()
    counted = con.sql(
        "select asset_class, base, hour_at, count(distinct exchange) as n from funding_known_1h group by all"
    ).pl()
    assert best.join(counted, on=key).filter(pl.col("n") != pl.col("exchanges")).is_empty()


@settings(max_examples=15, deadline=None)
@given(PAYMENTS)
def test_what_is_known_at_an_hour_is_the_last_payment_not_older_than_it_may_be(payments):
    rows = [paid(e, h / 2, r / 1000, i, base=b, symbol=s + b) for e, s, b, h, i, r in payments]
    if not rows:
        return
    want = set()
    for series in {(r["exchange"], r["symbol"]) for r in rows}:
        mine = sorted(
            (r for r in rows if (r["exchange"], r["symbol"]) == series), key=lambda r: r["funding_time"]
        )
        for n in range(75):
            at = T0 + n * HOUR
            before = [r for r in mine if r["funding_time"] <= at]
            if (
                before
                and before[-1]["interval_hours"]
                and at < before[-1]["funding_time"] + before[-1]["interval_hours"] * HOUR
            ):
                want.add((*series, at, before[-1]["funding_rate"]))
    con = in_memory(rows)
    got = con.sql("select exchange, symbol, hour_at, funding_rate from funding_known_1h").pl()
    assert set(got.rows()) == want


def test_true_carry_on_the_real_series_differs_from_the_raw_difference(real):
    # this file's hyperliquid column is the prediction, see ../shared/data/README.md
    cash = real.sql(
        "select sum(cash) * 365 / date_diff('day', date '2025-03-08', date '2026-03-07') "
        "from carry('BTC', 'binance', 'hyperliquid', '2025-03-08', '2026-03-07')"
    ).fetchall()[0][0]
    assert cash == pytest.approx(0.0466, abs=0.0001)
    spread_back = real.sql(
        "select mean_apr from pair_stats_over(start := '2025-03-08', stop := '2026-03-07', token := 'BTC') "
        "where long_exchange = 'binance' and short_exchange = 'hyperliquid'"
    ).fetchall()[0][0]
    assert spread_back == pytest.approx(cash, rel=0.002), "the same payments, spread back over their hours"
    raw = real.sql(
        "select avg(h.funding_rate - b.funding_rate) * 3 * 365 from funding as h inner join funding as b "
        "on h.exchange = 'hyperliquid' and b.exchange = 'binance' and h.base = 'BTC' and b.base = 'BTC' "
        "and h.funding_time = b.funding_time"
    ).fetchall()[0][0]
    assert raw == pytest.approx(-0.0325, abs=0.0001)


def test_the_real_lake_has_the_holes_its_readme_names(real):
    holes = real.sql(
        "select count(*) from gaps where exchange = 'kraken' and symbol = 'BTC' and place = 'between'"
    ).fetchall()
    assert holes == [(8,)]
    changed = real.sql(
        "select * from intervals where exchange in ('binance', 'okx') and change <> 'first'"
    ).fetchall()
    assert changed == []
