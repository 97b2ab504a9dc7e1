"""Binance USD-M and COIN-M, Aster: recorded answers, worked examples by hand, paging, refusals."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused, SchemaError
from fundingdb.fetchers import binance
from fundingdb.fetchers.contract import Market, Request, ResponseContext
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk
from fundingdb.window import HOUR, Window, to_ms

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
USD_M, COIN_M, ASTER = binance.FETCHER, binance.COIN_M, binance.ASTER
BY_NAME = {"binance": USD_M, "binance-coinm": COIN_M, "aster": ASTER}


@pytest.fixture(scope="module")
def saved(shared):
    return lambda exchange, name: (shared / "venues/payloads" / exchange / f"{name}.json").read_bytes()


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def history(body, fetcher=USD_M, market=None):
    return FUNDING.check(fetcher.history.parse(text(body), ResponseContext(AT, market=market)))


def current(body, fetcher=USD_M, markets=None, endpoint="premiumIndex"):
    asked = ResponseContext(AT, markets=markets or {}, request=Request(endpoint, f"/{endpoint}"))
    rows = SNAPSHOTS.check(fetcher.current.parse(text(body), asked)).to_dicts()
    return {row["symbol"]: row for row in rows}


def listed(*bodies, fetcher=USD_M):
    """The markets as the collector merges them: first non-null by symbol, then the fetcher's last word."""
    endpoints = ("exchangeInfo", "fundingInfo")
    frames = [
        MARKETS.check(fetcher.markets.parse(text(b), ResponseContext(AT, request=Request(e, f"/{e}"))))
        for b, e in zip(bodies, endpoints, strict=False)
    ]
    first = [pl.col(c).drop_nulls().first() for c in MARKETS.columns if c not in ("exchange", "symbol")]
    rows = pl.concat(frames).group_by("exchange", "symbol", maintain_order=True).agg(first)
    return {r["symbol"]: r for r in fetcher.markets.combine(MARKETS.check(rows)).to_dicts()}


def known(*bodies, fetcher=USD_M):
    return {s: market_of(row) for s, row in listed(*bodies, fetcher=fetcher).items()}


def paid(rate="0.00004334", t=1789200000003, symbol="BTCUSDT", **more):
    return {"symbol": symbol, "fundingTime": t, "fundingRate": rate, **more}


# --- history


def test_history_as_worked_on_the_page(saved):
    rows = history(saved("binance", "fundingRate_BTCUSDT")).to_dicts()
    assert [r["funding_rate"] for r in rows] == [0.00004334, 0.00005169, 0.00004788]
    assert [r["funding_time"].hour for r in rows] == [8, 16, 0]
    first = rows[0]
    assert first["funding_time"] == datetime(2026, 9, 12, 8, tzinfo=UTC)
    assert first["reported_time"] == datetime(2026, 9, 12, 8, 0, 0, 3000, tzinfo=UTC)
    assert (first["exchange"], first["source"], first["symbol"]) == ("binance", "binance", "BTCUSDT")
    assert (first["base"], first["quote"], first["asset_class"]) == ("BTC", "USDT", "crypto")
    assert (first["interval_hours"], first["interval_from"]) == (None, "unknown")
    assert (first["rate_type"], first["mark_price"], first["native_rate"]) == ("regular", 77236.9, 0.00004334)


def test_a_dividend_is_a_second_row_of_its_instant(saved):
    rows = history(saved("binance", "fundingRate_SPYUSDT_special")).to_dicts()
    at = datetime(2026, 6, 18, tzinfo=UTC)
    assert [(r["funding_time"], r["rate_type"], r["funding_rate"]) for r in rows] == [
        (at, "regular", 0.00002292),
        (at, "special", -0.00239112),
        (at + HOUR, "regular", 0.00003682),
    ]
    assert rows[1]["funding_rate"] == pytest.approx(-1.78 / (746.2 - 1.78), abs=5e-9)  # D = 1.78 dollars
    assert (rows[1]["base"], rows[1]["asset_class"]) == ("SPY", "equity")


