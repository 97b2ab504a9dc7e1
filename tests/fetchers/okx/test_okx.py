"""OKX: worked examples by hand, recorded responses, paging, refusals."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from fundingdb.errors import BadCall, BadPayload, SchemaError
from fundingdb.fetchers.contract import Request, ResponseContext
from fundingdb.fetchers.okx import FETCHER, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import HOUR, Window, to_ms
from tests.fetchers.okx.case import AT, BTC, RESPONSES, payment, response, serve, written
from tests.fetchers.played import played, text, whole
from tests.fetchers.walking import walked

START = datetime(2026, 6, 1, tzinfo=UTC)


def history(body, market=BTC):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market)))


def paid(body):
    return history(body).to_dicts()


def current(body, markets=None):
    rows = SNAPSHOTS.check(
        whole(FETCHER.current.parse, text(body), ResponseContext(AT, markets=markets or {}))
    )
    return {row["symbol"]: row for row in rows.to_dicts()}


def listed(*bodies):
    """The markets as the collector merges them: first non-null by symbol, then the fetcher's last word."""
    frames = [
        MARKETS.check(whole(FETCHER.markets.parse, text(b), ResponseContext(AT, request=Request(e, f"/{e}"))))
        for b, e in zip(bodies, ("instruments", "funding-rate"), strict=False)
    ]
    first = [pl.col(c).drop_nulls().first() for c in MARKETS.columns if c not in ("exchange", "symbol")]
    rows = pl.concat(frames).group_by("exchange", "symbol", maintain_order=True).agg(first)
    return {r["symbol"]: r for r in FETCHER.markets.combine(MARKETS.check(rows)).to_dicts()}


def test_current_of_the_written_response():
    markets = {
        s: market_of(r) for s, r in listed(written("instruments_SWAP"), written("funding-rate_ANY")).items()
    }
    for known in (markets, {}):
        rows = current(written("funding-rate_ANY"), known)
        assert set(rows) == {"BTC-USDT-SWAP", "CHIP-USDT-SWAP", "BTC-USD-SWAP"}  # the dated one is out
    chip = rows["CHIP-USDT-SWAP"]
    assert (chip["base"], chip["funding_rate"], chip["interval_hours"]) == ("CHIP", 0.00005, 4.0)
    assert chip["next_funding_time"] == datetime(2026, 9, 11, 20, tzinfo=UTC)
    assert (chip["rate_step"], chip["open_interest"], chip["mark_price"]) == (1e-16, None, None)
    btc = rows["BTC-USDT-SWAP"]
    assert (btc["funding_rate"], btc["interval_hours"]) == (0.0000593556502673, 8.0)
    assert btc["next_funding_time"] == datetime(2026, 9, 12, tzinfo=UTC)
    assert (rows["BTC-USD-SWAP"]["quote"], rows["BTC-USD-SWAP"]["funding_rate"]) == ("USD", 0.0001)
    marks = current(written("mark-price_SWAP"), markets)
    assert {s: r["mark_price"] for s, r in marks.items()} == {
        "BTC-USDT-SWAP": 77760.9,
        "CHIP-USDT-SWAP": 0.04798,
        "BTC-USD-SWAP": 77741.7,
    }
    assert {r["funding_rate"] for r in marks.values()} == {None}


def test_markets_take_interval_and_cap_from_the_rates():
    rows = listed(written("instruments_SWAP"), written("funding-rate_ANY"))
    assert {
        s: (r["interval_hours"], r["rate_cap"], r["collateral"], r["max_leverage"]) for s, r in rows.items()
    } == {
        "BTC-USD-SWAP": (8.0, 0.00375, "BTC", 100.0),
        "BTC-USDT-SWAP": (8.0, 0.00375, "USDT", 100.0),
        "CHIP-USDT-SWAP": (4.0, 0.01, "USDT", 20.0),
    }
    assert {r["status"] for r in rows.values()} == {"active"}
    assert rows["BTC-USDT-SWAP"]["listed_at"] == datetime(2019, 11, 12, 11, 16, 48, tzinfo=UTC)
    alone = listed(written("instruments_SWAP_tradfi"), written("funding-rate_ANY"))
    assert "BTC-USDT-SWAP" not in alone  # a rate without a listing is no market


