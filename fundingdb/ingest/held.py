"""Keeps apart what the gate holds, in the table `held`, until it is released into `funding` or dropped.

Held rows first, then the rows that pass, then the ledger: a crash in between costs a repeated request and loses nothing. A
window whose rows are held counts as fetched. A row never leaves the table; its state changes: held, released, dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from fundingdb.ingest import continuity, guard
from fundingdb.ingest.intervals import MARKET
from fundingdb.schema import FUNDING, HELD, TIME

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from fundingdb.lake import Lake, Upserted

_COMPARED = [*FUNDING.key, "interval_hours", "funding_rate"]


class Examined(NamedTuple):
    """`rows` may enter `funding`; `verdicts`: one line a market, of continuity.VERDICTS."""

    rows: pl.DataFrame
    verdicts: pl.DataFrame


def examined(lake: Lake, rows: pl.DataFrame, at: datetime, *, write: bool = True) -> Examined:
    """Compare FUNDING rows that are about to be stored with the lake, and store those that are held in `held`.

    `at` is now. With `write=False` nothing is stored. A row that passes though an earlier figure of its payment waits in `held`
    drops that figure. Raises LakeError.
    """
    if rows.is_empty():
        return Examined(rows, continuity.VERDICTS.to_frame())
    decided = _held_of(lake, rows)
    listing = (
        lake.scan("markets")
        .filter(pl.col("exchange").is_in(rows["exchange"].unique().to_list()))
        .select("exchange", "symbol", "rate_cap", "last_seen")
        .collect()
    )
    result = guard.compared(rows, _beside(lake, rows, decided), decided, listing)
    if write:
        waiting = decided.filter(pl.col("state") == "held")
        old = waiting.join(result.rows, on=FUNDING.key, how="semi")
        changed = pl.concat([_in_state(result.held, "held", at), _in_state(old, "dropped", at)])
        if changed.height:
            lake.upsert(HELD.name, changed)
    return Examined(result.rows, result.verdicts)


def waiting(
    lake: Lake,
    exchange: str | None = None,
    symbols: Iterable[str] | None = None,
    reasons: Iterable[str] | None = None,
) -> pl.DataFrame:
    """The rows of HELD that wait for a decision, by market and time; None selects all. `factor` selects every factor."""
    rows = lake.scan(HELD.name).filter(pl.col("state") == "held")
    if exchange is not None:
        rows = rows.filter(pl.col("exchange") == exchange)
    if symbols is not None:
        rows = rows.filter(pl.col("symbol").is_in([*symbols]))
    if reasons is not None:
        word = pl.col("reason").str.split(" ").list.first()
        names = [*reasons]
        rows = rows.filter(pl.col("reason").is_in(names) | word.is_in(names))
    return rows.sort(*MARKET, "funding_time").collect()


def release(lake: Lake, rows: pl.DataFrame, at: datetime) -> Upserted:
    """Store these rows of `held` in `funding`, then mark them as released at `at`; the result counts those of `funding`.

    A crash in between leaves them held; a repeat then changes nothing in `funding`. Raises LakeError.
    """
    done = lake.upsert(FUNDING.name, rows.select(FUNDING.columns.keys()))
    lake.upsert(HELD.name, _in_state(rows, "released", at))
    return done


def drop(lake: Lake, rows: pl.DataFrame, at: datetime) -> int:
    """Mark these rows of `held` as dropped at `at`; `funding` does not get them. The number of rows. Raises LakeError."""
    return lake.upsert(HELD.name, _in_state(rows, "dropped", at)).restated


def lines(verdicts: Iterable[pl.DataFrame]) -> list[str]:
    """What was held and noted in one run, a line for each exchange and reason: markets, factor, time and evidence."""
    every = pl.concat([continuity.VERDICTS.to_frame(), *verdicts])
    rank = pl.col("verdict").replace_strict({"hold": 0, "note": 1, "pass": 2}, return_dtype=pl.Int8)
    each = every.sort(rank, maintain_order=True).unique(MARKET, keep="first", maintain_order=True)
    return [_line(one) for one in continuity.findings(each).iter_rows(named=True)]


def holds(verdicts: pl.DataFrame) -> bool:
    """Whether rows of any market are held."""
    return (verdicts["verdict"] == continuity.HOLD).any()


def _line(one: dict[str, object]) -> str:
    factor = one["factor"]
    reason = f"{one['reason']}" + (f" x{factor:.4g}" if isinstance(factor, float) and factor != -1 else "")
    symbols = one["symbols"] if isinstance(one["symbols"], list) else []
    count = one["markets"] if isinstance(one["markets"], int) else len(symbols)
    more = f" and {count - len(symbols)} more" if count > len(symbols) else ""
    who = (
        f"{count} of {one['of']} markets, the whole exchange"
        if one["whole"]
        else f"{', '.join(map(str, symbols))}{more}"
    )
    source = "" if one["source"] == one["exchange"] else f" ({one['source']})"
    if one["verdict"] != continuity.HOLD:
        return (
            f"note: {one['exchange']}{source}: {who}, since {one['since']:%Y-%m-%d %H:%M}: {one['evidence']}"
        )
    return (
        f"held: {one['exchange']}{source}: {reason}: {who}, since {one['since']:%Y-%m-%d %H:%M}: {one['evidence']}; "
        f"see 'fundingdb release {one['exchange']}'"
    )


def _in_state(rows: pl.DataFrame, state: str, at: datetime) -> pl.DataFrame:
    marked = rows.with_columns(state=pl.lit(state), state_at=pl.lit(at, TIME))
    return marked.select(HELD.columns.keys())


def _held_of(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of `held` of the markets of `rows`; dropped ones are left out."""
    own = [pl.col(c).is_in(rows[c].unique().to_list()) for c in ("exchange", "source")]
    mine = lake.scan(HELD.name).filter(*own, pl.col("state") != "dropped").collect()
    return mine.join(rows.select(MARKET).unique(), on=MARKET, how="semi")


