"""A proclet for tests of the envelope, and a manager that writes down what it is told.

This file is the fake proclet's module too (`load` and `run_replica`), so it imports no pytest.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from weaver.control.messages import (
    Application,
    Attach,
    Attached,
    Ended,
    Event,
    Failed,
    Fault,
    FromEnvelope,
    FromProclet,
    FromReplica,
    GroupOrder,
    Heartbeat,
    Hosting,
    LogRecord,
    Logs,
    Message,
    NewRouting,
    Orders,
    Probed,
    RegisterReplica,
    ReplicaExited,
    ReplicaStarted,
    Stop,
    ToProclet,
)
from weaver.control.restarts import Heartbeats, Restarts
from weaver.control.stream import Codec, Receiver, encode

HERE = Path(__file__)
M = TypeVar("M", bound=Message)

# --- the proclet ---


def load(application: Application) -> object:
    """What `application.target` names: how the import goes."""
    print("importing")
    match application.target:
        case "fails:":
            raise ImportError("there is no such module")
        case "threads:":
            threading.Thread(target=time.sleep, args=(60,), daemon=True, name="user-thread").start()
        case "sleeps:":
            time.sleep(60)
        case "connects:":
            load.kept = socket.socket()  # type: ignore[attr-defined]
        case _:
            pass
    return os.getpid()


def run_replica(hosting: Hosting, control: socket.socket, preloaded: object) -> int:
    """Behaves as its first component is called."""
    behaviour = hosting.order.components[0]
    print("hello from", hosting.replica)
    print("trouble", file=sys.stderr, flush=True)
    if behaviour == "crash":
        print("about to crash", flush=True)
        os._exit(3)
    if behaviour == "fail":
        control.sendall(encode(Failed(Fault("a component did not start", component="Cart"))))
        return 1
    facts = {
        "env": os.environ.get("SECRET", ""),
        "preloaded_here": str(preloaded == os.getpid()),
        "listeners": ",".join(
            f"{name}:{socket.socket(fileno=os.dup(fd)).getsockname()[1]}"
            for name, fd in hosting.listeners.items()
        ),
        "sid": str(os.getsid(0) == os.getpid()),
    }
    build = msgspec.json.encode(facts).decode()
    control.sendall(encode(RegisterReplica(f"unix:/{os.getpid()}", (behaviour,), build)))
    if behaviour == "serve":
        _serve(hosting)
    if behaviour == "family":
        child = subprocess.Popen(["sleep", "60"])
        away = subprocess.Popen(["sleep", "60"], start_new_session=True)
        control.sendall(encode(Probed(f"{child.pid} {away.pid}", "", "")))
    if behaviour == "logs":
        control.sendall(encode(Logs((LogRecord(1.0, "INFO", "from the proclet"),))))
    if behaviour == "ends":
        control.sendall(encode(Ended()))
        return 0
    return _converse(hosting, control, behaviour)


def _converse(hosting: Hosting, control: socket.socket, behaviour: str) -> int:
    receiver: Receiver[Any] = Receiver(Codec(ToProclet))
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control.settimeout(hosting.heartbeat)
    while True:
        try:
            data = control.recv(65536)
        except TimeoutError:
            control.sendall(encode(Heartbeat()))
            continue
        if not data:
            if behaviour == "stubborn":
                time.sleep(60)
            return 0
        for message in receiver.feed(data):
            if isinstance(message, NewRouting):
                control.sendall(encode(Probed(f"routing {message.routing.version}", "", "")))
            if isinstance(message, Stop) and behaviour != "stubborn":
                return 0


def _serve(hosting: Hosting) -> None:
    sock = socket.socket(fileno=hosting.listeners["http"])
    sock.setblocking(True)

    def answer() -> None:
        while True:
            with contextlib.suppress(OSError):
                connection, _ = sock.accept()
                with connection:
                    connection.sendall(str(os.getpid()).encode())

    threading.Thread(target=answer, daemon=True).start()


# --- the manager ---


class FakeManager:
    """A connection to an envelope; `events` is everything it has said, with numbers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.events: list[tuple[int, Message]] = []
        self.closed = False
        self._reader = reader
        self._writer = writer
        self._changed = asyncio.Condition()
        self._codec: Codec[Any] = Codec(FromEnvelope)
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionError):  # it ended with something of ours unread
            await self._listen()
        async with self._changed:
            self.closed = True
            self._changed.notify_all()

    async def _listen(self) -> None:
        receiver = Receiver(self._codec)
        while data := await self._reader.read(65536):
            for message in receiver.feed(data):
                number, inner = 0, message
                if isinstance(message, Event):
                    number, inner = message.number, self._codec.unpack(message.message)
                async with self._changed:
                    self.events.append((number, inner))
                    self._changed.notify_all()

    def send(self, message: msgspec.Struct) -> None:
        self._writer.write(encode(message))

    def all(self, kind: type[M]) -> list[M]:
        return [message for _, message in self.events if isinstance(message, kind)]

    def said(self, kind: type[M], replica: str = "") -> list[M]:
        """What replicas have said of this kind."""
        codec: Codec[Any] = Codec(FromProclet)
        found: list[M] = []
        for told in self.all(FromReplica):
            message = codec.unpack(told.message)
            if isinstance(message, kind) and replica in {"", told.replica}:
                found.append(message)
        return found

    def records(self) -> list[LogRecord]:
        return [record for logs in self.all(Logs) for record in logs.records]

    async def until(self, condition: Callable[[], bool], seconds: float = 40.0) -> None:
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s; the last: {self.events[-30:]}") from None

    async def until_closed(self, seconds: float = 40.0) -> None:
        await self.until(lambda: self.closed, seconds)

    async def started(self, count: int = 1) -> list[ReplicaStarted]:
        await self.until(lambda: len(self.all(ReplicaStarted)) >= count)
        return self.all(ReplicaStarted)

    async def exited(self, count: int = 1) -> list[ReplicaExited]:
        await self.until(lambda: len(self.all(ReplicaExited)) >= count)
        return self.all(ReplicaExited)

    async def registered(self, count: int = 1) -> list[RegisterReplica]:
        await self.until(lambda: len(self.said(RegisterReplica)) >= count)
        return self.said(RegisterReplica)

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        self._task.cancel()
        await asyncio.wait((self._task,))


