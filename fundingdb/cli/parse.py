"""Verb `parse`: the rows that a fetcher reads from a saved response."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    import polars as pl

    from fundingdb.fetchers.contract import Fetcher, Market, ResponseContext

HELP = "the rows that a fetcher reads from a saved response, or the fault"
EXAMPLE = "fundingdb parse hyperliquid history response.json --json"
ENDPOINTS = ("history", "current", "markets")


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "exchange", metavar="EXCHANGE", help="the source of the response, e.g. extended or coingecko"
    )
    parser.add_argument("endpoint", metavar="{history,current,markets}", help="the kind of request")
    parser.add_argument(
        "file", metavar="FILE", help="the body of the response (.json, .jsonl); - reads stdin"
    )
    parser.add_argument(
        "--symbol",
        metavar="S",
        help="the market of a response that does not name it (Lighter's history, Extended's stats); else shows this market only",
    )
    parser.add_argument(
        "--source",
        choices=["archive"],
        help="the file is from the exchange's archive, or is its checksum",
    )
    parser.add_argument(
        "--at",
        metavar="INSTANT",
        help="time of the response, e.g. 2026-01-31T08:00Z (default: the newest time in it, else now)",
    )
    parser.add_argument(
        "--markets",
        metavar="FILE",
        help="saved response for `markets`, where symbols are not in FILE itself",
    )


def run(args: Namespace) -> int:
    """Parse, check against the table, print; nothing is stored. Stdout stays empty unless the whole response is good."""
    import sys
    from datetime import UTC, datetime

    from fundingdb.cli.common.output import show
    from fundingdb.fetchers.contract import ResponseContext
    from fundingdb.fetchers.payload import translated_errors
    from fundingdb.ingest.listing import reasons
    from fundingdb.window import instant

    source = _source(args)
    body = _body(args.file)
    with translated_errors(source.exchange, args.endpoint):
        stated = None if args.at else source.response_time(body)
    at = instant(args.at, "--at") if args.at else stated or datetime.now(UTC)
    listed = _markets(source, args.markets, ResponseContext(at)) if args.markets else {}
    market = None
    if args.symbol is not None and source.history is not None:
        market = listed.get(args.symbol) or source.market(args.symbol)
    context = ResponseContext(at, market, listed)
    rows = _rows(source, args.endpoint, body, context)
    if args.symbol is not None:
        rows = _of_symbol(rows, args.symbol)
    if not args.json:
        rows = _short(rows, source)
    if stated:
        sys.stderr.write(
            f"time of the response: {stated:%Y-%m-%dT%H:%M:%SZ}, the newest time in it; --at sets another\n"
        )
    for line in reasons(context.left_out):
        sys.stderr.write(f"{line}\n")
    if rows.is_empty():
        sys.stderr.write("no rows: the response is valid and contains none that fundingdb stores\n")
    show(rows, json=args.json)
    return 0


def _source(args: Namespace) -> Fetcher:
    from fundingdb.errors import BadCall, UnknownName
    from fundingdb.fetchers.registry import archive, fetcher

    if args.endpoint not in ENDPOINTS:
        raise UnknownName("endpoint", args.endpoint, ENDPOINTS)
    if args.source is None:
        return fetcher(args.exchange)
    if args.endpoint != "history":
        raise BadCall(f"--source {args.source}: has settled rates only; use the endpoint history")
    return archive(args.exchange)


def _of_symbol(rows: pl.DataFrame, symbol: str) -> pl.DataFrame:
    from fundingdb.errors import UnknownName

    chosen = rows.filter(rows["symbol"] == symbol)
    if chosen.is_empty() and rows.height:
        raise UnknownName("symbol", symbol, rows["symbol"].to_list(), "(of this response)")
    return chosen


def _short(rows: pl.DataFrame, source: Fetcher) -> pl.DataFrame:
    """Without the columns that repeat the command line or one value in each row."""
    repeated = {"source", "month", "fetched_at", "first_seen", "last_seen"}
    if source.history is not None:
        repeated.add("exchange")
    if "observed_at" in rows.columns and rows["observed_at"].n_unique() < 2:
        repeated.add("observed_at")
    return rows.drop(repeated & set(rows.columns))


def _rows(source: Fetcher, endpoint: str, body: bytes, context: ResponseContext) -> pl.DataFrame:
    from fundingdb.errors import BadCall
    from fundingdb.fetchers.payload import translated_errors
    from fundingdb.ingest import guard
    from fundingdb.schema import FUNDING, MARKETS, SNAPSHOTS

    if endpoint == "history":
        if source.history is None:
            raise BadCall(f"{source.exchange} has no funding history; use the endpoint current or markets")
        table, parse = FUNDING, source.history.parse
    elif endpoint == "current":
        table, parse = SNAPSHOTS, source.current.parse
    else:
        table, parse = MARKETS, source.markets.parse
    with translated_errors(source.exchange, endpoint):
        rows = parse(body, context)
    return guard.admitted(source, table, endpoint, rows)


def _markets(source: Fetcher, file: str, context: ResponseContext) -> dict[str, Market]:
    from fundingdb.ingest.listing import market_of

    rows = _rows(source, "markets", _body(file), context)
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
