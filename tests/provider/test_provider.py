"""What was known and what was paid: on a real year of seven exchanges, and on random lakes."""

from datetime import datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadWindow, NoRowsWarning, UnknownName
from fundingdb.lake import Lake
from fundingdb.provider.provider import BestSpread, FundingRateBacktestDataProvider, Known
from tests.paid_rows import T0, at, over, payment, rows
from tests.provider.settlements import days
from tests.real_data import seven_venues


@pytest.fixture(scope="module")
def year(shared, tmp_path_factory) -> FundingRateBacktestDataProvider:
    """A real year through the lake."""
    warehouse = tmp_path_factory.mktemp("year")
    Lake(warehouse).upsert("funding", seven_venues(shared))
    provider = FundingRateBacktestDataProvider(warehouse)
    provider.load_data("2025-03-08", "2026-03-08")
    return provider


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> FundingRateBacktestDataProvider:
    """Days of a year written by hand, through the lake."""
    warehouse = tmp_path_factory.mktemp("written")
    october, february = ((when - T0) / timedelta(hours=1) for when in (at(2025, 10, 1, 8), at(2026, 2, 1, 8)))
    lake = Lake(warehouse)
    lake.upsert("funding", days())
    lake.upsert(
        "funding",
        rows(
            *(payment("binance", token, october, 0.0001, 8.0) for token in ("BTC", "ETH", "SOL")),
            payment("bybit", "BTC", october, 0.0002, 8.0),
            *(payment("okx", token, february, 0.0003, 8.0) for token in ("BTC", "ETH")),
        ),
    )
    provider = FundingRateBacktestDataProvider(warehouse)
    provider.load_data("2025-03-08", "2026-03-08")
    return provider


# ---- a real year


def test_the_rate_known_is_the_last_settled_one_per_hour(written, subtests):
    for exchange, token, when, per_hour in [
        # binance pays 0.00001013 for the 8 h to 16:00 (stamped 16:00:00.014) and 0.0001 for those to midnight
        ("binance", "BTC", at(2025, 10, 10, 16), 0.00001013 / 8),
        ("binance", "BTC", at(2025, 10, 10, 23, 59, 59), 0.00001013 / 8),
        ("binance", "BTC", at(2025, 10, 11), 0.0001 / 8),
        ("hyperliquid", "BTC", at(2025, 10, 10, 21, 30), 0.00010921059499999999),
        # HYPE pays each 4 h on binance and okx, each 8 h on bybit
        ("binance", "HYPE", at(2026, 2, 1, 4), 0.00005 / 4),
        ("okx", "HYPE", at(2026, 2, 1, 9), 0.0000182851349279 / 4),
        ("bybit", "HYPE", at(2026, 2, 1, 7), 0.00009352 / 8),
        # dydx stamps its settlement of 04:00 at 04:00:00.185
        ("dydx", "HYPE", at(2026, 2, 1, 4), 0.000024875),
        ("lighter", "BTC", at(2025, 12, 1, 20), -2.2500000000000005e-06),
    ]:
        with subtests.test(exchange=exchange, token=token, when=when, per_hour=per_hour):
            assert written.get_funding_rate(when, exchange, token) == pytest.approx(per_hour, rel=1e-12)
            assert written.get_funding_rate(when.timestamp(), exchange, token) == written.get_funding_rate(
                when, exchange, token
            )


def test_an_old_rate_is_no_rate(written, subtests):
    for exchange, when, known in [
        # lighter's hole of 90 h: 2025-12-01 20:00 .. 2025-12-05 14:00; its rate counts for an hour
        ("lighter", at(2025, 12, 1, 20, 59, 59), True),
        ("lighter", at(2025, 12, 1, 21), False),
        ("lighter", at(2025, 12, 3), False),
        ("lighter", at(2025, 12, 5, 13, 59, 59), False),
        ("lighter", at(2025, 12, 5, 14), True),
        # kraken misses 16:00 and 17:00 on 2025-11-01
        ("kraken", at(2025, 11, 1, 15, 59), True),
        ("kraken", at(2025, 11, 1, 16), False),
        ("kraken", at(2025, 11, 1, 18), True),
    ]:
        with subtests.test(exchange=exchange, when=when, known=known):
            assert (written.get_funding_rate(when, exchange, "BTC") is not None) == known
            assert (written.funding_rates([when], exchange, "BTC")[0] is not None) == known


