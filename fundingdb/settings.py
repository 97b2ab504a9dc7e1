"""What the environment sets: the warehouse, the addresses of exchanges, and which version this is.

Loads nothing heavy, so that `--help` and readers of small files may use it too.
"""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path


@cache
def version() -> str:
    """The version of the installed package, as pyproject.toml states it."""
    return installed_version("fundingdb")


def default_warehouse() -> Path:
    """The folder that FUNDINGDB_WAREHOUSE names, else `warehouse` in the working folder."""
    return Path(os.environ.get("FUNDINGDB_WAREHOUSE") or "warehouse")


def url_variable(source: str) -> str:
    """The environment variable that points a source at another address: FUNDINGDB_<SOURCE>_URL."""
    return f"FUNDINGDB_{_shell_name(source)}_URL"


def stream_url_variable(exchange: str) -> str:
    """The environment variable that points an exchange's stream at another address: FUNDINGDB_<EXCHANGE>_WS_URL."""
    return f"FUNDINGDB_{_shell_name(exchange)}_WS_URL"


def _shell_name(name: str) -> str:
    return re.sub("[^A-Z0-9]", "_", name.upper())
