"""One incarnation of a replica: from the decision to start it to the report of its end.

Decides what is reported of a process and in which order. It must not know what shall run.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from weaver.control.messages import (
    Accept,
    Ended,
    EnvelopeFailed,
    Failed,
    Fault,
    FromReplica,
    Heartbeat,
    Hosting,
    LogRecord,
    Logs,
    Message,
    Orders,
    RegisterReplica,
    ReplicaExited,
    ReplicaStarted,
    Spans,
    Statistics,
)
from weaver.control.private_socket import private_name
from weaver.control.stream import encode
from weaver.envelope.held import HeldListeners
from weaver.envelope.launch import Launcher
from weaver.envelope.memory import MemoryKills
from weaver.envelope.process import Exit
from weaver.envelope.running import Pipes, Running
from weaver.envelope.supervision import Phase, Replica, Supervision
from weaver.envelope.zygote_link import PreloadError

YOUNG_STOP: Final = 1.0  # seconds for a replica that has not served anything yet
UNKEPT: Final = (Heartbeat, Statistics, Spans)


class Reports(Protocol):
    """Where everything goes that a manager shall know."""

    def publish(self, message: Message) -> None:
        """An event that is kept until a manager has seen it."""
        ...

    def mention(self, message: Message) -> None:
        """An event that matters now or not at all."""
        ...

    def log(self, records: Iterable[LogRecord], lost: int = 0) -> None:
        """Log records."""
        ...

    def last_lines(self, replica: str) -> tuple[str, ...]:
        """What a replica has written last."""
        ...


class Surroundings(NamedTuple):
    """What every incarnation needs of its envelope."""

    supervision: Supervision
    launcher: Launcher
    listeners: HeldListeners
    reports: Reports
    memory: MemoryKills
    host: str
    directory: Path


class Incarnation:
    """Runs one process of `replica`; `routing` is told to it first."""

    def __init__(self, replica: Replica, around: Surroundings, routing: bytes) -> None:
        self.running: Running | None = None
        self._replica = replica
        self._around = around
        self._routing = routing
        self._number = replica.incarnation
        self._fault: Fault | None = None
        assert around.supervision.orders is not None
        assert around.supervision.orders.application is not None
        self._heartbeat = around.supervision.orders.heartbeats.every
        self._application = around.supervision.orders.application

    @property
    def name(self) -> str:
        """The id of the replica."""
        return self._replica.name

    def send(self, message: bytes) -> None:
        """Send an encoded message, once the process runs; before that it is lost."""
        if self.running is not None:
            self.running.send(message)

    async def run(self) -> None:
        """Start the process and follow it to its end."""
        pipes = Pipes(self._wrote)
        try:
            try:
                running = await self._start(pipes)
            except asyncio.CancelledError:
                self._report(Exit(0), "it was still starting")
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt follows
                self._not_started(error)
                return
            try:
                await running.process.exited
            finally:
                await running.finish()
                pipes.close()
            self._ended(running)
        finally:
            pipes.close()

    async def _start(self, pipes: Pipes) -> Running:
        around, replica = self._around, self._replica
        held = around.listeners.of(replica.order) or {}
        launched = await around.launcher.launch(
            self._hosting(), held, stdout=pipes.stdout, stderr=pipes.stderr
        )
        pipes.close_writers()
        running = self.running = Running(launched.process, self._received)
        replica.pid, replica.started = launched.process.pid, time.time()
        replica.heard = asyncio.get_running_loop().time()
        replica.young = launched.forked
        started = ReplicaStarted(
            replica.name, self._number, replica.pid, replica.started, launched.forked
        )
        around.reports.publish(started)
        await running.connect(launched.control, launched.hosting)
        traffic = self._orders().traffic
        if traffic.accepting != launched.hosting.accepting:
            running.send(encode(Accept(traffic.accepting)))  # changed while it was being started
        if self._routing:
            running.send(self._routing)
        if replica.phase is Phase.STOPPING:
            running.stop(0.0)  # it was asked to end while it was being started: nothing to drain
        return running

    def _hosting(self) -> Hosting:
        around, replica = self._around, self._replica
        orders = self._orders()
        return Hosting(
            self._application,
            replica.name,
            self._number,
            replica.group,
            around.host,
            str(around.directory),
            replica.order,
            heartbeat=self._heartbeat,
            advertise=orders.advertise,
            accepting=orders.traffic.accepting,
            private=orders.on_manager_lost != "end",  # else nobody can deploy a version beside it
        )

    def _orders(self) -> Orders:
        orders = self._around.supervision.orders
        assert orders is not None
        return orders

    # --- while it runs ---

    def _received(self, message: Any) -> None:
        replica, reports = self._replica, self._around.reports
        replica.heard = asyncio.get_running_loop().time()
        replica.young = False
        match message:
            case Logs():
                reports.log(map(self._signed, message.records), message.lost)
                return
            case RegisterReplica():
                replica.registered = message
                if replica.phase is Phase.STARTING:
                    replica.phase = Phase.RUNNING
            case Failed(fault=fault):
                self._fault = fault
            case Ended():
                replica.finished = True
            case _:
                pass
        told = FromReplica(replica.name, self._number, encode(message))
        if isinstance(message, UNKEPT):
            reports.mention(told)
        else:
            reports.publish(told)

    def _wrote(self, stream: str, lines: list[str]) -> None:
        level = "INFO" if stream == "stdout" else "WARNING"
        now = time.time()
        records = [LogRecord(now, level, line, stream=stream) for line in lines]
        self._around.reports.log(map(self._signed, records))

    def _signed(self, record: LogRecord) -> LogRecord:
        """A record that says whose it is, also where the replica did not."""
        return msgspec.structs.replace(
            record,
            group=self._replica.group,
            replica=self._replica.name,
            version=record.version or self._application.version,
        )

    # --- its end ---

    def _not_started(self, error: Exception) -> None:
        if isinstance(error, PreloadError):
            self._around.reports.publish(EnvelopeFailed(error.fault))
            why = f"{error.fault.what}: {error.fault.why}"
        else:
            why = f"its process cannot be started: {error}"
        self._report(Exit(1), why)

    def _ended(self, running: Running) -> None:
        end = running.process.exited.result()
        why = running.note
        if not why and self._fault is not None:
            why = self._fault.what
        if not why and self._replica.phase is not Phase.STOPPING:
            why = self._around.memory.explain(end)
        self._remove_sockets()
        self._report(end, f"{end}: {why}" if why else str(end))

    def _report(self, end: Exit, reason: str) -> None:
        replica, around = self._replica, self._around
        expected = replica.phase is Phase.STOPPING or replica.finished
        now = asyncio.get_running_loop().time()
        delay, looping = around.supervision.exited(
            replica,
            now,
            random.random(),  # noqa: S311 - it spreads restarts, nothing more
        )
        lines = around.reports.last_lines(replica.name)
        around.reports.publish(
            ReplicaExited(
                replica.name,
                self._number,
                end.code,
                end.signal,
                reason,
                lines,
                expected,
                looping,
                delay,
            )
        )

    def _remove_sockets(self) -> None:
        """Remove the sockets of a replica that could not do so; callers then fail sooner."""
        replica, directory = self._replica, self._around.directory
        for listener in replica.order.listeners:
            with contextlib.suppress(OSError):
                (directory / private_name(replica.name, self._number, listener)).unlink()
        registered = replica.registered
        if registered is None or not registered.address.startswith("unix:"):
            return
        path = Path(registered.address.removeprefix("unix:"))
        if path.parent == directory:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
