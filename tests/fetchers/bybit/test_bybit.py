"""Bybit: worked examples by hand, recorded responses, paging, refusals."""

import json
from datetime import UTC, datetime

import pytest

from fundingdb.errors import BadCall, BadPayload, SchemaError
from fundingdb.fetchers.bybit import FETCHER, symbol_market
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import HOUR, Window, to_ms
from tests.fetchers.bybit.case import AT, BTC, RESPONSES, payment, response, serve, written
from tests.fetchers.played import played, text, whole
from tests.fetchers.walking import walked

START = datetime(2026, 1, 1, tzinfo=UTC)


def history(body, market=BTC):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market)))


def paid(body):
    return history(body).to_dicts()


def current(body, markets=None):
    rows = SNAPSHOTS.check(
        whole(FETCHER.current.parse, text(body), ResponseContext(AT, markets=markets or {}))
    )
    return {row["symbol"]: row for row in rows.to_dicts()}


def listed(body):
    return {
        r["symbol"]: r
        for r in MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    }


def test_current_of_the_written_response():
    markets = {s: market_of(row) for s, row in listed(written("instruments_linear")).items()}
    for known in (markets, {}):
        rows = current(written("tickers_linear"), known)
        assert set(rows) == {"BTCUSDT", "0GUSDT", "1000BONKPERP"}  # the dated one has no rate
    bonk = rows["1000BONKPERP"]
    assert (bonk["base"], bonk["quote"], bonk["funding_rate"]) == ("BONK", "USDC", -0.00022725)
    assert (bonk["interval_hours"], bonk["next_funding_time"]) == (8.0, datetime(2026, 9, 12, tzinfo=UTC))
    assert bonk["mark_price"] == pytest.approx(0.000002769)
    assert bonk["open_interest"] == 30_973_240_000  # 30,973,240 of a thousand tokens each
    zero_g = rows["0GUSDT"]
    assert (zero_g["base"], zero_g["interval_hours"]) == ("0G", 4.0)
    assert zero_g["next_funding_time"] == datetime(2026, 9, 11, 20, tzinfo=UTC)
    assert rows["BTCUSDT"]["rate_step"] == 1e-8
    assert markets["1000BONKPERP"].multiplier == 1000
    assert markets["1000BONKPERP"].rate_cap == 0.02


def test_open_interest_counts_one_side():
    body = json.loads(written("tickers_linear"))
    row = current(body)["BTCUSDT"]
    assert (row["open_interest"], row["open_interest_usd"]) == (26631.431, 2071038505.15)
    assert row["volume_24h_usd"] == 6285417277.3039
    for ticker in body["result"]["list"]:
        del ticker["singleOpenInterest"], ticker["singleOpenInterestValue"]
    row = current(body)["BTCUSDT"]
    assert row["open_interest"] == pytest.approx(53262.861 / 2)
    assert row["open_interest_usd"] is None


def test_the_two_declarations_of_the_interval_agree():
    hours = {s: r["interval_hours"] for s, r in current(written("tickers_linear")).items()}
    assert hours == {s: r["interval_hours"] for s, r in listed(written("instruments_linear")).items()}
    assert hours == {"BTCUSDT": 8.0, "0GUSDT": 4.0, "1000BONKPERP": 8.0}


def test_markets_and_their_classes():
    rows = listed(written("instruments_linear"))
    btc = rows["BTCUSDT"]
    assert (btc["rate_cap"], btc["max_leverage"], btc["collateral"]) == (0.00333, 150.0, "USDT")
    assert btc["listed_at"] == datetime(2020, 3, 15, tzinfo=UTC)
    assert {r["status"] for r in rows.values()} == {"active"}
    real = listed(written("instruments_linear_tradfi"))
    assert {s: (r["base"], r["asset_class"]) for s, r in real.items()} == {
        "XAUTUSDT": ("XAUT", "crypto"),
        "AVNTUSDT": ("AVNT", "crypto"),
        "ONUSDT": ("ON", "equity"),
        "SPYUSDT": ("SPY", "equity"),
        "XAUUSDT": ("XAU", "commodity"),
        "EURUSDUSDT": ("EURUSD", "fx"),
    }


