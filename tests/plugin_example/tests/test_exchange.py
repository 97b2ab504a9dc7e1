"""Responses of Example in its own shape, and the rows they must give, worked out by hand."""

import json
from datetime import UTC, datetime

import pytest
from fundingdb.errors import BadCall, RateLimited
from fundingdb.fetchers.testing import Case, Example, Refusal, clauses

from fundingdb_example.exchange import FETCHER, market


def serve(request, settlements):
    """What /rates answers when the exchange has paid these (time, rate), oldest first."""
    to = int(dict(request.params)["to"])
    rows = [(at, rate) for at, rate in reversed(settlements) if at.timestamp() * 1000 <= to][:100]
    return json.dumps(
        [{"paid_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "rate": f"{rate * 100:.4f}"} for at, rate in rows]
    ).encode()


HISTORY = b"""[{"paid_at": "2026-01-02T03:00:00Z", "rate": "0.0012"},
               {"paid_at": "2026-01-02T02:00:00Z", "rate": "-0.01"}]"""
TICKERS = b"""[{"symbol": "1000PEPE-PERP", "rate": "0.01", "next": 1767326400000, "mark": 0.0065}]"""

CASE = Case(
    FETCHER,
    market("BTC-PERP"),
    history=[
        Example(
            HISTORY,
            [  # oldest first; 0.01 percent is a fraction of 0.0001
                {"funding_time": datetime(2026, 1, 2, 2, tzinfo=UTC), "funding_rate": -0.0001},
                {"funding_time": datetime(2026, 1, 2, 3, tzinfo=UTC), "funding_rate": 0.000012},
            ],
        )
    ],
    current=[Example(TICKERS, [{"base": "PEPE", "funding_rate": 0.0001, "interval_hours": 1.0}])],
    markets=[Example(b'[{"symbol": "BTC-PERP"}]', [{"base": "BTC", "quote": "USD", "multiplier": 1.0}])],
    empty=[("history", b"[]")],
    refusals=[
        Refusal(429, b"slow down", RateLimited),
        Refusal(404, b'{"error": "no market"}', BadCall),
    ],
    serve=serve,
)


@pytest.mark.parametrize("clause", clauses(CASE), ids=str)
def test_the_fetcher_keeps_the_contract(clause):
    clause.check()
