"""Paradex: recorded answers, the period taken out by hand, options, what its samples prove and what not."""

import base64
import json
from datetime import UTC, datetime

import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited
from fundingdb.fetchers.base import Asked
from fundingdb.fetchers.paradex import FETCHER, symbol_market
from fundingdb.listing import market_of
from fundingdb.schema import MARKETS, SNAPSHOTS

AT = datetime(2026, 9, 11, 17, 18, 41, tzinfo=UTC)


@pytest.fixture(scope="module")
def payloads(shared):
    return lambda name: (shared / "venues/payloads/paradex" / name).read_bytes()


@pytest.fixture(scope="module")
def known(payloads):
    return {s: market_of(row) for s, row in markets(payloads("markets.json")).items()}


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def markets(body):
    rows = MARKETS.check(FETCHER.markets.parse(text(body), Asked(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, known):
    rows = SNAPSHOTS.check(FETCHER.current.parse(text(body), Asked(AT, markets=known))).to_dicts()
    return {r["symbol"]: r for r in rows}


def listed(payloads, **fields):
    body = json.loads(payloads("markets.json"))
    body["results"][0] |= fields
    return body


def shown(payloads, **fields):
    body = json.loads(payloads("markets_summary.json"))
    body["results"][0] |= fields
    return body


def test_the_rate_is_stated_per_hour_and_the_figure_over_8_hours_is_kept(payloads, known):
    (row,) = current(payloads("markets_summary.json"), known).values()
    # 0.00007688102642 / 8
    assert row["funding_rate"] == pytest.approx(0.0000096101283025, rel=1e-14)
    assert (row["interval_hours"], row["native_rate"]) == (1.0, 0.00007688102642)
    assert (row["symbol"], row["base"], row["quote"]) == ("BTC-USD-PERP", "BTC", "USDC")
    assert (row["next_funding_time"], row["observed_at"]) == (None, AT)  # it accrues all the time
    assert (row["mark_price"], row["index_price"]) == (77804.85141726, 77788.24195927)
    assert row["open_interest"] == 50.4599
    assert row["open_interest_usd"] == pytest.approx(3_926_025.0, rel=1e-6)  # 50.4599 x 77804.85
    assert row["volume_24h_usd"] == 4273947.632803999


def test_a_period_of_24_hours_is_a_24th(payloads):
    listing = markets(listed(payloads, funding_period_hours=24))
    known = {s: market_of(row) for s, row in listing.items()}
    (row,) = current(payloads("markets_summary.json"), known).values()
    assert row["funding_rate"] == pytest.approx(0.00007688102642 / 24, rel=1e-14)


def test_where_no_period_is_declared_the_rate_is_unknown_and_the_figure_kept(payloads):
    listing = markets(listed(payloads, funding_period_hours=0))
    known = {s: market_of(row) for s, row in listing.items()}
    (row,) = current(payloads("markets_summary.json"), known).values()
    assert (row["funding_rate"], row["interval_hours"]) == (None, None)
    assert row["native_rate"] == 0.00007688102642


def test_an_option_pays_no_funding_though_it_shows_that_of_its_underlying(payloads, known):
    options = [r for r in json.loads(payloads("markets_summary.json"))["results"] if "delta" in r]
    assert any(r.get("future_funding_rate") == "0.00007688" for r in options)
    assert set(current(payloads("markets_summary.json"), known)) == {"BTC-USD-PERP"}
    assert set(markets(payloads("markets.json"))) == {"BTC-USD-PERP"}


def test_empty_is_no_rate_and_zero_is_one(payloads, known):
    (row,) = current(shown(payloads, funding_rate=""), known).values()
    assert (row["funding_rate"], row["native_rate"], row["interval_hours"]) == (None, None, None)
    (row,) = current(shown(payloads, funding_rate="0"), known).values()
    assert (row["funding_rate"], row["interval_hours"]) == (0.0, 1.0)


def test_the_listing_has_the_period_and_the_cap_of_it(payloads):
    row = markets(payloads("markets.json"))["BTC-USD-PERP"]
    assert (row["interval_hours"], row["rate_cap"]) == (8.0, 0.02)
    assert (row["quote"], row["collateral"], row["asset_class"]) == ("USDC", "USDC", "crypto")


@pytest.mark.parametrize(
    ("base", "tags", "what"),
    [
        ("kPEPE", ["MEME"], ("PEPE", 1000.0, "crypto")),
        ("PAXG", ["DEFI"], ("PAXG", 1.0, "crypto")),
        ("COIN", ["MEME"], ("COIN", 1.0, "crypto")),  # no RWA: no share
        ("NVDA", ["RWA"], ("NVDA", 1.0, "equity")),
        ("XAU", ["RWA"], ("XAU", 1.0, "commodity")),
        ("QNT", ["RWA"], ("RWA:QNT", 1.0, "crypto")),  # not the coin QNT: joined with nothing
        ("TSLA", None, ("TSLA", 1.0, "equity")),
    ],
)
def test_the_tag_tells_coins_from_the_rest(payloads, base, tags, what):
    body = listed(payloads, symbol=f"{base}-USD-PERP", base_currency=base, tags=tags)
    row = markets(body)[f"{base}-USD-PERP"]
    assert (row["base"], row["multiplier"], row["asset_class"]) == what


def test_without_the_markets_the_summary_is_refused(payloads):
    with pytest.raises(BadCall, match="how many hours"):
        current(payloads("markets_summary.json"), {})


def test_a_sample_is_no_payment_and_proves_no_settled_hour(shared):
    """One index reading: its change over an hour, which is what is paid, stands in no recorded answer."""
    assert FETCHER.history is None
    page = json.loads((shared / "data/raw/paradex/funding_data_BTC-USD-PERP_2026-09-04.json").read_bytes())
    (sample,) = page["results"]
    price = float(sample["funding_premium"]) / float(sample["funding_rate"])
    assert price == pytest.approx(80_844, abs=1)  # the premium is the rate in money, over the same 8 hours
    assert sample["funding_rate"].startswith(sample["funding_rate_8h"])  # the same figure, cut
    assert not {"mark_price", "price", "oracle_price"} & set(sample)
    asked = json.loads(base64.b64decode(page["next"].split(".")[0] + "=="))["filter"]
    before_the_hour = asked["EndTime"] // 1_000_000 - sample["created_at"]
    assert (asked["EndTime"] % 3_600_000_000_000, before_the_hour) == (0, 2940)  # ms: not on the hour either


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"funding_rate": 0.00007688}, "funding_rate"),
        ({"funding_rate": "inf"}, "funding_rate"),
        ({"funding_rate": "0.041"}, "unit"),  # beyond twice the cap of 0.02
        ({"mark_price": "-1"}, "negative"),
        ({"underlying_price": None}, "underlying_price"),
        ({"open_interest": ""}, "open_interest"),
        ({"volume_24h": 1}, "volume_24h"),
    ],
)
def test_a_summary_that_is_not_as_described_spoils_the_answer(payloads, known, fields, told):
    with pytest.raises(BadPayload, match=told):
        current(shown(payloads, **fields), known)


@pytest.mark.parametrize(
    "fields",
    [
        {"base_currency": "ETH"},
        {"funding_period_hours": 8.5},
        {"funding_period_hours": 28800},
        {"funding_period_hours": "8"},
        {"max_funding_rate": "-0.02"},
        {"settlement_currency": ""},
        {"tags": "RWA"},
        {"asset_kind": None},
    ],
)
def test_a_listing_that_is_not_as_described_is_refused(payloads, fields):
    with pytest.raises(BadPayload):
        markets(listed(payloads, **fields))


def test_options_alone_are_no_list_of_markets_and_names_are_checked(payloads):
    body = json.loads(payloads("markets.json"))
    with pytest.raises(BadPayload, match="no perpetual"):
        markets({"results": body["results"][1:]})
    for name in ("BTC", "BTC-USD", "-USD-PERP", ""):
        with pytest.raises(BadCall):
            symbol_market(name)
    assert isinstance(FETCHER.refusal(429, b""), RateLimited)
    assert FETCHER.refusal(200, b"{}") is None
