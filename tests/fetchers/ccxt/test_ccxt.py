"""The ccxt bridge: every recorded pair, read by ccxt itself, is a right row or a refusal with its reason."""

import asyncio
import json
import re
from datetime import UTC, datetime
from importlib.metadata import version

import pytest

pytest.importorskip("ccxt")

from fundingdb.errors import BadCall, BadPayload, MissingExtra, RateLimited, Refused, UnknownName, Unreachable
from fundingdb.fetchers.ccxt import bridge, calls
from fundingdb.fetchers.ccxt.bridge import VENUES, bridged
from fundingdb.fetchers.contract import Request, ResponseContext
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window, from_ms
from tests.fetchers.ccxt.ccxt_offline import CLOCK_MS, IDS, caller, opened, pairs
from tests.fetchers.played import whole

AT = from_ms(CLOCK_MS)
EVER = Window(datetime(2018, 1, 1, tzinfo=UTC), datetime(2026, 9, 21, 15, tzinfo=UTC))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def snake(name: str) -> str:
    return re.sub("([A-Z])", lambda m: "_" + m[1].lower(), name)


def listed(name, ask):
    body = asyncio.run(ask(Request(calls.MARKETS, "/", json={})))
    frame = MARKETS.check(whole(bridged(name).markets.parse, body, ResponseContext(AT)))
    return {row["symbol"]: market_of(row) for row in frame.iter_rows(named=True)}


def read(name, entry):
    """The rows that the bridge makes of one recorded entry."""
    fetcher = bridged(name)
    ask = caller(name, lambda *_: entry["httpResponse"])
    markets = listed(name, ask)
    call = snake(entry["method"])
    symbol = entry["input"][0] if entry["input"] and isinstance(entry["input"][0], str) else None
    if call == calls.HISTORY:
        market = next((m for m in markets.values() if m.native_id == symbol), None)
        if market is None:
            raise BadCall(f"{symbol} is no market that the list holds for")
        request = fetcher.history.request(market, EVER, None)
        body = asyncio.run(ask(request))
        return FUNDING.check(fetcher.history.parse(body, ResponseContext(AT, market, markets, request)))
    params = entry["input"][1] if len(entry["input"]) > 1 else {}
    request = Request(call, "/", json={"symbol": symbol, "params": params})
    body = asyncio.run(ask(request))
    return SNAPSHOTS.check(whole(fetcher.current.parse, body, ResponseContext(AT, None, markets, request)))


def paid(symbol, at, rate, hours, evidence, *, native=None):
    return {
        "symbol": symbol,
        "funding_time": utc(at),
        "funding_rate": rate,
        "native_rate": rate if native is None else native,
        "interval_hours": hours,
        "interval_from": evidence,
    }


def coming(symbol, rate, hours, due, mark=None, index=None, native=None):  # noqa: PLR0917 - rows of a table
    return {
        "symbol": symbol,
        "funding_rate": rate,
        "native_rate": rate if native is None else native,
        "interval_hours": hours,
        "next_funding_time": utc(due) if due else None,
        "mark_price": mark,
        "index_price": index,
    }


