"""Hyperliquid: recorded answers, worked examples by hand, both regimes, refusals."""

import copy
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload, RateLimited, Refused, SchemaError
from fundingdb.fetchers.contract import Forward, Market, ResponseContext
from fundingdb.fetchers.hyperliquid import FETCHER, RATE_CAP, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window, from_ms, to_ms

AT = datetime(2026, 9, 11, 17, 20, 5, tzinfo=UTC)
HOUR_MS = 3_600_000
META = {
    "universe": [
        {"szDecimals": 5, "name": "BTC", "maxLeverage": 40},
        {"szDecimals": 0, "name": "kPEPE", "maxLeverage": 10},
        {"szDecimals": 1, "name": "MATIC", "maxLeverage": 20, "isDelisted": True},
    ],
    "marginTables": [],
    "collateralToken": 0,
}


def context(**change):
    return {
        "funding": "0.0000125",
        "openInterest": "100.0",
        "prevDayPx": "1.0",
        "dayNtlVlm": "5000.5",
        "premium": "0.0",
        "oraclePx": "2.0",
        "markPx": "4.0",
        "midPx": None,
        "impactPxs": None,
        "dayBaseVlm": "1.0",
        **change,
    }


def contexts():
    return [
        META,
        [context(), context(markPx="0.004", oraclePx="0.005"), context(premium=None, funding="0.0")],
    ]


def paid(rate="0.0000125", time=1789142400047, coin="BTC", premium="0.0"):
    return {"coin": coin, "fundingRate": rate, "premium": premium, "time": time}


def text(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def history(body, market=None):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market)))


def current(body, markets=None, request=None):
    asked = ResponseContext(AT, markets=markets or {}, request=request)
    return {r["symbol"]: r for r in SNAPSHOTS.check(FETCHER.current.parse(text(body), asked)).to_dicts()}


def markets(body):
    return {
        r["symbol"]: r
        for r in MARKETS.check(FETCHER.markets.parse(text(body), ResponseContext(AT))).to_dicts()
    }


@pytest.fixture(scope="module")
def payloads(shared):
    return lambda name: (shared / "venues/payloads/hyperliquid" / name).read_bytes()


@pytest.fixture(scope="module")
def raw(shared):
    return lambda name: (shared / "data/raw/hyperliquid" / name).read_bytes()


# --- history


def test_history_as_worked_on_the_page(payloads):
    row = history(payloads("fundingHistory_BTC.json")).row(1, named=True)
    assert row["funding_time"] == datetime(2026, 9, 11, 16, tzinfo=UTC)
    assert row["reported_time"] == datetime(2026, 9, 11, 16, 0, 0, 47_000, tzinfo=UTC)
    assert (row["funding_rate"], row["native_rate"], row["interval_hours"]) == (0.0000125, 0.0000125, 1.0)
    assert row["funding_rate"] * 8760 == pytest.approx(0.1095)
    assert (row["exchange"], row["source"], row["symbol"]) == ("hyperliquid", "hyperliquid", "BTC")
    assert (row["base"], row["quote"], row["asset_class"]) == ("BTC", "USDC", "crypto")
    assert (row["interval_from"], row["rate_type"]) == ("declared", "regular")
    assert (row["mark_price"], row["index_price"]) == (None, None)
    assert row["fetched_at"] == AT


def test_a_builder_dex_keeps_its_prefix_in_symbol_and_its_factor_is_not_applied_again(payloads):
    row = history(payloads("fundingHistory_xyz_XYZ100.json")).row(1, named=True)
    assert row["funding_time"] == datetime(2026, 9, 11, 17, tzinfo=UTC)
    assert (row["symbol"], row["base"], row["asset_class"]) == ("xyz:XYZ100", "XYZ100", "index")
    assert (row["funding_rate"], row["interval_hours"]) == (0.00000625, 1.0)


