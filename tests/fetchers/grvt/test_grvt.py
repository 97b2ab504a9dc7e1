"""GRVT: worked examples by hand, recorded responses, paging by cursor, refusals."""

import base64
import json
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.grvt import FETCHER, symbol_market
from fundingdb.fetchers.payload import Reader, hundredth
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import HOUR, Window
from tests.fetchers.grvt.case import AT, BTC, RESPONSES, page, payment, serve, written
from tests.fetchers.played import played, text, whole
from tests.fetchers.walking import walked


def history(body, market=None):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market))).to_dicts()


def markets(body):
    rows = MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, known=None, request=None):
    context = ResponseContext(AT, markets=known or {}, request=request)
    (row,) = SNAPSHOTS.check(whole(FETCHER.current.parse, text(body), context)).to_dicts()
    return row


def test_history_of_the_written_response():
    rows = history(written("funding_BTC_USDT_Perp"))
    assert [r["funding_time"] for r in rows] == [
        datetime(2026, 9, 12, 16, tzinfo=UTC),
        datetime(2026, 9, 13, 0, tzinfo=UTC),
        datetime(2026, 9, 13, 8, tzinfo=UTC),
    ]
    row = rows[1]
    assert (row["funding_rate"], row["native_rate"]) == (0.000066, 0.0066)  # percent
    assert (row["interval_hours"], row["interval_from"], row["rate_type"]) == (8.0, "row", "regular")
    assert (row["base"], row["quote"], row["asset_class"]) == ("BTC", "USDT", "crypto")
    assert (row["mark_price"], row["reported_time"]) == (77255.165038271, row["funding_time"])
    assert row["funding_rate"] / 0.00004788 == pytest.approx(1.378, abs=0.001)  # beside Binance's payment


def test_the_cursor_is_handed_back_as_it_came():
    cursor = FETCHER.history.next_cursor(written("funding_BTC_USDT_Perp"))
    window = Window(AT - 50 * HOUR, AT)
    assert FETCHER.history.request(symbol_market("BTC_USDT_Perp"), window, cursor).json["cursor"] == cursor
    assert FETCHER.history.next_cursor(text(page(cursor="more"))) is None  # no rows: the end


def test_samples_are_no_payments():
    rows = history(
        page(
            payment(),
            payment(rate="0.5", time="1789257660000000000", hours=0),
            payment(rate="0.5", time="1789261200000000000"),  # 01:00, off the grid of 8 hours
            payment(rate="0.5", time="1789257660000000000"),  # a minute after
        )
    )
    assert [r["funding_rate"] for r in rows] == [0.000066]
    assert history(page(payment(hours=0))) == []


def test_the_interval_is_the_rows_own():
    rows = history(page(payment(), payment(time="1789272000000000000", hours=4)))
    assert [(r["funding_time"].hour, r["interval_hours"]) for r in rows] == [(0, 8.0), (4, 4.0)]


def test_nanoseconds_never_pass_through_a_float():
    (row,) = history(page(payment(time="1789257600999999999")))
    assert row["funding_time"] == datetime(2026, 9, 13, tzinfo=UTC)
    assert row["reported_time"] == datetime(2026, 9, 13, 0, 0, 0, 999_000, tzinfo=UTC)


def test_current_of_the_written_response():
    row = current(written("ticker_BTC_USDT_Perp"))
    assert (row["funding_rate"], row["native_rate"], row["rate_step"]) == (0.000031, 0.0031, 1e-6)
    assert row["next_funding_time"] == datetime(2026, 9, 14, tzinfo=UTC)
    assert (row["mark_price"], row["index_price"]) == (76747.199999999, 76786.925652169)
    assert row["open_interest"] == 2523.388873277
    assert row["open_interest_usd"] == pytest.approx(193_663_031, rel=1e-6)  # times mark
    assert row["interval_hours"] is None  # no listing given, and it differs by market
    apple = current(written("ticker_AAPL_USDT_Perp"))
    assert (apple["funding_rate"], apple["asset_class"], apple["open_interest"]) == (0.0, "equity", 60.7)


def test_with_the_listing_current_has_the_markets_interval():
    known = {s: market_of(row) for s, row in markets(written("all_instruments")).items()}
    assert current(written("ticker_BTC_USDT_Perp"), known)["interval_hours"] == 8.0
    body = json.loads(written("ticker_BTC_USDT_Perp"))
    body["result"] |= {"instrument": "KBONK_USDT_Perp", "mark_price": "0.0027", "index_price": "0.0028"}
    row = current(body, known)
    assert (row["base"], row["interval_hours"], row["funding_rate"]) == ("BONK", 4.0, 0.000031)
    assert row["mark_price"] == pytest.approx(0.0000027)
    assert row["open_interest"] == pytest.approx(2_523_388.873277)
    assert row["open_interest_usd"] == pytest.approx(6.8131499578)  # 2523.388873277 x 0.0027


def test_each_trading_market_has_a_request_and_a_response_of_its_own():
    known = [market_of(row) for row in markets(written("all_instruments")).values()]
    requests = FETCHER.current.requests(known)
    assert [r.json for r in requests] == [{"instrument": m.symbol} for m in known]
    with pytest.raises(BadPayload, match="requested was"):
        current(written("ticker_AAPL_USDT_Perp"), request=requests[0])


