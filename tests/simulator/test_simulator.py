"""The simulator: orders, caps, bounds, errors and limits as documented, shapes as recorded; over a real socket."""

import http.client
import json
import re
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fundingdb.errors import RateLimited
from fundingdb.fetchers.registry import fetcher
from fundingdb.simulator import Fault, Faults, Simulator, World, coingecko
from fundingdb.simulator.world import ms_of
from tests.simulated import ask, get, recorded, same_shape, shape

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
AGENT_SENT = {"user-agent": "fundingdb-tests"}


def post(simulator, body):
    return get(simulator, "hyperliquid", "/info", method="POST", body=body)


def funding(simulator, start, end, market="KAITO-USD"):
    return get(simulator, "extended", f"/info/{market}/funding", {"startTime": start, "endTime": end})["data"]


def fundings(simulator, start, end, market=33, *, count_back=0, resolution="1h"):
    params = {"market_id": market, "resolution": resolution, "start_timestamp": start, "end_timestamp": end}
    return get(simulator, "lighter", "/fundings", params | {"count_back": count_back})["fundings"]


@pytest.fixture(scope="module")
def world():
    return World(now=lambda: NOW)


@pytest.fixture(scope="module")
def simulator(world):
    with Simulator(world) as running:
        yield running


# --- shapes ---------------------------------------------------------------------------------------------------------


def extended_has_the_recorded_shapes(simulator, shared):
    same_shape(recorded(shared, "extended/info_markets.json"), get(simulator, "extended", "/info/markets"))
    same_shape(
        recorded(shared, "extended/info_market_stats.json"),
        get(simulator, "extended", "/info/markets/BTC-USD/stats"),
        more=(".data.deleverageLevels.shortPositions", ".data.deleverageLevels.longPositions"),
    )
    now = ms_of(NOW)
    rows = get(simulator, "extended", "/info/BTC-USD/funding", {"startTime": now - 10**7, "endTime": now})
    same_shape(recorded(shared, "extended/funding_BTC-USD.json"), rows)


def test_extended_statuses_types_and_stray_rows_are_as_recorded(simulator):
    rows = {row["name"]: row for row in get(simulator, "extended", "/info/markets")["data"]}
    assert {row["status"] for row in rows.values()} == {"ACTIVE", "REDUCE_ONLY", "DELISTED", "PRELISTED"}
    assert all(row["active"] for row in rows.values())
    assert rows["NOW_24_5-USD"]["status"] == "DELISTED"
    assert rows["NOW_24_5-USD"]["marketStats"]["fundingRate"] == "0.000005"
    assert rows["BTCSPOT-USD"]["type"] == "SPOT"
    assert rows["BTCSPOT-USD"]["marketStats"]["nextFundingRate"] == 0
    assert rows["1000PEPE-USD"]["uiName"] == "kPEPE-USD"
    assert rows["BTC-USD"]["marketStats"]["nextFundingRate"] == ms_of(datetime(2026, 11, 20, 13, tzinfo=UTC))
    assert rows["BTC-USD"]["tradingConfig"]["hourlyFundingRateCap"] == "0.25"


def test_extended_filters_markets_by_repeated_parameters(simulator):
    rows = get(simulator, "extended", "/info/markets", [("market", "ETH-USD"), ("market", "BTC-USD")])["data"]
    assert [row["name"] for row in rows] == ["BTC-USD", "ETH-USD"]
    assert ask(simulator, "extended", "/info/markets", [("market", "NOPE-USD")])[0] == 404


def lighter_has_the_recorded_shapes(simulator, shared):
    details = get(simulator, "lighter", "/orderBookDetails", {"filter": "perp"})
    full = recorded(shared, "lighter/orderBookDetails_full_ETH.json")
    row = ".order_book_details[]"
    newer = (
        "mark_price",
        "index_price",
        "funding_clamp_small",
        "funding_clamp_big",
        "base_interest_rate",
        "created_at",
    )
    same_shape(full, details, more=[f"{row}.{key}" for key in newer])
    trimmed = recorded(shared, "lighter/orderBookDetails.json")
    assert set(shape(trimmed)) <= set(shape(details))
    assert shape(trimmed)[f"{row}.mark_price"] == shape(details)[f"{row}.mark_price"]
    perps = get(simulator, "lighter", "/orderBooks", {"filter": "perp"})
    same_shape(recorded(shared, "lighter/orderBooks.json"), perps)
    same_shape(recorded(shared, "lighter/funding-rates.json"), get(simulator, "lighter", "/funding-rates"))
    now = int(NOW.timestamp())
    params = {"market_id": 0, "resolution": "1h", "start_timestamp": now - 86_400, "end_timestamp": now}
    rows = get(simulator, "lighter", "/fundings", params | {"count_back": 0})
    same_shape(recorded(shared, "lighter/fundings_ETH_1h_short.json"), rows)


def test_lighter_lists_inactive_and_spot_markets(simulator):
    body = get(simulator, "lighter", "/orderBookDetails")
    states = {row["symbol"]: row["status"] for row in body["order_book_details"]}
    assert states["PIPPIN"] == "inactive"
    assert states["1000PEPE"] == states["KAITO"] == "active"
    assert [row["market_type"] for row in body["spot_order_book_details"]] == ["spot"]
    assert [
        r["symbol"]
        for r in get(simulator, "lighter", "/orderBookDetails", {"market_id": 33})["order_book_details"]
    ] == ["KAITO"]


