"""The command line: parse arguments, call one function, print.

Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partly done (the rest is in the
ledger, a repeat does only that) or something to look at (reconcile, doctor), 130 interrupted (what was finished is kept).
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING

from fundingdb.errors import FundingdbError, NoRowsWarning
from fundingdb.settings import default_warehouse, version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

GROUPS = {
    "get data": ("markets", "backfill", "collect", "stream", "import"),
    "look at it": ("exchanges", "spreads", "coverage", "gaps", "sql", "shell"),
    "judge it": ("backtest", "reconcile"),
    "keep it in order": ("doctor", "release", "check", "compact"),
    "try and learn": ("demo", "simulate", "parse", "help"),
}
VERBS = tuple(verb for group in GROUPS.values() for verb in group)
# they read an absent lake as an empty one, with a note; doctor and check refuse it
_READERS = {"spreads", "backtest", "coverage", "gaps", "reconcile", "sql", "release", "compact"}
_ABOUT = """\
The funding rates of perpetual futures on your own machine: fetch them, keep
them as Parquet, query them with SQL or Python. Rates are fractions of notional,
positive when longs pay shorts; times are UTC.

start here:
  fundingdb demo                        the whole pipeline, offline, in a minute
  fundingdb backfill extended lighter --tokens BTC,KAITO --days 90
  fundingdb spreads                     the widest spreads now
  fundingdb help VERB                   the options of a verb, with an example"""
_EXIT_CODES = """\
exit codes: 0 done, 1 failed, 2 wrong usage, 3 partly done (a repeat does the
rest) or something to look at (reconcile, doctor), 130 interrupted"""


def _module(name: str) -> ModuleType:
    # `import` is a word of the language: its module is import_
    return import_module(f"fundingdb.cli.{name}{'_' * iskeyword(name)}")


def parser() -> argparse.ArgumentParser:
    """The whole command line, for parsing and for help."""
    raw = argparse.RawDescriptionHelpFormatter
    root = argparse.ArgumentParser(
        "fundingdb",
        usage="fundingdb VERB [options]",
        description=_ABOUT,
        epilog=_guide(),
        formatter_class=raw,
    )
    root.add_argument("-V", "--version", action="version", version=f"fundingdb {version()}")
    verbs = root.add_subparsers(prog="fundingdb", metavar="VERB", dest="verb", help=argparse.SUPPRESS)
    for name in VERBS:
        verb = _module(name)
        one = verbs.add_parser(
            name, description=_sentence(verb.HELP), epilog=f"example:\n  {verb.EXAMPLE}", formatter_class=raw
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


def _guide() -> str:
    """The verbs by group, the pages of the manual and the exit codes."""
    from fundingdb.cli.help import listing

    groups = [
        "\n".join([f"{title}:", *(f"  {verb:<11} {_module(verb).HELP}" for verb in verbs)])
        for title, verbs in GROUPS.items()
    ]
    return "\n\n".join([*groups, f"the manual, fundingdb help TOPIC:\n{listing()}", _EXIT_CODES])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; without a verb, print the help."""
    root = parser()
    args = root.parse_args(argv)
    if args.verb is None:
        root.print_help()
        return 0
    try:
        args.warehouse = args.warehouse or default_warehouse()
        if args.verb in _READERS and not args.warehouse.exists():
            sys.stderr.write(
                f"note: {args.warehouse} does not exist yet, so the lake is empty; --warehouse names another folder\n"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoRowsWarning)  # verbs print it in their own words
            return _module(args.verb).run(args)
    except FundingdbError as error:
        sys.stderr.write(f"fundingdb {args.verb}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(
            "\ninterrupted: what was finished is kept; run the same command again for the rest\n"
        )
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
