"""Files as other tools write them: each shape becomes the same payments, or is refused by its own words."""

import gzip
import io
import zipfile
from datetime import timedelta

import polars as pl
import pytest

from fundingdb.errors import BadCall, BadData
from tests.importing.test_importing import at, every, one, saved

# 40 payments of SOLUSDT from 2025-03-01, 8 hours apart: the base rate three times in four.
RATES = [0.0001 if n % 4 else round((n - 15) * 3.1e-6, 8) for n in range(40)]
TIMES = [at("2025-03-01") + timedelta(hours=8 * n) for n in range(40)]


def lines(header: str, row) -> str:
    return "\n".join([header, *(row(time, rate) for time, rate in zip(TIMES, RATES, strict=True))]) + "\n"


def imported(tmp_path, text: str | bytes, name: str = "f.csv", **wanted):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return one(path, **{"exchange": "binance", **wanted})


def payments(checked) -> list[tuple]:
    rows = checked.rows.sort("funding_time")
    return [*rows.select("symbol", "funding_time", "funding_rate", "interval_hours").rows()]


RIGHT = [("SOLUSDT", time, rate, 8.0) for time, rate in zip(TIMES, RATES, strict=True)]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("symbol,funding_time,funding_rate", lambda t, r: f"SOLUSDT,{t:%Y-%m-%d %H:%M:%S}+00,{r}"),
        ("symbol,time,rate", lambda t, r: f"SOLUSDT,{t + timedelta(hours=5, minutes=30):%Y-%m-%d %H:%M:%S}+0530,{r}"),
        (",symbol,fundingRate", lambda t, r: f"{t.isoformat()},SOLUSDT,{r}"),
        ("symbol;fundingTime;fundingRate", lambda t, r: f"SOLUSDT;{t:%d.%m.%Y %H:%M}Z;{r:.8f}".replace(".", ",", 0)),
        ("symbol;fundingTime;fundingRate", lambda t, r: f"SOLUSDT;{t:%Y-%m-%dT%H:%M:%SZ};" + f"{r:.8f}".replace(".", ",")),
        ("\ufeffSymbol\tTimestamp\tFunding Rate", lambda t, r: f"SOLUSDT\t{t.timestamp():.0f}\t{r}"),
        (
            '"Time","Contracts","Funding Interval","Funding Rate"',
            lambda t, r: f'"{t:%Y-%m-%d %H:%M:%S}Z","SOLUSDT Perpetual","8h","{r * 100:.6f}%"',
        ),
        (",symbol,fundingRate,timestamp", lambda t, r: f"{TIMES.index(t)},SOL/USDT:USDT,{r},{t.timestamp() * 1000:.0f}"),
        ("symbol,fundingRateTimestamp,fundingRate", lambda t, r: f"SOLUSDT,{t.timestamp() * 1000:.0f},{r}"),
        ("symbol,fundingTime,realizedRate,fundingRate", lambda t, r: f"SOLUSDT,{t.timestamp() * 1000:.0f},{r},0.5"),
        ("symbol,ts,rate,unit", lambda t, r: f"SOLUSDT,{t.timestamp():.0f},{r * 1e4:.4f},bps"),
        ("symbol,ts,funding_rate_pct", lambda t, r: f"SOLUSDT,{t.timestamp():.0f},{r * 100:.6f}"),
    ],
    ids=[
        "DuckDB's offset of two figures", "offset without colon", "pandas' unnamed index of times", "German dates",
        "decimal commas", "byte order mark and tabs", "Binance's website", "counted rows of ccxt", "Bybit", "OKX",
        "a column of units", "a unit in the name",
    ],
)  # fmt: skip
def test_each_shape_becomes_the_same_payments(tmp_path, header, row):
    got = payments(imported(tmp_path, lines(header, row)))
    assert [g[:2] for g in got] == [r[:2] for r in RIGHT]
    assert [g[2] for g in got] == pytest.approx([r[2] for r in RIGHT], abs=1e-15)
    assert {g[3] for g in got} == {8.0}


PLAIN = lines("symbol,ts,rate", lambda t, r: f"SOLUSDT,{t.timestamp():.0f},{r}").encode()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, body in members.items():
            packed.writestr(name.replace("__", "/").replace("_csv", ".csv"), body)
    return buffer.getvalue()


