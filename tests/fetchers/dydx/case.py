"""dYdX: its responses written by hand, the rows they must give, and its history endpoint played."""

from datetime import UTC, datetime, timedelta

from fundingdb.errors import BadCall, RateLimited, Refused
from fundingdb.fetchers.dydx import CAP, FETCHER, symbol_market
from fundingdb.fetchers.testing import Case, Example, Refusal
from tests.fetchers.played import text

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
LINK = symbol_market("LINK-USD")


def payment(rate="0.000114", at="2026-09-11T16:00:00.622Z", ticker="LINK-USD", price="11.709829134"):
    return {"ticker": ticker, "rate": rate, "price": price, "effectiveAtHeight": "1", "effectiveAt": at}


def page(*rows):
    return {"historicalFunding": list(rows)}


def listing(status, rate, price, tokens, volume):
    return {
        "status": status,
        "nextFundingRate": rate,
        "oraclePrice": price,
        "openInterest": tokens,
        "volume24H": volume,
        "marketType": "CROSS",
    }


def listings(**rows):
    """`BTC=...` is the market BTC-USD."""
    return {"markets": {f"{base}-USD": {"ticker": f"{base}-USD", **row} for base, row in rows.items()}}


RESPONSES = {
    "historicalFunding_LINK-USD": page(
        payment(),
        payment("0", "2026-09-11T15:00:00.494Z", price="11.928672676"),
        payment("0", "2026-09-11T14:00:00.541Z", price="12.062931827"),
    ),
    "perpetualMarkets": listings(
        BTC=listing("ACTIVE", "0", "77862.55687", "194.2390", "3889329.2462"),
        ETH=listing("ACTIVE", "-0.00000022767857142857", "2577.379583", "3976.853", "7656688.5006"),
        MATIC=listing("FINAL_SETTLEMENT", "0", "0.3932407381", "0", "0"),
    ),
    "perpetualMarkets_tradfi": listings(
        WTI=listing("ACTIVE", "0", "97.3420399999", "69.4", "5852.851135"),
        EUR=listing("FINAL_SETTLEMENT", "0.0000125", "1.161447835", "0", "0"),
    ),
}


def written(name):
    return text(RESPONSES[name])


def serve(request, settlements, cap=CAP):
    """Newest first from effectiveBeforeOrAt on, at most `cap` rows, no lower bound; stamps 0.622 s late."""
    params = dict(request.params)
    assert (request.path, params["limit"]) == ("/historicalFunding/LINK-USD", "100")
    bound = datetime.fromisoformat(params["effectiveBeforeOrAt"])
    late = timedelta(milliseconds=622)
    older = [(at, rate) for at, rate in settlements if at + late <= bound]
    rows = [payment(f"{rate:.12f}", f"{at:%Y-%m-%dT%H:%M:%S}.622Z") for at, rate in reversed(older[-cap:])]
    return text(page(*rows))


CASE = Case(
    fetcher=FETCHER,
    market=LINK,
    history=[
        Example(
            text(
                page(
                    payment("-0.000114"),
                    payment("0", "2026-09-11T15:00:00.494Z", price="11.928672676"),
                )
            ),
            [
                {"funding_time": datetime(2026, 9, 11, 15, tzinfo=UTC), "funding_rate": 0.0},
                {
                    "symbol": "LINK-USD",
                    "base": "LINK",
                    "quote": "USD",
                    "asset_class": "crypto",
                    "funding_time": datetime(2026, 9, 11, 16, tzinfo=UTC),
                    "reported_time": datetime(2026, 9, 11, 16, 0, 0, 622_000, tzinfo=UTC),
                    "funding_rate": -0.000114,  # of one hour: -0.99864 a year
                    "native_rate": -0.000114,
                    "interval_hours": 1.0,
                    "interval_from": "declared",
                    "rate_type": "regular",
                    "mark_price": None,
                    "index_price": 11.709829134,  # the oracle
                },
            ],
            at=AT,
        )
    ],
    current=[
        Example(
            written("perpetualMarkets"),
            [
                {"symbol": "BTC-USD", "funding_rate": 0.0, "open_interest": 194.239},
                {
                    "symbol": "ETH-USD",
                    "funding_rate": -0.00000022767857142857,
                    "native_rate": -0.00000022767857142857,
                    "interval_hours": 1.0,
                    "next_funding_time": datetime(2026, 9, 13, 23, tzinfo=UTC),
                    "mark_price": None,
                    "index_price": 2577.379583,
                    "open_interest": 3976.853,
                    "open_interest_usd": 3976.853 * 2577.379583,  # tokens x oracle: 10,249,859.7
                    "volume_24h_usd": 7656688.5006,
                },
            ],
            at=AT,
        )
    ],
    markets=[
        Example(
            text(
                listings(
                    BTC=listing("ACTIVE", "0", "77862.55687", "194.2390", "3889329.2462"),
                    WTI=listing("PAUSED", "0", "97.3420399999", "69.4", "5852.851135"),
                    EUR=listing("FINAL_SETTLEMENT", "0.0000125", "1.161447835", "0", "0"),
                    NEW=listing("INITIALIZING", "0", None, "0", "0"),
                )
            ),
            [
                {
                    "symbol": "BTC-USD",
                    "base": "BTC",
                    "quote": "USD",
                    "collateral": "USDC",
                    "multiplier": 1.0,
                    "interval_hours": 1.0,
                    "status": "active",
                },
                {"symbol": "WTI-USD", "base": "CL", "asset_class": "commodity", "status": "inactive"},
                {"symbol": "EUR-USD", "base": "EURUSD", "asset_class": "fx", "status": "delisted"},
                {"symbol": "NEW-USD", "status": "prelisted"},
            ],
            at=AT,
        )
    ],
    empty=[("history", text(page()))],
    refusals=[
        Refusal(429, b"", RateLimited),
        Refusal(403, b"", Refused),
        Refusal(404, b"{}", BadCall),
        Refusal(200, b"{}", None),
        Refusal(502, b"<html>", None),
    ],
    serve=serve,
)
