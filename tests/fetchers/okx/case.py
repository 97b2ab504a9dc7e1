"""OKX: its responses written by hand, the rows they must give, and its history endpoint played."""

from datetime import UTC, datetime
from math import isfinite

from fundingdb.errors import BadCall, RateLimited, Refused, Unreachable
from fundingdb.fetchers.contract import Market, Request
from fundingdb.fetchers.okx import FETCHER
from fundingdb.fetchers.testing import Case, Example, Refusal
from fundingdb.window import to_ms
from tests.fetchers.played import text

AT = datetime(2026, 9, 11, 17, 30, tzinfo=UTC)
BTC = Market("okx", "BTC-USDT-SWAP", "BTC", "USDT", "crypto", interval_hours=8.0)


def response(*rows):
    return {"code": "0", "data": list(rows), "msg": ""}


def payment(rate="0.0000599316422609", t="1789142400000", symbol="BTC-USDT-SWAP"):
    """`fundingRate` is the forecast, here another figure; `realizedRate` is what was paid."""
    return {"instId": symbol, "fundingRate": forecast(rate), "realizedRate": rate, "fundingTime": t}


def forecast(rate: str) -> str:
    """Another figure than what was paid, near it; a rate that is no number has the forecast 0.0001."""
    try:
        return f"{float(rate) * 1.2 + 0.00001:.16f}" if isfinite(float(rate)) else "0.0001"
    except (TypeError, ValueError):
        return "0.0001"


def estimate(symbol, rate, cap, times, **more):
    """`times`: of the payment before, of the one that is due, of the one after it."""
    before, due, after = times
    return {
        "instId": symbol,
        "instType": "SWAP",
        "fundingRate": rate,
        "maxFundingRate": cap,
        "minFundingRate": f"-{cap}",
        "prevFundingTime": before,
        "fundingTime": due,
        "nextFundingTime": after,
        "nextFundingRate": "",
        "settState": "settled",
    } | more


def instrument(family, category="1", state="live", **more):
    return {
        "instId": f"{family}-SWAP",
        "instFamily": family,
        "instCategory": category,
        "category": "1",
        "ctMult": "1",
        "state": state,
    } | more


EIGHT = ("1789142400000", "1789171200000", "1789200000000")
FOUR = ("1789142400000", "1789156800000", "1789171200000")
RESPONSES = {
    "funding-rate-history_BTC-USDT-SWAP": response(payment(), payment("0.0000402928520367", "1789113600000")),
    "funding-rate_ANY": response(
        estimate("BTC-USDT-SWAP", "0.0000593556502673", "0.00375", EIGHT),
        estimate("CHIP-USDT-SWAP", "0.0000500000000000", "0.01", FOUR),
        estimate("BTC-USD-SWAP", "0.0001000000000000", "0.00375", EIGHT),
        estimate("XAU-USD_UM_XPERP-310502", "0.0003449666511615", "0.0075", EIGHT, instType="FUTURES"),
    ),
    "mark-price_SWAP": response(
        {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "markPx": "77760.9"},
        {"instId": "CHIP-USDT-SWAP", "instType": "SWAP", "markPx": "0.04798"},
        {"instId": "BTC-USD-SWAP", "instType": "SWAP", "markPx": "77741.7"},
    ),
    "instruments_SWAP": response(
        instrument(
            "BTC-USD", ctVal="100", ctValCcy="USD", lever="100", listTime="1535424203000", settleCcy="BTC"
        ),
        instrument(
            "BTC-USDT", ctVal="0.01", ctValCcy="BTC", lever="100", listTime="1573557408000", settleCcy="USDT"
        ),
        instrument(
            "CHIP-USDT", ctVal="100", ctValCcy="CHIP", lever="20", listTime="1776780000000", settleCcy="USDT"
        ),
    ),
    "instruments_SWAP_tradfi": response(
        instrument("STX-USDT", ctVal="10", ctValCcy="STX"),
        instrument("QNT-USDT", "3", ctVal="1", ctValCcy="QNT"),
        instrument("US500-USDT", "3", ctVal="1", ctValCcy="US500"),
        instrument("XAU-USDT", "4", ctVal="0.001", ctValCcy="XAU"),
    ),
}


def written(name):
    return text(RESPONSES[name])


