"""Verb `release`: payments that the gate holds: list them, let them into `funding`, or drop them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    import polars as pl

HELP = "payments held for another unit, sign or hour: list, let in, drop"
EXAMPLE = "fundingdb release hyperliquid --symbol BTC --reason factor --let-in"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("exchange", nargs="?", metavar="EXCHANGE", help="only this exchange (default: all)")
    parser.add_argument(
        "--symbol",
        action="append",
        metavar="S",
        help="only this market, as the exchange writes it; repeatable",
    )
    parser.add_argument(
        "--reason",
        action="append",
        metavar="R",
        help="only this reason: factor, sign, shifted, size, interval, finer, beyond; repeatable",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--let-in", action="store_true", help="store the payments in funding")
    action.add_argument("--drop", action="store_true", help="leave the payments out of funding for good")


def run(args: Namespace) -> int:
    """List what is held, or decide on it; 0 when done, 2 for a selection that matches nothing."""
    import json
    from datetime import UTC, datetime

    from fundingdb.catalog import catalog
    from fundingdb.cli.common.output import show
    from fundingdb.cli.common.selection import exchanges
    from fundingdb.ingest import held
    from fundingdb.lake import Lake

    lake, exchange = Lake(args.warehouse), None
    if args.exchange is not None:
        with catalog.connect(args.warehouse, only=["funding"]) as con:
            (exchange,) = exchanges(con, args.exchange)
    rows = held.waiting(lake, exchange, args.symbol, args.reason)
    if rows.is_empty():
        _refuse_unmatched(exchange, args.symbol, args.reason, held.waiting(lake))
        sys.stderr.write(f"{args.warehouse}: nothing is held\n")
        return 0
    if not (args.let_in or args.drop):
        show(_listed(rows), json=args.json)
        if not args.json:
            sys.stderr.write(
                "see the payments with: fundingdb sql \"select * from held where state = 'held'\"; "
                "then --let-in or --drop\n"
            )
        return 0
    now = datetime.now(UTC)
    if args.drop:
        facts = {"dropped": held.drop(lake, rows, now)}
    else:
        done = held.release(lake, rows, now)
        facts = {"released": rows.height, "inserted": done.inserted, "restated": done.restated}
    catalog.rebuild(args.warehouse)
    if args.json:
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        sys.stderr.write(", ".join(f"{count:,} {what}" for what, count in facts.items()) + "\n")
    return 0


def _listed(rows: pl.DataFrame) -> pl.DataFrame:
    """One line an exchange, source and reason: markets, payments, first and last time, evidence of the first market."""
    import polars as pl

    return rows.group_by("exchange", "source", "reason", maintain_order=True).agg(
        markets=pl.col("symbol").n_unique(),
        symbols=pl.col("symbol").unique(maintain_order=True).head(8).str.join(", "),
        payments=pl.len(),
        first=pl.col("funding_time").min(),
        last=pl.col("funding_time").max(),
        evidence=pl.col("evidence").first(),
    )


def _refuse_unmatched(
    exchange: str | None, symbols: list[str] | None, reasons: list[str] | None, every: pl.DataFrame
) -> None:
    """Raise UnknownName for the first part of the selection that no held payment has; none where nothing is held."""
    from fundingdb.errors import BadCall, UnknownName

    if every.is_empty():
        return
    words = every["reason"].str.split(" ").list.first().unique().to_list()
    for kind, chosen, there in (
        ("exchange", [exchange] if exchange else [], every["exchange"].unique().to_list()),
        ("symbol", symbols or [], every["symbol"].unique().to_list()),
        ("reason", reasons or [], [*words, *every["reason"].unique()]),
    ):
        for name in chosen:
            if name not in there:
                raise UnknownName(kind, name, there, "(held)")
    raise BadCall("no held payment matches all of exchange, --symbol and --reason: see 'fundingdb release'")
