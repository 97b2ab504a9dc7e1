"""Progress of long work on stderr, and the summary of what was done."""

from __future__ import annotations

import json as jsons
import sys
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fundingdb.ingest import held

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import TaskID

    from fundingdb.ingest.collector import CollectReport
    from fundingdb.ingest.collector import Progress as Step

_SHOWN = 10


class ProgressBars:
    """A bar per exchange: windows done, rows, rows a second, time left; one closing line each where stderr is no terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rows]:>9,} rows {task.fields[rate]:>7,.0f}/s"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def on(self, step: Step) -> None:
        """Advance the bar of one exchange."""
        if step.exchange not in self._tasks:
            self._tasks[step.exchange] = self._bars.add_task(
                step.exchange, total=step.total, rows=0, rate=0.0
            )
        task = self._tasks[step.exchange]
        seconds = self._bars.tasks[task].elapsed or 0.0
        rate = step.rows / seconds if seconds else 0.0
        self._bars.update(task, completed=step.done, total=step.total, rows=step.rows, rate=rate)
        if not self._console.is_terminal and step.done == step.total:
            sys.stderr.write(
                f"{step.exchange}: {step.done} of {step.total} windows, {step.rows:,} rows, {rate:,.0f} rows/s\n"
            )


def facts(report: CollectReport) -> dict[str, object]:
    """The figures of a report under stable names."""
    return {
        "inserted": report.inserted,
        "restated": report.restated,
        "unchanged": report.unchanged,
        "snapshots": report.snapshots,
        "windows_asked": report.windows,
        "markets_already_covered": report.covered,
        "pages": report.pages,
        "bytes": report.bytes,
        "not_asked": report.not_asked,
        "gate": held.lines(report.verdicts),
        "predicted_beyond_bound": report.unbounded,
        "left_out": report.left_out,
        "failures": [
            {
                "exchange": f.exchange,
                "symbol": f.symbol,
                "window_start": f.window.start.strftime("%Y-%m-%dT%H:%M:%SZ") if f.window else None,
                "window_stop": f.window.stop.strftime("%Y-%m-%dT%H:%M:%SZ") if f.window else None,
                "error": f"{type(f.error).__name__}: {f.error}",
            }
            for f in report.failures
        ],
    }


def summary(report: CollectReport, *, json: bool) -> None:
    """Print what was done: one JSON object on stdout, or lines for people on stderr."""
    if json:
        sys.stdout.write(jsons.dumps(facts(report)) + "\n")
        return
    sys.stderr.write(
        f"{report.inserted:,} rows new, {report.restated:,} restated, {report.unchanged:,} unchanged; "
        f"{report.windows} windows requested in {report.pages} responses ({report.bytes / 1e6:.1f} MB), "
        f"{report.covered} markets were already complete\n"
    )
    print_failures(report)


def print_failures(report: CollectReport) -> None:
    """Print on stderr what the gate held or noted, what failed, and what a repeat does."""
    for line in held.lines(report.verdicts):
        sys.stderr.write(f"{line}\n")
    if report.unbounded:
        sys.stderr.write(
            f"{report.unbounded} predicted rates are beyond the bound of their exchange: stored as unknown, "
            "native_rate has the figure\n"
        )
    for failure in report.failures[:_SHOWN]:
        where = (
            f" [{failure.window.start:%Y-%m-%d %H:%M}, {failure.window.stop:%Y-%m-%d %H:%M})"
            if failure.window
            else ""
        )
        sys.stderr.write(f"failed: {failure.exchange} {failure.symbol}{where}: {failure.error}\n")
    if len(report.failures) > _SHOWN:
        sys.stderr.write(f"... and {len(report.failures) - _SHOWN} more failures, all in the view fetches\n")
    for exchange, count in report.not_asked.items():
        sys.stderr.write(f"{exchange} stopped answering: {count} windows were not requested\n")
    for source, lines in report.left_out.items():
        for line in lines:
            sys.stderr.write(f"{source}: {line}\n")
    if report.failures:
        sys.stderr.write("run the same command again: it requests only what is missing\n")
