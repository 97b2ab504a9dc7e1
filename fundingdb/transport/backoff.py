"""The one retry policy: how many tries, how long to wait between them, when to give up. Pure: no clock, no sleep, no chance.

Waits are exponential with full jitter: a random part of a bound that doubles, so that many clients that failed together
do not return together (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter). What the server asks for in
Retry-After is never undercut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf

from fundingdb.errors import BadCall

_DOUBLINGS = 30  # beyond every `longest` here; keeps the power finite for tries without end


@dataclass(frozen=True, slots=True)
class Backoff:
    """`tries` in all; seconds: the bound of the first wait, of every wait, and of a Retry-After that is waited for at all."""

    tries: int | None = None  # None: without end
    first: float = 0.0
    longest: float = 0.0
    patience: float = inf

    def __post_init__(self) -> None:
        if self.tries is not None and self.tries < 1:
            raise BadCall(f"a retry policy of {self.tries} tries: at least one is needed")

    def gives_up(self, failures: int, retry_after: float | None = None) -> bool:
        """Whether there is no further try after so many failures in a row, the last with this Retry-After."""
        used_up = self.tries is not None and failures >= self.tries
        return used_up or (retry_after or 0.0) > self.patience

    def wait(
        self, failures: int, jitter: float, retry_after: float | None = None, *, first: float = 0.0
    ) -> float:
        """Seconds to wait after so many failures in a row (from 1 on); `jitter` is a random number in 0..1.

        At least `retry_after`; else at most `longest`. `first`, where it is more than the policy's own, replaces it.
        """
        bound = max(self.first, first) * 2.0 ** min(failures - 1, _DOUBLINGS)
        return max(jitter * min(self.longest, bound), retry_after or 0.0)


REQUEST = Backoff(tries=6, first=0.5, longest=60.0, patience=600.0)
"""One request to an exchange."""

RECONNECT = Backoff(first=1.0, longest=60.0)
"""A stream that was lost: connected again without end, and the reason is shown meanwhile."""

SOURCE = Backoff(tries=3)
"""Requests in a row that a source did not answer, each after REQUEST: the rest of a backfill is left for the next call."""

COMMIT = Backoff(tries=60, first=0.008, longest=0.5)
"""A commit to the lake that another writer's commit preceded."""


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds until the instant of a Retry-After header (RFC 9110, 10.2.3: a count of seconds, or an HTTP date).

    None without the header, and where it holds neither form.
    """
    text = (header or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
