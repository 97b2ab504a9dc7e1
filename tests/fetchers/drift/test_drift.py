"""Drift and Velocity: what their cases do not prove: the formula, days as pages, multiples, mixed figures."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload, WalkNotProven
from fundingdb.fetchers.contract import Days, ResponseContext
from fundingdb.fetchers.drift import DRIFT, VELOCITY
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window, floor_hour
from tests.fetchers.drift.case import (
    CONTRACTS,
    DRIFT_STATS,
    EMPTY_DAY,
    LEGACY,
    MEANS,
    VELOCITY_HISTORY,
    VELOCITY_STATS,
    listed,
    page,
    paid,
    stats,
    text,
)
from tests.fetchers.played import whole
from tests.fetchers.walking import walked

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def history(fetcher, body, symbol=None):
    market = fetcher.market(symbol) if symbol else None
    return FUNDING.check(fetcher.history.parse(text(body), ResponseContext(AT, market=market))).to_dicts()


def current(fetcher, body):
    rows = SNAPSHOTS.check(whole(fetcher.current.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def markets(fetcher, body):
    rows = MARKETS.check(whole(fetcher.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def test_a_legacy_answer_needs_its_market_named():
    with pytest.raises(BadCall, match="--symbol SOL-PERP"):
        history(DRIFT, LEGACY)


def test_the_estimate_is_of_the_size_and_sign_of_the_last_payment():
    estimate = current(VELOCITY, VELOCITY_STATS)["BTC-PERP"]["funding_rate"]
    assert estimate == pytest.approx(history(VELOCITY, VELOCITY_HISTORY)[-1]["funding_rate"], rel=0.02)


def test_contracts_count_both_sides_and_stats_each():
    both, each = current(DRIFT, CONTRACTS)["SOL-PERP"], current(DRIFT, DRIFT_STATS)["SOL-PERP"]
    assert both["open_interest"] == pytest.approx(each["open_interest"], rel=0.001)


def test_drift_is_history_alone():
    assert DRIFT.current.requests([DRIFT.market("SOL-PERP")]) == []
    assert DRIFT.headers({}) == {"Origin": "https://app.drift.trade", "Referer": "https://app.drift.trade"}
    assert VELOCITY.headers({}) == {}


@pytest.mark.parametrize(
    ("rate", "oracle", "mark", "sign"),
    [
        (-0.001024958, 84.693889, 84.652352, 1),
        (-3095708 / 1e9, 97.4937, 97.399905, 1),
        (6.399237833, 77333.726817, 77502.77295, -1),
    ],
)
def test_the_records_follow_the_formula_so_the_field_is_money_per_base_unit(rate, oracle, mark, sign):
    assert (mark - oracle + sign * oracle / 5000) / 24 == pytest.approx(rate, rel=1e-4)


def test_multiples_are_in_the_name_and_prices_are_of_one_token():
    (row,) = history(DRIFT, page(paid(symbol="1MBONK-PERP", rate="0.000100000", oracle="20.0", mark="21.0")))
    assert (row["base"], row["funding_rate"]) == ("BONK", 0.000005)
    assert row["index_price"] == pytest.approx(0.00002)
    bases = {s: (DRIFT.market(s).base, DRIFT.market(s).multiplier) for s in ("1KWEN-PERP", "1MPEPE-PERP")}
    assert bases == {"1KWEN-PERP": ("WEN", 1e3), "1MPEPE-PERP": ("PEPE", 1e6)}
    assert DRIFT.market("KMNO-PERP").multiplier == 1.0
    assert VELOCITY.market("1INCH-PERP").base == "1INCH"


# --- days as pages, against a server of whole UTC days


def test_the_cursor_of_a_day_is_its_next_page():
    assert DRIFT.history.next_cursor(text(VELOCITY_HISTORY)) == "eyJwayI6Ik1BUktFVCJ9"
    assert DRIFT.history.next_cursor(text(EMPTY_DAY)) is None


def times_of(server, window):
    return walked(VELOCITY, VELOCITY.market("SOL-PERP"), server.answer, window)["funding_time"].to_list()


class Days24:
    """Newest first, one UTC day an answer in pages of `cap` rows; stamps up to a minute late."""

    def __init__(self, hours, cap=20):
        self.stamps = sorted((h + timedelta(seconds=h.hour * 2) for h in hours), reverse=True)
        self.cap, self.requested = cap, []

    def answer(self, request):
        self.requested.append(request.path.removeprefix("/market/SOL-PERP/fundingRates/"))
        day = [t for t in self.stamps if f"{t:%Y/%m/%d}" == self.requested[-1]]
        first = int(dict(request.params).get("page", "p0")[1:])
        more = first + self.cap < len(day)
        some = [paid(ts=int(t.timestamp())) for t in day[first : first + self.cap]]
        return text(page(*some, cursor=f"p{first + self.cap}" if more else None))


FULL = floor_hour(AT)
THERE = [FULL - n * HOUR for n in range(200)]


@pytest.mark.parametrize("cap", [24, 20, 1])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 22), (0, 23), (5, 100), (190, 300)])
def test_every_payment_of_a_window_is_found_whatever_the_page(newest, oldest, cap):
    window = Window(FULL - oldest * HOUR, FULL - (newest - 1) * HOUR)
    assert times_of(Days24(THERE, cap), window) == sorted(t for t in THERE if window.start <= t < window.stop)


def test_missing_hours_and_empty_days_hide_nothing_behind_them():
    there = [t for n, t in enumerate(THERE) if n not in (3, 4) and not 30 <= n < 90]
    server = Days24(there)
    window = Window(FULL - 150 * HOUR, FULL + HOUR)
    assert times_of(server, window) == sorted(t for t in there if t >= window.start)
    assert sorted(set(server.requested)) == [f"2026/09/{d:02d}" for d in range(7, 14)]


def test_a_day_is_requested_by_its_own_date_even_for_one_hour():
    assert isinstance(DRIFT.history.paging, Days)
    request = DRIFT.history.request(DRIFT.market("SOL-PERP"), Window(FULL, FULL + HOUR), "a=")
    assert request.path == "/market/SOL-PERP/fundingRates/2026/09/13"
    assert request.params == (("page", "a="),)


def test_rows_of_another_day_prove_nothing():
    class Deaf(Days24):
        def answer(self, request):
            return text(page(*(paid(ts=int(t.timestamp())) for t in self.stamps[:24])))

    with pytest.raises(WalkNotProven, match="another day"):
        times_of(Deaf(THERE), Window(FULL - 100 * HOUR, FULL))


def test_a_cursor_that_leads_on_into_the_day_before_ends_the_day():
    class Flowing(Days24):
        def answer(self, request):
            self.requested.append(request.path[-10:])
            there = [t for t in self.stamps if f"{t:%Y/%m/%d}" <= self.requested[-1]]
            first = int(dict(request.params).get("page", "p0")[1:])
            some = [paid(ts=int(t.timestamp())) for t in there[first : first + self.cap]]
            return text(page(*some, cursor=f"p{first + self.cap}"))

    window = Window(FULL - 60 * HOUR, FULL + HOUR)
    for cap in (24, 20, 7):
        server = Flowing(THERE, cap)
        assert times_of(server, window) == sorted(t for t in THERE if t >= window.start)
        assert len(server.requested) <= 3 * (24 // cap + 1)


# --- corruption


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (paid(rate=""), "fundingRate"),
        (paid(rate="nan"), "fundingRate"),
        (paid(rate=-0.001), "fundingRate"),
        (paid(rate="8.6"), "unit"),
        (paid(rate="-1024958"), "integer"),
        (paid(oracle="84693889"), "integer"),
        (paid(oracle="0.000000"), "zero"),
        (paid(mark="-1.0"), "negative"),
        (paid(ts=1775066400000), "seconds"),
        (paid(ts="1775066400"), "ts"),
        (paid(symbol="BTC-PERP"), "'BTC-PERP'"),
        ("x", "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, problem):
    with pytest.raises(BadPayload, match=problem):
        history(DRIFT, page(paid(ts=1775062800), row), "SOL-PERP")


def test_a_bare_zero_is_zero_in_both_ways_of_writing():
    (row,) = history(DRIFT, page(paid(rate="0")))
    assert row["funding_rate"] == 0.0


@pytest.mark.parametrize(
    "change",
    [{"status": "asleep"}, {"quoteAsset": "EUR"}, {"baseAsset": "BTC"}, {"marketType": "option"}],
)
def test_a_listing_that_is_not_as_described_is_refused(change):
    body = listed(stats("SOL", "USDC", **change))
    with pytest.raises(BadPayload, match=next(iter(change))):
        markets(DRIFT, body)


def test_a_short_side_above_zero_and_failed_answers_are_refused():
    body = listed(stats("BTC", "USDT", openInterest={"long": "0.335", "short": "0.1"}))
    with pytest.raises(BadPayload, match="short"):
        current(VELOCITY, body)
    for bad in ({**body, "success": False}, {**body, "markets": []}):
        with pytest.raises(BadPayload):
            markets(VELOCITY, bad)
    with pytest.raises(BadPayload, match="success"):
        history(DRIFT, {**page(paid()), "success": False})


def test_means_over_days_are_no_estimate_of_now():
    with pytest.raises(BadPayload, match="marketType"):
        current(DRIFT, MEANS)


@pytest.mark.parametrize("name", ["SOL", "-PERP", "TRUMP-BET"])
def test_a_name_that_is_no_perpetual_is_no_market(name):
    with pytest.raises(BadCall, match="SOL-PERP"):
        DRIFT.market(name)


def test_the_recorded_responses_are_read(shared):
    def recorded(name):
        return (shared / "venues/payloads/drift" / name).read_bytes()

    (row,) = history(DRIFT, recorded("market_fundingRates_SOL-PERP.json"))
    assert row["funding_rate"] == pytest.approx(-0.0000121019, abs=5e-11)
    (row,) = history(DRIFT, recorded("legacy_fundingRates_SOL-PERP.json"), "SOL-PERP")
    assert row["funding_rate"] == pytest.approx(-0.0000317529, abs=5e-11)
    rows = history(VELOCITY, recorded("velocity_market_fundingRates_BTC-PERP.json"))
    assert [r["funding_time"].hour for r in rows] == [20, 21, 22]
    assert rows[-1]["funding_rate"] == pytest.approx(0.0000827483, abs=5e-11)
    assert current(DRIFT, recorded("stats_markets.json"))["SOL-PERP"]["open_interest"] == 471252.73
    assert current(DRIFT, recorded("contracts.json"))["SOL-PERP"]["open_interest"] == 471595.865
    assert set(current(VELOCITY, recorded("velocity_stats_markets.json"))) == {"BTC-PERP"}
    assert set(markets(VELOCITY, recorded("velocity_stats_markets.json"))) == {"BTC-PERP"}
    with pytest.raises(BadPayload, match="marketType"):
        current(DRIFT, recorded("stats_fundingRates.json"))
    assert history(DRIFT, json.loads(recorded("errors.json"))[1]["body_shape"], "SOL-PERP") == []


def test_responses_that_name_no_market_are_refused():
    with pytest.raises(BadPayload, match="symbol: is no market name"):
        history(DRIFT, page(paid(symbol="-PERP")))
    contract = CONTRACTS["contracts"][0] | {"ticker_id": "-PERP"}
    with pytest.raises(BadPayload, match="symbol: is no market name"):
        current(DRIFT, {"contracts": [contract]})


def test_a_percent_of_any_exponent_is_a_number():
    tiny = {"long": "1e-99999999999999999999", "short": "0"}
    assert current(DRIFT, listed(stats("SOL", "USDC", fundingRate=tiny)))["SOL-PERP"]["funding_rate"] == 0.0
