"""The commit log of one table: the files of a version, and commits that become the next version or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from fundingdb.errors import LakeConflict, LakeError, VersionGone

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from fundingdb.schema import Table

LOG_KEPT = "interval 30 days"
_CHECKPOINT_EVERY = "20"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Version:
    """One commit of a table: `at` is its instant (UTC); rows inserted, restated and amended by it."""

    version: int
    at: datetime
    operation: str  # create, upsert, amend, compact or withdraw
    inserted: int
    restated: int
    amended: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A finished file that no commit names yet; `path` is relative to the table."""

    path: str
    partition: Mapping[str, str]
    size: int
    stats: str


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version and its files: a row each with path (relative), rows, size, low, high (of the table's time), partitions."""

    version: int
    files: pl.DataFrame
    delta: DeltaTable


@contextlib.contextmanager
def translated_errors(doing: str) -> Generator[None]:
    """Raises errors of disk, Delta and Polars as a LakeError that names the work and the next step."""
    try:
        yield
    except (OSError, DeltaError, pl.exceptions.PolarsError) as error:
        raise LakeError(f"{doing}: {_why(error)}") from error


def _why(error: Exception) -> str:
    """The reason and the next step, in our words. Errors of Delta and Polars have the system's error number in the text alone."""
    text = str(error)
    if "os error 28" in text or "No space left" in text:
        return "the disk is full: free some space and repeat, the lake is as it was before"
    if "os error 30" in text or "Read-only file system" in text:
        return "the file system is read-only"
    if isinstance(error, PermissionError) or "os error 13" in text:
        return "no permission to write or read there"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    return "a file is missing or damaged; 'fundingdb check' names it, 'fundingdb check --repair' takes it out"


class Log:
    """The log of `table` in the folder `home`."""

    def __init__(self, home: Path, table: Table) -> None:
        self.home, self.table = home, table
        self._commits: dict[int, Version] = {}

    def exists(self) -> bool:
        """Whether the table was ever created. Raises LakeError when its folder has something else."""
        with translated_errors(f"opening {self.home}"):
            if not self.home.exists():
                return False
            if not self.home.is_dir():
                raise LakeError(f"{self.home} is a file, not a table of a lake: move it away")
            if self._numbers():
                return True
            others = sorted(p.name for p in self.home.iterdir() if p.name != "_delta_log")
        if others:
            raise LakeError(
                f"{self.home} is not a Delta table (it contains {', '.join(others[:3])}): move it away"
            )
        return False  # a writer was killed while it created the table

    def create(self) -> None:
        """Create the table, unless another process has just done so."""
        arrow = self.table.empty().to_arrow().schema
        with translated_errors(f"creating {self.home}"):
            self.home.mkdir(parents=True, exist_ok=True)
            try:
                DeltaTable.create(
                    self.home,
                    schema=arrow,
                    partition_by=list(self.table.partitions),
                    configuration={
                        "delta.checkpointInterval": _CHECKPOINT_EVERY,
                        "delta.logRetentionDuration": LOG_KEPT,
                    },
                    commit_properties=CommitProperties(
                        custom_metadata={"fundingdb": {"operation": "create"}}, max_commit_retries=0
                    ),
                )
            except DeltaError:
                if not self._numbers():
                    raise

    def open(self, version: int | None = None) -> Pinned:
        """The newest version, or that one; raises VersionGone when the log does not have it."""
        where = f"table {self.table.name} in {self.home}"
        if version is not None and version < 0:
            raise VersionGone(f"{where} has no version {version}")
        with translated_errors(f"opening {where}"):
            try:
                delta = DeltaTable(self.home, version=version)
            except (DeltaError, OSError) as error:
                if version is None:
                    raise
                numbers = self._numbers()
                have = f"it has {numbers[0]} to {numbers[-1]}" if numbers else "it has none"
                raise VersionGone(f"{where} has no version {version} (any more): {have}") from error
            columns = [f.name for f in delta.schema().fields]
            if columns != list(self.table.columns):
                raise LakeError(
                    f"{where} has the columns {', '.join(columns)}, which are not those of this version of fundingdb; "
                    "use the version that wrote it"
                )
            if delta.protocol().min_reader_version > 1:
                raise LakeError(
                    f"{where} was changed by another program, with Delta features that fundingdb does not read; restore the table"
                )
            return Pinned(delta.version(), self._files(delta), delta)

    def commit(
        self,
        pinned: Pinned,
        drafts: Sequence[Draft],
        removed: pl.DataFrame,
        facts: Mapping[str, int | str],
        *,
        data_change: bool = True,
    ) -> int:
        """Add the drafts and remove the files in one commit at version `pinned.version + 1`; return that number.

        Raises LakeConflict when any other commit came first: nothing has changed then.
        """
        now = (datetime.now(UTC) - _EPOCH) // timedelta(milliseconds=1)
        names, mark = list(self.table.partitions), uuid.uuid4().hex
        actions: list[AddAction | RemoveAction] = [
            AddAction(d.path, d.size, d.partition, now, data_change, d.stats) for d in drafts
        ]
        actions += [
            RemoveAction(r["path"], data_change, now, r["size"], {n: r[n] for n in names})
            for r in removed.iter_rows(named=True)
        ]
        number = pinned.version + 1
        with translated_errors(f"committing to {self.home}"):
            try:
                pinned.delta.create_write_transaction(
                    actions,
                    "append",
                    pinned.delta.schema(),
                    names,
                    commit_properties=CommitProperties(
                        custom_metadata={"fundingdb": {**facts, "mark": mark}},
                        max_commit_retries=0,  # plain appends of two writers would both land, and double rows
                    ),
                )
            except (DeltaError, OSError) as error:
                # What follows a commit (a checkpoint) may fail though the commit itself succeeded.
                if self._mark(number) != mark:
                    if isinstance(error, CommitFailedError):
                        raise LakeConflict(
                            f"another writer committed version {number} of {self.home}"
                        ) from error
                    raise
            _sync(self._json(number))
            _sync(self.home / "_delta_log")
        return number

    def commits(self) -> list[Version]:
        """Every commit that the log still has, oldest first; `at` never decreases, whatever the clocks did."""
        with translated_errors(f"reading the log of {self.home}"):
            for number in self._numbers():
                if number not in self._commits:
                    self._commits[number] = self._version(number)
            versions: list[Version] = []
            at = _EPOCH
            for number in self._numbers():
                one = self._commits[number]
                at = max(at, one.at)
                versions.append(Version(number, at, one.operation, one.inserted, one.restated, one.amended))
        return versions

    def committed_at(self, number: int | None) -> datetime | None:
        """When commit `number` (None: the newest) was made, from its entry alone; None where the log no longer has it."""
        with translated_errors(f"reading the log of {self.home}"):
            numbers = self._numbers()
            if number is None and numbers:
                number = numbers[-1]
            return self._version(number).at if number in numbers else None

    def as_of(self, at: datetime) -> int | None:
        """The newest version committed at or before `at`; None when there was none yet.

        Raises VersionGone when the log no longer reaches back that far.
        """
        commits = self.commits()
        earlier = [c.version for c in commits if c.at <= at]
        if earlier:
            return earlier[-1]
        if commits and commits[0].version > 0:
            begin = f"the log of table {self.table.name} begins at {commits[0].at:%Y-%m-%d %H:%M}Z"
            raise VersionGone(f"{begin}: the version of {at:%Y-%m-%d %H:%M}Z is gone; pin a later one")
        return None

    def named_since(self, version: int) -> set[str]:
        """Paths of all files that count at `version` or at any later one."""
        names = set(self.open().files["path"])
        with translated_errors(f"reading the log of {self.home}"):
            for number in self._numbers():
                if number > version:  # a file that counted then and no longer does was removed since
                    names |= {
                        a[k]["path"] for a in self._actions(number) for k in ("add", "remove") if k in a
                    }
        return names

    def _files(self, delta: DeltaTable) -> pl.DataFrame:
        t = self.table
        names = ["path", "rows", "size", "low", "high", *t.partitions]
        adds = pl.DataFrame(delta.get_add_actions(flatten=True))
        if not adds.height:
            time = pl.Datetime("us", "UTC")
            types = [pl.String(), pl.Int64(), pl.Int64(), time, time, *(pl.String() for _ in t.partitions)]
            return pl.DataFrame(schema=dict(zip(names, types, strict=True)))
        bounds = {"low": pl.lit(None), "high": pl.lit(None)}
        if t.time is not None:
            bounds = {"low": pl.col(f"min.{t.time}"), "high": pl.col(f"max.{t.time}")}
        return adds.select(
            "path",
            pl.col("num_records").alias("rows"),
            pl.col("size_bytes").alias("size"),
            *(e.cast(pl.Datetime("us", "UTC")).alias(n) for n, e in bounds.items()),
            *(pl.col(f"partition.{p}").cast(pl.String).alias(p) for p in t.partitions),
        ).sort(*t.partitions, "path")

    def _json(self, number: int) -> Path:
        return self.home / "_delta_log" / f"{number:020d}.json"

    def _numbers(self) -> list[int]:
        try:
            names = [p.name for p in (self.home / "_delta_log").iterdir()]
        except FileNotFoundError:
            return []
        return sorted(int(n[:20]) for n in names if n.endswith(".json") and len(n) == 25 and n[:20].isdigit())

    def _actions(self, number: int) -> list[dict[str, Any]]:
        path = self._json(number)
        # Lines end with \n alone: a name in an entry may have another separator, such as U+2028.
        lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
        try:
            return [json.loads(line) for line in lines]
        except ValueError:
            raise LakeError(f"{path}: this entry of the log is damaged; restore it from a backup") from None

    def _mark(self, number: int) -> str | None:
        if not self._json(number).exists():
            return None
        return _info(self._actions(number)).get("fundingdb", {}).get("mark")

    def _version(self, number: int) -> Version:
        info = _info(self._actions(number))
        mine = info.get("fundingdb", {})
        counts = [int(mine.get(k, 0)) for k in ("inserted", "restated", "amended")]
        at = _EPOCH + timedelta(milliseconds=info.get("timestamp", 0))
        return Version(number, at, str(mine.get("operation", info.get("operation", ""))), *counts)


def _info(actions: list[dict[str, Any]]) -> dict[str, Any]:
    return next((a["commitInfo"] for a in actions if "commitInfo" in a), {})


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
