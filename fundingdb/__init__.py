"""fundingdb: the funding rates of perpetual futures, right, on one's own machine.

Rates are fractions of notional per `interval_hours`, positive when longs pay shorts; times are UTC.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fundingdb.catalog.catalog import connect
    from fundingdb.errors import FundingdbError
    from fundingdb.lake import Lake
    from fundingdb.provider.provider import FundingRateBacktestDataProvider
    from fundingdb.sources import (
        BaseFundingDataSource,
        CoinGeckoFundingDataSource,
        ExtendedFundingDataSource,
        FundingRateCollector,
        HyperliquidFundingDataSource,
        LighterFundingDataSource,
        source,
    )

__all__ = [
    "BaseFundingDataSource",
    "CoinGeckoFundingDataSource",
    "ExtendedFundingDataSource",
    "FundingRateBacktestDataProvider",
    "FundingRateCollector",
    "FundingdbError",
    "HyperliquidFundingDataSource",
    "Lake",
    "LighterFundingDataSource",
    "connect",
    "source",
]

_ROOMS = {
    "connect": "catalog.catalog",
    "FundingdbError": "errors",
    "Lake": "lake",
    "FundingRateBacktestDataProvider": "provider.provider",
}


def __getattr__(name: str) -> Any:
    """Import a public name where it is first used: `import fundingdb` stays light."""
    if name == "__version__":
        return import_module("fundingdb.settings").version()
    if name not in __all__:
        raise AttributeError(f"module 'fundingdb' has no attribute {name!r}")
    return getattr(import_module(f"fundingdb.{_ROOMS.get(name, 'sources')}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
