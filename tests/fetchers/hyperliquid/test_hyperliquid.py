"""Hyperliquid: what its case does not prove: positions, frames, clocks, both regimes; the recorded series."""

import copy
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall, BadPayload, SchemaError
from fundingdb.fetchers.contract import Forward, Market, ResponseContext
from fundingdb.fetchers.hyperliquid import FETCHER, RATE_CAP, symbol_market
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window, from_ms, to_ms
from tests.fetchers.hyperliquid.case import (
    CURRENT,
    DEAD,
    DEX,
    DEX_HISTORY,
    MAIN,
    POSITIONS,
    context,
    paid,
    text,
    universe,
)
from tests.fetchers.played import whole

AT = datetime(2026, 9, 11, 17, 20, 5, tzinfo=UTC)
HOUR_MS = 3_600_000


def history(body, market=None):
    return FUNDING.check(FETCHER.history.parse(text(body), ResponseContext(AT, market=market)))


def current(body, markets=None, request=None):
    of = ResponseContext(AT, markets=markets or {}, request=request)
    return {r["symbol"]: r for r in SNAPSHOTS.check(whole(FETCHER.current.parse, text(body), of)).to_dicts()}


def markets(body):
    return {
        r["symbol"]: r
        for r in MARKETS.check(whole(FETCHER.markets.parse, text(body), ResponseContext(AT))).to_dicts()
    }


# --- history


def test_rows_name_their_coin_where_the_request_is_not_known():
    assert {r["symbol"] for r in history(DEX_HISTORY).to_dicts()} == {"xyz:XYZ100"}
    assert set(history(DEX_HISTORY)["asset_class"]) == {"index"}


def test_null_is_an_unknown_coin():
    with pytest.raises(BadPayload, match="unknown coin"):
        history(b"null")


def test_stamps_up_to_111_seconds_after_the_hour_belong_to_it():
    row = history([paid(time=1789142400000 + 110_963)]).row(0, named=True)
    assert row["reported_time"] - row["funding_time"] == timedelta(milliseconds=110_963)


@given(hour=st.integers(0, 30_000), jitter=st.integers(-60_000, 3_539_999))
def test_every_stamp_goes_to_the_nearest_hour_within_a_minute_else_to_the_hour_before(hour, jitter):
    grid = to_ms(datetime(2023, 6, 9, tzinfo=UTC)) + hour * HOUR_MS
    row = history([paid(time=grid + jitter)]).row(0, named=True)
    assert row["funding_time"] == from_ms(grid)


def test_history_is_requested_with_a_minute_before_the_window_and_up_to_its_end():
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
        history([early, paid(rate="0.00002", time=1789138800999, premium=None)])


@pytest.mark.parametrize(
    ("row", "problem"),
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
        (paid(coin="ETH"), "'ETH'"),
        (paid(time=1683853200048), "8-hour regime"),
        (paid(rate="0.33", time=1683849600048), "cap"),
        ({"coin": "BTC", "fundingRate": "0.1", "premium": "0.1"}, "time"),
        (None, "object"),
    ],
)
def test_a_row_that_is_not_as_described_spoils_the_answer(row, problem):
    with pytest.raises(BadPayload, match=problem):
        history([paid(), row], symbol_market("BTC"))


@pytest.mark.parametrize("figure", ["", "nan", "-Infinity", "1,5", "0x1", "1_0", " 1", "\u0663"])
def test_a_rate_that_is_no_plain_decimal_is_refused(figure):
    with pytest.raises(BadPayload, match="fundingRate"):
        history([paid(rate=figure)])
    with pytest.raises(BadPayload, match="funding"):
        current([CURRENT[0], [context(funding=figure), context(), DEAD]])


def test_the_cap_itself_is_a_rate_and_eight_of_it_in_the_old_regime():
    assert history([paid(rate="-0.04", premium="-0.4")])["funding_rate"].to_list() == [-0.04]
    assert history([paid(rate="0.32", time=1683849600048)])["funding_rate"].to_list() == [0.32]


# --- current


def test_a_collateral_without_a_name_gives_no_quote_and_no_dollars():
    body = copy.deepcopy(MAIN)
    body[0]["collateralToken"] = 99_999
    row = current(body)["BTC"]
    assert (row["quote"], row["open_interest_usd"], row["volume_24h_usd"]) == (None, None, None)
    assert row["open_interest"] == 100.0


def test_contexts_belong_by_position_so_one_too_many_or_too_few_is_refused():
    for change in (lambda c: c.append(context()), lambda c: c.pop()):
        body = copy.deepcopy(MAIN)
        change(body[1])
        with pytest.raises(BadPayload, match="position"):
            current(body)


def test_the_answer_of_another_dex_than_requested_is_refused():
    main, xyz = FETCHER.current.requests([symbol_market("xyz:AAPL")])
    assert main.json == {"type": "metaAndAssetCtxs"}
    assert xyz.json == {"type": "metaAndAssetCtxs", "dex": "xyz"}
    assert current(DEX, request=xyz)
    with pytest.raises(BadPayload, match="dex 'xyz'"):
        current(DEX, request=main)