def test_the_class_is_the_category_of_the_instrument():
    rows = listed(written("instruments_SWAP_tradfi"))
    assert {r["base"]: r["asset_class"] for r in rows.values()} == {
        "STX": "crypto",
        "QNT": "equity",
        "US500": "index",
        "XAU": "commodity",
    }
    body = json.loads(written("instruments_SWAP_tradfi"))
    body["data"][0]["instCategory"], body["data"][1]["instCategory"] = "5", "6"
    rows = listed(body)
    assert rows["STX-USDT-SWAP"]["asset_class"] == "fx"
    assert "QNT-USDT-SWAP" not in rows  # a bond has no class here


def test_a_swap_quoted_at_a_tenth_of_its_asset_has_a_multiplier():
    assert symbol_market("OPENAI-USDT-SWAP").multiplier == 0.1
    row = current(response({"instId": "OPENAI-USDT-SWAP", "markPx": "80"}))["OPENAI-USDT-SWAP"]
    assert row["mark_price"] == pytest.approx(800)
    assert row["asset_class"] == "equity"


def edited(**change):
    body = json.loads(written("funding-rate_ANY"))
    body["data"][0] |= change
    return body


def test_a_market_that_just_moved_pays_for_its_running_period():
    moved = {
        "prevFundingTime": "1789142400000",
        "fundingTime": "1789171200000",
        "nextFundingTime": "1789185600000",
    }
    assert current(edited(**moved))["BTC-USDT-SWAP"]["interval_hours"] == 8.0
    open_ = edited(**moved, settState="processing")
    assert current(open_)["BTC-USDT-SWAP"]["interval_hours"] is None
    old = edited(prevFundingTime="")
    assert current(old)["BTC-USDT-SWAP"]["interval_hours"] == 8.0


def test_an_empty_rate_is_none_and_zero_is_one():
    assert current(edited(fundingRate=""))["BTC-USDT-SWAP"]["funding_rate"] is None
    assert current(edited(fundingRate="0"))["BTC-USDT-SWAP"]["funding_rate"] == 0.0


def test_what_does_not_trade_is_left_out():
    body = json.loads(written("instruments_SWAP"))
    for row, state in zip(body["data"], ("suspend", "preopen", "test"), strict=True):
        row["state"] = state
    rows = listed(body, written("funding-rate_ANY"))
    assert [r["status"] for r in rows.values()] == ["inactive", "prelisted", "inactive"]
    markets = {s: market_of(r) for s, r in rows.items()}
    assert current(written("funding-rate_ANY"), markets) == current(written("mark-price_SWAP"), markets) == {}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (payment("NaN"), "finite"),
        (payment("\u0661"), "finite"),
        (payment(""), "finite"),
        (payment(0.0001), "realizedRate"),
        (payment("0.11"), "beyond 0.1"),
        (payment(t="1789142400"), "milliseconds"),
        (payment(t="1789142400000000"), "milliseconds"),
        (payment(t=1789142400000), "fundingTime"),
        (payment(t="1789142460001"), "within a minute"),
        (payment(symbol="ETH-USDT-SWAP"), "'BTC-USDT-SWAP'"),
        (
            {"instId": "BTC-USDT-SWAP", "fundingRate": "0.1", "fundingTime": "1789142400000"},
            "realizedRate: is missing",
        ),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_response(row, words):
    with pytest.raises(BadPayload, match=words):
        history(response(payment(t="1789113600000"), row))


def test_two_rates_of_one_instant_and_refused_envelopes_give_nothing():
    with pytest.raises(SchemaError, match="repeated with different values"):
        history(response(payment(), payment("0.1")))
    assert history(response()).is_empty()
    with pytest.raises(BadPayload, match="code: is '50011'"):
        history({"code": "50011", "data": [], "msg": "Too Many Requests"})
    with pytest.raises(BadPayload, match="data: is empty"):
        current(response())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fundingRate": "0.00376"}, "BTC-USDT-SWAP: 0.00376 is beyond the cap 0.00375"),
        ({"fundingRate": "inf"}, "finite"),
        ({"fundingTime": "1789171200001"}, "full hour"),
        ({"fundingTime": "1789171200"}, "milliseconds"),
        ({"nextFundingTime": "1789171200000"}, "1 to 24 full hours"),
        ({"nextFundingTime": ""}, "milliseconds"),
        ({"prevFundingTime": "1789171200000"}, "1 to 24 full hours"),
        ({"maxFundingRate": "x"}, "maxFundingRate"),
        ({"maxFundingRate": "1e30"}, "unit"),
        ({"maxFundingRate": "0.9", "fundingRate": "0.11"}, "beyond the cap 0.1"),
    ],
)
def test_one_bad_rate_spoils_the_response(change, words):
    with pytest.raises(BadPayload, match=words):
        current(edited(**change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "paused"}, "state: of BTC-USD-SWAP is none of"),
        ({"instCategory": "2"}, "instCategory: of BTC-USD-SWAP is none of the documented kinds"),
        ({"instFamily": "ETH-USD"}, "instFamily: of BTC-USD-SWAP does not fit"),
        ({"lever": "x"}, "lever"),
        ({"listTime": "yesterday"}, "listTime"),
    ],
)
def test_a_listing_that_no_table_knows_is_refused_by_name(change, words):
    body = json.loads(written("instruments_SWAP"))
    body["data"][0] |= change
    with pytest.raises(BadPayload, match=words):
        listed(body)