def test_the_one_trailing_multiple_is_a_thousand_of_its_coin():
    body = json.loads(written("instruments_linear"))
    body["result"]["list"] = [{**body["result"]["list"][0], "symbol": "SHIB1000USDT", "baseCoin": "SHIB1000"}]
    row = listed(body)["SHIB1000USDT"]
    assert (row["base"], row["multiplier"]) == ("SHIB", 1000)
    tickers = json.loads(written("tickers_linear"))
    tickers["result"]["list"][0] |= {"symbol": "SHIB1000USDT", "indexPrice": "0.008402"}
    assert current(tickers)["SHIB1000USDT"]["index_price"] == pytest.approx(0.000008402)


def test_an_empty_rate_is_none_and_zero_is_one():
    body = json.loads(written("tickers_linear"))
    body["result"]["list"][0] |= {"fundingRate": "", "fundingIntervalHour": "", "nextFundingTime": "0"}
    body["result"]["list"][1]["fundingRate"] = "0"
    rows = current(body)
    assert (rows["BTCUSDT"]["funding_rate"], rows["BTCUSDT"]["interval_hours"]) == (None, None)
    assert rows["0GUSDT"]["funding_rate"] == 0.0


def test_what_does_not_trade_is_left_out():
    body = json.loads(written("instruments_linear"))
    for row, status in zip(body["result"]["list"], ("PreLaunch", "Settling", "Closed"), strict=False):
        row["status"] = status
    rows = listed(body)
    assert [r["status"] for r in rows.values()] == ["prelisted", "inactive", "delisted"]
    assert current(written("tickers_linear"), {s: market_of(r) for s, r in rows.items()}) == {}


