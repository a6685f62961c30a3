"""One replica's process while it runs: its control socket, its output, and how it is ended.

Decides the steps of ending it (asked, SIGTERM, SIGKILL; a hung one dumps its stacks first). It
must not know why it is to end, nor what follows.
"""

import asyncio
import functools
import os
import signal
import socket
from collections.abc import Callable
from typing import Any, Final

from weaver.control.messages import FromProclet, Hosting, Stop
from weaver.control.stream import Codec, Receiver, encode
from weaver.envelope.output import Output
from weaver.envelope.process import Process
from weaver.errors import ProtocolError

TERM_GRACE: Final = 5.0
DUMP_GRACE: Final = 0.3
UNREAD: Final = 16 * 1024 * 1024
"""Bytes that may wait for a replica that does not read its control socket."""


class Pipes:
    """The stdout and stderr of a process to be started; `take` gets the stream and its lines."""

    def __init__(self, take: Callable[[str, list[str]], None]) -> None:
        self._outputs: list[Output] = []
        writers: list[int] = []
        for stream in ("stdout", "stderr"):
            reader, writer = os.pipe()
            writers.append(writer)
            self._outputs.append(Output(reader, functools.partial(take, stream)))
        self.stdout, self.stderr = writers
        self._writers = writers

    def close_writers(self) -> None:
        """Close our copies of the ends that the process writes to; safe to call twice."""
        while self._writers:
            os.close(self._writers.pop())

    def close(self) -> None:
        """Take what is left, and close all."""
        self.close_writers()
        for output in self._outputs:
            output.close()


class Running(asyncio.Protocol):
    """A process that has been started, until it has ended. `received` gets what it says.

    `note` is why the envelope has ended it, "" if it did not.
    """

    def __init__(self, process: Process, received: Callable[[Any], None]) -> None:
        self.process = process
        self.note = ""
        self._received = received
        self._receiver: Receiver[Any] = Receiver(Codec(FromProclet))
        self._transport: asyncio.Transport | None = None
        self._ending: asyncio.Task[None] | None = None
        self._greeting = b""
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, control: socket.socket, hosting: Hosting) -> None:
        """Take the control socket and tell the replica who it is."""
        loop = asyncio.get_running_loop()
        self._greeting = encode(hosting)
        await loop.create_connection(lambda: self, sock=control)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.send(self._greeting)  # before anything that is relayed meanwhile

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of the proclet."""
        try:
            for message in self._receiver.feed(data):
                self._received(message)
        except ProtocolError as error:
            self.kill(f"its control stream is damaged: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the end of the control socket."""
        del exc
        self._closed.set_result(None)

    def send(self, message: bytes) -> None:
        """Send an encoded message; one that nobody reads ends the replica."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(message)
        if transport.get_write_buffer_size() > UNREAD:
            self.kill("it does not read its control socket")

    def kill(self, note: str) -> None:
        """End it now."""
        self.note = self.note or note
        self.process.kill()

    def stop(self, grace: float, term: float = TERM_GRACE, *, others: bool = False) -> None:
        """Ask it to end within `grace` seconds, then less kindly.

        `others`: other processes accept on its listeners.
        """
        self.send(encode(Stop(grace, others)))
        self._end(self._stop(grace, term))

    def end_hung(self, note: str) -> None:
        """Have it dump the stacks of its threads into the log, and kill it."""
        self.note = self.note or note
        self._end(self._dump())

    async def finish(self) -> None:
        """Release what belongs to the process, which has ended."""
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.wait((self._ending,))
        if self._transport is not None:
            # Its last words are in the socket; the end of them follows, as nobody else writes there
            await asyncio.wait((self._closed,), timeout=1.0)
            self._transport.abort()

    def _end(self, steps: Any) -> None:
        if self._ending is not None:
            self._ending.cancel()  # the later demand is the harder one
        self._ending = asyncio.get_running_loop().create_task(steps)

    async def _stop(self, grace: float, term: float) -> None:
        process = self.process
        if await process.ended_within(grace + 0.5):
            return
        process.send(signal.SIGTERM)
        process.send(signal.SIGCONT)  # a stopped process takes no other signal
        if not await process.ended_within(term):
            self.kill(f"it has not stopped within {grace + term:g} s")

    async def _dump(self) -> None:
        self.process.send(signal.SIGQUIT)
        self.process.send(signal.SIGCONT)
        await self.process.ended_within(DUMP_GRACE)
        self.process.kill()
