"""A proxy in this process, before uvicorn replicas in processes of their own."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil

from weaver.control.ingress import Backend, Pinning, Table, VersionShare
from weaver.ingress.http.limits import Limits
from weaver.ingress.proxy import Proxy
from weaver.transport.listening import bind

APP = """
import asyncio, os, sys

NAME = os.environ["NAME"]


async def body_of(receive):
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": NAME + ":" + message["text"]})
        return
    if scope["type"] != "http":
        return
    path = scope["path"]
    status, headers, content = 200, [(b"x-replica", NAME.encode())], [NAME.encode()]
    if path == "/size":
        size = 0
        async for part in body_of(receive):
            size += len(part)
        content = [str(size).encode()]
    elif path == "/echo":
        content = [part async for part in body_of(receive)]
    elif path == "/headers":
        content = [b"\\n".join(k + b": " + v for k, v in scope["headers"])]
    elif path == "/large":
        content = [b"x" * 65536] * 256
    elif path == "/early":
        status = 413
    elif path == "/empty":
        status, content = 204, [b""]
    elif path == "/broken":
        status = 500
    elif path == "/die":
        os._exit(9)
    elif path == "/sse":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
        await receive(), await receive()
        open(os.environ["GONE"], "w").close()
        return
    elif path == "/hang":
        await receive(), await receive()
        open(os.environ["GONE"], "w").close()
        return
    elif path == "/wait":
        while not os.path.exists(os.environ["GONE"]):
            await asyncio.sleep(0.01)
    elif path == "/die-midway":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.sleep(0.05)
        os._exit(9)
    if path not in ("/large", "/sse") and b"chunked" not in scope["query_string"]:
        length = sum(map(len, content))
        if status != 204:
            headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in content:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
"""


class Replica:
    """One uvicorn; `gone` is the file that the application makes when its client has left."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.gone = folder / f"{name}.gone"
        self.path = folder / f"{name}.sock"
        self.backend = Backend(name, f"unix:{self.path}")
        (folder / "ingress_app.py").write_text(APP)
        options = ["--log-level", "critical", "--uds", str(self.path)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "ingress_app:app", *options],
            cwd=folder,
            env={"NAME": name, "GONE": str(self.gone), "PATH": "/usr/bin:/bin"},
        )

    def wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(str(self.path))
            except OSError:
                assert time.monotonic() < deadline
                assert self.process.poll() is None
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def replicas(folder: Path, *names: str) -> Generator[list[Replica]]:
    """uvicorn processes that serve already."""
    made = [Replica(folder, name) for name in names]
    try:
        for replica in made:
            replica.wait_until_it_serves()
        yield made
    finally:
        for replica in made:
            replica.kill()


def table_of(
    number: int = 1, pins: Pinning | None = None, **versions: tuple[int, list[Replica]]
) -> Table:
    """A table from weights and replicas of each version."""
    shares = tuple(
        VersionShare(name, weight, tuple(r.backend for r in of))
        for name, (weight, of) in versions.items()
    )
    return Table(number, shares, pins or Pinning())


class Running:
    """A proxy that serves, with its port."""

    def __init__(self, table: Table, limits: Limits) -> None:
        sock = bind("127.0.0.1:0")
        self.port: int = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.proxy = Proxy(sock, table, limits)
        self.proxy.start()

    async def raw(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which `data` was sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer

    async def exchanged(self, data: bytes) -> bytes:
        """All that comes back for `data` until the proxy closes."""
        reader, writer = await self.raw(data)
        try:
            return await asyncio.wait_for(reader.read(), 30)
        finally:
            writer.close()

    def counts(self) -> Mapping[str, tuple[int, int, int, int]]:
        """Requests, errors, aborted and in flight of each version."""
        return {
            v.version: (v.requests, v.errors, v.aborted, v.in_flight)
            for v in self.proxy.counts().versions
        }


@asynccontextmanager
async def proxying(table: Table, **limits: float) -> AsyncGenerator[Running]:
    """A proxy in the running loop."""
    running = Running(table, Limits(**{"tick": 0.05, **limits}))  # type: ignore[arg-type]
    try:
        yield running
    finally:
        running.proxy.close()
        await asyncio.sleep(0)  # transports close in the next turn


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one answer with a Content-Length."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    length = next(
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    )
    return head, await asyncio.wait_for(reader.readexactly(length), 30)


async def eventually(path: Path) -> bool:
    """Whether `path` comes to exist within ten seconds."""
    async with asyncio.timeout(30):
        while not os.path.exists(path):  # noqa: ASYNC240, PTH110 - a stat is no wait
            await asyncio.sleep(0.01)
    return True