def hyperliquid_has_the_recorded_shapes(simulator, shared):
    margins = ("[].marginTables[]", "[].marginTables[][]")
    tables = [f"{margins[1]}.{key}" for key in ("description", "marginTiers")]
    tiers = [f"{margins[1]}.marginTiers[].{key}" for key in ("lowerBound", "maxLeverage")]
    same_shape(
        recorded(shared, "hyperliquid/metaAndAssetCtxs.json"), post(simulator, {"type": "metaAndAssetCtxs"})
    )
    same_shape(
        recorded(shared, "hyperliquid/metaAndAssetCtxs_dex_xyz.json"),
        post(simulator, {"type": "metaAndAssetCtxs", "dex": "xyz"}),
    )
    same_shape(recorded(shared, "hyperliquid/perpDexs.json"), post(simulator, {"type": "perpDexs"}))
    universe = [
        f"[].universe[].{key}"
        for key in ("marginTableId", "isDelisted", "lastFeeScaleChangeTime", "deployerFeeScale")
    ]
    same_shape(
        recorded(shared, "hyperliquid/allPerpMetas.json"),
        post(simulator, {"type": "allPerpMetas"}),
        more=[*margins, *tables, *tiers, *universe],
    )
    same_shape(
        recorded(shared, "hyperliquid/predictedFundings.json"), post(simulator, {"type": "predictedFundings"})
    )
    since = ms_of(datetime(2023, 5, 12, tzinfo=UTC))
    rows = post(simulator, {"type": "fundingHistory", "coin": "BTC", "startTime": since})
    same_shape(recorded(shared, "hyperliquid/fundingHistory_BTC_2023_8h_to_1h.json"), rows)


def test_hyperliquid_contexts_are_at_the_position_of_their_market(simulator, world):
    meta, contexts = post(simulator, {"type": "metaAndAssetCtxs"})
    assert len(meta["universe"]) == len(contexts)
    dead = [c for m, c in zip(meta["universe"], contexts, strict=True) if m.get("isDelisted")]
    assert [c["premium"] for c in dead] == [None]
    truth = world.current("hyperliquid")
    for market, context in zip(meta["universe"], contexts, strict=True):
        if not market.get("isDelisted"):
            (rate,) = truth.filter(pl.col("symbol") == market["name"])["funding_rate"]
            assert float(context["funding"]) == rate


def test_hyperliquid_names_collateral_by_token_index(simulator):
    tokens = {t["index"]: t["name"] for t in post(simulator, {"type": "spotMeta"})["tokens"]}
    metas = post(simulator, {"type": "allPerpMetas"})
    assert [tokens[m["collateralToken"]] for m in metas] == ["USDC", "USDC", "USDH", "USDE"]
    assert post(simulator, {"type": "meta", "dex": "flx"}) == metas[2]


def test_hyperliquid_applies_the_multiplier_of_a_builder_dex_once(simulator, world):
    rates = world.settled("hyperliquid", "xyz:MU", NOW - 90 * 24 * HOUR, NOW)["funding_rate"]
    assert rates.mode().to_list() == [0.00000625]
    assert set(world.settled("hyperliquid", "flx:COIN", NOW - 48 * HOUR, NOW)["funding_rate"]) == {0.0}


def coingecko_has_the_recorded_shapes(simulator, shared):
    same_shape(
        recorded(shared, "coingecko/derivatives.json"),
        get(simulator, "coingecko", "/derivatives"),
        free=("[].expired_at",),
    )
    tickers = "/derivatives/exchanges/binance_futures"
    same_shape(
        recorded(shared, "coingecko/derivatives_exchanges_binance_futures_tickers.json"),
        get(simulator, "coingecko", tickers, {"include_tickers": "unexpired"}),
        free=(".tickers[].expired_at",),
    )
    listed = get(simulator, "coingecko", "/derivatives/exchanges/list")
    same_shape(recorded(shared, "coingecko/derivatives_exchanges_list.json"), listed)


def test_responses_have_the_recorded_shapes(simulator, shared):
    extended_has_the_recorded_shapes(simulator, shared)
    lighter_has_the_recorded_shapes(simulator, shared)
    hyperliquid_has_the_recorded_shapes(simulator, shared)
    coingecko_has_the_recorded_shapes(simulator, shared)