def test_markets_with_interval_and_cap_in_percent_and_capital_k():
    rows = markets(written("all_instruments"))
    assert {
        s: (r["base"], r["multiplier"], r["interval_hours"], r["rate_cap"], r["asset_class"])
        for s, r in rows.items()
    } == {
        "BTC_USDT_Perp": ("BTC", 1.0, 8.0, 0.003, "crypto"),
        "ENA_USDT_Perp": ("ENA", 1.0, 4.0, 0.02, "crypto"),
        "AAPL_USDT_Perp": ("AAPL", 1.0, 8.0, 0.02, "equity"),
        "KBONK_USDT_Perp": ("BONK", 1000.0, 4.0, 0.02, "crypto"),
    }
    assert symbol_market("KAITO_USDT_Perp").base == "KAITO"
    assert {r["listed_at"] for r in rows.values()} == {None}  # create_time is a migration's


# --- paging


LAST = datetime(2026, 9, 13, 16, tzinfo=UTC)
THERE = [LAST - n * 8 * HOUR for n in range(120)]


def times(venue, window):
    return walked(FETCHER, BTC, venue, window)["funding_time"].to_list()


@pytest.mark.parametrize("cap", [1000, 50, 7])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 49), (0, 50), (10, 100), (115, 300)])
def test_every_payment_of_a_window_is_found_whatever_the_cap(newest, oldest, cap):
    window = Window(LAST - oldest * 8 * HOUR, LAST - newest * 8 * HOUR + HOUR)
    venue, _ = played(serve, THERE, cap=cap)
    assert times(venue, window) == sorted(t for t in THERE if window.start <= t < window.stop)


def test_whole_pages_of_samples_hide_no_payment():
    venue, requests = played(serve, THERE, cap=100, samples=150)
    assert times(venue, Window(THERE[9], LAST + HOUR)) == sorted(THERE[:10])
    assert len(requests) > 10


# --- corruption


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (payment(rate=""), "funding_rate"),
        (payment(rate="Infinity"), "funding_rate"),
        (payment(rate=0.0066), "funding_rate"),
        (payment(rate="5.1"), "unit"),
        (payment(time="1789257600000"), "nanoseconds"),
        (payment(time="178925760000000000x"), "nanoseconds"),
        (payment(time=1789257600000000000), "funding_time"),
        (payment(time="9789257600000000000"), "milliseconds"),
        (payment(hours=7), "funding_interval_hours"),
        (payment(hours=-8), "funding_interval_hours"),
        (payment(mark="-1"), "negative"),
        (payment(instrument="ETH_USDT_Perp"), "is 'ETH_USDT_Perp'"),
        (0, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_response(row, words):
    with pytest.raises(BadPayload, match=words):
        history(page(payment(time="1789228800000000000"), row), symbol_market("BTC_USDT_Perp"))


@pytest.mark.parametrize(
    "change",
    [
        {"funding_interval_hours": 0},
        {"base": "ETH"},
        {"adjusted_funding_rate_cap": ""},
        {"adjusted_funding_rate_cap": "101.0"},
        {"adjusted_funding_rate_floor": 1},
    ],
)
def test_a_listing_that_is_not_as_described_is_refused(change):
    body = json.loads(written("all_instruments"))
    body["result"][0] |= change
    with pytest.raises(BadPayload):
        markets(body)


def test_other_kinds_are_no_perpetuals_whatever_their_fields():
    body = json.loads(written("all_instruments"))
    body["result"].append({"instrument": "BTC_USDT_Call_20Oct26", "kind": "CALL"})
    assert len(markets(body)) == 4
    with pytest.raises(BadPayload, match="no perpetual"):
        markets({"result": body["result"][4:]})


def test_a_ticker_beyond_twice_the_cap_or_off_the_hour_is_refused():
    known = {s: market_of(row) for s, row in markets(written("all_instruments")).items()}
    body = json.loads(written("ticker_BTC_USDT_Perp"))
    body["result"]["funding_rate"] = "0.6"
    assert current(body, known)["funding_rate"] == 0.006
    body["result"]["funding_rate"] = "0.61"
    with pytest.raises(BadPayload, match="unit"):
        current(body, known)
    body["result"] |= {"funding_rate": "0.1", "next_funding_time": "1789344060000000000"}
    with pytest.raises(BadPayload, match="full hour"):
        current(body, known)


@pytest.mark.parametrize("name", ["BTC", "BTC_USDT", "_USDT_Perp", "BTC_Perp", ""])
def test_a_symbol_that_is_not_base_quote_perp_is_no_market(name):
    with pytest.raises(BadCall, match="BTC_USDT_Perp"):
        symbol_market(name)


def test_the_recorded_responses_are_read_as_those_written_here(shared):
    recorded = {name: (shared / "venues/payloads/grvt" / f"{name}.json").read_bytes() for name in RESPONSES}
    for name, body in recorded.items():
        read = {"funding": history, "ticker": current}.get(name.partition("_")[0], markets)
        assert read(body) == read(written(name))
    listed = markets(recorded["all_instruments"])["BTC_USDT_Perp"]
    rows = history(recorded["funding_BTC_USDT_Perp"], market_of(listed))
    assert {r["interval_hours"] for r in rows} == {listed["interval_hours"]}
    assert max(abs(r["funding_rate"]) for r in rows) <= listed["rate_cap"]
    cursor = FETCHER.history.next_cursor(recorded["funding_BTC_USDT_Perp"])
    held = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4)))
    assert held == {"fundingTime": 1789200000000000000}  # the next older row, 2026-09-12T08:00Z


@given(figure=st.decimals(-100, 100, places=12), exponent=st.integers(-9, 2))
def test_a_percent_becomes_the_float_nearest_to_its_exact_hundredth(figure, exponent):
    for percent, exact in ((f"{figure:f}", figure), (f"{figure:f}e{exponent}", figure.scaleb(exponent))):
        rate, native = hundredth(Reader("grvt", "test"), "rate", percent)
        assert rate == float(Fraction(exact) / 100)
        assert native == float(exact)
