"""Reads a whole lake back and reports every fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import LakeError, SchemaError
from fundingdb.lake import accounts, files, merge
from fundingdb.schema import FETCHES, FUNDING, HELD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fundingdb.lake.log import Log, Pinned
    from fundingdb.schema import Table


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault or note; `where` is a file, a partition, or a market and window.

    `lost`: `where` is a file whose rows are lost, because it is missing, unreadable or has other bytes than were written.
    """

    table: str
    where: str
    problem: str
    lost: bool = False


@dataclass(slots=True)
class AuditReport:
    """What was read (tables, files, rows, ledger windows), its faults (`findings`) and what costs no more than a repeated
    request (`notes`); without findings the lake is sound.

    `readable`: every table and listed file could be read; else the views over them fail. `promised`: the rows of `fetches`
    whose rows `funding` lacks, and those of overlapping windows.
    """

    tables: int = 0
    files: int = 0
    rows: int = 0
    windows: int = 0
    readable: bool = True
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    promised: pl.DataFrame = field(default_factory=FETCHES.empty)

    @property
    def clean(self) -> bool:
        """Whether there is no fault."""
        return not self.findings

    def lost(self, table: str) -> dict[str, str]:
        """The files of a table whose rows are lost, each with the reason."""
        return {one.where: one.problem for one in self.findings if one.table == table and one.lost}


def audit(home: Path, logs: Mapping[str, Log]) -> AuditReport:
    """Check, table by table at its newest version, and then ledger and rows against each other.

    Every listed file exists, has the bytes that were written, can be read, has the columns and types of its table, as many rows
    as in the log, and is sorted; every partition passes `Table.check` (types, ranges, month = month of the time, keys unique).
    A key holds the partition columns or the time the month comes from, so keys unique in each partition are unique
    in the table. Each ledger window with outcome `rows` and n rows of history has at least n settlements of that source and
    symbol in [window_start, window_stop). Settlements of an exchange that are in no complete window are a note: they cost a
    repeated request, and frames that a caller saves have no ledger row; those of imported files are not counted.
    """
    report = AuditReport()
    pinned: dict[str, Pinned] = {}
    # The ledger is pinned first: its rows are committed before it is, so none can be missed by a race.
    for name in sorted(logs, key=lambda n: n != FETCHES.name):
        try:
            if logs[name].exists():
                pinned[name] = logs[name].open()
        except LakeError as error:
            report.findings.append(Finding(name, str(home / name), str(error)))
    accessible = report.clean
    for name, at in pinned.items():
        report.tables += 1
        accessible &= _table(report, logs[name], at)
    report.readable = accessible and not any(one.lost for one in report.findings)
    if accessible:  # else rows may be there that only this process can't read
        _ledger(report, logs, pinned)
    return report


def _table(report: AuditReport, log: Log, pinned: Pinned) -> bool:
    """Check one table; False where a file can't be read for a reason outside of it, such as its permissions."""
    t = log.table
    readable = True
    for key, mine in pinned.files.partition_by(t.partitions, as_dict=True, maintain_order=True).items():
        frames: list[pl.DataFrame] = []
        for row in mine.iter_rows(named=True):
            report.files += 1
            try:
                frame = _file(report, log, row)
            except OSError as error:
                readable = False
                problem = f"the file can't be opened: {error.strerror}"
                report.findings.append(Finding(t.name, str(row["path"]), problem))
            else:
                frames += [] if frame is None else [frame]
        if frames:
            _partition(report, t, pl.concat(frames), [str(value) for value in key])
    return readable


def _partition(report: AuditReport, t: Table, rows: pl.DataFrame, key: list[str]) -> None:
    """Check the rows of one partition together."""
    values = dict(zip(t.partitions, key, strict=True))
    report.rows += rows.height
    where = "/".join(f"{n}={v}" for n, v in values.items())
    whole = rows.with_columns(pl.lit(v, pl.String).alias(n) for n, v in values.items())
    try:
        kept = t.check(whole.select(t.columns.keys()))
    except SchemaError as error:
        report.findings += [Finding(t.name, where, reason) for reason in error.reasons]
    else:
        if kept.height < whole.height:
            problem = f"{whole.height - kept.height} rows are repeated"
            report.findings.append(Finding(t.name, where, problem))


def _file(report: AuditReport, log: Log, row: Mapping[str, object]) -> pl.DataFrame | None:
    """The rows of one file; None when they can't be used. Raises OSError where the file exists but can't be opened."""
    t, path = log.table, str(row["path"])

    def lost(problem: str) -> None:
        report.findings.append(Finding(t.name, path, problem, lost=True))

    try:
        content = (log.home / path).read_bytes()
    except FileNotFoundError:
        return lost("the file is listed but does not exist")
    if files.checksum(content) != (files.stated_checksum(path) or files.checksum(content)):
        return lost("its bytes are not those that were written: the checksum in its name is another")
    try:
        frame = pl.read_parquet(content, hive_partitioning=False)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return lost("the file can't be read as Parquet")
    wanted = {c: t.schema[c] for c in files.body(t)}
    if dict(frame.schema) != wanted:
        return lost(f"columns and types are {dict(frame.schema)}, must be {wanted}")
    if frame.height != row["rows"]:
        lost(f"{frame.height} rows, but {row['rows']} in the log")
    keys = frame.select(merge.order(t))
    if not keys.equals(keys.sort(keys.columns)):
        report.findings.append(Finding(t.name, path, f"not sorted by {', '.join(keys.columns)}"))
    return frame


def _ledger(report: AuditReport, logs: Mapping[str, Log], pinned: Mapping[str, Pinned]) -> None:
    """Compare the ledger's windows with the settlements that the usable files of `funding` have in them, both ways."""

    def usable(t: Table) -> pl.LazyFrame:
        if t.name not in pinned:
            return t.empty().lazy()
        listed = pinned[t.name].files.filter(~pl.col("path").is_in(list(report.lost(t.name))))
        return files.scan(logs[t.name].home, t, listed)

    history = usable(FETCHES).filter(pl.col("endpoint") == "history", pl.col("outcome") != "failed").collect()
    keys = ["exchange", "source", "symbol", "funding_time", "rate_type"]
    both = [usable(t).select(keys) for t in (FUNDING, HELD)]  # rows kept apart are not lost
    funding = pl.concat(both).filter(pl.col("source") != "import").unique()
    report.windows = history.filter(pl.col("outcome") == "rows").height
    pairs = funding.select("exchange", "source").unique().collect()
    for exchange, source in sorted({*pairs.rows(), *history.select("exchange", "source").rows()}):
        own = (pl.col("exchange") == exchange) & (pl.col("source") == source)
        settled = (
            funding.filter(own).select("symbol", "funding_time").sort("symbol", "funding_time").collect()
        )
        windows = history.filter(own).sort("symbol", "window_start")
        short = accounts.too_few(windows.filter(pl.col("outcome") == "rows"), settled)
        for row in short.iter_rows(named=True):
            window = f"[{row['window_start']:%Y-%m-%d %H:%M}Z, {row['window_stop']:%Y-%m-%d %H:%M}Z)"
            problem = f"the ledger has {row['rows']} rows, funding {row['have']} of source {source}"
            report.findings.append(Finding(FETCHES.name, f"{exchange} {row['symbol']} {window}", problem))
        report.promised.extend(accounts.overlapping(windows, short))
        rows, markets = accounts.outside(settled, windows)
        if rows:
            problem = f"{rows} settlements of {markets} markets are in no complete window of the ledger"
            report.notes.append(Finding(FUNDING.name, f"{exchange} {source}", problem))
