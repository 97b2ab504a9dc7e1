"""A delta-neutral two-leg funding strategy over a lake: signals from known rates, money from settlements.

At each full hour, with no more than was known then:

- An asset without a position: where the widest pair of known rates (long the lowest, short the highest) pays `entry_apr`
  or more, both legs are filled at that hour, `notional_usd` each. Of several assets the widest come first, up to
  `max_pairs`; the others are skipped.
- A position earns the settlements after its entry, up to and including the hour of its exit.
- It is closed when a leg's market is known to be delisted, when a leg's rate was unknown for 24 consecutive hours, at the end
  of the span; and, once held `hold_hours`, when its own known spread falls below `exit_apr`, or, with `switch_band_apr`, for
  another pair of the asset that pays that much more. While a rate is unknown it waits.
- Each fill costs fee and slippage. A leg that is in the same market on the same side before and after an hour is not
  traded in that hour and costs nothing.

Notional stays as entered and both legs have one price: no price risk between exchanges, margin, liquidation or
depth. One market of each exchange counts: that without a dex prefix first, then by name, among those known at the hour.
"""

from __future__ import annotations

from fundingdb.backtest.grids import Grid, grid
from fundingdb.backtest.result import FIGURES, Result, Settings
from fundingdb.backtest.running import run

__all__ = ["FIGURES", "Grid", "Result", "Settings", "grid", "run"]
