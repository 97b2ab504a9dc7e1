"""Verb `import`: settled rates from your own files into the lake."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from fundingdb.importing import CheckedRows as Prepared
    from fundingdb.importing import ImportOptions as Wanted

HELP = "settled rates from your own CSV, JSON or Parquet files"
EXAMPLE = "fundingdb import rates.csv --exchange binance --map funding_rate=rate,funding_time=ts --dry-run"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add(
        "file",
        nargs="+",
        metavar="FILE",
        help=".csv, .tsv, .json, .jsonl or .parquet, all with the same columns",
    )
    add(
        "--exchange",
        metavar="X",
        help="the exchange of the payments; selects its rows where a column (exchange, venue) names it",
    )
    add("--exchange-column", metavar="COLUMN", help="the column that names the exchange of each row")
    add(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=PATTERN",
        help="only rows whose COLUMN matches; * stands for any text",
    )
    add(
        "--map",
        metavar="A=B,...",
        help="names of the columns for funding_rate, funding_time, symbol, price, direction",
    )
    add("--unit", metavar="U", help="fraction or percent (per interval), bps, fraction-per-hour, percent-per-hour, "
        "fraction-per-8h, percent-per-8h, fraction-per-year, percent-per-year, money (over the price); "
        "with -turned where positive means that shorts pay; default: derived from the figures")  # fmt: skip
    add(
        "--interval",
        metavar="SPAN",
        help="such as 8h; or infer: from the gaps between payments, null where these are not conclusive",
    )
    add("--tz", metavar="ZONE", help="time zone of times without one: UTC, UTC+3, Europe/Moscow")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--symbol", metavar="S", help="the market, where the file has only one")
    which.add_argument("--symbol-column", metavar="COLUMN", help="the column that names the market")
    add(
        "--symbol-form",
        metavar="FORM",
        help="how to build the exchange's symbol: '{}USDT', '{base}-{target}'",
    )
    add("--signed", action="store_true", help="the rates are signed, though none is negative")
    add(
        "--replace",
        action="store_true",
        help="in place of earlier imports of the same markets in the same span of time",
    )
    add("--dry-run", action="store_true", help="show what would be written, write nothing")


def run(args: Namespace) -> int:
    """Read all files, show the evidence, write all or nothing."""
    from datetime import UTC, datetime
    from functools import cache
    from pathlib import Path

    import polars as pl

    from fundingdb.catalog import catalog
    from fundingdb.cli.common.output import show
    from fundingdb.importing import fresh, prepare_all, refuse_another, spans, together
    from fundingdb.ingest import held
    from fundingdb.lake import Lake

    lake, wanted, now = Lake(args.warehouse), _wanted(args), datetime.now(UTC)

    columns = ["exchange", "source", "symbol", "base", "funding_time", "interval_hours", "funding_rate"]

    @cache
    def stored(exchange: str) -> pl.DataFrame:
        mine = (pl.col("exchange") == exchange) & (pl.col("rate_type") == "regular")
        if args.replace:
            mine &= pl.col("source") != "import"
        return lake.scan("funding").filter(mine).select(columns).collect()

    ready = prepare_all([Path(file) for file in args.file], wanted, stored, now=now)
    for one in ready:
        for line in one.evidence:
            sys.stderr.write(f"{one.path.name} ({one.exchange}): {line}\n")
    for one in ready:
        of_others = [
            pl.col("exchange") != one.exchange,
            pl.col("rate_type") == "regular",
            pl.col("base").is_in(one.rows["base"].unique().to_list()),
            pl.col("funding_time").is_between(one.rows["funding_time"].min(), one.rows["funding_time"].max()),
        ]
        refuse_another(
            one.path, one.exchange, one.rows, lake.scan("funding").filter(of_others).select(columns).collect()
        )
    every, done = together(ready), None
    rows = fresh(every, pl.concat(stored(exchange) for exchange in every["exchange"].unique()))
    passed = held.examined(lake, rows.clear() if args.replace else rows, now, write=not args.dry_run)
    if not args.dry_run:
        # --replace is the user's word after a look: earlier rows of another unit are no evidence against it
        done = lake.replace(every, spans(every)) if args.replace else lake.upsert("funding", passed.rows)
        catalog.rebuild(args.warehouse)
    facts = pl.DataFrame([_facts(one) for one in ready])
    show(facts if args.json else facts.drop("evidence"), json=args.json)
    if rows.height < every.height:
        sys.stderr.write(
            f"{every.height - rows.height:,} rows are those of an earlier import and stay unchanged\n"
        )
    if done is None:
        sys.stderr.write("dry run: nothing was written\n")
    else:
        sys.stderr.write(
            f"{done.inserted:,} rows new, {done.restated:,} restated, {done.amended:,} amended, "
            f"{done.unchanged:,} unchanged\n"
        )
    sys.stderr.writelines(f"{line}\n" for line in held.lines([passed.verdicts]))
    return 3 if held.holds(passed.verdicts) else 0


def _facts(one: Prepared) -> dict[str, object]:
    rows = one.rows
    return {
        "file": str(one.path),
        "exchange": one.exchange,
        "rows": rows.height,
        "markets": rows["symbol"].n_unique(),
        "first": rows["funding_time"].min(),
        "last": rows["funding_time"].max(),
        "unit": one.unit,
        "intervals": ",".join(
            "unknown" if h is None else f"{h:g}h" for h in rows["interval_hours"].unique().sort().to_list()
        ),
        "evidence": "; ".join(one.evidence),
    }


def _wanted(args: Namespace) -> Wanted:
    from fundingdb.cli.common.options import hours
    from fundingdb.importing import ImportOptions as Wanted

    columns = _pairs([part for part in (args.map or "").split(",") if part], "--map")
    if args.symbol_column:
        columns["symbol"] = args.symbol_column
    interval = args.interval
    return Wanted(
        exchange=args.exchange,
        exchange_column=args.exchange_column,
        columns=columns,
        where=_pairs(args.where, "--where"),
        unit=args.unit,
        interval=interval if interval in (None, "infer") else hours(interval),
        tz=args.tz,
        symbol=args.symbol,
        symbol_form=args.symbol_form,
        signed=args.signed,
    )


def _pairs(parts: list[str], flag: str) -> dict[str, str]:
    from fundingdb.errors import BadCall

    pairs: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise BadCall(f"{flag} {part!r}: write NAME=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs
