"""Fees as data, and what views and command line make of them and of pairs: figures by hand and a slow reference."""

import json
import statistics
from datetime import UTC, datetime
from functools import cache
from math import ceil, floor, log
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb.catalog import catalog
from fundingdb.catalog import fees as costs
from fundingdb.cli import main
from fundingdb.errors import BadCall, BadData
from fundingdb.fetchers.registry import names
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING, TABLES
from tests.by_hand import HOUR, T0, paid

# some lakes here are empty on purpose
pytestmark = pytest.mark.filterwarnings("ignore::fundingdb.errors.NoRowsWarning")

HEAD = "exchange,tier,taker,maker,effective_at"


def seen(exchange, usd, hour=0, symbol="BTC", source=None):
    row = dict.fromkeys(name for name in TABLES["snapshots"].schema if name != "month")
    return row | {
        "exchange": exchange,
        "source": source or exchange,
        "symbol": symbol,
        "base": "BTC",
        "asset_class": "crypto",
        "observed_at": T0 + hour * HOUR,
        "open_interest_usd": usd,
    }


def frame(table, rows):
    schema = {name: kind for name, kind in table.schema.items() if name != "month"}
    return table.check(pl.DataFrame(rows, schema=schema, orient="row"))


def table(path, *lines, head=HEAD):
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


@cache
def one_connection():
    return catalog.connect(Path("/nowhere"))


def in_memory(rows, snapshots=(), fees="", mismatch="nobody"):
    """The views over rows in memory; fees as `exchange taker maker;...`; identity_checks names the exchange `mismatch`."""
    con = one_connection()
    given = {
        "lake_funding_first": frame(FUNDING, rows),
        "snapshots": frame(TABLES["snapshots"], list(snapshots)),
    }
    for name, held in given.items():
        con.register("given", held)
        con.sql(f"create or replace table held_{name} as select * from given")
        con.sql(
            f"create or replace view {name} as select {', '.join(f'h.{c}' for c in held.columns)} from held_{name} as h"
        )
    words = [line.split() for line in fees.split(";") if line]
    values = [f"('{e}', 'base', {t}, {m}, timestamptz '2020-01-01 00:00:00+00')" for e, t, m in words]
    nobody = "('nobody', 'base', 0, 0, timestamptz '2020-01-01 00:00:00+00')"
    con.sql(
        "create or replace view fees as select g.exchange, g.tier, cast(g.taker as double) as taker, "
        "cast(g.maker as double) as maker, g.effective_at "
        f"from (values {', '.join([nobody, *values])}) as g(exchange, tier, taker, maker, effective_at)"
    )
    con.sql(
        "create or replace view identity_checks as select 'crypto' as asset_class, 'BTC' as base, "
        f"'{mismatch}' as exchange, 'BTC' as symbol, 'mismatch' as verdict"
    )
    return con


# ---- the table


def test_the_shipped_fees_are_dated_sourced_fractions_of_exchanges_that_are_known():
    shipped = costs.shipped()
    assert dict(shipped.schema) == dict(costs.FEES_COLUMNS)
    assert set(shipped["exchange"]) <= set(names())
    assert shipped["evidence"].is_in(["recorded", "documented", "inferred"]).all()
    assert shipped["read_at"].null_count() == 0
    assert (shipped["effective_at"] <= shipped["read_at"]).all()
    assert shipped["source"].str.contains("http").all()
    assert shipped.select(pl.max_horizontal(pl.col("taker", "maker").abs().max())).item() < 0.002
    assert shipped.equals(shipped.sort("exchange", "tier", "effective_at"))


def test_an_exchange_that_nobody_could_be_believed_about_has_no_row():
    assert not {"backpack", "grvt", "pacifica", "drift", "coingecko"} & set(costs.shipped()["exchange"])


