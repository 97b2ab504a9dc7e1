"""Verb `parse`: what a fetcher makes of a saved answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    import polars as pl

    from fundingdb.fetchers.contract import Fetcher, Market, ResponseContext

HELP = "show what a fetcher makes of a saved answer: the rows as the lake would get them, or what is wrong"
EXAMPLE = "fundingdb parse hyperliquid history answer.json --json"
ENDPOINTS = ("history", "current", "markets")


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("exchange", metavar="EXCHANGE", help="whose answer it is, e.g. extended or coingecko")
    parser.add_argument("endpoint", metavar="{history,current,markets}", help="what was asked for")
    parser.add_argument(
        "file", metavar="FILE", help="the body as it came (.json, .jsonl); - reads it from stdin"
    )
    parser.add_argument(
        "--symbol",
        metavar="S",
        help="the market of an answer that does not name it (Lighter's history, Extended's stats); of others, show only it",
    )
    parser.add_argument(
        "--source",
        choices=["archive"],
        help="the answer is a file of the exchange's archive, or its checksum",
    )
    parser.add_argument(
        "--at",
        metavar="INSTANT",
        help="when the answer came, e.g. 2026-01-31T08:00Z; default: what the answer tells, else now",
    )
    parser.add_argument(
        "--markets",
        metavar="FILE",
        help="saved answer for `markets`, where positions or ids must be named from it",
    )


def run(args: Namespace) -> int:
    """Parse, check against the table, print; nothing is stored. Nothing goes to stdout unless the whole answer is good."""
    import sys
    from datetime import UTC, datetime

    from fundingdb.cli.common.output import show
    from fundingdb.errors import BadCall, UnknownName
    from fundingdb.fetchers.contract import ResponseContext
    from fundingdb.fetchers.registry import archive, fetcher
    from fundingdb.window import instant

    source = archive(args.exchange) if args.source else fetcher(args.exchange)
    if args.endpoint not in ENDPOINTS:
        raise UnknownName("endpoint", args.endpoint, ENDPOINTS)
    if args.source and args.endpoint != "history":
        raise BadCall(f"--source {args.source}: it holds settled rates only, so the endpoint is history")
    body = _body(args.file)
    told = None if args.at else source.response_time(body)
    at = instant(args.at, "--at") if args.at else told or datetime.now(UTC)
    known = _markets(source, args.markets, ResponseContext(at)) if args.markets else {}
    market = None
    if args.symbol is not None and source.history is not None:
        market = known.get(args.symbol) or source.market(args.symbol)
    rows = _rows(source, args.endpoint, body, ResponseContext(at, market, known))
    if args.symbol is not None and rows.height:
        symbols = rows["symbol"].to_list()
        rows = rows.filter(rows["symbol"] == args.symbol)
        if rows.is_empty():
            raise UnknownName("symbol", args.symbol, symbols, "(of this answer)")
    if not args.json:  # for people: not what they have just typed, nor what follows from the rest
        said = ["source", "month", "fetched_at", "observed_at", "first_seen", "last_seen"]
        said += ["exchange"] if source.history is not None else []
        rows = rows.drop(
            c for c in said if c in rows.columns and (c != "observed_at" or rows[c].n_unique() < 2)
        )
    if told:
        sys.stderr.write(
            f"taken as received at the newest instant it tells of itself, {told:%Y-%m-%dT%H:%M:%SZ}; --at says otherwise\n"
        )
    if rows.is_empty():
        sys.stderr.write("no rows: the answer is as described and holds none that fundingdb takes\n")
    show(rows, json=args.json)
    return 0


def _rows(source: Fetcher, endpoint: str, body: bytes, asked: ResponseContext) -> pl.DataFrame:
    from fundingdb.errors import BadCall, BadPayload, SchemaError
    from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS

    if endpoint == "history":
        if source.history is None:
            raise BadCall(f"{source.exchange} has no funding history: its answers are for current or markets")
        table, parse = FUNDING, source.history.parse
    elif endpoint == "current":
        table, parse = SNAPSHOTS, source.current.parse
    else:
        table, parse = MARKETS, source.markets.parse
    try:
        return table.check(parse(body, asked))
    except SchemaError as error:
        raise BadPayload(source.exchange, endpoint, "(rows)", str(error)) from error


def _markets(source: Fetcher, file: str, asked: ResponseContext) -> dict[str, Market]:
    from fundingdb.ingest.listing import market_of

    rows = _rows(source, "markets", _body(file), asked)
    return {row["symbol"]: market_of(row) for row in rows.iter_rows(named=True)}


def _body(file: str) -> bytes:
    import sys
    from pathlib import Path

    from fundingdb.errors import BadCall

    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise BadCall(f"{file}: can't be read ({error.strerror})") from error
