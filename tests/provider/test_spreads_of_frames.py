from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fundingdb.catalog.catalog import connect, rebuild
from fundingdb.errors import BadCall
from fundingdb.fetchers.registry import fetcher
from fundingdb.lake import Lake
from fundingdb.provider.spreads import spreads
from fundingdb.schema import FUNDING
from fundingdb.simulator import Simulator
from fundingdb.window import Window
from tests.worlds import SETTLING, collect, world

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def shown(exchange, rate, interval, minutes=0):
    return {
        "asset_class": "crypto",
        "base": "X",
        "exchange": exchange,
        "source": exchange,
        "symbol": "X-USD",
        "observed_at": T0 + timedelta(minutes=minutes),
        "funding_rate": rate,
        "interval_hours": interval,
    }


def paid(exchange, hour, rate, interval, *, kind="regular", fetched=100):
    return {
        "asset_class": "crypto",
        "base": "X",
        "exchange": exchange,
        "source": exchange,
        "symbol": "X",
        "funding_time": T0 + hour * HOUR,
        "rate_type": kind,
        "funding_rate": rate,
        "interval_hours": interval,
        "fetched_at": T0 + fetched * HOUR,
    }


def test_predicted_rates_are_compared_per_hour_long_the_lower_and_the_unknown_left_out():
    rates = pl.DataFrame([shown("a", 0.0008, 8.0), shown("b", 0.0003, 1.0), shown("c", 0.5, None)])
    (row,) = spreads(rates).rows(named=True)
    assert (row["long_exchange"], row["short_exchange"]) == ("a", "b")
    assert row["spread_1h"] == pytest.approx(0.0002)  # 0.0003 - 0.0008 / 8


def test_of_several_snapshots_of_a_market_the_newest_counts():
    rates = pl.DataFrame(
        [shown("a", 0.1, 1.0), shown("a", 0.0001, 1.0, minutes=60), shown("b", 0.0003, 1.0, minutes=59)]
    )
    assert spreads(rates)["spread_1h"].to_list() == pytest.approx([0.0002])


def test_a_settled_rate_counts_until_the_next_payment_and_for_its_own_interval_at_most():
    rates = pl.DataFrame(
        [
            paid("a", 0, 0.0001, 1.0),
            paid("a", 1, 0.0002, 1.0),
            paid("a", 4, 0.0009, 1.0),
            paid("b", 0, 0.0032, 8.0),
            paid("b", 8, 0.0, 8.0),
        ]
    )
    got = spreads(rates)
    hours = ((got["hour_at"] - T0) / HOUR).to_list()
    assert hours == [0, 1, 4]  # a: 0, 1 and 4 o'clock; b: 0.0004 an hour from 0 to 8 o'clock
    assert got["long_exchange"].to_list() == ["a", "a", "b"]
    assert got["spread_1h"].to_list() == pytest.approx([0.0003, 0.0002, 0.0005])


def test_special_payments_take_no_part_and_no_hour_after_the_newest_response_has_a_spread():
    rates = pl.DataFrame(
        [
            paid("a", 0, 0.0008, 8.0, fetched=2),
            paid("a", 1, 0.5, 8.0, kind="special", fetched=2),
            paid("b", 0, 0.0, 8.0, fetched=1),
        ]
    )
    got = spreads(rates)
    assert ((got["hour_at"] - T0) / HOUR).to_list() == [0, 1, 2]
    assert got["spread_1h"].to_list() == pytest.approx([0.0001] * 3)


def test_a_frame_that_lacks_columns_is_refused_by_their_names():
    with pytest.raises(BadCall, match="no column interval_hours, rate_type"):
        spreads(pl.DataFrame([paid("a", 0, 0.1, 1.0)]).drop("interval_hours", "rate_type"))


def test_settled_rates_give_the_rows_of_the_view(tmp_path):
    truth = world()
    window = Window(truth.now() - 49 * HOUR, truth.now())
    with Simulator(truth) as simulator:
        collect(simulator, tmp_path, lambda c: c.backfill([fetcher(n) for n in SETTLING], window))
    rebuild(tmp_path)
    with connect(tmp_path) as con:
        view = con.sql("select * exclude (long_quote, short_quote, spread_apr) from spreads").pl()
    rows = spreads(FUNDING.check(Lake(tmp_path).scan("funding").collect()))
    key = ["asset_class", "base", "hour_at", "long_exchange", "long_symbol", "short_exchange", "short_symbol"]
    both = rows.join(view, on=key, how="full", suffix="_view", coalesce=True)
    assert rows.height == view.height == both.height > 100
    assert (both["spread_1h"] - both["spread_1h_view"]).abs().max() < 1e-15
