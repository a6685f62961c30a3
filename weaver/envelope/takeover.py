"""Listening sockets that go from one envelope to another, of the same user on the same host.

Decides how they travel, and whom they are given to. It must not know which are wanted, nor why.
"""

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from weaver.control.certificates import Certificates
from weaver.control.stream import Codec, Receiver, encode
from weaver.control.takeover import HandedOver, TakeOver
from weaver.envelope.held import Held
from weaver.errors import ProtocolError
from weaver.transport import handover

WITHIN: Final = 5.0
"""Seconds that another envelope has to answer; it only has to be running."""

_MOST: Final = 100  # descriptors in one read: the kernel takes no more than 253
_CHUNK: Final = 64 * 1024
_CLOSE_ON_EXEC: Final = socket.MSG_CMSG_CLOEXEC if sys.platform == "linux" else 0


def same_user(sock: socket.socket) -> bool:
    """Whether the other end of a Unix socket is a process of this user, as the kernel says."""
    if sys.platform != "linux":
        return True  # the directory of the socket lets nobody else in
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", credentials)
    return bool(uid == os.getuid())


class Taken(NamedTuple):
    """Listeners, which the taker owns, and the certificates of the versions that held them."""

    listeners: dict[str, Held]
    certificates: dict[str, Certificates]


def give(descriptor: int, listeners: Iterable[tuple[HandedOver, Held]]) -> None:
    """Send listeners over a connection on which nothing else waits to be sent. Raises OSError."""
    with socket.socket(fileno=os.dup(descriptor)) as sock:
        if not same_user(sock):
            raise PermissionError("listeners are given to processes of the same user only")
        for handed, held in listeners:
            data = encode(handed)
            if socket.send_fds(sock, [data], list(held.descriptors())) < len(data):
                raise BlockingIOError("whoever takes listeners over does not read")


async def take(path: str, wanted: TakeOver) -> Taken:
    """What the envelope at `path` has of it; nothing if it is gone."""
    taken = Taken({}, {})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError, ProtocolError):
            async with asyncio.timeout(WITHIN):
                await _ask(sock, path, wanted)
                await _receive(sock, wanted.listeners, taken)
    return taken


async def _ask(sock: socket.socket, path: str, wanted: TakeOver) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, path)
    if not same_user(sock):
        raise PermissionError("that is not an envelope of this user")
    await loop.sock_sendall(sock, encode(wanted))


async def _receive(sock: socket.socket, wanted: Mapping[str, str], taken: Taken) -> None:
    receiver: Receiver[Any] = Receiver(Codec(HandedOver))
    waiting: list[int] = []
    try:
        while True:
            await _readable(sock)
            try:
                data, descriptors, _, _ = socket.recv_fds(sock, _CHUNK, _MOST, _CLOSE_ON_EXEC)
            except BlockingIOError:
                continue
            if not data:
                return
            waiting += descriptors
            for message in receiver.feed(data):
                numbers, waiting[:3] = waiting[:3], []
                held = _held(numbers)
                if held is None:
                    return
                if message.certificates is not None:
                    taken.certificates[message.deployment] = message.certificates
                if message.listener in wanted and message.listener not in taken.listeners:
                    taken.listeners[message.listener] = held
                else:
                    held.close()
    finally:
        for number in waiting:
            os.close(number)


def _held(numbers: list[int]) -> Held | None:
    """Three received descriptors as a listener; None, and closed, if they are not one."""
    sockets: list[socket.socket] = []
    for number in numbers:
        try:
            sockets.append(socket.socket(fileno=number))
        except OSError:
            os.close(number)
    kinds = [sock.type for sock in sockets]
    if kinds != [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_DGRAM]:
        for sock in sockets:
            sock.close()
        return None
    for sock in sockets:
        sock.setblocking(False)
        sock.set_inheritable(False)
    listening, receiver, sender = sockets
    return Held(listening, handover.Pair(receiver, sender))


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        if not future.done():
            future.set_result(None)

    loop.add_reader(sock, readable)
    try:
        await future
    finally:
        loop.remove_reader(sock)
