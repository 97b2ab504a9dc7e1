"""Charts as inline SVG: marks and texts keep their size, only the curves stretch with the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fundingdb.charts.axis import scale, time_marks
from fundingdb.charts.text import UNKNOWN, decimals_for, minute, number, safe
from fundingdb.charts.thin import strokes, thinned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fundingdb.charts.axis import Mark, Scale
    from fundingdb.charts.thin import Floats, Positions

_LEFT = 60  # pixels for the figures of the upright axis, so that charts below each other line up
_WIDTH = 1500.0  # of the stretched drawing; its height is in pixels
_APART = 100  # bars with a gap between them
_SHARE_CUT = 99.5  # percent of the values that an axis with `cut` shows


@dataclass(frozen=True, slots=True)
class Span:
    """The time axis of all charts of a page."""

    start: datetime
    end: datetime

    @property
    def hours(self) -> float:
        """Its length, at least one hour."""
        return max(1.0, (self.end - self.start).total_seconds() / 3600)

    def x(self, hour: float) -> float:
        """The x coordinate of an hour after the start in the stretched drawing."""
        return hour / self.hours * _WIDTH


@dataclass(frozen=True, slots=True)
class Curve:
    """One value an hour from the span's start, NaN where unknown; `look` is its class in the style sheet."""

    name: str
    look: str
    values: Floats
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Guide:
    """A level drawn across the chart."""

    look: str
    value: float


