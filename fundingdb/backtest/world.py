"""The data of a backtest, read from the lake: known rates and settlements as arrays of market x hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from fundingdb.backtest import hours as on_hours
from fundingdb.backtest.core import NEVER
from fundingdb.errors import BadCall, BadWindow, LakeError, UnknownName
from fundingdb.fetchers.identity import matching
from fundingdb.provider.fingerprint import of_code
from fundingdb.window import HOUR, floor_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from fundingdb.catalog.catalog import Connection

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_WHO = ["exchange", "asset_class", "base", "symbol"]
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
class MarketArrays:
    """Arrays over markets (rows, by asset, exchange and name) and the full hours start .. end, both included.

    - `known`: rate per hour known at the hour, as the view `funding_known_1h`; NaN: unknown.
    - `settled`: sum of funding_rate of all settlements after the hour before and up to the hour; `paid`: their count.
    - `markets`: exchange, asset_class, base, symbol. `assets`: asset_class, base; rows `asset_start[a]` up to
      `asset_start[a + 1]` are theirs. `exchange`: number of a market's exchange in `exchanges`.
    - `delisted`: first hour at which the market is known to be delisted.
    - `notes`: what is left out or missing, shown before the figures.
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


class Ready(NamedTuple):
    """The market data of one run or many, with the best pairs and the costs."""

    world: MarketArrays
    best_long: NDArray[np.int32]
    best_short: NDArray[np.int32]
    heat: tuple[Floats, Ints]
    fee: Floats  # fee venue x hour
    fee_venue: Ints  # of a market: its row of `fee`
    day: Ints
    notes: tuple[str, ...]
    fingerprint: str


def markets(con: Connection) -> pl.DataFrame:
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
        words = [t if matching(t, bases) else by_symbol.get(matching(t, by_symbol) or t, t) for t in tokens]
        resolved = [_named("token", t, bases) for t in words]
        listed = listed.filter(pl.col("base").is_in(_some("tokens", resolved)))
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
    con: Connection, listed: pl.DataFrame, start: datetime, end: datetime, *, all_tokens: bool
) -> MarketArrays:
    """Reads the markets `listed` over start .. end (full hours, UTC).

    Raises BadWindow where the lake has nothing in the span, BadCall where no token is on two exchanges.
    """
    notes: list[str] = []
    as_of = min(con.sql("select epoch_us(lake_as_of())").fetchall()[0][0], _us(end) + 1)
    there, pad = _there(_matching(con, listed, notes), start, end)
    there = _pairable(there, notes).with_row_index("row")
    counted = there.group_by("asset_class", "base", maintain_order=True).len()
    names = tuple(there["exchange"].unique().sort())
    number = {name: n for n, name in enumerate(names)}
    hours = (end - start) // HOUR + 1
    hourly = on_hours.HourlyRates(
        known=np.full((there.height, hours), np.nan),
        settled=np.zeros((there.height, hours)),
        paid=np.zeros((there.height, hours), np.uint8),
        first=_us(start) // on_hours.HOUR_US,
        pad=pad,
        as_of=as_of,
    )
    parameters = {
        "start": start - pad * HOUR,
        "stop": end,
        "bases": None if all_tokens else counted["base"].unique().sort().to_list(),
    }
    digest = sha256(f"{of_code()} {start.isoformat()} {end.isoformat()} {as_of}".encode())
    unknown = np.zeros(there.height, np.int64)
    for name in names:
        checksum, nameless = _read(con, there.filter(exchange=name), {**parameters, "exchange": name}, hourly)
        digest.update(f"{name} {checksum}".encode())
        unknown += nameless
    delisted = _delisted(con, there, start, hours)
    digest.update(delisted.tobytes())
    notes += [
        *_edges(there, start, end, as_of),
        *_unknown_intervals(there, unknown),
        *_holes(there, hourly.known, start, delisted),
    ]
    return MarketArrays(
        start=start,
        end=end,
        markets=there.select(_WHO),
        assets=counted.drop("len"),
        exchanges=names,
        asset_start=np.append(0, np.cumsum(counted["len"].to_numpy())).astype(np.int64),
        exchange=there["exchange"].replace_strict(number, return_dtype=pl.Int64).to_numpy(),
        delisted=delisted,
        known=hourly.known,
        settled=hourly.settled,
        paid=hourly.paid,
        notes=tuple(notes),
        fingerprint=digest.hexdigest(),
    )


