"""Calls with a time limit of their own: what waits is cut short, what does not needs no timer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from weaver.component.model import Method
from weaver.errors import DeadlineExceeded
from weaver.proclet import context, paths


class Async:
    """All that a limit has to know of a method."""

    kind = "async"


def limited(target: Callable[..., Awaitable[Any]], seconds: float) -> Callable[..., Any]:
    return paths.limited(cast("Method", Async), "Callee.method", seconds, target)


async def test_what_does_not_wait_is_not_cut_short() -> None:
    async def slow() -> str:
        while asyncio.get_running_loop().time() < context.deadline.get():
            pass
        return "done"

    assert await limited(slow, 0.01)() == "done"


async def test_what_waits_is_cut_short_also_in_its_second_wait() -> None:
    ended: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.sleep(0)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(DeadlineExceeded, match="did not answer within"):
        await limited(waits, 0.01)()
    assert ended == ["cancelled"]
    assert context.deadline.get() == context.NEVER


async def test_a_deadline_that_the_callee_sets_holds_after_it_has_waited() -> None:
    async def tighter() -> tuple[float, float]:
        mine = asyncio.get_running_loop().time() + 5
        with context.limited_to(mine):
            await asyncio.sleep(0)
            return mine, context.deadline.get()

    mine, held = await limited(tighter, 50)()
    assert held == mine
    assert context.deadline.get() == context.NEVER


@pytest.mark.parametrize("waits", [False, True])
async def test_errors_of_the_callee_are_its_own(*, waits: bool) -> None:
    async def fails() -> None:
        if waits:
            await asyncio.sleep(0)
        raise TimeoutError("of mine")

    with pytest.raises(TimeoutError, match="of mine"):
        await limited(fails, 50)()


async def test_awaitables_that_are_no_coroutines_are_limited_too() -> None:
    def never() -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlineExceeded):
        await limited(never, 0.01)()
