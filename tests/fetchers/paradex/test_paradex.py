"""Paradex: what its case does not prove: periods, classes, and what its samples prove of an hour and what not."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from fundingdb.errors import BadCall, BadPayload
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.paradex import FETCHER, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window
from tests.fetchers.paradex.case import BTC, KNOWN, OPTION, SUMMARY, listing, summary, text
from tests.fetchers.played import whole
from tests.fetchers.walking import walked

AT = datetime(2026, 9, 11, 17, 18, 41, tzinfo=UTC)


def markets(body):
    rows = MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    return {r["symbol"]: r for r in rows}


def current(body, known):
    rows = SNAPSHOTS.check(
        whole(FETCHER.current.parse, text(body), ResponseContext(AT, markets=known))
    ).to_dicts()
    return {r["symbol"]: r for r in rows}


def test_where_no_period_is_declared_the_rate_is_unknown_and_the_figure_kept():
    listed = {s: market_of(row) for s, row in markets({"results": [listing("BTC", 0)]}).items()}
    row = current(SUMMARY, listed)["BTC-USD-PERP"]
    assert (row["funding_rate"], row["interval_hours"]) == (None, None)
    assert row["native_rate"] == 0.00007688102642


@pytest.mark.parametrize(("rate", "expected"), [("", (None, None, None)), ("0", (0.0, 0.0, 1.0))])
def test_empty_is_no_rate_and_zero_is_one(rate, expected):
    row = current({"results": [summary("BTC-USD-PERP", rate)]}, KNOWN)["BTC-USD-PERP"]
    assert (row["funding_rate"], row["native_rate"], row["interval_hours"]) == expected


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
def test_the_tag_separates_coins_from_the_rest(base, tags, what):
    row = markets({"results": [listing(base, tags=tags)]})[f"{base}-USD-PERP"]
    assert (row["base"], row["multiplier"], row["asset_class"]) == what


def test_without_the_markets_the_summary_is_refused():
    with pytest.raises(BadCall, match="how many hours"):
        current(SUMMARY, {})


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
    """A server with the exchange's bounds, order and cap; listed 9.5 hours before END, silent around 4 hours before it."""
    there = samples(every=5.0, start=-8.5 * 3600)["results"]
    silent = range(END_MS - 4 * 3_600_000 - 200_000, END_MS - 4 * 3_600_000 + 60_000)
    there = [s for s in there if s["created_at"] not in silent]

    def serve(request):
        bounds = dict(request.params)
        low, high = int(bounds["start_at"]), int(bounds["end_at"])
        held = [s for s in there if low <= s["created_at"] <= high]
        return text({"results": held[: int(bounds["page_size"])], "next": None})

    rows = walked(FETCHER, BTC, serve, Window(END - 12 * HOUR, END + HOUR))
    # the first hour after the listing, and the two that the silence cuts, have no row
    assert rows["funding_time"].to_list() == [END - n * HOUR for n in (8, 7, 6, 5, 2, 1, 0)]
    assert rows["native_rate"].sum() == pytest.approx(7 * 6.294 / 8, rel=2e-3)


def test_one_hour_is_requested_at_once_with_what_lies_shortly_before_it():
    request = FETCHER.history.request(BTC, Window(END, END + HOUR), None)
    bounds = dict(request.params)
    assert (bounds["market"], bounds["page_size"]) == ("BTC-USD-PERP", "5000")
    assert (int(bounds["end_at"]), int(bounds["start_at"])) == (END_MS, END_MS - 3_600_000 - 120_000)


@pytest.mark.parametrize(
    "body",
    [
        samples(grows=8.0),  # the index per 8 hours
        samples(grows=-1.0),  # the other sign
        samples(grows=1.05),
        samples(period=1)
        | {"results": [r | {"funding_period_hours": 8} for r in samples(period=1)["results"]]},
    ],
)
def test_an_index_that_does_not_move_by_its_premium_is_refused(body):
    with pytest.raises(BadPayload, match="not the index described"):
        history(body)


def test_an_hour_whose_ends_no_sample_speaks_for_has_no_row():
    assert history(samples(start=200.0)) == []  # listed within the hour
    assert history(samples(stop=3000.0)) == []  # silent for ten minutes before the end
    changed = samples()
    changed["results"][0]["funding_period_hours"] = 24
    assert history(changed) == []
    assert history({"results": []}) == []
    assert [r["funding_rate"] for r in history(samples(premium=lambda _h: 0.0))] == [0.0]


def test_a_response_that_is_incomplete_within_the_hour_is_refused():
    with pytest.raises(BadPayload, match="end within the hour and a cursor names more"):
        history(samples(start=200.0) | {"next": "abc"})


def test_samples_of_another_market_are_refused():
    other = samples()
    other["results"][3]["market"] = "ETH-USD-PERP"
    with pytest.raises(BadPayload, match="market"):
        history(other)


@pytest.mark.parametrize(
    ("fields", "problem"),
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
def test_a_summary_that_is_not_as_described_spoils_the_answer(fields, problem):
    with pytest.raises(BadPayload, match=problem):
        current({"results": [summary("BTC-USD-PERP", "0.0001") | fields]}, KNOWN)


@pytest.mark.parametrize(
    "fields",
    [
        {"base_currency": "ETH"},
        {"funding_period_hours": 8.5},
        {"funding_period_hours": 28800},
        {"max_funding_rate": "-0.02"},
        {"max_funding_rate": "2"},  # percent
        {"settlement_currency": ""},
        {"tags": "RWA"},
        {"asset_kind": None},
    ],
)
def test_a_listing_that_is_not_as_described_is_refused(fields):
    with pytest.raises(BadPayload):
        markets({"results": [listing("BTC") | fields, listing("ETH")]})


def test_options_alone_are_no_list_of_markets():
    with pytest.raises(BadPayload, match="no perpetual"):
        markets({"results": [OPTION]})


@pytest.mark.parametrize("name", ["BTC", "BTC-USD", "-USD-PERP", ""])
def test_a_name_that_is_no_perpetual_is_no_market(name):
    with pytest.raises(BadCall, match="BTC-USD-PERP"):
        symbol_market(name)


def test_the_recorded_responses_are_read(shared):
    def recorded(name):
        return (shared / "venues/payloads/paradex" / name).read_bytes()

    listed = {s: market_of(row) for s, row in markets(recorded("markets.json")).items()}
    assert {s: (m.interval_hours, m.rate_cap) for s, m in listed.items()} == {"BTC-USD-PERP": (8.0, 0.02)}
    (row,) = current(recorded("markets_summary.json"), listed).values()
    assert (row["symbol"], row["native_rate"]) == ("BTC-USD-PERP", 0.00007688102642)

    body = (shared / "data/raw/paradex/funding_data_BTC-USD-PERP_2026-09-04.json").read_bytes()
    with pytest.raises(BadPayload, match="end within the hour and a cursor names more"):
        history(body)  # a page of one sample
    page = json.loads(body)
    (sample,) = page["results"]
    price = float(sample["funding_premium"]) / float(sample["funding_rate"])
    assert price == pytest.approx(80_844, abs=1)  # the premium is the rate in money, over the same 8 hours
    assert sample["funding_rate"].startswith(sample["funding_rate_8h"])  # the same figure, cut
    bounds = json.loads(base64.b64decode(page["next"].split(".")[0] + "=="))["filter"]
    before_the_hour = bounds["EndTime"] // 1_000_000 - sample["created_at"]
    # the newest sample up to a full hour is 2.9 s before it: newest first
    assert (bounds["EndTime"] % 3_600_000_000_000, before_the_hour, bounds["Limit"]) == (0, 2940, 1)
