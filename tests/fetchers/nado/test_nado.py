"""Nado: what its case does not prove: two hosts, caps of any size, bent rows."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.nado import FETCHER, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.http import Engine
from fundingdb.window import Window, to_ms
from tests.fetchers.nado.case import BTC, CONTRACTS, HISTORY, KNOWN, SYMBOLS, page, paid, symbol, text
from tests.fetchers.played import whole
from tests.fetchers.walking import walked

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def history(body, market=None):
    context = ResponseContext(AT, market=market or symbol_market("BTC-PERP_USDT0"))
    return FUNDING.check(FETCHER.history.parse(text(body), context)).to_dicts()


def markets(body):
    rows = MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, known):
    rows = SNAPSHOTS.check(
        whole(FETCHER.current.parse, text(body), ResponseContext(AT, markets=known))
    ).to_dicts()
    return {r["symbol"]: r for r in rows}


def test_the_two_units_agree_in_size():
    estimate = current(CONTRACTS, KNOWN)["BTC-PERP_USDT0"]["funding_rate"]
    assert 0.1 < estimate / history(HISTORY)[-1]["funding_rate"] < 10


def test_without_the_markets_or_the_market_an_answer_is_refused():
    with pytest.raises(BadCall, match="symbols"):
        current(CONTRACTS, {})
    with pytest.raises(BadCall, match="--symbol"):
        FETCHER.history.parse(text(HISTORY), ResponseContext(AT))
    with pytest.raises(BadCall, match="product id"):
        FETCHER.history.request(symbol_market("BTC-PERP_USDT0"), Window(AT - HOUR, AT), None)


def test_markets_come_from_the_gateway_and_rates_from_the_archive():
    requested = []

    def answer(request):
        requested.append((request.method, str(request.url), request.headers["accept-encoding"]))
        gateway = request.url.host.startswith("gateway")
        return httpx.Response(200, content=text(SYMBOLS if gateway else CONTRACTS))

    async def both(env):
        async with Engine(transport=httpx.MockTransport(answer), env=env) as engine:
            for side in (FETCHER.markets, FETCHER.current):
                await engine.fetch(FETCHER, side.requests([])[0])

    asyncio.run(both({}))
    asyncio.run(both({"FUNDINGDB_NADO_URL": "http://127.0.0.1:9"}))
    assert [(method, url) for method, url, _ in requested] == [
        ("GET", "https://gateway.prod.nado.xyz/v1/query?type=symbols"),
        ("GET", "https://archive.prod.nado.xyz/v2/contracts?edge=false"),
        ("GET", "http://127.0.0.1:9/v1/query?type=symbols"),  # one address for both
        ("GET", "http://127.0.0.1:9/v2/contracts?edge=false"),
    ]
    assert all("gzip" in encodings for _, _, encodings in requested)  # 403 without


# --- paging against a server with the exchange's order, cap and bounds


class Server:
    """Oldest first within the bounds, at most `cap` rows."""

    def __init__(self, times, cap=1000):
        self.times, self.cap, self.requests = sorted(times), cap, 0

    def answer(self, request):
        assert (request.method, request.path) == ("POST", "/v1")
        query = request.json["funding_rate_history"]
        assert (query["product_id"], query["limit"]) == (2, 1000)
        self.requests += 1
        fit = [t for t in self.times if query["start_time"] <= to_ms(t) // 1000 <= query["end_time"]]
        return text(page(*(paid(t) for t in fit[: self.cap])))


LAST = datetime(2026, 9, 13, 20, tzinfo=UTC)
THERE = [LAST - n * HOUR for n in range(2300) if n not in (5, 6, 7)]


@pytest.mark.parametrize("cap", [1000, 300, 100])
@pytest.mark.parametrize(("newest", "oldest"), [(0, 0), (0, 998), (0, 1000), (10, 2100), (2290, 2500)])
def test_every_payment_of_a_window_is_found_whatever_the_cap(newest, oldest, cap):
    window = Window(LAST - oldest * HOUR, LAST - newest * HOUR + HOUR)
    want = sorted(t for t in THERE if window.start <= t < window.stop)
    assert walked(FETCHER, BTC, Server(THERE, cap).answer, window)["funding_time"].to_list() == want


def test_a_window_without_payments_is_proven_empty():
    server = Server(THERE)
    window = Window(LAST - 3000 * HOUR, LAST - 2400 * HOUR)
    assert walked(FETCHER, BTC, server.answer, window).is_empty()
    assert server.requests == 1


# --- corruption


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"funding_rate_x18": "0.00001"}, "whole number"),
        ({"funding_rate_x18": ""}, "whole number"),
        ({"funding_rate_x18": 12419191342080}, "funding_rate_x18"),
        ({"funding_rate_x18": "120000000000000000"}, "unit"),
        ({"timestamp": "1789329600000"}, "seconds"),
        ({"timestamp": 1789329600}, "timestamp"),
        ({"timestamp": "1789329660"}, "minute"),
        ({"product_id": 3}, "product_id: is 3"),
        ({"product_id": "2"}, "product_id"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(change, problem):
    with pytest.raises(BadPayload, match=problem):
        history(page(paid(LAST - HOUR), paid() | change), BTC)


@pytest.mark.parametrize(
    ("change", "problem"),
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
def test_a_contract_that_is_not_as_described_spoils_the_answer(change, problem):
    bent = CONTRACTS["BTC-PERP_USDT0"] | change
    with pytest.raises(BadPayload, match=problem):
        current(CONTRACTS | {"BTC-PERP_USDT0": bent}, KNOWN)


@pytest.mark.parametrize(
    "change", [{"type": "option"}, {"trading_status": "halted"}, {"symbol": "BTC"}, {"product_id": -1}]
)
def test_a_symbol_that_is_not_as_described_is_refused(change):
    symbols = {"BTC-PERP": symbol("BTC-PERP", 2) | change, "SPY-PERP": symbol("SPY-PERP", 100)}
    with pytest.raises(BadPayload):
        markets({"status": "success", "data": {"symbols": symbols}})


def test_a_failure_is_no_answer_and_spot_alone_no_list_of_markets():
    with pytest.raises(BadPayload, match="success"):
        markets(SYMBOLS | {"status": "failure"})
    with pytest.raises(BadPayload, match="no perpetual"):
        markets({"status": "success", "data": {"symbols": {"KBTC": symbol("KBTC", 1, kind="spot")}}})


@pytest.mark.parametrize("name", ["BTC", "BTC-PERP", "-PERP_USDT0", ""])
def test_a_name_that_is_no_perpetual_is_no_market(name):
    with pytest.raises(BadCall, match="BTC-PERP_USDT0"):
        symbol_market(name)


def test_the_recorded_responses_are_read(shared):
    def recorded(name):
        return (shared / "venues/payloads/nado" / name).read_bytes()

    listed = {s: market_of(row) for s, row in markets(recorded("symbols.json")).items()}
    pepe = current(json.loads(recorded("contracts.json")), listed)["kPEPE-PERP_USDT0"]
    assert pepe["open_interest_usd"] == pytest.approx(58108000.0 * 0.003353724999999999)  # contract_price
    assert {s: (m.native_id, m.status) for s, m in listed.items()} == {
        s: (m.native_id, m.status) for s, m in KNOWN.items()
    }
    rows = history(recorded("funding_rate_history_2.json"), listed["BTC-PERP_USDT0"])
    assert [r["funding_time"].hour for r in rows] == [17, 18, 19, 20]
    assert rows[-1]["funding_rate"] == 0.00001241919134208
    shown = json.loads(recorded("contracts.json"))
    assert set(current(shown, listed)) == set(shown) - {"ADA-PERP_USDT0", "PENG-PERP_USDT0"}
    for name, row in shown.items():  # the gateway's names and the archive's are one
        assert listed[name].native_id == str(row["product_id"])