def test_nothing_is_in_force_before_the_first_payment_and_an_interval_after_the_last(year, subtests):
    for exchange, when, known in [
        # the file starts and ends here: before the first payment and 8 h after the last one nothing is known
        ("binance", at(2025, 3, 8, 15, 59), False),
        ("binance", at(2026, 3, 7, 15, 59), True),
        ("binance", at(2026, 3, 7, 16), False),
        ("lighter", at(2025, 3, 9), False),
    ]:
        with subtests.test(exchange=exchange, when=when, known=known):
            assert (year.get_funding_rate(when, exchange, "BTC") is not None) == known
            assert (year.funding_rates([when], exchange, "BTC")[0] is not None) == known


def test_a_payment_keeps_its_own_interval(written):
    found = written.get_funding(at(2025, 10, 10, 20), "binance", "BTC")
    assert found == Known("binance", "BTC", at(2025, 10, 10, 16), 8.0, 1.013e-05, 1.013e-05 / 8)
    assert written.get_funding(at(2025, 12, 3), "lighter", "BTC") is None


def test_a_spread_of_unlike_intervals_is_per_hour_and_turns_its_sign_with_the_sides(written):
    when = at(2025, 10, 10, 21, 30)
    spread = written.get_spread(when, "binance", "hyperliquid", "BTC")
    assert spread == pytest.approx(0.00010921059499999999 - 0.00001013 / 8, rel=1e-12)
    assert written.get_spread(when, "hyperliquid", "binance", "BTC") == -spread
    assert written.get_spread(at(2025, 12, 3), "binance", "lighter", "BTC") is None


def test_the_best_spread_is_the_widest_of_all_pairs(written):
    when = at(2026, 2, 1, 4, 30)
    rates = {
        "binance": 5e-05 / 4, "okx": 5e-05 / 4, "bybit": 9.352e-05 / 8, "dydx": 2.4875e-05,
        "hyperliquid": 1.2443276271186445e-05, "kraken": 8.900384722222e-06, "lighter": 1.1999999999999943e-05,
    }  # fmt: skip
    assert written.get_best_spread(when, "HYPE") == BestSpread(
        "kraken", "dydx", rates["dydx"] - rates["kraken"]
    )
    assert written.matrix("HYPE").row(by_predicate=pl.col("timestamp") == at(2026, 2, 1, 4), named=True) == {
        "timestamp": at(2026, 2, 1, 4),
        **rates,
    }


def test_carry_is_the_settlements_after_entry_leg_by_leg(written):
    paid = written.carry("BTC", "binance", "hyperliquid", at(2025, 10, 10, 16), at(2025, 10, 11))
    expected = [(hour, "short") for hour in range(17, 24)] + [(0, "long"), (0, "short")]
    assert [(row["funding_time"].hour, row["leg"]) for row in paid.iter_rows(named=True)] == expected
    assert dict(paid.filter(leg="long").select("exchange", "cash").iter_rows()) == {"binance": -0.0001}
    assert paid.filter(pl.col("funding_time") == at(2025, 10, 10, 22), leg="short")["cash"].item() < 0


def test_a_year_of_carry_is_what_the_file_adds_up_to(year, shared):
    file = pl.read_parquet(shared / "data/cross_venue/funding_7venues_5tokens_2025-03_2026-03.parquet")
    sums = dict(file.filter(coin="BTC").group_by("venue").agg(pl.col("funding_rate").sum()).iter_rows())
    paid = year.carry("BTC", "binance", "hyperliquid", at(2025, 3, 8), at(2026, 3, 8))
    assert paid["cash"].sum() == pytest.approx(sums["hyperliquid"] - sums["binance"], rel=1e-9)
    assert paid["cash"].sum() == pytest.approx(0.0465, abs=5e-5)


