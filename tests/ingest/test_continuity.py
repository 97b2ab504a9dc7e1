"""New rows beside stored ones: worlds written here with the right verdict, and real series of ../shared that must pass."""

import random
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fundingdb.fetchers.limits import contradictions, misfits
from fundingdb.ingest.continuity import FINDINGS, VERDICTS, findings, verdicts
from fundingdb.schema import FUNDING
from tests.real_data import binance_without_intervals, hyperliquid_all

T0 = datetime(2026, 1, 5, tzinfo=UTC)
BASE = 0.0000125  # an hour


def frame(
    rates,
    *,
    symbol="BTC",
    start=0,
    hours=1.0,
    exchange="hyperliquid",
    stated=True,
    kind="regular",
    apart=None,
):
    """FUNDING rows of one market: these rates, one each `apart` hours from `start` hours after T0."""
    apart = apart or hours
    rows = [
        {
            "exchange": exchange,
            "source": exchange,
            "symbol": symbol,
            "base": symbol,
            "quote": "USDC",
            "asset_class": "crypto",
            "funding_time": T0 + timedelta(hours=start + i * apart),
            "interval_hours": hours if stated else None,
            "interval_from": "declared" if stated else "unknown",
            "funding_rate": rate,
            "rate_type": kind,
            "native_rate": rate,
            "mark_price": None,
            "index_price": None,
            "reported_time": T0 + timedelta(hours=start + i * apart),
            "fetched_at": T0 + timedelta(days=90),
        }
        for i, rate in enumerate(rates)
    ]
    return FUNDING.check(pl.DataFrame(rows, schema={n: t for n, t in FUNDING.schema.items() if n != "month"}))


def calm(count, seed=1, *, share=0.4, size=2e-5, hours=1.0, digits=10):
    """Rates of a calm market: this share at the base rate, the others around it, some negative."""
    draw = random.Random(seed)
    return [
        round(BASE * hours if draw.random() < share else draw.gauss(BASE / 2, size) * hours, digits)
        for _ in range(count)
    ]


def verdict(new, stored):
    """verdict, reason and factor of the one market."""
    (row,) = verdicts(new, stored).iter_rows(named=True)
    return row["verdict"], row["reason"], row["factor"] and round(row["factor"], 6)


def exchange(make, count=12, **where):
    """One frame of many markets: `make(seed)` gives the rates of each."""
    return pl.concat([frame(make(seed), symbol=f"M{seed}", **where) for seed in range(count)])


@pytest.mark.parametrize(
    "factor",
    [8, 1 / 8, 24, 1 / 24, 100, 1 / 100, 1095, 1 / 1095, 3, 1 / 3, 1000, 1e4, -8],
    ids=lambda f: f"{f:.4g}",
)
def test_a_factor_in_the_rates_of_one_market_is_held_by_its_name_after_24_stored_payments(factor):
    stored, new = calm(24, seed=5), calm(48, seed=2)
    assert verdict(frame([r * factor for r in new], start=24), frame(stored)) == (
        "hold",
        "factor",
        round(factor, 6),
    )


def test_a_turned_sign_is_held_by_the_base_rate_below_zero():
    new = [-r for r in calm(48, seed=2)]
    assert verdict(frame(new, start=24), frame(calm(24, seed=5))) == ("hold", "sign", -1.0)


def test_a_factor_rounded_to_the_published_step_is_held_too():
    new = [round(r / 24, 10) for r in calm(48, seed=2)]
    assert verdict(frame(new, start=504), frame(calm(504))) == ("hold", "factor", round(1 / 24, 6))


def test_rates_that_continue_pass():
    assert verdict(frame(calm(720, seed=2), start=504), frame(calm(504))) == ("pass", None, None)


def test_a_market_that_grows_hot_and_leaves_its_base_rate_is_a_note():
    hot = [round(abs(random.Random(i).gauss(8 * BASE, BASE)), 10) for i in range(240)]
    assert verdict(frame(hot, start=504), frame(calm(504)))[:2] == ("note", "regime")