def test_packed_files_are_read_as_the_file_they_pack(tmp_path):
    assert payments(imported(tmp_path, gzip.compress(PLAIN), "f.csv.gz")) == RIGHT
    assert payments(imported(tmp_path, zipped(a_csv=PLAIN), "f.zip")) == RIGHT
    with pytest.raises(BadData, match="packs 2 files, must pack one"):
        imported(tmp_path, zipped(a_csv=PLAIN, b_csv=PLAIN), "f.zip")
    for name, body in (
        ("f.csv.gz", gzip.compress(PLAIN)[:-9]),
        ("f.zip", zipped(a_csv=PLAIN)[:-9]),
        ("g.csv.gz", PLAIN),
    ):
        with pytest.raises(BadData, match="can't be unpacked"):
            imported(tmp_path, body, name)


def candles(**others: float) -> pl.DataFrame:
    zeros = {"high": 0.0, "low": 0.0, "close": 0.0, "volume": 0.0, **others}
    return pl.DataFrame({"date": TIMES, "open": RATES}).with_columns(
        pl.col("date").cast(pl.Datetime("ms", "UTC")), *(pl.lit(v).alias(n) for n, v in zeros.items())
    )


def test_candles_of_freqtrade_have_the_rate_in_open_and_the_market_in_their_name(tmp_path):
    path = tmp_path / "SOL_USDT_USDT-8h-funding_rate.feather"
    candles().write_ipc(path, compression="lz4")
    assert payments(one(path, exchange="binance")) == RIGHT
    assert payments(one(path, exchange="okx"))[0][0] == "SOL-USDT-SWAP"


def test_candles_of_a_running_rate_are_no_settlements(tmp_path):
    path = tmp_path / "candles.feather"
    candles(close=0.0001).write_ipc(path)
    with pytest.raises(
        BadData, match=r"row 1: candles \(open, high, low, close\) of a price or of a running rate"
    ):
        one(path, exchange="binance", symbol="SOLUSDT")


def test_binances_archive_needs_the_exchange_alone(tmp_path):
    text = "calc_time,funding_interval_hours,last_funding_rate\n" + "".join(
        f"{1735689600000 + n * 14_400_000 + 3},4,{rate}\n"
        for n, rate in enumerate((0.00005, -0.00012, 0.00031))
    )
    got = imported(tmp_path, text, "XRPUSDC-fundingRate-2025-01.csv")
    assert payments(got) == [
        ("XRPUSDC", at("2025-01-01T00:00"), 0.00005, 4.0),
        ("XRPUSDC", at("2025-01-01T04:00"), -0.00012, 4.0),
        ("XRPUSDC", at("2025-01-01T08:00"), 0.00031, 4.0),
    ]
    assert (got.unit, set(got.rows["interval_from"])) == ("fraction", {"row"})


@pytest.mark.parametrize(
    ("exchange", "name", "symbol"),
    [
        ("binance", "PEPE/USDT:USDT", "PEPEUSDT"),
        ("binance-coinm", "SOL/USD:SOL", "SOLUSD_PERP"),
        ("bybit", "SOL/USDC:USDC", "SOLPERP"),
        ("okx", "SOL/USDT:USDT", "SOL-USDT-SWAP"),
        ("mexc", "SOL/USDT:USDT", "SOL_USDT"),
        ("hyperliquid", "KPEPE/USDC:USDC", "kPEPE"),
        ("dydx", "SOL/USDC:USDC", "SOL-USD"),
        ("paradex", "SOL/USD:USDC", "SOL-USD-PERP"),
    ],
)
def test_symbols_of_ccxt_become_those_of_the_exchange(tmp_path, exchange, name, symbol):
    text = lines("symbol,timestamp,fundingRate", lambda t, r: f"{name},{t.timestamp() * 1000:.0f},{r}")
    got = (
        imported(tmp_path, text, exchange=exchange, interval="infer")
        if exchange not in ("hyperliquid", "dydx")
        else None
    )
    if got is None:  # hourly exchanges: their file has a row an hour
        rows = every(1, [r / 8 for r in RATES], name)
        got = one(saved(rows, tmp_path / "h.csv"), exchange=exchange)
    assert set(got.rows["symbol"]) == {symbol}


