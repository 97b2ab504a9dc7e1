"""The adapters against the real packages: what a bar or an update holds, and that it holds nothing of the future."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb import FundingRateBacktestDataProvider
from fundingdb.adapters import pandas as frames
from fundingdb.adapters.pandas import cash_by_bar, known_rates
from fundingdb.errors import BadCall, BadWindow, UnknownName
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING

T0 = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAYS = 4


def paid(exchange, symbol, hours, rate, interval, *, rate_type="regular"):
    return {
        "exchange": exchange, "source": exchange, "symbol": symbol, "base": "KAITO", "quote": "USDC",
        "asset_class": "crypto", "funding_time": T0 + hours * HOUR, "interval_hours": interval,
        "interval_from": "unknown" if interval is None else "declared", "funding_rate": round(rate, 9),
        "rate_type": rate_type, "native_rate": rate, "mark_price": None, "index_price": None,
        "reported_time": T0, "fetched_at": T0,
    }  # fmt: skip


def hourly(hours):
    return [paid("extended", "KAITO-USD", h, h * 1e-6, 1.0) for h in hours]


ROWS = [
    *hourly(h for h in range(-2, 24 * DAYS + 1) if h not in (30, 31)),  # two are missing
    *(paid("binance", "KAITOUSDT", h, -h * 1e-5, 8.0) for h in range(-8, 49, 8)),
    *(
        paid("binance", "KAITOUSDT", h, -h * 1e-5, 4.0) for h in range(52, 24 * DAYS + 1, 4)
    ),  # from 8 h to 4 h
    paid("binance", "KAITOUSDT", 16, 0.5, 8.0, rate_type="special"),
    *(paid("backpack", "KAITO_USDC_PERP", h, 1e-5, 8.0 if h <= 24 else None) for h in range(0, 24 * DAYS, 8)),
]


def reading(home, rows, stop=T0 + DAYS * 24 * HOUR) -> FundingRateBacktestDataProvider:
    schema = {c: FUNDING.columns[c].dtype for c in FUNDING.columns if c != "month"}
    Lake(home).upsert("funding", pl.DataFrame(rows, schema=schema))
    provider = FundingRateBacktestDataProvider(home)
    provider.load_data(T0, stop)
    return provider


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    return reading(tmp_path_factory.mktemp("lake"), ROWS)


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """The same lake as it was after 40 hours, read over the same span."""
    return reading(tmp_path_factory.mktemp("cut"), [r for r in ROWS if r["funding_time"] <= T0 + 40 * HOUR])


def bars(*hours) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([T0 + h * HOUR for h in hours])


def ends():
    """Bar ends in the loaded span, to the second, of uneven length."""
    second = st.integers(0, DAYS * 24 * 3600)
    either = st.one_of(second, second.map(lambda s: s // 3600 * 3600))
    return st.sets(either, min_size=2, max_size=40).map(
        lambda s: pd.DatetimeIndex([T0 + timedelta(seconds=x) for x in sorted(s)])
    )


# ---- pandas


def test_a_payment_at_the_end_of_a_bar_is_in_it_and_one_at_its_start_is_not(provider):
    cash = cash_by_bar(provider, "KAITO", bars(7, 8, 12, 16))["extended"]
    assert np.isnan(cash.iloc[0])
    assert cash.iloc[1] == pytest.approx(-8e-6)
    assert cash.iloc[2] == pytest.approx(-(9 + 10 + 11 + 12) * 1e-6)
    assert cash.iloc[3] == pytest.approx(-(13 + 14 + 15 + 16) * 1e-6)


def test_nothing_due_is_zero_and_a_special_payment_is_money(provider):
    cash = cash_by_bar(provider, "KAITO", bars(8, 12, 16, 20, 24), ["binance"])["binance"]
    assert cash.iloc[1:].tolist() == pytest.approx([0, 16e-5 - 0.5, 0, 24e-5])


def test_a_missing_settlement_is_unknown_in_its_bars_only(provider):
    cash = cash_by_bar(provider, "KAITO", bars(*range(26, 36)), ["extended"])["extended"]
    assert cash[cash.isna()].index.tolist() == list(bars(26, 30, 31))
    assert np.isnan(cash_by_bar(provider, "KAITO", bars(28, 36), ["extended"]).iloc[1, 0])
    # half-hour bars: the settlements that are missing were due at 30 and 31, not between
    halves = cash_by_bar(provider, "KAITO", bars(29, 29.5, 30, 30.5, 31, 31.5, 32), ["extended"])["extended"]
    assert halves.isna().tolist() == [True, False, True, True, True, False, False]


def test_a_change_of_interval_is_no_hole(provider):
    cash = cash_by_bar(provider, "KAITO", bars(*range(40, 70)), ["binance"])["binance"]
    assert cash.isna().sum() == 1  # the first bar


def test_payments_of_unknown_interval_prove_nothing(provider):
    cash = cash_by_bar(provider, "KAITO", bars(16, 24, 32, 40))["backpack"]
    assert cash.iloc[1] == pytest.approx(-1e-5)
    assert cash.iloc[2:].isna().all()
    assert known_rates(provider, "KAITO", bars(24, 40))["backpack"].isna().tolist() == [False, True]


def test_after_the_last_payment_nothing_is_due_until_its_interval_is_over(cut):
    cash = cash_by_bar(cut, "KAITO", bars(40, 44, 47, 48, 52), ["binance"])["binance"]
    assert cash.iloc[1:3].tolist() == [0, 0]
    assert cash.iloc[3:].isna().all()


@settings(max_examples=25)
@given(ends())
def test_a_bar_holds_the_payments_between_its_ends(provider, index):
    cash = cash_by_bar(provider, "KAITO", index)
    assert cash.index is index
    for exchange in ("extended", "binance"):
        for start, end, value in zip(index[:-1], index[1:], cash[exchange].iloc[1:], strict=True):
            inside = [
                r["funding_rate"]
                for r in ROWS
                if r["exchange"] == exchange and start < r["funding_time"] <= end
            ]
            if exchange == "extended" and start < T0 + 31 * HOUR and end >= T0 + 30 * HOUR:
                assert np.isnan(value)
            else:
                assert value == pytest.approx(-sum(inside), abs=1e-12)


@pytest.mark.slow
@settings(max_examples=25)
@given(ends())
def test_a_row_is_the_same_without_the_payments_after_its_end(provider, cut, index):
    past = index <= T0 + 40 * HOUR
    now, then = (known_rates(p, "KAITO", index)[past] for p in (provider, cut))
    pd.testing.assert_frame_equal(now, then)
    if past.sum() >= 2:
        now, then = (cash_by_bar(p, "KAITO", index[past], ["binance", "extended"]) for p in (provider, cut))
        pd.testing.assert_frame_equal(now, then)


def test_the_bars_of_a_pair_sum_to_its_carry(provider):
    cash = cash_by_bar(provider, "KAITO", bars(0, 3, 8, 21, 28), ["binance", "extended"])
    carry = provider.carry("KAITO", "extended", "binance", T0, T0 + 28 * HOUR)["cash"].sum()
    assert (cash["extended"] - cash["binance"]).sum() == pytest.approx(carry)


def test_known_rates_without_bars_are_the_matrix(provider):
    rates, matrix = known_rates(provider, "KAITO"), provider.matrix("KAITO")
    assert str(rates.index.tz) == "UTC"
    assert rates.index[8] == T0 + 8 * HOUR
    assert rates.columns.tolist() == matrix.columns[1:]
    assert rates["binance"].iloc[8] == pytest.approx(-8e-5 / 8)
    pd.testing.assert_frame_equal(rates, known_rates(provider, "KAITO", rates.index))


def test_bars_of_another_zone_and_unit_mean_the_same_instants(provider):
    index = bars(*range(8, 20))
    there = index.tz_convert("Asia/Kolkata").as_unit("ns")
    for read in (known_rates, cash_by_bar):
        np.testing.assert_array_equal(read(provider, "KAITO", index), read(provider, "KAITO", there))


@pytest.mark.parametrize(
    ("index", "told"),
    [
        (bars(8, 9).tz_localize(None), "no time zone"),
        (bars(9, 8), "must rise"),
        (bars(8, 8), "must rise"),
        (pd.DatetimeIndex([T0, pd.NaT]), "NaT"),
        (pd.Index([1, 2]), "DatetimeIndex"),
        (bars(8), "two or more"),
        (bars(8, 24 * 365), "outside the loaded span"),
    ],
)
def test_bars_that_are_none_are_refused(provider, index, told):
    with pytest.raises(BadWindow, match=told):
        cash_by_bar(provider, "KAITO", index)


def test_unknown_names_are_told_with_near_ones(provider):
    with pytest.raises(UnknownName, match="did you mean KAITO"):
        cash_by_bar(provider, "KAIT", bars(8, 9))
    with pytest.raises(UnknownName, match="did you mean extended"):
        cash_by_bar(provider, "KAITO", bars(8, 9), ["extendet"])
    with pytest.raises(BadCall, match="empty"):
        cash_by_bar(provider, "KAITO", bars(8, 9), [])
    assert cash_by_bar(provider, "KAITO-USD", bars(8, 9)).columns.tolist() == ["extended"]


@pytest.mark.parametrize(("package", "module"), [("pandas", "pandas"), ("nautilus_trader", "nautilus")])
def test_a_missing_package_is_told_with_the_extra_that_brings_it(package, module):
    code = f"import sys; sys.modules['{package}'] = None; import fundingdb.adapters.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"pip install 'fundingdb[{module}]'" in done.stderr.splitlines()[-1]


def test_any_frame_of_the_provider_becomes_a_pandas_frame(provider):
    frame = provider.get_funding_payments("binance", "KAITO", T0, T0 + 24 * HOUR).to_pandas()
    assert str(frame["funding_time"].dt.tz) == "UTC"
    assert frames.pd is pd


# ---- NautilusTrader


@pytest.fixture(scope="module")
def nautilus():
    pytest.importorskip("nautilus_trader")
    from fundingdb.adapters import nautilus

    return nautilus


def updates(nautilus, provider, instrument_id="KAITOUSDT-PERP.BINANCE", **more):
    return nautilus.funding_rate_updates(
        provider, "binance", "KAITO", T0, T0 + 24 * HOUR, instrument_id=instrument_id, **more
    )


def test_an_update_is_a_settled_rate_at_its_settlement_and_promises_no_next_one(nautilus, provider):
    made = updates(nautilus, provider, delay=timedelta(seconds=30))
    assert [u.rate for u in made] == [Decimal("-0.00008"), Decimal("-0.00016"), Decimal("-0.00024")]
    first = int((T0 + 8 * HOUR).timestamp()) * 10**9
    assert (made[0].ts_event, made[0].ts_init) == (first, first + 30 * 10**9)
    assert made[0].next_funding_ns is None
    assert made[0].instrument_id.value == "KAITOUSDT-PERP.BINANCE"


@pytest.mark.parametrize(
    "name",
    [
        "BTC-USD-PERP.HYPERLIQUID",
        "xyz:XYZ100-USD-PERP.HYPERLIQUID",
        "ETHUSD_PERP.BINANCE",
        "币安人生USDT-PERP.BINANCE",
    ],
)
def test_instrument_ids_as_venues_write_them_are_taken(nautilus, provider, name):
    assert updates(nautilus, provider, name)[0].instrument_id.value == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "KAITOUSDT",
        "KAITOUSDT.",
        ".BINANCE",
        "BTC/USDT.BINANCE",
        "../x.BINANCE",
        "a b.BINANCE",
        "A.B\n",
        "A.binance",
    ],
)
def test_other_instrument_ids_are_refused(nautilus, provider, name):
    with pytest.raises(BadCall, match=r"write symbol\.VENUE"):
        updates(nautilus, provider, name)


def test_a_negative_delay_is_refused(nautilus, provider):
    with pytest.raises(BadWindow, match="before it happens"):
        updates(nautilus, provider, delay=timedelta(seconds=-1))


def test_a_catalog_gives_back_what_was_written_of_each_instrument(nautilus, provider, tmp_path):
    kind = nautilus.FundingRateUpdate
    here, there = updates(nautilus, provider), updates(nautilus, provider, "KAITO-USD-PERP.EXTENDED")
    nautilus.catalog(tmp_path).write_data(here + there)
    read = nautilus.catalog(tmp_path)
    assert read.query(kind, identifiers=["KAITOUSDT-PERP.BINANCE"]) == here
    assert sorted(map(repr, read.query(kind))) == sorted(map(repr, here + there))
    late = read.query(kind, identifiers=["KAITOUSDT-PERP.BINANCE"], start=here[1].ts_init)
    assert [u.ts_init for u in late] == [u.ts_init for u in here[1:]]


def test_the_engine_of_nautilus_tells_each_rate_when_it_could_be_known(nautilus, provider):
    from nautilus_trader.backtest.config import BacktestEngineConfig
    from nautilus_trader.backtest.engine import BacktestEngine
    from nautilus_trader.common.actor import Actor
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.model.currencies import USDT
    from nautilus_trader.model.enums import AccountType, OmsType
    from nautilus_trader.model.identifiers import Venue
    from nautilus_trader.model.objects import Money
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    instrument, heard = TestInstrumentProvider.ethusdt_perp_binance(), []

    class Ear(Actor):
        def on_start(self):
            self.subscribe_funding_rates(instrument.id)

        def on_funding_rate(self, update):
            heard.append((self.clock.timestamp_ns(), update.rate))

    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(Venue("BINANCE"), OmsType.NETTING, AccountType.MARGIN, [Money(1000, USDT)])
    engine.add_instrument(instrument)
    made = updates(nautilus, provider, instrument.id.value, delay=timedelta(minutes=1))
    engine.add_data(made)
    engine.add_actor(Ear())
    engine.run()
    engine.dispose()
    assert heard == [(u.ts_event + 60 * 10**9, u.rate) for u in made]
