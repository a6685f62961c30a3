"""The sockets that one listener is served on: the listening one, and those beside it.

It must not know what is spoken on them.
"""

import socket
from typing import NamedTuple

from weaver.transport import handover
from weaver.transport.certificate import Certificate
from weaver.transport.tls import Identity


class Beyond(NamedTuple):
    """A socket for other hosts, and whom it admits: processes of the deployment."""

    listening: socket.socket
    identity: Identity


class Sockets(NamedTuple):
    """What a listener is served on.

    On `pair`, connections come from and go to other processes. At `private`, a Unix socket, only
    our ingress connects, and at `beyond` only those of other hosts. With a `certificate`,
    `listening` speaks TLS.
    """

    listening: socket.socket
    pair: handover.Pair | None = None
    private: socket.socket | None = None
    certificate: Certificate | None = None
    beyond: Beyond | None = None

    def dup(self) -> "Sockets":
        """Copies of the descriptors, and the same certificate. Raises OSError."""
        pair = self.pair
        return Sockets(
            self.listening.dup(),
            None if pair is None else handover.Pair(pair.receiver.dup(), pair.sender.dup()),
            None if self.private is None else self.private.dup(),
            self.certificate,
            self.beyond and self.beyond._replace(listening=self.beyond.listening.dup()),
        )

    def close(self) -> None:
        """Close all of them here; safe to call twice."""
        self.listening.close()
        if self.pair is not None:
            self.pair.close()
        if self.private is not None:
            self.private.close()
        if self.beyond is not None:
            self.beyond.listening.close()