def test_the_users_rows_stand_in_place_of_all_shipped_ones_of_that_exchange_and_tier(tmp_path):
    own = table(
        tmp_path / "fees.csv", "hyperliquid,base,0.0003,-0.00001,2024-01-01", "kraken,base,,0.0002,2024-01-01"
    )
    got = costs.fees(warehouse=tmp_path)
    assert got.equals(costs.fees(own)), "the warehouse's fees.csv is the default file"
    mine = got.filter(pl.col("exchange") == "hyperliquid").row(0, named=True)
    assert (mine["taker"], mine["maker"], mine["effective_at"]) == (
        0.0003,
        -0.00001,
        datetime(2024, 1, 1, tzinfo=UTC),
    )
    assert (mine["evidence"], mine["source"], mine["read_at"]) == ("own", str(own), None)
    rest = pl.col("exchange").is_in(["hyperliquid", "kraken"])
    assert got.filter(~rest).equals(costs.shipped().filter(~rest))
    assert got.filter(rest).height == 2
    assert got.equals(got.sort("exchange", "tier", "effective_at"))


def test_without_a_table_of_ones_own_the_shipped_one_counts(tmp_path, monkeypatch):
    assert costs.fees(warehouse=tmp_path).equals(costs.shipped())
    table(tmp_path / "fees.csv", "kraken,base,0.0005,0.0002,2024-01-01")
    monkeypatch.setenv("FUNDINGDB_WAREHOUSE", str(tmp_path))
    assert "kraken" in costs.fees()["exchange"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "binance,base,0.05,0.02,2024-01-01",
            r"line 2: taker 0.05 .*fractions, not percent.*write 0.0005 for 0.05 %",
        ),
        ("binance,base,0.0005,0.02,2024-01-01", r"maker 0.02 .*\(2.000%\)"),
        ("binance,base,5,2,2024-01-01", "not percent or basis points"),
        ("binance,base,0.0005,-0.01,2024-01-01", "maker -0.01"),
        ("binance,base,nan,0,2024-01-01", "'nan' is no number"),
        ("binance,base,inf,0,2024-01-01", "'inf' is no number"),
        ("binance,base,0.05%,0,2024-01-01", "'0.05%' is no number"),
        ("binance,base,0_1,0,2024-01-01", "no number"),
        ("binance,base,,,2024-01-01", "an unknown fee has no row"),
        ("binance,base,0.0005,0.0002,", "effective_at is empty"),
        ("binance,base,0.0005,0.0002,01/02/2024", "'01/02/2024' is no day: write YYYY-MM-DD"),
        ("binance,base,0.0005,0.0002,2024-02-30", "is no day"),
        ("Binance,base,0.0005,0.0002,2024-01-01", "exchange 'Binance': write it in lower case"),
        (",base,0.0005,0.0002,2024-01-01", "exchange ''"),
        ("binance,,0.0005,0.0002,2024-01-01", "tier ''"),
        ("binance,base,0.0005,0.0002", "4 cells where the first line names 5 columns"),
        ("a,base,0.0005,0,2024-01-01\na,base,0.0004,0,2024-01-01", "line 3: .*are on line 2 already"),
    ],
)
def test_a_line_that_is_not_as_described_is_refused_with_file_and_line(tmp_path, line, says):
    with pytest.raises(BadData, match=says) as refused:
        costs.read(table(tmp_path / "mine.csv", line))
    assert "mine.csv line " in str(refused.value)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("exchange,tier,taker,maker", "no column effective_at"),
        (f"{HEAD},vip", "unknown column 'vip'"),
        (f"{HEAD},maker", "column maker twice"),
        ("", "no column exchange"),
    ],
)
def test_columns_are_strict(tmp_path, head, says):
    with pytest.raises(BadData, match=says):
        costs.read(table(tmp_path / "mine.csv", head=head))


