"""Verb `spreads`: the best pair of exchanges for each asset, by the spread of known rates or by another rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from datetime import datetime

    import polars as pl

    from fundingdb.catalog.catalog import Connection

HELP = "the best pair of exchanges for each asset, now or at a time"
EXAMPLE = """fundingdb spreads --tokens BTC,KAITO --exchanges extended,lighter --top 10
  fundingdb spreads --rank net --horizon 3d --fees maker

long where funding is lowest, short where it is highest; rates are fractions of notional per hour.
ranks, one row an asset, best pair first, unknown figures last:
  spread     widest spread of the rates known at the instant
  net        that spread held for --horizon less the fees of four fills (entry and exit of both legs), a year
  capacity   dollars a day before costs at 1 % of the smaller open interest, from the 30 days before
  stability  mean / standard deviation of the hourly income of the 30 days before

fees: the table `fees` (fundingdb sql "from fees"); rows of fees.csv in the warehouse replace it, with the columns
exchange, tier, taker, maker, effective_at: binance,base,0.0004,0.0002,2026-01-01"""
_READS = {  # the views that each rank reads
    "spread": ("funding_ranges",),
    "net": ("funding_ranges", "carry_net_with"),
    "capacity": ("funding_ranges", "pair_stats_over"),
    "stability": ("funding_ranges", "pair_stats_over"),
}
# the validity of funding_known_1h, at these instants only; ties by name, as best_spreads
_QUERY = """
with known as (
    select r.asset_class, r.base, i.known_at, r.exchange, r.symbol, r.rate_1h
    from funding_ranges as r
    inner join (select unnest($instants) as known_at) as i on r.known_from <= i.known_at and i.known_at < r.known_until
        and i.known_at < r.known_from + r.interval_hours * interval '1 hour'
    where list_contains($exchanges, r.exchange) and ($bases is null or list_contains($bases, r.base))
        and not exists (
            select 1 from identity_checks as c
            where c.verdict = 'mismatch' and c.exchange = r.exchange and c.symbol = r.symbol
                and c.asset_class = r.asset_class and c.base = r.base
        )
),
counted as (
    select asset_class, base, known_at, count(distinct exchange) as exchanges from known group by asset_class, base, known_at
),
ranked as (
    select
        low.asset_class, low.base, low.known_at, low.exchange as long_exchange, low.symbol as long_symbol,
        high.exchange as short_exchange, high.symbol as short_symbol,
        low.rate_1h as long_rate_1h, high.rate_1h as short_rate_1h, high.rate_1h - low.rate_1h as spread_1h,
        row_number() over (
            partition by low.asset_class, low.base, low.known_at
            order by high.rate_1h - low.rate_1h desc, low.exchange, low.symbol, high.exchange desc, high.symbol desc
        ) as pair_rank
    from known as low
    inner join known as high
        on high.asset_class = low.asset_class and high.base = low.base and high.known_at = low.known_at
        and high.exchange <> low.exchange and high.rate_1h >= low.rate_1h
),
numbered as (
    select r.*, c.exchanges, row_number() over (partition by r.known_at order by spread_1h desc, r.base) as nth
    from ranked as r
    inner join counted as c on c.asset_class = r.asset_class and c.base = r.base and c.known_at = r.known_at
    where pair_rank = 1
)
select
    base, asset_class, known_at, exchanges, long_exchange, long_symbol, short_exchange, short_symbol,
    long_rate_1h, short_rate_1h, spread_1h, spread_1h * 8760 as spread_apr
from numbered
where nth <= $top
order by known_at desc, nth
"""

_LEFT_OUT = """
select exchange, symbol, base, reason from identity_checks
where verdict = 'mismatch' and list_contains($exchanges, exchange) and ($bases is null or list_contains($bases, base))
order by exchange, symbol
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    from fundingdb.cli.common.selection import name_arguments

    name_arguments(parser)
    parser.add_argument(
        "--at", metavar="INSTANT", help="UTC, e.g. 2026-03-01T08:00Z (default: the last full hour)"
    )
    parser.add_argument(
        "--hours",
        type=int,
        default=1,
        metavar="N",
        help="also the N-1 hours before it (ranks spread and net)",
    )
    parser.add_argument(
        "--top", type=int, default=20, metavar="N", help="rows per hour, best first (default 20)"
    )
    parser.add_argument(
        "--rank",
        choices=[*_READS],
        default="spread",
        help="how pairs are ordered, see below (default spread)",
    )
    parser.add_argument(
        "--horizon", metavar="SPAN", help="rank net: how long the pair is held, e.g. 3d (default 7d)"
    )
    parser.add_argument(
        "--fees",
        metavar="taker|maker|FILE",
        help="rank net: fee of a fill (default taker); FILE: a CSV file with taker fees of your own",
    )


