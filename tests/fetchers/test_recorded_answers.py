"""What every fetcher keeps to, whichever exchange it reads: one test over all of fetchers.names()."""

import copy
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fundingdb.errors import BadPayload, FundingdbError, SchemaError
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.registry import fetcher, names
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window
from tests.conftest import SHARED

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
SEEN = {
    "coingecko": datetime(2024, 4, 7, 5, 40, tzinfo=UTC)
}  # its rows go stale: just after the recorded trades
WINDOW = Window(AT.replace(minute=0) - timedelta(hours=48), AT.replace(minute=0))
TABLES = {"history": FUNDING, "current": SNAPSHOTS, "markets": MARKETS}
PLAIN = {
    "extended": "BTC-USD",
    "lighter": "BTC",
    "hyperliquid": "BTC",
    "binance": "BTCUSDT",
    "binance-coinm": "BTCUSD_PERP",
    "aster": "BTCUSDT",
    "bybit": "BTCUSDT",
    "okx": "BTC-USDT-SWAP",
    "gate": "BTC_USDT",
    "dydx": "BTC-USD",
    "backpack": "BTC_USDC_PERP",
    "pacifica": "BTC",
    "grvt": "BTC_USDT_Perp",
    "drift": "SOL-PERP",
    "velocity": "BTC-PERP",
    "edgex": "BTCUSDC",
    "nado": "BTC-PERP_USDT0",
}
LISTINGS = {  # recorded, where an answer does not tell who trades
    ("backpack", "current"): "markets.json",
    ("edgex", "current"): "getMetaData.json",
    ("nado", "current"): "symbols.json",
    ("paradex", "current"): "markets.json",
}
RUNNING = {"backpack"}  # their history begins with a payment that is still to come
FOLDERS = {"velocity": "drift", "edgex": "edgex-v2"}  # of recorded answers, where it is not the exchange's id
CLOSED = {"drift"}  # nothing to ask for now
HOSTILE = [
    "../../x-USD",
    "a';drop-USD",
    "BTC/../..-USD",
    "x?y=1-USD",
    "#-USD",
    "\x00\n-USD",
    "%2e%2e-USD",
    "日本-USD",
]


class Case(NamedTuple):
    exchange: str
    what: str  # what the answer is read as
    name: str
    symbol: str | None  # where the answer does not name its market
    keys: tuple[str, ...]  # that can't be missing


