"""Rounds aligned to the clock: the first at once, then at each full multiple of the span since midnight 1970 UTC."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A round each `every`, for at most `span` and at most `count` rounds (None: no such bound)."""

    every: timedelta
    span: timedelta | None = None
    count: int | None = None


def next_tick(at: datetime, every: timedelta) -> datetime:
    """The first full multiple of `every` after `at`."""
    return _EPOCH + ((at - _EPOCH) // every + 1) * every


async def run_rounds(
    one: Callable[[], Awaitable[T]],
    schedule: Schedule,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    stopped: Callable[[], bool] = lambda: False,
) -> AsyncIterator[tuple[datetime, T]]:
    """Yield (start of the round, result of `one`) round by round; ticks that pass during a long round are left out.

    Ends by the schedule, or when `stopped` is true after a round or a sleep.
    """
    begin, done = now(), 0
    while True:
        at = now()
        yield at, await one()
        done += 1
        tick = next_tick(now(), schedule.every)
        if schedule.count is not None and done >= schedule.count:
            return
        if schedule.span is not None and tick >= begin + schedule.span:
            return
        if stopped():
            return
        while (left := tick - now()) > timedelta(0):
            if left > schedule.every:  # the clock was set back: the next tick is that of the new time
                tick = next_tick(now(), schedule.every)
                continue
            # short sleeps: a machine that was suspended wakes on the clock
            await sleep(min(left.total_seconds(), 60.0))
            if stopped():
                return
        if schedule.span is not None and now() >= begin + schedule.span:  # suspended beyond the end
            return
