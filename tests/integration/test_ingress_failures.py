"""What clients of the proxy see when replicas, or they themselves, misbehave."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Self, TypeAlias, cast

import httpx
import pytest
import uvloop
from ingress_parts import Replica, eventually, proxying, read_answer, replicas, table_of

from weaver.control.ingress import Backend, Pinning, Table, VersionShare

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


class Scripted:
    """A replica that says to each connection what `answer` gives, byte for byte."""

    def __init__(self, folder: Path, answer: Callable[[int, bytes], bytes | None]) -> None:
        self.path = str(folder / "scripted.sock")
        self.backend = Backend("scripted", f"unix:{self.path}")
        self.requests: list[bytes] = []
        self._answer = answer

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.requests.append(data)
                answer = self._answer(len(self.requests), data)
                if answer is None:
                    break
                writer.write(answer)
        finally:
            writer.close()


def to(*backends: Backend, number: int = 1) -> Table:
    return Table(number, (VersionShare("v1", 1, backends),))


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_replica_that_cannot_be_reached_costs_no_request(
    run: Run, one: Replica, tmp_path: Path
) -> None:
    async def body() -> None:
        dead = Backend("dead", f"unix:{tmp_path}/nobody")
        async with (
            proxying(to(dead, one.backend)) as proxy,
            httpx.AsyncClient(base_url=proxy.url) as client,
        ):
            for i in range(20):
                answer = await client.post("/echo", content=b"%d" % i)
                assert (answer.status_code, answer.content) == (200, b"%d" % i)
            assert proxy.counts() == {"v1": (20, 0, 0, 0)}

    run(body())


def test_without_a_replica_the_answer_says_which_version_and_why(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        dead = Backend("dead", f"unix:{tmp_path}/nobody")
        async with proxying(to(dead)) as proxy, httpx.AsyncClient() as client:
            answer = await client.get(proxy.url)
            assert answer.status_code == 502
            assert answer.text == "502: version v1: no replica can be reached\n"
            proxy.proxy.set_table(to(number=2))
            answer = await client.get(proxy.url)
            assert (answer.status_code, "version v1" in answer.text) == (503, True)
            proxy.proxy.set_table(Table(3))
            answer = await client.get(proxy.url)
            assert answer.status_code == 503
            assert "no version" in answer.text

    run(body())


@pytest.mark.parametrize(("weight", "asked"), [(1, 5), (0, 10)])
def test_where_nobody_of_one_version_can_be_reached_the_other_answers(
    run: Run, one: Replica, tmp_path: Path, weight: int, asked: int
) -> None:
    async def body() -> None:
        dead = Backend("dead", f"unix:{tmp_path}/nobody")
        shares = (VersionShare("v1", 1, (dead,)), VersionShare("v2", weight, (one.backend,)))
        pinning = Pinning(header="X-Version", trusted=("127.0.0.0/8",))
        async with (
            proxying(Table(1, shares, pinning)) as proxy,
            httpx.AsyncClient(base_url=proxy.url) as client,
        ):
            for i in range(10):
                answer = await client.post("/echo", content=b"%d" % i)
                assert (answer.status_code, answer.content) == (200, b"%d" % i)
            assert proxy.counts() == {"v1": (asked, asked, 0, 0), "v2": (10, 0, 0, 0)}
            answer = await client.get("/", headers={"X-Version": "v1"})  # nobody else is meant
            assert (answer.status_code, "version v1" in answer.text) == (502, True)

    run(body())


def test_a_replica_killed_before_its_answer_is_a_502_and_is_not_asked_again(
    run: Run, tmp_path: Path
) -> None:
    async def body() -> None:
        with replicas(tmp_path, "a") as (replica,):
            async with (
                proxying(table_of(v1=(1, [replica]))) as proxy,
                httpx.AsyncClient() as client,
            ):
                assert (await client.get(proxy.url)).status_code == 200
                answer = await client.post(proxy.url + "/die", content=b"")
                assert answer.status_code == 502
                assert "version v1" in answer.text
                assert proxy.counts()["v1"] == (2, 1, 0, 0)

    run(body())


def test_an_answer_that_breaks_off_is_seen_to_be_incomplete(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        with replicas(tmp_path, "a") as (replica,):
            async with (
                proxying(table_of(v1=(1, [replica]))) as proxy,
                httpx.AsyncClient() as client,
            ):
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get(proxy.url + "/die-midway?chunked")
                assert proxy.counts()["v1"] == (1, 1, 0, 0)

    run(body())


@pytest.mark.parametrize(("method", "status", "asked"), [(b"GET", 200, 3), (b"POST", 502, 2)])
def test_only_what_may_be_repeated_is_asked_again_on_a_connection_that_had_ended(
    run: Run, tmp_path: Path, method: bytes, status: int, asked: int
) -> None:
    async def body() -> None:
        async with (
            Scripted(tmp_path, lambda n, _: None if n == 2 else OK) as replica,
            proxying(to(replica.backend)) as proxy,
        ):
            request = method + b" / HTTP/1.1\r\nHost: a\r\n\r\n"
            reader, writer = await proxy.raw(request)
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
            writer.write(request)
            head, _ = await read_answer(reader)
            assert head.startswith(b"HTTP/1.1 %d" % status)
            assert len(replica.requests) == asked
            writer.close()

    run(body())


def test_an_idle_connection_that_the_replica_has_closed_costs_no_post(
    run: Run, tmp_path: Path
) -> None:
    async def body() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await writer.drain()
            writer.close()  # without having said so

        path = str(tmp_path / "s")
        server = await asyncio.start_unix_server(serve, path)
        async with proxying(to(Backend("a", f"unix:{path}"))) as proxy:
            reader, writer = await proxy.raw()
            for _ in range(20):
                writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
            writer.close()
        server.close()
        await server.wait_closed()

    run(body())


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000,
    ],
)
def test_an_answer_that_is_none_is_a_502(run: Run, tmp_path: Path, answer: bytes) -> None:
    async def body() -> None:
        async with (
            Scripted(tmp_path, lambda _n, _d: answer) as replica,
            proxying(to(replica.backend)) as proxy,
            httpx.AsyncClient() as client,
        ):
            got = await client.get(proxy.url)
            assert got.status_code == 502
            assert "version v1" in got.text

    run(body())


def test_what_a_replica_sends_unasked_answers_nobody(run: Run, tmp_path: Path) -> None:
    async def body() -> None:
        poison = OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
        async with (
            Scripted(tmp_path, lambda _n, _d: poison) as replica,
            proxying(to(replica.backend)) as proxy,
            httpx.AsyncClient() as client,
        ):
            assert [(await client.get(proxy.url)).text for _ in range(5)] == ["ok"] * 5

    run(body())


def test_a_replica_that_does_not_answer_is_a_504(run: Run, one: Replica) -> None:
    async def body() -> None:
        table = table_of(v1=(1, [one]))
        async with proxying(table, response_time=0.2) as proxy, httpx.AsyncClient() as client:
            answer = await client.get(proxy.url + "/hang")
            assert answer.status_code == 504
            assert "version v1" in answer.text
            assert await eventually(one.gone), "the replica hears of it"
            assert proxy.counts()["v1"] == (1, 1, 0, 0)

    run(body())
    one.gone.unlink()


def test_a_client_that_leaves_takes_its_request_along(run: Run, one: Replica) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, [one]))) as proxy:
            _, writer = await proxy.raw(GET % b"/hang")
            await writer.drain()
            async with asyncio.timeout(30):
                while proxy.counts().get("v1") != (1, 0, 0, 1):
                    await asyncio.sleep(0.01)
            writer.close()
            assert await eventually(one.gone)
            assert proxy.counts()["v1"] == (1, 0, 1, 0)

    run(body())
    one.gone.unlink()


def test_a_head_that_comes_too_slowly_or_too_long_is_refused(run: Run, one: Replica) -> None:
    async def body() -> None:
        table = table_of(v1=(1, [one]))
        async with proxying(table, header_time=0.2, head_bytes=1000) as proxy:
            slow = await proxy.exchanged(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
            assert slow.startswith(b"HTTP/1.1 408")
            endless = await proxy.exchanged(b"GET / HTTP/1.1\r\nX: " + b"a" * 2000)
            assert endless.startswith(b"HTTP/1.1 431")
            assert b"connection: close" in endless.lower()

    run(body())


def test_an_idle_connection_is_closed_in_order(run: Run, one: Replica) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, [one])), idle_time=0.2) as proxy:
            reader, writer = await proxy.raw(GET % b"/")
            assert (await read_answer(reader))[1] == b"one"
            assert await asyncio.wait_for(reader.read(), 30) == b""
            writer.close()

    run(body())


def test_a_body_that_does_not_come_is_given_up(run: Run, one: Replica) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, [one])), stall_time=0.2) as proxy:
            head = b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc"
            assert (await proxy.exchanged(head)).startswith(b"HTTP/1.1 408")
            assert proxy.counts()["v1"] == (1, 0, 0, 0), "it is not the version's error"

    run(body())


def test_a_client_that_takes_nothing_is_cut_off(run: Run, one: Replica) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, [one])), stall_time=0.3) as proxy:
            _, writer = await proxy.raw()
            cast("asyncio.Transport", writer.transport).pause_reading()
            writer.write(GET % b"/large")
            async with asyncio.timeout(30):
                while proxy.counts().get("v1") != (1, 0, 1, 0):
                    await asyncio.sleep(0.01)
            writer.close()

    run(body())


def test_beyond_the_limit_of_connections_clients_are_told(run: Run, one: Replica) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, [one])), connections=1) as proxy:
            reader, writer = await proxy.raw(GET % b"/")
            assert (await read_answer(reader))[1] == b"one"
            assert (await proxy.exchanged(GET % b"/")).startswith(b"HTTP/1.1 503")
            writer.write(GET % b"/")
            assert (await read_answer(reader))[1] == b"one"
            writer.close()

    run(body())


def test_a_replica_over_tcp_serves_as_well(run: Run) -> None:
    async def body() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, family=socket.AF_INET)
        port = server.sockets[0].getsockname()[1]
        async with (
            proxying(to(Backend("tcp", f"127.0.0.1:{port}"))) as proxy,
            httpx.AsyncClient() as client,
        ):
            for _ in range(3):
                assert (await client.get(proxy.url)).text == "until the end"
            assert proxy.proxy.counts().connections == 1
        server.close()
        await server.wait_closed()

    run(body())