SAMPLES = [
    Case("extended", "history", "funding_BTC-USD.json", None, ("status", "data", "m", "f", "T")),
    Case("extended", "history", "funding_paged.json", None, ("status", "data", "m", "f", "T")),
    Case(
        "extended", "current", "info_markets.json", None, ("name", "type", "status", "assetName", "category")
    ),
    Case("extended", "current", "info_markets.json", None, ("fundingRate", "nextFundingRate", "markPrice")),
    Case(
        "extended", "current", "info_markets.json", None, ("openInterest", "openInterestBase", "indexPrice")
    ),
    Case(
        "extended",
        "current",
        "info_market_stats.json",
        "BTC-USD",
        ("fundingRate", "nextFundingRate", "markPrice"),
    ),
    Case("extended", "current", "ws_funding.jsonl", None, ("ts", "data", "m", "f", "T")),
    Case(
        "extended",
        "markets",
        "info_markets.json",
        None,
        ("name", "type", "status", "maxLeverage", "createdAt"),
    ),
    Case(
        "lighter", "history", "fundings_BTC_1h.json", "BTC", ("resolution", "timestamp", "value", "direction")
    ),
    Case(
        "lighter",
        "history",
        "fundings_ETH_1h_short.json",
        "ETH",
        ("resolution", "timestamp", "rate", "value"),
    ),
    Case("lighter", "current", "funding-rates.json", None, ("exchange", "symbol", "rate")),
    Case(
        "lighter",
        "current",
        "orderBookDetails.json",
        None,
        ("symbol", "market_type", "status", "open_interest"),
    ),
    Case("lighter", "current", "ws_market_stats.jsonl", None, ()),
    Case(
        "lighter", "markets", "orderBookDetails.json", None, ("symbol", "market_id", "market_type", "status")
    ),
    Case("lighter", "markets", "orderBookDetails_full_ETH.json", None, ("symbol", "market_id", "status")),
    Case("lighter", "markets", "orderBooks.json", None, ("symbol", "market_id", "market_type", "status")),
    Case("hyperliquid", "history", "fundingHistory_BTC.json", None, ("coin", "fundingRate", "time")),
    Case(
        "hyperliquid",
        "history",
        "fundingHistory_BTC_2023_8h_to_1h.json",
        None,
        ("coin", "fundingRate", "time"),
    ),
    Case("hyperliquid", "history", "fundingHistory_xyz_XYZ100.json", None, ("coin", "fundingRate", "time")),
    Case("hyperliquid", "current", "metaAndAssetCtxs.json", None, ("universe", "name", "funding", "markPx")),
    Case(
        "hyperliquid",
        "current",
        "metaAndAssetCtxs_dex_xyz.json",
        None,
        ("universe", "name", "funding", "markPx"),
    ),
    Case("hyperliquid", "markets", "allPerpMetas.json", None, ("universe", "name", "maxLeverage")),
    Case("coingecko", "current", "derivatives.json", None, ("market", "symbol", "contract_type")),
    Case("gate", "history", "funding_rate_BTC_USDT.json", "BTC_USDT", ("r", "t")),
    *(
        Case(exchange, what, f"{name}.json", None, keys)
        for exchange, what, names_, keys in (
            (
                "binance",
                "history",
                ("fundingRate_BTCUSDT", "fundingRate_SPYUSDT_special"),
                ("symbol", "fundingTime", "fundingRate"),
            ),
            ("aster", "history", ("fundingRate_BTCUSDT",), ("symbol", "fundingTime", "fundingRate")),
            (
                "bybit",
                "history",
                ("funding_history_BTCUSDT",),
                ("retCode", "list", "symbol", "fundingRate", "fundingRateTimestamp"),
            ),
            (
                "bybit",
                "current",
                ("tickers_linear",),
                ("symbol", "fundingRate", "nextFundingTime", "markPrice", "openInterest", "turnover24h"),
            ),
            (
                "bybit",
                "markets",
                ("instruments_linear", "instruments_linear_tradfi"),
                ("symbol", "contractType", "status", "baseCoin", "quoteCoin", "fundingInterval"),
            ),
            (
                "okx",
                "history",
                ("funding-rate-history_BTC-USDT-SWAP",),
                ("code", "data", "instId", "realizedRate", "fundingTime"),
            ),
            (
                "okx",
                "current",
                ("funding-rate_ANY",),
                ("code", "data", "instId", "instType", "fundingRate", "fundingTime", "nextFundingTime"),
            ),
            ("okx", "current", ("mark-price_SWAP",), ("instId", "markPx")),
            ("okx", "markets", ("instruments_SWAP",), ("code", "data", "instId", "instFamily", "state")),
            ("okx", "markets", ("instruments_SWAP_tradfi",), ("instId", "instFamily", "state")),
            (
                "gate",
                "current",
                ("contracts_usdt", "contracts_usdt_tradfi"),
                ("name", "status", "funding_rate", "funding_next_apply", "mark_price"),
            ),
            ("gate", "current", ("tickers_usdt",), ("contract", "funding_rate", "total_size")),
            (
                "gate",
                "markets",
                ("contracts_usdt", "contracts_usdt_tradfi"),
                ("name", "status", "funding_interval"),
            ),
            *(
                row
                for exchange in ("binance", "aster")
                for row in (
                    (
                        exchange,
                        "current",
                        ("premiumIndex", "premiumIndex_tradfi"),
                        ("symbol", "markPrice", "indexPrice", "lastFundingRate", "nextFundingTime"),
                    ),
                    (exchange, "current", ("fundingInfo",), ("symbol", "fundingIntervalHours")),
                    (
                        exchange,
                        "markets",
                        ("exchangeInfo", "exchangeInfo_tradfi"),
                        ("symbol", "status", "contractType", "quoteAsset"),
                    ),
                    (
                        exchange,
                        "markets",
                        ("fundingInfo", "fundingInfo_tradfi"),
                        ("symbol", "fundingIntervalHours"),
                    ),
                )
            ),
        )
        for name in names_
    ),
    Case(
        "dydx",
        "history",
        "historicalFunding_LINK-USD.json",
        None,
        ("historicalFunding", "ticker", "rate", "price", "effectiveAt"),
    ),
    Case(
        "dydx", "current", "perpetualMarkets.json", None, ("ticker", "status", "nextFundingRate", "volume24H")
    ),
    Case("dydx", "current", "perpetualMarkets_tradfi.json", None, ("openInterest",)),
    Case("dydx", "markets", "perpetualMarkets.json", None, ("ticker", "status")),
    Case(
        "backpack",
        "history",
        "fundingRates_BTC_USDC_PERP.json",
        None,
        ("fundingRate", "intervalEndTimestamp", "symbol"),
    ),
    Case(
        "backpack",
        "current",
        "markPrices.json",
        None,
        ("fundingRate", "indexPrice", "markPrice", "nextFundingTimestamp", "symbol"),
    ),
    Case(
        "backpack", "markets", "markets.json", None, ("symbol", "baseSymbol", "marketType", "orderBookState")
    ),
    Case(
        "pacifica",
        "history",
        "funding_rate_history_BTC.json",
        "BTC",
        ("data", "funding_rate", "created_at", "oracle_price"),
    ),
    Case(
        "pacifica",
        "current",
        "info_prices.json",
        None,
        ("data", "symbol", "funding", "mark", "oracle", "open_interest", "timestamp", "volume_24h"),
    ),
    Case(
        "pacifica",
        "markets",
        "info.json",
        None,
        ("data", "symbol", "instrument_type", "base_asset", "created_at", "max_leverage"),
    ),
    Case(
        "grvt",
        "history",
        "funding_BTC_USDT_Perp.json",
        None,
        ("result", "instrument", "funding_rate", "funding_time", "mark_price", "funding_interval_hours"),
    ),
    Case(
        "grvt",
        "current",
        "ticker_BTC_USDT_Perp.json",
        None,
        ("result", "instrument", "funding_rate", "next_funding_time", "mark_price", "open_interest"),
    ),
    Case("grvt", "current", "ticker_AAPL_USDT_Perp.json", None, ("index_price",)),
    Case(
        "drift",
        "history",
        "market_fundingRates_SOL-PERP.json",
        None,
        ("records", "ts", "symbol", "fundingRate", "oraclePriceTwap", "markPriceTwap"),
    ),
    Case(
        "drift",
        "history",
        "legacy_fundingRates_SOL-PERP.json",
        "SOL-PERP",
        ("fundingRates", "ts", "fundingRate", "oraclePriceTwap", "markPriceTwap"),
    ),
    Case("drift", "current", "stats_markets.json", None, ("symbol", "marketType", "status", "fundingRate")),
    Case(
        "drift",
        "current",
        "contracts.json",
        None,
        ("ticker_id", "next_funding_rate", "next_funding_rate_timestamp", "open_interest", "index_price"),
    ),
    Case("drift", "markets", "stats_markets.json", None, ("symbol", "marketType", "quoteAsset", "status")),
    Case(
        "velocity",
        "history",
        "velocity_market_fundingRates_BTC-PERP.json",
        None,
        ("records", "ts", "symbol", "fundingRate", "oraclePriceTwap", "markPriceTwap"),
    ),
    Case(
        "velocity",
        "current",
        "velocity_stats_markets.json",
        None,
        ("symbol", "marketType", "baseAsset", "markPrice", "fundingRate", "openInterest"),
    ),
    Case("velocity", "markets", "velocity_stats_markets.json", None, ("symbol", "marketType", "baseAsset")),
    Case(
        "grvt",
        "markets",
        "all_instruments.json",
        None,
        ("instrument", "base", "quote", "kind", "funding_interval_hours", "adjusted_funding_rate_cap"),
    ),
    Case(
        "variational",
        "current",
        "metadata_stats.json",
        None,
        ("listings", "ticker", "mark_price", "funding_rate", "funding_interval_s", "long_open_interest"),
    ),
    Case(
        "edgex",
        "history",
        "getFundingRatePage_30000001.json",
        "BTCUSDC",
        ("code", "data", "dataList", "contractId", "fundingTime", "fundingRate", "markPrice"),
    ),
    Case("edgex", "history", "getFundingRatePage_30000001.json", "BTCUSDC", ("fundingRateIntervalMin",)),
    Case(
        "edgex",
        "current",
        "getLatestFundingRate.json",
        None,
        ("code", "data", "contractId", "fundingTime", "forecastFundingRate", "fundingRateIntervalMin"),
    ),
    Case(
        "edgex",
        "markets",
        "getMetaData.json",
        None,
        (
            "contractId",
            "contractName",
            "baseCoinId",
            "fundingMaxRate",
        ),
    ),
    Case(
        "nado",
        "history",
        "funding_rate_history_2.json",
        "BTC-PERP_USDT0",
        ("funding_rates", "product_id", "timestamp", "funding_rate_x18"),
    ),
    Case(
        "nado",
        "current",
        "contracts.json",
        None,
        ("ticker_id", "product_type", "mark_price", "funding_rate", "next_funding_rate_timestamp"),
    ),
    Case("nado", "markets", "symbols.json", None, ("status", "data", "symbols", "type", "trading_status")),
    Case("paradex", "current", "markets_summary.json", None, ("results", "symbol")),
    Case("paradex", "markets", "markets.json", None, ("results", "symbol", "asset_kind")),
    Case("variational", "markets", "metadata_stats.json", None, ("ticker", "funding_interval_s")),
]
EVERY = pytest.mark.parametrize("case", SAMPLES, ids=["-".join((*c[:3], *c.keys[:1])) for c in SAMPLES])
TIMES = ("T", "ts", "nextFundingRate", "timestamp", "time", "createdAt", "created_at", "funding_timestamp")
TIMES += ("fundingTime", "nextFundingTime", "t", "funding_next_apply")
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
) | st.sampled_from(["NaN", "inf", "-Infinity", "", " ", "1e400", "1,5", "0x10", "\uff11", "1_000"])