def test_aster_does_not_mark_the_dividend_so_the_later_of_two_is_the_special_one(saved):
    rows = history(saved("aster", "fundingRate_BTCUSDT"), ASTER).to_dicts()
    assert [r["funding_rate"] for r in rows] == [0.00008093, 0.00006482, 0.00004447, 0.00004761]
    assert rows[0]["funding_time"] == datetime(2026, 9, 10, 8, tzinfo=UTC)
    assert {(r["mark_price"], r["rate_type"], r["interval_hours"]) for r in rows} == {(None, "regular", None)}
    grid = 1789200000000
    two = [paid("-0.002", grid + 9, "SPYUSDT"), paid("0.00002", grid + 1, "SPYUSDT")]
    found = history([*two, two[0]], ASTER).select("rate_type", "funding_rate").rows()
    assert sorted(found) == [("regular", 0.00002), ("special", -0.002)]
    with pytest.raises(BadPayload, match="nothing tells the regular one"):
        history([paid("0.1", grid), paid("-0.002", grid)], ASTER)
    with pytest.raises(BadPayload, match="3 payments at one instant"):
        history([paid("0.01", grid + n) for n in range(3)], ASTER)


def test_a_mark_is_per_one_token_and_blank_on_old_rows():
    rows = history(
        [
            paid(symbol="1000PEPEUSDT", markPrice="0.01100000"),
            paid(symbol="1000PEPEUSDT", t=1789228800000, markPrice=""),
            paid(symbol="1000PEPEUSDT", t=1789257600000, markPrice="0.00000000"),
        ]
    )
    assert set(rows["base"]) == {"PEPE"}
    assert rows["mark_price"].to_list() == [pytest.approx(0.000011), None, None]
    assert rows["funding_rate"].to_list() == [0.00004334] * 3


def test_coin_margined_history_has_its_own_symbols():
    row = history([paid("-0.00000100", symbol="BTCUSD_PERP")], COIN_M).row(0, named=True)
    assert (row["exchange"], row["base"], row["quote"]) == ("binance-coinm", "BTC", "USD")
    assert row["funding_rate"] == -0.000001


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (paid("NaN"), "finite"),
        (paid(""), "finite"),
        (paid("0.1_0"), "finite"),
        (paid(0.0001), "fundingRate"),
        (paid("0.11"), "beyond 0.1"),
        (paid(t=1789200000), "milliseconds"),
        (paid(t=1789200000003000), "milliseconds"),
        (paid(t=1789200060001), "within a minute"),
        (paid(t=1789199999000), "within a minute"),
        (paid(t="1789200000003"), "fundingTime"),
        (paid(symbol="ETHUSDT"), "asked was 'BTCUSDT'"),
        (paid(rateType="Bonus"), "rateType: is none of Regular, Special"),
        (paid(rateType=None), "rateType"),
        (paid(markPrice="-1"), "negative"),
        (paid(markPrice=77000.0), "markPrice"),
        ({"symbol": "BTCUSDT", "fundingTime": 1789200000003}, "fundingRate: is missing"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, told):
    market = Market("binance", "BTCUSDT", "BTC", "USDT", "crypto")
    with pytest.raises(BadPayload, match=told):
        history([paid(t=1789171200000), row], market=market)


def test_two_regular_payments_of_one_instant_contradict_each_other():
    with pytest.raises(SchemaError, match="repeated with different values"):
        history([paid(rateType="Regular"), paid("0.1", 1789200000005, rateType="Regular")])


def test_a_special_payment_may_be_larger_than_any_rate():
    row = history([paid("-9.00000000", rateType="Special")]).row(
        0, named=True
    )  # a split: nine new shares for one
    assert (row["funding_rate"], row["rate_type"]) == (-9.0, "special")


def test_an_empty_history_is_an_answer_and_an_object_is_none():
    assert history([]).is_empty()
    with pytest.raises(BadPayload):
        history({"code": -1121, "msg": "Invalid symbol."})


