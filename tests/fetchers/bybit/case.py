"""Bybit: its responses written by hand, the rows they must give, and its history endpoint played."""

from datetime import UTC, datetime

from fundingdb.errors import BadCall, RateLimited, Refused, Unreachable
from fundingdb.fetchers.bybit import FETCHER
from fundingdb.fetchers.contract import Market
from fundingdb.fetchers.testing import Case, Example, Refusal
from fundingdb.window import to_ms
from tests.fetchers.played import text

AT = datetime(2026, 9, 11, 17, 30, tzinfo=UTC)
BTC = Market("bybit", "BTCUSDT", "BTC", "USDT", "crypto", interval_hours=8.0)


def response(*rows, **more):
    return {"retCode": 0, "retMsg": "OK", "result": {"category": "linear", "list": list(rows), **more}}


def payment(rate="0.00005602", t="1789142400000", symbol="BTCUSDT"):
    return {"symbol": symbol, "fundingRate": rate, "fundingRateTimestamp": t}


def ticker(symbol, prices, funding, sizes, turnover, **more):
    """`prices`: index, mark; `funding`: rate, next time, hours, cap; `sizes`: of both sides, of one, the value of one."""
    names = ("indexPrice", "markPrice")
    names += ("fundingRate", "nextFundingTime", "fundingIntervalHour", "fundingCap")
    names += ("openInterest", "singleOpenInterest", "singleOpenInterestValue")
    figures = dict(zip(names, (*prices, *funding, *sizes), strict=True))
    return {"symbol": symbol, **figures, "turnover24h": turnover, "deliveryTime": "0"} | more


def instrument(symbol, base, quote="USDT", *, minutes=480, leverage="100.00", kind="", **more):
    return {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": base,
        "quoteCoin": quote,
        "leverageFilter": {"minLeverage": "1", "maxLeverage": leverage, "leverageStep": "0.01"},
        "fundingInterval": minutes,
        "symbolType": kind,
    } | more


def settled(coin, cap, launch):
    return {
        "settleCoin": coin,
        "upperFundingRate": cap,
        "lowerFundingRate": f"-{cap}",
        "launchTime": launch,
    }


BITCOIN = ticker(
    "BTCUSDT",
    ("77797.59", "77766.70"),
    ("0.00004936", "1789171200000", "8", "0.00333"),
    ("53262.861", "26631.431", "2071038505.15"),
    "6285417277.3039",
)
ZERO_G = ticker(
    "0GUSDT",
    ("0.1942", "0.1942"),
    ("0.00005", "1789156800000", "4", "0.005"),
    ("10194607.3", "5097303.7", "989896.38"),
    "1990249.1595",
)
BONK = ticker(
    "1000BONKPERP",
    ("0.002769", "0.002769"),
    ("-0.00022725", "1789171200000", "8", "0.02"),
    ("61946480", "30973240", "85764.90"),
    "91862.0916",
)
DATED = ticker(
    "BTCUSDT-18SEP26",
    ("77791.1", "77873.1"),
    ("", "0", "", ""),
    ("122.594", "61.297", "4773387.41"),
    "336186.2992",
    deliveryTime="1789718400000",
)
RESPONSES = {
    "funding_history_BTCUSDT": response(payment(), payment("0.00002005", "1789113600000")),
    "tickers_linear": response(BITCOIN, ZERO_G, BONK, DATED),
    "instruments_linear": response(
        instrument("BTCUSDT", "BTC", leverage="150.00", **settled("USDT", "0.00333", "1584230400000")),
        instrument(
            "0GUSDT", "0G", minutes=240, leverage="50.00", **settled("USDT", "0.005", "1758175736000")
        ),
        instrument(
            "1000BONKPERP", "1000BONK", "USDC", leverage="75.00", **settled("USDC", "0.02", "1732783376000")
        ),
        instrument(
            "BTCUSDT-18SEP26",
            "BTC",
            minutes=0,
            leverage="50.00",
            contractType="LinearFutures",
            **settled("USDT", "0", "1787904000000"),
        ),
        nextPageCursor="",
    ),
    "instruments_linear_tradfi": response(
        instrument("XAUTUSDT", "XAUT", minutes=240, leverage="75.00"),
        instrument("AVNTUSDT", "AVNT", minutes=240, leverage="50.00", kind="innovation"),
        instrument("ONUSDT", "ON", leverage="50.00", kind="stock"),
        instrument("SPYUSDT", "SPY", kind="ETF"),
        instrument("XAUUSDT", "XAU", minutes=240, leverage="150.00", kind="commodity"),
        instrument("EURUSDUSDT", "EURUSD", kind="forex"),
    ),
}


