"""`fundingdb parse`: every recorded response, and a clear refusal of everything else."""

import io
import json
import subprocess
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from fundingdb.cli import main, parse
from fundingdb.errors import FundingdbError
from fundingdb.fetchers.testing.case import same_value
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from tests.fetchers.extended.case import CASE as EXTENDED
from tests.fetchers.test_contract import CASES

TABLES = {"history": FUNDING, "current": SNAPSHOTS, "markets": MARKETS}
# file, endpoint, --symbol, rows
ANSWERS = [
    ("extended/funding_BTC-USD.json", "history", None, 4),
    ("extended/funding_paged.json", "history", None, 1),
    ("extended/info_market_stats.json", "current", "BTC-USD", 1),
    ("extended/info_markets.json", "current", None, 4),
    ("extended/info_markets.json", "markets", None, 5),
    ("extended/ws_funding.jsonl", "current", None, 1),
    ("lighter/funding-rates.json", "current", None, 2),
    ("lighter/fundings_BTC_1h.json", "history", "BTC", 4),
    ("lighter/fundings_ETH_1h_short.json", "history", "ETH", 2),
    ("lighter/orderBookDetails.json", "current", None, 2),
    ("lighter/orderBookDetails.json", "markets", None, 3),
    ("lighter/orderBookDetails_full_ETH.json", "current", None, 1),
    ("lighter/orderBookDetails_full_ETH.json", "markets", None, 1),
    ("lighter/orderBooks.json", "markets", None, 1),
    ("lighter/ws_market_stats.jsonl", "current", None, 1),
    ("hyperliquid/allPerpMetas.json", "markets", None, 3),
    ("hyperliquid/fundingHistory_BTC.json", "history", None, 3),
    ("hyperliquid/fundingHistory_BTC.json", "history", "BTC", 3),
    ("hyperliquid/fundingHistory_BTC_2023_8h_to_1h.json", "history", None, 12),
    ("hyperliquid/fundingHistory_xyz_XYZ100.json", "history", None, 2),
    ("hyperliquid/metaAndAssetCtxs.json", "current", None, 2),
    ("hyperliquid/metaAndAssetCtxs.json", "current", "ETH", 1),
    ("hyperliquid/metaAndAssetCtxs.json", "markets", None, 3),
    ("hyperliquid/metaAndAssetCtxs_dex_xyz.json", "current", None, 2),
    ("hyperliquid/metaAndAssetCtxs_dex_xyz.json", "markets", None, 3),
    ("hyperliquid/predictedFundings.json", "current", None, 2),
    ("coingecko/derivatives.json", "current", None, 1),
    ("coingecko/derivatives.json", "markets", None, 1),
    ("coingecko/derivatives_exchanges_binance_futures_tickers.json", "current", None, 2),
    ("coingecko/derivatives_exchanges_binance_futures_tickers.json", "markets", None, 2),
    ("coingecko/derivatives_exchanges_binance_futures_tickers.json", "current", "0GUSDT", 1),
    ("binance/exchangeInfo.json", "markets", None, 3),
    ("binance/exchangeInfo_tradfi.json", "markets", None, 3),
    ("binance/fundingInfo.json", "markets", None, 3),
    ("binance/fundingInfo_tradfi.json", "current", None, 3),
    ("binance/fundingRate_BTCUSDT.json", "history", None, 3),
    ("binance/fundingRate_SPYUSDT_special.json", "history", "SPYUSDT", 3),
    ("binance/premiumIndex.json", "current", None, 3),
    ("binance/premiumIndex_tradfi.json", "current", None, 3),
    ("aster/exchangeInfo.json", "markets", None, 2),
    ("aster/exchangeInfo_tradfi.json", "markets", None, 4),
    ("aster/fundingInfo.json", "markets", None, 4),
    ("aster/fundingInfo_tradfi.json", "current", None, 4),
    ("aster/fundingRate_BTCUSDT.json", "history", None, 4),
    ("aster/premiumIndex.json", "current", None, 4),
    ("aster/premiumIndex_tradfi.json", "current", None, 4),
    ("bybit/funding_history_BTCUSDT.json", "history", None, 2),
    ("bybit/instruments_linear.json", "markets", None, 3),
    ("bybit/instruments_linear_tradfi.json", "markets", None, 6),
    ("bybit/tickers_linear.json", "current", None, 3),
    ("okx/funding-rate-history_BTC-USDT-SWAP.json", "history", None, 2),
    ("okx/funding-rate_ANY.json", "current", None, 3),
    ("okx/funding-rate_ANY.json", "markets", None, 3),
    ("okx/instruments_SWAP.json", "markets", None, 3),
    ("okx/instruments_SWAP_tradfi.json", "markets", None, 4),
    ("okx/mark-price_SWAP.json", "current", None, 3),
    ("gate/contracts_usdt.json", "current", None, 2),
    ("gate/contracts_usdt.json", "markets", None, 3),
    ("gate/contracts_usdt_tradfi.json", "current", None, 5),
    ("gate/contracts_usdt_tradfi.json", "markets", None, 5),
    ("gate/funding_rate_BTC_USDT.json", "history", "BTC_USDT", 2),
    ("gate/tickers_usdt.json", "current", None, 3),
    ("dydx/historicalFunding_LINK-USD.json", "history", None, 3),
    ("dydx/perpetualMarkets.json", "current", None, 2),
    ("dydx/perpetualMarkets.json", "markets", None, 3),
    ("dydx/perpetualMarkets_tradfi.json", "current", None, 1),
    ("dydx/perpetualMarkets_tradfi.json", "markets", None, 2),
    ("backpack/fundingRates_BTC_USDC_PERP.json", "history", None, 3),  # the running hour is none
    ("backpack/markPrices.json", "current", None, 3),
    ("backpack/markets.json", "markets", None, 5),
    ("pacifica/funding_rate_history_BTC.json", "history", "BTC", 2),
    ("pacifica/info.json", "markets", None, 4),
    ("pacifica/info_prices.json", "current", None, 4),
    ("grvt/all_instruments.json", "markets", None, 4),
    ("grvt/funding_BTC_USDT_Perp.json", "history", None, 3),
    ("grvt/ticker_AAPL_USDT_Perp.json", "current", None, 1),
    ("grvt/ticker_BTC_USDT_Perp.json", "current", None, 1),
    ("drift/contracts.json", "current", None, 1),
    ("drift/legacy_fundingRates_SOL-PERP.json", "history", "SOL-PERP", 1),
    ("drift/market_fundingRates_SOL-PERP.json", "history", None, 1),
    ("drift/stats_markets.json", "current", None, 1),
    ("drift/stats_markets.json", "markets", None, 1),
    ("drift/velocity_market_fundingRates_BTC-PERP.json", "history", None, 3),
    ("drift/velocity_stats_markets.json", "current", None, 1),
    ("drift/velocity_stats_markets.json", "markets", None, 1),
    ("variational/metadata_stats.json", "current", None, 5),  # a swap is none
    ("variational/metadata_stats.json", "markets", None, 5),
    ("edgex-v2/getFundingRatePage_30000001.json", "history", "BTCUSDC", 2),
    ("edgex-v2/getLatestFundingRate.json", "current", None, 3),  # one is hidden
    ("edgex-v2/getMetaData.json", "markets", None, 4),
    ("nado/contracts.json", "current", None, 4),  # two don't trade
    ("nado/funding_rate_history_2.json", "history", "BTC-PERP_USDT0", 4),
    ("nado/symbols.json", "markets", None, 6),
    ("paradex/markets.json", "markets", None, 1),  # an option is none
    ("paradex/markets_summary.json", "current", None, 1),
]
LISTINGS = {  # who trades
    "backpack/markPrices.json": "backpack/markets.json",
    "edgex-v2/getLatestFundingRate.json": "edgex-v2/getMetaData.json",
    "nado/contracts.json": "nado/symbols.json",
    "paradex/markets_summary.json": "paradex/markets.json",
}
EXCHANGES = {"edgex-v2": "edgex"}  # id, where the folder has another name
# file, endpoint, --symbol, exit code, part of the message
NO_ANSWERS = [
    *((f"{x}/errors.json", e, None, 1, x) for x in ("extended", "hyperliquid") for e in TABLES),
    *((f"{x}/errors.json", e, None, 1, x) for x in ("lighter", "coingecko") for e in ("current", "markets")),
    ("lighter/errors.json", "history", "ETH", 1, "lighter"),
    ("lighter/fundings_KAITO_row.json", "history", "KAITO", 1, "resolution"),  # a row, cut out of an answer
    ("lighter/fundings_BTC_1h.json", "history", None, 2, "--symbol ETH"),
    ("extended/info_market_stats.json", "current", None, 2, "--symbol BTC-USD"),
    ("pacifica/funding_rate_history_BTC.json", "history", None, 2, "--symbol BTC"),
    *(("drift/errors.json", e, None, 1, "drift") for e in TABLES),
    ("drift/legacy_fundingRates_SOL-PERP.json", "history", None, 2, "--symbol SOL-PERP"),
    ("drift/stats_fundingRates.json", "current", None, 1, "marketType"),  # means over days
    ("hyperliquid/perpDexs.json", "markets", None, 1, "meta"),  # names dexes, no markets
    ("hyperliquid/ws_control.jsonl", "current", None, 1, "funding"),  # placeholders for figures
    ("hyperliquid/ws_allDexsAssetCtxs.jsonl", "current", None, 2, "allPerpMetas"),  # names no coin
    ("coingecko/derivatives_exchanges_list.json", "current", None, 1, "market"),
    ("extended/funding_BTC-USD.json", "history", "ETH-USD", 1, "requested was"),
    ("hyperliquid/metaAndAssetCtxs.json", "current", "BTCC", 2, "did you mean BTC?"),
    ("coingecko/derivatives.json", "history", None, 2, "no funding history"),
    ("variational/metadata_stats.json", "history", "BTC", 2, "no funding history"),
    ("edgex-v2/contract-labels.json", "markets", None, 1, "getMetaData"),  # names tabs of a page, no markets
    ("edgex-v2/getFundingRatePage_30000001.json", "history", None, 2, "--symbol BTCUSDC"),
    ("nado/funding_rate_history_2.json", "history", None, 2, "--symbol BTC-PERP_USDT0"),
    ("paradex/markets_summary.json", "history", "BTC-USD-PERP", 1, "results[0].market: is missing"),
    ("paradex/funding_data_BTC-USD-PERP_period0.json", "history", "BTC-USD-PERP", 1, "a cursor names more"),
    ("paradex/ws_funding_data.jsonl", "history", "BTC-USD-PERP", 1, "is not whole JSON"),
]


