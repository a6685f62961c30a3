"""The waiter of a call: woken inside of the read, and what its cancellation does."""

import asyncio
import time

import pytest

from weaver.proclet.answer import Answer


class Caller:
    """One call, whose answer a task awaits."""

    def __init__(self) -> None:
        self.given_up: list[Answer[bytes]] = []
        self.came = b""
        self.began = time.monotonic()
        self.answer = Answer[bytes](
            asyncio.get_running_loop(),
            self.given_up.append,
            call=1,
            label="Shop.buy",
            began=self.began,
            when=self.began + 1,
        )
        self.task = asyncio.create_task(self.wait())

    async def wait(self) -> None:
        self.came = await self.answer


async def test_the_waiter_goes_on_inside_of_the_read() -> None:
    caller = Caller()
    await asyncio.sleep(0)
    seen: list[bytes] = []
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)

    def read() -> None:
        caller.answer.wake(b"sold", caller.began + 0.25, at_once=done)
        seen.append(caller.came)

    asyncio.get_running_loop().call_soon(read)
    await caller.task
    assert seen == [b"sold"]
    assert caller.answer.took == pytest.approx(0.25)


async def test_cancelling_the_waiter_gives_the_call_up_once() -> None:
    caller = Caller()
    await asyncio.sleep(0)
    caller.task.cancel()
    caller.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller.task
    assert caller.given_up == [caller.answer]


async def test_a_waiter_that_is_cancelled_before_it_waits_gives_the_call_up() -> None:
    caller = Caller()

    async def cancelled() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await caller.answer

    caller.task.cancel()
    task = asyncio.create_task(cancelled())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caller.given_up == [caller.answer]


async def test_a_call_that_was_answered_is_not_given_up() -> None:
    caller = Caller()
    await asyncio.sleep(0)
    caller.answer.wake(b"sold", time.monotonic(), at_once=None)
    caller.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller.task
    assert caller.given_up == []
