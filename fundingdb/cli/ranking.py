"""The ranks of `spreads --rank`: the best pair of each asset by net yield, by dollars a day, or by stability."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from fundingdb.catalog.fees import fee_venue
from fundingdb.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fundingdb.catalog.catalog import Connection

DAYS = 30  # the window of capacity and stability
_PAIR = ("base", "asset_class", "long_exchange", "long_symbol", "short_exchange", "short_symbol")
_COSTS = (
    "spread_apr",
    "long_fee",
    "short_fee",
    "costs",
    "break_even_hours",
    "horizon_hours",
    "net_apr",
    "reason",
)
_NET = (*_PAIR[:2], "known_at", *_PAIR[2:], *_COSTS)
_HELD = (*_PAIR, "hours", "missing_hours", "mean_apr")
_CAPACITY = (*_HELD, "open_interest_usd", "capacity_usd", "usd_per_day")
_STABILITY = (*_HELD, "median_1h", "deviation_1h", "stability", "same_sign_share", "half_life_hours")
_TIES = ("base", "long_exchange", "long_symbol", "short_exchange", "short_symbol")


class Names(NamedTuple):
    """The selection: exchanges, and canonical tokens (None = all)."""

    exchanges: Sequence[str]
    bases: Sequence[str] | None


def net(con: Connection, names: Names, at: datetime, hours: float, fill: str) -> pl.DataFrame:
    """The pair of each asset with the highest annual net yield when held for `hours` from `at`, best first.

    Pairs with unknown costs come last; a line on stderr has their number and the exchanges without a fee.
    """
    values = {"at": at, "hours": hours, "fill": fill}
    query = "from carry_net_with(at_time := $at, horizon_hours := $hours, fill := $fill)"
    rows = _picked(con.sql(query, params=values).pl(), names)
    unknown = rows.filter(pl.col("net_apr").is_null())
    if unknown.height:
        missing = {
            name
            for leg in ("long", "short")
            for name in unknown.filter(pl.col(f"{leg}_fee").is_null())
            .select(fee_venue(f"{leg}_symbol", f"{leg}_exchange"))
            .to_series()
        }
        sys.stderr.write(
            f"{unknown.height} of {rows.height} pairs have unknown costs and come last: no base {fill} fee known at "
            f"{at:%Y-%m-%d} for {', '.join(sorted(missing))}; add it to fees.csv in the warehouse, or use --fees FILE\n"
        )
    return _best(rows, "net_apr", "spread_apr").select(_NET)


def settled(con: Connection, names: Names, stop: datetime, rank: str) -> pl.DataFrame:
    """The best pair of each asset over the DAYS before `stop` by `capacity` or `stability`, best first.

    Pairs without a figure, and those that miss more than half of the hours, come last; a line on stderr has their number.
    """
    bases = names.bases
    values = {
        "start": stop - timedelta(days=DAYS),
        "stop": stop,
        "token": bases[0] if bases is not None and len(bases) == 1 else None,
    }
    query = "from pair_stats_over(start := $start, stop := $stop, token := $token)"
    rows = _picked(con.sql(query, params=values).pl(), names)
    by = "usd_per_day" if rank == "capacity" else "stability"
    rows = rows.with_columns(_thin=pl.col("hours") < pl.col("missing_hours"))
    thin = rows["_thin"].sum()
    bare = rows.filter(pl.col(by).is_null()).height
    if thin:
        sys.stderr.write(
            f"{thin} of {rows.height} pairs miss more than half of the {DAYS * 24} hours before {stop:%Y-%m-%d %H:%MZ} "
            "and come last\n"
        )
    if bare and rank == "capacity":
        sys.stderr.write(
            f"{bare} of {rows.height} pairs have a leg whose open interest no snapshot of the last 7 days has, and come last: "
            "`fundingdb collect` stores it\n"
        )
    return _best(rows, by, "mean_apr", last="_thin").select(_CAPACITY if rank == "capacity" else _STABILITY)


def _picked(rows: pl.DataFrame, names: Names) -> pl.DataFrame:
    among = list(names.exchanges)
    kept = rows.filter(pl.col("long_exchange").is_in(among), pl.col("short_exchange").is_in(among))
    return kept if names.bases is None else kept.filter(pl.col("base").is_in(list(names.bases)))


def _best(rows: pl.DataFrame, by: str, then: str, *, last: str | None = None) -> pl.DataFrame:
    ways = {**({} if last is None else {last: False}), by: True, then: True, **dict.fromkeys(_TIES, False)}
    ordered = rows.sort(list(ways), descending=list(ways.values()), nulls_last=True)
    return ordered.unique(["asset_class", "base"], keep="first", maintain_order=True)


def warn_unknown_names(con: Connection, among: Sequence[str], file: str | None) -> None:
    """Name on stderr the unknown exchanges in the user's own fees: for a misspelt one the shipped fee would count."""
    from fundingdb.fetchers.registry import names

    query = "select distinct split_part(exchange, ':', 1) as exchange from fees where evidence = 'own' or source = $file"
    own = [r[0] for r in con.sql(query, params={"file": file}).fetchall()]
    known = {*among, *names()}
    for name in sorted(set(own) - known):
        sys.stderr.write(f"fees: {UnknownName('exchange', name, known)}\n")
