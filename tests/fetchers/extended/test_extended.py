"""Extended: what its case does not prove: clocks, caps, classes, unknown markets, refusals in words."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import Market, ResponseContext
from fundingdb.fetchers.extended import FETCHER
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window, to_ms
from tests.fetchers.extended.case import BTC, HISTORY, ONE, answer, error, listing, paid, text
from tests.fetchers.played import whole

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def history(body, market=BTC):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market))).to_dicts()


def current(body, market=None):
    return {
        r["symbol"]: r
        for r in SNAPSHOTS.check(
            whole(FETCHER.current.parse, text(body), ResponseContext(AT, market=market))
        ).to_dicts()
    }


def markets(body):
    return {
        r["symbol"]: r
        for r in MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    }


def test_a_field_beside_the_rows_changes_nothing():
    paged = answer([paid("0.000008", 1777507201028)]) | {
        "pagination": {"cursor": 1784963886257016832, "count": 1}
    }
    (row,) = history(paged)
    assert (row["funding_time"], row["funding_rate"]) == (datetime(2026, 4, 30, 0, tzinfo=UTC), 0.000008)


def test_the_rows_name_their_market_where_the_request_is_not_known():
    assert {r["base"] for r in history(HISTORY, market=None)} == {"BTC"}
    assert history(answer([]), market=None) == []


def test_a_single_stats_answer_needs_its_market_named():
    row = current(ONE, market=BTC)["BTC-USD"]
    assert (row["funding_rate"], row["open_interest"]) == (0.000012, 1491.33012)
    assert row["next_funding_time"] == datetime(2026, 4, 29, 7, tzinfo=UTC)
    with pytest.raises(BadCall, match="--symbol"):
        current(ONE)


def test_stats_of_an_unknown_market_are_zeros_and_refused():
    body = answer({key: "0" if isinstance(value, str) else 0 for key, value in ONE["data"].items()})
    with pytest.raises(BadPayload, match="every number of BTC-USD is zero"):
        current(body, market=BTC)


def test_a_frame_right_after_the_hour_does_not_say_which_payment_it_means():
    at = to_ms(datetime(2026, 9, 13, 22, 0, 1, tzinfo=UTC))
    frames = [
        {"ts": at + n, "data": {"m": "BTC-USD", "T": at + n, "f": "0.00001"}, "seq": n} for n in (0, 60_000)
    ]
    body = "\n".join(map(json.dumps, frames)).encode()
    found = (
        SNAPSHOTS.check(whole(FETCHER.current.parse, body, ResponseContext(AT)))
        .sort("observed_at")["next_funding_time"]
        .to_list()
    )
    assert found == [None, datetime(2026, 9, 13, 23, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (answer([paid(f="0.003")]), "BTC-USD: 0.003 per hour is beyond the market's cap 0.0025"),
        (answer([paid(f="-0.0026")]), "beyond the market's cap"),
        (answer([paid(m="ETH-USD")]), "m: is 'ETH-USD'"),
        (answer([paid(m="")]), "m: is ''"),
        (answer([paid(t=1789336801)]), "not a time in Unix milliseconds"),
        (answer([paid(t=1789336799990)]), "just before an hour"),
        (answer([paid(f="NaN")]), "not a finite decimal"),
        (answer([paid(f="inf")]), "not a finite decimal"),
        (answer([paid(f="")]), "not a finite decimal"),
        (answer([paid(f="0.000_013")]), "not a finite decimal"),
        (answer([paid(f=" 0.000013")]), "not a finite decimal"),
        (answer([paid(f=0.000013)]), r"field data\[0\].f: Expected `str`, got `float`"),
        (answer([paid(f=None)]), r"field data\[0\].f"),
        (answer([paid(t="1789336801693")]), r"field data\[0\].T: Expected `int`, got `str`"),
        (answer([paid(t=True)]), r"field data\[0\].T"),
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


def test_without_a_known_cap_a_bound_of_5_percent_an_hour_applies():
    bare = FETCHER.market("BTC-USD")
    assert bare.rate_cap is None
    assert history(answer([paid(f="0.04")]), market=bare)[0]["funding_rate"] == 0.04
    with pytest.raises(BadPayload, match=r"beyond 0.05 \(its cap is unknown\)"):
        history(answer([paid(f="0.06")]), market=bare)


def test_a_cap_whose_unit_is_unproven_is_unknown():
    body = answer([listing("BTC-USD", cap="0.006", stats={"fundingRate": "-0.000497"})])
    assert markets(body)["BTC-USD"]["rate_cap"] is None
    assert current(body)["BTC-USD"]["funding_rate"] == -0.000497


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stats": {"fundingRate": "0.0026"}}, "beyond the market's cap 0.0025"),
        ({"stats": {"nextFundingRate": 1789340400}}, "not a time in Unix milliseconds"),
        ({"stats": {"nextFundingRate": 1789340400001}}, "not on a full hour"),
        ({"stats": {"markPrice": "-1"}}, "negative"),
        ({"stats": {"markPrice": 77060.4}}, "markPrice"),
        ({"status": "PAUSED"}, "status: of BTC-USD is none of"),
        ({"type": "perpetual"}, "neither PERPETUAL nor SPOT"),
        ({"cap": "NaN"}, "hourlyFundingRateCap"),
        ({"cap": "25"}, "hourlyFundingRateCap: of BTC-USD is beyond 5% an hour"),
        ({"assetName": ""}, "assetName: of BTC-USD is empty"),
    ],
)
def test_a_list_of_markets_with_one_bad_field_gives_nothing(change, message):
    body = answer([listing("BTC-USD", **{"cap": "0.25", **change}), listing("ETH-USD")])
    with pytest.raises(BadPayload, match=message):
        current(body)


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
def test_the_class_is_what_the_listing_states(stated, asset, expected):
    fields = dict(zip(("category", "subCategory", "referenceMarket"), stated, strict=True))
    row = markets(answer([listing(f"{asset}-USD", **fields)]))[f"{asset}-USD"]
    assert (row["asset_class"], row["base"]) == expected


def test_a_list_of_2024_without_types_is_refused():
    old = {name: value for name, value in listing("BTC-USD").items() if name != "type"}
    with pytest.raises(BadPayload, match="type: is missing"):
        markets(answer([old]))


def test_history_requests_the_window_in_milliseconds_both_ends_inclusive():
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
    rows_read = history({"status": "OK", "data": data[::-1]})
    assert [(r["funding_time"] - datetime(2026, 1, 1, tzinfo=UTC)) // HOUR for r in rows_read] == sorted(
        r[0] for r in rows
    )
    assert [round(r["funding_rate"] * 1e6) for r in rows_read] == [ticks for _, _, ticks in sorted(rows)]


def test_refusals_say_what_to_do():
    missing = str(FETCHER.refusal(404, error("NOT_FOUND", "Market not found")))
    assert "no such market" in missing
    assert "fundingdb markets extended" in missing
    assert "User-Agent" in str(FETCHER.refusal(403, b"Forbidden"))


def test_the_recorded_responses_are_read(shared):
    def recorded(name):
        return (shared / "venues/payloads/extended" / name).read_bytes()

    rows = history(recorded("funding_BTC-USD.json"))
    assert [(r["funding_time"].hour, r["funding_rate"]) for r in rows] == [
        (h, 0.000013) for h in (19, 20, 21, 22)
    ]
    assert len(history(recorded("funding_paged.json"))) == 1
    listed = recorded("info_markets.json")
    assert set(current(listed)) == {"BTC-USD", "1000PEPE-USD", "MU_24_5-USD", "MKR-USD"}
    assert {s: (r["status"], r["rate_cap"]) for s, r in markets(listed).items()} == {
        "BTC-USD": ("active", 0.0025),
        "1000PEPE-USD": ("active", 0.0075),
        "MU_24_5-USD": ("active", 0.01),
        "MKR-USD": ("reduce_only", 0.01),
        "NOW_24_5-USD": ("delisted", 0.01),
    }
    assert current(recorded("info_market_stats.json"), market=BTC)["BTC-USD"]["open_interest"] == 1491.33012
    assert current(recorded("ws_funding.jsonl"))["BTC-USD"]["funding_rate"] == 0.001
    for example in json.loads(recorded("errors.json")):
        assert FETCHER.refusal(example["http_status"], text(example["body"])) is not None
    with pytest.raises(BadPayload):
        markets((shared / "data/raw/extended/info_markets_BTC-USD_2024-05-07.json").read_bytes())


@pytest.mark.parametrize("name", ["", "BTC", "-USD"])
def test_a_frame_that_names_no_market_is_refused(name):
    frame = {"ts": 1701563440000, "data": {"m": name, "T": 1701563440000, "f": "0.001"}, "seq": 2}
    with pytest.raises(BadPayload, match="m: is no market name"):
        current(frame)
    with pytest.raises(BadPayload, match="m: is no market name"):
        history(answer([paid(m=name)]), market=None)
