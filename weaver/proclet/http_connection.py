"""One client connection of the web server, which can move to another process between requests.

uvicorn reads and writes HTTP; this file decides when a connection is idle, so that nothing of it is
lost when another process goes on with it. It must not know when connections have to move.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from weaver.proclet.http_length import until_closed
from weaver.proclet.http_writing import Joining
from weaver.transport import handover

PARSER: Final = "httptools"
"""It takes a fifth of the CPU of uvicorn's other one, h11: 40 instead of 195 us a request."""

LONGEST_HEAD: Final = 64 * 1024
"""Bytes of a request's head after those it came with, at most; the parser itself has no limit."""


class Connection(HttpToolsProtocol):
    """A connection of a client; `settled` is called with it whenever it may have become idle.

    One that another process has handed over is `received`: it is closed when nothing comes. A
    `private` one is of our ingress, not of a client.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        app_state: dict[str, Any],
        *,
        settled: "Callable[[Connection], None]",
        received: bool = False,
        private: bool = False,
    ) -> None:
        super().__init__(config=config, server_state=state, app_state=app_state)
        self.access_log = False  # Config's own switch would remove handlers for everybody
        self._settled = settled
        self._received = received
        self._private = private
        self._reading = False  # a request has begun and is not complete
        self._head = -1  # bytes received since its head began; -1: no head is being read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio: it is open, and TLS, if any, is ready."""
        super().connection_made(transport)
        if self._received:  # it has been idle for a while; uvicorn's own time begins with an answer
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        self._settled(self)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of requests."""
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > LONGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of this request is too long.")

    def on_message_begin(self) -> None:
        """httptools: the first byte of a request."""
        self._reading = True
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """httptools: the head is complete. What is raised here refuses the request."""
        self._head = -1
        parser: Any = self.parser
        named = [name for name, _ in self.headers].count(b"host")
        if named > 1 or (not named and parser.get_http_version() == "1.1"):
            raise ValueError("a request of HTTP/1.1 names its host once")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """httptools: the request is complete."""
        self._reading = False
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.scope["method"] != "HEAD":
            cycle.transport = cast("asyncio.Transport", Joining(self.transport, self.loop))
        if cycle.scope["http_version"] == "1.0":
            app = until_closed(cycle, app)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """uvicorn: the answer has been written."""
        super().on_response_complete()
        self._settled(self)

    @property
    def movable(self) -> bool:
        """Whether it can move at all: where TLS ends here, its state would have to move, too."""
        return self.scheme != "https" and not self._private

    @property
    def idle(self) -> bool:
        """Whether no request has begun, and all of the last answer has left."""
        cycle: Any = self.cycle  # None before the first request
        return (
            not self._reading
            and (cycle is None or cycle.response_complete)
            and not self.pipeline
            and not self.transport.is_closing()
            and not self.transport.get_write_buffer_size()
        )

    def stay(self) -> None:
        """Go on here with what was held."""
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def hold(self) -> bool:
        """Read nothing more, if it is idle and can move; whether that is so."""
        if not self.movable or not self.idle:
            return False
        self.flow.pause_reading()
        return True

    def move(self, sender: socket.socket) -> bool:
        """Hand over what is held; else it goes on here.

        Call it when the loop has turned twice since `hold`: uvloop writes at the end of a turn, and
        does not count until then what is to be written.
        """
        if not self.idle:
            self.stay()
            return False
        sock = self.transport.get_extra_info("socket")
        if not handover.send(sender, sock.fileno()):
            self.stay()
            return False
        self._unset_keepalive_if_required()
        self.transport.abort()  # closes our descriptor, and nothing is sent: the other one lives
        return True