def written(name):
    return text(RESPONSES[name])


def serve(request, settlements, cap=200):
    """Newest first, both bounds inclusive; of a wider window the newest `cap`."""
    params = dict(request.params)
    assert (params["category"], params["symbol"], params["limit"]) == ("linear", "BTCUSDT", "200")
    low, high = int(params["startTime"]), int(params["endTime"])
    inside = [(to_ms(at), rate) for at, rate in settlements if low <= to_ms(at) <= high]
    return text(response(*(payment(f"{rate:.8f}", str(t)) for t, rate in reversed(inside[-cap:]))))


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text(
                response(
                    payment("-0.00001250", "1789142401250"),  # a stamp 1.25 s after the hour
                    payment("0.00002005", "1789113600000"),
                )
            ),
            [
                {"funding_time": datetime(2026, 9, 11, 8, tzinfo=UTC), "funding_rate": 0.00002005},
                {
                    "symbol": "BTCUSDT",
                    "base": "BTC",
                    "quote": "USDT",
                    "funding_time": datetime(2026, 9, 11, 16, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 11, 16, 0, 1, 250_000, tzinfo=UTC),
                    "funding_rate": -0.0000125,  # a fraction as it is written: shorts pay longs
                    "native_rate": -0.0000125,
                    "interval_hours": None,
                    "interval_from": "unknown",
                    "rate_type": "regular",
                    "mark_price": None,
                    "index_price": None,
                },
            ],
            at=AT,
        )
    ],
    current=[
        Example(
            written("tickers_linear"),
            [
                {
                    "symbol": "BTCUSDT",
                    "funding_rate": 0.00004936,
                    "interval_hours": 8.0,
                    "next_funding_time": datetime(2026, 9, 12, tzinfo=UTC),
                    "mark_price": 77766.7,
                    "index_price": 77797.59,
                    "open_interest": 26631.431,  # one side; openInterest counts both
                    "open_interest_usd": 2071038505.15,
                    "volume_24h_usd": 6285417277.3039,
                    "rate_step": 1e-8,
                },
                {"symbol": "0GUSDT", "base": "0G", "interval_hours": 4.0},
                {
                    "symbol": "1000BONKPERP",
                    "base": "BONK",
                    "quote": "USDC",
                    "funding_rate": -0.00022725,
                    "mark_price": 0.000002769,  # 0.002769 / 1000 tokens
                    "open_interest": 30_973_240_000.0,  # 30,973,240 x 1000 tokens
                },
            ],
            at=AT,
        )
    ],
    markets=[
        Example(
            written("instruments_linear"),
            [
                {
                    "symbol": "BTCUSDT",
                    "status": "active",
                    "interval_hours": 8.0,  # 480 minutes
                    "rate_cap": 0.00333,
                    "max_leverage": 150.0,
                    "collateral": "USDT",
                    "listed_at": datetime(2020, 3, 15, tzinfo=UTC),
                },
                {"symbol": "0GUSDT", "base": "0G", "multiplier": 1.0, "interval_hours": 4.0},
                {"symbol": "1000BONKPERP", "base": "BONK", "multiplier": 1000.0, "collateral": "USDC"},
            ],
            at=AT,
        ),
        Example(
            text(
                response(
                    instrument("SPYUSDT", "SPY", kind="ETF"),
                    instrument("XAUUSDT", "XAU", kind="commodity", status="PreLaunch"),
                    instrument("LUNAUSDT", "LUNA", status="Closed"),
                )
            ),
            [
                {"symbol": "SPYUSDT", "asset_class": "equity", "status": "active"},
                {"symbol": "XAUUSDT", "asset_class": "commodity", "status": "prelisted"},
                {"symbol": "LUNAUSDT", "asset_class": "crypto", "status": "delisted"},
            ],
            at=AT,
        ),
    ],
    empty=[("history", text(response()))],
    refusals=[
        Refusal(200, text({"retCode": 10006, "retMsg": "Too many visits!"}), RateLimited),
        Refusal(429, b"", RateLimited),
        Refusal(403, b"403, access too frequent", RateLimited),
        Refusal(403, b"<html>CloudFront", Refused),
        Refusal(200, text({"retCode": 10016, "retMsg": "server error"}), Unreachable),
        Refusal(200, text({"retCode": 10001, "retMsg": "params error: symbol invalid"}), BadCall),
        Refusal(200, text({"retCode": 10001, "retMsg": "The start time is wrong"}), Refused),
        Refusal(200, text(response()), None),
        Refusal(502, b"<html>", None),
    ],
    serve=serve,
    step_hours=8.0,
)