def test_the_large_real_file_reads_as_one_answer_a_symbol(shared):
    file = shared / "data/large/binance_usdm_symbols_0-L_2026-01_2026-03.parquet"
    real = pl.read_parquet(file).filter(pl.col("symbol").is_in(["0GUSDT", "1000PEPEUSDT", "BTCUSDT"]))
    for (symbol,), rows in real.group_by("symbol"):
        body = [
            paid(f"{r:.8f}", t, symbol)
            for t, _, r in rows.select("timestamp", "symbol", "funding_rate").rows()
        ]
        found = history(body)
        assert found.height == rows.height
        assert (found["reported_time"] - found["funding_time"]).max() < timedelta(milliseconds=100)
        assert found["funding_time"].dt.truncate("1h").equals(found["funding_time"])


def test_four_real_years_of_bitcoin_are_eight_hours_apart(shared):
    real = json.loads(
        (shared / "data/raw/binance/fundingRate_BTCUSDT_2022-01_2025-12_rekeyed.json").read_bytes()
    )
    body = [paid(row["funding_rate"], row["time"]) for row in real]
    rows = history(body)
    assert rows.height == 4377
    assert set(rows["funding_time"].diff().drop_nulls()) == {8 * HOUR}
    assert rows["funding_rate"].to_list() == [float(row["funding_rate"]) for row in real]
    exchange = Exchange(body)
    first, last = rows["funding_time"].min(), rows["funding_time"].max()
    assert walked(exchange, Window(first, last + HOUR)).height == 4377
    assert len(exchange.asked) == 5


# --- paging


class Exchange:
    """Oldest first from startTime, both bounds inclusive, at most `cap`, as the datasheet says."""

    def __init__(self, rows, cap=1000):
        self.rows, self.cap, self.asked = sorted(rows, key=lambda r: r["fundingTime"]), cap, []

    def answer(self, request):
        assert request.path == "/fundingRate"
        p = dict(request.params)
        assert p["limit"] == "1000"
        self.asked.append(p)
        low, high = int(p["startTime"]), int(p["endTime"])
        return [r for r in self.rows if p["symbol"] == r["symbol"] and low <= r["fundingTime"] <= high][
            : self.cap
        ]


def walked(exchange, window, fetcher=USD_M, hours=8):
    market = fetcher.market(exchange.rows[0]["symbol"])
    paging = replace(fetcher.history.paging, cap=min(exchange.cap, fetcher.history.paging.cap))
    walker, frames = walk(paging, window, hours * HOUR), []
    step = next(walker)
    while step is not None:
        request = fetcher.history.request(market, *step)
        frames.append(history(exchange.answer(request), fetcher, market))
        try:
            step = walker.send(Page(frames[-1]["funding_time"].to_list()))
        except StopIteration:
            step = None
    rows = pl.concat(frames).unique(list(FUNDING.key)).sort("funding_time", "rate_type")
    return rows.filter(pl.col("funding_time").is_between(window.start, window.stop, closed="left"))


START = datetime(2026, 1, 1, tzinfo=UTC)


