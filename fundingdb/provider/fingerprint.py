"""A hash of rows and of the code that reads them.

The bytes hashed are our own layout (series by name, settlements in order of time, IEEE doubles and whole microseconds,
little end first) and the hash is SHA-256: no library's row hash, whose result may change with its version, and no file,
whose name and bytes change when the lake is compacted.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fundingdb.catalog import headers
from fundingdb.settings import version

if TYPE_CHECKING:
    from fundingdb.provider.rows import Rows


def of_rows(rows: Rows) -> str:
    """SHA-256, as 64 hexadecimal digits, of names, times and values, whatever order or files they came in."""
    digest = hashlib.sha256(json.dumps(sorted(rows.values)).encode())
    time = rows.time.astype("<i8", copy=False)
    columns = [_plain(rows.values[name]) for name in sorted(rows.values)]
    for who, low, high in zip(rows.series, rows.lows, rows.lows[1:], strict=False):
        digest.update(json.dumps([*who, high - low]).encode())
        for column in (time, *columns):
            digest.update(column[low:high].data)
    return digest.hexdigest()


def _plain(values: np.ndarray) -> np.ndarray:
    """One bit pattern for each value: there are two zeros, and many NaN."""
    plain = (values + 0.0).astype("<f8", copy=False)
    plain[np.isnan(plain)] = np.nan
    return plain


@cache
def of_code() -> str:
    """The version of fundingdb and 12 digits for its modules and views, as they are on disk."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parents[1]
    modules = {p.relative_to(package).as_posix(): p for p in package.rglob("*.py")}
    views = {f"sql/{p.name}": p for p in headers.sql_files()}
    for name, path in sorted((modules | views).items()):
        digest.update(f"{name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{version()}-{digest.hexdigest()[:12]}"
