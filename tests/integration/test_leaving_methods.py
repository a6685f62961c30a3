"""Methods that raise what is no Exception, such as an exit: their callers are answered at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import weaver
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]

WITHIN = 20.0
"""Seconds for all answers of a test; the deadline of a call is 30 s."""


class LastWord(BaseException): ...


LEAVING: dict[str, type[BaseException]] = {
    "GeneratorExit": GeneratorExit,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "LastWord": LastWord,
}
ODD: dict[str, type[BaseException]] = {**LEAVING, "StopIteration": StopIteration}


@weaver.component
class Leaver:
    async def leave(self, how: str, *, later: bool) -> None:
        if later:
            await asyncio.sleep(0)
        raise LEAVING[how]("gone")

    async def items(self, how: str) -> AsyncIterator[int]:
        yield 1
        raise LEAVING[how]("gone")

    def leave_plain(self, how: str) -> None:
        raise ODD[how]("gone")

    async def stays(self) -> str:
        return "here"


@weaver.component
class Neighbour:
    leaver: Leaver

    async def relay(self, how: str) -> None:
        await self.leaver.leave(how, later=True)


def said(error: BaseException) -> str:
    """What was raised, whether it has arrived as itself or could not be rebuilt here."""
    if isinstance(error, weaver.RemoteApplicationError):
        return error.type_name.rpartition(".")[2]
    return type(error).__name__


def outcome_of(function: Callable[[str], None], how: str) -> str:
    """The same of a plain call: a future of asyncio cannot hold everything."""
    try:
        function(how)
    except BaseException as error:  # that is what it is about
        return said(error)
    return "nothing"


async def test_callers_are_answered_at_once_whatever_a_method_raises(weaver_app: MakeApp) -> None:
    async with weaver_app(Neighbour) as app:
        leaver = app.get(Leaver)
        async with asyncio.timeout(WITHIN):
            await callers_of_async_methods(leaver, app.get(Neighbour))
            await readers_of_streams(leaver)
            await callers_of_plain_methods(leaver, local=app.runner == "local")
            assert await leaver.stays() == "here"


async def callers_of_async_methods(leaver: Leaver, neighbour: Neighbour) -> None:
    calls: list[Callable[[str], Any]] = [
        lambda how: leaver.leave(how, later=False),
        lambda how: leaver.leave(how, later=True),
        neighbour.relay,
    ]
    for call in calls:
        for how in LEAVING:
            with pytest.raises(BaseException) as caught:  # noqa: PT011 # of any class
                await call(how)
            assert said(caught.value) == how


async def readers_of_streams(leaver: Leaver) -> None:
    for how in LEAVING:
        seen: list[int] = []
        with pytest.raises(BaseException) as caught:  # noqa: PT011 # of any class
            async for item in leaver.items(how):
                seen.append(item)  # noqa: PERF401 # the ones before the end count
        assert (seen, said(caught.value)) == ([1], how)


async def callers_of_plain_methods(leaver: Leaver, *, local: bool) -> None:
    for how in ODD:
        found = await asyncio.to_thread(outcome_of, leaver.leave_plain, how)
        told = {} if local else {"StopIteration": "RuntimeError"}  # as of a coroutine
        assert found == told.get(how, how)
