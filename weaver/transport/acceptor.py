"""Accepts connections on a listening socket, and can stop without losing one.

This file exists because an `asyncio.Server` drops the connections that it has accepted but not
yet handed over when it closes, and those that wait in the kernel's queue. It must not know what
is spoken on a connection.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from weaver.transport import handover
from weaver.transport.listening import BACKLOG

_log = logging.getLogger("weaver.transport")

_BATCH = 64  # connections accepted in one turn of the loop, so that open ones get their turn too
_REST = 1.0  # seconds without accepting after it has failed


class Acceptor:
    """Makes a protocol by `create` for every connection on `sock`, which it owns.

    The protocols run in the context in which `start()` was called; with `tls` they begin after
    its handshake. With a `receiver`, which it owns as well, it also takes the connections that
    other processes hand over there; they are plain, and their protocols made by `adopt`.
    """

    def __init__(
        self,
        sock: socket.socket,
        create: Callable[[], asyncio.BaseProtocol],
        *,
        tls: ssl.SSLContext | None = None,
        receiver: socket.socket | None = None,
        adopt: Callable[[], asyncio.BaseProtocol] | None = None,
    ) -> None:
        self._sock = sock
        self._receiver = receiver
        self._tls = tls
        self._create = create
        self._adopt = adopt or create
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._rests: dict[socket.socket, asyncio.TimerHandle] = {}
        self.accepting = False

    def start(self) -> None:
        """Accept from now on. May be called twice."""
        if self.accepting or self._sock.fileno() < 0:
            return
        self.accepting = True
        self._loop.add_reader(self._sock, self._accept_one)
        if self._receiver is not None:
            self._loop.add_reader(self._receiver, self._receive)

    def pause(self) -> None:
        """Leave what comes to other processes that have these sockets. May be called twice."""
        self.accepting = False
        for timer in self._rests.values():
            timer.cancel()
        self._rests.clear()
        for sock in (self._sock, self._receiver):
            if sock is not None and sock.fileno() >= 0:
                self._loop.remove_reader(sock)

    async def finish(self) -> None:
        """Take the connections that clients have made until now, and close the sockets.

        Returns when all of them have their protocol. Where it does not accept it takes none. May be
        called twice.
        """
        for _ in range(BACKLOG // _BATCH if self.accepting else 0):  # all that a queue can hold
            if not self._accept():
                break
        self.close()
        await self.connected()

    async def connected(self) -> None:
        """Wait until everything accepted so far has its protocol."""
        if self._connecting:
            await asyncio.wait(self._connecting)

    def close(self) -> None:
        """Close the sockets; what waits in their queues is for others. May be called twice."""
        self.pause()
        self._sock.close()
        if self._receiver is not None:
            self._receiver.close()

    def _accept_one(self) -> None:
        """Accept one connection; the loop comes back for the next, as other processes do.

        Whoever took all that waits would serve all clients of a moment alone.
        """
        self._accept(1)

    def _accept(self, most: int = _BATCH) -> bool:
        """Accept a batch; whether there may be more."""
        for _ in range(most):
            try:
                connection, _peer = self._sock.accept()
            except BlockingIOError:
                return False
            except ConnectionAbortedError:
                continue  # that client has gone already
            except OSError as error:  # out of file descriptors, most of the time
                if error.errno == errno.EINVAL:  # another process has ended it for all
                    self._loop.remove_reader(self._sock)
                    return False
                self._rest(self._sock, self._accept_one, error)
                return False
            self._begin(connection, self._create, self._tls)
        return True

    def _receive(self) -> None:
        """Take a batch of what others hand over."""
        assert self._receiver is not None
        for _ in range(_BATCH):
            try:
                connection = handover.receive(self._receiver)
            except OSError as error:
                self._rest(self._receiver, self._receive, error)
                return
            if connection is None:
                return
            self._begin(connection, self._adopt, None)

    def _rest(self, sock: socket.socket, read: Callable[[], object], error: OSError) -> None:
        _log.error("cannot accept connections for now: %s", error)
        self._loop.remove_reader(sock)
        if sock in self._rests:
            self._rests[sock].cancel()
        self._rests[sock] = self._loop.call_later(_REST, self._loop.add_reader, sock, read)

    def _begin(
        self,
        connection: socket.socket,
        create: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        task = self._loop.create_task(self._connect(connection, create, tls))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(
        self,
        connection: socket.socket,
        create: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(create, connection, ssl=tls)
        except OSError:  # the client has gone already
            with contextlib.suppress(OSError):
                connection.close()
