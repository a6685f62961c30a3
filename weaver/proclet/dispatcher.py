"""Runs calls that arrive: decodes, finds the method, runs it with its deadline, answers.

Each call is a task with a context of its own, so that timeouts, task groups and context variables
work in a handler as anywhere. It knows nothing of bytes on a connection: it answers to a `Replies`.
"""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any, Final, Protocol

from weaver.proclet import context, tracing
from weaver.proclet.eager import start_eagerly
from weaver.proclet.paths import Closing
from weaver.proclet.threads import Workers
from weaver.rpc.events import Outcome
from weaver.rpc.methods import MethodCodec, MethodTable

MOST_RUNNING: Final = 1024
"""Calls of all peers that run at once in one process; more are refused, not queued."""

_set_deadline: Final = context.deadline.set


class Replies(Protocol):
    """How the answers to calls are sent, each known by its number."""

    def reply(self, call: int, body: bytes) -> None:
        """The result; ends the call."""
        ...

    def fail(self, call: int, error: BaseException) -> None:
        """What the method raised instead; ends the call."""
        ...

    def refuse(self, call: int, outcome: Outcome, why: str) -> None:
        """Why the method was not begun; ends the call."""
        ...

    async def item(self, call: int, body: bytes) -> None:
        """One item of a stream; returns when the caller has room for another."""
        ...

    def end(self, call: int) -> None:
        """The end of a stream; ends the call."""
        ...


class _Hosted:
    """One method with all that a call of it needs, looked up once."""

    __slots__ = (
        "arguments", "component", "context", "dated", "deadline", "function", "kind", "name",
        "result",
    )  # fmt: skip

    def __init__(self, codec: MethodCodec) -> None:
        self.component = codec.component
        self.name = codec.method.name
        self.kind = codec.method.kind
        self.arguments = codec.arguments
        self.result = codec.result
        self.function: Callable[..., Any] | None = None
        # Each call runs in a copy, which costs no more than an empty context.
        self.context = contextvars.Context()
        self.context.run(context.component.set, codec.component)
        # That of the last deadline: most calls of one read have the same.
        self.dated = self.context
        self.deadline = context.NEVER


class Dispatcher:
    """Runs the methods of the components of this process for callers elsewhere.

    `instance` finds a component by its full name, which stays the same one; KeyError says that it
    is not hosted here.
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
        self._methods = [_Hosted(codec) for codec in table.methods]
        self._instance = instance
        self._workers = workers
        self._loop = asyncio.get_running_loop()

    def begin(
        self,
        method: int,
        body: bytes | bytearray | memoryview,
        replies: Replies,
        call: int,
        deadline: float,
        metadata: bytes = b"",
        *,
        trace: bytes = b"",
    ) -> asyncio.Task[None] | None:
        """Run a call; the task of one that goes on, which cancelling cancels, else None.

        `deadline` is a time of the loop's clock; `trace` is set where the call belongs to a sampled
        one. A call beyond the limit is refused as overloaded.
        """
        if self.running >= self._most_running:
            replies.refuse(call, Outcome.OVERLOADED, "")
            return None
        hosted = self._methods[method]
        if deadline != hosted.deadline:
            hosted.dated = hosted.context.copy()
            hosted.dated.run(_set_deadline, deadline)
            hosted.deadline = deadline
        own = hosted.dated.copy()
        if trace:
            name = f"{hosted.component.rpartition('.')[2]}.{hosted.name}"
            span = tracing.of_call(trace, name, hosted.component)
            own.run(tracing.enter, span)
            replies = tracing.Replies(replies, span)
        coroutine = self._run(hosted, body, replies, call, metadata)
        return start_eagerly(self._loop, coroutine, own)

    def _find(self, hosted: _Hosted) -> Callable[..., Any] | None:
        try:
            hosted.function = getattr(self._instance(hosted.component), hosted.name)
        except KeyError:
            return None
        return hosted.function

    async def _run(
        self,
        hosted: _Hosted,
        body: Any,
        replies: Replies,
        call: int,
        metadata: bytes,
    ) -> None:
        self.running += 1
        try:
            if metadata:
                context.adopt(metadata)
            function = hosted.function or self._find(hosted)
            if function is None:
                replies.refuse(call, Outcome.REFUSED, f"{hosted.component} is not hosted here")
                return
            args, kwargs = hosted.arguments.decode(body)
            if hosted.kind == "async":
                replies.reply(call, hosted.result.encode(await function(*args, **kwargs)))
            elif hosted.kind == "plain":
                result = await self._workers.run(function, *args, **kwargs)
                replies.reply(call, hosted.result.encode(result))
            else:
                await _stream(hosted, function(*args, **kwargs), replies, call)
        except Exception as error:  # noqa: BLE001 # every error of the application is the caller's
            replies.fail(call, error)
        except BaseException as error:
            # Cancelled by the caller: nobody listens. Cancelled by the method itself, an attempt to
            # exit, or a GeneratorExit of the method: the caller must not be left waiting, nor this
            # process be ended. Where the loop has ended without it, nobody is left to answer.
            if not self._loop.is_running():
                raise
            replies.fail(call, error)
            if isinstance(error, GeneratorExit):
                return  # a task that asks for itself here may be one that is being collected
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        finally:
            self.running -= 1


async def _stream(hosted: _Hosted, generator: Any, replies: Replies, call: int) -> None:
    """Send the items of a streaming method as the caller takes them; the generator is closed."""
    async with Closing(generator) as items:
        async for item in items:
            await replies.item(call, hosted.result.encode(item))
    replies.end(call)