def test_a_crash_that_turns_all_markets_of_an_exchange_negative_for_an_hour_passes():
    stored = exchange(lambda seed: calm(504, seed))
    crash = exchange(lambda seed: [-round(abs(random.Random(seed).gauss(2e-4, 1e-4)), 10)], start=504)
    assert set(verdicts(crash, stored)["verdict"]) == {"pass"}


def test_a_new_listing_passes_whatever_its_size():
    assert verdict(frame([r * 24 for r in calm(72)], symbol="NEW", start=504), frame(calm(504))) == (
        "pass",
        None,
        None,
    )


def test_an_empty_lake_holds_nothing_and_no_rows_give_no_verdicts():
    assert verdict(frame(calm(72)), FUNDING.empty()) == ("pass", None, None)
    none = verdicts(FUNDING.empty(), frame(calm(72)))
    assert (none.height, none.schema) == (0, VERDICTS)
    assert (findings(none).height, findings(none).schema) == (0, FINDINGS)


@pytest.mark.parametrize("factor", [8, 1 / 8, 24, 100, 1095, -1], ids=lambda f: f"{f:.4g}")
def test_one_round_of_a_whole_exchange_in_another_unit_is_one_finding(factor):
    stored = exchange(lambda seed: calm(504, seed), count=40)
    new = exchange(lambda seed: [calm(1, seed + 1000)[0] * factor], count=40, start=504)
    (line,) = findings(verdicts(new, stored)).iter_rows(named=True)
    assert (line["verdict"], line["reason"]) == ("hold", "sign" if factor == -1 else "factor")
    assert line["factor"] == pytest.approx(factor)
    assert (line["markets"], line["of"], line["whole"]) == (40, 40, True)
    assert line["since"] == T0 + timedelta(hours=504)


def test_one_market_of_many_in_another_unit_leaves_the_others_alone():
    stored = exchange(lambda seed: calm(504, seed))
    new = exchange(lambda seed: [r * (8 if seed == 3 else 1) for r in calm(48, seed + 1000)], start=504)
    held = verdicts(new, stored).filter(pl.col("verdict") != "pass")
    assert held["symbol"].to_list() == ["M3"]
    (line,) = findings(held.vstack(verdicts(new, stored).filter(pl.col("verdict") == "pass"))).iter_rows(
        named=True
    )
    assert (line["markets"], line["of"], line["whole"]) == (1, 12, False)


def test_a_factor_that_comes_row_by_row_is_held_once_the_stored_rows_and_the_new_one_show_it():
    early = frame(
        [
            r * 8
            for r in [
                3e-5,
                BASE,
                2e-5,
                1e-5,
                3.1e-5,
                BASE,
                4e-5,
                2.2e-5,
                1.1e-5,
                3e-6,
                5e-6,
                6e-6,
                7e-6,
                8e-6,
            ]
        ],
        start=504,
    )
    stored = pl.concat([frame(calm(504, share=0.6)), early])
    assert verdict(frame([BASE * 8], start=518), stored) == ("hold", "factor", 8.0)
    assert verdict(frame([9.1e-5], start=518), stored)[0] == "pass"


def test_rows_let_in_after_a_look_do_not_hold_those_that_follow():
    released = frame([r * 8 for r in calm(240, seed=3)], start=504)
    new = frame([r * 8 for r in calm(48, seed=2)], start=744)
    assert verdict(new, pl.concat([frame(calm(504)), released]))[0] == "note"


def test_a_market_that_pays_more_often_keeps_its_rate_per_hour():
    stored, new = calm(63, hours=8.0, digits=8), calm(240, seed=2, digits=8)
    assert verdict(frame(new, start=504), frame(stored, hours=8.0))[0] == "pass"
    # the same where no row has an interval: the hours since the row before it count
    assert verdict(frame(new, start=497, stated=False), frame(stored, hours=8.0, stated=False))[0] == "pass"


