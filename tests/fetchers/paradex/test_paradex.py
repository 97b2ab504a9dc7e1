"""Paradex: recorded answers, the period taken out by hand, options, what its samples prove and what not."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload, RateLimited
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.paradex import FETCHER, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.transport.paging import Page, walk
from fundingdb.window import Window

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
    rows = MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, known):
    rows = SNAPSHOTS.check(FETCHER.current.parse(text(body), ResponseContext(AT, markets=known))).to_dicts()
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


BTC = symbol_market("BTC-USD-PERP")
HOUR = timedelta(hours=1)
END = datetime(2026, 9, 4, 3, tzinfo=UTC)
END_MS = int(END.timestamp() * 1000)


def samples(
    *, premium=lambda _h: 6.294, price=80_000.0, every=4.0, period=8, start=-60.0, stop=3600.0, grows=1.0
):
    """Samples of the hour before END each `every` seconds, newest first; the index grows by premium / period an hour."""
    at, index, out = start, 23_783.0, []
    while at <= stop:
        now = premium(at / 3600)
        out.append(
            {
                "market": "BTC-USD-PERP",
                "funding_index": f"{index:.14f}",
                "funding_premium": f"{now:.14f}",
                "funding_rate": f"{now / price:.14f}",
                "funding_period_hours": period,
                "created_at": END_MS - 3_600_000 + int(at * 1000),
            }
        )
        index += grows * (now + premium((at + every) / 3600)) / 2 / period * every / 3600
        at += every
    return {"next": None, "prev": None, "results": out[::-1]}


def history(body):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, BTC))).to_dicts()


def test_an_hour_pays_the_change_of_the_index_over_the_price():
    (row,) = history(samples())
    assert row["native_rate"] == pytest.approx(0.78675, rel=1e-8)  # 6.294 / 8 USDC per coin
    assert row["funding_rate"] == pytest.approx(0.78675 / 80_000, rel=1e-6)  # 0.0000098344 an hour, longs pay
    assert (row["funding_time"], row["interval_hours"]) == (END, 1.0)
    (row,) = history(samples(premium=lambda h: -5.0 + 20 * h))  # through zero: 5 / 8 on balance
    assert row["funding_rate"] == pytest.approx(5.0 / 8 / 80_000, rel=1e-3)


def test_the_hours_follow_each_other_without_a_seam():
    both = samples(every=7.0, start=-3660.0)["results"]  # two hours, newest first
    turn = END_MS - 3_600_000
    (one,) = history({"results": [s for s in both if s["created_at"] <= turn]})
    (two,) = history({"results": [s for s in both if s["created_at"] > turn - 120_000]})
    start = next(s for s in both if s["created_at"] <= turn - 3_600_000)
    change = float(both[0]["funding_index"]) - float(start["funding_index"])
    assert (one["funding_time"], two["funding_time"]) == (END - HOUR, END)
    assert one["native_rate"] + two["native_rate"] == pytest.approx(change, rel=1e-12)
    assert two["reported_time"] <= END


def test_a_window_is_walked_hour_by_hour_over_an_outage_and_from_the_listing_on():
    """An answerer with the exchange's bounds, order and cap; listed 9.5 hours before END, silent around 4 hours before it."""
    there = samples(every=5.0, start=-8.5 * 3600)["results"]
    silent = range(END_MS - 4 * 3_600_000 - 200_000, END_MS - 4 * 3_600_000 + 60_000)
    there = [s for s in there if s["created_at"] not in silent]
    walker = walk(FETCHER.history.paging, Window(END - 12 * HOUR, END + HOUR), 8 * HOUR)
    found, step = {}, next(walker)
    while step is not None:
        asked = dict(FETCHER.history.request(BTC, *step).params)
        low, high = int(asked["start_at"]), int(asked["end_at"])
        held = [s for s in there if low <= s["created_at"] <= high]
        rows = history({"results": held[: int(asked["page_size"])], "next": None})
        found |= {r["funding_time"]: r["native_rate"] for r in rows}
        try:
            step = walker.send(Page([r["funding_time"] for r in rows]))
        except StopIteration:
            step = None
    # the first hour after the listing, and the two that the silence cuts, can't be told
    assert sorted(found) == [END - n * HOUR for n in (8, 7, 6, 5, 2, 1, 0)]
    assert sum(found.values()) == pytest.approx(7 * 6.294 / 8, rel=2e-3)


def test_one_hour_is_asked_at_once_with_what_lies_shortly_before_it():
    request = FETCHER.history.request(BTC, Window(END, END + HOUR), None)
    asked = dict(request.params)
    assert (asked["market"], asked["page_size"]) == ("BTC-USD-PERP", "5000")
    assert (int(asked["end_at"]), int(asked["start_at"])) == (END_MS, END_MS - 3_600_000 - 120_000)


@pytest.mark.parametrize(
    "told",
    [
        samples(grows=8.0),  # the index per 8 hours
        samples(grows=-1.0),  # the other sign
        samples(grows=1.05),
        samples(period=1)
        | {"results": [r | {"funding_period_hours": 8} for r in samples(period=1)["results"]]},
    ],
)
def test_an_index_that_does_not_move_by_its_premium_is_refused(told):
    with pytest.raises(BadPayload, match="not the index described"):
        history(told)


def test_an_hour_whose_ends_no_sample_speaks_for_has_no_row():
    assert history(samples(start=200.0)) == []  # listed within the hour
    assert history(samples(stop=3000.0)) == []  # silent for ten minutes before the end
    changed = samples()
    changed["results"][0]["funding_period_hours"] = 24
    assert history(changed) == []
    assert history({"results": []}) == []
    assert [r["funding_rate"] for r in history(samples(premium=lambda _h: 0.0))] == [0.0]


def test_an_answer_that_is_incomplete_within_the_hour_is_refused(shared):
    with pytest.raises(BadPayload, match="end within the hour and a cursor names more"):
        history(samples(start=200.0) | {"next": "abc"})
    page = (shared / "data/raw/paradex/funding_data_BTC-USD-PERP_2026-09-04.json").read_bytes()
    with pytest.raises(BadPayload, match="end within the hour and a cursor names more"):
        history(page)  # one sample was asked for


def test_samples_of_another_market_are_refused():
    other = samples()
    other["results"][3]["market"] = "ETH-USD-PERP"
    with pytest.raises(BadPayload, match="market"):
        history(other)


def test_a_recorded_sample_shows_price_and_premium_in_one(shared):
    page = json.loads((shared / "data/raw/paradex/funding_data_BTC-USD-PERP_2026-09-04.json").read_bytes())
    (sample,) = page["results"]
    price = float(sample["funding_premium"]) / float(sample["funding_rate"])
    assert price == pytest.approx(80_844, abs=1)  # the premium is the rate in money, over the same 8 hours
    assert sample["funding_rate"].startswith(sample["funding_rate_8h"])  # the same figure, cut
    asked = json.loads(base64.b64decode(page["next"].split(".")[0] + "=="))["filter"]
    before_the_hour = asked["EndTime"] // 1_000_000 - sample["created_at"]
    # asked up to a full hour, the newest sample came, 2.9 s before it: newest first
    assert (asked["EndTime"] % 3_600_000_000_000, before_the_hour, asked["Limit"]) == (0, 2940, 1)


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
