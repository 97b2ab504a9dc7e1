"""Verb `stream`: predicted rates from WebSockets, one snapshot of each changed market at each tick."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from fundingdb.ingest.recorder import RecordedBatch

HELP = "predicted rates from WebSockets, one snapshot a market a tick"
EXAMPLE = "fundingdb stream lighter hyperliquid --tokens BTC,KAITO --every 60s --for 24h"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("exchanges", nargs="*", metavar="EXCHANGE", help="default: all with a stream")
    parser.add_argument("--tokens", metavar="A,B", help="only these tokens or symbols")
    parser.add_argument(
        "--every",
        default="60s",
        metavar="SPAN",
        help="time between writes, aligned to the clock (default 60s)",
    )
    parser.add_argument("--for", dest="span", metavar="SPAN", help="stop after this long")
    parser.add_argument("--count", type=int, metavar="N", help="stop after N ticks")


def run(args: Namespace) -> int:
    """Stream until --for, --count or Ctrl-C ends it; one line a tick."""
    import asyncio
    from datetime import timedelta

    from fundingdb.cli.common.options import fetchers, hours, words
    from fundingdb.errors import BadCall, FundingdbError
    from fundingdb.ingest.collector import Collector
    from fundingdb.ingest.recorder import Recorder, stream_of
    from fundingdb.lake import Lake
    from fundingdb.transport.http import Engine
    from fundingdb.transport.schedule import Schedule

    if args.count is not None and args.count < 1:
        raise BadCall(f"--count {args.count}: must be at least 1")
    sources = [f for f in fetchers(args.exchanges) if args.exchanges or f.live is not None]
    for one in sources:
        stream_of(one)
    every = timedelta(hours=hours(args.every))
    if every < timedelta(seconds=1):
        raise BadCall(f"--every {args.every}: must be at least 1s")
    span = timedelta(hours=hours(args.span)) if args.span else None
    tokens = words(args.tokens)
    lake = Lake(args.warehouse)

    async def work() -> tuple[dict[str, FundingdbError], int]:
        async with Engine() as engine:
            recorder = Recorder(Collector(lake, args.warehouse, engine), _Lines(json=args.json))
            return await recorder.run(sources, tokens, Schedule(every, span, args.count)), recorder.rows

    failures, rows = asyncio.run(work())
    for exchange, error in failures.items():
        sys.stderr.write(f"failed: {exchange}: {error}\n")
    if not failures:
        return 0
    return 3 if rows or len(failures) < len(sources) else 1


@dataclass(slots=True)
class _Lines:
    """One line a write on stdout; on stderr each problem once."""

    json: bool
    reported: dict[str, str | None] = field(default_factory=dict)

    def __call__(self, written: RecordedBatch) -> None:
        sys.stdout.write((_json(written) if self.json else _line(written)) + "\n")
        sys.stdout.flush()
        for exchange, part in written.parts.items():
            if part.error is not None and part.error != self.reported.get(exchange):
                sys.stderr.write(f"{exchange}: {part.error}\n")
            if part.refused:
                sys.stderr.write(
                    f"{exchange}: {part.refused} frames refused, kept in quarantine/{exchange}\n"
                )
            self.reported[exchange] = part.error


def _line(written: RecordedBatch) -> str:
    parts = ", ".join(f"{exchange} {part.rows}" for exchange, part in written.parts.items())
    return f"{written.at:%Y-%m-%d %H:%M:%S}Z  {written.rows} snapshots ({parts})"


def _json(written: RecordedBatch) -> str:
    parts = {
        exchange: {
            "snapshots": part.rows,
            "frames": part.frames,
            "refused": part.refused,
            "reconnects": part.reconnects,
            "error": part.error,
        }
        for exchange, part in written.parts.items()
    }
    at = written.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    total = {"written_at": at, "snapshots": written.rows, "inserted": written.inserted}
    return json.dumps({**total, "exchanges": parts})
