"""Names that a caller gives: one or several, exchanges in any case. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fundingdb.errors import BadCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    Names = str | Iterable[str]


def names(what: str, given: Names | None) -> list[str] | None:
    """A list of names, from one name or several; None: no limit. Raises BadCall for an empty list and what is no text."""
    if given is None:
        return None
    several = [given] if isinstance(given, str) else list(given)
    if not several or not all(isinstance(name, str) and name.strip() for name in several):
        raise BadCall(f"{what}={several!r}: give one name or several, or leave it out for all")
    return list(dict.fromkeys(name.strip() for name in several))


def exchange_names(given: Names | None) -> list[str] | None:
    """As `names`, in lower case, as the ids of exchanges are."""
    several = names("exchanges", given)
    return None if several is None else [name.lower() for name in several]
