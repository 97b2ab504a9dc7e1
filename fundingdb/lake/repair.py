"""Brings a lake that lost rows back to a state that `backfill` can complete: nothing listed that is not there.

Files first, the ledger second: killed in between, the next check reports the ledger's windows, and a repeat takes them back.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from fundingdb.errors import LakeError
from fundingdb.lake.audit import AuditReport, audit
from fundingdb.lake.log import damaged, translated_errors
from fundingdb.schema import FETCHES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fundingdb.lake.log import Log
    from fundingdb.lake.writer import Writer


@dataclass(frozen=True, slots=True)
class WithdrawnFile:
    """A file withdrawn from a table: rows by the log, first and last time of these, and its copy (None: the file was missing)."""

    table: str
    path: str
    reason: str
    rows: int
    first: datetime | None
    last: datetime | None
    kept: Path | None


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The result of a repair: the report before it, logs cut back, files withdrawn, rows of `fetches` marked as failed."""

    before: AuditReport
    logs: dict[str, int] = field(
        default_factory=dict
    )  # table -> version that its damaged log was cut back to
    files: list[WithdrawnFile] = field(default_factory=list)
    windows: pl.DataFrame = field(default_factory=FETCHES.empty)


def repair(warehouse: Path, home: Path, logs: Mapping[str, Log], writer: Writer) -> RepairReport:
    """Take files whose rows are lost out of their tables, a copy of each into quarantine, and take back the ledger's windows.

    A window is marked as outcome `failed`, with the reason, so that it counts as missing. One commit a table. Raises
    LakeError (a copy can't be written: nothing of that table is changed) and LakeConflict.
    """
    before = audit(home, logs)
    cut = _cut_back(warehouse / "quarantine" / "lake", logs)
    if cut:
        before = audit(home, logs)
    withdrawn: list[WithdrawnFile] = []
    for name, log in logs.items():
        lost = before.lost(name)
        if lost:
            withdrawn += _withdraw(warehouse / "quarantine" / "lake", log, lost, writer)
    promised = before.promised
    if promised.height:
        now = datetime.now(UTC)
        error = f"its rows are no longer in the lake: marked as missing by 'check --repair' at {now:%Y-%m-%d %H:%M}Z"
        failed = promised.with_columns(outcome=pl.lit("failed"), error=pl.lit(error))
        writer.upsert(FETCHES, FETCHES.check(failed))
    return RepairReport(before, cut, withdrawn, promised)


def _cut_back(home: Path, logs: Mapping[str, Log]) -> dict[str, int]:
    """Move the entries after the newest readable version of each damaged log into quarantine; return these versions.

    The newest entry goes first: killed in between, the log is as damaged as before or a shorter sound one.
    """
    versions: dict[str, int] = {}
    for name, log in logs.items():
        try:
            if log.exists():
                log.open()
        except LakeError as error:
            version = log.readable_until() if damaged(error) else None
            if version is None or not log.after(version):
                continue  # nothing of it can be read, or for a reason outside of it: check reports it
            folder = home / name / "_delta_log"
            with translated_errors(f"moving damaged entries of the log of {name} into quarantine"):
                folder.mkdir(parents=True, exist_ok=True)
                for path in log.after(version):
                    path.replace(folder / path.name)
            versions[name] = version
    return versions


def _withdraw(home: Path, log: Log, lost: Mapping[str, str], writer: Writer) -> list[WithdrawnFile]:
    listed = log.open().files.filter(pl.col("path").is_in(list(lost)))
    kept = {row["path"]: _copied(home, log, row, lost[row["path"]]) for row in listed.iter_rows(named=True)}
    gone = writer.withdraw(log.table, kept)
    return [
        WithdrawnFile(log.table.name, path, lost[path], rows, low, high, kept[path])
        for path, rows, low, high in gone.select("path", "rows", "low", "high").iter_rows()
    ]


def _copied(home: Path, log: Log, row: Mapping[str, Any], reason: str) -> Path | None:
    """Keep the content of a file and the reason in quarantine; None where there is no file."""
    path = str(row["path"])
    target = home / log.table.name / path
    facts = {
        "table": log.table.name,
        "path": path,
        "reason": reason,
        "rows": row["rows"],
        "first": None if row["low"] is None else row["low"].isoformat(),
        "last": None if row["high"] is None else row["high"].isoformat(),
        "kept_at": datetime.now(UTC).isoformat(),
    }
    with translated_errors(f"copying {log.home / path} into quarantine"):
        target.parent.mkdir(parents=True, exist_ok=True)
        _written(target.with_suffix(".json"), (json.dumps(facts, indent=2) + "\n").encode())
        try:
            content = (log.home / path).read_bytes()
        except FileNotFoundError:
            return None
        _written(target, content)
    return target


def _written(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{uuid.uuid4().hex}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
