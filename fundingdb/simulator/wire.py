"""Requests and responses as the simulated exchanges receive and return them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fundingdb.simulator.world import mix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `path` without the exchange's prefix, header names in lower case, parameters in order."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    def get(self, name: str) -> str | None:
        """The first parameter of that name."""
        return next((v for k, v in self.params if k == name), None)

    def all(self, name: str) -> list[str]:
        """Every parameter of that name."""
        return [v for k, v in self.params if k == name]


@dataclass(frozen=True, slots=True)
class Reply:
    """One response; `weight` is its cost beyond the request's own weight."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Tweaks:
    """Faults inside an answer: a lower cap, rows twice, rows in any order, everything later."""

    cap: int | None = None
    duplicates: bool = False
    shuffled: bool = False
    late_ms: int = 0

    def limit(self, cap: int) -> int:
        """The cap in force."""
        return cap if self.cap is None else min(cap, self.cap)

    def rows(self, rows: Sequence[Any]) -> list[Any]:
        """The rows as they go out."""
        out = list(rows)
        if self.duplicates:
            out += out[::7]
        if self.shuffled:
            out = [row for _, row in sorted(enumerate(out), key=lambda pair: mix(pair[0]))]
        return out


def reply(
    value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = (), weight: float = 0.0
) -> Reply:
    """An answer in compact JSON."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(status, body, headers=headers, weight=weight)


def joined(head: str, rows: Sequence[str], tail: str, weight: float = 0.0) -> Reply:
    """A response whose rows are JSON text already."""
    return Reply(200, f"{head}{','.join(rows)}{tail}".encode(), weight=weight)


def html(status: int, title: str) -> Reply:
    """The response of an edge server instead of the exchange."""
    head = f"<head><title>{status} {title}</title></head>"
    page = f"<html>\r\n{head}\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n"
    return Reply(status, page.encode(), _HTML)


def text(status: int, words: str, kind: str = "text/plain; charset=utf-8") -> Reply:
    """Plain text."""
    return Reply(status, words.encode(), kind)


def integer(value: str | None) -> int | None:
    """A parameter as an integer; None where it is absent or not one."""
    try:
        return int(value) if value is not None else None
    except ValueError:
        return None
