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


async def until(
    tick: datetime,
    every: timedelta,
    now: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[object]],
    *,
    pause: float,
) -> AsyncIterator[None]:
    """Sleep until `tick`, yielding after each sleep of at most `pause` seconds, which notice a machine that was suspended.

    The slept seconds count too: where the clock is set back meanwhile, the wait ends at the next tick of the clock as it
    then is, so it is never longer than one `every` from there.
    """
    while (left := (tick - now()).total_seconds()) > 0:
        if left > every.total_seconds():
            tick = next_tick(now(), every)  # set back beyond a whole round
            continue
        await sleep(min(left, pause))
        yield


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
        async for _ in until(tick, schedule.every, now, sleep, pause=60.0):
            if stopped():
                return
        if schedule.span is not None and now() >= begin + schedule.span:  # suspended beyond the end
            return
