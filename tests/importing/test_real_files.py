"""What the real files of ../shared/data become, or why they are refused; figures by hand from their README.

tests/importing/test_importing.py proves the same rules with files of its own.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from fundingdb.errors import BadCall, BadData
from fundingdb.importing import refuse_another
from tests.conftest import SHARED
from tests.importing.test_importing import at, known_by, one, saved
from tests.real_data import hyperliquid_all, seven_venues

pytestmark = pytest.mark.slow  # real files of ../shared

if not SHARED.is_dir():
    pytest.skip("../shared (real series) is absent", allow_module_level=True)

MIXED = "cross_venue/drift_binance_bitmex_apollox_BTC_ETH_SOL_2016_2024.parquet"
CEX = "cross_venue/cex_dydx_BTC_2020_2024.parquet"
SEVEN = "cross_venue/funding_7venues_5tokens_2025-03_2026-03.parquet"
ALL_COINS = "large/hyperliquid_all_coins_hourly_2024-10_2026-03.parquet"
BINANCE = "large/binance_usdm_symbols_0-L_2026-01_2026-03.parquet"


def test_the_payments_of_one_exchange_are_refused_as_those_of_another_that_the_lake_has(shared):
    """Of the seven venues no two share unusual rates; a file of Binance under another name is facts by Binance's rows."""
    rows = seven_venues(shared)
    venues = {str(v): mine for (v,), mine in rows.partition_by("exchange", as_dict=True).items()}
    for name, mine in venues.items():
        others = pl.concat(other for v, other in venues.items() if v != name)
        refuse_another(Path("a file"), name, mine, others)
    with pytest.raises(BadData, match="100% of .* on binance, which the lake has: .* rather than bybit"):
        refuse_another(Path("a file"), "bybit", venues["binance"], pl.concat(venues.values()))


def test_binance_all_symbols_need_no_flag(shared):
    result = one(shared / "data" / BINANCE, exchange="binance")
    assert result.unit == "fraction"
    assert (result.rows.height, result.rows["symbol"].n_unique()) == (58_330, 293)
    first = result.rows.filter(pl.col("symbol") == "0GUSDT").sort("funding_time").row(0, named=True)
    assert first["funding_rate"] == -9.017e-05
    assert first["funding_time"] == at("2026-02-15T02:00")  # 1771120800009: nine milliseconds late
    assert first["reported_time"] == at("2026-02-15T02:00:00.009")
    assert (first["base"], first["quote"], first["source"]) == ("0G", "USDT", "import")
    assert first["interval_hours"] is None  # nothing stands before it
    counts = dict(result.rows.group_by("interval_hours").len().iter_rows())
    assert set(counts) == {None, 1.0, 4.0, 8.0}
    assert counts[None] < 0.006 * 58_330


@pytest.mark.slow
def test_hyperliquids_unit_switch_is_imported_part_by_part(shared):
    path = shared / "data" / ALL_COINS
    percent = one(path, exchange="hyperliquid", columns={"funding_rate": "fundingRate_percent"})
    assert percent.unit == "percent"
    yearly = one(
        path,
        known_by(percent.rows),
        exchange="hyperliquid",
        columns={"funding_rate": "fundingRate_annualized"},
    )
    assert yearly.unit == "percent-per-year"
    assert (percent.rows.height, yearly.rows.height) == (498_620 - 426, 1_659_910 - 693)
    key = ["symbol", "funding_time"]
    # Two hours are stamped a second late.
    truth = hyperliquid_all(shared).select(
        "symbol", pl.col("funding_time").dt.truncate("1h"), truth="funding_rate"
    )
    both = pl.concat([percent.rows, yearly.rows]).join(truth, on=key, how="left")
    assert both["truth"].null_count() == 0
    assert both.select((pl.col("funding_rate") - pl.col("truth")).abs().max()).item() < 1e-15
    moodeng = percent.rows.filter(
        (pl.col("symbol") == "MOODENG") & (pl.col("funding_time") == at("2024-10-25T18:00"))
    )
    assert moodeng["funding_rate"].to_list() == [0.00018074]
    hbar = yearly.rows.filter(
        (pl.col("symbol") == "HBAR") & (pl.col("funding_time") == at("2026-03-31T23:00"))
    )
    assert hbar["funding_rate"][0] == pytest.approx(-0.5647572 / 876_000, rel=1e-12)


