"""A byte stream to an envelope through a channel of an SSH connection.

Whatever paramiko does may block, on a full window or socket or a key exchange: two threads do it
for each link, and the event loop never waits.
"""

import asyncio
import contextlib
import threading
from collections import deque
from typing import Final

import paramiko

from weaver.deployers.deployer import UNREAD

READ: Final = 64 * 1024
AHEAD: Final = 32
"""Reads of the other end's bytes that may wait for `receive`; then the host has to wait."""
WRITE: Final = 256 * 1024
"""Bytes handed to paramiko at once: it copies what is left of them for each packet."""


class ChannelLink:
    """A link to the other end of a channel, which it owns; made in any thread."""

    def __init__(
        self, channel: paramiko.Channel, loop: asyncio.AbstractEventLoop, first: bytes = b""
    ) -> None:
        self._channel = channel
        self._loop = loop
        self._received: deque[bytes] = deque([first] if first else ())
        self._came = asyncio.Event()
        self._ahead = threading.Semaphore(AHEAD)
        self._unsent = bytearray()
        self._writable = threading.Condition()
        self._dropping = False
        self._closing = False
        channel.settimeout(None)
        for work, name in ((self._read, "reader"), (self._write, "writer")):
            threading.Thread(target=work, name=f"weaver-ssh-{name}", daemon=True).start()

    def send(self, data: bytes) -> None:
        """Send bytes; an envelope that does not read them loses its link."""
        with self._writable:
            if self._dropping:
                return
            self._unsent += data
            self._writable.notify()
            if len(self._unsent) <= UNREAD:
                return
        self.close()

    async def receive(self) -> bytes:
        """The bytes that come next, b"" once the stream has ended."""
        while not self._received:
            self._came.clear()
            await self._came.wait()
        if not self._received[0]:
            return b""  # stays, for whoever asks again
        self._ahead.release()
        return self._received.popleft()

    def close(self) -> None:
        """End the stream now; the threads end by themselves."""
        with self._writable:
            if self._closing:
                return
            self._closing = self._dropping = True
            self._unsent.clear()
            self._writable.notify()
        self._ahead.release()
        # paramiko sends a message for it.
        threading.Thread(target=self._end, name="weaver-ssh-closer", daemon=True).start()

    def _end(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()

    def _read(self) -> None:
        """Thread: from the channel to the event loop, until the channel ends."""
        data = b"..."
        while data:
            self._ahead.acquire()
            try:
                data = b"" if self._closing else self._channel.recv(READ)
            except (OSError, EOFError, paramiko.SSHException):
                data = b""
            try:
                self._loop.call_soon_threadsafe(self._take, data)
            except RuntimeError:  # the loop is closed: nobody reads any more
                return

    def _take(self, data: bytes) -> None:
        self._received.append(data)
        self._came.set()

    def _write(self) -> None:
        """Thread: to the channel, until the link closes or the channel takes no more."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            while data := self._next():
                self._channel.sendall(data)
        with self._writable:
            self._dropping = True
            self._unsent.clear()

    def _next(self) -> bytes:
        """The bytes to send next; waits for them. b"" once the link closes."""
        with self._writable:
            self._writable.wait_for(lambda: self._unsent or self._closing)
            data = bytes(self._unsent[:WRITE])
            del self._unsent[:WRITE]
            return data
