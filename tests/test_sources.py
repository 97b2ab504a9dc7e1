import asyncio
import logging
from dataclasses import replace
from importlib.metadata import EntryPoint

import httpx
import polars as pl
import pytest

import fundingdb
from fundingdb import (
    CoinGeckoFundingDataSource,
    ExtendedFundingDataSource,
    FundingRateCollector,
    HyperliquidFundingDataSource,
    LighterFundingDataSource,
)
from fundingdb.errors import BadCall, BadPayload, UnknownName
from fundingdb.fetchers import registry
from fundingdb.fetchers.registry import BUILT_IN, archive, fetcher
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.simulator import Simulator, World
from fundingdb.window import floor_hour
from tests.worlds import HOUR, SETTLING, differing

NATIVE = {
    "extended": ExtendedFundingDataSource,
    "lighter": LighterFundingDataSource,
    "hyperliquid": HyperliquidFundingDataSource,
}


@pytest.fixture(scope="module")
def simulator():
    with Simulator(World(tokens=("BTC", "KAITO", "PEPE"))) as running:
        yield running


def with_source(source, work):
    async def run():
        async with source:
            return await work(source)

    return asyncio.run(run())


@pytest.mark.parametrize("name", SETTLING)
def test_a_source_gives_checked_frames_of_markets_current_rates_and_history(simulator, name):
    async def work(source):
        return (
            await source.markets(),
            await source.get_available_markets(),
            await source.get_funding_rates(tokens=["KAITO"]),
            await source.get_historical_funding_rates("KAITO", _ago(simulator, 5)),
        )

    markets, names, rates, history = with_source(NATIVE[name](env=simulator.env()), work)
    assert MARKETS.check(markets).height >= 3
    dead = markets.filter(pl.col("status").is_in(["delisted", "prelisted", "inactive"]))["symbol"]
    assert names == sorted(set(markets["symbol"]) - set(dead))
    assert SNAPSHOTS.check(rates)["base"].to_list() == ["KAITO"]
    assert 4 <= FUNDING.check(history).height <= 5
    assert history["funding_time"].is_sorted()


def _ago(simulator, hours):
    return simulator.world.now() - hours * HOUR


def test_a_thousand_units_of_pepe_are_one_token_in_every_price(simulator):
    prices = [
        with_source(NATIVE[n](env=simulator.env()), lambda s: s.get_funding_rates(tokens=["PEPE"]))[
            "mark_price"
        ].item()
        for n in ("extended", "hyperliquid")
    ]
    assert prices[0] == pytest.approx(prices[1], rel=0.01)
    assert prices[0] < 0.0001


def test_a_bulk_download_with_a_warehouse_lands_in_the_lake_and_equals_the_world(simulator, tmp_path):
    rows = with_source(
        ExtendedFundingDataSource(env=simulator.env()),
        lambda s: s.bulk_download_historical(["BTC", "KAITO"], days=3, warehouse=tmp_path),
    )
    assert rows.height in (2 * 72, 2 * 73)
    assert rows.equals(Lake(tmp_path).scan("funding").collect().sort("symbol", "funding_time"))
    assert differing(
        tmp_path, simulator.world, rows["funding_time"].min(), rows["funding_time"].max() + HOUR
    ).is_empty()


