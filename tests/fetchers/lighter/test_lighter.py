"""Lighter: what its case does not prove: the price identity, frames without names, rounds of two answers."""

import copy
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import Market, ResponseContext
from fundingdb.fetchers.lighter import FETCHER
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window
from tests.fetchers.lighter.case import (
    BTC,
    CONNECTED,
    DETAILS,
    ETH,
    FRAME,
    FRAMES,
    HISTORY,
    OLD_DETAILS,
    ORDER_BOOKS,
    RATES,
    T0,
    book,
    fundings,
    lines,
    rate,
    row,
    text,
)
from tests.fetchers.played import whole

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def history(body, market=ETH):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market))).to_dicts()


def current(body, markets=()):
    context = ResponseContext(AT, markets={m.symbol: m for m in markets})
    return SNAPSHOTS.check(whole(FETCHER.current.parse, text(body), context)).to_dicts()


def markets(body):
    return {
        r["symbol"]: r
        for r in MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    }


def test_the_kaito_row_pays_the_longs_and_its_coarse_value_gives_a_coarse_price():
    kaito = {"timestamp": 1761685200, "value": "0.00006", "rate": "0.0058", "direction": "short"}
    (only,) = history(fundings(kaito), FETCHER.market("KAITO"))
    assert only["funding_time"] == datetime(2025, 10, 28, 21, tzinfo=UTC)
    assert only["funding_rate"] == -0.000058
    assert only["mark_price"] == pytest.approx(1.03, abs=0.01)


def test_a_row_alone_is_no_answer_since_it_does_not_say_its_resolution():
    with pytest.raises(BadPayload, match="resolution: is missing"):
        history(row())


def test_an_answer_that_names_no_market_needs_one():
    with pytest.raises(BadCall, match="--symbol"):
        FETCHER.history.parse(text(HISTORY), ResponseContext(AT))


def test_a_multiple_is_taken_out_of_the_price_and_not_of_the_rate():
    (only,) = history(fundings(row(value="0.00000012", rate="0.0012")), FETCHER.market("1000PEPE"))
    assert only["funding_rate"] == 0.000012
    assert only["mark_price"] == pytest.approx(0.01 / 1000)
    assert only["base"] == "PEPE"


def test_a_rate_of_zero_has_no_price():
    (only,) = history(fundings(row(value="0.00000000", rate="0.0000", direction="short")))
    assert only["funding_rate"] == 0
    assert str(only["funding_rate"]) == "0.0"
    assert only["mark_price"] is None


def test_rows_before_the_window_pass_and_any_order_is_sorted():
    rows = history(fundings(row(2), row(0), row(1)))
    assert [r["funding_time"].hour for r in rows] == [20, 21, 22]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (fundings(row(direction="up")), "direction: is neither long nor short.*'up'"),
        (fundings(row(direction="")), "direction"),
        (fundings(row(rate="-0.0012")), "rate: is signed, but direction has the sign"),
        (fundings(row(value="-0.02")), "value: is signed, but direction has the sign"),
        (fundings(row(rate="0.5001", value="11.28505656")), "ETH: 0.005001 per hour is beyond the cap 0.005"),
        (fundings(row(rate=0.0012)), r"fundings\[0\].rate: Expected `str`, got `float`"),
        (fundings(row(rate="NaN")), "rate: is not a finite decimal"),
        (fundings(row(value="inf")), "value: is not a finite decimal"),
        (fundings(row(value=None)), r"fundings\[0\].value"),
        (fundings(row() | {"timestamp": T0 * 1000}), "not a full hour in Unix seconds"),
        (fundings(row() | {"timestamp": T0 + 1}), "not a full hour"),
        (fundings(row() | {"timestamp": str(T0)}), r"fundings\[0\].timestamp"),
        (fundings(row()) | {"resolution": "1d"}, "resolution: is not 1h"),
        (fundings(row()) | {"code": 23000}, "code: is not 200"),
        (fundings(row(), row(1, value="2.70787200")), "value: the price .* leaps from 2256.56 to 225656"),
        (fundings(row(), row(1, rate="0.0096")), "leaps from 2256.56 to 282.07"),
        (fundings(row(), row(1, rate="0.0012", value="0.00002256")), "leaps"),
        ({"code": 200, "resolution": "1h"}, "fundings: is missing"),
    ],
)
def test_a_history_that_is_not_as_described_is_refused_and_says_why(body, message):
    with pytest.raises(BadPayload, match=message):
        history(body)


def test_the_cap_itself_passes():
    assert history(fundings(row(rate="0.5000", value="11.2828")))[0]["funding_rate"] == 0.005


def test_a_price_may_move_far_over_a_hole_of_more_than_six_hours():
    assert len(history(fundings(row(), row(7, value="0.27078720")))) == 2


