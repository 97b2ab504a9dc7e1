"""Extended: recorded answers, worked examples by hand, refusals."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused, Unreachable
from fundingdb.fetchers.contract import Market, ResponseContext
from fundingdb.fetchers.extended import FETCHER
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window, to_ms

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
BTC = Market("extended", "BTC-USD", "BTC", "USD", "crypto", interval_hours=1.0, rate_cap=0.0025)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def payloads(shared):
    return shared / "venues/payloads/extended"


def read(payloads, name):
    return (payloads / name).read_bytes()


def history(body, market=BTC):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return FUNDING.check(FETCHER.history.parse(text, ResponseContext(AT, market=market))).to_dicts()


def current(body, market=None):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {
        r["symbol"]: r
        for r in SNAPSHOTS.check(FETCHER.current.parse(text, ResponseContext(AT, market=market))).to_dicts()
    }


def markets(body):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {
        r["symbol"]: r for r in MARKETS.check(FETCHER.markets.parse(text, ResponseContext(AT))).to_dicts()
    }


def paid(f="0.000013", t=1789336801693, m="BTC-USD"):
    return {"status": "OK", "data": [{"m": m, "f": f, "T": t}]}


def edited(payloads, change, name="info_markets.json"):
    answer = json.loads(read(payloads, name))
    change(answer)
    return answer


def test_history_as_worked_on_the_page(payloads):
    rows = history(read(payloads, "funding_BTC-USD.json"))
    assert [r["funding_time"].hour for r in rows] == [19, 20, 21, 22]
    last = rows[-1]
    assert last["funding_time"] == datetime(2026, 9, 13, 22, tzinfo=UTC)
    assert last["reported_time"] == datetime(2026, 9, 13, 22, 0, 1, 693_000, tzinfo=UTC)
    assert (last["base"], last["quote"], last["asset_class"]) == ("BTC", "USD", "crypto")
    assert (last["funding_rate"], last["native_rate"], last["interval_hours"]) == (0.000013, 0.000013, 1.0)
    assert (last["interval_from"], last["rate_type"]) == ("declared", "regular")
    assert last["funding_rate"] * 8760 == pytest.approx(0.11388)
    assert (last["mark_price"], last["index_price"]) == (None, None)
    assert last["fetched_at"] == AT


def test_the_paged_answer_has_one_row(payloads):
    (row,) = history(read(payloads, "funding_paged.json"))
    assert row["funding_time"] == datetime(2026, 4, 30, 0, tzinfo=UTC)
    assert row["funding_rate"] == 0.000008


def test_rows_name_their_market_where_nobody_asked(payloads):
    rows = history(read(payloads, "funding_BTC-USD.json"), market=None)
    assert {r["base"] for r in rows} == {"BTC"}


def test_live_as_worked_on_the_page(payloads):
    row = current(read(payloads, "info_markets.json"))["BTC-USD"]
    assert row["funding_rate"] == 0.000013
    assert row["next_funding_time"] == datetime(2026, 9, 13, 23, tzinfo=UTC)
    assert row["observed_at"] == AT
    assert row["rate_step"] == 1e-6
    assert row["open_interest_usd"] == pytest.approx(44_808_704.91, abs=0.01)
    assert row["open_interest"] == 579.7751
    assert row["mark_price"] == pytest.approx(77_060.42788, abs=1e-5)
    assert row["index_price"] == pytest.approx(77_100.40668, abs=1e-5)
    assert row["volume_24h_usd"] == pytest.approx(72_466_662.2649)


def test_a_multiple_is_taken_out_of_prices_and_into_sizes_but_not_of_the_rate(payloads):
    row = current(read(payloads, "info_markets.json"))["1000PEPE-USD"]
    assert row["base"] == "PEPE"
    assert row["mark_price"] == pytest.approx(0.000003396223971, rel=1e-12)
    assert row["open_interest"] == 104_530_900_000
    assert row["funding_rate"] == 0.000013


def test_status_decides_what_is_current_and_not_active(payloads):
    assert set(current(read(payloads, "info_markets.json"))) == {
        "BTC-USD",
        "1000PEPE-USD",
        "MU_24_5-USD",
        "MKR-USD",
    }


def test_markets_list_every_perpetual_and_no_spot(payloads):
    rows = markets(read(payloads, "info_markets.json"))
    assert {s: r["status"] for s, r in rows.items()} == {
        "BTC-USD": "active",
        "1000PEPE-USD": "active",
        "MU_24_5-USD": "active",
        "MKR-USD": "reduce_only",
        "NOW_24_5-USD": "delisted",
    }
    assert {s: r["rate_cap"] for s, r in rows.items()} == {
        "BTC-USD": 0.0025,
        "1000PEPE-USD": 0.0075,
        "MU_24_5-USD": 0.01,
        "MKR-USD": 0.01,
        "NOW_24_5-USD": 0.01,
    }
    assert {s: (r["asset_class"], r["base"]) for s, r in rows.items() if "_24_5" in s} == {
        "MU_24_5-USD": ("equity", "MU"),
        "NOW_24_5-USD": ("equity", "NOW"),
    }
    btc = rows["BTC-USD"]
    assert (btc["collateral"], btc["quote"], btc["max_leverage"], btc["native_id"]) == (
        "USDC",
        "USD",
        50.0,
        None,
    )
    assert btc["listed_at"] == datetime(2025, 7, 18, 9, 5, 32, 673_000, tzinfo=UTC)
    assert (btc["first_seen"], btc["last_seen"], btc["delisted_at"]) == (AT, AT, None)
    assert rows["1000PEPE-USD"]["multiplier"] == 1000


def test_a_single_stats_answer_needs_its_market_named(payloads):
    row = current(read(payloads, "info_market_stats.json"), market=BTC)["BTC-USD"]
    assert (row["funding_rate"], row["open_interest"]) == (0.000012, 1491.33012)
    assert row["next_funding_time"] == datetime(2026, 4, 29, 7, tzinfo=UTC)
    with pytest.raises(BadCall, match="--symbol"):
        current(read(payloads, "info_market_stats.json"))


def test_stats_of_an_unknown_market_are_zeros_and_refused(payloads):
    def zero(answer):
        data = answer["data"]
        answer["data"] = {key: "0" if isinstance(data[key], str) else 0 for key in data}

    body = edited(payloads, zero, "info_market_stats.json")
    with pytest.raises(BadPayload, match="every number of BTC-USD is zero"):
        current(body, market=BTC)


def test_a_stream_frame_is_a_running_estimate(payloads):
    row = current(read(payloads, "ws_funding.jsonl"))["BTC-USD"]
    assert row["funding_rate"] == 0.001
    assert row["observed_at"] == datetime(2023, 12, 3, 0, 30, 40, tzinfo=UTC)
    assert row["next_funding_time"] == datetime(2023, 12, 3, 1, tzinfo=UTC)
    assert row["mark_price"] is None


def test_a_frame_right_after_the_hour_does_not_say_which_payment_it_means():
    at = to_ms(datetime(2026, 9, 13, 22, 0, 1, tzinfo=UTC))
    frames = [
        {"ts": at + n, "data": {"m": "BTC-USD", "T": at + n, "f": "0.00001"}, "seq": n} for n in (0, 60_000)
    ]
    body = "\n".join(map(json.dumps, frames)).encode()
    found = (
        SNAPSHOTS.check(FETCHER.current.parse(body, ResponseContext(AT)))
        .sort("observed_at")["next_funding_time"]
        .to_list()
    )
    assert found == [None, datetime(2026, 9, 13, 23, tzinfo=UTC)]


def test_an_empty_history_is_an_answer():
    assert history({"status": "OK", "data": []}) == []
    assert history({"status": "OK", "data": []}, market=None) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (paid(f="0.003"), "BTC-USD: 0.003 per hour is beyond the market's cap 0.0025"),
        (paid(f="-0.0026"), "beyond the market's cap"),
        (paid(m="ETH-USD"), "'ETH-USD', asked was 'BTC-USD'"),
        (paid(m=""), "m: is '', asked was 'BTC-USD'"),
        (paid(t=1789336801), "not a time in Unix milliseconds"),
        (paid(t=1789336799990), "just before an hour"),
        (paid(f="NaN"), "not a finite decimal"),
        (paid(f="inf"), "not a finite decimal"),
        (paid(f=""), "not a finite decimal"),
        (paid(f="0.000_013"), "not a finite decimal"),
        (paid(f=" 0.000013"), "not a finite decimal"),
        (paid(f=0.000013), r"field data\[0\].f: Expected `str`, got `float`"),
        (paid(f=None), r"field data\[0\].f"),
        (paid(t="1789336801693"), r"field data\[0\].T: Expected `int`, got `str`"),
        (paid(t=True), r"field data\[0\].T"),
        ({"status": "OK", "data": [{"m": "BTC-USD", "f": "0.1"}]}, r"field data\[0\].T: is missing"),
        ({"status": "OK", "data": {}}, "field data"),
        ({"status": "OK"}, "field data: is missing"),
        (
            {"status": "ERROR", "error": {"code": 1001, "message": "Market not found"}},
            "status: is 'ERROR'.*1001",
        ),
    ],
)
def test_a_history_that_is_not_as_described_is_refused_and_says_why(body, message):
    with pytest.raises(BadPayload, match=message):
        history(body)


def test_without_a_known_cap_a_bound_stands(payloads):
    bare = FETCHER.market("BTC-USD")
    assert bare.rate_cap is None
    assert history(paid(f="0.04"), market=bare)[0]["funding_rate"] == 0.04
    with pytest.raises(BadPayload, match=r"beyond 0.05 \(its cap is unknown\)"):
        history(paid(f="0.06"), market=bare)


def test_a_cap_whose_unit_is_unproven_is_unknown(payloads):
    def small(answer):
        answer["data"][0]["tradingConfig"]["hourlyFundingRateCap"] = "0.006"
        answer["data"][0]["marketStats"]["fundingRate"] = "-0.000497"

    body = edited(payloads, small)
    assert markets(body)["BTC-USD"]["rate_cap"] is None
    assert current(body)["BTC-USD"]["funding_rate"] == -0.000497


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("marketStats", "fundingRate"), "0.0026", "beyond the market's cap 0.0025"),
        (("marketStats", "nextFundingRate"), 1789340400, "not a time in Unix milliseconds"),
        (("marketStats", "nextFundingRate"), 1789340400001, "not on a full hour"),
        (("marketStats", "markPrice"), "-1", "negative"),
        (("marketStats", "markPrice"), 77060.4, "markPrice"),
        (("status",), "PAUSED", "status: of BTC-USD is not one of"),
        (("type",), "perpetual", "neither PERPETUAL nor SPOT"),
        (("tradingConfig", "hourlyFundingRateCap"), "NaN", "hourlyFundingRateCap"),
    ],
)
def test_a_list_of_markets_with_one_bad_field_gives_nothing(payloads, path, value, message):
    def change(answer):
        at = answer["data"][0]
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    with pytest.raises(BadPayload, match=message):
        current(edited(payloads, change))


@pytest.mark.parametrize(
    ("stated", "asset", "expected"),
    [
        (("RWA", "Equity", "us_equity"), "PURR", ("equity", "PURR")),
        (("RWA", "Equity", "us_equity"), "STXX", ("equity", "STX")),
        (("RWA", "ETF/Index", "us_equity"), "DRAM", ("equity", "DRAM")),
        (("RWA", "ETF/Index", "us_index_fut"), "SPX500m", ("index", "SPX500")),
        (("RWA", "Commodity", "commodity_cme"), "XAU", ("commodity", "XAU")),
        (("RWA", "FX", "fx"), "EUR", ("fx", "EURUSD")),
        (("RWA", "Pre-market", "always_open"), "OPENAI", ("equity", "OPENAI")),
        (("RWA", "Something new", "null"), "QNT", ("equity", "QNT")),
        (("RWA", "Something new", "null"), "XAG", ("commodity", "XAG")),
        (("Crypto", "Commodity", "null"), "PAXG", ("crypto", "PAXG")),
        (("Crypto", "Meme", "null"), "SPX", ("crypto", "SPX")),
        (("L1", "null", "null"), "BTC", ("crypto", "BTC")),
    ],
)
def test_the_class_is_what_the_listing_states(payloads, stated, asset, expected):
    def change(answer):
        answer["data"] = answer["data"][:1]
        answer["data"][0] |= {
            **dict(zip(("category", "subCategory", "referenceMarket"), stated, strict=True)),
            "assetName": asset,
            "name": f"{asset}-USD",
        }

    row = markets(edited(payloads, change))[f"{asset}-USD"]
    assert (row["asset_class"], row["base"]) == expected


def test_an_old_list_without_types_is_refused(shared):
    body = (shared / "data/raw/extended/info_markets_BTC-USD_2024-05-07.json").read_bytes()
    with pytest.raises(BadPayload):
        markets(body)


def test_history_asks_the_window_in_milliseconds_both_ends_inclusive():
    start = datetime(2026, 9, 1, tzinfo=UTC)
    request = FETCHER.history.request(BTC, Window(start, start + 48 * HOUR), None)
    assert (request.method, request.path) == ("GET", "/info/BTC-USD/funding")
    assert dict(request.params) == {"startTime": "1788220800000", "endTime": "1788393599999"}


@pytest.mark.parametrize(
    ("symbol", "path"),
    [
        ("../../x", "/info/..%2F..%2Fx/funding"),
        ("a';drop", "/info/a%27%3Bdrop/funding"),
        ("a?b=1#c", "/info/a%3Fb%3D1%23c/funding"),
        ("ü-USD", "/info/%C3%BC-USD/funding"),
    ],
)
def test_a_hostile_name_stays_one_segment_of_the_path(symbol, path):
    market = Market("extended", symbol, "X", "USD", "crypto")
    request = FETCHER.history.request(market, Window(AT - HOUR, AT), None)
    assert request.path == path


@pytest.mark.parametrize("symbol", ["", ".", ".."])
def test_a_name_that_would_change_the_path_is_refused(symbol):
    with pytest.raises(BadCall, match="BTC-USD"):
        FETCHER.history.request(Market("extended", symbol, "X", "USD", "crypto"), Window(AT - HOUR, AT), None)


@pytest.mark.parametrize("symbol", ["BTC", "-USD", "BTC-", ""])
def test_a_symbol_without_a_quote_is_no_market(symbol):
    with pytest.raises(BadCall, match="no market name"):
        FETCHER.market(symbol)


def test_a_symbol_alone_gives_its_market():
    assert FETCHER.market("1000PEPE-USD") == Market(
        "extended", "1000PEPE-USD", "PEPE", "USD", "crypto", 1000.0, interval_hours=1.0
    )


def test_refusals_say_what_to_do(payloads):
    order, unknown = json.loads(read(payloads, "errors.json"))

    def refusal(status, body):
        return FETCHER.refusal(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    assert isinstance(refusal(order["http_status"], order["body"]), Refused)
    missing = refusal(unknown["http_status"], unknown["body"])
    assert isinstance(missing, BadCall)
    assert "no such market" in str(missing)
    assert "fundingdb markets extended" in str(missing)
    named = {"status": "ERROR", "error": {"code": 1001, "message": "Market not found"}}
    assert isinstance(refusal(400, named), BadCall)
    assert isinstance(refusal(200, named), BadCall)
    assert isinstance(refusal(200, {"status": "ERROR", "error": {"code": 1010}}), Unreachable)
    assert isinstance(refusal(200, {"status": "ERROR"}), Refused)
    assert isinstance(refusal(400, {"status": "ERROR", "error": {"code": 1006, "message": "?"}}), Refused)
    assert isinstance(refusal(429, b"Too Many Requests"), RateLimited)
    assert "User-Agent" in str(refusal(403, b"Forbidden"))
    assert isinstance(refusal(404, b""), Refused)
    assert refusal(502, b"<html>") is None
    assert refusal(200, read(payloads, "info_markets.json")) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 599_999), st.integers(-2500, 2500)),
        max_size=30,
        unique_by=lambda row: row[0],
    )
)
def test_any_stamp_up_to_ten_minutes_late_falls_on_its_hour_and_keeps_its_rate(rows):
    first = to_ms(datetime(2026, 1, 1, tzinfo=UTC))
    data = [
        {"m": "BTC-USD", "f": f"{ticks / 1e6:.6f}", "T": first + hour * 3_600_000 + late}
        for hour, late, ticks in rows
    ]
    got = history({"status": "OK", "data": data[::-1]})
    assert [(r["funding_time"] - datetime(2026, 1, 1, tzinfo=UTC)) // HOUR for r in got] == sorted(
        r[0] for r in rows
    )
    assert [round(r["funding_rate"] * 1e6) for r in got] == [ticks for _, _, ticks in sorted(rows)]
