"""Reads a whole lake back and reports every fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from fundingdb.errors import LakeError, SchemaError
from fundingdb.lake import files, merge
from fundingdb.schema import FETCHES, FUNDING, HELD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fundingdb.lake.log import Log, Pinned


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault; `where` is a file, a partition or a market and window."""

    table: str
    where: str
    problem: str


@dataclass(slots=True)
class AuditReport:
    """What was read (tables, files, rows, ledger windows) and its faults; without findings the lake is sound."""

    tables: int = 0
    files: int = 0
    rows: int = 0
    windows: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether there is no fault."""
        return not self.findings


def audit(home: Path, logs: Mapping[str, Log]) -> AuditReport:
    """Check, table by table at its newest version, and then the ledger against the rows.

    Every listed file exists, can be read, has the columns and types of its table, as many rows as in the log, and is
    sorted; every partition passes `Table.check` (types, ranges, month = month of the time, keys unique). A key
    holds the partition columns or the time the month comes from, so keys unique in each partition are unique
    in the table. Each ledger window with outcome `rows` and n rows of history has at least n settlements of
    that source and symbol in [window_start, window_stop).
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
    for name, at in pinned.items():
        report.tables += 1
        _table(report, logs[name], at)
    if FETCHES.name in pinned and not report.findings:
        _ledger(report, logs, pinned)
    return report


def _table(report: AuditReport, log: Log, pinned: Pinned) -> None:
    t = log.table
    for key, mine in pinned.files.partition_by(t.partitions, as_dict=True, maintain_order=True).items():
        frames = []
        for row in mine.iter_rows(named=True):
            report.files += 1
            frame = _file(report, log, row)
            if frame is not None:
                frames.append(frame)
        if not frames:
            continue
        whole = pl.concat(frames).with_columns(
            pl.lit(v, pl.String).alias(n) for n, v in zip(t.partitions, key, strict=True)
        )
        report.rows += whole.height
        where = "/".join(f"{n}={v}" for n, v in zip(t.partitions, key, strict=True))
        try:
            kept = t.check(whole.select(t.columns.keys()))
        except SchemaError as error:
            report.findings += [Finding(t.name, where, reason) for reason in error.reasons]
        else:
            if kept.height < whole.height:
                problem = f"{whole.height - kept.height} rows are repeated"
                report.findings.append(Finding(t.name, where, problem))


def _file(report: AuditReport, log: Log, row: Mapping[str, object]) -> pl.DataFrame | None:
    """The rows of one file; None when it can't be used."""
    t, path = log.table, str(row["path"])

    def bad(problem: str) -> None:
        report.findings.append(Finding(t.name, path, problem))

    if not (log.home / path).exists():
        bad("the file is listed but does not exist")
        return None
    try:
        frame = pl.read_parquet(log.home / path, hive_partitioning=False, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        bad("the file can't be read as Parquet")
        return None
    wanted = {c: t.schema[c] for c in files.body(t)}
    if dict(frame.schema) != wanted:
        bad(f"columns and types are {dict(frame.schema)}, must be {wanted}")
        return None
    if frame.height != row["rows"]:
        bad(f"{frame.height} rows, but {row['rows']} in the log")
    keys = frame.select(merge.order(t))
    if not keys.equals(keys.sort(keys.columns)):
        bad(f"not sorted by {', '.join(keys.columns)}")
    return frame


def _ledger(report: AuditReport, logs: Mapping[str, Log], pinned: Mapping[str, Pinned]) -> None:
    """Compare the ledger's windows with the settlements that `funding` has in them."""
    fetches = files.scan(logs[FETCHES.name].home, FETCHES, pinned[FETCHES.name].files)
    history = fetches.filter((pl.col("endpoint") == "history") & (pl.col("outcome") == "rows"))
    if FUNDING.name in pinned:
        funding = files.scan(logs[FUNDING.name].home, FUNDING, pinned[FUNDING.name].files)
    else:
        funding = FUNDING.empty().lazy()
    keys = ["exchange", "source", "symbol", "funding_time", "rate_type"]
    funding = funding.select(keys)
    if HELD.name in pinned:  # rows kept apart are not lost
        apart = files.scan(logs[HELD.name].home, HELD, pinned[HELD.name].files).select(keys)
        funding = pl.concat([funding, apart]).unique()
    windows = (
        history.select("exchange", "source", "symbol", "window_start", "window_stop", "rows")
        .collect()
        .sort("exchange", "source", "symbol")
    )
    report.windows = windows.height
    for (exchange, source), mine in windows.partition_by(
        "exchange", "source", as_dict=True, maintain_order=True
    ).items():
        own = funding.filter((pl.col("exchange") == exchange) & (pl.col("source") == source))
        settled = own.select("symbol", "funding_time").sort("symbol", "funding_time").collect()
        for row in _too_few(mine, settled).iter_rows(named=True):
            window = f"[{row['window_start']:%Y-%m-%d %H:%M}Z, {row['window_stop']:%Y-%m-%d %H:%M}Z)"
            problem = f"the ledger has {row['rows']} rows, funding {row['have']} of source {source}"
            report.findings.append(Finding(FETCHES.name, f"{exchange} {row['symbol']} {window}", problem))


def _too_few(windows: pl.DataFrame, settled: pl.DataFrame) -> pl.DataFrame:
    """Those of the ledger's windows that have more rows than settlements, with the count of these: `have`."""
    times = {k[0]: v["funding_time"] for k, v in settled.partition_by("symbol", as_dict=True).items()}
    none = settled["funding_time"].clear()
    counted = []
    for (symbol,), mine in windows.partition_by("symbol", as_dict=True, maintain_order=True).items():
        at = times.get(symbol, none)
        stop, start = (at.search_sorted(mine[f"window_{edge}"], "left") for edge in ("stop", "start"))
        counted.append(mine.with_columns(have=stop.cast(pl.Int64) - start.cast(pl.Int64)))
    return pl.concat(counted).filter(pl.col("have") < pl.col("rows"))
