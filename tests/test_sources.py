import asyncio

import polars as pl
import pytest

from fundingdb import (
    CoinGeckoFundingDataSource,
    ExtendedFundingDataSource,
    FundingRateCollector,
    HyperliquidFundingDataSource,
    LighterFundingDataSource,
)
from fundingdb.errors import BadCall, UnknownName
from fundingdb.lake import Lake
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.simulator import Simulator, World
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
            await source.get_available_markets(),
            await source.get_funding_rates(tokens=["KAITO"]),
            await source.get_historical_funding_rates("KAITO", _ago(simulator, 5)),
        )

    markets, rates, history = with_source(NATIVE[name](env=simulator.env()), work)
    assert MARKETS.check(markets).height >= 3
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


def test_spreads_are_per_hour_and_never_negative_and_skip_what_is_unknown():
    def row(exchange, rate, interval):
        return {
            "asset_class": "crypto",
            "base": "X",
            "exchange": exchange,
            "symbol": "X",
            "funding_rate": rate,
            "interval_hours": interval,
        }

    rates = pl.DataFrame([row("a", 0.0008, 8.0), row("b", 0.0003, 1.0), row("c", 0.5, None)])
    got = ExtendedFundingDataSource.calculate_spreads(rates).row(0, named=True)
    assert (got["long_exchange"], got["short_exchange"]) == ("a", "b")
    assert got["spread_1h"] == pytest.approx(0.0002)  # 0.0003 - 0.0008 / 8
    assert ExtendedFundingDataSource.calculate_spreads(rates).height == 1


def test_wrong_calls_say_what_to_do(simulator):
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
