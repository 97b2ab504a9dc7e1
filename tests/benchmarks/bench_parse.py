"""From the bytes of an answer to a checked frame, for every fetcher with a history and for the bridge, beside two baselines in
the same run: json.loads + pl.DataFrame of the same bytes without any check, and ccxt's own method on the same bytes (its
transport answered from memory), where ccxt knows the exchange.

The answers are the recorded ones of ../shared, enlarged to a full page: their rows again and again, each at an hour of its own.
binance-coinm was never recorded and reads Binance's rows under another symbol.

python tests/benchmarks/bench_parse.py [--short]    a table, then the aims
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from fundingdb.fetchers.contract import Market, Request, ResponseContext
from fundingdb.fetchers.registry import fetcher
from fundingdb.schema import FUNDING
from fundingdb.window import from_ms

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PAYLOADS = Path(__file__).resolve().parents[3] / "shared/venues/payloads"
AIM, CCXT_AIM = 1.5, 8.0
AT = datetime(2026, 11, 1, tzinfo=UTC)
# Unix milliseconds -> as the exchange writes it
CLOCKS: dict[str, Callable[[int], Any]] = {
    "ms": lambda ms: ms,
    "s": lambda ms: ms // 1000,
    "ms text": str,
    "s text": lambda ms: str(ms // 1000),
    "ns text": lambda ms: f"{ms}000000",
    "iso": lambda ms: f"{from_ms(ms):%Y-%m-%dT%H:%M:%S}",
    "iso z": lambda ms: f"{from_ms(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z",
}
# fetcher: recorded answer, where its rows stand, the fields of their time, how it is written, hours, rows, symbol; ccxt's class
PAGES = {
    "extended": ("extended/funding_BTC-USD", ("data",), "T", "ms", 1, 1000, "BTC-USD"),
    "lighter": ("lighter/fundings_BTC_1h", ("fundings",), "timestamp", "s", 1, 749, "BTC"),
    "hyperliquid": ("hyperliquid/fundingHistory_BTC", (), "time", "ms", 1, 500, "BTC"),
    "binance": ("binance/fundingRate_BTCUSDT", (), "fundingTime", "ms", 8, 1000, "BTCUSDT"),
    "binance-coinm": ("binance/fundingRate_BTCUSDT", (), "fundingTime", "ms", 8, 1000, "BTCUSD_PERP"),
    "aster": ("aster/fundingRate_BTCUSDT", (), "fundingTime", "ms", 8, 1000, "BTCUSDT"),
    "bybit": (
        "bybit/funding_history_BTCUSDT",
        ("result", "list"),
        "fundingRateTimestamp",
        "ms text",
        8,
        200,
        "BTCUSDT",
    ),
    "okx": (
        "okx/funding-rate-history_BTC-USDT-SWAP",
        ("data",),
        "fundingTime",
        "ms text",
        8,
        100,
        "BTC-USDT-SWAP",
    ),
    "gate": ("gate/funding_rate_BTC_USDT", (), "t", "s", 8, 1000, "BTC_USDT"),
    "dydx": (
        "dydx/historicalFunding_LINK-USD",
        ("historicalFunding",),
        "effectiveAt",
        "iso z",
        1,
        100,
        "LINK-USD",
    ),
    "backpack": (
        "backpack/fundingRates_BTC_USDC_PERP",
        (),
        "intervalEndTimestamp",
        "iso",
        1,
        1000,
        "BTC_USDC_PERP",
    ),
    "pacifica": ("pacifica/funding_rate_history_BTC", ("data",), "created_at", "ms", 1, 4000, "BTC"),
    "grvt": ("grvt/funding_BTC_USDT_Perp", ("result",), "funding_time", "ns text", 8, 1000, "BTC_USDT_Perp"),
    "drift": ("drift/market_fundingRates_SOL-PERP", ("records",), "ts", "s", 1, 18, "SOL-PERP"),
    "velocity": ("drift/velocity_market_fundingRates_BTC-PERP", ("records",), "ts", "s", 1, 22, "BTC-PERP"),
    "edgex": (
        "edgex-v2/getFundingRatePage_30000001",
        ("data", "dataList"),
        "fundingTime",
        "ms text",
        4,
        100,
        "BTCUSDC",
    ),
    "nado": (
        "nado/funding_rate_history_2",
        ("funding_rates",),
        "timestamp",
        "s text",
        1,
        1000,
        "BTC-PERP_USDT0",
    ),
}
NATIVE_IDS = {"lighter": "1", "edgex": "30000001", "nado": "2"}
CCXT = {
    "extended": ("extended", "BTC/USD:USD"),
    "hyperliquid": ("hyperliquid", "BTC/USDC:USDC"),
    "binance": ("binanceusdm", "BTC/USDT:USDT"),
    "binance-coinm": ("binancecoinm", "BTC/USD:BTC"),
    "aster": ("aster", "BTC/USDT:USDT"),
    "bybit": ("bybit", "BTC/USDT:USDT"),
    "okx": ("okx", "BTC/USDT:USDT"),
    "gate": ("gate", "BTC/USDT:USDT"),
    "dydx": ("dydx", "LINK/USDC:USDC"),
    "backpack": ("backpack", "BTC/USDC:USDC"),
    "pacifica": ("pacifica", "BTC/USDC:USDC"),
    "grvt": ("grvt", "BTC/USDT:USDT"),
}
BRIDGED = ("binance", "bybit", "okx", "gate", "pacifica", "grvt")


def page(name: str) -> tuple[bytes, list[Any], int]:
    """(a full answer, its rows, how many of them were recorded)."""
    file, where, field, clock, hours, count, symbol = PAGES[name]
    answer = json.loads((PAYLOADS / f"{file}.json").read_text())
    rows = answer
    for key in where:
        rows = rows[key]
    recorded = [row | ({"symbol": symbol} if name == "binance-coinm" else {}) for row in rows]
    first = fetcher(name).history.parse(body_of(answer, where, recorded), ResponseContext(AT, market(name)))
    newest = int(first["funding_time"].max().timestamp() * 1000)
    full = []
    for n in range(count):
        at = newest - n * hours * 3_600_000
        row = recorded[n % len(recorded)] | {field: CLOCKS[clock](at)}
        if name == "edgex":
            row |= {"fundingTimestamp": row[field]}
        full.append(row)
    return body_of(answer, where, full), full, len(recorded)


def body_of(answer: Any, where: tuple[str, ...], rows: list[Any]) -> bytes:
    if not where:
        return json.dumps(rows).encode()
    whole = json.loads(json.dumps(answer))
    inner = whole
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = rows
    return json.dumps(whole).encode()


def market(name: str) -> Market:
    symbol = PAGES[name][6]
    if name in NATIVE_IDS:
        return Market(name, symbol, "BTC", "USDC", "crypto", native_id=NATIVE_IDS[name])
    return fetcher(name).market(symbol)


def plain(body: bytes, where: tuple[str, ...]) -> pl.DataFrame:
    rows = json.loads(body)
    for key in where:
        rows = rows[key]
    return pl.DataFrame(rows)


def ours(name: str, body: bytes) -> pl.DataFrame:
    return FUNDING.check(fetcher(name).history.parse(body, ResponseContext(AT, market(name))))


def theirs(name: str, body: bytes) -> Callable[[], list[Any]] | None:
    """ccxt's method on these bytes, None where there is none."""
    if name not in CCXT:
        return None
    try:
        from tests.fetchers.ccxt.ccxt_offline import opened
    except ImportError:
        return None
    kind, symbol = CCXT[name]
    exchange = opened(kind, {symbol: PAGES[name][6]}, lambda *_: {})
    text = body.decode()

    def fetch(_url, _method="GET", _headers=None, _body=None):
        exchange.last_json_response = exchange.parse_json(text)
        return exchange.last_json_response

    exchange.fetch = fetch
    span = (1, 1000) if name == "extended" else ()  # without them ccxt keeps none of its rows
    return lambda: exchange.fetch_funding_rate_history(symbol, *span)


