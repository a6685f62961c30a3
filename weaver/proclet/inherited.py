"""The sockets that a replica has inherited of its envelope, and those it adds beside them."""

import socket
from pathlib import Path

from weaver.control.messages import Hosting
from weaver.control.private_socket import private_name
from weaver.proclet.http_sockets import Sockets
from weaver.transport import handover
from weaver.transport.listening import bind


def inherited_sockets(hosting: Hosting) -> dict[str, Sockets]:
    """The sockets of each listener; the descriptors of `hosting` are owned by them from now on.

    Raises ListenerError if a private one cannot be bound.
    """
    found: dict[str, Sockets] = {}
    try:
        for name, number in hosting.listeners.items():
            sock = socket.socket(fileno=number)
            sock.setblocking(False)
            sock.set_inheritable(False)
            ends = hosting.handover.get(name)
            found[name] = Sockets(sock, None if ends is None else handover.adopt(*ends))
        if hosting.private:
            for name, sockets in found.items():
                path = private_path(hosting, name)
                found[name] = sockets._replace(private=bind(f"unix:{path}"))
    except BaseException:
        for sockets in found.values():
            sockets.close()
        raise
    return found


def private_path(hosting: Hosting, listener: str) -> Path:
    """Where this incarnation serves a listener for an ingress of its host."""
    name = private_name(hosting.replica, hosting.incarnation, listener)
    return Path(hosting.directory) / name
