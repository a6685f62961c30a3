"""Listeners as the runtime hands them to components: bound before start, drained at the end."""

import asyncio
import socket
from typing import Any

from weaver.component.values import Listener
from weaver.proclet.http import HttpServer
from weaver.transport.listening import address_of


class BoundListener(Listener):
    """A listener on a socket of ours. It serves one application at a time."""

    def __init__(self, name: str, sock: socket.socket, *, component: str, grace: float) -> None:
        super().__init__(name, address_of(sock))
        self._sock = sock
        self._component = component
        self._grace = grace
        self._serving: dict[HttpServer, asyncio.Future[None]] = {}
        self._stopping = False

    async def serve(self, app: Any) -> None:
        """Serve until the application stops; see `Listener.serve`."""
        if self._stopping:
            return
        server = HttpServer(app, self._sock.dup(), name=self._component, grace=self._grace)
        self._serving[server] = asyncio.get_running_loop().create_future()
        try:
            await server.serve()
        finally:
            self._serving.pop(server).set_result(None)

    async def drain(self) -> bool:
        """Stop accepting and answer what is in flight; whether anything was being served."""
        self._stopping = True
        self._sock.close()  # first: the servers' own copies then hold the only queue
        serving = dict(self._serving)
        for server in serving:
            server.stop()
        if serving:
            await asyncio.wait(serving.values(), timeout=self._grace + 1.0)
        return bool(serving)

    def close(self) -> None:
        """Give the address back at once; safe to call twice."""
        self._sock.close()
