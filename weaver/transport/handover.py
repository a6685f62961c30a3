"""Moves established connections between processes: the pair of sockets that carries them.

Whoever accepts on a listening socket also takes from the pair's `receiver`; whoever stops accepting
puts its idle connections into `sender`. What waits is held by the kernel as long as any process has
the pair. This file decides how one connection travels; it must not know when it is idle.
"""

import contextlib
import os
import select
import socket
import sys
from typing import Final, NamedTuple

_TAG: Final = b"\x01"
"""What comes with a descriptor: an empty message would look like the end of the other side."""

_MOST: Final = 4
"""Descriptors taken with one message, so that none is lost unseen; one is sent."""

_ROOM: Final = 4 * 1024 * 1024
"""Bytes that may wait, as the kernel counts them: thousands of connections, if it grants it."""

_CLOSE_ON_EXEC: Final = socket.MSG_CMSG_CLOEXEC if sys.platform == "linux" else 0


class Pair(NamedTuple):
    """The two ends, not blocking; each may be held by many processes."""

    receiver: socket.socket
    sender: socket.socket

    def close(self) -> None:
        """Close both, here."""
        self.receiver.close()
        self.sender.close()


def make_pair() -> Pair:
    """A new pair, which the caller owns. Raises OSError."""
    receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for sock in (receiver, sender):
        sock.setblocking(False)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
    return Pair(receiver, sender)


def adopt(receiver: int, sender: int) -> Pair:
    """The pair whose descriptors this process has inherited; they are owned by it from now on."""
    pair = Pair(socket.socket(fileno=receiver), socket.socket(fileno=sender))
    for sock in pair:
        sock.setblocking(False)
        sock.set_inheritable(False)
    return pair


def send(sender: socket.socket, descriptor: int) -> bool:
    """Give a connection to whoever takes it; False if there is no room, and it has to stay here.

    The caller keeps its descriptor. After True it must close that without reading, writing or
    shutting down: another process may be at it already.
    """
    try:
        socket.send_fds(sender, [_TAG], [descriptor])
    except OSError:  # no room, too many in flight, or nobody has the other end
        return False
    return True


def receive(receiver: socket.socket) -> socket.socket | None:
    """The next connection, not blocking, which the caller owns; None if none waits.

    Raises OSError where this process can have no more descriptors: what waits goes on waiting.
    """
    while True:
        os.close(os.dup(receiver.fileno()))  # the kernel would drop what finds no descriptor
        try:
            data, descriptors, _, _ = socket.recv_fds(receiver, 16, _MOST, _CLOSE_ON_EXEC)
        except (BlockingIOError, InterruptedError):
            return None
        except ConnectionError:
            return None
        taken = [found for number in descriptors if (found := _connection(number)) is not None]
        for extra in taken[1:]:
            extra.close()
        if taken:
            return taken[0]
        if not data:
            return None


def waits(receiver: socket.socket) -> bool:
    """Whether a connection waits to be taken."""
    poll = select.poll()
    poll.register(receiver, select.POLLIN)
    return bool(poll.poll(0))


def _connection(descriptor: int) -> socket.socket | None:
    """A received descriptor as a stream socket; anything else is closed."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None
    with contextlib.suppress(OSError):
        if sock.type == socket.SOCK_STREAM:
            sock.set_inheritable(False)
            sock.setblocking(False)
            return sock
    sock.close()
    return None
