"""Pacifica: its responses written by hand, the rows they must give, and its history endpoint played."""

from datetime import UTC, datetime

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.pacifica import FETCHER, LIMIT, symbol_market
from fundingdb.fetchers.testing import Case, Example, Refusal
from fundingdb.window import to_ms
from tests.fetchers.played import text

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
BTC = symbol_market("BTC")


def payment(rate="0.00000383", at=1789336800497, oracle="77315.51898", ahead="0.00000475"):
    """`ahead`: the rate fixed for the hour after the payment."""
    return {"oracle_price": oracle, "funding_rate": rate, "next_funding_rate": ahead, "created_at": at}


def response(*rows):
    return {"success": True, "data": list(rows)}


def page(*rows, cursor=None):
    return response(*rows) | {"next_cursor": cursor, "has_more": cursor is not None}


def price(symbol, rates, prices, units, volume):
    """`rates`: fixed for the next hour, estimated for the hour after; `prices`: mark, oracle."""
    return {
        "symbol": symbol,
        "funding": rates[0],
        "next_funding": rates[1],
        "mark": prices[0],
        "oracle": prices[1],
        "open_interest": units,
        "volume_24h": volume,
        "timestamp": 1789337551583,
    }


def listing(symbol, leverage, created, **more):
    return {
        "symbol": symbol,
        "instrument_type": "perpetual",
        "base_asset": symbol,
        "max_leverage": leverage,
        "created_at": created,
    } | more


EURO = price("EURUSD", ("0.0000125", "0.0000125"), ("1.159652", "1.159652"), "198859.4", "6716.15392")
NVIDIA = price("NVDA", ("0.0000125", "-0.00017549"), ("214.891941", "215.387843"), "1274.702", "13554.0885")
BONK = price("kBONK", ("-0.00000345", "-0.00000332"), ("0.002715", "0.002719"), "34788040", "122425.420904")
BITCOIN = price(
    "BTC", ("0.00000475", "-0.00000336"), ("76922.3", "76956.945987"), "412.34157", "158617298.66148"
)
SPOT = price("SOL-USDC", ("0", "0"), ("100.187352", "100.187352"), "0", "125066.59352")
RESPONSES = {
    "funding_rate_history_BTC": page(
        payment(), payment("0.00000632", 1789333200405, "77342.161371", "0.00000383"), cursor="1111Yd1mZ"
    ),
    "info_prices": response(EURO, NVIDIA, BONK, BITCOIN, SPOT),
    "info": response(
        listing("BTC", 50, 1748881333944),
        listing("kBONK", 10, 1754008594378),
        listing("NVDA", 10, 1766907878723),
        listing("EURUSD", 50, 1770794446066),
        listing("SOL-USDC", 1, 1776615970246, instrument_type="spot", base_asset="SOL"),
    ),
}


def written(name):
    return text(RESPONSES[name])


def serve(request, settlements, cap=LIMIT):
    """Newest first, at most `cap` rows, no time bounds, stamps half a second late; the cursor is opaque."""
    params = dict(request.params)
    assert (params["symbol"], params["limit"]) == ("BTC", "4000")
    first = int(params.get("cursor", "c0")[1:])
    some = settlements[::-1][first : first + cap]
    cursor = f"c{first + cap}" if first + cap < len(settlements) else None
    return text(page(*(payment(f"{rate:.8f}", to_ms(at) + 497) for at, rate in some), cursor=cursor))


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text(
                page(
                    payment("-0.00000383"),
                    payment("0.00000632", 1789333200405, "77342.161371", "-0.00000383"),
                )
            ),
            [
                {"funding_time": datetime(2026, 9, 13, 21, tzinfo=UTC), "funding_rate": 0.00000632},
                {
                    "symbol": "BTC",
                    "base": "BTC",
                    "quote": "USDC",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 13, 22, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 13, 22, 0, 0, 497_000, tzinfo=UTC),
                    "funding_rate": -0.00000383,
                    "native_rate": -0.00000383,
                    "interval_hours": 1.0,
                    "interval_from": "declared",
                    "rate_type": "regular",
                    "mark_price": None,
                    "index_price": 77315.51898,  # the oracle
                },
            ],
            at=AT,
        )
    ],
    current=[
        Example(
            text(response(BITCOIN, BONK, SPOT)),
            [
                {
                    "symbol": "BTC",
                    "funding_rate": 0.00000475,  # fixed for 23:00, not the estimate for 24:00
                    "interval_hours": 1.0,
                    "next_funding_time": datetime(2026, 9, 13, 23, tzinfo=UTC),
                    "mark_price": 76922.3,
                    "index_price": 76956.945987,
                    "open_interest": 412.34157,
                    "open_interest_usd": 412.34157 * 76922.3,
                    "volume_24h_usd": 158617298.66148,
                    "rate_step": 1e-8,
                },
                {
                    "symbol": "kBONK",
                    "base": "BONK",
                    "funding_rate": -0.00000345,
                    "mark_price": 0.000002715,  # 0.002715 / 1000 tokens
                    "index_price": 0.000002719,
                    "open_interest": 34_788_040_000.0,  # 34,788,040 x 1000 tokens
                    "open_interest_usd": 94_449.5286,  # 34,788,040 x 0.002715
                },
            ],
            at=AT,
        )
    ],
    markets=[
        Example(
            written("info"),
            [
                {
                    "symbol": "BTC",
                    "base": "BTC",
                    "quote": "USDC",
                    "collateral": "USDC",
                    "status": "active",
                    "interval_hours": 1.0,
                    "max_leverage": 50.0,
                    "listed_at": datetime(2025, 6, 2, 16, 22, 13, 944_000, tzinfo=UTC),
                },
                {"symbol": "kBONK", "base": "BONK", "multiplier": 1000.0},
                {"symbol": "NVDA", "asset_class": "equity"},
                {"symbol": "EURUSD", "base": "EURUSD", "asset_class": "fx"},
            ],
            at=AT,
        )
    ],
    empty=[("history", text(page()))],
    refusals=[
        Refusal(429, b"", RateLimited),
        Refusal(403, b"<html>", Refused),
        Refusal(404, b"{}", BadCall),
        Refusal(200, text(response()), None),
        Refusal(503, b"<html>", None),
    ],
    serve=serve,
)
