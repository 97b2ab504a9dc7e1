"""Gate: recorded answers, worked examples by hand, paging, refusals."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused, SchemaError
from fundingdb.fetchers.contract import Market, ResponseContext
from fundingdb.fetchers.gate import FETCHER, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk
from fundingdb.window import HOUR, Window, to_ms

AT = datetime(2026, 9, 11, 17, 30, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)
BTC = Market("gate", "BTC_USDT", "BTC", "USDT", "crypto", interval_hours=8.0)


@pytest.fixture(scope="module")
def saved(shared):
    return lambda name: (shared / "venues/payloads/gate" / f"{name}.json").read_bytes()


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def paid(rate="0.000024", t=1789142402):
    return {"r": rate, "t": t}


def history(body, market=BTC):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market)))


def current(body, markets=None):
    rows = SNAPSHOTS.check(FETCHER.current.parse(text(body), ResponseContext(AT, markets=markets or {})))
    return {row["symbol"]: row for row in rows.to_dicts()}


def listed(body):
    return {
        r["symbol"]: r
        for r in MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    }


def edited(saved, **change):
    body = json.loads(saved("contracts_usdt"))
    body[0] |= change
    return body


def test_history_as_worked_on_the_page(saved):
    rows = history(saved("funding_rate_BTC_USDT")).to_dicts()
    assert [(r["funding_time"].hour, r["funding_rate"]) for r in rows] == [(8, 0.000002), (16, 0.000024)]
    last = rows[-1]
    assert last["funding_time"] == datetime(2026, 9, 11, 16, tzinfo=UTC)
    assert last["reported_time"] == datetime(2026, 9, 11, 16, 0, 2, tzinfo=UTC)
    assert (last["symbol"], last["base"], last["quote"], last["asset_class"]) == (
        "BTC_USDT",
        "BTC",
        "USDT",
        "crypto",
    )
    assert (last["interval_hours"], last["interval_from"], last["rate_type"]) == (None, "unknown", "regular")
    with pytest.raises(BadCall, match="--symbol BTC_USDT"):
        history(saved("funding_rate_BTC_USDT"), None)


def test_current_of_contracts(saved):
    rows = current(saved("contracts_usdt"))
    assert set(rows) == {"BTC_USDT", "2Z_USDT"}  # ANDURIL is before its market
    btc, two_z = rows["BTC_USDT"], rows["2Z_USDT"]
    assert (btc["funding_rate"], btc["interval_hours"], btc["rate_step"]) == (0.000016, 8.0, 1e-6)
    assert btc["next_funding_time"] == datetime(2026, 9, 12, tzinfo=UTC)
    assert (btc["mark_price"], btc["index_price"]) == (77762.8, 77790.63)
    assert btc["open_interest"] == pytest.approx(
        32044.3501
    )  # 320,443,501 contracts of 0.0001 coins, one side
    assert btc["open_interest_usd"] == pytest.approx(32044.3501 * 77762.8)
    assert (two_z["base"], two_z["interval_hours"], two_z["funding_rate"]) == ("2Z", 4.0, 0.00005)
    assert two_z["open_interest"] == 864_800


def test_current_of_real_world_assets_as_worked_on_the_page(saved):
    rows = current(saved("contracts_usdt_tradfi"))
    spx = rows["SPX500_USDT"]
    assert (spx["base"], spx["asset_class"], spx["funding_rate"]) == ("SPX500", "index", -0.0002)
    assert (spx["interval_hours"], spx["next_funding_time"]) == (8.0, datetime(2026, 9, 14, tzinfo=UTC))
    assert {s: (r["base"], r["asset_class"], r["interval_hours"]) for s, r in rows.items()} == {
        "QNT_USDT": ("QNT", "crypto", 8.0),
        "CAT_USDT": ("CAT", "equity", 8.0),
        "XAU_USDT": ("XAU", "commodity", 4.0),
        "USDC_USDT": ("USDC", "crypto", 8.0),
        "SPX500_USDT": ("SPX500", "index", 8.0),
    }
    assert rows["CAT_USDT"]["funding_rate"] == 0.0  # zero is a value
    assert {r["open_interest"] for r in rows.values()} == {None}


def test_tickers_count_both_sides_and_are_halved(saved):
    markets = {s: market_of(r) for s, r in listed(saved("contracts_usdt")).items()}
    rows = current(saved("tickers_usdt"), markets)
    assert set(rows) == {"BTC_USDT", "2Z_USDT"}
    assert rows["BTC_USDT"]["open_interest"] == 640887002 / 2 * 0.0001
    of_contracts = current(saved("contracts_usdt"))
    assert rows["2Z_USDT"]["open_interest"] == of_contracts["2Z_USDT"]["open_interest"]
    assert rows["BTC_USDT"]["volume_24h_usd"] == 7031702789
    assert {(r["interval_hours"], r["next_funding_time"]) for r in rows.values()} == {(None, None)}
    assert {s: r["funding_rate"] for s, r in rows.items()} == {
        s: r["funding_rate"] for s, r in of_contracts.items()
    }


def test_markets(saved):
    rows = listed(saved("contracts_usdt"))
    assert {s: (r["status"], r["interval_hours"], r["rate_cap"]) for s, r in rows.items()} == {
        "BTC_USDT": ("active", 8.0, 0.003),
        "2Z_USDT": ("active", 4.0, 0.02),
        "ANDURIL_USDT": ("prelisted", 8.0, 0.000001),
    }
    btc = rows["BTC_USDT"]
    assert (btc["max_leverage"], btc["multiplier"], btc["collateral"]) == (200.0, 1.0, "USDT")
    assert btc["listed_at"] == datetime(2019, 11, 18, tzinfo=UTC)
    assert listed(edited(saved, in_delisting=True))["BTC_USDT"]["status"] == "reduce_only"
    assert "BTC_USDT" not in current(edited(saved, in_delisting=True))
    assert listed(edited(saved, status="delisted"))["BTC_USDT"]["status"] == "delisted"


def test_tokens_of_gold_and_dollars_are_coins(saved):
    for base, kind in (("PAXG", "metals"), ("XAUT", "metals"), ("USDC", "forex")):
        (row,) = [
            r
            for r in listed(edited(saved, name=f"{base}_USDT", contract_type=kind)).values()
            if r["base"] == base
        ]
        assert row["asset_class"] == "crypto"
    row = listed(edited(saved, name="1000PEPE_USDT"))["1000PEPE_USDT"]
    assert (row["base"], row["multiplier"]) == ("PEPE", 1000)
    scaled = current(edited(saved, name="1000PEPE_USDT", mark_price="0.01"))["1000PEPE_USDT"]
    assert scaled["mark_price"] == pytest.approx(0.00001)
    assert scaled["open_interest"] == pytest.approx(32_044_350.1)


@given(hour=st.integers(0, 50_000), off=st.integers(-60, 60))
def test_a_stamp_belongs_to_the_hour_within_a_minute(hour, off):
    grid = START + timedelta(hours=hour)
    assert history([paid(t=to_ms(grid) // 1000 + off)]).item(0, "funding_time") == grid


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (paid("NaN"), "finite"),
        (paid(""), "finite"),
        (paid(0.0001), "field"),
        (paid("0.11"), "beyond 0.1"),
        (paid(t=1789142400000), "Unix seconds"),
        (paid(t=1789142461), "within a minute"),
        (paid(t="1789142402"), r"\.t"),
        (paid(t=True), r"\.t"),
        ({"r": "0.1"}, "t: is missing"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, told):
    with pytest.raises(BadPayload, match=told):
        history([paid(t=1789113602), row])


def test_two_rates_of_one_instant_are_refused_and_no_rows_are_an_answer():
    with pytest.raises(SchemaError, match="repeated with different values"):
        history([paid(), paid("0.1", 1789142401)])
    assert history([]).is_empty()
    for body in ([], {}, {"label": "X", "message": "y"}):
        with pytest.raises(BadPayload):
            current(body)
        with pytest.raises(BadPayload):
            listed(body)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"funding_rate": "0.003001"}, "BTC_USDT: 0.003001 is beyond 0.003"),
        ({"funding_rate": ""}, "finite"),
        ({"funding_next_apply": 1789171200000}, "Unix seconds"),
        ({"funding_next_apply": 1789171201}, "full hour"),
        ({"funding_interval": 0}, "full hours"),
        ({"funding_interval": 480}, "full hours"),
        ({"mark_price": "-1"}, "negative"),
        ({"position_size": -1}, "negative"),
        ({"quanto_multiplier": "x"}, "finite"),
        ({"status": "paused"}, "status: of BTC_USDT is none of"),
        ({"contract_type": "weather"}, "contract_type: of BTC_USDT names no known kind"),
        ({"name": "BTCUSDT"}, "BASE_QUOTE"),
        ({"in_delisting": "false"}, "in_delisting"),
    ],
)
def test_one_bad_contract_spoils_the_answer(saved, change, told):
    with pytest.raises(BadPayload, match=told):
        current(edited(saved, **change))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"funding_rate": "0.11"}, "beyond 0.1"),
        ({"total_size": "-2"}, "negative"),
        ({"total_size": 2}, "total_size"),
        ({"volume_24h_quote": "x"}, "finite"),
    ],
)
def test_one_bad_ticker_spoils_the_answer(saved, change, told):
    body = json.loads(saved("tickers_usdt"))
    body[0] |= change
    with pytest.raises(BadPayload, match=told):
        current(body)


def test_a_real_week_is_eight_hours_apart(shared):
    body = (shared / "data/raw/gate/funding_rate_BTC_USDT_2026-08-28_2026-09-04.json").read_bytes()
    rows = history(body)
    assert rows.height == 20
    assert set(rows["funding_time"].diff().drop_nulls()) == {8 * HOUR}
    assert rows.item(-1, "funding_rate") == 0.000052
    assert rows.item(-1, "funding_time") == datetime(2026, 9, 4, tzinfo=UTC)


# --- paging


class Exchange:
    """Newest first, both bounds inclusive in seconds, the newest `cap` of the window; stamps 1 to 3 s late."""

    def __init__(self, hours, cap=1000):
        self.times = sorted(to_ms(START + h * HOUR) // 1000 + 1 + h % 3 for h in hours)
        self.cap, self.asked = cap, []

    def answer(self, request):
        p = dict(request.params)
        self.asked.append(p)
        assert (p["contract"], p["limit"]) == ("BTC_USDT", "1000")
        inside = [t for t in self.times if int(p["from"]) <= t <= int(p["to"])]
        return [paid("0.0001", t) for t in reversed(inside[-self.cap :])]


def walked(exchange, window, hours):
    walker, frames = walk(FETCHER.history.paging, window, hours * HOUR), []
    step = next(walker)
    while step is not None:
        frames.append(history(exchange.answer(FETCHER.history.request(BTC, *step))))
        try:
            step = walker.send(Page(frames[-1]["funding_time"].to_list()))
        except StopIteration:
            step = None
    found = set(pl.concat(frames)["funding_time"])
    return sorted(t for t in found if window.start <= t < window.stop)


@given(
    hours=st.lists(st.integers(0, 500), max_size=80, unique=True),
    cap=st.sampled_from([5, 50, 1000]),
    ends=st.tuples(st.integers(-5, 200), st.integers(201, 510)),
    step=st.sampled_from([1, 4, 8]),
)
@settings(deadline=None, max_examples=50)
def test_every_payment_of_a_window_is_had(hours, cap, ends, step):
    window = Window(START + ends[0] * HOUR, START + ends[1] * HOUR)
    due = sorted(START + h * HOUR for h in hours if ends[0] <= h < ends[1])
    assert walked(Exchange(hours, cap), window, step) == due


def test_a_year_of_eights_takes_two_pages():
    exchange = Exchange(range(0, 8760, 8))
    assert len(walked(exchange, Window(START, START + 8760 * HOUR), 8)) == 1095
    assert len(exchange.asked) == 2
    assert exchange.asked[0]["from"] == str(to_ms(START) // 1000 - 60)
    assert exchange.asked[0]["to"] == str(to_ms(START + 8760 * HOUR) // 1000 - 1)


# --- names and refusals


@pytest.mark.parametrize("symbol", ["BTC", "BTC-USDT", "", "_USDT", "BTC_"])
def test_a_symbol_without_a_quote_is_no_market(symbol):
    with pytest.raises(BadCall, match="BTC_USDT"):
        symbol_market(symbol)


def test_a_round_asks_contracts_and_tickers():
    assert [r.path for r in FETCHER.current.requests([])] == ["/contracts", "/tickers"]
    assert [r.path for r in FETCHER.markets.requests([])] == ["/contracts"]


def test_refusals_say_what_to_do():
    def refusal(status, body=b""):
        return FETCHER.refusal(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    missing = refusal(400, {"label": "CONTRACT_NOT_FOUND", "message": "no such contract"})
    assert isinstance(missing, BadCall)
    assert "fundingdb markets gate" in str(missing)
    assert isinstance(refusal(429, {"label": "TOO_MANY_REQUESTS", "message": "?"}), RateLimited)
    assert isinstance(refusal(400, {"label": "INVALID_PARAM_VALUE", "message": "?"}), Refused)
    assert isinstance(refusal(403, b"<html>"), Refused)
    assert refusal(200, b"[]") is None
    assert refusal(502, b"<html>") is None
