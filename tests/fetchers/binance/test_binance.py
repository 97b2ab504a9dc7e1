"""Binance USD-M and COIN-M, Aster: worked examples by hand, recorded responses, paging, refusals."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload, SchemaError
from fundingdb.fetchers.contract import Market, ResponseContext
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import HOUR, Window, to_ms
from tests.fetchers.binance.case import (
    ASTER,
    AT,
    COIN_M,
    RESPONSES,
    USD_M,
    asking,
    payment,
    premium,
    serve,
    written,
)
from tests.fetchers.played import capped, played, text, whole
from tests.fetchers.walking import walked

BY_NAME = {"binance": USD_M, "binance-coinm": COIN_M, "aster": ASTER}


def history(body, fetcher=USD_M, market=None):
    return FUNDING.check(fetcher.history.parse(text(body), ResponseContext(AT, market=market)))


def current(body, fetcher=USD_M, markets=None, endpoint="premiumIndex"):
    context = ResponseContext(AT, markets=markets or {}, request=asking(endpoint))
    rows = SNAPSHOTS.check(whole(fetcher.current.parse, text(body), context)).to_dicts()
    return {row["symbol"]: row for row in rows}


def listed(*bodies, fetcher=USD_M):
    """The markets as the collector merges them: first non-null by symbol, then the fetcher's last word."""
    endpoints = ("exchangeInfo", "fundingInfo")
    frames = [
        MARKETS.check(whole(fetcher.markets.parse, text(b), ResponseContext(AT, request=asking(e))))
        for b, e in zip(bodies, endpoints, strict=False)
    ]
    first = [pl.col(c).drop_nulls().first() for c in MARKETS.columns if c not in ("exchange", "symbol")]
    rows = pl.concat(frames).group_by("exchange", "symbol", maintain_order=True).agg(first)
    return {r["symbol"]: r for r in fetcher.markets.combine(MARKETS.check(rows)).to_dicts()}


def known(*bodies, fetcher=USD_M):
    return {s: market_of(row) for s, row in listed(*bodies, fetcher=fetcher).items()}


# --- history


def test_a_dividend_is_a_second_row_of_its_instant():
    rows = history(written("binance", "fundingRate_SPYUSDT_special")).to_dicts()
    at = datetime(2026, 6, 18, tzinfo=UTC)
    assert [(r["funding_time"], r["rate_type"], r["funding_rate"]) for r in rows] == [
        (at, "regular", 0.00002292),
        (at, "special", -0.00239112),
        (at + HOUR, "regular", 0.00003682),
    ]
    assert rows[1]["funding_rate"] == pytest.approx(-1.78 / (746.2 - 1.78), abs=5e-9)  # D = 1.78 dollars
    assert (rows[1]["base"], rows[1]["asset_class"]) == ("SPY", "equity")


def test_aster_does_not_mark_the_dividend_so_the_later_of_two_is_the_special_one():
    rows = history(written("aster", "fundingRate_BTCUSDT"), ASTER).to_dicts()
    assert [r["funding_rate"] for r in rows] == [0.00008093, 0.00006482, 0.00004447, 0.00004761]
    assert rows[0]["funding_time"] == datetime(2026, 9, 10, 8, tzinfo=UTC)
    assert {(r["mark_price"], r["rate_type"], r["interval_hours"]) for r in rows} == {(None, "regular", None)}
    grid = 1789200000000
    two = [payment("-0.002", grid + 9, "SPYUSDT"), payment("0.00002", grid + 1, "SPYUSDT")]
    found = history([*two, two[0]], ASTER).select("rate_type", "funding_rate").rows()
    assert sorted(found) == [("regular", 0.00002), ("special", -0.002)]
    with pytest.raises(BadPayload, match="nothing marks the regular one"):
        history([payment("0.1", grid), payment("-0.002", grid)], ASTER)
    with pytest.raises(BadPayload, match="3 payments at one instant"):
        history([payment("0.01", grid + n) for n in range(3)], ASTER)