def _there(listed: pl.DataFrame, start: datetime, end: datetime) -> tuple[pl.DataFrame, int]:
    """The markets with payments in the span, by asset, exchange and name, and how many hours before it to read."""
    longest: Any = listed["longest_hours"].max() or 0
    pad = int(np.ceil(longest)) + 1
    there = listed.filter(pl.col("last_time") > start - pad * HOUR, pl.col("first_time") <= end)
    if there.is_empty():
        first, last = listed["first_time"].min(), listed["last_time"].max()
        raise BadWindow(
            f"span {_day(start)} .. {_day(end)}: these markets have no settlement in it; "
            f"the lake has {_day(first)} .. {_day(last)} of them"
        )
    dex = pl.col("symbol").str.contains(":", literal=True)
    order = ["base", "asset_class", "exchange", "dex", "symbol"]
    return there.with_columns(dex=dex).sort(order), pad


def _read(
    con: Connection,
    mine: pl.DataFrame,
    parameters: dict[str, object],
    hourly: on_hours.HourlyRates,
) -> tuple[int, Ints]:
    """Reads one exchange into `hourly`; returns the checksum of its rows and the payments of unknown interval by market."""
    mine = mine.sort("number")
    rows = con.sql(_PAYMENTS, params=parameters).pl()
    numbers = rows["number"].unique()
    if not numbers.is_in(mine["number"].implode()).all():
        rows = rows.filter(pl.col("number").is_in(mine["number"].implode()))
    if mine["number"].is_duplicated().any():
        raise LakeError(f"two markets of {parameters['exchange']} share one hash: name the tokens to run")
    market_rows = mine["row"].to_numpy().astype(np.int64)
    seeds = np.array([_seed(*who) for who in mine.select(_WHO).iter_rows()], np.uint64)
    columns = ("number", "time", "interval_hours", "funding_rate", "special")
    checksum, nameless = on_hours.fill(
        on_hours.Payments(*(rows[c].to_numpy() for c in columns)),
        on_hours.Markets(mine["number"].to_numpy(), market_rows, seeds),
        hourly,
    )
    unknown = np.zeros(hourly.known.shape[0], np.int64)
    unknown[market_rows] = nameless
    return int(checksum), unknown


def _matching(con: Connection, listed: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Without the markets that identity_checks calls a mismatch."""
    wrong = con.sql(_MISMATCHED).pl().join(listed, on=_WHO, how="semi")
    notes += [
        f"left out: {row['exchange']} {row['symbol']} is not the {row['base']} of the others: {row['reason']}"
        for row in wrong.iter_rows(named=True)
    ]
    return listed.join(wrong, on=_WHO, how="anti")


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
    if as_of <= _us(end):
        at = datetime.fromtimestamp(as_of / 1e6, tz=UTC)
        notes.append(f"the lake was last written at {_day(at)}, before the end: nothing is known after")
    return notes


def _delisted(con: Connection, there: pl.DataFrame, start: datetime, hours: int) -> Ints:
    listed = con.sql("select exchange, symbol, delisted_at from markets where delisted_at is not null").pl()
    at = there.select("exchange", "symbol").join(
        listed, on=["exchange", "symbol"], how="left", maintain_order="left"
    )
    hour = ((pl.col("delisted_at") - start).dt.total_microseconds() / on_hours.HOUR_US).ceil()
    known = hour.clip(0, None).fill_null(NEVER)
    delisted = at.select(known.cast(pl.Int64)).to_series().to_numpy()
    return np.where(delisted >= hours, NEVER, delisted)


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
    begins = _day(start + int(longest_at[worst]) * HOUR)
    note = (
        f"{int((unknown > 0).sum())} of {there.height} markets have holes: {int(unknown.sum())} hours in which no rate is "
        f"known; the longest {who['exchange']} {who['symbol']}, {longest[worst]} hours from {begins} "
        "(`fundingdb gaps` shows the reasons)"
    )
    return [note]


def _seed(*who: str) -> int:
    return int.from_bytes(sha256("\0".join(who).encode()).digest()[:8], "little")


def _named(kind: str, word: str, known: Iterable[str]) -> str:
    names = set(known)
    name = matching(word, names)
    if name is None:
        raise UnknownName(kind, word, names)
    return name


def _some(what: str, names: list[str]) -> list[str]:
    if not names:
        raise BadCall(f"{what} is empty: name some, or leave it out for all")
    return names


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def _day(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z" if isinstance(at, datetime) else "nothing"