@example(hours=[0, 33, 399], late=0, cap=5, ends=(0, 400), step=1)
@given(
    hours=st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True),
    late=st.integers(0, 9),
    cap=st.sampled_from([5, 7, 100, 1000]),
    ends=st.tuples(st.integers(-5, 200), st.integers(201, 410)),
    step=st.sampled_from([1, 4, 8]),
)
@settings(deadline=None, max_examples=60)
def test_every_payment_of_a_window_is_had_specials_too(hours, late, cap, ends, step):
    rows = []
    for hour in hours:
        t = to_ms(START + hour * HOUR) + late
        rows.append(paid("0.0001", t, rateType="Regular"))
        if hour % 3 == 0:
            rows.append(paid("-0.002", t + 5, rateType="Special"))
    window = Window(START + ends[0] * HOUR, START + ends[1] * HOUR)
    got = walked(Exchange(rows, cap), window, hours=step)
    due = {
        ((r["fundingTime"] // 3_600_000) * 3_600_000, r["rateType"].lower())
        for r in rows
        if window.start <= START + (r["fundingTime"] - to_ms(START)) // 3_600_000 * HOUR < window.stop
    }
    assert (
        set(zip(got["funding_time"].dt.epoch("ms").to_list(), got["rate_type"].to_list(), strict=True)) == due
    )


def test_a_year_of_hours_takes_nine_pages_and_a_quarter_of_eights_one():
    year = [paid(t=to_ms(START + n * HOUR)) for n in range(8760)]
    exchange = Exchange(year)
    assert walked(exchange, Window(START, START + 8760 * HOUR), hours=1).height == 8760
    assert len(exchange.asked) == 9
    quarter = Exchange(year[::8])
    assert walked(quarter, Window(START, START + 2160 * HOUR)).height == 270
    assert len(quarter.asked) == 1
    assert quarter.asked[0]["startTime"] == str(to_ms(START) - 3_600_000)
    assert quarter.asked[0]["endTime"] == str(to_ms(START + 2160 * HOUR) - 1)


# --- current


def test_current_as_worked_on_the_page(saved):
    markets = known(saved("binance", "exchangeInfo_tradfi"), saved("binance", "fundingInfo_tradfi"))
    rows = current(saved("binance", "premiumIndex_tradfi"), markets=markets)
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
    hours = current(saved("binance", "fundingInfo_tradfi"), markets=markets, endpoint="fundingInfo")
    assert {s: r["interval_hours"] for s, r in hours.items()} == {
        "CATUSDT": 8.0,
        "1000CATUSDT": 4.0,
        "XAUUSDT": 4.0,
    }
    assert {r["funding_rate"] for r in hours.values()} == {None}


def test_plain_markets_on_eight_and_on_four_hours(saved):
    markets = known(saved("binance", "exchangeInfo"), saved("binance", "fundingInfo"))
    assert {s: m.interval_hours for s, m in markets.items()} == {
        "BTCUSDT": 8.0,
        "ETHUSDT": 8.0,
        "LPTUSDT": 4.0,
    }
    rows = current(saved("binance", "premiumIndex"), markets=markets)
    assert {s: r["funding_rate"] for s, r in rows.items()} == {
        "LPTUSDT": 0.00005,
        "ETHUSDT": -0.00001791,
        "BTCUSDT": 0.0000668,
    }
    assert rows["BTCUSDT"]["next_funding_time"] == datetime(2026, 9, 13, 16, tzinfo=UTC)
    assert rows["BTCUSDT"]["mark_price"] == 76979.73397101


def test_aster_as_worked_on_the_page(saved):
    markets = known(saved("aster", "exchangeInfo"), saved("aster", "fundingInfo"), fetcher=ASTER)
    assert {s: (m.interval_hours, m.rate_cap) for s, m in markets.items()} == {
        "BTCUSDT": (8.0, 0.003),
        "SUSHIUSDT": (1.0, 0.02),
    }  # BTCUSD and GNSUSD are listed nowhere
    rows = current(saved("aster", "premiumIndex"), ASTER, markets)
    assert set(rows) == {"BTCUSDT", "SUSHIUSDT"}
    assert rows["SUSHIUSDT"]["funding_rate"] == -0.00000112
    assert rows["SUSHIUSDT"]["next_funding_time"] == datetime(2026, 9, 11, 18, tzinfo=UTC)
    markets = known(
        saved("aster", "exchangeInfo_tradfi"), saved("aster", "fundingInfo_tradfi"), fetcher=ASTER
    )
    rows = current(saved("aster", "premiumIndex_tradfi"), ASTER, markets)
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


def test_coin_margined_markets_have_no_interval_since_nothing_tells_it():
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
    answer = [
        {
            "symbol": "BTCUSD_PERP",
            "lastFundingRate": "0.00010000",
            "nextFundingTime": 1789315200000,
            **premium,
        },
        {"symbol": "BTCUSD_261225", "lastFundingRate": "", "nextFundingTime": 0, **premium},
    ]
    for markets in ({}, known(body, [], fetcher=COIN_M)):
        (row,) = current(answer, COIN_M, markets).values()
        assert (row["symbol"], row["funding_rate"], row["interval_hours"]) == ("BTCUSD_PERP", 0.0001, None)
    assert [r.endpoint for r in COIN_M.current.requests([])] == ["premiumIndex"]


def test_an_estimate_beyond_the_cap_of_its_market_is_refused(saved):
    markets = known(saved("aster", "exchangeInfo"), saved("aster", "fundingInfo"), fetcher=ASTER)
    body = json.loads(saved("aster", "premiumIndex"))
    body[-1]["lastFundingRate"] = "0.00300000"
    assert current(body, ASTER, markets)["BTCUSDT"]["funding_rate"] == 0.003
    body[-1]["lastFundingRate"] = "0.00300001"
    with pytest.raises(BadPayload, match="BTCUSDT: 0.00300001 is beyond 0.003"):
        current(body, ASTER, markets)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lastFundingRate": ""}, "finite"),
        ({"lastFundingRate": 0.0001}, "lastFundingRate"),
        ({"nextFundingTime": 1789315200}, "milliseconds"),
        ({"nextFundingTime": 1789315200001}, "full hour"),
        ({"time": 1789308896}, "milliseconds"),
        ({"markPrice": "-1"}, "negative"),
    ],
)
def test_one_bad_estimate_spoils_the_answer(saved, change, told):
    body = json.loads(saved("binance", "premiumIndex"))
    body[0] |= change
    with pytest.raises(BadPayload, match=told):
        current(body)


