"""What the environment and the file fundingdb.toml set: every FUNDINGDB_* name is read here, and nowhere else.

Loads nothing heavy, so that `--help` and readers of small files may use it too.
"""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "fundingdb.toml"
KEYS = ("warehouse",)
"""The keys of fundingdb.toml. warehouse: the folder of the warehouse, relative to the file."""
_EXAMPLE = 'write one line, such as: warehouse = "warehouse"'


@cache
def version() -> str:
    """The version of the installed package, as pyproject.toml states it."""
    return installed_version("fundingdb")


def default_warehouse() -> Path:
    """FUNDINGDB_WAREHOUSE, else `warehouse` of the nearest fundingdb.toml, else `warehouse` in the working folder.

    The file is searched from the working folder upward; a relative path in it starts at its own folder. Raises BadCall
    for a file that can't be read or holds anything else, UnknownName for a key that is none of KEYS.
    """
    if named := os.environ.get("FUNDINGDB_WAREHOUSE"):
        return Path(named)
    try:
        here = Path.cwd()
    except OSError:
        raise BadCall("the working folder does not exist any more: change to another folder") from None
    for folder in (here, *here.parents):
        if os.path.lexists(folder / FILE):
            return _from_file(folder / FILE)
    return Path("warehouse")


def _from_file(file: Path) -> Path:
    import tomllib  # noqa: PLC0415 - loaded only where there is a file to read

    try:
        settings = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise BadCall(f"{file} can't be read: {error.strerror}; repair or remove it") from None
    except UnicodeDecodeError:
        raise BadCall(f"{file} is not UTF-8 text; {_EXAMPLE}") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line \d+, column \d+|end of document", str(error))
        raise BadCall(f"{file} is not TOML{f' at {where[0]}' if where else ''}; {_EXAMPLE}") from None
    for key in settings:
        if key not in KEYS:
            raise UnknownName("key", key, KEYS, f"({file})")
    folder = settings.get("warehouse", "warehouse")
    if not isinstance(folder, str) or not folder:
        raise BadCall(f"{file}: key warehouse is {folder!r}, not the path of a folder; {_EXAMPLE}")
    return file.parent / Path(folder).expanduser()


def url_variable(source: str) -> str:
    """The environment variable that points a source at another address: FUNDINGDB_<SOURCE>_URL."""
    return f"FUNDINGDB_{_shell_name(source)}_URL"


def stream_url_variable(exchange: str) -> str:
    """The environment variable that points an exchange's stream at another address: FUNDINGDB_<EXCHANGE>_WS_URL."""
    return f"FUNDINGDB_{_shell_name(exchange)}_WS_URL"


def own_url(source: str, env: Mapping[str, str]) -> str | None:
    """The address that `env` sets for a source; None: it sets none."""
    return env.get(url_variable(source)) or None


def own_stream_url(exchange: str, env: Mapping[str, str]) -> str | None:
    """The address that `env` sets for an exchange's stream; None: it sets none."""
    return env.get(stream_url_variable(exchange)) or None


def _shell_name(name: str) -> str:
    return re.sub("[^A-Z0-9]", "_", name.upper())