def test_one_factor_at_common_instants_is_held_though_the_rates_are_few():
    stored = frame([1.1e-5, 2.3e-5, -0.7e-5, 4.9e-5], start=0)
    assert verdict(frame([1.1e-3, 2.3e-3, -0.7e-3, 4.9e-3]), stored) == ("hold", "factor", 100.0)
    assert verdict(frame([-1.1e-5, -2.3e-5, 0.7e-5, -4.9e-5]), stored) == ("hold", "sign", -1.0)
    assert verdict(frame([1.1e-5, 2.3e-5, -0.7e-5, 4.8e-5]), stored)[0] == "pass"


@pytest.mark.parametrize("by", [1, -1])
def test_rates_of_the_settlement_beside_are_held_as_shifted(by):
    rates = [round(r, 10) for r in calm(200, share=0.0)]
    new = rates[100 - by : 148 - by]
    assert verdict(frame(new, start=100), frame(rates)) == ("hold", "shifted", None)


def test_a_constant_series_shows_no_shift():
    assert verdict(frame([BASE] * 48, start=100), frame([BASE] * 200))[0] == "pass"


def test_most_markets_that_repeat_their_newest_stored_rate_are_one_shift_of_the_exchange():
    rates = {seed: calm(505, seed, share=0.0) for seed in range(12)}
    stored = exchange(lambda seed: rates[seed][:504])
    lagging = exchange(lambda seed: rates[seed][503:504], start=504)
    (line,) = findings(verdicts(lagging, stored)).iter_rows(named=True)
    assert (line["verdict"], line["reason"], line["whole"]) == ("hold", "shifted", True)
    assert set(verdicts(exchange(lambda seed: rates[seed][504:], start=504), stored)["verdict"]) == {"pass"}


def test_settlements_off_the_stored_hours_are_held_where_the_interval_stays():
    stored, new = frame(calm(63, hours=8.0), hours=8.0), calm(12, seed=2, hours=8.0)
    assert verdict(frame(new, start=505, hours=8.0), stored) == ("hold", "shifted", None)
    assert verdict(frame(new, start=504 + 24, hours=8.0), stored)[0] == "pass"  # lost payments


def test_a_walk_back_in_time_is_compared_with_the_rows_after_it():
    assert verdict(frame([r * 24 for r in calm(72, seed=2)]), frame(calm(504), start=72)) == (
        "hold",
        "factor",
        24.0,
    )
    assert verdict(frame(calm(72, seed=2)), frame(calm(504), start=72))[0] == "pass"


def test_special_payments_are_not_compared():
    assert verdicts(frame([0.05] * 48, start=504, kind="special"), frame(calm(504))).is_empty()


