"""The tables of the lake: columns, types, keys, units; `check` a frame against one. No I/O.

Everywhere: instants are UTC with microseconds; a rate is a fraction of notional per its own `interval_hours`,
positive when longs pay shorts; prices and open interest are per ONE base token (multiplier taken out), open
interest counts one side. Null means unknown, never zero.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from fundingdb.errors import SchemaError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIME = pl.Datetime("us", "UTC")
ASSET_CLASSES = ("crypto", "equity", "commodity", "fx", "index")
INTERVAL_FROM = ("row", "declared", "observed", "unknown")
RATE_TYPES = ("regular", "special")
STATUSES = ("active", "reduce_only", "prelisted", "delisted", "inactive")
OUTCOMES = ("rows", "empty", "failed")
_SHOWN = 3  # bad rows named per reason
_EARLIEST = datetime(2010, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Polars type, whether null is an answer, its unit or meaning, allowed values."""

    dtype: pl.DataType
    note: str
    null: bool = False
    among: tuple[str, ...] = ()
    positive: bool = False  # > 0
    counted: bool = False  # >= 0

    def tests(self, name: str) -> Iterator[tuple[str, pl.Expr]]:
        """Reason and bad rows, for the column called `name`."""
        value = pl.col(name)
        if not self.null:
            yield f"column {name} is null", value.is_null()
        if self.dtype == pl.Float64:
            yield f"column {name} is not finite", ~value.is_finite()
        if self.positive:
            yield f"column {name} is not positive", value <= 0
        if self.counted:
            yield f"column {name} is negative", value < 0
        if self.dtype == TIME:
            inside = value.is_between(_EARLIEST, _LATEST, closed="left")
            yield f"column {name} lies outside 2010..2099", ~inside
        if self.among:
            yield f"column {name} is not one of {', '.join(self.among)}", ~value.is_in(self.among)

    def surely_fits(self, values: pl.Series) -> bool:
        """True: no value is bad. False: some may be."""
        nulls = values.null_count()
        if nulls and (not self.null or nulls == values.len()):
            return self.null
        if values.is_empty() or (self.dtype == pl.String and not self.among):
            return True
        low: Any = values.min()
        high: Any = values.max()
        if self.dtype == pl.Float64 and not isfinite(cast("float", values.sum())):
            return False
        if self.dtype == TIME:
            return low >= _EARLIEST and high < _LATEST
        if self.among:
            return (
                low in self.among
                and high in self.among
                and (low == high or set(values) <= {*self.among, None})
            )
        return not (self.positive and low <= 0) and not (self.counted and low < 0)


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the lake.

    `month`, where the table has it, is derived from `time`. `values` are the columns whose change makes a row
    another one; a change of a column in `restated` is kept in the table `restatements`.
    """

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    partitions: tuple[str, ...]
    sort: tuple[str, ...]
    time: str | None
    note: str
    stamp: tuple[str, ...] = ()  # when and how we learned it: no part of the fact itself
    restated: tuple[str, ...] = ()
    rules: Mapping[str, pl.Expr] = field(default_factory=dict)  # reason -> true for a good row
    _tests: list[tuple[str, pl.Expr]] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def schema(self) -> pl.Schema:
        """Column names and Polars types, in order."""
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that say what the fact is."""
        return tuple(c for c in self.columns if c not in self.key and c not in self.stamp and c != "month")

    def empty(self) -> pl.DataFrame:
        """No rows, all columns."""
        return pl.DataFrame(schema=self.schema)

    def check(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with exactly this table's columns in order, `month` filled in.

        Raises SchemaError with every reason, each naming column, row number (from 0) and value: a missing,
        surplus or wrongly typed column, a null, NaN, infinite or negative figure where none may be, a time
        off UTC or out of range, a value outside its list, a repeated key with different values. Rows that
        are equal but for their stamps are kept once, the first of them.
        """
        month_given = "month" in frame.columns
        frame = self._with_month(frame)
        reasons = self._misfits(frame)
        if reasons:
            raise SchemaError(self.name, reasons)
        if frame.columns != [*self.columns]:
            frame = frame.select(self.columns.keys())
        if self._surely_fits(frame, month_given=month_given):
            return frame
        if not self._tests:
            self._tests[:] = self._rows_tests()
        # One pass answers all questions; bad rows are looked for only where there are some.
        found = frame.select(bad.any().alias(str(i)) for i, (_, bad) in enumerate(self._tests)).row(0)
        rows = frame.with_row_index("_row") if any(found) else frame
        *tests, (repeated, again) = self._tests
        for (reason, bad), hit in zip(tests, found[:-1], strict=True):
            if hit:
                reasons.append(self._named(reason, rows.filter(bad)))
        if found[-1]:
            frame = frame.unique(subset=[*self.key, *self.values], keep="first", maintain_order=True)
            keys = frame.filter(again).select(self.key).unique()
            twice = rows.join(keys, on=list(self.key), how="semi", nulls_equal=True, maintain_order="left")
            if twice.height:
                reasons.append(self._named(repeated, twice))
        if reasons:
            raise SchemaError(self.name, reasons)
        return frame

    def _with_month(self, frame: pl.DataFrame) -> pl.DataFrame:
        if "month" not in self.columns or self.time is None or "month" in frame.columns:
            return frame
        if self.time not in frame.columns or frame.get_column(self.time).dtype != TIME:
            return frame
        at = list(self.columns).index("month")
        return frame.clone().insert_column(min(at, frame.width), _months(frame.get_column(self.time)))

    def _misfits(self, frame: pl.DataFrame) -> list[str]:
        if frame.columns == [*self.columns] and frame.dtypes == [c.dtype for c in self.columns.values()]:
            return []
        reasons = []
        schema = frame.schema
        for name, column in self.columns.items():
            got = schema.get(name)
            if got is None:
                reasons.append(f"column {name} is missing ({column.dtype}; {column.note})")
            elif got != column.dtype:
                reasons.append(f"column {name} is {got}, must be {column.dtype}")
        reasons += [
            f"column {name} is not of this table" for name in frame.columns if name not in self.columns
        ]
        return reasons

    def _surely_fits(self, frame: pl.DataFrame, *, month_given: bool) -> bool:
        """True: every row is good. False: that takes a closer look.

        Sums, extremes and counts of whole columns cost a tenth of the tests row by row, and they are enough
        for the good answer of an exchange about one market.
        """
        if not all(column.surely_fits(frame.get_column(name)) for name, column in self.columns.items()):
            return False
        if month_given and self.time is not None and frame.height:
            time, month = frame.get_column(self.time), frame.get_column("month")
            ends = pl.DataFrame({"time": [time.min(), time.max()], "month": [month.min(), month.max()]})
            if ends.select((pl.col("month") != _month_of("time")).any()).item() or month.n_unique() > 1:
                return False
        if any(key.dtype == pl.String and key.min() == "" for key in map(frame.get_column, self.key)):
            return False
        # one column without repeats is enough; the time is the one that has none in the answer about one market
        keys = sorted(self.key, key=lambda name: name != self.time)
        if frame.height > 1 and all(frame.get_column(name).n_unique() < frame.height for name in keys):
            return False
        return not self.rules or all(frame.select_seq(good.all() for good in self.rules.values()).row(0))

    def _rows_tests(self) -> Iterator[tuple[str, pl.Expr]]:
        """Reason and bad rows; the last is the repeated key."""
        for name, column in self.columns.items():
            yield from column.tests(name)
            if column.dtype == pl.String and name in self.key:
                yield f"column {name} is empty", pl.col(name) == ""
        if "month" in self.columns and self.time is not None:
            yield f"column month is not the month of {self.time}", pl.col("month") != _month_of(self.time)
        for reason, good in self.rules.items():
            yield reason, good.not_()
        yield (
            f"key ({', '.join(self.key)}) repeated with different values",
            pl.struct(self.key).is_duplicated(),
        )

    def _named(self, reason: str, hit: pl.DataFrame) -> str:
        subjects = [
            c for c in self.columns if c in re.findall(r"\w+", reason.partition(" is not one of ")[0])
        ]
        if reason.startswith("key "):
            subjects = [c for c in self.values if hit[c].n_unique() > 1]
        shown = []
        for row in hit.head(_SHOWN).iter_rows(named=True):
            who = ", ".join(str(row[k]) for k in self.key)
            values = "".join(f" {c} = {_shown(row[c])}" for c in subjects)
            shown.append(f"row {row['_row']} ({who}){values}")
        more = f" and {hit.height - _SHOWN} more" if hit.height > _SHOWN else ""
        return f"{reason}: {'; '.join(shown)}{more}"


def _months(times: pl.Series) -> pl.Series:
    """The months of instants; those of one answer are few and in order, so where they begin is looked up, not each row."""
    low, high = cast("datetime | None", times.min()), cast("datetime | None", times.max())
    if times.null_count() or low is None or high is None or not _EARLIEST <= low <= high < _LATEST:
        return times.to_frame().select(_month_of(times.name).alias("month")).to_series()
    numbers = range(low.year * 12 + low.month - 1, high.year * 12 + high.month)
    names = pl.Series("month", [f"{n // 12}-{n % 12 + 1:02}" for n in numbers])
    if len(names) == 1:
        return names.new_from_index(0, times.len())
    starts = [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in numbers]
    if not times.is_sorted():
        return names.gather(
            pl.Series(starts, dtype=TIME).search_sorted(times, side="right").cast(pl.Int64) - 1
        )
    edges = [bisect_left(times, at) for at in starts[1:]]
    months = names.new_from_index(0, edges[0])
    for place, (start, stop) in enumerate(pairwise([*edges, times.len()]), start=1):
        months.append(names.new_from_index(place, stop - start))
    return months


def _shown(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _month_of(time: str) -> pl.Expr:
    return pl.col(time).dt.date().cast(pl.String).str.slice(0, 7)  # as strftime("%Y-%m"), faster


_TEXT, _FLOAT, _INT = pl.String(), pl.Float64(), pl.Int64()
_WHO = {
    "exchange": Column(_TEXT, "where the perpetual trades, lower case"),
    "source": Column(_TEXT, "who told us: the exchange itself, its archive, coingecko, ccxt, import"),
    "symbol": Column(_TEXT, "the exchange's own name, verbatim"),
}
_WHAT = {
    "base": Column(_TEXT, "canonical token, e.g. PEPE for kPEPE"),
    "quote": Column(_TEXT, "canonical quote, e.g. USDC", null=True),
    "asset_class": Column(_TEXT, "with base the identity across exchanges", among=ASSET_CLASSES),
}
_MONTH = {"month": Column(_TEXT, "YYYY-MM, UTC")}
_PRICES = {
    "mark_price": Column(_FLOAT, "quote per ONE base token", null=True, positive=True),
    "index_price": Column(_FLOAT, "quote per ONE base token", null=True, positive=True),
}

FUNDING = Table(
    name="funding",
    note="one settled payment a row",
    columns={
        **_WHO,
        **_WHAT,
        **_MONTH,
        "funding_time": Column(pl.Datetime("us", "UTC"), "end of the accrual, UTC, on the grid"),
        "interval_hours": Column(
            _FLOAT, "hours this payment accrued over; null = unknown", null=True, positive=True
        ),
        "interval_from": Column(_TEXT, "the evidence for interval_hours", among=INTERVAL_FROM),
        "funding_rate": Column(_FLOAT, "fraction of notional per interval; positive: longs pay shorts"),
        "rate_type": Column(_TEXT, "regular, or special: a one-time payment", among=RATE_TYPES),
        "native_rate": Column(_FLOAT, "the figure as the source wrote it, in the source's unit"),
        **_PRICES,
        "reported_time": Column(TIME, "the source's own stamp, UTC"),
        "fetched_at": Column(TIME, "when we learned it, UTC"),
    },
    key=("exchange", "source", "symbol", "funding_time", "rate_type"),
    partitions=("exchange", "source", "month"),
    sort=("base", "symbol", "funding_time"),
    time="funding_time",
    stamp=("reported_time", "fetched_at"),
    restated=("funding_rate", "interval_hours"),
    rules={
        "interval_from must be unknown exactly where interval_hours is null": (
            pl.col("interval_hours").is_null() == (pl.col("interval_from") == "unknown")
        ),
    },
)

SNAPSHOTS = Table(
    name="snapshots",
    note="what a source showed at one moment: the predicted rate and the state of the market",
    columns={
        **_WHO,
        **_WHAT,
        **_MONTH,
        "observed_at": Column(TIME, "when it was shown to us, UTC"),
        "funding_rate": Column(
            _FLOAT, "predicted, fraction per interval; positive: longs pay shorts", null=True
        ),
        "interval_hours": Column(
            _FLOAT, "hours of the payment it predicts; null = unknown", null=True, positive=True
        ),
        "native_rate": Column(_FLOAT, "the figure as the source wrote it, in the source's unit", null=True),
        "rate_step": Column(
            _FLOAT, "smallest step the source publishes, as a fraction", null=True, positive=True
        ),
        "next_funding_time": Column(TIME, "when the predicted rate is due, UTC", null=True),
        **_PRICES,
        "open_interest": Column(_FLOAT, "base tokens, one side", null=True, counted=True),
        "open_interest_usd": Column(_FLOAT, "US dollars, one side", null=True, counted=True),
        "volume_24h_usd": Column(_FLOAT, "US dollars", null=True, counted=True),
    },
    key=("exchange", "source", "symbol", "observed_at"),
    partitions=("exchange", "source", "month"),
    sort=("base", "symbol", "observed_at"),
    time="observed_at",
)

MARKETS = Table(
    name="markets",
    note="what an exchange lists",
    columns={
        "exchange": _WHO["exchange"],
        "symbol": _WHO["symbol"],
        **_WHAT,
        "native_id": Column(
            _TEXT, "the exchange's own id where requests need another one than symbol", null=True
        ),
        "collateral": Column(_TEXT, "what margin is paid in", null=True),
        "multiplier": Column(_FLOAT, "base tokens per contract unit, 1000 for kPEPE", positive=True),
        "status": Column(_TEXT, "whether it trades", among=STATUSES),
        "interval_hours": Column(
            _FLOAT, "declared for now, hours; null = not declared", null=True, positive=True
        ),
        "rate_cap": Column(_FLOAT, "largest |funding_rate|, fraction per interval", null=True, positive=True),
        "max_leverage": Column(_FLOAT, "times", null=True, positive=True),
        "listed_at": Column(TIME, "by the exchange's word, UTC", null=True),
        "first_seen": Column(TIME, "by us, UTC"),
        "last_seen": Column(TIME, "by us, UTC"),
        "delisted_at": Column(TIME, "first seen delisted or gone, UTC", null=True),
    },
    key=("exchange", "symbol"),
    partitions=("exchange",),
    sort=("base", "symbol"),
    time=None,
)

FETCHES = Table(
    name="fetches",
    note="the ledger: one row per market and window asked",
    columns={
        **_WHO,
        **_MONTH,
        "endpoint": Column(_TEXT, "what was asked", among=("history", "current", "markets")),
        "window_start": Column(
            TIME, "first instant asked for, UTC; null where no window is asked", null=True
        ),
        "window_stop": Column(TIME, "end of the window, exclusive, UTC", null=True),
        "outcome": Column(_TEXT, "rows, empty (proven: the exchange has none) or failed", among=OUTCOMES),
        "rows": Column(_INT, "rows received in the window", counted=True),
        "pages": Column(_INT, "answers received", counted=True),
        "bytes": Column(_INT, "bytes received", counted=True),
        "seconds": Column(_FLOAT, "wall time", counted=True),
        "error": Column(_TEXT, "why it failed", null=True),
        "asked_at": Column(TIME, "when the first request was sent, UTC"),
        "fetcher_version": Column(_TEXT, "version of fundingdb and of the fetcher"),
    },
    key=("exchange", "source", "symbol", "endpoint", "window_start", "asked_at"),
    partitions=("exchange", "source", "month"),
    sort=("symbol", "window_start", "asked_at"),
    time="asked_at",
)

RESTATEMENTS = Table(
    name="restatements",
    note="settled values that a source later changed; `funding` holds the new one",
    columns={
        **_WHO,
        **_MONTH,
        "funding_time": Column(TIME, "UTC"),
        "rate_type": Column(_TEXT, "regular or special", among=RATE_TYPES),
        "old_funding_rate": Column(_FLOAT, "fraction per old interval"),
        "new_funding_rate": Column(_FLOAT, "fraction per new interval"),
        "old_interval_hours": Column(_FLOAT, "hours", null=True),
        "new_interval_hours": Column(_FLOAT, "hours", null=True),
        "old_fetched_at": Column(TIME, "when the old value was learned, UTC"),
        "new_fetched_at": Column(TIME, "when the new value was learned, UTC"),
    },
    key=("exchange", "source", "symbol", "funding_time", "rate_type", "new_fetched_at"),
    partitions=("exchange", "source", "month"),
    sort=("symbol", "funding_time"),
    time="funding_time",
)

TABLES: Mapping[str, Table] = {t.name: t for t in (FUNDING, SNAPSHOTS, MARKETS, FETCHES, RESTATEMENTS)}


def table(name: str) -> Table:
    """The table of that name; raises UnknownName."""
    if name not in TABLES:
        raise UnknownName("table", name, TABLES)
    return TABLES[name]
