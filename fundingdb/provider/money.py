"""Sums of the payments of a position, and the hours of a span without a settlement. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.window import YEAR_HOURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fundingdb.provider.names import LoadedMarket

_LATE = 0.5  # of an interval: a settlement so much later than due makes a hole, as in sql/gaps.sql

_SUMMED = {
    **dict.fromkeys(("leg", "exchange", "symbol"), pl.String),
    **dict.fromkeys(("payments", "specials"), pl.Int64),
    **dict.fromkeys(("funding", "earned_apr", "span_hours", "hole_hours", "unknown_hours"), pl.Float64),
    "marks": pl.Int64,
}

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Unpaid:
    """Spans of (start, end] that no known settlement accounts for.

    `holes`: settlements are missing there; `unknown`: the payment after it has an unknown interval, so that a settlement
    may be missing there.
    """

    holes: list[Span]
    unknown: list[Span]


def unpaid(paid: Sequence[tuple[datetime, float | None]], start: datetime, end: datetime) -> Unpaid:
    """The holes among the settlements (time, interval_hours) of one market up to the end, oldest first.

    A payment accounts for its own interval before it. After the last one those intervals are missing that were due by
    the end. Nothing later than the end is looked at: a hole is what it looked like then.
    """
    holes, unknown = list[Span](), list[Span]()
    last, every = start, None
    began = False  # whether a payment at or before the start is known
    for at, hours in paid:
        if at <= start:
            last, every, began = at, hours, True
            continue
        if hours is None:
            unknown.append((last, at))
        else:
            step = timedelta(hours=hours)
            if at - step - last > _LATE * step or (not began and at - step > start):
                holes.append((last, at - step))
        last, every, began = at, hours, True
    if every is None:
        (unknown if began else holes).append((last, end))
    else:
        step = timedelta(hours=every)
        holes.append((last, last + (end - last) // step * step))
    return Unpaid(_within(holes, start, end), _within(unknown, start, end))


def summary(
    paid: pl.DataFrame, legs: Mapping[str, tuple[LoadedMarket, Unpaid]], span_hours: float, notional: float
) -> pl.DataFrame:
    """A row a leg and one for both, of the rows of `carry` and what each leg lacks: see `carry_summary`."""
    both = Unpaid(
        [span for _, lost in legs.values() for span in lost.holes],
        [span for _, lost in legs.values() for span in lost.unknown],
    )
    rows: list[tuple[object, ...]] = [
        (leg, m.exchange, m.symbol, *_summed(paid.filter(leg=leg), lost, span_hours, notional))
        for leg, (m, lost) in legs.items()
    ]
    rows.append(("both", None, None, *_summed(paid, both, span_hours, notional)))
    return pl.DataFrame(rows, schema=_SUMMED, orient="row")


def _summed(paid: pl.DataFrame, lost: Unpaid, span_hours: float, notional: float) -> tuple[object, ...]:
    specials = paid.filter(rate_type="special").height
    funding = float(paid["cash"].sum())
    a_year = funding / notional / span_hours * YEAR_HOURS
    missing = hours(lost.holes), hours(lost.unknown)
    return paid.height, specials, funding, a_year, span_hours, *missing, paid["mark_ratio"].count()


def hours(spans: Iterable[Span]) -> float:
    """Hours that at least one of the spans covers."""
    total, reached = timedelta(), None
    for low, high in sorted(spans):
        begin = low if reached is None else max(low, reached)
        total += max(timedelta(), high - begin)
        reached = high if reached is None else max(reached, high)
    return total / timedelta(hours=1)


def _within(spans: Iterable[Span], start: datetime, end: datetime) -> list[Span]:
    cut = ((max(low, start), min(high, end)) for low, high in spans)
    return [(low, high) for low, high in cut if low < high]
