"""Handlers of calls from other processes, where the loop ends before they do."""

import asyncio
import gc
import sys
from typing import Any

import pytest

import weaver
from weaver.proclet.definition import define
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.threads import Workers
from weaver.rpc.events import Outcome


@weaver.component
class Sleeper:
    async def sleep(self) -> None:
        await asyncio.get_running_loop().create_future()


class Answers:
    """A caller that notes what it is answered."""

    def __init__(self) -> None:
        self.failed: list[BaseException] = []

    def reply(self, call: int, body: bytes) -> None: ...

    def fail(self, call: int, error: BaseException) -> None:
        self.failed.append(error)

    def refuse(self, call: int, outcome: Outcome, why: str) -> None: ...

    async def item(self, call: int, body: bytes) -> None: ...

    def end(self, call: int) -> None: ...


@pytest.mark.filterwarnings("ignore:coroutine method")
def test_a_handler_that_its_loop_has_left_behind_ends_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    definition = define([Sleeper])
    name = next(iter(definition.graph.components))
    answers = Answers()
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)  # "Task was destroyed": it was

    begun: list[int] = []

    def begin() -> None:  # as a read does: no task is running
        workers = Workers(1)
        dispatcher = Dispatcher(definition.table, {name: Sleeper()}.__getitem__, workers)
        method = definition.table.of(name)["sleep"]
        body = method.arguments.encode((), {})
        assert dispatcher.begin(method.index, body, answers, 1, 1e9, b"") is not None
        begun.append(dispatcher.running)
        workers.close()

    loop.call_soon(begin)
    loop.run_until_complete(asyncio.sleep(0))
    assert begun == [1]
    loop.close()
    gc.collect()
    assert [str(one.exc_value) for one in said] == []
    assert answers.failed == []
