"""Identity: by hand, over every recorded market list, and by property."""

import statistics
from collections import defaultdict

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall
from fundingdb.fetchers.identity import DEXES, NAMES, TICKERS, Identity, identify
from fundingdb.schema import ASSET_CLASSES

SUFFIXES = {"aster": "USDT", "edgex": "USD", "extended": "-USD", "paradex": "-USD-PERP"}
DEX_OF = {"hyena": "hyperliquid", "flx": "hyperliquid", "vntl": "hyperliquid", "xyz": "hyperliquid"}


@pytest.mark.parametrize(
    ("exchange", "name", "base", "multiplier", "asset_class"),
    [
        ("hyperliquid", "kPEPE", "PEPE", 1000, "crypto"),
        ("extended", "1000PEPE", "PEPE", 1000, "crypto"),
        ("lighter", "1000TOSHI", "TOSHI", 1000, "crypto"),
        ("extended", "kNOT", "NOT", 1000, "crypto"),
        ("hyperliquid", "hyna:kPEPE", "PEPE", 1000, "crypto"),
        ("binance", "1000000MOG", "MOG", 1e6, "crypto"),
        ("binance", "1000000BOB", "BOB", 1e6, "crypto"),
        ("binance", "BOB", "BOB-BITCOIN", 1, "crypto"),
        ("binance", "1MBABYDOGE", "BABYDOGE", 1e6, "crypto"),
        ("bitget", "10000SATS", "SATS", 10_000, "crypto"),
        ("grvt", "KPEPE", "PEPE", 1000, "crypto"),
        ("grvt", "KAITO", "KAITO", 1, "crypto"),
        ("hyperliquid", "KPEPE", "KPEPE", 1, "crypto"),
        ("hyperliquid", "KAITO", "KAITO", 1, "crypto"),
        ("hyperliquid", "KAS", "KAS", 1, "crypto"),
        ("binance", "1INCH", "1INCH", 1, "crypto"),
        ("extended", "4", "4", 1, "crypto"),
        ("hyperliquid", "0G", "0G", 1, "crypto"),
        ("hyperliquid", "2Z", "2Z", 1, "crypto"),
        ("aster", "42", "42", 1, "crypto"),
        ("hyperliquid", "AI16Z", "AI16Z", 1, "crypto"),
        ("hyperliquid", "xyz:XYZ100", "XYZ100", 1, "index"),
        ("extended", "MU_24_5", "MU", 1, "equity"),
        ("extended", "NOW_24_5", "NOW", 1, "equity"),
        ("extended", "SPX500m", "SPX500", 1, "index"),
        ("extended", "TECH100m", "TECH100", 1, "index"),
        ("extended", "SPX", "SPX", 1, "crypto"),
        ("extended", "EUR", "EURUSD", 1, "fx"),
        ("lighter", "EURUSD", "EURUSD", 1, "fx"),
        ("hyperliquid", "xyz:EUR", "EURUSD", 1, "fx"),
        ("hyperliquid", "xyz:JPY", "USDJPY", 1, "fx"),
        ("lighter", "USDJPY", "USDJPY", 1, "fx"),
        ("lighter", "XAU", "XAU", 1, "commodity"),
        ("hyperliquid", "xyz:GOLD", "XAU", 1, "commodity"),
        ("lighter", "PAXG", "PAXG", 1, "crypto"),
        ("edgex", "XAUT", "XAUT", 1, "crypto"),
        ("hyperliquid", "GAS", "GAS", 1, "crypto"),
        ("hyperliquid", "flx:GAS", "NATGAS", 1, "commodity"),
        ("hyperliquid", "flx:XMR", "XMR", 1, "crypto"),
        ("hyperliquid", "hyna:hyna:ETH", "ETH", 1, "crypto"),
        ("hyperliquid", "vntl:OPENAI", "OPENAI", 1, "equity"),
        ("hyperliquid", "vntl:SEMIS", "SEMIS", 1, "index"),
    ],
)
def test_names_read_by_hand(exchange, name, base, multiplier, asset_class):
    assert identify(exchange, name) == Identity(base, multiplier, asset_class)


def test_stacks_and_seagate_stay_apart():
    coin = identify("hyperliquid", "STX")
    share = identify("extended", "STXX", asset_class="equity")
    assert coin == Identity("STX", 1, "crypto")
    assert share == Identity("STX", 1, "equity") == identify("hyperliquid", "xyz:STX")


