"""What the ingress costs per request, beside uvicorn asked directly and, if installed, HAProxy.

One uvicorn on a Unix socket and on a port answers two bytes; the variants take turns in one run, so
that other work on the machine falls on all of them. CPU per request of the proxy is the figure that
carries over: rates and latencies depend on what else runs. `--concurrency` connections are kept.
"""

import argparse
import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import uvloop

from weaver.control.ingress import Backend, Table, VersionShare
from weaver.control.stream import encode
from weaver.ingress.main import Settings
from weaver.transport.listening import bind

APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        headers = [(b"content-length", b"2"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})
"""
REQUEST = (
    b"GET /a?b=c HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n"
    b"Accept-Encoding: gzip, deflate\r\nCookie: session=0123456789abcdef\r\n\r\n"
)
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
    server s unix@{path}
"""


class Client(asyncio.Protocol):
    """Asks again as soon as it is answered, until `stop`."""

    def __init__(self, times: list[float]) -> None:
        self.times = times
        self.stop = False
        self.done = asyncio.get_running_loop().create_future()
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self.transport.write(REQUEST)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._data.endswith(b"\r\n\r\nok"):
            return
        assert self._data.startswith(b"HTTP/1.1 200"), self._data
        self._data = b""
        self.times.append(time.perf_counter() - self._asked)
        if self.stop:
            self.transport.close()
            if not self.done.done():
                self.done.set_result(None)
        else:
            self._ask()


def cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


async def round_of(port: int, seconds: float, concurrency: int) -> list[float]:
    loop, times = asyncio.get_running_loop(), list[float]()
    clients = [
        (await loop.create_connection(lambda: Client(times), "127.0.0.1", port))[1]
        for _ in range(concurrency)
    ]
    await asyncio.sleep(seconds)
    for client in clients:
        client.stop = True
    await asyncio.wait_for(asyncio.gather(*(client.done for client in clients)), 10)
    return times


def until_open(address: str | int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
        with socket.socket(family) as sock, contextlib.suppress(OSError):
            sock.connect(("127.0.0.1", address) if isinstance(address, int) else address)
            return
        time.sleep(0.02)
    raise TimeoutError(address)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(
    *command: str, fds: tuple[int, ...] = (), folder: str = "."
) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, pass_fds=fds, cwd=folder)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait(10)


def variants(
    stack: contextlib.ExitStack, folder: str, haproxy: str
) -> dict[str, tuple[int, psutil.Process | None]]:
    (Path(folder) / "bench_app.py").write_text(APP)
    path, port = f"{folder}/replica.sock", free_port()
    uvicorn = (sys.executable, "-m", "uvicorn", "bench_app:app", "--log-level", "critical")
    stack.enter_context(running(*uvicorn, "--uds", path, folder=folder))
    stack.enter_context(running(*uvicorn, "--port", str(port), folder=folder))
    until_open(path)
    until_open(port)
    found: dict[str, tuple[int, psutil.Process | None]] = {"uvicorn, direct": (port, None)}
    listening = stack.enter_context(bind("127.0.0.1:0"))
    ours, theirs = socket.socketpair()
    stack.enter_context(ours)
    said = msgspec.json.encode(Settings(listening.fileno(), theirs.fileno(), report=3600.0))
    worker = running(
        sys.executable, "-m", "weaver.ingress.main", said.decode(),
        fds=(listening.fileno(), theirs.fileno()),
    )  # fmt: skip
    process = stack.enter_context(worker)
    theirs.close()
    backend = Backend("a", f"unix:{path}")
    ours.sendall(encode(Table(1, (VersionShare("v1", 1, (backend,)),))))
    ours.recv(100)  # Serving
    found["weaver ingress"] = (listening.getsockname()[1], process)
    if haproxy:
        port = free_port()
        config = Path(folder) / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=port, path=path))
        process = stack.enter_context(running(haproxy, "-db", "-f", str(config)))
        until_open(port)
        found["haproxy"] = (port, process)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--haproxy", default="", help="path of the program")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        found = variants(stack, folder, options.haproxy)
        results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in found}
        for _ in range(options.rounds):
            for name, (port, process) in found.items():
                before = cpu(process) if process else 0.0
                work = round_of(port, options.seconds, options.concurrency)
                times = uvloop.run(work)
                used = cpu(process) - before if process else 0.0
                each = used / len(times) * 1e6
                results[name].append((len(times) / options.seconds, statistics.median(times), each))
    print(f"{'':18}{'req/s':>10}{'p50 ms':>10}{'proxy us CPU/request':>24}")
    for name, rounds in results.items():
        rate, p50, each = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"{name:18}{rate:10.0f}{p50 * 1e3:10.2f}{each:24.1f}")
    if not options.haproxy:
        print("haproxy was not measured: give its path with --haproxy")


if __name__ == "__main__":
    main()
