"""Many deadlines on one timer."""

import asyncio

import pytest

from weaver.proclet import context
from weaver.proclet.deadlines import NEVER, TICK, Deadlines


class Calls:
    """Deadlines by number, and when each was found to be due."""

    def __init__(self) -> None:
        self.pending: dict[int, float] = {}
        self.ended: list[tuple[int, float]] = []
        self.looks = 0
        self.done = asyncio.Event()
        self.deadlines = Deadlines(asyncio.get_running_loop(), self.look)

    def add(self, number: int, when: float) -> None:
        self.pending[number] = when
        self.deadlines.add(when)

    def look(self, now: float) -> float:
        self.looks += 1
        for number, when in list(self.pending.items()):
            if when <= now:
                del self.pending[number]
                self.ended.append((number, now))
        if not self.pending:
            self.done.set()
        return min(self.pending.values(), default=NEVER)

    async def wait(self) -> None:
        async with asyncio.timeout(30):
            await self.done.wait()
        self.deadlines.close()


async def test_calls_end_in_order_and_not_early() -> None:
    calls = Calls()
    now = asyncio.get_running_loop().time()
    wanted = {1: now + 0.1, 2: now + 0.01, 3: now + 0.2}
    for number, when in wanted.items():
        calls.add(number, when)
    await calls.wait()
    assert [number for number, _ in calls.ended] == [2, 1, 3]
    assert all(at >= wanted[number] for number, at in calls.ended)


async def test_equal_times_share_one_look_and_a_past_time_ends_soon() -> None:
    calls = Calls()
    for number in range(100):
        calls.add(number, asyncio.get_running_loop().time() - 1)
    await calls.wait()
    assert len(calls.ended) == 100
    assert calls.looks <= 2


async def test_calls_that_ended_meanwhile_cost_no_look() -> None:
    calls = Calls()
    now = asyncio.get_running_loop().time()
    for number in range(100):
        calls.add(number, now + 0.001 * number)
    calls.pending = {99: now + 0.099}
    await calls.wait()
    assert calls.looks <= 3


async def test_nothing_ends_after_close() -> None:
    calls = Calls()
    calls.add(1, asyncio.get_running_loop().time() + TICK)
    calls.deadlines.close()
    await asyncio.sleep(3 * TICK)
    assert calls.ended == []


@pytest.mark.parametrize(
    ("seconds", "whole"), [(2.0000001, 2000), (1.9999, 1999), (0.0004, 1), (10**9, 0xFFFFFFFF)]
)
def test_remaining_time_is_rounded_down_and_never_to_none(seconds: float, whole: int) -> None:
    assert context.whole_milliseconds(seconds) == whole
