"""Verb `shell`: the DuckDB shell on the catalog, read-only."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "the DuckDB shell on the views of the lake, read-only"
EXAMPLE = """fundingdb shell\n  fundingdb shell -c "select view_name, comment from duckdb_views() where not internal" """


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-c", dest="command", metavar="SQL", help="run this query and exit")


def run(args: Namespace) -> int:
    """Replace this process with the shell; raises MissingExtra (exit 2) without one, LakeError without a warehouse."""
    from fundingdb.catalog import catalog
    from fundingdb.errors import LakeError, MissingExtra

    beside = Path(sys.executable).parent  # where pip installs it, also when the environment is not activated
    binary = shutil.which("duckdb") or shutil.which("duckdb", path=str(beside))
    if binary is None:
        raise MissingExtra(
            "the duckdb command is not installed: `pip install duckdb-cli`, or see https://duckdb.org/install"
        )
    file = args.warehouse.resolve() / catalog.FILE
    try:
        catalog.rebuild(args.warehouse)  # other writers may have committed, or removed old files
    except LakeError as error:
        if not file.exists():
            raise
        sys.stderr.write(f"fundingdb shell: {error}; opening the existing catalog\n")
    words = [binary, "-readonly", "-cmd", "SET TimeZone = 'UTC'", str(file)]
    sys.stdout.flush()
    os.execv(binary, [*words, *(["-c", args.command] if args.command else [])])  # noqa: S606 - no shell in between
    return 0
