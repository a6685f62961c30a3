"""Hostile streams against a worker process of the ingress, over sockets and with a real replica.

`test_ingress_fuzz` says what each stream is answered. Here one process takes them all: it ends each
connection, keeps nothing of them, and serves on.
"""

import asyncio
import random
import struct
from collections.abc import Iterator
from socket import SO_LINGER, SOL_SOCKET, socket

import psutil
import pytest
from hostile_streams import mutated
from ingress_parts import Replica, read_answer, replicas, table_of
from ingress_workers import Led

from weaver.control.ingress import Counts, Report, Serving
from weaver.transport.listening import bind

STREAMS = 2_000
AT_ONCE = 15
GROWTH = 600_000
"""Bytes that the process may grow by in the last three quarters of them: some hundreds each."""
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with replicas(tmp_path_factory.mktemp("ingress"), "one") as made:
        yield made[0]


async def sent(port: int, data: bytes, way: int) -> None:
    """Send this and end the connection in one of three ways: it must end on the other side too."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data[: len(data) // 2])
        await asyncio.sleep(0)
        writer.write(data[len(data) // 2 :])
        if way == 1:
            writer.write_eof()
            await reader.read()
        elif way == 2:
            sock: socket = writer.get_extra_info("socket")
            sock.setsockopt(SOL_SOCKET, SO_LINGER, RESET)
    except ConnectionError:
        pass  # it was refused before it had sent everything
    finally:
        writer.close()


async def answers(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await read_answer(reader))[1] == b"one"
    writer.close()


async def rests(worker: Led) -> None:
    """Wait until it has no connection and no request."""
    async with asyncio.timeout(30):
        while True:
            await worker.say(Report())
            counts = await worker.hear(Counts)
            if not counts.connections and not any(v.in_flight for v in counts.versions):
                return
            await asyncio.sleep(0.02)


async def test_a_worker_ends_all_of_them_keeps_nothing_and_serves_on(one: Replica) -> None:
    rng = random.Random(9)
    with bind("127.0.0.1:0") as listening:
        port: int = listening.getsockname()[1]
        worker = Led(listening)
        process = psutil.Process(worker.process.pid)
        try:
            await worker.say(table_of(1, v1=(1, [one])))
            await worker.hear(Serving)
            before = 0
            for number in range(STREAMS // AT_ONCE):
                if number == STREAMS // AT_ONCE // 4:
                    before = process.memory_info().rss
                async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                    for way in range(AT_ONCE):
                        group.create_task(sent(port, mutated(rng), way % 3))
                if not number % 20:
                    await answers(port)
            await answers(port)
            await rests(worker)
            assert process.memory_info().rss - before < GROWTH
            assert process.num_fds() < 30
        finally:
            worker.close()
