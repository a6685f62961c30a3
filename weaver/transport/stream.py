"""One connected socket on the event loop, in the terms of whoever speaks on it.

This file decides how bytes get to the transport of asyncio or uvloop and back: one call for all
that is written in a turn, and word to the driver when the peer reads more slowly than we write.
It must not know what the bytes mean.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, cast

Buffer = bytes | bytearray | memoryview

HIGH_WATER: Final = 0
"""Bytes that the transport may hold before it asks the driver to pause.

What it holds, small frames cannot overtake any more. With 0 it also writes at once, not at the end
of the turn, and so tells at once that the kernel takes no more."""

ENCRYPTED: Final = 64 * 1024
"""The same under TLS: with 0, uvloop's layer of TLS pauses and never resumes."""

UNSENT: Final = 128 * 1024
"""Bytes that the kernel takes, about, before it can send them. On a link of 400 Mbit/s small calls
beside 4 x 1 MiB took 126 ms when it took as much as it liked, and take 40."""

STAGING: Final = 4 * 1024
"""Bytes that are read at most where it is not known yet where they belong; they are copied."""

QUIET: Final = 32
"""Reads without a large body after which none is expected any more."""

IDLE: Final = 3
"""Seconds without a byte, after which the other machine is asked whether it is there."""
LOST: Final = 6
"""Seconds that it may owe an answer, or what was sent its acknowledgement."""


class Driver(Protocol):
    """What acts on the bytes of one stream."""

    def receive(self, data: bytes) -> None:
        """Bytes have come."""
        ...

    def room(self) -> memoryview | None:
        """After `fill`: where the bytes that come next belong; None: they are to be received."""
        ...

    def filled(self, count: int) -> None:
        """So many bytes have been put there."""
        ...

    def pause(self) -> None:
        """The peer reads slowly: write nothing until `resume`."""
        ...

    def resume(self) -> None:
        """There is room again."""
        ...

    def lost(self, why: str) -> None:
        """The connection has ended, for a reason in words; called once, and nothing follows."""
        ...


class Stream(asyncio.Protocol):
    """Carries the bytes of one connection; `opened` makes the driver when there is one."""

    def __init__(self, opened: Callable[["Stream"], Driver]) -> None:
        self._opened = opened
        self._driver: Driver | None = None
        self._filling: Filling | None = None
        self._transport: asyncio.Transport | None = None

    def write(self, buffer: Buffer) -> None:
        """Write a buffer, which nobody may change any more."""
        try:
            self._transport.write(buffer)  # type: ignore[union-attr] # None is the rare case
        except (AttributeError, RuntimeError):
            if self._transport is not None and not self._transport.is_closing():
                raise

    def write_all(self, buffers: Sequence[Buffer]) -> None:
        """Write these buffers, which nobody may change any more."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.writelines(buffers)

    def fill(self) -> None:
        """Large bodies come: ask the driver from now on where the bytes belong."""
        if self._filling is None and self._transport is not None and self._driver is not None:
            self._filling = Filling(self, self._driver)
            self._transport.set_protocol(self._filling)

    def stop_filling(self) -> None:
        """Hand all that comes to the driver's `receive` again."""
        if self._filling is not None and self._transport is not None:
            self._filling = None
            self._transport.set_protocol(self)

    def close(self) -> None:
        """End the connection after what was written has left."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def fact(self, name: str) -> Any:
        """What the transport knows by a name of asyncio: "peercert", "sockname" and so on."""
        return self._transport.get_extra_info(name) if self._transport is not None else None

    # --- what the event loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection, and TLS if there is any, is ready."""
        self._transport = cast("asyncio.Transport", transport)
        encrypted = self._transport.get_extra_info("sslcontext") is not None
        self._transport.set_write_buffer_limits(high=ENCRYPTED if encrypted else HIGH_WATER)
        hold_little(self._transport.get_extra_info("socket"))
        self._driver = self._opened(self)
        # The transport calls the driver itself, at once: a method in between costs 0.1 us a read.
        self.data_received = self._driver.receive  # type: ignore[method-assign]
        self._transport.set_protocol(self)

    def pause_writing(self) -> None:
        """The transport holds more than it should."""
        if self._driver is not None:
            self._driver.pause()

    def resume_writing(self) -> None:
        """The transport has room again."""
        if self._driver is not None:
            self._driver.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        driver, self._driver, self._transport, self._filling = self._driver, None, None, None
        if driver is not None:
            driver.lost(f"the connection broke: {exc}" if exc else "the peer went away")


class Filling(asyncio.BufferedProtocol):
    """In the place of a stream while large bodies come: the kernel puts them where they belong.

    What the loop calls otherwise is the stream's. Reads cost 0.3 us more, so it is not for always.
    """

    def __init__(self, stream: Stream, driver: Driver) -> None:
        self._staging = memoryview(bytearray(STAGING))
        self._filled = driver.filled
        self._quiet = 0
        self._receive = driver.receive
        self._room: memoryview | None = None
        self._room_of = driver.room
        self._stream = stream
        self.connection_lost = stream.connection_lost  # type: ignore[method-assign]
        self.pause_writing = stream.pause_writing  # type: ignore[method-assign]
        self.resume_writing = stream.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to."""
        del sizehint
        room = self._room = self._room_of()
        return self._staging if room is None else room

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read."""
        if self._room is not None:
            self._room = None
            self._quiet = 0
            self._filled(nbytes)
            return
        self._quiet += 1
        self._receive(bytes(self._staging[:nbytes]))
        if self._quiet > QUIET:
            self._stream.stop_filling()


def send_at_once(sock: socket.socket) -> None:
    """Switch Nagle's delay off on a TCP socket; asyncio does so for some sockets only."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def hold_little(sock: Any) -> None:
    """Let the kernel take little on a TCP socket that it cannot send yet: it would come first.

    As much as the network carries is on its way all the same. No effect where it is not known.
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)


def notice_loss(sock: socket.socket) -> None:
    """Let a TCP connection break when its other machine is gone, also while nothing is sent.

    Calls on their way there fail then, and those that may be are tried at another replica; else
    they would wait for their deadline. No effect on systems other than Linux.
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6) and sys.platform == "linux":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST * 1000)
