"""The settlements of a span, market by market and oldest first, as plain arrays. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fundingdb.provider.known import interval_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from fundingdb.window import Window

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Array = npt.NDArray[Any]

Series = tuple[str, str, str, str, str]  # exchange, asset_class, base, symbol, rate_type
_SERIES = ("asset_class", "base", "symbol", "rate_type")
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Series (exchange, asset_class, base, symbol, rate_type) in order, and rows [lows[i], lows[i + 1]) of each.

    `time`: microseconds since 1970; `values`: column -> figures, NaN where null.
    """

    series: list[Series]
    lows: list[int]
    time: Ints
    values: Mapping[str, Floats]


def gathered(parts: Iterable[tuple[str, pl.DataFrame]], window: Window, columns: Sequence[str]) -> Rows:
    """The rows of all parts that count in the window: those in it, both ends inside, and the one known at its start.

    Parts come as files are sorted: a series is a run of rows, or some runs. Runs are put together, not rows; only a
    series whose runs overlap is sorted.
    """
    pieces: dict[Series, list[tuple[int, dict[str, Array]]]] = {}
    for exchange, part in parts:
        if not part.height:
            continue
        arrays = {name: _plain(part[name]) for name in ("time", *columns)}
        starts = _starts(part)
        names = part.select(_SERIES)[starts].rows()
        for who, low, high in zip(names, starts, [*starts[1:], part.height], strict=True):
            cut = {name: array[low:high] for name, array in arrays.items()}
            pieces.setdefault((exchange, *who), []).append((int(cut["time"][0]), cut))
    series = sorted(pieces)
    cuts = [cut for who in series for _, cut in sorted(pieces[who], key=lambda piece: piece[0])]
    counts = [sum(len(cut["time"]) for _, cut in pieces[who]) for who in series]
    lows = [0, *np.cumsum(counts, dtype=np.int64).tolist()]
    time = _joined([cut["time"] for cut in cuts], np.int64)
    values = {name: _joined([cut[name] for cut in cuts], np.float64) for name in columns}
    _put_in_order(lows, time, values)
    return _trimmed(Rows(series, lows, time, values), window)


def _plain(column: pl.Series) -> Array:
    if column.dtype == pl.Float64 and column.null_count():
        column = column.fill_null(float("nan"))
    return column.to_numpy()


def _starts(part: pl.DataFrame) -> list[int]:
    """Where another series begins."""
    starts = {0}
    for name in _SERIES:
        column = part[name]
        if not (column == column[0]).all():  # a third of the cost of looking for runs
            starts.update(column.rle().struct.field("len").cum_sum().to_list()[:-1])
    return sorted(starts)


def _joined(arrays: Sequence[Array], kind: type[np.int64 | np.float64]) -> Array:
    return np.concatenate(arrays, dtype=kind) if arrays else np.empty(0, kind)


def _put_in_order(lows: Sequence[int], time: Ints, values: Mapping[str, Floats]) -> None:
    """Sort the series that are not in order of time yet, in place."""
    falls = np.flatnonzero(time[1:] < time[:-1]) + 1
    falls = falls[~np.isin(falls, lows)]
    for at in np.unique(np.searchsorted(lows, falls, side="right") - 1).tolist():
        rows = slice(lows[at], lows[at + 1])
        order = np.argsort(time[rows], kind="stable")
        for array in (time, *values.values()):
            array[rows] = array[rows][order]


def _trimmed(rows: Rows, window: Window) -> Rows:
    """Without rows before the window that are no longer known at its start; series left empty are dropped."""
    start = int(window.start.timestamp()) * _US + window.start.microsecond
    if not rows.time.size or rows.time.min() >= start:
        return rows
    kept = list[tuple[Series, slice]]()
    hours = rows.values["interval_hours"]
    for who, low, high in zip(rows.series, rows.lows, rows.lows[1:], strict=False):
        first = low + int(np.searchsorted(rows.time[low:high], start))
        if first == high or rows.time[first] > start:  # else a payment at the start itself is the one known
            before = first - 1
            if (
                before >= low
                and who[-1] == "regular"
                and start - rows.time[before] < interval_us(hours[before])
            ):
                first = before
        if first < high:
            kept.append((who, slice(first, high)))
    lows = [0, *np.cumsum([cut.stop - cut.start for _, cut in kept], dtype=np.int64).tolist()]
    time = _joined([rows.time[cut] for _, cut in kept], np.int64)
    values = {n: _joined([array[cut] for _, cut in kept], np.float64) for n, array in rows.values.items()}
    return Rows([who for who, _ in kept], lows, time, values)