def test_two_columns_of_rates_need_a_map(shared):
    with pytest.raises(
        BadCall, match="fundingRate_percent, fundingRate_annualized may each be funding_rate: give --map"
    ):
        one(shared / "data" / ALL_COINS, exchange="hyperliquid")


@pytest.mark.parametrize("stated", [None, "percent"])
def test_a_unit_that_changes_inside_a_file_is_refused_at_its_row(shared, tmp_path, stated):
    rows = pl.read_parquet(shared / "data" / ALL_COINS)
    rows = rows.filter(pl.col("timestamp").is_between(at("2025-03-01"), at("2025-03-15"))).with_columns(
        rate=pl.coalesce("fundingRate_percent", "fundingRate_annualized")
    )
    # The hour of the change stands there in both units: its first half is left.
    rows = rows.filter(
        (pl.col("timestamp") != at("2025-03-07T13:00")) | pl.col("fundingRate_annualized").is_null()
    )
    path = saved(rows.select("timestamp", "coin", "rate"), tmp_path / "merged.parquet")
    base = rows.with_row_index("n", offset=1).filter(pl.col("rate").is_between(10.9499999, 10.9500001))
    with pytest.raises(BadData, match=r"the unit changes from percent to percent-per-year here") as error:
        one(path, exchange="hyperliquid", unit=stated)
    assert f"row {base['n'][0]} " in str(error.value)
    assert "2025-03-07 14:00" in str(error.value)


def test_the_hour_that_stands_in_both_units_is_two_rates_of_one_payment(shared, tmp_path):
    rows = pl.read_parquet(shared / "data" / ALL_COINS).filter(pl.col("timestamp") == at("2025-03-07T13:00"))
    rows = rows.select("timestamp", "coin", rate=pl.coalesce("fundingRate_percent", "fundingRate_annualized"))
    with pytest.raises(
        BadData, match="rows .* and .*: .* 2025-03-07 13:00 has the rates .*, and a payment has one"
    ):
        one(saved(rows, tmp_path / "hour.parquet"), exchange="hyperliquid", unit="percent")


def test_hyperliquids_own_history_of_all_coins(shared):
    result = one(
        shared / "data/large/hyperliquid_fundingHistory_all_coins_2024-10-25_2024-11-24.parquet",
        exchange="hyperliquid",
    )
    assert (result.unit, result.rows.height, result.rows["symbol"].n_unique()) == ("fraction", 109_418, 155)
    assert result.rows["interval_hours"].unique().to_list() == [1.0]
    first = result.rows.filter(pl.col("symbol") == "BTC").sort("funding_time").row(0, named=True)
    assert (first["funding_time"], first["funding_rate"]) == (at("2024-10-25T15:00"), 0.0000125)
    assert first["reported_time"] == at("2024-10-25T15:00:00.100")


@pytest.mark.parametrize(
    ("file", "wanted", "reason"),
    [
        (
            "large/edgex_BTCUSD_minute_2025-01.parquet",
            {"exchange": "edgex", "symbol": "BTCUSD"},
            "has a row every 0:01:00: samples of the predicted rate",
        ),
        (
            "large/okx_bitget_all_perps_8h_snapshots_2026-05_2026-07.parquet",
            {"exchange": "okx"},
            "stamps lie off the settlement grid: snapshots of a predicted rate",
        ),
        (
            "large/okx_bitget_all_perps_8h_snapshots_2026-05_2026-07.parquet",
            {"exchange_column": "venue", "unit": "percent-per-year"},
            "stamps lie off the settlement grid: snapshots of a predicted rate",
        ),
        (
            "cross_venue/lighter_129markets_unsigned_percent_2026-02-03_04.parquet",
            {"exchange": "lighter"},
            "none of 2,920 rates in 124 markets is negative: the sign was lost",
        ),
        (
            "cross_venue/lighter_129markets_unsigned_percent_2026-02-03_04.parquet",
            {"exchange": "lighter", "unit": "percent", "signed": True},
            "the sign was lost",
        ),
        (
            "cross_venue/market_history_11venues_2026-01-02T20_2026-01-03T02.parquet",
            {"exchange": "lighter"},
            "a mean over samples",
        ),
        (
            "cross_venue/market_history_11venues_2026-01-04T12_2026-01-04T18.parquet",
            {"exchange_column": "exchange", "unit": "fraction", "interval": 1.0},
            "a mean over samples",
        ),
        (SEVEN, {"exchange": "hyperliquid"}, "finer than 1e-10, the step of what hyperliquid settles"),
    ],
)
def test_what_is_no_settlement_is_refused_with_the_reason(shared, file, wanted, reason):
    with pytest.raises(BadData, match=reason) as error:
        one(shared / "data" / file, **wanted)
    assert ": row " in str(error.value)


