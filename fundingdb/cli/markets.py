"""Verb `markets`: what a source lists now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "ask exchanges what they list: symbol, base, multiplier, class, status, interval, cap"
EXAMPLE = "fundingdb markets extended --tokens BTC,PEPE"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("exchange", nargs="*", metavar="EXCHANGE", help="default: all")
    parser.add_argument("--tokens", metavar="A,B", help="only these, by base or symbol")


def run(args: Namespace) -> int:
    """Attempt, print; nothing is stored."""
    import asyncio

    import polars as pl

    from fundingdb.cli.common.options import fetchers, words
    from fundingdb.cli.common.output import show
    from fundingdb.ingest import guard
    from fundingdb.ingest.listing import select_rows
    from fundingdb.transport.http import Engine
    from fundingdb.transport.walk import SourceReader

    sources, tokens = fetchers(args.exchange), words(args.tokens)

    async def ask() -> list[pl.DataFrame]:
        async with Engine() as engine:
            return [(await SourceReader(f, engine, guard.admitted).markets()).frame for f in sources]

    rows = pl.concat(asyncio.run(ask()))
    if tokens:
        rows = select_rows(rows, tokens)
    show(rows.sort("asset_class", "base", "exchange"), json=args.json)
    return 0