def test_where_no_payment_is_due_zero_is_no_rate(shared):
    body = (shared / "data/raw/binance/premiumIndex_excerpt_2025-10-04.json").read_bytes()
    dead = next(row["symbol"] for row in json.loads(body) if row["nextFundingTime"] == 0)
    assert dead == "BALUSDT"
    assert set(current(body)) == {row["symbol"] for row in json.loads(body)} - {dead}
    market = Market("binance", dead, "BAL", "USDT", "crypto")
    row = current(body, markets={dead: market})[dead]
    assert (row["funding_rate"], row["next_funding_time"], row["mark_price"]) == (None, None, 1.25343333)


def test_real_answers_of_other_days_are_read(shared):
    raw = shared / "data/raw"
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


def test_stocks_gold_and_multiples_are_listed_and_dated_contracts_are_not(saved):
    rows = listed(saved("binance", "exchangeInfo_tradfi"), saved("binance", "fundingInfo_tradfi"))
    assert {
        s: (r["base"], r["multiplier"], r["asset_class"], r["interval_hours"]) for s, r in rows.items()
    } == {
        "CATUSDT": ("CAT", 1.0, "equity", 8.0),
        "1000CATUSDT": ("CAT", 1000.0, "crypto", 4.0),
        "XAUUSDT": ("XAU", 1.0, "commodity", 4.0),
    }
    assert {r["status"] for r in rows.values()} == {"active"}


def test_base_and_quote_come_from_their_own_fields(saved):
    body = json.loads(saved("binance", "exchangeInfo_tradfi"))
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
def test_the_class_is_what_the_listing_states(saved, change, expected):
    body = json.loads(saved("binance", "exchangeInfo_tradfi"))
    body["symbols"] = [{**body["symbols"][0], **change}]
    (row,) = listed(body).values()
    assert row["asset_class"] == expected


@pytest.mark.parametrize(
    ("exchange", "change", "told"),
    [
        ("binance", {"status": "PAUSED"}, "status: of CATUSDT is none of"),
        ("binance", {"status": None}, "status: of CATUSDT is none of"),
        ("binance", {"contractType": "FOREVER"}, "contractType: of CATUSDT is neither"),
        ("binance", {"contractType": ""}, "contractType: of CATUSDT is neither"),
        ("binance", {"underlyingType": "WEATHER"}, "underlyingType: of CATUSDT names no known kind"),
        ("binance", {"baseAsset": ""}, "is empty"),
        ("binance", {"onboardDate": 1569398400}, "milliseconds"),
        ("aster", {"symbolType": 1}, "underlyingSubType: of RTXUSDT names no known kind"),
    ],
)
def test_a_listing_that_no_table_knows_is_refused_by_name(saved, exchange, change, told):
    body = json.loads(saved(exchange, "exchangeInfo_tradfi"))
    body["symbols"][0] |= change
    if exchange == "binance" and "underlyingType" in change:
        body["symbols"][0]["baseAsset"] = "QQQQ"
    if exchange == "aster":
        body["symbols"][0]["baseAsset"] = "NOBODY"
    with pytest.raises(BadPayload, match=told):
        listed(body, fetcher=BY_NAME[exchange])


