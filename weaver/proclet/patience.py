"""Nothing waits in silence: whoever waits longer than two seconds says in the log for what."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

FIRST_WORD_AFTER: Final = 2.0
"""Seconds before the first line; the next ones come after twice the time each."""

LAST_WORDS: Final = 1.0
"""Seconds that what was cancelled has to clean up, if it is not to be waited for."""

log = logging.getLogger("weaver")


async def patiently(awaitable: Awaitable[T], what: Callable[[], str] | str) -> T:
    """Await something, saying in the log what is waited for when it takes long."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    handle: asyncio.TimerHandle

    def say() -> None:
        nonlocal handle
        waited = loop.time() - began
        subject = what if isinstance(what, str) else what()
        log.warning("still waiting after %.0f s: %s", waited, subject)
        handle = loop.call_later(waited, say)

    handle = loop.call_later(FIRST_WORD_AFTER, say)
    try:
        return await awaitable
    finally:
        handle.cancel()


async def at_most(within: float, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` for at most so many seconds; then it is cancelled, and TimeoutError raised.

    Unlike under `asyncio.timeout`, work that ignores its cancellation is left behind.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait((task,), timeout=within)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        return task.result()
    task.cancel()
    await asyncio.wait((task,), timeout=LAST_WORDS)
    raise TimeoutError
