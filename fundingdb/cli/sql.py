"""Verb `sql`: one read-only query over the views of the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "run one read-only SQL query over the views (DuckDB's dialect)"
EXAMPLE = """fundingdb sql "from best_spreads order by spread_1h desc limit 5" --csv"""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "query",
        metavar="QUERY",
        help='e.g. "from latest"; "show tables" and "describe spreads" list what there is',
    )
    parser.add_argument("--csv", action="store_true", help="comma-separated values on stdout")


def run(args: Namespace) -> int:
    """Run it and print all rows; raises BadCall (exit 2) for a query that fails."""
    from fundingdb.catalog.catalog import ask
    from fundingdb.cli.common.output import show

    show(ask(args.warehouse, args.query), json=args.json, csv=args.csv)
    return 0
