"""edgeX V2: recorded answers, worked examples by hand, hidden contracts, paging by cursor, refusals."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.edgex import FETCHER, symbol_market
from fundingdb.fetchers.identity import Identity, identify
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk
from fundingdb.window import Window, to_ms

AT = datetime(2026, 9, 13, 22, 37, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def payloads(shared):
    return lambda name: (shared / "venues/payloads/edgex-v2" / name).read_bytes()


@pytest.fixture(scope="module")
def known(payloads):
    return {s: market_of(row) for s, row in markets(payloads("getMetaData.json")).items()}


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def history(body, market=None):
    asked = ResponseContext(AT, market=market or symbol_market("BTCUSDC"))
    return FUNDING.check(FETCHER.history.parse(text(body), asked)).to_dicts()


def markets(body):
    rows = MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, known):
    rows = SNAPSHOTS.check(FETCHER.current.parse(text(body), ResponseContext(AT, markets=known))).to_dicts()
    return {r["symbol"]: r for r in rows}


def row(at=datetime(2026, 9, 13, 20, tzinfo=UTC), **fields):
    return {
        "contractId": "30000001",
        "fundingTime": str(to_ms(at)),
        "fundingRate": "-0.00005067",
        "isSettlement": True,
        "forecastFundingRate": "",
        "markPrice": "77238.85",
        "indexPrice": "77269.85",
        "fundingRateIntervalMin": "240",
    } | fields


def page(*rows, cursor=""):
    return {"code": "SUCCESS", "data": {"dataList": list(rows), "nextPageOffsetData": cursor}, "msg": None}


def test_history_as_worked_on_the_page(payloads, known):
    older, row = history(payloads("getFundingRatePage_30000001.json"), known["BTCUSDC"])
    assert [r["funding_time"] for r in (older, row)] == [
        datetime(2026, 9, 13, 16, tzinfo=UTC),
        datetime(2026, 9, 13, 20, tzinfo=UTC),
    ]
    assert (row["funding_rate"], row["native_rate"]) == (-0.00005067, -0.00005067)
    assert (row["interval_hours"], row["interval_from"]) == (4.0, "row")
    assert (row["base"], row["quote"], row["asset_class"]) == ("BTC", "USDC", "crypto")
    assert (row["mark_price"], row["index_price"]) == (77238.85668601845, 77269.8500661371)
    assert older["funding_rate"] == -0.0000522  # `previousFundingRate` of the newer row


def test_current_is_the_forecast_and_neither_the_settled_rate_nor_the_interest(payloads, known):
    rows = current(payloads("getLatestFundingRate.json"), known)
    assert {s: (r["funding_rate"], r["interval_hours"]) for s, r in rows.items()} == {
        "BTCUSDC": (-0.00005592, 4.0),
        "SPYUSDC": (0.00045657, 4.0),
        "1000PEPEUSDC": (0.00005, 4.0),
    }
    assert {r["next_funding_time"] for r in rows.values()} == {datetime(2026, 9, 14, tzinfo=UTC)}
    pepe = rows["1000PEPEUSDC"]
    assert (pepe["base"], pepe["mark_price"]) == ("PEPE", pytest.approx(0.000003353667202044079))
    assert {r["rate_step"] for r in rows.values()} == {1e-8}


def test_the_settled_rate_of_the_current_call_is_the_newest_row_of_history(payloads, known):
    latest = json.loads(payloads("getLatestFundingRate.json"))["data"]
    (bitcoin,) = [r for r in latest if r["contractId"] == "30000001"]
    newest = history(payloads("getFundingRatePage_30000001.json"), known["BTCUSDC"])[-1]
    assert float(bitcoin["fundingRate"]) == newest["funding_rate"]
    assert int(bitcoin["fundingTime"]) == to_ms(newest["funding_time"])
    assert bitcoin["isSettlement"] is False  # though it is the settled one


def test_a_hidden_contract_shows_a_rate_and_gives_no_snapshot(payloads, known):
    shown = {r["contractId"] for r in json.loads(payloads("getLatestFundingRate.json"))["data"]}
    assert known["ZROUSDC"].native_id in shown
    assert known["ZROUSDC"].status == "inactive"
    assert "ZROUSDC" not in current(payloads("getLatestFundingRate.json"), known)
    (request,) = FETCHER.current.requests(list(known.values()))
    assert request.params == (("contractId", "30000001,30000010,30000046"),)


def test_an_empty_forecast_is_no_rate_of_zero(payloads, known):
    body = json.loads(payloads("getLatestFundingRate.json"))
    body["data"][3]["forecastFundingRate"] = ""
    rows = current(body, known)
    assert (rows["BTCUSDC"]["funding_rate"], rows["BTCUSDC"]["native_rate"]) == (None, None)
    body["data"][3]["forecastFundingRate"] = "0"
    assert current(body, known)["BTCUSDC"]["funding_rate"] == 0.0


def test_markets_read_base_quote_interval_cap_class_and_status(payloads):
    assert {
        s: (r["base"], r["multiplier"], r["asset_class"], r["status"], r["interval_hours"], r["rate_cap"])
        for s, r in markets(payloads("getMetaData.json")).items()
    } == {
        "BTCUSDC": ("BTC", 1.0, "crypto", "active", 4.0, 0.002),
        "SPYUSDC": ("SPY", 1.0, "equity", "active", 4.0, 0.004),
        "1000PEPEUSDC": ("PEPE", 1000.0, "crypto", "active", 4.0, 0.004),
        "ZROUSDC": ("ZRO", 1.0, "crypto", "inactive", 4.0, 0.02),
    }
    bitcoin = markets(payloads("getMetaData.json"))["BTCUSDC"]
    assert (bitcoin["quote"], bitcoin["collateral"], bitcoin["max_leverage"]) == ("USDC", "USDC", 100.0)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"enableTrade": False}, "inactive"),
        ({"enableOpenPosition": False}, "reduce_only"),
        ({"enableDisplay": False}, "inactive"),
    ],
)
def test_what_is_not_free_to_trade_is_not_active(payloads, change, status):
    body = json.loads(payloads("getMetaData.json"))
    body["data"]["contractList"][0] |= change
    assert markets(body)["BTCUSDC"]["status"] == status


def test_the_name_of_the_coin_counts_and_the_statement_of_class(payloads):
    body = json.loads(payloads("getMetaData.json"))
    bitcoin = body["data"]["contractList"][0]
    bitcoin["contractName"] = "\u54c8\u57fa\u7c73USDC"
    body["data"]["coinList"][1]["coinName"] = "COIN"  # a share by the tables, here a contract that is none
    row = markets(body)["\u54c8\u57fa\u7c73USDC"]
    assert (row["base"], row["asset_class"]) == ("COIN", "crypto")
    bitcoin["isStock"] = True
    assert markets(body)["\u54c8\u57fa\u7c73USDC"]["asset_class"] == "equity"
    bitcoin |= {"isStock": False, "isFx": True}
    body["data"]["coinList"][1]["coinName"] = "EUR"
    row = markets(body)["\u54c8\u57fa\u7c73USDC"]
    assert (row["base"], row["asset_class"]) == ("EURUSD", "fx")
    body["data"]["coinList"][1]["coinName"] = "JPY"  # 0.00649: dollars of a yen, joined with no USDJPY
    assert markets(body)["\u54c8\u57fa\u7c73USDC"]["base"] == "JPYUSD"


def test_the_commodities_of_its_own_tabs_are_commodities(payloads):
    labels = json.loads(payloads("contract-labels.json"))["data"]
    names = {
        c["contractName"]
        for tab in labels
        if (tab["productCategory"], tab["multiLanguageKey"]) == ("PrepV2", "tabs.commodities")
        for c in tab["contracts"]
    }
    assert names == {"XAUUSDC", "XAGUSDC"}
    assert {symbol_market(name).asset_class for name in names} == {"commodity"}
    assert identify("edgex", "BZ") == Identity("BRENT", 1.0, "commodity")


def test_without_the_markets_or_the_market_an_answer_of_ids_is_refused(payloads):
    with pytest.raises(BadCall, match="getMetaData"):
        current(payloads("getLatestFundingRate.json"), {})
    with pytest.raises(BadCall, match="--symbol"):
        FETCHER.history.parse(payloads("getFundingRatePage_30000001.json"), ResponseContext(AT))
    with pytest.raises(BadCall, match="contract id"):
        FETCHER.history.request(symbol_market("BTCUSDC"), Window(AT - HOUR, AT), None)


# --- paging against an answerer with the exchange's order, cap, bounds and cursor


class Answerer:
    """Newest first within [begin, end), at most `cap` rows; the cursor is where the next page begins, "" at the end."""

    def __init__(self, times, cap=100, samples=0):
        rows = [(t, True) for t in times]
        rows += [(t, False) for t in times for _ in range(samples)]
        self.rows, self.cap, self.asked = sorted(rows, reverse=True), cap, 0

    def answer(self, request):
        asked = dict(request.params)
        assert (asked["contractId"], asked["filterSettlementFundingRate"]) == ("30000001", "true")
        self.asked += 1
        begin, end = int(asked["filterBeginTimeInclusive"]), int(asked["filterEndTimeExclusive"])
        fit = [(t, s) for t, s in self.rows if begin <= to_ms(t) < end]
        first = int(asked.get("offsetData", "0"))
        some = fit[first : first + self.cap]
        last = first + len(some)
        return text(
            page(*(row(t, isSettlement=s) for t, s in some), cursor=str(last) if last < len(fit) else "")
        )


def walked(answerer, market, window):
    walker = walk(FETCHER.history.paging, window, 4 * HOUR)
    found, step = set(), next(walker, None)
    while step is not None:
        body = answerer.answer(FETCHER.history.request(market, *step))
        times = [r["funding_time"] for r in history(body, market)]
        found |= {t for t in times if window.start <= t < window.stop}
        try:
            step = walker.send(Page(times, FETCHER.history.next_cursor(body)))
        except StopIteration:
            step = None
    return sorted(found)


LAST = datetime(2026, 9, 13, 20, tzinfo=UTC)
THERE = [LAST - n * 4 * HOUR for n in range(240)]


@pytest.mark.parametrize("cap", [100, 37, 5])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 99), (0, 100), (10, 201), (230, 500)])
def test_every_payment_of_a_window_is_found_whatever_the_cap(known, newest, oldest, cap):
    window = Window(LAST - oldest * 4 * HOUR, LAST - newest * 4 * HOUR + HOUR)
    want = sorted(t for t in THERE if window.start <= t < window.stop)
    assert walked(Answerer(THERE, cap), known["BTCUSDC"], window) == want


def test_whole_pages_of_samples_hide_no_payment(known):
    answerer = Answerer(THERE, samples=240)  # the filter ignored: a row a minute
    assert walked(answerer, known["BTCUSDC"], Window(THERE[9], LAST + HOUR)) == sorted(THERE[:10])
    assert answerer.asked > 20


def test_a_window_without_payments_is_proven_by_one_answer(known):
    answerer = Answerer(THERE)
    window = Window(THERE[-1] - 800 * HOUR, THERE[-1] - 100 * HOUR)
    assert (walked(answerer, known["BTCUSDC"], window), answerer.asked) == ([], 1)


def test_the_cursor_is_handed_back_as_it_came_and_ends_where_it_is_empty(payloads, known):
    assert FETCHER.history.next_cursor(payloads("getFundingRatePage_30000001.json")) == "0880F48DD58934"
    assert FETCHER.history.next_cursor(text(page(row()))) is None
    assert FETCHER.history.next_cursor(text(page(cursor="more"))) is None  # no rows: the end
    asked = dict(FETCHER.history.request(known["BTCUSDC"], Window(AT - HOUR, AT), "0880F48DD58934").params)
    assert asked["offsetData"] == "0880F48DD58934"


# --- corruption


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"fundingRate": ""}, "fundingRate"),
        ({"fundingRate": -0.00005067}, "fundingRate"),
        ({"fundingRate": "-5.067"}, "unit"),
        ({"fundingTime": "1789329600"}, "milliseconds"),
        ({"fundingTime": 1789329600000}, "fundingTime"),
        ({"fundingTime": "1789329660000"}, "minute"),
        ({"fundingRateIntervalMin": "4"}, "minutes"),
        ({"fundingRateIntervalMin": 240}, "fundingRateIntervalMin"),
        ({"markPrice": "-1"}, "negative"),
        ({"isSettlement": "true"}, "isSettlement"),
        ({"contractId": "30000002"}, "asked was"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(known, fields, told):
    with pytest.raises(BadPayload, match=told):
        history(page(row(LAST - 4 * HOUR), row(**fields)), known["BTCUSDC"])


@pytest.mark.parametrize(
    "change",
    [
        {"baseCoinId": "9"},
        {"contractId": "x"},
        {"contractName": ""},
        {"fundingMaxRate": ""},
        {"fundingRateIntervalMin": "0"},
        {"isFx": "false"},
    ],
)
def test_a_contract_that_is_not_as_described_is_refused(payloads, change):
    body = json.loads(payloads("getMetaData.json"))
    body["data"]["contractList"][0] |= change
    with pytest.raises(BadPayload):
        markets(body)


def test_a_forecast_beyond_twice_the_cap_is_another_unit(payloads, known):
    body = json.loads(payloads("getLatestFundingRate.json"))
    body["data"][3]["forecastFundingRate"] = "0.004"
    assert current(body, known)["BTCUSDC"]["funding_rate"] == 0.004
    body["data"][3]["forecastFundingRate"] = "0.0041"
    with pytest.raises(BadPayload, match="unit"):
        current(body, known)


def test_refusals_come_with_status_200_too_and_names_are_checked():
    for body in (b'{"code": "RATE_LIMIT_EXCEEDED"}', b'{"msg": "", "code":"RATE_LIMIT_EXCEEDED"}'):
        assert isinstance(FETCHER.refusal(200, body), RateLimited)
    assert isinstance(FETCHER.refusal(200, b'{"code": "GATEWAY_PARAM_REQUIRED"}'), Refused)
    assert isinstance(FETCHER.refusal(429, b""), RateLimited)
    assert FETCHER.refusal(200, text(page())) is None
    with pytest.raises(BadPayload, match="SUCCESS"):
        history({"code": "GATEWAY_INTERNAL_ERROR", "data": {}})
    for name in ("BTC", "USDC", "BTCUSD", ""):
        with pytest.raises(BadCall):
            symbol_market(name)
