"""Heat maps as HTML tables: a figure in each cell, coloured by its size and sign."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fundingdb.charts.table import scrolled
from fundingdb.charts.text import UNKNOWN, asset, number, percent, safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

_CELLS = 4000
_STEPS = 4  # of colour on each side of zero


@dataclass(frozen=True, slots=True)
class Shade:
    """A cell: a fraction a year, None where unknown, and a word about it."""

    apr: float | None
    about: str = ""


def shaded(
    label: str,
    corner: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[int, int], Shade],
    *,
    step: float,
    missing: str,
) -> str:
    """A table of percents, a colour for each `step`; headings are escaped already; `missing` fills empty cells."""
    heads = "".join(f'<th scope="col" class="n">{c}</th>' for c in columns)
    body = (
        f'<tr><th scope="row">{head}</th>'
        f"{''.join(_cell(cells.get((r, c)), step, missing) for c in range(len(columns)))}</tr>"
        for r, head in enumerate(rows)
    )
    return scrolled(label, ' class="heat sortable"', f'<th scope="col">{corner}</th>{heads}', body)


def heat(frame: pl.DataFrame, traded: set[tuple[str, str]]) -> str:
    """Assets down, exchanges across, `mean_apr` as percent a year; assets in `traded` come first.

    At most 4,000 cells, and then a sentence says how many assets are left out.
    """
    if frame.is_empty():
        return "<p>No rate of any exchange was known in the span.</p>"
    exchanges = sorted(set(frame["exchange"].to_list()))
    assets = sorted(
        set(frame.select("asset_class", "base").rows()),
        key=lambda a: (a not in traded, a[1].casefold(), a),
    )
    shown = assets[: max(1, _CELLS // len(exchanges))]
    row, column = ({name: n for n, name in enumerate(names)} for names in (shown, exchanges))
    cells = {
        (row[kind, base], column[exchange]): Shade(apr, f"{hours:,} hours known")
        for exchange, kind, base, apr, hours in frame.select(
            "exchange", "asset_class", "base", "mean_apr", "known_hours"
        ).iter_rows()
        if (kind, base) in row
    }
    step = colour_step(frame["mean_apr"])
    out = len(assets) - len(shown)
    left = f'<p class="note">{out:,} of {len(assets):,} assets are left out of the map; traded ones come first.</p>'
    return (
        '<p class="note">Mean of the known rates, % a year; positive: longs pay shorts.</p>'
        + legend(step)
        + shaded(
            "Mean known funding rate, exchange by asset",
            "asset",
            [asset(*name) for name in shown],
            [safe(e) for e in exchanges],
            cells,
            step=step,
            missing="no rate",
        )
        + (left if out else "")
    )


def colour_step(known: Iterable[float | None]) -> float:
    """The width of a colour, so that about nine tenths of the rates are below the strongest one."""
    sizes = sorted(abs(r) for r in known if r is not None and math.isfinite(r))
    if not sizes or sizes[-1] == 0:
        return 0.05
    usual = sizes[int(0.9 * (len(sizes) - 1))] or sizes[-1]
    raw = usual / (_STEPS - 0.5)
    power = 10.0 ** math.floor(math.log10(raw))
    return next(f * power for f in (1.0, 1.5, 2.0, 3.0, 5.0, 10.0) if raw <= f * power * (1 + 1e-9))


def _level(apr: float, step: float) -> int:
    """0 within half a step of zero, then up to 4 (positive) or -4 (negative)."""
    size = min(_STEPS, math.floor(abs(apr) / step + 0.5))
    return size if apr > 0 else -size


def _look(level: int) -> str:
    return f"h{'p' if level > 0 else 'm'}{abs(level)}" if level else "h0"


def _cell(shade: Shade | None, step: float, missing: str) -> str:
    if shade is None:
        return f'<td class="none">{missing}</td>'
    apr = shade.apr
    if apr is None or not math.isfinite(apr):
        return f'<td class="none">{UNKNOWN}</td>'
    about = f' title="{safe(shade.about)}"' if shade.about else ""
    return f'<td class="{_look(_level(apr, step))}"{about}>{percent(apr, 1, sign=True)}</td>'


def legend(step: float) -> str:
    """What the colours mean."""
    decimals = next((d for d in range(6) if math.isclose(round(step * 100, d), step * 100)), 6)
    keys = "".join(
        f'<li class="{_look(n)}">{number(n * step * 100, decimals, sign=True)}</li>'
        for n in range(-_STEPS, _STEPS + 1)
    )
    return (
        '<p class="note">Each colour covers the figures nearest to its own, % a year; the outermost also for all '
        f'beyond.</p><ul class="scale" aria-label="colours, % a year">{keys}</ul>'
    )
