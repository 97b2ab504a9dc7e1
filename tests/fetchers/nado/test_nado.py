"""Nado: recorded answers, three units worked by hand, who trades, paging, refusals."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.nado import FETCHER, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.http import Engine
from fundingdb.transport.paging import Page, walk
from fundingdb.window import Window, to_ms

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def payloads(shared):
    return lambda name: (shared / "venues/payloads/nado" / name).read_bytes()


@pytest.fixture(scope="module")
def known(payloads):
    return {s: market_of(row) for s, row in markets(payloads("symbols.json")).items()}


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def history(body, market=None):
    asked = ResponseContext(AT, market=market or symbol_market("BTC-PERP_USDT0"))
    return FUNDING.check(FETCHER.history.parse(text(body), asked)).to_dicts()


def markets(body):
    rows = MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, known):
    rows = SNAPSHOTS.check(FETCHER.current.parse(text(body), ResponseContext(AT, markets=known))).to_dicts()
    return {r["symbol"]: r for r in rows}


def paid(at=datetime(2026, 9, 13, 20, tzinfo=UTC), rate="12419191342080", product=2):
    return {"product_id": product, "timestamp": str(to_ms(at) // 1000), "funding_rate_x18": rate}


def page(*rows):
    return {"funding_rates": list(rows)}


def test_history_is_hourly_and_counts_in_1e18(payloads, known):
    rows = history(payloads("funding_rate_history_2.json"), known["BTC-PERP_USDT0"])
    assert [r["funding_time"].hour for r in rows] == [17, 18, 19, 20]
    row = rows[-1]
    assert row["funding_time"] == datetime(2026, 9, 13, 20, tzinfo=UTC)
    assert (row["funding_rate"], row["native_rate"]) == (0.00001241919134208, 12419191342080.0)
    assert (row["interval_hours"], row["interval_from"]) == (1.0, "declared")
    assert (row["base"], row["quote"], row["mark_price"]) == ("BTC", "USDT0", None)
    assert (rows[0]["funding_rate"], rows[0]["native_rate"]) == (0.000010519664719234, 10519664719234.0)


def test_current_is_a_24_hour_rate_paid_by_the_hour(payloads, known):
    rows = current(payloads("contracts.json"), known)
    # -0.003550171430818078 / 24, 0.00010991167139984 / 24, 0.0003 / 24 (the floor: 0.0000125 an hour)
    assert {s: (r["funding_rate"], r["interval_hours"]) for s, r in rows.items()} == {
        "WTI-PERP_USDT0": (pytest.approx(-0.000147923809617, rel=1e-11), 1.0),
        "BTC-PERP_USDT0": (pytest.approx(0.00000457965297499, rel=1e-11), 1.0),
        "SPY-PERP_USDT0": (pytest.approx(-0.0000327858070436, rel=1e-11), 1.0),
        "kPEPE-PERP_USDT0": (pytest.approx(0.0000125), 1.0),
    }
    bitcoin = rows["BTC-PERP_USDT0"]
    assert bitcoin["native_rate"] == 0.00010991167139984
    assert bitcoin["next_funding_time"] == datetime(2026, 9, 13, 23, tzinfo=UTC)
    settled = history(payloads("funding_rate_history_2.json"))[-1]["funding_rate"]
    assert 0.1 < bitcoin["funding_rate"] / settled < 10  # the two units agree in size


def test_prices_are_per_token_and_sizes_in_tokens_and_dollars(payloads, known):
    pepe = current(payloads("contracts.json"), known)["kPEPE-PERP_USDT0"]
    assert (pepe["base"], pepe["mark_price"]) == ("PEPE", pytest.approx(0.000003348504249997))
    assert pepe["open_interest"] == 58_108_000_000.0
    assert pepe["open_interest_usd"] == 194878.25229999993
    assert pepe["open_interest_usd"] == pytest.approx(58108000.0 * 0.003353724999999999)  # contract_price
    assert pepe["volume_24h_usd"] == 25799.83053765907


def test_what_does_not_trade_shows_a_rate_and_gives_no_snapshot(payloads, known):
    shown = json.loads(payloads("contracts.json"))
    dead = {"ADA-PERP_USDT0": "inactive", "PENG-PERP_USDT0": "reduce_only"}
    for symbol, status in dead.items():
        assert shown[symbol]["funding_rate"] == pytest.approx(0.0003)
        assert known[symbol].status == status
    assert set(current(shown, known)) == set(shown) - set(dead)


def test_markets_with_class_multiple_and_product_id(payloads):
    assert {
        s: (r["base"], r["multiplier"], r["asset_class"], r["status"], r["native_id"])
        for s, r in markets(payloads("symbols.json")).items()
    } == {
        "ADA-PERP_USDT0": ("ADA", 1.0, "crypto", "inactive", "60"),
        "BTC-PERP_USDT0": ("BTC", 1.0, "crypto", "active", "2"),
        "SPY-PERP_USDT0": ("SPY", 1.0, "equity", "active", "100"),
        "WTI-PERP_USDT0": ("CL", 1.0, "commodity", "active", "90"),
        "PENG-PERP_USDT0": ("PENG", 1.0, "equity", "reduce_only", "162"),
        "kPEPE-PERP_USDT0": ("PEPE", 1000.0, "crypto", "active", "38"),
    }


def test_the_gateways_names_and_the_archives_are_one(payloads, known):
    for symbol, row in json.loads(payloads("contracts.json")).items():
        assert known[symbol].native_id == str(row["product_id"])
        assert (symbol, row["quote_currency"]) == (f"{row['base_currency']}_USDT0", "USDT0")


def test_without_the_markets_or_the_market_an_answer_is_refused(payloads):
    with pytest.raises(BadCall, match="symbols"):
        current(payloads("contracts.json"), {})
    with pytest.raises(BadCall, match="--symbol"):
        FETCHER.history.parse(payloads("funding_rate_history_2.json"), ResponseContext(AT))
    with pytest.raises(BadCall, match="product id"):
        FETCHER.history.request(symbol_market("BTC-PERP_USDT0"), Window(AT - HOUR, AT), None)


def test_markets_are_asked_of_the_gateway_and_rates_of_the_archive(payloads, known):
    asked = []

    def answer(request):
        asked.append((request.method, str(request.url), request.headers["accept-encoding"]))
        gateway = request.url.host.startswith("gateway")
        return httpx.Response(200, content=payloads("symbols.json" if gateway else "contracts.json"))

    async def both(env):
        async with Engine(transport=httpx.MockTransport(answer), env=env) as engine:
            for side in (FETCHER.markets, FETCHER.current):
                await engine.fetch(FETCHER, side.requests([])[0])

    asyncio.run(both({}))
    asyncio.run(both({"FUNDINGDB_NADO_URL": "http://127.0.0.1:9"}))
    assert [(method, url) for method, url, _ in asked] == [
        ("GET", "https://gateway.prod.nado.xyz/v1/query?type=symbols"),
        ("GET", "https://archive.prod.nado.xyz/v2/contracts?edge=false"),
        ("GET", "http://127.0.0.1:9/v1/query?type=symbols"),  # one address stands for both
        ("GET", "http://127.0.0.1:9/v2/contracts?edge=false"),
    ]
    assert all("gzip" in encodings for _, _, encodings in asked)  # 403 without


# --- paging against an answerer with the exchange's order, cap and bounds


class Answerer:
    """Oldest first within the bounds, at most `cap` rows."""

    def __init__(self, times, cap=1000):
        self.times, self.cap, self.asked = sorted(times), cap, 0

    def answer(self, request):
        assert (request.method, request.path) == ("POST", "/v1")
        asked = request.json["funding_rate_history"]
        assert (asked["product_id"], asked["limit"]) == (2, 1000)
        self.asked += 1
        fit = [t for t in self.times if asked["start_time"] <= to_ms(t) // 1000 <= asked["end_time"]]
        return text(page(*(paid(t) for t in fit[: self.cap])))


def walked(answerer, market, window):
    walker = walk(FETCHER.history.paging, window, HOUR)
    found, step = set(), next(walker, None)
    while step is not None:
        body = answerer.answer(FETCHER.history.request(market, *step))
        times = [r["funding_time"] for r in history(body, market)]
        found |= {t for t in times if window.start <= t < window.stop}
        try:
            step = walker.send(Page(times))
        except StopIteration:
            step = None
    return sorted(found)


LAST = datetime(2026, 9, 13, 20, tzinfo=UTC)
THERE = [LAST - n * HOUR for n in range(2300) if n not in (5, 6, 7)]


@pytest.mark.parametrize("cap", [1000, 300, 100])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 998), (0, 1000), (10, 2100), (2290, 2500)])
def test_every_payment_of_a_window_is_found_whatever_the_cap(known, newest, oldest, cap):
    window = Window(LAST - oldest * HOUR, LAST - newest * HOUR + HOUR)
    want = sorted(t for t in THERE if window.start <= t < window.stop)
    assert walked(Answerer(THERE, cap), known["BTC-PERP_USDT0"], window) == want


def test_a_window_without_payments_is_proven_empty(known):
    answerer = Answerer(THERE)
    window = Window(LAST - 3000 * HOUR, LAST - 2400 * HOUR)
    assert (walked(answerer, known["BTC-PERP_USDT0"], window), answerer.asked) == ([], 1)


# --- corruption


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"funding_rate_x18": "0.00001"}, "whole number"),
        ({"funding_rate_x18": ""}, "whole number"),
        ({"funding_rate_x18": 12419191342080}, "funding_rate_x18"),
        ({"funding_rate_x18": "120000000000000000"}, "unit"),
        ({"timestamp": "1789329600000"}, "seconds"),
        ({"timestamp": 1789329600}, "timestamp"),
        ({"timestamp": "1789329660"}, "minute"),
        ({"product_id": 3}, "asked was"),
        ({"product_id": "2"}, "product_id"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(known, change, told):
    with pytest.raises(BadPayload, match=told):
        history(page(paid(LAST - HOUR), paid() | change), known["BTC-PERP_USDT0"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"funding_rate": "0.0001"}, "funding_rate"),
        ({"funding_rate": 1.3}, "unit"),
        ({"funding_rate": None}, "funding_rate"),
        ({"ticker_id": "ETH-PERP_USDT0"}, "ticker_id"),
        ({"product_type": "spot"}, "perpetual"),
        ({"product_id": 3}, "product_id"),
        ({"mark_price": -1.0}, "negative"),
        ({"next_funding_rate_timestamp": 1789340400000}, "seconds"),
        ({"next_funding_rate_timestamp": 1789340460}, "full hour"),
    ],
)
def test_a_contract_that_is_not_as_described_spoils_the_answer(payloads, known, change, told):
    body = json.loads(payloads("contracts.json"))
    body["BTC-PERP_USDT0"] |= change
    with pytest.raises(BadPayload, match=told):
        current(body, known)


@pytest.mark.parametrize(
    "change", [{"type": "option"}, {"trading_status": "halted"}, {"symbol": "BTC"}, {"product_id": -1}]
)
def test_a_symbol_that_is_not_as_described_is_refused(payloads, change):
    body = json.loads(payloads("symbols.json"))
    body["data"]["symbols"]["BTC-PERP"] |= change
    with pytest.raises(BadPayload):
        markets(body)


def test_spot_is_no_perpetual_and_a_failure_no_answer(payloads):
    body = json.loads(payloads("symbols.json"))
    body["data"]["symbols"]["BTC-PERP"]["type"] = "spot"
    assert "BTC-PERP_USDT0" not in markets(body)
    with pytest.raises(BadPayload, match="success"):
        markets(body | {"status": "failure"})
    for name in ("BTC", "BTC-PERP", "-PERP_USDT0", ""):
        with pytest.raises(BadCall):
            symbol_market(name)
    assert isinstance(FETCHER.refusal(429, b""), RateLimited)
    assert FETCHER.refusal(200, b"{}") is None
