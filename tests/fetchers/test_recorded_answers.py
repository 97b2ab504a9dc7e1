"""Recorded responses of the exchanges: each gives rows of its table. What every fetcher keeps to is in test_contract.py."""

from datetime import UTC, datetime, timedelta
from itertools import groupby

from fundingdb.fetchers.contract import ResponseContext
from fundingdb.fetchers.registry import fetcher
from fundingdb.ingest.listing import market_of
from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS
from fundingdb.window import Window

AT = datetime(2026, 9, 13, 22, 30, tzinfo=UTC)
# CoinGecko's rows grow stale: just after the recorded trades
RECEIVED = {"coingecko": datetime(2024, 4, 7, 5, 40, tzinfo=UTC)}
WINDOW = Window(AT.replace(minute=0) - timedelta(hours=48), AT.replace(minute=0))
TABLES = {"history": FUNDING, "current": SNAPSHOTS, "markets": MARKETS}
# a symbol of each exchange that needs no list of markets
PLAIN = {
    "extended": "BTC-USD",
    "lighter": "BTC",
    "hyperliquid": "BTC",
    "binance": "BTCUSDT",
    "binance-coinm": "BTCUSD_PERP",
    "aster": "BTCUSDT",
    "bybit": "BTCUSDT",
    "okx": "BTC-USDT-SWAP",
    "gate": "BTC_USDT",
    "dydx": "BTC-USD",
    "backpack": "BTC_USDC_PERP",
    "pacifica": "BTC",
    "grvt": "BTC_USDT_Perp",
    "drift": "SOL-PERP",
    "velocity": "BTC-PERP",
    "edgex": "BTCUSDC",
    "nado": "BTC-PERP_USDT0",
}
# recorded lists, where a response does not state which markets trade or over how many hours they pay
LISTINGS = {
    "backpack": "markets.json",
    "edgex": "getMetaData.json",
    "nado": "symbols.json",
    "paradex": "markets.json",
}
FOLDERS = {
    "velocity": "drift",
    "edgex": "edgex-v2",
}  # of recorded responses, where it is not the exchange's id
# exchange, endpoint, file, and the symbol where the response does not name its market
RECORDED = [
    line.split()
    for line in """
aster current premiumIndex.json
aster current premiumIndex_tradfi.json
aster current fundingInfo.json
aster history fundingRate_BTCUSDT.json
aster markets exchangeInfo.json
aster markets exchangeInfo_tradfi.json
aster markets fundingInfo.json
aster markets fundingInfo_tradfi.json
backpack current markPrices.json
backpack history fundingRates_BTC_USDC_PERP.json
backpack markets markets.json
binance current premiumIndex.json
binance current premiumIndex_tradfi.json
binance current fundingInfo.json
binance history fundingRate_BTCUSDT.json
binance history fundingRate_SPYUSDT_special.json
binance markets exchangeInfo.json
binance markets exchangeInfo_tradfi.json
binance markets fundingInfo.json
binance markets fundingInfo_tradfi.json
bybit current tickers_linear.json
bybit history funding_history_BTCUSDT.json
bybit markets instruments_linear.json
bybit markets instruments_linear_tradfi.json
coingecko current derivatives.json
drift current stats_markets.json
drift current contracts.json
drift history market_fundingRates_SOL-PERP.json
drift history legacy_fundingRates_SOL-PERP.json SOL-PERP
drift markets stats_markets.json
dydx current perpetualMarkets.json
dydx current perpetualMarkets_tradfi.json
dydx history historicalFunding_LINK-USD.json
dydx markets perpetualMarkets.json
edgex current getLatestFundingRate.json
edgex history getFundingRatePage_30000001.json BTCUSDC
edgex markets getMetaData.json
extended current info_markets.json
extended current info_market_stats.json BTC-USD
extended current ws_funding.jsonl
extended history funding_BTC-USD.json
extended history funding_paged.json
extended markets info_markets.json
gate current contracts_usdt.json
gate current contracts_usdt_tradfi.json
gate current tickers_usdt.json
gate history funding_rate_BTC_USDT.json BTC_USDT
gate markets contracts_usdt.json
gate markets contracts_usdt_tradfi.json
grvt current ticker_BTC_USDT_Perp.json
grvt current ticker_AAPL_USDT_Perp.json
grvt history funding_BTC_USDT_Perp.json
grvt markets all_instruments.json
hyperliquid current metaAndAssetCtxs.json
hyperliquid current metaAndAssetCtxs_dex_xyz.json
hyperliquid history fundingHistory_BTC.json
hyperliquid history fundingHistory_BTC_2023_8h_to_1h.json
hyperliquid history fundingHistory_xyz_XYZ100.json
hyperliquid markets allPerpMetas.json
lighter current funding-rates.json
lighter current orderBookDetails.json
lighter current ws_market_stats.jsonl
lighter history fundings_BTC_1h.json BTC
lighter history fundings_ETH_1h_short.json ETH
lighter markets orderBookDetails.json
lighter markets orderBookDetails_full_ETH.json
lighter markets orderBooks.json
nado current contracts.json
nado history funding_rate_history_2.json BTC-PERP_USDT0
nado markets symbols.json
okx current funding-rate_ANY.json
okx current mark-price_SWAP.json
okx history funding-rate-history_BTC-USDT-SWAP.json
okx markets instruments_SWAP.json
okx markets instruments_SWAP_tradfi.json
pacifica current info_prices.json
pacifica history funding_rate_history_BTC.json BTC
pacifica markets info.json
paradex current markets_summary.json
paradex markets markets.json
variational current metadata_stats.json
variational markets metadata_stats.json
velocity current velocity_stats_markets.json
velocity history velocity_market_fundingRates_BTC-PERP.json
velocity markets velocity_stats_markets.json
""".strip().splitlines()
]
BY_EXCHANGE = {name: list(rows) for name, rows in groupby(RECORDED, key=lambda row: row[0])}


def test_recorded_responses_give_rows_of_their_tables(shared, subtests):
    for exchange in BY_EXCHANGE:
        with subtests.test(exchange=exchange):
            rows_of_their_tables(exchange, shared)


def rows_of_their_tables(exchange, shared):
    source = fetcher(exchange)
    folder = shared / "venues/payloads" / FOLDERS.get(exchange, exchange)
    at, listed = RECEIVED.get(exchange, AT), {}
    if exchange in LISTINGS:
        rows = MARKETS.check(
            source.markets.parse((folder / LISTINGS[exchange]).read_bytes(), ResponseContext(at))
        )
        listed = {row["symbol"]: market_of(row) for row in rows.iter_rows(named=True)}
    for _, endpoint, name, *symbol in BY_EXCHANGE[exchange]:
        body = (folder / name).read_bytes()
        market = source.market(symbol[0]) if symbol else None
        frame = getattr(source, endpoint).parse(body, ResponseContext(at, market, listed))
        assert TABLES[endpoint].check(frame).height > 0, name
        assert source.refusal(200, body) is None, name
