"""Verb `gaps`: the spans in which settlements are missing, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "the spans without settlements, each with its reason"
EXAMPLE = "fundingdb gaps --exchanges hyperliquid --reason failed"
_QUERY = """
from gaps
where list_contains($exchanges, exchange)
  and ($bases is null or list_contains($bases, coalesce(
      (select max(base) from funding as f where f.exchange = gaps.exchange and f.symbol = gaps.symbol),
      (select max(base) from markets as m where m.exchange = gaps.exchange and m.symbol = gaps.symbol)
  )))
  and case when $reason is null then reason <> 'not due' else reason = $reason end
order by exchange, symbol, gap_start
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    from fundingdb.cli.common.selection import name_arguments

    name_arguments(parser)
    parser.add_argument(
        "--reason",
        choices=("none confirmed", "none unconfirmed", "failed", "not asked", "not due"),
        help="only gaps with this reason (default: all but 'not due')",
    )


def run(args: Namespace) -> int:
    """Print one row per span."""
    from fundingdb.catalog.catalog import connect
    from fundingdb.cli.common.output import show
    from fundingdb.cli.common.selection import bases, exchanges

    with connect(args.warehouse, only=["gaps"]) as con:
        selection = {
            "exchanges": exchanges(con, args.exchanges),
            "bases": bases(con, args.tokens),
            "reason": args.reason,
        }
        rows = con.sql(_QUERY, params=selection).pl()
    show(rows, json=args.json)
    return 0
