"""Selections of the reading verbs: names of tokens and exchanges, checked against the lake."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fundingdb.cli.common.options import words
from fundingdb.errors import UnknownName

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Collection, Iterable, Sequence

    from fundingdb.catalog.catalog import Connection

EMPTY = "the lake is empty: fill it with `fundingdb backfill EXCHANGE ...`, or see `fundingdb demo`\n"


def name_arguments(parser: ArgumentParser) -> None:
    """Declare --tokens and --exchanges."""
    parser.add_argument("--tokens", metavar="A,B", help="canonical tokens or the exchange's own symbols")
    parser.add_argument("--exchanges", metavar="A,B", help="exchanges, e.g. extended,lighter")


def exchanges(con: Connection, text: str | None) -> list[str]:
    """The selected exchanges, or all of the lake in alphabetical order; raises UnknownName with near matches."""
    known = [
        r[0]
        for r in con.sql(
            "select exchange from funding union select exchange from markets "
            "union select exchange from fetches union select exchange from snapshots "
            "union select exchange from held order by exchange"
        ).fetchall()
    ]
    if not known and text is None:
        sys.stderr.write(EMPTY)
    return _picked("exchange", words(text), known)


def bases(con: Connection, text: str | None) -> list[str] | None:
    """The selected canonical tokens, by token or symbol; None = all. Raises UnknownName with near matches."""
    selection = words(text)
    if selection is None:
        return None
    rows = con.sql("select base, symbol from funding union select base, symbol from markets").fetchall()
    known = {base: base for base, _ in rows} | {symbol: base for base, symbol in rows}
    return [known[_one("token", w, known, {base for base, _ in rows})] for w in selection]


def _one(kind: str, word: str, known: Collection[str], shown: Iterable[str]) -> str:
    from fundingdb.fetchers.identity import matching

    name = matching(word, known)
    if name is None:
        raise UnknownName(kind, word, shown)
    return name


def _picked(kind: str, selection: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    if selection is None:
        return list(known)
    return [_one(kind, w, known, known) for w in selection]