def test_a_file_that_is_absent_or_no_text_is_told(tmp_path):
    with pytest.raises(BadCall, match=r"mine\.csv: can't be read \(No such file"):
        costs.read(tmp_path / "mine.csv")
    (tmp_path / "mine.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadData, match="no CSV in UTF-8"):
        costs.read(tmp_path / "mine.csv")
    (tmp_path / "mine.csv").write_bytes(b"")
    with pytest.raises(BadData, match="no column exchange"):
        costs.read(tmp_path / "mine.csv")


def test_the_relation_fees_is_the_table(tmp_path):
    table(tmp_path / "fees.csv", "kraken,base,0.0005,,2024-01-01,what 'they' say", head=f"{HEAD},source")
    with catalog.connect(tmp_path) as con:
        shown = con.sql("from fees order by exchange, tier, effective_at").pl()
    assert shown.equals(costs.fees(warehouse=tmp_path))


def test_a_broken_table_of_fees_fails_where_fees_are_asked_for_and_stops_nobody_else(tmp_path, capsys):
    table(tmp_path / "fees.csv", "kraken,base,0.05,,2024-01-01")
    with catalog.connect(tmp_path) as con:
        assert con.sql("select count(*) from best_spreads").fetchall() == [(0,)]
        for asked in ("fees", "carry_net"):
            with pytest.raises(Exception, match=r"fees\.csv line 2: taker 0\.05"):
                con.sql(f"select * from {asked}").fetchall()
    assert catalog.rebuild(tmp_path).exists()
    assert main(["spreads", "--rank", "net", "--warehouse", str(tmp_path)]) == BadData.exit_code
    assert "fees.csv line 2: taker 0.05" in capsys.readouterr().err
    with pytest.raises(BadData, match="line 2"):
        catalog.connect(tmp_path, fees=tmp_path / "fees.csv")


# ---- carry_net


def hourly(exchange, *rates, start=1, **other):
    return [paid(exchange, start + n, rate, **other) for n, rate in enumerate(rates)]


def test_what_is_left_by_hand():
    # per hour: a 3e-5, b 1e-5, so long b, short a at 2e-5; four fills: 2 x (0.0005 + 0.0003) = 0.0016
    con = in_memory([paid("a", 8, 3e-5), paid("b", 8, 8e-5, 8.0)], fees="a 0.0005 0.0002;b 0.0003 -0.0001")
    (row,) = con.sql("from carry_net").pl().rows(named=True)
    assert (row["long_exchange"], row["short_exchange"], row["known_at"]) == ("b", "a", T0 + 8 * HOUR)
    assert row["spread_1h"] == pytest.approx(2e-5)
    assert (row["long_fee"], row["short_fee"], row["costs"]) == (0.0003, 0.0005, pytest.approx(0.0016))
    assert row["break_even_hours"] == pytest.approx(80)
    assert row["net_apr"] == pytest.approx((2e-5 * 168 - 0.0016) / 168 * 8760)  # 9.18 % a year
    assert row["reason"] is None
    slipped = (
        con.sql("from carry_net_with(slippage_bps := 2.5, horizon_hours := 100)").pl().row(0, named=True)
    )
    assert slipped["costs"] == pytest.approx(0.0026)
    assert slipped["net_apr"] == pytest.approx((0.002 - 0.0026) / 100 * 8760)
    made = con.sql("from carry_net_with(fill := 'maker')").pl().row(0, named=True)
    assert made["costs"] == pytest.approx(2 * (0.0002 - 0.0001))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_an_instant_without_offset_is_utc_in_any_session(zone):
    con = in_memory([*hourly("a", 3e-5, 5e-5), *hourly("b", 1e-5, 1e-5)], fees="a 0.0005 0;b 0.0003 0")
    con.sql(f"set timezone = '{zone}'")
    written = f"{T0 + HOUR:%Y-%m-%d %H:%M}"
    for argument in (
        f"'{written}'",
        f"timestamp '{written}'",
        f"timestamptz '{written}+00'",
        f"'{written}Z'",
    ):
        (row,) = con.sql(f"from carry_net_with(at_time := {argument})").pl().rows(named=True)
        assert (row["known_at"], row["spread_1h"]) == (
            T0 + HOUR,
            pytest.approx(2e-5),
        )  # the first hour, not the second


def test_an_unknown_fee_leaves_the_net_figure_null_with_the_reason():
    con = in_memory(
        [paid(e, 8, r) for e, r in (("a", 1e-5), ("b", 2e-5), ("c", 3e-5))], fees="a 0.0005 0;b null 0"
    )
    got = con.sql(
        "select long_exchange, short_exchange, costs, break_even_hours, net_apr, reason from carry_net"
    ).fetchall()
    assert sorted(got) == [
        ("a", "b", None, None, None, "no base taker fee known at that hour for b"),
        ("a", "c", None, None, None, "no base taker fee known at that hour for c"),
        ("b", "c", None, None, None, "no base taker fee known at that hour for b and c"),
    ]
    other = con.sql("from carry_net_with(tier := 'vip9')").pl()
    assert other["reason"].str.starts_with("no vip9 taker fee").all()


def test_a_fee_counts_from_its_day_on_and_not_before():
    con = in_memory([paid("a", 8, 1e-5), paid("b", 8, 2e-5)])
    days = [("a", 0.0001, "2026-01-01"), ("a", 0.0002, "2026-01-06"), ("b", 0.0003, "2026-01-05")]
    rows = ", ".join(f"('{e}', 'base', {fee}, null, timestamptz '{day} 00:00:00+00')" for e, fee, day in days)
    con.sql(
        f"create or replace view fees as select * from (values {rows}) as g(exchange, tier, taker, maker, effective_at)"
    )
    (row,) = con.sql("select long_fee, short_fee from carry_net").fetchall()
    assert [float(v) for v in row] == [0.0001, 0.0003]


def test_a_market_with_a_dex_prefix_does_not_pay_the_fee_of_its_exchange():
    con = in_memory([paid("a", 8, 1e-5, symbol="xyz:BTC"), paid("b", 8, 2e-5)], fees="a 0.0001 0;b 0.0001 0")
    assert con.sql("select reason from carry_net").fetchall() == [
        ("no base taker fee known at that hour for a:xyz",)
    ]
    con = in_memory(
        [paid("a", 8, 1e-5, symbol="xyz:BTC"), paid("b", 8, 2e-5)], fees="a:xyz 0.0009 0;b 0.0001 0"
    )
    assert con.sql("select costs from carry_net").fetchall() == [(pytest.approx(0.002),)]


def test_each_pair_is_taken_at_its_newest_common_hour_of_the_last_day():
    rows = [*hourly("a", *[1e-5] * 48), *hourly("b", *[3e-5] * 46), *hourly("c", *[5e-5] * 20)]
    con = in_memory(rows, fees="a 0 0;b 0 0;c 0 0")
    got = con.sql(
        "select long_exchange, short_exchange, known_at, break_even_hours from carry_net"
    ).fetchall()
    assert got == [("a", "b", T0 + 46 * HOUR, 0.0)], "c is a day old"
    at = con.sql(
        "select long_exchange, short_exchange from carry_net_with(at_time := timestamptz '2026-01-05 20:30:00+00')"
    )
    assert sorted(at.fetchall()) == [("a", "b"), ("a", "c"), ("b", "c")]


@pytest.mark.slow
def test_what_carry_net_takes_for_known_is_what_spreads_knows():
    rows = [paid("a", h, 1e-5 * h) for h in range(1, 30)] + [paid("b", h, 8e-5 * h, 8.0) for h in (8, 16, 24)]
    rows += [paid("c", h, 4e-5, 4.0) for h in (4, 8, 20, 24)] + [paid("c", 26, 1.0, None)]
    con = in_memory(rows)
    shown = "base, long_exchange, long_symbol, short_exchange, short_symbol, round(spread_1h, 12)"
    for hour in range(2, 32):
        at = T0 + hour * HOUR
        known = con.sql(f"select {shown} from spreads where hour_at = $at", params={"at": at}).fetchall()
        net = con.sql(f"select {shown} from carry_net_with(at_time := $at)", params={"at": at}).fetchall()
        assert sorted(net) == sorted(known), hour


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("fill := 'market'", "fill is taker or maker"),
        ("horizon_hours := 0", "horizon_hours must be above 0"),
        ("slippage_bps := -1", "slippage_bps must not be negative"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(asked, says):
    con = in_memory([paid("a", 8, 1e-5), paid("b", 8, 2e-5)], fees="a 0 0;b 0 0")
    with pytest.raises(Exception, match=says):
        con.sql(f"select sum(net_apr) from carry_net_with({asked})").fetchall()


# ---- pair_stats


def test_a_pair_by_hand():
    # long a (pays nothing), short b: 2, -1, 1, 3, -1 (x 1e-5); summed 2, 1, 2, 5, 4
    rows = [*hourly("a", *[0.0] * 5), *hourly("b", 2e-5, -1e-5, 1e-5, 3e-5, -1e-5)]
    con = in_memory(rows, [seen("a", 1e6), seen("b", 9e9), seen("b", 4e5, hour=1)])
    (row,) = (
        con.sql("from pair_stats_over(start := '2026-01-05', stop := '2026-01-05 06:00')")
        .pl()
        .rows(named=True)
    )
    assert (row["long_exchange"], row["short_exchange"], row["hours"], row["missing_hours"]) == (
        "a",
        "b",
        5,
        1,
    )
    assert (row["first_at"], row["last_at"]) == (T0 + HOUR, T0 + 5 * HOUR)
    assert row["mean_1h"] == pytest.approx(0.8e-5)
    assert row["mean_apr"] == pytest.approx(0.07008)
    assert row["median_1h"] == pytest.approx(1e-5)
    assert row["trimmed_mean_1h"] == pytest.approx(0.8e-5)  # a twentieth of 5 hours is none
    assert row["deviation_1h"] == pytest.approx(1e-5 * 3.2**0.5)
    assert row["stability"] == pytest.approx(0.8 / 3.2**0.5)
    assert row["top_share"] == pytest.approx(0.75)  # the best hour: 3 of 4
    assert row["same_sign_share"] == pytest.approx(0.6)
    assert row["half_life_hours"] is None  # neighbours go against each other
    assert (row["drawdown"], row["drawdown_hours"]) == (pytest.approx(1e-5), 1)
    assert (row["open_interest_usd"], row["capacity_usd"]) == (4e5, pytest.approx(4e3))
    assert row["usd_per_day"] == pytest.approx(4e3 * 0.8e-5 * 24)
    larger = con.sql("select capacity_usd from pair_stats_over(participation := 0.1)").fetchall()
    assert larger == [(pytest.approx(4e4),)]


def test_the_pair_is_turned_so_that_it_earned_and_trims_the_extremes():
    # twenty hours: 18 at -2e-5, one at -50e-5, one at +30e-5: long b, short a
    con = in_memory([*hourly("a", *[0.0] * 20), *hourly("b", *[-2e-5] * 9, -5e-4, *[-2e-5] * 9, 3e-4)])
    (row,) = con.sql("from pair_stats").pl().rows(named=True)
    assert (row["long_exchange"], row["short_exchange"]) == ("b", "a")
    assert row["mean_1h"] == pytest.approx((18 * 2 + 50 - 30) / 20 * 1e-5)
    assert row["trimmed_mean_1h"] == pytest.approx(2e-5)
    assert row["median_1h"] == pytest.approx(2e-5)
    assert row["top_share"] == pytest.approx(50 / 56)
    assert (row["drawdown"], row["drawdown_hours"]) == (pytest.approx(3e-4), 1)
    assert row["open_interest_usd"] is None
    assert row["usd_per_day"] is None


def test_the_half_life_by_hand():
    # neighbours (0,0), (0,1), (1,1), (1,1): covariance 1/8, variances 1/4 and 3/16: correlation 1/8 / sqrt(3/64) = 1/sqrt(3)
    con = in_memory([*hourly("a", *[0.0] * 5), *hourly("b", 0.0, 0.0, 1e-5, 1e-5, 1e-5)])
    (value,) = con.sql("select half_life_hours from pair_stats").fetchall()[0]
    assert value == pytest.approx(log(2) / -log(3**-0.5))


def test_a_straight_rise_has_no_half_life():
    con = in_memory([*hourly("a", *[0.0] * 9), *hourly("b", *[n * 1e-6 for n in range(9)])])
    assert con.sql("select half_life_hours from pair_stats").fetchall() == [(None,)]


def test_a_mismatch_and_unknown_intervals_and_special_payments_are_left_out():
    rows = [*hourly("a", *[0.0] * 5), *hourly("b", *[1e-5] * 5), *hourly("c", *[9.0] * 5)]
    rows += [*hourly("d", *[5.0] * 5, hours=None), paid("b", 3, 0.5, None, rate_type="special")]
    con = in_memory(rows, mismatch="c", fees="a 0 0;b 0 0;c 0 0;d 0 0")
    pairs = con.sql("select long_exchange, short_exchange, hours, mean_1h from pair_stats").fetchall()
    assert pairs == [("a", "b", 5, pytest.approx(1e-5))]
    assert con.sql("select long_exchange, short_exchange from carry_net").fetchall() == [("a", "b")]


def test_open_interest_of_another_source_counts_where_its_symbol_can_mean_one_market_only():
    rows = [*hourly("a", 0.0, 0.0), *hourly("b", 1e-5, 1e-5)]
    spelt = [seen("a", 2e6, symbol="BTC_USDC", source="coingecko"), seen("b", 3e6)]
    con = in_memory(rows, spelt)
    assert con.sql("select open_interest_usd from pair_stats").fetchall() == [(2e6,)]
    con = in_memory([*rows, *hourly("a", 2e-5, 2e-5, symbol="BTC-USDT")], spelt)
    assert con.sql("select open_interest_usd from pair_stats").fetchall() == [(None,), (None,)]


def test_a_window_that_makes_no_sense_is_refused():
    con = in_memory([*hourly("a", 0.0), *hourly("b", 1e-5)])
    for asked, says in (
        ("start := '2026-01-06', stop := '2026-01-05'", "stop must be after start"),
        ("participation := 1.5", "participation is a share"),
    ):
        with pytest.raises(Exception, match=says):
            con.sql(f"select sum(mean_1h), sum(capacity_usd) from pair_stats_over({asked})").fetchall()


WINDOW = 40
WORLDS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(1, 2 * WINDOW), st.sampled_from([1.0, 1.0, 4.0, 0.5, None]), st.integers(-9, 9)
    ),
    min_size=30,
    max_size=160,
    unique_by=lambda p: p[:2],
)  # fmt: skip