@pytest.mark.parametrize(
    ("exchange", "form", "stated", "count"),
    [
        ("binance", "{}USDT", None, 4 * 1092 + 1686),
        ("bybit", "{}USDT", None, 5 * 1092),
        ("okx", "{}-USDT-SWAP", None, 4 * 283 + 565),
        ("lighter", None, None, 9_692),
        ("kraken", None, "fraction", 43_635),
        ("dydx", "{}-USD", "fraction", 5_000),
    ],
)
def test_each_settled_venue_of_the_seven(shared, exchange, form, stated, count):
    result = one(shared / "data" / SEVEN, exchange=exchange, symbol_form=form, unit=stated)
    assert (result.unit, result.rows.height) == ("fraction", count)
    truth = seven_venues(shared).filter(pl.col("exchange") == exchange)
    both = result.rows.join(truth, on=["base", "funding_time"], how="left", suffix="_true")
    assert both["funding_rate"].to_list() == both["funding_rate_true"].to_list()
    known = both.filter(pl.col("interval_hours").is_not_null())
    # HYPE on Binance moved from 8 h to 4 h on 2025-05-30, which the helper's one figure for it does not tell.
    known = known.filter((pl.col("base") != "HYPE") | (pl.col("funding_time") > at("2025-05-31")))
    assert known["interval_hours"].to_list() == known["interval_hours_true"].to_list()
    assert both["interval_hours"].null_count() <= 5


def test_where_no_mass_is_at_the_base_rate_the_unit_has_to_be_stated(shared):
    for exchange, form in (("kraken", None), ("dydx", "{}-USD")):
        with pytest.raises(BadCall, match="the unit is not proven .*: give --unit fraction"):
            one(shared / "data" / SEVEN, exchange=exchange, symbol_form=form)


def test_names_that_the_exchange_does_not_have_are_refused(shared):
    with pytest.raises(BadCall, match="is no market name; names look like BTCUSDT; --symbol-form"):
        one(shared / "data" / SEVEN, exchange="binance")