def test_the_old_regime_pays_each_eight_hours_and_the_new_one_each_hour(payloads):
    rows = history(payloads("fundingHistory_BTC_2023_8h_to_1h.json"))
    first = rows.row(0, named=True)
    assert first["funding_time"] == datetime(2023, 5, 12, tzinfo=UTC)
    assert (first["funding_rate"], first["interval_hours"]) == (-0.00061334, 8.0)
    late = rows.filter(pl.col("reported_time") == datetime(2023, 5, 23, 8, 23, 53, 40_000, tzinfo=UTC))
    assert late["funding_time"].to_list() == [datetime(2023, 5, 23, 8, tzinfo=UTC)]
    turn = rows.filter(pl.col("funding_time") >= datetime(2023, 6, 7, 16, tzinfo=UTC))
    assert turn.select("funding_time", "interval_hours", "funding_rate").rows() == [
        (datetime(2023, 6, 7, 16, tzinfo=UTC), 8.0, 0.0001),
        (datetime(2023, 6, 8, 0, tzinfo=UTC), 8.0, 0.0001),
        (datetime(2023, 6, 8, 1, tzinfo=UTC), 1.0, 0.0000125),
        (datetime(2023, 6, 8, 2, tzinfo=UTC), 1.0, 0.0000125),
        (datetime(2023, 6, 8, 3, tzinfo=UTC), 1.0, 0.0000125),
    ]


def test_the_real_answer_of_1038_rows_is_whole_on_its_grid_with_one_missing_hour(raw):
    rows = history(raw("fundingHistory_BTC_2023-05-12_2023-07-17_no_endTime.json"))
    assert rows.height == 1038
    old, new = rows.filter(pl.col("interval_hours") == 8), rows.filter(pl.col("interval_hours") == 1)
    assert (old.height, new.height) == (82, 956)
    assert old["funding_time"].max() == datetime(2023, 6, 8, tzinfo=UTC)
    assert new["funding_time"].min() == datetime(2023, 6, 8, 1, tzinfo=UTC)
    assert set(old["funding_time"].diff().drop_nulls().to_list()) == {timedelta(hours=8)}
    holes = new.filter(pl.col("funding_time").diff() > timedelta(hours=1))["funding_time"].to_list()
    assert datetime(2023, 7, 2, 21, tzinfo=UTC) in holes
    assert datetime(2023, 7, 2, 20, tzinfo=UTC) not in rows["funding_time"].to_list()


def test_a_stamp_of_111_seconds_after_the_hour_belongs_to_it(raw):
    rows = json.loads(raw("fundingHistory_BTC_2024-01_2025-12_rekeyed.json"))
    for row in rows:
        row["fundingRate"] = row.pop("funding_rate")
    found = history(rows)
    late = (found["reported_time"] - found["funding_time"]).max()
    assert late == timedelta(milliseconds=110_963)
    assert found["funding_time"].n_unique() == found.height


def test_the_rekeyed_series_is_refused_as_it_is(raw):
    with pytest.raises(BadPayload, match="fundingRate: is missing"):
        history(raw("fundingHistory_BTC_2024-01_2025-12_rekeyed.json"))


def test_premium_and_rate_of_real_hourly_series_fit_the_formula(raw, shared):
    rows = json.loads(raw("fundingHistory_BTC_2024-01_2025-12_rekeyed.json"))
    btc = pl.DataFrame(rows).select(
        rate=pl.col("funding_rate").cast(pl.Float64), premium=pl.col("premium").cast(pl.Float64)
    )
    file = shared / "data/large/hyperliquid_fundingHistory_all_coins_2024-10-25_2024-11-24.parquet"
    coins = pl.read_parquet(file).select(rate="fundingRate", premium="premium").filter(pl.col("premium") != 0)
    for series in (btc, coins):
        premium = pl.col("premium")
        due = (premium + (0.0001 - premium).clip(-0.0005, 0.0005)) / 8
        assert series.select((pl.col("rate") - due.clip(-RATE_CAP, RATE_CAP)).abs().max()).item() < 1e-8