def test_a_bulk_download_without_a_warehouse_stores_nothing(simulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = with_source(
        LighterFundingDataSource(env=simulator.env()), lambda s: s.bulk_download_historical(["BTC"], days=1)
    )
    assert rows.height in (24, 25)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_collector_takes_any_source_by_one_parameter(simulator, tmp_path):
    for source in (
        CoinGeckoFundingDataSource(env=simulator.env()),
        ExtendedFundingDataSource(env=simulator.env()),
    ):

        async def work(source):
            collector = FundingRateCollector(
                data_source=source, exchanges=["extended"], tokens=["KAITO"], warehouse=tmp_path / source.name
            )
            snapshot = await collector.collect_single_snapshot()
            first, again = collector.save_snapshot(snapshot), collector.save_snapshot(snapshot)
            return snapshot, first, again, await collector.start_collection(1, 60, max_snapshots=1)

        snapshot, first, again, reports = with_source(source, work)
        assert set(snapshot["exchange"]) == {"extended"}
        assert (first.inserted, again.inserted, again.unchanged) == (snapshot.height, 0, snapshot.height)
        assert [r.failures for r in reports] == [[]]
        assert Lake(tmp_path / source.name).scan("snapshots").collect().height == 2 * snapshot.height


def test_a_stop_ends_a_collection_that_would_run_for_hours(simulator, tmp_path):
    async def work(source):
        collector = FundingRateCollector(data_source=source, tokens=["KAITO"], warehouse=tmp_path)
        running = asyncio.ensure_future(collector.start_collection(duration_hours=5))
        while not Lake(tmp_path).scan("snapshots").collect().height:
            await asyncio.sleep(0.05)
        collector.stop_collection()
        return await asyncio.wait_for(running, 20)

    assert len(with_source(ExtendedFundingDataSource(env=simulator.env()), work)) == 1


def test_a_wrong_call_names_the_next_step(simulator):
    with pytest.raises(BadCall, match="start"):
        asyncio.run(ExtendedFundingDataSource().get_funding_rates())
    coingecko = lambda: CoinGeckoFundingDataSource(env=simulator.env())  # noqa: E731
    with pytest.raises(BadCall, match="no funding history"):
        with_source(coingecko(), lambda s: s.get_historical_funding_rates("BTC", _ago(simulator, 5)))
    with pytest.raises(UnknownName, match="extendedd.*extended"):
        with_source(coingecko(), lambda s: s.get_funding_rates("extendedd"))
    with pytest.raises(UnknownName, match="KAITOO.*KAITO"):
        with_source(coingecko(), lambda s: s.get_funding_rates("extended", ["KAITOO"]))
    with pytest.raises(UnknownName, match="BTCC.*BTC"):
        with_source(
            ExtendedFundingDataSource(env=simulator.env()),
            lambda s: s.get_historical_funding_rates("BTCC", _ago(simulator, 5)),
        )


def test_a_key_is_never_shown(simulator):
    source = CoinGeckoFundingDataSource(api_key="CG-very-secret", env=simulator.env())

    async def work(source):
        await source.get_funding_rates("extended")
        return (
            repr(source)
            + repr(source.engine)
            + repr(vars(source.fetcher) if hasattr(source.fetcher, "__dict__") else "")
        )

    assert "very-secret" not in with_source(source, work)


def test_history_takes_a_symbol_or_a_token_and_seconds_datetimes_or_the_older_names(simulator):
    start = floor_hour(simulator.world.now()) - 6 * HOUR
    stop = start + 4 * HOUR

    async def work(source):
        read = source.get_historical_funding_rates
        return [
            await read(market="KAITO-USD", start_time=start.timestamp(), end_time=stop.timestamp()),
            await read(market="KAITO", start_time=start, end_time=stop),
            await read("kaito", start, stop),
            await read(token="KAITO", start=start, end=stop),
        ]

    first, *others = with_source(fundingdb.source("extended", env=simulator.env()), work)
    assert first["funding_time"].to_list() == [start + h * HOUR for h in range(4)]
    facts = ["symbol", "funding_time", "interval_hours", "funding_rate"]
    assert all(first.select(facts).equals(other.select(facts)) for other in others)


def test_a_limit_keeps_the_newest_rows_and_the_cut_is_logged(simulator, caplog):
    start = floor_hour(simulator.world.now()) - 6 * HOUR

    async def work(source):
        read = source.get_historical_funding_rates
        return await read("KAITO", start, start + 5 * HOUR, limit=2), await read(
            "KAITO", start, start + 5 * HOUR, limit=None
        )

    cut, whole = with_source(ExtendedFundingDataSource(env=simulator.env()), work)
    assert cut["funding_time"].to_list() == [start + 3 * HOUR, start + 4 * HOUR]
    assert whole.height == 5
    assert "extended KAITO: 3 of 5 rows are left out, the oldest: limit=2" in caplog.text


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"market": "KAITO"}, "start_time is missing"),
        ({"start_time": 1.76e9}, "market is missing"),
        ({"market": "KAITO", "token": "IP", "start_time": 1.76e9}, "market and token are one argument"),
        ({"market": "KAITO", "start_time": 1.76e9, "limit": 0}, "limit=0: give a number of rows from 1 up"),
        ({"market": "KAITO", "start_time": 1.76e12}, "start_time .* looks like milliseconds"),
    ],
)
def test_history_refuses_arguments_that_are_missing_doubled_or_in_another_unit(simulator, call, words):
    with pytest.raises(BadCall, match=words):
        with_source(
            ExtendedFundingDataSource(env=simulator.env()), lambda s: s.get_historical_funding_rates(**call)
        )


