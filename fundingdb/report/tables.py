"""The tables of a report: figures, parameters, exposure, legs, trades, decisions."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.backtest.result import FIGURES
from fundingdb.charts.table import TableColumn, figures, money, rate, table
from fundingdb.charts.text import asset, decimals_for, figure, instant, minute, number, percent, safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fundingdb.backtest.result import Result, Settings

_ROWS = 1000
_PAIR = (TableColumn("asset"), TableColumn("long"), TableColumn("short"))
_SETTINGS = {
    "start": "UTC",
    "end": "UTC, exclusive",
    "entry_apr": "least known spread to enter, before costs",
    "exit_apr": "a held pair whose known spread pays less is left",
    "hold_hours": "not left before, unless its data ends",
    "max_pairs": "open at once",
    "switch_band_apr": "how much more another pair of the asset must pay to change to it",
    "notional_usd": "of each leg",
    "fees": "kind of fill, or the table of fees",
    "slippage_bps": "hundredths of a percent of notional, at each fill",
}
_NONE = {"max_pairs": "no limit", "switch_band_apr": "never", "tokens": "all", "exchanges": "all"}


def figure_list(summary: Mapping[str, float | int | None]) -> str:
    """Every figure with unit and meaning; its exact value is in the element's `value`."""
    entries = []
    for name, value in summary.items():
        unit, meaning = FIGURES.get(name, ("1", ""))
        words = safe(name.removesuffix("_usd").replace("_", " "))
        exact = "" if value is None else f' value="{value if isinstance(value, int) else float(value)!r}"'
        entries.append(
            f'<div><dt>{words}</dt><dd><data id="figure-{safe(name)}"{exact}>{figure(unit, value)}</data>'
            f"<p>{safe(meaning)}</p></dd></div>"
        )
    return f'<dl class="figures">{"".join(entries)}</dl>'


def parameters(settings: Settings, varied: Sequence[str] = ()) -> str:
    """Every parameter of the run; those in `varied` differ from point to point."""
    rows = [
        (
            f.name,
            "varies" if f.name in varied else _setting(f.name, getattr(settings, f.name)),
            _SETTINGS.get(f.name, ""),
        )
        for f in fields(settings)
    ]
    return table(
        "Parameters",
        [TableColumn("name"), TableColumn("value"), TableColumn("meaning")],
        rows,
        sortable=False,
    )


def _setting(name: str, value: object) -> str:
    match value:
        case None:
            text = _NONE.get(name, "none")
        case datetime():
            text = minute(value)
        case tuple() | list():
            text = ", ".join(map(str, value))
        case float() | int() if name.endswith("_apr"):
            text = f"{percent(value)} % a year"
        case float() | int() if name.endswith("_usd"):
            text = f"{number(value)} USD"
        case float() | int() if name.endswith("_hours"):
            text = f"{value:g} h"
        case float() if name.endswith("_bps"):
            text = f"{value:g} basis points"
        case _:
            text = str(value)
    return safe(text)


def legs(result: Result) -> str:
    """Sums of the daily money by exchange and leg."""
    if result.daily.is_empty():
        return ""
    rows = (
        result.daily.group_by("exchange", "leg")
        .agg(
            pl.col("funding_usd", "fees_usd", "net_usd").sum(),
            pl.col("net_usd").min().alias("worst"),
            pl.col("net_usd").max().alias("best"),
            pl.len().alias("days"),
        )
        .sort("exchange", "leg")
    )
    columns = [
        TableColumn("exchange"),
        TableColumn("leg"),
        *(figures(name, "USD") for name in ("funding", "fees", "net", "worst day", "best day")),
        figures("days"),
    ]
    cells = [
        [safe(exchange), safe(leg), *map(money, sums), number(days, 0)]
        for exchange, leg, *sums, days in rows.iter_rows()
    ]
    return table("Money by exchange and leg", columns, cells)


def exposure(result: Result) -> str:
    """Notional of the open legs at each exchange, as figures and bars."""
    if result.exposure.is_empty():
        return "<p>No leg was open at any exchange.</p>"
    rows = result.exposure.select("exchange", "mean_usd", "most_usd").sort("most_usd", descending=True).rows()
    widest = max((most or 0.0 for _, _, most in rows), default=0.0) or 1.0
    cells = [
        [
            safe(exchange),
            _amount(mean),
            _amount(most),
            _bar((mean or 0.0) / widest, (most or 0.0) / widest),
        ]
        for exchange, mean, most in rows
    ]
    columns = [
        TableColumn("exchange"),
        figures("mean", "USD"),
        figures("most", "USD"),
        TableColumn("mean, filled; most, outlined"),
    ]
    return table("Exposure by exchange", columns, cells)


