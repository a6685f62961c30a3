"""Drives a HAProxy that the user runs: `python -m weaver.ingress.haproxy SETTINGS`, as JSON.

It stands where a worker of our own proxy would, and says the same on its control socket, but users'
connections never meet it. Decides when HAProxy is asked and told; what it is told follows from the
table (`haproxy_plan`). HAProxy goes on as it was told last when this process ends.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from weaver.control.ingress import Counts, Drain, Drained, Failures, NotTaken, Serving, Table
from weaver.control.messages import Fault, Message
from weaver.ingress import haproxy_plan
from weaver.ingress.control import Control
from weaver.ingress.haproxy_plan import COLOURS, Sums, Want
from weaver.ingress.haproxy_socket import Figures, HAProxyError, RuntimeSocket


class Settings(msgspec.Struct, frozen=True):
    """What a driver is started with.

    `socket` is the path of HAProxy's runtime socket; "PATH#NAME" if its backends and maps are not
    called "weaver". `report` is the number of seconds between two looks at HAProxy.
    """

    control: int
    socket: str
    report: float = 1.0


class Driver:
    """Follows the tables of one control socket, and keeps HAProxy to the last of them."""

    def __init__(self, settings: Settings) -> None:
        path, _, name = settings.socket.partition("#")
        self._name = name or "weaver"
        self._runtime = RuntimeSocket(path)
        self._every = settings.report
        self._control: Control | None = None
        self._table: Table | None = None
        self._used = 0
        self._sums = Sums()
        self._wake = asyncio.Event()
        self._asked = False
        self._over = False
        self._serving = False
        self._fault: Fault | None = None

    async def serve(self, control: Control) -> int:
        """Follow the control socket to its end; the exit code."""
        self._control = control
        while not self._over:
            self._wake.clear()
            if self._table is not None:
                await self._look(self._table)
            try:
                async with asyncio.timeout(self._every):
                    await self._wake.wait()
            except TimeoutError:
                self._asked = True
        self._tell()
        self._send(Drained())
        control.close()
        return 0

    def obey(self, message: Message) -> None:
        """A message has come."""
        match message:
            case Table() if self._table is None or message.number >= self._table.number:
                self._table = message
            case _:
                self._asked = True
        self._wake.set()

    def drain(self, drain: Drain) -> None:
        """It shall end: there is nothing in flight here."""
        del drain
        self._over = True
        self._wake.set()

    # HAProxy.

    async def _look(self, table: Table) -> None:
        """Compare HAProxy with the table, correct it, and count."""
        try:
            await self._follow(table)
        except (HAProxyError, ValueError) as error:
            self._complain(error, table)
        else:
            self._fault = None
            self._used = table.number
            if not self._serving:
                self._serving = True
                self._send(Serving(os.getpid()))
        if self._asked and self._serving:
            self._asked = False
            self._tell()

    async def _follow(self, table: Table) -> None:
        weights, pins = await self._maps()
        known = await self._runtime.map_of(pins)
        wanted = haproxy_plan.want(table, known)
        rows = await self._runtime.figures()
        names = {row.backend for row in rows}
        for colour in COLOURS:
            if self._backend(colour) not in names:
                raise HAProxyError(
                    f"HAProxy has no backend {self._backend(colour)}",
                    fix="add what docs/how-to/haproxy.md shows to its configuration",
                )
        self._sums.read(rows, self._owners(known), time.time())
        await self._add(rows, wanted)
        shares = await self._runtime.map_of(weights)
        for command in (
            *haproxy_plan.map_changes(weights, shares, wanted.weights),
            *haproxy_plan.map_changes(pins, known, wanted.pins),
        ):
            await self._runtime.order(command)
        await self._remove(rows, wanted)

    async def _maps(self) -> tuple[str, str]:
        """The paths of the two maps: HAProxy knows them by those."""
        lines = (await self._runtime.ask("show map")).splitlines()
        paths = [line.partition("(")[2].partition(")")[0] for line in lines]
        found: list[str] = []
        for kind in ("weights", "pins"):
            wanted = f"{self._name}.{kind}.map"
            path = next((path for path in paths if Path(path).name == wanted), "")
            if not path:
                raise HAProxyError(
                    f"HAProxy has no map {wanted}",
                    fix="add what docs/how-to/haproxy.md shows to its configuration",
                )
            found.append(path)
        return found[0], found[1]

    async def _add(self, rows: list[Figures], wanted: Want) -> None:
        """Have all servers there before anything is sent to them."""
        for colour, servers in wanted.servers.items():
            backend = self._backend(colour)
            have = [row.server for row in rows if row.backend == backend and row.server]
            for command in haproxy_plan.additions(backend, have, servers):
                await self._runtime.order(command, accept="New server registered")

    async def _remove(self, rows: list[Figures], wanted: Want) -> None:
        """Take out what is in no version; what is in flight there ends first."""
        colours = {self._backend(colour): colour for colour in COLOURS}
        for row in rows:
            colour = colours.get(row.backend)
            if colour is None or not row.server or row.server in wanted.servers.get(colour, {}):
                continue
            await self._runtime.order(f"set server {row.backend}/{row.server} state maint")
            if not row.in_flight:  # a refusal only means that the next look comes back to it
                await self._runtime.ask(f"del server {row.backend}/{row.server}")

    def _backend(self, colour: str) -> str:
        return f"{self._name}_{colour}"

    def _owners(self, pins: Mapping[str, str]) -> dict[str, str]:
        """The versions that the backends belonged to until now."""
        owned = ((colour, pins.get(f"version:{colour}")) for colour in COLOURS)
        return {self._backend(colour): version for colour, version in owned if version}

    # The parent.

    def _tell(self) -> None:
        versions = self._sums.versions()
        if failures := self._sums.take_failures():
            self._send(Failures(failures))
        self._send(Counts(self._used, sum(v.in_flight for v in versions), versions=versions))

    def _complain(self, error: HAProxyError | ValueError, table: Table) -> None:
        """Say what is wrong, once."""
        if isinstance(error, HAProxyError):
            fault = Fault(error.what, error.where, error.why, error.fix)
        else:
            fault = Fault(f"table {table.number} cannot be used", why=str(error))
        if fault != self._fault:
            self._fault = fault
            self._send(NotTaken(fault))

    def _send(self, message: Message) -> None:
        if self._control is not None:
            self._control.send(message)


async def _run(settings: Settings) -> int:
    driver = Driver(settings)
    control = await Control.on(settings.control, driver, grace=0.0)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, control.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who says how to end
    return await driver.serve(control)


def main(arguments: list[str]) -> int:
    """Run one driver; the exit code."""
    return asyncio.run(_run(msgspec.json.decode(arguments[0], type=Settings)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
