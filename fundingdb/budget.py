"""One budget that an exchange meters, kept exactly: a log of what was spent, clock and sleep as arguments. No I/O."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fundingdb.errors import BadCall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fundingdb.fetchers.base import Budget

# The exchange counts when requests arrive, we when they leave: one that was slow on its way and a later one that was fast
# stand closer there than here. One hundredth more than the exchange's window (0.6 s of a minute) takes that up, and costs
# one hundredth of the pace.
HEAD_ROOM = 1.01


class Limiter:
    """At most `capacity` weight in ANY window of `per_seconds` (sliding, so in any fixed one too), first come first served.

    Fills the budget: a turn is given in the instant in which the log allows it. At most `concurrent` turns at once.
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
        self._spent = 0.0
        self._paused_until = float("-inf")
        self._line = asyncio.Lock()  # serves in order of arrival
        self._slots = asyncio.Semaphore(budget.concurrent)

    @asynccontextmanager
    async def turn(self, cost: float) -> AsyncIterator[None]:
        """Wait for a slot, then for the budget; the slot is given back at the end, the weight by time.

        Raises BadCall for a cost that is negative or that no window can hold.
        """
        if not 0 <= cost <= self.budget.capacity:
            raise BadCall(
                f"a request of weight {cost:g} never fits the budget {self.budget.scope!r} of "
                f"{self.budget.capacity:g} per {self.budget.per_seconds:g} s: ask for less at once"
            )
        async with self._slots:
            await self._spend(cost)
            yield

    def pause(self, seconds: float) -> None:
        """Give no turn for `seconds` from now, for the whole scope; a longer pause that runs already stays."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    async def _spend(self, cost: float) -> None:
        async with self._line:
            while (until := self._allowed_at(cost)) > (now := self._clock()):
                await self._sleep(until - now)
            self._log.append((self._clock() + self._window, cost))
            self._spent += cost

    def _allowed_at(self, cost: float) -> float:
        """The earliest instant at which `cost` fits, by what is known now."""
        now = self._clock()
        while self._log and self._log[0][0] <= now:
            self._spent -= self._log.popleft()[1]
        if not self._log:
            self._spent = 0.0  # no rounding is carried on
        until, left = self._paused_until, self._spent
        for free_at, weight in self._log:
            if left + cost <= self.budget.capacity:
                break
            until, left = max(until, free_at), left - weight
        return until