def test_a_round_requests_the_main_dex_and_each_dex_with_a_living_market_once():
    dead = Market("hyperliquid", "abcd:X", "X", None, "crypto", status="delisted")
    known = [symbol_market(s) for s in ("BTC", "xyz:AAPL", "xyz:XYZ100", "hyna:BTC")]
    dexes = [r.json.get("dex") for r in FETCHER.current.requests([*known, dead])]
    assert dexes == [None, "hyna", "xyz"]
    assert [r.json for r in FETCHER.current.requests([])] == [{"type": "metaAndAssetCtxs"}]


def test_predicted_fundings_with_null_give_no_row_and_with_another_interval_are_refused():
    forecast = {"fundingRate": "0.0001", "nextFundingTime": 1759489200000, "fundingIntervalHours": 1}
    assert current([["BTC", [["BinPerp", forecast], ["HlPerp", None]]]]) == {}
    with pytest.raises(BadPayload, match="fundingIntervalHours"):
        current([["BTC", [["HlPerp", {**forecast, "fundingIntervalHours": 8}]]]])


def frame(coin="BTC", **change):
    return {"channel": "activeAssetCtx", "data": {"coin": coin, "ctx": context(**change)}}


def lines(*frames):
    return b"\n".join(map(text, frames))


def test_frames_of_one_coin_name_it_and_the_last_counts():
    pong, first, last = {"channel": "pong"}, frame(funding="0.00001"), frame(funding="0.00002")
    rows = current(lines(pong, first, last, frame("kPEPE"), frame("DEAD", premium=None)))
    assert {s: r["funding_rate"] for s, r in rows.items()} == {"BTC": 0.00002, "kPEPE": 0.0000125}


def test_positional_frames_need_markets_whose_positions_are_known():
    with pytest.raises(BadCall, match=r"positions 0\.\.2 of dex '' name no coin"):
        current(POSITIONS)


def known(*metas):
    rows = MARKETS.check(whole(FETCHER.markets.parse, text(list(metas)), ResponseContext(AT)))
    return {r["symbol"]: market_of(r) for r in rows.sort("base", "symbol").iter_rows(named=True)}


def test_positional_frames_are_named_by_the_positions_of_known_markets():
    dexes = known(
        universe(["BTC", "kPEPE", "MATIC"]),
        universe(["flx:TSLA", "flx:NVDA"], 360),
        universe(["xyz:XYZ100", "xyz:TSLA"]),
    )
    rows = current(POSITIONS, dexes)
    assert set(rows) == {
        "BTC",
        "kPEPE",
        "flx:TSLA",
        "flx:NVDA",
        "xyz:XYZ100",
        "xyz:TSLA",
    }  # premium null: delisted
    assert (rows["BTC"]["mark_price"], rows["BTC"]["funding_rate"]) == (77562.0, -0.0000015186)
    assert rows["kPEPE"]["mark_price"] == pytest.approx(0.003632 / 1000)
    assert (rows["flx:NVDA"]["funding_rate"], rows["flx:NVDA"]["quote"]) == (0.0002617097, "USDH")
    assert rows["xyz:TSLA"]["mark_price"] == 433.64
    with pytest.raises(BadPayload, match="it is cut"):
        current(POSITIONS, known(universe(["BTC", "kPEPE", "MATIC", "LATE"])) | dexes)


@pytest.mark.parametrize("body", [[[], []], {"channel": "l2Book", "data": {}}])
def test_empty_halves_and_frames_of_other_channels_are_refused(body):
    with pytest.raises(BadPayload):
        current(body)


# --- markets


def test_markets_come_from_meta_as_from_meta_with_contexts():
    assert markets(CURRENT[0]) == markets(CURRENT)


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


# --- refusals, recorded responses


def test_refusals_say_what_to_do():
    assert "Failed to deserialize" in str(FETCHER.refusal(422, b"Failed to deserialize the JSON body"))
    assert "case counts" in str(FETCHER.refusal(500, b"null"))


def test_the_recorded_responses_are_read(shared):
    def recorded(name):
        return (shared / "venues/payloads/hyperliquid" / name).read_bytes()

    raw = shared / "data/raw/hyperliquid"
    assert history(recorded("fundingHistory_BTC.json"))["funding_rate"].to_list() == [0.0000125] * 3
    assert history(recorded("fundingHistory_xyz_XYZ100.json"))["funding_rate"].to_list() == [0.00000625] * 2
    turn = history(recorded("fundingHistory_BTC_2023_8h_to_1h.json"))
    assert turn["interval_hours"].to_list() == [8.0] * 9 + [1.0] * 3
    assert set(current(recorded("metaAndAssetCtxs.json"))) == {"BTC", "ETH"}
    assert set(current(recorded("metaAndAssetCtxs_dex_xyz.json"))) == {"xyz:XYZ100", "xyz:AAPL"}
    for forecasts in (
        recorded("predictedFundings.json"),
        (raw / "predictedFundings_excerpt_2025-10-03.json").read_bytes(),
    ):
        rates = {s: r["funding_rate"] for s, r in current(forecasts).items()}
        assert rates == {"0G": -0.0001942593, "2Z": -0.0003093788}
    assert {s: r["quote"] for s, r in markets(recorded("allPerpMetas.json")).items()} == {
        "BTC": "USDC",
        "km:US500": "USDH",
        "hyna:BTC": "USDE",
    }
    with pytest.raises(BadPayload, match="finite"):  # placeholders, no figures
        current(recorded("ws_control.jsonl"))
    for name, coins in (
        (raw / "ws_allDexsAssetCtxs_2026-05.json", 412 - 78),  # premium null: delisted
        (shared / "venues/payloads/hyperliquid/ws_allDexsAssetCtxs.jsonl", 20 - 1),
    ):
        sizes = {dex: len(c) for dex, c in json.loads(name.read_bytes())["data"]["ctxs"]}
        dexes = known(
            *(universe([f"{d}:A{i}" if d else f"A{i}" for i in range(n)]) for d, n in sizes.items())
        )
        assert len(current(name.read_bytes(), dexes)) == coins
    for example in json.loads(recorded("errors.json")):
        assert FETCHER.refusal(example["http_status"], example["body_text"].encode()) is not None