@dataclass(frozen=True, slots=True)
class BarPosition:
    """The position of a bar: its first and last hour after the span's start, and its name."""

    first: float
    last: float
    name: str

    @property
    def hours(self) -> float:
        """Its length."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class BarSeries:
    """One value a period."""

    name: str
    look: str
    values: Floats


@dataclass(frozen=True, slots=True)
class _Points:
    text: str
    unit: str
    decimals: int
    left: int


def lines(
    span: Span,
    curves: Sequence[Curve],
    *,
    label: str,
    unit: str,
    most: int = 1500,
    height: int = 200,
    left: int = _LEFT,
    guides: Sequence[Guide] = (),
    held: Sequence[tuple[float, float]] = (),
    cut: bool = False,
) -> str:
    """A chart of hourly curves; `held` are stretches of hours marked at the bottom.

    With `cut` rare peaks far above all else leave the axis, and the text under the chart counts them.
    """
    kept = thinned([c.values for c in curves], most)
    known = np.concatenate([c.values[~np.isnan(c.values)] for c in curves])
    levels = [*known, *(g.value for g in guides)]
    top = float(max(levels, default=0.0))
    usual = float(np.percentile(known, _SHARE_CUT, method="lower")) if cut and len(known) else top
    shown = max(usual, *(g.value for g in guides)) if guides else usual
    limit = shown if cut and 0 < 3 * usual < top else top
    decimals = decimals_for(float(np.max(np.abs(known), initial=0.0)))
    axis = scale(float(min(levels, default=0.0)), limit, marks=max(3, height // 40))
    drawn = [*(_level(g, axis, height) for g in guides), _marked(span, held, height)]
    drawn += [_drawn(span, c, kept, axis, height) for c in curves]
    points = _points(kept, [c.values[kept] for c in curves], decimals)
    notes = "".join(_notes(span, c, axis.high, unit, decimals) for c in curves)
    summary = f"{label}. " + "; ".join(_summary(span, c, unit, decimals) for c in curves)
    return (
        _figure(span, axis, "".join(drawn), summary, height, points=_Points(points, unit, decimals, left))
        + notes
    )


def bars(
    span: Span,
    periods: Sequence[BarPosition],
    stack: Sequence[BarSeries],
    total: BarSeries,
    *,
    label: str,
    unit: str,
    height: int = 220,
) -> str:
    """BarSeries stacked away from zero, gains up and losses down, with a dash at their total."""
    parts = np.array([b.values for b in stack])
    up, down = np.clip(parts, 0, None).sum(0), np.clip(parts, None, 0).sum(0)
    axis = scale(float(np.min(down, initial=0.0)), float(np.max(up, initial=0.0)), marks=max(3, height // 40))
    fill = 0.8 if len(periods) <= _APART else 1.0
    tops, bottoms = np.zeros(len(periods)), np.zeros(len(periods))
    drawn = []
    for series in stack:
        path = []
        for n, period in enumerate(periods):
            value = float(series.values[n])
            ends = tops if value >= 0 else bottoms
            y0, y1 = (height * (1 - axis.share(v)) for v in (float(ends[n]), float(ends[n]) + value))
            ends[n] += value
            if abs(y1 - y0) >= 0.05:
                x, wide = span.x(period.first + (1 - fill) / 2 * period.hours), span.x(fill * period.hours)
                path.append(f"M{x:.1f} {y0:.1f}h{wide:.1f}V{y1:.1f}h-{wide:.1f}z")
        drawn.append(f'<path class="bar {series.look}" d="{"".join(path)}"/>')
    dashes = "".join(
        f"M{span.x(p.first):.1f} {height * (1 - axis.share(float(v))):.1f}H{span.x(p.last):.1f}"
        for p, v in zip(periods, total.values, strict=True)
    )
    drawn.append(f'<path class="curve {total.look}" d="{dashes}"/>')
    middle = np.array([(p.first + p.last) / 2 for p in periods])
    decimals = decimals_for(float(np.max(np.abs(parts), initial=0.0)))
    points = _points(middle, [b.values for b in (*stack, total)], decimals, [p.name for p in periods])
    sums = ", ".join(f"{b.name} {number(float(b.values.sum()), decimals)} {unit}" for b in (*stack, total))
    return _figure(
        span,
        axis,
        "".join(drawn),
        f"{label}. Sums: {sums}",
        height,
        points=_Points(points, unit, decimals, _LEFT),
    )


def _drawn(span: Span, curve: Curve, kept: Positions, axis: Scale, height: int) -> str:
    edge: list[str] = []
    fill: list[str] = []
    zero = height * (1 - axis.share(0.0))
    for stroke in strokes(curve.values, kept):
        at = [
            f"{span.x(float(n)):.1f} {height * (1 - axis.share(float(curve.values[n]))):.1f}" for n in stroke
        ]
        edge.append(f"M{at[0]}{'L' + ' '.join(at[1:]) if len(at) > 1 else 'h0'}")
        if curve.filled and len(at) > 1:
            first, last = (span.x(float(stroke[n])) for n in (0, -1))
            fill.append(f"M{first:.1f} {zero:.1f}L{' '.join(at)} {last:.1f} {zero:.1f}z")
    area = f'<path class="area {curve.look}" d="{"".join(fill)}"/>' if fill else ""
    return f'{area}<path class="curve {curve.look}" d="{"".join(edge)}"/>'


def _level(guide: Guide, axis: Scale, height: int) -> str:
    y = height * (1 - axis.share(guide.value))
    return f'<path class="curve {guide.look}" d="M0 {y:.1f}H{_WIDTH:g}"/>'


def _marked(span: Span, held: Sequence[tuple[float, float]], height: int) -> str:
    if not held:
        return ""
    boxes = (
        f"M{span.x(a):.1f} {height - 5}h{max(2.0, span.x(b - a)):.1f}v5h-{max(2.0, span.x(b - a)):.1f}z"
        for a, b in held
    )
    return f'<path class="held" d="{"".join(boxes)}"/>'


def _summary(span: Span, curve: Curve, unit: str, decimals: int) -> str:
    known = np.flatnonzero(~np.isnan(curve.values))
    if not len(known):
        return f"{curve.name}: {UNKNOWN}"
    low, high = known[np.argmin(curve.values[known])], known[np.argmax(curve.values[known])]
    facts = [("first", known[0]), ("least", low), ("greatest", high), ("last", known[-1])]
    extremes = ", ".join(
        f"{word} {number(float(curve.values[n]), decimals)} {unit} at {_at(span, int(n))}"
        for word, n in facts
    )
    missing = len(curve.values) - len(known)
    return f"{curve.name}: {extremes}" + (f"; unknown in {missing:,} hours" if missing else "")


def _notes(span: Span, curve: Curve, limit: float, unit: str, decimals: int) -> str:
    """What the drawing does not show: hours without a value, and values above the axis."""
    notes = []
    if unknown := int(np.isnan(curve.values).sum()):
        notes.append(f"Unknown in {unknown:,} of {len(curve.values):,} hours.")
    over = curve.values > limit
    if count := int(over.sum()):
        n = int(np.nanargmax(curve.values))
        peak = f"{number(float(curve.values[n]), decimals)} {unit} at {_at(span, n)}"
        notes.append(f"Above the axis in {count:,} {'hour' if count == 1 else 'hours'}; highest {peak}.")
    return f'<p class="note">{" ".join(notes)}</p>' if notes else ""


def _at(span: Span, hour: int) -> str:
    return f"{minute(span.start + (span.end - span.start) * (hour / span.hours))} UTC"


def _points(
    at: Positions | Floats, columns: Sequence[Floats], decimals: int, names: Sequence[str] = ()
) -> str:
    """JSON for the read-out of the script: digits, signs, null and the names of periods, nothing from outside."""
    hours = ",".join(f"{float(h):.6g}" if not float(h).is_integer() else str(int(h)) for h in at)
    values = (",".join("null" if math.isnan(v) else f"{v:.{decimals}f}" for v in c) for c in columns)
    named = f',"n":[{",".join(f"{chr(34)}{n}{chr(34)}" for n in names)}]' if names else ""
    return f'{{"t":[{hours}],"v":[{",".join(f"[{v}]" for v in values)}]{named}}}'


def _figure(span: Span, axis: Scale, drawn: str, summary: str, height: int, *, points: _Points) -> str:
    levels = [(height * (1 - axis.share(t)), t) for t in axis.ticks]
    grid = "".join(
        f'<line class="{"zero" if t == 0 else "grid"}" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
        for y, t in levels
    )
    ys = "".join(f'<text x="100%" y="{y + 4:.1f}">{axis.label(t)}</text>' for y, t in levels)
    wide = max(float(points.left), 7.2 * max(len(axis.label(t)) for t in axis.ticks))
    xs = "".join(
        f'<line class="grid" x1="{m.share:.2%}" x2="{m.share:.2%}" y2="{height}"/>' + _text(m, height + 18)
        for m in time_marks(span.start, span.end)
    )
    return (
        f'<div class="plot" data-start="{int(span.start.timestamp() * 1000)}" data-hours="{span.hours:g}"'
        f' data-unit="{safe(points.unit)}" data-decimals="{points.decimals}">'
        f'<svg class="ys" width="{wide:.0f}" height="{height + 24}" aria-hidden="true">{ys}</svg>'
        f'<svg class="xy" height="{height + 24}" role="img" aria-label="{safe(summary)}">{xs}{grid}'
        f'<svg width="100%" height="{height}" viewBox="0 0 {_WIDTH:g} {height}" preserveAspectRatio="none">{drawn}</svg>'
        f'</svg><script type="application/json">{points.text}</script></div>'
    )


def _text(mark: Mark, y: int) -> str:
    if mark.needs is None:
        return ""
    looks = f"{mark.anchor} minor" if mark.needs else mark.anchor
    return f'<text class="{looks}" x="{mark.share:.2%}" y="{y}">{mark.label}</text>'
