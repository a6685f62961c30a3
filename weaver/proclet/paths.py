"""What stands between a reference and the callee's method: one wrapper per concern.

Each takes the next function and returns one of the same kind (async, plain or stream). A co-located
call of a started component has none of them.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from types import CoroutineType
from typing import Any, Final, Protocol

from weaver.component.model import Method
from weaver.errors import DeadlineExceeded
from weaver.proclet import context
from weaver.proclet.going_on import rest
from weaver.proclet.threads import waiting
from weaver.rpc.methods import MethodCodec

Target = Callable[..., Any]

_COROUTINE: Final[type] = CoroutineType  # as an object that type checkers do not narrow by


def copying(method: Method, codec: MethodCodec, target: Target) -> Target:
    """Arguments and results as they would arrive in another process: copies, type-checked."""
    if method.kind == "stream":

        async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            args, kwargs = codec.copy_arguments(args, kwargs)
            async for item in closing(target(*args, **kwargs)):
                yield codec.copy_result(item)

        return stream
    if method.kind == "plain":

        def plain(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = codec.copy_arguments(args, kwargs)
            return codec.copy_result(target(*args, **kwargs))

        return plain

    async def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = codec.copy_arguments(args, kwargs)
        return codec.copy_result(await target(*args, **kwargs))

    return call


def uncounted() -> None:
    """Where nobody counts which calls leave the process."""


class Measure(Protocol):
    """What takes the duration of calls and counts those that raise."""

    errors: int

    def took(self, nanoseconds: int) -> None:
        """Count one duration."""
        ...


def measured(method: Method, edge: Measure, target: Target, *, stands_for: int = 1) -> Target:
    """Measure every call: for calls that leave the process, 0.2 us are nothing.

    Of co-located calls only some come here; each `stands_for` that many, and so does its error. A
    stream counts from its first request to its end.
    """
    clock = time.perf_counter_ns

    async def call(*args: Any, **kwargs: Any) -> Any:
        began = clock()
        try:
            return await target(*args, **kwargs)
        except Exception:
            edge.errors += stands_for
            raise
        finally:
            edge.took(clock() - began)

    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        began = clock()
        try:
            async for item in closing(target(*args, **kwargs)):
                yield item
        except Exception:
            edge.errors += stands_for
            raise
        finally:
            edge.took(clock() - began)

    def plain(*args: Any, **kwargs: Any) -> Any:
        began = clock()
        try:
            return target(*args, **kwargs)
        except Exception:
            edge.errors += stands_for
            raise
        finally:
            edge.took(clock() - began)

    return {"async": call, "stream": stream, "plain": plain}[method.kind]


def gated(
    method: Method, ready: Callable[[], Awaitable[None]], loop: asyncio.AbstractEventLoop,
    target: Callable[[], Target],
) -> Target:  # fmt: skip
    """Wait until the callee has started. `target` is asked afterwards, when it is known."""
    if method.kind == "stream":

        async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            await ready()
            async for item in closing(target()(*args, **kwargs)):
                yield item

        return stream
    if method.kind == "plain":

        def plain(*args: Any, **kwargs: Any) -> Any:
            run_from_thread(ready(), loop)
            return target()(*args, **kwargs)

        return plain

    async def call(*args: Any, **kwargs: Any) -> Any:
        await ready()
        return await target()(*args, **kwargs)

    return call


def limited(method: Method, label: str, seconds: float, target: Target) -> Target:
    """Give a call a deadline of its own: `options(timeout=)`."""

    def exceeded() -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{label} did not answer within {seconds:g} s",
            why="the call was made with options(timeout=…)",
            fix="allow more time, or find out what the method waits for",
        )

    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        clock = asyncio.get_running_loop().time
        when = clock() + seconds
        async with Closing(target(*args, **kwargs)) as items:
            while True:
                if clock() >= when:  # a timeout ends nothing that does not wait
                    raise exceeded()
                async with _until(when, exceeded):
                    item = await anext(items, _END)
                if item is _END:
                    return
                yield item

    def plain(*args: Any, **kwargs: Any) -> Any:
        # A thread cannot be interrupted: the caller returns in time, the method runs to its end.
        pool = ThreadPoolExecutor(1, thread_name_prefix="weaver-limited")
        with context.limited_to(time.monotonic() + seconds):
            future = pool.submit(contextvars.copy_context().run, target, *args, **kwargs)
        pool.shutdown(wait=False)
        with waiting():
            done, _ = concurrent.futures.wait([future], seconds)
        if not done:
            raise exceeded()
        return future.result()

    if method.kind == "async":
        return _limited_call(seconds, exceeded, target)
    return {"stream": stream, "plain": plain}[method.kind]


def _limited_call(
    seconds: float, exceeded: Callable[[], DeadlineExceeded], target: Target
) -> Target:
    """Only a call that waits gets a timer: one that does not took 15 us for it, and takes 2."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        when = asyncio.get_running_loop().time() + seconds
        called: CoroutineType[Any, Any, Any] = target(*args, **kwargs)
        if type(called) is not _COROUTINE:
            async with _until(when, exceeded):
                return await called
        token = context.deadline.set(min(when, context.deadline.get()))
        try:
            try:
                yielded = called.send(None)
            except StopIteration as end:
                return end.value
            with _told(asyncio.timeout_at(when), exceeded) as timeout:
                async with timeout:
                    return await rest(called, yielded)
        finally:
            context.deadline.reset(token)

    return call


