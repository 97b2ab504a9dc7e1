"""The one gate for rows of every origin: which rows are refused, which are held, and which may enter the lake. Pure.

Rows pass in three steps. `admitted`, while the response is at hand, so that it can be quarantined with the reason: each row
fits its table (`schema.Table.check`) and comes from the source that was requested. `compared`, before settled rates are
committed: they continue the stored rows of their market (module continuity), and no row is finer than the exchange publishes,
beyond its bound, or at odds with its own interval (module limits); a row that fails is held, never refused, so that the rest of
its response goes on. Then the door of the lake (`Lake.upsert`), which checks each frame as a whole: only there can a key that is
repeated across responses be detected. Reading the stored rows and keeping the held ones is the work of module held.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from fundingdb.errors import BadPayload, SchemaError
from fundingdb.fetchers import limits
from fundingdb.ingest import continuity
from fundingdb.ingest.continuity import HOLD, PASS
from fundingdb.ingest.intervals import MARKET
from fundingdb.schema import FUNDING

if TYPE_CHECKING:
    from fundingdb.fetchers.contract import Fetcher
    from fundingdb.schema import Table

REACH = timedelta(days=21)
"""Stored rows this far from the new rows of their market are compared with them."""
BY_ROW = ("finer", "beyond")
"""Reasons that hold a single row; all others hold all new rows of the market."""
_TAIL = timedelta(days=5)  # twelve gaps of 8 hours are four days
_GAP = 0.01  # of the interval
_CAP_AGE = timedelta(days=3)  # a listing states the cap of its own day
_LET_IN = 2.0  # a released payment beyond the bound lets in those up to twice its size

_WHY = {"reason": pl.String(), "evidence": pl.String()}


class Compared(NamedTuple):
    """`rows` may enter `funding`; `held`: FUNDING rows with reason and evidence; `verdicts`: one line a market, of VERDICTS."""

    rows: pl.DataFrame
    held: pl.DataFrame
    verdicts: pl.DataFrame


def admitted(
    fetcher: Fetcher, table: Table, endpoint: str, rows: pl.DataFrame, body: bytes = b""
) -> pl.DataFrame:
    """The rows of `table` that `fetcher` parsed from the response `body` of `endpoint`, checked, `month` filled in.

    Raises BadPayload, with the body, where they do not pass.
    """
    try:
        return checked(fetcher, table, rows)
    except SchemaError as error:
        bad = BadPayload(fetcher.exchange, endpoint, "(rows)", str(error))
        bad.body = body
        raise bad from error


def checked(fetcher: Fetcher, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `table` that a user presents as those of `fetcher`, checked, `month` filled in.

    Raises SchemaError, with every reason, where they do not pass.
    """
    rows = table.check(rows)
    reasons = _reasons(fetcher, table, rows)
    if reasons:
        raise SchemaError(table.name, reasons)
    return rows


def _reasons(fetcher: Fetcher, table: Table, rows: pl.DataFrame) -> list[str]:
    """Why rows that fit their table are refused all the same."""
    reasons = []
    own = rows["exchange"] == fetcher.exchange
    # A source without history may be an aggregator, whose rows are those of other exchanges.
    aggregated = fetcher.history is None and not own.any()
    if not aggregated and not own.all():
        other = rows["exchange"].filter(~own)[0]
        reasons.append(f"column exchange is {other!r}, must be {fetcher.exchange!r}, the exchange requested")
    if "source" in table.columns and not (rows["source"] == fetcher.source).all():
        other = rows["source"].filter(rows["source"] != fetcher.source)[0]
        reasons.append(f"column source is {other!r}, must be {fetcher.source!r}, the source requested")
    return reasons


def compared(new: pl.DataFrame, stored: pl.DataFrame, held: pl.DataFrame, listing: pl.DataFrame) -> Compared:
    """FUNDING rows that are about to be stored, beside the stored rows of their markets within REACH.

    `held`: rows of HELD of these markets. Those that wait for a decision count as new rows too, as far as they join them: rows of
    another unit show it together. Released ones begin the history of their market anew: what is held against the whole history
    but not against the rows since passes. `listing`: exchange, symbol, rate_cap, last_seen of MARKETS. Rows that are stored
    already pass. A row beyond or finer passes where stored rows of its market are so too (they were let in).
    """
    fresh = new.join(stored, on=[*FUNDING.key, "funding_rate"], how="anti", maintain_order="left")
    lines = _continued(fresh, stored, held)
    whole = pl.concat([_of_market(lines.filter(pl.col("verdict") == HOLD)), _intervals(fresh, stored, held)])
    whole = whole.unique(MARKET, keep="first", maintain_order=True)
    single = _impossible(fresh, stored, listing).join(whole, on=MARKET, how="anti", maintain_order="left")
    apart = pl.concat([fresh.join(whole, on=MARKET, how="inner", maintain_order="left"), single])
    rows = new.join(apart, on=FUNDING.key, how="anti", maintain_order="left")
    return Compared(rows, apart, _summed(new, lines, apart))


