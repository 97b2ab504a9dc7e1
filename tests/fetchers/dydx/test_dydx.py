"""dYdX: recorded answers, worked examples by hand, paging, refusals."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused, SchemaError
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.dydx import CAP, FETCHER, symbol_market
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk
from fundingdb.window import Window

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def payloads(shared):
    return lambda name: (shared / "venues/payloads/dydx" / name).read_bytes()


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def history(body, symbol=None):
    market = symbol_market(symbol) if symbol else None
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market))).to_dicts()


def current(body):
    rows = SNAPSHOTS.check(FETCHER.current.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def markets(body):
    rows = MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def paid(rate="0.000114", at="2026-09-11T16:00:00.622Z", ticker="LINK-USD", price="11.7"):
    return {"ticker": ticker, "rate": rate, "price": price, "effectiveAtHeight": "1", "effectiveAt": at}


def page(*rows):
    return {"historicalFunding": list(rows)}


def test_history_as_worked_on_the_page(payloads):
    rows = history(payloads("historicalFunding_LINK-USD.json"))
    assert [r["funding_time"].hour for r in rows] == [14, 15, 16]
    assert [r["funding_rate"] for r in rows] == [0.0, 0.0, 0.000114]
    last = rows[-1]
    assert last["funding_time"] == datetime(2026, 9, 11, 16, tzinfo=UTC)
    assert last["reported_time"] == datetime(2026, 9, 11, 16, 0, 0, 622_000, tzinfo=UTC)
    assert (last["symbol"], last["base"], last["quote"]) == ("LINK-USD", "LINK", "USD")
    assert (last["asset_class"], last["interval_hours"], last["interval_from"]) == ("crypto", 1.0, "declared")
    assert (last["native_rate"], last["mark_price"], last["index_price"]) == (0.000114, None, 11.709829134)
    assert last["funding_rate"] * 8760 == pytest.approx(0.99864)


def test_a_market_without_payments_has_no_rows():
    assert history(page()) == []


def test_current_holds_the_markets_that_trade_and_zero_is_a_rate(payloads):
    rows = current(payloads("perpetualMarkets.json"))
    assert set(rows) == {"BTC-USD", "ETH-USD"}  # MATIC is in final settlement
    assert rows["BTC-USD"]["funding_rate"] == 0.0
    eth = rows["ETH-USD"]
    assert eth["funding_rate"] == eth["native_rate"] == -0.00000022767857142857
    assert eth["next_funding_time"] == datetime(2026, 9, 13, 23, tzinfo=UTC)
    assert (eth["mark_price"], eth["index_price"], eth["open_interest"]) == (None, 2577.379583, 3976.853)
    assert eth["open_interest_usd"] == pytest.approx(10_249_859.7, rel=1e-6)  # 3976.853 x 2577.379583
    assert eth["volume_24h_usd"] == 7656688.5006


def test_a_closed_market_with_a_rate_gives_no_snapshot(payloads):
    body = payloads("perpetualMarkets_tradfi.json")
    assert json.loads(body)["markets"]["EUR-USD"]["nextFundingRate"] == "0.0000125"
    assert set(current(body)) == {"WTI-USD"}
    listed = markets(body)
    assert (listed["EUR-USD"]["base"], listed["EUR-USD"]["asset_class"]) == ("EURUSD", "fx")
    assert (listed["EUR-USD"]["status"], listed["WTI-USD"]["status"]) == ("delisted", "active")
    assert (listed["WTI-USD"]["base"], listed["WTI-USD"]["asset_class"]) == ("CL", "commodity")


def test_markets_settle_in_usdc_each_hour(payloads):
    rows = markets(payloads("perpetualMarkets.json"))
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


# --- paging against an answerer with the indexer's order, cap and bound


class Indexer:
    """Newest first from effectiveBeforeOrAt, at most `cap` rows, no lower bound; stamps 0.6 s late."""

    def __init__(self, hours, cap=CAP):
        self.stamps = [h + timedelta(milliseconds=622) for h in hours]
        self.cap, self.asked = cap, 0

    def answer(self, request):
        self.asked += 1
        params = dict(request.params)
        assert int(params["limit"]) == CAP
        bound = datetime.fromisoformat(params["effectiveBeforeOrAt"])
        newest = sorted((t for t in self.stamps if t <= bound), reverse=True)[: self.cap]
        return text(page(*(paid(at=f"{t:%Y-%m-%dT%H:%M:%S}.{t.microsecond // 1000:03d}Z") for t in newest)))


def walked(indexer, window):
    market = symbol_market("LINK-USD")
    walker = walk(FETCHER.history.paging, window, HOUR)
    found, step = set(), next(walker, None)
    while step is not None:
        body = indexer.answer(FETCHER.history.request(market, *step))
        times = FUNDING.check(FETCHER.history.parse(body, ResponseContext(AT, market=market)))[
            "funding_time"
        ].to_list()
        found |= {t for t in times if window.start <= t < window.stop}
        try:
            step = walker.send(Page(times))
        except StopIteration:
            step = None
    return sorted(found)


FULL = AT.replace(minute=0)


@pytest.mark.parametrize("cap", [CAP, 40, 7])
@pytest.mark.parametrize("hours", [1, 99, 100, 101, 250])
def test_every_payment_of_a_window_is_found_whatever_the_cap(hours, cap):
    there = [FULL - n * HOUR for n in range(600)]
    window = Window(FULL - (hours - 1) * HOUR, FULL + HOUR)
    assert walked(Indexer(there, cap), window) == sorted(there[:hours])


def test_a_standstill_longer_than_a_page_is_a_hole_and_no_failure():
    there = [FULL - n * HOUR for n in range(600) if not 50 <= n < 300]
    window = Window(FULL - 400 * HOUR, FULL + HOUR)
    assert walked(Indexer(there), window) == sorted(t for t in there if t >= window.start)
    assert walked(Indexer(there), Window(FULL - 290 * HOUR, FULL - 60 * HOUR)) == []


def test_a_window_before_the_listing_is_proven_empty_by_one_answer():
    indexer = Indexer([FULL])
    assert walked(indexer, Window(FULL - 500 * HOUR, FULL)) == []
    assert indexer.asked == 1


def test_history_is_asked_up_to_the_last_millisecond_of_the_window():
    request = FETCHER.history.request(symbol_market("BTC-USD"), Window(FULL - HOUR, FULL), None)
    assert request.path == "/historicalFunding/BTC-USD"
    assert request.params == (("limit", "100"), ("effectiveBeforeOrAt", "2026-09-13T21:59:59.999Z"))


# --- corruption


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (paid(rate=""), "rate"),
        (paid(rate="NaN"), "rate"),
        (paid(rate=0.0001), "rate"),
        (paid(rate="0.0125e1"), "unit"),
        (paid(price="-1"), "negative"),
        (paid(at="2026-09-11T16:00:00.622"), "effectiveAt"),
        (paid(at="2026-09-11 16:00:00Z"), "effectiveAt"),
        (paid(at="2026-02-30T16:00:00Z"), "no such time"),
        (paid(at="2026-09-11T15:59:30Z"), "before an hour"),
        (paid(at="1990-09-11T15:00:00Z"), "milliseconds"),
        (paid(at=1789142400622), "effectiveAt"),
        (paid(ticker="BTC-USD"), "asked was"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, told):
    with pytest.raises(BadPayload, match=told):
        history(page(paid(at="2026-09-11T10:00:00Z"), row), "LINK-USD")


def test_two_payments_of_one_hour_are_refused():
    with pytest.raises(SchemaError, match="repeated with different values"):
        history(page(paid(), paid(rate="0.0002")))


def test_listings_that_contradict_themselves_are_refused(payloads):
    def spoiled(**change):
        body = json.loads(payloads("perpetualMarkets.json"))
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
                        **json.loads(payloads("perpetualMarkets.json"))["markets"]["BTC-USD"],
                        "ticker": "BTC",
                    }
                }
            }
        )


def test_names_and_refusals():
    for name in ("BTC", "BTC-USDT", "-USD", ""):
        with pytest.raises(BadCall):
            symbol_market(name)
    assert isinstance(FETCHER.refusal(429, b""), RateLimited)
    assert isinstance(FETCHER.refusal(403, b""), Refused)
    assert isinstance(FETCHER.refusal(404, b"{}"), BadCall)
    assert FETCHER.refusal(200, b"{}") is None
