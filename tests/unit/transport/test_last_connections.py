"""The end of a listening socket that others have too: nobody who got in is reset."""

import asyncio
import errno
import socket
import sys
from pathlib import Path

import pytest

from weaver.transport.last_connections import end_when_taken, let_nobody_in
from weaver.transport.listening import bind


def client_of(listening: socket.socket) -> socket.socket:
    """A client that does not wait for its connection."""
    client = socket.socket(listening.family, socket.SOCK_STREAM)
    client.setblocking(False)
    return client


@pytest.mark.skipif(sys.platform != "linux", reason="filters for sockets are Linux's")
def test_who_waits_is_accepted_and_who_comes_later_is_refused() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        listening = bind("127.0.0.1:0")
        with listening.dup() as others, client_of(listening) as early, client_of(listening) as late:
            await loop.sock_connect(early, listening.getsockname())
            let_nobody_in(listening)
            assert late.connect_ex(listening.getsockname()) == errno.EINPROGRESS
            ending = asyncio.ensure_future(end_when_taken(listening))
            await asyncio.sleep(0)
            assert not ending.done()
            accepted, _ = others.accept()
            with accepted:
                await ending
                with pytest.raises(BlockingIOError):
                    early.recv(1)
                early.sendall(b"x")
                assert await loop.sock_recv(accepted, 1) == b"x"
            with client_of(others) as refused, pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(refused, others.getsockname())
            with pytest.raises(OSError, match=r"Invalid") as error:
                others.accept()
            assert error.value.errno == errno.EINVAL

    asyncio.run(run())


def test_who_waits_at_a_file_is_accepted_and_who_comes_later_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        address = str(tmp_path / "s")
        listening = bind(f"unix:{address}")
        with listening.dup() as others, client_of(listening) as early, client_of(listening) as late:
            await loop.sock_connect(early, address)
            let_nobody_in(listening)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(late, address)
            accepted, _ = others.accept()
            with accepted:
                await end_when_taken(listening)
                early.sendall(b"x")
                assert await loop.sock_recv(accepted, 1) == b"x"

    asyncio.run(run())


def test_who_is_accepted_by_nobody_does_not_keep_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weaver.transport.last_connections.WITHIN", 0.05)

    async def run() -> None:
        listening = bind("127.0.0.1:0")
        with client_of(listening) as client:
            await asyncio.get_running_loop().sock_connect(client, listening.getsockname())
            let_nobody_in(listening)
            async with asyncio.timeout(30):
                await end_when_taken(listening)
        assert listening.fileno() < 0

    asyncio.run(run())
