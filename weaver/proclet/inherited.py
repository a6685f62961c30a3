"""The sockets that a replica has inherited of its envelope, and those it adds beside them."""

import socket
from pathlib import Path

from weaver.control.messages import Hosting
from weaver.control.private_socket import private_name
from weaver.proclet.advertised import check_bound, listening_address
from weaver.proclet.http_sockets import Beyond, Sockets
from weaver.transport import handover
from weaver.transport.listening import address_of, bind
from weaver.transport.tls import identity_of


def inherited_sockets(hosting: Hosting) -> dict[str, Sockets]:
    """The sockets of each listener; the descriptors of `hosting` are owned by them from now on.

    Raises ListenerError if a private one, or one for other hosts, cannot be bound.
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
                found[name] = found[name]._replace(beyond=_beyond(hosting))
    except BaseException:
        for sockets in found.values():
            sockets.close()
        raise
    return found


def _beyond(hosting: Hosting) -> Beyond | None:
    """A socket at the host's address, if there are other hosts: encrypted, or there is none."""
    identity = identity_of(hosting.application.certificates)
    if not hosting.advertise or identity is None:
        return None
    sock = bind(listening_address(hosting.advertise, identity))
    try:
        check_bound(hosting.advertise, address_of(sock))
    except BaseException:
        sock.close()
        raise
    return Beyond(sock, identity)


def private_path(hosting: Hosting, listener: str) -> Path:
    """Where this incarnation serves a listener for an ingress of its host."""
    name = private_name(hosting.replica, hosting.incarnation, listener)
    return Path(hosting.directory) / name
