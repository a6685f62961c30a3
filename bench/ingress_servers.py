"""The servers that `ingress.py` compares, each in processes of its own."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from weaver.control.ingress import Backend, Table, VersionShare
from weaver.control.stream import encode
from weaver.ingress.main import Settings
from weaver.transport.event_loop import loop_factory

CONTENT = b"<p>some hundred bytes of an answer, as of an interface or a small page</p>\n" * 2
HEADERS = [
    (b"content-length", b"%d" % len(CONTENT)),
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
]
HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option forwardfor
    http-reuse always
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    balance leastconn
{servers}
"""


async def app(scope: dict[str, Any], _receive: object, send: Callable[..., Any]) -> None:
    """The application: the same answer to everybody."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": CONTENT})


class Lean(asyncio.Protocol):
    """Costs next to nothing, so that the proxy before it is what limits."""

    head = b"".join(b"%b: %b\r\n" % pair for pair in HEADERS)
    answer = (
        b"HTTP/1.1 200 OK\r\ndate: Thu, 26 Nov 2026 12:00:00 GMT\r\n" + head + b"\r\n" + CONTENT
    )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.answer * data.count(b"\r\n\r\n"))


async def serve(kind: str, fd: int) -> None:
    """What a server process does with its listening socket, for good."""
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    if kind == "uvicorn":
        import uvicorn

        config = uvicorn.Config(
            app, http="httptools", log_config=None, lifespan="off", access_log=False
        )
        await uvicorn.Server(config).serve([sock])
    elif kind == "weaver":
        from weaver.proclet.http import HttpServer
        from weaver.proclet.http_sockets import Sockets

        await HttpServer(app, Sockets(sock), name="bench", grace=1.0).serve()
    else:
        server = await asyncio.get_running_loop().create_server(Lean, sock=sock)
        await server.serve_forever()


@contextlib.contextmanager
def running(*command: str, fds: tuple[int, ...] = ()) -> Generator[psutil.Process]:
    """A process that is killed in the end."""
    process = subprocess.Popen(command, pass_fds=fds)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait(10)


@contextlib.contextmanager
def servers(kind: str, sock: socket.socket, count: int) -> Generator[list[psutil.Process]]:
    """`count` processes that accept on one socket."""
    sock.set_inheritable(True)
    command = (sys.executable, __file__, json.dumps([kind, sock.fileno()]))
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running(*command, fds=(sock.fileno(),))) for _ in range(count)]


@contextlib.contextmanager
def our_ingress(listening: socket.socket, paths: list[str]) -> Generator[psutil.Process]:
    """One worker before the replicas at these Unix sockets."""
    ours, theirs = socket.socketpair()
    settings = Settings(listening.fileno(), theirs.fileno(), report=3600.0)
    command = (sys.executable, "-m", "weaver.ingress.main", msgspec.json.encode(settings).decode())
    with ours, running(*command, fds=(listening.fileno(), theirs.fileno())) as process:
        theirs.close()
        backends = tuple(Backend(path, f"unix:{path}") for path in paths)
        ours.sendall(encode(Table(1, (VersionShare("v1", 1, backends),))))
        ours.recv(100)  # Serving
        yield process


@contextlib.contextmanager
def haproxy(program: str, folder: Path, port: int, paths: list[str]) -> Generator[psutil.Process]:
    """HAProxy with one thread before the same replicas."""
    lines = "\n".join(f"    server s{i} unix@{path}" for i, path in enumerate(paths))
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, servers=lines))
    with running(program, "-db", "-f", str(config)) as process:
        yield process


def until_open(address: str | int) -> None:
    """Wait until somebody listens on a port or a Unix socket."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
        with socket.socket(family) as sock, contextlib.suppress(OSError):
            sock.connect(("127.0.0.1", address) if isinstance(address, int) else address)
            return
        time.sleep(0.02)
    raise TimeoutError(address)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(*json.loads(sys.argv[1])))
