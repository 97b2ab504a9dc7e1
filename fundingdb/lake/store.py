"""Lake: upsert, pinned reads, compaction and vacuum of the tables under `<warehouse>/lake/`."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fundingdb.errors import VersionGone
from fundingdb.lake import audit, files, layout, repair
from fundingdb.lake.log import Log, translated_errors
from fundingdb.lake.plan import all_stored
from fundingdb.lake.vacuum import KEEP, vacuum
from fundingdb.lake.writer import Merged, Upserted, Writer
from fundingdb.schema import FUNDING, TABLES, Table, table
from fundingdb.settings import default_warehouse
from fundingdb.window import instant

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from fundingdb.lake.log import Version
    from fundingdb.lake.repair import RepairReport


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
        self._logs: dict[str, Log] = {}
        self._writer = Writer(self.warehouse, self._log, sleep)
        layout.inspect(self.warehouse)

    def exists(self) -> bool:
        """Whether anything was ever written: False for a mistyped path."""
        return layout.exists(self.warehouse)

    def upsert(self, name: str, frame: pl.DataFrame) -> Upserted:
        """Store the rows of `frame` in table `name`, in one commit, or in none when all are stored already.

        New keys are inserted; a row that differs from the stored one replaces it, except that null (unknown) does not replace
        a value, `markets` excepted. Replaced rates and intervals of `funding` go to `restatements` first.
        Raises SchemaError (frame refused whole), UnknownName, LakeError (nothing written), LakeConflict
        (other writers always committed first; nothing written).
        """
        t = table(name)
        log = self._log(t)
        layout.inspect(self.warehouse)
        if log.exists():
            with translated_errors(f"reading table {name} in {log.home}"):
                pinned = log.open()
                if all_stored(log, frame, pinned.files):
                    return Upserted(0, 0, frame.height, pinned.version)
        return self._writer.upsert(t, t.check(frame))

    def replace(self, rows: pl.DataFrame, spans: pl.DataFrame) -> Upserted:
        """Store rows of `funding` in place of the stored ones of the same source inside the spans, in one commit.

        `spans`: exchange, source, symbol, first, last (both inclusive). What is stored inside and not among the rows is
        gone from this version on; replaced rates and intervals go to `restatements` first. Raises as `upsert` does.
        """
        return self._writer.replace(FUNDING, FUNDING.check(rows), spans)

    def amend(self, hours: pl.DataFrame) -> Upserted:
        """Set the hours of stored rows of `funding`, in one commit, and change nothing else of them.

        `hours`: exchange, source, symbol, funding_time, rate_type, month, seen_hours (those of the row when its hours were
        derived), interval_hours, interval_from, fetched_at (when they were derived). A row that is gone at the commit, whose
        hours are no longer seen_hours, or whose source publishes them, is not changed. Hours that replace others go to
        `restatements` first. The result counts the changed rows. Raises as `upsert` does.
        """
        return self._writer.upsert(FUNDING, hours, amend=True)

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
        merged = [self._writer.compact(t) for t in TABLES.values() if self._log(t).exists()]
        return [one for one in merged if one.after < one.before]

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
        layout.inspect(self.warehouse)
        return audit.audit(self.home, {n: self._log(t) for n, t in TABLES.items()})

    def repair(self) -> RepairReport:
        """Take files whose rows are lost out of their tables and take back what the ledger promises of them; see `repair`.

        The next backfill fetches the rows again. Raises LakeError, LakeConflict.
        """
        layout.inspect(self.warehouse)
        logs = {n: self._log(t) for n, t in TABLES.items()}
        return repair.repair(self.warehouse, self.home, logs, self._writer)

    def _log(self, t: Table) -> Log:
        if t.name not in self._logs:
            self._logs[t.name] = Log(self.home / t.name, t)
        return self._logs[t.name]

    def _pinned(
        self, t: Table, version: int | datetime | None, *, look: bool = True
    ) -> tuple[int, pl.DataFrame] | None:
        """Number and files of the version of `t` behind `version`; with `look` the files of a pin must exist."""
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
