"""What a stream asks of its socket: that the kernel takes little before it can send it."""

import asyncio
import socket

import pytest

from weaver.transport.stream import UNSENT, Stream


class Idle:
    """A driver that nothing happens to."""

    def receive(self, data: bytes) -> None: ...

    def room(self) -> memoryview | None: ...

    def filled(self, count: int) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def lost(self, why: str) -> None: ...


async def option_of(sock: socket.socket) -> int:
    transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: Stream(lambda _stream: Idle()), sock=sock
    )
    try:
        found: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        return found
    finally:
        transport.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="not on this system")
async def test_the_kernel_takes_little_that_it_cannot_send() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        with server.accept()[0]:
            assert await option_of(client) == UNSENT