def test_payments_are_after_the_start_and_up_to_the_end(written):
    paid = written.get_funding_payments("binance", "BTC", at(2025, 10, 10, 8), at(2025, 10, 11))
    assert paid["funding_time"].to_list() == [at(2025, 10, 10, 16), at(2025, 10, 11)]
    assert paid["funding_rate"].to_list() == [1.013e-05, 0.0001]
    assert paid["interval_hours"].to_list() == [8.0, 8.0]


def test_the_summary_counts_payments_and_holes(year):
    summary = {(row["exchange"], row["base"]): row for row in year.get_data_summary().iter_rows(named=True)}
    assert len(summary) == 35
    assert sum(row["payments"] for row in summary.values()) == 115_218
    assert {e: r["holes"] for (e, b), r in summary.items() if b == "BTC"} == {
        "binance": 0, "bybit": 0, "dydx": 0, "hyperliquid": 0, "kraken": 8, "lighter": 28, "okx": 0,
    }  # fmt: skip
    assert summary["okx", "HYPE"]["interval_hours"] == [4.0]
    assert summary["binance", "BTC"]["first"] == at(2025, 3, 8, 16)
    assert summary["kraken", "BTC"]["hole_hours"] == 9  # 7 holes of one hour, one of two


def test_payment_times_are_distinct_and_in_order(year):
    times = year.get_funding_payment_times("binance")
    assert times.len() == 1092 + 1686 - 843  # BTC each 8 h; HYPE each 4 h, every second one with BTC
    assert times.is_sorted()
    assert times[0] == at(2025, 3, 8, 16)


def test_the_days_written_by_hand_are_days_of_the_real_year(shared):
    columns = ["exchange", "base", "funding_time", "funding_rate", "interval_hours"]
    written = days().select(columns)
    assert written.join(seven_venues(shared), on=columns, how="anti").is_empty()
    assert written.height == 32


def test_all_rows_come_back_as_they_are_in_the_file(year, shared):
    back = year.payments().select("exchange", "base", "funding_time", "funding_rate", "interval_hours")
    given = seven_venues(shared).select(back.columns).sort("exchange", "base", "funding_time")
    assert back.equals(given)


def test_every_hour_of_the_year_is_what_the_view_says(year):
    hours = pl.datetime_range(at(2025, 3, 8), at(2026, 3, 8), "1h", time_unit="us", eager=True)
    for exchange in ("lighter", "kraken", "binance"):
        known = year._rows.lake_view.query(
            "SELECT known_from, known_until, rate_1h FROM funding_ranges WHERE exchange = ? AND base = 'BTC'",
            [exchange],
        ).sort("known_from")
        asof = hours.alias("hour").to_frame().join_asof(known, left_on="hour", right_on="known_from")
        expected = asof.select(pl.when(pl.col("hour") < pl.col("known_until")).then("rate_1h")).to_series()
        assert year.funding_rates(hours, exchange, "BTC").equals(expected, null_equal=True)


# ---- instants


def test_seconds_and_datetimes_of_any_zone_are_one_instant(written):
    when = at(2025, 10, 10, 21)
    forms = [when.timestamp(), int(when.timestamp()), when, when.astimezone(timezone(timedelta(hours=-5)))]
    assert {written.get_funding_rate(form, "hyperliquid", "BTC") for form in forms} == {
        0.00010921059499999999
    }
    for form in forms:
        assert written.funding_rates([form], "hyperliquid", "BTC").to_list() == [0.00010921059499999999]


