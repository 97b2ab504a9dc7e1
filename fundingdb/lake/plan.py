"""What one upsert will do to the files of its table, computed from one pinned version."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.lake import files, merge  # noqa: TID251 - own rooms
from fundingdb.schema import RESTATEMENTS, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fundingdb.lake.log import Draft, Log  # noqa: TID251 - own rooms

_FULL = 24  # files in a partition: the next upsert into it writes it anew as one


@dataclass(slots=True)
class Plan:
    """Files to add (written, not yet named by a commit) and to remove, restatements to log first, and counts of rows.

    `basis`: the files it was computed from; while these still are the files of the touched partitions, it holds.
    """

    basis: set[str]
    drafts: list[Draft] = field(default_factory=list)
    removed: list[pl.DataFrame] = field(default_factory=list)
    events: list[pl.DataFrame] = field(default_factory=list)
    inserted: int = 0
    restated: int = 0
    amended: int = 0
    unchanged: int = 0


def planned(log: Log, parts: Mapping[tuple[str, ...], pl.DataFrame], touched: pl.DataFrame) -> Plan:
    """Compare the rows of each partition with what is there, and write the files that differ."""
    plan = Plan(set(touched["path"]))
    mine = touched.partition_by(log.table.partitions, as_dict=True)
    try:
        for key, rows in parts.items():
            _partition(plan, log, key, rows, mine.get(key, touched.clear()))
    except Exception:
        discard(log, plan)
        raise
    return plan


def touching(t: Table, found: pl.DataFrame, parts: Mapping[tuple[str, ...], pl.DataFrame]) -> pl.DataFrame:
    """Those of the files that lie in one of the partitions."""
    keys = pl.DataFrame(list(parts), schema=dict.fromkeys(t.partitions, pl.String()), orient="row")
    return found.join(keys, on=list(t.partitions), how="semi", maintain_order="left")


def discard(log: Log, plan: Plan | None) -> None:
    """Delete the drafts; for plans that no commit named."""
    for draft in plan.drafts if plan else ():
        (log.home / draft.path).unlink(missing_ok=True)


def _partition(plan: Plan, log: Log, key: tuple[str, ...], rows: pl.DataFrame, mine: pl.DataFrame) -> None:
    t = log.table
    paths = [log.home / p for p in mine["path"]]
    span, near = _span(t, rows), paths
    if span is not None:
        apart = (mine["high"] < span[0]) | (mine["low"] > span[1])
        near = [p for p, far in zip(paths, apart, strict=True) if not far]
    inside = [c for c in files.body(t) if c not in t.stamp]
    there = files.read(near, t, inside, span)
    if t is RESTATEMENTS:
        rows = rows.join(there, on=[c for c in merge.EVENT if c in inside], how="anti", nulls_equal=True)
    got = merge.split(t, rows, there)
    plan.inserted += got.fresh.height
    plan.restated += got.restated
    plan.amended += got.changed.height - got.restated
    plan.unchanged += got.unchanged
    if not got.fresh.height and not got.changed.height:
        return
    out = got.fresh.sort(merge.order(t))
    if got.changed.height or mine.height >= _FULL:
        everything = files.read(paths, t, files.body(t))
        if t.restated:
            events = merge.events(t, got.changed, everything)
            plan.events += [events] if events.height else []
        out = merge.replace(t, everything, got.changed.select(files.body(t)), got.fresh.select(files.body(t)))
        plan.removed.append(mine)
    plan.drafts.append(files.write(log.home, t, dict(zip(t.partitions, key, strict=True)), out))


def _span(t: Table, rows: pl.DataFrame) -> tuple[datetime, datetime] | None:
    if t.time is None:
        return None
    low, high = rows[t.time].min(), rows[t.time].max()
    return (low, high) if isinstance(low, datetime) and isinstance(high, datetime) else None
