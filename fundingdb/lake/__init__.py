"""The lake: one Delta table a name under `<warehouse>/lake/`, and the only writer of it.

Files are immutable and sorted; a commit log says which of them count, so readers never see half a commit. A
writer reads a pinned version, and commits only if that is still the newest: who lost starts again.
"""

from fundingdb.lake.audit import AuditReport, Finding
from fundingdb.lake.log import Version
from fundingdb.lake.store import Lake, Merged, Upserted

__all__ = ["AuditReport", "Finding", "Lake", "Merged", "Upserted", "Version"]