def test_a_mark_is_per_one_token_and_blank_on_old_rows():
    rows = history(
        [
            payment(symbol="1000PEPEUSDT", markPrice="0.01100000"),
            payment(symbol="1000PEPEUSDT", t=1789228800000, markPrice=""),
            payment(symbol="1000PEPEUSDT", t=1789257600000, markPrice="0.00000000"),
        ]
    )
    assert set(rows["base"]) == {"PEPE"}
    assert rows["mark_price"].to_list() == [pytest.approx(0.000011), None, None]
    assert rows["funding_rate"].to_list() == [0.00004334] * 3


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (payment("NaN"), "finite"),
        (payment("\u0661"), "finite"),
        (payment(""), "finite"),
        (payment("0.1_0"), "finite"),
        (payment(0.0001), "fundingRate"),
        (payment("0.11"), "beyond 0.1"),
        (payment(t=1789200000), "milliseconds"),
        (payment(t=1789200000003000), "milliseconds"),
        (payment(t=1789200060001), "within a minute"),
        (payment(t=1789199999000), "within a minute"),
        (payment(t="1789200000003"), "fundingTime"),
        (payment(symbol="ETHUSDT"), "'BTCUSDT'"),
        (payment(rateType="Bonus"), "rateType: is none of Regular, Special"),
        (payment(rateType=None), "rateType"),
        (payment(markPrice="-1"), "negative"),
        (payment(markPrice=77000.0), "markPrice"),
        ({"symbol": "BTCUSDT", "fundingTime": 1789200000003}, "fundingRate: is missing"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_response(row, words):
    market = Market("binance", "BTCUSDT", "BTC", "USDT", "crypto")
    with pytest.raises(BadPayload, match=words):
        history([payment(t=1789171200000), row], market=market)


def test_two_regular_payments_of_one_instant_contradict_each_other():
    with pytest.raises(SchemaError, match="repeated with different values"):
        history([payment(rateType="Regular"), payment("0.1", 1789200000005, rateType="Regular")])


def test_a_special_payment_may_be_larger_than_any_rate_but_not_beyond_half_the_price():
    (row,) = history([payment("-0.45000000", rateType="Special")]).to_dicts()
    assert (row["funding_rate"], row["rate_type"]) == (-0.45, "special")
    with pytest.raises(BadPayload, match="BTCUSDT: 1e[+]30 is beyond 0.5"):
        history([payment("1e30", rateType="Special")])


def test_an_empty_list_is_a_history_without_rows_and_an_object_is_refused():
    assert history([]).is_empty()
    with pytest.raises(BadPayload):
        history({"code": -1121, "msg": "Invalid symbol."})


def test_real_series_are_read_whole_and_on_the_hour(shared):
    file = shared / "data/large/binance_usdm_symbols_0-L_2026-01_2026-03.parquet"
    real = pl.read_parquet(file).filter(pl.col("symbol").is_in(["0GUSDT", "1000PEPEUSDT", "BTCUSDT"]))
    for (symbol,), rows in real.group_by("symbol"):
        body = [
            payment(f"{r:.8f}", t, symbol)
            for t, _, r in rows.select("timestamp", "symbol", "funding_rate").rows()
        ]
        found = history(body)
        assert found.height == rows.height
        assert (found["reported_time"] - found["funding_time"]).max() < timedelta(milliseconds=100)
        assert found["funding_time"].dt.truncate("1h").equals(found["funding_time"])
    real = json.loads(
        (shared / "data/raw/binance/fundingRate_BTCUSDT_2022-01_2025-12_rekeyed.json").read_bytes()
    )
    body = [payment(row["funding_rate"], row["time"]) for row in real]
    rows = history(body)
    assert rows.height == 4377
    assert set(rows["funding_time"].diff().drop_nulls()) == {8 * HOUR}
    assert rows["funding_rate"].to_list() == [float(row["funding_rate"]) for row in real]


# --- paging


START = datetime(2026, 1, 1, tzinfo=UTC)
BTC = USD_M.market("BTCUSDT")


def stepping(hours):
    """The market with payments each so many hours."""
    return replace(BTC, interval_hours=float(hours))


@example(hours=[0, 33, 399], late=0, cap=5, ends=(0, 400), step=1)
@given(
    hours=st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True),
    late=st.integers(0, 9),
    cap=st.sampled_from([5, 7, 100, 1000]),
    ends=st.tuples(st.integers(-5, 200), st.integers(201, 410)),
    step=st.sampled_from([1, 4, 8]),
)
@settings(max_examples=60)
def test_a_walk_finds_every_payment_of_a_window_specials_too(hours, late, cap, ends, step):
    window = Window(START + ends[0] * HOUR, START + ends[1] * HOUR)
    specials = {START + hour * HOUR for hour in hours if hour % 3 == 0}
    venue, _ = played(serve, [START + h * HOUR for h in hours], cap=cap, late=late, specials=specials)
    rows = walked(capped(USD_M, cap), stepping(step), venue, window)
    due = {(START + h * HOUR, "regular") for h in hours} | {(at, "special") for at in specials}
    assert set(rows.select("funding_time", "rate_type").rows()) == {
        (at, kind) for at, kind in due if window.start <= at < window.stop
    }


