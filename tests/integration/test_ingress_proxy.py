"""The reverse proxy before real uvicorn replicas on Unix sockets."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import psutil
import pytest
import uvloop
from ingress_parts import Replica, eventually, proxying, read_answer, replicas, table_of
from websockets.asyncio.client import connect

from weaver.control.ingress import Pinning

Run: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]
MIB = 1 << 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    with replicas(tmp_path_factory.mktemp("ingress"), "one", "two") as made:
        yield made


@pytest.fixture
def gone(pair: list[Replica]) -> Iterator[Path]:
    yield pair[0].gone
    pair[0].gone.unlink(missing_ok=True)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner.run


def test_requests_of_every_kind_pass_on_one_connection(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        async with (
            proxying(table_of(v1=(1, pair[:1]))) as proxy,
            httpx.AsyncClient(base_url=proxy.url) as client,
        ):
            assert (await client.get("/")).text == "one"
            assert (await client.get("/?chunked")).text == "one"
            head = await client.head("/")
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == "3"
            assert (await client.post("/echo", content=b"abc" * 1000)).content == b"abc" * 1000
            assert (await client.post("/echo", content=pieces())).content == b"0123456789"
            assert (await client.get("/empty")).status_code == 204
            assert (await client.get("/broken")).status_code == 500
            assert len((await client.get("/large")).content) == 16 * MIB
            assert proxy.proxy.counts().connections == 1
            assert proxy.counts() == {"v1": (8, 1, 0, 0)}
            assert sum(proxy.proxy.counts().versions[0].histogram) == 8

    run(body())


async def pieces() -> AsyncIterator[bytes]:
    for digit in range(10):
        yield b"%d" % digit


def test_an_application_learns_who_asked(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, pair[:1]))) as proxy, httpx.AsyncClient() as client:
            forged = {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "https"}
            text = (await client.get(proxy.url + "/headers", headers=forged)).text.split("\n")
            assert "x-forwarded-for: 127.0.0.1" in text
            assert "x-forwarded-proto: http" in text
            assert f"x-forwarded-host: 127.0.0.1:{proxy.port}" in text
            assert f"host: 127.0.0.1:{proxy.port}" in text

    run(body())


def test_weights_hold_over_connections_that_are_kept(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        one, two = pair
        async with proxying(table_of(old=(90, [one]), new=(10, [two]))) as proxy:
            seen: Counter[str] = Counter()

            async def ask(client: httpx.AsyncClient) -> None:
                for _ in range(125):
                    seen[(await client.get(proxy.url)).text] += 1

            clients = [httpx.AsyncClient() for _ in range(8)]
            await asyncio.gather(*(ask(client) for client in clients))
            assert abs(seen["two"] - 100) <= 10, "one percentage point of 1,000"
            assert proxy.proxy.counts().connections == 8
            proxy.proxy.set_table(table_of(2, old=(0, [one]), new=(100, [two])))
            assert {(await client.get(proxy.url)).text for client in clients} == {"two"}
            for client in clients:
                await client.aclose()

    run(body())


def test_a_client_with_a_cookie_stays_in_its_version(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        one, two = pair
        pins = Pinning(cookie="version", secret=b"s")
        async with (
            proxying(table_of(1, pins, old=(1, [one]), new=(1, [two]))) as proxy,
            httpx.AsyncClient() as client,
        ):
            assert len({(await client.get(proxy.url)).text for _ in range(10)}) == 1
            async with httpx.AsyncClient() as other:
                first = await other.get(proxy.url)
                assert "version=" in first.headers["set-cookie"]
                assert "HttpOnly" in first.headers["set-cookie"]

    run(body())


def test_a_large_upload_is_streamed_and_never_held(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        async def megabytes() -> AsyncIterator[bytes]:
            for _ in range(200):
                yield b"x" * MIB

        process = psutil.Process()
        before = process.memory_info().rss
        async with proxying(table_of(v1=(1, pair[:1]))) as proxy, httpx.AsyncClient() as client:
            answer = await client.post(proxy.url + "/size", content=megabytes(), timeout=50)
            assert answer.text == str(200 * MIB)
        assert process.memory_info().rss - before < 40 * MIB

    run(body())


def test_a_slow_reader_holds_the_replica_back(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, pair[:1]))) as proxy:
            before = psutil.Process().memory_info().rss
            pairs = [await proxy.raw(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(10)]
            for reader, _ in pairs:
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            async with httpx.AsyncClient() as client:  # others are served meanwhile
                assert (await client.get(proxy.url)).text == "one"
            assert psutil.Process().memory_info().rss - before < 40 * MIB, "of 160 MiB"
            for _, writer in pairs:
                writer.close()

    run(body())


def test_a_websocket_is_a_tunnel(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, pair[:1]))) as proxy:
            async with connect(proxy.url.replace("http", "ws") + "/ws") as socket:
                for i in range(3):
                    await socket.send(str(i))
                    assert await socket.recv() == f"one:{i}"
                await socket.send("x" * 500_000)
                assert len(await socket.recv()) == 500_004
                assert proxy.counts()["v1"] == (1, 0, 0, 1)
            async with asyncio.timeout(30):
                while proxy.counts()["v1"] != (1, 0, 0, 0):
                    await asyncio.sleep(0.01)

    run(body())


def test_an_event_arrives_while_the_answer_goes_on(
    run: Run, pair: list[Replica], gone: Path
) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, pair[:1]))) as proxy:
            reader, writer = await proxy.raw(b"GET /sse HTTP/1.1\r\nHost: a\r\n\r\n")
            got = await asyncio.wait_for(reader.readuntil(b"data: 1\n\n"), 30)
            assert b"transfer-encoding: chunked" in got.lower()
            writer.close()
            assert await eventually(gone), "the replica hears that the client has left"
            assert proxy.counts()["v1"] == (1, 0, 1, 0)

    run(body())


def test_100_continue_is_the_replicas_answer(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        async with proxying(table_of(v1=(1, pair[:1]))) as proxy:
            reader, writer = await proxy.raw(head % b"/echo")
            interim = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            assert interim.startswith(b"HTTP/1.1 100")
            writer.write(b"abc")
            assert (await read_answer(reader))[1] == b"abc"
            writer.close()
            reader, writer = await proxy.raw(head % b"/early")
            refusal, _ = await read_answer(reader)
            assert refusal.startswith(b"HTTP/1.1 413")
            assert b"connection: close" in refusal.lower()
            writer.close()

    run(body())


def test_pipelined_requests_are_answered_in_order(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, pair[:1]))) as proxy:
            requests = b"".join(
                b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n%03d" % i
                for i in range(50)
            )
            reader, writer = await proxy.raw(requests)
            for i in range(50):
                assert (await read_answer(reader))[1] == b"%03d" % i
            writer.close()

    run(body())


def test_an_old_client_gets_an_answer_without_chunks(run: Run, pair: list[Replica]) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, pair[:1]))) as proxy:
            answer = await proxy.exchanged(b"GET /?chunked HTTP/1.0\r\n\r\n")
            head, _, content = answer.partition(b"\r\n\r\n")
            assert b"chunked" not in head
            assert content == b"one"

    run(body())


def test_what_cannot_be_understood_is_refused_and_nothing_after_it_is_read(
    run: Run, pair: list[Replica]
) -> None:
    async def body() -> None:
        async with proxying(table_of(v1=(1, pair[:1]))) as proxy:
            smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            answer = await proxy.exchanged(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
            )
            assert answer.startswith(b"HTTP/1.1 400")
            assert answer.count(b"HTTP/1.1 ") == 1
            answer = await proxy.exchanged(
                b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3;x\r\nabc\r\n0\r\n\r\n" + smuggled
            )
            assert answer.startswith(b"HTTP/1.1 400")
            assert answer.count(b"HTTP/1.1 ") == 1
            assert proxy.proxy.counts().refused == 2

    run(body())