def test_a_batch_of_100_000_rows_costs_well_under_a_second():
    stored = pl.concat([frame(calm(504), symbol="A")] * 139).with_columns(
        symbol=pl.format("M{}", pl.int_range(pl.len()) // 504)
    )
    new = pl.concat([frame(calm(720), symbol="A", start=504)] * 139).with_columns(
        symbol=pl.format("M{}", pl.int_range(pl.len()) // 720)
    )
    assert new.height == 100_080
    best = 60.0
    for _ in range(3):
        begin = time.process_time()
        assert set(verdicts(new, stored)["verdict"]) == {"pass"}
        best = min(best, time.process_time() - begin)
    assert best < 2.0  # 0.4 s on two quiet cores; the rest is for busy ones


def test_rates_finer_than_the_published_step_and_beyond_the_bounds_are_named():
    rows = frame([1e-4, 1.23e-6, 0.00000001, 0.000000015, 0.2, -0.0301], exchange="binance", hours=8.0)
    named = misfits(rows, pl.DataFrame({"exchange": ["binance"], "symbol": ["BTC"], "rate_cap": [0.015]}))
    assert named.select("funding_rate", "reason", "limit").rows() == [
        (0.000000015, "finer", 1e-8),
        (0.2, "beyond", 0.03),
        (-0.0301, "beyond", 0.03),
    ]
    assert misfits(rows)["funding_rate"].to_list() == [
        0.000000015,
        0.2,
    ]  # without a market's cap: 0.1 on binance


def test_the_cap_of_an_hour_grows_with_the_hours_of_the_payment():
    assert misfits(frame([0.039, 0.041], hours=1.0))["funding_rate"].to_list() == [0.041]
    assert misfits(frame([0.041, 0.33], hours=8.0))["funding_rate"].to_list() == [0.33]


def test_special_payments_have_a_bound_and_no_step():
    rows = frame([0.0123456789123, -0.3, 1e30], exchange="binance", kind="special")
    assert misfits(rows).select("funding_rate", "reason", "limit").rows() == [(1e30, "beyond", 0.5)]


def test_eight_hours_stated_for_payments_four_hours_apart_are_a_contradiction():
    rows = frame([BASE] * 6, hours=8.0, apart=4.0)
    (line,) = contradictions(rows).select("interval_hours", "gap_hours", "count", "of").rows()
    assert line == (8.0, 4.0, 5, 5)
    assert contradictions(rows.tail(1), rows.head(5)).is_empty()  # one gap says too little
    assert contradictions(rows.tail(3), rows.head(3)).height == 1


def test_four_hours_stated_for_payments_eight_hours_apart_are_one_after_twelve():
    rows = frame([BASE] * 13, hours=4.0, apart=8.0)
    assert contradictions(rows).select("interval_hours", "gap_hours", "count").rows() == [(4.0, 8.0, 12)]
    assert contradictions(rows.head(12)).is_empty()


def test_lost_payments_a_change_of_the_interval_and_specials_contradict_nothing():
    rows = frame([BASE] * 90, hours=8.0)
    assert contradictions(rows.filter(pl.int_range(pl.len()).is_in([3, 4, 20, 40, 41, 42]).not_())).is_empty()
    changed = pl.concat([rows, frame([BASE] * 40, hours=4.0, start=90 * 8 - 4)])
    assert contradictions(changed).is_empty()
    assert contradictions(
        pl.concat([frame([BASE] * 40, hours=4.0), frame([BASE] * 30, hours=8.0, start=164)])
    ).is_empty()
    special = frame([0.01] * 30, hours=8.0, start=4, kind="special")
    assert contradictions(pl.concat([rows, special])).is_empty()


@pytest.fixture(scope="module")
def hyperliquid(shared):
    return hyperliquid_all(shared).filter(pl.col("month") >= "2025-08").sort("funding_time")


@pytest.fixture(scope="module")
def binance(shared):
    return binance_without_intervals(shared).sort("funding_time")


@pytest.mark.parametrize("series", [pytest.param("hyperliquid", marks=pytest.mark.slow), "binance"])
def test_no_real_market_is_held_in_batches_of_thirty_days(series, request):
    rows = request.getfixturevalue(series)
    times = rows["funding_time"]
    at, batches = times[0] + timedelta(days=21), 0
    while at < times[-1]:
        old, new, stop = (
            times.search_sorted(t) for t in (at - timedelta(days=21), at, at + timedelta(days=30))
        )
        assert verdicts(rows[new:stop], rows[old:new]).filter(pl.col("verdict") == "hold").is_empty()
        assert misfits(rows[new:stop]).is_empty()
        assert contradictions(rows[new:stop], rows[old:new]).is_empty()
        at, batches = at + timedelta(days=30), batches + 1
    assert batches >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "factor", [8, 1 / 8, 24, 1 / 24, 100, 1 / 100, 1095, 1 / 1095, -1], ids=lambda f: f"{f:.4g}"
)
def test_a_round_of_all_real_markets_in_another_unit_is_one_finding(hyperliquid, factor):
    rows = hyperliquid
    at = datetime(2025, 10, 10, 22, tzinfo=UTC)  # the crash: sizes are twelve times those of the weeks before
    stored = rows.filter(pl.col("funding_time").is_between(at - timedelta(days=21), at, closed="left"))
    new = rows.filter(pl.col("funding_time") == at)
    assert set(verdicts(new, stored)["verdict"]) == {"pass"}
    scaled = new.with_columns(pl.col("funding_rate") * factor)
    lines = findings(verdicts(scaled, stored)).filter(pl.col("verdict") == "hold")
    assert lines["whole"].to_list() == [True]
    assert lines["factor"][0] == pytest.approx(factor)
