"""The lake: the Delta tables under `<warehouse>/lake/`, and their only writer.

Files are immutable and sorted; a commit log lists those that count, so readers never see half a commit. A writer reads a
pinned version and commits only if that is still the newest; else it starts again.
"""

from fundingdb.lake.audit import AuditReport, Finding
from fundingdb.lake.log import Version
from fundingdb.lake.repair import RepairReport, WithdrawnFile
from fundingdb.lake.store import Lake
from fundingdb.lake.writer import Merged, Upserted

__all__ = ["AuditReport", "Finding", "Lake", "Merged", "RepairReport", "Upserted", "Version", "WithdrawnFile"]
