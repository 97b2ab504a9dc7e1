"""Verb `check`: read the whole lake back."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from pathlib import Path

    from fundingdb.lake import Lake, RepairReport
    from fundingdb.lake.audit import Finding

HELP = "read the lake back: files, checksums, types, keys, order, ledger"
EXAMPLE = "fundingdb check --repair"
_SHOWN = 20  # tokens of a command, for people


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--heal",
        action="store_true",
        help="first derive missing intervals from neighbouring settlements in the lake; sends no request",
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="take missing and damaged files out of the tables (kept under quarantine/lake) and take back what the ledger "
        "promises of lost rows, so that the next backfill fetches them again; then check",
    )


def run(args: Namespace) -> int:
    """Print each finding; 0 when the lake is sound, 1 when something is wrong or there is no lake."""
    from fundingdb.catalog import catalog
    from fundingdb.catalog.doctor import must_exist
    from fundingdb.lake import Lake

    must_exist(args.warehouse)
    lake = Lake(args.warehouse)
    if args.repair:
        _repaired(lake.repair())
        catalog.rebuild(args.warehouse)
    if args.heal:
        _heal(lake, args.warehouse)
    report = lake.check()
    for one in report.findings:
        _line(one, "finding", as_json=args.json)
    for one in report.notes:
        _line(one, "note", as_json=args.json)
    read = (
        f"{report.tables} tables, {report.files} files, {report.rows} rows, {report.windows} ledger windows"
    )
    verdict = "sound" if report.clean else f"{len(report.findings)} findings"
    if not report.rows and report.clean:
        verdict = "no table has a row: there is nothing to check"
    sys.stderr.write(f"{args.warehouse}: {read} read back: {verdict}\n")
    if (report.promised.height or not report.readable) and not args.repair:
        sys.stderr.write("rows are lost: 'fundingdb check --repair', then 'fundingdb backfill'\n")
    return 0 if report.clean and report.rows else 1


def _line(one: Finding, kind: str, *, as_json: bool) -> None:
    from fundingdb.errors import escaped

    if as_json:
        line = {"table": one.table, "where": one.where, "problem": one.problem, "kind": kind}
        sys.stdout.write(json.dumps(line) + "\n")
    else:
        text = f"{one.table}: {one.where}: {one.problem}"
        sys.stdout.write(f"{'note: ' if kind == 'note' else ''}{escaped(text)}\n")


def _repaired(done: RepairReport) -> None:
    """Print on stderr the files withdrawn, the windows marked as missing, and the commands that fetch them again."""
    import polars as pl

    for table, version in done.logs.items():
        sys.stderr.write(
            f"cut back: table {table} is at version {version}, the newest before the damage of its log; later entries are kept "
            "under quarantine/lake, and their rows come back by backfill and import\n"
        )
    for file in done.files:
        span = (
            f"{file.first:%Y-%m-%d %H:%M}Z to {file.last:%Y-%m-%d %H:%M}Z" if file.first and file.last else ""
        )
        kept = f"kept as {file.kept}" if file.kept else "there was no file to keep"
        sys.stderr.write(
            f"withdrawn: {file.table}: {file.path}: {file.rows} rows {span}: {file.reason}; {kept}\n"
        )
        if "source=import/" in file.path:
            sys.stderr.write("  imported rows come back only by 'fundingdb import' of their files\n")
    sources = done.windows.group_by("exchange", "source", maintain_order=True).agg(
        pl.len(), pl.col("symbol").unique().sort(), pl.col("window_start").min(), pl.col("window_stop").max()
    )
    for exchange, source, count, symbols, start, stop in sources.iter_rows():
        tokens = f"--tokens {','.join(symbols)}" if len(symbols) <= _SHOWN else "--all"
        sys.stderr.write(
            f"missing: {exchange} {source}: {count} windows of {len(symbols)} markets; fetch them again with\n"
            f"  fundingdb backfill {exchange} {_source(exchange, source)}{tokens} "
            f"--since {start:%Y-%m-%dT%H:%MZ} --until {stop:%Y-%m-%dT%H:%MZ}\n"
        )
    if not done.logs and not done.files and not done.windows.height:
        sys.stderr.write("nothing to repair: no file and no row of the ledger is lost\n")


def _source(exchange: str, source: str) -> str:
    """The option of `backfill` that selects a source other than the exchange itself."""
    if source == exchange:
        return ""
    return "--source archive " if source.endswith("-archive") else f"--source {source} "


def _heal(lake: Lake, warehouse: Path) -> None:
    from datetime import UTC, datetime

    from fundingdb.catalog import catalog
    from fundingdb.ingest.healing import heal

    healed = heal(lake, datetime.now(UTC))
    if healed:
        catalog.rebuild(warehouse)
    sys.stderr.write(f"{healed} payments have their interval now, derived from neighbouring settlements\n")