@pytest.fixture
def run(capsys):
    def one(*words):
        code = main(["parse", *words])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return one


@pytest.fixture
def recorded(shared, monkeypatch, run):
    """`run` in the folder of the recorded responses."""
    monkeypatch.chdir(shared / "venues/payloads")
    return run


def words(file, endpoint, symbol, *more):
    known = ["--markets", LISTINGS[file]] if file in LISTINGS else []
    folder = file.partition("/")[0]
    exchange = "velocity" if "/velocity_" in file else EXCHANGES.get(folder, folder)
    return (exchange, endpoint, file, *(["--symbol", symbol] if symbol else []), *known, *more)


def test_a_recorded_response_is_printed_as_rows_of_its_table(recorded, subtests):
    for file, endpoint, symbol, rows in ANSWERS:
        with subtests.test(file=file, endpoint=endpoint, symbol=symbol):
            printed_as_rows(recorded, file, endpoint, symbol, rows)


def printed_as_rows(run, file, endpoint, symbol, rows):
    done = run(*words(file, endpoint, symbol, "--json"))
    parsed = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, len(parsed)) == (0, rows), done.err
    for row in parsed:
        assert list(row) == list(TABLES[endpoint].columns)
        assert symbol in (None, row["symbol"])
        for name, column in TABLES[endpoint].columns.items():
            value = row[name]
            if value is None:
                assert column.null
            elif column.dtype.is_temporal():
                assert value.endswith("Z")
                assert datetime.fromisoformat(value).tzinfo == UTC
            elif column.dtype.is_numeric():
                assert isinstance(value, float | int)
            else:
                assert isinstance(value, str)