@given(hour=st.integers(0, 30_000), jitter=st.integers(-60_000, 3_539_999))
def test_every_stamp_goes_to_the_nearest_hour_within_a_minute_else_to_the_hour_before(hour, jitter):
    grid = to_ms(datetime(2023, 6, 9, tzinfo=UTC)) + hour * HOUR_MS
    row = history([paid(time=grid + jitter)]).row(0, named=True)
    assert row["funding_time"] == from_ms(grid)


def test_history_is_asked_with_a_minute_before_the_window_and_up_to_its_end():
    start = datetime(2026, 9, 11, 10, tzinfo=UTC)
    window = Window(start, start + timedelta(hours=30))
    request = FETCHER.history.request(symbol_market("kPEPE"), window, None)
    assert (request.method, request.path) == ("POST", "/info")
    assert request.json == {
        "type": "fundingHistory",
        "coin": "kPEPE",
        "startTime": to_ms(start) - 60_000,
        "endTime": to_ms(window.stop) - 1,
    }
    assert request.cost == 21.5  # 20 and 30 rows by twenties
    wide = FETCHER.history.request(symbol_market("BTC"), Window(start, start + timedelta(days=90)), None)
    assert wide.cost == 45
    assert FETCHER.history.paging == Forward(cap=500)


def test_rows_are_sorted_repeats_kept_once_and_contradictions_refused():
    early, late = paid(time=1789138800047), paid(time=1789142400047)
    assert history([late, early, late])["funding_time"].is_sorted()
    assert history([late, early, late]).height == 2
    with pytest.raises(SchemaError, match="repeated with different values"):
        history([early, paid(rate="0.00002", time=1789138800999)])


def test_an_empty_answer_is_no_rows_and_null_is_an_unknown_coin():
    assert history([]).is_empty()
    with pytest.raises(BadPayload, match="unknown coin"):
        history(b"null")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (paid(rate="NaN"), "fundingRate"),
        (paid(rate="inf"), "fundingRate"),
        (paid(rate=""), "fundingRate"),
        (paid(rate=0.0000125), "fundingRate"),
        (paid(rate="0.0400001"), "cap"),
        (paid(time=1789142400), "milliseconds"),
        (paid(time=1789142400047000), "milliseconds"),
        (paid(time="1789142400047"), "time"),
        (paid(time=True), "time"),
        (paid(premium=0.1), "premium"),
        (paid(coin="ETH"), "asked was"),
        (paid(time=1683853200048), "8-hour regime"),
        (paid(rate="0.33", time=1683849600048), "cap"),
        ({"coin": "BTC", "fundingRate": "0.1", "premium": "0.1"}, "time"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, told):
    with pytest.raises(BadPayload, match=told):
        history([paid(), row], symbol_market("BTC"))


def test_the_cap_itself_is_a_rate_and_eight_of_it_in_the_old_regime():
    assert history([paid(rate="-0.04")])["funding_rate"].to_list() == [-0.04]
    assert history([paid(rate="0.32", time=1683849600048)])["funding_rate"].to_list() == [0.32]


# --- current


def test_current_as_worked_on_the_page(payloads):
    rows = current(payloads("metaAndAssetCtxs.json"))
    assert set(rows) == {"BTC", "ETH"}  # MATIC is delisted
    btc = rows["BTC"]
    assert (btc["funding_rate"], btc["interval_hours"], btc["rate_step"]) == (0.0000083651, 1.0, 1e-10)
    assert (btc["mark_price"], btc["index_price"]) == (77748.0, 77783.3)
    assert btc["open_interest"] == pytest.approx(35818.68, abs=0.01)
    assert btc["open_interest_usd"] == pytest.approx(2.78e9, rel=0.01)
    assert btc["volume_24h_usd"] == pytest.approx(3571973656.44)
    assert btc["observed_at"] == AT
    assert btc["next_funding_time"] == datetime(2026, 9, 11, 18, tzinfo=UTC)
    assert btc["native_rate"] == btc["funding_rate"]


