"""Verb `backfill`: download the settled rates of a span into the lake."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "download settled funding rates; requests only what is missing"
EXAMPLE = "fundingdb backfill extended lighter --tokens KAITO,IP,BTC --days 90"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("exchange", nargs="*", metavar="EXCHANGE", help="default: all with settled history")
    parser.add_argument(
        "--source",
        choices=["ccxt", "archive"],
        help="ccxt: request through ccxt, as a second source or where fundingdb has no fetcher (pip install "
        "'fundingdb[ccxt]'); archive: published files of finished months or days (binance, binance-coinm, drift)",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--tokens", metavar="A,B", help="these tokens (KAITO) or symbols (KAITO-USD)")
    which.add_argument("--all", action="store_true", help="every market")
    parser.add_argument("--days", type=float, metavar="N", help="this many days back (default 90)")
    parser.add_argument("--since", metavar="DATE", help="from this day or instant, UTC")
    parser.add_argument(
        "--until", metavar="DATE", help="up to this day or instant, UTC, exclusive (default: now)"
    )
    parser.add_argument(
        "--again", action="store_true", help="request the whole window anew, whatever the ledger has of it"
    )


def run(args: Namespace) -> int:
    """Download, store, print a summary."""
    import asyncio

    from fundingdb.cli.common.options import archives, bridged, fetchers, window, words
    from fundingdb.cli.common.progress import ProgressBars, summary
    from fundingdb.ingest.collector import Collector, CollectReport
    from fundingdb.lake import Lake
    from fundingdb.transport.http import Engine

    if args.source == "archive":
        sources = archives(args.exchange)
        sys.stderr.write(
            "an archive has finished months or days only; run backfill without --source archive for the payments since then\n"
        )
    else:
        sources = bridged(args.exchange) if args.source else fetchers(args.exchange, history=True)
    span, tokens = window(args), words(args.tokens)
    lake = Lake(args.warehouse)

    async def work(bars: ProgressBars) -> CollectReport:
        async with Engine() as engine:
            collector = Collector(lake, args.warehouse, engine, on=bars.on)
            return await collector.backfill(sources, span, tokens, again=args.again)

    with ProgressBars() as bars:
        report = asyncio.run(work(bars))
    summary(report, json=args.json)
    if not args.json:
        sys.stderr.write(f"the lake is {args.warehouse}; next: fundingdb spreads, fundingdb shell\n")
    return report.exit_code
