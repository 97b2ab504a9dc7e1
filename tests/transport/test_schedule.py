import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from fundingdb.transport.schedule import Schedule, next_tick, run_rounds

T0 = datetime(2026, 3, 1, 10, 7, 30, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = T0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)


def rounds(
    schedule: Schedule, length: timedelta = timedelta(seconds=1), stop_after: int | None = None
) -> list[datetime]:
    clock, seen = Clock(), []

    async def one() -> int:
        clock.at += length
        return 1

    async def run() -> None:
        stopped = lambda: stop_after is not None and len(seen) >= stop_after  # noqa: E731
        async for at, _ in run_rounds(one, schedule, now=clock.now, sleep=clock.sleep, stopped=stopped):
            seen.append(at)

    asyncio.run(run())
    return seen


def test_the_first_round_is_at_once_and_the_others_on_the_clock():
    assert rounds(Schedule(timedelta(hours=1), count=3)) == [
        T0,
        datetime(2026, 3, 1, 11, tzinfo=UTC),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
    ]


def test_a_span_ends_the_rounds_before_the_tick_beyond_it():
    assert len(rounds(Schedule(timedelta(minutes=15), span=timedelta(hours=1)))) == 5


def test_ticks_that_pass_during_a_long_round_are_left_out():
    seen = rounds(Schedule(timedelta(minutes=5), count=2), length=timedelta(minutes=12))
    assert seen[1] == datetime(2026, 3, 1, 10, 20, tzinfo=UTC)


def test_a_stop_ends_the_rounds():
    assert len(rounds(Schedule(timedelta(minutes=5)), stop_after=2)) == 2


def test_the_next_tick_lies_after_now_even_on_a_tick():
    tick = datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert next_tick(tick, timedelta(hours=1)) == tick + timedelta(hours=1)


def test_a_machine_that_wakes_after_the_end_runs_no_further_round():
    at = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
    present, begun = [at], []

    async def suspended(_seconds):
        present[0] += timedelta(days=5)

    async def one():
        return None

    async def run():
        schedule = Schedule(timedelta(hours=1), timedelta(hours=24))
        async for began, _ in run_rounds(one, schedule, now=lambda: present[0], sleep=suspended):
            begun.append(began)

    asyncio.run(run())
    assert begun == [at]


def test_a_clock_set_back_or_forward_while_waiting_leaves_a_round_each_hour():
    for jump in (timedelta(days=-1), timedelta(minutes=-30), timedelta(days=1)):
        passed, offset, begun = [0.0], [timedelta(0)], []

        def present(passed=passed, offset=offset):
            return T0 + timedelta(seconds=passed[0]) + offset[0]

        async def sleep(seconds, passed=passed, offset=offset, jump=jump):
            passed[0] += seconds
            if passed[0] > 3.5 * 3600:
                offset[0] = jump

        async def one(passed=passed, begun=begun):
            begun.append(passed[0] / 3600)

        async def run(one=one, present=present, sleep=sleep):
            async for _ in run_rounds(one, Schedule(timedelta(hours=1), count=8), now=present, sleep=sleep):
                pass

        asyncio.run(run())
        assert max(b - a for a, b in pairwise(begun)) <= 1.6
