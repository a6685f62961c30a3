"""Serves one web application on one listening socket, in the running event loop.

uvicorn reads requests and writes responses; this file decides how a server starts, drains and
ends. uvicorn's own `Server` is not used: it installs signal handlers, exits the process when a
start fails, and drops requests that arrive while it stops. This file must not know of components
other than by the name it logs, nor how applications are told apart.
"""

import asyncio
import email.utils
import logging
import socket
from collections.abc import Coroutine
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from weaver.errors import UsageError
from weaver.proclet.lifespan import Lifespan
from weaver.proclet.web_application import Reported, WebApplication
from weaver.transport.acceptor import Acceptor

_log = logging.getLogger("weaver.http")

# How long connections without a request stay open after stop(): a client that connected, or sent
# on a kept-alive connection, just before is answered. Longer than a slow network's one-way delay.
LINGER = 0.25
# Longer than the idle time of the usual proxies and clients, so that they close first: a request
# can then not meet a connection that we are just closing.
PARSER = "h11"
"""uvicorn's other one, httptools, answers HTTP/1.0 in chunks, which its clients cannot read."""

KEEP_ALIVE = 75


def prepare() -> None:
    """Import what every server imports when it begins, before replicas are forked."""

    async def nothing(_scope: object, _receive: object, _send: object) -> None: ...

    app = cast("Any", nothing)
    Config(app, http=PARSER, interface="asgi3", lifespan="off", log_config=None).load()


class HttpServer:
    """An ASGI or WSGI application on a bound socket; `name` is the component's, for the log.

    `grace` is the number of seconds that requests in flight get after `stop()`. The server owns
    `sock` and closes it. Raises `UsageError` if `app` is neither ASGI nor WSGI.
    """

    def __init__(self, app: object, sock: socket.socket, *, name: str, grace: float) -> None:
        self._app = WebApplication(app, name)
        self._name = name
        self._sock = sock
        self._grace = grace
        self._lifespan = Lifespan(self._app.app, name)
        self._stopping = asyncio.Event()
        self._started = False
        self._state = ServerState()
        self._config = Config(
            cast("Any", self._app),
            http=PARSER,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        self._connections: _Watched = _Watched()
        self._tasks: _Watched = _Watched()
        self._state.connections = self._connections
        self._state.tasks = self._tasks

    async def serve(self) -> None:
        """Serve until `stop()`, then finish what is in flight and return.

        Raises `StartError` if the application's lifespan refuses to start. Cancellation closes
        all connections at once.
        """
        if self._started:
            raise UsageError("this server has served already", fix="create a new HttpServer")
        self._started = True
        acceptor = Acceptor(self._sock, self._connect)
        try:
            if not self._app.is_wsgi:
                await self._lifespan.start()
            self._config.load()
            acceptor.start()
            await self._until_stopped()
            await self._drain(acceptor)
        finally:
            acceptor.close()
            await self._close()

    def stop(self) -> None:
        """Stop accepting; `serve()` returns when the requests in flight are answered."""
        self._stopping.set()

    def _connect(self) -> asyncio.Protocol:
        create = cast("Any", self._config.http_protocol_class)
        protocol = create(
            config=self._config, server_state=self._state, app_state=self._lifespan.state
        )
        protocol.access_log = False  # Config's own switch would remove handlers for everybody
        return cast("asyncio.Protocol", protocol)

    async def _until_stopped(self) -> None:
        while not self._stopping.is_set():
            date = email.utils.formatdate(usegmt=True).encode()
            self._state.default_headers = [(b"date", date)]
            await _within(1.0, self._stopping.wait())

    async def _drain(self, acceptor: Acceptor) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._grace
        self._app.drain()
        await acceptor.finish()
        await _within(min(LINGER, self._grace), self._connections.until_empty())
        for connection in self._connections.copy():
            try:
                connection.shutdown()  # closes idle ones now, busy ones after their response
            except Exception:  # noqa: BLE001 - a parser that has failed refuses to end in order
                connection.transport.abort()
        await _within(deadline - clock(), self._connections.until_empty())
        await _within(deadline - clock(), self._tasks.until_empty())
        if not await _within(max(deadline - clock(), 1.0), self._lifespan.stop()):
            _log.warning("%s: the web application took too long to stop", self._name)

    async def _close(self) -> None:
        self._app.drain()
        tasks = self._tasks.copy()
        for connection in self._connections.copy():
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        await self._lifespan.cancel()
        self._app.release()


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
