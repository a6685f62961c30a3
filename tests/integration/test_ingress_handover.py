"""Connections that go from one ingress worker to the next: clients notice nothing."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from ingress_parts import Replica, read_answer, replicas, table_of
from ingress_workers import Led

from weaver.control.ingress import Counts, Drain, Drained, Report, Serving, Table
from weaver.transport.handover import Pair, make_pair
from weaver.transport.listening import bind

GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with replicas(tmp_path_factory.mktemp("ingress"), "one") as made:
        yield made[0]


class Listener:
    """A listening socket and its pair, as an envelope holds them, and workers made on them."""

    def __init__(self, stack: AsyncExitStack, listening: socket.socket, pair: Pair) -> None:
        self._stack = stack
        self._listening = listening
        self._pair = pair
        self.port: int = listening.getsockname()[1]

    async def worker(self, table: Table) -> Led:
        """A worker that serves already."""
        led = Led(self._listening, pair=self._pair)
        self._stack.callback(led.close)
        await led.say(table)
        await led.hear(Serving)
        return led

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that is closed in the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._stack.callback(writer.close)
        return reader, writer


@asynccontextmanager
async def listener() -> AsyncGenerator[Listener]:
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(bind("127.0.0.1:0"))
        pair = make_pair()
        stack.callback(pair.close)
        yield Listener(stack, listening, pair)


async def answered(reader: asyncio.StreamReader) -> bytes:
    """The body of an answer after which the connection is kept."""
    head, content = await read_answer(reader)
    assert head.startswith(b"HTTP/1.1 200")
    assert b"connection: close" not in head.lower()
    return content


async def test_idle_connections_go_to_the_next_worker_and_busy_ones_after_their_answer(
    one: Replica,
) -> None:
    table = table_of(1, v1=(1, [one]))
    async with listener() as at:
        first = await at.worker(table)
        idle = [await at.client() for _ in range(50)]
        for reader, writer in idle:
            writer.write(GET % b"/")
            assert await answered(reader) == b"one"
        busy_reader, busy = await at.client()
        busy.write(GET % b"/wait")
        fresh = await at.client()
        async with asyncio.timeout(20):
            while True:
                await first.say(Report())
                counts = await first.hear(Counts)
                if counts.connections == 52 and counts.versions[0].in_flight:
                    break
        await first.say(Drain(30))
        second = await at.worker(table)
        for reader, writer in (*idle, fresh):
            writer.write(GET % b"/")
            assert await answered(reader) == b"one"
        one.gone.touch()
        assert await answered(busy_reader) == b"one"
        assert await first.hear(Drained) == Drained(0)
        assert await first.ended() == 0
        busy.write(GET % b"/")
        assert await answered(busy_reader) == b"one"
        await second.say(Report())
        counts = await second.hear(Counts)
        assert (counts.connections, counts.versions[0].requests) == (52, 52)
        one.gone.unlink()


async def test_part_of_a_request_is_waited_for_and_a_tunnel_stays(one: Replica) -> None:
    table = table_of(1, v1=(1, [one]))
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    async with listener() as at:
        first = await at.worker(table)
        reader, writer = await at.client()
        writer.write((GET % b"/")[:9])
        ws_reader, ws = await at.client()
        ws.write(upgrade)
        assert (await ws_reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        async with asyncio.timeout(20):
            while True:
                await first.say(Report())
                if (await first.hear(Counts)).connections == 2:
                    break
        second = await at.worker(table)
        await first.say(Drain(5, tunnels=30))
        writer.write((GET % b"/")[9:])
        assert await answered(reader) == b"one"
        writer.write(GET % b"/")
        assert await answered(reader) == b"one"
        await second.say(Report())
        assert (await second.hear(Counts)).connections >= 1
        until = asyncio.get_running_loop().time() + 5.5
        while asyncio.get_running_loop().time() < until:  # beyond the time that requests have
            ws.write(b"\x81\x82\x00\x00\x00\x00hi")
            assert await asyncio.wait_for(ws_reader.readexactly(8), 30) == b"\x81\x06one:hi"
        ws.close()
        assert await first.hear(Drained) == Drained(0)


async def test_no_request_is_lost_while_workers_are_replaced_under_load(one: Replica) -> None:
    table, rounds = table_of(1, v1=(1, [one])), 4
    async with listener() as at:
        worker = await at.worker(table)
        stop, done = asyncio.Event(), 0

        async def ask(pause: float, fresh: bool) -> None:
            nonlocal done
            reader, writer = await at.client()
            while not stop.is_set():
                if fresh:
                    writer.close()
                    reader, writer = await at.client()
                writer.write(b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
                assert await answered(reader) == b"3"
                done += 1
                await asyncio.sleep(pause)

        async with asyncio.TaskGroup() as clients:
            for i in range(40):
                clients.create_task(ask(0.002 * i, fresh=i % 10 == 9))
            for _ in range(rounds):
                following = await at.worker(table)
                await worker.say(Drain(20))
                assert await worker.hear(Drained) == Drained(0)
                assert await worker.ended() == 0
                worker = following
            stop.set()
        assert done > 40 * rounds


async def test_a_drain_that_goes_on_can_be_given_less_time(one: Replica) -> None:
    async with listener() as at:
        worker = await at.worker(table_of(1, v1=(1, [one])))
        reader, writer = await at.client()
        writer.write(GET % b"/hang")
        async with asyncio.timeout(20):
            while True:
                await worker.say(Report())
                versions = (await worker.hear(Counts)).versions
                if versions and versions[0].in_flight:
                    break
        await worker.say(Drain(600))
        await worker.say(Drain(0.1, tunnels=0.1))
        assert await worker.hear(Drained) == Drained(1)
        assert await worker.ended() == 0
        assert (await reader.read()).startswith(b"HTTP/1.1 504 ")
