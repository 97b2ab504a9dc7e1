"""edgeX V2: its responses written by hand, the rows they must give, and its history endpoint played."""

from datetime import UTC, datetime

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.contract import Market
from fundingdb.fetchers.edgex import FETCHER
from fundingdb.fetchers.testing import Case, Example, Refusal
from fundingdb.window import to_ms
from tests.fetchers.played import text

AT = datetime(2026, 9, 13, 22, 37, 20, tzinfo=UTC)
EIGHT_PM = datetime(2026, 9, 13, 20, tzinfo=UTC)
BTC = Market(
    "edgex",
    "BTCUSDC",
    "BTC",
    "USDC",
    "crypto",
    native_id="30000001",
    interval_hours=4.0,
    rate_cap=0.002,
)
PEPE = Market("edgex", "1000PEPEUSDC", "PEPE", "USDC", "crypto", 1000.0, "30000046", rate_cap=0.004)
ZRO = Market("edgex", "ZROUSDC", "ZRO", "USDC", "crypto", native_id="30000158", status="inactive")


def rate_row(at=EIGHT_PM, **fields):
    """A row of history or of the current rates; in history the forecast is empty."""
    return {
        "contractId": "30000001",
        "fundingTime": str(to_ms(at)),
        "fundingRate": "-0.00005067",
        "isSettlement": True,
        "forecastFundingRate": "",
        "previousFundingRate": "-0.0000522",
        "predictedFundingRate": "0.00005000",
        "markPrice": "77238.856686018451196599",
        "indexPrice": "77269.8500661371",
        "fundingRateIntervalMin": "240",
    } | fields


def current_row(contract, settled, forecast, prices):
    """`prices`: mark, index."""
    return rate_row(
        contractId=contract,
        fundingRate=settled,
        forecastFundingRate=forecast,
        isSettlement=False,
        markPrice=prices[0],
        indexPrice=prices[1],
    )


def response(data):
    return {"code": "SUCCESS", "data": data, "msg": None}


def page(*rows, cursor=""):
    return response({"dataList": list(rows), "nextPageOffsetData": cursor})


def contract(number, name, cap, leverage, **more):
    return {
        "contractId": f"3000{number:04}",
        "contractName": f"{name}USDC",
        "baseCoinId": str(1000 + number),
        "quoteCoinId": "1000",
        "enableTrade": True,
        "enableDisplay": True,
        "enableOpenPosition": True,
        "fundingMaxRate": cap,
        "fundingMinRate": f"-{cap}",
        "fundingRateIntervalMin": "240",
        "displayMaxLeverage": leverage,
        "isStock": False,
        "isFx": False,
    } | more


def listings(*contracts):
    coins = [{"coinId": c["baseCoinId"], "coinName": c["contractName"][:-4]} for c in contracts]
    usdc = {"coinId": "1000", "coinName": "USDC"}
    return response({"coinList": [usdc, *coins], "contractList": list(contracts)})


SPY_RATE = current_row("30000010", "0.00016653", "0.00045657", ("760.634143232281611306", "760.5801409535"))
PEPE_RATE = current_row("30000046", "0.00005000", "0.00005000", ("0.003353667202044079", "0.0033553402"))
ZRO_RATE = current_row("30000158", "0.00005000", "0.00005000", ("1.008907794332921461", "1.0106300064409683"))
BTC_RATE = current_row(
    "30000001", "-0.00005067", "-0.00005592", ("76767.044808407373464849", "76799.6329068953")
)
RESPONSES = {
    "getFundingRatePage_30000001": page(
        rate_row(),
        rate_row(
            datetime(2026, 9, 13, 16, tzinfo=UTC),
            fundingRate="-0.0000522",
            markPrice="77084.813141349424486699",
            indexPrice="77125.1715990452",
        ),
        cursor="0880F48DD58934",
    ),
    "getLatestFundingRate": response([SPY_RATE, PEPE_RATE, ZRO_RATE, BTC_RATE]),
    "getMetaData": listings(
        contract(1, "BTC", "0.002", "100"),
        contract(10, "SPY", "0.004", "20", isStock=True),
        contract(46, "1000PEPE", "0.004", "20"),
        contract(158, "ZRO", "0.02", "10", enableDisplay=False),
    ),
}


def written(name):
    return text(RESPONSES[name])


