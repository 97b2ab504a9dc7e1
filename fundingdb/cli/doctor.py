"""Verb `doctor`: the state of the lake on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "one page of alarms: stale sources, failures, gaps, conflicts"
EXAMPLE = "fundingdb doctor --stale 3"
_SHOWN = 12  # lines of a section, for people


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--stale",
        type=float,
        default=24,
        metavar="HOURS",
        help="a source is stale when its newest row is older than this (default 24)",
    )
    parser.add_argument(
        "--days",
        type=float,
        default=7,
        metavar="N",
        help="list values that changed in the last N days (default 7)",
    )


def run(args: Namespace) -> int:
    """Print the findings by section; 0 without an alarm, else 3."""
    import sys
    from dataclasses import asdict
    from math import isfinite

    import polars as pl

    from fundingdb.catalog.doctor import SECTIONS, examine
    from fundingdb.cli.common.output import show
    from fundingdb.errors import BadCall, escaped

    for name, value in (("--stale", args.stale), ("--days", args.days)):
        if not isfinite(value) or value < 0:
            raise BadCall(f"{name} {value}: must be 0 or more")
    findings = examine(args.warehouse, stale_hours=args.stale, restated_days=args.days)
    alarms = sum(one.alarm for one in findings)
    lost = any(one.section == "lake" for one in findings)
    unread = lost and not any(one.section == "freshness" for one in findings)
    if args.json:
        if findings:
            show(pl.DataFrame([asdict(one) for one in findings]), json=True)
    else:
        for section in SECTIONS:
            mine = [one for one in findings if one.section == section]
            if unread and not mine:
                continue
            bad = sum(one.alarm for one in mine)
            sys.stdout.write(f"{section}: {f'{bad} to look at' if bad else 'well'}\n")
            for one in mine[:_SHOWN]:
                line = f"  {'!' if one.alarm else ' '} {one.exchange}  {one.subject}: {one.detail}"
                sys.stdout.write(f"{escaped(line)}\n")
            if len(mine) > _SHOWN:
                sys.stdout.write(f"    and {len(mine) - _SHOWN} more; --json lists all\n")
    if lost:
        sys.stderr.write("what to do: 'fundingdb check --repair', then 'fundingdb backfill'\n")
    sys.stderr.write(f"{args.warehouse}: {f'{alarms} to look at' if alarms else 'all is well'}\n")
    return 3 if alarms else 0
