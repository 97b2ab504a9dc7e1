"""Variational: what its case does not prove: steps, names, bent listings, swaps alone."""

from datetime import UTC, datetime

import pytest

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.variational import FETCHER, symbol_market
from fundingdb.schema import MARKETS, SNAPSHOTS
from tests.fetchers.played import whole
from tests.fetchers.variational.case import STATS, listing, text

AT = datetime(2026, 9, 13, 22, 1, tzinfo=UTC)


def current(body):
    rows = SNAPSHOTS.check(whole(FETCHER.current.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def markets(body):
    rows = MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def test_the_step_of_the_rate_is_a_millionth_a_year():
    rows = current(STATS)
    assert rows["BTC"]["rate_step"] == pytest.approx(1e-6 / 1095)
    assert rows["STORJ"]["rate_step"] == pytest.approx(1e-6 / 8760)


def test_whole_names_are_not_cut():
    assert [symbol_market(s).base for s in ("OPN_OPINION", "RE_ETH")] == ["OPN_OPINION", "RE_ETH"]
    assert (symbol_market("1000000MOG").base, symbol_market("1000000MOG").multiplier) == ("MOG", 1e6)
    with pytest.raises(BadCall):
        symbol_market("")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"funding_rate": 0.091241}, "funding_rate"),
        ({"funding_rate": ""}, "funding_rate"),
        ({"funding_rate": "NaN"}, "funding_rate"),
        ({"funding_rate": "110"}, "unit"),  # beyond 0.1 per 8 h
        ({"funding_interval_s": 8}, "seconds"),  # hours
        ({"funding_interval_s": 28_800_000}, "seconds"),  # ms
        ({"funding_interval_s": -3600}, "negative span"),
        ({"mark_price": "-1"}, "negative"),
        ({"ticker": ""}, "empty"),
        ({"open_interest": "1"}, "open_interest"),
        ({"open_interest": {"long_open_interest": "1"}}, "short_open_interest"),
    ],
)
def test_a_listing_that_is_not_as_described_spoils_the_answer(fields, problem):
    with pytest.raises(BadPayload, match=problem):
        current(
            {"listings": [listing("BTC", "0.091241", 28800, "77229.36") | fields, *STATS["listings"][1:]]}
        )


def test_there_is_no_history_and_an_answer_of_swaps_alone_is_none():
    assert FETCHER.history is None
    body = {"listings": [listing("XAUS", "0", 0, "4330.57")]}
    with pytest.raises(BadPayload, match="no perpetual"):
        current(body)


def test_one_request_serves_markets_and_rates():
    assert FETCHER.current.requests([]) == FETCHER.markets.requests([])
    assert [r.path for r in FETCHER.current.requests([])] == ["/metadata/stats"]


def test_the_recorded_response_is_read(shared):
    body = (shared / "venues/payloads/variational/metadata_stats.json").read_bytes()
    assert {s: (r["native_rate"], r["interval_hours"]) for s, r in current(body).items()} == {
        "BTC": (0.091241, 8.0),
        "HYPER": (0.1095, 4.0),
        "STORJ": (-85.536623, 1.0),
        "1000PEPE": (0.1095, 8.0),
        "CAT": (0.0, 8.0),
    }
    assert set(markets(body)) == {"BTC", "HYPER", "STORJ", "1000PEPE", "CAT"}


def test_a_rate_of_any_exponent_is_a_number():
    tiny = {"listings": [listing("BTC", "1e-99999999999999999999", 28800, "77229.36")]}
    assert current(tiny)["BTC"]["funding_rate"] == 0.0