def test_figures_have_the_decimals_of_their_exchange(simulator):
    now = ms_of(NOW)
    assert re.fullmatch(r"0\.0000\d\d", funding(simulator, now - 10**7, now, "BTC-USD")[0]["f"])
    rows = fundings(simulator, now // 1000 - 86_400, now // 1000, 0)
    assert all(re.fullmatch(r"\d\.\d{4}", row["rate"]) for row in rows)
    assert all(re.fullmatch(r"\d\.\d{8}", row["value"]) for row in rows)


def test_coingecko_lists_exchanges_and_shows_tickers_on_request_alone(simulator):
    assert {"id": "hyperliquid", "name": "Hyperliquid (Futures)"} in get(
        simulator, "coingecko", "/derivatives/exchanges/list"
    )
    assert "tickers" not in get(simulator, "coingecko", "/derivatives/exchanges/binance_futures")


def test_coingecko_rounds_to_six_decimals_of_a_percent_in_one_place_and_three_in_the_other(simulator, world):
    fine = {
        row["symbol"]: row
        for row in get(simulator, "coingecko", "/derivatives")
        if row["market"] == "Extended"
    }
    params = {"include_tickers": "unexpired"}
    coarse = get(simulator, "coingecko", "/derivatives/exchanges/extended", params)["tickers"]
    truth = {
        r["symbol"]: r
        for r in coingecko.shown(world).filter(pl.col("exchange") == "extended").iter_rows(named=True)
    }
    assert {row["symbol"] for row in coarse} == set(fine) == set(truth)
    estimates = dict(world.current("extended").select("symbol", "funding_rate").rows())
    for row in coarse:
        symbol, exact = row["symbol"], estimates[row["symbol"]] * 100
        if row["funding_rate"] is None:
            assert truth[symbol]["funding_rate"] is None
            continue
        assert fine[symbol]["funding_rate"] == pytest.approx(exact, abs=5e-7)
        assert row["funding_rate"] == round(exact, 3)
        assert truth[symbol]["funding_rate_coarse"] == pytest.approx(row["funding_rate"] / 100, rel=1e-12)


def test_coingecko_has_null_rates_dated_futures_stale_rows_and_strangers(simulator):
    rows = get(simulator, "coingecko", "/derivatives")
    now = int(NOW.timestamp())
    perpetuals = [row for row in rows if row["contract_type"] == "perpetual"]
    assert any(row["funding_rate"] is None for row in perpetuals)
    assert [row["symbol"] for row in rows if row["expired_at"]] == ["BTCUSDT_261225"]
    assert any(now - row["last_traded_at"] > 2 * 3600 for row in perpetuals)
    assert {"Deepcoin (Derivatives)", "BYDFi (Futures)"} < {row["market"] for row in rows}
    everything = get(
        simulator, "coingecko", "/derivatives/exchanges/binance_futures", {"include_tickers": "all"}
    )
    assert "BTCUSDT_261119" in {t["symbol"] for t in everything["tickers"]}


def test_coingecko_pages_exchanges_by_open_interest(simulator):
    rows = get(simulator, "coingecko", "/derivatives/exchanges")
    assert [r["open_interest_btc"] for r in rows] == sorted(
        (r["open_interest_btc"] for r in rows), reverse=True
    )
    assert get(simulator, "coingecko", "/derivatives/exchanges", {"per_page": 2, "page": 2}) == rows[2:4]


# --- orders, caps, bounds --------------------------------------------------------------------------------------------


def test_extended_gives_the_newest_thousand_first_and_says_nothing(simulator):
    rows = funding(simulator, 0, ms_of(NOW))
    stamps = [row["T"] for row in rows]
    assert len(rows) == 1000
    assert stamps == sorted(stamps, reverse=True)
    assert stamps[0] // 3_600_000 == ms_of(NOW) // 3_600_000
    assert all(800 <= stamp % 3_600_000 <= 1700 for stamp in stamps)


def test_extended_bounds_are_inclusive_milliseconds(simulator):
    newest, *_, oldest = funding(simulator, ms_of(NOW - 5 * HOUR), ms_of(NOW))
    between = funding(simulator, oldest["T"], newest["T"])
    assert (between[0], between[-1]) == (newest, oldest)
    assert len(funding(simulator, oldest["T"] + 1, newest["T"] - 1)) == len(between) - 2
    assert funding(simulator, int(NOW.timestamp()) - 86_400, int(NOW.timestamp())) == []


def test_lighter_gives_the_newest_749_ascending_and_says_nothing(simulator):
    rows = fundings(simulator, 0, int(NOW.timestamp()))
    stamps = [row["timestamp"] for row in rows]
    assert len(rows) == 749
    assert stamps == sorted(stamps)
    assert stamps[-1] == int(NOW.timestamp()) // 3600 * 3600
    assert all(stamp % 3600 == 0 for stamp in stamps)


def test_lighter_bounds_are_exclusive_in_seconds_or_milliseconds(simulator):
    noon = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())
    assert [r["timestamp"] for r in fundings(simulator, noon - 7200, noon)] == [noon - 3600]
    assert fundings(simulator, (noon - 7200) * 1000, noon * 1000) == fundings(simulator, noon - 7200, noon)
    assert len(fundings(simulator, noon - 7201, noon + 1)) == 3


def test_lighter_count_back_is_a_minimum_that_reaches_before_the_start(simulator):
    noon = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())
    rows = fundings(simulator, noon - 7200, noon, count_back=10)
    assert [r["timestamp"] for r in rows] == [noon - 3600 * back for back in range(10, 0, -1)]
    assert len(fundings(simulator, noon - 86_400, noon, count_back=10)) == 23


def test_lighter_value_over_rate_is_the_price_on_its_tick(simulator, world):
    for symbol, market in (("ETH", 0), ("BTC", 1), ("KAITO", 33), ("1000PEPE", 4)):
        listing = world.listing("lighter", symbol)
        for row in fundings(simulator, int(NOW.timestamp()) - 90_000, int(NOW.timestamp()), market):
            if float(row["rate"]):
                price = float(row["value"]) / (float(row["rate"]) / 100)
                assert price == pytest.approx(round(price, listing.decimals), rel=1e-9)
                assert price == pytest.approx(listing.price * listing.multiplier, rel=0.06)


def test_lighter_daily_rows_are_another_aggregation(simulator):
    noon = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
    rows = fundings(simulator, noon - 3 * 86_400 - 1, noon, resolution="1d")
    assert [r["timestamp"] % 86_400 for r in rows] == [0, 0, 0]


def test_lighter_scales_every_current_rate_to_eight_hours_and_lists_other_exchanges(simulator, world):
    rows = get(simulator, "lighter", "/funding-rates")["funding_rates"]
    assert {row["exchange"] for row in rows} == {"lighter", "binance", "bybit", "hyperliquid"}
    truth = dict(world.current("lighter").select("symbol", "funding_rate").rows())
    mine = {row["symbol"]: row["rate"] for row in rows if row["exchange"] == "lighter"}
    assert mine == pytest.approx({symbol: rate * 8 for symbol, rate in truth.items()})


