"""Verb `backtest`: what a delta-neutral two-leg funding strategy would have earned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Mapping

    import polars as pl

    from fundingdb.backtest.result import Result, Settings

    Put = Callable[[str | bytes], None]

HELP = "what a two-leg funding strategy would have earned, after costs"
EXAMPLE = "fundingdb backtest --tokens BTC,KAITO --entry-apr 0.3 --exit-apr 0.05 --hold 24h --start 2025-06-01 --end 2026-01-01"
_TOP = 10


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    from fundingdb.cli.common.selection import name_arguments

    name_arguments(parser)
    add = parser.add_argument
    add("--start", metavar="DAY", help="hour of the first decision, UTC (default: a year before the end)")
    add(
        "--end",
        metavar="DAY",
        help="every position is closed at this hour, UTC (default: the last stored settlement)",
    )
    add(
        "--entry-apr",
        type=float,
        default=0.2,
        metavar="X",
        help="enter at this annual spread or more: 0.2 = 20 %% a year (default)",
    )
    add("--exit-apr", type=float, default=0.0, metavar="Y", help="exit below this annual spread (default 0)")
    add(
        "--hold",
        default="24h",
        metavar="SPAN",
        help="shortest holding time before an exit or switch, such as 8h or 3d (default 24h)",
    )
    add("--max-pairs", type=int, metavar="N", help="pairs open at once, the widest first (default: no limit)")
    add(
        "--switch-band",
        type=float,
        metavar="X",
        help="switch to a pair whose annual spread is wider by this much (default: never)",
    )
    add("--notional", type=float, default=10_000.0, metavar="USD", help="of each leg (default 10000)")
    add(
        "--fees",
        default="taker",
        metavar="F",
        help="taker (default), maker, or a CSV file with taker fees of your own",
    )
    add(
        "--slippage-bps",
        type=float,
        default=0.0,
        metavar="X",
        help="cost of each fill in basis points of notional, 1 = 0.01 %% (default 0)",
    )
    add(
        "--grid",
        metavar="AXES",
        help='one run for each combination: "entry=0.1:0.5:0.1,exit=0:0.2:0.05,hold=24:72:24"',
    )
    add("--html", metavar="FILE", help="write a report as one page for any browser, offline")
    add("--trades", metavar="FILE", help="write all trades to FILE.csv or FILE.parquet")
    add("--decisions", metavar="FILE", help="write every decision to FILE.csv or FILE.parquet")


def run(args: Namespace) -> int:
    """Print warnings first, then the figures, best and worst trades, and money by leg; with --grid one row a combination."""
    from contextlib import ExitStack

    from fundingdb.backtest.grids import axes_of
    from fundingdb.cli.common.files import whole
    from fundingdb.errors import BadCall

    axes = None if args.grid is None else axes_of(args.grid)
    files = {"trades": _file(args.trades), "decisions": _file(args.decisions), "html": args.html}
    if axes is not None and (args.trades is not None or args.decisions is not None):
        raise BadCall(
            "--trades and --decisions describe one run and do not go with --grid: leave out one of them"
        )
    with ExitStack() as stack:
        put = {
            name: stack.enter_context(whole(file, f"--{name}"))
            for name, file in files.items()
            if file is not None
        }
        if axes is None:
            _one(args, put)
        else:
            _many(args, axes, put)
    return 0


def _one(args: Namespace, put: Mapping[str, Put]) -> None:
    from fundingdb.backtest.running import run as backtest

    result = backtest(_settings(args), args.warehouse)
    for name in ("trades", "decisions"):
        if name in put:
            put[name](_written(getattr(result, name), getattr(args, name)))
    if "html" in put:
        from fundingdb.report import html

        put["html"](html(result))
    if args.json:
        _json(result)
    else:
        _print(result)


def _many(args: Namespace, axes: dict[str, list[float]], put: Mapping[str, Put]) -> None:
    import sys

    from fundingdb.backtest.grids import grid
    from fundingdb.cli.common.output import show

    many = grid(_settings(args), axes, args.warehouse)
    if "html" in put:
        from fundingdb.report import grid_html

        put["html"](grid_html(many))
    for warning in many.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    sys.stderr.write(f"fingerprint {many.fingerprint}\n")
    show(many.table, json=args.json)


def _settings(args: Namespace) -> Settings:
    from fundingdb.backtest.result import Settings
    from fundingdb.backtest.world import chosen, markets, span
    from fundingdb.catalog.catalog import connect
    from fundingdb.cli.common.options import hours, words
    from fundingdb.window import instant

    tokens, exchanges = words(args.tokens), words(args.exchanges)
    start = None if args.start is None else instant(args.start, "--start")
    end = None if args.end is None else instant(args.end, "--end")
    if start is None or end is None:
        with connect(args.warehouse, only=["funding"]) as con:
            start, end = span(chosen(markets(con), exchanges, tokens), start, end)
    return Settings(
        start=start,
        end=end,
        entry_apr=args.entry_apr,
        exit_apr=args.exit_apr,
        hold_hours=hours(args.hold) if args.hold not in ("0", "0h") else 0.0,
        max_pairs=args.max_pairs,
        switch_band_apr=args.switch_band,
        notional_usd=args.notional,
        fees=args.fees,
        slippage_bps=args.slippage_bps,
        tokens=None if tokens is None else tuple(tokens),
        exchanges=None if exchanges is None else tuple(exchanges),
    )


def _print(result: Result) -> None:
    import sys

    import polars as pl

    from fundingdb.backtest.result import FIGURES
    from fundingdb.cli.common.output import show

    write = sys.stdout.write
    for warning in result.warnings:
        write(f"warning: {warning}\n")
    settings = result.settings
    write(
        f"\n{settings.start:%Y-%m-%d %H:%M}Z .. {settings.end:%Y-%m-%d %H:%M}Z, fingerprint {result.fingerprint[:16]}\n\n"
    )
    for name, (unit, note) in FIGURES.items():
        write(f"{name:<17} {_figure(result.summary[name]):>14}  {unit:<16} {note}\n")
    pair = ["base", "long_exchange", "short_exchange"]
    money = ["funding_usd", "fees_usd", "net_usd"]
    top = result.trades.sort("net_usd", descending=True, maintain_order=True)
    shown = [*pair, "entered_at", "held_hours", "entry_spread_apr", *money, "exit_reason"]
    if top.height:
        both = top.height > 2 * _TOP
        write(f"\ntrades, the best {_TOP} and the worst {_TOP}\n" if both else "\ntrades, by net\n")
        show((pl.concat([top.head(_TOP), top.tail(_TOP)]) if both else top).select(shown))
        legs = (
            result.daily.group_by("exchange", "leg")
            .agg(pl.col(money).sum(), days=pl.len())
            .sort("exchange", "leg")
        )
        write("money by exchange and leg\n")
        show(legs.join(result.exposure, on="exchange", how="left", maintain_order="left"))
    sys.stdout.flush()


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}" if abs(value) < 10 else f"{value:,.2f}"


def _json(result: Result) -> None:
    import json
    import sys
    from dataclasses import asdict

    from fundingdb.cli.common.output import plain

    tables = {name: getattr(result, name).to_dicts() for name in ("trades", "daily", "exposure")}
    report: dict[str, Any] = {
        "warnings": list(result.warnings),
        "summary": result.summary,
        "settings": asdict(result.settings),
        "fingerprint": result.fingerprint,
        **tables,
    }
    sys.stdout.write(json.dumps(plain(report), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _file(text: str | None) -> str | None:
    from fundingdb.errors import BadCall

    if text is not None and not text.endswith((".csv", ".parquet")):
        raise BadCall(f"file {text!r}: its name must end in .csv or .parquet")
    return text


def _written(frame: pl.DataFrame, path: str) -> str | bytes:
    from io import BytesIO

    from fundingdb.cli.common.output import without_formulas

    if path.endswith(".csv"):
        return without_formulas(frame).write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ")
    parquet = BytesIO()
    frame.write_parquet(parquet)
    return parquet.getvalue()
