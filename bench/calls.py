"""What a call between two processes costs: latency, rate at 64 in flight, CPU, large values.

Run: `python bench/calls.py [--rounds N] [--ours] [names ...]`. Every contestant has a server
process of its own on a Unix socket (TCP on the loopback where it knows nothing else); rounds
alternate within one run. CPU is that of both processes. Contestants that are not installed are
left out.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import calls_contestants as contestants

from weaver.cli.commands.version import core

TEXT = "0123456789abcdef"
IN_FLIGHT = 64
OURS = ("weaver", "weaver, spinning")


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Contestant:
    """One server process, and this process as its client."""

    def __init__(self, name: str, folder: str) -> None:
        self.name = name
        self.address = f"{folder}/{name}.sock"
        program = "import sys, calls_contestants as c; c.serve(*sys.argv[1:])"
        command = [sys.executable, "-c", program, name, self.address]
        self.server = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parent,
        )
        assert self.server.stdout is not None
        self.where = self.server.stdout.readline().strip()
        self.sequential: list[float] = []
        self.rates: list[float] = []
        self.cpu: list[float] = []
        self.blobs: list[float] = []

    async def connect(self) -> None:
        self.client: Any = await contestants.CLIENTS[self.name](self.where)

    async def round(self, calls: int, blobs: int) -> None:
        call = self.client.call
        for _ in range(20):
            assert await call(TEXT) == TEXT
        for _ in range(calls // 8):
            began = time.perf_counter()
            await call(TEXT)
            self.sequential.append(time.perf_counter() - began)
        cpu = cpu_of(self.server.pid) + time.process_time()
        began = time.perf_counter()
        await self.client.burst(calls)
        self.rates.append(calls / (time.perf_counter() - began))
        self.cpu.append((cpu_of(self.server.pid) + time.process_time() - cpu) / calls)
        if self.client.blob is not None:
            blob = bytes(1 << 20)
            for _ in range(blobs):
                began = time.perf_counter()
                assert len(await self.client.blob(blob)) == len(blob)
                self.blobs.append(time.perf_counter() - began)

    def stop(self) -> None:
        self.server.kill()
        self.server.wait()
        assert self.server.stdout is not None
        self.server.stdout.close()


async def beside_large(client: Any, other: Any) -> tuple[float, float, float]:
    """p99 of small calls in seconds: alone, and with four 1 MiB echoes in flight beside them.

    The last one is that of `other`, a connection of its own beside them: what the cores allow.
    """
    alone = await p99(client, 2000)
    blob = bytes(1 << 20)
    stop = False

    async def stream() -> None:
        while not stop:
            await client.blob(blob)

    tasks = [asyncio.create_task(stream()) for _ in range(4)]
    await asyncio.sleep(0.05)
    loaded, apart = await p99(client, 2000), await p99(other, 2000)
    stop = True
    await asyncio.gather(*tasks)
    return alone, loaded, apart


async def p99(client: Any, calls: int) -> float:
    times: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        await client.call(TEXT)
        times.append(time.perf_counter() - began)
    return sorted(times)[int(calls * 0.99)]


def c_like_ping_pong(folder: str) -> float:
    """Seconds for 1 MiB there and back between two processes with blocking sockets."""
    import socket

    path = f"{folder}/ping-pong.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    child = os.fork()
    if child == 0:
        peer, _ = listening.accept()
        buffer = bytearray(1 << 20)
        while contestants.receive_exactly(peer, buffer):
            peer.sendall(buffer)
        os._exit(0)
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    buffer, times = bytearray(1 << 20), []
    for _ in range(200):
        began = time.perf_counter()
        client.sendall(buffer)
        contestants.receive_exactly(client, buffer)
        times.append(time.perf_counter() - began)
    client.close()
    listening.close()
    os.waitpid(child, 0)
    return statistics.median(times)


def report(entrants: list[Contestant]) -> None:
    python = sys.version.split()[0]
    print(f"Python {python}, weaver {core()}, medians of alternating rounds; ratios to the echo")
    print(f"{'':26}{'us':>8} {'ratio':>6} {'calls/s':>9} {'ratio':>6} {'CPU us':>8} {'MiB ms':>8}")
    base = entrants[0]
    echo, rate = statistics.median(base.sequential), statistics.median(base.rates)
    for e in entrants:
        one, many = statistics.median(e.sequential), statistics.median(e.rates)
        blob = f"{statistics.median(e.blobs) * 1e3:8.2f}" if e.blobs else ""
        cpu = statistics.median(e.cpu) * 1e6
        print(
            f"{e.name:26}{one * 1e6:8.1f} {one / echo:6.2f} {many:9.0f} {many / rate:6.2f}"
            f" {cpu:8.1f} {blob}"
        )
    cpus = {e.name: statistics.median(e.cpu) for e in entrants}
    for name in OURS if cpus.keys() >= {"grpc.aio", *OURS} else ():
        times = cpus["grpc.aio"] / cpus[name]
        print(f"grpc.aio takes {times:.0f} times the CPU of {name} (budget 60)")


async def run(names: list[str], rounds: int, folder: str) -> None:
    entrants: list[Contestant] = []
    try:
        for name in names:
            entrants.append(Contestant(name, folder))
            await entrants[-1].connect()
        from weaver.proclet.tuning import tune

        tune()
        for number in range(rounds):
            for entrant in entrants:
                slow = entrant.name not in {"echo", *OURS}
                await entrant.round(640 if slow else 12_800, 2 if number < 10 else 0)
        report(entrants)
        for entrant in entrants:
            if entrant.name == "weaver":
                other = await contestants.CLIENTS[entrant.name](entrant.where)
                found = [await beside_large(entrant.client, other) for _ in range(5)]
                alone, loaded, apart = (statistics.median(p) for p in zip(*found, strict=True))
                print(
                    f"weaver: p99 of small calls {alone * 1e6:.0f} us, beside 4 x 1 MiB"
                    f" {loaded * 1e6:.0f} us: {loaded / alone:.2f} (budget 3);"
                    f" on a connection of its own {apart * 1e6:.0f} us: {apart / alone:.2f}"
                )
    finally:
        for entrant in entrants:
            entrant.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--ours", action="store_true", help="weaver, the echo and grpc.aio only")
    options = parser.parse_args()
    names = [n for n in contestants.CLIENTS if contestants.installed(n)]
    wanted = {*options.names, *((*OURS, "grpc.aio") if options.ours else ())}
    names = [n for n in names if n in wanted or n == "echo" or not wanted]
    with tempfile.TemporaryDirectory() as folder:
        print(f"1 MiB, blocking sockets, no protocol: {c_like_ping_pong(folder) * 1e3:.2f} ms")
        start: Callable[[Any], None] = contestants.run_loop
        start(run(names, options.rounds, folder))


if __name__ == "__main__":
    main()