def test_a_file_that_holds_no_such_response_is_refused_with_nothing_on_stdout(recorded, subtests):
    for *arguments, code, message in NO_ANSWERS:
        with subtests.test(arguments=arguments):
            done = recorded(*words(*arguments, "--json"))
            assert (done.code, done.out) == (code, "")
            assert message in done.err
            assert "Traceback" not in done.err


def test_every_recorded_file_of_these_exchanges_is_named_above(shared):
    folder = shared / "venues/payloads"
    known = {answer[0].partition("/")[0] for answer in ANSWERS}
    prices = ("candles_", "risk_limit_")  # of other endpoints: no funding is read from them
    files = [p for x in known for p in (folder / x).iterdir()]
    there = {f"{p.parent.name}/{p.name}" for p in files if not p.name.startswith(prices)}
    assert {a[0] for a in ANSWERS} | {n[0] for n in NO_ANSWERS} == there


def test_the_numbers_are_those_worked_on_the_pages(recorded):
    extended = recorded("extended", "history", "extended/funding_paged.json", "--json")
    row = json.loads(extended.out)
    assert (row["funding_time"], row["funding_rate"]) == ("2026-04-30T00:00:00Z", 0.000008)
    short = recorded("lighter", "history", "lighter/fundings_ETH_1h_short.json", "--symbol", "ETH", "--json")
    assert [json.loads(line)["funding_rate"] < 0 for line in short.out.splitlines()].count(True) == 1
    hyper = recorded("hyperliquid", "history", "hyperliquid/fundingHistory_BTC_2023_8h_to_1h.json", "--json")
    first = json.loads(hyper.out.splitlines()[0])
    assert (first["funding_time"], first["funding_rate"], first["interval_hours"]) == (
        "2023-05-12T00:00:00Z",
        -0.00061334,
        8.0,
    )
    gecko = recorded("coingecko", "current", "coingecko/derivatives.json", "--json")
    row = json.loads(gecko.out)
    assert row["funding_rate"] == pytest.approx(-0.00007182)
    assert row["interval_hours"] is None
    assert row["observed_at"] == "2024-04-07T05:32:00Z"
    assert "time of the response: 2024-04-07T05:32:00Z" in gecko.err


