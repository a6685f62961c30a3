"""A stream over a real socket: bytes go where the driver has room for them, and then as before."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from weaver.transport.event_loop import loop_factory
from weaver.transport.stream import QUIET, STAGING, Stream


class Recorder:
    """A driver that keeps what it is given, and has room in `memory` while it wants to."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.memory = memoryview(bytearray(1000))
        self.wants = False
        self.at = 0
        self.ended = ""
        self.happened = asyncio.Event()

    def receive(self, data: bytes) -> None:
        self.received.append(data)
        self.happened.set()

    def room(self) -> memoryview | None:
        return self.memory[self.at :] if self.wants else None

    def filled(self, count: int) -> None:
        self.at += count
        self.wants = self.at < len(self.memory)
        self.happened.set()

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def lost(self, why: str) -> None:
        self.ended = why
        self.happened.set()

    def has_more_than(self, count: int) -> bool:
        return len(self.received) > count

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self.happened.clear()
                await self.happened.wait()


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[Stream, Recorder, socket.socket]]:
    driver = Recorder()
    mine, peer = socket.socketpair()
    with peer:
        _, made = await asyncio.get_running_loop().create_connection(
            lambda: Stream(lambda _stream: driver), sock=mine
        )
        yield made, driver, peer
    await driver.until(lambda: bool(driver.ended))


@pytest.fixture(params=[loop_factory(), None], ids=["preferred", "asyncio"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


async def fills_what_there_is_room_for() -> None:
    async with connected() as (stream, driver, peer):
        peer.sendall(b"before")
        await driver.until(lambda: bool(driver.received))
        stream.fill()
        driver.wants = True
        peer.sendall(b"x" * 1000 + b"behind")
        await driver.until(lambda: len(driver.received) > 1)
        assert driver.received == [b"before", b"behind"]
        assert driver.memory.tobytes() == b"x" * 1000


async def goes_back_to_ordinary_reads_after_a_while() -> None:
    async with connected() as (stream, driver, peer):
        stream.fill()
        for number in range(QUIET + 1):
            peer.sendall(b"small")
            await driver.until(partial(driver.has_more_than, number))
        size = 2 * STAGING
        peer.sendall(bytes(size))
        driver.received.clear()
        await driver.until(lambda: sum(map(len, driver.received)) == size)
        assert max(map(len, driver.received)) > STAGING
        stream.fill()
        driver.wants = True
        peer.sendall(b"y" * 1000)
        await driver.until(lambda: driver.at == 1000)


async def tells_the_end_while_it_fills() -> None:
    async with connected() as (stream, driver, peer):
        stream.fill()
        driver.wants = True
        peer.sendall(b"z")
        await driver.until(lambda: driver.at == 1)
    assert driver.ended == "the peer went away"
    stream.fill()  # too late, and harmless


@pytest.mark.parametrize(
    "scenario",
    [
        fills_what_there_is_room_for,
        goes_back_to_ordinary_reads_after_a_while,
        tells_the_end_while_it_fills,
    ],
)
def test_filling(
    runner: asyncio.Runner, scenario: Callable[[], Coroutine[None, None, None]]
) -> None:
    runner.run(scenario())