ASTER = coming("BTCUSDT", 0.0001, None, "2025-06-17T08:00", 106729.84047826, 106775.72673913)
BINANCE = coming("BTCUSDT", 0.00063521, None, "2021-05-17T16:00", 45802.81129892, 45745.47701915)
OKX = coming("BTC-USD-SWAP", 0.00027815, 8.0, "2021-10-15T00:00")
# (file, number) -> the rows, or (error, words of its text). Worked out by hand from the recorded answers.
EXPECTED = {
    ("aster", 0): [ASTER],
    ("aster", 1): [ASTER],
    ("aster", 2): [{"symbol": "INJUSDT", "funding_rate": None, "interval_hours": 8.0}],
    ("aster", 3): [paid("BTCUSDT", "2025-05-14T08:00", 0.0001, None, "unknown")],
    ("binance", 0): [BINANCE],
    ("binance", 1): [BINANCE],
    ("binance", 2): [paid("BTCUSDT", "2021-05-17T16:00", 0.00063521, None, "unknown")],
    ("binance", 3): [{"symbol": "BLZUSDT", "funding_rate": None, "interval_hours": 4.0}],
    ("bitfinex", 0): (BadCall, "samples, not settlements"),
    ("bitfinex", 1): (BadCall, "samples, not settlements"),
    ("blofin", 0): (BadCall, "no field states the interval"),
    ("btse", 0): (BadCall, "not recorded"),
    ("btse", 1): (BadCall, "not recorded"),
    # ccxt says 8h here from the market list, which may be hours old: not read
    ("bybit", 0): [coming("BTCUSDT", 0.0001, None, "2022-09-20T16:00", 19255.0, 19260.68)],
    ("bybit", 1): [paid("ETHPERP", "2022-12-26T08:00", 0.0001, None, "unknown")],
    # interest_1h, not the trailing 8 hours that ccxt calls the rate
    ("coinbaseinternational", 0): [paid("BTC-PERP", "2026-08-09T10:00", 0.0, 1.0, "declared")],
    ("delta", 0): (BadCall, "no history and no interval"),
    ("delta", 1): (BadCall, "no history and no interval"),
    ("deribit", 0): (BadCall, "no current rate"),
    ("deribit", 1): [paid("BTC-PERPETUAL", "2019-10-01T01:00", -4.739622041017375e-07, 1.0, "declared")],
    ("dydx", 0): [paid("BTC-USD", "2025-07-25T11:00", 0.0, 1.0, "declared")],
    ("gate", 0): [coming("BTC_USDT", 0.002053, 8.0, "2021-01-07T16:00", 37985.6, 37954.92)],
    ("gate", 1): (BadPayload, "not a time in Unix milliseconds"),  # the example has ms where the venue has s
    ("grvt", 0): [],  # a sample of one minute, interval 0
    ("hashkey", 0): (BadCall, "not recorded"),
    ("hashkey", 1): (BadCall, "not recorded"),
    # ccxt says 8h, the venue funds each hour
    ("hibachi", 0): [coming("ETH/USDT-P", 0.000001, 1.0, "2024-04-10T00:00")],
    ("hibachi", 1): [paid("BTC/USDT-P", "2025-07-26T00:00", 0.000137, 1.0, "declared")],
    ("htx", 0): [coming("BTC-USD", 0.0001, None, "2026-06-12T16:00")],
    ("htx", 1): [],  # linear
    ("htx", 2): [paid("BTC-USD", "2026-06-12T08:00", 0.0001, None, "unknown")],
    ("htx", 3): (BadCall, "no market that the list holds for"),  # linear: one page only
    ("htx", 4): [],  # linear
    # -7.56414717067e-07 dollars an hour per coin of 0.0434 dollars
    ("krakenfutures", 0): [
        coming("PF_ENJUSD", -7.56414717067e-07 / 0.0434, 1.0, None, 0.0434, 0.043391, -7.56414717067e-07)
    ],
    ("krakenfutures", 1): [paid("PI_ETHUSD", "2018-08-31T16:00", 0.00006077996, None, "unknown")],
    ("mexc", 0): [coming("BTC_USDT", 0.000014, 8.0, "2022-01-27T00:00")],
    ("mexc", 1): [
        paid("BTC_USDT", "2021-01-04T16:00", 0.00029, None, "unknown"),
        paid("BTC_USDT", "2021-01-05T00:00", 0.000266, None, "unknown"),
    ],
    ("nado", 0): (BadCall, "per 24 h and paid each hour"),
    ("nado", 1): (BadCall, "per 24 h and paid each hour"),
    ("okx", 0): [OKX],
    ("okx", 1): [OKX],
    ("okx", 2): [coming("BTC-USD-SWAP", 0.0001875391284828, 8.0, "2023-11-23T08:00")],
    ("okx", 3): (BadPayload, "more than a minute off the full hour"),  # 02:26:23
    # due at the next full hour of the recorder's clock
    ("pacifica", 0): [coming("XPL", 0.00010529, 1.0, "2026-09-21T15:00", 1.084819, 1.084524)],
    ("pacifica", 1): [paid("BTC", "2025-07-29T16:00", 0.0000125, 1.0, "declared")],  # stamped 16:35
    ("paradex", 0): (BadCall, "samples"),
    ("paradex", 1): (BadCall, "samples"),
    ("weex", 0): (BadCall, "which one is paid is not proven"),
    ("weex", 1): (BadCall, "which one is paid is not proven"),
    ("woofipro", 0): (BadPayload, "beyond 0.25"),  # the example's estimate is 123
    ("woofipro", 1): [coming("PERP_AAVE_USDT", -0.00003447, 1.0, "2022-05-27T07:00")],
    ("woofipro", 2): [paid("PERP_ETH_USDC", "2023-05-16T08:00", 0.0001, 8.0, "row")],
    ("xt", 0): (BadCall, "no current rate"),
    ("xt", 1): [paid("btc_usdt", "2023-03-27T00:00", 0.000057, 8.0, "row")],  # 28800 seconds
}