def test_at_is_the_instant_of_receipt(recorded):
    file = "coingecko/derivatives.json"
    row = json.loads(recorded("coingecko", "current", file, "--at", "2024-04-07T06:00Z", "--json").out)
    assert row["observed_at"] == "2024-04-07T06:00:00Z"
    late = recorded("coingecko", "current", file, "--at", "2024-04-07T12:00Z", "--json")
    assert (late.code, late.out) == (0, "")
    assert "no rows" in late.err
    wrong = recorded("coingecko", "current", file, "--at", "2024-02-30")
    assert (wrong.code, wrong.out) == (2, "")
    assert "no such date" in wrong.err


def test_for_people_it_is_a_table(recorded):
    done = recorded("hyperliquid", "current", "hyperliquid/metaAndAssetCtxs.json")
    lines = [line for line in done.out.splitlines() if line.strip()]
    assert lines[0].split()[:3] == ["symbol", "base", "quote"]
    assert len(lines) == 4  # heads, a rule, two rows
    assert "8.3651e-06" in lines[2]
    assert "exchange" in recorded("coingecko", "current", "coingecko/derivatives.json").out.splitlines()[1]


def test_positional_frames_are_named_by_a_saved_list_of_markets(run, tmp_path):
    frame = {"channel": "assetCtxs", "data": {"ctxs": [CONTEXT]}}
    (tmp_path / "frame.jsonl").write_text(json.dumps(frame))
    (tmp_path / "meta.json").write_text(
        json.dumps({"universe": [{"name": "kBONK", "maxLeverage": 10}], "collateralToken": 0})
    )
    done = run(
        *("hyperliquid", "current", str(tmp_path / "frame.jsonl"), "--json"),
        *("--markets", str(tmp_path / "meta.json")),
    )
    assert json.loads(done.out)["symbol"] == "kBONK"
    assert json.loads(done.out)["base"] == "BONK"


CONTEXT = {
    "funding": "0.0000125",
    "openInterest": "1.0",
    "dayNtlVlm": "1.0",
    "premium": "0.0",
    "oraclePx": "1.0",
    "markPx": "1.0",
}


