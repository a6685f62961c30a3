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
from typing import Final, cast

import msgspec

from weaver.control.ingress import (
    Drain,
    Drained,
    Failures,
    NotTaken,
    ReloadCertificate,
    Report,
    Serving,
    Table,
    ToIngress,
)
from weaver.control.messages import Fault, Message
from weaver.control.stream import Codec, Receiver, encode
from weaver.errors import ListenerError, ProtocolError
from weaver.ingress.http.limits import Limits
from weaver.ingress.proxy import Proxy
from weaver.ingress.routing import Router
from weaver.transport import handover
from weaver.transport.certificate import Certificate
from weaver.transport.event_loop import loop_factory

_log = logging.getLogger("weaver.ingress")
_CODEC: Final[Codec[Message]] = Codec(ToIngress)


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


class Worker(asyncio.Protocol):
    """The proxy of one process, and what it hears and says on its control socket."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._receiver = Receiver(_CODEC)
        self._transport: asyncio.Transport | None = None
        self._proxy: Proxy | None = None
        self._first: asyncio.Future[Table] = self._loop.create_future()
        self._drain: asyncio.Future[Drain] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._certificate = _certificate(settings)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The control socket is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Messages have come."""
        try:
            for message in self._receiver.feed(data):
                self._obey(message)
        except ProtocolError as error:
            _log.error("the control socket of the ingress is of no use: %s", error)
            self.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody leads this worker any more."""
        del exc
        self._transport = None
        self.stop()

    def stop(self, drain: Drain | None = None) -> None:
        """Drain, unless it does already, and end."""
        if not self._drain.done():
            grace = self._settings.grace
            self._drain.set_result(drain or Drain(grace, tunnels=grace))
        if not self._first.done():
            self._first.cancel()

    async def serve(self) -> int:
        """Serve until it is drained; the exit code."""
        try:
            async with asyncio.timeout(self._settings.patience):
                table = await self._first
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
        self._proxy = Proxy(listening, table, self._settings.limits, tls=tls, handover=pair)
        try:
            self._proxy.start()
            self.send(Serving(os.getpid()))
            self._timer = self._loop.call_later(self._settings.report, self._report)
            drain = await self._drain
            cut = await self._proxy.drain(drain.seconds, drain.tunnels)
            self._tell(self._proxy)
            self.send(Drained(cut))
        finally:
            self._proxy.close()
            if self._certificate is not None:
                self._certificate.close()
            if self._timer is not None:
                self._timer.cancel()
            if self._transport is not None:
                self._transport.close()
        return 0

    def send(self, message: Message) -> None:
        """Say something, if there is anybody to hear it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def _tell(self, proxy: Proxy) -> None:
        """Send what was counted, after the evidence for it."""
        if failures := proxy.failures():
            self.send(Failures(failures))
        self.send(proxy.counts())

    def _obey(self, message: Message) -> None:
        match message:
            case Table():
                self._take(message)
            case Drain():
                self.stop(message)
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
                if not self._first.done():
                    self._first.set_result(table)
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
    loop = asyncio.get_running_loop()
    control = socket.socket(fileno=settings.control)
    control.setblocking(False)
    _, worker = await loop.create_unix_connection(lambda: Worker(settings), sock=control)
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who says how to end
    return await worker.serve()


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
