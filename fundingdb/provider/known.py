"""How long a settled rate counts as known: for exactly its own interval, or until the next settlement, whichever is earlier.

The same rule as sql/known_until.sql. A rate is known from its funding time on, up to but not at the end. A payment of unknown
interval ends the rate before it and is itself never known.
"""

from __future__ import annotations

from typing import Any

import numpy as np

HOUR_US = 3_600_000_000


def interval_us(interval_hours: Any) -> Any:
    """Whole microseconds (as float, of a number or an array) of an interval in hours; NaN, the unknown interval, stays NaN."""
    return np.rint(interval_hours * HOUR_US)
