"""Serves one web application on the sockets of one listener, in the running event loop.

uvicorn reads requests and writes responses; this file decides how a server starts, accepts, drains
and ends. uvicorn's own `Server` is not used: it installs signal handlers, exits the process when a
start fails, and drops requests that arrive while it stops. This file must not know of components
other than by the name it logs, nor how applications are told apart.
"""

import asyncio
import contextlib
import contextvars
import email.utils
import functools
import logging
import socket
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from weaver.errors import UsageError
from weaver.proclet.forwarded import Forwarded
from weaver.proclet.http_connection import PARSER, Connection
from weaver.proclet.http_peer import PeerConnection
from weaver.proclet.http_sockets import Sockets
from weaver.proclet.lifespan import Lifespan
from weaver.proclet.moving import Mover
from weaver.proclet.web_application import CLOSE, Application, Reported, WebApplication
from weaver.transport import handover
from weaver.transport.acceptor import Acceptor
from weaver.transport.tls import Identity

_log = logging.getLogger("weaver.http")

# How long connections without a request stay open after stop(): a client that connected, or sent
# on a kept-alive connection, just before is answered. Longer than a slow network's one-way delay.
LINGER = 0.25

# Longer than the idle time of the usual proxies and clients, so that they close first: a request
# can then not meet a connection that we are just closing.
KEEP_ALIVE = 75

LOOK: Final = 0.02
"""Seconds between two looks at what other processes have taken of it."""

UNTAKEN: Final = 1.0
"""Seconds until connections are taken back that no other process has taken."""


def prepare() -> None:
    """Import what every server imports when it begins, before replicas are forked."""

    async def nothing(_scope: object, _receive: object, _send: object) -> None: ...

    _config(nothing).load()


