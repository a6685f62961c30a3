"""A proclet's link to its envelope: messages both ways over the inherited socket.

It decides how messages are read, batched and written; what they mean is for its owner. It is never
on fd 1, so nothing an application prints can damage it. Bytes are written to the socket at once and
from any thread: what a loop would write later is lost when the process crashes.
"""

import asyncio
import collections
import contextlib
import select
import socket
import threading
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

UNREAD: Final = 256 * 1024
"""Bytes that wait for an envelope that does not read; log records then wait, and the oldest go."""

LAST_WORDS: Final = 1.0
"""Seconds that the end may take until the envelope has read what is left."""


class ControlLink(asyncio.Protocol):
    """Calls `receive` for every message and `lost` once when the envelope is gone."""

    def __init__(self, receive: Callable[[ToProclet], None], lost: Callable[[], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._receiver: Receiver[ToProclet] = Receiver(Codec(ToProclet))
        self._transport: asyncio.BaseTransport | None = None
        self._records: collections.deque[LogRecord] = collections.deque()
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()  # for the four below
        self._socket: socket.socket | None = None
        self._unsent = bytearray()
        self._blocked = False
        self._closed = False

    async def open(self, control: socket.socket) -> None:
        """Take the socket over."""
        control.setblocking(False)
        self._socket = control.dup()  # the loop knows the other descriptor, for reading
        await self._loop.create_unix_connection(lambda: self, sock=control)

    def send(self, message: Message) -> None:
        """Send a message, after the log records that came before it. For the loop's thread."""
        with self._lock:
            self._take_logs()
            self._unsent += encode(message)
            self._write()

    def log(self, record: LogRecord) -> None:
        """Send a log record soon. May be called from any thread."""
        if len(self._records) >= LOGS_KEPT:
            with contextlib.suppress(IndexError):  # sent this moment
                self._records.popleft()
                self._dropped += 1
        self._records.append(record)
        if self._timer is None:
            try:
                self._loop.call_soon_threadsafe(self._arm)
            except RuntimeError:
                return  # the loop has ended

    def flush(self) -> None:
        """Send the log records that wait now. May be called from any thread."""
        # Not waiting for the lock: whoever holds it may be this thread, whose garbage prints.
        if self._lock.acquire(blocking=False):
            try:
                self._take_logs()
                self._write()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Send what waits, then end the link; that is no loss, so `lost` is not called."""
        self._lost = _nothing
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._write_rest()
            self._closed = True
            if self._blocked and self._socket is not None:
                self._loop.remove_writer(self._socket)
            if self._socket is not None:
                self._socket.close()
                self._socket = None
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        self._transport = transport

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

    # --- sending ---

    def _arm(self) -> None:
        if self._timer is None and not self._closed:
            self.flush()
            self._timer = self._loop.call_later(LOGS_EVERY, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._records:
            self._arm()

    def _take_logs(self) -> None:
        while self._records and len(self._unsent) < UNREAD:
            # One by one: other threads add records meanwhile.
            some = min(len(self._records), LOGS_AT_ONCE)
            records = tuple(self._records.popleft() for _ in range(some))
            lost, self._dropped = self._dropped, 0
            self._unsent += encode(Logs(records, lost))

    def _write(self) -> None:
        """Write what the socket takes; the rest when it takes more."""
        while self._unsent and self._socket is not None:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                if not self._blocked:
                    self._blocked = True
                    with contextlib.suppress(RuntimeError):  # the loop has ended
                        self._loop.call_soon_threadsafe(self._wait_for_room)
                return
            except OSError:
                self._unsent.clear()  # nobody is there to read it
                return
            del self._unsent[:sent]

    def _write_rest(self) -> None:
        """Wait a little for an envelope that is slow: no loop will write this."""
        while self._socket is not None and (self._unsent or self._records):
            self._take_logs()
            self._write()
            poll = select.poll()
            poll.register(self._socket, select.POLLOUT)
            if self._unsent and not poll.poll(LAST_WORDS * 1000):
                return

    def _wait_for_room(self) -> None:
        if self._socket is not None:
            self._loop.add_writer(self._socket, self._has_room)

    def _has_room(self) -> None:
        with self._lock:
            self._write()
            self._take_logs()
            self._write()
            if not self._unsent and self._socket is not None:
                self._blocked = False
                self._loop.remove_writer(self._socket)


def _nothing() -> None:
    """Called in place of `lost` once it has been."""
