"""Verb `simulate`: a local server that answers as the exchanges do, over invented rates, for bots and tests."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "serve simulated exchanges on this machine, for bots and tests"
EXAMPLE = "fundingdb simulate --port 8765 --faults"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port of the HTTP server (default 0: a free one)"
    )
    parser.add_argument(
        "--faults", action="store_true", help="a gentle mix of faults: 429, 5xx, time-outs, bad bodies"
    )
    parser.add_argument("--limits", action="store_true", help="enforce the rate limits of the exchanges")


def run(args: Namespace) -> int:
    """Serve until Ctrl-C; stdout has the environment that points fundingdb at the server, one variable a line.

    Exit code 0 after Ctrl-C; raises BadCall (exit 2) for a port that can't be opened.
    """
    import json
    import signal
    from contextlib import ExitStack, suppress

    from fundingdb.errors import BadCall
    from fundingdb.simulator import Faults, Simulator, World

    if not 0 <= args.port < 65_536:
        raise BadCall(f"--port {args.port}: must be between 0 (a free one) and 65535")
    world = World()
    faults = Faults.some(world.seed) if args.faults else Faults()
    with ExitStack() as running, suppress(KeyboardInterrupt):
        try:
            simulator = running.enter_context(
                Simulator(world, faults, port=args.port, limits=args.limits, live=True)
            )
        except OSError as error:
            problem = f"--port {args.port}: {error.strerror}; give another, or 0 for a free one"
            raise BadCall(problem) from None
        for name, url in simulator.env().items():
            row = json.dumps({"variable": name, "value": url}) if args.json else f"export {name}={url}"
            sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
        sys.stderr.write("serving until Ctrl-C; keep simulated rows in a warehouse of their own\n")
        signal.pause()  # Polars restarts waits on locks after Ctrl-C, this one returns
    return 0
