"""A line of figures drawn in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_WIDTH, _HEIGHT = 72, 10
_PARTS = " ▁▂▃▄▅▆▇█"


def chart(times: Sequence[datetime], values: Sequence[float | None]) -> str:
    """The values over time as columns of blocks from zero (or the least value) up; an unknown value leaves a gap.

    Each column is the mean of its share of the values; the axis says least and greatest.
    """
    columns = _columns(values, min(_WIDTH, max(1, len(values))))
    known = [c for c in columns if c is not None]
    if not known:
        return "(nothing known)\n"
    low, high = min(0.0, *known), max(0.0, *known)
    height = high - low or 1.0
    lines = []
    for level in reversed(range(_HEIGHT)):
        cells = "".join(_cell(c, low, height, level) for c in columns)
        label = {_HEIGHT - 1: f"{high:9.2f}", 0: f"{low:9.2f}"}.get(level, " " * 9)
        lines.append(f"{label} |{cells}")
    first, last = f"{times[0]:%m-%d %H:%M}", f"{times[-1]:%m-%d %H:%M}"
    gap = max(1, len(columns) - len(first) - len(last))
    return "\n".join([*lines, f"{' ' * 11}{first}{' ' * gap}{last}"]) + "\n"


def _columns(values: Sequence[float | None], width: int) -> list[float | None]:
    columns: list[float | None] = []
    for n in range(width):
        share = values[n * len(values) // width : (n + 1) * len(values) // width]
        known = [v for v in share if v is not None]
        columns.append(sum(known) / len(known) if known else None)
    return columns


def _cell(value: float | None, low: float, height: float, level: int) -> str:
    if value is None:
        return " "
    filled = (value - low) / height * _HEIGHT - level
    return _PARTS[round(min(1.0, max(0.0, filled)) * (len(_PARTS) - 1))]