def run(args: Namespace) -> int:
    """Print one row for each asset (and hour) with known rates on two exchanges; rates are fractions of notional."""
    from datetime import UTC, datetime
    from pathlib import Path

    from fundingdb.catalog.catalog import connect
    from fundingdb.catalog.fees import fees
    from fundingdb.cli.common.output import show
    from fundingdb.cli.common.selection import bases, exchanges
    from fundingdb.window import HOUR, floor_hour, instant

    _refuse(args)
    at = floor_hour(datetime.now(UTC)) if args.at is None else instant(args.at, "--at")
    file = None if args.fees in (None, "taker", "maker") else Path(args.fees)
    if args.rank == "net":
        fees(file, args.warehouse)  # a faulty fee file is refused before anything is read
    with connect(args.warehouse, fees=file, only=["identity_checks", *_READS[args.rank]]) as con:
        among, tokens = exchanges(con, args.exchanges), bases(con, args.tokens)
        _warn_left_out(con, among, tokens)
        if args.at is None and args.rank in ("spread", "net"):
            at = _newest(con, at, among, tokens)
        if args.rank == "spread":
            rows = _widest(con, [at - n * HOUR for n in range(args.hours)], among, tokens, args.top)
        else:
            rows = _ranked(con, args, at, among, tokens)
        if rows.is_empty() and among:
            _explain_empty(con, at)
    show(rows, json=args.json)
    return 0


def _refuse(args: Namespace) -> None:
    from pathlib import Path

    from fundingdb.errors import BadCall

    for name, value in (("--hours", args.hours), ("--top", args.top)):
        if value < 1:
            raise BadCall(f"{name} {value}: must be 1 or more")
    if args.rank != "net":
        for name, value in (("--horizon", args.horizon), ("--fees", args.fees)):
            if value is not None:
                raise BadCall(f"{name} counts costs: use it with --rank net")
    if args.fees not in (None, "taker", "maker") and not Path(args.fees).is_file():
        raise BadCall(
            f"--fees {args.fees}: is neither taker nor maker nor a file; --help shows the columns of a file"
        )
    if args.rank in ("capacity", "stability") and args.hours > 1:
        raise BadCall(
            f"--hours {args.hours}: rank {args.rank} looks at the 30 days before one instant; use --at"
        )


def _widest(
    con: Connection, instants: list[datetime], among: list[str], tokens: list[str] | None, top: int
) -> pl.DataFrame:
    selection = {"instants": instants, "exchanges": among, "bases": tokens, "top": top}
    return con.sql(_QUERY, params=selection).pl()


def _newest(con: Connection, at: datetime, among: list[str], tokens: list[str] | None) -> datetime:
    """The newest full hour of the last day with a known spread: exchanges publish some minutes late."""
    import sys

    from fundingdb.window import HOUR

    if _widest(con, [at], among, tokens, 1).height:
        return at
    earlier = _widest(con, [at - n * HOUR for n in range(1, 25)], among, tokens, 1)
    if earlier.is_empty():
        return at
    newest: datetime = earlier["known_at"][0]
    sys.stderr.write(f"nothing is known at {at:%Y-%m-%d %H:%MZ} yet: showing {newest:%H:%MZ}\n")
    return newest


def _ranked(
    con: Connection, args: Namespace, at: datetime, among: list[str], tokens: list[str] | None
) -> pl.DataFrame:
    import polars as pl

    from fundingdb.cli.common.options import hours
    from fundingdb.cli.ranking import Names, net, settled, warn_unknown_names
    from fundingdb.window import HOUR

    names = Names(among, tokens)
    if args.rank != "net":
        return settled(con, names, at, args.rank).head(args.top)
    warn_unknown_names(con, among, args.fees)
    fill, held = "maker" if args.fees == "maker" else "taker", hours(args.horizon or "7d")
    return pl.concat([net(con, names, at - n * HOUR, held, fill).head(args.top) for n in range(args.hours)])


def _warn_left_out(con: Connection, among: list[str], tokens: list[str] | None) -> None:
    import sys

    names = {"exchanges": among, "bases": tokens}
    for exchange, symbol, base, reason in con.sql(_LEFT_OUT, params=names).fetchall():
        sys.stderr.write(f"left out: {exchange} {symbol} is not the {base} of the others: {reason}\n")


def _explain_empty(con: Connection, at: datetime) -> None:
    import sys

    newest = con.sql("select strftime(max(known_from), '%Y-%m-%d %H:%MZ') from funding_ranges").pl().item()
    sys.stderr.write(
        f"no asset has a known rate on two of these exchanges at {at:%Y-%m-%d %H:%MZ}; "
        f"newest settlement stored: {newest or 'none'} (--at INSTANT looks back)\n"
    )