def _amount(value: float | None) -> str:
    return number(value, 0 if value is not None and abs(value) >= 100 else decimals_for(value))


def _bar(mean: float, most: float) -> str:
    return (
        '<svg class="share" width="100%" height="14" aria-hidden="true">'
        f'<rect class="most" width="{most:.2%}" height="13" y=".5"/><rect class="mean" width="{mean:.2%}" height="14"/></svg>'
    )


def trades(result: Result) -> str:
    """The trades by entry: all, or the 1,000 with the largest gain or loss and what the others sum to."""
    rows, every = result.trades, len(result.trades)
    left = ""
    if every > _ROWS:
        ranked = rows.with_row_index("rank").sort(pl.col("net_usd").abs(), descending=True, nulls_last=True)
        rest = float(ranked.slice(_ROWS)["net_usd"].cast(pl.Float64).sum())
        rows = ranked.head(_ROWS).sort("rank").drop("rank")
        left = (
            f'<p class="note">{every - _ROWS:,} of {every:,} trades are left out (--trades FILE writes all): '
            f"those with the least gain or loss, {number(rest, sign=True)} USD net in all.</p>"
        )
    columns = [
        TableColumn("asset"),
        *(figures(name, "USD") for name in ("net", "funding", "fees")),
        TableColumn("long"),
        TableColumn("short"),
        *(TableColumn(name, "UTC") for name in ("entered", "exited")),
        figures("held", "h"),
        *(figures(name, "% a year") for name in ("entry spread", "exit spread")),
        TableColumn("exit"),
        *(figures(name, "USD") for name in ("long funding", "short funding")),
        figures("payments"),
        figures("unknown", "h"),
    ]
    cells = (
        [
            asset(r["asset_class"], r["base"]),
            *(money(r[f"{n}_usd"]) for n in ("net", "funding", "fees")),
            _market(r["long_exchange"], r["long_symbol"]),
            _market(r["short_exchange"], r["short_symbol"]),
            instant(r["entered_at"]),
            instant(r["exited_at"]),
            number(r["held_hours"], 0),
            rate(r["entry_spread_apr"]),
            rate(r["exit_spread_apr"]),
            safe(r["exit_reason"]),
            *(money(r[f"{n}_usd"]) for n in ("long_funding", "short_funding")),
            number(r["payments"], 0),
            number(r["unknown_hours"], 0),
        ]
        for r in rows.iter_rows(named=True)
    )
    return left + table("Trades", columns, cells)


def decisions(result: Result) -> str:
    """The log of decisions in order: all, or the first 1,000 with skips left out first; and counts by action."""
    rows = result.decisions
    if rows.is_empty():
        return "<p>There was nothing to decide.</p>"
    note = f"{len(rows):,} decisions: {_counts(rows)}."
    if len(rows) > _ROWS:
        ranked = rows.with_row_index("rank").sort(pl.col("action") == "skip", "rank")
        note += f" The table leaves out {len(rows) - _ROWS:,} (--decisions FILE writes all): {_counts(ranked.slice(_ROWS))}."
        rows = ranked.head(_ROWS).sort("rank").drop("rank")
    columns = [
        TableColumn("hour", "UTC"),
        TableColumn("action"),
        *_PAIR,
        figures("spread", "% a year"),
        TableColumn("reason"),
    ]
    cells = (
        [
            instant(r["hour_at"]),
            safe(r["action"]),
            asset(r["asset_class"], r["base"]),
            safe(r["long_exchange"]),
            safe(r["short_exchange"]),
            rate(r["spread_apr"]),
            safe(r["reason"]),
        ]
        for r in rows.iter_rows(named=True)
    )
    return f'<p class="note">{note}</p>{table("Decisions", columns, cells)}'


def _counts(decisions: pl.DataFrame) -> str:
    counts = decisions.group_by("action").len().sort("len", "action", descending=[True, False]).rows()
    return ", ".join(f"{n:,} {safe(action)}" for action, n in counts)


def _market(exchange: str, symbol: str) -> str:
    return f"{safe(exchange)} <small>{safe(symbol)}</small>"
