"""One process of an ingress, from its start to its end: its settings, control socket and output.

Decides how it is asked to end, and what happens if it does not. It must not know what is counted.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from weaver.control.certificates import Certificates
from weaver.control.ingress import Counts, Drain, FromIngress, Identities, Quiet, Serving, Table
from weaver.control.messages import Message
from weaver.control.stream import Codec, Receiver, encode
from weaver.control.traffic import IngressOrder
from weaver.envelope.held import Held
from weaver.envelope.process import Exit, Process
from weaver.envelope.running import UNREAD, Pipes
from weaver.envelope.spawn import spawn
from weaver.errors import ProtocolError
from weaver.transport import cores

MODULES: Final = {"proxy": "weaver.ingress.main", "haproxy": "weaver.ingress.haproxy"}

LATE: Final = 2.0
"""Seconds after the last moment of a drain until a worker that has not ended is killed."""


class IngressWorker(asyncio.Protocol):
    """Made with its process; `received` gets what it says, `wrote` a stream and lines of it.

    Raises OSError if no process can be started. `run` must be called.
    """

    def __init__(
        self,
        order: IngressOrder,
        held: Held,
        received: Callable[["IngressWorker", Any], None],
        wrote: Callable[[str, list[str]], None],
    ) -> None:
        self.order = order
        self.serving = False
        self.draining = False
        self.quiet = False
        self.counts = Counts(0)
        self._received = received
        self._receiver: Receiver[Any] = Receiver(Codec(FromIngress))
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = b""
        self._pipes = Pipes(wrote)
        self._ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = self._spawn(theirs.fileno(), held)
            except BaseException:
                self._ours.close()
                self._pipes.close()
                raise
        self._pipes.close_writers()

    async def run(self) -> Exit:
        """Follow it to its end; how that was. Cancelling this kills it."""
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self, sock=self._ours)
            return await asyncio.shield(self.process.exited)
        finally:
            self.process.kill()
            if self._timer is not None:
                self._timer.cancel()
            if self._transport is None:
                self._ours.close()
            else:  # its last words are in the socket, and the end of them follows
                await asyncio.wait((self._closed,), timeout=1.0)
                self._transport.abort()
            self.serving = False
            self._pipes.close()

    def send(self, message: Message) -> None:
        """Send a message; one that nobody reads ends the worker."""
        if self._transport is None:
            self._unsent += encode(message)
        elif not self._transport.is_closing():
            self._transport.write(encode(message))
            if self._transport.get_write_buffer_size() > UNREAD:
                self.process.kill()

    def identify(self, certificates: Mapping[str, Certificates]) -> None:
        """What it shows to replicas on other hosts, by version. HAProxy reaches none there."""
        if certificates and self.order.mode == "proxy":
            self.send(Identities(dict(certificates)))

    def tell(self, table: Table) -> None:
        """Where requests go from now on."""
        self.send(table)

    def drain(self, drain: Drain) -> None:
        """Have it stop accepting, finish, and end in time. The later demand counts."""
        self.send(drain)
        self.draining = True
        self.end_within(max(drain.seconds, drain.tunnels) + LATE)

    def end_within(self, seconds: float) -> None:
        """Kill it if it has not ended by then."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.process.kill)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._unsent)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of the worker."""
        try:
            for message in self._receiver.feed(data):
                if isinstance(message, Serving):
                    self.serving = True
                elif isinstance(message, Counts):
                    self.counts = message
                elif isinstance(message, Quiet):
                    self.quiet = True
                self._received(self, message)
        except ProtocolError:
            self.process.kill()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the end of its control socket."""
        del exc
        self._closed.set_result(None)

    def _spawn(self, control: int, held: Held) -> Process:
        listening, receiver, sender = held.descriptors()
        settings = {
            "listen": listening,
            "control": control,
            "certificate": self.order.certificate,
            "key": self.order.key,
            "handover_in": receiver,
            "handover_out": sender,
        }
        if self.order.socket:
            settings["socket"] = self.order.socket
        command = [sys.executable, "-I", "-m", MODULES[self.order.mode]]
        return spawn(
            [*command, msgspec.json.encode(settings).decode()],
            stdout=self._pipes.stdout,
            stderr=self._pipes.stderr,
            inherited=(control, listening, receiver, sender),
        )


def same_processes(one: IngressOrder, other: IngressOrder) -> bool:
    """Whether workers of one order can go on under the other: a new table is only told to them."""
    numbers = {"workers": other.workers, "most_workers": other.most_workers}
    return msgspec.structs.replace(one, table=other.table, **numbers) == other


def number_of(order: IngressOrder) -> int:
    """How many workers there are to be on this host."""
    if order.mode != "proxy":
        return 1  # another program does the work
    return max(order.workers, min(order.most_workers, cores.usable()))
