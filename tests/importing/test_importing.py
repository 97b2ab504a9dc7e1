"""What a file becomes in table `funding`, and why it is refused: files written by the tests."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from fundingdb.errors import BadCall, BadData
from fundingdb.importing import ImportOptions, prepare, refuse_another
from fundingdb.importing.stamps import observed, zone_of
from fundingdb.importing.units import UNITS, unit
from fundingdb.lake import Lake

NOW = datetime(2026, 11, 22, tzinfo=UTC)
COLUMNS = ["symbol", "base", "funding_time", "funding_rate"]
EMPTY = pl.DataFrame(
    schema={
        "symbol": pl.String,
        "base": pl.String,
        "funding_time": pl.Datetime("us", "UTC"),
        "funding_rate": pl.Float64,
    }
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def one(path: Path, known: pl.DataFrame = EMPTY, **wanted):
    (got,) = prepare(path, ImportOptions(**wanted), lambda _exchange: known, now=NOW)
    return got


def known_by(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(COLUMNS)


def hourly(count: int, symbol: str = "BTC", rates=None, start: str = "2025-06-01") -> pl.DataFrame:
    """Rows of a calm market with some life in it: base rate, but for each fifth hour."""
    figures = rates or [0.0000125 if i % 5 else (i - count / 2) * 1e-8 for i in range(count)]
    times = [at(start) + timedelta(hours=i) for i in range(count)]
    return pl.DataFrame({"symbol": [symbol] * count, "funding_time": times, "funding_rate": figures})


def saved(rows: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        rows.write_parquet(path)
    elif path.suffix == ".csv":
        rows.write_csv(path)
    elif path.suffix == ".jsonl":
        rows.write_ndjson(path)
    else:
        rows.write_json(path)
    return path


# --- one unit, one market, one exchange a file


@pytest.mark.parametrize("stated", [None, "fraction", "percent"])
def test_a_file_of_few_rows_whose_unit_changes_is_refused_too(tmp_path, stated):
    fractions = [0.0000125 if n % 3 == 0 else n * 1e-7 - 1e-6 for n in range(60)]
    rates = [rate * (100 if n >= 31 else 1) for n, rate in enumerate(fractions)]
    path = saved(hourly(60, rates=rates), tmp_path / "short.parquet")
    with pytest.raises(
        BadData, match=r"row 34 \(BTC .* 0.00125\): the unit changes from fraction to percent here"
    ):
        one(path, exchange="hyperliquid", unit=stated)


# --- a file of a plain collector


def first_plan(exchange: str, rates: list[float], index: list[float | None]) -> pl.DataFrame:
    times = [at("2025-10-01") + timedelta(hours=i) for i in range(len(rates))]
    return pl.DataFrame(
        {
            "timestamp": times,
            "exchange": [exchange] * len(rates),
            "base": ["ETH"] * len(rates),
            "target": ["USDC"] * len(rates),
            "funding_rate": rates,
            "index": index,
        }
    )


def test_the_first_plans_money_is_proven_a_rate_by_its_prices(tmp_path):
    truth = [0.000012 if i % 4 else -0.000003 for i in range(96)]
    prices = [2256.0 + i for i in range(96)]
    rows = first_plan("Lighter", [-r * p for r, p in zip(truth, prices, strict=True)], prices)
    got = one(saved(rows, tmp_path / "2025-10-01.parquet"), exchange="lighter")
    assert got.unit == "money-turned"
    assert got.rows.sort("funding_time")["funding_rate"].to_list() == pytest.approx(truth, rel=1e-12)
    assert got.rows["native_rate"][1] == pytest.approx(-0.000012 * 2257.0)
    assert any("rates are money over the column of prices" in line for line in got.evidence)


def test_money_without_a_price_is_no_rate(tmp_path):
    rows = first_plan("Lighter", [-0.027 if i % 4 else 0.01 for i in range(96)], [None] * 96)
    path = saved(rows, tmp_path / "2025-10-01.parquet")
    with pytest.raises(BadCall, match="the unit is not proven"):
        one(path, exchange="lighter")
    with pytest.raises(BadCall, match="money needs a price"):
        one(path, exchange="lighter", unit="money-turned")
    with pytest.raises(BadData, match="as fraction is -?0.0.* of the notional, more than any exchange pays"):
        one(path, exchange="lighter", unit="fraction")
    holed = first_plan("Lighter", [-0.027 if i % 4 else 0.01 for i in range(96)], [2256.0] * 95 + [None])
    with pytest.raises(
        BadData, match="row 96: ETH 2025-10-04 23:00 has no price, which an amount of money needs"
    ):
        one(saved(holed, tmp_path / "2025-10-02.parquet"), exchange="lighter", unit="money-turned")


def test_the_first_plans_percent_is_found(tmp_path):
    rows = first_plan("Extended", [0.00125 if i % 4 else -0.0003 for i in range(96)], [2256.0] * 96)
    got = one(saved(rows, tmp_path / "2025-10-01.parquet"), exchange="extended")
    assert got.unit == "percent"
    assert got.rows["symbol"].unique().to_list() == ["ETH-USD"]
    assert got.rows.sort("funding_time")["funding_rate"][1] == 0.0000125


def around(count: int, size: float = 0.0001) -> list[float]:
    """Rates of a market near `size`, all different, one in seven negative."""
    return [size * (1 + 0.001 * i) * (-1 if i % 7 == 0 else 1) for i in range(count)]


def every(hours: int, rates, symbol: str, start: str = "2025-06-01") -> pl.DataFrame:
    """Payments of one market, `hours` apart."""
    times = [at(start) + timedelta(hours=hours * i) for i in range(len(rates))]
    return pl.DataFrame({"symbol": [symbol] * len(rates), "funding_time": times, "funding_rate": rates})


def in_lake(rows: pl.DataFrame, base: str) -> pl.DataFrame:
    return rows.with_columns(base=pl.lit(base)).select(COLUMNS)


def on_a_clock(rows: pl.DataFrame, ahead: int) -> pl.DataFrame:
    """The rows with the readings of a clock that is `ahead` hours before UTC, without a zone."""
    return rows.with_columns((pl.col("funding_time") + timedelta(hours=ahead)).dt.replace_time_zone(None))


def test_a_clock_without_zone_is_refused_until_the_lake_proves_its_zone(tmp_path):
    payments = every(8, around(300), "BTCUSDT")
    path = saved(on_a_clock(payments, 3), tmp_path / "moscow.csv")
    with pytest.raises(
        BadCall,
        match="the times state no zone .*payments of 8 hours fit UTC-5, UTC\\+3, UTC\\+11.*: give --tz",
    ):
        one(path, exchange="binance", unit="fraction")
    got = one(path, in_lake(payments, "BTC"), exchange="binance", unit="fraction")
    assert (
        "the clock of the file is UTC+3: 100.0% of 300 payments that the lake has too are equal under this zone and no other"
        in got.evidence
    )
    assert got.rows.sort("funding_time")["funding_time"].to_list() == payments["funding_time"].to_list()
    with pytest.raises(BadData, match="in the lake: only 0% of .* common payments are equal"):
        one(path, in_lake(payments, "BTC"), exchange="binance", unit="fraction", tz="UTC+11")


def test_predicted_rates_are_refused_where_the_lake_has_the_settled_ones(tmp_path):
    settled = every(1, around(400), "BTC")
    predicted = settled.with_columns(pl.col("funding_time") - timedelta(hours=1))
    with pytest.raises(BadData, match="moved by an hour 100% are: predicted rates"):
        one(
            saved(predicted, tmp_path / "p.parquet"),
            in_lake(settled, "BTC"),
            exchange="hyperliquid",
            unit="fraction",
        )


def test_the_payments_of_one_exchange_are_refused_as_those_of_another_in_the_lake():
    rows = every(8, around(100), "BTCUSDT").with_columns(base=pl.lit("BTC"))
    others = rows.with_columns(exchange=pl.lit("binance"))
    refuse_another(
        Path("a file"), "bybit", rows, others.with_columns(funding_rate=pl.col("funding_rate") * 1.1)
    )
    with pytest.raises(
        BadData, match="BTCUSDT: 100% of 100 payments .* of BTCUSDT on binance.* rather than bybit"
    ):
        refuse_another(Path("a file"), "bybit", rows, others)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows.with_columns(sample_count=pl.lit(5)), "row 1: a mean over samples"),
        (
            lambda rows: rows.with_columns(pl.col("funding_time").first() + pl.duration(minutes=pl.int_range(pl.len()))),
            "a row every 0:01:00: samples of the predicted rate",
        ),
        (
            lambda rows: rows.with_columns(pl.col("funding_time") + timedelta(minutes=31)),
            "300 of 300 stamps lie off the settlement grid",
        ),
        (
            lambda rows: rows.with_columns(pl.col("funding_time") - timedelta(seconds=1)),
            "lies just before an hour .300 rows do.",
        ),
        (
            lambda rows: rows.with_columns(pl.col("funding_rate") * 1.0000001),
            "finer than 1e-10, the step of what hyperliquid settles",
        ),
    ],
    ids=["means", "minutes", "off the grid", "before the hour", "finer than the exchange"],
)  # fmt: skip
def test_a_series_that_is_no_settlements_is_refused_with_row_and_reason(tmp_path, change, reason):
    path = saved(change(hourly(300)), tmp_path / "f.parquet")
    with pytest.raises(BadData, match=reason) as error:
        one(path, exchange="hyperliquid", unit="fraction")
    assert ": row " in str(error.value)


def test_rates_of_many_markets_without_a_negative_one_have_lost_their_sign(tmp_path):
    rows = pl.concat(hourly(30, symbol=f"T{i}", rates=[0.0000125] * 30) for i in range(20))
    with pytest.raises(BadData, match="none of 600 rates in 20 markets is negative: the sign was lost"):
        one(saved(rows, tmp_path / "f.csv"), exchange="hyperliquid", unit="fraction", signed=True)


def test_the_side_that_pays_is_the_sign(tmp_path):
    sides = ["long", "short", "long", "long"]
    rows = hourly(4, rates=[0.00002, 0.00001, 0.00003, 0.00004]).with_columns(direction=pl.Series(sides))
    got = one(saved(rows, tmp_path / "f.csv"), exchange="hyperliquid", unit="fraction", interval="infer")
    assert got.rows.sort("funding_time")["funding_rate"].to_list() == [0.00002, -0.00001, 0.00003, 0.00004]


def test_a_name_that_the_exchange_does_not_use_is_refused_with_its_form(tmp_path):
    path = saved(hourly(300), tmp_path / "f.csv")
    with pytest.raises(BadCall, match="is no market name; names look like BTCUSDT; --symbol-form"):
        one(path, exchange="binance", unit="fraction")
    got = one(path, exchange="binance", unit="fraction", symbol_form="{}USDT", interval="infer")
    assert got.rows["symbol"].unique().to_list() == ["BTCUSDT"]


def test_an_exchange_without_fetcher_needs_its_unit_and_takes_the_intervals_of_the_gaps(tmp_path):
    path = saved(every(8, around(200, 0.00037), "XBTUSD"), tmp_path / "f.csv")
    with pytest.raises(BadCall, match="the unit is not proven .*: give --unit fraction"):
        one(path, exchange="bitmex")
    got = one(path, exchange="bitmex", unit="fraction").rows
    assert (got["base"].unique().to_list(), set(got["interval_hours"].drop_nulls())) == (["BTC"], {8.0})


# --- formats and refusals


@pytest.mark.parametrize("ending", ["csv", "parquet", "json", "jsonl"])
def test_each_format_gives_the_same_rows(tmp_path, ending):
    rows = hourly(200).with_columns(pl.col("funding_time").dt.epoch("ms"))
    got = one(saved(rows, tmp_path / f"f.{ending}"), exchange="hyperliquid")
    assert got.unit == "fraction"
    assert got.rows.sort("funding_time")["funding_rate"].to_list() == rows["funding_rate"].to_list()
    assert got.rows["funding_time"].min() == at("2025-06-01")


@pytest.mark.parametrize("name", UNITS[:-1])
@pytest.mark.parametrize("turned", [False, True])
def test_each_unit_is_found_and_read_back(tmp_path, name, turned):
    truth = hourly(300)
    scale = {
        "fraction": 1, "percent": 100, "bps": 10_000, "fraction-per-hour": 1, "percent-per-hour": 100,
        "fraction-per-8h": 8, "percent-per-8h": 800, "fraction-per-year": 8760, "percent-per-year": 876_000,
    }[name]  # fmt: skip
    rows = truth.with_columns(pl.col("funding_rate") * scale * (-1 if turned else 1))
    path = saved(rows, tmp_path / "f.parquet")
    for stated in (None, name + "-turned" * turned):
        got = one(path, exchange="hyperliquid", unit=stated).rows.sort("funding_time")
        assert got["funding_rate"].to_list() == pytest.approx(
            truth["funding_rate"].to_list(), rel=1e-9, abs=1e-18
        )


def test_a_unit_against_the_mass_at_the_base_rate_is_refused(tmp_path):
    path = saved(hourly(300).with_columns(pl.col("funding_rate") * 100), tmp_path / "f.csv")
    with pytest.raises(
        BadData, match="the rates contradict --unit fraction: .* are the base rate if the unit is percent"
    ):
        one(path, exchange="hyperliquid", unit="fraction")


def test_an_unknown_unit_names_its_neighbours():
    with pytest.raises(BadCall, match="unknown unit 'percents': did you mean percent"):
        unit("percents")


@pytest.mark.parametrize("factor", [8, 24, 100, -1, 1 / 8])
def test_another_unit_than_the_lakes_is_refused(tmp_path, factor):
    odd = [((i * 37) % 101 - 50) * 1e-6 for i in range(200)]  # no base rate: only the lake can tell
    truth = one(
        saved(hourly(200, rates=odd), tmp_path / "a.parquet"), exchange="hyperliquid", unit="fraction"
    ).rows
    path = saved(hourly(200, rates=[r * factor for r in odd]), tmp_path / "b.parquet")
    with pytest.raises(
        BadData, match="differ by the factor .*: another unit or sign than in the lake"
    ) as error:
        one(path, known_by(truth), exchange="hyperliquid", unit="fraction")
    assert f"factor {factor:.6g}:" in str(error.value)
    if factor in (100, 8, -1):  # without --unit the lake's rows are the proof
        got = one(path, known_by(truth), exchange="hyperliquid")
        assert got.unit == {100: "percent", 8: "fraction-per-8h", -1: "fraction-turned"}[factor]


def test_missing_columns_are_named(tmp_path):
    path = saved(hourly(30).drop("funding_time"), tmp_path / "f.csv")
    with pytest.raises(
        BadCall, match=r"f.csv: no column is named like a funding_time \(columns: symbol, funding_rate\)"
    ):
        one(path, exchange="hyperliquid")
    with pytest.raises(BadCall, match="--map funding_rate: column 'rate' is missing; there are symbol"):
        one(path, exchange="hyperliquid", columns={"funding_rate": "rate"})
    with pytest.raises(BadCall, match="--map speed=...: no such role"):
        one(path, exchange="hyperliquid", columns={"speed": "symbol"})


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("31/05/2025 08:00", "row 8: funding_time = '31/05/2025 08:00' is no time"),
        ("2025-02-30 08:00", "row 8: funding_time = '2025-02-30 08:00' is no time"),
        ("", "row 8: funding_time = None is no time"),
        ("2025-06-01T07:00Z", "states no zone, other rows do"),
    ],
)
def test_dates_that_can_not_be_read_are_named_by_row(tmp_path, cell, message):
    texts = [f"2025-06-{1 + i // 24:02} {i % 24:02}:00" for i in range(48)]
    texts[7] = cell
    rows = hourly(48).with_columns(funding_time=pl.Series([t or None for t in texts]))
    with pytest.raises(BadData, match=message):
        one(saved(rows, tmp_path / "f.csv"), exchange="hyperliquid", tz="UTC", unit="fraction")


@pytest.mark.parametrize("cell", ["nan", "inf", "1,5", "0x10", "1e400", "--"])
def test_rates_that_are_no_numbers_are_named_by_row(tmp_path, cell):
    texts = [str(r) for r in hourly(48)["funding_rate"]]
    texts[9] = cell
    rows = hourly(48).with_columns(funding_rate=pl.Series(texts))
    with pytest.raises(BadData, match="row 10: "):
        one(saved(rows, tmp_path / "f.csv"), exchange="hyperliquid", unit="fraction")


def test_an_empty_rate_is_refused_unless_the_column_is_named(tmp_path):
    rows = hourly(300).with_columns(
        funding_rate=pl.when(pl.int_range(pl.len()) == 4).then(None).otherwise("funding_rate")
    )
    path = saved(rows, tmp_path / "f.csv")
    with pytest.raises(BadData, match="row 5: funding_rate is empty"):
        one(path, exchange="hyperliquid")
    assert one(path, exchange="hyperliquid", columns={"funding_rate": "funding_rate"}).rows.height == 299


def test_one_payment_twice_counts_once_and_two_rates_are_refused(tmp_path):
    rows = hourly(300)
    same = one(saved(pl.concat([rows, rows.head(7)]), tmp_path / "a.csv"), exchange="hyperliquid")
    assert same.rows.height == 300
    assert any("7 rows repeat a payment" in line for line in same.evidence)
    other = rows.slice(3, 1).with_columns(funding_rate=pl.lit(0.00002))
    with pytest.raises(
        BadData, match="rows 4 and 301: BTC 2025-06-01 03:00 has the rates 1.25e-05 and 2e-05"
    ):
        one(saved(pl.concat([rows, other]), tmp_path / "b.csv"), exchange="hyperliquid")


def test_an_interval_against_the_gaps_or_the_exchange_is_refused(tmp_path):
    path = saved(hourly(100, symbol="BTCUSDT"), tmp_path / "f.csv")
    with pytest.raises(BadData, match="is paid every 1 h by the gaps around it .*, not every 8 h"):
        one(path, exchange="binance", unit="fraction", interval=8.0)
    with pytest.raises(BadData, match="hyperliquid pays BTC every 1 h, not every 8 h"):
        one(saved(hourly(100), tmp_path / "h.csv"), exchange="hyperliquid", unit="fraction", interval=8.0)


def test_every_eighth_hour_of_an_hourly_exchange_is_no_series_of_payments(tmp_path):
    path = saved(hourly(800).gather_every(8), tmp_path / "f.csv")
    with pytest.raises(BadData, match="has a row every 8 h, but is paid every 1 h .*: sums or samples"):
        one(path, exchange="hyperliquid", unit="fraction")


def test_few_rows_prove_no_interval(tmp_path):
    path = saved(hourly(2, symbol="BTCUSDT"), tmp_path / "f.csv")
    with pytest.raises(BadCall, match="the interval is not proven"):
        one(path, exchange="binance", unit="fraction")
    rows = one(path, exchange="binance", unit="fraction", interval="infer").rows
    assert rows["interval_from"].to_list() == ["unknown", "unknown"]
    stated = one(path, exchange="binance", unit="fraction", interval=1.0).rows
    assert (stated["interval_hours"].to_list(), stated["interval_from"].unique().to_list()) == (
        [1.0, 1.0],
        ["declared"],
    )


@pytest.mark.parametrize(
    ("gaps", "hours"),
    [
        ([8] * 6, [None] + [8.0] * 6),
        ([1] * 5 + [9] + [1] * 5, [None] + [1.0] * 11),  # a hole of eight
        (
            [1] * 5 + [2, 2] + [1] * 5,
            [None] + [1.0] * 5 + [None] * 2 + [1.0] * 5,
        ),  # two holes, or an interval of two
        ([8] * 4 + [4] * 4, [None] + [8.0] * 4 + [4.0] * 4),  # a change
        ([8] * 4 + [3] + [4] * 4, [None] + [8.0] * 4 + [None] + [4.0] * 4),
        ([5, 7, 3], [None] * 4),
    ],
)
def test_intervals_are_seen_in_gaps_or_left_unknown(gaps, hours):
    times = [at("2025-01-01")]
    for gap in gaps:
        times.append(times[-1] + timedelta(hours=gap))
    rows = pl.DataFrame({"_row": range(len(times)), "symbol": ["A"] * len(times), "hour": times})
    assert observed(rows).to_list() == hours
    assert observed(rows.reverse()).to_list() == hours[::-1]


def test_a_long_series_without_a_negative_rate_is_asked_about(tmp_path):
    path = saved(hourly(300).with_columns(pl.col("funding_rate").abs()), tmp_path / "f.csv")
    with pytest.raises(BadCall, match="none of 299 rates in 1 market is negative: .* give --signed"):
        one(path, exchange="hyperliquid")
    assert one(path, exchange="hyperliquid", signed=True).rows.height == 300


def test_magnitudes_that_jump_for_good_are_a_change_of_unit(tmp_path):
    odd = [((i * 37) % 101 - 50) * 1e-6 for i in range(1200)]
    rows = hourly(1200, rates=[r * (100 if i >= 700 else 1) for i, r in enumerate(odd)])
    with pytest.raises(BadData, match="about here the unit changes") as error:
        one(saved(rows, tmp_path / "f.parquet"), exchange="hyperliquid", unit="fraction")
    row = int(str(error.value).split("row ")[1].split(" ")[0])
    assert abs(row - 701) <= 130


@pytest.mark.parametrize(
    ("text", "meant"),
    [("UTC", timedelta(0)), ("UTC+3", timedelta(hours=3)), ("-05:30", timedelta(hours=-5, minutes=-30)),
     ("Europe/Moscow", "Europe/Moscow")],
)  # fmt: skip
def test_zones_are_offsets_or_names(text, meant):
    assert zone_of(text) == meant


@pytest.mark.parametrize("text", ["", "UTC+15", "MSK3", "../etc", "3"])
def test_what_is_no_zone_is_refused(text):
    with pytest.raises(BadCall, match="--tz"):
        zone_of(text)


def test_rows_of_the_future_are_refused(tmp_path):
    path = saved(hourly(300, start="2027-01-01"), tmp_path / "f.csv")
    with pytest.raises(BadData, match="row 1: 2027-01-01 00:00 lies in the future"):
        one(path, exchange="hyperliquid")


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.json", "{", BadData, "the file is no complete JSON"),
        ("a.json", "{}", BadData, "has 0 lists of objects"),
        ("a.csv", "", BadData, "has no rows"),
        ("a.csv", "symbol,time,rate\n", BadData, "has no rows"),
        ("a.parquet", "no", BadData, "is no complete Parquet file"),
        (
            "a.csv",
            "symbol,time,rate\nBTC,1,2\nBTC,1,2,3\n",
            BadData,
            "row 2: has 4 cells, the header names 3 columns",
        ),
        ("a.csv", b"symbol,time,rate\nBTC,1,2\nB\xff,1,2\n", BadData, "is no UTF-8 text: save it as UTF-8"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', BadData, r"line 2 is no complete JSON \(it begins with"),
        ("a.json", b'[{"a": "\xff"}]', BadData, "the file is no complete JSON"),
        ("a.xlsx", "", BadCall, "files that end in .xlsx can't be imported: save it as"),
    ],
)
def test_files_that_are_none_are_refused_in_our_own_words(tmp_path, name, content, error, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=message) as refused:
        one(tmp_path / name, exchange="hyperliquid")
    assert not re.search("strict|truncate_ragged|polars|schema|byte|decode", str(refused.value))


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("symbol", [["BTC"]] * 300, "column symbol has lists, objects or bytes, must have text"),
        ("funding_rate", [[0.1]] * 300, "column funding_rate has no numbers: choose another column"),
        ("funding_rate", ["1e999"] * 300, "row 1: funding_rate = '1e999' is no finite number"),
        ("funding_rate", ["1e-5", "--"] * 150, "row 2: funding_rate = '--' is no finite number"),
        ("funding_time", [[1]] * 300, "column funding_time has no times: choose another column"),
        ("funding_time", ["9" * 19] * 300, "funding_time = .* is no Unix time"),
    ],
)
def test_cells_of_a_wrong_kind_are_refused_by_column_and_row(tmp_path, column, cells, message):
    rows = hourly(300).with_columns(pl.Series(column, cells, strict=False))
    with pytest.raises(BadData, match=message):
        one(saved(rows, tmp_path / "f.parquet"), exchange="hyperliquid", unit="fraction")


def test_a_reading_that_summer_time_repeats_is_refused_by_its_row(tmp_path):
    rows = hourly(300, start="2025-10-26").with_columns(pl.col("funding_time").dt.replace_time_zone(None))
    path = saved(rows, tmp_path / "f.csv")
    with pytest.raises(
        BadCall,
        match=r"row 3: 2025-10-26 02:00 is skipped or repeated by the summer time of Europe/Berlin; give",
    ):
        one(path, exchange="hyperliquid", unit="fraction", tz="Europe/Berlin")


# --- the verb


@pytest.fixture
def run(tmp_path, capsys):
    from fundingdb.cli import main

    def go(*args: str) -> tuple[int, list[dict], str]:
        code = main(["import", *args, "--warehouse", str(tmp_path / "w"), "--json"])
        got = capsys.readouterr()
        return code, [json.loads(line) for line in got.out.splitlines()], got.err

    return go


def test_the_verb_shows_writes_and_repeats(tmp_path, run):
    path = str(saved(hourly(300), tmp_path / "f.csv"))
    code, (told,), err = run(path, "--exchange", "hyperliquid", "--dry-run")
    assert (code, told["rows"], told["unit"], told["intervals"]) == (0, 300, "fraction", "1h")
    assert (told["first"], told["last"]) == ("2025-06-01T00:00:00Z", "2025-06-13T11:00:00Z")
    assert "are the base rate if the unit is fraction" in told["evidence"]
    assert "dry run: nothing was written" in err
    assert not (tmp_path / "w").exists()
    code, _, err = run(path, "--exchange", "hyperliquid")
    assert (code, "300 rows new" in err) == (0, True)
    code, _, err = run(path, "--exchange", "hyperliquid")
    assert (code, "0 rows new" in err, "300 rows are those of an earlier import" in err) == (0, True, True)
    rows = Lake(tmp_path / "w").scan("funding").collect()
    assert (rows.height, rows["source"].unique().to_list()) == (300, ["import"])


def test_a_file_of_another_exchange_is_refused_once_the_lake_has_that(tmp_path, run):
    path = str(saved(hourly(300, symbol="BTCUSDT"), tmp_path / "f.csv"))
    assert run(path, "--exchange", "binance")[0] == 0
    code, _, err = run(path, "--exchange", "bybit")
    assert (code, "100% of 60 payments with an unusual rate" in err) == (1, True), err
    assert "those of BTCUSDT on binance" in err
    assert set(Lake(tmp_path / "w").scan("funding").collect()["exchange"]) == {"binance"}


def test_what_is_not_proven_writes_nothing_and_is_wrong_usage(tmp_path, run):
    good = str(saved(hourly(300), tmp_path / "good.csv"))
    odd = saved(
        hourly(300, symbol="ETH", rates=[(i % 7 - 3) * 1e-6 for i in range(300)]), tmp_path / "odd.csv"
    )
    code, rows, err = run(good, str(odd), "--exchange", "hyperliquid")
    assert (code, rows) == (2, [])
    assert "odd.csv: the unit is not proven" in err
    assert not (tmp_path / "w").exists()


def test_the_flags_of_the_verb_reach_the_file(tmp_path, run):
    rows = hourly(90).select(
        ts=pl.col("funding_time").dt.offset_by("3h").dt.strftime("%Y-%m-%d %H:%M"),
        r8=pl.col("funding_rate") * 800,
        name=pl.lit("BTC"),
        venue=pl.lit("Binance"),
        kind=pl.lit("perp"),
    )
    path = str(saved(rows, tmp_path / "f.csv"))
    flags = (
        "--exchange binance --map funding_rate=r8,funding_time=ts --symbol-column name --symbol-form {}USDT"
    )
    code, (told,), err = run(
        path,
        *flags.split(),
        "--unit",
        "percent-per-8h",
        "--interval",
        "1h",
        "--tz",
        "UTC+3",
        "--where",
        "kind=p*",
    )
    assert (code, told["rows"], told["first"]) == (0, 90, "2025-06-01T00:00:00Z"), err
    got = Lake(tmp_path / "w").scan("funding").collect().sort("funding_time")
    assert got["symbol"].unique().to_list() == ["BTCUSDT"]
    assert got["funding_rate"].to_list() == pytest.approx(hourly(90)["funding_rate"].to_list(), rel=1e-12)


def test_many_exchanges_of_one_file_are_written_together(tmp_path, run):
    rows = pl.concat([hourly(200).with_columns(venue=pl.lit(e)) for e in ("hyperliquid", "pacifica")])
    code, told, _ = run(str(saved(rows, tmp_path / "f.csv")), "--exchange-column", "venue")
    assert (code, [t["exchange"] for t in told]) == (0, ["hyperliquid", "pacifica"])
    code, _, err = run(str(tmp_path / "f.csv"), "--exchange", "extended")
    assert (code, "there are hyperliquid, pacifica" in err) == (2, True)


def test_files_that_contradict_each_other_are_refused(tmp_path, run):
    a = saved(hourly(300), tmp_path / "a.csv")
    b = saved(hourly(300).with_columns(pl.col("funding_rate") + 1e-6), tmp_path / "b.csv")
    code, _, err = run(str(a), str(b), "--exchange", "hyperliquid", "--unit", "fraction")
    assert (code, "a.csv and " in err, "b.csv: BTC 2025-06-01 00:00" in err) == (1, True, True), err
    c = saved(hourly(300).tail(100), tmp_path / "c.csv")
    assert run(str(a), str(c), "--exchange", "hyperliquid", "--unit", "fraction")[0] == 0
    assert Lake(tmp_path / "w").scan("funding").collect().height == 300


def test_a_coarser_file_does_not_spoil_a_finer_one(tmp_path, run):
    fine = saved(hourly(310).head(300).with_columns(pl.col("funding_rate") + 1.2e-9), tmp_path / "fine.csv")
    coarse = saved(hourly(310).with_columns(pl.col("funding_rate").round(8)), tmp_path / "coarse.csv")
    assert run(str(fine), "--exchange", "hyperliquid", "--unit", "fraction")[0] == 0
    code, _, err = run(str(coarse), "--exchange", "hyperliquid", "--unit", "fraction")
    assert (code, "300 rows are those of an earlier import" in err, "10 rows new, 0 restated" in err) == (
        0,
        True,
        True,
    ), err
    rows = Lake(tmp_path / "w").scan("funding").collect().sort("funding_time")
    assert rows["funding_rate"][1] == 0.0000125 + 1.2e-9


@pytest.mark.parametrize("form", ["{}{", "USDT", "{a b}", "{}{}", "{symbol}}", "{nothing}"])
def test_a_form_that_is_none_is_refused(tmp_path, form):
    path = saved(hourly(300), tmp_path / "f.csv")
    with pytest.raises(BadCall, match="--symbol-form"):
        one(path, exchange="hyperliquid", symbol_form=form)


def test_an_earlier_import_under_another_unit_is_not_overwritten(tmp_path, run):
    odd = [((i * 37) % 101 - 50) * 1e-6 for i in range(200)]
    a = saved(hourly(200, rates=odd), tmp_path / "a.csv")
    b = saved(hourly(200, rates=[r * 100 for r in odd]), tmp_path / "b.csv")
    assert run(str(a), "--exchange", "hyperliquid", "--unit", "fraction")[0] == 0
    code, _, err = run(str(b), "--exchange", "hyperliquid", "--unit", "fraction")
    assert (code, "differ by the factor 100" in err) == (1, True)
