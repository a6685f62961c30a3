"""The items of one streaming call, from the read that brings them to whoever takes them."""

import asyncio
import collections
from typing import Final

WINDOW: Final = 32
"""Items of a stream that may be ahead of its reader."""


class ItemStream:
    """Items that have come and were not taken, at most a window of them."""

    def __init__(self, call: int, label: str, when: float, loop: asyncio.AbstractEventLoop) -> None:
        self.call = call
        self.label = label
        self.when = when
        self.done = False
        self._loop = loop
        self._items: collections.deque[bytes] = collections.deque()
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def add(self, item: bytes) -> None:
        """An item has come."""
        self._items.append(item)
        self._wake()

    def end(self) -> None:
        """No more will come."""
        self.done = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """No more will come, for this reason."""
        self._error = error
        self.end()

    async def next(self) -> bytes | None:
        """The next item, or None at the end; raises the error that ended the stream."""
        while not self._items:
            if self._error is not None:
                raise self._error
            if self.done:
                return None
            self._waiter = self._loop.create_future()
            await self._waiter
        return self._items.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
