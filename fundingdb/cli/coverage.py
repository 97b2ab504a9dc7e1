"""Verb `coverage`: what is stored of each market, and why the rest is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "what is stored of each market, what is missing and why"
EXAMPLE = "fundingdb coverage --exchanges lighter --tokens BTC"
_QUERY = """
from coverage
where list_contains($exchanges, exchange)
  and ($bases is null or list_contains($bases, base))
  and ($all or payments > 0 or asked_from is not null)
order by exchange, base, symbol
"""
_SHORT = (
    "exchange", "symbol", "first_time", "last_time", "payments", "expected", "ratio", "holes", "has_none", "unconfirmed",
    "failed", "not_asked", "last_outcome", "answer",
)  # fmt: skip


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    from fundingdb.cli.common.selection import name_arguments

    name_arguments(parser)
    parser.add_argument("--all", action="store_true", help="also markets that were never requested")


def run(args: Namespace) -> int:
    """Print one row a market; with --json all columns of the view."""
    from fundingdb.catalog.catalog import connect
    from fundingdb.cli.common.output import show
    from fundingdb.cli.common.selection import bases, exchanges

    with connect(args.warehouse, only=["coverage"]) as con:
        selection = {
            "exchanges": exchanges(con, args.exchanges),
            "bases": bases(con, args.tokens),
            "all": args.all,
        }
        rows = con.sql(_QUERY, params=selection).pl()
    show(rows if args.json else rows.select(_SHORT), json=args.json)
    return 0
