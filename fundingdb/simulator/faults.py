"""Faults that a test switches on: some requests of an exchange fail, chosen by their count or by a seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from fundingdb.simulator.world import mix

if TYPE_CHECKING:
    from datetime import datetime

Kind = Literal[
    "429",  # with Retry-After: `value` seconds
    "429-silent",  # without
    "5xx",  # `value` is the status, default 502 with HTML
    "hang",  # no response for `value` seconds, default until the client times out
    "cut",  # the connection ends in the middle of the body
    "truncated",  # half the JSON with a right Content-Length
    "html-200",
    "html-403",
    "duplicates",  # some rows twice
    "shuffled",  # rows in any order
    "cap",  # silently at most `value` rows
    "late",  # stamps and publication `value` seconds later
    "restate",  # before answering, the payment `symbol` of `at` changes
    "html-405",  # what Lighter's firewall answers to too many requests
    # of streams; `on`, `every` and `share` count connections, `value` frames with figures
    "ws-drop",  # the connection is cut after `value` frames, default 1
    "ws-silence",  # nothing more after `value` frames, default 0
    "ws-garbage",  # the first `value` frames are no JSON, default 1
]
ROWS = ("duplicates", "shuffled", "cap", "late")
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what, at which exchange (None: all), at which of its requests.

    Requests of an exchange count from 1. `on` names some of them, `every` hits each n-th, `share` a part of
    them by seed; with none of the three all are hit. `path` limits it to requests whose path or type contains
    that text.
    """

    kind: Kind
    exchange: str | None = None
    every: int = 0
    on: frozenset[int] = frozenset()
    share: float = 0.0
    path: str = ""
    value: float | None = None
    symbol: str = ""
    at: datetime | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")

    def hits(self, seed: int, exchange: str, count: int, path: str) -> bool:
        """Whether request number `count` of `exchange` is hit."""
        if (self.exchange and self.exchange != exchange) or self.path not in path:
            return False
        if self.kind.startswith("ws-") != path.startswith("ws/"):
            return False
        if not (self.on or self.every or self.share):
            return True
        chance = mix(
            seed * 1_000_003 + KINDS.index(self.kind) * 7919 + sum(exchange.encode()) * 104_729 + count
        )
        return (
            count in self.on
            or (self.every > 0 and count % self.every == 0)
            or (self.share > 0 and chance / (1 << 64) < self.share)
        )


class Faults:
    """The faults of a simulator; `hit` counts how often each kind struck."""

    def __init__(self, *faults: Fault, seed: int = 0) -> None:
        self.faults, self.seed = list(faults), seed
        self.hit: Counter[str] = Counter()

    @classmethod
    def some(cls, seed: int = 7) -> Faults:
        """A gentle mix: each fault goes away on repeat or is harmless to a right reader."""
        return cls(
            Fault("429", share=0.02, value=1),
            Fault("429-silent", "extended", share=0.02),
            Fault("5xx", share=0.02),
            Fault("cut", share=0.02),
            Fault("duplicates", "lighter", share=0.2),
            Fault("duplicates", "extended", share=0.1),
            Fault("shuffled", "hyperliquid", share=0.2),
            Fault("cap", "extended", value=500),
            seed=seed,
        )

    def of(self, exchange: str, count: int, path: str) -> list[Fault]:
        """The faults that strike this request."""
        struck = [f for f in self.faults if f.hits(self.seed, exchange, count, path)]
        self.hit.update(f.kind for f in struck)
        return struck