@pytest.mark.parametrize(
    ("exchange", "name", "message"),
    [
        ("binance", "SOL/USD:SOL", "is margined in SOL: give --exchange binance-coinm"),
        ("binance", "SOL/USDT:USDT-251226", "is a dated future, which pays no funding"),
        ("kraken", "SOL/USD:USD", "how kraken itself writes that market is unknown: give --symbol S"),
        ("binance", "SOL-USDT", "its base would be 'SOL-'"),
        ("aster", "SOL_USDT", "its base would be 'SOL_'|is no market name"),
        ("lighter", "SOL-USDC", "its base would be 'SOL-USDC'"),
        ("hyperliquid", "SOLUSDT", "its base would be 'SOLUSDT'"),
        ("pacifica", "SOL-PERP", "its base would be 'SOL-PERP'"),
    ],
)
def test_a_name_that_is_none_of_the_exchange_is_refused(tmp_path, exchange, name, message):
    text = lines("symbol,timestamp,fundingRate", lambda t, r: f"{name},{t.timestamp() * 1000:.0f},{r}")
    with pytest.raises(BadCall, match=message):
        imported(tmp_path, text, exchange=exchange, unit="fraction")


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u202e", "\u200b", "\x07", "\x85", "\u00a0"])
def test_a_name_with_a_character_that_nobody_sees_is_refused(tmp_path, character):
    text = lines("symbol,ts,rate", lambda t, r: f"SOL{character}USDT,{t.timestamp():.0f},{r}")
    with pytest.raises(
        BadData, match=rf"row 1: the name of the market .* has the character U\+{ord(character):04X}"
    ):
        imported(tmp_path, text)


# --- what a file states of its own rows


def flagged(tmp_path, name: str, last: str, others: str):
    rows = zip(TIMES, RATES, strict=True)
    text = f"symbol,ts,rate,{name}\n" + "".join(
        f"SOLUSDT,{t.timestamp():.0f},{r},{last if t == TIMES[-1] else others}\n" for t, r in rows
    )
    return imported(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "predicted", "settled"),
    [("is_predicted", "true", "false"), ("isEstimated", "1", "0"), ("settled", "no", "yes"), ("isFinal", "False", "True"),
     ("rate_type", "predicted", "regular"), ("status", "NEXT", "SETTLED"), ("type", "funding_rate_estimated", "funding_rate")],
)  # fmt: skip
def test_rows_that_a_file_calls_predicted_are_left_out_and_counted(tmp_path, name, predicted, settled):
    got = flagged(tmp_path, name, predicted, settled)
    assert payments(got) == RIGHT[:-1]
    assert f"1 rows are predicted by column {name} and left out" in got.evidence
    with pytest.raises(BadData, match=f"column {name} calls all 40 rows predicted: no settlements"):
        flagged(tmp_path, name, predicted, predicted)


@pytest.mark.parametrize(
    "name", ["next_funding_rate", "predictedFundingRate", "estFundingRate", "indicative_funding_rate"]
)
def test_a_column_of_predicted_rates_is_refused_by_its_name(tmp_path, name):
    text = lines(f"symbol,ts,{name}", lambda t, r: f"SOLUSDT,{t.timestamp():.0f},{r}")
    for columns in ({}, {"funding_rate": name}):
        with pytest.raises(BadData, match=f"column {name} is that of the next payment by its name"):
            imported(tmp_path, text, columns=columns)


@pytest.mark.parametrize(
    "cell", ["8", "8.0", "8h", "480", "28800", "8 hours", "PT8H", "08:00:00", "2000-01-01T08:00:00.000Z"]
)
def test_a_stated_interval_is_read_however_it_is_written(tmp_path, cell):
    text = lines("symbol,ts,rate,fundingInterval", lambda t, r: f"SOLUSDT,{t.timestamp():.0f},{r},{cell}")
    got = imported(tmp_path, text)
    assert (set(got.rows["interval_hours"]), set(got.rows["interval_from"])) == ({8.0}, {"row"})


@pytest.mark.parametrize(
    ("cell", "wanted", "message"),
    [
        ("4", {}, "has a row every 8 h, but is paid every 4 h .as the rows state."),
        ("1h", {}, "has a row every 8 h, but is paid every 1 h .as the rows state."),
        ("8", {"interval": 4.0}, "the file states 8 h for SOLUSDT, not 4 h"),
        ("daily", {}, "row 1: fundingInterval = 'daily' is no interval"),
        ("24", {}, "binance pays at least every 8 h"),
    ],
)
def test_a_stated_interval_that_is_contradicted_is_refused(tmp_path, cell, wanted, message):
    text = lines("symbol,ts,rate,fundingInterval", lambda t, r: f"SOLUSDT,{t.timestamp():.0f},{r},{cell}")
    with pytest.raises(BadData, match=message):
        imported(tmp_path, text, **wanted)


