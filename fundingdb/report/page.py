"""The HTML report of one backtest run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fundingdb.charts.heat import heat
from fundingdb.charts.text import asset, number, percent, safe
from fundingdb.report import curves, tables
from fundingdb.report.frame import Section, page

if TYPE_CHECKING:
    from fundingdb.backtest.result import Result, Settings


def html(result: Result) -> str:
    """One self-contained HTML page; equal results give equal pages.

    It loads nothing from the network (its Content-Security-Policy forbids it) and follows the reader's dark or light
    setting; charts and tables show without scripts, a script adds read-outs and sorting. Long curves are thinned, long tables
    cut with a sentence that counts what is left out, so that a year of hours and many trades stay below 2 MB.
    """
    traded = set(result.trades.select("asset_class", "base").rows())
    sections = [
        *(
            _traded(result)
            if traded
            else [Section("trades", "No trades", no_trades(result)), _figures(result)]
        ),
        Section("heat", "Funding rates, % a year", heat(result.heat, traded)),
        *([Section("trades", "Trades", tables.trades(result))] if traded else []),
        Section("decisions", "Decisions", tables.decisions(result)),
        Section("parameters", "Parameters", tables.parameters(result.settings)),
    ]
    return page("Funding backtest", _strategy(result.settings), result, sections)


def _figures(result: Result) -> Section:
    return Section("figures", "Figures", tables.figure_list(result.summary))


def _traded(result: Result) -> list[Section]:
    span = curves.span_of(result)
    period, by_leg = curves.daily(result, span)
    return [
        _figures(result),
        Section("equity", "Equity, USD", curves.equity(result, span)),
        Section("drawdown", "Drawdown, USD", curves.drawdown(result, span)),
        Section("legs", f"{period} PnL by leg, USD", by_leg + tables.legs(result)),
        Section("exposure", "Exposure by exchange, USD", _EXPOSURE + tables.exposure(result)),
        Section("spreads", "Spreads, % a year", curves.spreads(result, span)),
    ]


_EXPOSURE = '<p class="note">Gross notional of the open legs at each exchange, both kinds of leg.</p>'


def no_trades(result: Result) -> str:
    """A sentence instead of trades: none were made; and the widest mean spreads between exchanges."""
    entry = f"entry asks for a known spread of {percent(result.settings.entry_apr)} % a year"
    pairs = (
        result.heat.drop_nulls("mean_apr")
        .group_by("asset_class", "base")
        .agg(
            pl.col("mean_apr").max() - pl.col("mean_apr").min(),
            pl.col("exchange").sort_by("mean_apr").first().alias("low"),
            pl.col("exchange").sort_by("mean_apr").last().alias("high"),
            pl.len().alias("exchanges"),
        )
        .filter(pl.col("exchanges") > 1)
        .sort("mean_apr", "base", descending=[True, False])
    )
    if pairs.is_empty():
        why = "No asset had a known rate on two exchanges."
    else:
        kind, base, apr, low, high, _ = pairs.row(0)
        why = (
            f"By their means over the span, the rates lie furthest apart for {asset(kind, base)}: "
            f"{safe(low)} below {safe(high)} by {percent(apr)} % a year."
        )
    return f"<p>No trade was made: {entry}. {why}</p>"


def _strategy(settings: Settings) -> str:
    fees = f"{settings.fees} fees" if settings.fees in {"taker", "maker"} else f"fees of {settings.fees}"
    return (
        f"Long the lower and short the higher funding rate: in from {percent(settings.entry_apr, 1)} % a year, "
        f"out below {percent(settings.exit_apr, 1)} %, held at least {settings.hold_hours:g} h, "
        f"{number(settings.notional_usd, 0)} USD a leg, {safe(fees)}."
    )
