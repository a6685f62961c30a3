"""Accepts connections on a listening socket, and can stop without losing one.

This file exists because an `asyncio.Server` drops the connections that it has accepted but not
yet handed over when it closes, and those that wait in the kernel's queue. It must not know what
is spoken on a connection.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable

from weaver.transport.listening import BACKLOG

_log = logging.getLogger("weaver.transport")

_BATCH = 64  # connections accepted in one turn of the loop, so that open ones get their turn too
_REST = 1.0  # seconds without accepting after it has failed


class Acceptor:
    """Makes a protocol by `create` for every connection on `sock`, which it owns.

    The protocols run in the context in which `start()` was called; with `tls` they begin after
    its handshake.
    """

    def __init__(
        self,
        sock: socket.socket,
        create: Callable[[], asyncio.BaseProtocol],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._create = create
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._pause = None
        self._loop.add_reader(self._sock, self._accept)

    async def finish(self) -> None:
        """Take the connections that clients have made until now, and close the socket.

        Returns when all of them have their protocol. May be called twice.
        """
        for _ in range(BACKLOG // _BATCH):  # all that the kernel's queue can hold
            if self._sock.fileno() < 0 or not self._accept():
                break
        self.close()
        if self._connecting:
            await asyncio.wait(self._connecting)

    def close(self) -> None:
        """Close the socket; what waits in its queue is refused. May be called twice."""
        if self._pause is not None:
            self._pause.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def _accept(self) -> bool:
        """Accept a batch; whether there may be more."""
        for _ in range(_BATCH):
            try:
                connection, _peer = self._sock.accept()
            except BlockingIOError:
                return False
            except ConnectionAbortedError:
                continue  # that client has gone already
            except OSError as error:  # out of file descriptors, most of the time
                self._rest(error)
                return False
            task = self._loop.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        return True

    def _rest(self, error: OSError) -> None:
        _log.error("cannot accept connections for now: %s", error)
        self._loop.remove_reader(self._sock)
        self._pause = self._loop.call_later(_REST, self.start)

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(self._create, connection, ssl=self._tls)
        except OSError:  # the client has gone already
            with contextlib.suppress(OSError):
                connection.close()
