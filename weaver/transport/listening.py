"""Listening sockets: from an address as written in weaver.toml to a bound, listening socket.

This file decides how such a socket is made (its options are what the servers on top rely on) and
words every way in which that fails. It must not know what is served on it.
"""

import errno
import os
import socket
import stat
from pathlib import Path

from weaver.errors import ListenerError
from weaver.transport.port_owner import describe_port_owner

BACKLOG = 2048

_EXAMPLE = (
    'write "127.0.0.1:8080" (this host only), "0.0.0.0:8080" (all interfaces), "[::1]:8080" '
    'or "unix:/path/to.sock"'
)


def bind(address: str) -> socket.socket:
    """A non-blocking listening socket on `address`: "host:port", "[v6]:port" or "unix:/path".

    Port 0 lets the system choose (`address_of` tells). A Unix socket has mode 0600, and a stale
    one, which nobody listens on, is replaced. Raises `ListenerError`. Blocks while a host name is
    resolved. The caller owns the socket.
    """
    if address.startswith("unix:"):
        return _bind_unix(address, address.removeprefix("unix:"))
    host, port = split(address)
    return _bind_tcp(address, host, port)


def address_of(sock: socket.socket) -> str:
    """The address that `sock` is bound to, in the form that `bind` takes."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"


def split(address: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[v6]:port". Raises `ListenerError`."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        why = "it is a URL" if "://" in address else "an IPv6 address needs brackets"
        raise _bad_syntax(address, why)
    if not colon:
        raise _bad_syntax(address, "there is no port")
    if not host:
        raise _bad_syntax(address, "there is no host")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise _bad_syntax(address, f'"{port}" is not a port number (0 to 65535)')
    return host, int(port)


def _bad_syntax(address: str, why: str) -> ListenerError:
    return ListenerError(f'"{address}" is not an address to listen on', why=why, fix=_EXAMPLE)


def _bind_tcp(address: str, host: str, port: int) -> socket.socket:
    family, target = _resolve(address, host, port)
    # asyncio sets TCP_NODELAY on accepted connections only if the listening socket names its
    # protocol; without it every keep-alive answer waits 40 ms for Nagle and the delayed ACK.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _cannot_bind(address, port, error) from error
    return sock


def _resolve(address: str, host: str, port: int) -> tuple[int, tuple[object, ...]]:
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        raise ListenerError(
            f'the host name "{host}" is unknown',
            where=address,
            why=str(error),
            fix="use a name that resolves on this machine, or an IP address such as 127.0.0.1",
        ) from error
    # "localhost" should mean what the tools that connect to it try first.
    family, _, _, _, target = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, target


def _cannot_bind(address: str, port: int, error: OSError) -> ListenerError:
    if error.errno == errno.EADDRINUSE:
        return ListenerError(
            f"{address} is in use",
            where=address,
            why=describe_port_owner(port),
            fix="stop that process, or choose another port (0 lets the system choose)",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return ListenerError(
            f"no permission to listen on {address}",
            where=address,
            why="ports below 1024 belong to the administrator" if port < 1024 else str(error),
            fix="choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return ListenerError(
            f"{address} is not an address of this host",
            where=address,
            why=str(error),
            fix='use "0.0.0.0" for all interfaces, or 127.0.0.1 for this host only',
        )
    return ListenerError(f"cannot listen on {address}", where=address, why=str(error))


def _bind_unix(address: str, path: str) -> socket.socket:
    if not path:
        raise _bad_syntax(address, "there is no path")
    _remove_stale(address, path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(sock.fileno(), 0o600)  # the file has this mode from its first moment (Linux)
        sock.bind(path)
        Path(path).chmod(0o600)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise ListenerError(
            f"cannot listen on {address}",
            where=path,
            why=str(error),
            fix="use a path of at most 100 bytes in a directory that exists and you may write to",
        ) from error
    return sock


def _remove_stale(address: str, path: str) -> None:
    try:
        mode = Path(path).lstat().st_mode
    except OSError:
        return  # nothing there, or bind() will say what is wrong
    if not stat.S_ISSOCK(mode):
        raise ListenerError(
            f"cannot listen on {address}",
            where=path,
            why="there is a file of that name which is not a socket",
            fix="choose another path, or remove the file",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        outcome = probe.connect_ex(path)
    if outcome == errno.ECONNREFUSED:
        Path(path).unlink(missing_ok=True)
        return
    raise ListenerError(
        f"{address} is in use",
        where=path,
        why="a process is listening on it"
        if outcome in {0, errno.EAGAIN}
        else os.strerror(outcome),
        fix="stop that process, or choose another path",
    )