def test_hyperliquid_gives_the_oldest_five_hundred_and_says_nothing(simulator):
    start = ms_of(datetime(2026, 1, 1, tzinfo=UTC))
    rows = post(simulator, {"type": "fundingHistory", "coin": "kPEPE", "startTime": start})
    stamps = [row["time"] for row in rows]
    assert len(rows) == 500
    assert stamps == sorted(stamps)
    assert start <= stamps[0] < start + 2 * 3_600_000
    assert sum(stamp % 3_600_000 < 500 for stamp in stamps) > 480


def test_hyperliquid_bounds_are_inclusive_milliseconds_and_end_defaults_to_now(simulator):
    ask_for = {"type": "fundingHistory", "coin": "ETH", "startTime": ms_of(NOW - 6 * HOUR)}
    rows = post(simulator, ask_for)
    exact = post(simulator, ask_for | {"startTime": rows[0]["time"], "endTime": rows[-1]["time"]})
    assert exact == rows
    less = post(simulator, ask_for | {"startTime": rows[0]["time"] + 1, "endTime": rows[-1]["time"] - 1})
    assert less == rows[1:-1]
    assert post(simulator, ask_for | {"startTime": ms_of(NOW + 24 * HOUR)}) == []


def test_hyperliquid_pays_every_eight_hours_until_june_2023_and_hourly_after(simulator, world):
    start = datetime(2023, 5, 12, tzinfo=UTC)
    rows = post(simulator, {"type": "fundingHistory", "coin": "BTC", "startTime": ms_of(start)})
    grid = [
        datetime.fromtimestamp(r["time"] / 1000, UTC).replace(minute=0, second=0, microsecond=0) for r in rows
    ]
    change = datetime(2023, 6, 8, tzinfo=UTC)
    assert {at.hour for at in grid if at <= change} == {0, 8, 16}
    assert change + HOUR in grid
    truth = world.settled("hyperliquid", "BTC", start, grid[-1] + HOUR)
    assert truth["funding_time"].to_list() == grid
    assert truth["funding_rate"].to_list() == [float(r["fundingRate"]) for r in rows]
    eight = truth.filter(pl.col("funding_time") <= change)
    assert set(eight["interval_hours"]) == {8.0}
    assert set(truth.filter(pl.col("funding_time") > change)["interval_hours"]) == {1.0}
    assert eight["funding_rate"].mode().to_list() == [0.0001]


# --- the world -------------------------------------------------------------------------------------------------------


def test_what_the_exchanges_answer_is_what_the_world_says_was_settled(simulator, world):
    start, stop = NOW - 700 * HOUR, NOW
    day = start.replace(minute=0)
    for row, frame in (
        (
            [float(r["f"]) for r in funding(simulator, ms_of(start), ms_of(stop))][::-1],
            ("extended", "KAITO-USD"),
        ),
        (
            [
                (1 if r["direction"] == "long" else -1) * int(r["rate"].replace(".", "")) / 10**6
                for r in fundings(simulator, int(start.timestamp()), int(stop.timestamp()))
            ],
            ("lighter", "KAITO"),
        ),
    ):
        truth = world.settled(*frame, day + HOUR, stop)
        assert truth["funding_rate"].to_list() == row
        assert truth["funding_time"].is_sorted()
        assert truth.schema == {
            "symbol": pl.String(),
            "funding_time": pl.Datetime("us", "UTC"),
            "interval_hours": pl.Float64(),
            "funding_rate": pl.Float64(),
        }


def test_the_base_rate_stands_where_each_exchange_publishes_it():
    quiet = World(now=lambda: NOW)
    span = (NOW - 120 * 24 * HOUR, NOW)
    extended = quiet.settled("extended", "ETH-USD", *span)["funding_rate"].value_counts(sort=True)
    assert set(extended["funding_rate"][:2]) == {0.000012, 0.000013}
    assert quiet.settled("lighter", "ETH", *span)["funding_rate"].mode().to_list() == [0.000012]
    assert quiet.settled("hyperliquid", "ETH", *span)["funding_rate"].mode().to_list() == [0.0000125]


def test_rates_have_both_signs_lasting_spreads_and_stay_within_the_caps(world):
    span = (NOW - 60 * 24 * HOUR, NOW)
    spreads = []
    for token in ("KAITO", "IP", "GRASS", "ZEC", "APT", "SUI", "TRUMP", "LDO", "OP", "SEI"):
        a = world.settled("extended", f"{token}-USD", *span)["funding_rate"]
        b = world.settled("lighter", token, *span)["funding_rate"]
        c = world.settled("hyperliquid", token, *span)["funding_rate"]
        means = [a.mean(), b.mean(), c.mean()]
        spreads.append(max(means) - min(means))
        assert a.abs().max() <= 0.01
        assert b.abs().max() <= 0.005
    assert max(spreads) * 8760 > 0.1
    every = pl.concat([world.settled("hyperliquid", s, *span) for s in world.symbols("hyperliquid")])
    assert (every["funding_rate"] < 0).any()
    assert (every["funding_rate"] > 0.0000125).any()


