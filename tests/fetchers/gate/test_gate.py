"""Gate: worked examples by hand, recorded responses, paging, refusals."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload, SchemaError
from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.gate import FETCHER, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import HOUR, Window, to_ms
from tests.fetchers.gate.case import AT, BTC, RESPONSES, payment, serve, written
from tests.fetchers.played import played, text, whole
from tests.fetchers.walking import walked

START = datetime(2026, 1, 1, tzinfo=UTC)


def history(body, market=BTC):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market)))


def paid(body):
    return history(body).to_dicts()


def current(body, markets=None):
    rows = SNAPSHOTS.check(
        whole(FETCHER.current.parse, text(body), ResponseContext(AT, markets=markets or {}))
    )
    return {row["symbol"]: row for row in rows.to_dicts()}


def listed(body):
    return {
        r["symbol"]: r
        for r in MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    }


def edited(**change):
    body = json.loads(written("contracts_usdt"))
    body[0] |= change
    return body


def test_a_history_without_its_market_names_the_option_that_gives_it():
    with pytest.raises(BadCall, match="--symbol BTC_USDT"):
        history(written("funding_rate_BTC_USDT"), None)


def test_current_of_contracts():
    rows = current(written("contracts_usdt"))
    assert set(rows) == {"BTC_USDT", "2Z_USDT"}  # ANDURIL is before its market
    btc, two_z = rows["BTC_USDT"], rows["2Z_USDT"]
    assert (btc["funding_rate"], btc["interval_hours"], btc["rate_step"]) == (0.000016, 8.0, 1e-6)
    assert btc["next_funding_time"] == datetime(2026, 9, 12, tzinfo=UTC)
    assert (btc["mark_price"], btc["index_price"]) == (77762.8, 77790.63)
    assert btc["open_interest"] == pytest.approx(
        32044.3501
    )  # 320,443,501 contracts of 0.0001 coins, one side
    assert btc["open_interest_usd"] == pytest.approx(32044.3501 * 77762.8)
    assert (two_z["base"], two_z["interval_hours"], two_z["funding_rate"]) == ("2Z", 4.0, 0.00005)
    assert two_z["open_interest"] == 864_800


def test_current_of_real_world_assets_of_the_written_response():
    rows = current(written("contracts_usdt_tradfi"))
    spx = rows["SPX500_USDT"]
    assert (spx["base"], spx["asset_class"], spx["funding_rate"]) == ("SPX500", "index", -0.0002)
    assert (spx["interval_hours"], spx["next_funding_time"]) == (8.0, datetime(2026, 9, 14, tzinfo=UTC))
    assert {s: (r["base"], r["asset_class"], r["interval_hours"]) for s, r in rows.items()} == {
        "QNT_USDT": ("QNT", "crypto", 8.0),
        "CAT_USDT": ("CAT", "equity", 8.0),
        "XAU_USDT": ("XAU", "commodity", 4.0),
        "USDC_USDT": ("USDC", "crypto", 8.0),
        "SPX500_USDT": ("SPX500", "index", 8.0),
    }
    assert rows["CAT_USDT"]["funding_rate"] == 0.0  # zero is a value
    assert {r["open_interest"] for r in rows.values()} == {None}


def test_tickers_count_both_sides_and_are_halved():
    markets = {s: market_of(r) for s, r in listed(written("contracts_usdt")).items()}
    rows = current(written("tickers_usdt"), markets)
    assert set(rows) == {"BTC_USDT", "2Z_USDT"}
    assert rows["BTC_USDT"]["open_interest"] == 640887002 / 2 * 0.0001
    of_contracts = current(written("contracts_usdt"))
    assert rows["2Z_USDT"]["open_interest"] == of_contracts["2Z_USDT"]["open_interest"]
    assert rows["BTC_USDT"]["volume_24h_usd"] == 7031702789
    assert {(r["interval_hours"], r["next_funding_time"]) for r in rows.values()} == {(None, None)}
    assert {s: r["funding_rate"] for s, r in rows.items()} == {
        s: r["funding_rate"] for s, r in of_contracts.items()
    }


def test_markets():
    rows = listed(written("contracts_usdt"))
    assert {s: (r["status"], r["interval_hours"], r["rate_cap"]) for s, r in rows.items()} == {
        "BTC_USDT": ("active", 8.0, 0.003),
        "2Z_USDT": ("active", 4.0, 0.02),
        "ANDURIL_USDT": ("prelisted", 8.0, 0.000001),
    }
    btc = rows["BTC_USDT"]
    assert (btc["max_leverage"], btc["multiplier"], btc["collateral"]) == (200.0, 1.0, "USDT")
    assert btc["listed_at"] == datetime(2019, 11, 18, tzinfo=UTC)
    assert listed(edited(in_delisting=True))["BTC_USDT"]["status"] == "reduce_only"
    assert "BTC_USDT" not in current(edited(in_delisting=True))
    assert listed(edited(status="delisted"))["BTC_USDT"]["status"] == "delisted"


def test_tokens_of_gold_and_dollars_are_coins():
    for base, kind in (("PAXG", "metals"), ("XAUT", "metals"), ("USDC", "forex")):
        (row,) = [
            r for r in listed(edited(name=f"{base}_USDT", contract_type=kind)).values() if r["base"] == base
        ]
        assert row["asset_class"] == "crypto"
    row = listed(edited(name="1000PEPE_USDT"))["1000PEPE_USDT"]
    assert (row["base"], row["multiplier"]) == ("PEPE", 1000)
    scaled = current(edited(name="1000PEPE_USDT", mark_price="0.01"))["1000PEPE_USDT"]
    assert scaled["mark_price"] == pytest.approx(0.00001)
    assert scaled["open_interest"] == pytest.approx(32_044_350.1)


@given(hour=st.integers(0, 50_000), off=st.integers(-60, 60))
def test_a_stamp_belongs_to_the_hour_within_a_minute(hour, off):
    grid = START + timedelta(hours=hour)
    assert history([payment(t=to_ms(grid) // 1000 + off)]).item(0, "funding_time") == grid


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (payment("NaN"), "finite"),
        (payment("\u0661"), "finite"),
        (payment(""), "finite"),
        (payment(0.0001), "field"),
        (payment("0.11"), "beyond 0.1"),
        (payment(t=1789142400000), "Unix seconds"),
        (payment(t=1789142461), "within a minute"),
        (payment(t="1789142402"), r"\.t"),
        (payment(t=True), r"\.t"),
        ({"r": "0.1"}, "t: is missing"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_response(row, words):
    with pytest.raises(BadPayload, match=words):
        history([payment(t=1789113602), row])


def test_two_rates_of_one_instant_are_refused_and_a_list_without_rows_gives_none():
    with pytest.raises(SchemaError, match="repeated with different values"):
        history([payment(), payment("0.1", 1789142401)])
    assert history([]).is_empty()
    for body in ([], {}, {"label": "X", "message": "y"}):
        with pytest.raises(BadPayload):
            current(body)
        with pytest.raises(BadPayload):
            listed(body)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"funding_rate": "0.003001"}, "BTC_USDT: 0.003001 is beyond 0.003"),
        ({"funding_rate": ""}, "finite"),
        ({"funding_next_apply": 1789171200000}, "Unix seconds"),
        ({"funding_next_apply": 1789171201}, "full hour"),
        ({"funding_interval": 0}, "full hours"),
        ({"funding_interval": 480}, "full hours"),
        ({"funding_interval": 25 * 3600}, "full hours"),
        ({"funding_rate_limit": "2"}, "unit"),
        ({"funding_rate_limit": "0.9", "funding_rate": "0.11"}, "beyond 0.1"),
        ({"mark_price": "-1"}, "negative"),
        ({"position_size": -1}, "negative"),
        ({"quanto_multiplier": "x"}, "finite"),
        ({"status": "paused"}, "status: of BTC_USDT is none of"),
        ({"contract_type": "weather"}, "contract_type: of BTC_USDT is none of the documented kinds"),
        ({"name": "BTCUSDT"}, "BASE_QUOTE"),
        ({"in_delisting": "false"}, "in_delisting"),
    ],
)
def test_one_bad_contract_spoils_the_response(change, words):
    with pytest.raises(BadPayload, match=words):
        current(edited(**change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"funding_rate": "0.11"}, "beyond 0.1"),
        ({"total_size": "-2"}, "negative"),
        ({"total_size": 2}, "total_size"),
        ({"volume_24h_quote": "x"}, "finite"),
    ],
)
def test_one_bad_ticker_spoils_the_response(change, words):
    body = json.loads(written("tickers_usdt"))
    body[0] |= change
    with pytest.raises(BadPayload, match=words):
        current(body)


def test_the_recorded_responses_are_read_as_those_written_here_and_a_week_is_eight_hours_apart(shared):
    for name in RESPONSES:
        recorded = (shared / "venues/payloads/gate" / f"{name}.json").read_bytes()
        for read in {"funding": (paid,), "tickers": (current,)}.get(
            name.partition("_")[0], (current, listed)
        ):
            assert read(recorded) == read(written(name))
    rows = history((shared / "data/raw/gate/funding_rate_BTC_USDT_2026-08-28_2026-09-04.json").read_bytes())
    assert rows.height == 20
    assert set(rows["funding_time"].diff().drop_nulls()) == {8 * HOUR}
    assert rows.item(-1, "funding_rate") == 0.000052
    assert rows.item(-1, "funding_time") == datetime(2026, 9, 4, tzinfo=UTC)


# --- paging


def after_start(*hours):
    return [START + h * HOUR for h in hours]


def test_a_year_of_eights_takes_two_pages():
    venue, requests = played(serve, after_start(*range(0, 8760, 8)))
    assert walked(FETCHER, BTC, venue, Window(START, START + 8760 * HOUR)).height == 1095
    assert len(requests) == 2
    first = dict(requests[0].params)
    assert first["from"] == str(to_ms(START) // 1000 - 60)
    assert first["to"] == str(to_ms(START + 8760 * HOUR) // 1000 - 1)


# --- names and refusals


@pytest.mark.parametrize("symbol", ["BTC", "BTC-USDT", "", "_USDT", "BTC_"])
def test_a_symbol_without_a_quote_is_no_market(symbol):
    with pytest.raises(BadCall, match="BTC_USDT"):
        symbol_market(symbol)


def test_a_sweep_requests_contracts_and_tickers():
    assert [r.path for r in FETCHER.current.requests([])] == ["/contracts", "/tickers"]
    assert [r.path for r in FETCHER.markets.requests([])] == ["/contracts"]


def test_a_refusal_for_a_missing_market_names_the_next_step():
    missing = FETCHER.refusal(400, text({"label": "CONTRACT_NOT_FOUND", "message": "no such contract"}))
    assert "fundingdb markets gate" in str(missing)
