"""A file written whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def whole(text: str, option: str) -> Iterator[Callable[[str | bytes], None]]:
    """A function that replaces the content of the file named `text` with a string or bytes.

    Whether the file can be written is tried on entry, before a long run; until the function is called, and when it fails,
    the file stays as it was. Raises BadCall naming `option`, file and reason.
    """
    where = f"{option} {text!r}"
    path = Path(os.path.realpath(text))  # a link stays a link
    part = path.parent / f".fundingdb-{os.getpid()}{option}.part"

    def put(content: str | bytes) -> None:
        try:
            with part.open("wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise BadCall(f"{where}: can't be written: {error.strerror}") from None

    try:
        if problem := _problem(text, path):
            raise BadCall(f"{where}: {problem}")
        part.touch(exist_ok=True)
    except OSError as error:
        raise BadCall(f"{where}: can't be written: {error.strerror}") from None
    try:
        yield put
    finally:
        part.unlink(missing_ok=True)


def _problem(text: str, path: Path) -> str | None:
    if not text or path.is_dir():
        return "is a folder; name a file in it"
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r}; create it first"
    if not path.exists():
        return None
    if not path.is_file():
        return "is no ordinary file"
    return None if os.access(path, os.W_OK) else "is write-protected"
