import asyncio
import os
import resource
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from weaver.transport import handover
from weaver.transport.acceptor import Acceptor
from weaver.transport.listening import bind


@pytest.fixture
def pair() -> Iterator[handover.Pair]:
    made = handover.make_pair()
    yield made
    made.close()


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket and the server's."""
    with bind("127.0.0.1:0") as listening:
        client = socket.create_connection(listening.getsockname(), timeout=30)
        select.select([listening], [], [], 10)
        server, _ = listening.accept()
    with client, server:
        yield client, server


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_connection_goes_on_where_it_is_received(
    pair: handover.Pair, connection: tuple[socket.socket, socket.socket]
) -> None:
    client, server = connection
    client.sendall(b"sent before")
    assert handover.send(pair.sender, server.fileno())
    server.close()
    client.sendall(b" and after")
    received = handover.receive(pair.receiver)
    assert received is not None
    with received:
        received.settimeout(30)
        assert received.getpeername() == client.getsockname()
        text = b""
        while len(text) < 21:
            text += received.recv(100)
        assert text == b"sent before and after"
        received.sendall(b"answer")
        assert client.recv(100) == b"answer"
        assert not os.get_inheritable(received.fileno())
    assert client.recv(100) == b""


def test_nothing_waits(pair: handover.Pair) -> None:
    assert handover.receive(pair.receiver) is None


def test_a_full_queue_takes_no_more_and_loses_nothing(
    pair: handover.Pair, connection: tuple[socket.socket, socket.socket]
) -> None:
    pair.sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    before = descriptors()
    sent = 0
    while handover.send(pair.sender, connection[1].fileno()):
        sent += 1
    assert sent > 0
    taken = 0
    while (received := handover.receive(pair.receiver)) is not None:
        received.close()
        taken += 1
    assert taken == sent
    assert handover.send(pair.sender, connection[1].fileno())
    assert descriptors() == before


def test_more_connections_wait_than_a_queue_of_datagrams_holds_by_default(
    pair: handover.Pair, connection: tuple[socket.socket, socket.socket]
) -> None:
    for _ in range(200):  # net.unix.max_dgram_qlen is 10 on many systems
        assert handover.send(pair.sender, connection[1].fileno())


def test_nobody_is_there_to_take_it(connection: tuple[socket.socket, socket.socket]) -> None:
    pair = handover.make_pair()
    pair.receiver.close()
    assert not handover.send(pair.sender, connection[1].fileno())
    pair.close()


def test_what_finds_no_descriptor_waits(
    pair: handover.Pair, connection: tuple[socket.socket, socket.socket]
) -> None:
    assert handover.send(pair.sender, connection[1].fileno())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd")) + 1  # noqa: PTH208
    filled = [os.dup(0) for _ in range(highest + 1 - descriptors())]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(filled, default=highest) + 1, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            handover.receive(pair.receiver)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in filled:
            os.close(number)
    received = handover.receive(pair.receiver)
    assert received is not None
    received.close()


def test_what_is_no_connection_is_closed_and_passed_over(
    pair: handover.Pair, connection: tuple[socket.socket, socket.socket]
) -> None:
    before = descriptors()
    with open(os.devnull) as file:  # noqa: PTH123
        assert handover.send(pair.sender, file.fileno())
        assert handover.send(pair.sender, pair.receiver.fileno())
        pair.sender.send(b"no descriptor at all")
        assert handover.send(pair.sender, connection[1].fileno())
        received = handover.receive(pair.receiver)
        assert received is not None
        assert received.getpeername() == connection[0].getsockname()
        received.close()
    assert descriptors() == before


class Echo(asyncio.Protocol):
    """Answers with what it was made for."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self.answer)
        transport.close()


async def said_to(client: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=client)
    async with asyncio.timeout(20):
        text = await reader.read()
    writer.close()
    await writer.wait_closed()
    return text


async def test_an_acceptor_takes_what_is_handed_over_while_it_accepts() -> None:
    listening, pair = bind("127.0.0.1:0"), handover.make_pair()
    name = listening.getsockname()
    other = listening.dup()
    acceptor = Acceptor(
        listening,
        lambda: Echo(b"accepted"),
        receiver=pair.receiver,
        adopt=lambda: Echo(b"adopted"),
    )
    client = socket.create_connection(name)
    server, _ = other.accept()
    assert handover.send(pair.sender, server.fileno())
    server.close()
    acceptor.start()
    assert await said_to(client) == b"adopted"
    for _ in range(3):
        acceptor.pause()
        acceptor.pause()
        waiting = socket.create_connection(name)
        assert not select.select([waiting], [], [], 0.05)[0]
        acceptor.start()
        acceptor.start()
        assert await said_to(waiting) == b"accepted"
    acceptor.close()
    other.close()
    pair.close()


async def test_an_acceptor_that_does_not_accept_leaves_the_queue_to_others() -> None:
    listening = bind("127.0.0.1:0")
    other = listening.dup()
    acceptor = Acceptor(listening, lambda: Echo(b"no"))
    acceptor.start()
    acceptor.pause()
    with socket.create_connection(other.getsockname()):
        await acceptor.finish()
        taken, _ = other.accept()
        taken.close()
    other.close()