async def connect(path: Path) -> FakeManager:
    """A connection to the envelope there, once it listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < deadline, "the envelope does not listen"
            await asyncio.sleep(0.01)
            continue
        return FakeManager(reader, writer)


@contextlib.asynccontextmanager
async def attached(
    path: Path, *, epoch: int = 1, seen: int = 0, deployment: str = "d1"
) -> AsyncGenerator[FakeManager]:
    """A manager that has been admitted."""
    manager = await connect(path)
    try:
        manager.send(Attach(deployment, epoch, seen))
        await manager.until(lambda: bool(manager.all(Attached)))
        yield manager
    finally:
        await manager.close()


def start_envelope(path: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "weaver.envelope.main", "--socket", str(path)]
    command += ["--host", "here", "--runtime", HERE.stem, *options]
    return subprocess.Popen(command, start_new_session=True)


def orders(
    number: int,
    replicas: dict[str, str],
    *,
    target: str = "app:",
    preload: bool = False,
    **changes: Any,
) -> Orders:
    """Orders for groups that are called as their replicas behave."""
    listeners: dict[str, str] = changes.pop("listeners", {})
    groups = {
        group: GroupOrder((group,), preload=preload, listeners=listeners)
        for group in set(replicas.values())
    }
    application = Application(
        "shop", "v1", "d1", target, project=str(HERE.parent), environment={"SECRET": "s3cret"}
    )
    options: dict[str, Any] = {
        "application": application,
        "restarts": Restarts(first=0.02, most=0.1, crashes=3),
        "heartbeats": Heartbeats(every=0.1, missed=3),
        "stop_timeout": 2.0,
        "on_manager_lost": "end",
    }
    return Orders(number, groups, replicas, **{**options, **changes})