def test_the_recorded_responses_are_read_as_those_written_here_and_a_week_is_eight_hours_apart(shared):
    for name in RESPONSES:
        recorded = (shared / "venues/payloads/okx" / f"{name}.json").read_bytes()
        read = {"funding-rate-history": paid, "instruments": listed}.get(name.partition("_")[0], current)
        assert read(recorded) == read(written(name))
    folder = shared / "venues/payloads/okx"
    row = json.loads((folder / "funding-rate_ANY.json").read_bytes())["data"][0]
    newest = history((folder / "funding-rate-history_BTC-USDT-SWAP.json").read_bytes()).row(-1, named=True)
    assert float(row["settFundingRate"]) == newest["funding_rate"]
    assert int(row["prevFundingTime"]) == to_ms(newest["funding_time"])
    raw = shared / "data/raw/okx/funding-rate-history_BTC-USDT-SWAP_2026-08-28_2026-09-04.json"
    rows = history(raw.read_bytes())
    assert rows.height == 20
    assert set(rows["funding_time"].diff().drop_nulls()) == {8 * HOUR}
    assert rows.item(-1, "funding_rate") == 0.0000418741079605
    assert rows.item(-1, "funding_time") == datetime(2026, 9, 4, tzinfo=UTC)


# --- paging


def after_start(*hours):
    return [START + h * HOUR for h in hours]


def test_ninety_days_of_eights_take_three_pages_and_what_is_forgotten_ends_the_walk():
    window = Window(START, START + 2160 * HOUR)
    venue, requests = played(serve, after_start(*range(0, 2160, 8)))
    assert walked(FETCHER, BTC, venue, window).height == 270
    assert len(requests) == 3
    assert dict(requests[0].params)["after"] == str(to_ms(START + 2160 * HOUR))
    short, _ = played(serve, after_start(*range(0, 2160, 8)), forgotten_before=START + 1000 * HOUR)
    assert walked(FETCHER, BTC, short, window).height == 145
    assert "three months" in FETCHER.history.depth


# --- names and refusals


@pytest.mark.parametrize(
    "symbol", ["BTC", "BTC-USDT", "", "XAU-USD_UM_XPERP-310502", "BTC-EUR-SWAP", "btc-USDT-SWAP"]
)
def test_a_symbol_that_is_no_swap_is_none(symbol):
    with pytest.raises(BadCall, match="BTC-USDT-SWAP"):
        symbol_market(symbol)


def test_the_requests_of_a_sweep():
    assert [(r.path, dict(r.params)) for r in FETCHER.current.requests([])] == [
        ("/funding-rate", {"instId": "ANY"}),
        ("/mark-price", {"instType": "SWAP"}),
    ]
    assert [r.path for r in FETCHER.markets.requests([])] == ["/instruments", "/funding-rate"]


def test_a_refusal_for_a_missing_market_names_the_next_step():
    missing = FETCHER.refusal(400, text({"code": "51001", "msg": "Instrument ID does not exist"}))
    assert "fundingdb markets okx" in str(missing)


@pytest.mark.parametrize("paid_rate", ["0.0004794531380872", "-0.0005", "0.00599316422609"])
def test_a_payment_far_from_its_forecast_refuses_the_response_with_both_figures(paid_rate):
    row = payment(paid_rate) | {"fundingRate": "0.0000599316422609"}
    with pytest.raises(BadPayload, match=f"{paid_rate} was paid where 0.0000599316422609 was forecast"):
        history(response(row))
