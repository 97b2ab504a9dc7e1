"""Verb `compact`: merge small files, delete the files that no kept version needs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "merge small files, delete the files of old versions"
EXAMPLE = "fundingdb compact --keep 7d"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--keep",
        default="7d",
        metavar="SPAN",
        help="keep versions younger than SPAN, so that they can still be pinned (default 7d)",
    )


def run(args: Namespace) -> int:
    """Merge, refresh the catalog, delete old files; one line for each table with merged files."""
    from datetime import timedelta

    from fundingdb.catalog import catalog
    from fundingdb.cli.common.options import hours
    from fundingdb.lake import Lake

    keep = timedelta(hours=hours(args.keep))
    lake = Lake(args.warehouse)
    merged = lake.compact()
    if lake.home.exists():
        catalog.rebuild(args.warehouse)  # before files go: a shell opened from now on needs none of them
    deleted = lake.vacuum(keep)
    if args.json:
        for one in merged:
            line = {"table": one.table, "files_before": one.before, "files_after": one.after}
            sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.write(json.dumps({"deleted_files": len(deleted)}) + "\n")
        return 0
    for one in merged:
        sys.stdout.write(f"{one.table}: {one.before} files became {one.after}\n")
    if not merged:
        sys.stdout.write("nothing to merge\n")
    sys.stdout.write(f"{len(deleted)} files of versions older than {args.keep} deleted\n")
    return 0
