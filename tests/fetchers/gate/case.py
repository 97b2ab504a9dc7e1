"""Gate: its responses written by hand, the rows they must give, and its history endpoint played."""

from datetime import UTC, datetime

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.contract import Market, Request
from fundingdb.fetchers.gate import FETCHER
from fundingdb.fetchers.testing import Case, Example, Refusal
from fundingdb.window import to_ms
from tests.fetchers.played import text

AT = datetime(2026, 9, 11, 17, 30, tzinfo=UTC)
BTC = Market("gate", "BTC_USDT", "BTC", "USDT", "crypto", interval_hours=8.0)


def payment(rate="0.000024", t=1789142402):
    return {"r": rate, "t": t}


def contract(name, rate, prices, *, hours=8, due=1789171200, kind="", **more):
    """`prices`: mark, index."""
    return {
        "name": name,
        "status": "trading",
        "in_delisting": False,
        "is_pre_market": False,
        "funding_rate": rate,
        "funding_interval": hours * 3600,
        "funding_next_apply": due,
        "interest_rate": "0.0003",
        "mark_price": prices[0],
        "index_price": prices[1],
        "quanto_multiplier": "0.01",
        "contract_type": kind,
    } | more


def ticker(name, rate, prices, sizes, volume):
    """`prices`: mark, index; `sizes`: contracts of both sides, coins of one contract."""
    return {
        "contract": name,
        "funding_rate": rate,
        "mark_price": prices[0],
        "index_price": prices[1],
        "total_size": sizes[0],
        "quanto_multiplier": sizes[1],
        "volume_24h_quote": volume,
    }


BITCOIN = contract(
    "BTC_USDT",
    "0.000016",
    ("77762.8", "77790.63"),
    position_size=320443501,
    quanto_multiplier="0.0001",
    leverage_max="200",
    funding_rate_limit="0.003",
    launch_time=1574035200,
)
TWO_Z = contract(
    "2Z_USDT",
    "0.00005",
    ("0.04671", "0.046809"),
    hours=4,
    due=1789156800,
    position_size=8648,
    quanto_multiplier="100",
    leverage_max="50",
    funding_rate_limit="0.02",
    launch_time=1759407000,
)
ANDURIL = contract(
    "ANDURIL_USDT",
    "0",
    ("124", "124"),
    kind="stocks",
    is_pre_market=True,
    position_size=41452,
    leverage_max="10",
    funding_rate_limit="0.000001",
    launch_time=1776081600,
)
MIDNIGHT = 1789344000
RESPONSES = {
    "funding_rate_BTC_USDT": [payment(), payment("0.000002", 1789113602)],
    "contracts_usdt": [BITCOIN, TWO_Z, ANDURIL],
    "contracts_usdt_tradfi": [
        contract("QNT_USDT", "-0.000088", ("64.31", "64.39"), due=MIDNIGHT, leverage_max="25"),
        contract("CAT_USDT", "0", ("817", "817.09"), due=MIDNIGHT, kind="stocks", leverage_max="20"),
        contract(
            "XAU_USDT", "0", ("4349.4", "4346.98"), hours=4, due=MIDNIGHT, kind="metals", leverage_max="100"
        ),
        contract("USDC_USDT", "0.0001", ("0.9994", "1.00022"), due=MIDNIGHT, kind="forex", leverage_max="50"),
        contract(
            "SPX500_USDT", "-0.0002", ("7622.32", "7647.41"), due=MIDNIGHT, kind="indices", leverage_max="100"
        ),
    ],
    "tickers_usdt": [
        ticker("BTC_USDT", "0.000016", ("77755.8", "77786.25"), ("640887002", "0.0001"), "7031702789"),
        ticker("2Z_USDT", "0.00005", ("0.04671", "0.046809"), ("17296", "100"), "38589"),
        ticker("ANDURIL_USDT", "0", ("124", "124"), ("82904", "0.01"), "1562"),
    ],
}


def written(name):
    return text(RESPONSES[name])


