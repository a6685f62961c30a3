"""The head of a response and the begin of its body leave in one write where both are at hand.

uvicorn writes them one by one, and each write is a system call that wakes the client. This file
must not know what it writes.
"""

import asyncio
from typing import Final

COPIED: Final = 64 * 1024
"""Bytes of a second piece that may be copied to save a system call."""


class Joining:
    """A transport for one response that has a body: its first piece waits for the second.

    It waits until the end of this turn of the loop at most: then the second takes its time.
    """

    __slots__ = ("_first", "_loop", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._first: bytes | None = None
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Write this after what waits; the very first piece waits."""
        if self._first is None:
            self._first = data
            self._loop.call_soon(self._flush)
        elif self._first and len(data) <= COPIED:
            self._transport.write(self._first + data)
            self._first = b""
        else:
            self._flush()
            self._transport.write(data)

    def close(self) -> None:
        """Close the transport when all is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._first:
            self._transport.write(self._first)
            self._first = b""
