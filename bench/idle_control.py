"""What an idle deployment costs its manager: 20 envelopes with 10 replicas each, and no calls.

Envelopes are stand-ins in a process of their own; their control channels are real Unix sockets, on
which everything comes as often as from real ones: heartbeats of envelopes and replicas each second,
statistics of each replica every five. Figures are CPU seconds of the manager's process.
"""

import argparse
import asyncio
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from weaver.control.messages import (
    Application,
    Attach,
    Attached,
    End,
    Event,
    FromReplica,
    Heartbeat,
    Message,
    MethodStatistics,
    Orders,
    Probe,
    Probed,
    RegisterReplica,
    Relay,
    ReplicaStarted,
    Statistics,
    ToEnvelope,
    ToProclet,
)
from weaver.control.stream import Codec, Receiver, encode
from weaver.deployers.control_loop import ControlLoop
from weaver.deployers.deployer import Command, Completed, Link, connect_unix
from weaver.deployers.journal import Journal
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import Group
from weaver.manager.state import Spec
from weaver.telemetry.histogram import BUCKETS

BUDGET = 0.05  # of a core
METHODS = 10  # that each replica has called before
STATISTICS_EVERY = 5
BUILD, DEPLOYMENT = "b" * 64, "d" * 8

from_manager: Codec[Any] = Codec(ToEnvelope)
to_proclet: Codec[Any] = Codec(ToProclet)


class Envelope:
    """A stand-in for the envelope of one host, on one connection of its manager."""

    def __init__(self, host: str, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._writer = writer
        self._number = 0
        self._replicas: list[str] = []

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Do as the manager says until it ends the connection."""
        receiver: Receiver[Any] = Receiver(from_manager)
        beating = asyncio.ensure_future(self._beat())
        try:
            while data := await reader.read(256 * 1024):
                for message in receiver.feed(data):
                    self._take(message)
        finally:
            beating.cancel()
            self._writer.close()

    def _take(self, message: Message) -> None:
        match message:
            case Attach(epoch=epoch):
                self._writer.write(encode(Attached(self._host, 1, epoch, 0, 0, ())))
            case Orders(replicas=wanted):
                for replica in [r for r in wanted if r not in self._replicas]:
                    self._replicas.append(replica)
                    self._tell(ReplicaStarted(replica, 1, 100, time.time()))
                    self._say(replica, RegisterReplica(f"unix:/{replica}", (), BUILD, DEPLOYMENT))
            case Relay(message=relayed, replicas=named):
                probe = to_proclet.unpack(relayed)
                if isinstance(probe, Probe):
                    for replica in named:
                        self._say(replica, Probed(probe.nonce, DEPLOYMENT, BUILD))
            case End():
                self._writer.close()
            case _:
                pass

    def _say(self, replica: str, message: Message) -> None:
        self._tell(FromReplica(replica, 1, encode(message)))

    def _tell(self, message: Message, *, kept: bool = True) -> None:
        self._number += kept
        number = self._number if kept else 0
        self._writer.write(encode(Event(number, encode(message))))

    async def _beat(self) -> None:
        """Each replica at its own moment of the second, as processes do."""
        turn = 0
        while True:
            turn += 1
            self._tell(Heartbeat(), kept=False)
            pause = 1 / max(len(self._replicas), 1)
            for replica in self._replicas or [""]:
                await asyncio.sleep(pause)
                if replica:
                    self._tell(FromReplica(replica, 1, encode(Heartbeat(0.0, 0))), kept=False)
                    if turn % STATISTICS_EVERY == 0:
                        told = FromReplica(replica, 1, encode(_statistics(turn)))
                        self._tell(told, kept=False)


def _statistics(turn: int) -> Statistics:
    histogram = tuple(n % 7 for n in range(BUCKETS))
    methods = tuple(
        MethodStatistics("shop.Web", "shop.Cart", f"method_{n}", 1000, histogram=histogram)
        for n in range(METHODS)
    )
    return Statistics(methods, turn * 0.001, 50_000_000, 0)


async def run_envelopes(folder: Path, hosts: list[str]) -> None:
    """Serve until the manager's process ends."""
    servers = [await _serve(folder / f"{host}.sock", host) for host in hosts]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        server.close()


async def _serve(path: Path, host: str) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await Envelope(host, writer).serve(reader)

    return await asyncio.start_unix_server(connected, path)


class Deployer:
    """Envelopes that are there already."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def start_envelope(self, host: str) -> None:
        """Nothing to be done."""

    def control_path(self, host: str) -> str:
        """Where it listens."""
        return str(self._folder / f"{host}.sock")

    async def connect(self, host: str) -> Link | None:
        """A link over its Unix socket."""
        return await connect_unix(Path(self.control_path(host)))

    async def has_ended(self, host: str) -> bool:
        """Never before the measurement has."""
        del host
        return False

    async def execute(self, host: str, command: Command) -> Completed:
        """Not here."""
        raise NotImplementedError


async def measure(folder: Path, hosts: list[str], replicas: int, seconds: float) -> float:
    """CPU seconds of this process for each second of an idle deployment."""
    spec = Spec(
        application=Application("shop", BUILD, DEPLOYMENT, "shop:Web"),
        groups={"shop": Group(components=("shop.Web",), replicas=replicas * len(hosts))},
        hosts={host: HostSpec(address=f"10.0.0.{n}") for n, host in enumerate(hosts, 1)},
    )
    with Journal(folder) as journal:
        loop = ControlLoop(spec, journal, Deployer(folder))
        running = asyncio.ensure_future(loop.run())
        async with asyncio.timeout(60):
            await loop.wait_live()
        await asyncio.sleep(2)  # what starting causes is over
        before = _cpu()
        await asyncio.sleep(seconds)
        used = _cpu() - before
        lost = [event.text for event in loop.history.latest if event.kind == "envelope lost"]
        running.cancel()
        await asyncio.wait((running,))
    if lost:
        raise SystemExit(f"not idle: {lost[0]}")
    return used / seconds


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, and compare with the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=10, help="on each host")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--envelopes", help=argparse.SUPPRESS)
    options = parser.parse_args()
    hosts = [f"h{n}" for n in range(options.hosts)]
    if options.envelopes:
        asyncio.run(run_envelopes(Path(options.envelopes), hosts))
        return
    with tempfile.TemporaryDirectory(prefix="weaver-idle-") as folder:
        command = [sys.executable, __file__, "--envelopes", folder, "--hosts", str(options.hosts)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as envelopes:
            assert envelopes.stdout is not None
            envelopes.stdout.readline()
            share = asyncio.run(measure(Path(folder), hosts, options.replicas, options.seconds))
            envelopes.communicate("")
    count = f"{options.hosts} hosts x {options.replicas} replicas"
    print(f"{count}, idle: {share * 100:.2f} % of a core (budget {BUDGET * 100:g} %)")


if __name__ == "__main__":
    main()
