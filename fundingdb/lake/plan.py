"""The plan of one upsert: the files to write and to remove, computed from one pinned version."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.lake import files, merge
from fundingdb.schema import RESTATEMENTS, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fundingdb.lake.log import Draft, Log

_FULL = 24  # files in a partition: the next upsert into it writes it anew as one


@dataclass(slots=True)
class Plan:
    """Files to add (written, not yet named by a commit) and to remove, restatements to log first, and counts of rows.

    `basis`: the files it was computed from; it is valid while these are the files of the touched partitions.
    """

    basis: set[str]
    drafts: list[Draft] = field(default_factory=list)
    removed: list[pl.DataFrame] = field(default_factory=list)
    events: list[pl.DataFrame] = field(default_factory=list)
    inserted: int = 0
    restated: int = 0
    amended: int = 0
    unchanged: int = 0


def planned(
    log: Log, parts: Mapping[tuple[str, ...], pl.DataFrame], touched: pl.DataFrame, *, amend: bool = False
) -> Plan:
    """Compare the rows of each partition with the stored ones, and write the files that differ.

    With `amend` the rows are hours for stored rows (see `merge.amended`).
    """
    plan = Plan(set(touched["path"]))
    mine = touched.partition_by(log.table.partitions, as_dict=True)
    try:
        for key, rows in parts.items():
            _partition(plan, log, key, rows, mine.get(key, touched.clear()), amend=amend)
    except Exception:
        discard(log, plan)
        raise
    return plan


def replacing(
    log: Log, parts: Mapping[tuple[str, ...], pl.DataFrame], listed: pl.DataFrame, spans: pl.DataFrame
) -> Plan:
    """The rows of each partition in place of the stored ones inside the spans; what is outside of these stays.

    `listed`: all files of the sources of the rows; `spans`: partition columns but the month, symbol, first, last (inclusive).
    `unchanged` counts the rows that are stored as they are, `restated` those with another value.
    """
    t = log.table
    plan, mine = Plan(set(listed["path"])), listed.partition_by(t.partitions, as_dict=True)
    owner = [p for p in t.partitions if p != "month"]
    try:
        for key in {**parts, **mine}:
            rows, files_of = parts.get(key, t.empty()).select(files.body(t)), mine.get(key, listed.clear())
            there = files.read([log.home / p for p in files_of["path"]], t, files.body(t))
            values = dict(zip(t.partitions, key, strict=True))
            own = spans.filter(pl.col(p) == values[p] for p in owner).select("symbol", "first", "last")
            stay = there.join(own, on="symbol", how="left").filter(
                pl.col(str(t.time)).is_between("first", "last").fill_null(value=False).not_()
            )
            stay = stay.select(files.body(t))
            changes = merge.split(t, parts.get(key, t.empty()), there)
            if (
                not changes.fresh.height
                and not changes.changed.height
                and stay.height + rows.height == there.height
            ):
                plan.unchanged += rows.height
                continue
            events = merge.events(t, changes.changed, there)
            plan.events += [events] if events.height else []
            plan.inserted += changes.fresh.height
            plan.restated += changes.changed.height
            plan.unchanged += changes.unchanged
            plan.removed.append(files_of)
            out = pl.concat([stay, rows]).sort(merge.order(t))
            if out.height:
                plan.drafts.append(files.write(log.home, t, values, out))
    except Exception:
        discard(log, plan)
        raise
    return plan


def merging(log: Log, listed: pl.DataFrame) -> Plan:
    """One file in place of the listed files of each partition that has several of them; the rows stay the same."""
    t = log.table
    plan = Plan(set())
    try:
        for key, mine in listed.partition_by(t.partitions, as_dict=True).items():
            if mine.height < 2:
                continue
            rows = files.read([log.home / p for p in mine["path"]], t, files.body(t))
            values = {n: str(v) for n, v in zip(t.partitions, key, strict=True)}
            plan.drafts.append(files.write(log.home, t, values, rows.sort(merge.order(t))))
            plan.removed.append(mine)
    except Exception:
        discard(log, plan)
        raise
    return plan


def all_stored(log: Log, frame: pl.DataFrame, listed: pl.DataFrame) -> bool:
    """Whether each row of an unchecked frame is, but for its stamps, among the stored rows (which were checked).

    The usual case of a repeated call, at about the cost of reading. False does not mean that a row is new. Rows are compared
    by 64-bit hashes: among 180,000 a changed row equals a stored one with a probability of 1 in 10**14.
    """
    t = log.table
    typed = {c: d for c, d in t.schema.items() if c != "month" or c in frame.columns}
    if t.time is None or not frame.height or dict(frame.schema) != typed or frame[t.time].has_nulls():
        return False
    span = _span(t, frame)
    if span is None:
        return False
    near = listed.filter(
        _may_hold(*span),
        *(pl.col(p).is_in(frame[p].unique().to_list()) for p in t.partitions if p != "month"),
    )
    if near["rows"].sum() < frame.height or not _there(log, frame.row(0, named=True), near):
        return False
    facts = [c for c in typed if c not in t.stamp]
    there = files.scan(log.home, t, near).select(facts).collect().hash_rows()
    rows = frame.select(facts).hash_rows().sort()
    if (rows == rows.shift()).any():
        return False
    if rows.len() == there.len():
        return rows.equals(there.sort())
    return rows.is_in(there.implode()).all()


def _there(log: Log, row: Mapping[str, Any], listed: pl.DataFrame) -> bool:
    """Whether one of the files has the key of this row: where all rows are new, the first shows it without reading the rest."""
    t = log.table
    at = row[str(t.time)]
    around = listed.filter(_may_hold(at, at))
    same = [pl.col(k) == pl.lit(row[k], t.schema[k]) for k in t.key]
    return not files.scan(log.home, t, around).filter(same).select(t.key).head(1).collect().is_empty()


def touching(t: Table, listed: pl.DataFrame, parts: Mapping[tuple[str, ...], pl.DataFrame]) -> pl.DataFrame:
    """Those of the listed files that are in one of the partitions."""
    keys = pl.DataFrame(list(parts), schema=dict.fromkeys(t.partitions, pl.String()), orient="row")
    return listed.join(keys, on=list(t.partitions), how="semi", maintain_order="left")


def discard(log: Log, plan: Plan | None) -> None:
    """Delete the drafts of a plan that was not committed."""
    for draft in plan.drafts if plan else ():
        (log.home / draft.path).unlink(missing_ok=True)


def _partition(
    plan: Plan, log: Log, key: tuple[str, ...], rows: pl.DataFrame, mine: pl.DataFrame, *, amend: bool
) -> None:
    t = log.table
    paths = [log.home / p for p in mine["path"]]
    span, near = _span(t, rows), paths
    if span is not None:
        near = [log.home / p for p in mine.filter(_may_hold(*span))["path"]]
    if amend:
        rows = t.check(merge.amended(t, rows, files.read(near, t, files.body(t), span)))
    inside = [c for c in files.body(t) if c not in t.stamp]
    there = files.read(near, t, inside, span)
    if t is RESTATEMENTS:
        rows = rows.join(there, on=[c for c in merge.EVENT if c in inside], how="anti", nulls_equal=True)
    parts = merge.split(t, rows, there)
    plan.inserted += parts.fresh.height
    plan.restated += parts.restated
    plan.amended += parts.changed.height - parts.restated
    plan.unchanged += parts.unchanged
    if not parts.fresh.height and not parts.changed.height:
        return
    out = parts.fresh.sort(merge.order(t))
    if parts.changed.height or mine.height >= _FULL:
        everything = files.read(paths, t, files.body(t))
        if t.restated:
            events = merge.events(t, parts.changed, everything)
            plan.events += [events] if events.height else []
        out = merge.replace(
            t, everything, parts.changed.select(files.body(t)), parts.fresh.select(files.body(t))
        )
        plan.removed.append(mine)
    plan.drafts.append(files.write(log.home, t, dict(zip(t.partitions, key, strict=True)), out))


def _may_hold(first: datetime, last: datetime) -> pl.Expr:
    """Which files may have times from `first` to `last`; a file without statistics may."""
    apart = (pl.col("high") < pl.lit(first)) | (pl.col("low") > pl.lit(last))
    return apart.not_().fill_null(value=True)


def _span(t: Table, rows: pl.DataFrame) -> tuple[datetime, datetime] | None:
    if t.time is None:
        return None
    low, high = rows[t.time].min(), rows[t.time].max()
    return (low, high) if isinstance(low, datetime) and isinstance(high, datetime) else None