def test_a_value_of_few_digits_proves_little_and_is_allowed_it():
    coarse = [row(0, "0.00001", "0.0012"), row(1, "0.00003", "0.0012"), row(2, "0.00006", "0.0058")]
    assert len(history(fundings(*coarse))) == 3


def test_rates_without_any_row_of_lighter_are_refused():
    answer = {"code": 200, "funding_rates": [rate(1, "binance", "BTC", 2.494e-05)]}
    with pytest.raises(BadPayload, match="no row of this exchange"):
        current(answer)


def test_a_rate_read_as_percent_is_beyond_the_cap():
    answer = {
        "code": 200,
        "funding_rates": [rate(0, "lighter", "ETH", 0.0001), rate(1, "lighter", "BTC", 0.041)],
    }
    with pytest.raises(BadPayload, match="BTC: 0.005125 per hour is beyond the cap"):
        current(answer)


def test_a_market_known_as_inactive_has_no_current_rate():
    dead = Market("lighter", "BTC", "BTC", "USDC", "crypto", native_id="1", status="inactive")
    assert [r["symbol"] for r in current(RATES, [dead])] == ["ETH", "1000PEPE"]


def test_details_of_may_2026_have_no_prices():
    (only,) = current(OLD_DETAILS)
    assert (only["mark_price"], only["open_interest"]) == (None, 27350.8981)


def test_the_two_answers_of_a_round_fill_each_other():
    first, second = FETCHER.current.requests([])
    assert (first.path, second.path) == ("/funding-rates", "/orderBookDetails")
    assert dict(second.params) == {"filter": "perp"}
    rate = {r["symbol"]: r for r in current(RATES)}["BTC"]
    rest = {r["symbol"]: r for r in current(DETAILS)}["BTC"]
    who = {"exchange", "source", "symbol", "base", "quote", "asset_class", "month", "observed_at"}
    for name in who:
        assert rate[name] == rest[name]
    assert {n for n in rate if n not in who and rate[n] is not None and rest[n] is not None} == set()


def test_order_books_have_nothing_current():
    with pytest.raises(BadPayload, match="order_book_details: is missing"):
        current(ORDER_BOOKS)


def test_frames_without_a_symbol_are_named_by_the_list_of_markets():
    rows = current(lines(*FRAMES), [ETH, BTC])
    eth = next(r for r in rows if r["symbol"] == "ETH")
    assert eth["funding_rate"] == 0.000012
    assert eth["next_funding_time"] == datetime(2025, 10, 7, 9, tzinfo=UTC)
    assert eth["open_interest_usd"] == pytest.approx(
        186_660_435.586679
    )  # the update, not the snapshot before it
    assert eth["observed_at"] == AT
    assert len(rows) == 2


def test_frames_that_nothing_names_are_no_answer():
    first = lines(CONNECTED, FRAMES[1])
    with pytest.raises(BadCall, match="market_id 0"):
        current(first)


def test_a_frame_of_an_error_is_refused():
    with pytest.raises(BadPayload, match="the stream reports an error.*30009"):
        current(lines(*FRAMES, {"error": {"code": 30009, "message": "too many"}}))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("current_funding_rate", "0.51", "beyond the cap"),
        ("current_funding_rate", "nan", "finite"),
        ("current_funding_rate", -0.0028, "current_funding_rate"),
        ("funding_timestamp", 1780545600, "Unix milliseconds"),
        ("funding_timestamp", 1780545599999, "just before an hour"),
        ("mark_price", "-1", "negative"),
        ("market_id", "1", "market_id"),
    ],
)
def test_a_frame_with_one_bad_field_gives_nothing(field, value, message):
    frame = copy.deepcopy(FRAME)
    frame["market_stats"][field] = value
    with pytest.raises(BadPayload, match=message):
        current(frame)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "ACTIVE"}, "status: of .* is none of active, inactive"),
        ({"market_type": "future"}, "neither perp nor spot"),
        ({"market_id": None}, "market_id"),
        ({"open_interest": "2092"}, "open_interest"),
        ({"symbol": ""}, "symbol: is empty"),
    ],
)
def test_a_listing_with_one_bad_field_gives_nothing(change, message):
    answer = {"code": 200, "order_book_details": [book("BTC", 1) | change, book("ETH", 0)]}
    for read_as in (markets, current):
        with pytest.raises(BadPayload, match=message):
            read_as(answer)


def test_history_requests_one_hour_more_on_each_side_for_the_bounds_are_exclusive():
    start = datetime(2026, 9, 1, tzinfo=UTC)
    request = FETCHER.history.request(ETH, Window(start, start + 720 * HOUR), None)
    assert request.path == "/fundings"
    assert dict(request.params) == {
        "market_id": "0",
        "resolution": "1h",
        "start_timestamp": "1788217200",  # 23:00 the day before
        "end_timestamp": "1790812800",
        "count_back": "0",
    }