@pytest.mark.parametrize("stored", [False, True])
def test_a_download_reports_each_market_and_leaves_out_the_one_that_fails(
    simulator, tmp_path, caplog, stored
):
    caplog.set_level(logging.INFO, "fundingdb")
    reports = []
    rows = with_source(
        ExtendedFundingDataSource(env=simulator.env()),
        lambda s: s.bulk_download_historical(
            ["btc", "KAITOO", "KAITO"],
            days=1,
            progress=reports.append,
            warehouse=tmp_path if stored else None,
        ),
    )
    assert rows["base"].unique().sort().to_list() == ["BTC", "KAITO"]
    assert [(r.done, r.total) for r in reports] == [(1, 3), (2, 3), (3, 3)]
    assert {r.symbol: r.rows for r in reports} == {
        "KAITOO": 0,
        **dict(rows.group_by("symbol").len().iter_rows()),
    }
    (failed,) = [r for r in reports if r.error]
    assert isinstance(failed.error, UnknownName)
    assert failed.error.near == ("KAITO",)
    one = rows.filter(symbol="BTC-USD")
    span = f"{one['funding_time'].min():%Y-%m-%d %H:%M} to {one['funding_time'].max():%Y-%m-%d %H:%M} UTC"
    assert f"extended BTC-USD: {one.height} rows, {span}" in caplog.messages
    assert [r.levelname for r in caplog.records if "KAITOO" in r.message] == ["WARNING"]


def test_one_token_as_text_is_one_token_not_its_letters(simulator):
    rows = with_source(
        ExtendedFundingDataSource(env=simulator.env()), lambda s: s.bulk_download_historical("KAITO", days=1)
    )
    assert set(rows["symbol"]) == {"KAITO-USD"}


def test_a_download_of_which_every_market_fails_raises(simulator):
    with pytest.raises(UnknownName, match="KAITOO"):
        with_source(
            ExtendedFundingDataSource(env=simulator.env()), lambda s: s.bulk_download_historical(["KAITOO"])
        )
    with pytest.raises(BadCall, match="tokens=.*give one name or several"):
        with_source(ExtendedFundingDataSource(env=simulator.env()), lambda s: s.bulk_download_historical([]))


def test_a_quote_chooses_among_the_quotes_of_the_exchange_or_is_refused_with_them(simulator):
    async def work(source):
        return await source.bulk_download_historical("KAITO", days=1, quote="usd")

    assert set(with_source(ExtendedFundingDataSource(env=simulator.env()), work)["quote"]) == {"USD"}
    with pytest.raises(BadCall, match="hyperliquid has no market quoted in EUR; its quotes: .*USDC"):
        with_source(
            HyperliquidFundingDataSource(env=simulator.env()),
            lambda s: s.bulk_download_historical("KAITO", days=1, quote="EUR"),
        )


def test_settled_rows_are_saved_in_funding_and_predicted_ones_in_snapshots(simulator, tmp_path):
    collector = FundingRateCollector(ExtendedFundingDataSource(env=simulator.env()), storage_path=tmp_path)

    async def work(source):
        return (
            await source.bulk_download_historical("KAITO", days=1),
            await source.get_funding_rates("Extended", "kaito"),
        )

    settled, predicted = with_source(ExtendedFundingDataSource(env=simulator.env()), work)
    assert collector.save_snapshot(settled).inserted == settled.height
    assert collector.save_snapshot(predicted, append=True).inserted == 1
    assert Lake(tmp_path).scan("funding").collect().height == settled.height
    assert Lake(tmp_path).scan("snapshots").collect()["symbol"].to_list() == ["KAITO-USD"]
    assert collector.save_snapshot(settled).unchanged == settled.height
    with pytest.raises(BadCall, match="extended KAITO-USD: table funding already has .* rows from"):
        collector.save_snapshot(settled.tail(1), append=False)
    later = settled.tail(1).with_columns(pl.col("funding_time") + HOUR).drop("month")
    assert collector.save_snapshot(later, append=False).inserted == 1
    with pytest.raises(BadCall, match="neither of the columns funding_time"):
        collector.save_snapshot(pl.DataFrame({"base": ["KAITO"]}))


def test_a_collector_starts_a_source_for_one_call_and_leaves_a_started_one_open(simulator, tmp_path):
    source = ExtendedFundingDataSource(env=simulator.env())
    collector = FundingRateCollector(source, exchanges="Extended", tokens="kaito", warehouse=tmp_path)

    async def work():
        frame = await collector.collect_single_snapshot()
        assert not source.started
        await source.start()
        await source.start()
        await collector.start_collection(max_snapshots=1)
        assert source.started
        await source.stop()
        await source.stop()
        return frame

    assert asyncio.run(work())["base"].to_list() == ["KAITO"]
    assert not source.started


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"exchanges": ["lighter"]}, "unknown exchange 'lighter'.*extended"),
        ({"tokens": ["KAITOO"]}, "unknown token 'KAITOO': did you mean KAITO"),
    ],
)
def test_a_collection_that_can_never_have_a_row_ends_with_the_reason(simulator, tmp_path, limits, words):
    source = ExtendedFundingDataSource(env=simulator.env())
    collector = FundingRateCollector(source, storage_path=tmp_path, **limits)
    with pytest.raises(UnknownName, match=words):
        asyncio.run(collector.start_collection(duration_hours=24 * 30))