def test_recorded_pairs_are_right_rows_or_refusals_with_their_reason(shared, subtests):
    for name, number, entry in pairs(shared):
        with subtests.test(venue=name, pair=number):
            right_rows_or_refused(name, entry, EXPECTED[name, number])


def right_rows_or_refused(name, entry, expected):
    if isinstance(expected, tuple):
        kind, words = expected
        with pytest.raises(kind, match=re.escape(words)):
            read(name, entry)
        return
    rows = read(name, entry)
    assert rows.height == len(expected)
    for row, known in zip(rows.iter_rows(named=True), expected, strict=True):
        assert {k: row[k] for k in known} == known
        assert (row["exchange"], row["source"]) == (name, "ccxt")


def test_every_recorded_pair_has_its_expectation(shared):
    assert {(name, n) for name, n, _ in pairs(shared)} == set(EXPECTED)
    assert len(EXPECTED) == 54


def test_the_installed_ccxt_still_reads_each_recorded_answer_as_recorded(shared):
    """What a new version has to pass before TESTED may name it."""

    def bare(value):
        if isinstance(value, dict):
            return {k: bare(v) for k, v in value.items() if k != "info"}
        return [bare(v) for v in value] if isinstance(value, list) else value

    for name, n, entry in pairs(shared):
        exchange = opened(name, IDS[name], lambda *_, e=entry: e["httpResponse"])
        got = getattr(exchange, snake(entry["method"]))(*entry["input"])
        assert bare(json.loads(json.dumps(got))) == bare(entry["parsedResponse"]), (name, n)


def history(name, answer, symbol, at=AT):
    ask = caller(name, answer)
    market = next(m for m in listed(name, ask).values() if m.symbol == symbol)
    request = bridged(name).history.request(market, EVER, None)
    body = asyncio.run(ask(request))
    return FUNDING.check(bridged(name).history.parse(body, ResponseContext(at, market, {}, request)))


def okx(*rows):
    return {
        "code": "0",
        "msg": "",
        "data": [{"instId": "BTC-USDT-SWAP", "instType": "SWAP", **r} for r in rows],
    }


def test_okx_takes_the_realized_rate_not_the_predicted_one():
    row = {"fundingRate": "0.018", "realizedRate": "0.017", "fundingTime": "1597017600000"}
    assert history("okx", lambda *_: okx(row, row), "BTC-USDT-SWAP")["funding_rate"].to_list() == [0.017]


def test_gate_stamps_in_seconds():
    rows = history("gate", lambda *_: [{"r": "0.00063521", "t": "1621267203"}], "BTC_USDT")
    assert rows["funding_time"].to_list() == [utc("2021-05-17T16:00")]
    assert rows["reported_time"].to_list() == [utc("2021-05-17T16:00:03")]


def test_grvt_writes_percent_and_its_interval_stands_in_the_row():
    row = {"instrument": "BTC_USDT_Perp", "funding_rate": "0.01", "funding_time": "1760486400000000000"}
    rows = history("grvt", lambda *_: {"result": [{**row, "funding_interval_hours": "8"}]}, "BTC_USDT_Perp")
    assert rows.select("funding_rate", "native_rate", "interval_hours", "interval_from").row(0) == (
        0.0001,
        0.01,
        8.0,
        "row",
    )


def test_kraken_pays_hourly_since_the_end_of_september_2022():
    answer = {
        "rates": [
            {"timestamp": "2022-09-29T01:00:00.000Z", "fundingRate": "1", "relativeFundingRate": "0.00001"}
        ]
    }
    rows = history("krakenfutures", lambda *_: answer, "PF_ENJUSD")
    assert rows.select("funding_rate", "interval_hours", "interval_from").row(0) == (1e-5, 1.0, "declared")


def test_inverse_markets_of_kraken_have_no_current_rate():
    """ccxt divides the dollars by the mark where it must multiply."""
    ticker = {"symbol": "PI_ETHUSD", "tag": "perpetual", "markPrice": 2000.0, "indexPrice": 2000.0}
    ticker |= {"fundingRate": 1e-8, "fundingRatePrediction": 1e-8, "lastTime": "2025-10-22T11:02:25.599Z"}
    entry = {
        "httpResponse": {"result": "success", "tickers": [ticker]},
        "method": "fetchFundingRates",
        "input": [],
    }
    assert read("krakenfutures", entry).is_empty()