def test_current_of_a_builder_dex(payloads):
    rows = current(payloads("metaAndAssetCtxs_dex_xyz.json"))
    assert set(rows) == {"xyz:XYZ100", "xyz:AAPL"}
    assert (rows["xyz:XYZ100"]["base"], rows["xyz:XYZ100"]["asset_class"]) == ("XYZ100", "index")
    assert (rows["xyz:AAPL"]["base"], rows["xyz:AAPL"]["asset_class"]) == ("AAPL", "equity")
    assert rows["xyz:AAPL"]["funding_rate"] == -0.0000178177


def test_prices_and_sizes_of_k_tokens_are_per_one_token_and_the_rate_is_as_it_is():
    row = current(contexts())["kPEPE"]
    assert (row["base"], row["funding_rate"]) == ("PEPE", 0.0000125)
    assert row["mark_price"] == pytest.approx(4e-6)
    assert row["index_price"] == pytest.approx(5e-6)
    assert row["open_interest"] == 100_000.0
    assert row["open_interest_usd"] == pytest.approx(0.4)


def test_a_collateral_without_a_name_gives_no_quote_and_no_dollars():
    body = copy.deepcopy(contexts())
    body[0]["collateralToken"] = 99_999
    row = current(body)["BTC"]
    assert (row["quote"], row["open_interest_usd"], row["volume_24h_usd"]) == (None, None, None)
    assert row["open_interest"] == 100.0


def test_contexts_belong_by_position_so_one_too_many_or_too_few_is_refused():
    for change in (lambda c: c.append(context()), lambda c: c.pop()):
        body = copy.deepcopy(contexts())
        change(body[1])
        with pytest.raises(BadPayload, match="position"):
            current(body)


def test_the_answer_of_another_dex_than_asked_is_refused(payloads):
    main, xyz = FETCHER.current.requests([symbol_market("xyz:AAPL")])
    assert main.json == {"type": "metaAndAssetCtxs"}
    assert xyz.json == {"type": "metaAndAssetCtxs", "dex": "xyz"}
    assert current(payloads("metaAndAssetCtxs_dex_xyz.json"), request=xyz)
    with pytest.raises(BadPayload, match="asked was ''"):
        current(payloads("metaAndAssetCtxs_dex_xyz.json"), request=main)


def test_a_round_asks_the_main_dex_and_each_dex_with_a_living_market_once():
    dead = Market("hyperliquid", "abcd:X", "X", None, "crypto", status="delisted")
    known = [symbol_market(s) for s in ("BTC", "xyz:AAPL", "xyz:XYZ100", "hyna:BTC")]
    asked = [r.json.get("dex") for r in FETCHER.current.requests([*known, dead])]
    assert asked == [None, "hyna", "xyz"]
    assert [r.json for r in FETCHER.current.requests([])] == [{"type": "metaAndAssetCtxs"}]


@pytest.mark.parametrize("name", ["payloads", "raw"])
def test_predicted_fundings_give_rows_of_hyperliquid_alone(payloads, raw, name):
    body = (
        payloads("predictedFundings.json")
        if name == "payloads"
        else raw("predictedFundings_excerpt_2025-10-03.json")
    )
    rows = current(body)
    assert {s: (r["exchange"], r["funding_rate"], r["interval_hours"]) for s, r in rows.items()} == {
        "0G": ("hyperliquid", -0.0001942593, 1.0),
        "2Z": ("hyperliquid", -0.0003093788, 1.0),
    }
    assert rows["0G"]["next_funding_time"] == datetime(2026, 9, 11, 18, tzinfo=UTC)  # theirs lags
    assert rows["0G"]["mark_price"] is None


def test_predicted_fundings_with_null_give_no_row_and_with_another_interval_are_refused():
    forecast = {"fundingRate": "0.0001", "nextFundingTime": 1759489200000, "fundingIntervalHours": 1}
    assert current([["BTC", [["BinPerp", forecast], ["HlPerp", None]]]]) == {}
    with pytest.raises(BadPayload, match="fundingIntervalHours"):
        current([["BTC", [["HlPerp", {**forecast, "fundingIntervalHours": 8}]]]])


def frame(coin="BTC", **change):
    return {"channel": "activeAssetCtx", "data": {"coin": coin, "ctx": context(**change)}}


