"""Pacifica: recorded answers, worked examples by hand, paging by cursor, refusals."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited, WalkNotProven
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.pacifica import FETCHER, LIMIT, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk
from fundingdb.window import Window, to_ms

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def payloads(shared):
    return lambda name: (shared / "venues/payloads/pacifica" / name).read_bytes()


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def history(body, symbol="BTC"):
    market = symbol_market(symbol) if symbol else None
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market))).to_dicts()


def markets(body):
    rows = MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, known=None):
    rows = SNAPSHOTS.check(
        FETCHER.current.parse(text(body), ResponseContext(AT, markets=known or {}))
    ).to_dicts()
    return {r["symbol"]: r for r in rows}


def paid(rate="0.00000383", at=1789336800497, oracle="77315.5"):
    return {"oracle_price": oracle, "funding_rate": rate, "next_funding_rate": "0.00000475", "created_at": at}


def page(*rows, cursor=None):
    return {"success": True, "data": list(rows), "next_cursor": cursor, "has_more": cursor is not None}


def test_history_as_worked_on_the_page(payloads):
    rows = history(payloads("funding_rate_history_BTC.json"))
    assert [(r["funding_time"].hour, r["funding_rate"]) for r in rows] == [(21, 0.00000632), (22, 0.00000383)]
    last = rows[-1]
    assert last["funding_time"] == datetime(2026, 9, 13, 22, tzinfo=UTC)
    assert last["reported_time"] == datetime(2026, 9, 13, 22, 0, 0, 497_000, tzinfo=UTC)
    assert (last["symbol"], last["base"], last["quote"], last["asset_class"]) == (
        "BTC",
        "BTC",
        "USDC",
        "crypto",
    )
    assert (last["interval_hours"], last["interval_from"], last["native_rate"]) == (
        1.0,
        "declared",
        0.00000383,
    )
    assert (last["mark_price"], last["index_price"]) == (None, 77315.51898)


def test_the_rate_fixed_an_hour_ahead_is_the_older_records_next_rate(payloads):
    records = json.loads(payloads("funding_rate_history_BTC.json"))["data"]
    assert records[1]["next_funding_rate"] == records[0]["funding_rate"]
    fixed = current(payloads("info_prices.json"))["BTC"]
    assert fixed["funding_rate"] == float(records[0]["next_funding_rate"]) == 0.00000475
    assert fixed["next_funding_time"] == datetime(2026, 9, 13, 23, tzinfo=UTC)


def test_an_answer_without_its_market_is_no_history():
    with pytest.raises(BadCall, match="--symbol BTC"):
        history(page(paid()), symbol=None)
    assert history(page()) == []


def test_current_as_worked_on_the_page(payloads):
    rows = current(payloads("info_prices.json"))
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


def test_with_known_markets_current_holds_those_alone(payloads):
    known = {s: market_of(row) for s, row in markets(payloads("info.json")).items()}
    assert set(current(payloads("info_prices.json"), known)) == {"EURUSD", "NVDA", "kBONK", "BTC"}
    del known["NVDA"]
    assert "NVDA" not in current(payloads("info_prices.json"), known)


def test_just_after_the_hour_it_is_not_said_which_payment_the_rate_is(payloads):
    body = json.loads(payloads("info_prices.json"))
    for ms, due in ((4999, None), (5000, datetime(2026, 9, 14, 0, tzinfo=UTC))):
        body["data"][3]["timestamp"] = to_ms(datetime(2026, 9, 13, 23, tzinfo=UTC)) + ms
        assert current(body)["BTC"]["next_funding_time"] == due


def test_markets_are_the_perpetuals(payloads):
    rows = markets(payloads("info.json"))
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


# --- paging against an answerer with the exchange's order, cap and cursor


class Answerer:
    """Newest first, at most `cap` rows, stamps half a second late; the cursor is opaque."""

    def __init__(self, hours, cap=LIMIT):
        self.hours, self.cap, self.asked = sorted(hours, reverse=True), cap, 0

    def answer(self, request):
        params = dict(request.params)
        assert (params["symbol"], params["limit"]) == ("BTC", "4000")
        self.asked += 1
        first = int(params.get("cursor", "c0")[1:])
        some = self.hours[first : first + self.cap]
        more = first + self.cap < len(self.hours)
        return text(
            page(*(paid(at=to_ms(t) + 497) for t in some), cursor=f"c{first + self.cap}" if more else None)
        )


def walked(answerer, window):
    market = symbol_market("BTC")
    walker = walk(FETCHER.history.paging, window, HOUR)
    found, step = set(), next(walker, None)
    while step is not None:
        body = answerer.answer(FETCHER.history.request(market, *step))
        times = FUNDING.check(FETCHER.history.parse(body, ResponseContext(AT, market=market)))[
            "funding_time"
        ].to_list()
        found |= {t for t in times if window.start <= t < window.stop}
        try:
            step = walker.send(Page(times, FETCHER.history.next_cursor(body)))
        except StopIteration:
            step = None
    return sorted(found)


FULL = AT.replace(minute=0)


@pytest.mark.parametrize("cap", [LIMIT, 100, 1])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 99), (0, 100), (30, 250), (290, 400)])
def test_every_payment_of_a_window_is_found_whatever_the_cap(newest, oldest, cap):
    there = [FULL - n * HOUR for n in range(300)]
    window = Window(FULL - oldest * HOUR, FULL - (newest - 1) * HOUR)
    assert walked(Answerer(there, cap), window) == sorted(t for t in there if window.start <= t < window.stop)


def test_the_walk_ends_with_the_page_that_reaches_before_the_window():
    answerer = Answerer([FULL - n * HOUR for n in range(1000)], 100)
    walked(answerer, Window(FULL - 150 * HOUR, FULL))
    assert answerer.asked == 2


def test_a_cursor_that_leads_forward_again_is_refused():
    class Circling(Answerer):
        def answer(self, request):
            self.hours = self.hours[::-1]
            return super().answer(request)

    with pytest.raises(WalkNotProven, match="not newest first"):
        walked(Circling([FULL - n * HOUR for n in range(500)], 100), Window(FULL - 600 * HOUR, FULL))


# --- corruption


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (paid(rate=""), "funding_rate"),
        (paid(rate="nan"), "funding_rate"),
        (paid(rate=0.1), "funding_rate"),
        (paid(rate="0.12"), "unit"),
        (paid(at=1789336800), "milliseconds"),
        (paid(at=1789336799497), "before an hour"),
        (paid(at="1789336800497"), "created_at"),
        (paid(oracle="-1"), "negative"),
        ([], "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, told):
    with pytest.raises(BadPayload, match=told):
        history(page(paid(at=1789333200405), row))


def test_answers_that_are_none_are_refused(payloads):
    for body in ({**page(paid()), "success": False}, {**page(paid()), "has_more": True}):
        with pytest.raises(BadPayload):
            history(body)
    with pytest.raises(BadPayload, match="empty"):
        current({"success": True, "data": []})
    spoiled = json.loads(payloads("info.json"))
    for change in (
        {"instrument_type": "option"},
        {"base_asset": "ETH"},
        {"max_leverage": 0},
        {"created_at": 1},
    ):
        bent = {**spoiled, "data": [{**spoiled["data"][0], **change}]}
        with pytest.raises(BadPayload, match=next(iter(change))):
            markets(bent)
    with pytest.raises(BadPayload, match="no perpetual"):
        markets({"success": True, "data": spoiled["data"][4:]})


def test_refusals():
    assert isinstance(FETCHER.refusal(429, b""), RateLimited)
    assert FETCHER.refusal(200, b"{}") is None
    with pytest.raises(BadCall):
        symbol_market("")
