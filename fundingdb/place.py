"""Where the warehouse lies by default. Loads nothing, so that `--help` and readers of small files may ask too."""

from __future__ import annotations

import os
from pathlib import Path


def default_warehouse() -> Path:
    """The folder that FUNDINGDB_WAREHOUSE names, else `warehouse` in the working folder."""
    return Path(os.environ.get("FUNDINGDB_WAREHOUSE") or "warehouse")
