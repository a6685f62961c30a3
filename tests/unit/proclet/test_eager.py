"""Handlers stepped at once are tasks in every respect that a handler can see."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import anyio
import pytest

from weaver.proclet.eager import start_eagerly

variable: contextvars.ContextVar[str] = contextvars.ContextVar("eager-test", default="none")


async def run(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Start it as a read does: from a callback of the loop, outside of any task."""
    loop = asyncio.get_running_loop()
    started: asyncio.Future[asyncio.Task[None] | None] = loop.create_future()

    def begin() -> None:
        try:
            started.set_result(start_eagerly(loop, coroutine, contextvars.Context()))
        except BaseException as error:
            started.set_exception(error)

    loop.call_soon(begin)
    return await started


async def test_a_handler_that_does_not_suspend_is_over_at_once() -> None:
    seen: list[object] = []

    async def handler() -> None:
        task = asyncio.current_task()
        seen.append(task)
        assert isinstance(task, asyncio.Task)
        assert task.cancelling() == 0
        variable.set("inside")

    assert await run(handler()) is None
    assert len(seen) == 1
    assert variable.get() == "none"


async def test_the_task_is_the_same_object_before_and_after_a_suspension() -> None:
    seen: list[object] = []

    async def handler() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        await asyncio.sleep(0.001)
        seen.append(asyncio.current_task())

    task = await run(handler())
    assert task is not None
    await task
    assert seen == [task] * 3


async def test_context_variables_last_over_suspensions_and_stay_inside() -> None:
    async def handler() -> None:
        assert variable.get() == "none"
        variable.set("mine")
        await asyncio.sleep(0)
        assert variable.get() == "mine"

    for _ in range(2):
        task = await run(handler())
        assert task is not None
        await task
    assert variable.get() == "none"


async def test_timeouts_task_groups_and_wait_for_work_from_the_first_step() -> None:
    results: list[object] = []

    async def handler() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            results.append(group.create_task(asyncio.sleep(0, "grouped")))
        results.append(await asyncio.wait_for(asyncio.sleep(0, "waited"), 30))
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.Event().wait())
                group.create_task(fail())
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep_forever()
        results.append(scope.cancelled_caught)

    async def fail() -> None:
        raise ValueError

    task = await run(handler())
    assert task is not None
    await task
    assert isinstance(results[0], asyncio.Task)
    assert results[1:] == ["waited", True]


async def test_a_timeout_entered_first_ends_a_handler_that_suspends_later() -> None:
    caught: list[str] = []

    async def handler() -> None:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            caught.append("timeout")

    task = await run(handler())
    assert task is not None
    await task
    assert caught == ["timeout"]


async def test_cancelling_reaches_the_handler_where_it_waits() -> None:
    caught: list[str] = []

    async def handler() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            caught.append("cancelled")
            raise

    task = await run(handler())
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caught == ["cancelled"]


async def test_a_handler_that_cancels_itself_is_cancelled_where_it_next_waits() -> None:
    after: list[str] = []

    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        after.append("never")

    task = await run(handler())
    assert task is not None
    with pytest.raises(asyncio.CancelledError):
        await task
    assert after == []


async def test_errors_of_the_first_step_and_of_later_ones_come_out() -> None:
    async def at_once() -> None:
        raise ValueError("first")

    async def later() -> None:
        await asyncio.sleep(0)
        raise ValueError("later")

    with pytest.raises(ValueError, match="first"):
        await run(at_once())
    task = await run(later())
    assert task is not None
    with pytest.raises(ValueError, match="later"):
        await task


async def test_what_a_future_raises_can_be_caught_and_the_handler_goes_on() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def handler() -> None:
        try:
            await future
        except KeyError:
            seen.append("caught")
        await asyncio.sleep(0)
        seen.append("went on")

    task = await run(handler())
    assert task is not None
    future.set_exception(KeyError())
    await task
    assert seen == ["caught", "went on"]


async def test_from_inside_a_task_it_is_an_ordinary_task() -> None:
    outer = asyncio.current_task()
    inner: list[object] = []

    async def handler() -> None:
        inner.append(asyncio.current_task())

    task = start_eagerly(asyncio.get_running_loop(), handler(), contextvars.Context())
    assert asyncio.current_task() is outer
    assert task is not None
    await task
    assert inner == [task]
