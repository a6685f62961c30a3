"""How fast an envelope has a new replica ready: forked and spawned, one, twenty, after a kill.

The times are those of the manager: from the order, or the kill, to `RegisterReplica`. By then each
replica runs an event loop and listens, in an application that has imported a web server.
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from weaver.control.messages import (
    Application,
    Attach,
    End,
    Event,
    FromEnvelope,
    FromReplica,
    GroupOrder,
    Heartbeat,
    Hosting,
    Orders,
    RegisterReplica,
    ReplicaStarted,
    Restarts,
    ToProclet,
)
from weaver.control.stream import Codec, Receiver, encode

HERE = Path(__file__)
PAUSE = 0.5  # seconds in which a zygote forks its next spare


def load(application: Application) -> None:
    """The import of the application."""
    del application
    import uvicorn
    import uvloop

    del uvicorn, uvloop


def run_replica(hosting: Hosting, control: socket.socket, preloaded: object) -> int:
    """Listen, say so, and go on until the control socket ends."""
    del preloaded
    import uvloop

    async def serve() -> None:
        control.setblocking(False)
        path = f"{hosting.directory}/{hosting.replica}.{hosting.incarnation}"
        server = await asyncio.start_unix_server(lambda *_: None, path)
        reader, writer = await asyncio.open_unix_connection(sock=control)
        writer.write(encode(RegisterReplica(f"unix:{path}")))
        receiver: Receiver[Any] = Receiver(Codec(ToProclet))
        while True:
            try:
                data = await asyncio.wait_for(reader.read(65536), hosting.heartbeat)
            except TimeoutError:
                writer.write(encode(Heartbeat()))
                continue
            if not data or list(receiver.feed(data)):
                break
        server.close()
        writer.close()

    uvloop.run(serve())
    return 0


class Manager:
    """Counts the replicas that are ready."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pids: dict[str, int] = {}
        self._reader = reader
        self._writer = writer
        self._receiver: Receiver[Any] = Receiver(Codec(FromEnvelope))
        self._codec: Codec[Any] = Codec(FromEnvelope)
        self._number = 0

    async def until_ready(self, count: int) -> float:
        """Wait for so many registrations; the time then."""
        while count:
            for message in self._receiver.feed(await self._reader.read(65536)):
                inner = self._codec.unpack(message.message) if isinstance(message, Event) else None
                if isinstance(inner, ReplicaStarted):
                    self.pids[inner.replica] = inner.pid
                count -= isinstance(inner, FromReplica) and b"RegisterReplica" in inner.message
        return time.perf_counter()

    async def order(self, replicas: list[str], *, preload: bool) -> float:
        """Order these replicas; the seconds until all that are new are ready."""
        new = len(set(replicas) - self.pids.keys())
        self.pids = {name: self.pids.get(name, 0) for name in replicas}
        self._number += 1
        begin = time.perf_counter()
        self.send(
            Orders(
                self._number,
                {"front": GroupOrder((), preload=preload)},
                dict.fromkeys(replicas, "front"),
                application=Application("bench", "v", "d", "bench:Web", project=str(HERE.parent)),
                restarts=Restarts(healthy=0.0),
            )
        )
        return await self.until_ready(new) - begin

    def send(self, message: Any) -> None:
        """Send one message."""
        self._writer.write(encode(message))


async def measure(path: Path, rounds: int, *, preload: bool) -> None:
    """One envelope, with every replica started in the same way."""
    how = "forked" if preload else "spawned"
    reader, writer = await connect(path)
    manager = Manager(reader, writer)
    manager.send(Attach("d", 1))
    first = await manager.order(["r0"], preload=preload)
    print(f"{how:8} the first one, imports included {1000 * first:8.1f} ms")
    names = ["r0"]
    times: list[float] = []
    for number in range(rounds):
        names.append(f"one{number}")
        times.append(await manager.order(names, preload=preload))
        await manager.order(names := ["r0"], preload=preload)
        await asyncio.sleep(PAUSE)
    show(how, "one more", times)
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        os.kill(manager.pids["r0"], signal.SIGKILL)
        times.append(await manager.until_ready(1) - begin)
        await asyncio.sleep(PAUSE)
    show(how, "kill -9 to ready again", times)
    times = []
    for number in range(max(rounds // 5, 1)):
        names = ["r0", *(f"many{number}-{index}" for index in range(20))]
        times.append(await manager.order(names, preload=preload))
        await manager.order(["r0"], preload=preload)
    show(how, "twenty more", times)
    manager.send(End(at_once=True))
    while await reader.read(65536):
        pass
    writer.close()


def show(how: str, what: str, times: list[float]) -> None:
    """One line."""
    low, mid, high = min(times), statistics.median(times), max(times)
    print(f"{how:8} {what:30} {1000 * mid:8.1f} ms (from {1000 * low:.1f} to {1000 * high:.1f})")


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection, once there is somebody who listens."""
    while True:
        try:
            return await asyncio.open_unix_connection(str(path))
        except OSError:
            await asyncio.sleep(0.01)


def main() -> None:
    """Measure both ways, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds: int = parser.parse_args().rounds
    for preload in (True, False):
        with tempfile.TemporaryDirectory(prefix="weaver-bench-") as directory:
            path = Path(directory) / "e.sock"
            command = [sys.executable, "-m", "weaver.envelope.main", "--socket", str(path)]
            command += ["--host", "here", "--runtime", HERE.stem, "--parent", str(os.getpid())]
            with subprocess.Popen(command) as envelope:
                asyncio.run(measure(path, rounds if preload else rounds // 4, preload=preload))
            assert envelope.returncode == 0


if __name__ == "__main__":
    main()
