"""CoinGecko: what its case does not prove: what is left out, names, keys and plans, refusals in words."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused
from fundingdb.fetchers.coingecko import FETCHER
from fundingdb.fetchers.contract import Request, ResponseContext
from fundingdb.schema import MARKETS, SNAPSHOTS
from fundingdb.window import to_ms
from tests.fetchers.coingecko.case import EXCHANGES, KEYLESS, LIMITED, WRONG_HOST, text
from tests.fetchers.played import whole

AT = datetime(2026, 5, 26, 15, 30, tzinfo=UTC)
RAW_AT = datetime(2023, 1, 8, 16, 45, tzinfo=UTC)
NOW_S = to_ms(AT) // 1000
ROW = {
    "market": "Hyperliquid (Futures)",
    "symbol": "LIT-USD",
    "index_id": "LIT",
    "price": "2.5",
    "contract_type": "perpetual",
    "index": 2.4,
    "basis": 0.1,
    "spread": None,
    "funding_rate": 0.00125,
    "open_interest": 1000,
    "volume_24h": 2000.5,
    "last_traded_at": NOW_S - 60,
    "expired_at": None,
}
TICKER = {
    "symbol": "LIT-USD",
    "base": "LIT",
    "target": "USD",
    "contract_type": "perpetual",
    "last": 2.5,
    "index": 2.4,
    "funding_rate": 0.001,
    "open_interest_usd": 1000.0,
    "h24_volume": 6.0,
    "converted_volume": {"btc": "1", "usd": "2000.5"},
    "last_traded": NOW_S - 60,
    "expired_at": None,
}


def frame(body, at=AT, path=None):
    request = None if path is None else Request("x", path)
    return SNAPSHOTS.check(whole(FETCHER.current.parse, text(body), ResponseContext(at, request=request)))


def rows(body, at=AT, path=None):
    return {(r["exchange"], r["symbol"]): r for r in frame(body, at, path).to_dicts()}


def row(**change):
    ((_, one),) = rows([{**ROW, **change}]).items()
    return one


def one_exchange(*tickers, name="Hyperliquid (Futures)"):
    return {"name": name, "tickers": list(tickers)}


def test_hyperliquid_is_exact_in_one_endpoint_and_a_fifth_off_in_the_other():
    fine = row()
    assert (fine["funding_rate"], fine["interval_hours"]) == (0.0000125, 1.0)
    coarse = rows(one_exchange(TICKER))["hyperliquid", "LIT-USD"]
    assert (coarse["funding_rate"], coarse["rate_step"]) == (0.00001, 1e-5)
    assert abs(coarse["funding_rate"] / fine["funding_rate"] - 1) == pytest.approx(0.2)
    same = {k: v for k, v in fine.items() if k not in ("funding_rate", "native_rate", "rate_step")}
    assert same == {k: coarse[k] for k in same}


def test_equal_rows_are_kept_once():
    assert len(rows([ROW, ROW])) == 1


def test_two_different_rows_of_one_market_are_both_left_out():
    with pytest.raises(BadPayload, match="LIT-USD has 2 different rows"):
        rows([ROW, {**ROW, "funding_rate": 0.00126}])


def test_of_two_instruments_under_one_symbol_the_one_that_trades_is_kept():
    dead = {**ROW, "index": 0.00279, "last_traded_at": NOW_S - 19 * 3600}
    assert rows([ROW, dead])["hyperliquid", "LIT-USD"]["index_price"] == 2.4


# --- rules


def test_null_rates_stay_null_and_zero_is_a_rate():
    assert (row(funding_rate=None)["funding_rate"], row(funding_rate=None)["native_rate"]) == (None, None)
    assert row(funding_rate=0)["funding_rate"] == 0.0
    assert row(index=0)["index_price"] is None
    assert row(index=None)["index_price"] is None
    assert row(open_interest=None)["open_interest_usd"] is None


def test_dated_stale_and_timeless_rows_are_left_out():
    assert rows([{**ROW, "contract_type": "futures", "expired_at": NOW_S + 9}]) == {}
    assert rows([{**ROW, "last_traded_at": None}]) == {}
    assert len(rows([{**ROW, "last_traded_at": NOW_S - 7200}])) == 1
    assert rows([{**ROW, "last_traded_at": NOW_S - 7201}]) == {}


def test_a_trade_in_the_future_is_a_wrong_clock():
    assert len(rows([{**ROW, "last_traded_at": NOW_S + 3600}])) == 1
    with pytest.raises(BadPayload, match="after the receipt"):
        rows([{**ROW, "last_traded_at": NOW_S + 3601}])


@pytest.mark.parametrize(
    ("market", "exchange", "hours"),
    [
        ("Hyperliquid (Futures)", "hyperliquid", 1.0),
        ("Lighter", "lighter", 1.0),
        ("Extended", "extended", 1.0),
        ("Binance (Futures)", "binance", None),
        ("Bybit (Futures)", "bybit", None),
    ],
)
def test_display_names_and_intervals(market, exchange, hours):
    one = row(market=market)
    assert (one["exchange"], one["interval_hours"]) == (exchange, hours)


@pytest.mark.parametrize(
    "market", ["Kraken (Futures)", "dYdX Perpetual", "Drift Protocol", "hyperliquid", ""]
)
def test_exchanges_in_no_table_are_left_out(market):
    assert rows([{**ROW, "market": market}]) == {}


def test_the_id_of_the_request_names_the_exchange():
    found = rows(one_exchange(TICKER, name="dYdX Chain"), path="/derivatives/exchanges/dydx_chain")
    assert found["dydx", "LIT-USD"]["interval_hours"] == 1.0
    with pytest.raises(BadCall, match="'gmx' is in no table"):
        rows(one_exchange(TICKER), path="/derivatives/exchanges/gmx")
    with pytest.raises(BadPayload, match="name: is in no table.*dYdX Chain"):
        rows(one_exchange(TICKER, name="dYdX Chain"))


def test_tickers_nested_once_more_are_read_and_none_at_all_are_refused():
    nested = {"name": "Lighter", "tickers": {"tickers": [TICKER]}}
    assert list(rows(nested)) == [("lighter", "LIT-USD")]
    with pytest.raises(BadPayload, match="include_tickers"):
        rows({"name": "Lighter"})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"symbol": "HYNA:HYPE", "index_id": "HYPE"}, ("HYPE", None, "crypto", 2.4)),
        ({"symbol": "XYZ:AAPL", "index_id": "XYZ:AAPL"}, ("AAPL", None, "equity", 2.4)),
        ({"symbol": "kPEPE-USD", "index_id": "kPEPE"}, ("PEPE", "USD", "crypto", 0.0024)),
        (
            {"market": "Lighter", "symbol": "KAITO_USDC", "index_id": "KAITO"},
            ("KAITO", "USDC", "crypto", 2.4),
        ),
        ({"market": "Lighter", "symbol": "NVDA_USDC", "index_id": "NVDA"}, ("NVDA", "USDC", "equity", 2.4)),
        (
            {"market": "Binance (Futures)", "symbol": "X", "index_id": "1000PEPE"},
            ("PEPE", None, "crypto", 0.0024),
        ),
        (
            {"market": "OKX (Futures)", "symbol": "XRP-USDT-SWAP", "index_id": "XRP"},
            ("XRP", "USDT", "crypto", 2.4),
        ),
        ({"market": "Bitget Futures", "symbol": "0GUSDT", "index_id": "0G"}, ("0G", "USDT", "crypto", 2.4)),
    ],
)
def test_names_multiples_quotes_and_classes(change, expected):
    one = row(**change)
    assert (one["base"], one["quote"], one["asset_class"], pytest.approx(one["index_price"])) == expected
    assert one["symbol"] == change["symbol"]


def test_markets_come_from_the_same_answers():
    answer = [ROW, {**ROW, "symbol": "kPEPE-USD", "index_id": "kPEPE"}]
    found = MARKETS.check(whole(FETCHER.markets.parse, text(answer), ResponseContext(AT))).to_dicts()
    assert [(m["exchange"], m["symbol"], m["base"], m["multiplier"]) for m in found] == [
        ("hyperliquid", "LIT-USD", "LIT", 1.0),
        ("hyperliquid", "kPEPE-USD", "PEPE", 1000.0),
    ]
    assert {(m["status"], m["interval_hours"], m["rate_cap"]) for m in found} == {("active", 1.0, None)}


def test_one_request_serves_all_and_there_is_no_history():
    assert [(r.method, r.path, r.cost) for r in FETCHER.current.requests([])] == [
        ("GET", "/derivatives", 1.0)
    ]
    assert FETCHER.history is None
    with pytest.raises(BadCall, match="names no market"):
        FETCHER.market("BTCUSDT")


def test_a_response_shows_its_newest_trade():
    assert FETCHER.response_time(text([ROW, {**ROW, "last_traded_at": None}])) == AT - timedelta(seconds=60)
    assert FETCHER.response_time(text(one_exchange(TICKER))) == AT - timedelta(seconds=60)
    assert [FETCHER.response_time(b) for b in (b"", b"{}", b"[]", text(LIMITED))] == [None] * 4


# --- not as described


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"funding_rate": "0.00125"}, "funding_rate"),
        ({"funding_rate": 10.01}, "beyond 10 percent"),
        ({"funding_rate": -10.01}, "beyond 10 percent"),
        ({"index": -1}, "negative"),
        ({"open_interest": -0.5}, "negative"),
        ({"last_traded_at": NOW_S * 1000}, "seconds"),
        ({"last_traded_at": 1.5}, "last_traded_at"),
        ({"contract_type": "option"}, "neither perpetual nor futures"),
        ({"symbol": ""}, "empty"),
        ({"index_id": ""}, "empty"),
        ({"market": None}, "market"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(change, problem):
    with pytest.raises(BadPayload, match=problem):
        frame([ROW, {**ROW, "symbol": "X", **change}])


@pytest.mark.parametrize("body", [EXCHANGES, LIMITED, WRONG_HOST])
def test_lists_of_exchanges_and_errors_are_no_tickers(body):
    with pytest.raises(BadPayload):
        frame(body)


# --- keys, plans, refusals


def test_the_key_goes_into_the_header_of_its_plan_and_pro_has_its_own_host():
    demo, pro = {"COINGECKO_API_KEY": "CG-x"}, {"COINGECKO_API_KEY": "CG-x", "COINGECKO_PLAN": "pro"}
    assert FETCHER.headers(demo) == {"x-cg-demo-api-key": "CG-x"}
    assert FETCHER.headers(pro) == {"x-cg-pro-api-key": "CG-x"}
    assert FETCHER.headers({}) == {}
    assert FETCHER.base_for(demo) == FETCHER.base_url == "https://api.coingecko.com/api/v3"
    assert FETCHER.base_for(pro) == "https://pro-api.coingecko.com/api/v3"


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"COINGECKO_PLAN": "gold"}, "must be demo or pro"),
        ({"COINGECKO_PLAN": "pro"}, "COINGECKO_API_KEY is not set"),
        ({"COINGECKO_API_KEY": "CG-secret\r\nX: y"}, "characters that no key has"),
        ({"COINGECKO_API_KEY": "CG-secret€"}, "characters that no key has"),
    ],
)
def test_wrong_settings_are_named_without_the_key(env, problem):
    with pytest.raises(BadCall, match=problem) as raised:
        FETCHER.headers(env)
    assert "secret" not in str(raised.value)


def test_a_cut_body_still_names_its_code():
    assert "set COINGECKO_API_KEY" in str(FETCHER.refusal(401, KEYLESS))
    assert "COINGECKO_PLAN=demo" in str(FETCHER.refusal(400, text(WRONG_HOST)))


@pytest.mark.parametrize(
    ("status", "body", "kind", "problem"),
    [
        (403, {"status": {"error_code": 429, "error_message": "limit"}}, RateLimited, "limit"),
        (429, b"", RateLimited, "more requests"),
        (429, b"<html>", RateLimited, "more requests"),
        (400, {"error_code": 10010, "status": {"error_message": "m"}}, Refused, "COINGECKO_PLAN=pro"),
        (403, {"status": {"error_code": 10005, "error_message": "m"}}, Refused, "plan does not include"),
        (404, {"error": "Market not found"}, BadCall, "Market not found"),
        (403, b"<!DOCTYPE html> Access denied, error 1020", Refused, "Cloudflare"),
        (403, b"error code: 1020", Refused, "Cloudflare"),
        (
            200,
            {"status": {"error_code": 10002, "error_message": "API Key Missing."}},
            Refused,
            "API Key Missing",
        ),
        (200, {"error": "coin not found"}, Refused, "coin not found"),
        (418, b"", Refused, "datasheet"),
    ],
)
def test_refusals_of_all_shapes(status, body, kind, problem):
    error = FETCHER.refusal(status, text(body))
    assert type(error) is kind
    assert problem in str(error)


def test_a_key_that_a_refusal_repeats_is_masked():
    error = FETCHER.refusal(401, text({"error": "key CG-abc123DEF is unknown"}))
    assert "abc123" not in str(error)
    assert "CG-***" in str(error)


def test_the_recorded_responses_are_read(shared):
    def recorded(name):
        return (shared / "venues/payloads/coingecko" / name).read_bytes()

    tickers = recorded("derivatives_exchanges_binance_futures_tickers.json")
    assert {s: r["native_rate"] for (_, s), r in rows(tickers).items()} == {
        "0GUSDT": 0.005,
        "1000000BOBUSDT": 0.005,
    }
    assert FETCHER.response_time(tickers) == datetime(2026, 5, 26, 15, 25, 7, tzinfo=UTC)
    found = rows(recorded("derivatives.json"), datetime(2024, 4, 7, 5, 30, tzinfo=UTC))
    assert list(found) == [("deepcoin", "ETHUSDT")]  # BYDFi is in no table
    assert found["deepcoin", "ETHUSDT"]["funding_rate"] == pytest.approx(-0.00007182)
    kinds = [
        type(
            FETCHER.refusal(
                e["http_status"], text(e["body"]) if "body" in e else e["body_truncated"].encode()
            )
        )
        for e in json.loads(recorded("errors.json"))
    ]
    assert kinds == [RateLimited, Refused, Refused]


def test_the_recorded_response_of_3096_rows_is_read(shared):
    body = (shared / "data/raw/coingecko/derivatives_2023-01-08.json").read_bytes()
    context = ResponseContext(RAW_AT)
    found = SNAPSHOTS.check(FETCHER.current.parse(body, context))
    assert all("different rows" in str(one.error) for one in context.left_out)
    assert found.height == 988
    counts = dict(found.group_by("exchange").len().rows())
    assert counts == {"binance": 223, "bybit": 214, "bitget": 105, "okx": 143, "gate": 234, "deepcoin": 69}
    btc = found.filter((pl.col("exchange") == "binance") & (pl.col("symbol") == "BTCUSDT")).row(0, named=True)
    assert (btc["funding_rate"], btc["index_price"]) == (pytest.approx(0.000072), 16943.18578746)
    assert found["interval_hours"].null_count() == found.height
    assert set(found["source"]) == {"coingecko"}
    assert found["funding_rate"].abs().max() < 0.01
    assert FETCHER.response_time(body).date().isoformat() == "2023-01-08"
    assert FETCHER.refusal(200, body) is None

    # the step of /derivatives is what Binance shows there
    percents = found.filter(pl.col("exchange") == "binance")["native_rate"]
    assert (percents - percents.round(6)).abs().max() < 1e-12
    assert (percents - percents.round(5)).abs().max() > 1e-7

    # of them Bybit's SHIB1000USDT and Deepcoin's 1000SHIBUSDT, whose index_id is plain SHIB
    shib = found.filter((pl.col("base") == "SHIB") & (pl.col("exchange") != "okx"))
    assert shib.height == 6
    assert shib["index_price"].max() / shib["index_price"].min() < 1.01

    doubled = json.loads(body)
    for one in doubled:  # Stormgain has two pairs under one symbol
        one["market"] = {"Stormgain Futures": "Binance (Futures)"}.get(one["market"], "?")
    context = ResponseContext(RAW_AT)
    left = FETCHER.current.parse(text(doubled), context)
    prices = dict(left.select("symbol", "index_price").rows())
    assert "DASH-PERPUSDT" not in prices  # both fresh, 47.26 and 0.00279
    assert "DASH-PERPUSDT has 2 different rows" in str(context.left_out[0].error)
    assert prices["BCH-PERPUSDT"] == 102.11  # the other is 19 hours old
