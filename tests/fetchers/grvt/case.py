"""GRVT: its responses written by hand, the rows they must give, and its history endpoint played."""

from datetime import UTC, datetime

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.contract import Market
from fundingdb.fetchers.grvt import FETCHER
from fundingdb.fetchers.testing import Case, Example, Refusal
from fundingdb.window import to_ms
from tests.fetchers.played import text

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
BTC = Market("grvt", "BTC_USDT_Perp", "BTC", "USDT", "crypto", interval_hours=8.0, rate_cap=0.003)
BONK = Market(
    "grvt", "KBONK_USDT_Perp", "BONK", "USDT", "crypto", multiplier=1000.0, interval_hours=4.0, rate_cap=0.02
)
MIDNIGHT = "1789344000000000000"  # 2026-09-14T00:00Z


def ns(at):
    """Unix nanoseconds as text, by integers."""
    return str(to_ms(at) * 1_000_000)


def payment(rate="0.0066", time="1789257600000000000", hours=8, instrument="BTC_USDT_Perp", mark="77255.1"):
    return {
        "instrument": instrument,
        "funding_rate": rate,
        "funding_time": time,
        "mark_price": mark,
        "funding_rate_8_h_avg": rate,
        "funding_interval_hours": hours,
    }


def page(*rows, cursor=None):
    return {"result": list(rows), **({"next": cursor} if cursor else {})}


def ticker(instrument, rate, prices, units):
    """`prices`: mark, index."""
    return {
        "result": {
            "instrument": instrument,
            "funding_rate_8h_curr": rate,
            "funding_rate": rate,
            "next_funding_time": MIDNIGHT,
            "mark_price": prices[0],
            "index_price": prices[1],
            "open_interest": units,
        }
    }


def listing(base, hours, cap):
    return {
        "instrument": f"{base}_USDT_Perp",
        "base": base,
        "quote": "USDT",
        "kind": "PERPETUAL",
        "create_time": "1787802370345408848",
        "funding_interval_hours": hours,
        "adjusted_funding_rate_cap": cap,
        "adjusted_funding_rate_floor": f"-{cap}",
        "asset_class": "UNSPECIFIED",
    }


RESPONSES = {
    "funding_BTC_USDT_Perp": page(
        payment("0.0077", "1789286400000000000", mark="77094.330596662"),
        payment(mark="77255.165038271"),
        payment("0.0086", "1789228800000000000", mark="77346.282125733"),
        cursor="eyJmdW5kaW5nVGltZSI6MTc4OTIwMDAwMDAwMDAwMDAwMH0",
    ),
    "ticker_BTC_USDT_Perp": ticker(
        "BTC_USDT_Perp", "0.0031", ("76747.199999999", "76786.925652169"), "2523.388873277"
    ),
    "ticker_AAPL_USDT_Perp": ticker("AAPL_USDT_Perp", "0.0", ("331.690000016", "330.982525935"), "60.7"),
    "all_instruments": page(
        listing("BTC", 8, "0.3"),
        listing("ENA", 4, "2.0"),
        listing("AAPL", 8, "2.0"),
        listing("KBONK", 4, "2.0"),
    ),
}


def written(name):
    return text(RESPONSES[name])


def serve(request, settlements, cap=1000, samples=0):
    """Newest first within the bounds, at most `cap` rows, the cursor is where the next page begins.

    `samples`: so many one-minute samples after each payment.
    """
    query = request.json
    assert (query["instrument"], query["limit"]) == ("BTC_USDT_Perp", 1000)
    rows = []
    for at, rate in settlements:
        rows.append((int(ns(at)), f"{rate * 100:.8f}", 8))  # percent
        rows += [(int(ns(at)) + (n + 1) * 60_000_000_000, "0.5", 0) for n in range(samples)]
    newest = int(query.get("cursor", query["end_time"]))
    fit = sorted((row for row in rows if int(query["start_time"]) < row[0] <= newest), reverse=True)
    some, rest = fit[:cap], fit[cap:]
    paid = (payment(rate, str(t), hours) for t, rate, hours in some)
    return text(page(*paid, cursor=str(rest[0][0]) if rest else None))


CASE = Case(
    fetcher=FETCHER,
    market=BTC,
    history=[
        Example(
            text(
                page(
                    payment("-0.0077", "1789286400999999999"),
                    payment(rate="0.5", time="1789257660000000000", hours=0),  # a sample: no payment
                    payment("0.0066", "1789272000000000000", hours=4),
                )
            ),
            [
                {
                    "funding_time": datetime(2026, 9, 13, 4, tzinfo=UTC),
                    "funding_rate": 0.000066,  # 0.0066 % = 0.0066 / 100
                    "interval_hours": 4.0,
                },
                {
                    "symbol": "BTC_USDT_Perp",
                    "base": "BTC",
                    "quote": "USDT",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 13, 8, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 13, 8, 0, 0, 999_000, tzinfo=UTC),  # ns, rounded down
                    "funding_rate": -0.000077,
                    "native_rate": -0.0077,  # percent, as written
                    "interval_hours": 8.0,
                    "interval_from": "row",
                    "rate_type": "regular",
                    "mark_price": 77255.1,
                },
            ],
            at=AT,
        )
    ],
    current=[
        Example(
            text(ticker("KBONK_USDT_Perp", "-0.0031", ("0.0027", "0.0028"), "2523.388873277")),
            [
                {
                    "symbol": "KBONK_USDT_Perp",
                    "base": "BONK",
                    "funding_rate": -0.000031,  # -0.0031 %
                    "native_rate": -0.0031,
                    "interval_hours": 4.0,  # of the listing, whatever funding_rate_8h_curr is called
                    "next_funding_time": datetime(2026, 9, 14, tzinfo=UTC),
                    "mark_price": 0.0000027,  # 0.0027 / 1000 tokens
                    "index_price": 0.0000028,
                    "open_interest": 2_523_388.873277,
                    "open_interest_usd": 2523.388873277 * 0.0027,
                    "rate_step": 1e-6,
                }
            ],
            at=AT,
            markets={market.symbol: market for market in (BTC, BONK)},
        )
    ],
    markets=[
        Example(
            written("all_instruments"),
            [
                {
                    "symbol": "BTC_USDT_Perp",
                    "base": "BTC",
                    "quote": "USDT",
                    "collateral": "USDT",
                    "status": "active",
                    "interval_hours": 8.0,
                    "rate_cap": 0.003,  # 0.3 %
                    "listed_at": None,  # create_time is a migration's
                },
                {"symbol": "ENA_USDT_Perp", "interval_hours": 4.0, "rate_cap": 0.02},
                {"symbol": "AAPL_USDT_Perp", "asset_class": "equity"},
                {"symbol": "KBONK_USDT_Perp", "base": "BONK", "multiplier": 1000.0},
            ],
            at=AT,
        )
    ],
    empty=[("history", text(page())), ("history", text(page(payment(hours=0))))],
    refusals=[
        Refusal(429, b"", RateLimited),
        Refusal(403, b"<html>", Refused),
        Refusal(404, b"{}", BadCall),
        Refusal(200, text(page()), None),
        Refusal(503, b"<html>", None),
    ],
    serve=serve,
    step_hours=8.0,
)