def _beside(lake: Lake, rows: pl.DataFrame, decided: pl.DataFrame) -> pl.DataFrame:
    """The stored rows of the markets of `rows` from REACH before the first to REACH after the last, held ones included.

    A market without rows of its source in that span has those of the exchange itself, under its own source.
    """
    joined = guard.joining(decided.filter(pl.col("state") == "held"), rows)
    near = pl.concat([rows.select(*MARKET, "funding_time"), joined.select(*MARKET, "funding_time")])
    spans = near.group_by(MARKET).agg(
        _first=pl.col("funding_time").min() - guard.REACH, _last=pl.col("funding_time").max() + guard.REACH
    )
    months = spans.select(
        pl.datetime_ranges(pl.col("_first").dt.truncate("1mo"), "_last", "1mo", time_zone="UTC")
        .explode()
        .dt.strftime("%Y-%m")
        .unique()
    ).to_series()
    exchanges = spans["exchange"].unique().to_list()
    around = (
        lake.scan(FUNDING.name)
        .filter(
            pl.col("exchange").is_in(exchanges),
            pl.col("source").is_in([*spans["source"].unique(), *exchanges]),
            pl.col("month").is_in(months.to_list()),
            pl.col("symbol").is_in(spans["symbol"].unique().to_list()),
            pl.col("funding_time").is_between(spans["_first"].min(), spans["_last"].max()),
        )
        .select(_COMPARED)
        .collect()
    )
    inside = pl.col("funding_time").is_between("_first", "_last")
    own = around.join(spans, on=MARKET, maintain_order="left").filter(inside).select(_COMPARED)
    foreign = spans.filter(pl.col("source") != pl.col("exchange")).join(own, on=MARKET, how="anti")
    if foreign.is_empty():
        return own
    native = around.filter(pl.col("source") == pl.col("exchange")).drop("source")
    lent = native.join(foreign, on=["exchange", "symbol"]).filter(inside).select(_COMPARED)
    return pl.concat([own, lent])