def test_an_interval_that_contradicts_the_grid_is_refused_with_its_field():
    row = {"id": "1", "symbol": "btc_usdt", "fundingRate": "0.00005", "createdTime": 1679875200000}
    answer = {"returnCode": 0, "result": {"items": [{**row, "collectionInternal": 25200}]}}
    with pytest.raises(
        BadPayload, match="collectionInternal: gives an interval of 7 h, which contradicts the grid"
    ):
        history("xt", lambda *_: answer, "btc_usdt")


def test_a_unit_that_changed_upstream_names_both_numbers_venue_and_version():
    body = {"ccxt": "4.5.90", "venue": "grvt", "rows": [], "next": None}
    info = {"funding_rate": "0.01", "funding_interval_hours": "8"}
    stamp = 1760486400000
    body["rows"] = [{"info": info, "symbol": "BTC/USDT:USDT", "timestamp": stamp, "fundingRate": 0.01}]
    fetcher = bridged("grvt")
    market = listed("grvt", caller("grvt", lambda *_: {}))["BTC_USDT_Perp"]
    with pytest.raises(BadPayload) as refused:
        fetcher.history.parse(json.dumps(body).encode(), ResponseContext(AT, market))
    for words in ("grvt", "unit changed upstream", "0.01 ", "0.0001", "4.5.90"):
        assert words in str(refused.value)


def test_a_row_of_another_market_and_a_page_that_ccxt_shows_empty_are_refused():
    raw = {
        "retCode": 0,
        "result": {
            "list": [{"symbol": "OTHER", "fundingRate": "1", "fundingRateTimestamp": "1672041600000"}]
        },
    }
    with pytest.raises(BadPayload, match="none of the rows that the response has"):
        history("bybit", lambda *_: raw, "ETHPERP")
    body = {"ccxt": "4.5.90", "venue": "bybit", "next": None}
    body["rows"] = [
        {"info": {"fundingRate": "1"}, "symbol": "X", "timestamp": 1672041600000, "fundingRate": 1.0}
    ]
    market = listed("bybit", caller("bybit", lambda *_: {}))["ETHPERP"]
    with pytest.raises(BadPayload, match="is not 'ETH/USDC:USDC', which was requested"):
        bridged("bybit").history.parse(json.dumps(body).encode(), ResponseContext(AT, market))


def test_two_markets_with_one_symbol_are_refused():
    ids = {"BTC/USDT:USDT": "BTC-USDT-SWAP", "BTC/USD:BTC": "BTC-USDT-SWAP"}
    with pytest.raises(BadPayload, match="2 different rows"):
        listed("okx", caller("okx", lambda *_: {}, ids))


def test_rows_after_the_receipt_are_no_payments():
    rows = [
        {"realizedRate": "0.0001", "fundingRate": "0.0001", "fundingTime": str(t)}
        for t in (1597017600000, 1597046400000)
    ]
    got = history("okx", lambda *_: okx(*rows), "BTC-USDT-SWAP", at=from_ms(1597017700000))
    assert got["funding_time"].to_list() == [from_ms(1597017600000)]


def test_a_multiple_is_parsed_once_and_by_us():
    ids = {"1000PEPE/USDT:USDT": "1000PEPEUSDT"}
    (market,) = listed("bybit", caller("bybit", lambda *_: {}, ids)).values()
    assert (market.symbol, market.base, market.multiplier) == ("1000PEPEUSDT", "PEPE", 1000.0)
    assert market.native_id == "1000PEPE/USDT:USDT"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bitmart", "unknown exchange 'bitmart'.*to add one: a recorded response"),  # ccxt dropped it
        ("kraken", "no perpetuals there, so no funding"),
        ("coinbase", "no call for funding there"),
        ("bitstamp", "what ccxt returns there is not proven; needed: a recorded response"),
        ("phemex", "fundingRate8hSymbol; needed: a recorded response of history beside that product"),
        ("hashkey", "order and cap.*needed: a recorded response of history of more than one page"),
        ("paradex", "samples.*needed: settled payments.*has a fetcher of its own"),
        ("binanceusdm", "called 'binance' here"),
        ("hyperliquid", "has a fetcher of its own: leave out --source ccxt"),
    ],
)
def test_an_exchange_that_is_not_on_the_list_is_refused_with_what_would_be_needed(name, words):
    with pytest.raises(BadCall, match=words):
        bridged(name)


