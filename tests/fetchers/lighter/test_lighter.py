"""Lighter: recorded answers, worked examples by hand, the price identity, refusals."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused
from fundingdb.fetchers.contract import Market, ResponseContext
from fundingdb.fetchers.lighter import FETCHER
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
ETH = Market("lighter", "ETH", "ETH", "USDC", "crypto", native_id="0", interval_hours=1.0, rate_cap=0.005)
BTC = Market("lighter", "BTC", "BTC", "USDC", "crypto", native_id="1", interval_hours=1.0, rate_cap=0.005)
T0 = 1_778_702_400


@pytest.fixture(scope="module")
def payloads(shared):
    return shared / "venues/payloads/lighter"


def read(payloads, name):
    return (payloads / name).read_bytes()


def as_bytes(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def history(body, market=ETH):
    return FUNDING.check(FETCHER.history.parse(as_bytes(body), ResponseContext(AT, market=market))).to_dicts()


def current(body, markets=()):
    asked = ResponseContext(AT, markets={m.symbol: m for m in markets})
    return SNAPSHOTS.check(FETCHER.current.parse(as_bytes(body), asked)).to_dicts()


def markets(body):
    return {
        r["symbol"]: r
        for r in MARKETS.check(FETCHER.markets.parse(as_bytes(body), ResponseContext(AT))).to_dicts()
    }


def row(hour=0, value="0.02707872", rate="0.0012", direction="long"):
    return {"timestamp": T0 + 3600 * hour, "value": value, "rate": rate, "direction": direction}


def fundings(*rows):
    return {"code": 200, "resolution": "1h", "fundings": list(rows)}


def test_history_as_worked_on_the_page(payloads):
    first, second = history(read(payloads, "fundings_ETH_1h_short.json"))
    assert first["funding_time"] == first["reported_time"] == datetime(2026, 5, 13, 20, tzinfo=UTC)
    assert first["funding_rate"] == 0.000012
    assert first["native_rate"] == 0.0012
    assert first["funding_rate"] * 8760 == pytest.approx(0.1051, abs=1e-4)
    assert first["mark_price"] == pytest.approx(2256.56, rel=1e-9)
    assert (first["interval_hours"], first["interval_from"]) == (1.0, "declared")
    assert second["funding_time"] == datetime(2026, 5, 13, 21, tzinfo=UTC)
    assert second["funding_rate"] == -0.000002
    assert second["mark_price"] == pytest.approx(2263.89, rel=1e-9)


def test_the_four_bitcoin_rows(payloads):
    rows = history(read(payloads, "fundings_BTC_1h.json"), BTC)
    assert [r["funding_rate"] for r in rows] == [0.00001, 0.000001, 0.000001, 0.00001]
    assert [round(r["mark_price"], 6) for r in rows] == [79227.6, 78799.4, 77732.7, 77916.5]
    assert rows[0]["funding_time"] == datetime(2026, 9, 11, 14, tzinfo=UTC)


def test_the_kaito_row_pays_the_longs_and_its_coarse_value_gives_a_coarse_price(payloads):
    kaito = json.loads(read(payloads, "fundings_KAITO_row.json"))
    (only,) = history(fundings(kaito), FETCHER.market("KAITO"))
    assert only["funding_time"] == datetime(2025, 10, 28, 21, tzinfo=UTC)
    assert only["funding_rate"] == -0.000058
    assert only["mark_price"] == pytest.approx(1.03, abs=0.01)


def test_a_row_alone_is_no_answer_since_it_does_not_say_its_resolution(payloads):
    with pytest.raises(BadPayload, match="resolution: is missing"):
        history(read(payloads, "fundings_KAITO_row.json"))


def test_an_answer_that_names_no_market_needs_one(payloads):
    with pytest.raises(BadCall, match="--symbol"):
        FETCHER.history.parse(read(payloads, "fundings_ETH_1h_short.json"), ResponseContext(AT))


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


def test_an_empty_history_is_an_answer():
    assert history(fundings()) == []


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


def test_current_rates_are_eighths_of_the_lighter_rows_alone(payloads):
    rows = {r["symbol"]: r for r in current(read(payloads, "funding-rates.json"))}
    assert set(rows) == {"ETH", "BTC"}
    assert rows["BTC"]["funding_rate"] == pytest.approx(0.000012, rel=1e-12)
    assert rows["BTC"]["native_rate"] == pytest.approx(0.000096, rel=1e-12)
    assert rows["BTC"]["next_funding_time"] == datetime(2026, 9, 13, 23, tzinfo=UTC)
    assert (rows["BTC"]["interval_hours"], rows["BTC"]["rate_step"]) == (1.0, 1e-6)
    assert (rows["BTC"]["mark_price"], rows["BTC"]["open_interest"]) == (None, None)


def test_the_excerpt_of_2025_has_one_lighter_row(shared):
    (only,) = current((shared / "data/raw/lighter/funding-rates_excerpt_2025-09.json").read_bytes())
    assert (only["symbol"], only["funding_rate"]) == ("TON", pytest.approx(0.000012))


def test_rates_without_any_row_of_lighter_are_refused(payloads):
    answer = json.loads(read(payloads, "funding-rates.json"))
    answer["funding_rates"] = [r for r in answer["funding_rates"] if r["exchange"] != "lighter"]
    with pytest.raises(BadPayload, match="no row of this exchange"):
        current(answer)


def test_a_rate_read_as_percent_is_beyond_the_cap(payloads):
    answer = json.loads(read(payloads, "funding-rates.json"))
    answer["funding_rates"][-1]["rate"] = 0.041
    with pytest.raises(BadPayload, match="BTC: 0.005125 per hour is beyond the cap"):
        current(answer)


def test_a_market_known_as_inactive_has_no_current_rate(payloads):
    dead = Market("lighter", "BTC", "BTC", "USDC", "crypto", native_id="1", status="inactive")
    assert [r["symbol"] for r in current(read(payloads, "funding-rates.json"), [dead])] == ["ETH"]


def test_details_give_prices_and_sizes_of_active_markets_and_no_rate(payloads):
    rows = {r["symbol"]: r for r in current(read(payloads, "orderBookDetails.json"))}
    assert set(rows) == {"BTC", "ETH"}
    assert rows["BTC"]["mark_price"] == 77_758.9
    assert rows["BTC"]["index_price"] == 77_791.3
    assert rows["BTC"]["open_interest"] == 2092.76507
    assert rows["BTC"]["volume_24h_usd"] == 850_015_955.986308
    assert (rows["BTC"]["funding_rate"], rows["BTC"]["rate_step"], rows["BTC"]["open_interest_usd"]) == (
        None,
    ) * 3


def test_details_of_may_2026_have_no_prices(payloads):
    (only,) = current(read(payloads, "orderBookDetails_full_ETH.json"))
    assert (only["mark_price"], only["open_interest"]) == (None, 27350.8981)


def test_details_of_a_multiple_are_per_token(payloads):
    answer = json.loads(read(payloads, "orderBookDetails.json"))
    answer["order_book_details"][0] |= {"symbol": "1000PEPE", "mark_price": "0.0034", "index_price": "0.0034"}
    pepe = current(answer)[0]
    assert pepe["base"] == "PEPE"
    assert pepe["mark_price"] == pytest.approx(0.0000034)
    assert pepe["open_interest"] == pytest.approx(2_092_765.07)


def test_the_two_answers_of_a_round_fill_each_other(payloads):
    first, second = FETCHER.current.requests([])
    assert (first.path, second.path) == ("/funding-rates", "/orderBookDetails")
    assert dict(second.params) == {"filter": "perp"}
    rate = {r["symbol"]: r for r in current(read(payloads, "funding-rates.json"))}["BTC"]
    rest = {r["symbol"]: r for r in current(read(payloads, "orderBookDetails.json"))}["BTC"]
    who = {"exchange", "source", "symbol", "base", "quote", "asset_class", "month", "observed_at"}
    for name in who:
        assert rate[name] == rest[name]
    assert {n for n in rate if n not in who and rate[n] is not None and rest[n] is not None} == set()


def test_order_books_have_nothing_current(payloads):
    with pytest.raises(BadPayload, match="order_book_details: is missing"):
        current(read(payloads, "orderBooks.json"))


def test_stream_frames_as_worked_on_the_page(payloads):
    (only,) = current(read(payloads, "ws_market_stats.jsonl"))
    assert only["symbol"] == "BTC"
    assert only["observed_at"] == datetime(2026, 6, 4, 4, 10, 9, 291_000, tzinfo=UTC)
    assert only["funding_rate"] == -0.000028
    assert only["native_rate"] == -0.0028
    assert only["next_funding_time"] == datetime(2026, 6, 4, 5, tzinfo=UTC)
    assert only["open_interest_usd"] == pytest.approx(102_123_609.308856)
    assert only["open_interest"] == pytest.approx(1586.85, abs=0.01)
    assert (only["mark_price"], only["index_price"]) == (64_356.3, 64_400.1)


def test_frames_without_a_symbol_are_named_by_the_list_of_markets(payloads):
    rows = current(read(payloads, "ws_market_stats.jsonl"), [ETH, BTC])
    eth = next(r for r in rows if r["symbol"] == "ETH")
    assert eth["funding_rate"] == 0.000012
    assert eth["next_funding_time"] == datetime(2025, 10, 7, 9, tzinfo=UTC)
    assert eth["open_interest_usd"] == pytest.approx(
        186_660_435.586679
    )  # the update, not the snapshot before it
    assert eth["observed_at"] == AT
    assert len(rows) == 2


def test_frames_that_nothing_names_are_no_answer(payloads):
    first = b"\n".join(read(payloads, "ws_market_stats.jsonl").splitlines()[:2])
    with pytest.raises(BadCall, match="market_id 0"):
        current(first)


def test_a_frame_of_an_error_is_refused(payloads):
    frame = json.loads(read(payloads, "errors.json"))[-1]["ws_frame"]
    lines = read(payloads, "ws_market_stats.jsonl") + json.dumps(frame).encode()
    with pytest.raises(BadPayload, match="the stream reports an error.*30009"):
        current(lines)


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
def test_a_frame_with_one_bad_field_gives_nothing(payloads, field, value, message):
    frame = json.loads(read(payloads, "ws_market_stats.jsonl").splitlines()[3])
    frame["market_stats"][field] = value
    with pytest.raises(BadPayload, match=message):
        current(frame)


def test_markets_keep_the_inactive_and_know_their_ids(payloads):
    rows = markets(read(payloads, "orderBookDetails.json"))
    assert {s: (r["native_id"], r["status"]) for s, r in rows.items()} == {
        "BTC": ("1", "active"),
        "ETH": ("0", "active"),
        "PIPPIN": ("135", "inactive"),
    }
    assert rows["BTC"]["rate_cap"] == 0.005
    assert (rows["BTC"]["quote"], rows["BTC"]["collateral"], rows["BTC"]["interval_hours"]) == (
        "USDC",
        "USDC",
        1.0,
    )


def test_the_full_listing_has_leverage_and_where_given_cap_and_day(payloads):
    answer = json.loads(read(payloads, "orderBookDetails_full_ETH.json"))
    assert markets(answer)["ETH"]["max_leverage"] == 50
    answer["order_book_details"][0] |= {"funding_clamp_big": "2.0000", "created_at": "1737072000000"}
    eth = markets(answer)["ETH"]
    assert (eth["rate_cap"], eth["listed_at"]) == (0.0025, datetime(2025, 1, 17, tzinfo=UTC))


def test_order_books_list_markets_too(payloads):
    assert markets(read(payloads, "orderBooks.json"))["ETH"]["native_id"] == "0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "ACTIVE"}, "neither active nor inactive"),
        ({"market_type": "future"}, "neither perp nor spot"),
        ({"market_id": None}, "market_id"),
        ({"open_interest": "2092"}, "open_interest"),
    ],
)
def test_a_listing_with_one_bad_field_gives_nothing(payloads, change, message):
    answer = json.loads(read(payloads, "orderBookDetails.json"))
    answer["order_book_details"][0] |= change
    for read_as in (markets, current):
        with pytest.raises(BadPayload, match=message):
            read_as(answer)


def test_spot_rows_are_left_out(payloads):
    answer = json.loads(read(payloads, "orderBookDetails.json"))
    answer["order_book_details"][1]["market_type"] = "spot"
    assert set(markets(answer)) == {"BTC", "PIPPIN"}
    assert [r["symbol"] for r in current(answer)] == ["BTC"]


def test_history_asks_one_hour_wider_in_seconds_for_the_bounds_are_exclusive():
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


def test_a_market_without_its_id_can_not_be_asked():
    with pytest.raises(BadCall, match="no market_id is known for ETH"):
        FETCHER.history.request(FETCHER.market("ETH"), Window(AT - HOUR, AT), None)


def test_refusals_say_what_to_do(payloads):
    limited, bad, _ = json.loads(read(payloads, "errors.json"))

    def refusal(status, body):
        return FETCHER.refusal(status, as_bytes(body))

    assert isinstance(refusal(limited["http_status"], limited["body"]), RateLimited)
    assert isinstance(refusal(200, limited["body"]), RateLimited)
    assert isinstance(refusal(405, b""), RateLimited)
    assert isinstance(refusal(bad["http_status"], bad["body"]), Refused)
    assert "invalid param" in str(refusal(400, bad["body"]))
    assert isinstance(refusal(400, {"code": 21100, "message": "market is not found"}), BadCall)
    assert isinstance(refusal(403, b"<html>"), Refused)
    assert isinstance(refusal(404, b""), Refused)
    assert refusal(503, b"<html>") is None
    assert refusal(200, read(payloads, "orderBookDetails.json")) is None
    assert refusal(200, b'{"funding_rates": []}') is None


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
    got = history(fundings(*rows))
    assert [round(r["funding_rate"] * 1e6) for r in got] == [ticks for _, ticks in steps]
    for mark, found, (_, ticks) in zip(marks, got, steps, strict=True):
        if found["mark_price"] is not None:
            assert abs(found["mark_price"] - mark) <= 1.01 * 10**-digits / (abs(ticks) / 1e6) + mark * 1e-9


@given(st.integers(1, 30), st.data(), st.sampled_from([1 / 100, 1 / 24, 1 / 8, 8, 24, 100, 2256.56]))
def test_one_row_of_another_unit_refuses_the_whole_answer(hours, data, factor):
    rows = [row(hour) for hour in range(hours + 1)]
    wrong = data.draw(st.integers(0, hours))
    rows[wrong]["value"] = f"{0.02707872 * factor:.8f}"
    with pytest.raises(BadPayload, match="leaps"):
        history(fundings(*rows))