def test_a_year_of_hours_takes_nine_pages_and_a_quarter_of_eights_one():
    venue, requests = played(serve, [START + n * HOUR for n in range(8760)])
    assert walked(USD_M, BTC, venue, Window(START, START + 8760 * HOUR)).height == 8760
    assert len(requests) == 9
    venue, requests = played(serve, [START + n * HOUR for n in range(0, 8760, 8)])
    assert walked(USD_M, stepping(8), venue, Window(START, START + 2160 * HOUR)).height == 270
    assert len(requests) == 1
    params = dict(requests[0].params)
    assert params["startTime"] == str(to_ms(START) - 3_600_000)
    assert params["endTime"] == str(to_ms(START + 2160 * HOUR) - 1)


# --- current


def test_current_of_the_written_response():
    markets = known(written("binance", "exchangeInfo_tradfi"), written("binance", "fundingInfo_tradfi"))
    rows = current(written("binance", "premiumIndex_tradfi"), markets=markets)
    assert set(rows) == {"CATUSDT", "1000CATUSDT", "XAUUSDT"}  # the dated future is out, by its type
    cat = rows["1000CATUSDT"]
    assert (cat["base"], cat["asset_class"], cat["funding_rate"]) == ("CAT", "crypto", 0.00005)
    assert cat["next_funding_time"] == datetime(2026, 9, 14, tzinfo=UTC)
    assert cat["mark_price"] == pytest.approx(0.00000211281)
    assert cat["index_price"] == pytest.approx(0.00000211457)
    assert (cat["rate_step"], cat["observed_at"], cat["open_interest"]) == (1e-8, AT, None)
    share = rows["CATUSDT"]
    assert (share["base"], share["asset_class"], share["funding_rate"]) == (
        "CAT",
        "equity",
        0.0,
    )  # zero is a value
    assert (rows["XAUUSDT"]["asset_class"], rows["XAUUSDT"]["funding_rate"]) == ("commodity", 0.0)
    hours = current(written("binance", "fundingInfo_tradfi"), markets=markets, endpoint="fundingInfo")
    assert {s: r["interval_hours"] for s, r in hours.items()} == {
        "CATUSDT": 8.0,
        "1000CATUSDT": 4.0,
        "XAUUSDT": 4.0,
    }
    assert {r["funding_rate"] for r in hours.values()} == {None}