@cache
def listed(exchange):
    """The known markets of an exchange, from its recorded list; skips where that is absent."""
    if not SHARED.is_dir():
        pytest.skip("../shared (recorded answers, real series) is absent")
    folder = SHARED / "venues/payloads" / FOLDERS.get(exchange, exchange)
    body = (folder / LISTINGS[exchange, "current"]).read_bytes()
    rows = MARKETS.check(fetcher(exchange).markets.parse(body, ResponseContext(AT)))
    return {row["symbol"]: market_of(row) for row in rows.iter_rows(named=True)}


def read(case, body, at=None):
    market = fetcher(case.exchange).market(case.symbol) if case.symbol else None
    known = listed(case.exchange) if (case.exchange, case.what) in LISTINGS else {}
    asked = ResponseContext(at or SEEN.get(case.exchange, AT), market=market, markets=known)
    return TABLES[case.what].check(getattr(fetcher(case.exchange), case.what).parse(body, asked))


@pytest.fixture
def body_of(shared):
    return lambda case: (
        shared / "venues/payloads" / FOLDERS.get(case.exchange, case.exchange) / case.name
    ).read_bytes()


def places(value, keys, path=()):
    """Paths of all members named by one of `keys`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in keys:
                yield (*path, key)
            yield from places(inner, keys, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from places(inner, keys, (*path, i))


def nodes(value, path=()):
    """Paths of everything inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield (*path, key)
        yield from nodes(inner, (*path, key))