def test_the_coin_and_the_caterpillar_stay_apart():
    assert identify("binance", "1000CAT").asset_class == "crypto"
    assert identify("binance", "CAT") == Identity("CAT", 1, "equity") == identify("bitget", "CAT")


def test_the_exchange_is_believed_over_the_tables():
    assert identify("extended", "PURR", asset_class="equity").asset_class == "equity"
    assert identify("extended", "NVDA", asset_class="crypto").asset_class == "crypto"
    assert identify("extended", "EUR", asset_class="crypto") == Identity("EUR", 1, "crypto")


def test_an_asset_of_a_dex_nobody_has_classed_is_joined_with_nothing():
    assert identify("hyperliquid", "abcd:BTC") == Identity("abcd:BTC", 1, "crypto")
    assert identify("hyperliquid", "abcd:NVDA") == Identity("NVDA", 1, "equity")


@pytest.mark.parametrize(("name", "asset_class"), [("", None), ("xyz:", None), ("BTC", "stock")])
def test_what_names_nothing_is_refused(name, asset_class):
    with pytest.raises(BadCall, match="names no asset|asset class 'stock'"):
        identify("lighter", name, asset_class=asset_class)


def recorded(shared):
    """exchange -> names of its markets without the quote, from every recorded list."""
    data = shared / "data"
    names = defaultdict(set)
    for path in sorted(data.glob("cross_venue/market_history_*.parquet")):
        for exchange, symbol in pl.read_parquet(path).select("exchange", "symbol").unique().iter_rows():
            names[DEX_OF.get(exchange, exchange)].add(name_of(exchange, symbol))
    for path in sorted(data.glob("cross_venue/lighter_*.parquet")):
        names["lighter"] |= set(pl.read_parquet(path)["symbol"])
    for path in sorted(data.glob("large/hyperliquid_*.parquet")):
        names["hyperliquid"] |= set(pl.scan_parquet(path).select(pl.col("coin").unique()).collect()["coin"])
    for path in sorted(data.glob("large/binance_*.parquet")):
        names["binance"] |= {
            s.removesuffix("USDT").removesuffix("USDC") for s in pl.read_parquet(path)["symbol"].unique()
        }
    for path in sorted(data.glob("large/okx_bitget_*.parquet")):
        for venue, coin in pl.read_parquet(path).select("venue", "coin").unique().iter_rows():
            names[venue.lower()].add(coin)
    return {exchange: sorted(filter(None, found)) for exchange, found in names.items()}


def name_of(exchange, symbol):
    name = symbol.removesuffix(SUFFIXES.get(exchange, ""))
    return f"xyz:{name}" if exchange == "xyz" else name


# Members of one identity on one exchange that are one thing: a coin of the main dex and of another dex.
ONE_THING = {
    ("hyperliquid", "crypto", base)
    for base in ("BTC", "ETH", "SOL", "HYPE", "ZEC", "BNB", "XRP", "LIT", "XMR")
}


def test_no_two_real_markets_of_one_exchange_collide(shared):
    lists = recorded(shared)
    assert {"hyperliquid", "lighter", "extended", "aster", "binance"} <= set(lists)
    assert sum(map(len, lists.values())) > 1500
    for exchange, names in lists.items():
        members = defaultdict(list)
        for name in names:
            what = identify(exchange, name)
            members[what.asset_class, what.base].append(name)
        for key, found in members.items():
            if (exchange, *key) in ONE_THING:
                assert len({name for name in found if ":" not in name}) == 1
            else:
                assert len(found) == 1, (exchange, key, found)


def test_members_of_one_identity_cost_the_same(shared):
    """Two exchanges' prices per base token are within a factor of 2 (means over hours; a wrong scale is 10 or more)."""
    paths = sorted((shared / "data").glob("cross_venue/market_history_*.parquet"))
    frame = pl.concat([pl.read_parquet(path) for path in paths]).filter(pl.col("avg_mark_price") > 0)
    prices = defaultdict(list)
    for exchange, symbol, price in (
        frame.group_by("exchange", "symbol").agg(pl.col("avg_mark_price").median()).iter_rows()
    ):
        if exchange == "xyz":  # the recorder lost which dex these were of
            continue
        what = identify(DEX_OF.get(exchange, exchange), name_of(exchange, symbol))
        prices[what.asset_class, what.base].append(price / what.multiplier)
    shared_assets = {key: found for key, found in prices.items() if len(found) > 1}
    assert len(shared_assets) > 140
    assert {("fx", "EURUSD"), ("commodity", "XAU"), ("equity", "AAPL"), ("crypto", "PEPE")} <= set(
        shared_assets
    )
    for key, found in shared_assets.items():
        middle = statistics.median(found)
        assert all(middle / 2 < price < middle * 2 for price in found), (key, found)


