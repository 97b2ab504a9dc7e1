"""Bybit: recorded answers, worked examples by hand, paging, refusals."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused, SchemaError, Unreachable
from fundingdb.fetchers.bybit import FETCHER, symbol_market
from fundingdb.fetchers.contract import Market, ResponseContext
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk
from fundingdb.window import HOUR, Window, to_ms

AT = datetime(2026, 9, 11, 17, 30, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
BTC = Market("bybit", "BTCUSDT", "BTC", "USDT", "crypto", interval_hours=8.0)


@pytest.fixture(scope="module")
def saved(shared):
    return lambda name: (shared / "venues/payloads/bybit" / f"{name}.json").read_bytes()


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def answer(*rows, **more):
    return {"retCode": 0, "retMsg": "OK", "result": {"category": "linear", "list": list(rows), **more}}


def paid(rate="0.00005602", t="1789142400000", symbol="BTCUSDT"):
    return {"symbol": symbol, "fundingRate": rate, "fundingRateTimestamp": t}


def history(body, market=BTC):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market)))


def current(body, markets=None):
    rows = SNAPSHOTS.check(FETCHER.current.parse(text(body), ResponseContext(AT, markets=markets or {})))
    return {row["symbol"]: row for row in rows.to_dicts()}


def listed(body):
    return {
        r["symbol"]: r
        for r in MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    }


def test_history_of_the_recorded_answer(saved):
    rows = history(saved("funding_history_BTCUSDT"), None).to_dicts()
    assert [(r["funding_time"].hour, r["funding_rate"]) for r in rows] == [(8, 0.00002005), (16, 0.00005602)]
    last = rows[-1]
    assert last["funding_time"] == last["reported_time"] == datetime(2026, 9, 11, 16, tzinfo=UTC)
    assert (last["base"], last["quote"], last["asset_class"]) == ("BTC", "USDT", "crypto")
    assert (last["interval_hours"], last["interval_from"], last["rate_type"]) == (None, "unknown", "regular")
    assert (last["mark_price"], last["native_rate"]) == (None, 0.00005602)


def test_current_as_worked_on_the_page(saved):
    markets = {s: market_of(row) for s, row in listed(saved("instruments_linear")).items()}
    for known in (markets, {}):
        rows = current(saved("tickers_linear"), known)
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


def test_open_interest_counts_one_side(saved):
    body = json.loads(saved("tickers_linear"))
    row = current(body)["BTCUSDT"]
    assert (row["open_interest"], row["open_interest_usd"]) == (26631.431, 2071038505.15)
    assert row["volume_24h_usd"] == 6285417277.3039
    for ticker in body["result"]["list"]:
        del ticker["singleOpenInterest"], ticker["singleOpenInterestValue"]
    row = current(body)["BTCUSDT"]
    assert row["open_interest"] == pytest.approx(53262.861 / 2)
    assert row["open_interest_usd"] is None


def test_the_two_declarations_of_the_interval_agree(saved):
    hours = {s: r["interval_hours"] for s, r in current(saved("tickers_linear")).items()}
    assert hours == {s: r["interval_hours"] for s, r in listed(saved("instruments_linear")).items()}
    assert hours == {"BTCUSDT": 8.0, "0GUSDT": 4.0, "1000BONKPERP": 8.0}


def test_markets_and_their_classes(saved):
    rows = listed(saved("instruments_linear"))
    btc = rows["BTCUSDT"]
    assert (btc["rate_cap"], btc["max_leverage"], btc["collateral"]) == (0.00333, 150.0, "USDT")
    assert btc["listed_at"] == datetime(2020, 3, 15, tzinfo=UTC)
    assert {r["status"] for r in rows.values()} == {"active"}
    real = listed(saved("instruments_linear_tradfi"))
    assert {s: (r["base"], r["asset_class"]) for s, r in real.items()} == {
        "XAUTUSDT": ("XAUT", "crypto"),
        "AVNTUSDT": ("AVNT", "crypto"),
        "ONUSDT": ("ON", "equity"),
        "SPYUSDT": ("SPY", "equity"),
        "XAUUSDT": ("XAU", "commodity"),
        "EURUSDUSDT": ("EURUSD", "fx"),
    }


def test_the_one_trailing_multiple_is_a_thousand_of_its_coin(saved):
    body = json.loads(saved("instruments_linear"))
    body["result"]["list"] = [{**body["result"]["list"][0], "symbol": "SHIB1000USDT", "baseCoin": "SHIB1000"}]
    row = listed(body)["SHIB1000USDT"]
    assert (row["base"], row["multiplier"]) == ("SHIB", 1000)
    tickers = json.loads(saved("tickers_linear"))
    tickers["result"]["list"][0] |= {"symbol": "SHIB1000USDT", "indexPrice": "0.008402"}
    assert current(tickers)["SHIB1000USDT"]["index_price"] == pytest.approx(0.000008402)


def test_an_empty_rate_is_none_and_zero_is_one(saved):
    body = json.loads(saved("tickers_linear"))
    body["result"]["list"][0] |= {"fundingRate": "", "fundingIntervalHour": "", "nextFundingTime": "0"}
    body["result"]["list"][1]["fundingRate"] = "0"
    rows = current(body)
    assert (rows["BTCUSDT"]["funding_rate"], rows["BTCUSDT"]["interval_hours"]) == (None, None)
    assert rows["0GUSDT"]["funding_rate"] == 0.0


def test_what_does_not_trade_is_left_out(saved):
    body = json.loads(saved("instruments_linear"))
    for row, status in zip(body["result"]["list"], ("PreLaunch", "Settling", "Closed"), strict=False):
        row["status"] = status
    rows = listed(body)
    assert [r["status"] for r in rows.values()] == ["prelisted", "inactive", "delisted"]
    assert current(saved("tickers_linear"), {s: market_of(r) for s, r in rows.items()}) == {}


def test_a_list_of_markets_goes_on_where_it_names_a_cursor(saved):
    (request,) = FETCHER.markets.requests([])
    assert dict(request.params) == {"category": "linear", "limit": "1000"}
    assert FETCHER.markets.next_page(request, saved("instruments_linear")) is None
    assert FETCHER.markets.next_page(request, saved("instruments_linear_tradfi")) is None
    second = FETCHER.markets.next_page(request, text(answer(nextPageCursor="a%3D")))
    assert dict(second.params) == {"category": "linear", "limit": "1000", "cursor": "a%3D"}
    third = FETCHER.markets.next_page(second, text(answer(nextPageCursor="b")))
    assert dict(third.params)["cursor"] == "b"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (paid("NaN"), "finite"),
        (paid(""), "finite"),
        (paid(0.0001), "fundingRate"),
        (paid("0.11"), "beyond 0.1"),
        (paid(t="1789142400"), "milliseconds"),
        (paid(t="1789142400000000"), "milliseconds"),
        (paid(t="-1789142400000"), "milliseconds"),
        (paid(t=1789142400000), "fundingRateTimestamp"),
        (paid(t="1789142460001"), "within a minute"),
        (paid(symbol="ETHUSDT"), "asked was 'BTCUSDT'"),
        ({"symbol": "BTCUSDT", "fundingRate": "0.1"}, "fundingRateTimestamp: is missing"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, told):
    with pytest.raises(BadPayload, match=told):
        history(answer(paid(t="1789113600000"), row))


def test_two_rates_of_one_instant_and_refused_envelopes_give_nothing():
    with pytest.raises(SchemaError, match="repeated with different values"):
        history(answer(paid(), paid("0.1")))
    assert history(answer()).is_empty()
    with pytest.raises(BadPayload, match="retCode: is 10001"):
        history({"retCode": 10001, "retMsg": "params error", "result": {"list": []}})
    with pytest.raises(BadPayload, match="list: is empty"):
        current(answer())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fundingRate": "0.00334"}, "BTCUSDT: 0.00334 is beyond the cap 0.00333"),
        ({"fundingRate": "inf"}, "finite"),
        ({"nextFundingTime": "1789171200001"}, "full hour"),
        ({"nextFundingTime": "1789171200"}, "milliseconds"),
        ({"nextFundingTime": ""}, "milliseconds"),
        ({"openInterest": "-1"}, "negative"),
        ({"fundingIntervalHour": "-8"}, "negative"),
        ({"markPrice": 1.0}, "markPrice"),
    ],
)
def test_one_bad_ticker_spoils_the_answer(saved, change, told):
    body = json.loads(saved("tickers_linear"))
    body["result"]["list"][0] |= change
    with pytest.raises(BadPayload, match=told):
        current(body)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "Paused"}, "status: of BTCUSDT is none of"),
        ({"contractType": "LinearForever"}, "contractType: of BTCUSDT is neither"),
        ({"symbolType": "weather", "baseCoin": "QQQQ"}, "symbolType: of BTCUSDT names no known kind"),
        ({"fundingInterval": 90}, "full hours"),
        ({"fundingInterval": -60}, "full hours"),
        ({"baseCoin": ""}, "is empty"),
        ({"upperFundingRate": "x"}, "upperFundingRate"),
        ({"launchTime": "1584230400"}, "milliseconds"),
    ],
)
def test_a_listing_that_no_table_knows_is_refused_by_name(saved, change, told):
    body = json.loads(saved("instruments_linear"))
    body["result"]["list"][0] |= change
    with pytest.raises(BadPayload, match=told):
        listed(body)


def test_a_real_week_is_eight_hours_apart(shared):
    body = (shared / "data/raw/bybit/funding_history_BTCUSDT_2026-08-28_2026-09-04.json").read_bytes()
    rows = history(body)
    assert rows.height == 20
    assert set(rows["funding_time"].diff().drop_nulls()) == {8 * HOUR}
    assert rows.item(-1, "funding_rate") == 0.00007352
    assert rows.item(-1, "funding_time") == datetime(2026, 9, 4, tzinfo=UTC)


# --- paging


class Exchange:
    """Newest first, both bounds inclusive, the newest `cap` of the window."""

    def __init__(self, hours, cap=200):
        self.times, self.cap, self.asked = sorted(to_ms(START + h * HOUR) for h in hours), cap, []

    def answer(self, request):
        p = dict(request.params)
        self.asked.append(p)
        assert (p["category"], p["limit"]) == ("linear", "200")
        inside = [t for t in self.times if int(p["startTime"]) <= t <= int(p["endTime"])]
        return answer(*(paid("0.0001", str(t)) for t in reversed(inside[-self.cap :])))


def walked(exchange, window, hours):
    walker, frames = walk(FETCHER.history.paging, window, hours * HOUR), []
    step = next(walker)
    while step is not None:
        frames.append(history(exchange.answer(FETCHER.history.request(BTC, *step))))
        try:
            step = walker.send(Page(frames[-1]["funding_time"].to_list()))
        except StopIteration:
            step = None
    return sorted(set(pl.concat(frames)["funding_time"]))


@given(
    hours=st.lists(st.integers(0, 500), max_size=80, unique=True),
    cap=st.sampled_from([3, 50, 200]),
    ends=st.tuples(st.integers(-5, 200), st.integers(201, 510)),
    step=st.sampled_from([1, 4, 8]),
)
@settings(deadline=None, max_examples=50)
def test_every_payment_of_a_window_is_had(hours, cap, ends, step):
    window = Window(START + ends[0] * HOUR, START + ends[1] * HOUR)
    due = sorted(START + h * HOUR for h in hours if ends[0] <= h < ends[1])
    assert walked(Exchange(hours, cap), window, step) == due


def test_ninety_days_of_eights_take_two_pages():
    exchange = Exchange(range(0, 2160, 8))
    assert len(walked(exchange, Window(START, START + 2160 * HOUR), 8)) == 270
    assert len(exchange.asked) == 2
    assert exchange.asked[0]["startTime"] == str(to_ms(START))
    assert exchange.asked[0]["endTime"] == str(to_ms(START + 2160 * HOUR) - 1)


# --- names and refusals


@pytest.mark.parametrize("symbol", ["BTC", "USDT", "", "BTCUSDT-18SEP26", "BTCUSD"])
def test_a_symbol_that_is_no_linear_perpetual_is_none(symbol):
    with pytest.raises(BadCall, match="BTCUSDT"):
        symbol_market(symbol)


def test_refusals_say_what_to_do():
    def refusal(status, body=b""):
        return FETCHER.refusal(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    assert isinstance(refusal(200, {"retCode": 10006, "retMsg": "Too many visits!"}), RateLimited)
    assert isinstance(refusal(403, b"403, access too frequent"), RateLimited)
    assert isinstance(refusal(403, b"<html>CloudFront"), Refused)
    assert isinstance(refusal(200, {"retCode": 10016, "retMsg": "server error"}), Unreachable)
    missing = refusal(200, {"retCode": 10001, "retMsg": "params error: symbol invalid"})
    assert isinstance(missing, BadCall)
    assert "fundingdb markets bybit" in str(missing)
    assert isinstance(refusal(200, {"retCode": 10001, "retMsg": "The start time is wrong"}), Refused)
    assert refusal(200, answer()) is None
    assert refusal(502, b"<html>") is None
