"""A connection for one thread: it blocks, and needs no event loop.

Plain callers use it: a hop through the loop's thread and back costs them 2.6 times the latency.
This file decides how such a connection waits and gives up; it carries one call at a time.
"""

import select
import socket
import ssl
import time

from weaver.errors import ProtocolError
from weaver.rpc import events
from weaver.rpc.connection import Connection
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.rpc.state import State
from weaver.transport.listening import split
from weaver.transport.stream import notice_loss, send_at_once
from weaver.transport.tls import Identity

_READ = 256 * 1024


class BlockingConnection:
    """An open connection to `address`; not for several threads at once.

    Raises OSError or ProtocolError if there is none within `within` seconds.
    """

    def __init__(
        self,
        address: str,
        hello: Hello,
        limits: Limits,
        *,
        identity: Identity | None = None,
        within: float,
    ) -> None:
        self._until = time.monotonic() + within
        self._connection = Connection(hello, limits)
        self._socket = _connected(address, within)
        self._over = False
        try:
            if identity is not None and identity.covers(address):
                self._socket = identity.client().wrap_socket(
                    self._socket, server_hostname=identity.name
                )
            self._shake_hands()
        except BaseException:
            self.close()
            raise

    def _shake_hands(self) -> None:
        self._send()
        while self._connection.state is State.NEW:
            for event in self._receive():
                if isinstance(event, events.Closed):
                    raise event.error or ProtocolError(event.why)

    @property
    def usable(self) -> bool:
        """Whether another call may be made, as far as is known without waiting."""
        while not self._over and self._connection.state is State.OPEN:
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            if not poll.poll(0):
                return True
            self._until = time.monotonic() + 1.0
            try:
                self._receive()  # word that the peer drains, or the end
            except TimeoutError:  # the rest of what TLS has begun does not come
                return False
        return False

    def call(
        self,
        method: int,
        body: bytes,
        *,
        deadline_ms: int,
        metadata: bytes,
        within: float,
        trace: bytes = b"",
    ) -> events.Reply | events.Failed:
        """Make a call and wait for what ends it, at most `within` seconds: then TimeoutError.

        Raises what `Connection.send_request` raises. After TimeoutError the connection is closed.
        """
        self._until = time.monotonic() + within
        connection = self._connection
        number = connection.send_request(
            method, body, deadline_ms=deadline_ms, trace=trace, metadata=metadata
        )
        try:
            happened = self._send()
            while True:
                for event in happened:
                    if isinstance(event, events.Reply | events.Failed):
                        return event
                happened = self._receive()
        except TimeoutError:
            connection.send_cancel(number)
            self._until = time.monotonic() + 0.1
            self._send()
            self.close()
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection; a call that another thread waits for ends as lost."""
        self._over = True
        self._connection.close()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is not connected any more
        finally:
            self._socket.close()

    def _receive(self) -> list[events.Event]:
        """Wait for bytes; what they make happen. Raises TimeoutError."""
        try:
            self._socket.settimeout(self._left())
            data = self._socket.recv(_READ)
        except TimeoutError:
            raise
        except (OSError, ssl.SSLError) as error:
            return self._connection.fail(f"the connection broke: {error.strerror or error}")
        happened = self._connection.receive(data) if data else self._connection.eof()
        if any(isinstance(event, events.PeerDraining) for event in happened):
            self._over = True
        if self._connection.queued:
            happened += self._send()
        return happened

    def _send(self) -> list[events.Event]:
        """Write all that is queued; the peer reads whatever it has to say itself."""
        try:
            while data := self._connection.data_to_send():
                self._socket.settimeout(self._left())
                self._socket.sendall(b"".join(data) if len(data) > 1 else data[0])
        except TimeoutError:
            raise
        except (OSError, ssl.SSLError) as error:
            return self._connection.fail(f"the connection broke: {error.strerror or error}")
        return []

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _connected(address: str, within: float) -> socket.socket:
    if not address.startswith("unix:"):
        sock = socket.create_connection(split(address), within)
        send_at_once(sock)
        notice_loss(sock)
        return sock
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(within)
        sock.connect(address.removeprefix("unix:"))
    except BaseException:
        sock.close()
        raise
    return sock