def serve(request, settlements, cap=1000):
    """Newest first, both bounds inclusive in seconds, of a wider window the newest `cap`; stamps 1 to 3 s late."""
    params = dict(request.params)
    assert (params["contract"], params["limit"]) == ("BTC_USDT", "1000")
    stamps = [(to_ms(at) // 1000 + 1 + at.hour % 3, rate) for at, rate in settlements]
    inside = [(t, rate) for t, rate in stamps if int(params["from"]) <= t <= int(params["to"])]
    return text([payment(f"{rate:.6f}", t) for t, rate in reversed(inside[-cap:])])


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text([payment("-0.000024", 1789142402), payment("0.000002", 1789113601)]),
            [
                {"funding_time": datetime(2026, 9, 11, 8, tzinfo=UTC), "funding_rate": 0.000002},
                {
                    "symbol": "BTC_USDT",
                    "base": "BTC",
                    "quote": "USDT",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 11, 16, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 11, 16, 0, 2, tzinfo=UTC),
                    "funding_rate": -0.000024,
                    "native_rate": -0.000024,
                    "interval_hours": None,
                    "interval_from": "unknown",
                    "rate_type": "regular",
                    "mark_price": None,
                },
            ],
            at=AT,
        )
    ],
    current=[
        Example(
            text(
                [
                    BITCOIN,
                    contract("1000PEPE_USDT", "-0.0002", ("0.003346", "0.003347"), position_size=2000),
                    ANDURIL,
                ]
            ),
            [
                {
                    "symbol": "BTC_USDT",
                    "funding_rate": 0.000016,
                    "interval_hours": 8.0,
                    "next_funding_time": datetime(2026, 9, 12, tzinfo=UTC),
                    "mark_price": 77762.8,
                    "index_price": 77790.63,
                    "open_interest": 32044.3501,  # 320,443,501 contracts of 0.0001 coins, one side
                    "open_interest_usd": 32044.3501 * 77762.8,
                    "rate_step": 1e-6,
                    "volume_24h_usd": None,
                },
                {
                    "symbol": "1000PEPE_USDT",
                    "base": "PEPE",
                    "funding_rate": -0.0002,
                    "mark_price": 0.000003346,  # 0.003346 / 1000 tokens
                    "index_price": 0.000003347,
                    "open_interest": 20_000.0,  # 2,000 contracts x 0.01 units x 1000 tokens
                    "open_interest_usd": 0.06692,  # 20,000 x 0.000003346
                },
            ],
            at=AT,
        ),
        Example(
            text([RESPONSES["tickers_usdt"][0]]),
            [
                {
                    "symbol": "BTC_USDT",
                    "funding_rate": 0.000016,
                    "open_interest": 32044.3501,  # 640,887,002 / 2 sides x 0.0001 coins
                    "volume_24h_usd": 7031702789.0,
                    "interval_hours": None,
                    "next_funding_time": None,
                }
            ],
            request=Request("tickers", "/tickers"),
            at=AT,
        ),
    ],
    markets=[
        Example(
            text(
                [
                    BITCOIN,
                    ANDURIL,
                    contract("SPX500_USDT", "0", ("7622.32", "7647.41"), kind="indices", in_delisting=True),
                    contract("XAU_USDT", "0", ("4349.4", "4346.98"), kind="metals", status="delisted"),
                ]
            ),
            [
                {
                    "symbol": "BTC_USDT",
                    "base": "BTC",
                    "quote": "USDT",
                    "collateral": "USDT",
                    "multiplier": 1.0,
                    "status": "active",
                    "interval_hours": 8.0,  # 28,800 s
                    "rate_cap": 0.003,
                    "max_leverage": 200.0,
                    "listed_at": datetime(2019, 11, 18, tzinfo=UTC),
                },
                {
                    "symbol": "ANDURIL_USDT",
                    "asset_class": "equity",
                    "status": "prelisted",
                    "rate_cap": 0.000001,
                },
                {"symbol": "SPX500_USDT", "asset_class": "index", "status": "reduce_only"},
                {"symbol": "XAU_USDT", "asset_class": "commodity", "status": "delisted"},
            ],
            at=AT,
        )
    ],
    empty=[("history", b"[]")],
    refusals=[
        Refusal(400, text({"label": "CONTRACT_NOT_FOUND", "message": "no such contract"}), BadCall),
        Refusal(429, text({"label": "TOO_MANY_REQUESTS", "message": "?"}), RateLimited),
        Refusal(400, text({"label": "INVALID_PARAM_VALUE", "message": "?"}), Refused),
        Refusal(200, text({"label": "INVALID_PARAM_VALUE", "message": "?"}), Refused),
        Refusal(403, b"<html>", Refused),
        Refusal(200, b"[]", None),
        Refusal(502, b"<html>", None),
    ],
    serve=serve,
    step_hours=8.0,
)
