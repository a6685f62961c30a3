"""Requests as few clients send them: old ones, nameless ones, endless ones."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from weaver.proclet.http import HttpServer
from weaver.proclet.http_connection import LONGEST_HEAD
from weaver.proclet.http_sockets import Sockets
from weaver.proclet.web_application import Receive, Scope, Send
from weaver.transport.listening import bind

BAD = b"HTTP/1.1 400 Bad Request\r\n"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    headers = [(b"content-length", b"6")] if scope["path"] == "/known" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in (b"one", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    sock = bind("127.0.0.1:0")
    server = HttpServer(application, Sockets(sock), name="Web", grace=1.0)
    address: Any = sock.getsockname()
    task = asyncio.create_task(server.serve())
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        server.stop()
        await task


async def exchange(request: bytes) -> bytes:
    """All that the server sends until it closes the connection."""
    async with connected() as (reader, writer), asyncio.timeout(20):
        writer.write(request)
        return await reader.read()


async def test_a_client_of_http_1_0_gets_what_has_no_length_unchunked() -> None:
    head, _, body = (await exchange(b"GET / HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")
    assert body == b"onetwo"
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head


async def test_a_client_of_http_1_0_gets_the_length_where_it_is_known() -> None:
    head, _, body = (await exchange(b"GET /known HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")
    assert (body, b"content-length: 6" in head) == (b"onetwo", True)


async def test_a_client_of_http_1_1_gets_chunks() -> None:
    request = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    assert (await exchange(request)).endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n"])
async def test_a_request_that_does_not_name_its_host_once_is_refused(hosts: bytes) -> None:
    assert (await exchange(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")).startswith(BAD)


@pytest.mark.parametrize("sent", [b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"])
async def test_a_request_with_two_lengths_is_refused(sent: bytes) -> None:
    request = b"POST / HTTP/1.1\r\nHost: shop\r\n" + sent + b"\r\n0\r\n\r\n"
    assert (await exchange(request)).startswith(BAD)


async def test_a_head_without_end_is_refused() -> None:
    async with connected() as (reader, writer), asyncio.timeout(20):
        writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n")
        answer = BAD
        with contextlib.suppress(ConnectionError):  # what is unread when it closes resets it
            for _ in range(10 * LONGEST_HEAD // 1000):
                writer.write(b"X: %s\r\n" % (b"x" * 1000))
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()  # to the end, which comes from the server
        assert answer.startswith(BAD)


async def test_a_long_head_in_one_piece_is_taken_after_one_that_was_short() -> None:
    long = b"X: " + b"x" * (LONGEST_HEAD // 2) + b"\r\n"
    async with connected() as (reader, writer), asyncio.timeout(20):
        for more in (b"", long, long):
            writer.write(b"GET /known HTTP/1.1\r\nHost: shop\r\n" + more + b"\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            assert await reader.readexactly(6) == b"onetwo"