def serve(request, settlements, cap=100, samples=0):
    """Newest first within [begin, end), at most `cap` rows; the cursor is where the next page begins, "" at the end.

    `samples`: so many rows of the same time that are no settlements, as if the filter were ignored.
    """
    params = dict(request.params)
    assert (params["contractId"], params["size"]) == ("30000001", "100")
    assert params["filterSettlementFundingRate"] == "true"
    begin, end = int(params["filterBeginTimeInclusive"]), int(params["filterEndTimeExclusive"])
    fit = [
        rate_row(at, fundingRate=f"{rate:.8f}", isSettlement=settled)
        for at, rate in reversed(settlements)
        if begin <= to_ms(at) < end
        for settled in (True, *[False] * samples)
    ]
    first = int(params.get("offsetData", "0"))
    last = first + cap
    return text(page(*fit[first:last], cursor=str(last) if last < len(fit) else ""))


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text(
                page(
                    rate_row(fundingTime=str(to_ms(EIGHT_PM) + 1500)),
                    rate_row(fundingRate="0.5", isSettlement=False),  # a sample: no payment
                    rate_row(datetime(2026, 9, 13, 16, tzinfo=UTC), fundingRate="0.0000522"),
                )
            ),
            [
                {"funding_time": datetime(2026, 9, 13, 16, tzinfo=UTC), "funding_rate": 0.0000522},
                {
                    "symbol": "BTCUSDC",
                    "base": "BTC",
                    "quote": "USDC",
                    "asset_class": "crypto",
                    "funding_time": EIGHT_PM,
                    "reported_time": datetime(2026, 9, 13, 20, 0, 1, 500_000, tzinfo=UTC),
                    "funding_rate": -0.00005067,
                    "native_rate": -0.00005067,
                    "interval_hours": 4.0,  # 240 minutes
                    "interval_from": "row",
                    "rate_type": "regular",
                    "mark_price": 77238.85668601845,
                    "index_price": 77269.8500661371,
                },
            ],
            at=AT,
        )
    ],
    current=[
        Example(
            text(response([PEPE_RATE, ZRO_RATE, BTC_RATE])),
            [
                {
                    "symbol": "1000PEPEUSDC",
                    "base": "PEPE",
                    "funding_rate": 0.00005,
                    "mark_price": 0.000003353667202044079,  # 0.003353667202044079 / 1000 tokens
                    "index_price": 0.0000033553402,
                },
                {
                    "symbol": "BTCUSDC",
                    "funding_rate": -0.00005592,  # the forecast, neither the settled rate nor the interest
                    "native_rate": -0.00005592,
                    "interval_hours": 4.0,
                    "next_funding_time": datetime(2026, 9, 14, tzinfo=UTC),  # 20:00 + 4 h
                    "mark_price": 76767.04480840737,
                    "index_price": 76799.6329068953,
                    "open_interest": None,
                    "rate_step": 1e-8,
                },
            ],
            at=AT,
            markets={market.symbol: market for market in (BTC, PEPE, ZRO)},
        )
    ],
    markets=[
        Example(
            text(
                listings(
                    contract(1, "BTC", "0.002", "100"),
                    contract(10, "SPY", "0.004", "20", isStock=True, enableOpenPosition=False),
                    contract(46, "1000PEPE", "0.004", "20"),
                    contract(5, "XAU", "0.004", "20", enableTrade=False),
                    contract(9, "EUR", "0.004", "20", isFx=True),
                )
            ),
            [
                {
                    "symbol": "BTCUSDC",
                    "base": "BTC",
                    "quote": "USDC",
                    "collateral": "USDC",
                    "status": "active",
                    "interval_hours": 4.0,
                    "rate_cap": 0.002,
                    "max_leverage": 100.0,
                },
                {"symbol": "SPYUSDC", "asset_class": "equity", "status": "reduce_only"},
                {"symbol": "1000PEPEUSDC", "base": "PEPE", "multiplier": 1000.0},
                {"symbol": "XAUUSDC", "asset_class": "commodity", "status": "inactive"},
                {"symbol": "EURUSDC", "base": "EURUSD", "asset_class": "fx"},
            ],
            at=AT,
        )
    ],
    empty=[("history", text(page())), ("history", text(page(rate_row(isSettlement=False))))],
    refusals=[
        Refusal(200, b'{"code": "RATE_LIMIT_EXCEEDED"}', RateLimited),
        Refusal(200, b'{"msg": "", "code":"RATE_LIMIT_EXCEEDED"}', RateLimited),
        Refusal(200, b'{"code": "GATEWAY_PARAM_REQUIRED"}', Refused),
        Refusal(429, b"", RateLimited),
        Refusal(403, b"<html>", Refused),
        Refusal(404, b"{}", BadCall),
        Refusal(200, text(page()), None),
        Refusal(503, b"<html>", None),
    ],
    serve=serve,
    step_hours=4.0,
)