def earned(rows):
    """Hour -> what one exchange's payments accrued in it, over the hours that they cover wholly and once."""
    sums, covered = {}, {}
    for row in rows:
        if row["interval_hours"] is None:
            continue
        stop = (row["funding_time"] - T0) / HOUR
        start = stop - row["interval_hours"]
        for hour in range(1, WINDOW + 1):
            inside = min(stop, hour) - max(start, hour - 1)
            if inside > 0:
                sums[hour] = sums.get(hour, 0.0) + row["funding_rate"] / row["interval_hours"] * inside
                covered[hour] = covered.get(hour, 0.0) + inside
    return {hour: value for hour, value in sums.items() if abs(covered[hour] - 1) < 1e-3}


def judged(low, high):
    hours = sorted(set(low) & set(high))
    series = [high[h] - low[h] for h in hours]
    turned = sum(series) < 0
    if turned:
        series = [-x for x in series]
    n, ranked, total = len(series), sorted(series), sum(series)
    cut, best = floor(n * 0.05), ceil(n / 100)
    summed = peak = depth = 0.0
    below, peak_hour = 0, hours[0] - 1
    for hour, x in zip(hours, series, strict=True):
        summed += x
        if summed >= peak:
            peak, peak_hour = summed, hour
        depth, below = max(depth, peak - summed), max(below, hour - peak_hour)
    neighbours = [(series[k - 1], series[k]) for k in range(1, n) if hours[k] - hours[k - 1] == 1]
    return turned, {
        "hours": n,
        "missing_hours": WINDOW - n,
        "mean_1h": total / n,
        "median_1h": statistics.median(series),
        "trimmed_mean_1h": statistics.fmean(ranked[cut : n - cut]),
        "deviation_1h": statistics.stdev(series) if n > 1 else None,
        "top_share": sum(ranked[-best:]) / total if abs(total) > 1e-9 else None,
        "same_sign_share": sum(x > 1e-12 for x in series) / n,
        "half_life_hours": half_life(neighbours),
        "drawdown": depth,
        "drawdown_hours": below,
    }