class HttpServer:
    """An ASGI or WSGI application on bound sockets; `name` is the component's, for the log.

    `grace` is the number of seconds that requests in flight get after `stop()`. The server owns
    `sockets` and closes them. Raises `UsageError` if `app` is neither ASGI nor WSGI.
    """

    def __init__(
        self, app: object, sockets: Sockets, *, name: str, grace: float, accepting: bool = True
    ) -> None:
        try:
            self._app = WebApplication(app, name)
        except BaseException:
            sockets.close()
            raise
        self._name = name
        self._sockets = sockets
        self._grace = grace
        self._accepting = accepting
        self._lifespan = Lifespan(self._app.app, name)
        self._stopping = asyncio.Event()
        self._others = False
        self._context: contextvars.Context | None = None
        self._connections: _Watched = _Watched()
        self._tasks: _Watched = _Watched()
        self._public = self._way_in(self._app)
        self._private = self._way_in(Forwarded(self._app, _server(sockets)))
        self._mover = Mover(self._connections, sockets.pair.sender if sockets.pair else None)

    async def serve(self) -> None:
        """Serve until `stop()`, then finish what is in flight and return.

        Raises `StartError` if the application's lifespan refuses to start. Cancellation closes
        all connections at once.
        """
        if self._context is not None:
            raise UsageError("this server has served already", fix="create a new HttpServer")
        self._context = contextvars.copy_context()
        acceptors = self._acceptors()
        self._acceptor = acceptors[0]
        try:
            for way in (self._public, self._private):
                way.config.load()
            if not self._app.is_wsgi:
                await self._lifespan.start()
            for acceptor in acceptors[1:]:
                acceptor.start()
            self._follow()
            await self._until_stopped()
            await self._drain(acceptors)
        finally:
            for acceptor in acceptors:
                acceptor.close()
            await self._close()

    def accept(self, *, accepting: bool) -> None:
        """Whether to take connections from the listener's sockets. May change at any time.

        Where not, idle connections are handed to whoever does, busy ones after their answer.
        WebSockets stay, and so does what TLS protects, but its answers ask clients to connect anew.
        """
        self._accepting = accepting
        if self._context is not None and not self._stopping.is_set():
            self._context.run(self._follow)

    def stop(self, *, others: bool = False) -> None:
        """Stop accepting; `serve()` returns when the requests in flight are answered.

        `others`: other processes accept on these sockets, and go on with idle connections.
        """
        self._others = others
        self._stopping.set()

    # --- connections ---

    def _acceptors(self) -> list[Acceptor]:
        """That of the listener's own sockets, and those of our ingress's."""
        listening, pair, private, certificate, beyond = self._sockets
        create = functools.partial(self._connect, self._public)
        acceptors = [
            Acceptor(
                listening,
                create,
                tls=None if certificate is None else certificate.context,
                receiver=None if pair is None else pair.receiver.dup(),
                adopt=functools.partial(create, received=True),
            )
        ]
        if private is not None:
            create = functools.partial(self._connect, self._private, private=True)
            acceptors.append(Acceptor(private, create))
        if beyond is not None:
            tls = beyond.identity.server()
            make = functools.partial(self._connect_peer, beyond.identity)
            acceptors.append(Acceptor(beyond.listening, make, tls=tls))
        return acceptors

    def _way_in(self, app: Application) -> "_WayIn":
        state = ServerState()
        state.connections = self._connections
        state.tasks = self._tasks
        return _WayIn(_config(app), state)

    def _connect(
        self, way: "_WayIn", *, received: bool = False, private: bool = False
    ) -> Connection:
        return Connection(
            way.config,
            way.state,
            self._lifespan.state,
            settled=self._mover.settled,
            received=received,
            private=private,
        )

    def _connect_peer(self, identity: Identity) -> Connection:
        way = self._private
        return PeerConnection(
            way.config, way.state, self._lifespan.state, settled=self._mover.settled, own=identity
        )

    def _follow(self) -> None:
        """Do as `accept` has said last."""
        self._set_default_headers()
        if self._accepting:
            self._mover.stop()
            self._acceptor.start()
        else:
            self._acceptor.pause()
            self._mover.start()

    # --- life ---

    async def _until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._set_default_headers()
            await _within(1.0, self._stopping.wait())

    async def _drain(self, acceptors: list[Acceptor]) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._grace
        if self._others or not self._accepting:
            self._mover.start()
        if not self._mover.active or self._sockets.certificate is not None:
            self._app.drain()  # else connections move, and their clients need not know
        self._set_default_headers()
        for acceptor in acceptors:
            await acceptor.finish()
        if self._accepting and not self._others:
            await self._take_back()  # nobody else will
        await _within(min(LINGER, self._grace), self._connections.until_empty())
        self._shut_down(movable=not self._mover.active)
        if self._mover.active:
            await _within(deadline - clock(), self._moved())
            self._mover.stop()
            self._app.drain()
            self._shut_down(movable=True)
        await _within(deadline - clock(), self._connections.until_empty())
        await _within(deadline - clock(), self._tasks.until_empty())
        if not await _within(max(deadline - clock(), 1.0), self._lifespan.stop()):
            _log.warning("%s: the web application took too long to stop", self._name)

    async def _moved(self) -> None:
        """Until every connection has moved or ended; those that nobody takes are taken back."""
        clock = asyncio.get_running_loop().time
        pair = self._sockets.pair
        assert pair is not None
        taken = clock()
        while clock() - taken < UNTAKEN:
            if not (self._accepting and handover.waits(pair.receiver)):
                taken = clock()
                if not self._connections:
                    return
            await asyncio.sleep(LOOK)
        self._mover.stop()
        await self._take_back()
        await _within(LINGER, self._connections.until_empty())

    async def _take_back(self) -> None:
        pair = self._sockets.pair
        if pair is None:
            return
        loop = asyncio.get_running_loop()
        create = functools.partial(self._connect, self._public, received=True)
        with contextlib.suppress(OSError):  # no descriptor is left
            while (connection := handover.receive(pair.receiver)) is not None:
                try:
                    await loop.connect_accepted_socket(create, connection)
                except OSError:  # the client has gone already
                    connection.close()

    def _set_default_headers(self) -> None:
        date = (b"date", email.utils.formatdate(usegmt=True).encode())
        self._private.state.default_headers = [date]
        leaving = self._sockets.certificate and not self._accepting and not self._stopping.is_set()
        self._public.state.default_headers = [date, CLOSE] if leaving else [date]

    def _shut_down(self, *, movable: bool) -> None:
        for connection in self._connections.copy():
            if isinstance(connection, Connection) and connection.movable and not movable:
                continue
            try:
                connection.shutdown()  # closes idle ones now, busy ones after their response
            except Exception:  # noqa: BLE001 - a parser that has failed refuses to end in order
                connection.transport.abort()

    async def _close(self) -> None:
        self._app.drain()
        self._mover.stop()
        self._sockets.close()
        tasks = self._tasks.copy()
        for connection in self._connections.copy():
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        await self._lifespan.cancel()
        self._app.release()


class _WayIn(NamedTuple):
    """How connections of one kind are served: the application as they reach it, and its state."""

    config: Config
    state: ServerState


def _config(app: Application) -> Config:
    return Config(
        cast("Any", app),
        http=PARSER,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
    )


def _server(sockets: Sockets) -> tuple[str, int] | None:
    if sockets.listening.family == socket.AF_UNIX:
        return None
    host, port = sockets.listening.getsockname()[:2]
    return str(host), int(port)


class _Watched(set[Any]):
    """uvicorn's set of open connections or running requests, with a wait for its end."""

    def __init__(self) -> None:
        super().__init__()
        self._empty = asyncio.Event()

    def discard(self, element: object) -> None:
        super().discard(element)
        if not self:
            self._empty.set()

    def remove(self, element: object) -> None:
        super().remove(element)
        if not self:
            self._empty.set()

    async def until_empty(self) -> None:
        while self:
            self._empty.clear()
            await self._empty.wait()


async def _within(seconds: float, work: Coroutine[Any, Any, object]) -> bool:
    """Wait for `work`, for `seconds` at most, then cancel it; whether it was done in time."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await work
    except TimeoutError:
        return False
    return True


def _is_first_report(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], Reported))


# uvicorn reports a failed request once more; the filter drops nothing else.
logging.getLogger("uvicorn.error").addFilter(_is_first_report)
