"""Verb `check`: read the whole lake back."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from pathlib import Path

    from fundingdb.lake import Lake

HELP = "read the whole lake back: files, types, keys, order, ledger"
EXAMPLE = "fundingdb check --warehouse ./warehouse"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--heal",
        action="store_true",
        help="first derive missing intervals from neighbouring settlements in the lake; sends no request",
    )


def run(args: Namespace) -> int:
    """Print each finding; 0 when the lake is sound, 1 when something is wrong."""
    from fundingdb.lake import Lake

    lake = Lake(args.warehouse)
    if args.heal:
        _heal(lake, args.warehouse)
    report = lake.check()
    for one in report.findings:
        if args.json:
            line = {"table": one.table, "where": one.where, "problem": one.problem}
            sys.stdout.write(json.dumps(line) + "\n")
        else:
            sys.stdout.write(f"{one.table}: {one.where}: {one.problem}\n")
    read = (
        f"{report.tables} tables, {report.files} files, {report.rows} rows, {report.windows} ledger windows"
    )
    verdict = "sound" if report.clean else f"{len(report.findings)} findings"
    sys.stderr.write(f"{args.warehouse}: {read} read back: {verdict}\n")
    return 0 if report.clean else 1


def _heal(lake: Lake, warehouse: Path) -> None:
    from datetime import UTC, datetime

    from fundingdb.catalog import catalog
    from fundingdb.ingest.healing import heal

    healed = heal(lake, datetime.now(UTC))
    if healed:
        catalog.rebuild(warehouse)
    sys.stderr.write(f"{healed} payments have their interval now, derived from neighbouring settlements\n")
