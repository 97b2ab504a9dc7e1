"""Fills in the intervals of fetched and of stored rows from the rows beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.ingest import intervals, ledger
from fundingdb.ingest.intervals import MARKET, REACH
from fundingdb.schema import FUNDING, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from fundingdb.lake import Lake
    from fundingdb.window import Window

_NAMED = 8  # spans of time filtered one by one; more of them are read as one


@dataclass(slots=True)
class Healer:
    """Derives intervals inside the complete windows of each market.

    A window that another process completes meanwhile is not considered: its neighbours stay null until a later row joins them.
    """

    lake: Lake
    _complete: dict[tuple[str, str, str], list[Window]] = field(default_factory=dict)

    def learn(self, exchange: str, source: str, complete: Mapping[str, Sequence[Window]]) -> None:
        """Add windows, by symbol, in which no row is missing from the lake or from the rows to come."""
        for symbol, spans in complete.items():
            market = (exchange, source, symbol)
            self._complete[market] = ledger.joined([*self._complete.get(market, ()), *spans])

    def healed(self, rows: pl.DataFrame, walked: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """FUNDING rows just fetched, their null intervals filled, and for `Lake.amend` the hours that they show of the stored
        rows beside them.

        `walked`: the ledger rows of the fetched windows, learned first. An empty window between two complete ones makes
        neighbours too. Where every row has its interval nothing else is read.
        """
        mine: dict[tuple[str, str, str], list[Window]] = {}
        for who, fetches in walked.partition_by("exchange", "source", as_dict=True).items():
            exchange, source = map(str, who)
            spans = ledger.covered(fetches)
            self.learn(exchange, source, spans)
            mine |= {(exchange, source, symbol): windows for symbol, windows in spans.items()}
        open_ = set(rows.filter(pl.col("interval_hours").is_null()).select(MARKET).iter_rows())
        between = pl.col("outcome").is_in(["empty", "none"]) & pl.col("window_start").lt(
            pl.col("window_stop")
        )
        joined = {
            m
            for m in walked.filter(between).select(MARKET).iter_rows()
            if any(len(_beside(w, self._complete[m])) > 1 for w in mine.get(m, ()))
        }
        wanted = sorted(m for m in open_ | joined if m in self._complete)
        if not wanted:
            return rows, _changed(rows.clear(), rows.clear(), None)
        complete = {m: self._complete[m] for m in wanted}
        edges = [(*m, *edge) for m in wanted for w in mine.get(m, ()) for edge in _beside(w, complete[m])]
        stored = self._stored(edges).join(rows, on=list(FUNDING.key), how="anti")
        both = intervals.observed(pl.concat([rows, stored]), complete)
        learned = walked["asked_at"].max() if rows.is_empty() else rows["fetched_at"].max()
        return both.head(rows.height), _changed(stored, both.tail(stored.height), learned)

    def _stored(self, edges: list[tuple[str, str, str, datetime, datetime]]) -> pl.DataFrame:
        """The rows of the lake at these edges (market, start, stop), stop exclusive."""
        if not edges:
            return FUNDING.empty()
        schema = {**dict.fromkeys(MARKET, pl.String()), "_start": TIME, "_stop": TIME}
        wanted = pl.DataFrame(edges, schema=schema, orient="row").unique()
        spans = wanted.select("_start", "_stop").unique().rows()
        if len(spans) > _NAMED:
            spans = [(min(start for start, _ in spans), max(stop for _, stop in spans))]
        near = pl.any_horizontal(pl.col("funding_time").is_between(*s, closed="left") for s in spans)
        months = pl.any_horizontal(
            pl.col("month").is_between(pl.lit(f"{a:%Y-%m}"), pl.lit(f"{b:%Y-%m}")) for a, b in spans
        )
        who = [pl.col(c).is_in(wanted[c].unique().to_list()) for c in MARKET]
        around = self.lake.scan(FUNDING.name).filter(*who, months, near).collect()
        exact = around.join(wanted, on=list(MARKET)).filter(
            pl.col("funding_time").is_between(pl.col("_start"), pl.col("_stop"), closed="left")
        )
        return exact.select(FUNDING.columns.keys()).unique(FUNDING.key, maintain_order=True)


def _beside(walked: Window, complete: list[Window]) -> list[tuple[datetime, datetime]]:
    """The parts of a complete window before and after a fetched one, as far as REACH."""
    around = next(span for span in complete if span.start <= walked.start and walked.stop <= span.stop)
    before = (max(around.start, walked.start - REACH), walked.start)
    after = (walked.stop, min(around.stop, walked.stop + REACH))
    return [(start, stop) for start, stop in (before, after) if start < stop]


def heal(lake: Lake, at: datetime) -> int:
    """Derive the hours that stored neighbours show inside complete windows, and store them; no source is requested.

    For a lake from before intervals were derived. Returns the number of changed payments; `at` is their new fetched_at.
    """
    succeeded = pl.col("endpoint").eq("history") & pl.col("outcome").ne("failed")
    fetches = lake.scan("fetches").filter(succeeded).collect()
    count = 0
    for (exchange, source), mine in fetches.partition_by("exchange", "source", as_dict=True).items():
        complete = {(exchange, source, symbol): spans for symbol, spans in ledger.covered(mine).items()}
        stored = (
            lake.scan(FUNDING.name)
            .filter(pl.col("exchange") == exchange, pl.col("source") == source)
            .select(*FUNDING.key, "month", "interval_hours", "interval_from")
            .collect()
        )
        hours = _changed(stored, intervals.observed(stored, complete), at)
        if hours.height:
            done = lake.amend(hours)
            count += done.amended + done.restated
    return count


def _changed(old: pl.DataFrame, new: pl.DataFrame, at: object) -> pl.DataFrame:
    """The hours of `new` (row by row the same as `old`) where they differ from those of `old`; fetched_at is `at`."""
    hours = new.select(
        *FUNDING.key,
        "month",
        "interval_hours",
        "interval_from",
        seen_hours=old["interval_hours"],
        fetched_at=pl.lit(at, TIME),
    )
    return hours.filter(pl.col("interval_hours").ne_missing(pl.col("seen_hours")))