def test_a_stated_unit_that_contradicts_the_caller_or_the_figures_is_refused(tmp_path):
    signs = lines("symbol,ts,rate", lambda t, r: f"SOLUSDT,{t.timestamp():.0f},{r * 100:.6f}%")
    with pytest.raises(
        BadData, match="--unit fraction contradicts the file: the figures of rate carry a percent sign"
    ):
        imported(tmp_path, signs, unit="fraction")
    fractions = lines("symbol,ts,rate,unit", lambda t, r: f"SOLUSDT,{t.timestamp():.0f},{r},percent")
    with pytest.raises(BadData, match=r"contradict the unit percent \(column unit states it\)"):
        imported(tmp_path, fractions)
    with pytest.raises(BadData, match="row 40: rate = .*: some rates have a percent sign, others none"):
        imported(tmp_path, signs.rstrip("%\n"))


# --- grid, zone, step and interval of the exchange


@pytest.mark.parametrize("ahead", [-5, 1, 3, 9])
def test_a_stated_zone_off_the_settlement_grid_is_refused_with_the_zones_that_fit(tmp_path, ahead):
    text = lines("symbol,time,rate", lambda t, r: f"SOLUSDT,{t + timedelta(hours=ahead):%Y-%m-%d %H:%M},{r}")
    zone = f"UTC{ahead:+d}"
    with pytest.raises(
        BadData, match=rf"off\); the clock of the file fits .*{zone.replace('+', '.')}\b.*: give --tz"
    ):
        imported(tmp_path, text, tz="UTC")
    assert payments(imported(tmp_path, text, tz=zone)) == RIGHT


def test_instants_off_the_settlement_grid_are_refused(tmp_path):
    text = lines("symbol,ts,rate", lambda t, r: f"SOLUSDT,{t.timestamp() + 7200:.0f},{r}")
    with pytest.raises(
        BadData, match="is no settlement of bybit, whose payments of 8 hours fall on multiples of 8"
    ):
        imported(tmp_path, text, exchange="bybit")


@pytest.mark.parametrize(
    ("zone", "start", "offsets"),
    [("America/New_York", "2025-11-01T16:00", (-4, -5)), ("Australia/Sydney", "2025-04-05T00:00", (11, 10))],
)
def test_the_hour_that_summer_time_repeats_is_the_one_on_the_grid(tmp_path, zone, start, offsets):
    # New York sets its clocks back at 06:00 UTC on 2 November 2025, Sydney at 16:00 UTC on 5 April 2025.
    change = at("2025-11-02T06:00") if zone.startswith("America") else at("2025-04-05T16:00")
    times = [at(start) + timedelta(hours=2 * n) for n in range(16)]
    text = "symbol,time,rate\n" + "".join(
        f"SOLUSDT,{t + timedelta(hours=offsets[t >= change]):%Y-%m-%d %H:%M},{(n - 4) * 1e-6:.8f}\n"
        for n, t in enumerate(times)
    )
    for body in (text, "\n".join([text.split("\n")[0], *reversed(text.rstrip().split("\n")[1:])]) + "\n"):
        got = imported(tmp_path, body, tz=zone, unit="fraction")
        assert [p[1] for p in payments(got)] == times
        assert {p[3] for p in payments(got)} == {2.0}


def test_two_equal_readings_of_an_hourly_series_are_both_hours_of_the_change(tmp_path):
    times = [at("2025-10-25T20:00") + timedelta(hours=n) for n in range(12)]  # Berlin changes at 01:00 UTC
    readings = [t + timedelta(hours=2 if t < at("2025-10-26T01:00") else 1) for t in times]
    text = "symbol,time,rate\n" + "".join(
        f"SOL,{r:%Y-%m-%d %H:%M},{n * 1e-7 - 5e-7:.8f}\n" for n, r in enumerate(readings)
    )
    got = imported(tmp_path, text, exchange="hyperliquid", tz="Europe/Berlin", unit="fraction")
    assert [p[1] for p in payments(got)] == times


@pytest.mark.parametrize(
    ("exchange", "symbol"), [("binance", "SOLUSDT"), ("gate", "SOL_USDT"), ("aster", "SOLUSDT")]
)
def test_rates_between_the_steps_of_the_exchange_are_refused(tmp_path, exchange, symbol):
    text = lines("symbol,ts,rate", lambda t, r: f"{symbol},{t.timestamp():.0f},{r / 7}")
    with pytest.raises(BadData, match=f"rates are finer than .*, the step of what {exchange} settles"):
        imported(tmp_path, text, exchange=exchange, unit="fraction")


