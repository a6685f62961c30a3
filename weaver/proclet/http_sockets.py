"""The sockets that one listener is served on: the listening one, and those beside it.

It must not know what is spoken on them.
"""

import socket
from typing import NamedTuple

from weaver.transport import handover
from weaver.transport.certificate import Certificate


class Sockets(NamedTuple):
    """What a listener is served on.

    On `pair`, connections come from and go to other processes. At `private`, a Unix socket, only
    our ingress connects. With a `certificate`, `listening` speaks TLS.
    """

    listening: socket.socket
    pair: handover.Pair | None = None
    private: socket.socket | None = None
    certificate: Certificate | None = None

    def dup(self) -> "Sockets":
        """Copies of the descriptors, and the same certificate. Raises OSError."""
        pair = self.pair
        return Sockets(
            self.listening.dup(),
            None if pair is None else handover.Pair(pair.receiver.dup(), pair.sender.dup()),
            None if self.private is None else self.private.dup(),
            self.certificate,
        )

    def close(self) -> None:
        """Close all of them here; safe to call twice."""
        self.listening.close()
        if self.pair is not None:
            self.pair.close()
        if self.private is not None:
            self.private.close()