def test_one_seed_is_one_world_and_another_is_another():
    span = (NOW - 48 * HOUR, NOW)
    one, again, other = (World(seed, now=lambda: NOW) for seed in (1, 1, 2))
    assert one.settled("extended", "IP-USD", *span).equals(again.settled("extended", "IP-USD", *span))
    assert not one.settled("extended", "IP-USD", *span).equals(other.settled("extended", "IP-USD", *span))


def test_settlements_appear_as_time_passes():
    world = World(now=lambda: NOW)
    with Simulator(world) as simulator:
        before = funding(simulator, ms_of(NOW - 3 * HOUR), ms_of(NOW + 9 * HOUR))
        world.now = lambda: NOW + 2 * HOUR
        after = funding(simulator, ms_of(NOW - 3 * HOUR), ms_of(NOW + 9 * HOUR))
        world.now = lambda: datetime(2026, 11, 20, 15, 0, 0, 500_000, tzinfo=UTC)
        early = funding(simulator, ms_of(NOW - 3 * HOUR), ms_of(NOW + 9 * HOUR))
    assert after[2:] == before
    assert early == after, "15:00 is published 0.8 s later at the earliest"
    assert world.settled("extended", "KAITO-USD", NOW, NOW + 9 * HOUR).height == 2


def test_a_world_begins_and_ends_where_it_is_told():
    start, stop = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)
    world = World(start=start, stop=stop, tokens=("SUI", "NEWCOIN"), now=lambda: NOW)
    times = world.settled("lighter", "NEWCOIN", start - 24 * HOUR, stop + 24 * HOUR)["funding_time"]
    assert (times.min(), times.max(), len(times)) == (start, stop - HOUR, 24)
    assert "BTC-USD" not in world.symbols("extended")


def test_a_lost_hour_is_in_no_answer_and_not_in_the_truth():
    world = World(now=lambda: NOW, missing_one_in=0)
    lost = datetime(2026, 11, 19, 5, tzinfo=UTC)
    whole = world.settled("hyperliquid", "OP", lost - HOUR, lost + 2 * HOUR)["funding_time"].to_list()
    world.drop("hyperliquid", "OP", lost)
    assert whole == [lost - HOUR, lost, lost + HOUR]
    assert world.settled("hyperliquid", "OP", lost - HOUR, lost + 2 * HOUR)["funding_time"].to_list() == [
        whole[0],
        whole[2],
    ]
    with Simulator(world) as simulator:
        start, end = ms_of(lost - HOUR), ms_of(lost + HOUR) + 999_999
        rows = post(simulator, {"type": "fundingHistory", "coin": "OP", "startTime": start, "endTime": end})
    assert len(rows) == 2


def test_hyperliquid_loses_an_hour_now_and_then_and_some_blocks_come_minutes_late():
    world = World(now=lambda: NOW)
    listing = world.listing("hyperliquid", "BTC")
    payments = world.payments(listing, 0, ms_of(NOW))
    hourly = [p for p in payments if p.hour >= 468_385]
    lost = hourly[-1].hour - hourly[0].hour + 1 - len(hourly)
    late = [p for p in payments if p.stamp % 3_600_000 > 60_000]
    assert 0 < lost < 60
    assert 0 < len(late) < 40


def test_a_restated_hour_changes_the_answer_and_the_truth():
    world = World(now=lambda: NOW)
    at = datetime(2026, 11, 19, 5, tzinfo=UTC)
    with Simulator(world) as simulator:
        (before,) = funding(simulator, ms_of(at), ms_of(at + HOUR) - 1, "ZEC-USD")
        new = world.restate("extended", "ZEC-USD", at)
        (after,) = funding(simulator, ms_of(at), ms_of(at + HOUR) - 1, "ZEC-USD")
    assert float(after["f"]) == new == pytest.approx(float(before["f"]) + 0.000025)
    assert after["T"] == before["T"]
    assert world.settled("extended", "ZEC-USD", at, at + HOUR)["funding_rate"].to_list() == [new]
    assert world.restate("extended", "ZEC-USD", at, -0.0001) == -0.0001
    with pytest.raises(LookupError, match="pays nothing"):
        world.restate("extended", "ZEC-USD", datetime(2020, 1, 1, tzinfo=UTC))


def test_a_schedule_of_intervals_shows_in_answers_and_truth():
    change = datetime(2026, 11, 10, tzinfo=UTC)
    schedule = {("hyperliquid", "LDO"): ((datetime(2026, 1, 1, tzinfo=UTC), 8), (change + HOUR, 1))}
    world = World(now=lambda: NOW, intervals=schedule, missing_one_in=0)
    frame = world.settled("hyperliquid", "LDO", change - 24 * HOUR, change + 4 * HOUR)
    assert frame["interval_hours"].to_list() == [8.0] * 4 + [1.0] * 3
    with Simulator(world) as simulator:
        params = {"type": "fundingHistory", "coin": "LDO", "startTime": ms_of(change - 24 * HOUR)}
        rows = post(simulator, params | {"endTime": ms_of(change + 4 * HOUR) - 1})
    assert [float(r["fundingRate"]) for r in rows] == frame["funding_rate"].to_list()