def test_what_is_no_instant_of_the_span_is_refused(written, subtests):
    for when, told in [
        (1_760_130_000_000, "looks like milliseconds; Unix seconds are wanted"),
        (datetime(2025, 10, 10), "2025-10-10T00:00:00: naive datetime"),  # noqa: DTZ001 - the bad input
        (True, "True: not a time"),
        (float("nan"), "nan: not a time"),
        ("2025-10-10", "'2025-10-10': not a time"),
        (None, "None: not a time"),
        (at(2025, 3, 7, 23, 59), "is outside the loaded span 2025-03-08T00:00:00+00:00 .. 2026-03-08"),
        (at(2026, 3, 8).timestamp() + 1, "load_data a wider one"),
    ]:
        with subtests.test(when=when, told=told):
            for ask in (
                lambda when=when: written.get_funding_rate(when, "binance", "BTC"),
                lambda when=when: written.get_spread(when, "binance", "okx", "BTC"),
                lambda when=when: written.get_best_spread(when, "BTC"),
                lambda when=when: written.get_funding_payments("binance", "BTC", when, at(2026, 1, 1)),
            ):
                with pytest.raises(BadWindow) as caught:
                    ask()
                assert told in str(caught.value)


def test_the_first_bad_instant_of_many_is_named(written, subtests):
    for when, told in [
        ([at(2025, 10, 10), at(2026, 10, 10)], "row 1: timestamp 2026-10-10T00:00:00"),
        ([1.76e9, 1.76e12], "row 1: timestamp 1760000000000.0: looks like milliseconds"),
        ([1.76e9, float("nan")], "row 1: timestamp nan"),
        ([1.76e9, None], "row 1 is null"),
        ([datetime(2025, 10, 10)], "row 0: timestamp 2025-10-10T00:00:00: naive datetime"),  # noqa: DTZ001 - the bad input
        (["2025-10-10"], "String are no Unix seconds"),
        ([True], "Boolean are no Unix seconds"),
        ([1.76e9, at(2025, 10, 10)], "not one kind"),
    ]:
        with subtests.test(when=when, told=told):
            with pytest.raises(BadWindow) as caught:
                written.funding_rates(when, "binance", "BTC")
            assert told in str(caught.value)


def test_no_instants_give_no_rates(written):
    assert written.funding_rates([], "binance", "BTC").to_list() == []
    assert written.best_spreads([], "BTC").is_empty()


def test_both_ends_of_the_span_can_be_asked_and_the_one_before_counts(written):
    late = over(rows(payment("a", "X", 0, 0.8, 8.0), payment("a", "X", 8, 0.1, 8.0)), T0 + timedelta(hours=3))
    assert late.get_funding_rate(T0 + timedelta(hours=3), "a", "X") == 0.1
    assert late.get_funding_rate(T0 + timedelta(days=10), "a", "X") is None
    assert late.get_data_summary()["payments"].to_list() == [1]
    assert written.get_funding_rate(at(2025, 3, 8), "binance", "BTC") is None


# ---- names


def test_an_unknown_exchange_or_token_is_told_with_near_ones(written):
    with pytest.raises(UnknownName, match="unknown exchange 'binanc': did you mean binance"):
        written.get_funding_rate(1.76e9, "binanc", "BTC")
    with pytest.raises(UnknownName, match="unknown token on binance 'HYP': did you mean HYPE"):
        written.get_funding_rate(1.76e9, "binance", "HYP")
    with pytest.raises(UnknownName, match="unknown token 'btcc': did you mean BTC"):
        written.get_best_spread(1.76e9, "btcc")
    with pytest.raises(UnknownName, match="unknown exchange 'okex'"):
        written.get_funding_payment_times("okex")


def test_what_the_lake_does_not_have_cannot_be_loaded(written):
    other = FundingRateBacktestDataProvider(written._warehouse)
    with pytest.raises(UnknownName, match="unknown exchange 'binanc': did you mean binance"):
        other.load_data("2025-10-01", "2025-10-02", exchanges=["okx", "binanc"])
    with pytest.raises(UnknownName, match="unknown token 'BTCC': did you mean BTC"):
        other.load_data("2025-10-01", "2025-10-02", tokens=["BTCC"])
    with pytest.raises(UnknownName, match="unknown asset class 'coin'"):
        other.load_data("2025-10-01", "2025-10-02", asset_class="coin")
    with pytest.raises(BadWindow, match="reversed or empty"):
        other.load_data("2025-10-02", "2025-10-01")
    with pytest.raises(BadWindow, match="start_date .*looks like milliseconds"):
        other.load_data(1_760_000_000_000, "2025-10-01")
    with pytest.raises(BadCall, match="exchanges is empty"):
        other.load_data("2025-10-01", "2025-10-02", exchanges=[])
    with pytest.raises(BadCall, match="nothing is loaded: call load_data"):
        other.get_funding_rate(1.76e9, "binance", "BTC")