def bridge(name: str, body: bytes) -> Callable[[], pl.DataFrame] | None:
    """The bridge on these bytes, from ccxt's transport to a checked frame; None without ccxt."""
    try:
        from tests.fetchers.ccxt.ccxt_offline import caller
    except ImportError:
        return None
    from fundingdb.fetchers.ccxt.bridge import reading
    from fundingdb.fetchers.ccxt.venues import VENUES

    symbol = CCXT[name][1]
    ask = caller(name, lambda *_: {}, {symbol: PAGES[name][6]})
    text, exchange = body.decode(), ask._exchange

    def fetch(_url, _method="GET", _headers=None, _body=None):
        exchange.last_json_response = exchange.parse_json(text)
        return exchange.last_json_response

    exchange.fetch = fetch
    request = Request(
        "fetch_funding_rate_history", "/", json={"symbol": symbol, "since": None, "limit": None, "params": {}}
    )
    asked = ResponseContext(
        AT + timedelta(days=1), Market(name, PAGES[name][6], "BTC", "USDT", "crypto", native_id=symbol)
    )
    return lambda: FUNDING.check(reading.history(name, VENUES[name].past, ask._work(request), asked))


def best(work: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def main(short: bool) -> None:
    if not PAYLOADS.exists():
        print(f"parse: skipped, {PAYLOADS} is absent")
        return
    rounds = 10 if short else 100
    print(
        f"{'':16}{'rows (recorded)':>16}{'rows/s':>12}{'ms':>8}{'plain':>8}{'ratio':>7}{'ccxt ms':>9}{'ratio':>7}"
    )
    slow, faster = [], []
    for name, (_, where, *_) in PAGES.items():
        body, rows, recorded = page(name)
        frame = ours(name, body)
        if frame.height != len(rows):
            raise SystemExit(f"{name}: {frame.height} rows of {len(rows)}")
        mine, bare = best(partial(ours, name, body), rounds), best(partial(plain, body, where), rounds)
        method = theirs(name, body)
        other = None
        if method is not None and len(method()) == len(rows):
            other = best(method, max(3, rounds // 10))
            faster.append(other / mine)
        slow.append(mine / bare)
        print(line(name, (len(rows), recorded), mine, bare, other))
    for name in BRIDGED:
        body, rows, recorded = page(name)
        through = bridge(name, body)
        if through is None:
            print("the bridge: skipped, ccxt is absent")
            break
        if through().height != len(rows):
            raise SystemExit(f"{name} through ccxt: {through().height} rows of {len(rows)}")
        bare, method = best(partial(plain, body, PAGES[name][1]), rounds), theirs(name, body)
        few = max(3, rounds // 10)
        mine, other = best(through, few), best(method, few) if method else None
        print(line(f"{name} (ccxt)", (len(rows), recorded), mine, bare, other))
    print(f"ratio to json.loads + pl.DataFrame: {min(slow):.1f} to {max(slow):.1f} (aim <= {AIM}); ", end="")
    told = f"{min(faster):.1f} to {max(faster):.1f} times" if faster else "(absent)"
    print(f"as fast as ccxt: {told} (aim >= {CCXT_AIM:g})")


def line(name: str, of: tuple[int, int], mine: float, bare: float, other: float | None) -> str:
    rows, recorded = of
    text = f"{name:16}{f'{rows:,} ({recorded})':>16}{rows / mine:>12,.0f}{mine * 1e3:>8.2f}{bare * 1e3:>8.2f}{mine / bare:>7.2f}"
    return text + (f"{other * 1e3:>9.2f}{other / mine:>7.2f}" if other else f"{'':>9}{'':>7}")


if __name__ == "__main__":
    main(short="--short" in sys.argv[1:])
