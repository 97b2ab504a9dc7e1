"""Commits to the lake: each is planned from a pinned version, and planned again when another writer commits first."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import LakeConflict, LakeError
from fundingdb.lake import files, layout
from fundingdb.lake.log import translated_errors
from fundingdb.lake.plan import discard, merging, planned, replacing, touching
from fundingdb.schema import RESTATEMENTS
from fundingdb.transport.backoff import COMMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from fundingdb.lake.log import Log, Pinned
    from fundingdb.lake.plan import Plan
    from fundingdb.schema import Table


@dataclass(frozen=True, slots=True)
class Upserted:
    """The result of an upsert; its four counts add up to the distinct rows of the frame.

    `restated`: a value became another (for `funding`: each also has a row in `restatements`). `amended`: only in
    tables with restatements: a null was filled or a side value changed. `version`: the newest of the table after
    the call; None when nothing was ever written.
    """

    inserted: int
    restated: int
    unchanged: int
    version: int | None
    amended: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of `compact` for one table: the number of its files before and after."""

    table: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the tables of one warehouse; `log` is the log of a table, `sleep` waits between attempts."""

    warehouse: Path
    log: Callable[[Table], Log]
    sleep: Callable[[float], None]

    def upsert(self, t: Table, rows: pl.DataFrame, *, amend: bool = False) -> Upserted:
        """Store checked rows, in one commit or in none where nothing differs; with `amend` as `Lake.amend`."""
        log = self.log(t)
        parts = files.by_partition(t, rows)
        if not parts:
            return Upserted(0, 0, 0, log.open().version if log.exists() else None)
        layout.prepare(self.warehouse)
        if not log.exists():
            log.create()
        plan: Plan | None = None
        for _ in self._attempts():
            pinned = log.open()
            touched = touching(t, pinned.files, parts)
            if plan is None or plan.basis != set(touched["path"]):
                discard(log, plan)
                with translated_errors(f"writing to table {t.name} in {log.home}"):
                    plan = planned(log, parts, touched, amend=amend)
            try:
                version = self._commit(log, pinned, plan, "amend" if amend else "upsert")
            except LakeConflict:
                continue
            except LakeError:
                discard(log, plan)
                raise
            return Upserted(plan.inserted, plan.restated, plan.unchanged, version, plan.amended)
        discard(log, plan)
        raise _conflict(t)

    def replace(self, t: Table, rows: pl.DataFrame, spans: pl.DataFrame) -> Upserted:
        """Store checked rows in place of those inside the spans, in one commit, as `Lake.replace`."""
        log = self.log(t)
        if not log.exists():
            return self.upsert(t, rows)
        owner = [p for p in t.partitions if p != "month"]
        for _ in self._attempts():
            pinned = log.open()
            listed = pinned.files.join(
                rows.select(owner).unique(), on=owner, how="semi", maintain_order="left"
            )
            with translated_errors(f"writing to table {t.name} in {log.home}"):
                plan = replacing(log, files.by_partition(t, rows), listed, spans)
            try:
                version = self._commit(log, pinned, plan, "replace")
            except LakeError as error:
                discard(log, plan)
                if not isinstance(error, LakeConflict):
                    raise
            else:
                return Upserted(plan.inserted, plan.restated, plan.unchanged, version, plan.amended)
        raise _conflict(t)

    def compact(self, t: Table) -> Merged:
        """Merge the files of each partition of an existing table into one."""
        log = self.log(t)
        for _ in self._attempts():
            pinned = log.open()
            with translated_errors(f"merging files of {log.home}"):
                plan = merging(log, pinned.files)
            before = pinned.files.height
            if not plan.drafts:
                return Merged(t.name, before, before)
            gone = pl.concat(plan.removed)
            try:
                log.commit(pinned, plan.drafts, gone, {"operation": "compact"}, data_change=False)
            except LakeError as error:
                discard(log, plan)
                if not isinstance(error, LakeConflict):
                    raise
            else:
                return Merged(t.name, before, before - gone.height + len(plan.drafts))
        raise _conflict(t)

    def withdraw(self, t: Table, paths: Collection[str]) -> pl.DataFrame:
        """Take the files of these paths out of an existing table, in one commit; return those that were still listed."""
        log = self.log(t)
        for _ in self._attempts():
            pinned = log.open()
            gone = pinned.files.filter(pl.col("path").is_in(list(paths)))
            if gone.height:
                try:
                    log.commit(pinned, [], gone, {"operation": "withdraw"})
                except LakeConflict:
                    continue
            return gone
        raise _conflict(t)

    def _commit(self, log: Log, pinned: Pinned, plan: Plan, operation: str) -> int:
        """The version after the plan: restatements are logged first, then the files are committed."""
        if not plan.drafts:
            return pinned.version
        while plan.events:
            self.upsert(RESTATEMENTS, RESTATEMENTS.check(plan.events[0]))
            del plan.events[0]
        counts = {"inserted": plan.inserted, "restated": plan.restated, "amended": plan.amended}
        gone = pl.concat([pinned.files.clear(), *plan.removed])
        return log.commit(pinned, plan.drafts, gone, {"operation": operation, **counts})

    def _attempts(self) -> Iterator[None]:
        """One commit attempt after another; ends where the policy COMMIT gives up."""
        failures = 0
        while not COMMIT.gives_up(failures):
            if failures:
                self.sleep(COMMIT.wait(failures, random.random()))  # noqa: S311 - spreads writers, guards no secret
            yield
            failures += 1


def _conflict(t: Table) -> LakeConflict:
    return LakeConflict(
        f"table {t.name}: other writers committed first {COMMIT.tries} times in a row; nothing was written, repeat the call"
    )