def test_what_was_left_out_is_not_mistaken_for_unknown_or_for_nothing(written):
    some = FundingRateBacktestDataProvider(written._warehouse)
    with pytest.warns(NoRowsWarning, match=r"2025-10-02 00:00Z is stored for okx: 'fundingdb coverage'"):
        loaded = some.load_data(
            "2025-10-01", "2025-10-02", exchanges=["binance", "okx"], tokens=["BTC", "ETH"]
        )
    assert set(loaded["exchange"]) == {"binance"}
    assert some.get_funding_rate(at(2025, 10, 1, 9), "okx", "BTC") is None  # in the lake from 2025-12 on
    with pytest.raises(BadCall, match="exchange bybit was not loaded: load_data was limited to binance, okx"):
        some.get_funding_rate(at(2025, 10, 1, 9), "bybit", "BTC")
    with pytest.raises(BadCall, match="'SOL' was not loaded: the lake has it as crypto SOL on binance"):
        some.get_funding_rate(at(2025, 10, 1, 9), "binance", "SOL")


def test_a_span_before_the_first_settlement_warns_and_a_mistyped_path_too(written, tmp_path):
    provider = FundingRateBacktestDataProvider(written._warehouse)
    with pytest.warns(NoRowsWarning, match=r"no settlement from 2020-01-01 00:00Z .* at all for any market"):
        assert provider.load_data("2020-01-01", "2020-01-02")["payments"].sum() == 0
    typo = FundingRateBacktestDataProvider(tmp_path / "typo")
    with pytest.warns(NoRowsWarning, match="typo does not exist: all tables read as empty"):
        typo.load_data("2025-10-01", "2025-10-02")


def test_a_spread_takes_two_exchanges(written):
    for ask in (written.get_spread, written.spreads):
        with pytest.raises(BadCall, match="okx against itself"):
            ask(1.76e9, "okx", "okx", "BTC")
    with pytest.raises(BadCall, match="okx against itself"):
        written.carry("BTC", "okx", "okx", 1.76e9, 1.761e9)


def test_an_empty_lake_knows_no_names(tmp_path):
    provider = FundingRateBacktestDataProvider(tmp_path)
    with pytest.warns(NoRowsWarning, match="has no lake"):
        assert provider.load_data("2025-10-01", "2025-10-02").is_empty()
    with pytest.raises(UnknownName, match="unknown exchange 'binance': there is none yet"):
        provider.get_funding_rate(at(2025, 10, 1), "binance", "BTC")


def test_a_base_means_its_main_market_and_others_answer_to_their_symbols():
    provider = over(
        rows(
            payment("hyperliquid", "hyna:BTC", 0, 0.3, base="BTC"),
            payment("hyperliquid", "BTC", 0, 0.1),
            payment("hyperliquid", "kPEPE", 0, 0.2, base="PEPE"),
            payment("hyperliquid", "PEPE2", 0, 0.4, base="PEPE"),
        )
    )
    rate = {t: provider.get_funding_rate(T0, "hyperliquid", t) for t in ("BTC", "hyna:BTC", "PEPE", "kPEPE")}
    assert rate == {"BTC": 0.1, "hyna:BTC": 0.3, "PEPE": 0.4, "kPEPE": 0.2}
    main = provider.get_data_summary().filter("main")["symbol"].to_list()
    assert main == ["BTC", "PEPE2"]


