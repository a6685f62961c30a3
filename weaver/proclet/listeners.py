"""Listeners as the runtime hands them to components: bound before start, drained at the end."""

import asyncio
import contextlib
import os
from typing import Any

from weaver.component.values import Listener
from weaver.proclet.http import HttpServer
from weaver.proclet.http_sockets import Sockets
from weaver.transport.listening import address_of


class BoundListener(Listener):
    """A listener on sockets of ours. It serves one application at a time."""

    def __init__(
        self, name: str, sockets: Sockets, *, component: str, grace: float, accepting: bool = True
    ) -> None:
        super().__init__(name, address_of(sockets.listening))
        self.private = "" if sockets.private is None else address_of(sockets.private)
        """Where an ingress of this host reaches this process, or ""."""
        beyond = sockets.beyond
        self.beyond = "" if beyond is None else f"tls:{address_of(beyond.listening)}"
        """Where one of another host does, or ""."""
        self._sockets = sockets
        self._component = component
        self._grace = grace
        self._accepting = accepting
        self._serving: dict[HttpServer, asyncio.Future[None]] = {}
        self._stopping = False

    async def serve(self, app: Any) -> None:
        """Serve until the application stops; see `Listener.serve`."""
        if self._stopping:
            return
        server = HttpServer(
            app,
            self._sockets.dup(),
            name=self._component,
            grace=self._grace,
            accepting=self._accepting,
        )
        if self._sockets.certificate is not None:
            self._sockets.certificate.watch()
        self._serving[server] = asyncio.get_running_loop().create_future()
        try:
            await server.serve()
        finally:
            self._serving.pop(server).set_result(None)

    def accept(self, *, accepting: bool) -> None:
        """Whether to take connections from the listener's sockets; see `HttpServer.accept`."""
        self._accepting = accepting
        for server in self._serving:
            server.accept(accepting=accepting)

    async def drain(self, *, others: bool = False) -> bool:
        """Stop accepting and answer what is in flight; whether anything was being served.

        `others`: other processes accept on these sockets, and go on with idle connections.
        """
        self._stopping = True
        self.close()  # first: the servers' own copies then hold the only queue
        serving = dict(self._serving)
        for server in serving:
            server.stop(others=others)
        if serving:
            await asyncio.wait(serving.values(), timeout=self._grace + 1.0)
        return bool(serving)

    def close(self) -> None:
        """Give the addresses back at once; safe to call twice."""
        self._sockets.close()
        if self._sockets.certificate is not None:
            self._sockets.certificate.close()
        private, self.private = self.private, ""
        if private:
            with contextlib.suppress(OSError):
                os.unlink(private.removeprefix("unix:"))  # noqa: PTH108 - one system call
