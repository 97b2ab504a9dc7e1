"""edgeX V2: worked examples by hand, recorded responses, hidden contracts, paging by cursor, refusals."""

import json
from datetime import UTC, datetime

import pytest

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.edgex import FETCHER, symbol_market
from fundingdb.fetchers.identity import Identity, identify
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import HOUR, Window, to_ms
from tests.fetchers.edgex.case import AT, BTC, RESPONSES, page, rate_row, serve, written
from tests.fetchers.played import played, text, whole
from tests.fetchers.walking import walked


def history(body, market=None):
    context = ResponseContext(AT, market=market or symbol_market("BTCUSDC"))
    return FUNDING.check(FETCHER.history.parse(text(body), context)).to_dicts()


def markets(body):
    rows = MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def listed():
    return {s: market_of(row) for s, row in markets(written("getMetaData")).items()}


def current(body, known):
    rows = SNAPSHOTS.check(
        whole(FETCHER.current.parse, text(body), ResponseContext(AT, markets=known))
    ).to_dicts()
    return {r["symbol"]: r for r in rows}


def test_current_is_the_forecast_and_neither_the_settled_rate_nor_the_interest():
    rows = current(written("getLatestFundingRate"), listed())
    assert {s: (r["funding_rate"], r["interval_hours"]) for s, r in rows.items()} == {
        "BTCUSDC": (-0.00005592, 4.0),
        "SPYUSDC": (0.00045657, 4.0),
        "1000PEPEUSDC": (0.00005, 4.0),
    }
    assert {r["next_funding_time"] for r in rows.values()} == {datetime(2026, 9, 14, tzinfo=UTC)}
    pepe = rows["1000PEPEUSDC"]
    assert (pepe["base"], pepe["mark_price"]) == ("PEPE", pytest.approx(0.000003353667202044079))
    assert {r["rate_step"] for r in rows.values()} == {1e-8}


def test_a_hidden_contract_shows_a_rate_and_gives_no_snapshot():
    shown = {r["contractId"] for r in json.loads(written("getLatestFundingRate"))["data"]}
    assert listed()["ZROUSDC"].native_id in shown
    assert listed()["ZROUSDC"].status == "inactive"
    assert "ZROUSDC" not in current(written("getLatestFundingRate"), listed())
    (request,) = FETCHER.current.requests(list(listed().values()))
    assert request.params == (("contractId", "30000001,30000010,30000046"),)


def test_an_empty_forecast_is_no_rate_of_zero():
    body = json.loads(written("getLatestFundingRate"))
    body["data"][3]["forecastFundingRate"] = ""
    rows = current(body, listed())
    assert (rows["BTCUSDC"]["funding_rate"], rows["BTCUSDC"]["native_rate"]) == (None, None)
    body["data"][3]["forecastFundingRate"] = "0"
    assert current(body, listed())["BTCUSDC"]["funding_rate"] == 0.0


def test_markets_read_base_quote_interval_cap_class_and_status():
    assert {
        s: (r["base"], r["multiplier"], r["asset_class"], r["status"], r["interval_hours"], r["rate_cap"])
        for s, r in markets(written("getMetaData")).items()
    } == {
        "BTCUSDC": ("BTC", 1.0, "crypto", "active", 4.0, 0.002),
        "SPYUSDC": ("SPY", 1.0, "equity", "active", 4.0, 0.004),
        "1000PEPEUSDC": ("PEPE", 1000.0, "crypto", "active", 4.0, 0.004),
        "ZROUSDC": ("ZRO", 1.0, "crypto", "inactive", 4.0, 0.02),
    }
    bitcoin = markets(written("getMetaData"))["BTCUSDC"]
    assert (bitcoin["quote"], bitcoin["collateral"], bitcoin["max_leverage"]) == ("USDC", "USDC", 100.0)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"enableTrade": False}, "inactive"),
        ({"enableOpenPosition": False}, "reduce_only"),
        ({"enableDisplay": False}, "inactive"),
    ],
)
def test_what_is_not_free_to_trade_is_not_active(change, status):
    body = json.loads(written("getMetaData"))
    body["data"]["contractList"][0] |= change
    assert markets(body)["BTCUSDC"]["status"] == status


def test_the_name_of_the_coin_counts_and_the_statement_of_class():
    body = json.loads(written("getMetaData"))
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


def test_commodities_are_commodities_by_the_tables():
    assert {symbol_market(name).asset_class for name in ("XAUUSDC", "XAGUSDC")} == {"commodity"}
    assert identify("edgex", "BZ") == Identity("BRENT", 1.0, "commodity")


def test_without_the_markets_or_the_market_a_response_of_ids_is_refused():
    with pytest.raises(BadCall, match="getMetaData"):
        current(written("getLatestFundingRate"), {})
    with pytest.raises(BadCall, match="--symbol"):
        FETCHER.history.parse(written("getFundingRatePage_30000001"), ResponseContext(AT))
    with pytest.raises(BadCall, match="contract id"):
        FETCHER.history.request(symbol_market("BTCUSDC"), Window(AT - HOUR, AT), None)


# --- paging


LAST = datetime(2026, 9, 13, 20, tzinfo=UTC)
THERE = [LAST - n * 4 * HOUR for n in range(240)]


def times(venue, window):
    return walked(FETCHER, BTC, venue, window)["funding_time"].to_list()


