"""Tasks whose first step runs at once: most handlers end in it, and no loop ever sees them.

Python 3.12 can do that. Before, a task object that is not initialised stands for the handler during
its first step (`current_task()`, timeouts and task groups find it, and may cancel it); it becomes a
proper task, the same object, only when the handler suspends. That saves 40 % of the callee's CPU
per call and a turn of the loop (bench/calls.py); a proper task for each step would save nothing.
"""

import asyncio
import contextvars
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from weaver.proclet.going_on import going_on

_tasks: Final = cast("dict[Any, asyncio.Task[Any]]", asyncio.tasks._current_tasks)  # type: ignore[attr-defined] # noqa: SLF001
_Task: Final[Any] = asyncio.Task
_new: Final = _Task.__new__
_next: Final = next
_DONE: Final = object()


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
        task: asyncio.Task[None] = _new(_Task)
        _tasks[loop] = task  # what tasks themselves do around each step
        try:  # `next` ends without an exception: `send` raises one, 3 % of a small call
            yielded = own.run(_next, coroutine.__await__(), _DONE)
        finally:
            del _tasks[loop]
        if yielded is _DONE:
            return None
        requests = task.cancelling()
        task.__init__(going_on(coroutine, yielded), loop=loop, context=own)  # type: ignore[misc] # later on purpose
        for _ in range(requests):  # the handler cancelled itself while it ran
            task.cancel()
        return task