def lines(*frames):
    return "\n".join(json.dumps(f) for f in frames).encode()


def test_frames_of_one_coin_name_it_and_the_last_counts():
    pong, first, last = {"channel": "pong"}, frame(funding="0.00001"), frame(funding="0.00002")
    rows = current(lines(pong, first, last, frame("kPEPE"), frame("DEAD", premium=None)))
    assert {s: r["funding_rate"] for s, r in rows.items()} == {"BTC": 0.00002, "kPEPE": 0.0000125}


def test_positional_frames_need_markets_whose_positions_are_known(payloads):
    with pytest.raises(BadCall, match=r"positions 0\.\.15 of dex '' name no coin"):
        current(payloads("ws_allDexsAssetCtxs.jsonl"))


def universe(names, dex_token=0):
    return {
        "universe": [{"name": n, "maxLeverage": 10, "szDecimals": 1} for n in names],
        "marginTables": [],
        "collateralToken": dex_token,
    }


def known(*metas):
    rows = MARKETS.check(FETCHER.markets.parse(text(list(metas)), ResponseContext(AT)))
    return {r["symbol"]: market_of(r) for r in rows.sort("base", "symbol").iter_rows(named=True)}


def test_positional_frames_are_named_by_the_positions_of_known_markets(payloads):
    main = ["BTC", "ETH", "ATOM", "MATIC", "DYDX", "SOL", "AVAX", "BNB", "APE", "OP", "LTC", "ARB"]
    main += ["DOGE", "INJ", "SUI", "kPEPE"]
    dexes = known(
        universe(main), universe(["flx:TSLA", "flx:NVDA"], 360), universe(["xyz:XYZ100", "xyz:TSLA"])
    )
    rows = current(payloads("ws_allDexsAssetCtxs.jsonl"), dexes)
    assert len(rows) == 19  # 16 + 2 + 2 without the delisted one
    assert "MATIC" not in rows
    assert (rows["BTC"]["mark_price"], rows["BTC"]["funding_rate"]) == (77562.0, -0.0000015186)
    assert rows["kPEPE"]["mark_price"] == pytest.approx(0.003632 / 1000)
    assert rows["flx:NVDA"]["funding_rate"] == 0.0002617097
    assert rows["flx:NVDA"]["quote"] == "USDH"
    assert rows["xyz:TSLA"]["mark_price"] == 433.64
    with pytest.raises(BadPayload, match="it is cut"):
        current(payloads("ws_allDexsAssetCtxs.jsonl"), known(universe([*main, "LATE"])) | dexes)


def test_the_whole_real_frame_of_nine_dexes_is_read(raw):
    body = raw("ws_allDexsAssetCtxs_2026-05.json")
    sizes = {dex: len(c) for dex, c in json.loads(body)["data"]["ctxs"]}
    assert sum(sizes.values()) == 412
    dexes = known(*(universe([f"{d}:A{i}" if d else f"A{i}" for i in range(n)]) for d, n in sizes.items()))
    assert len(current(body, dexes)) == 412 - 78  # premium null: delisted


def test_recorded_control_frames_hold_placeholders_and_are_refused(payloads):
    with pytest.raises(BadPayload, match="finite"):
        current(payloads("ws_control.jsonl"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"null",
        b"[]",
        b"{}",
        b"3",
        b'"x"',
        b"[[],[]]",
        b'{"channel":"l2Book","data":{}}',
    ],
)
def test_what_is_no_answer_is_refused(body):
    with pytest.raises(BadPayload):
        current(body)


# --- markets


def test_markets_of_all_dexes_with_their_collateral(payloads):
    rows = markets(payloads("allPerpMetas.json"))
    assert {s: (r["base"], r["quote"], r["asset_class"], r["max_leverage"]) for s, r in rows.items()} == {
        "BTC": ("BTC", "USDC", "crypto", 40.0),
        "km:US500": ("US500", "USDH", "index", 20.0),
        "hyna:BTC": ("BTC", "USDE", "crypto", 20.0),
    }
    assert all(r["interval_hours"] == 1.0 and r["rate_cap"] == 0.04 for r in rows.values())


