import asyncio
import resource
import socket

import pytest

from weaver.transport.acceptor import Acceptor
from weaver.transport.listening import bind


class Greeting(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")
        transport.close()


async def greeted(client: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=client)
    text = await reader.read()
    writer.close()
    await writer.wait_closed()
    return text


async def test_finish_serves_what_has_connected_and_then_refuses() -> None:
    sock = bind("127.0.0.1:0")
    name = sock.getsockname()
    acceptor = Acceptor(sock, Greeting)
    acceptor.start()
    clients = [socket.create_connection(name) for _ in range(100)]  # more than one batch
    await acceptor.finish()
    assert [await greeted(client) for client in clients] == [b"hello"] * 100
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(name)


async def test_close_refuses_and_may_be_repeated() -> None:
    sock = bind("127.0.0.1:0")
    name = sock.getsockname()
    acceptor = Acceptor(sock, Greeting)
    acceptor.start()
    acceptor.close()
    acceptor.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(name)


async def test_out_of_file_descriptors_is_logged_and_ends_with_the_shortage(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weaver.transport.acceptor._REST", 0.0)
    sock = bind("127.0.0.1:0")
    client = socket.create_connection(sock.getsockname())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    acceptor = Acceptor(sock, Greeting)
    resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
    try:
        acceptor.start()
        while "cannot accept connections for now" not in caplog.text:
            await asyncio.sleep(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert await greeted(client) == b"hello"
    acceptor.close()
