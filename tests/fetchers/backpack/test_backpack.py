"""Backpack: recorded answers, worked examples by hand, paging by offset, refusals."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited, WalkNotProven
from fundingdb.fetchers.backpack import FETCHER, LIMIT, symbol_market
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk
from fundingdb.window import Window

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def payloads(shared):
    return lambda name: (shared / "venues/payloads/backpack" / name).read_bytes()


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def history(body, at=AT, market=None):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(at, market=market))).to_dicts()


def markets(body):
    rows = MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, listed):
    known = {symbol: market_of(row) for symbol, row in markets(listed).items()}
    rows = SNAPSHOTS.check(FETCHER.current.parse(text(body), ResponseContext(AT, markets=known))).to_dicts()
    return {r["symbol"]: r for r in rows}


def paid(end="2026-09-13T22:00:00", rate="0.000008311", symbol="BTC_USDC_PERP"):
    return {"fundingRate": rate, "intervalEndTimestamp": end, "symbol": symbol}


def test_history_as_worked_on_the_page_without_the_running_hour(payloads):
    rows = history(payloads("fundingRates_BTC_USDC_PERP.json"))
    assert [r["funding_rate"] for r in rows] == [0.000008029, 0.000009713, 0.000008311]
    last = rows[-1]
    assert last["funding_time"] == last["reported_time"] == datetime(2026, 9, 13, 22, tzinfo=UTC)
    assert (last["base"], last["quote"], last["asset_class"]) == ("BTC", "USDC", "crypto")
    assert (last["interval_hours"], last["interval_from"], last["native_rate"]) == (
        1.0,
        "declared",
        0.000008311,
    )
    assert last["funding_rate"] * 8760 == pytest.approx(0.07280436)


def test_the_running_hour_counts_once_the_clock_has_passed_its_end(payloads):
    body = payloads("fundingRates_BTC_USDC_PERP.json")
    end = datetime(2026, 9, 13, 23, tzinfo=UTC)
    assert len(history(body, end - timedelta(seconds=1))) == 3
    assert len(history(body, end)) == 4
    # by position it would be lost: just after the hour the first row is the next running one
    fresh = [paid("2026-09-14T00:00:00"), paid("2026-09-13T23:00:00", "0.00000216")]
    assert [r["funding_rate"] for r in history(fresh, end + timedelta(minutes=1))] == [0.00000216]


def test_a_saved_answer_is_taken_as_received_before_its_newest_interval_ended(payloads):
    told = FETCHER.response_time(payloads("fundingRates_BTC_USDC_PERP.json"))
    assert told == datetime(2026, 9, 13, 22, 59, 59, tzinfo=UTC)
    assert FETCHER.response_time(payloads("markPrices.json")) is None
    assert FETCHER.response_time(b"[]") is None


def test_rows_of_the_eight_hour_days_have_no_interval():
    ends = ["2025-08-21T01:00:00", "2025-08-21T00:00:00", "2025-08-20T16:00:00", "2025-08-20T08:00:00"]
    rows = history([paid(end) for end in ends])
    assert [(r["interval_hours"], r["interval_from"]) for r in rows] == [
        (None, "unknown"),
        (None, "unknown"),
        (None, "unknown"),
        (1.0, "declared"),
    ]


def test_a_market_that_no_longer_pays_hourly_has_no_declared_interval(payloads):
    listed = json.loads(payloads("markets.json"))
    for row in listed:
        row["fundingInterval"] = 4 * 3_600_000
    market = market_of(markets(listed)["BTC_USDC_PERP"])
    assert market.interval_hours == 4.0
    assert history([paid()], market=market)[0]["interval_from"] == "unknown"


def test_current_holds_open_markets_alone_and_prices_of_one_token(payloads):
    rows = current(payloads("markPrices.json"), payloads("markets.json"))
    assert set(rows) == {"BTC_USDC_PERP", "kPEPE_USDC_PERP", "QQQ.US_USDC_PERP"}  # AMZN.US is PostOnly
    pepe = rows["kPEPE_USDC_PERP"]
    assert (pepe["base"], pepe["funding_rate"], pepe["interval_hours"]) == ("PEPE", 0.0000125, 1.0)
    assert pepe["next_funding_time"] == datetime(2026, 9, 13, 23, tzinfo=UTC)
    assert pepe["mark_price"] == pytest.approx(0.0000033465)
    assert pepe["index_price"] == pytest.approx(0.0000033479)
    fund = rows["QQQ.US_USDC_PERP"]
    assert (fund["base"], fund["asset_class"]) == ("QQQ", "equity")
    assert fund["funding_rate"] == -0.000067905249028866543811955
    assert (fund["mark_price"], fund["open_interest"]) == (707.98, None)


def test_current_without_known_markets_says_what_it_needs(payloads):
    with pytest.raises(BadCall, match="which markets trade"):
        FETCHER.current.parse(payloads("markPrices.json"), ResponseContext(AT))


def test_markets_are_the_perpetuals_with_their_state(payloads):
    rows = markets(payloads("markets.json"))
    assert {s: (r["base"], r["multiplier"], r["asset_class"], r["status"]) for s, r in rows.items()} == {
        "BTC_USDC_PERP": ("BTC", 1.0, "crypto", "active"),
        "IP_USDC_PERP": ("IP", 1.0, "crypto", "inactive"),
        "kPEPE_USDC_PERP": ("PEPE", 1000.0, "crypto", "active"),
        "QQQ.US_USDC_PERP": ("QQQ", 1.0, "equity", "active"),
        "AMZN.US_USDC_PERP": ("AMZN", 1.0, "equity", "inactive"),
    }
    assert {(r["quote"], r["interval_hours"], r["rate_cap"]) for r in rows.values()} == {("USDC", 1.0, None)}


# --- paging against an answerer with the exchange's order, cap and offset


class Answerer:
    """Newest first, counted from the newest, at most `cap` rows, the running hour first."""

    def __init__(self, ends, cap=LIMIT):
        self.ends, self.cap, self.asked = sorted(ends, reverse=True), cap, 0

    def answer(self, request):
        params = dict(request.params)
        assert params["limit"] == "1000"
        self.asked += 1
        first = int(params["offset"])
        return text([paid(f"{t:%Y-%m-%dT%H:%M:%S}") for t in self.ends[first : first + self.cap]])


def walked(answerer, window, at=AT):
    market = symbol_market("BTC_USDC_PERP")
    walker = walk(FETCHER.history.paging, window, HOUR)
    found, step = set(), next(walker, None)
    while step is not None:
        body = answerer.answer(FETCHER.history.request(market, *step))
        frame = FUNDING.check(FETCHER.history.parse(body, ResponseContext(at, market=market)))
        times = frame["funding_time"].to_list()
        found |= {t for t in times if window.start <= t < window.stop}
        try:
            step = walker.send(Page(times))
        except StopIteration:
            step = None
    return sorted(found)


FULL = AT.replace(minute=0)
RUNNING = FULL + HOUR


@pytest.mark.parametrize("cap", [LIMIT, 300, 5])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 299), (20, 320), (100, 700), (600, 699)])
def test_every_payment_of_a_window_is_found_whatever_the_cap(newest, oldest, cap):
    there = [RUNNING - n * HOUR for n in range(702)]
    window = Window(FULL - oldest * HOUR, FULL - (newest - 1) * HOUR)
    assert walked(Answerer(there, cap), window) == sorted(t for t in there if window.start <= t < window.stop)


def test_the_walk_goes_no_further_than_the_window():
    answerer = Answerer([RUNNING - n * HOUR for n in range(20_000)])
    walked(answerer, Window(FULL - 48 * HOUR, FULL))
    assert answerer.asked == 1


def test_holes_and_the_listing_inside_a_window_are_proven():
    there = [RUNNING - n * HOUR for n in range(400) if not 100 <= n < 200]
    assert walked(Answerer(there, 60), Window(FULL - 900 * HOUR, RUNNING)) == sorted(there)[:-1]
    assert walked(Answerer([]), Window(FULL - 900 * HOUR, RUNNING)) == []
    assert walked(Answerer([RUNNING]), Window(FULL - 900 * HOUR, RUNNING)) == []


def test_an_hour_that_ends_during_the_walk_costs_no_row():
    class Moving(Answerer):
        def answer(self, request):
            body = super().answer(request)
            self.ends.insert(0, self.ends[0] + HOUR)
            return body

    there = [RUNNING - n * HOUR for n in range(900)]
    window = Window(FULL - 700 * HOUR, FULL)
    got = walked(Moving(there, 100), window, at=AT + 30 * HOUR)
    assert got == sorted(t for t in there if window.start <= t < window.stop)


def test_a_page_that_does_not_join_the_one_before_is_refused():
    class Losing(Answerer):
        def answer(self, request):
            body = super().answer(request)
            self.ends = self.ends[5:]
            return body

    with pytest.raises(WalkNotProven, match="does not join"):
        walked(Losing([RUNNING - n * HOUR for n in range(900)], 100), Window(FULL - 700 * HOUR, FULL))


def test_a_page_that_ends_early_is_not_taken_for_the_end():
    class Short(Answerer):
        def answer(self, request):
            first = int(dict(request.params)["offset"])
            self.cap = 2 if first == 98 else 100
            return super().answer(request)

    with pytest.raises(WalkNotProven, match="older rows follow"):
        walked(Short([RUNNING - n * HOUR for n in range(900)], 100), Window(FULL - 700 * HOUR, FULL))


# --- corruption


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (paid(rate=""), "fundingRate"),
        (paid(rate="inf"), "fundingRate"),
        (paid(rate=0.00001), "fundingRate"),
        (paid(rate="0.08"), "unit"),
        (paid("2026-09-13T22:00:00Z"), "intervalEndTimestamp"),
        (paid("2026-09-13T22:00"), "intervalEndTimestamp"),
        (paid("2026-13-13T22:00:00"), "no such time"),
        (paid("2026-09-13T21:59:59"), "before an hour"),
        (paid(1789336800000), "intervalEndTimestamp"),
        (paid(symbol="ETH_USDC_PERP"), "asked was"),
        (7, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, told):
    with pytest.raises(BadPayload, match=told):
        history([paid("2026-09-13T10:00:00"), row], market=symbol_market("BTC_USDC_PERP"))


def test_many_rows_of_the_future_are_a_wrong_clock():
    with pytest.raises(BadPayload, match="clock"):
        history([paid(f"2026-09-14T0{n}:00:00") for n in range(3)])


@pytest.mark.parametrize(
    "change",
    [
        {"orderBookState": "Asleep"},
        {"fundingInterval": 3600},
        {"fundingInterval": 0},
        {"rwaMarketType": "BOND"},
        {"baseSymbol": ""},
    ],
)
def test_a_listing_that_is_not_as_described_is_refused(payloads, change):
    body = json.loads(payloads("markets.json"))
    body[1] |= change
    with pytest.raises(BadPayload, match=next(iter(change))):
        markets(body)


def test_a_list_without_perpetuals_and_marks_without_rows_are_refused(payloads):
    with pytest.raises(BadPayload, match="no perpetual"):
        markets(json.loads(payloads("markets.json"))[:1])
    with pytest.raises(BadPayload, match="empty"):
        current([], payloads("markets.json"))
    bent = json.loads(payloads("markPrices.json"))
    bent[0]["nextFundingTimestamp"] += 1
    with pytest.raises(BadPayload, match="full hour"):
        current(bent, payloads("markets.json"))


def test_names_and_refusals():
    for name in ("BTC", "BTC_USDC", "_USDC_PERP", "BTC_PERP", ""):
        with pytest.raises(BadCall):
            symbol_market(name)
    assert isinstance(FETCHER.refusal(429, b""), RateLimited)
    assert FETCHER.refusal(200, b"[]") is None