def test_a_delisted_market_ends_on_each_exchange():
    world = World(now=lambda: NOW)
    gone = datetime(2026, 11, 20, 14, tzinfo=UTC)
    for exchange, symbol in (("extended", "SEI-USD"), ("lighter", "SEI"), ("hyperliquid", "SEI")):
        world.delist(exchange, symbol, gone)
    with Simulator(world) as simulator:

        def states():
            books = get(simulator, "lighter", "/orderBookDetails")["order_book_details"]
            universe = post(simulator, {"type": "meta"})["universe"]
            return (
                get(simulator, "extended", "/info/markets", [("market", "SEI-USD")])["data"][0]["status"],
                next(row["status"] for row in books if row["symbol"] == "SEI"),
                next(row.get("isDelisted") for row in universe if row["name"] == "SEI"),
            )

        assert states() == ("ACTIVE", "active", None)
        world.now = lambda: gone + 5 * HOUR
        assert states() == ("DELISTED", "inactive", True)
        last = funding(simulator, ms_of(NOW), ms_of(gone + 9 * HOUR), "SEI-USD")[0]["T"]
    assert last // 3_600_000 * 3_600_000 == ms_of(gone)
    assert "SEI" not in world.current("lighter")["symbol"]
    assert "SEI" in world.symbols("lighter")


# --- errors ----------------------------------------------------------------------------------------------------------


def test_extended_errors_are_as_described(simulator):
    status, _, body = ask(simulator, "extended", "/info/NOPE-USD/funding", {"startTime": 0, "endTime": 1})
    missing = {"status": "ERROR", "error": {"code": "NOT_FOUND", "message": "Market not found"}}
    assert (status, json.loads(body)) == (404, missing)
    status, _, body = ask(simulator, "extended", "/info/BTC-USD/funding", {"startTime": 0})
    assert (status, json.loads(body)["error"]["code"]) == (400, 1006)
    zeros = get(simulator, "extended", "/info/markets/NOPE-USD/stats")["data"]
    assert {float(v) for k, v in zeros.items() if k != "deleverageLevels"} == {0.0}
    status, headers, _ = ask(simulator, "extended", "/info/markets", headers={})
    assert (status, headers["Content-Type"]) == (403, "text/html")
    assert ask(simulator, "extended", "/nothing")[::2] == (404, b"")


def test_lighter_errors_are_as_described(simulator):
    status, _, body = ask(simulator, "lighter", "/fundings", {"market_id": 0})
    assert (status, json.loads(body)) == (400, {"code": 20001, "message": "invalid param"})
    params = {
        "market_id": 1999,
        "resolution": "1h",
        "start_timestamp": 1,
        "end_timestamp": 2,
        "count_back": 0,
    }
    status, _, body = ask(simulator, "lighter", "/fundings", params)
    assert (status, json.loads(body)["code"]) == (400, 21100)
    assert ask(simulator, "lighter", "/fundings", params | {"market_id": 0, "resolution": "2h"})[0] == 400
    assert ask(simulator, "lighter", "/nothing")[0] == 403
    future = int(NOW.timestamp()) + 86_400
    assert fundings(simulator, future, future + 3600) == []


def test_hyperliquid_errors_are_as_described(simulator):
    unread = "Failed to deserialize the JSON body into the target type"
    for body in ({"type": "fundinghistory"}, {"type": "fundingHistory", "coin": "BTC"}, {}, []):
        status, headers, text = ask(simulator, "hyperliquid", "/info", method="POST", body=body)
        assert (status, text.decode()) == (422, unread)
        assert headers["Content-Type"].startswith("text/plain")
    for coin in ("KPEPE", "NOPE", "@1"):
        body = {"type": "fundingHistory", "coin": coin, "startTime": 0}
        assert ask(simulator, "hyperliquid", "/info", method="POST", body=body)[::2] == (500, b"null")
    assert ask(simulator, "hyperliquid", "/info")[0] == 405


def test_coingecko_errors_are_as_described(simulator):
    status, _, body = ask(simulator, "coingecko", "/derivatives/exchanges/nope")
    assert (status, list(json.loads(body))) == (404, ["error"])
    status, _, body = ask(simulator, "coingecko", "/derivatives", headers={"x-cg-pro-api-key": "CG-x"})
    assert (status, json.loads(body)["error_code"]) == (400, 10010)


def test_coingeckos_paid_host_wants_its_own_key(simulator):
    status, _, body = ask(simulator, "coingecko", "/pro/derivatives", headers={"x-cg-demo-api-key": "CG-x"})
    assert (status, json.loads(body)["error_code"]) == (400, 10011)
    status, _, body = ask(simulator, "coingecko", "/pro/derivatives")
    assert (status, json.loads(body)["status"]["error_code"]) == (401, 10002)
    status, _, body = ask(simulator, "coingecko", "/pro/derivatives", headers={"x-cg-pro-api-key": "CG-x"})
    assert status == 200
    assert json.loads(body)


def test_lighters_firewall_answers_405_where_there_were_too_many_requests():
    with Simulator(World(), Faults(Fault("html-405", "lighter", on=frozenset({1})))) as simulator:
        answers = [ask(simulator, "lighter", "/orderBooks") for _ in range(2)]
    assert [status for status, _, _ in answers] == [405, 200]
    refused = fetcher("lighter").refusal(405, answers[0][2])
    assert isinstance(refused, RateLimited)


# --- limits ----------------------------------------------------------------------------------------------------------


def filled(simulator, target, times, method="GET", body=b""):
    """The statuses of so many requests, without the socket: a loaded machine must not outlast the window."""
    return [simulator.serve(method, target, AGENT_SENT, body)[0].status for _ in range(times)]


