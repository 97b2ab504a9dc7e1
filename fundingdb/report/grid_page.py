"""The HTML report of a grid search: the best point, net a year over two parameters, and every point."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.backtest.result import FIGURES
from fundingdb.charts.heat import Shade, colour_step, legend, shaded
from fundingdb.charts.table import Cell, TableColumn, figures, money, table
from fundingdb.charts.text import number, percent, safe
from fundingdb.report.frame import Section, page
from fundingdb.report.tables import figure_list, parameters

if TYPE_CHECKING:
    from fundingdb.backtest.grids import Grid

_MAPS = 6
_ROWS = 1000
_SIGNED = {"funding_usd", "fees_usd", "net_usd", "worst_day_usd", "max_drawdown_usd"}


def grid_html(grid: Grid) -> str:
    """One page of `grid`, made as that of a single run; the best point is the one with the highest net_apr."""
    axes = [name for name in grid.table.columns if name not in FIGURES]
    ranked = grid.table.sort("net_apr", descending=True, nulls_last=True, maintain_order=True)
    sections = [
        Section("best", "Best point by net_apr", _best(axes, ranked)),
        Section("map", "Net, % a year", _maps(axes, grid.table)),
        Section("points", "Points", _points(axes, ranked)),
        Section("parameters", "Parameters", parameters(grid.settings, varied=axes)),
    ]
    points = f"{len(grid.table):,} points over {', '.join(map(_words, axes))}."
    return page(
        "Funding backtest, grid",
        f"{points} The best of many is luck in part: try it on another span.",
        grid,
        sections,
    )


def _best(axes: list[str], ranked: pl.DataFrame) -> str:
    best = ranked.row(0, named=True)
    if best["net_apr"] is None:
        return "<p>No point made a trade.</p>"
    at = "; ".join(f"{_words(a)} {_value(a, best[a])}" for a in axes)
    return f"<p>{at}.</p>{figure_list({n: best[n] for n in FIGURES if n in best})}"


def _maps(axes: list[str], rows: pl.DataFrame) -> str:
    wide = [a for a in axes if rows[a].n_unique() > 1]
    if len(wide) < 2:
        return "<p>Fewer than two parameters vary: see the points.</p>"
    down, across, *others = wide
    values = {a: sorted(rows[a].unique().to_list()) for a in wide}
    every = list(product(*(values[a] for a in others)))
    step = colour_step(rows["net_apr"])
    maps = [legend(step)]
    for fixed in every[:_MAPS]:
        where = [pl.col(a) == v for a, v in zip(others, fixed, strict=True)]
        part = rows.filter(*where) if where else rows
        positions = [{v: n for n, v in enumerate(values[a])} for a in (down, across)]
        cells = {
            (positions[0][r], positions[1][c]): Shade(apr, f"{trades:,} trades")
            for r, c, apr, trades in part.select(down, across, "net_apr", "trades").iter_rows()
        }
        heads = {a: [_value(a, v) for v in values[a]] for a in (down, across)}
        corner = f"{_words(down)} <small>across: {_words(across)}</small>"
        heading = "; ".join(f"{_words(a)} {_value(a, v)}" for a, v in zip(others, fixed, strict=True))
        maps.append(f"<h3>{heading}</h3>" if heading else "")
        maps.append(
            shaded(
                f"Net a year, {_words(down)} by {_words(across)}",
                corner,
                heads[down],
                heads[across],
                cells,
                step=step,
                missing="not run",
            )
        )
    out = len(every) - _MAPS
    left = (
        f'<p class="note">{out:,} more maps are left out; their points are in the table.</p>'
        if out > 0
        else ""
    )
    return "".join(maps) + left


def _points(axes: list[str], ranked: pl.DataFrame) -> str:
    names = [n for n in ("net_apr", "net_usd", *FIGURES) if n in ranked.columns]
    names = list(dict.fromkeys(names))
    columns = [figures(_words(a)) for a in axes]
    columns += [_column(n) for n in names]
    cells = (
        [*(_value(a, r[a]) for a in axes), *(_cell(n, r[n]) for n in names)]
        for r in ranked.head(_ROWS).iter_rows(named=True)
    )
    out = len(ranked) - _ROWS
    left = (
        f'<p class="note">{out:,} of {len(ranked):,} points are left out: those with the least net_apr.</p>'
        if out > 0
        else ""
    )
    return left + table("Points, the best first", columns, cells)


def _column(name: str) -> TableColumn:
    unit = {"usd": "USD", "fraction a year": "% a year", "fraction": "%", "hours": "h"}.get(
        FIGURES[name][0], ""
    )
    return figures(_words(name.removesuffix("_usd")), unit)


def _cell(name: str, value: float | None) -> str | Cell:
    if name in _SIGNED:
        return money(value)
    match FIGURES[name][0]:
        case "fraction a year":
            return percent(value, sign=True)
        case "fraction":
            return percent(value, 1)
        case "hours" | "count":
            return number(value, 0)
        case _:
            return number(value)


def _words(name: str) -> str:
    return safe(name.removesuffix("_apr").replace("_", " ") if name != "net_apr" else "net apr")


def _value(axis: str, value: float | None) -> str:
    if value is None:
        return "none"
    return f"{percent(value, 1)}\N{NO-BREAK SPACE}%" if axis.endswith("_apr") else f"{value:g}"