def test_a_coin_is_never_compared_with_a_stock_of_the_same_name():
    both = rows(
        payment("lighter", "CAT", 0, 0.1, asset_class="equity"),
        payment("extended", "CAT-USD", 0, 0.2, base="CAT"),
        payment("hyperliquid", "CAT", 0, 0.3),
        payment("hyperliquid", "xyz:CAT", 0, 0.4, base="CAT", asset_class="equity"),
    )
    coins = over(both)
    assert coins.get_spread(T0, "extended", "hyperliquid", "CAT") == pytest.approx(0.1)
    assert coins.matrix("CAT").columns == ["timestamp", "extended", "hyperliquid"]
    assert coins.get_funding_rate(T0, "hyperliquid", "xyz:CAT") == 0.4
    with pytest.raises(BadCall, match="lake has it as equity CAT on lighter, but here CAT means the crypto"):
        coins.get_spread(T0, "extended", "lighter", "CAT")
    stocks = over(both, asset_class="equity")
    assert stocks.get_spread(T0, "lighter", "hyperliquid", "CAT") == pytest.approx(0.3)


def test_special_payments_are_paid_but_never_known():
    provider = over(rows(payment("a", "X", 0, 0.4, 4.0), payment("a", "X", 1, 9.0, rate_type="special")))
    assert provider.get_funding_rate(T0 + timedelta(hours=1), "a", "X") == 0.1
    paid = provider.get_funding_payments("a", "X", T0, T0 + timedelta(days=1))
    assert paid.select("rate_type", "funding_rate").rows() == [("special", 9.0)]


def test_a_payment_of_unknown_interval_ends_what_was_known():
    provider = over(
        rows(payment("a", "X", 0, 0.8, 8.0), payment("a", "X", 4, 0.4, None), payment("a", "Y", 0, 1.0, None))
    )
    hours = [T0 + timedelta(hours=h) for h in (0, 3, 4, 9)]
    assert provider.funding_rates(hours, "a", "X").to_list() == [0.1, 0.1, None, None]
    assert provider.get_funding_rate(T0, "a", "Y") is None


def test_equal_rates_give_a_spread_of_zero_between_first_and_last_by_name():
    provider = over(rows(*(payment(e, "X", 0, 0.1) for e in "cab")))
    assert provider.get_best_spread(T0, "X") == BestSpread("a", "c", 0.0)
    assert provider.best_spreads([T0], "X").row(0) == (T0, "a", "c", 0.0, 3)


def test_a_pinned_version_gives_the_same_rows_again(tmp_path):
    lake = Lake(tmp_path)
    first = lake.upsert("funding", rows(payment("a", "X", 0, 0.1))).version
    lake.upsert("funding", rows(payment("a", "X", 0, 0.2), payment("a", "X", 1, 0.3)))
    pinned, newest = (
        FundingRateBacktestDataProvider(tmp_path, first),
        FundingRateBacktestDataProvider(tmp_path),
    )
    for provider in (pinned, newest):
        provider.load_data(T0, T0 + timedelta(days=1))
    assert [p.get_funding_rate(T0, "a", "X") for p in (pinned, newest)] == [0.1, 0.2]
    assert [
        p.get_funding_payments("a", "X", T0, T0 + timedelta(hours=5)).height for p in (pinned, newest)
    ] == [0, 1]


# ---- properties

payments = st.lists(
    st.builds(
        payment,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["X", "Y"]),
        st.integers(-30, 60) | st.sampled_from([h / 2 for h in range(-10, 60)]),
        st.floats(-1, 1),
        st.sampled_from([1.0, 1.0, 4.0, 8.0, 0.5, None]),
        rate_type=st.sampled_from(["regular"] * 9 + ["special"]),
    ),
    max_size=40,
    unique_by=lambda p: (p["exchange"], p["symbol"], p["funding_time"], p["rate_type"]),
)
START = [payment(e, s, -200, 0.0) for e in "abc" for s in "XY"]  # so that every name is in the lake
instants = st.lists(
    st.integers(0, 60 * 240).map(lambda quarters: T0 + timedelta(seconds=15 * quarters)), min_size=1
)


