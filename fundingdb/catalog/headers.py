"""The headers of the files in sql/, parsed: name, grain, columns and checks, for catalog and tests.

A file of sql/ is a header and a bare select, or a bare expression (`function`). Header keys: `view`, `macro` (a select with
parameters) or `function` (an expression with parameters) with the file's name, `reads`, `grain` (columns that are unique
together), `column: name | type | note`, `parameter: name | default or - | note`, `check` (an expression true for every
row), `why`; a line indented under its key continues it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from graphlib import TopologicalSorter
from importlib.resources import files as package_files
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from fundingdb.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ("view", "macro", "function")
_KEYS = (*KINDS, "reads", "grain", "column", "parameter", "check", "why")


@dataclass(frozen=True, slots=True)
class View:
    """One file of sql/: its header as data, and its select (of a function: its expression)."""

    name: str
    kind: str  # one of KINDS
    reads: tuple[str, ...]
    grain: tuple[str, ...]
    columns: tuple[tuple[str, str, str], ...]  # name, type, note with unit
    parameters: tuple[tuple[str, str, str], ...]  # name, default or "-", note
    checks: tuple[str, ...]
    why: str
    sql: str

    @property
    def comment(self) -> str:
        """The comment of the view in the catalog."""
        rows = f"One row per {', '.join(self.grain)}. " if self.grain else ""
        return rows + self.why + "".join(f" {name}: {note}." for name, _, note in self.parameters)


def views() -> list[View]:
    """All views, macros and functions of sql/, each after those it reads."""
    known = {view.name: view for view in map(parse, sql_files())}
    order = TopologicalSorter({v.name: [r for r in v.reads if r in known] for v in known.values()})
    return [known[name] for name in order.static_order()]


def sql_files() -> list[Path]:
    """The files of sql/, by name."""
    inside = Path(str(package_files("fundingdb"))) / "sql"  # an installed wheel
    folder = inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "sql"  # a checkout
    return sorted(folder.glob("*.sql"))


def parse(path: Path) -> View:
    """The view, macro or function of one file; raises LakeError when its header is not as described."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head: dict[str, list[str]] = {key: [] for key in _KEYS}
    key = ""
    body = len(lines)
    for at, line in enumerate(lines):
        if not line.startswith("--"):
            body = at
            break
        if named := re.match(r"-- (\w+):\s+(.*)", line):
            key = named[1]
            if key not in head:
                raise LakeError(f"{path.name}: header key {key!r} is none of {', '.join(_KEYS)}")
            head[key].append(named[2].strip())
        elif key and line.startswith("--   "):
            head[key][-1] += " " + line[2:].strip()
    kinds = [kind for kind in KINDS if head[kind]]
    if len(kinds) != 1 or head[kinds[0]] != [path.stem]:
        raise LakeError(f"{path.name}: its header must name it: view: {path.stem}")
    return View(
        name=path.stem,
        kind=kinds[0],
        reads=_listed(head["reads"]),
        grain=_listed(head["grain"]),
        columns=tuple(_triple(path, c) for c in head["column"]),
        parameters=tuple(_triple(path, p) for p in head["parameter"]),
        checks=tuple(head["check"]),
        why=" ".join(head["why"]),
        sql="\n".join(lines[body:]).strip().rstrip(";"),
    )


def _listed(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(chain.from_iterable(re.split(r",\s*", value) for value in values))


def _triple(path: Path, line: str) -> tuple[str, str, str]:
    parts = [part.strip() for part in line.split("|", 2)]
    if len(parts) != len(("name", "type", "note")):
        raise LakeError(f"{path.name}: header line {line!r} must be: name | type | note")
    return parts[0], parts[1], parts[2]
