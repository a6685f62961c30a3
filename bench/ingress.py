"""What stands between users and replicas: requests per second, latency, CPU of it per request.

`direct` are plain uvicorn workers on one inherited socket, `shared` ours in the same way, `proxy`
our ingress and `haproxy` HAProxy, each one process, before the same replicas on Unix sockets. They
take turns in one run, so that other work on the machine falls on all of them. CPU per request
carries over to other machines; rates and latencies depend on what else runs. `--replicas lean`
puts servers that cost next to nothing behind both proxies. Load comes from wrk where it is
installed, else from a client here, which needs a core of its own.
"""

import argparse
import asyncio
import contextlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import uvloop
from ingress_servers import haproxy, our_ingress, servers, until_open

from weaver.transport.listening import bind

HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "Cookie": "session=0123456789abcdef",
}
REQUEST = "".join(
    ("GET /a?b=c HTTP/1.1\r\nHost: a\r\n", *(f"{k}: {v}\r\n" for k, v in HEADERS.items()), "\r\n")
).encode()


class Round(NamedTuple):
    """One variant for some seconds: requests per second, latency in ms, us of CPU per request."""

    rate: float
    p50: float
    p99: float
    cpu: float


class Client(asyncio.Protocol):
    """Asks again as soon as it is answered, until `stop`."""

    def __init__(self, times: list[float]) -> None:
        self.times = times
        self.stop = False
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self.transport.write(REQUEST)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not data.endswith(b"</p>\n"):
            return
        self.times.append(time.perf_counter() - self._asked)
        if self.stop:
            self.transport.close()
            if not self.done.done():
                self.done.set_result(None)
        else:
            self._ask()


async def ask(port: int, seconds: float, connections: int) -> list[float]:
    loop, times = asyncio.get_running_loop(), list[float]()
    clients = [
        (await loop.create_connection(lambda: Client(times), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    for client in clients:
        client.stop = True
    await asyncio.wait_for(asyncio.gather(*(client.done for client in clients)), 10)
    return times


def load(port: int, seconds: float, connections: int) -> tuple[int, float, float]:
    """Requests that were answered, and their median and 99th percentile in ms."""
    wrk = shutil.which("wrk")
    if wrk is None:
        times = sorted(uvloop.run(ask(port, seconds, connections)))
        p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
        return len(times), p50 * 1e3, p99 * 1e3
    headers = [part for k, v in HEADERS.items() for part in ("-H", f"{k}: {v}")]
    options = ("-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", *headers)
    text = subprocess.run(
        [wrk, *options, f"http://127.0.0.1:{port}/a?b=c"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "Non-2xx" not in text, text
    assert "Socket errors" not in text, text
    found = dict(re.findall(r"^\s+(50|99)%\s+(\S+)$", text, re.MULTILINE))
    count = re.search(r"(\d+) requests in", text)
    assert count is not None
    return int(count[1]), _ms(found["50"]), _ms(found["99"])


def _ms(text: str) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def used(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def variants(
    stack: contextlib.ExitStack, folder: Path, kind: str, count: int
) -> dict[str, tuple[int, list[psutil.Process]]]:
    found: dict[str, tuple[int, list[psutil.Process]]] = {}

    def listen() -> tuple[int, socket.socket]:
        sock = stack.enter_context(bind("127.0.0.1:0"))
        return sock.getsockname()[1], sock

    for name, server in (("direct", "uvicorn"), ("shared", "weaver")):
        port, sock = listen()
        found[name] = (port, stack.enter_context(servers(server, sock, count)))
    paths = [f"{folder}/{i}.sock" for i in range(count)]
    for path in paths:
        stack.enter_context(servers(kind, stack.enter_context(bind(f"unix:{path}")), 1))
    port, sock = listen()
    found["proxy"] = (port, [stack.enter_context(our_ingress(sock, paths))])
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program:
        port, sock = listen()
        sock.close()
        process = stack.enter_context(haproxy(program, folder, port, paths))
        found["haproxy"] = (port, [process])
    for port, _ in found.values():
        until_open(port)
    return found


def show(results: dict[str, list[Round]]) -> None:
    print(f"{'':10}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}")
    middle: dict[str, Round] = {}
    for name, rounds in results.items():
        middle[name] = m = Round(*map(statistics.median, zip(*rounds, strict=True)))
        print(f"{name:10}{m.rate:9.0f}{m.p50:9.2f}{m.p99:9.2f}{m.cpu:9.1f}")
    ratios = [("shared / direct, rate", "shared", "direct", "rate", "at least 0.95")]
    if "haproxy" in middle:
        ratios.append(("proxy / haproxy, CPU", "proxy", "haproxy", "cpu", "at most 1.5"))
        ratios.append(("proxy / haproxy, rate", "proxy", "haproxy", "rate", "at least 0.8"))
    else:
        print("haproxy is not installed, and was not measured")
    for text, one, other, what, budget in ratios:
        pairs = zip(results[one], results[other], strict=True)  # of the same moment each
        ratio = statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs)
        print(f"{text:26}{ratio:6.2f}   (budget: {budget})")
    if "haproxy" in middle:
        print(f"{'proxy / haproxy, added p50':26}{added(results):6.2f}   (budget: at most 2)")


def added(results: dict[str, list[Round]]) -> float:
    """What the proxy adds to the median of `direct`, to what HAProxy adds; medians of rounds."""
    rounds = zip(*(results[name] for name in ("direct", "proxy", "haproxy")), strict=True)
    ratios = [
        (ours.p50 - none.p50) / max(other.p50 - none.p50, 0.01) for none, ours, other in rounds
    ]
    return statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2, help="replicas of each variant")
    parser.add_argument("--replicas", choices=("weaver", "uvicorn", "lean"), default="weaver")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = variants(stack, folder, options.replicas, options.workers)
        results: dict[str, list[Round]] = {name: [] for name in found}
        for number in range(options.rounds + 1):
            for name, (port, processes) in found.items():
                before, start = used(processes), time.perf_counter()
                count, p50, p99 = load(port, options.seconds, options.connections)
                seconds, cpu = time.perf_counter() - start, used(processes) - before
                if number:  # the first one is to warm up
                    results[name].append(Round(count / seconds, p50, p99, cpu / count * 1e6))
    show(results)


if __name__ == "__main__":
    main()