def half_life(neighbours):
    if len(neighbours) < 2 or any(max(v) - min(v) < 1e-9 for v in zip(*neighbours, strict=True)):
        return None
    rho = statistics.correlation(*zip(*neighbours, strict=True))
    return -log(2) / log(rho) if 1e-9 < rho < 1 - 1e-9 else None


@settings(max_examples=25)
@given(WORLDS)
def test_pair_stats_is_what_a_slow_reading_of_its_definitions_gives(payments):
    # eighths keep sums exact, so that a sum of 0 and a sum back at its peak are seen as such on both sides
    rows = [paid(e, h / 2, rate / 8 * (hours or 1.0), hours) for e, h, hours, rate in payments]
    want = {}
    by_exchange = {e: earned([r for r in rows if r["exchange"] == e]) for e in "abc"}
    for low, high in (("a", "b"), ("a", "c"), ("b", "c")):
        if set(by_exchange[low]) & set(by_exchange[high]):
            turned, figures = judged(by_exchange[low], by_exchange[high])
            want[(high, low) if turned else (low, high)] = figures
    con = in_memory(rows)
    got = (
        con.sql("from pair_stats_over(start := '2026-01-05', stop := '2026-01-06 16:00')")
        .pl()
        .rows(named=True)
    )
    assert {(r["long_exchange"], r["short_exchange"]) for r in got} == set(want)
    for row in got:
        for name, value in want[row["long_exchange"], row["short_exchange"]].items():
            assert row[name] == (value if value is None else pytest.approx(value, rel=1e-6, abs=1e-12)), (
                name,
                row,
            )


