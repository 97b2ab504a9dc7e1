"""Deletes the files that no kept version needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fundingdb.lake.log import translated_errors

if TYPE_CHECKING:
    from pathlib import Path

    from fundingdb.lake.log import Log

KEEP = timedelta(days=7)
_DRAFT_AGE = timedelta(hours=1)  # a file that no commit names is a killed writer's after this long


def vacuum(log: Log, keep: timedelta) -> list[Path]:
    """Delete the table's files that count at no version younger than `keep`, and drafts of killed writers; return their paths."""
    now = datetime.now(UTC)
    with translated_errors(f"vacuuming {log.home}"):
        present = {p.relative_to(log.home).as_posix(): p for p in log.home.glob("*=*/**/*.parquet")}
        drafts = [p for p in (log.home / "_delta_log").iterdir() if "#" in p.name or p.suffix == ".tmp"]
        ages = {
            p: now - datetime.fromtimestamp(p.stat().st_mtime, UTC)
            for p in [*present.values(), *drafts]
            if p.exists()  # a writer may have discarded its own
        }
    # The log is read after the listing: a file committed in between is named.
    base = max((c.version for c in log.commits() if c.at <= now - keep), default=-1)
    needed, ever = log.named_since(base), log.named_since(-1)
    deleted: list[Path] = []
    with translated_errors(f"vacuuming {log.home}"):
        for name, path in present.items():
            if path in ages and name not in needed and (name in ever or ages[path] >= _DRAFT_AGE):
                path.unlink(missing_ok=True)
                deleted.append(path)
        for path in drafts:
            if path in ages and ages[path] >= _DRAFT_AGE:
                path.unlink(missing_ok=True)
                deleted.append(path)
    return deleted
