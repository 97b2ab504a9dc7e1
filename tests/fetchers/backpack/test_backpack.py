"""Backpack: worked examples by hand, recorded responses, paging by offset, refusals."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload, WalkNotProven
from fundingdb.fetchers.backpack import FETCHER, LIMIT, symbol_market
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import HOUR, Window
from tests.fetchers.backpack.case import AT, BTC, RESPONSES, payment, serve, written
from tests.fetchers.played import played, text, whole
from tests.fetchers.walking import walked


def history(body, at=AT, market=None):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(at, market=market))).to_dicts()


def markets(body):
    rows = MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, listed):
    known = {symbol: market_of(row) for symbol, row in markets(listed).items()}
    rows = SNAPSHOTS.check(
        whole(FETCHER.current.parse, text(body), ResponseContext(AT, markets=known))
    ).to_dicts()
    return {r["symbol"]: r for r in rows}


def test_the_running_hour_counts_once_the_clock_has_passed_its_end():
    body = written("fundingRates_BTC_USDC_PERP")
    end = datetime(2026, 9, 13, 23, tzinfo=UTC)
    assert len(history(body, end - timedelta(seconds=1))) == 3
    assert len(history(body, end)) == 4
    # by position it would be lost: just after the hour the first row is the next running one
    fresh = [payment("2026-09-14T00:00:00"), payment("2026-09-13T23:00:00", "0.00000216")]
    assert [r["funding_rate"] for r in history(fresh, end + timedelta(minutes=1))] == [0.00000216]


def test_a_saved_response_counts_as_received_before_its_newest_interval_ended():
    moment = FETCHER.response_time(written("fundingRates_BTC_USDC_PERP"))
    assert moment == datetime(2026, 9, 13, 22, 59, 59, tzinfo=UTC)
    assert FETCHER.response_time(written("markPrices")) is None
    assert FETCHER.response_time(b"[]") is None


def test_rows_of_the_eight_hour_days_have_no_interval():
    ends = ["2025-08-21T01:00:00", "2025-08-21T00:00:00", "2025-08-20T16:00:00", "2025-08-20T08:00:00"]
    rows = history([payment(end) for end in ends])
    assert [(r["interval_hours"], r["interval_from"]) for r in rows] == [
        (None, "unknown"),
        (None, "unknown"),
        (None, "unknown"),
        (1.0, "declared"),
    ]


def test_a_market_that_no_longer_pays_hourly_has_no_declared_interval():
    listed = json.loads(written("markets"))
    for row in listed:
        row["fundingInterval"] = 4 * 3_600_000
    market = market_of(markets(listed)["BTC_USDC_PERP"])
    assert market.interval_hours == 4.0
    assert history([payment()], market=market)[0]["interval_from"] == "unknown"


def test_current_holds_open_markets_alone_and_prices_of_one_token():
    rows = current(written("markPrices"), written("markets"))
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


def test_current_without_known_markets_says_what_it_needs():
    with pytest.raises(BadCall, match="which markets trade"):
        whole(FETCHER.current.parse, written("markPrices"), ResponseContext(AT))


def test_markets_are_the_perpetuals_with_their_state():
    rows = markets(written("markets"))
    assert {s: (r["base"], r["multiplier"], r["asset_class"], r["status"]) for s, r in rows.items()} == {
        "BTC_USDC_PERP": ("BTC", 1.0, "crypto", "active"),
        "IP_USDC_PERP": ("IP", 1.0, "crypto", "inactive"),
        "kPEPE_USDC_PERP": ("PEPE", 1000.0, "crypto", "active"),
        "QQQ.US_USDC_PERP": ("QQQ", 1.0, "equity", "active"),
        "AMZN.US_USDC_PERP": ("AMZN", 1.0, "equity", "inactive"),
    }
    assert {(r["quote"], r["interval_hours"], r["rate_cap"]) for r in rows.values()} == {("USDC", 1.0, None)}


# --- paging: newest first, counted from the newest, the running hour first


FULL = AT.replace(minute=0)
RUNNING = FULL + HOUR


def ends(count):
    return [RUNNING - n * HOUR for n in range(count)]


def times(venue, window, at=AT):
    return walked(FETCHER, BTC, venue, window, at=at)["funding_time"].to_list()


@pytest.mark.parametrize("cap", [LIMIT, 300, 5])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 299), (20, 320), (100, 700), (600, 699)])
def test_every_payment_of_a_window_is_found_whatever_the_cap(newest, oldest, cap):
    there = ends(702)
    venue, _ = played(serve, there, cap=cap)
    window = Window(FULL - oldest * HOUR, FULL - (newest - 1) * HOUR)
    assert times(venue, window) == sorted(t for t in there if window.start <= t < window.stop)


def test_the_walk_goes_no_further_than_the_window():
    venue, requests = played(serve, ends(20_000))
    times(venue, Window(FULL - 48 * HOUR, FULL))
    assert len(requests) == 1


def test_holes_and_the_listing_inside_a_window_are_proven():
    there = [t for n, t in enumerate(ends(400)) if not 100 <= n < 200]
    window = Window(FULL - 900 * HOUR, RUNNING)
    assert times(played(serve, there, cap=60)[0], window) == sorted(there)[:-1]
    assert times(played(serve, [])[0], window) == []
    assert times(played(serve, [RUNNING])[0], window) == []


def moving(change, cap=100):
    """The venue with 900 hours of payments, which `change` turns into others after each response."""
    world = [(t, 0.0001) for t in reversed(ends(900))]

    def answer(request):
        body = serve(request, world, cap)
        world[:] = change(world)
        return body

    return answer


def test_an_hour_that_ends_during_the_walk_costs_no_row():
    venue = moving(lambda world: [*world, (world[-1][0] + HOUR, 0.0001)])
    window = Window(FULL - 700 * HOUR, FULL)
    found = times(venue, window, at=AT + 30 * HOUR)
    assert found == sorted(t for t in ends(900) if window.start <= t < window.stop)


def test_a_page_that_does_not_join_the_one_before_is_refused():
    with pytest.raises(WalkNotProven, match="does not join"):
        times(moving(lambda world: world[:-5]), Window(FULL - 700 * HOUR, FULL))


def test_a_page_that_ends_early_does_not_count_as_the_end():
    world = [(t, 0.0001) for t in reversed(ends(900))]

    def short(request):
        return serve(request, world, 2 if dict(request.params)["offset"] == "98" else 100)

    with pytest.raises(WalkNotProven, match="older rows follow"):
        times(short, Window(FULL - 700 * HOUR, FULL))


# --- corruption


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (payment(rate=""), "fundingRate"),
        (payment(rate="inf"), "fundingRate"),
        (payment(rate=0.00001), "fundingRate"),
        (payment(rate="0.08"), "unit"),
        (payment("2026-09-13T22:00:00Z"), "intervalEndTimestamp"),
        (payment("2026-09-13T22:00"), "intervalEndTimestamp"),
        (payment("2026-13-13T22:00:00"), "no such time"),
        (payment("2026-09-13T21:59:59"), "before an hour"),
        (payment(1789336800000), "intervalEndTimestamp"),
        (payment(symbol="ETH_USDC_PERP"), "is 'ETH_USDC_PERP'"),
        (7, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_response(row, words):
    with pytest.raises(BadPayload, match=words):
        history([payment("2026-09-13T10:00:00"), row], market=symbol_market("BTC_USDC_PERP"))


def test_many_rows_of_the_future_are_a_wrong_clock():
    with pytest.raises(BadPayload, match="clock"):
        history([payment(f"2026-09-14T0{n}:00:00") for n in range(3)])


@pytest.mark.parametrize(
    "change",
    [
        {"orderBookState": "Asleep"},
        {"fundingInterval": 3600},
        {"fundingInterval": 0},
        {"fundingInterval": 25 * 3_600_000},
        {"rwaMarketType": "BOND"},
        {"baseSymbol": ""},
    ],
)
def test_a_listing_that_is_not_as_described_is_refused(change):
    body = json.loads(written("markets"))
    body[1] |= change
    with pytest.raises(BadPayload, match=next(iter(change))):
        markets(body)


def test_a_list_without_perpetuals_and_marks_without_rows_are_refused():
    with pytest.raises(BadPayload, match="no perpetual"):
        markets(json.loads(written("markets"))[:1])
    with pytest.raises(BadPayload, match="empty"):
        current([], written("markets"))
    bent = json.loads(written("markPrices"))
    bent[0]["nextFundingTimestamp"] += 1
    with pytest.raises(BadPayload, match="full hour"):
        current(bent, written("markets"))


@pytest.mark.parametrize("name", ["BTC", "BTC_USDC", "_USDC_PERP", "BTC_PERP", ""])
def test_a_symbol_that_is_not_base_quote_perp_is_no_market(name):
    with pytest.raises(BadCall, match="BTC_USDC_PERP"):
        symbol_market(name)


def test_the_recorded_responses_are_read_as_those_written_here(shared):
    recorded = {
        name: (shared / "venues/payloads/backpack" / f"{name}.json").read_bytes() for name in RESPONSES
    }
    assert history(recorded["fundingRates_BTC_USDC_PERP"]) == history(written("fundingRates_BTC_USDC_PERP"))
    assert markets(recorded["markets"]) == markets(written("markets"))
    assert current(recorded["markPrices"], recorded["markets"]) == current(
        written("markPrices"), written("markets")
    )