# ---- the command line


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """BTC on three exchanges, ETH on two, fees of all but odd; open interest of two."""
    rows = []
    for base, exchanges in (("BTC", "extended lighter odd"), ("ETH", "lighter odd")):
        for place, exchange in enumerate(exchanges.split()):
            rates = [1e-5 * (1 + 3 * place + (h % 3 if base == "ETH" else 0) * place) for h in range(30)]
            rows += hourly(exchange, *rates, base=base, symbol=base)
    home = tmp_path_factory.mktemp("costs") / "warehouse"
    Lake(home).upsert("funding", frame(FUNDING, rows))
    Lake(home).upsert("snapshots", frame(TABLES["snapshots"], [seen("extended", 1e6), seen("lighter", 2e6)]))
    table(home / "fees.csv", "extended,base,0.0003,0,2020-01-01", "lighter,base,0,0,2020-01-01")
    return home


@pytest.fixture
def spreads(filled, capsys):
    def run(*args, code=0):
        try:
            ended = main(
                ["spreads", "--warehouse", str(filled), "--at", "2026-01-06T05:00Z", "--json", *args]
            )
        except SystemExit as usage:
            ended = usage.code
        out, err = capsys.readouterr()
        assert ended == code, err
        return [json.loads(line) for line in out.splitlines()], err

    return run


