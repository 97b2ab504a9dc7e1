"""Verb `collect`: snapshots and newly settled rates, round by round."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "on a schedule: snapshots, newly settled rates, retries of gaps"
EXAMPLE = "fundingdb collect --source extended --source coingecko --every 1h --for 24h"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME",
        help="repeatable (default: all sources); ccxt: the --exchanges through ccxt",
    )
    parser.add_argument("--exchanges", metavar="A,B", help="only these exchanges (with coingecko and ccxt)")
    parser.add_argument("--tokens", metavar="A,B", help="only these tokens or symbols")
    parser.add_argument(
        "--every", default="1h", metavar="SPAN", help="time between rounds, aligned to the clock (default 1h)"
    )
    parser.add_argument("--for", dest="span", metavar="SPAN", help="stop after this long")
    parser.add_argument("--count", type=int, metavar="N", help="stop after N rounds (1: one round, now)")


def run(args: Namespace) -> int:
    """Collect until --for, --count or Ctrl-C ends it; one line a round."""
    import asyncio
    from datetime import timedelta

    from fundingdb.cli.common.options import bridged, fetchers, hours, words
    from fundingdb.cli.common.progress import facts, print_failures
    from fundingdb.errors import BadCall
    from fundingdb.ingest.collector import Collector, CollectReport
    from fundingdb.lake import Lake
    from fundingdb.transport.http import Engine
    from fundingdb.transport.schedule import Schedule, run_rounds

    if args.count is not None and args.count < 1:
        raise BadCall(f"--count {args.count}: must be at least 1")
    through = "ccxt" in args.source
    own = [name for name in args.source if name != "ccxt"]
    sources = fetchers(own) if own or not through else []
    every = timedelta(hours=hours(args.every))
    span = timedelta(hours=hours(args.span)) if args.span else None
    exchanges, tokens = words(args.exchanges), words(args.tokens)
    if through:
        sources += bridged(exchanges)
    lake = Lake(args.warehouse)
    codes: list[int] = []

    async def work() -> None:
        async with Engine() as engine:
            collector = Collector(lake, args.warehouse, engine)

            async def one() -> CollectReport:
                return await collector.round(sources, exchanges, tokens)

            async for at, report in run_rounds(one, Schedule(every, span, args.count)):
                codes.append(report.exit_code)
                if args.json:
                    line = json.dumps({"round_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), **facts(report)})
                else:
                    line = (
                        f"{at:%Y-%m-%d %H:%M:%S}Z  {report.snapshots} snapshots, {report.inserted} settled rates new, "
                        f"{report.restated} restated, {len(report.failures)} failures"
                    )
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
                print_failures(report)

    asyncio.run(work())
    if not any(codes):
        return 0
    return 1 if all(c == 1 for c in codes) else 3
