"""HttpServer while it stops: nothing that a client may count on is dropped."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import httpx
import pytest
import uvloop

from weaver.proclet.http import LINGER, HttpServer
from weaver.proclet.http_sockets import Sockets
from weaver.proclet.web_application import Receive, Scope, Send
from weaver.transport.listening import bind

Run: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]

GET = b"GET /x HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner.run


class Gated:
    """Answers "ok"; a request for /slow first waits for the gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        if scope["path"] == "/slow":
            self.entered.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


class Running:
    def __init__(self, app: Gated, grace: float) -> None:
        sock = bind("127.0.0.1:0")
        self.app = app
        self.port: int = sock.getsockname()[1]
        self.server = HttpServer(app, Sockets(sock), name="Web", grace=grace)
        self.task = asyncio.create_task(self.server.serve())

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def serving(grace: float = 10.0) -> AsyncGenerator[Running]:
    running = Running(Gated(), grace)
    yield running
    running.server.stop()
    await running.task


async def refused(running: Running) -> None:
    """Return when the server no longer accepts connections."""
    while True:
        try:
            _, writer = await running.connect()
        except ConnectionRefusedError:
            return
        writer.close()


async def head_of(reader: asyncio.StreamReader) -> bytes:
    """The head of a response of two bytes, which is read whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(2) == b"ok"
    return head


def test_a_client_that_connected_just_before_the_stop_is_answered(run: Run) -> None:
    async def body() -> None:
        for _ in range(30):
            async with serving() as running:
                await asyncio.sleep(0)
                clients = [await running.connect() for _ in range(5)]
                running.server.stop()
                for reader, writer in clients:
                    writer.write(GET)
                    assert b"connection: close" in await head_of(reader)
                    writer.close()

    run(body())


def test_connections_that_the_kernel_queued_are_answered(run: Run) -> None:
    async def body() -> None:
        running = Running(Gated(), 10.0)
        queued = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(3)]
        running.server.stop()  # before the loop could accept even one
        clients = [await asyncio.open_connection(sock=sock) for sock in queued]
        for _, writer in clients:
            writer.write(GET)
        for reader, writer in clients:
            assert b"200" in await head_of(reader)
            writer.close()
        await running.task

    run(body())


def test_a_kept_alive_connection_gets_its_next_answer_with_connection_close(run: Run) -> None:
    async def body() -> None:
        async with serving() as running:
            reader, writer = await running.connect()
            writer.write(GET)
            assert b"connection: close" not in await head_of(reader)
            running.server.stop()
            await asyncio.sleep(0)
            writer.write(GET)
            assert b"connection: close" in await head_of(reader)
            assert await reader.read() == b""
            writer.close()

    run(body())


def test_idle_connections_are_closed_after_the_linger(run: Run) -> None:
    async def body() -> None:
        async with serving(grace=30.0) as running:
            reader, writer = await running.connect()
            writer.write(GET)
            await head_of(reader)
            begin = asyncio.get_running_loop().time()
            running.server.stop()
            assert await reader.read() == b""
            assert asyncio.get_running_loop().time() - begin >= LINGER * 0.9
            await running.task
            writer.close()

    run(body())


def test_a_slow_request_in_flight_is_finished(run: Run) -> None:
    async def body() -> None:
        async with serving() as running:
            reader, writer = await running.connect()
            writer.write(GET.replace(b"/x", b"/slow"))
            await running.app.entered.wait()
            running.server.stop()
            await refused(running)
            assert not running.task.done()
            running.app.gate.set()
            assert b"connection: close" in await head_of(reader)
            writer.close()

    run(body())


def test_after_the_grace_requests_are_cut_off_and_the_log_says_so(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with serving(grace=0.05) as running:
            reader, writer = await running.connect()
            writer.write(GET.replace(b"/x", b"/slow"))
            await running.app.entered.wait()
            running.server.stop()
            await running.task
            assert running.app.cancelled.is_set()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await head_of(reader)
            writer.close()

    run(body())
    assert "Web: GET /slow was cut off by the stop" in caplog.text
    assert "Traceback" not in caplog.text


def test_cancelling_serve_closes_at_once(run: Run) -> None:
    async def body() -> None:
        running = Running(Gated(), 3600.0)
        reader, writer = await running.connect()
        writer.write(GET.replace(b"/x", b"/slow"))
        await running.app.entered.wait()
        running.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running.task
        assert running.app.cancelled.is_set()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await head_of(reader)
        writer.close()

    run(body())


def test_stop_under_load_fails_no_request_of_kept_alive_clients(run: Run) -> None:
    """Clients that obey `Connection: close` and stop when connecting is refused see no failure."""

    async def client(running: Running) -> int:
        answered = 0
        while True:
            try:
                reader, writer = await running.connect()
            except ConnectionRefusedError:
                return answered
            closing = False
            while not closing:
                writer.write(GET)
                closing = b"connection: close" in await head_of(reader)
                answered += 1
            writer.close()

    async def body() -> None:
        for _ in range(5):
            async with serving() as running:
                async with asyncio.TaskGroup() as group:
                    clients = [group.create_task(client(running)) for _ in range(20)]
                    async with httpx.AsyncClient() as warm:
                        for _ in range(20):
                            await warm.get(f"http://127.0.0.1:{running.port}/x")
                    running.server.stop()
                assert sum(task.result() for task in clients) > 20

    run(body())