def test_a_market_without_its_id_has_no_history_request():
    with pytest.raises(BadCall, match="no market_id is known for ETH"):
        FETCHER.history.request(FETCHER.market("ETH"), Window(AT - HOUR, AT), None)


@given(
    st.floats(0.00001, 100_000),
    st.lists(st.tuples(st.floats(0.85, 1.18), st.integers(-5000, 5000)), min_size=1, max_size=40),
    st.integers(5, 10),
)
def test_a_real_walk_of_prices_always_passes(price, steps, digits):
    """Any rate to 4 decimals of a percent, moves of up to 18 % an hour, value cut to 5-10 digits."""
    rows, marks = [], []
    for hour, (move, ticks) in enumerate(steps):
        price *= move
        marks.append(price)
        value = price * abs(ticks) / 1e6
        paid = f"{int(value * 10**digits) / 10**digits:.{digits}f}"
        rows.append(row(hour, paid, f"{abs(ticks) / 1e4:.4f}", "long" if ticks > 0 else "short"))
    read = history(fundings(*rows))
    assert [round(r["funding_rate"] * 1e6) for r in read] == [ticks for _, ticks in steps]
    for mark, found, (_, ticks) in zip(marks, read, steps, strict=True):
        if found["mark_price"] is not None:
            assert abs(found["mark_price"] - mark) <= 1.01 * 10**-digits / (abs(ticks) / 1e6) + mark * 1e-9


@given(st.integers(1, 30), st.data(), st.sampled_from([1 / 100, 1 / 24, 1 / 8, 8, 24, 100, 2256.56]))
def test_one_row_of_another_unit_refuses_the_whole_answer(hours, data, factor):
    rows = [row(hour) for hour in range(hours + 1)]
    wrong = data.draw(st.integers(0, hours))
    rows[wrong]["value"] = f"{0.02707872 * factor:.8f}"
    with pytest.raises(BadPayload, match="leaps"):
        history(fundings(*rows))


def test_refusals_repeat_the_message():
    assert "invalid param" in str(FETCHER.refusal(400, text({"code": 20001, "message": "invalid param"})))


def test_the_recorded_responses_are_read(shared):
    def recorded(name):
        return (shared / "venues/payloads/lighter" / name).read_bytes()

    first, second = history(recorded("fundings_ETH_1h_short.json"))
    assert (first["funding_rate"], second["funding_rate"]) == (0.000012, -0.000002)
    rows = history(recorded("fundings_BTC_1h.json"), BTC)
    assert [r["funding_rate"] for r in rows] == [0.00001, 0.000001, 0.000001, 0.00001]
    assert [round(r["mark_price"], 6) for r in rows] == [79227.6, 78799.4, 77732.7, 77916.5]
    assert {r["symbol"] for r in current(recorded("funding-rates.json"))} == {"ETH", "BTC"}
    assert {s: r["status"] for s, r in markets(recorded("orderBookDetails.json")).items()} == {
        "BTC": "active",
        "ETH": "active",
        "PIPPIN": "inactive",
    }
    assert markets(recorded("orderBookDetails_full_ETH.json"))["ETH"]["max_leverage"] == 50
    assert markets(recorded("orderBooks.json"))["ETH"]["native_id"] == "0"
    assert [r["symbol"] for r in current(recorded("ws_market_stats.jsonl"))] == ["BTC"]
    (only,) = current((shared / "data/raw/lighter/funding-rates_excerpt_2025-09.json").read_bytes())
    assert (only["symbol"], only["funding_rate"]) == ("TON", pytest.approx(0.000012))
    limited, bad, _ = json.loads(recorded("errors.json"))
    assert type(FETCHER.refusal(limited["http_status"], text(limited["body"]))).__name__ == "RateLimited"
    assert type(FETCHER.refusal(bad["http_status"], text(bad["body"]))).__name__ == "Refused"


def test_a_cap_in_another_unit_is_refused():
    with pytest.raises(BadPayload, match="beyond ten times the usual cap, 4"):
        markets({"code": 200, "order_book_details": [book("BTC", 1, funding_clamp_big="40000")]})


def test_rates_and_frames_with_an_empty_name_are_refused():
    with pytest.raises(BadPayload, match="symbol: is empty"):
        current({"code": 200, "funding_rates": [rate(0, "lighter", "", 0.0001)]})
    nameless = copy.deepcopy(FRAME)
    nameless["market_stats"]["symbol"] = ""
    with pytest.raises(BadPayload, match="symbol: is empty"):
        current(nameless)