@settings(deadline=None, max_examples=20)
@given(payments, instants)
def test_nothing_after_an_instant_changes_its_answer(some, when):
    everything = over(rows(*START, *some))
    for t in when[:2]:
        before = over(rows(*START, *(p for p in some if p["funding_time"] <= t)))
        for exchange in "abc":
            for token in "XY":
                assert before.get_funding(t, exchange, token) == everything.get_funding(t, exchange, token)
        assert before.get_best_spread(t, "X") == everything.get_best_spread(t, "X")
        assert before.get_spread(t, "a", "b", "Y") == everything.get_spread(t, "a", "b", "Y")


@settings(deadline=None, max_examples=20)
@given(payments, instants)
def test_answers_are_those_of_the_view_and_many_are_each_of_them(some, when):
    provider = over(rows(*START, *some))
    ranges = provider._rows.lake_view.query(
        "SELECT exchange, symbol, known_from, known_until, rate_1h FROM funding_ranges", []
    )
    for token in "XY":
        for exchange in "abc":
            held = ranges.filter(exchange=exchange, symbol=token)
            expected = []
            for t in when:
                found = held.filter(pl.col("known_from") <= t, pl.col("known_until") > t)
                assert found.height <= 1
                expected.append(found["rate_1h"][0] if found.height else None)
            assert [provider.get_funding_rate(t, exchange, token) for t in when] == expected
            assert provider.funding_rates(when, exchange, token).to_list() == expected
        best = [provider.get_best_spread(t, token) for t in when]
        many = provider.best_spreads(when, token)
        pairs = zip(*many.select("long_exchange", "short_exchange", "spread_1h"), strict=True)
        assert [None if row[0] is None else BestSpread(*row) for row in pairs] == best
        assert provider.spreads(when, "a", "b", token).to_list() == [
            provider.get_spread(t, "a", "b", token) for t in when
        ]


@settings(deadline=None, max_examples=12)
@given(payments, instants, st.integers(0, 100))
def test_a_later_start_changes_no_answer(some, when, hours):
    start = T0 + timedelta(minutes=15 * hours)
    wide, narrow = over(rows(*START, *some)), over(rows(*START, *some), start)
    for t in (t for t in when if t >= start):
        for exchange in "abc":
            assert narrow.get_funding(t, exchange, "X") == wide.get_funding(t, exchange, "X")
    kept = wide.payments().filter(pl.col("funding_time") >= start)
    assert narrow.payments().equals(kept)


@pytest.mark.parametrize("limits", [{}, {"exchanges": ["Alpha", "BETA"], "tokens": ["kaito"]}])
def test_names_are_the_same_in_any_case_and_a_symbol_keeps_its_own(limits):
    some = [payment(e, "KAITO-USD", 0, 0.1 + n, base="KAITO") for n, e in enumerate(("alpha", "beta"))]
    provider = over(rows(*some, payment("alpha", "kPEPE", 0, 0.3, base="PEPE")), **limits)
    for exchange, token in (
        ("alpha", "KAITO"),
        ("Alpha", "kaito"),
        ("ALPHA", "Kaito"),
        ("alpha", "kaito-usd"),
    ):
        assert provider.rate_1h(T0, exchange, token) == 0.1
        assert provider.rates_1h([T0], exchange, token).to_list() == [0.1]
    assert provider.get_spread(T0, "ALPHA", "Beta", "kaito") == 1.0
    assert provider.get_best_spread(T0, "kaito") == BestSpread("alpha", "beta", 1.0)
    assert provider.get_funding(T0, "ALPHA", "kaito") == Known("alpha", "KAITO-USD", T0, 1.0, 0.1, 0.1)
    if not limits:
        assert provider.rate_1h(T0, "alpha", "kPEPE") == 0.3
    with pytest.raises(BadCall, match="against itself"):
        provider.get_spread(T0, "ALPHA", "alpha", "kaito")
    with pytest.raises(UnknownName, match="KAITO"):
        provider.rate_1h(T0, "alpha", "kaitoo")
