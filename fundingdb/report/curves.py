"""The charts of a report: equity, drawdown, daily money by leg, spreads of the traded assets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fundingdb.charts.chart import BarPosition, BarSeries, Curve, Guide, Span, bars, lines
from fundingdb.charts.text import asset, day, percent

if TYPE_CHECKING:
    from datetime import date

    from fundingdb.backtest.result import Result
    from fundingdb.charts.thin import Floats

_HOUR = timedelta(hours=1)
_SPREADS = 12  # charts of assets
_PERIODS = (("1d", "Daily"), ("1w", "Weekly"), ("1mo", "Monthly"))
_BARS = 400
_ASSET = ("asset_class", "base")


def span_of(result: Result) -> Span:
    """Full hours around the run's span."""
    start, end = (at.astimezone(UTC) for at in (result.settings.start, result.settings.end))
    first = start.replace(minute=0, second=0, microsecond=0)
    last = end.replace(minute=0, second=0, microsecond=0)
    return Span(first, last if last == end else last + _HOUR)


def hourly(span: Span, frame: pl.DataFrame, column: str) -> Floats:
    """The column at each hour of the span and of the frame; NaN where there is no row or no value."""
    at = ((frame["hour_at"] - span.start).dt.total_seconds() // 3600).to_numpy()
    values = frame[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    length = max(int(np.ceil(span.hours)), int(at.max()) + 1 if len(at) else 0)
    out = np.full(length, np.nan)
    out[at[at >= 0]] = values[at >= 0]
    return out


def equity(result: Result, span: Span) -> str:
    """Equity beside the sums of funding and of fees."""
    if result.equity.is_empty():
        return "<p>The run has no hours.</p>"
    rows = result.equity.sort("hour_at").with_columns(pl.col("funding_usd", "fees_usd").cum_sum())
    curves = [
        Curve("funding, summed", "funding", hourly(span, rows, "funding_usd")),
        Curve("fees, summed", "fees", hourly(span, rows, "fees_usd")),
        Curve("equity (net, summed)", "net", hourly(span, rows, "equity_usd")),
    ]
    return keys(curves) + lines(span, curves, label="Equity", unit="USD", height=260)


def drawdown(result: Result, span: Span) -> str:
    """How far equity is below its peak."""
    if result.equity.is_empty():
        return "<p>The run has no hours.</p>"
    curve = Curve("drawdown", "loss", hourly(span, result.equity, "drawdown_usd"), filled=True)
    return lines(span, [curve], label="Drawdown below the peak of equity", unit="USD", height=150)


def daily(result: Result, span: Span) -> tuple[str, str]:
    """The word for the period of a bar, and the bars: funding of the long and of the short legs, fees, and net."""
    if result.daily.is_empty():
        return _PERIODS[0][1], "<p>No money moved.</p>"
    rows = result.daily.with_columns(pl.col("day").cast(pl.Date))
    fits = (p for p in _PERIODS if rows["day"].dt.truncate(p[0]).n_unique() <= _BARS)
    every, word = next(fits, _PERIODS[-1])
    funding = pl.col("funding_usd")
    by = (
        rows.group_by(pl.col("day").dt.truncate(every).alias("period"))
        .agg(
            long=funding.filter(pl.col("leg") == "long").sum(),
            short=funding.filter(pl.col("leg") == "short").sum(),
            fees=pl.col("fees_usd").sum(),
            net=pl.col("net_usd").sum(),
        )
        .sort("period")
        .with_columns(until=pl.col("period").dt.offset_by(every))
    )
    periods = [
        BarPosition(max(0.0, _hour(span, a)), min(span.hours, _hour(span, b)), _name(a, b))
        for a, b in by.select("period", "until").rows()
    ]
    stack = [
        BarSeries(name, look, by[column].cast(pl.Float64).to_numpy())
        for name, look, column in (
            ("funding of long legs", "long", "long"),
            ("funding of short legs", "short", "short"),
            ("fees", "fees", "fees"),
        )
    ]
    total = BarSeries("net", "net", by["net"].cast(pl.Float64).to_numpy())
    chart = bars(span, periods, stack, total, label=f"{word} PnL by leg", unit="USD")
    return word, keys([*stack, total]) + chart


def spreads(result: Result, span: Span) -> str:
    """The widest known spread of each traded asset, with the levels of entry and exit and the hours held."""
    if result.spreads.is_empty():
        return "<p>No spread between two exchanges was known.</p>"
    settings = result.settings
    held = result.trades.group_by(_ASSET).agg(pl.col("held_hours").sum())
    widest = result.spreads.group_by(_ASSET).agg(pl.col("spread_apr").max())
    ranked = widest.join(held, on=_ASSET, how="left", nulls_equal=True).sort(
        "held_hours", "spread_apr", "base", descending=[True, True, False], nulls_last=True
    )
    shown = ranked.head(_SPREADS).select(_ASSET).rows()
    guides = [Guide("entry", settings.entry_apr * 100), Guide("exit", settings.exit_apr * 100)]
    charts = "\n".join(_spread(result, span, kind, base, guides) for kind, base in shown)
    out = len(ranked) - len(shown)
    left = (
        f'<p class="note">{out:,} of {len(ranked):,} assets are left out: the {len(shown)} held longest are drawn.</p>'
        if out
        else ""
    )
    legend = (
        '<ul class="keys"><li class="spread">widest known spread</li>'
        f'<li class="entry">entry, {percent(settings.entry_apr, 1)} % a year</li>'
        f'<li class="exit">exit, {percent(settings.exit_apr, 1)} % a year</li><li class="held">held</li></ul>'
    )
    return f'{legend}<div class="many">{charts}</div>{left}'


def _spread(result: Result, span: Span, kind: str, base: str, guides: list[Guide]) -> str:
    this = (pl.col("asset_class") == kind) & (pl.col("base") == base)
    rows = result.spreads.filter(this).with_columns(pl.col("spread_apr") * 100)
    trades = result.trades.filter(this)
    held = [(_since(span, a), _since(span, b)) for a, b in trades.select("entered_at", "exited_at").rows()]
    curve = Curve("widest known spread", "spread", hourly(span, rows, "spread_apr"))
    chart = lines(
        span,
        [curve],
        label=f"Spread of {base}",
        unit="% a year",
        most=600,
        height=130,
        left=36,
        guides=guides,
        held=held,
        cut=True,
    )
    return f"<section><h3>{asset(kind, base)}</h3>{chart}</section>"


def keys(series: list[Curve] | list[BarSeries]) -> str:
    """The legend; the script reads the names for its read-out from it."""
    return f'<ul class="keys">{"".join(f"<li class={chr(34)}{s.look}{chr(34)}>{s.name}</li>" for s in series)}</ul>'


def _since(span: Span, at: datetime) -> float:
    return (at - span.start) / _HOUR


def _hour(span: Span, at: date) -> float:
    return (datetime(at.year, at.month, at.day, tzinfo=UTC) - span.start) / _HOUR


def _name(first: date, until: date) -> str:
    last = until - timedelta(days=1)
    return day(first) if last == first else f"{day(first)} to {day(last)}"
