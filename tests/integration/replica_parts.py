"""An application, and the envelope's side of its replicas, for the tests of the proclet.

Replicas import this file too, so it imports no pytest.
"""

import asyncio
import contextlib
import gc
import logging
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import weaver
from weaver.control.messages import (
    Application,
    FromProclet,
    GroupOrder,
    Hosting,
    LogRecord,
    Logs,
    Message,
    MethodStatistics,
    NewRouting,
    Statistics,
)
from weaver.control.stream import Codec, Receiver, encode
from weaver.routing import Endpoint, Route, Routing

HERE = Path(__file__).parent
LOG = logging.getLogger("parts")
M = TypeVar("M", bound=Message)

# --- the application ---


@weaver.component
class Far:
    async def reach(self) -> str:
        return "far"


@weaver.component
class Store:
    far: Far

    async def start(self) -> None:
        print("store starts")
        if os.environ.get("PARTS_START") == "fails":
            raise ValueError("no shelves")
        if os.environ.get("PARTS_START") == "calls":
            print("start reached", await self.far.reach())

    async def stop(self) -> None:
        print("store stops")
        print("last words", end="")

    async def put(self, text: str) -> int:
        LOG.info("put %s", text)
        return len(text)

    async def keep(self, things: list[str]) -> list[str]:
        return things


@weaver.component
class Shop:
    store: Store
    far: Far

    async def start(self) -> None:
        print("shop starts")

    async def stop(self) -> None:
        print("shop stops")

    async def buy(self, text: str) -> int:
        return await self.store.put(text)

    async def reach(self) -> str:
        return await self.far.reach()

    async def take_time(self, seconds: float) -> str:
        print("taking time")
        await asyncio.sleep(seconds)
        return "taken"

    async def misbehave(self) -> None:
        warnings.warn("old ways", stacklevel=1)
        print("file \udcff")
        asyncio.get_running_loop().call_soon(_break)

    async def where(self) -> tuple[str, ...]:
        d = weaver.deployment()
        return (d.app, d.version, d.deployment, d.group, d.replica, d.host)

    async def shares(self) -> bool:
        """Whether a call of another component gives the very object: no codec was in between."""
        things = ["tea"]
        return await self.store.keep(things) is things

    async def runs_on(self) -> tuple[str, bool]:
        """The module of the event loop, and whether what lived at the start is left to stay."""
        return type(asyncio.get_running_loop()).__module__, gc.get_freeze_count() > 10_000


@weaver.component
class Front:
    shop: Shop
    http: weaver.Listener

    async def main(self) -> None:
        if os.environ.get("PARTS_MAIN") != "returns":
            await self.http.serve(_page)


async def _page(scope: Any, receive: Any, send: Any) -> None:
    del receive
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": weaver.deployment().replica.encode()})


def _break() -> None:
    raise LookupError("nobody handles this")


# --- the envelope's side ---


