"""Verb `exchanges`: what each source offers, as its fetcher declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    import polars as pl

    from fundingdb.fetchers.contract import Budget, Fetcher, Market, Paging, Request

HELP = "the sources: history, units, intervals, limits, evidence"
EXAMPLE = "fundingdb exchanges --json"
_SPANS = {1: "a second", 60: "a minute", 300: "in 5 minutes"}
_HEADS = {
    "exchange": "id",
    "history": "settled history",
    "current": "current",
    "live": "live",
    "unit": "published unit",
    "interval": "interval",
    "page": "rows per answer",
    "limit": "limit",
    "evidence": "evidence",
    "checked": "datasheet checked",
}


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--markdown", action="store_true", help="the table of `fundingdb help exchanges`")


def run(args: Namespace) -> int:
    """Print one row per source."""
    import sys

    from fundingdb.cli.common.output import show

    if args.markdown and not args.json:
        sys.stdout.write(markdown() + "\n")
        return 0
    rows = table()
    show(rows if args.json else rows.drop("cap", "order"), json=args.json)
    return 0


def table() -> pl.DataFrame:
    """One row per source.

    history: how far back settled rates reach, in words; null: it has none. current, live: whether it publishes a predicted
    rate, a stream. cap: most rows of one history response, null without such a limit; order: whether these are the newest or
    the oldest of the requested window. limit: what fundingdb keeps to. evidence: what unit, sign and clock are proven by,
    beginning with recorded, documented or inferred; null: not stated.
    """
    import sys

    import polars as pl

    from fundingdb.cli.common.options import fetchers
    from fundingdb.errors import BadPlugin

    flags = {"current": pl.Boolean(), "live": pl.Boolean(), "cap": pl.Int64()}
    columns = [*_HEADS, "cap", "order"]
    schema = {name: flags.get(name, pl.String()) for name in columns}
    rows = []
    for source in fetchers([]):
        try:
            rows.append(_row(source))
        except BadPlugin as error:
            sys.stderr.write(f"left out: {error}\n")
    return pl.DataFrame(rows, schema=schema, orient="row")


def markdown() -> str:
    """The table as the manual page shows it."""
    lines = [f"| {' | '.join(_HEADS.values())} |", f"|{' --- |' * len(_HEADS)}"]
    for row in table().iter_rows(named=True):
        cells = [_cell(row[name]) for name in _HEADS]
        lines.append(f"| `{cells[0]}` | {' | '.join(cells[1:])} |")
    return "\n".join(lines)


def _cell(value: str | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else value.replace("|", "/")


def _row(source: Fetcher) -> dict[str, str | int | bool | None]:
    from fundingdb.fetchers.contract import Market

    probe = Market(source.exchange, "BTC", "BTC", None, "crypto", native_id="1")
    now = source.current.requests([probe])
    cap, order = _page(source.history.paging) if source.history else (None, None)
    page = f"{cap:,} {order}" if cap else {"day": "a day", "hour": "an hour"}.get(order or "", "as it comes")
    return {
        "exchange": source.exchange,
        "history": source.history.depth if source.history else None,
        "current": bool(now),
        "live": source.live is not None,
        "unit": source.unit,
        "interval": source.interval,
        "page": page if source.history else "all at once",
        "limit": _limit(source, now, probe),
        "evidence": source.evidence or None,
        "checked": source.checked,
        "cap": cap,
        "order": order,
    }


def _page(paging: Paging) -> tuple[int | None, str | None]:
    from fundingdb.fetchers.contract import Cursor, Days, Fixed, Forward, Months

    if isinstance(paging, (Days, Months)):
        return None, "day" if isinstance(paging, Days) else "month"
    if isinstance(paging, Fixed) and paging.hours == 1:
        return None, "hour"
    forward = isinstance(paging, Forward) or (isinstance(paging, Cursor) and not paging.newest_first)
    return paging.cap, "oldest" if forward else "newest"


def _limit(source: Fetcher, now: list[Request], probe: Market) -> str:
    from datetime import UTC, datetime, timedelta

    from fundingdb.window import Window

    day = datetime(2026, 1, 1, tzinfo=UTC)
    requests = list(now)
    history = None
    if source.history is not None:
        request = source.history.request(probe, Window(day, day + timedelta(days=1)), None)
        requests.append(request)
        history = request.cost
    weighed = any(request.cost != 1 for request in requests)
    text = f"{source.budget.capacity:,.0f}{' weight' if weighed else ''} {_span(source.budget)}"
    if weighed and history is not None:
        text += f", history {source.budget.capacity / history:.0f}"
    return text


def _span(budget: Budget) -> str:
    return _SPANS.get(int(budget.per_seconds), f"in {budget.per_seconds:g} s")
