"""python -m fundingdb.simulator: serves a simulated world until Ctrl-C; its lines point fundingdb at it."""

from __future__ import annotations

import argparse
import signal
import sys

from fundingdb.simulator import Faults, Simulator, World


def main() -> int:
    """Exit code 0 after Ctrl-C, 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m fundingdb.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="default 8765; 0: a free one")
    parser.add_argument("--seed", type=int, default=7, help="of the world and its faults")
    parser.add_argument("--faults", action="store_true", help="a gentle mix of faults")
    parser.add_argument("--limits", action="store_true", help="hold the exchanges' rate limits")
    parser.add_argument("--live", action="store_true", help="serve the exchanges' streams too")
    args = parser.parse_args()
    faults = Faults.some(args.seed) if args.faults else Faults()
    try:
        with Simulator(
            World(args.seed), faults, port=args.port, limits=args.limits, live=args.live
        ) as simulator:
            for key, value in simulator.env().items():
                sys.stdout.write(f"export {key}={value}\n")
            sys.stdout.flush()
            sys.stderr.write("serving until Ctrl-C; simulated rows belong in a warehouse of their own\n")
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        sys.stderr.write(f"port {args.port}: {error.strerror}; give another --port, or 0 for a free one\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