def test_the_recorded_series_are_on_their_grids_and_fit_the_formula(shared):
    raw = shared / "data/raw/hyperliquid"
    rows = history((raw / "fundingHistory_BTC_2023-05-12_2023-07-17_no_endTime.json").read_bytes())
    assert rows.height == 1038
    old, new = rows.filter(pl.col("interval_hours") == 8), rows.filter(pl.col("interval_hours") == 1)
    assert (old.height, new.height) == (82, 956)
    assert old["funding_time"].max() == datetime(2023, 6, 8, tzinfo=UTC)
    assert new["funding_time"].min() == datetime(2023, 6, 8, 1, tzinfo=UTC)
    assert set(old["funding_time"].diff().drop_nulls().to_list()) == {timedelta(hours=8)}
    holes = new.filter(pl.col("funding_time").diff() > timedelta(hours=1))["funding_time"].to_list()
    assert datetime(2023, 7, 2, 21, tzinfo=UTC) in holes
    assert datetime(2023, 7, 2, 20, tzinfo=UTC) not in rows["funding_time"].to_list()

    rekeyed = (raw / "fundingHistory_BTC_2024-01_2025-12_rekeyed.json").read_bytes()
    with pytest.raises(BadPayload, match="fundingRate: is missing"):
        history(rekeyed)
    series = json.loads(rekeyed)
    found = history([row | {"fundingRate": row["funding_rate"]} for row in series])
    assert (found["reported_time"] - found["funding_time"]).max() == timedelta(milliseconds=110_963)
    assert found["funding_time"].n_unique() == found.height

    btc = pl.DataFrame(series).select(
        rate=pl.col("funding_rate").cast(pl.Float64), premium=pl.col("premium").cast(pl.Float64)
    )
    file = shared / "data/large/hyperliquid_fundingHistory_all_coins_2024-10-25_2024-11-24.parquet"
    coins = pl.read_parquet(file).select(rate="fundingRate", premium="premium").filter(pl.col("premium") != 0)
    for rates in (btc, coins):
        premium = pl.col("premium")
        due = (premium + (0.0001 - premium).clip(-0.0005, 0.0005)) / 8
        assert rates.select((pl.col("rate") - due.clip(-RATE_CAP, RATE_CAP)).abs().max()).item() < 1e-8


def test_responses_with_an_empty_name_are_refused():
    forecast = {"fundingRate": "0.0001", "nextFundingTime": 1759489200000, "fundingIntervalHours": 1}
    for body in ([["", [["HlPerp", forecast]]]], frame("")):
        with pytest.raises(BadPayload, match="coin: is empty"):
            current(body)
    with pytest.raises(BadPayload, match="coin: is empty"):
        history([paid(coin="")])


@pytest.mark.parametrize("rate", ["0.00125", "-0.0000125", "0.0001"])
def test_a_rate_that_does_not_follow_from_its_premium_refuses_the_response_with_both_figures(rate):
    good = paid("0.0000125", 1789138800047, premium="-0.0002987676")
    with pytest.raises(
        BadPayload, match=f"{rate} does not follow from the premium -0.0003603394.*0.0000125000"
    ):
        history([good, paid(rate, 1789142400047, premium="-0.0003603394")])


def test_on_the_dex_xyz_a_sixteenth_is_paid_and_the_clamp_is_narrower():
    # -0.0009 + 0.0003 = -0.0006, a sixteenth of it
    row = paid("-0.0000375", 1789142400047, "xyz:XYZ100", "-0.0009")
    assert history([row], symbol_market("xyz:XYZ100"))["funding_rate"].to_list() == [-0.0000375]
    with pytest.raises(BadPayload, match="does not follow"):
        history([row | {"fundingRate": "-0.00005"}], symbol_market("xyz:XYZ100"))


def test_a_dex_without_a_proven_formula_is_not_held_to_one():
    row = paid("0.002", 1789142400047, "flx:OIL", "-0.0009")
    assert history([row], symbol_market("flx:OIL"))["funding_rate"].to_list() == [0.002]
