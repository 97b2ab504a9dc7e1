"""Rounds of several answers, over the recorded ones: merged by symbol, paged, what no list names left out."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from fundingdb.errors import BadPayload, WalkNotProven
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest import guard
from fundingdb.ingest.listing import market_of
from fundingdb.transport.http import Engine
from fundingdb.transport.walk import SourceReader
from fundingdb.window import Window


def rounds(exchange, reply):
    """The markets and the snapshots that `reply` (a request -> the body) leads to."""

    async def both():
        transport = httpx.MockTransport(lambda request: httpx.Response(200, content=reply(request)))
        async with Engine(transport=transport, env={}) as engine:
            source = SourceReader(fetcher(exchange), engine, guard.admitted)
            listed = await source.markets()
            markets = {row["symbol"]: market_of(row) for row in listed.frame.iter_rows(named=True)}
            return listed, await source.current(markets)

    return asyncio.run(both())


def by_symbol(result, *columns):
    return {row["symbol"]: tuple(row[c] for c in columns) for row in result.frame.iter_rows(named=True)}


@pytest.fixture
def saved(shared):
    """The recorded answer whose file begins as the last part of the path."""

    def of(exchange, suffix, files=None):
        folder = shared / "venues/payloads" / exchange
        names = files or {}
        return lambda request: (
            folder / f"{names.get(end := request.url.path.rpartition('/')[2], end)}{suffix}.json"
        ).read_bytes()

    return of


def test_binance_takes_the_interval_from_its_second_answer(saved):
    listed, shown = rounds("binance", saved("binance", "_tradfi"))
    assert by_symbol(listed, "interval_hours", "status") == {
        "CATUSDT": (8.0, "active"),
        "1000CATUSDT": (4.0, "active"),
        "XAUUSDT": (4.0, "active"),
    }
    assert by_symbol(shown, "funding_rate", "interval_hours") == {
        "CATUSDT": (0.0, 8.0),
        "1000CATUSDT": (0.00005, 4.0),
        "XAUUSDT": (0.0, 4.0),
    }
    assert (listed.pages, shown.pages) == (2, 2)


def test_aster_leaves_out_what_its_list_does_not_name(saved):
    listed, shown = rounds("aster", saved("aster", ""))
    assert by_symbol(listed, "interval_hours", "rate_cap", "quote") == {
        "BTCUSDT": (8.0, 0.003, "USDT"),
        "SUSHIUSDT": (1.0, 0.02, "USDT"),
    }
    assert by_symbol(shown, "funding_rate", "interval_hours") == {
        "BTCUSDT": (0.00003274, 8.0),
        "SUSHIUSDT": (-0.00000112, 1.0),
    }


def test_okx_merges_rates_and_marks(saved):
    files = {
        "instruments": "instruments_SWAP",
        "funding-rate": "funding-rate_ANY",
        "mark-price": "mark-price_SWAP",
    }
    listed, shown = rounds("okx", saved("okx", "", files))
    assert by_symbol(listed, "interval_hours", "rate_cap") == {
        "BTC-USD-SWAP": (8.0, 0.00375),
        "BTC-USDT-SWAP": (8.0, 0.00375),
        "CHIP-USDT-SWAP": (4.0, 0.01),
    }
    assert by_symbol(shown, "funding_rate", "interval_hours", "mark_price") == {
        "BTC-USDT-SWAP": (0.0000593556502673, 8.0, 77760.9),
        "CHIP-USDT-SWAP": (0.00005, 4.0, 0.04798),
        "BTC-USD-SWAP": (0.0001, 8.0, 77741.7),
    }


def test_gate_merges_contracts_and_volumes(saved):
    _, shown = rounds("gate", saved("gate", "_usdt"))
    assert by_symbol(shown, "funding_rate", "interval_hours", "mark_price", "volume_24h_usd") == {
        "BTC_USDT": (0.000016, 8.0, 77762.8, 7031702789.0),
        "2Z_USDT": (0.00005, 4.0, 0.04671, 38589.0),
    }


def test_bybit_reads_all_pages_of_its_list(shared):
    folder = shared / "venues/payloads/bybit"
    whole = json.loads((folder / "instruments_linear.json").read_bytes())
    rows = whole["result"]["list"]
    cursors = []

    def reply(request):
        if request.url.path.endswith("/tickers"):
            return (folder / "tickers_linear.json").read_bytes()
        cursor = request.url.params.get("cursor", "0")
        cursors.append(cursor)
        at = int(cursor)
        after = str(at + 1) if at + 1 < len(rows) else ""
        return json.dumps(
            {"retCode": 0, "result": {"list": rows[at : at + 1], "nextPageCursor": after}}
        ).encode()

    listed, shown = rounds("bybit", reply)
    assert cursors == ["0", "1", "2", "3"]
    assert set(by_symbol(listed)) == {"BTCUSDT", "0GUSDT", "1000BONKPERP"}
    assert by_symbol(shown, "interval_hours")["0GUSDT"] == (4.0,)


def test_a_list_without_an_end_is_refused(shared):
    page = json.loads((shared / "venues/payloads/bybit/instruments_linear.json").read_bytes())
    page["result"]["nextPageCursor"] = "again"
    with pytest.raises(WalkNotProven, match="bybit instruments-info: more than 50 pages"):
        rounds("bybit", lambda _request: json.dumps(page).encode())


def test_rows_that_are_left_out_come_with_what_was_fetched(saved):
    good = saved("binance", "_tradfi")

    def reply(request):
        body = json.loads(good(request))
        if request.url.path.endswith("exchangeInfo"):
            body["symbols"][0]["status"] = "PAUSED"
        return json.dumps(body).encode()

    listed, _ = rounds("binance", reply)
    assert by_symbol(listed, "status", "base")["CATUSDT"] == ("unknown", "CAT")
    assert {status for (status,) in by_symbol(listed, "status").values()} == {"unknown", "active"}
    (left_out,) = listed.left_out
    assert (left_out.symbol, left_out.error.excerpt) == ("CATUSDT", "PAUSED")


@pytest.mark.parametrize("error", [OverflowError, RecursionError, ValueError, KeyError])
def test_a_foreign_error_of_a_parser_refuses_that_response_by_its_type(error):
    def broken(_body, _context):
        raise error("of another library")

    source = fetcher("binance")
    source = replace(source, history=replace(source.history, parse=broken))
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))

    async def history():
        transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=b"[]"))
        async with Engine(transport=transport, env={}) as engine:
            await SourceReader(source, engine, guard.admitted).history(source.market("BTCUSDT"), window)

    with pytest.raises(BadPayload, match=f"can't be read [(]{error.__name__}[)]") as refused:
        asyncio.run(history())
    assert refused.value.body == b"[]"
    assert "another library" not in str(refused.value)
