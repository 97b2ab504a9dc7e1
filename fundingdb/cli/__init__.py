"""The command line: parse arguments, call one function, print.

Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partly done (the rest is in the
ledger, a repeat does only that) or something found (reconcile, doctor), 130 interrupted (what was finished is kept).
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING

from fundingdb.errors import FundingdbError
from fundingdb.settings import default_warehouse, version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

VERBS = (
    "demo",
    "simulate",
    "exchanges",
    "markets",
    "backfill",
    "collect",
    "stream",
    "spreads",
    "coverage",
    "gaps",
    "reconcile",
    "doctor",
    "backtest",
    "sql",
    "shell",
    "parse",
    "import",
    "compact",
    "check",
)
_READERS = {"spreads", "backtest", "coverage", "gaps", "reconcile", "doctor", "sql", "check", "compact"}
_ABOUT = """\
The funding rates of perpetual futures on your own machine: fetch them, keep them as Parquet, query them
with SQL or Python. Rates are fractions of notional, positive when longs pay shorts; times are UTC."""
_START = """\
start here:
  fundingdb demo                                       the whole pipeline, offline, in a minute
  fundingdb backfill extended lighter --tokens BTC,KAITO --days 90
  fundingdb spreads                                    what the pairs pay now
  fundingdb shell                                      SQL in the DuckDB shell

exit codes: 0 done, 1 failed, 2 wrong usage, 3 partly done (repeat to do the rest)
or something found (reconcile, doctor), 130 interrupted"""


class _Aligned(argparse.RawDescriptionHelpFormatter):
    """argparse leaves the indent of verbs out of its reckoning and would break the line after the longest."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = max(map(len, VERBS)) + 4


def _module(name: str) -> ModuleType:
    # `import` is a word of the language: its module is import_
    return import_module(f"fundingdb.cli.{name}{'_' * iskeyword(name)}")


def parser() -> argparse.ArgumentParser:
    """The whole command line, for parsing and for help."""
    raw = argparse.RawDescriptionHelpFormatter
    root = argparse.ArgumentParser("fundingdb", description=_ABOUT, epilog=_START, formatter_class=_Aligned)
    root.add_argument("-V", "--version", action="version", version=f"fundingdb {version()}")
    verbs = root.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    for name in VERBS:
        verb = _module(name)
        one = verbs.add_parser(
            name,
            help=verb.HELP,
            description=verb.HELP,
            epilog=f"example:\n  {verb.EXAMPLE}",
            formatter_class=raw,
        )
        verb.arguments(one)
        one.add_argument(
            "--warehouse",
            type=Path,
            metavar="DIR",
            help="the folder that holds lake/ and fundingdb.duckdb (default: FUNDINGDB_WAREHOUSE, else warehouse of the "
            "nearest fundingdb.toml, else ./warehouse)",
        )
        one.add_argument("--json", action="store_true", help="one JSON object a row on stdout")
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; give its exit code."""
    args = parser().parse_args(argv)
    try:
        args.warehouse = args.warehouse or default_warehouse()
        if args.verb in _READERS and not args.warehouse.exists():
            sys.stderr.write(f"note: {args.warehouse} does not exist yet, so it is empty; see --warehouse\n")
        return _module(args.verb).run(args)
    except FundingdbError as error:
        sys.stderr.write(f"fundingdb {args.verb}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: what was finished is kept, the same command does the rest\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
