"""dYdX: worked examples by hand, recorded responses, paging, refusals."""

import json
from datetime import UTC, datetime

import pytest

from fundingdb.errors import BadCall, BadPayload, SchemaError
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.dydx import CAP, FETCHER, symbol_market
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import HOUR, Window
from tests.fetchers.dydx.case import AT, LINK, RESPONSES, page, payment, serve, written
from tests.fetchers.played import played, text, whole
from tests.fetchers.walking import walked


def history(body, symbol=None):
    market = symbol_market(symbol) if symbol else None
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market))).to_dicts()


def current(body):
    rows = SNAPSHOTS.check(whole(FETCHER.current.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def markets(body):
    rows = MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def test_current_holds_the_markets_that_trade_and_zero_is_a_rate():
    rows = current(written("perpetualMarkets"))
    assert set(rows) == {"BTC-USD", "ETH-USD"}  # MATIC is in final settlement
    assert rows["BTC-USD"]["funding_rate"] == 0.0
    eth = rows["ETH-USD"]
    assert eth["funding_rate"] == eth["native_rate"] == -0.00000022767857142857
    assert eth["next_funding_time"] == datetime(2026, 9, 13, 23, tzinfo=UTC)
    assert (eth["mark_price"], eth["index_price"], eth["open_interest"]) == (None, 2577.379583, 3976.853)
    assert eth["open_interest_usd"] == pytest.approx(10_249_859.7, rel=1e-6)  # 3976.853 x 2577.379583
    assert eth["volume_24h_usd"] == 7656688.5006


def test_a_closed_market_with_a_rate_gives_no_snapshot():
    body = written("perpetualMarkets_tradfi")
    assert json.loads(body)["markets"]["EUR-USD"]["nextFundingRate"] == "0.0000125"
    assert set(current(body)) == {"WTI-USD"}
    listed = markets(body)
    assert (listed["EUR-USD"]["base"], listed["EUR-USD"]["asset_class"]) == ("EURUSD", "fx")
    assert (listed["EUR-USD"]["status"], listed["WTI-USD"]["status"]) == ("delisted", "active")
    assert (listed["WTI-USD"]["base"], listed["WTI-USD"]["asset_class"]) == ("CL", "commodity")


def test_markets_settle_in_usdc_each_hour():
    rows = markets(written("perpetualMarkets"))
    assert {s: r["status"] for s, r in rows.items()} == {
        "BTC-USD": "active",
        "ETH-USD": "active",
        "MATIC-USD": "delisted",
    }
    assert {(r["quote"], r["collateral"], r["interval_hours"], r["multiplier"]) for r in rows.values()} == {
        ("USD", "USDC", 1.0, 1.0)
    }


def test_a_long_tail_ticker_is_joined_with_nothing_and_stays_one_segment():
    name = "PEPE,UNISWAP_V3,0X6982508145454CE325DDBE47A25D4EC3D2311933-USD"
    market = symbol_market(name)
    assert market.base == name.removesuffix("-USD")
    path = FETCHER.history.request(market, Window(AT - HOUR, AT), None).path
    assert path.count("/") == 2
    assert "," not in path


# --- paging


FULL = AT.replace(minute=0)


def times(venue, window):
    return walked(FETCHER, LINK, venue, window)["funding_time"].to_list()


@pytest.mark.parametrize("cap", [CAP, 40, 7])
@pytest.mark.parametrize("hours", [1, 99, 100, 101, 250])
def test_every_payment_of_a_window_is_found_whatever_the_cap(hours, cap):
    there = [FULL - n * HOUR for n in range(600)]
    venue, _ = played(serve, there, cap=cap)
    assert times(venue, Window(FULL - (hours - 1) * HOUR, FULL + HOUR)) == sorted(there[:hours])


def test_a_standstill_longer_than_a_page_is_a_hole_and_no_failure():
    there = [FULL - n * HOUR for n in range(600) if not 50 <= n < 300]
    venue, _ = played(serve, there)
    window = Window(FULL - 400 * HOUR, FULL + HOUR)
    assert times(venue, window) == sorted(t for t in there if t >= window.start)
    assert times(venue, Window(FULL - 290 * HOUR, FULL - 60 * HOUR)) == []


def test_a_window_before_the_listing_is_proven_empty_by_one_response():
    venue, requests = played(serve, [FULL])
    assert times(venue, Window(FULL - 500 * HOUR, FULL)) == []
    assert len(requests) == 1


def test_a_history_request_reaches_to_the_last_millisecond_of_the_window():
    request = FETCHER.history.request(symbol_market("BTC-USD"), Window(FULL - HOUR, FULL), None)
    assert request.path == "/historicalFunding/BTC-USD"
    assert request.params == (("limit", "100"), ("effectiveBeforeOrAt", "2026-09-13T21:59:59.999Z"))


# --- corruption


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (payment(rate=""), "rate"),
        (payment(rate="NaN"), "rate"),
        (payment(rate=0.0001), "rate"),
        (payment(rate="0.0125e1"), "unit"),
        (payment(price="-1"), "negative"),
        (payment(at="2026-09-11T16:00:00.622"), "effectiveAt"),
        (payment(at="2026-09-11 16:00:00Z"), "effectiveAt"),
        (payment(at="2026-02-30T16:00:00Z"), "no such time"),
        (payment(at="2026-09-11T15:59:30Z"), "before an hour"),
        (payment(at="1990-09-11T15:00:00Z"), "milliseconds"),
        (payment(at=1789142400622), "effectiveAt"),
        (payment(ticker="BTC-USD"), "is 'BTC-USD'"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_response(row, words):
    with pytest.raises(BadPayload, match=words):
        history(page(payment(at="2026-09-11T10:00:00Z"), row), "LINK-USD")


def test_two_payments_of_one_hour_are_refused():
    with pytest.raises(SchemaError, match="repeated with different values"):
        history(page(payment(), payment(rate="0.0002")))


def test_listings_that_contradict_themselves_are_refused():
    def spoiled(**change):
        body = json.loads(written("perpetualMarkets"))
        body["markets"]["BTC-USD"] |= change
        return body

    for change in (
        {"status": "SLEEPING"},
        {"ticker": "ETH-USD"},
        {"openInterest": "-1"},
        {"oraclePrice": ""},
    ):
        with pytest.raises(BadPayload):
            current(spoiled(**change))
    assert current(spoiled(oraclePrice=None))["BTC-USD"]["open_interest_usd"] is None
    with pytest.raises(BadPayload, match="no market at all"):
        markets({"markets": {}})
    with pytest.raises(BadPayload, match="no market name"):
        markets(
            {
                "markets": {
                    "BTC": {
                        **json.loads(written("perpetualMarkets"))["markets"]["BTC-USD"],
                        "ticker": "BTC",
                    }
                }
            }
        )


@pytest.mark.parametrize("name", ["BTC", "BTC-USDT", "-USD", ""])
def test_a_symbol_that_is_not_base_usd_is_no_market(name):
    with pytest.raises(BadCall, match="BTC-USD"):
        symbol_market(name)


def test_the_recorded_responses_are_read_as_those_written_here(shared):
    for name in RESPONSES:
        recorded = (shared / "venues/payloads/dydx" / f"{name}.json").read_bytes()
        for read in (history,) if name.startswith("historical") else (current, markets):
            assert read(recorded) == read(written(name))
