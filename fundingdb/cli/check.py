"""Verb `check`: read the whole lake back."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "read the whole lake back: files, types, keys, order, and the ledger against the rows"
EXAMPLE = "fundingdb check --warehouse ./warehouse"


def arguments(parser: ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: Namespace) -> int:
    """Print each finding; 0 when the lake is sound, 1 when something is wrong."""
    from fundingdb.lake import Lake

    report = Lake(args.warehouse).check()
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
