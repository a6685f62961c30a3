"""A client of HTTP/1.1 for tests under load: a tenth of what http.client takes, and stricter.

What an answer says besides status and length is not read. Anything that is no whole answer, or
more than that, is an OSError.
"""

import contextlib
import socket


class PlainClient:
    """One connection, which is made anew where it is closed; for one thread."""

    def __init__(self, address: str, timeout: float) -> None:
        host, port = address.rsplit(":", 1)
        self._at = (host.strip("[]"), int(port))
        self._host = address.encode()
        self._timeout = timeout
        self._socket: socket.socket | None = None

    def get(self, path: str) -> tuple[int, str]:
        """The status and the page. Raises OSError; the connection is closed then."""
        try:
            return self._get(path.encode())
        except (OSError, ValueError, IndexError) as error:
            self.close()
            if isinstance(error, OSError):
                raise
            raise ConnectionError(f"this is no answer: {error!r}") from error

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _get(self, path: bytes) -> tuple[int, str]:
        if self._socket is None:
            self._socket = socket.create_connection(self._at, self._timeout)
        self._socket.sendall(b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path, self._host))
        head, body = self._until_end_of_head(self._socket)
        lower = head.lower()
        length = int(lower.split(b"\r\ncontent-length:", 1)[1].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._more(self._socket)
        if len(body) > length:
            raise ValueError(f"{len(body) - length} bytes after the answer")
        if b"\r\nconnection: close" in lower:
            self.close()
        return int(head.split(b" ", 2)[1]), body.decode()

    def _until_end_of_head(self, connection: socket.socket) -> tuple[bytes, bytes]:
        said = self._more(connection)
        while b"\r\n\r\n" not in said:
            said += self._more(connection)
        head, _, body = said.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 "):
            raise ValueError(repr(head[:80]))
        return head + b"\r\n", body

    def _more(self, connection: socket.socket) -> bytes:
        received = connection.recv(65536)
        if not received:
            raise ConnectionResetError("the connection was closed before the answer had ended")
        return received
