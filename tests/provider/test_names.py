"""Names given to the provider: exchanges and tokens in any case, symbols as the exchange writes them."""

from datetime import timedelta

import pytest

from fundingdb.errors import BadCall, UnknownName
from fundingdb.lake import Lake
from fundingdb.provider.provider import FundingRateBacktestDataProvider
from tests.paid_rows import HOUR, T0, payment, rows

PAID = rows(
    payment("extended", "KAITO-USD", 0, 0.0001, 8.0, base="KAITO"),
    payment("lighter", "KAITO", 0, 0.0005, 8.0, base="KAITO"),
    payment("extended", "1000PEPE-USD", 0, 0.0008, 8.0, base="PEPE"),
    payment("hyperliquid", "kPEPE", 0, 0.0002, 1.0, base="PEPE"),
)


@pytest.fixture
def home(tmp_path):
    Lake(tmp_path).upsert("funding", PAID)
    return tmp_path


def loaded(home, **limits):
    provider = FundingRateBacktestDataProvider(home)
    provider.load_data(T0, T0 + timedelta(days=1), **limits)
    return provider


@pytest.mark.parametrize(
    "limits",
    [{}, {"tokens": ["kaito", "Pepe"]}, {"exchanges": ["Extended", "LIGHTER"]}, {"tokens": "KAITO-USD"}],
)
def test_an_exchange_and_a_token_are_accepted_in_any_case(home, limits):
    provider = loaded(home, **limits)
    at = T0 + HOUR
    for exchange, token in (("extended", "KAITO"), ("Extended", "kaito"), ("EXTENDED", "Kaito")):
        assert provider.get_funding_rate(at, exchange, token) == pytest.approx(0.0001 / 8, rel=1e-12)
        assert provider.get_funding(at, exchange, token).exchange == "extended"
        assert provider.funding_rates([at], exchange, token).to_list() == pytest.approx([0.0001 / 8])
        assert provider.get_funding_payments(exchange, token, T0, T0 + HOUR).is_empty()
    assert provider.get_funding_payment_times("Extended").to_list() == [T0]


def test_spreads_pair_exchanges_and_tokens_in_any_case(home):
    provider = loaded(home)
    at = T0 + HOUR
    assert provider.get_spread(at, "Extended", "LIGHTER", "kaito") == pytest.approx(0.0004 / 8)
    assert provider.get_best_spread(at, "kaito") == provider.get_best_spread(at, "KAITO")
    assert provider.matrix("kaito").equals(provider.matrix("KAITO"))
    with pytest.raises(BadCall, match="against itself"):
        provider.get_spread(at, "Extended", "extended", "kaito")


def test_a_symbol_is_accepted_as_the_exchange_writes_it_only(home):
    provider = loaded(home)
    assert provider.get_funding_rate(T0, "hyperliquid", "kPEPE") == pytest.approx(0.0002)
    with pytest.raises(UnknownName, match="did you mean kPEPE"):
        provider.get_funding_rate(T0, "hyperliquid", "KPEPE")
