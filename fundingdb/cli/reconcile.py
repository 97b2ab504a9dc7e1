"""Verb `reconcile`: compare two sources, or prediction and settlement, of each payment; name the fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "compare sources of one market; name faults such as x8 or sign"
EXAMPLE = "fundingdb reconcile --exchanges lighter --rows"
_WELL = "verdict in ('agree', 'rounded', 'unclear')"
_CHOSEN = "list_contains($exchanges, exchange) and ($bases is null or list_contains($bases, base))"
_MARKETS = f"""
from reconciliation_summary where {_CHOSEN}
order by {_WELL}, exchange, symbol, left_source, left_kind, right_source, right_kind
"""
_PAYMENTS = f"""
from reconciliation where {_CHOSEN} and verdict not in ('agree', 'rounded')
order by exchange, symbol, left_source, left_kind, right_source, right_kind, funding_time
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    from fundingdb.cli.common.selection import name_arguments

    name_arguments(parser)
    parser.add_argument(
        "--rows", action="store_true", help="list each payment that does not agree instead of the markets"
    )


def run(args: Namespace) -> int:
    """Print source pairs and faulty markets (JSON: each market, or with --rows each payment); 3 when a fault is named."""
    import sys

    import polars as pl

    from fundingdb.catalog.catalog import connect
    from fundingdb.cli.common.output import show
    from fundingdb.cli.common.selection import bases, exchanges

    with connect(args.warehouse, only=["reconciliation_summary", "funding"]) as con:
        selection = {"exchanges": exchanges(con, args.exchanges), "bases": bases(con, args.tokens)}
        markets = con.sql(_MARKETS, params=selection).pl()
        rows = con.sql(_PAYMENTS, params=selection).pl() if args.rows else markets
    faulty = markets.filter(~pl.col("verdict").is_in(["agree", "rounded", "unclear"]))
    if args.json or args.rows:
        show(rows, json=args.json)
    else:
        kinds = ["exchange", "left_source", "left_kind", "right_source", "right_kind", "verdict"]
        counts = [pl.col(c).sum() for c in ("compared", "agreeing", "faulty", "other")]
        show(markets.group_by(kinds).agg(pl.len().alias("markets"), *counts).sort(kinds))
        if faulty.height:
            show(faulty.drop("base", "asset_class", "first_time", "last_time"))
    verdict = f"{faulty.height} with a named fault" if faulty.height else "no fault"
    sys.stderr.write(f"{markets.height} markets and source pairs compared: {verdict}\n")
    return 3 if faulty.height else 0
