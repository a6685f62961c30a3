"""Worker threads: bounded at work, unbounded (nearly) while they wait."""

import asyncio
import contextvars
import threading

import pytest

from weaver.proclet.paths import run_from_thread
from weaver.proclet.threads import Workers


async def test_no_more_than_its_places_work_at_once() -> None:
    workers = Workers(2)
    working = 0
    most = 0
    lock = threading.Lock()
    gate = threading.Event()
    both = threading.Event()

    def work() -> None:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
            if working == 2:
                both.set()
        gate.wait(30)
        with lock:
            working -= 1

    tasks = [asyncio.create_task(workers.run(work)) for _ in range(8)]
    await asyncio.to_thread(both.wait, 30)
    gate.set()
    await asyncio.gather(*tasks)
    workers.close()
    assert most == 2


async def test_a_waiting_worker_lends_its_place() -> None:
    workers = Workers(1)
    loop = asyncio.get_running_loop()

    async def inner(depth: int) -> int:
        return await workers.run(outer, depth)

    def outer(depth: int) -> int:
        if depth == 0:
            return 0
        found: int = run_from_thread(inner(depth - 1), loop)
        return 1 + found

    async with asyncio.timeout(30):
        assert await workers.run(outer, 50) == 50
        assert await workers.run(outer, 0) == 0
    workers.close()


async def test_context_variables_are_carried_and_do_not_come_back() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("test_threads.variable")
    variable.set("caller")
    workers = Workers(1)

    def work() -> str:
        seen = variable.get()
        variable.set("worker")
        return seen

    assert await workers.run(work) == "caller"
    assert variable.get() == "caller"
    workers.close()


async def test_a_cancelled_waiter_does_not_keep_a_place() -> None:
    workers = Workers(1)
    gate = threading.Event()
    first = asyncio.create_task(workers.run(gate.wait, 5))
    await asyncio.sleep(0)
    second = asyncio.create_task(workers.run(lambda: "never"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    assert await first
    async with asyncio.timeout(30):
        assert await workers.run(lambda: "next") == "next"
    workers.close()


async def test_errors_come_back_and_free_the_place() -> None:
    workers = Workers(1)

    def fail() -> None:
        raise KeyError("x")

    for _ in range(3):
        with pytest.raises(KeyError):
            await workers.run(fail)
    workers.close()
