"""Settings and result of a backtest: figures and frames, the same for the terminal, JSON, HTML and adapters.

Times are UTC. Rates and `_apr` are fractions (0.1 = 10 % a year); `_usd` is money of the quote currency, counted as
1 USD; money received is positive, paid is negative, fees are negative. Notional is per leg and stays as entered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters of one run."""

    start: datetime  # decisions at full hours start <= hour < end; settlements start < funding_time <= end
    end: datetime
    entry_apr: float  # enter where the widest known spread pays at least this, a year, before costs
    exit_apr: float  # leave when the held pair's known spread pays less than this
    hold_hours: float = 24.0  # not before this many hours, unless its data ends
    max_pairs: int | None = None  # open at once, over all assets; the widest first
    switch_band_apr: float | None = (
        None  # change the pair when another of the asset pays this much more; None: never
    )
    notional_usd: float = 10_000.0  # of each leg
    fees: str = "taker"  # taker, maker, or the path of the user's own table
    slippage_bps: float = 0.0  # hundredths of a percent of notional, at each fill
    tokens: tuple[str, ...] | None = None
    exchanges: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One run.

    - `summary`: name -> figure, null where it is unknown; names, units and notes in `FIGURES`.
    - `trades`, by entry: asset_class, base, long_exchange, long_symbol, short_exchange, short_symbol, entered_at,
      exited_at, held_hours, entry_spread_apr, exit_spread_apr (null: unknown then), long_funding_usd,
      short_funding_usd, funding_usd, fees_usd, net_usd, payments (settlements that moved money), unknown_hours
      (hours held in which a leg's rate was unknown), exit_reason (exit, switch, missing, delisted, end).
    - `equity`, one row an hour: hour_at, funding_usd, fees_usd, net_usd (of that hour), equity_usd (sum so far),
      drawdown_usd (<= 0), open_pairs.
    - `daily`, one row a day, exchange and leg: day, exchange, leg (long, short), funding_usd, fees_usd, net_usd.
    - `exposure`, one row an exchange: exchange, mean_usd, most_usd (gross notional of its open legs).
    - `decisions`, in order: hour_at, action (enter, exit, switch, skip), asset_class, base, long_exchange,
      short_exchange, spread_apr, reason.
    - `spreads`: hour_at, asset_class, base, long_exchange, short_exchange, spread_apr: the widest known spread of
      the traded assets, hour by hour.
    - `heat`: exchange, asset_class, base, mean_apr (of the rates known), known_hours.
    - `warnings`: sentences shown before the figures: missing hours, missing fees, delistings.
    """

    settings: Settings
    fingerprint: str  # of the rows read and of the code: equal fingerprints mean equal figures
    summary: dict[str, float | int | None]
    trades: pl.DataFrame
    equity: pl.DataFrame
    daily: pl.DataFrame
    exposure: pl.DataFrame
    decisions: pl.DataFrame
    spreads: pl.DataFrame
    heat: pl.DataFrame
    warnings: tuple[str, ...]


# name -> unit and meaning, in the order they are shown
FIGURES: dict[str, tuple[str, str]] = {
    "trades": ("count", "round trips, open ones closed at the end"),
    "funding_usd": ("usd", "received less paid, by settlements"),
    "fees_usd": ("usd", "fees and slippage of all fills"),
    "net_usd": ("usd", "funding_usd + fees_usd"),
    "net_apr": ("fraction a year", "net_usd on the capital of most_capital_usd, over the whole span"),
    "most_capital_usd": ("usd", "most notional open at once, one leg counted"),
    "turnover_usd": ("usd", "notional of all fills, both legs"),
    "win_rate": ("fraction", "share of trades with net_usd > 0"),
    "sharpe": (
        "1",
        "mean / deviation of daily net, times sqrt(365); days are not independent: read it as too high",
    ),
    "worst_day_usd": ("usd", "net of the worst UTC day"),
    "max_drawdown_usd": ("usd", "deepest fall of equity_usd from its peak"),
    "held_hours": ("hours", "pair hours held"),
    "unknown_hours": ("hours", "pair hours held in which a leg's rate was unknown"),
    "payments": ("count", "settlements that moved money"),
}