def test_a_name_nobody_knows_has_near_matches():
    with pytest.raises(UnknownName, match="kucoin"):
        bridged("kucoim")


@pytest.mark.parametrize("found", ["4.5.89", "4.5.91", "4.6.0", "5.0"])
def test_a_version_outside_the_tested_range_is_refused(monkeypatch, found):
    monkeypatch.setattr(calls, "version", lambda _name: found)
    with pytest.raises(BadCall, match=f"ccxt {re.escape(found)} is not verified.*pip install 'ccxt==4.5.90'"):
        bridged("okx")


def test_without_ccxt_one_line_says_how_to_install_it(monkeypatch):
    def absent(_name):
        raise calls.PackageNotFoundError

    monkeypatch.setattr(calls, "version", absent)
    with pytest.raises(MissingExtra, match=re.escape("pip install 'fundingdb[ccxt]'")) as missing:
        bridged("okx")
    assert missing.value.exit_code == 2
    assert "\n" not in str(missing.value)


def test_the_tested_range_holds_the_installed_version():
    assert calls.tested_version() == version("ccxt")
    assert calls.TESTED[1] in bridged("okx").by


def test_the_extra_of_the_package_admits_no_version_but_the_tested_ones():
    import tomllib
    from pathlib import Path

    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    (wanted,) = tomllib.loads(text)["project"]["optional-dependencies"]["ccxt"]
    low, high = calls.TESTED
    assert wanted.startswith(f"ccxt>={low},<")
    first, second, third = map(int, high.split("."))
    assert wanted.endswith(f"<{first}.{second}.{third + 1}")


def error(kind, text="okx GET https://user:secret@www.okx.com/api?key=abc {} Reason body"):
    import ccxt

    return getattr(ccxt, kind)(text.replace("{}", "200"))


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (lambda: error("RequestTimeout"), Unreachable),
        (lambda: error("ExchangeNotAvailable"), Unreachable),
        (lambda: error("RateLimitExceeded"), RateLimited),
        (lambda: error("DDoSProtection"), RateLimited),
        (lambda: error("ExchangeNotAvailable", "okx GET https://u:secret@x.com/a 451 Unavailable"), Refused),
        (lambda: error("DDoSProtection", "okx GET https://u:secret@x.com/a 403 Forbidden"), Refused),
        (
            lambda: error("ExchangeNotAvailable", "okx GET https://u:secret@x.com 200 OK <!DOCTYPE html>"),
            Refused,
        ),
        (lambda: error("NotSupported"), BadCall),
        (lambda: error("BadSymbol"), BadCall),
        (lambda: error("ExchangeError"), Refused),
        (lambda: TypeError("'NoneType' object https://u:secret@x.com"), BadPayload),
    ],
)
def test_errors_of_ccxt_are_ours_and_show_no_address(raised, kind):
    ask = caller("okx", lambda *_: raised())
    request = Request(
        calls.HISTORY, "/", json={"symbol": "BTC/USDT:USDT", "since": None, "limit": 1, "params": {}}
    )
    with pytest.raises(kind) as said:
        asyncio.run(ask(request))
    assert type(said.value) is kind
    assert "okx" in str(said.value)
    assert "secret" not in str(said.value)
    assert "http" not in str(said.value)
    assert said.value.__cause__ is None


def test_paginate_is_never_passed_on():
    ask = caller("okx", lambda *_: okx())
    asked = {"symbol": "BTC/USDT:USDT", "since": None, "limit": 1, "params": {"paginate": True}}
    with pytest.raises(BadCall, match="no call that the bridge makes"):
        asyncio.run(ask(Request(calls.HISTORY, "/", json=asked)))


def test_importing_the_bridge_does_not_import_ccxt():
    import subprocess
    import sys

    code = "import sys, fundingdb.fetchers.ccxt.bridge as b; b.bridged('okx'); print('ccxt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_venue_of_the_list_is_a_class_of_ccxt_and_states_its_evidence(shared):
    import ccxt

    recorded = {name for name, _, _ in pairs(shared)}
    for name, rules in VENUES.items():
        assert rules.kind in ccxt.exchanges
        assert rules.evidence in ("recorded", "documented")
        if rules.evidence == "recorded":
            assert name.removesuffix("-coinm") in recorded
    assert bridge.names() == tuple(VENUES)
