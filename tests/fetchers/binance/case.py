"""Binance USD-M, COIN-M and Aster: responses written by hand, the rows they must give, the history endpoint played."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers import binance
from fundingdb.fetchers.contract import Request
from fundingdb.fetchers.testing import Case, Example, Refusal
from fundingdb.window import to_ms
from tests.fetchers.binance.archive_case import OF_COIN_M, OF_USD_M
from tests.fetchers.played import text

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
USD_M, COIN_M, ASTER = binance.FETCHER, binance.COIN_M, binance.ASTER
FOUR_PM, MIDNIGHT = 1789315200000, 1789344000000  # 2026-09-13T16:00Z, 2026-09-14T00:00Z


def asking(endpoint):
    return Request(endpoint, f"/{endpoint}")


def payment(rate="0.00004334", t=1789200000003, symbol="BTCUSDT", **more):
    return {"symbol": symbol, "fundingTime": t, "fundingRate": rate, **more}


def premium(symbol, rate, prices, due=MIDNIGHT):
    """`prices`: mark, index."""
    return {
        "symbol": symbol,
        "markPrice": prices[0],
        "indexPrice": prices[1],
        "lastFundingRate": rate,
        "nextFundingTime": due,
        "time": 1789308896002,
    }


def listing(symbol, kind="PERPETUAL", status="TRADING", quote="USDT", **more):
    return {"symbol": symbol, "status": status, "contractType": kind, "quoteAsset": quote, **more}


def shares(symbol, base, kind, *tags, contract="TRADIFI_PERPETUAL"):
    return listing(symbol, contract, baseAsset=base, underlyingType=kind, underlyingSubType=list(tags))


def aster(symbol, base, number, *tags, **more):
    """On Aster underlyingType is COIN on everything; symbolType 1 is no coin."""
    words = {"underlyingType": "COIN", "underlyingSubType": list(tags), "symbolType": number}
    return listing(symbol, **{"baseAsset": base, **words, **more})


def info(symbol, hours, **more):
    return {"symbol": symbol, "fundingIntervalHours": hours, **more}


def fees(cap):
    return {"fundingFeeCap": cap, "fundingFeeFloor": -cap}


RESPONSES = {
    "binance": {
        "fundingRate_BTCUSDT": [
            payment(markPrice="77236.90000000", rateType="Regular"),
            payment("0.00005169", 1789228800000, markPrice="77343.70000000", rateType="Regular"),
            payment("0.00004788", 1789257600002, markPrice="77251.00000000", rateType="Regular"),
        ],
        "fundingRate_SPYUSDT_special": [
            payment(rate, t, "SPYUSDT", markPrice="746.2", rateType=kind)
            for rate, t, kind in (
                ("0.00002292", 1781740800001, "Regular"),
                ("-0.00239112", 1781740800009, "Special"),
                ("0.00003682", 1781744400001, "Regular"),
            )
        ],
        "premiumIndex": [
            premium("LPTUSDT", "0.00005000", ("1.41500000", "1.41617059"), FOUR_PM),
            premium("ETHUSDT", "-0.00001791", ("2483.70000000", "2484.94534884"), FOUR_PM),
            premium("BTCUSDT", "0.00006680", ("76979.73397101", "77007.74782609"), FOUR_PM),
        ],
        "premiumIndex_tradfi": [
            premium("CATUSDT", "0.00000000", ("817.85228986", "817.85228986")),
            premium("1000CATUSDT", "0.00005000", ("0.00211281", "0.00211457")),
            premium("XAUUSDT", "0.00000000", ("4348.44000000", "4348.27791278")),
            premium("BTCUSDT_260925", "0.00000000", ("77503.73548726", "77372.89565217"), 0),
        ],
        "exchangeInfo": {"symbols": [listing(s) for s in ("BTCUSDT", "ETHUSDT", "LPTUSDT")]},
        "exchangeInfo_tradfi": {
            "symbols": [
                shares("CATUSDT", "CAT", "EQUITY", "TradFi"),
                shares("1000CATUSDT", "1000CAT", "COIN", "Meme", "Crypto", contract="PERPETUAL"),
                shares("XAUUSDT", "XAU", "COMMODITY", "TradFi"),
                shares("BTCUSDT_260925", "BTC", "COIN", contract="CURRENT_QUARTER"),
            ]
        },
        "fundingInfo": [info("LPTUSDT", 4), info("ETHUSDT", 8), info("BTCUSDT", 8)],
        "fundingInfo_tradfi": [info("CATUSDT", 8), info("1000CATUSDT", 4), info("XAUUSDT", 4)],
    },
    "aster": {
        "fundingRate_BTCUSDT": [
            payment("0.00008093", 1789027200000),
            payment("0.00006482", 1789056000000),
            payment("0.00004447", 1789084800000),
            payment("0.00004761", 1789113600000),
        ],
        "premiumIndex": [
            premium("GNSUSD", "0", ("0.43789926", "0.43789926"), 1789171200000),
            premium("SUSHIUSDT", "-0.00000112", ("0.21665110", "0.21658000"), 1789149600000),
            premium("BTCUSD", "0", ("77846.04546593", "77846.04546593"), 1789149600000),
            premium("BTCUSDT", "0.00003274", ("77852.06061232", "77866.89217391"), 1789171200000),
        ],
        "premiumIndex_tradfi": [
            premium("RTXUSDT", "0.00001250", ("0.71915316", "0.70300000"), 1789336800000),
            premium("XAUUSDT", "0", ("4348.27780832", "4348.27780832")),
            premium("CLUSD1", "0.00018282", ("97.47127632", "97.43390644")),
            premium("SKHXUSDT", "0.00001250", ("1291.88701893", "1291.88121892"), 1789336800000),
        ],
        "exchangeInfo": {
            "symbols": [listing(f"{b}USDT", baseAsset=b, marginAsset="USDT") for b in ("BTC", "SUSHI")]
        },
        "exchangeInfo_tradfi": {
            "symbols": [
                aster("RTXUSDT", "RTX", 0),
                aster("XAUUSDT", "XAU", 1, "Commodities"),
                aster("CLUSD1", "CL", 1, "Commodities", "AOS2", "USD1-RWA", quote="USD1"),
                aster("SKHXUSDT", "SKHX", 1, "STOCK", status="PENDING_TRADING", kind=""),
            ]
        },
        "fundingInfo": [
            info("GNSUSD", 8, **fees(0.02)),
            info("SUSHIUSDT", 1, **fees(0.02)),
            info("BTCUSD", 2, **fees(0.02)),
            info("BTCUSDT", 8, **fees(0.003)),
        ],
        "fundingInfo_tradfi": [
            info("RTXUSDT", 1),
            info("XAUUSDT", 4),
            info("CLUSD1", 4),
            info("SKHXUSDT", 1),
        ],
    },
}


def written(exchange, name):
    return text(RESPONSES[exchange][name])


def serve(request, settlements, cap=1000, *, symbol="BTCUSDT", late=3, specials=()):
    """Oldest first from startTime on, both bounds inclusive, at most `cap`; stamps `late` ms after the hour.

    At each of `specials` there is a second payment, 5 ms after the regular one.
    """
    params = dict(request.params)
    assert (request.path, params["symbol"], params["limit"]) == ("/fundingRate", symbol, "1000")
    rows = []
    for at, rate in settlements:
        kinds = {"rateType": "Regular"} if specials else {}
        rows.append(payment(f"{rate:.8f}", to_ms(at) + late, symbol, **kinds))
        if at in specials:
            rows.append(payment("-0.00200000", to_ms(at) + late + 5, symbol, rateType="Special"))
    low, high = int(params["startTime"]), int(params["endTime"])
    return text([row for row in rows if low <= row["fundingTime"] <= high][:cap])


def refusals(name):
    return [
        Refusal(400, text({"code": -1121, "msg": "Invalid symbol."}), BadCall),
        Refusal(429, text({"code": -1003, "msg": "Too many requests"}), RateLimited),
        Refusal(418, b"", RateLimited),
        Refusal(451, text({"code": 0, "msg": "Service unavailable from a restricted location"}), Refused),
        Refusal(403, b"<html>", Refused),
        Refusal(200, text({"code": -1000, "msg": f"{name} does not know"}), Refused),
        Refusal(200, b"[]", None),
        Refusal(200, text({"symbols": []}), None),
        Refusal(503, b"<html>", None),
    ]


SAME = {
    "native_rate": -0.00004334,
    "funding_rate": -0.00004334,  # a fraction as it is written: shorts pay longs
    "interval_hours": None,
    "interval_from": "unknown",
    "rate_type": "regular",
    "funding_time": datetime(2026, 9, 12, 8, tzinfo=UTC),
    "reported_time": datetime(2026, 9, 12, 8, 0, 0, 3000, tzinfo=UTC),  # 3 ms after it
}
PEPE = USD_M.market("1000PEPEUSDT")

BINANCE = Case(
    fetcher=USD_M,
    market=USD_M.market("SPYUSDT"),
    history=[
        Example(
            text(
                [
                    payment("-0.00004334", symbol="SPYUSDT", markPrice="746.2", rateType="Regular"),
                    # a dividend of 1.78 dollars: -1.78 / (746.2 - 1.78) = -0.00239112
                    payment("-0.00239112", 1789200000009, "SPYUSDT", markPrice="746.2", rateType="Special"),
                    payment("0.00003682", 1789203600001, "SPYUSDT", markPrice="", rateType="Regular"),
                ]
            ),
            [
                SAME | {"base": "SPY", "quote": "USDT", "asset_class": "equity", "mark_price": 746.2},
                {
                    "funding_time": datetime(2026, 9, 12, 8, tzinfo=UTC),
                    "funding_rate": -0.00239112,
                    "rate_type": "special",
                },
                {"funding_rate": 0.00003682, "rate_type": "regular", "mark_price": None},
            ],
            at=AT,
        )
    ],
    current=[
        Example(
            text(
                [
                    premium("BTCUSDT", "-0.00006680", ("76979.73397101", "77007.74782609")),
                    premium("1000PEPEUSDT", "0.00005000", ("0.01100000", "0.01200000")),
                    premium("BTCUSDT_260925", "0.00000000", ("77503.7", "77372.8"), 0),  # dated
                ]
            ),
            [
                {
                    "symbol": "BTCUSDT",
                    "funding_rate": -0.0000668,
                    "native_rate": -0.0000668,
                    "next_funding_time": datetime(2026, 9, 14, tzinfo=UTC),
                    "mark_price": 76979.73397101,
                    "index_price": 77007.74782609,
                    "open_interest": None,
                    "interval_hours": None,
                    "rate_step": 1e-8,
                },
                {
                    "symbol": "1000PEPEUSDT",
                    "base": "PEPE",
                    "mark_price": 0.000011,  # 0.011 / 1000 tokens
                    "index_price": 0.000012,
                },
            ],
            request=asking("premiumIndex"),
            at=AT,
        ),
        Example(
            text([info("LPTUSDT", 4), info("BTCUSDT", 8)]),
            [
                {"symbol": "LPTUSDT", "interval_hours": 4.0, "funding_rate": None},
                {"symbol": "BTCUSDT", "interval_hours": 8.0},
            ],
            request=asking("fundingInfo"),
            at=AT,
        ),
    ],
    markets=[
        Example(
            text(
                {
                    "symbols": [
                        listing("BTCUSDT", baseAsset="BTC", marginAsset="USDT", onboardDate=1569398400000),
                        shares("CATUSDT", "CAT", "EQUITY", "TradFi"),
                        shares("XAUUSDT", "XAU", "COMMODITY", "TradFi"),
                        listing("1000PEPEUSDT", status="CLOSE", baseAsset="1000PEPE"),
                        listing("NEWUSDT", "", "PENDING_TRADING", baseAsset="NEW"),
                        listing("BTCUSDT_260925", "CURRENT_QUARTER", baseAsset="BTC"),  # dated
                    ]
                }
            ),
            [
                {
                    "symbol": "BTCUSDT",
                    "base": "BTC",
                    "quote": "USDT",
                    "collateral": "USDT",
                    "status": "active",
                    "listed_at": datetime(2019, 9, 25, 8, tzinfo=UTC),
                },
                {"symbol": "CATUSDT", "asset_class": "equity"},
                {"symbol": "XAUUSDT", "asset_class": "commodity"},
                {"symbol": "1000PEPEUSDT", "base": "PEPE", "multiplier": 1000.0, "status": "delisted"},
                {"symbol": "NEWUSDT", "status": "prelisted"},
            ],
            request=asking("exchangeInfo"),
            at=AT,
        ),
        Example(
            text(
                [
                    info(
                        "BTCUSDT",
                        8,
                        adjustedFundingRateCap="0.00300000",
                        adjustedFundingRateFloor="-0.02000000",
                    )
                ]
            ),
            [{"symbol": "BTCUSDT", "quote": None, "interval_hours": 8.0, "rate_cap": 0.02}],
            request=asking("fundingInfo"),
            at=AT,
        ),
    ],
    empty=[("history", b"[]")],
    refusals=refusals("binance"),
    serve=partial(serve, symbol="SPYUSDT"),
    step_hours=8.0,
)

COIN_MARGINED = Case(
    fetcher=COIN_M,
    market=replace(COIN_M.market("BTCUSD_PERP"), interval_hours=8.0),
    history=[
        Example(
            text([payment("-0.00004334", symbol="BTCUSD_PERP")]),
            [SAME | {"symbol": "BTCUSD_PERP", "base": "BTC", "quote": "USD", "mark_price": None}],
            at=AT,
        )
    ],
    current=[
        Example(
            text(
                [
                    premium("BTCUSD_PERP", "-0.00010000", ("77000", "77010")),
                    premium("BTCUSD_261225", "", ("77000", "77010"), 0),
                ]
            ),
            [
                {
                    "symbol": "BTCUSD_PERP",
                    "quote": "USD",
                    "funding_rate": -0.0001,
                    "next_funding_time": datetime(2026, 9, 14, tzinfo=UTC),
                    "mark_price": 77000.0,
                    "interval_hours": None,  # nothing states it
                }
            ],
            at=AT,
        )
    ],
    markets=[
        Example(
            text(
                {
                    "symbols": [
                        {
                            "symbol": f"BTCUSD_{end}",
                            "contractType": kind,
                            "contractStatus": status,
                            "baseAsset": "BTC",
                            "quoteAsset": "USD",
                            "marginAsset": "BTC",
                            "underlyingType": "COIN",
                            "onboardDate": 1597042800000,
                        }
                        for end, kind, status in (
                            ("PERP", "PERPETUAL", "TRADING"),
                            ("261225", "CURRENT_QUARTER", "TRADING"),
                        )
                    ]
                }
            ),
            [
                {
                    "symbol": "BTCUSD_PERP",
                    "base": "BTC",
                    "quote": "USD",
                    "collateral": "BTC",
                    "status": "active",
                    "interval_hours": None,
                    "listed_at": datetime(2020, 8, 10, 7, tzinfo=UTC),
                }
            ],
            request=asking("exchangeInfo"),
            at=AT,
        )
    ],
    empty=[("history", b"[]")],
    refusals=refusals("binance-coinm"),
    serve=partial(serve, symbol="BTCUSD_PERP"),
    step_hours=8.0,
)

ASTER_CASE = Case(
    fetcher=ASTER,
    market=ASTER.market("SPYUSDT"),
    history=[
        Example(
            text(
                [
                    payment("-0.00239112", 1789200000009, "SPYUSDT"),  # unmarked: the later of two is special
                    payment("-0.00004334", symbol="SPYUSDT"),
                    payment("0", 1789228800000, "SPYUSDT"),
                ]
            ),
            [
                {"funding_rate": -0.00239112, "rate_type": "special"},
                SAME | {"base": "SPY", "asset_class": "equity", "mark_price": None},
                {"funding_rate": 0.0, "rate_type": "regular"},
            ],
            at=AT,
        )
    ],
    current=[
        Example(
            text(
                [
                    premium("SUSHIUSDT", "-0.00000112", ("0.21665110", "0.21658000"), 1789336800000),
                    premium("CLUSD1", "0.00018282", ("97.47127632", "97.43390644")),
                ]
            ),
            [
                {
                    "symbol": "SUSHIUSDT",
                    "funding_rate": -0.00000112,
                    "next_funding_time": datetime(2026, 9, 13, 22, tzinfo=UTC),
                    "mark_price": 0.2166511,
                },
                {"symbol": "CLUSD1", "base": "CL", "quote": "USD1", "asset_class": "commodity"},
            ],
            at=AT,
        )
    ],
    markets=[
        Example(
            written("aster", "exchangeInfo_tradfi"),
            [
                {"symbol": "RTXUSDT", "base": "RTX", "asset_class": "crypto", "status": "active"},
                {"symbol": "XAUUSDT", "asset_class": "commodity"},
                {"symbol": "CLUSD1", "base": "CL", "quote": "USD1", "asset_class": "commodity"},
                {"symbol": "SKHXUSDT", "asset_class": "equity", "status": "prelisted"},
            ],
            request=asking("exchangeInfo"),
            at=AT,
        ),
        Example(
            written("aster", "fundingInfo"),
            [
                {"symbol": "GNSUSD", "quote": None, "interval_hours": 8.0, "rate_cap": 0.02},
                {"symbol": "SUSHIUSDT", "interval_hours": 1.0},
                {"symbol": "BTCUSD", "interval_hours": 2.0},
                {"symbol": "BTCUSDT", "interval_hours": 8.0, "rate_cap": 0.003},
            ],
            request=asking("fundingInfo"),
            at=AT,
        ),
    ],
    empty=[("history", b"[]")],
    refusals=refusals("aster"),
    serve=partial(serve, symbol="SPYUSDT", late=0),
    step_hours=8.0,
)

CASES = [BINANCE, COIN_MARGINED, ASTER_CASE, OF_USD_M, OF_COIN_M]