def test_plain_markets_on_eight_and_on_four_hours():
    markets = known(written("binance", "exchangeInfo"), written("binance", "fundingInfo"))
    assert {s: m.interval_hours for s, m in markets.items()} == {
        "BTCUSDT": 8.0,
        "ETHUSDT": 8.0,
        "LPTUSDT": 4.0,
    }
    rows = current(written("binance", "premiumIndex"), markets=markets)
    assert {s: r["funding_rate"] for s, r in rows.items()} == {
        "LPTUSDT": 0.00005,
        "ETHUSDT": -0.00001791,
        "BTCUSDT": 0.0000668,
    }
    assert rows["BTCUSDT"]["next_funding_time"] == datetime(2026, 9, 13, 16, tzinfo=UTC)
    assert rows["BTCUSDT"]["mark_price"] == 76979.73397101


def test_aster_of_the_written_response():
    markets = known(written("aster", "exchangeInfo"), written("aster", "fundingInfo"), fetcher=ASTER)
    assert {s: (m.interval_hours, m.rate_cap) for s, m in markets.items()} == {
        "BTCUSDT": (8.0, 0.003),
        "SUSHIUSDT": (1.0, 0.02),
    }  # BTCUSD and GNSUSD are listed nowhere
    rows = current(written("aster", "premiumIndex"), ASTER, markets)
    assert set(rows) == {"BTCUSDT", "SUSHIUSDT"}
    assert rows["SUSHIUSDT"]["funding_rate"] == -0.00000112
    assert rows["SUSHIUSDT"]["next_funding_time"] == datetime(2026, 9, 11, 18, tzinfo=UTC)
    markets = known(
        written("aster", "exchangeInfo_tradfi"), written("aster", "fundingInfo_tradfi"), fetcher=ASTER
    )
    rows = current(written("aster", "premiumIndex_tradfi"), ASTER, markets)
    assert set(rows) == {"RTXUSDT", "XAUUSDT", "CLUSD1"}  # SKHX is pending
    oil = rows["CLUSD1"]
    assert (oil["base"], oil["quote"], oil["asset_class"]) == ("CL", "USD1", "commodity")
    assert (oil["funding_rate"], oil["next_funding_time"]) == (0.00018282, datetime(2026, 9, 14, tzinfo=UTC))
    assert markets["CLUSD1"].interval_hours == 4.0
    assert rows["XAUUSDT"]["funding_rate"] == 0.0
    assert (rows["RTXUSDT"]["base"], rows["RTXUSDT"]["asset_class"]) == (
        "RTX",
        "crypto",
    )  # RateX, 0.72 dollars
    assert ASTER.market("RTXUSDT").asset_class == "crypto"
    assert markets["SKHXUSDT"].status == "prelisted"


def test_coin_margined_markets_have_no_interval_since_nothing_states_it():
    rows = [
        {"symbol": "BTCUSD_PERP", "pair": "BTCUSD", "contractType": "PERPETUAL", "contractStatus": "TRADING"},
        {
            "symbol": "BTCUSD_261225",
            "pair": "BTCUSD",
            "contractType": "CURRENT_QUARTER",
            "contractStatus": "TRADING",
        },
    ]
    common = {"baseAsset": "BTC", "quoteAsset": "USD", "marginAsset": "BTC", "underlyingType": "COIN"}
    body = {"symbols": [{**row, **common, "onboardDate": 1597042800000} for row in rows]}
    markets = listed(body, [], fetcher=COIN_M)
    assert set(markets) == {"BTCUSD_PERP"}
    perp = markets["BTCUSD_PERP"]
    assert (perp["base"], perp["quote"], perp["collateral"], perp["interval_hours"]) == (
        "BTC",
        "USD",
        "BTC",
        None,
    )
    assert perp["listed_at"] == datetime(2020, 8, 10, 7, tzinfo=UTC)
    premium = {"markPrice": "77000", "indexPrice": "77010", "time": 1789308896002}
    body_now = [
        {
            "symbol": "BTCUSD_PERP",
            "lastFundingRate": "0.00010000",
            "nextFundingTime": 1789315200000,
            **premium,
        },
        {"symbol": "BTCUSD_261225", "lastFundingRate": "", "nextFundingTime": 0, **premium},
    ]
    for markets in ({}, known(body, [], fetcher=COIN_M)):
        (row,) = current(body_now, COIN_M, markets).values()
        assert (row["symbol"], row["funding_rate"], row["interval_hours"]) == ("BTCUSD_PERP", 0.0001, None)
    assert [r.endpoint for r in COIN_M.current.requests([])] == ["premiumIndex"]