def bounded(snapshots: pl.DataFrame) -> pl.DataFrame:
    """SNAPSHOTS rows, the predicted rate null (unknown) where it is beyond the bound of its exchange.

    native_rate keeps the figure as the source wrote it. A predicted rate has no published step and continues nothing.
    """
    predicted = snapshots.with_row_index("_row").with_columns(rate_type=pl.lit("regular"))
    beyond = limits.misfits(predicted.drop_nulls("funding_rate")).filter(pl.col("reason") == "beyond")
    rate = pl.when(~pl.int_range(pl.len()).is_in(beyond["_row"].implode())).then("funding_rate")
    return snapshots.with_columns(funding_rate=rate)


def _continued(fresh: pl.DataFrame, stored: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Lines of VERDICTS of the markets of `fresh` that have stored rows."""
    seen = fresh.join(stored.select(MARKET).unique(), on=MARKET, how="semi", maintain_order="left")
    if seen.is_empty():
        return continuity.VERDICTS.to_frame()
    waiting = held.filter(pl.col("state") == "held", ~pl.col("reason").is_in([*BY_ROW, "interval"]))
    columns = [*MARKET, "funding_time", "interval_hours", "funding_rate", "rate_type"]
    both = pl.concat([seen.select(columns), joining(waiting, seen).select(columns)])
    lines = continuity.verdicts(both, stored)
    newest = pl.col("state_at") == pl.col("state_at").max().over(MARKET)
    released = held.filter(pl.col("state") == "released").filter(newest)
    since = released.group_by(MARKET).agg(_since=pl.col("funding_time").min())
    again = lines.filter(pl.col("verdict") == HOLD).join(since, on=MARKET).select(*MARKET, "_since")
    if again.is_empty():
        return lines
    later = stored.join(again, on=MARKET).filter(pl.col("funding_time") >= pl.col("_since"))
    still = continuity.verdicts(both.join(again, on=MARKET, how="semi"), later.drop("_since"))
    let_in = again.join(still.filter(pl.col("verdict") == HOLD), on=MARKET, how="anti")
    passing = pl.struct(MARKET).is_in(let_in.select(pl.struct(MARKET)).to_series().implode())
    unmarked = [pl.when(~passing).then(c).alias(c) for c in ("reason", "factor", "since", "evidence")]
    return lines.with_columns(
        pl.when(passing).then(pl.lit(PASS)).otherwise("verdict").alias("verdict"), *unmarked
    )


def joining(waiting: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """The waiting rows that are joined to new rows of their market by steps of at most REACH."""
    if waiting.is_empty():
        return waiting
    others = waiting.join(fresh, on=FUNDING.key, how="anti").with_columns(_new=pl.lit(value=False))
    marks = fresh.select(*MARKET, "funding_time", _new=pl.lit(value=True))
    every = pl.concat([others, marks], how="diagonal").sort(*MARKET, "funding_time")
    apart = (pl.col("funding_time").diff().over(MARKET) > REACH).fill_null(value=False)
    runs = every.with_columns(_run=apart.cast(pl.Int64).cum_sum().over(MARKET))
    joined = pl.col("_new").any().over(*MARKET, "_run")
    return runs.filter(joined, ~pl.col("_new")).select(waiting.columns)


def _of_market(lines: pl.DataFrame) -> pl.DataFrame:
    """Market, reason and evidence; the reason `factor` with its figure."""
    figure = pl.col("factor").round_sig_figs(4).cast(pl.String).str.strip_suffix(".0")
    factor = pl.format("factor x{}", figure)
    reason = pl.when(pl.col("reason") == "factor").then(factor).otherwise("reason")
    return lines.select(*MARKET, reason=reason, evidence="evidence")


def _intervals(fresh: pl.DataFrame, stored: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Markets whose interval contradicts the gaps of their newest rows, unless rows held for that reason were let in.

    The stored and waiting rows of _TAIL count, so that a payment a round adds up.
    """
    columns = [*MARKET, "funding_time", "interval_hours", "rate_type"]
    regular = pl.col("rate_type") == "regular"
    span = fresh.group_by(MARKET).agg(
        _first=pl.col("funding_time").min() - _TAIL, _last=pl.col("funding_time").max()
    )
    waiting = held.filter(pl.col("state") == "held")
    beside = pl.concat([stored.select(columns), waiting.select(columns)])
    near = beside.join(span, on=MARKET).filter(pl.col("funding_time").is_between("_first", "_last"))
    near = near.join(fresh, on=FUNDING.key, how="anti").select(columns).with_columns(_new=pl.lit(value=False))
    mine = fresh.select(columns).with_columns(_new=pl.lit(value=True))
    rows = pl.concat([near, mine]).filter(regular).sort(*MARKET, "funding_time")
    gap = pl.col("funding_time").diff().over(MARKET).dt.total_seconds() / 3600
    other = rows.filter(pl.col("_new"), (gap / pl.col("interval_hours") - 1).abs() > _GAP)
    let_in = held.filter(pl.col("state") == "released", pl.col("reason") == "interval")
    suspect = other.select(MARKET).unique().join(let_in, on=MARKET, how="anti")
    lines = limits.contradictions(rows.join(suspect, on=MARKET, how="semi"))
    text = pl.format(
        "{} of {} payments with an interval of {} h are {} h apart",
        "count",
        "of",
        "interval_hours",
        "gap_hours",
    )
    return lines.select(*MARKET, reason=pl.lit("interval"), evidence=text)


def _impossible(fresh: pl.DataFrame, stored: pl.DataFrame, listing: pl.DataFrame) -> pl.DataFrame:
    """Rows that the exchange cannot have published, with reason and evidence, unless such rows of the market were let in."""
    names = ["exchange", "symbol"]
    caps = fresh.select(*names, "funding_time").join(listing, on=names, how="left", maintain_order="left")
    current = (pl.col("funding_time") >= pl.col("last_seen") - _CAP_AGE).fill_null(value=False)
    today = fresh.filter(caps.select(current).to_series())
    found = pl.concat([limits.misfits(fresh), limits.misfits(today, listing)]).unique(
        FUNDING.key, keep="last", maintain_order=True
    )
    if found.is_empty():
        return fresh.clear().with_columns(pl.lit(None, t).alias(n) for n, t in _WHY.items())
    within = limits.misfits(stored).group_by(*MARKET, "reason").agg(_most=pl.col("funding_rate").abs().max())
    both = found.join(within, on=[*MARKET, "reason"], how="left", maintain_order="left")
    let_in = pl.col("_most").is_not_null() & (
        (pl.col("reason") == "finer") | (pl.col("funding_rate").abs() <= pl.col("_most") * _LET_IN)
    )
    text = pl.format(
        "rate {} at {}; {} {}",
        "funding_rate",
        pl.col("funding_time").dt.to_string("%Y-%m-%d %H:%M"),
        pl.when(pl.col("reason") == "finer")
        .then(pl.lit("the smallest step is"))
        .otherwise(pl.lit("the bound is")),
        "limit",
    )
    return both.filter(~let_in).with_columns(evidence=text).select(*fresh.columns, *_WHY)


def _summed(new: pl.DataFrame, lines: pl.DataFrame, apart: pl.DataFrame) -> pl.DataFrame:
    """One line a market of `new`: held, as noted by continuity, or passed."""
    by_market = apart.group_by(MARKET, maintain_order=True).agg(
        pl.lit(HOLD).alias("verdict"),
        pl.col("reason", "evidence").first(),
        since=pl.col("funding_time").min(),
    )
    held = by_market.with_columns(reason=pl.col("reason").str.split(" ").list.first()).join(
        lines.select(*MARKET, "factor"), on=MARKET, how="left", maintain_order="left"
    )
    noted = lines.filter(pl.col("verdict") != HOLD)
    rest = new.select(MARKET).unique(maintain_order=True).with_columns(verdict=pl.lit(PASS))
    columns = continuity.VERDICTS
    every = [held.select(columns.names()), noted.select(columns.names()), rest]
    return (
        pl.concat(every, how="diagonal")
        .unique(MARKET, keep="first", maintain_order=True)
        .match_to_schema(columns, missing_columns="insert")
        .select(columns.names())
    )
