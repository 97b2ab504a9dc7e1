"""Drift and Velocity: recorded answers, worked examples by hand, days as pages, refusals."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused, WalkNotProven
from fundingdb.fetchers.contract import Days, ResponseContext
from fundingdb.fetchers.drift import DRIFT, FROZEN, VELOCITY
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk
from fundingdb.window import Window, floor_hour

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def payloads(shared):
    return lambda name: (shared / "venues/payloads/drift" / name).read_bytes()


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def history(fetcher, body, symbol=None):
    market = fetcher.market(symbol) if symbol else None
    return FUNDING.check(fetcher.history.parse(text(body), ResponseContext(AT, market=market))).to_dicts()


def current(fetcher, body):
    rows = SNAPSHOTS.check(fetcher.current.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def markets(fetcher, body):
    rows = MARKETS.check(fetcher.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def paid(ts=1775066400, rate="-0.001024958", oracle="84.693889", mark="84.652352", symbol="SOL-PERP"):
    return {
        "ts": ts,
        "symbol": symbol,
        "fundingRate": rate,
        "fundingRateLong": rate,
        "fundingRateShort": rate,
        "oraclePriceTwap": oracle,
        "markPriceTwap": mark,
    }


def page(*rows, cursor=None):
    return {"success": True, "records": list(rows), "meta": {"nextPage": cursor}}


def test_the_last_payment_of_drift_as_worked_on_the_page(payloads):
    (row,) = history(DRIFT, payloads("market_fundingRates_SOL-PERP.json"))
    assert row["funding_time"] == datetime(2026, 4, 1, 18, tzinfo=UTC) == FROZEN
    assert row["funding_rate"] == pytest.approx(-0.0000121019, abs=5e-11)  # -0.001024958 / 84.693889
    assert row["native_rate"] == -0.001024958  # dollars per SOL
    assert row["funding_rate"] * 8760 == pytest.approx(-0.1060, abs=5e-5)
    assert (row["mark_price"], row["index_price"]) == (84.652352, 84.693889)
    assert (row["exchange"], row["base"], row["quote"]) == ("drift", "SOL", "USDC")
    assert (row["interval_hours"], row["interval_from"]) == (1.0, "declared")


def test_legacy_integers_as_worked_on_the_page(payloads):
    (row,) = history(DRIFT, payloads("legacy_fundingRates_SOL-PERP.json"), "SOL-PERP")
    assert row["funding_rate"] == pytest.approx(-0.0000317529, abs=5e-11)  # (-3095708/1e9)/(97493700/1e6)
    assert row["funding_time"] == datetime(2026, 2, 4, 9, tzinfo=UTC)
    assert row["reported_time"] == datetime(2026, 2, 4, 9, 0, 7, tzinfo=UTC)
    assert (row["native_rate"], row["mark_price"], row["index_price"]) == (-3095708.0, 97.399905, 97.4937)
    with pytest.raises(BadCall, match="--symbol SOL-PERP"):
        history(DRIFT, payloads("legacy_fundingRates_SOL-PERP.json"))


def test_velocity_as_worked_on_the_page_with_lazy_stamps(payloads):
    rows = history(VELOCITY, payloads("velocity_market_fundingRates_BTC-PERP.json"))
    assert [r["funding_time"].hour for r in rows] == [20, 21, 22]
    assert [r["reported_time"].strftime("%H:%M:%S") for r in rows] == ["20:01:00", "21:00:59", "22:01:00"]
    last = rows[-1]
    assert last["funding_rate"] == pytest.approx(0.0000827483, abs=5e-11)  # 6.399237833 / 77333.726817
    assert (last["exchange"], last["base"], last["quote"]) == ("velocity", "BTC", "USDT")


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


def test_a_day_without_payments_is_empty(payloads):
    shape = json.loads(payloads("errors.json"))[1]["body_shape"]
    assert history(DRIFT, shape, "SOL-PERP") == []
    assert DRIFT.history.next_cursor(text(shape)) is None


def test_the_estimate_is_percent_and_the_longs_income(payloads):
    row = current(VELOCITY, payloads("velocity_stats_markets.json"))["BTC-PERP"]
    assert row["funding_rate"] == pytest.approx(0.00008181, rel=1e-12)  # long -0.008181 %: longs pay
    assert (row["native_rate"], row["interval_hours"]) == (-0.008181, 1.0)
    assert row["next_funding_time"] == datetime(2026, 9, 13, 23, tzinfo=UTC)
    assert (row["mark_price"], row["index_price"]) == (76908.6, 76753.471975)
    assert row["open_interest"] == 0.335  # the larger side: the pool holds the rest
    assert row["open_interest_usd"] == pytest.approx(25_764.381)
    (settled,) = history(VELOCITY, payloads("velocity_market_fundingRates_BTC-PERP.json"))[-1:]
    assert row["funding_rate"] == pytest.approx(settled["funding_rate"], rel=0.02)  # same size, same sign


def test_drift_of_february_in_both_of_its_answers(payloads):
    stats = current(DRIFT, payloads("stats_markets.json"))["SOL-PERP"]
    assert stats["funding_rate"] == pytest.approx(2.2e-7)
    assert stats["open_interest"] == 471252.73
    contract = current(DRIFT, payloads("contracts.json"))["SOL-PERP"]
    assert contract["funding_rate"] == pytest.approx(3.9e-7)  # 0.000039 percent, ordinary sign
    assert contract["next_funding_time"] == datetime(2026, 2, 19, 6, tzinfo=UTC)
    assert contract["open_interest"] == 471595.865  # 943191.73 counts both sides
    assert contract["open_interest"] == pytest.approx(stats["open_interest"], rel=0.001)


def test_drift_is_history_alone_and_its_markets_are_delisted(payloads):
    assert DRIFT.current.requests([DRIFT.market("SOL-PERP")]) == []
    row = markets(DRIFT, payloads("stats_markets.json"))["SOL-PERP"]
    assert (row["status"], row["delisted_at"], row["collateral"]) == ("delisted", FROZEN, "USDC")
    assert DRIFT.headers({}) == {"Origin": "https://app.drift.trade", "Referer": "https://app.drift.trade"}


def test_markets_of_velocity_are_its_perpetuals(payloads):
    rows = markets(VELOCITY, payloads("velocity_stats_markets.json"))
    assert set(rows) == {"BTC-PERP"}  # SOL is spot, with the same index
    row = rows["BTC-PERP"]
    assert (row["status"], row["quote"], row["max_leverage"]) == ("active", "USDT", 20.0)
    assert VELOCITY.headers({}) == {}


def test_bets_are_no_perpetuals(payloads):
    body = json.loads(payloads("stats_markets.json"))
    body["markets"].append({"symbol": "TRUMP-WIN-2024-BET", "marketType": "perp"})
    assert set(markets(DRIFT, body)) == {"SOL-PERP"}


# --- days as pages, against an answerer of whole UTC days


class Days24:
    """Newest first, one UTC day an answer in pages of `cap` rows; stamps up to a minute late."""

    def __init__(self, hours, cap=20):
        self.stamps = sorted((h + timedelta(seconds=h.hour * 2) for h in hours), reverse=True)
        self.cap, self.asked = cap, []

    def answer(self, request):
        self.asked.append(request.path.removeprefix("/market/SOL-PERP/fundingRates/"))
        day = [t for t in self.stamps if f"{t:%Y/%m/%d}" == self.asked[-1]]
        first = int(dict(request.params).get("page", "p0")[1:])
        more = first + self.cap < len(day)
        some = [paid(ts=int(t.timestamp())) for t in day[first : first + self.cap]]
        return text(page(*some, cursor=f"p{first + self.cap}" if more else None))


def walked(answerer, window):
    market = VELOCITY.market("SOL-PERP")
    walker = walk(VELOCITY.history.paging, window, HOUR)
    found, step = set(), next(walker, None)
    while step is not None:
        body = answerer.answer(VELOCITY.history.request(market, *step))
        frame = FUNDING.check(VELOCITY.history.parse(body, ResponseContext(AT, market=market)))
        times = frame["funding_time"].to_list()
        found |= {t for t in times if window.start <= t < window.stop}
        try:
            step = walker.send(Page(times, VELOCITY.history.next_cursor(body)))
        except StopIteration:
            step = None
    return sorted(found)


FULL = floor_hour(AT)
THERE = [FULL - n * HOUR for n in range(200)]


@pytest.mark.parametrize("cap", [24, 20, 1])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 22), (0, 23), (5, 100), (190, 300)])
def test_every_payment_of_a_window_is_found_whatever_the_page(newest, oldest, cap):
    window = Window(FULL - oldest * HOUR, FULL - (newest - 1) * HOUR)
    assert walked(Days24(THERE, cap), window) == sorted(t for t in THERE if window.start <= t < window.stop)


def test_missing_hours_and_empty_days_hide_nothing_behind_them():
    there = [t for n, t in enumerate(THERE) if n not in (3, 4) and not 30 <= n < 90]
    answerer = Days24(there)
    window = Window(FULL - 150 * HOUR, FULL + HOUR)
    assert walked(answerer, window) == sorted(t for t in there if t >= window.start)
    assert sorted(set(answerer.asked)) == [f"2026/09/{d:02d}" for d in range(7, 14)]


def test_a_day_is_asked_by_its_own_date_even_for_one_hour():
    assert isinstance(DRIFT.history.paging, Days)
    request = DRIFT.history.request(DRIFT.market("SOL-PERP"), Window(FULL, FULL + HOUR), "a=")
    assert request.path == "/market/SOL-PERP/fundingRates/2026/09/13"
    assert request.params == (("page", "a="),)


def test_rows_of_another_day_prove_nothing():
    class Deaf(Days24):
        def answer(self, request):
            return text(page(*(paid(ts=int(t.timestamp())) for t in self.stamps[:24])))

    with pytest.raises(WalkNotProven, match="another day"):
        walked(Deaf(THERE), Window(FULL - 100 * HOUR, FULL))


def test_a_cursor_that_leads_on_into_the_day_before_ends_the_day():
    class Flowing(Days24):
        def answer(self, request):
            self.asked.append(request.path[-10:])
            there = [t for t in self.stamps if f"{t:%Y/%m/%d}" <= self.asked[-1]]
            first = int(dict(request.params).get("page", "p0")[1:])
            some = [paid(ts=int(t.timestamp())) for t in there[first : first + self.cap]]
            return text(page(*some, cursor=f"p{first + self.cap}"))

    window = Window(FULL - 60 * HOUR, FULL + HOUR)
    for cap in (24, 20, 7):
        answerer = Flowing(THERE, cap)
        assert walked(answerer, window) == sorted(t for t in THERE if t >= window.start)
        assert len(answerer.asked) <= 3 * (24 // cap + 1)


# --- corruption


@pytest.mark.parametrize(
    ("row", "told"),
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
        (paid(symbol="BTC-PERP"), "asked was"),
        ("x", "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, told):
    with pytest.raises(BadPayload, match=told):
        history(DRIFT, page(paid(ts=1775062800), row), "SOL-PERP")


def test_a_bare_zero_is_zero_in_both_ways_of_writing():
    (row,) = history(DRIFT, page(paid(rate="0")))
    assert row["funding_rate"] == 0.0


@pytest.mark.parametrize(
    "change",
    [{"status": "asleep"}, {"quoteAsset": "EUR"}, {"baseAsset": "BTC"}, {"marketType": "option"}],
)
def test_a_listing_that_is_not_as_described_is_refused(payloads, change):
    body = json.loads(payloads("stats_markets.json"))
    body["markets"][0] |= change
    with pytest.raises(BadPayload, match=next(iter(change))):
        markets(DRIFT, body)


def test_a_short_side_above_zero_and_failed_answers_are_refused(payloads):
    body = json.loads(payloads("velocity_stats_markets.json"))
    body["markets"][0]["openInterest"]["short"] = "0.1"
    with pytest.raises(BadPayload, match="short"):
        current(VELOCITY, body)
    for bad in ({**body, "success": False}, {**body, "markets": []}):
        with pytest.raises(BadPayload):
            markets(VELOCITY, bad)
    with pytest.raises(BadPayload, match="success"):
        history(DRIFT, {**page(paid()), "success": False})


def test_means_over_days_are_no_estimate_of_now(payloads):
    with pytest.raises(BadPayload, match="marketType"):
        current(DRIFT, payloads("stats_fundingRates.json"))


def test_a_closed_door_is_no_rate_limit(payloads):
    closed = json.loads(payloads("errors.json"))[0]
    assert isinstance(DRIFT.refusal(closed["http_status"], text(closed["body"])), Refused)
    assert isinstance(VELOCITY.refusal(429, b""), RateLimited)
    assert DRIFT.refusal(200, b"{}") is None
    for name in ("SOL", "-PERP", "TRUMP-BET"):
        with pytest.raises(BadCall):
            DRIFT.market(name)