def test_statuses_are_those_of_the_lake(saved):
    row = json.loads(saved("binance", "exchangeInfo_tradfi"))["symbols"][0]
    body = {"symbols": [{**row, "symbol": f"{s}USDT", "status": s} for s in ("SETTLING", "CLOSE", "TRADING")]}
    pending = {**row, "symbol": "NEWUSDT", "status": "PENDING_TRADING", "contractType": ""}
    body["symbols"].append(pending)
    assert {s: r["status"] for s, r in listed(body).items()} == {
        "SETTLINGUSDT": "inactive",
        "CLOSEUSDT": "delisted",
        "TRADINGUSDT": "active",
        "NEWUSDT": "prelisted",
    }


def test_caps_are_text_on_binance_numbers_on_aster_and_may_be_absent(saved):
    body = [
        {
            "symbol": "BTCUSDT",
            "fundingIntervalHours": 8,
            "adjustedFundingRateCap": "0.00300000",
            "adjustedFundingRateFloor": "-0.02000000",
        }
    ]
    assert listed(saved("binance", "exchangeInfo"), body)["BTCUSDT"]["rate_cap"] == 0.02
    old = json.loads(saved("aster", "fundingInfo"))
    for row in old:
        row |= {"fundingFeeCap": None, "fundingFeeFloor": None}
    assert listed(saved("aster", "exchangeInfo"), old, fetcher=ASTER)["BTCUSDT"]["rate_cap"] is None
    for hours in (0, 25, 8.5, "8", None):
        bad = copy.deepcopy(body)
        bad[0]["fundingIntervalHours"] = hours
        with pytest.raises(BadPayload, match="fundingIntervalHours"):
            listed(saved("binance", "exchangeInfo"), bad)


@pytest.mark.parametrize("symbol", ["BTC", "USDT", "", "BTC-EUR"])
def test_a_symbol_without_a_known_quote_is_no_market(symbol):
    with pytest.raises(BadCall, match="names look like BTCUSDT"):
        USD_M.market(symbol)


# --- requests and refusals


def test_what_is_asked_and_what_it_weighs():
    for fetcher in BY_NAME.values():
        assert (fetcher.budget.capacity, fetcher.budget.per_seconds) == (500, 300)
        assert [r.path for r in fetcher.markets.requests([])] == ["/exchangeInfo", "/fundingInfo"]
    assert [r.path for r in USD_M.current.requests([])] == ["/premiumIndex", "/fundingInfo"]
    request = USD_M.history.request(USD_M.market("BTCUSDT"), Window(START, START + HOUR), None)
    assert (request.method, request.path, request.cost) == ("GET", "/fundingRate", 1.0)
    assert len({f.budget.scope for f in BY_NAME.values()}) == 3


def test_refusals_say_what_to_do():
    def refusal(status, body=b""):
        return USD_M.refusal(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    assert isinstance(refusal(400, {"code": -1121, "msg": "Invalid symbol."}), BadCall)
    assert "fundingdb markets binance" in str(refusal(400, {"code": -1121, "msg": "Invalid symbol."}))
    assert isinstance(refusal(429, {"code": -1003, "msg": "Too many requests"}), RateLimited)
    assert isinstance(refusal(418), RateLimited)
    assert "country" in str(
        refusal(451, {"code": 0, "msg": "Service unavailable from a restricted location"})
    )
    assert isinstance(refusal(403, b"<html>"), Refused)
    assert isinstance(refusal(200, {"code": -1000, "msg": "?"}), Refused)
    assert refusal(200, b"[]") is None
    assert refusal(200, {"symbols": []}) is None
    assert refusal(503, b"<html>") is None
