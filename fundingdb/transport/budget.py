"""Keeps one request budget of an exchange exactly: a log of spent weight. Clock and sleep are arguments. No I/O."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fundingdb.fetchers.contract import Budget

# The exchange counts when requests arrive, which is some time between our sending and our receiving the response. So a weight
# counts from its turn until one window after its END: however unevenly requests travel, no window there holds too much. It
# costs one round trip a window (0.3 s of a minute). The five hundredth more is for clocks that run unlike ours.
HEAD_ROOM = 1.002
_ROUNDING = 1e-9  # of sums of weights


class Limiter:
    """At most `capacity` weight in ANY window of `per_seconds` (sliding, so in any fixed one too), first come first served.

    Uses the whole budget: a turn begins in the instant in which the log allows it. At most `concurrent` turns at once.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        if budget.capacity <= 0 or budget.per_seconds <= 0 or budget.concurrent < 1:
            raise BadCall(f"budget {budget}: capacity, per_seconds and concurrent must be positive")
        self.budget = budget
        self._clock, self._sleep = clock, sleep
        self._window = budget.per_seconds * HEAD_ROOM
        self._log: deque[tuple[float, float]] = deque()  # (instant at which it no longer counts, weight)
        self._spent = 0.0  # weight in the log
        self._under_way = 0.0  # weight of turns that have not ended
        self._ended = asyncio.Event()
        self._paused_until = float("-inf")
        self._line = asyncio.Lock()  # serves in order of arrival
        self._slots = asyncio.Semaphore(budget.concurrent)

    @asynccontextmanager
    async def turn(self, cost: float) -> AsyncIterator[None]:
        """Wait for a slot, then for the budget; the slot is given back at the end, the weight one window later.

        Raises BadCall for a cost that is negative or that no window can hold.
        """
        if not 0 <= cost <= self.budget.capacity:
            raise BadCall(
                f"a request of weight {cost:g} never fits the budget {self.budget.scope!r} of "
                f"{self.budget.capacity:g} per {self.budget.per_seconds:g} s: request less at once"
            )
        async with self._slots:
            await self._spend(cost)
            try:
                yield
            finally:
                self._under_way -= cost
                self._spent += cost
                self._log.append((self._clock() + self._window, cost))
                self._ended.set()

    def pause(self, seconds: float) -> None:
        """Give no turn for `seconds` from now, for the whole scope; a longer pause that runs already stays."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    async def _spend(self, cost: float) -> None:
        async with self._line:
            while (until := self._allowed_at(cost)) is None or until > self._clock():
                if until is None:
                    self._ended.clear()
                    await self._ended.wait()
                else:
                    await self._sleep(until - self._clock())
            self._under_way += cost

    def _allowed_at(self, cost: float) -> float | None:
        """The earliest instant at which `cost` fits, None while that hangs on turns that have not ended."""
        now = self._clock()
        while self._log and self._log[0][0] <= now:
            self._spent -= self._log.popleft()[1]
        if not self._log:
            self._spent = 0.0  # no rounding is carried on
        until, left = self._paused_until, self._spent + self._under_way
        for free_at, weight in self._log:
            if left + cost <= self.budget.capacity:
                return until
            until, left = max(until, free_at), left - weight
        return until if left + cost <= self.budget.capacity + _ROUNDING else None