def test_an_estimate_beyond_the_cap_of_its_market_is_refused():
    markets = known(written("aster", "exchangeInfo"), written("aster", "fundingInfo"), fetcher=ASTER)
    body = json.loads(written("aster", "premiumIndex"))
    body[-1]["lastFundingRate"] = "0.00300000"
    assert current(body, ASTER, markets)["BTCUSDT"]["funding_rate"] == 0.003
    body[-1]["lastFundingRate"] = "0.00300001"
    with pytest.raises(BadPayload, match="BTCUSDT: 0.00300001 is beyond 0.003"):
        current(body, ASTER, markets)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lastFundingRate": ""}, "finite"),
        ({"lastFundingRate": 0.0001}, "lastFundingRate"),
        ({"nextFundingTime": 1789315200}, "milliseconds"),
        ({"nextFundingTime": 1789315200001}, "full hour"),
        ({"time": 1789308896}, "milliseconds"),
        ({"markPrice": "-1"}, "negative"),
    ],
)
def test_one_bad_estimate_spoils_the_response(change, words):
    body = json.loads(written("binance", "premiumIndex"))
    body[0] |= change
    with pytest.raises(BadPayload, match=words):
        current(body)


def test_where_no_payment_is_due_zero_is_no_rate():
    body = [
        premium("BALUSDT", "0.00000000", ("1.25343333", "1.25343333"), 0),
        premium("BTCUSDT", "0.00000000", ("77000", "77010")),
    ]
    rows = current(body)
    assert set(rows) == {"BTCUSDT"}
    assert rows["BTCUSDT"]["funding_rate"] == 0.0
    market = Market("binance", "BALUSDT", "BAL", "USDT", "crypto")
    row = current(body, markets={"BALUSDT": market})["BALUSDT"]
    assert (row["funding_rate"], row["next_funding_time"], row["mark_price"]) == (None, None, 1.25343333)


def test_real_responses_of_other_days_are_read(shared):
    raw = shared / "data/raw"
    old = (raw / "binance/premiumIndex_excerpt_2025-10-04.json").read_bytes()
    dead = {row["symbol"] for row in json.loads(old) if row["nextFundingTime"] == 0}
    assert "BALUSDT" in dead
    assert set(current(old)) == {row["symbol"] for row in json.loads(old)} - dead
    rows = current((raw / "binance/premiumIndex_BTC_ETH_2026-09-04.json").read_bytes())
    assert rows["ETHUSDT"]["funding_rate"] == 0.0001
    assert rows["ETHUSDT"]["next_funding_time"] == datetime(2026, 9, 4, 8, tzinfo=UTC)
    infos = (raw / "binance/fundingInfo_excerpt_2025-10-04.json").read_bytes()
    hours = current(infos, endpoint="fundingInfo")
    assert {s: r["interval_hours"] for s, r in hours.items()} == {
        r["symbol"]: float(r["fundingIntervalHours"]) for r in json.loads(infos)
    }
    old = (raw / "aster/fundingInfo_excerpt_2025-09-25.json").read_bytes()  # its caps are null
    assert set(current(old, ASTER, endpoint="fundingInfo")) == {r["symbol"] for r in json.loads(old)}
    assert current((raw / "aster/premiumIndex_excerpt_2025-09-25.json").read_bytes(), ASTER)