def at_path(value, path):
    for key in path:
        value = value[key]
    return value


@pytest.mark.parametrize("exchange", names())
def test_a_fetcher_states_its_datasheet(exchange):
    found = fetcher(exchange)
    assert found.exchange == exchange
    assert found.base_url.startswith("https://")
    assert not found.base_url.endswith("/")
    assert found.version >= 1
    assert found.unit
    assert found.interval
    assert date(2026, 1, 1) <= date.fromisoformat(found.checked)
    assert timedelta(0) < found.settle_delay <= timedelta(hours=1)


@EVERY
def test_a_recorded_answer_gives_rows_of_its_table_and_the_same_ones_again(case, body_of):
    body = body_of(case)
    frame = read(case, body)
    assert frame.height > 0
    assert frame.equals(read(case, body))
    if case.what == "history":
        assert set(frame["fetched_at"]) == {AT}
        assert frame["funding_time"].is_sorted()
        assert set(frame["source"]) == {case.exchange}
        later = read(case, body, AT + timedelta(days=1))
        assert (later.height > frame.height) == (case.exchange in RUNNING)
        later = later.head(frame.height)
        assert later.drop("fetched_at").equals(frame.drop("fetched_at"))
    assert fetcher(case.exchange).refusal(200, body) is None


@EVERY
def test_a_cut_answer_gives_nothing(case, body_of):
    body = body_of(case).rstrip()
    if case.name.endswith(".jsonl"):
        body = body.splitlines()[0]
    step = max(1, len(body) // 60)
    for end in range(0, len(body) - 1, step):
        with pytest.raises(BadPayload):
            read(case, body[:end])


@pytest.mark.parametrize(
    "case", [c for c in SAMPLES if c.keys], ids=lambda c: "-".join((*c[:3], *c.keys[:1]))
)
def test_a_missing_or_bent_field_gives_nothing(case, body_of):
    """Each key is taken out, made null, text made number and number text, times put into the other unit, in each row."""
    answer = json.loads(body_of(case))
    found = list(places(answer, case.keys))
    assert {path[-1] for path in found} == set(case.keys)
    first = {path[-1]: path for path in reversed(found)}
    for path in found[:40]:
        for bend in bends(path[-1], at_path(answer, path), in_use=path in first.values()):
            bent = copy.deepcopy(answer)
            bend(at_path(bent, path[:-1]), path[-1])
            with pytest.raises((BadPayload, SchemaError)):
                read(case, json.dumps(bent).encode())


def bends(key, value, *, in_use):
    """Other types anywhere; other units where the row is one that is kept."""
    yield lambda row, name: row.__delitem__(name)
    yield lambda row, name: row.__setitem__(name, None)
    yield lambda row, name: row.update({name: True})
    yield lambda row, name: row.__setitem__(name, {})
    if isinstance(value, str):
        yield lambda row, name: row.__setitem__(name, 1)
    if isinstance(value, int | float):
        yield lambda row, name: row.__setitem__(name, str(value))
    if in_use and key in TIMES and isinstance(value, int):
        yield lambda row, name: row.__setitem__(name, value * 1000)
        yield lambda row, name: row.__setitem__(name, value // 1000)


@EVERY
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_junk_anywhere_is_refused_by_name_or_leaves_sound_rows(case, body_of, data):
    """Never a TypeError, never a row that the table would not take."""
    lines = body_of(case).splitlines() if case.name.endswith(".jsonl") else [body_of(case)]
    values = [json.loads(line) for line in lines]
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(list(nodes(values))))
        at_path(values, path[:-1])[path[-1]] = data.draw(JUNK)
    body = "\n".join(json.dumps(value) for value in values).encode()
    try:
        frame = read(case, body)
    except FundingdbError:
        return
    assert frame.schema == TABLES[case.what].schema


# Whose history answers a window without payments with an empty list.
EMPTY_LISTS = {"backpack", "hyperliquid", "binance", "binance-coinm", "aster", "gate"}
NONSENSE = [
    b"",
    b" \n",
    b"{}",
    b"[]",
    b"[1]",
    b"null",
    b"0",
    b'"x"',
    b"{",
    b"<html><body>403</body></html>",
    b"\xff\xfe",
]


@pytest.mark.parametrize(
    ("exchange", "what"), [(n, w) for n in names() for w in TABLES if getattr(fetcher(n), w)]
)
@pytest.mark.parametrize("body", NONSENSE)
def test_what_is_no_answer_gives_nothing(exchange, what, body):
    case = Case(exchange, what, "", PLAIN.get(exchange), ())
    if body == b"[]" and what == "history" and exchange in EMPTY_LISTS:
        assert read(case, body).height == 0  # the documented answer of a window without payments
        return
    with pytest.raises(FundingdbError) as caught:
        read(case, body)
    assert exchange in str(caught.value)


@pytest.mark.parametrize("exchange", [n for n in names() if n in PLAIN])
def test_a_history_request_is_pure_within_the_budget_and_proof_against_hostile_names(exchange):
    found = fetcher(exchange)
    plain = replace(found.market(PLAIN[exchange]), native_id="1")
    like = found.history.request(plain, WINDOW, None)
    assert like == found.history.request(plain, WINDOW, None)
    assert 0 < like.cost <= found.budget.capacity
    for symbol in HOSTILE:
        request = found.history.request(replace(plain, symbol=symbol), WINDOW, None)
        assert request.method == like.method
        assert request.path.count("/") == like.path.count("/")
        assert request.path.isascii()
        assert not set(request.path) & set("?#;'\" \n\x00\\")
        assert not {".", ".."} & set(request.path.split("/"))
        assert [key for key, _ in request.params] == [key for key, _ in like.params]


@pytest.mark.parametrize("exchange", names())
@pytest.mark.parametrize("what", ["markets", "current"])
def test_the_requests_of_a_round_are_pure_and_within_the_budget(exchange, what):
    found = fetcher(exchange)
    known = [replace(found.market(PLAIN[exchange]), native_id="1")] if exchange in PLAIN else []
    requests = getattr(found, what).requests(known)
    assert bool(requests) != (exchange in CLOSED and what == "current")
    assert requests == getattr(found, what).requests(known)
    assert sum(request.cost for request in requests) <= found.budget.capacity
    for request in requests:
        assert request.method in ("GET", "POST")
        assert request.path.startswith("/")
        assert all(isinstance(text, str) for pair in request.params for text in pair)


@pytest.mark.parametrize("exchange", names())
def test_refusals_are_told_from_answers(exchange):
    refusal = fetcher(exchange).refusal
    for status in (500, 502, 503, 504):
        assert refusal(status, b"<html>Bad gateway</html>") is None
    for status in (400, 401, 403, 404):
        assert isinstance(refusal(status, b"<html>no</html>"), FundingdbError)
        assert isinstance(refusal(status, b""), FundingdbError)
