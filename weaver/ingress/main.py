"""A worker process of the ingress: `python -m weaver.ingress.main SETTINGS`, as JSON.

Several of them may accept on one inherited socket. Decides the worker's life: it begins with the
first table, follows its control socket, and ends drained, also when that socket or SIGTERM says
so. It must not know what a rollout is.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec

from weaver.control.ingress import (
    Drain,
    Drained,
    Failures,
    Identities,
    NotTaken,
    Quiet,
    ReloadCertificate,
    Report,
    Serving,
    Table,
)
from weaver.control.messages import Fault, Message
from weaver.errors import ListenerError
from weaver.ingress.control import Control
from weaver.ingress.http.limits import Limits
from weaver.ingress.proxy import Proxy
from weaver.ingress.routing import Router
from weaver.transport import handover
from weaver.transport.certificate import Certificate
from weaver.transport.event_loop import loop_factory

_log = logging.getLogger("weaver.ingress")


class Settings(msgspec.Struct, frozen=True):
    """What a worker is started with: inherited descriptors, files of TLS, times in seconds.

    `handover_in` and `handover_out` are the ends of the pair by which other processes hand over
    connections, and take them; -1 without. `report` is the time between two `Counts`, `grace`
    how long it drains when nobody says, `patience` how long it waits for its first table.
    """

    listen: int
    control: int
    certificate: str = ""
    key: str = ""
    handover_in: int = -1
    handover_out: int = -1
    limits: Limits = Limits()
    report: float = 1.0
    grace: float = 30.0
    patience: float = 30.0


class Worker:
    """The proxy of one process, and what it does with what it is told."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._control: Control | None = None
        self._proxy: Proxy | None = None
        self._table: Table | None = None  # the newest one, until there is a proxy
        self._first: asyncio.Future[None] = self._loop.create_future()
        self._drain: asyncio.Future[Drain] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._identities = Identities({})
        self._certificate = _certificate(settings)

    def drain(self, drain: Drain) -> None:
        """Stop accepting, and end; asked again, within less time."""
        if not self._drain.done():
            self._drain.set_result(drain)
        elif self._proxy is not None:
            self._proxy.hasten(drain.seconds, drain.tunnels)
        if not self._first.done():
            self._first.cancel()

    async def serve(self, control: Control) -> int:
        """Serve until it is drained; the exit code."""
        self._control = control
        try:
            async with asyncio.timeout(self._settings.patience):
                await self._first
        except (TimeoutError, asyncio.CancelledError):
            return 1
        listening = socket.socket(fileno=self._settings.listen)
        listening.setblocking(False)
        pair = None
        if self._settings.handover_in >= 0:
            pair = handover.adopt(self._settings.handover_in, self._settings.handover_out)
        tls = None
        if self._certificate is not None:
            self._certificate.watch()
            tls = self._certificate.context
        assert self._table is not None
        self._proxy = Proxy(listening, self._table, self._settings.limits, tls=tls, handover=pair)
        self._proxy.learn(self._identities)
        try:
            self._proxy.start()
            self.send(Serving(os.getpid()))
            self._timer = self._loop.call_later(self._settings.report, self._report)
            drain = await self._drain
            cut = await self._proxy.drain(
                drain.seconds,
                drain.tunnels,
                others=drain.others,
                quiet=lambda: self.send(Quiet()),
            )
            self._tell(self._proxy)
            self.send(Drained(cut))
        finally:
            self._proxy.close()
            if self._certificate is not None:
                self._certificate.close()
            if self._timer is not None:
                self._timer.cancel()
            control.close()
        return 0

    def send(self, message: Message) -> None:
        """Say something to the parent."""
        if self._control is not None:
            self._control.send(message)

    def _tell(self, proxy: Proxy) -> None:
        """Send what was counted, after the evidence for it."""
        if failures := proxy.failures():
            self.send(Failures(failures))
        self.send(proxy.counts())

    def obey(self, message: Message) -> None:
        """A message has come."""
        match message:
            case Table():
                self._take(message)
            case Identities():
                self._identities = message
                if self._proxy is not None:
                    self._proxy.learn(message)
            case Report() if self._proxy is not None:
                self._tell(self._proxy)
            case ReloadCertificate() if self._certificate is not None:
                self._reload(self._certificate)
            case _:
                pass

    def _take(self, table: Table) -> None:
        try:
            if self._proxy is not None:
                self._proxy.set_table(table)
            else:
                Router(table)
                if self._table is None or table.number >= self._table.number:
                    self._table = table
                if not self._first.done():
                    self._first.set_result(None)
        except ValueError as error:
            self.send(NotTaken(Fault(f"table {table.number} cannot be used", why=str(error))))

    def _reload(self, certificate: Certificate) -> None:
        try:
            certificate.refresh()
        except ListenerError as error:
            self.send(NotTaken(Fault(error.what, error.where, why=error.why, fix=error.fix)))

    def _report(self) -> None:
        if self._proxy is not None:
            self._tell(self._proxy)
        self._timer = self._loop.call_later(self._settings.report, self._report)


def _certificate(settings: Settings) -> Certificate | None:
    if not settings.certificate:
        return None
    return Certificate(Path(settings.certificate), Path(settings.key))


async def _run(settings: Settings) -> int:
    worker = Worker(settings)
    control = await Control.on(settings.control, worker, settings.grace)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, control.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who says how to end
    return await worker.serve(control)


def main(arguments: list[str]) -> int:
    """Run one worker; the exit code."""
    settings = msgspec.json.decode(arguments[0], type=Settings)
    gc.freeze()  # what is imported is never garbage
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            return runner.run(_run(settings))
        except ListenerError as error:
            _log.error("%s", error)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
