"""Verb `spreads`: the widest pair of exchanges of each asset, on rates known at an instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "the best spreads now, or at an instant: long where funding is lowest, short where it is highest"
EXAMPLE = "fundingdb spreads --tokens BTC,KAITO --exchanges extended,lighter --top 10"
# the validity of funding_known_1h, at the asked instants only; ties by name, as best_spreads
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
        ) as place
    from known as low
    inner join known as high
        on high.asset_class = low.asset_class and high.base = low.base and high.known_at = low.known_at
        and high.exchange <> low.exchange and high.rate_1h >= low.rate_1h
),
placed as (
    select r.*, c.exchanges, row_number() over (partition by r.known_at order by spread_1h desc, r.base) as nth
    from ranked as r
    inner join counted as c on c.asset_class = r.asset_class and c.base = r.base and c.known_at = r.known_at
    where place = 1
)
select
    base, asset_class, known_at, exchanges, long_exchange, long_symbol, short_exchange, short_symbol,
    long_rate_1h, short_rate_1h, spread_1h, spread_1h * 8760 as spread_apr
from placed
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
    from fundingdb.cli.chosen import name_arguments

    name_arguments(parser)
    parser.add_argument(
        "--at", metavar="INSTANT", help="UTC, e.g. 2026-03-01T08:00Z (default: the last full hour)"
    )
    parser.add_argument("--hours", type=int, default=1, metavar="N", help="also the N-1 hours before it")
    parser.add_argument(
        "--top", type=int, default=20, metavar="N", help="rows per hour, widest first (default 20)"
    )


def run(args: Namespace) -> int:
    """Print one row per asset and hour that two exchanges have a known rate of; rates are fractions per hour."""
    import sys
    from datetime import UTC, datetime

    from fundingdb.catalog import connect
    from fundingdb.cli.chosen import bases, exchanges
    from fundingdb.cli.show import show
    from fundingdb.errors import BadCall
    from fundingdb.window import HOUR, floor_hour, instant

    for name, value in (("--hours", args.hours), ("--top", args.top)):
        if value < 1:
            raise BadCall(f"{name} {value}: must be 1 or more")
    at = floor_hour(datetime.now(UTC)) if args.at is None else instant(args.at, "--at")
    with connect(args.warehouse) as con:
        asked = {
            "instants": [at - n * HOUR for n in range(args.hours)],
            "exchanges": exchanges(con, args.exchanges),
            "bases": bases(con, args.tokens),
            "top": args.top,
        }
        rows = con.sql(_QUERY, params=asked).pl()
        names = {name: asked[name] for name in ("exchanges", "bases")}
        for exchange, symbol, base, reason in con.sql(_LEFT_OUT, params=names).fetchall():
            sys.stderr.write(f"left out: {exchange} {symbol} is not the {base} of the others: {reason}\n")
        if rows.is_empty() and asked["exchanges"]:
            newest = (
                con.sql("select strftime(max(known_from), '%Y-%m-%d %H:%MZ') from funding_ranges").pl().item()
            )
            sys.stderr.write(
                f"no asset has a known rate on two of these exchanges at {at:%Y-%m-%d %H:%MZ}; "
                f"newest settlement stored: {newest or 'none'} (--at INSTANT looks back)\n"
            )
    show(rows, json=args.json)
    return 0
