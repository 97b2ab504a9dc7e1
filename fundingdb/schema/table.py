"""A table of the lake as columns with types, units and rules, and the check of a frame against it. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from fundingdb.errors import INVISIBLE, SchemaError, escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIME = pl.Datetime("us", "UTC")
_CONTROLS = "[" + "".join(rf"\p{{{c}}}" for c in INVISIBLE) + "]"
_CONTROLS_OF_PROSE = f"[{_CONTROLS}--\\n]"
_SHOWN = 3  # bad rows named per reason
_EARLIEST = datetime(2010, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Polars type, its unit or meaning, whether null is allowed, and the allowed values."""

    dtype: pl.DataType
    note: str
    null: bool = False
    among: tuple[str, ...] = ()
    positive: bool = False  # > 0
    counted: bool = False  # >= 0
    prose: bool = False  # a text, which may have several lines; any other text is a name

    def faults(self, name: str) -> Iterator[tuple[str, pl.Expr]]:
        """Each possible fault of the column, called `name`: its text and the filter for bad rows."""
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
        elif self.dtype == pl.String:
            yield f"column {name} has control or invisible characters", value.str.contains(self._unfit)

    @property
    def _unfit(self) -> str:
        return _CONTROLS_OF_PROSE if self.prose else _CONTROLS

    def surely_fits(self, values: pl.Series) -> bool:
        """True: no value is bad. False: some may be."""
        nulls = values.null_count()
        if nulls == values.len() or (nulls and not self.null):
            return self.null or not nulls
        low: Any = values.min()
        high: Any = values.max()
        if self.dtype == pl.Float64 and not isfinite(cast("float", values.sum())):
            return False
        if self.dtype == TIME:
            return low >= _EARLIEST and high < _LATEST
        if self.dtype == pl.String and not self.among:
            few = values.head(1) if low == high and not nulls else values.unique()
            return not few.str.contains(self._unfit).any()
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

    `month`, where the table has it, is derived from `time`. A row whose `values` differ is another fact; a change of a column
    in `restated` is kept in the table `restatements`.
    """

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    partitions: tuple[str, ...]
    sort: tuple[str, ...]
    time: str | None
    note: str
    stamp: tuple[str, ...] = ()  # when and how it was learned: no part of the fact itself
    restated: tuple[str, ...] = ()
    rules: Mapping[str, pl.Expr] = field(default_factory=dict)  # reason -> true for a good row
    _tests: list[tuple[str, pl.Expr]] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def schema(self) -> pl.Schema:
        """Column names and Polars types, in order."""
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    @property
    def values(self) -> tuple[str, ...]:
        """The columns of the fact itself: neither key nor stamp."""
        return tuple(c for c in self.columns if c not in self.key and c not in self.stamp and c != "month")

    def empty(self) -> pl.DataFrame:
        """No rows, all columns."""
        return pl.DataFrame(schema=self.schema)

    def check(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with exactly this table's columns in order, `month` filled in.

        Raises SchemaError with every reason, each naming column, row number (from 0) and value: a missing,
        surplus or wrongly typed column, a null, NaN, infinite or negative figure where none may be, a time
        off UTC or out of range, a value outside its list, a name with control or invisible characters (shown
        escaped), a repeated key with different values. Rows that are equal but for their stamps are kept once,
        the first of them.
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
        # One pass tests all rows; bad rows are searched only where there are some.
        hits = frame.select(bad.any().alias(str(i)) for i, (_, bad) in enumerate(self._tests)).row(0)
        rows = frame.with_row_index("_row") if any(hits) else frame
        *tests, (repeated, again) = self._tests
        for (reason, bad), hit in zip(tests, hits[:-1], strict=True):
            if hit:
                reasons.append(self._named(reason, rows.filter(bad)))
        if hits[-1]:
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
            dtype = schema.get(name)
            if dtype is None:
                reasons.append(f"column {name} is missing ({column.dtype}; {column.note})")
            elif dtype != column.dtype:
                reasons.append(f"column {name} is {dtype}, must be {column.dtype}")
        reasons += [
            f"column {name} is not in this table" for name in frame.columns if name not in self.columns
        ]
        return reasons

    def _surely_fits(self, frame: pl.DataFrame, *, month_given: bool) -> bool:
        """True: every row is good. False: the rows must be tested one by one.

        Sums, extremes and counts of whole columns cost a tenth of the tests row by row, and they suffice for a good response
        about one market.
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
        # one column without repeats is enough; the time has none in a response about one market
        keys = sorted(self.key, key=lambda name: name != self.time)
        if frame.height > 1 and all(frame.get_column(name).n_unique() < frame.height for name in keys):
            return False
        return not self.rules or all(frame.select_seq(good.all() for good in self.rules.values()).row(0))

    def _rows_tests(self) -> Iterator[tuple[str, pl.Expr]]:
        """Each possible fault of a row: its text and the filter for bad rows; the last is the repeated key."""
        for name, column in self.columns.items():
            yield from column.faults(name)
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
            who = ", ".join(escaped(str(row[k])) for k in self.key)
            values = "".join(f" {c} = {_shown(row[c])}" for c in subjects)
            shown.append(f"row {row['_row']} ({who}){values}")
        more = f" and {hit.height - _SHOWN} more" if hit.height > _SHOWN else ""
        return f"{reason}: {'; '.join(shown)}{more}"


def _months(times: pl.Series) -> pl.Series:
    """The months of instants. Those of one response are few and in order, so their edges are searched, not each row converted."""
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
    for number, (start, stop) in enumerate(pairwise([*edges, times.len()]), start=1):
        months.append(names.new_from_index(number, stop - start))
    return months


def _shown(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _month_of(time: str) -> pl.Expr:
    return pl.col(time).dt.date().cast(pl.String).str.slice(0, 7)  # as strftime("%Y-%m"), faster
