"""Connects to an address of the data plane: "unix:/path" or "host:port", over TLS where asked.

This file decides how a connection is made and how long that may take; it must not know what is
spoken on it.
"""

import asyncio
import contextlib
import functools
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from weaver.errors import ListenerError
from weaver.transport.listening import split
from weaver.transport.stream import Driver, Stream, notice_loss, send_at_once
from weaver.transport.tls import Identity

P = TypeVar("P", bound=asyncio.BaseProtocol)


async def dial(
    address: str,
    opened: Callable[[Stream], Driver],
    *,
    identity: Identity | None = None,
    within: float,
) -> Stream:
    """A stream to `address`; `opened` makes its driver, `within` seconds.

    Raises OSError, saying why in `strerror`, if nobody answers there, or answers as another
    than one of our deployment (ssl.SSLError, a subclass).
    """
    if identity is not None and not identity.covers(address):
        identity = None
    try:
        async with asyncio.timeout(within):
            stream = await connect(address, lambda: Stream(opened), identity)
    except TimeoutError:
        raise TimeoutError(f"did not answer within {within:g} s") from None
    except ssl.SSLError:
        raise
    except OSError as error:
        number = error.errno or 0  # a resolver's are negative
        raise OSError(number, os.strerror(number) if number > 0 else str(error)) from error
    return stream


async def connect(address: str, create: Callable[[], P], identity: Identity | None) -> P:
    """A connection, over TLS with an identity; `create` makes its protocol. Raises OSError."""
    loop = asyncio.get_running_loop()
    sock = await _connected(loop, address)
    try:
        _, made = await loop.create_connection(
            create,
            sock=sock,
            ssl=identity.client() if identity else None,
            server_hostname=identity.name if identity else None,
        )
    except BaseException:
        sock.close()
        raise
    return made


async def _connected(loop: asyncio.AbstractEventLoop, address: str) -> socket.socket:
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target: str | tuple[str, int] = address.removeprefix("unix:")
    else:
        host, port = _target(address)
        family, target = await _resolved(loop, host, port)
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        send_at_once(sock)
        notice_loss(sock)
        await loop.sock_connect(sock, target)
    except BaseException:
        with contextlib.suppress(OSError):
            sock.close()
        raise
    return sock


def _target(address: str) -> tuple[str, int]:
    try:
        return split(address)
    except ListenerError as error:
        raise OSError(0, error.what) from error


async def _resolved(
    loop: asyncio.AbstractEventLoop, host: str, port: int
) -> tuple[socket.AddressFamily, tuple[str, int]]:
    with contextlib.suppress(ValueError):
        version = ipaddress.ip_address(host).version
        return socket.AF_INET if version == 4 else socket.AF_INET6, (host, port)
    # A thread of its own: those of the loop may all wait for this very connection.
    with_thread = ThreadPoolExecutor(1, thread_name_prefix="weaver-resolver")
    resolve = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    resolution = loop.run_in_executor(with_thread, resolve)
    with_thread.shutdown(wait=False)
    family, _, _, _, target = (await resolution)[0]
    return family, (str(target[0]), int(target[1]))
