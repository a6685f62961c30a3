"""Many deadlines on one timer."""

import asyncio

from weaver.proclet.deadlines import TICK, Deadlines


async def test_numbers_expire_in_order_and_not_early() -> None:
    loop = asyncio.get_running_loop()
    seen: list[tuple[int, float]] = []
    done = asyncio.Event()

    def expired(number: int) -> None:
        seen.append((number, loop.time()))
        if len(seen) == 3:
            done.set()

    deadlines = Deadlines(loop, expired)
    now = loop.time()
    wanted = {1: now + 0.05, 2: now + 0.01, 3: now + 0.09}
    for number, when in wanted.items():
        deadlines.add(number, when)
    async with asyncio.timeout(5):
        await done.wait()
    assert [number for number, _ in seen] == [2, 1, 3]
    assert all(at >= wanted[number] - 0.002 for number, at in seen)
    deadlines.close()


async def test_equal_times_share_a_slot_and_a_past_time_expires_soon() -> None:
    loop = asyncio.get_running_loop()
    seen: list[int] = []
    deadlines = Deadlines(loop, seen.append)
    for number in range(100):
        deadlines.add(number, loop.time() - 1)
    async with asyncio.timeout(5):
        while len(seen) < 100:
            await asyncio.sleep(TICK)
    assert sorted(seen) == list(range(100))
    deadlines.close()


async def test_nothing_expires_after_close() -> None:
    loop = asyncio.get_running_loop()
    seen: list[int] = []
    deadlines = Deadlines(loop, seen.append)
    deadlines.add(1, loop.time() + TICK)
    deadlines.close()
    await asyncio.sleep(3 * TICK)
    assert seen == []