# --- markets


def test_stocks_gold_and_multiples_are_listed_and_dated_contracts_are_not():
    rows = listed(written("binance", "exchangeInfo_tradfi"), written("binance", "fundingInfo_tradfi"))
    assert {
        s: (r["base"], r["multiplier"], r["asset_class"], r["interval_hours"]) for s, r in rows.items()
    } == {
        "CATUSDT": ("CAT", 1.0, "equity", 8.0),
        "1000CATUSDT": ("CAT", 1000.0, "crypto", 4.0),
        "XAUUSDT": ("XAU", 1.0, "commodity", 4.0),
    }
    assert {r["status"] for r in rows.values()} == {"active"}


def test_base_and_quote_come_from_their_own_fields():
    body = json.loads(written("binance", "exchangeInfo_tradfi"))
    row = {**body["symbols"][1], "underlyingType": "COIN"}
    names = {"BTCU": ("BTC", "U"), "B-MONEYUSDT": ("B-MONEY", "USDT"), "EURUSDUSDT": ("EURUSD", "USDT")}
    body["symbols"] = [{**row, "symbol": s, "baseAsset": b, "quoteAsset": q} for s, (b, q) in names.items()]
    assert {s: (r["base"], r["quote"]) for s, r in listed(body).items()} == names


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"contractType": "PERPETUAL", "underlyingType": "INDEX", "baseAsset": "BTCDOM"}, "crypto"),
        ({"contractType": "PERPETUAL", "underlyingType": "PREMARKET", "baseAsset": "HYPE"}, "crypto"),
        ({"underlyingType": "PREMARKET", "baseAsset": "OPENAI"}, "equity"),
        ({"underlyingType": "HK_EQUITY", "baseAsset": "TENCENT"}, "equity"),
        ({"underlyingType": "KR_EQUITY", "baseAsset": "SAMSUNG"}, "equity"),
        ({"underlyingType": "SOMETHING", "baseAsset": "XAG"}, "commodity"),  # the table knows silver
    ],
)
def test_the_class_is_what_the_listing_states(change, expected):
    body = json.loads(written("binance", "exchangeInfo_tradfi"))
    body["symbols"] = [{**body["symbols"][0], **change}]
    (row,) = listed(body).values()
    assert row["asset_class"] == expected


@pytest.mark.parametrize(
    ("exchange", "change", "words"),
    [
        ("binance", {"status": "PAUSED"}, "status: of CATUSDT is none of"),
        ("binance", {"status": None}, "status: of CATUSDT is none of"),
        ("binance", {"contractType": "FOREVER"}, "contractType: of CATUSDT is neither"),
        ("binance", {"contractType": ""}, "contractType: of CATUSDT is neither"),
        (
            "binance",
            {"underlyingType": "WEATHER"},
            "underlyingType: of CATUSDT is none of the documented kinds",
        ),
        ("binance", {"baseAsset": ""}, "is empty"),
        ("binance", {"onboardDate": 1569398400}, "milliseconds"),
        ("aster", {"symbolType": 1}, "underlyingSubType: of RTXUSDT is none of the documented kinds"),
    ],
)
def test_a_listing_that_no_table_knows_is_refused_by_name(exchange, change, words):
    body = json.loads(written(exchange, "exchangeInfo_tradfi"))
    body["symbols"][0] |= change
    if exchange == "binance" and "underlyingType" in change:
        body["symbols"][0]["baseAsset"] = "QQQQ"
    if exchange == "aster":
        body["symbols"][0]["baseAsset"] = "NOBODY"
    with pytest.raises(BadPayload, match=words):
        listed(body, fetcher=BY_NAME[exchange])