@pytest.mark.parametrize("cap", [100, 37, 5])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 99), (0, 100), (10, 201), (230, 500)])
def test_every_payment_of_a_window_is_found_whatever_the_cap(newest, oldest, cap):
    window = Window(LAST - oldest * 4 * HOUR, LAST - newest * 4 * HOUR + HOUR)
    venue, _ = played(serve, THERE, cap=cap)
    assert times(venue, window) == sorted(t for t in THERE if window.start <= t < window.stop)


def test_whole_pages_of_samples_hide_no_payment():
    venue, requests = played(serve, THERE, samples=240)  # the filter ignored: a row a minute
    assert times(venue, Window(THERE[9], LAST + HOUR)) == sorted(THERE[:10])
    assert len(requests) > 20


def test_a_window_without_payments_is_proven_by_one_response():
    venue, requests = played(serve, THERE)
    assert times(venue, Window(THERE[-1] - 800 * HOUR, THERE[-1] - 100 * HOUR)) == []
    assert len(requests) == 1


def test_the_cursor_is_handed_back_as_it_came_and_ends_where_it_is_empty():
    assert FETCHER.history.next_cursor(written("getFundingRatePage_30000001")) == "0880F48DD58934"
    assert FETCHER.history.next_cursor(text(page(rate_row()))) is None
    assert FETCHER.history.next_cursor(text(page(cursor="more"))) is None  # no rows: the end
    params = dict(
        FETCHER.history.request(listed()["BTCUSDC"], Window(AT - HOUR, AT), "0880F48DD58934").params
    )
    assert params["offsetData"] == "0880F48DD58934"


# --- corruption


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fundingRate": ""}, "fundingRate"),
        ({"fundingRate": -0.00005067}, "fundingRate"),
        ({"fundingRate": "-5.067"}, "unit"),
        ({"fundingTime": "1789329600"}, "milliseconds"),
        ({"fundingTime": 1789329600000}, "fundingTime"),
        ({"fundingTime": "1789329660000"}, "minute"),
        ({"fundingRateIntervalMin": "4"}, "minutes"),
        ({"markPrice": "-1"}, "negative"),
        ({"isSettlement": "true"}, "isSettlement"),
        ({"contractId": "30000002"}, "requested was"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_response(fields, words):
    with pytest.raises(BadPayload, match=words):
        history(page(rate_row(LAST - 4 * HOUR), rate_row(**fields)), listed()["BTCUSDC"])


@pytest.mark.parametrize(
    "change",
    [
        {"baseCoinId": "9"},
        {"contractId": "x"},
        {"contractName": ""},
        {"fundingMaxRate": ""},
        {"fundingMaxRate": "2"},
        {"fundingRateIntervalMin": "0"},
        {"isFx": "false"},
    ],
)
def test_a_contract_that_is_not_as_described_is_refused(change):
    body = json.loads(written("getMetaData"))
    body["data"]["contractList"][0] |= change
    with pytest.raises(BadPayload):
        markets(body)


def test_a_forecast_beyond_twice_the_cap_is_another_unit():
    body = json.loads(written("getLatestFundingRate"))
    body["data"][3]["forecastFundingRate"] = "0.004"
    assert current(body, listed())["BTCUSDC"]["funding_rate"] == 0.004
    body["data"][3]["forecastFundingRate"] = "0.0041"
    with pytest.raises(BadPayload, match="unit"):
        current(body, listed())


def test_an_error_envelope_is_no_history_and_names_are_checked():
    with pytest.raises(BadPayload, match="SUCCESS"):
        history({"code": "GATEWAY_INTERNAL_ERROR", "data": {}})
    for name in ("BTC", "USDC", "BTCUSD", ""):
        with pytest.raises(BadCall):
            symbol_market(name)


def test_the_recorded_responses_are_read_as_those_written_here(shared):
    folder = shared / "venues/payloads/edgex-v2"
    recorded = {name: (folder / f"{name}.json").read_bytes() for name in RESPONSES}
    assert markets(recorded["getMetaData"]) == markets(written("getMetaData"))
    known = {s: market_of(row) for s, row in markets(recorded["getMetaData"]).items()}
    page_of_btc, latest = "getFundingRatePage_30000001", "getLatestFundingRate"
    paid = history(recorded[page_of_btc], known["BTCUSDC"])
    assert paid == history(written(page_of_btc), known["BTCUSDC"])
    assert current(recorded[latest], known) == current(written(latest), known)
    # the settled rate of the current call is the newest row of history, though its isSettlement is false
    (bitcoin,) = [r for r in json.loads(recorded[latest])["data"] if r["contractId"] == "30000001"]
    assert float(bitcoin["fundingRate"]) == paid[-1]["funding_rate"]
    assert int(bitcoin["fundingTime"]) == to_ms(paid[-1]["funding_time"])
    assert bitcoin["isSettlement"] is False
    # the venue's own tab of commodities holds nothing that the tables call otherwise
    labels = json.loads((folder / "contract-labels.json").read_bytes())["data"]
    names = {
        c["contractName"]
        for tab in labels
        if (tab["productCategory"], tab["multiLanguageKey"]) == ("PrepV2", "tabs.commodities")
        for c in tab["contracts"]
    }
    assert names == {"XAUUSDC", "XAGUSDC"}
    assert {symbol_market(name).asset_class for name in names} == {"commodity"}
