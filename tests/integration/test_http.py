"""HttpServer over real sockets, on asyncio's loop and on uvloop's."""

import asyncio
import contextvars
import logging
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import pytest
import uvloop
from websockets.asyncio.client import connect

from weaver.errors import StartError, UsageError
from weaver.proclet.http import HttpServer
from weaver.proclet.http_sockets import Sockets
from weaver.proclet.web_application import WSGI_THREADS, Receive, Scope, Send
from weaver.transport.listening import bind

Run: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]
Handler: TypeAlias = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner.run


class Serving:
    def __init__(self, app: object, *, grace: float = 10.0) -> None:
        sock = bind("127.0.0.1:0")
        self.port: int = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = HttpServer(app, Sockets(sock), name="Web", grace=grace)
        self.task = asyncio.create_task(self.server.serve())

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def serving(app: object, *, grace: float = 10.0) -> AsyncGenerator[Serving]:
    running = Serving(app, grace=grace)
    try:
        yield running
    finally:
        running.server.stop()
        await running.task


async def reply(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def page(handler: Handler) -> Handler:
    """An application of one page, which does not know lifespans."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] in {"http", "websocket"}
        await handler(scope, receive, send)

    return app


@page
async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, b"hello " + scope["path"].encode())


GET = b"GET /x HTTP/1.1\r\nHost: test\r\n\r\n"


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    return int(head.split()[1]), head, await reader.readexactly(length)


def test_asgi_requests_share_a_kept_alive_connection(run: Run) -> None:
    async def body() -> None:
        async with serving(hello) as running:
            reader, writer = await running.connect()
            for _ in range(3):
                writer.write(GET)
                status, head, text = await response(reader)
                assert (status, text) == (200, b"hello /x")
                assert b"connection: close" not in head
                assert b"server:" not in head
                assert b"date:" in head
            writer.close()

    run(body())


def test_wsgi_runs_in_threads_with_the_context(run: Run) -> None:
    var = contextvars.ContextVar("var", default="lost")

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("content-type", "text/plain")])
        thread = threading.current_thread() is not threading.main_thread()
        sent = environ["wsgi.input"].read()
        return [f"{environ['PATH_INFO']} {thread} {var.get()} {len(sent)}".encode()]

    async def body() -> None:
        var.set("carried")
        async with serving(app) as running, httpx.AsyncClient(base_url=running.url) as client:
            answers = await asyncio.gather(
                *(client.post("/page", content=b"x" * 100_000) for _ in range(50))
            )
            assert {answer.text for answer in answers} == {"/page True carried 100000"}

    run(body())


def test_wsgi_requests_beyond_the_number_of_threads_wait(run: Run) -> None:
    entered: list[int] = []
    gate = threading.Event()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        entered.append(threading.get_ident())
        gate.wait(20)
        start_response("200 OK", [])
        return [b"done"]

    async def body() -> None:
        async with serving(app) as running, httpx.AsyncClient() as client:
            count = WSGI_THREADS + 10
            async with asyncio.TaskGroup() as group:
                answers = [group.create_task(client.get(running.url)) for _ in range(count)]
                tasks = running.server._tasks  # pyright: ignore[reportPrivateUsage] - the server's end
                while len(tasks) < count or len(entered) < WSGI_THREADS:
                    await asyncio.sleep(0.001)
                assert len(entered) == WSGI_THREADS
                gate.set()
            assert {answer.result().text for answer in answers} == {"done"}

    run(body())


def test_a_wsgi_thread_is_not_lost_when_the_response_cannot_be_sent(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("content-length", "1")])
        return [b"too much"] * 100

    async def body() -> None:
        async with serving(app) as running:
            reader, writer = await running.connect()
            writer.write(GET)
            await reader.read()
            writer.close()
        assert "Web: GET /x failed" in caplog.text

    run(body())


def test_a_streaming_response_arrives_piece_by_piece(run: Run) -> None:
    async def body() -> None:
        taken = asyncio.Event()

        @page
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            await taken.wait()
            await send({"type": "http.response.body", "body": b"second"})

        async with (
            serving(app) as running,
            httpx.AsyncClient() as client,
            client.stream("GET", running.url) as streamed,
        ):
            pieces = streamed.aiter_raw()
            assert await anext(pieces) == b"first"
            taken.set()
            assert [piece async for piece in pieces] == [b"second"]

    run(body())


def test_a_big_upload_arrives_whole(run: Run) -> None:
    @page
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        await reply(send, str(size).encode())

    async def body() -> None:
        async with serving(app) as running, httpx.AsyncClient() as client:
            answer = await client.put(running.url, content=b"x" * 20_000_000)
            assert answer.text == "20000000"

    run(body())


def test_two_servers_in_one_loop(run: Run) -> None:
    async def body() -> None:
        async with serving(hello) as one, serving(hello) as two, httpx.AsyncClient() as client:
            assert (await client.get(one.url + "/1")).text == "hello /1"
            one.server.stop()
            await one.task
            assert (await client.get(two.url + "/2")).text == "hello /2"

    run(body())


def test_a_unix_socket_is_served(run: Run, tmp_path: Any) -> None:
    async def body() -> None:
        path = tmp_path / "web.sock"
        server = HttpServer(hello, Sockets(bind(f"unix:{path}")), name="Web", grace=1.0)
        task = asyncio.create_task(server.serve())
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await client.get("http://any/u")).text == "hello /u"
        server.stop()
        await task
        assert path.exists()  # other processes may share the socket

    run(body())


def test_websocket_echo_and_its_close_at_stop(run: Run) -> None:
    @page
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})

    async def body() -> None:
        async with (
            serving(app) as running,
            connect(f"ws://127.0.0.1:{running.port}/", proxy=None) as client,
        ):
            await client.send("echo")
            assert await client.recv() == "ECHO"
            running.server.stop()
            await client.wait_closed()
            assert client.close_code == 1012  # "service restart": clients connect again

    run(body())


@page
async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/late":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
    if scope["path"] == "/answered":
        await reply(send, b"sorry", 500)
    if scope["path"] == "/exit":
        raise SystemExit(3)
    raise LookupError("no such thing")


@pytest.mark.parametrize("path", ["/early", "/answered", "/exit"])
def test_an_unhandled_error_is_logged_once_and_answered_with_500(
    run: Run, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async def body() -> None:
        async with serving(failing) as running, httpx.AsyncClient() as client:
            answer = await client.get(running.url + path + "?token=secret")
            assert answer.status_code == 500

    run(body())
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert record.name == "weaver.http"
    assert record.getMessage().startswith(f"Web: GET {path} failed: ")
    assert "Traceback" in caplog.text
    assert "secret" not in caplog.text


def test_an_error_in_the_middle_of_a_response_cuts_it_visibly(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with serving(failing) as running, httpx.AsyncClient() as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(running.url + "/late")

    run(body())
    assert [record.name for record in caplog.records if record.exc_info] == ["weaver.http"]


def test_an_error_in_a_websocket_handler_is_logged_with_its_path(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with serving(failing) as running:
            with pytest.raises(Exception, match="HTTP 500"):
                await connect(f"ws://127.0.0.1:{running.port}/ws", proxy=None)

    run(body())
    assert "Web: WEBSOCKET /ws failed: LookupError" in caplog.text


def test_accepted_sockets_have_tcp_nodelay(run: Run) -> None:
    async def body() -> None:
        async with serving(hello) as running:
            reader, writer = await running.connect()
            writer.write(GET)
            await response(reader)
            (connection,) = running.server._connections  # pyright: ignore[reportPrivateUsage] - the server's end
            accepted = connection.transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            writer.close()

    run(body())


class Managed:
    """An application that speaks the lifespan protocol, in the way of Starlette."""

    def __init__(self, failure: Exception | None = None, *, tells: bool = True) -> None:
        self.failure = failure
        self.tells = tells
        self.events: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await reply(send, scope["state"]["database"].encode())
        await receive()
        if self.failure is not None:
            if self.tells:
                message = "Traceback:\n  ...\nOSError: no database\n"
                await send({"type": "lifespan.startup.failed", "message": message})
            raise self.failure
        scope["state"]["database"] = "open"
        self.events.append("started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.events.append("stopped")
        await send({"type": "lifespan.shutdown.complete"})
        return None


def test_the_lifespan_starts_before_and_stops_after_the_requests(run: Run) -> None:
    app = Managed()

    async def body() -> None:
        async with serving(app) as running, httpx.AsyncClient() as client:
            assert (await client.get(running.url)).text == "open"
            assert app.events == ["started"]
        assert app.events == ["started", "stopped"]

    run(body())


@pytest.mark.parametrize("tells", [True, False])
def test_a_failed_lifespan_start_is_a_start_error_with_its_cause(run: Run, tells: bool) -> None:
    cause = OSError("no database")

    async def body() -> None:
        running = Serving(Managed(cause, tells=tells))
        with pytest.raises(StartError, match="no database") as caught:
            await running.task
        assert caught.value.__cause__ is cause
        assert caught.value.component == "Web"
        with pytest.raises(OSError, match=r"refused|Connect"):
            await running.connect()

    run(body())


def test_serving_twice_is_refused(run: Run) -> None:
    async def body() -> None:
        async with serving(hello) as running:
            await asyncio.sleep(0)  # let the task begin
            with pytest.raises(UsageError, match="already"):
                await running.server.serve()

    run(body())
