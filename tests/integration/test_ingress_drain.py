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


def test_a_drain_that_takes_too_long_answers_what_has_no_answer_and_cuts_the_rest(
    run: Run, one: Replica
) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, [one]))) as proxy:
            waiting_reader, waiting = await proxy.raw(GET % b"/wait")
            posting_reader, posting = await proxy.raw(
                b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12"
            )
            begun_reader, begun = await proxy.raw(GET % b"/sse")
            first = await asyncio.wait_for(begun_reader.readuntil(b"data: 1\n\n"), 30)
            async with asyncio.timeout(30):
                while proxy.counts()["v1"][3] != 3:
                    await asyncio.sleep(0.01)
            assert await proxy.proxy.drain(0.2) == 3
            head, content = await read_answer(waiting_reader)
            assert head.startswith(b"HTTP/1.1 504 ")
            assert b"connection: close" in head.lower()
            assert content.startswith(b"504: version v1: no answer before the last moment")
            assert await asyncio.wait_for(waiting_reader.read(), 30) == b""
            assert first.startswith(b"HTTP/1.1 200 ")
            for cut in (posting_reader, begun_reader):
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await asyncio.wait_for(cut.readuntil(b"\r\n0\r\n\r\n"), 30)
            for writer in (waiting, posting, begun):
                writer.close()

    run(body())