def test_lighter_and_coingecko_limits_answer_as_recorded_and_open_again():
    with Simulator(World(now=lambda: NOW), limits=True, scale=60) as simulator:
        assert filled(simulator, "/lighter/api/v1/orderBooks?market_id=1", 61) == [200] * 60 + [429]
        status, headers, body = ask(simulator, "lighter", "/orderBooks")
        assert (status, json.loads(body)) == (429, {"code": 23000, "message": "Too Many Requests!"})
        assert "Retry-After" not in headers
        assert filled(simulator, "/coingecko/api/v3/derivatives/exchanges/list", 31) == [200] * 30 + [429]
        status, headers, body = ask(simulator, "coingecko", "/derivatives/exchanges/list")
        limited = json.loads(body)["status"]
        assert (status, limited["error_code"]) == (429, 429)
        assert limited["error_message"].startswith("You've exceeded the Rate Limit. Please visit https://")
        assert headers["Retry-After"] == "1"
        time.sleep(1.05)
        assert ask(simulator, "lighter", "/orderBooks")[0] == 200
        assert simulator.count("lighter", 429) == 2


def test_hyperliquid_counts_weights_and_one_more_per_twenty_rows():
    with Simulator(World(now=lambda: NOW), limits=True) as simulator:
        full = {"type": "fundingHistory", "coin": "BTC", "startTime": ms_of(NOW - 5000 * HOUR)}
        statuses = filled(simulator, "/hyperliquid/info", 28, "POST", json.dumps(full).encode())
        assert statuses == [200] * 27 + [
            429
        ]  # 26 full pages of 45 are 1,170; the 27th still starts below 1,200
        assert {r.weight for r in simulator.requests if r.status == 200} == {45.0}
        assert ask(simulator, "hyperliquid", "/info", method="POST", body=full)[::2] == (429, b"null")


def test_extended_allows_a_thousand_a_minute():
    with Simulator(World(now=lambda: NOW), limits=True) as simulator:
        target = "/extended/api/v1/info/X/funding?startTime=1&endTime=2"
        assert filled(simulator, target, 1001) == [404] * 1000 + [429]


# --- faults ----------------------------------------------------------------------------------------------------------

BOOKS = "/orderBooks"


def struck(*faults, **more):
    return Simulator(World(now=lambda: NOW), Faults(*faults, **more))


def test_fault_429_with_and_without_retry_after():
    with struck(
        Fault("429", "lighter", on=frozenset({1}), value=3), Fault("429-silent", every=2)
    ) as simulator:
        first, second, third = (ask(simulator, "lighter", BOOKS) for _ in range(3))
    assert (first[0], first[1]["Retry-After"]) == (429, "3")
    assert (second[0], "Retry-After" in second[1]) == (429, False)
    assert third[0] == 200
    assert simulator.faults.hit == {"429": 1, "429-silent": 1}


def test_fault_5xx_is_html():
    with struck(Fault("5xx", on=frozenset({1})), Fault("5xx", on=frozenset({2}), value=500)) as simulator:
        first, second, third = (ask(simulator, "extended", "/info/markets") for _ in range(3))
    assert (first[0], second[0], third[0]) == (502, 500, 200)
    assert first[2].startswith(b"<html>")


def test_fault_hang_gives_nothing_or_a_late_answer():
    with struck(
        Fault("hang", "lighter", on=frozenset({1})), Fault("hang", "lighter", on=frozenset({2}), value=0.3)
    ) as simulator:
        with pytest.raises(TimeoutError):
            ask(simulator, "lighter", BOOKS, timeout=0.2)
        begin = time.monotonic()
        assert ask(simulator, "lighter", BOOKS)[0] == 200
        assert time.monotonic() - begin >= 0.3
        assert [r.status for r in simulator.requests] == [0, 200]


def test_fault_cut_ends_the_connection_in_the_middle():
    with struck(Fault("cut", "lighter", on=frozenset({1}))) as simulator:
        with pytest.raises(http.client.IncompleteRead):
            ask(simulator, "lighter", BOOKS)
        assert ask(simulator, "lighter", BOOKS)[0] == 200


def test_fault_truncated_has_half_the_json_and_a_right_length():
    with struck(Fault("truncated", "lighter", on=frozenset({1}))) as simulator:
        status, headers, body = ask(simulator, "lighter", BOOKS)
        whole = ask(simulator, "lighter", BOOKS)[2]
    assert (status, int(headers["Content-Length"])) == (200, len(body))
    assert whole.startswith(body)
    assert len(body) == len(whole) // 2


@pytest.mark.parametrize("status", [200, 403])
def test_fault_html(status):
    with struck(Fault(f"html-{status}", path="/orderBookDetails")) as simulator:
        answer = ask(simulator, "lighter", "/orderBookDetails")
        assert answer[0] == status
        assert answer[2].startswith(b"<html>")
        assert ask(simulator, "lighter", BOOKS)[1]["Content-Type"] == "application/json"


def test_faults_in_rows_keep_the_set_of_rows(simulator):
    span = (ms_of(NOW - 40 * HOUR), ms_of(NOW))
    plain = funding(simulator, *span)
    with struck(Fault("duplicates", on=frozenset({1})), Fault("shuffled", on=frozenset({2}))) as faulty:
        twice, mixed = funding(faulty, *span), funding(faulty, *span)
    assert len(twice) > len(plain)
    assert {r["T"] for r in twice} == {r["T"] for r in plain}
    assert mixed != plain
    assert sorted(mixed, key=lambda r: -r["T"]) == plain


