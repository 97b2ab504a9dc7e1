"""Frames for pandas and for libraries built on it (vectorbt, notebooks, hummingbot's candles).

A bar is named by the instant at which it ENDS, when its close is known: it holds what happened in (end of the bar
before, its own end]. Frames that name a bar by its start (ccxt, Binance, hummingbot) are shifted by one bar first:
`candles.index + pd.Timedelta("1h")`. So no row contains anything of the future: its rate was settled at or before
its end, and its cash belongs to the position held while it ran, `position.shift(1)` where orders fill at the close.

Needs pandas: pip install 'fundingdb[pandas]'. Any Polars frame of fundingdb becomes a pandas frame by `.to_pandas()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fundingdb.errors import BadCall, BadWindow, MissingExtra, UnknownName
from fundingdb.schema import TIME

try:
    import pandas as pd
except ImportError:
    raise MissingExtra(
        "frames for pandas need an optional package: pip install 'fundingdb[pandas]'"
    ) from None

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fundingdb.provider.provider import FundingRateBacktestDataProvider

    Instants = np.ndarray[tuple[int], np.dtype[np.int64]]

_HOUR = 3_600_000_000  # microseconds


def known_rates(
    provider: FundingRateBacktestDataProvider, token: str, bar_ends: pd.DatetimeIndex | None = None
) -> pd.DataFrame:
    """The rate known at the end of each bar: one column an exchange, fraction of notional PER HOUR, positive:
    longs pay.

    Index: `bar_ends` as given, or each hour of the loaded span (UTC) where none are. NaN: nothing was known then. A
    row minus a row is what long the second and short the first earns per hour. Raises BadWindow (naive, milliseconds,
    out of order, outside the loaded span), UnknownName.
    """
    if bar_ends is None:
        matrix = provider.matrix(token)
        at = matrix["timestamp"].dt.epoch("us").to_numpy().astype("datetime64[us]")
        index = pd.DatetimeIndex(at, name="timestamp").tz_localize("UTC")
        return pd.DataFrame({name: matrix[name].to_numpy() for name in matrix.columns[1:]}, index=index)
    at = _at(_ends(bar_ends))
    rates = {e: provider.funding_rates(at, e, token).to_numpy() for e in _symbols(provider, token)}
    return pd.DataFrame(rates, index=bar_ends)


def cash_by_bar(
    provider: FundingRateBacktestDataProvider,
    token: str,
    bar_ends: pd.DatetimeIndex,
    exchanges: Iterable[str] | None = None,
) -> pd.DataFrame:
    """What a LONG of one unit of notional received in each bar: one column an exchange; a short received the opposite.

    Index: `bar_ends` as given. A value is minus the sum of the rates settled in (end of the bar before, end], special
    payments included; times the signed notional held over the bar it is money. 0: nothing was settled, and nothing was
    due. NaN: the first bar (its start is unknown), and bars in which a settlement is or may be missing: a hole
    in the lake, or payments of unknown interval. Raises BadWindow as `known_rates`, UnknownName.
    """
    ends = _ends(bar_ends)
    if len(ends) < 2:
        raise BadWindow(f"bar_ends has {len(ends)} of the two or more instants that make a bar")
    symbols = _symbols(provider, token)
    names = list(symbols) if exchanges is None else _named(exchanges, symbols)
    loaded = provider.payments()
    cash = {}
    for name in names:
        span = _at(ends[[0, -1]])
        paid = provider.get_funding_payments(name, token, span[0], span[1])
        bar = np.searchsorted(ends, _us(paid["funding_time"]), side="left")
        received = np.zeros(len(ends))
        np.subtract.at(received, bar, paid["funding_rate"].to_numpy())
        regular = loaded.filter(exchange=name, symbol=symbols[name])
        missing = _unproven(ends, _us(regular["funding_time"]), regular["interval_hours"].to_numpy())
        cash[name] = np.where(np.append(True, missing), np.nan, received)
    return pd.DataFrame(cash, index=bar_ends)


def _unproven(ends: Instants, paid: Instants, hours: np.ndarray) -> np.ndarray:
    """For each bar after the first: whether a payment may be missing in it.

    Between two payments the later one's own interval proves that none is missing, back to its start. Where it starts
    later than the earlier payment, one was due at that start, and earlier ones from when the earlier payment's own
    interval was over. A quarter of an interval is allowed for late stamps.
    """
    interval = np.round(hours * _HOUR).astype(np.int64)
    began = paid - interval
    over = paid + interval
    never = np.iinfo(np.int64).max
    if not len(paid):
        return np.ones(len(ends) - 1, dtype=bool)
    torn = began[1:] - paid[:-1] > interval[1:] // 4
    first = np.concatenate(([-never], np.minimum(over[:-1], began[1:])[torn], over[-1:]))
    last = np.concatenate((began[:1], began[1:][torn], [never]))
    return np.searchsorted(first, ends[1:], side="right") > np.searchsorted(last, ends[:-1], side="right")


def _ends(bar_ends: pd.DatetimeIndex) -> Instants:
    """Microseconds since 1970, UTC; raises BadWindow for what is not a rising index of instants."""
    if not isinstance(bar_ends, pd.DatetimeIndex):
        raise BadWindow(f"bar_ends is a {type(bar_ends).__name__}; give a DatetimeIndex with a time zone")
    if bar_ends.tz is None:
        raise BadWindow("bar_ends has no time zone: bar_ends.tz_localize('UTC') if it means UTC")
    if bar_ends.hasnans or not bar_ends.is_monotonic_increasing or not bar_ends.is_unique:
        raise BadWindow("bar_ends must rise from row to row, without NaT and without repeats")
    return bar_ends.tz_convert(None).to_numpy("datetime64[us]").view(np.int64)


def _at(ends: Instants) -> pl.Series:
    return pl.Series("timestamp", ends).cast(TIME)


def _us(times: pl.Series) -> Instants:
    return times.dt.epoch("us").to_numpy()


def _symbols(provider: FundingRateBacktestDataProvider, token: str) -> dict[str, str]:
    """Exchange -> symbol of the loaded markets that `token` names, by exchange; raises UnknownName."""
    loaded = provider.get_data_summary()
    markets = loaded.filter(base=token, main=True)
    if markets.is_empty():
        markets = loaded.filter(symbol=token)
    if markets.is_empty():
        raise UnknownName(
            "token", token, {*loaded["base"], *loaded["symbol"]}, "load_data more, if it should be there."
        )
    return dict(sorted(zip(markets["exchange"], markets["symbol"], strict=True)))


def _named(exchanges: Iterable[str], symbols: dict[str, str]) -> list[str]:
    names = [exchanges] if isinstance(exchanges, str) else list(exchanges)
    if not names:
        raise BadCall("exchanges is empty: name some, or leave it out for all")
    for name in names:
        if name not in symbols:
            raise UnknownName("exchange", name, symbols, "load_data more, if it should be there.")
    return names