def serve(request, settlements, cap=100, forgotten_before=None):
    """Newest first, strictly older than `after`, at most `cap`; what is older than the venue's memory is gone."""
    params = dict(request.params)
    assert (params["instId"], params["limit"]) == ("BTC-USDT-SWAP", "100")
    older = [
        (to_ms(at), rate)
        for at, rate in settlements
        if to_ms(at) < int(params["after"]) and (forgotten_before is None or at >= forgotten_before)
    ]
    return text(response(*(payment(f"{rate:.16f}", str(t)) for t, rate in reversed(older[-cap:]))))


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text(
                response(payment("-0.0000599316422609", "1789142400750"), payment("0.0001", "1789113600000"))
            ),
            [
                {"funding_time": datetime(2026, 9, 11, 8, tzinfo=UTC), "funding_rate": 0.0001},
                {
                    "symbol": "BTC-USDT-SWAP",
                    "base": "BTC",
                    "quote": "USDT",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 11, 16, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 11, 16, 0, 0, 750_000, tzinfo=UTC),
                    "funding_rate": -0.0000599316422609,  # realizedRate, not the forecast
                    "native_rate": -0.0000599316422609,
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
                response(
                    estimate("BTC-USDT-SWAP", "-0.0000593556502673", "0.00375", EIGHT),
                    estimate("CHIP-USDT-SWAP", "0.00005", "0.01", FOUR),
                    estimate("BTC-USD-SWAP", "0.0001", "0.00375", EIGHT),  # inverse: the same sign
                    estimate("XAU-USD_UM_XPERP-310502", "0.0003", "0.0075", EIGHT, instType="FUTURES"),
                )
            ),
            [
                {
                    "symbol": "BTC-USDT-SWAP",
                    "funding_rate": -0.0000593556502673,
                    "native_rate": -0.0000593556502673,
                    "interval_hours": 8.0,  # 16:00 to 24:00, and 24:00 to 08:00
                    "next_funding_time": datetime(2026, 9, 12, tzinfo=UTC),
                    "rate_step": 1e-16,
                    "mark_price": None,
                    "open_interest": None,
                },
                {
                    "symbol": "CHIP-USDT-SWAP",
                    "interval_hours": 4.0,
                    "next_funding_time": datetime(2026, 9, 11, 20, tzinfo=UTC),
                },
                {"symbol": "BTC-USD-SWAP", "quote": "USD", "funding_rate": 0.0001},
            ],
            at=AT,
        ),
        Example(
            text(
                response(
                    {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "markPx": "77760.9"},
                    {"instId": "OPENAI-USDT-SWAP", "instType": "SWAP", "markPx": "80"},
                )
            ),
            [
                {"symbol": "BTC-USDT-SWAP", "mark_price": 77760.9, "funding_rate": None},
                {"symbol": "OPENAI-USDT-SWAP", "mark_price": 800.0},  # quoted at a tenth: 80 / 0.1
            ],
            request=Request("mark-price", "/mark-price", params=(("instType", "SWAP"),)),
            at=AT,
        ),
    ],
    markets=[
        Example(
            text(
                response(
                    instrument("BTC-USD", lever="100", listTime="1535424203000", settleCcy="BTC"),
                    instrument("US500-USDT", "3", settleCcy="USDT"),
                    instrument("QNT-USDT", "3", "preopen", settleCcy="USDT"),
                    instrument("XAU-USDT", "4", "suspend", settleCcy="USDT"),
                    instrument("TBOND-USDT", "6", settleCcy="USDT"),  # a bond: no class here
                )
            ),
            [
                {
                    "symbol": "BTC-USD-SWAP",
                    "base": "BTC",
                    "quote": "USD",
                    "collateral": "BTC",
                    "asset_class": "crypto",
                    "status": "active",
                    "max_leverage": 100.0,
                    "listed_at": datetime(2018, 8, 28, 2, 43, 23, tzinfo=UTC),
                },
                {"base": "US500", "asset_class": "index", "status": "active"},
                {"base": "QNT", "asset_class": "equity", "status": "prelisted"},
                {"base": "XAU", "asset_class": "commodity", "status": "inactive"},
            ],
            request=Request("instruments", "/instruments", params=(("instType", "SWAP"),)),
            at=AT,
        ),
        Example(
            text(response(estimate("BTC-USD-SWAP", "0.0001", "0.00375", EIGHT))),
            [{"symbol": "BTC-USD-SWAP", "quote": None, "interval_hours": 8.0, "rate_cap": 0.00375}],
            request=Request("funding-rate", "/funding-rate", params=(("instId", "ANY"),)),
            at=AT,
        ),
    ],
    empty=[("history", text(response()))],
    refusals=[
        Refusal(200, text({"code": "50011", "data": [], "msg": "Too Many Requests"}), RateLimited),
        Refusal(429, text({"code": "50011", "msg": "Too Many Requests"}), RateLimited),
        Refusal(200, text({"code": "50001", "msg": "Service temporarily unavailable"}), Unreachable),
        Refusal(400, text({"code": "51001", "msg": "Instrument ID does not exist"}), BadCall),
        Refusal(403, b"<html>", Refused),
        Refusal(200, text(response()), None),
        Refusal(503, b"<html>", None),
    ],
    serve=serve,
    step_hours=8.0,
)