def test_fault_cap_keeps_the_end_that_the_exchange_keeps():
    with struck(Fault("cap", value=10)) as simulator:
        newest = funding(simulator, ms_of(NOW - 99 * HOUR), ms_of(NOW))
        late = fundings(simulator, int(NOW.timestamp()) - 99 * 3600, int(NOW.timestamp()))
        oldest = post(
            simulator, {"type": "fundingHistory", "coin": "BTC", "startTime": ms_of(NOW - 99 * HOUR)}
        )
    assert len(newest) == len(late) == len(oldest) == 10
    assert newest[0]["T"] // 3_600_000 * 3600 == late[-1]["timestamp"] == ms_of(NOW) // 3_600_000 * 3600
    assert oldest[0]["time"] < ms_of(NOW - 97 * HOUR)


def test_fault_late_moves_stamps_and_publication():
    with struck(Fault("late", value=20)) as simulator:
        stamps = [r["T"] for r in funding(simulator, ms_of(NOW - 5 * HOUR), ms_of(NOW))]
        simulator.world.now = lambda: datetime(2026, 11, 20, 13, 0, 15, tzinfo=UTC)
        same = [r["T"] for r in funding(simulator, ms_of(NOW - 5 * HOUR), ms_of(NOW + HOUR))]
        hours = [
            r["timestamp"]
            for r in fundings(simulator, int(NOW.timestamp()) - 7200, int(NOW.timestamp()) + 7200)
        ]
    assert all(20_800 <= stamp % 3_600_000 <= 21_700 for stamp in stamps)
    assert same == stamps
    assert hours[-1] == int(NOW.timestamp()) // 3600 * 3600


def test_fault_restate_changes_a_payment_after_so_many_requests():
    at = datetime(2026, 11, 19, 5, tzinfo=UTC)
    fault = Fault("restate", "lighter", on=frozenset({2}), symbol="GRASS", at=at, value=-0.0004)
    second = int(at.timestamp())
    with struck(fault) as simulator:
        before, after = (fundings(simulator, second - 1, second + 1, market=52) for _ in range(2))
        assert simulator.world.settled("lighter", "GRASS", at, at + HOUR)["funding_rate"].to_list() == [
            -0.0004
        ]
    assert before != after
    assert (after[0]["rate"], after[0]["direction"]) == ("0.0400", "short")


def test_a_source_can_be_down_while_the_others_answer(simulator):
    simulator.down("lighter")
    try:
        assert ask(simulator, "lighter", BOOKS)[0] == 503
        assert ask(simulator, "coingecko", "/derivatives/exchanges/list")[0] == 200
    finally:
        simulator.up("lighter")
    assert ask(simulator, "lighter", BOOKS)[0] == 200


def test_unknown_faults_are_refused():
    with pytest.raises(ValueError, match="unknown fault 'earthquake'"):
        Fault("earthquake")


def test_a_gentle_mix_is_the_same_for_one_seed_and_never_hits_all(world):
    def statuses(seed):
        with Simulator(world, Faults.some(seed)) as running:
            call = ("GET", "/lighter/api/v1/orderBooks", {}, b"")
            return [(r.status, f.kind if f else None) for r, f in (running.serve(*call) for _ in range(300))]

    first = statuses(5)
    assert first == statuses(5) != statuses(6)
    good = sum(answer == (200, None) for answer in first)
    assert 250 < good < 300


# --- the server ------------------------------------------------------------------------------------------------------


def test_env_names_each_exchange_and_the_log_has_each_request():
    with Simulator(World(now=lambda: NOW)) as simulator:
        root = f"http://127.0.0.1:{simulator.port}"
        assert simulator.env() == {
            "FUNDINGDB_EXTENDED_URL": f"{root}/extended/api/v1",
            "FUNDINGDB_LIGHTER_URL": f"{root}/lighter/api/v1",
            "FUNDINGDB_HYPERLIQUID_URL": f"{root}/hyperliquid",
            "FUNDINGDB_COINGECKO_URL": f"{root}/coingecko/api/v3",
            "FUNDINGDB_BINANCE_URL": f"{root}/binance/fapi/v1",
            "FUNDINGDB_BYBIT_URL": f"{root}/bybit/v5/market",
            "FUNDINGDB_DYDX_URL": f"{root}/dydx/v4",
        }
        post(simulator, {"type": "meta"})
        funding(simulator, 1, 2)
        first, second = simulator.requests
    assert (first.exchange, first.path, first.status, first.weight) == (
        "hyperliquid",
        "/info#meta",
        200,
        20.0,
    )
    assert (second.path, second.params) == ("/info/KAITO-USD/funding", (("startTime", "1"), ("endTime", "2")))
    assert (simulator.count(), simulator.count("extended"), simulator.count("extended", 404)) == (2, 1, 0)


def test_connections_are_kept_and_bodies_may_come_in_pieces(simulator):
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as raw:
        body = b'{"type":"perpDexs"}'
        head = b"POST /hyperliquid/info HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        for piece in (head[:9], head[9:], body[:4], body[4:] + head + body):
            raw.sendall(piece)
            time.sleep(0.02)
        text = b""
        while text.count(b"hyna:BTC") < 2:
            text += raw.recv(65_536)
    assert text.count(b"HTTP/1.1 200 OK") == 2


def test_nothing_is_left_running_and_a_port_in_use_is_an_error():
    before = threading.active_count()
    with Simulator(World(now=lambda: NOW)) as simulator:
        port = simulator.port
        with pytest.raises(OSError, match="in use"), Simulator(World(now=lambda: NOW), port=port):
            pass
        with socket.create_connection(("127.0.0.1", port)):
            assert threading.active_count() == before + 1
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_many_clients_are_served_at_once(simulator):
    found = []

    def run():
        found.extend(len(funding(simulator, ms_of(NOW - 24 * HOUR), ms_of(NOW))) for _ in range(20))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [24] * 160