def test_wrong_usage_exits_with_2_and_says_why(run, tmp_path, monkeypatch, subtests):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hyperliquid").mkdir()
    (tmp_path / "funding.json").write_bytes(EXTENDED.history[0].body)
    for given, message in [
        (("hyperliqud", "history", "x"), "did you mean hyperliquid?"),
        (("hyperliquid", "histroy", "x"), "did you mean history?"),
        (
            ("hyperliquid", "history", "nowhere.json"),
            "nowhere.json: can't be read (No such file or directory)",
        ),
        (("hyperliquid", "history", "hyperliquid"), "hyperliquid: can't be read (Is a directory)"),
        (("extended", "history", "funding.json", "--symbol", "BTC"), "BTC-USD"),
    ]:
        with subtests.test(given=given):
            done = run(*given)
            assert (done.code, done.out) == (2, "")
            assert message in done.err


def test_responses_written_by_hand_are_printed_as_the_rows_worked_out_beside_them(run, tmp_path, subtests):
    read = 0
    for case in CASES:
        exchange, market = case.fetcher.exchange, case.market
        if case.fetcher.source != exchange or market.native_id not in (None, market.symbol):
            continue  # files of an archive; ids that only a list of markets gives
        for example in case.history:
            with subtests.test(exchange=exchange):
                (tmp_path / "response").write_bytes(example.body)
                done = run(
                    exchange, "history", str(tmp_path / "response"), "--symbol", market.symbol, "--json"
                )
                printed = [json.loads(line) for line in done.out.splitlines()]
                assert (done.code, len(printed)) == (0, len(example.rows)), done.err
                for row, expected in zip(printed, example.rows, strict=True):
                    if "funding_rate" in expected:
                        assert same_value(row["funding_rate"], expected["funding_rate"])
                        read += 1
    assert read > 30


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b'[{"coin":"BTC"', b"\xff\xfe", b"null"])
def test_a_dash_reads_stdin_and_a_broken_body_exits_with_1(run, monkeypatch, body):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(body)))
    done = run("hyperliquid", "history", "-")
    assert (done.code, done.out) == (1, "")
    assert "hyperliquid fundingHistory" in done.err


def test_rows_that_contradict_each_other_are_a_bad_answer(run, monkeypatch):
    rows = [
        {"coin": "BTC", "fundingRate": r, "premium": None, "time": 1789142400047}
        for r in ("0.00001", "0.00002")
    ]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(rows).encode())))
    done = run("hyperliquid", "history", "-")
    assert (done.code, done.out) == (1, "")
    assert "repeated with different values" in done.err


def test_the_verb_runs_on_its_own_arguments(capsys):
    parser = ArgumentParser()
    parse.arguments(parser)
    args = parser.parse_args(["coingecko", "history", "x"])
    args.json = True
    with pytest.raises(FundingdbError):
        parse.run(args)
    assert capsys.readouterr().out == ""
    assert parse.HELP
    assert parse.EXAMPLE.startswith("fundingdb parse ")


def test_as_a_process_it_reads_a_pipe():
    row = {"coin": "BTC", "fundingRate": "0.0000125", "premium": "0.0", "time": 1789142400047}
    command = [sys.executable, "-m", "fundingdb", "parse", "hyperliquid", "history", "-", "--json"]
    body = json.dumps([row]).encode()
    done = subprocess.run(command, input=body, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line)["funding_rate"] for line in done.stdout.splitlines()] == [0.0000125]


def test_rows_left_out_are_counted_on_stderr_and_the_others_are_printed(tmp_path, capsys):
    listing = {"instrument_type": "perpetual", "created_at": 1748881333944}
    rows = [
        listing | {"symbol": "BTC", "base_asset": "BTC", "max_leverage": 50},
        listing | {"symbol": "ETH", "base_asset": "ETH", "max_leverage": 10**400},
    ]
    file = tmp_path / "info.json"
    file.write_text(json.dumps({"success": True, "data": rows}))
    assert main(["parse", "pacifica", "markets", str(file), "--json"]) == 0
    out, err = capsys.readouterr()
    printed = {row["symbol"]: row["status"] for row in map(json.loads, out.splitlines())}
    assert printed == {"BTC": "active", "ETH": "unknown"}
    assert "1 rows left out or of unknown status, the first: pacifica /info: field max_leverage" in err