def test_statuses_are_those_of_the_lake():
    row = json.loads(written("binance", "exchangeInfo_tradfi"))["symbols"][0]
    body = {"symbols": [{**row, "symbol": f"{s}USDT", "status": s} for s in ("SETTLING", "CLOSE", "TRADING")]}
    pending = {**row, "symbol": "NEWUSDT", "status": "PENDING_TRADING", "contractType": ""}
    body["symbols"].append(pending)
    assert {s: r["status"] for s, r in listed(body).items()} == {
        "SETTLINGUSDT": "inactive",
        "CLOSEUSDT": "delisted",
        "TRADINGUSDT": "active",
        "NEWUSDT": "prelisted",
    }


def test_caps_are_text_on_binance_numbers_on_aster_and_may_be_absent():
    body = [
        {
            "symbol": "BTCUSDT",
            "fundingIntervalHours": 8,
            "adjustedFundingRateCap": "0.00300000",
            "adjustedFundingRateFloor": "-0.02000000",
        }
    ]
    assert listed(written("binance", "exchangeInfo"), body)["BTCUSDT"]["rate_cap"] == 0.02
    old = json.loads(written("aster", "fundingInfo"))
    for row in old:
        row |= {"fundingFeeCap": None, "fundingFeeFloor": None}
    assert listed(written("aster", "exchangeInfo"), old, fetcher=ASTER)["BTCUSDT"]["rate_cap"] is None
    for figure in ("2", "1e30"):
        with pytest.raises(BadPayload, match="unit"):
            listed(written("binance", "exchangeInfo"), [body[0] | {"adjustedFundingRateCap": figure}])
    for hours in (0, 25, 8.5, "8", None):
        bad = copy.deepcopy(body)
        bad[0]["fundingIntervalHours"] = hours
        with pytest.raises(BadPayload, match="fundingIntervalHours"):
            listed(written("binance", "exchangeInfo"), bad)


@pytest.mark.parametrize("symbol", ["BTC", "USDT", "", "BTC-EUR"])
def test_a_symbol_without_a_known_quote_is_no_market(symbol):
    with pytest.raises(BadCall, match="names look like BTCUSDT"):
        USD_M.market(symbol)


# --- requests and refusals


def test_requests_and_their_weight():
    for fetcher in BY_NAME.values():
        assert (fetcher.budget.capacity, fetcher.budget.per_seconds) == (500, 300)
        assert [r.path for r in fetcher.markets.requests([])] == ["/exchangeInfo", "/fundingInfo"]
    assert [r.path for r in USD_M.current.requests([])] == ["/premiumIndex", "/fundingInfo"]
    request = USD_M.history.request(USD_M.market("BTCUSDT"), Window(START, START + HOUR), None)
    assert (request.method, request.path, request.cost) == ("GET", "/fundingRate", 1.0)
    assert len({f.budget.scope for f in BY_NAME.values()}) == 3


def test_refusals_name_the_next_step():
    missing = USD_M.refusal(400, text({"code": -1121, "msg": "Invalid symbol."}))
    assert "fundingdb markets binance" in str(missing)
    blocked = USD_M.refusal(451, text({"code": 0, "msg": "Service unavailable from a restricted location"}))
    assert "country" in str(blocked)


def read(exchange, name, body):
    """The rows of a response, by the name of its file."""
    fetcher, endpoint = BY_NAME[exchange], name.partition("_")[0]
    if endpoint == "fundingRate":
        return history(body, fetcher)
    if endpoint in ("premiumIndex", "fundingInfo"):
        return SNAPSHOTS.check(
            whole(fetcher.current.parse, body, ResponseContext(AT, request=asking(endpoint)))
        )
    return MARKETS.check(whole(fetcher.markets.parse, body, ResponseContext(AT, request=asking(endpoint))))


def test_the_recorded_responses_are_read_as_those_written_here(shared):
    for exchange, responses in RESPONSES.items():
        for name in responses:
            recorded = (shared / "venues/payloads" / exchange / f"{name}.json").read_bytes()
            assert read(exchange, name, recorded).equals(read(exchange, name, written(exchange, name)))