@pytest.mark.parametrize(
    "case",
    [
        ("binance_BTCUSDT.csv", "binance", "BTCUSDT", None, 4_948, {8.0}),
        ("binance_ETHUSDT.csv", "binance", "ETHUSDT", None, 4_714, {8.0}),
        ("binance_SOLUSDT.csv", "binance", "SOLUSDT", None, 3_848, {2.0, 4.0, 8.0}),
        ("apollox_BTCUSDT.csv", "aster", "BTCUSDT", None, 2_782, {8.0}),
        ("apollox_ETHUSDT.csv", "aster", "ETHUSDT", None, 2_764, {8.0}),
        ("apollox_SOLUSDT.csv", "aster", "SOLUSDT", None, 2_782, {2.0, 4.0, 8.0}),
        (
            "bitmex_XBTUSD.csv",
            "bitmex",
            "XBTUSD",
            "fraction",
            8_547,
            {8.0, 24.0},
        ),  # daily for its first weeks
        ("bitmex_XBTUSDT.csv", "bitmex", "XBTUSDT", None, 3_422, {8.0}),
        ("bitmex_ETHUSD.csv", "bitmex", "ETHUSD", None, 6_159, {8.0}),
        ("bitmex_ETHUSDT.csv", "bitmex", "ETHUSDT", None, 3_422, {8.0}),
        ("bitmex_SOLUSD.csv", "bitmex", "SOLUSD", None, 2_586, {8.0}),
        ("bitmex_SOLUSDT.csv", "bitmex", "SOLUSDT", None, 3_484, {8.0}),
        ("drift_BTC-PERP.csv", "drift", "BTC-PERP", "fraction", 10_882, {1.0}),
        ("drift_ETH-PERP.csv", "drift", "ETH-PERP", "fraction", 10_293, {1.0}),
        ("drift_SOL-PERP.csv", "drift", "SOL-PERP", "fraction", 11_124, {1.0}),
    ],
)
def test_each_market_of_the_four_old_venues(shared, case):
    source_file, exchange, symbol, stated, count, hours = case
    path = shared / "data" / MIXED
    result = one(path, exchange=exchange, where={"source_file": source_file}, symbol=symbol, unit=stated)
    raw = pl.read_parquet(path).filter(pl.col("source_file") == source_file).sort("timestamp")
    rows = result.rows.sort("funding_time")
    assert (result.unit, rows.height) == ("fraction", count)
    assert rows["funding_rate"].to_list() == (raw["funding_rate"] + 0.0).to_list()
    # Unix seconds are taken, not the text beside them.
    assert rows["funding_time"].dt.epoch("s").to_list() == [int(t // 3600 * 3600) for t in raw["timestamp"]]
    assert set(rows["interval_hours"].drop_nulls()) == hours
    assert rows["base"].unique().to_list() == [symbol.replace("XBT", "BTC")[:3]]


ZONES = [
    ("binance", "BTCUSDT", "UTC+3", 4_383),
    ("bybit", "BTCUSDT", "UTC+3", 3_285),
    ("mexc", "BTC-USDT", "UTC+3", 3_285),
    ("htx", "BTC-USDT", "UTC+3", 3_284),
    ("kucoin", "BTC-USDT", "UTC+3", 3_285),
    ("gate", "BTC_USDT", "UTC", 4_290),
    ("dydx", "BTC-USD", "UTC", 17_520),
]


@pytest.mark.parametrize(("exchange", "symbol", "tz", "count"), ZONES)
def test_each_venue_of_the_file_with_two_clocks(shared, exchange, symbol, tz, count):
    wanted = {"exchange": exchange, "where": {"source_file": f"*_{exchange}_*"}, "symbol": symbol}
    with pytest.raises(BadCall, match="the times state no zone .*: give --tz"):
        one(shared / "data" / CEX, **wanted)
    result = one(shared / "data" / CEX, **wanted, tz=tz, unit="fraction")
    assert result.rows.height == count
    phases = set(result.rows["funding_time"].dt.hour().unique())
    if exchange in ("binance", "bybit", "mexc", "gate"):
        assert phases == {0, 8, 16}
    if exchange == "kucoin":
        assert phases == {4, 12, 20}
    if exchange == "binance":
        row = result.rows.sort("funding_time").row(0, named=True)
        assert (row["funding_time"], row["funding_rate"]) == (at("2020-01-01T00:00"), -0.00012359)


def test_the_zone_is_proven_by_rows_that_the_lake_has(shared):
    known = one(
        shared / "data" / MIXED, exchange="binance", where={"source_file": "binance_BTC*"}, symbol="BTCUSDT"
    )
    result = one(
        shared / "data" / CEX,
        known_by(known.rows),
        exchange="binance",
        where={"source_file": "*_binance_*"},
        symbol="BTCUSDT",
    )
    assert any("the clock of the file is UTC+3: 100.0% of 4,383 payments" in line for line in result.evidence)
    both = result.rows.join(known.rows, on="funding_time", suffix="_known")
    assert both.height == 4_383
    assert both.select((pl.col("funding_rate") - pl.col("funding_rate_known")).abs().max()).item() < 1e-12


def test_a_zone_that_the_lake_denies_is_refused(shared):
    known = one(
        shared / "data" / MIXED, exchange="binance", where={"source_file": "binance_BTC*"}, symbol="BTCUSDT"
    )
    with pytest.raises(BadData, match="in the lake: only .* common payments are equal"):
        one(
            shared / "data" / CEX,
            known_by(known.rows),
            exchange="binance",
            where={"source_file": "*_binance_*"},
            symbol="BTCUSDT",
            tz="UTC+11",
        )


def test_predicted_rates_are_refused_where_the_lake_has_the_settled_ones(shared, tmp_path):
    settled = hyperliquid_all(shared).filter(pl.col("symbol") == "BTC")
    moved = settled.select("symbol", pl.col("funding_time").dt.offset_by("-1h"), "funding_rate").sort(
        "funding_time"
    )
    path = saved(moved.tail(3000), tmp_path / "predicted.parquet")
    with pytest.raises(BadData, match="moved by an hour 100% are: predicted rates"):
        one(path, known_by(settled), exchange="hyperliquid")


# --- saved answers


def test_hyperliquids_answer_of_2023_changes_from_eight_hours_to_one(shared):
    path = shared / "data/raw/hyperliquid/fundingHistory_BTC_2023-05-12_2023-07-17_no_endTime.json"
    result = one(path, exchange="hyperliquid", unit="fraction")
    assert result.rows.height == 1_038
    spans = result.rows.group_by("interval_hours").agg(pl.col("funding_time").max()).sort("interval_hours")
    assert spans["interval_hours"].to_list() == [1.0, 8.0]
    assert spans["funding_time"][1] == at("2023-06-08T00:00")
    first = result.rows.sort("funding_time").row(0, named=True)
    assert (first["funding_time"], first["funding_rate"]) == (at("2023-05-12T00:00"), -0.00061334)
    late = result.rows.filter(pl.col("reported_time") - pl.col("funding_time") > timedelta(minutes=20))
    assert late["reported_time"].dt.date().to_list() == [datetime(2023, 5, 23, tzinfo=UTC).date()]


@pytest.mark.parametrize(
    "case",
    [
        ("binance/fundingRate_BTCUSDT_2022-01_2025-12_rekeyed.json", "binance", "BTCUSDT", 0.0001, 4377),
        ("hyperliquid/fundingHistory_BTC_2024-01_2025-12_rekeyed.json", "hyperliquid", "BTC", 0.0000617991, 12192),
        ("bybit/funding_history_BTCUSDT_2026-08-28_2026-09-04.json", "bybit", "BTCUSDT", None, 20),
        ("okx/funding-rate-history_BTC-USDT-SWAP_2026-08-28_2026-09-04.json", "okx", "BTC-USDT-SWAP", None, 20),
        ("gate/funding_rate_BTC_USDT_2026-08-28_2026-09-04.json", "gate", "BTC_USDT", None, 20),
    ],
)  # fmt: skip
def test_saved_answers_are_read_as_they_are(shared, case):
    file, exchange, symbol, rate, count = case
    small = count < 100
    result = one(
        shared / "data/raw" / file, exchange=exchange, symbol=symbol, unit="fraction" if small else None
    )
    rows = result.rows.sort("funding_time")
    assert (result.unit, rows.height) == ("fraction", count)
    if small:
        assert rows["funding_time"][-1] == at("2026-09-04T00:00")
        assert rows["interval_hours"].to_list() == [8.0] * 20
        newest = {"bybit": 0.00007352, "okx": 0.0000418741079605, "gate": 0.000052}
        assert rows["funding_rate"][-1] == newest[exchange]
    else:
        first = {"binance": "2022-01-01T00:00", "hyperliquid": "2024-01-01T00:00"}[exchange]
        assert (rows["funding_time"][0], rows["funding_rate"][0]) == (at(first), rate)


def test_lighters_answer_takes_its_sign_from_the_side_that_pays(shared):
    path = shared / "data/raw/lighter/fundings_ETH_2026-05-13.json"
    result = one(path, exchange="lighter", symbol="ETH", unit="percent")
    rows = result.rows.sort("funding_time")
    assert rows["funding_rate"].to_list() == pytest.approx([0.000012, -0.000002], rel=1e-12)
    assert rows["funding_time"][0] == at("2026-05-13T20:00")


@pytest.mark.parametrize(
    ("file", "exchange"),
    [
        ("coingecko/derivatives_2023-01-08.json", "binance"),
        ("aster/premiumIndex_excerpt_2025-09-25.json", "aster"),
        ("aster/fundingInfo_excerpt_2025-09-25.json", "aster"),
        ("backpack/markPrices_excerpt_2025-10-03.json", "backpack"),
        ("binance/premiumIndex_BTC_ETH_2026-09-04.json", "binance"),
        ("binance/premiumIndex_excerpt_2025-10-04.json", "binance"),
        ("binance/fundingInfo_excerpt_2025-10-04.json", "binance"),
        ("edgex/ws_ticker_all_1s_excerpt_2025-09-21.json", "edgex"),
        ("extended/info_markets_BTC-USD_2024-05-07.json", "extended"),
        ("hyperliquid/predictedFundings_excerpt_2025-10-03.json", "hyperliquid"),
        ("hyperliquid/ws_allDexsAssetCtxs_2026-05.json", "hyperliquid"),
        ("lighter/funding-rates_excerpt_2025-09.json", "lighter"),
        ("lighter/ws_market_stats_update_all_2026-03-30.json", "lighter"),
        ("paradex/funding_data_BTC-USD-PERP_2026-09-04.json", "paradex"),
    ],
)
def test_answers_of_predicted_rates_and_market_data_give_no_payments(shared, file, exchange):
    with pytest.raises((BadCall, BadData)) as error:
        one(shared / "data/raw" / file, exchange=exchange, unit="fraction")
    assert file.split("/")[1] in str(error.value)