def test_rank_net_puts_what_is_left_first_and_says_which_fees_are_missing(spreads, tmp_path):
    rows, said = spreads("--rank", "net", "--horizon", "2d")
    # the wider pair, extended and odd, has unknown costs: BTC is shown with the pair that is known
    assert [(r["base"], r["long_exchange"], r["short_exchange"]) for r in rows] == [
        ("BTC", "extended", "lighter"),
        ("ETH", "lighter", "odd"),
    ]
    assert rows[0]["net_apr"] == pytest.approx((3e-5 * 48 - 0.0006) / 48 * 8760)
    assert (rows[0]["break_even_hours"], rows[0]["horizon_hours"]) == (pytest.approx(20), 48)
    assert (rows[1]["net_apr"], rows[1]["reason"]) == (None, "no base taker fee known at that hour for odd")
    assert (
        "3 of 4 pairs have unknown costs and come last: no base taker fee known at 2026-01-06 for odd" in said
    )
    own = table(
        tmp_path / "own.csv",
        "odd,base,0,0,2020-01-01",
        "extended,base,0,0,2020-01-01",
        "lightr,base,0,0,2020-01-01",
    )
    rows, said = spreads("--rank", "net", "--fees", str(own), "--exchanges", "extended,odd")
    assert [(r["base"], r["short_exchange"], r["costs"]) for r in rows] == [("BTC", "odd", 0.0)]
    assert "fees: unknown exchange 'lightr': did you mean lighter?" in said


