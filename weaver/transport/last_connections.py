"""Ends a listening socket that several processes have, so that no client sees a reset.

Closing it in one process is not enough: the kernel goes on answering clients as long as any process
has it, and resets those that nobody has accepted when the last one closes it. So it first lets
nobody in any more, while those who accept take what waits, and then ends it everywhere. It must not
know who accepts.
"""

import asyncio
import contextlib
import ctypes
import select
import socket
import struct
import sys
from typing import Final

WITHIN: Final = 1.0
"""Seconds for others to accept what waits."""

_LOOK: Final = 0.005
_SO_ATTACH_FILTER: Final = 26
_NO_SYN: Final = struct.pack(
    "HBBI" * 4,
    *(0x30, 0, 0, 13),  # the flags of TCP's header
    *(0x45, 0, 1, 0x02),  # with SYN: the next one, else one further
    *(0x06, 0, 0, 0),  # drop it
    *(0x06, 0, 0, 0xFFFF_FFFF),  # take it
)
"""A program for the kernel's packet filter: handshakes go on, and none begins."""


def let_nobody_in(listening: socket.socket) -> None:
    """Take no new clients; those that wait can still be accepted. In all processes that have it.

    Clients of TCP that come now try again in a second. Where the system has no filters for
    sockets, they come in as before.
    """
    with contextlib.suppress(OSError):
        if listening.family == socket.AF_UNIX:
            listening.shutdown(socket.SHUT_RDWR)  # there, what waits is not touched by that
        elif sys.platform == "linux":
            program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
            pointer = struct.pack("HP", len(_NO_SYN) // 8, ctypes.addressof(program))
            listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)


async def end_when_taken(listening: socket.socket) -> None:
    """End it, in all processes that have it, when everybody who waits has been accepted.

    Or after `WITHIN`; clients are refused from then on. It is closed here, also when this is
    cancelled.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + WITHIN
    with listening, contextlib.suppress(OSError):
        poll = select.poll()
        poll.register(listening, select.POLLIN)
        while poll.poll(0) and loop.time() < until:  # noqa: ASYNC110 - the kernel tells no more
            await asyncio.sleep(_LOOK)
        listening.shutdown(socket.SHUT_RDWR)
