"""Verb `markets`: the markets that a source lists now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "the markets that exchanges list now; stores nothing"
EXAMPLE = "fundingdb markets extended --tokens BTC,PEPE"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("exchange", nargs="*", metavar="EXCHANGE", help="default: all")
    parser.add_argument("--tokens", metavar="A,B", help="only these tokens or symbols")


def run(args: Namespace) -> int:
    """Request the listings and print one row a market; nothing is stored."""
    import asyncio
    import sys

    import polars as pl

    from fundingdb.cli.common.options import fetchers, words
    from fundingdb.cli.common.output import show
    from fundingdb.ingest import guard
    from fundingdb.ingest.listing import reasons, select_rows
    from fundingdb.transport.http import Engine
    from fundingdb.transport.walk import SourceReader

    sources, tokens = fetchers(args.exchange), words(args.tokens)

    async def listings() -> list[pl.DataFrame]:
        async with Engine() as engine:
            frames = []
            for f in sources:
                fetched = await SourceReader(f, engine, guard.admitted).markets()
                frames.append(fetched.frame)
                sys.stderr.writelines(f"{f.source}: {line}\n" for line in reasons(fetched.left_out))
            return frames

    rows = pl.concat(asyncio.run(listings()))
    if tokens:
        rows = select_rows(rows, tokens)
    show(rows.sort("asset_class", "base", "exchange"), json=args.json)
    return 0