def test_a_list_of_markets_goes_on_where_it_names_a_cursor():
    (request,) = FETCHER.markets.requests([])
    assert dict(request.params) == {"category": "linear", "limit": "1000"}
    assert FETCHER.markets.next_page(request, written("instruments_linear")) is None
    assert FETCHER.markets.next_page(request, written("instruments_linear_tradfi")) is None
    second = FETCHER.markets.next_page(request, text(response(nextPageCursor="a%3D")))
    assert dict(second.params) == {"category": "linear", "limit": "1000", "cursor": "a%3D"}
    third = FETCHER.markets.next_page(second, text(response(nextPageCursor="b")))
    assert dict(third.params)["cursor"] == "b"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (payment("NaN"), "finite"),
        (payment("\u0661"), "finite"),
        (payment(""), "finite"),
        (payment(0.0001), "fundingRate"),
        (payment("0.11"), "beyond 0.1"),
        (payment(t="1789142400"), "milliseconds"),
        (payment(t="1789142400000000"), "milliseconds"),
        (payment(t="-1789142400000"), "milliseconds"),
        (payment(t=1789142400000), "fundingRateTimestamp"),
        (payment(t="1789142460001"), "within a minute"),
        (payment(symbol="ETHUSDT"), "'BTCUSDT'"),
        ({"symbol": "BTCUSDT", "fundingRate": "0.1"}, "fundingRateTimestamp: is missing"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_response(row, words):
    with pytest.raises(BadPayload, match=words):
        history(response(payment(t="1789113600000"), row))


def test_two_rates_of_one_instant_and_refused_envelopes_give_nothing():
    with pytest.raises(SchemaError, match="repeated with different values"):
        history(response(payment(), payment("0.1")))
    assert history(response()).is_empty()
    with pytest.raises(BadPayload, match="retCode: is 10001"):
        history({"retCode": 10001, "retMsg": "params error", "result": {"list": []}})
    with pytest.raises(BadPayload, match="list: is empty"):
        current(response())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fundingRate": "0.00334"}, "BTCUSDT: 0.00334 is beyond the cap 0.00333"),
        ({"fundingRate": "inf"}, "finite"),
        ({"nextFundingTime": "1789171200001"}, "full hour"),
        ({"nextFundingTime": "1789171200"}, "milliseconds"),
        ({"nextFundingTime": ""}, "milliseconds"),
        ({"openInterest": "-1"}, "negative"),
        ({"fundingIntervalHour": "-8"}, "negative"),
        ({"fundingIntervalHour": "25"}, "beyond 24"),
        ({"fundingCap": "1e30", "fundingRate": "0.11"}, "beyond the cap 0.1"),
        ({"markPrice": 1.0}, "markPrice"),
    ],
)
def test_one_bad_ticker_spoils_the_response(change, words):
    body = json.loads(written("tickers_linear"))
    body["result"]["list"][0] |= change
    with pytest.raises(BadPayload, match=words):
        current(body)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "Paused"}, "status: of BTCUSDT is none of"),
        ({"contractType": "LinearForever"}, "contractType: of BTCUSDT is neither"),
        (
            {"symbolType": "weather", "baseCoin": "QQQQ"},
            "symbolType: of BTCUSDT is none of the documented kinds",
        ),
        ({"fundingInterval": 90}, "full hours"),
        ({"fundingInterval": -60}, "negative span"),
        ({"fundingInterval": 25 * 60}, "full hours"),
        ({"upperFundingRate": "2"}, "unit"),
        ({"baseCoin": ""}, "is empty"),
        ({"upperFundingRate": "x"}, "upperFundingRate"),
        ({"launchTime": "1584230400"}, "milliseconds"),
    ],
)
def test_a_listing_that_no_table_knows_is_refused_by_name(change, words):
    body = json.loads(written("instruments_linear"))
    body["result"]["list"][0] |= change
    with pytest.raises(BadPayload, match=words):
        listed(body)


def test_the_recorded_responses_are_read_as_those_written_here_and_a_week_is_eight_hours_apart(shared):
    for name in RESPONSES:
        recorded = (shared / "venues/payloads/bybit" / f"{name}.json").read_bytes()
        read = {"funding": paid, "tickers": current}.get(name.partition("_")[0], listed)
        assert read(recorded) == read(written(name))
    body = (shared / "data/raw/bybit/funding_history_BTCUSDT_2026-08-28_2026-09-04.json").read_bytes()
    rows = history(body)
    assert rows.height == 20
    assert set(rows["funding_time"].diff().drop_nulls()) == {8 * HOUR}
    assert rows.item(-1, "funding_rate") == 0.00007352
    assert rows.item(-1, "funding_time") == datetime(2026, 9, 4, tzinfo=UTC)


# --- paging


def after_start(*hours):
    return [START + h * HOUR for h in hours]


def test_ninety_days_of_eights_take_two_pages():
    venue, requests = played(serve, after_start(*range(0, 2160, 8)))
    assert walked(FETCHER, BTC, venue, Window(START, START + 2160 * HOUR)).height == 270
    assert len(requests) == 2
    first = dict(requests[0].params)
    assert first["startTime"] == str(to_ms(START))
    assert first["endTime"] == str(to_ms(START + 2160 * HOUR) - 1)


# --- names and refusals


@pytest.mark.parametrize("symbol", ["BTC", "USDT", "", "BTCUSDT-18SEP26", "BTCUSD"])
def test_a_symbol_that_is_no_linear_perpetual_is_none(symbol):
    with pytest.raises(BadCall, match="BTCUSDT"):
        symbol_market(symbol)


def test_a_refusal_for_a_missing_market_names_the_next_step():
    missing = FETCHER.refusal(200, text({"retCode": 10001, "retMsg": "params error: symbol invalid"}))
    assert "fundingdb markets bybit" in str(missing)
