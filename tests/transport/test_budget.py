import asyncio
import heapq
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundingdb.errors import BadCall
from fundingdb.fetchers.contract import Budget
from fundingdb.transport.budget import HEAD_ROOM, Limiter


class FakeTime:
    """A clock that moves only when all are asleep."""

    def __init__(self):
        self.now, self._sleepers, self._count = 1000.0, [], 0

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        done = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, done))
        await done

    async def run(self, *jobs):
        tasks = [asyncio.ensure_future(j) for j in jobs]
        while not all(t.done() for t in tasks):
            for _ in range(20):
                await asyncio.sleep(0)
            if self._sleepers and not all(t.done() for t in tasks):
                at, _, done = heapq.heappop(self._sleepers)
                self.now = max(self.now, at)
                if not done.cancelled():
                    done.set_result(None)
        return [t.result() for t in tasks]


def spend(costs, capacity, per_seconds, concurrent=1000, work=0.0):
    """(instant, weight) of each turn, in the order of asking."""

    async def main():
        time = FakeTime()
        limiter = Limiter(Budget("s", capacity, per_seconds, concurrent), clock=time.clock, sleep=time.sleep)
        given = []

        async def one(n, cost):
            async with limiter.turn(cost):
                given.append((n, time.now, cost))
                if work:
                    await time.sleep(work)

        await time.run(*(one(n, c) for n, c in enumerate(costs)))
        return given

    return asyncio.run(main())


@given(
    costs=st.lists(st.one_of(st.integers(1, 20), st.floats(0.1, 20)), min_size=1, max_size=40),
    capacity=st.integers(20, 60),
    per_seconds=st.sampled_from([0.1, 1.0, 60.0]),
    work=st.sampled_from([0.0, 0.03, 0.7]),
)
def test_no_window_ever_holds_more_than_the_capacity_and_turns_come_in_order(
    costs, capacity, per_seconds, work
):
    given = spend(costs, capacity, per_seconds, concurrent=5, work=work)
    assert [n for n, _, _ in given] == list(range(len(costs)))
    for _, begin, _ in given:
        assert sum(c for _, t, c in given if begin <= t <= begin + per_seconds) <= capacity + 1e-9


@pytest.mark.parametrize(
    ("capacity", "per_seconds", "cost"), [(100, 1.0, 1), (1200, 60.0, 20), (60, 60.0, 1)]
)
def test_the_budget_is_filled_to_99_percent(capacity, per_seconds, cost):
    count = int(10 * capacity / cost) + 1  # ten full windows, and the one turn that needs them over
    given = spend([cost] * count, capacity, per_seconds)
    took = given[-1][1] - given[0][1]
    assert took <= 10 * per_seconds / 0.99
    assert took >= 10 * per_seconds


def test_a_turn_waits_no_longer_than_it_must():
    given = spend([6, 4, 3, 3, 4], 10, 1.0)
    assert [round(t - 1000, 6) for _, t, _ in given] == [0, 0, HEAD_ROOM, HEAD_ROOM, HEAD_ROOM]


def test_uneven_ways_never_bring_too_much_into_a_window_of_the_exchange():
    async def main():
        time, delays = FakeTime(), itertools.cycle([0.9, 0.0, 0.3, 0.05])
        limiter = Limiter(Budget("s", 10, 1.0, 10), clock=time.clock, sleep=time.sleep)
        arrived = []

        async def one():
            async with limiter.turn(1):
                await time.sleep(next(delays))
                arrived.append(time.now)

        await time.run(*(one() for _ in range(200)))
        return arrived

    arrived = asyncio.run(main())
    assert max(sum(t <= u < t + 1.0 for u in arrived) for t in arrived) == 10


def test_a_pause_holds_the_whole_scope_and_the_longest_one_counts():
    async def main():
        time = FakeTime()
        limiter = Limiter(Budget("s", 10, 1.0, 8), clock=time.clock, sleep=time.sleep)
        limiter.pause(30)
        limiter.pause(5)
        seen = []

        async def one():
            async with limiter.turn(1):
                seen.append(time.now)

        await time.run(one(), one())
        return seen

    assert asyncio.run(main()) == [1030.0, 1030.0]


def test_a_pause_that_comes_while_one_waits_holds_it_too():
    async def main():
        time = FakeTime()
        limiter = Limiter(Budget("s", 1, 1.0, 8), clock=time.clock, sleep=time.sleep)
        seen = []

        async def one():
            async with limiter.turn(1):
                seen.append(time.now)

        async def warned():
            await time.sleep(0.5)
            limiter.pause(9.5)

        await time.run(one(), one(), warned())
        return seen

    assert asyncio.run(main()) == [1000.0, 1010.0]


def test_no_more_turns_at_once_than_allowed():
    async def main():
        time = FakeTime()
        limiter = Limiter(Budget("s", 1000, 1.0, 3), clock=time.clock, sleep=time.sleep)
        now = most = 0

        async def one():
            nonlocal now, most
            async with limiter.turn(1):
                now += 1
                most = max(most, now)
                await time.sleep(0.1)
                now -= 1

        await time.run(*(one() for _ in range(20)))
        return most

    assert asyncio.run(main()) == 3


def test_one_who_gives_up_waiting_blocks_nobody():
    async def main():
        time = FakeTime()
        limiter = Limiter(Budget("s", 1, 1.0, 2), clock=time.clock, sleep=time.sleep)

        async def one():
            async with limiter.turn(1):
                return time.now

        assert await time.run(one()) == [1000.0]
        gone = asyncio.ensure_future(one())
        for _ in range(20):
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        assert gone.cancelled()
        return await time.run(one())

    assert asyncio.run(main()) == [1000.0 + HEAD_ROOM]


@pytest.mark.parametrize("cost", [10.5, -1, float("nan")])
def test_a_cost_that_never_fits_is_refused(cost):
    with pytest.raises(BadCall, match=r"never fits the budget 's' of 10 per 1 s"):
        spend([cost], 10, 1.0)


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(BadCall, match="must be positive"):
        spend([1], 0, 1.0)
