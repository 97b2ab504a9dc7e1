"""Pacifica: worked examples by hand, recorded responses, paging by cursor, refusals."""

import json
from datetime import UTC, datetime

import pytest

from fundingdb.errors import BadCall, BadPayload, WalkNotProven
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.pacifica import FETCHER, LIMIT, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import HOUR, Window, to_ms
from tests.fetchers.pacifica.case import AT, BTC, RESPONSES, page, payment, serve, written
from tests.fetchers.played import played, text, whole
from tests.fetchers.walking import walked


def history(body, symbol="BTC"):
    market = symbol_market(symbol) if symbol else None
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market))).to_dicts()


def markets(body):
    rows = MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, known=None):
    rows = SNAPSHOTS.check(
        whole(FETCHER.current.parse, text(body), ResponseContext(AT, markets=known or {}))
    ).to_dicts()
    return {r["symbol"]: r for r in rows}


def test_a_response_without_its_market_is_no_history():
    with pytest.raises(BadCall, match="--symbol BTC"):
        history(page(payment()), symbol=None)
    assert history(page()) == []


def test_current_of_the_written_response():
    rows = current(written("info_prices"))
    assert set(rows) == {"EURUSD", "NVDA", "kBONK", "BTC"}  # SOL-USDC is spot
    bonk = rows["kBONK"]
    assert (bonk["base"], bonk["funding_rate"], bonk["interval_hours"]) == ("BONK", -0.00000345, 1.0)
    assert bonk["mark_price"] == pytest.approx(0.000002715)
    assert bonk["open_interest"] == 34_788_040_000.0
    assert bonk["open_interest_usd"] == pytest.approx(94_449.5286)  # 34788040 x 0.002715
    assert (rows["NVDA"]["funding_rate"], rows["NVDA"]["asset_class"]) == (0.0000125, "equity")
    assert (rows["EURUSD"]["base"], rows["EURUSD"]["asset_class"]) == ("EURUSD", "fx")
    assert rows["BTC"]["volume_24h_usd"] == 158617298.66148
    assert {r["rate_step"] for r in rows.values()} == {1e-8}


def test_with_known_markets_current_holds_those_alone():
    known = {s: market_of(row) for s, row in markets(written("info")).items()}
    assert set(current(written("info_prices"), known)) == {"EURUSD", "NVDA", "kBONK", "BTC"}
    del known["NVDA"]
    assert "NVDA" not in current(written("info_prices"), known)


def test_just_after_the_hour_the_next_payment_of_the_rate_is_null():
    body = json.loads(written("info_prices"))
    for ms, due in ((4999, None), (5000, datetime(2026, 9, 14, 0, tzinfo=UTC))):
        body["data"][3]["timestamp"] = to_ms(datetime(2026, 9, 13, 23, tzinfo=UTC)) + ms
        assert current(body)["BTC"]["next_funding_time"] == due


def test_markets_are_the_perpetuals():
    rows = markets(written("info"))
    assert {
        s: (r["base"], r["multiplier"], r["asset_class"], r["max_leverage"]) for s, r in rows.items()
    } == {
        "BTC": ("BTC", 1.0, "crypto", 50.0),
        "kBONK": ("BONK", 1000.0, "crypto", 10.0),
        "NVDA": ("NVDA", 1.0, "equity", 10.0),
        "EURUSD": ("EURUSD", 1.0, "fx", 50.0),
    }
    assert rows["BTC"]["listed_at"] == datetime(2025, 6, 2, 16, 22, 13, 944_000, tzinfo=UTC)
    assert {(r["quote"], r["collateral"], r["status"]) for r in rows.values()} == {("USDC", "USDC", "active")}


# --- paging


FULL = AT.replace(minute=0)


def times(venue, window):
    return walked(FETCHER, BTC, venue, window)["funding_time"].to_list()


@pytest.mark.parametrize("cap", [LIMIT, 100, 1])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 99), (0, 100), (30, 250), (290, 400)])
def test_every_payment_of_a_window_is_found_whatever_the_cap(newest, oldest, cap):
    there = [FULL - n * HOUR for n in range(300)]
    venue, _ = played(serve, there, cap=cap)
    window = Window(FULL - oldest * HOUR, FULL - (newest - 1) * HOUR)
    assert times(venue, window) == sorted(t for t in there if window.start <= t < window.stop)


def test_the_walk_ends_with_the_page_that_reaches_before_the_window():
    venue, requests = played(serve, [FULL - n * HOUR for n in range(1000)], cap=100)
    times(venue, Window(FULL - 150 * HOUR, FULL))
    assert len(requests) == 2


def test_a_cursor_that_leads_forward_again_is_refused():
    world = [(FULL - n * HOUR, 0.0001) for n in range(500)]  # newest first, and turned over at each request

    def circling(request):
        world.reverse()
        return serve(request, world, 100)

    with pytest.raises(WalkNotProven, match="forward in time again"):
        times(circling, Window(FULL - 600 * HOUR, FULL))


# --- corruption


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (payment(rate=""), "funding_rate"),
        (payment(rate="nan"), "funding_rate"),
        (payment(rate=0.1), "funding_rate"),
        (payment(rate="0.12"), "unit"),
        (payment(at=1789336800), "milliseconds"),
        (payment(at=1789336799497), "before an hour"),
        (payment(at="1789336800497"), "created_at"),
        (payment(oracle="-1"), "negative"),
        ([], "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_response(row, words):
    with pytest.raises(BadPayload, match=words):
        history(page(payment(at=1789333200405), row))


def test_bodies_that_are_no_response_are_refused():
    for body in ({**page(payment()), "success": False}, {**page(payment()), "has_more": True}):
        with pytest.raises(BadPayload):
            history(body)
    with pytest.raises(BadPayload, match="empty"):
        current({"success": True, "data": []})
    spoiled = json.loads(written("info"))
    for change in (
        {"instrument_type": "option"},
        {"base_asset": "ETH"},
        {"max_leverage": 0},
        {"max_leverage": 1001},
        {"created_at": 1},
    ):
        bent = {**spoiled, "data": [{**spoiled["data"][0], **change}]}
        with pytest.raises(BadPayload, match=next(iter(change))):
            markets(bent)
    with pytest.raises(BadPayload, match="no perpetual"):
        markets({"success": True, "data": spoiled["data"][4:]})


def test_an_empty_symbol_is_no_market():
    with pytest.raises(BadCall):
        symbol_market("")


def test_the_recorded_responses_are_read_as_those_written_here(shared):
    recorded = {
        name: (shared / "venues/payloads/pacifica" / f"{name}.json").read_bytes() for name in RESPONSES
    }
    for name, read in (("funding_rate_history_BTC", history), ("info_prices", current), ("info", markets)):
        assert read(recorded[name]) == read(written(name))
    # the rate fixed an hour ahead is the older record's next rate, and what the prices show
    records = json.loads(recorded["funding_rate_history_BTC"])["data"]
    assert records[1]["next_funding_rate"] == records[0]["funding_rate"]
    fixed = current(recorded["info_prices"])["BTC"]
    assert fixed["funding_rate"] == float(records[0]["next_funding_rate"]) == 0.00000475
    assert fixed["next_funding_time"] == datetime(2026, 9, 13, 23, tzinfo=UTC)
