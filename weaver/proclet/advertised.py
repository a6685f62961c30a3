"""The address at which a replica takes calls from other hosts: one of its host's own, never all.

Decides what may be listened on. It must not know how the address came to be known.
"""

import ipaddress

from weaver.errors import ListenerError
from weaver.transport.listening import split
from weaver.transport.tls import Identity

_FIX = "write the host's own IP address behind it in the hosts file: address=..."


def listening_address(advertise: str, identity: Identity | None) -> str:
    """Where to listen for other hosts, which know this one as `advertise`; any free port.

    Raises ListenerError for all interfaces at once, and where connections would not be encrypted.
    """
    host = advertise.removeprefix("[").removesuffix("]")
    found = _ip(host)
    if found is not None and found.is_unspecified:
        raise ListenerError(
            f"replicas do not listen for other hosts on {advertise}",
            why="that is every interface of this host, and no address that others can dial",
            fix=_FIX,
        )
    if identity is None:
        raise ListenerError(
            f"replicas do not listen for other hosts on {advertise}",
            why="this host was given no certificate, and calls between hosts are encrypted",
            fix="deploy again with the weaver that this replica comes from",
        )
    return f"[{host}]:0" if ":" in host else f"{host}:0"


def check_bound(advertise: str, bound: str) -> None:
    """Refuse what a name stands for on this host, but not on others. Raises ListenerError."""
    found = _ip(split(bound)[0])
    if found is None or not (found.is_loopback or found.is_unspecified):
        return
    if _ip(advertise.removeprefix("[").removesuffix("]")) == found:
        return
    raise ListenerError(
        f"other hosts cannot dial {advertise} as this one knows it",
        why=f"here, that name stands for {found}",
        fix=_FIX,
    )


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