class Proclet:
    """A spawned replica's process, and what it has said so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", control: socket.socket) -> None:
        self.process = process
        self.said: list[Message] = []
        self._over = False
        self._control = control
        self._receiver: Receiver[Message] = Receiver(Codec(FromProclet))
        self._loop = asyncio.get_running_loop()
        control.setblocking(False)
        self._loop.add_reader(control, self._read)

    def send(self, *messages: Message) -> None:
        """Send some messages in one piece."""
        self._control.sendall(b"".join(map(encode, messages)))

    async def wait_for(self, kind: type[M], number: int = 1) -> M:
        """The `number`-th message of this kind."""
        found: list[M] = []

        def arrived() -> bool:
            found[:] = [said for said in self.said if isinstance(said, kind)]
            return len(found) >= number

        await until(arrived, kind.__name__)
        return found[number - 1]

    def has_said(self, kind: type[Message]) -> bool:
        """Whether a message of this kind has come."""
        return any(isinstance(said, kind) for said in self.said)

    def records(self) -> list[LogRecord]:
        """Every log record until now."""
        return [r for said in self.said if isinstance(said, Logs) for r in said.records]

    def lines(self) -> list[str]:
        """Every log message until now."""
        return [record.message for record in self.records()]

    async def wait_for_line(self, part: str) -> LogRecord:
        """The first log record that has this in it."""
        await until(lambda: any(part in line for line in self.lines()), f"{part!r} in the log")
        return next(r for r in self.records() if part in r.message)

    async def wait_for_edge(self, caller: str, callee: str) -> MethodStatistics:
        """The statistics of the calls between two components, once there are any."""
        found: list[MethodStatistics] = []

        def arrived() -> bool:
            sent = [said for said in self.said if isinstance(said, Statistics)]
            key = (full(caller), full(callee))
            methods = sent[-1].methods if sent else ()
            found[:] = [one for one in methods if (one.caller, one.component) == key]
            return bool(found)

        await until(arrived, f"calls from {caller} to {callee}")
        return found[0]

    async def exit_code(self, within: float = 40.0) -> int:
        """How it ended; everything that it has said is there then."""
        await until(lambda: self.process.poll() is not None and self._over, "its end", within)
        return self.process.wait()

    def hang_up(self) -> None:
        """Close the control socket, as an envelope does that ends."""
        if not self._over:
            self._loop.remove_reader(self._control)
        self._control.close()
        self._over = True

    async def aclose(self) -> None:
        """End it, whatever it does."""
        self.hang_up()
        self.process.kill()
        await until(lambda: self.process.poll() is not None, "its end")
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _read(self) -> None:
        try:
            data = self._control.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            self._loop.remove_reader(self._control)
            self._over = True
        self.said += self._receiver.feed(data)


async def until(condition: Callable[[], object], what: str, within: float = 40.0) -> None:
    """Poll until this holds; fails after `within` seconds, saying for what it waited."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        await asyncio.sleep(0.005)


def full(name: str) -> str:
    return f"replica_parts.{name}" if name else ""


def application(config: str = "", **environment: str) -> Application:
    return Application(
        app="parts",
        version="b" * 8,
        deployment="d" * 8,
        target="replica_parts:Front",
        config='[app]\nname = "parts"\nentry = "replica_parts:Front"\n' + config,
        environment=environment,
        path=(str(HERE),),
    )


@contextlib.asynccontextmanager
async def proclet(
    directory: Path,
    components: Iterable[str],
    *,
    replica: str = "shop-1",
    of: Application | None = None,
    entry: str = "",
    listener: socket.socket | None = None,
    routing: Routing | None = None,
    advertise: str = "",
) -> AsyncGenerator[Proclet]:
    """Spawn a replica that hosts these components."""
    one = _spawned(listener)
    hosting = Hosting(
        of or application(),
        replica,
        1,
        replica.partition("-")[0],
        "here",
        str(directory),
        GroupOrder(tuple(map(full, components)), full(entry)),
        listeners={"http": listener.fileno()} if listener else {},
        heartbeat=0.1,
        advertise=advertise,
    )
    one.send(hosting, *([NewRouting(routing)] if routing else []))
    try:
        yield one
    finally:
        await one.aclose()


def _spawned(listener: socket.socket | None) -> Proclet:
    ours, theirs = socket.socketpair()
    inherited = [theirs.fileno()] + ([listener.fileno()] if listener else [])
    command = [sys.executable, "-m", "weaver.application.main", "proclet"]
    command += ["--control-fd", str(theirs.fileno()), "--parent", str(os.getpid())]
    process = subprocess.Popen(
        command, pass_fds=inherited, stderr=subprocess.PIPE, start_new_session=True
    )
    theirs.close()
    return Proclet(process, ours)


def routed(version: int, **groups: tuple[str, Iterable[str]]) -> Routing:
    """Groups of one replica each: name=(address, components)."""
    routes = {
        name: Route(tuple(map(full, components)), (Endpoint(f"{name}-1", address),))
        for name, (address, components) in groups.items()
    }
    return Routing(version, routes)