@contextlib.asynccontextmanager
async def _until(when: float, exceeded: Callable[[], DeadlineExceeded]) -> AsyncGenerator[None]:
    """A timeout that travels, and ends in DeadlineExceeded."""
    with _told(asyncio.timeout_at(when), exceeded) as timeout:
        async with timeout:
            with context.limited_to(when):
                yield


@contextlib.contextmanager
def _told(
    timeout: asyncio.Timeout, exceeded: Callable[[], DeadlineExceeded]
) -> Generator[asyncio.Timeout]:
    """Whoever waits in this timeout is told so by DeadlineExceeded."""
    try:
        yield timeout
    except TimeoutError as error:
        if timeout.expired() and not isinstance(error, DeadlineExceeded):
            raise exceeded() from None
        raise


def hopping(method: Method, loop: asyncio.AbstractEventLoop, target: Target) -> Target:
    """For callers outside the application: they may run on another event loop."""
    if method.kind == "plain":
        return target
    if method.kind == "stream":

        async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            items = target(*args, **kwargs)
            here = asyncio.get_running_loop() is loop
            try:
                while True:
                    step = _next(items)
                    item = await (step if here else _hop(step, loop))
                    if item is _END:
                        return
                    yield item
            finally:
                close = items.aclose()
                await (close if here else _hop(close, loop))

        return stream

    async def call(*args: Any, **kwargs: Any) -> Any:
        coroutine = target(*args, **kwargs)
        if asyncio.get_running_loop() is loop:
            return await coroutine
        return await _hop(coroutine, loop)

    return call


_END: Final = object()


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items, _END)


async def _hop(coroutine: Any, loop: asyncio.AbstractEventLoop) -> Any:
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))


def run_from_thread(coroutine: Any, loop: asyncio.AbstractEventLoop) -> Any:
    """Run a coroutine on another thread's loop and wait for it, lending out this worker's place."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        with waiting():
            return future.result()
    except BaseException:
        future.cancel()
        raise


class Closing:
    """Closes an async iterator on the way out, at once, as `break` alone would not."""

    __slots__ = ("items",)

    def __init__(self, items: Any) -> None:
        self.items = items

    async def __aenter__(self) -> Any:
        return self.items

    async def __aexit__(self, *_error: object) -> None:
        close = getattr(self.items, "aclose", None)
        if close is not None:
            await close()


async def closing(items: Any) -> AsyncIterator[Any]:
    """Iterate over `items`, closing them however the iteration ends."""
    async with Closing(items):
        async for item in items:
            yield item
