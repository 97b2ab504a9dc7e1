"""What a backtest sees of a lake: rates known and settlements, as arrays of market x hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fundingdb import __version__
from fundingdb.backtest import hours as on_hours
from fundingdb.backtest.core import NEVER
from fundingdb.errors import BadCall, BadWindow, LakeError, UnknownName
from fundingdb.window import HOUR, floor_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duckdb import DuckDBPyConnection  # noqa: TID251 - the type alone; catalog opens it
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_HOUR_S = 3600
_MARKETS = """
select
    exchange, asset_class, base, symbol, hash(asset_class, base, symbol) as number,
    min(funding_time) as first_time, max(funding_time) as last_time, max(interval_hours) as longest_hours
from funding
group by exchange, asset_class, base, symbol
"""
_PAYMENTS = """
select
    hash(asset_class, base, symbol) as number, epoch_us(funding_time) as time, interval_hours, funding_rate,
    rate_type = 'special' as special
from funding
where exchange = $exchange and funding_time > $start and funding_time <= $stop
    and ($bases is null or list_contains($bases, base))
"""
_MISMATCHED = """
select exchange, symbol, asset_class, base, reason from identity_checks where verdict = 'mismatch'
order by exchange, symbol
"""


@dataclass(frozen=True, slots=True)
class World:
    """Arrays over markets (rows, by asset, exchange and name) and the full hours start .. end, both included.

    - `known`: rate per hour known at the hour, as the view `funding_known_1h`; NaN: unknown.
    - `settled`: sum of funding_rate of all settlements after the hour before and up to the hour; `paid`: their count.
    - `markets`: exchange, asset_class, base, symbol. `assets`: asset_class, base; rows `asset_start[a]` up to
      `asset_start[a + 1]` are theirs. `exchange`: number of a market's exchange in `exchanges`.
    - `delisted`: first hour at which the market is known to be delisted.
    - `notes`: what is left out or missing, to be told first.
    """

    start: datetime
    end: datetime
    markets: pl.DataFrame
    assets: pl.DataFrame
    exchanges: tuple[str, ...]
    asset_start: Ints
    exchange: Ints
    delisted: Ints
    known: Floats
    settled: Floats
    paid: NDArray[np.uint8]
    notes: tuple[str, ...]
    fingerprint: str


def markets(con: DuckDBPyConnection) -> pl.DataFrame:
    """Every market of the lake with a settlement: names, first and last time, its longest interval."""
    return con.sql(_MARKETS).pl()


def chosen(
    listed: pl.DataFrame, exchanges: Sequence[str] | None, tokens: Sequence[str] | None
) -> pl.DataFrame:
    """The markets of these exchanges and tokens (canonical tokens, or an exchange's symbols: all markets of that token).

    Raises UnknownName with near matches; BadCall where the lake is empty or a list is.
    """
    if listed.is_empty():
        raise BadCall(
            "the lake has no settled payment: fill it with `fundingdb backfill EXCHANGE ...`, or see `fundingdb demo`"
        )
    if exchanges is not None:
        on = [_named("exchange", e, listed["exchange"]) for e in exchanges]
        listed = listed.filter(pl.col("exchange").is_in(_some("exchanges", on)))
    if tokens is not None:
        bases = set(listed["base"])
        by_symbol = dict(listed.select("symbol", "base").sort("symbol").iter_rows())
        asked = [by_symbol.get(t, t) if t not in bases else t for t in tokens]
        found = [_named("token", t, bases) for t in asked]
        listed = listed.filter(pl.col("base").is_in(_some("tokens", found)))
    return listed


def span(listed: pl.DataFrame, start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """The full hours a run goes over by default: the last settlement, and the year of data before the end."""
    newest = listed["last_time"].max()
    oldest = listed["first_time"].min()
    assert isinstance(newest, datetime)
    assert isinstance(oldest, datetime)
    stop = floor_hour(newest) if end is None else end
    if start is None:
        start = max(floor_hour(oldest), stop - 365 * 24 * HOUR)
    return start, stop


def load(
    con: DuckDBPyConnection, listed: pl.DataFrame, start: datetime, end: datetime, *, all_tokens: bool
) -> World:
    """Reads the markets `listed` over start .. end (full hours, UTC).

    Raises BadWindow where the lake has nothing in the span, BadCall where no token is on two exchanges.
    """
    stop = f"the lake has {_day(listed['first_time'].min())} .. {_day(listed['last_time'].max())} of them"
    if end <= start:
        raise BadWindow(f"span {_day(start)} .. {_day(end)}: reversed or empty; start must be before end")
    notes: list[str] = []
    as_of = con.sql("select epoch_us(lake_as_of())").fetchall()[0][0]
    listed = _matching(con, listed, notes)
    pad = int(np.ceil(listed["longest_hours"].max() or 0))  # pyrefly: ignore
    inside = (pl.col("last_time") > start - pad * HOUR) & (pl.col("first_time") <= end)
    there = listed.filter(inside)
    if there.is_empty():
        raise BadWindow(
            f"span {_day(start)} .. {_day(end)}: no settlement of these markets lies in it; {stop}"
        )
    there = _pairable(there, notes)
    notes += _edges(there, start, end, as_of)
    kinds = ["base", "asset_class", "exchange"]
    there = there.with_columns(dex=pl.col("symbol").str.contains(":", literal=True)).sort(
        *kinds, "dex", "symbol"
    )
    counted = there.group_by("asset_class", "base", maintain_order=True).len()
    assets, starts = counted.drop("len"), np.append(0, np.cumsum(counted["len"].to_numpy())).astype(np.int64)
    names = tuple(there["exchange"].unique().sort())
    hours = (end - start) // HOUR + 1
    known = np.full((there.height, hours), np.nan)
    settled, paid = np.zeros((there.height, hours)), np.zeros((there.height, hours), np.uint8)
    bases = None if all_tokens else assets["base"].unique().sort().to_list()
    digest = sha256(f"fundingdb {__version__} {start.isoformat()} {end.isoformat()} {as_of}".encode())
    there = there.with_row_index("row")
    unknown = np.zeros(there.height, np.int64)
    first_hour = int(start.timestamp()) // _HOUR_S
    for name in names:
        mine = there.filter(exchange=name).sort("number")
        if not mine["number"].is_unique().all():
            raise LakeError(f"two markets of {name} share one hash: name the tokens wanted")
        asked = {"exchange": name, "start": start - (pad + 1) * HOUR, "stop": end, "bases": bases}
        rows = con.sql(_PAYMENTS, params=asked).pl()
        rows = _only(rows, mine)
        seeds = np.array(
            [_seed(*who) for who in mine.select("exchange", "asset_class", "base", "symbol").iter_rows()]
        )
        places = mine["row"].to_numpy().astype(np.int64)
        checksum, nameless = on_hours.lay(
            *(rows[c].to_numpy() for c in ("number", "time", "interval_hours", "funding_rate", "special")),
            mine["number"].to_numpy(), places, seeds.astype(np.uint64), first_hour, pad + 1, as_of,
            known, settled, paid,
        )  # fmt: skip
        unknown[places] = nameless
        digest.update(f"{name} {rows.height} {int(checksum)}".encode())
    delisted = _delisted(con, there, start, hours)
    digest.update(delisted.tobytes())
    number = {name: n for n, name in enumerate(names)}
    notes += _unknown_intervals(there, unknown)
    notes += _holes(there, known, start, delisted)
    return World(
        start, end, there.select("exchange", "asset_class", "base", "symbol"), assets, names, starts,
        there["exchange"].replace_strict(number, return_dtype=pl.Int64).to_numpy(), delisted,
        known, settled, paid, tuple(notes), digest.hexdigest(),
    )  # fmt: skip


def _only(rows: pl.DataFrame, mine: pl.DataFrame) -> pl.DataFrame:
    """The rows of these markets; the filter is paid for only where others came along."""
    if rows["number"].n_unique() == mine.height:
        return rows
    return rows.filter(pl.col("number").is_in(mine["number"].implode()))


def _matching(con: DuckDBPyConnection, listed: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Without the markets that identity_checks calls a mismatch."""
    who = ["exchange", "symbol", "asset_class", "base"]
    wrong = con.sql(_MISMATCHED).pl().join(listed, on=who, how="semi")
    for row in wrong.iter_rows(named=True):
        notes.append(
            f"left out: {row['exchange']} {row['symbol']} is not the {row['base']} of the others: {row['reason']}"
        )
    return listed.join(wrong, on=who, how="anti")


def _pairable(there: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Without assets that only one exchange has."""
    count = pl.col("exchange").n_unique().over("asset_class", "base")
    alone = there.filter(count < 2).unique(["asset_class", "base"]).sort("base", "asset_class")
    kept = there.filter(count >= 2)
    names = _few([f"{b} ({e})" for b, e in alone.select("base", "exchange").iter_rows()])
    if kept.is_empty():
        raise BadCall(f"nothing to pair: each token is on one exchange only in this span: {names}")
    if alone.height:
        notes.append(f"{alone.height} token(s) on one exchange only, never paired: {names}")
    return kept


def _edges(there: pl.DataFrame, start: datetime, end: datetime, as_of: int) -> list[str]:
    notes = []
    first, last = there["first_time"].min(), there["last_time"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    if first > start + HOUR:
        hours = (first - start) / HOUR
        notes.append(
            f"the data begins at {_day(first)}, {hours:.0f} hours after the start: nothing trades before"
        )
    if last < end - 8 * HOUR:
        hours = (end - last) / HOUR
        notes.append(
            f"the data ends at {_day(last)}, {hours:.0f} hours before the end: nothing is known after"
        )
    if as_of < end.timestamp() * 1e6:
        at = datetime.fromtimestamp(as_of / 1e6, tz=UTC)
        notes.append(f"the lake was last written at {_day(at)}, before the end: nothing is known after")
    return notes


def _delisted(con: DuckDBPyConnection, there: pl.DataFrame, start: datetime, hours: int) -> Ints:
    told = con.sql("select exchange, symbol, delisted_at from markets where delisted_at is not null").pl()
    at = there.select("exchange", "symbol").join(
        told, on=["exchange", "symbol"], how="left", maintain_order="left"
    )
    hour = ((pl.col("delisted_at") - start).dt.total_microseconds() / on_hours.HOUR_US).ceil()
    known = hour.clip(0, None).fill_null(NEVER)
    found = at.select(known.cast(pl.Int64)).to_series().to_numpy()
    return np.where(found >= hours, NEVER, found)


def _unknown_intervals(there: pl.DataFrame, unknown: Ints) -> list[str]:
    count = there.select("exchange", payments=pl.Series(unknown)).filter(pl.col("payments") > 0)
    each = count.group_by("exchange").agg(pl.col("payments").sum(), pl.len()).sort("exchange")
    return [
        f"{e}: {p} payments of unknown interval on {m} market(s) move money but give no signal"
        for e, p, m in each.iter_rows()
    ]


def _holes(there: pl.DataFrame, known: Floats, start: datetime, delisted: Ints) -> list[str]:
    """Hours without a known rate between the first and the last known one of a market."""
    unknown, longest, longest_at = on_hours.holes(known, delisted)
    worst = int(np.argmax(longest))
    if not unknown.any():
        return []
    who = there.row(worst, named=True)
    return [
        f"{int((unknown > 0).sum())} of {there.height} markets have holes: {int(unknown.sum())} hours in which no rate is "
        f"known; the longest {who['exchange']} {who['symbol']}, {longest[worst]} hours from "
        f"{_day(start + int(longest_at[worst]) * HOUR)} (`fundingdb gaps` tells why)"
    ]


def _seed(*who: str) -> np.uint64:
    return np.uint64(int.from_bytes(sha256("\0".join(who).encode()).digest()[:8], "little"))


def _named(kind: str, word: str, known: Iterable[str]) -> str:
    names = set(known)
    for form in (word, word.casefold(), word.upper()):
        if form in names:
            return form
    raise UnknownName(kind, word, names)


def _some(what: str, names: list[str]) -> list[str]:
    if not names:
        raise BadCall(f"{what} is empty: name some, or leave it out for all")
    return names


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _day(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z" if isinstance(at, datetime) else "nothing"
