"""How a proxy ends: what is in flight is answered, and nobody's connection is reset."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeAlias

import pytest
import uvloop
from ingress_parts import Replica, proxying, read_answer, replicas, table_of

Run: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]
GET = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with replicas(tmp_path_factory.mktemp("ingress"), "one") as made:
        yield made[0]


@pytest.fixture
def run() -> Iterator[Run]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run


def test_draining_answers_what_is_in_flight_and_once_more_on_kept_connections(
    run: Run, one: Replica
) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, [one])), farewell_time=5.0) as proxy:
            kept_reader, kept = await proxy.raw(GET % b"/")
            await read_answer(kept_reader)
            busy_reader, busy = await proxy.raw(GET % b"/wait")
            async with asyncio.timeout(30):
                while proxy.counts()["v1"][3] != 1:
                    await asyncio.sleep(0.01)
            draining = asyncio.create_task(proxy.proxy.drain(20))
            async with asyncio.timeout(30):
                while True:  # until the listening socket is closed
                    try:
                        _, other = await proxy.raw()
                    except ConnectionRefusedError:
                        break
                    other.close()
            kept.write(GET % b"/")
            head, content = await read_answer(kept_reader)
            assert content == b"one"
            assert b"connection: close" in head.lower()
            assert await asyncio.wait_for(kept_reader.read(), 30) == b""
            one.gone.touch()
            head, content = await read_answer(busy_reader)
            assert (content, b"connection: close" in head.lower()) == (b"one", True)
            for writer in (kept, busy):
                writer.close()
            assert await asyncio.wait_for(draining, 30) == 0

    run(body())
    one.gone.unlink()


def test_draining_closes_silent_connections_with_an_end_and_no_reset(
    run: Run, one: Replica
) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, [one])), farewell_time=0.1) as proxy:
            reader, writer = await proxy.raw(GET % b"/")
            await read_answer(reader)
            draining = asyncio.create_task(proxy.proxy.drain(10))
            assert await asyncio.wait_for(reader.read(), 30) == b""
            writer.write(GET % b"/")  # too late: it is read, and no reset comes back
            await writer.drain()
            writer.close()
            assert await asyncio.wait_for(draining, 30) == 0

    run(body())


def test_a_drain_that_takes_too_long_tells_how_many_were_cut(run: Run, one: Replica) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, [one]))) as proxy:
            reader, writer = await proxy.raw(GET % b"/wait")
            async with asyncio.timeout(30):
                while proxy.counts().get("v1", (0, 0, 0, 0))[3] != 1:
                    await asyncio.sleep(0.01)
            assert await proxy.proxy.drain(0.2) == 1
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readuntil(b"\r\n\r\n")
            writer.close()

    run(body())