def test_a_dex_whose_fee_is_unknown_is_named_not_its_exchange(tmp_path, capsys):
    rows = [paid("lighter", 8, 1e-5), paid("hyperliquid", 8, 2e-5, symbol="xyz:BTC")]
    Lake(tmp_path).upsert("funding", frame(FUNDING, rows))
    table(tmp_path / "fees.csv", "lighter,base,0,0,2020-01-01", "hyperliquid,base,0.0004,0,2020-01-01")
    assert main(["spreads", "--rank", "net", "--at", "2026-01-05T08:00Z", "--warehouse", str(tmp_path)]) == 0
    assert "no base taker fee known at 2026-01-05 for hyperliquid:xyz;" in capsys.readouterr().err


def test_rank_capacity_and_stability_show_the_figures_they_rank_by(spreads):
    rows, said = spreads("--rank", "capacity", "--top", "5")
    assert (rows[0]["base"], rows[0]["long_exchange"], rows[0]["short_exchange"]) == (
        "BTC",
        "extended",
        "lighter",
    )
    assert rows[0]["usd_per_day"] == pytest.approx(1e4 * 3e-5 * 24)
    assert rows[1]["usd_per_day"] is None
    assert "3 of 4 pairs have a leg whose open interest no snapshot" in said
    assert "4 of 4 pairs miss more than half of the 720 hours" in said
    rows, _ = spreads("--rank", "stability")
    eth = next(r for r in rows if r["base"] == "ETH")
    assert eth["stability"] == pytest.approx(eth["mean_apr"] / 8760 / eth["deviation_1h"])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--fees", "maker"], "--fees counts costs: use it with --rank net"),
        (["--horizon", "3d", "--rank", "capacity"], "--horizon counts costs"),
        (["--rank", "net", "--horizon", "3"], "write a number and s, m, h or d"),
        (["--rank", "net", "--fees", "makr"], "--fees makr: is neither taker nor maker nor a file"),
        (["--rank", "stability", "--hours", "2"], "looks at the 30 days before one instant"),
        (["--rank", "best"], "invalid choice"),
    ],
)
def test_wrong_usage_of_ranks_is_told(spreads, args, says):
    assert says in spreads(*args, code=2)[1]
