"""Nothing waits in silence: whoever waits longer than two seconds says in the log for what."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

FIRST_WORD_AFTER: Final = 2.0
"""Seconds before the first line; the next ones come after twice the time each."""

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