def test_every_coin_of_the_main_hyperliquid_dex_is_crypto(shared):
    path = shared / "data/large/hyperliquid_all_coins_hourly_2024-10_2026-03.parquet"
    coins = pl.scan_parquet(path).select(pl.col("coin").unique()).collect()["coin"].to_list()
    assert [coin for coin in coins if identify("hyperliquid", coin).asset_class != "crypto"] == []


def test_what_lighter_lists_beside_coins(shared):
    other = {n: identify("lighter", n).asset_class for n in recorded(shared)["lighter"]}
    found = defaultdict(set)
    for name, asset_class in other.items():
        found[asset_class].add(name)
    assert found["equity"] == {
        "AAPL",
        "AMZN",
        "BMNR",
        "COIN",
        "CRCL",
        "GOOGL",
        "HOOD",
        "META",
        "MSFT",
        "MSTR",
        "NVDA",
        "PLTR",
        "QQQ",
        "SPY",
        "TSLA",
    }
    assert found["commodity"] == {"XAG", "XAU"}
    assert found["fx"] == {"AUDUSD", "EURUSD", "GBPUSD", "NZDUSD", "USDCAD", "USDCHF", "USDJPY", "USDKRW"}
    assert found["index"] == set()


def test_no_ticker_of_the_tables_is_a_coin_of_a_coin_list(shared):
    lists = recorded(shared)
    coins = {
        identify(e, n).base for e in ("hyperliquid", "edgex", "paradex") for n in lists[e] if ":" not in n
    }
    assert coins & set(TICKERS) == set()


def test_the_tables_use_known_classes():
    assert set(TICKERS.values()) | set(DEXES.values()) <= set(ASSET_CLASSES)
    assert {named[0] for names in NAMES.values() for named in names.values()} <= set(ASSET_CLASSES)


words = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=8).filter(
    lambda w: w not in TICKERS and w != "BOB"
)


@given(words, st.sampled_from(["1000", "10000", "100000", "1000000"]))
def test_a_power_of_ten_before_letters_is_a_multiplier(word, power):
    assert identify("lighter", power + word) == Identity(word, float(power), "crypto")


@given(words)
def test_k_before_capitals_is_a_thousand(word):
    assert identify("hyperliquid", f"k{word}") == Identity(word, 1000, "crypto")


@given(words, st.sampled_from(["1", "2", "0", "10", "100", "999", "1001", "20000", "0001000"]))
def test_other_leading_digits_belong_to_the_name(word, digits):
    assert identify("lighter", digits + word) == Identity(digits + word, 1, "crypto")


@given(words, st.sampled_from(sorted(DEXES)))
def test_a_prefix_never_enters_the_base_and_only_one_dex_lists_coins_by_rule(word, dex):
    what = identify("hyperliquid", f"{dex}:{word}")
    assert ":" not in what.base
    if word not in NAMES.get(dex, {}):
        assert what.asset_class == DEXES[dex]


@given(words, st.sampled_from([c for c in ASSET_CLASSES if c != "crypto"]))
def test_what_is_no_coin_has_no_multiple_and_no_coin_identity(word, asset_class):
    what = identify("lighter", f"1000{word}", asset_class=asset_class)
    assert (what.base, what.multiplier) == (f"1000{word}", 1)
    assert what.asset_class != identify("hyperliquid", word).asset_class


@given(st.text(min_size=1, max_size=20), st.sampled_from(["lighter", "extended", "hyperliquid"]))
def test_any_name_gives_a_base_or_is_refused(name, exchange):
    try:
        what = identify(exchange, name)
    except BadCall:
        assert name.endswith(":")
    else:
        assert what.base
        assert what.multiplier >= 1
        assert what.asset_class in ASSET_CLASSES
