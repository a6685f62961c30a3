"""A connection of the web server that the ingress of another host has made, over mutual TLS.

Decides who is served there: processes of the deployment, and nobody else. It must not know what
the ingress asks.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from weaver.proclet.http_connection import Connection
from weaver.transport.tls import Identity


class PeerConnection(Connection):
    """One whose peer has shown a certificate that the deployment's CA has signed.

    TLS has checked that; here it is compared with the name that `own` has, as OpenSSL does for
    clients only.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        app_state: dict[str, Any],
        *,
        settled: Callable[[Connection], None],
        own: Identity,
    ) -> None:
        super().__init__(config, state, app_state, settled=settled, private=True)
        self._own = own
        self._admitted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio: the handshake of TLS is over."""
        super().connection_made(transport)
        self._admitted = self._own.admits(transport.get_extra_info("peercert"))
        if not self._admitted:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of requests; of none that are not admitted."""
        if self._admitted:
            super().data_received(data)
