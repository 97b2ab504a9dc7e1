"""Lake: upsert, pinned reads, compaction and vacuum of the tables under `<warehouse>/lake/`."""

from __future__ import annotations

import json
import random
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import LakeConflict, LakeError, VersionGone
from fundingdb.lake import audit, files, merge
from fundingdb.lake.log import Log, translated_errors
from fundingdb.lake.plan import Plan, all_stored, discard, planned, touching
from fundingdb.lake.vacuum import KEEP, vacuum
from fundingdb.schema import FUNDING, RESTATEMENTS, TABLES, Table, table
from fundingdb.settings import default_warehouse
from fundingdb.transport.backoff import COMMIT
from fundingdb.window import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fundingdb.lake.log import Version

LAYOUT = 1


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


class Lake:
    """The tables under `<warehouse>/lake/`. Any number of processes may read and write at once.

    Nothing is created before the first upsert: reading an absent lake gives empty tables. Raises LakeError for a
    warehouse that is a file, no lake, made by a newer fundingdb, or can't be read or written. Processes that use
    it must be spawned, not forked.
    """

    def __init__(
        self,
        warehouse: Path | str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,  # noqa: TID251 - the default; tests give their own
    ) -> None:
        self.warehouse = Path(default_warehouse() if warehouse is None else warehouse).absolute()
        self.home = self.warehouse / "lake"
        self._sleep = sleep
        self._logs: dict[str, Log] = {}
        self._inspect()

    def upsert(self, name: str, frame: pl.DataFrame) -> Upserted:
        """Store the rows of `frame` in table `name`, in one commit, or in none when all are stored already.

        New keys are inserted; a row that differs from the stored one replaces it, except that null (unknown) does not replace
        a value, `markets` excepted. Replaced rates and intervals of `funding` go to `restatements` first.
        Raises SchemaError (frame refused whole), UnknownName, LakeError (nothing written), LakeConflict
        (other writers kept winning; nothing written).
        """
        t = table(name)
        log = self._log(t)
        self._inspect()
        if log.exists():
            with translated_errors(f"reading table {name} in {log.home}"):
                pinned = log.open()
                if all_stored(log, frame, pinned.files):
                    return Upserted(0, 0, frame.height, pinned.version)
        return self._upsert(t, t.check(frame))

    def amend(self, hours: pl.DataFrame) -> Upserted:
        """Set the hours of stored rows of `funding`, in one commit, and change nothing else of them.

        `hours`: exchange, source, symbol, funding_time, rate_type, month, seen_hours (those of the row when its hours were
        derived), interval_hours, interval_from, fetched_at (when they were derived). A row that is gone at the commit, whose
        hours are no longer seen_hours, or whose source publishes them, is not changed. Hours that replace others go to
        `restatements` first. The result counts the changed rows. Raises as `upsert` does.
        """
        return self._upsert(FUNDING, hours, amend=True)

    def scan(self, name: str, version: int | datetime | None = None) -> pl.LazyFrame:
        """The rows of a table, columns in the order of its schema; no rows when there are none yet.

        `version`: a version of `funding` (other tables: as they were at that commit's instant), an aware datetime
        (everything as of then), None (newest). Raises UnknownName, VersionGone,
        BadWindow (naive datetime), LakeError.
        """
        t = table(name)
        pinned = self._pinned(t, version)
        return t.empty().lazy() if pinned is None else files.scan(self._log(t).home, t, pinned[1])

    def files(self, name: str, version: int | datetime | None = None) -> list[Path]:
        """The absolute paths of the Parquet files that hold a table at `version` (as in `scan`), sorted.

        Partition columns are in the paths (`exchange=../`), not in the files. Raises as `scan` does.
        """
        t = table(name)
        pinned = self._pinned(t, version)
        home = self._log(t).home
        return [] if pinned is None else [home / p for p in pinned[1]["path"]]

    def version(self, name: str, version: int | datetime | None = None) -> int | None:
        """The number of a table's own version behind `version` (as in `scan`); None before its first commit."""
        pinned = self._pinned(table(name), version, look=False)
        return None if pinned is None else pinned[0]

    def versions(self, name: str = "funding") -> list[Version]:
        """The commits of a table that can still be named, oldest first; empty when there is no table."""
        log = self._log(table(name))
        return log.commits() if log.exists() else []

    def learned_at(self, version: int | datetime | None = None) -> datetime | None:
        """When the version of table `funding` behind `version` was committed, UTC: it has nothing learned later.

        None where there is none, or the log no longer has it.
        """
        log = self._log(FUNDING)
        if isinstance(version, datetime):
            number = log.as_of(instant(version, "version"))
            return None if number is None else log.committed_at(number)
        return log.committed_at(version)

    def compact(self) -> list[Merged]:
        """Merge the files of each partition into one sorted file, a commit a table; rows and versions stay the same.

        Returns the tables where there was something to merge. Raises LakeError, LakeConflict.
        """
        done = []
        for t in TABLES.values():
            log = self._log(t)
            if log.exists():
                before, after = self._compact(t, log)
                if after < before:
                    done.append(Merged(t.name, before, after))
        return done

    def vacuum(self, keep: timedelta = KEEP) -> list[Path]:
        """Delete the files that no version younger than `keep` needs, and what killed writers left; return their paths.

        Pinning an older version raises VersionGone afterwards. Drafts younger than an hour stay: their writers may
        be at work.
        """
        deleted: list[Path] = []
        for t in TABLES.values():
            log = self._log(t)
            if log.exists():
                deleted += vacuum(log, keep)
        return deleted

    def check(self) -> audit.AuditReport:
        """Read everything back and report every fault; see `audit`."""
        self._inspect()
        return audit.audit(self.home, {n: self._log(t) for n, t in TABLES.items()})

    def _log(self, t: Table) -> Log:
        if t.name not in self._logs:
            self._logs[t.name] = Log(self.home / t.name, t)
        return self._logs[t.name]

    def _pinned(
        self, t: Table, version: int | datetime | None, *, look: bool = True
    ) -> tuple[int, pl.DataFrame] | None:
        """Number and files of the version of `t` that is meant; with `look` the files of a pin must be there."""
        log = self._log(t)
        number = None
        if isinstance(version, bool) or not isinstance(version, int | datetime | None):
            raise VersionGone(f"{version!r} is not a version: give a number, an aware datetime or None")
        if isinstance(version, int):
            at = self._instant(version)
            number = version if t is FUNDING else None
        else:
            at = None if version is None else instant(version, "version")
        if not log.exists():
            return None
        if at is not None and number is None:
            number = log.as_of(at)
            if number is None:
                return None
        pinned = log.open(number)
        if look and version is not None:
            lost = next((p for p in pinned.files["path"] if not (log.home / p).exists()), None)
            if lost is not None:
                raise VersionGone(
                    f"version {pinned.version} of table {t.name} was vacuumed: {lost} is deleted; pin a newer one"
                )
        return pinned.version, pinned.files

    def _instant(self, version: int) -> datetime:
        """When version `version` of `funding` was committed; raises VersionGone."""
        commits = self.versions()
        for commit in commits:
            if commit.version == version:
                return commit.at
        have = f"it has {commits[0].version} to {commits[-1].version}" if commits else "it has none"
        raise VersionGone(f"table funding has no version {version} (any more): {have}")

    def _inspect(self) -> None:
        """Refuse a folder that is not a lake of fundingdb."""
        layout = self.home / "layout.json"
        with translated_errors(f"opening the warehouse {self.warehouse}"):
            for folder in (self.warehouse, self.home):
                if folder.exists() and not folder.is_dir():
                    raise LakeError(f"{folder} is a file: a warehouse is a folder; give another path")
            if not self.home.exists():
                return
            others = sorted(p.name for p in self.home.iterdir() if not p.name.startswith("."))
            # After the listing: a lake in the making has its layout before it has anything else.
            text = layout.read_text() if layout.exists() else None
        if text is None:
            if others:
                shown = ", ".join(others[:3])
                raise LakeError(f"{self.home} is not a lake of fundingdb (no layout.json, but {shown})")
            return
        try:
            number = json.loads(text)["layout"]
        except (ValueError, KeyError, TypeError):
            number = None
        if not isinstance(number, int):
            raise LakeError(f'{layout} is damaged: it must say {{"layout": {LAYOUT}}}')
        if number > LAYOUT:
            raise LakeError(
                f"{self.home} was made by a newer fundingdb (layout {number}, this version reads {LAYOUT}): update fundingdb"
            )

    def _prepare(self) -> None:
        """Create the folder of the lake where there is none yet."""
        self._inspect()
        layout = self.home / "layout.json"
        with translated_errors(f"making the lake {self.home}"):
            if layout.exists():
                return
            self.home.mkdir(parents=True, exist_ok=True)
            draft = self.home / f".layout-{uuid.uuid4().hex}"
            try:
                draft.write_text(json.dumps({"layout": LAYOUT}) + "\n")
                draft.replace(layout)
            finally:
                draft.unlink(missing_ok=True)

    def _upsert(self, t: Table, frame: pl.DataFrame, *, amend: bool = False) -> Upserted:
        log = self._log(t)
        parts = files.by_partition(t, frame)
        if not parts:
            self._inspect()
            return Upserted(0, 0, 0, log.open().version if log.exists() else None)
        self._prepare()
        if not log.exists():
            log.create()
        plan: Plan | None = None
        logged = 0
        for _ in self._attempts():
            pinned = log.open()
            touched = touching(t, pinned.files, parts)
            if plan is None or plan.basis != set(touched["path"]):
                discard(log, plan)
                with translated_errors(f"writing to table {t.name} in {log.home}"):
                    plan = planned(log, parts, touched, amend=amend)
                logged = 0
            done = Upserted(plan.inserted, plan.restated, plan.unchanged, pinned.version, plan.amended)
            if not plan.drafts:
                return done
            try:
                for event in plan.events[logged:]:
                    self._upsert(RESTATEMENTS, RESTATEMENTS.check(event))
                    logged += 1
                facts = {
                    "operation": "amend" if amend else "upsert",
                    "inserted": plan.inserted,
                    "restated": plan.restated,
                    "amended": plan.amended,
                }
                gone = pl.concat([pinned.files.clear(), *plan.removed])
                number = log.commit(pinned, plan.drafts, gone, facts)
            except LakeConflict:
                continue
            except LakeError:
                discard(log, plan)
                raise
            return Upserted(plan.inserted, plan.restated, plan.unchanged, number, plan.amended)
        discard(log, plan)
        raise _conflict(t)

    def _compact(self, t: Table, log: Log) -> tuple[int, int]:
        for _ in self._attempts():
            pinned = log.open()
            plan = Plan(set())
            with translated_errors(f"merging files of {log.home}"):
                for key, mine in pinned.files.partition_by(t.partitions, as_dict=True).items():
                    if mine.height < 2:
                        continue
                    rows = files.read([log.home / p for p in mine["path"]], t, files.body(t))
                    values = {n: str(v) for n, v in zip(t.partitions, key, strict=True)}
                    try:
                        plan.drafts.append(files.write(log.home, t, values, rows.sort(merge.order(t))))
                    except Exception:
                        discard(log, plan)
                        raise
                    plan.removed.append(mine)
            before = pinned.files.height
            if not plan.drafts:
                return before, before
            gone = pl.concat(plan.removed)
            try:
                log.commit(pinned, plan.drafts, gone, {"operation": "compact"}, data_change=False)
            except LakeConflict:
                discard(log, plan)
                continue
            except LakeError:
                discard(log, plan)
                raise
            return before, before - gone.height + len(plan.drafts)
        raise _conflict(t)

    def _attempts(self) -> Iterator[None]:
        """One commit attempt after another; ends where the policy COMMIT gives up."""
        failures = 0
        while not COMMIT.gives_up(failures):
            if failures:
                self._sleep(COMMIT.wait(failures, random.random()))  # noqa: S311 - spreads writers, guards no secret
            yield
            failures += 1


def _conflict(t: Table) -> LakeConflict:
    return LakeConflict(
        f"table {t.name}: other writers committed first {COMMIT.tries} times in a row; nothing was written, repeat the call"
    )