def test_markets_from_meta_and_from_meta_with_contexts(payloads):
    rows = markets(payloads("metaAndAssetCtxs.json"))
    assert {s: r["status"] for s, r in rows.items()} == {
        "BTC": "active",
        "ETH": "active",
        "MATIC": "delisted",
    }
    assert markets(json.loads(payloads("metaAndAssetCtxs.json"))[0]) == rows
    assert [r["native_id"] for r in rows.values()] == ["0", "1", "2"]  # the position


def test_k_tokens_are_multiples_and_capital_k_names_are_not():
    rows = markets(universe(["kPEPE", "KAITO", "KAS", "kBONK"]))
    assert {s: (r["base"], r["multiplier"]) for s, r in rows.items()} == {
        "kPEPE": ("PEPE", 1000.0),
        "KAITO": ("KAITO", 1.0),
        "KAS": ("KAS", 1.0),
        "kBONK": ("BONK", 1000.0),
    }


def test_one_request_lists_all_dexes():
    (request,) = FETCHER.markets.requests([])
    assert (request.json, request.cost) == ({"type": "allPerpMetas"}, 20.0)


@pytest.mark.parametrize(
    "body",
    [
        [],
        [universe([])],
        [universe(["BTC", "BTC"])],
        [universe(["BTC", "xyz:A"])],
        [universe([""])],
        None,
        [None],
    ],
)
def test_lists_that_name_no_or_unclear_markets_are_refused(body):
    with pytest.raises(BadPayload):
        markets(body)


# --- corruption


@st.composite
def spoiled(draw, good):
    """The good answer with one thing wrong that no reader may accept."""
    body = copy.deepcopy(good)
    rows = body if isinstance(body[0], dict) and "coin" in body[0] else body[1]
    row = draw(st.sampled_from(rows))
    needed = [
        k
        for k in row
        if k in ("coin", "fundingRate", "time", "funding", "openInterest", "markPx", "oraclePx")
    ]
    key = draw(st.sampled_from(needed))
    how = draw(st.sampled_from(["drop", "type", "nan", "cut", "extra"]))
    if how == "drop":
        del row[key]
    elif how == "type":
        wrong = [None, [], {}, True] + ([1.5] if isinstance(row[key], str) else ["x", 1789142400])
        row[key] = draw(st.sampled_from(wrong))
    elif how == "nan":
        row[next(k for k in needed if k in ("fundingRate", "funding"))] = draw(
            st.sampled_from(["NaN", "nan", "inf", "-Infinity", "", "1,5", "0x1", "1_0", " 1", "٣"])
        )
    elif how == "extra":
        rows.append(dict(row) if rows is not body else 7)
    whole = json.dumps(body).encode()
    return whole[: draw(st.integers(0, len(whole) - 1))] if how == "cut" else whole


@given(spoiled([paid(time=1789138800047), paid()]))
def test_a_spoiled_history_gives_no_rows(body):
    with pytest.raises(BadPayload):
        history(body)


@given(spoiled(contexts()))
def test_spoiled_contexts_give_no_rows(body):
    with pytest.raises(BadPayload):
        current(body)


# --- refusals


def test_refusals_say_what_to_do(payloads):
    unread, unknown, limited = (
        FETCHER.refusal(e["http_status"], e["body_text"].encode())
        for e in json.loads(payloads("errors.json"))
    )
    assert isinstance(unread, BadCall)
    assert "Failed to deserialize" in str(unread)
    assert isinstance(unknown, BadCall)
    assert "case counts" in str(unknown)
    assert isinstance(limited, RateLimited)
    assert isinstance(FETCHER.refusal(429, b""), RateLimited)
    assert isinstance(FETCHER.refusal(200, b" null\n"), BadCall)
    assert isinstance(FETCHER.refusal(403, b"<html>"), Refused)
    assert FETCHER.refusal(200, b"[]") is None
    assert FETCHER.refusal(502, b"<html>") is None