@pytest.mark.parametrize("interval", [None, "infer", 24.0, 8.0])
def test_a_row_a_day_of_an_exchange_that_pays_each_eight_hours_is_no_payment(tmp_path, interval):
    rows = every(24, RATES, "SOLUSDT")
    with pytest.raises(
        BadData, match="has a row every 24 h, but binance pays at least every 8 h: a sum, mean or sample"
    ):
        one(saved(rows, tmp_path / "d.csv"), exchange="binance", unit="fraction", interval=interval)


# --- Hyperliquid's builder dexes


def hourly_premiums(symbol: str, most: float, over: float) -> pl.DataFrame:
    premiums = [round(((n * 37) % 101 - 40) * 1.3e-5, 10) for n in range(100)]
    rates = [round((p + min(max(0.0001 - p, -most), most)) / over, 10) for p in premiums]
    return every(1, rates, symbol).with_columns(premium=pl.Series(premiums))


def test_the_base_rate_of_a_builder_dex_is_half_the_usual_one(tmp_path):
    rows = hourly_premiums("xyz:TSLA", 0.0003, 16)
    got = one(saved(rows.drop("premium"), tmp_path / "f.csv"), exchange="hyperliquid")
    assert got.unit == "fraction"
    assert got.rows["funding_rate"].mode().to_list() == [0.00000625]


@pytest.mark.parametrize(("symbol", "most", "over"), [("xyz:TSLA", 0.0003, 16), ("SOL", 0.0005, 8)])
@pytest.mark.parametrize("factor", [8, 100, -1])
def test_rates_that_do_not_follow_from_the_premium_beside_them_are_refused(
    tmp_path, symbol, most, over, factor
):
    rows = hourly_premiums(symbol, most, over)
    assert one(saved(rows, tmp_path / "f.csv"), exchange="hyperliquid").unit == "fraction"
    turned = rows.with_columns(pl.col("funding_rate") * factor)
    with pytest.raises(BadData, match="but its premium|contradict --unit fraction"):
        one(saved(turned, tmp_path / "g.csv"), exchange="hyperliquid", unit="fraction")


def test_text_of_a_spreadsheet_and_a_line_above_the_header_are_read(tmp_path):
    text = lines("symbol\tts\trate", lambda t, r: f"SOLUSDT\t{t.timestamp():.0f}\t{r}")
    assert payments(imported(tmp_path, text.encode("utf-16"), "f.txt")) == RIGHT
    assert payments(imported(tmp_path, "https://www.example.org\n" + text, "f.tsv")) == RIGHT


def test_samples_that_date_the_next_payment_are_no_settlements(tmp_path):
    text = lines(
        "time,symbol,fundingRate,nextFundingTime",
        lambda t, r: f"{t.timestamp():.0f},SOLUSDT,{r},{t.timestamp() + 28800:.0f}",
    )
    with pytest.raises(BadData, match="row 1: column nextFundingTime dates the next payment"):
        imported(tmp_path, text)
    ticker = (
        "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate\n"
        + "".join(
            f"binance,SOLUSDT,{1740787200000000 + n * 1_000_000},{n},1740816000000000,0.0001,\n"
            for n in range(90)
        )
    )
    with pytest.raises(BadData, match="a row every 0:00:01: samples of the predicted rate"):
        imported(tmp_path, ticker, exchange=None)


def test_histories_inside_of_markets_are_one_list_of_rows(tmp_path):
    history = ",".join(f'{{"t":{t.timestamp():.0f},"r":{r}}}' for t, r in zip(TIMES, RATES, strict=True))
    text = f'[{{"symbol":"SOLUSDT","history":[{history}]}},{{"symbol":"ETHUSDT","history":[{history}]}}]'
    got = payments(imported(tmp_path, text, "f.json"))
    assert sorted(got) == [*(("ETHUSDT", *row[1:]) for row in RIGHT), *RIGHT]


def test_a_flag_that_is_neither_true_nor_false_is_refused(tmp_path):
    with pytest.raises(BadData, match="row 40: is_predicted = 'X' is neither true nor false"):
        flagged(tmp_path, "is_predicted", "X", "")