def test_an_aggregator_without_a_row_for_the_limits_ends_the_collection(simulator, tmp_path):
    source = CoinGeckoFundingDataSource(env=simulator.env())
    collector = FundingRateCollector(source, ["extended"], ["KAITOO"], tmp_path)
    with pytest.raises(BadCall, match="coingecko has no rate of extended, KAITOO"):
        asyncio.run(collector.start_collection(duration_hours=24 * 30))


def test_one_folder_under_two_names_is_refused(tmp_path):
    with pytest.raises(BadCall, match="storage_path and warehouse"):
        FundingRateCollector(fundingdb.source("extended"), storage_path=tmp_path, warehouse=tmp_path)


def test_a_source_of_another_event_loop_is_refused_with_the_way_out():
    source = ExtendedFundingDataSource()
    asyncio.run(source.start())
    with pytest.raises(BadCall, match="started in another event loop"):
        asyncio.run(source.get_funding_rates())
    asyncio.run(source.stop())
    assert not source.started


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_exchange_has_a_python_source(name):
    source = fundingdb.source(name.upper())
    assert (source.name, source.fetcher) == (name, fetcher(name))
    assert isinstance(source, fundingdb.BaseFundingDataSource)


ELSEWHERE = replace(fetcher("lighter"), exchange="elsewhere", source="elsewhere")


def test_a_fetcher_of_an_installed_package_has_a_python_source(monkeypatch):
    entry = EntryPoint("elsewhere", "tests.test_sources:ELSEWHERE", "fundingdb.fetchers")
    monkeypatch.setattr(registry, "entry_points", lambda **_by: [entry])
    for cached in (registry.names, registry.fetcher):
        monkeypatch.setattr(registry, cached.__name__, cached.__wrapped__)
    source = fundingdb.source("Elsewhere")
    assert (source.name, source.fetcher.base_url) == ("elsewhere", ELSEWHERE.base_url)
    with pytest.raises(UnknownName, match="did you mean elsewhere"):
        fundingdb.source("elsewere")
    fetcher.cache_clear()


def test_the_named_classes_are_what_source_returns():
    for name, kind in {**NATIVE, "coingecko": CoinGeckoFundingDataSource}.items():
        assert type(fundingdb.source(name)) is kind


def test_an_exchange_is_read_through_its_archive_or_through_ccxt():
    assert fundingdb.source("binance", through="archive").fetcher is archive("binance")
    through = fundingdb.source("kucoin", through="ccxt").fetcher
    assert (through.exchange, through.source) == ("kucoin", "ccxt")


def test_an_archive_has_no_rates_of_now(simulator):
    source = fundingdb.source("drift", through="archive", env=simulator.env())
    source._markets = {}
    with pytest.raises(BadCall, match="no rates of now for drift"):
        with_source(source, lambda s: s.get_funding_rates())


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ({"name": "bitnance"}, UnknownName, "did you mean binance"),
        ({"name": "gate", "through": "archive"}, UnknownName, "exchange with an archive 'gate'"),
        ({"name": "binance", "through": "proxy"}, BadCall, "through='proxy': give 'ccxt' or 'archive'"),
        ({"name": "binance", "api_key": "k"}, BadCall, "binance uses no API key.*leave out api_key"),
        ({"name": "kucoin", "through": "ccxt", "user_agent": "u"}, BadCall, "ccxt sends its own"),
    ],
)
def test_a_source_refuses_names_and_arguments_that_it_has_no_use_for(call, kind, words):
    with pytest.raises(kind, match=words):
        fundingdb.source(**call)


def test_the_user_agent_and_the_key_of_the_caller_are_sent():
    sent = []

    def respond(request):
        sent.append(request.headers)
        return httpx.Response(200, json=[])

    async def work():
        source = CoinGeckoFundingDataSource(api_key="CG-key", user_agent="backtest", env={})
        await source.start()
        source.engine._transport = httpx.MockTransport(respond)
        async with source:
            with pytest.raises(BadPayload, match="empty list"):
                await source.markets()

    asyncio.run(work())
    assert (sent[0]["user-agent"], sent[0]["x-cg-demo-api-key"]) == ("backtest", "CG-key")
