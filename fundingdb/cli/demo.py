"""Verb `demo`: the whole pipeline against simulated exchanges, offline, into a warehouse of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "the whole pipeline against simulated exchanges, offline"
EXAMPLE = "fundingdb demo --days 30"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--days", type=int, default=30, metavar="N", help="days of history, 1 to 365 (default 30)"
    )


def run(args: Namespace) -> int:
    """Run it and show the lake; exit 1 when any row differs from the simulated world."""
    import json

    from fundingdb.charts.terminal import chart
    from fundingdb.cli.common.output import show
    from fundingdb.errors import BadCall
    from fundingdb.simulator.demo import EXCHANGES, Demo, best, coverage, pair_history

    if not 1 <= args.days <= 365:
        raise BadCall(f"--days {args.days}: must be between 1 and 365")
    demo = Demo(args.warehouse / "demo", args.days)
    report = sys.stderr.write
    report(
        f"simulated exchanges: {', '.join(EXCHANGES)} and CoinGecko, {args.days} days, with network faults\n"
    )
    result = demo.run(report)
    if args.json:
        sys.stdout.write(json.dumps(result.facts()) + "\n")
        return 0 if result.right else 1
    sys.stdout.write("\nCoverage\n")
    show(coverage(demo.warehouse), json=False)
    sys.stdout.write("\nBest spreads of the newest hour (fraction per hour, and per year)\n")
    spreads = best(demo.warehouse)
    show(spreads, json=False)
    top = spreads.row(0, named=True)
    history = pair_history(demo.warehouse, top["base"], top["long_exchange"], top["short_exchange"])
    sys.stdout.write(
        f"\n{top['base']}: spread of {top['short_exchange']} over {top['long_exchange']}, percent a year, last 7 days\n"
    )
    sys.stdout.write(chart(history["hour_at"].to_list(), history["percent_a_year"].to_list()))
    sys.stdout.write(f"\n{result.verdict()}\n")
    where = f"--warehouse {demo.warehouse}"
    sys.stdout.write(
        "\nNext:\n"
        f"  fundingdb spreads {where}\n"
        f'  fundingdb sql "from latest order by base" {where}\n'
        "  fundingdb backfill extended lighter --tokens KAITO,IP,BTC --days 90   # the real exchanges\n"
    )
    return 0 if result.right else 1
