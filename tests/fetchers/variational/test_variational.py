"""Variational: the recorded answer, yearly rates worked by hand, swaps, refusals."""

import json
from datetime import UTC, datetime

import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.variational import FETCHER, symbol_market
from fundingdb.schema import MARKETS, SNAPSHOTS

AT = datetime(2026, 9, 13, 22, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def stats(shared):
    return (shared / "venues/payloads/variational/metadata_stats.json").read_bytes()


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def current(body):
    rows = SNAPSHOTS.check(FETCHER.current.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def markets(body):
    rows = MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def changed(stats, **fields):
    body = json.loads(stats)
    body["listings"][0] |= fields  # BTC
    return body


def test_yearly_rates_are_turned_into_rates_of_one_interval(stats):
    rows = current(stats)
    # 3 payments a day at 8 h: a 1,095th of the year; 2,190 at 4 h; 8,760 at 1 h
    assert {s: (r["funding_rate"], r["interval_hours"], r["native_rate"]) for s, r in rows.items()} == {
        "BTC": (pytest.approx(0.091241 / 1095, rel=1e-14), 8.0, 0.091241),
        "HYPER": (0.00005, 4.0, 0.1095),
        "STORJ": (pytest.approx(-85.536623 / 8760, rel=1e-14), 1.0, -85.536623),
        "1000PEPE": (0.0001, 8.0, 0.1095),
        "CAT": (0.0, 8.0, 0.0),
    }
    assert rows["BTC"]["funding_rate"] == pytest.approx(0.0000833251142, rel=1e-8)
    assert rows["STORJ"]["funding_rate"] == pytest.approx(-0.00976445468, rel=1e-9)


def test_what_the_exchange_does_not_tell_is_null(stats):
    for row in current(stats).values():
        assert row["observed_at"] == AT
        assert (row["next_funding_time"], row["index_price"], row["open_interest"]) == (None, None, None)


def test_a_swap_pays_no_funding_rather_than_a_funding_of_zero(stats):
    assert "XAUS" not in current(stats)
    assert "XAUS" not in markets(stats)
    assert current(stats)["CAT"]["funding_rate"] == 0.0  # zero is a value


def test_prices_are_per_token_and_open_interest_counts_one_side_in_dollars(stats):
    rows = current(stats)
    pepe = rows["1000PEPE"]
    assert pepe["mark_price"] == pytest.approx(0.000003408630799146218)
    assert (pepe["base"], pepe["quote"], pepe["asset_class"]) == ("PEPE", "USDC", "crypto")
    # 79,488,330.90 long and 70,056,049.65 short, in dollars: that many coins do not exist
    assert rows["BTC"]["open_interest_usd"] == pytest.approx(149_544_380.5492)
    assert rows["BTC"]["volume_24h_usd"] == 245987215.191356


def test_the_step_of_the_rate_is_a_millionth_a_year(stats):
    rows = current(stats)
    assert rows["BTC"]["rate_step"] == pytest.approx(1e-6 / 1095)
    assert rows["STORJ"]["rate_step"] == pytest.approx(1e-6 / 8760)


def test_markets_with_interval_class_and_multiple(stats):
    assert {
        s: (r["base"], r["multiplier"], r["asset_class"], r["interval_hours"], r["status"], r["collateral"])
        for s, r in markets(stats).items()
    } == {
        "BTC": ("BTC", 1.0, "crypto", 8.0, "active", "USDC"),
        "HYPER": ("HYPER", 1.0, "crypto", 4.0, "active", "USDC"),
        "STORJ": ("STORJ", 1.0, "crypto", 1.0, "active", "USDC"),
        "1000PEPE": ("PEPE", 1000.0, "crypto", 8.0, "active", "USDC"),
        "CAT": ("CAT", 1.0, "equity", 8.0, "active", "USDC"),  # Caterpillar, 817 dollars
    }


def test_whole_names_are_not_cut():
    assert [symbol_market(s).base for s in ("OPN_OPINION", "RE_ETH")] == ["OPN_OPINION", "RE_ETH"]
    assert (symbol_market("1000000MOG").base, symbol_market("1000000MOG").multiplier) == ("MOG", 1e6)
    with pytest.raises(BadCall):
        symbol_market("")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"funding_rate": 0.091241}, "funding_rate"),
        ({"funding_rate": ""}, "funding_rate"),
        ({"funding_rate": "NaN"}, "funding_rate"),
        ({"funding_rate": "110"}, "unit"),  # beyond 0.1 per 8 h
        ({"funding_interval_s": 8}, "seconds"),  # hours
        ({"funding_interval_s": 28_800_000}, "seconds"),  # ms
        ({"funding_interval_s": -3600}, "seconds"),
        ({"funding_interval_s": "28800"}, "funding_interval_s"),
        ({"mark_price": "-1"}, "negative"),
        ({"ticker": ""}, "empty"),
        ({"open_interest": "1"}, "open_interest"),
        ({"open_interest": {"long_open_interest": "1"}}, "short_open_interest"),
    ],
)
def test_a_listing_that_is_not_as_described_spoils_the_answer(stats, fields, told):
    with pytest.raises(BadPayload, match=told):
        current(changed(stats, **fields))


def test_there_is_no_history_and_an_answer_of_swaps_alone_is_none(stats):
    assert FETCHER.history is None
    body = json.loads(stats)
    body["listings"] = body["listings"][-1:]
    with pytest.raises(BadPayload, match="no perpetual"):
        current(body)


def test_one_request_serves_all_and_refusals_are_told():
    assert FETCHER.current.requests([]) == FETCHER.markets.requests([])
    assert [r.path for r in FETCHER.current.requests([])] == ["/metadata/stats"]
    assert isinstance(FETCHER.refusal(429, b""), RateLimited)
    assert FETCHER.refusal(200, b"{}") is None
