"""Downsampling of curves for drawing: least and greatest values stay, gaps stay gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Positions = NDArray[np.int64]


def thinned(curves: Sequence[Floats], most: int) -> Positions:
    """The positions to keep, ascending, the same for all curves (equally long, NaN is a gap); all where there are at most `most`.

    The positions are cut into equal runs; of each stay its first and last, and each curve's least, greatest and first NaN.
    """
    length = len(curves[0])
    if length <= most:
        return np.arange(length, dtype=np.int64)
    runs = max(1, most // (2 + 3 * len(curves)))
    keep: set[int] = set()
    for run in range(runs):
        low, high = run * length // runs, (run + 1) * length // runs
        keep |= {low, high - 1}
        for curve in curves:
            part = curve[low:high]
            gap = np.isnan(part)
            if gap.any():
                keep.add(low + int(np.argmax(gap)))
            if not gap.all():
                keep |= {low + int(np.nanargmin(part)), low + int(np.nanargmax(part))}
    return np.array(sorted(keep), dtype=np.int64)


def strokes(curve: Floats, kept: Positions) -> list[Positions]:
    """The kept positions of known values, cut wherever a NaN of the whole curve is between two of them."""
    known = kept[~np.isnan(curve[kept])]
    if not len(known):
        return []
    gaps_before = np.cumsum(np.isnan(curve))
    cuts = np.flatnonzero(np.diff(gaps_before[known])) + 1
    return [np.asarray(s, dtype=np.int64) for s in np.split(known, cuts)]
