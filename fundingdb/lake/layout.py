"""The folder of a lake and its file layout.json, which names the layout of what is stored there."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from fundingdb.errors import LakeError
from fundingdb.lake.log import translated_errors

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = 1


def inspect(warehouse: Path) -> None:
    """Raise LakeError for a warehouse that is a file, and for one whose lake is not a lake or has a newer layout."""
    home = warehouse / "lake"
    file = home / "layout.json"
    with translated_errors(f"opening the warehouse {warehouse}"):
        for folder in (warehouse, home):
            if folder.exists() and not folder.is_dir():
                raise LakeError(f"{folder} is a file: a warehouse is a folder; give another path")
        if not home.exists():
            return
        others = sorted(p.name for p in home.iterdir() if not p.name.startswith("."))
        # After the listing: a lake that is being created has its layout before anything else.
        text = file.read_text() if file.exists() else None
    if text is not None:
        _check(home, text)
    elif others:
        shown = ", ".join(others[:3])
        raise LakeError(f"{home} is not a lake of fundingdb (no layout.json, but {shown}); give another path")


def exists(warehouse: Path) -> bool:
    """Whether there is a lake in the folder, be it empty."""
    return (warehouse / "lake" / "layout.json").exists()


def prepare(warehouse: Path) -> None:
    """Create the folder of the lake where there is none yet. Raises LakeError as `inspect` does."""
    inspect(warehouse)
    home = warehouse / "lake"
    with translated_errors(f"creating the lake {home}"):
        if (home / "layout.json").exists():
            return
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f".layout-{uuid.uuid4().hex}"
        try:
            draft.write_text(json.dumps({"layout": LAYOUT}) + "\n")
            draft.replace(home / "layout.json")
        finally:
            draft.unlink(missing_ok=True)


def _check(home: Path, text: str) -> None:
    try:
        number = json.loads(text)["layout"]
    except (ValueError, KeyError, TypeError):
        number = None
    if not isinstance(number, int):
        raise LakeError(f'{home / "layout.json"} is damaged: its content must be {{"layout": {LAYOUT}}}')
    if number > LAYOUT:
        raise LakeError(
            f"{home} was made by a newer fundingdb (layout {number}, this version reads {LAYOUT}): update fundingdb"
        )
