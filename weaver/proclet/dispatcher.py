"""Runs calls that arrive: decodes, finds the method, runs it with its deadline, answers.

Each call is a task with a context of its own, so that timeouts, task groups and context variables
work in a handler as anywhere. It knows nothing of bytes on a connection: it answers to a `Replies`.
"""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any, Final, Protocol

from weaver.proclet import context
from weaver.proclet.eager import start_eagerly
from weaver.proclet.paths import Closing
from weaver.proclet.threads import Workers
from weaver.rpc.events import Outcome
from weaver.rpc.methods import MethodCodec, MethodTable

MOST_RUNNING: Final = 1024
"""Calls of all peers that run at once in one process; more are refused, not queued."""


class Replies(Protocol):
    """How the answers to one call are sent."""

    def reply(self, body: bytes) -> None:
        """The result; ends the call."""
        ...

    def fail(self, error: BaseException) -> None:
        """What the method raised instead; ends the call."""
        ...

    def refuse(self, outcome: Outcome, why: str) -> None:
        """Why the method was not begun; ends the call."""
        ...

    def over(self) -> None:
        """Nothing more will be sent."""
        ...

    async def item(self, body: bytes) -> None:
        """One item of a stream; returns when the caller has room for another."""
        ...

    def end(self) -> None:
        """The end of a stream; ends the call."""
        ...


class Dispatcher:
    """Runs the methods of the components of this process for callers elsewhere.

    `instance` finds a component by its full name; KeyError says that it is not hosted here.
    """

    def __init__(
        self,
        table: MethodTable,
        instance: Callable[[str], Any],
        workers: Workers,
        *,
        most_running: int = MOST_RUNNING,
    ) -> None:
        self.running = 0
        self._most_running = most_running
        self._methods = table.methods
        self._instance = instance
        self._workers = workers
        self._loop = asyncio.get_running_loop()

    @property
    def has_room(self) -> bool:
        """Whether another call may begin; else it is to be refused as overloaded."""
        return self.running < self._most_running

    def begin(
        self,
        method: int,
        body: bytes | bytearray | memoryview,
        replies: Replies,
        deadline: float,
        metadata: bytes,
    ) -> asyncio.Task[None] | None:
        """Run a call; the task of one that goes on, which cancelling cancels, else None.

        `deadline` is a time of the loop's clock.
        """
        coroutine = self._run(self._methods[method], body, replies, deadline, metadata)
        return start_eagerly(self._loop, coroutine, contextvars.Context())

    async def _run(
        self, codec: MethodCodec, body: Any, replies: Replies, deadline: float, metadata: bytes
    ) -> None:
        self.running += 1
        try:
            context.deadline.set(deadline)
            context.component.set(codec.component)
            if metadata:
                context.adopt(metadata)
            try:
                instance = self._instance(codec.component)
            except KeyError:
                replies.refuse(Outcome.REFUSED, f"{codec.component} is not hosted by this replica")
                return
            args, kwargs = codec.arguments.decode(body)
            function = getattr(instance, codec.method.name)
            if codec.method.kind == "async":
                replies.reply(codec.result.encode(await function(*args, **kwargs)))
            elif codec.method.kind == "plain":
                result = await self._workers.run(function, *args, **kwargs)
                replies.reply(codec.result.encode(result))
            else:
                async with Closing(function(*args, **kwargs)) as items:
                    async for item in items:
                        await replies.item(codec.result.encode(item))
                replies.end()
        except Exception as error:  # noqa: BLE001 # every error of the application is the caller's
            replies.fail(error)
        except BaseException as error:
            # Cancelled by the caller: nobody listens. Cancelled by the method itself, or an
            # attempt to exit: the caller must not be left waiting, nor this process be ended.
            replies.fail(error)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        finally:
            self.running -= 1
            replies.over()
