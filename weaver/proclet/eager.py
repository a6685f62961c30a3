"""Tasks whose first step runs at once: most handlers end in it, and no loop ever sees them.

Python 3.12 can do that. Before, a task object that is not initialised stands for the handler during
its first step (`current_task()`, timeouts and task groups find it, and may cancel it); it becomes a
proper task, the same object, only when the handler suspends. That saves 40 % of the callee's CPU
per call and a turn of the loop (bench/calls.py); a proper task for each step would save nothing.
"""

import asyncio
import contextvars
import sys
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar, cast

T = TypeVar("T")

_tasks = cast("dict[Any, asyncio.Task[Any]]", asyncio.tasks._current_tasks)  # type: ignore[attr-defined] # noqa: SLF001
_Task: Any = asyncio.Task


current_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None] = (
    asyncio.current_task if sys.version_info >= (3, 12) else _tasks.get
)
"""The task that runs on this loop, from the event loop's own thread; both are written in C."""


if sys.version_info >= (3, 12):

    def start_eagerly(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, None],
        own: contextvars.Context,
    ) -> asyncio.Task[None] | None:
        """Run the first step in the context `own`: the task that goes on with it, or None.

        None: that step was the last. What the coroutine raises in it is raised here.
        """
        if current_task(loop) is not None:  # one inside of another would confuse both
            return loop.create_task(coroutine, context=own)
        eager: asyncio.Task[None] = _Task(coroutine, loop=loop, context=own, eager_start=True)
        if not eager.done():
            return eager
        eager.result()
        return None

else:

    def start_eagerly(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, None],
        own: contextvars.Context,
    ) -> asyncio.Task[None] | None:
        """Run the first step in the context `own`: the task that goes on with it, or None.

        None: that step was the last. What the coroutine raises in it is raised here.
        """
        if loop in _tasks:
            return loop.create_task(coroutine, context=own)
        task: asyncio.Task[None] = _Task.__new__(_Task)
        _tasks[loop] = task  # what tasks themselves do around each step
        try:
            yielded = own.run(coroutine.send, None)
        except StopIteration:
            return None
        finally:
            del _tasks[loop]
        requests = task.cancelling()
        task.__init__(_going_on(coroutine, yielded), loop=loop, context=own)  # type: ignore[misc] # later on purpose
        for _ in range(requests):  # the handler cancelled itself while it ran
            task.cancel()
        return task


async def _going_on(coroutine: Coroutine[Any, Any, None], yielded: Any) -> None:
    await rest(coroutine, yielded)


@types.coroutine
def rest(coroutine: Coroutine[Any, Any, T], yielded: Any) -> Generator[Any, Any, T]:
    """What `yield from` does, from where the coroutine is: its first step has `yielded` this."""
    try:
        while True:
            try:
                sent = yield yielded
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 # the coroutine decides what to do with it
                yielded = coroutine.throw(error)
            else:
                yielded = coroutine.send(sent)
    except StopIteration as end:
        returned: T = end.value
        return returned
