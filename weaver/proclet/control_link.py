"""A proclet's link to its envelope: messages both ways over the inherited socket.

It decides how messages are read, batched and written; what they mean is for its owner. It is never
on fd 1, so nothing an application prints can damage it.
"""

import asyncio
import collections
import contextlib
import socket
from collections.abc import Callable
from typing import Final

from weaver.control.messages import LogRecord, Logs, Message, ToProclet
from weaver.control.stream import Codec, Receiver, encode
from weaver.errors import ProtocolError

LOGS_KEPT: Final = 2_000
"""Log records that wait to be sent; older ones are dropped, and counted."""

LOGS_AT_ONCE: Final = 500
"""Records in one message, so that it stays far below the longest one that may be sent."""

LOGS_EVERY: Final = 0.05
"""Seconds between two messages of logs; the first goes at once: it may be the last words."""


class ControlLink(asyncio.Protocol):
    """Calls `receive` for every message and `lost` once when the envelope is gone."""

    def __init__(self, receive: Callable[[ToProclet], None], lost: Callable[[], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._receiver: Receiver[ToProclet] = Receiver(Codec(ToProclet))
        self._transport: asyncio.Transport | None = None
        self._records: collections.deque[LogRecord] = collections.deque()
        self._dropped = 0
        self._flush: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._paused = False

    async def open(self, control: socket.socket) -> None:
        """Take the socket over."""
        control.setblocking(False)
        await self._loop.create_unix_connection(lambda: self, sock=control)

    def send(self, message: Message) -> None:
        """Send a message, after the log records that came before it."""
        self._send_logs()
        self._write(message)

    def log(self, record: LogRecord) -> None:
        """Send a log record soon. May be called from any thread."""
        if len(self._records) >= LOGS_KEPT:
            with contextlib.suppress(IndexError):  # sent this moment
                self._records.popleft()
                self._dropped += 1
        self._records.append(record)
        if self._flush is None:
            try:
                self._loop.call_soon_threadsafe(self._arm)
            except RuntimeError:
                return  # the loop has ended

    def close(self) -> None:
        """Send what waits, then end the link; that is no loss, so `lost` is not called."""
        self._lost = _nothing
        self._send_logs()
        if self._flush is not None:
            self._flush.cancel()
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment] # uvloop's has no common base

    def data_received(self, data: bytes) -> None:
        """Bytes of the envelope."""
        try:
            for message in self._receiver.feed(data):
                self._receive(message)
        except ProtocolError:
            self.connection_lost(None)
            raise

    def connection_lost(self, exc: Exception | None) -> None:
        """The envelope has ended, or we have."""
        del exc
        self._transport = None
        lost, self._lost = self._lost, _nothing
        lost()

    def pause_writing(self) -> None:
        """The envelope does not read: log records wait, and the oldest go."""
        self._paused = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._paused = False
        self._send_logs()

    # --- sending ---

    def _arm(self) -> None:
        if self._flush is None:
            self._send_logs()
            self._flush = self._loop.call_later(LOGS_EVERY, self._fire)

    def _fire(self) -> None:
        self._flush = None
        if self._records:
            self._arm()

    def _send_logs(self) -> None:
        while self._records and not self._paused:
            # One by one: other threads add records meanwhile.
            some = min(len(self._records), LOGS_AT_ONCE)
            records = tuple(self._records.popleft() for _ in range(some))
            lost, self._dropped = self._dropped, 0
            self._write(Logs(records, lost))

    def _write(self, message: Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))


def _nothing() -> None:
    """Called in place of `lost` once it has been."""
