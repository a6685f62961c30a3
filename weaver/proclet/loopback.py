"""Calls that leave this process and come back: codec, connection and dispatcher over memory.

What the runner `rpc` uses: everything of a remote call but the socket.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from weaver.proclet import paths
from weaver.proclet.channel import Buffer, Channel
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.reference import Options
from weaver.proclet.remote import remote
from weaver.proclet.threads import Workers
from weaver.rpc.connection import Connection
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.rpc.methods import MethodCodec, MethodTable


class LoopbackPlacement:
    """Every component is here, and every call goes through a pair of connections."""

    def __init__(
        self,
        table: MethodTable,
        workers: Workers,
        *,
        deployment: str,
        timeout: float,
        max_message: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._instances: dict[str, Any] = {}
        hello = Hello(deployment=deployment, build="unbuilt", methods=table.hash)
        limits = Limits(max_message=max_message, max_reassembly=max(2 * max_message, 2**27))
        dispatcher = Dispatcher(table, self._instances.__getitem__, workers)
        ends: list[Channel] = []

        for peer, own in ((1, None), (0, dispatcher)):
            carrier = _Memory(self._loop, ends, peer)
            connection = Connection(hello, limits)
            ends.append(Channel(connection, carrier, dispatcher=own, timeout=timeout))
        self._caller, self._callee = ends

    def target(
        self,
        codec: MethodCodec,
        instance: Any,
        options: Options,
        leaves: Callable[[], None] = paths.uncounted,
    ) -> paths.Target:
        """A function that encodes, sends, waits and decodes."""
        del options, leaves  # there is no other replica to try
        self._instances[codec.component] = instance
        return remote(codec, lambda: self._caller, self._loop)

    async def aclose(self) -> None:
        """Fail calls in flight and wait until cancelled handlers have ended."""
        running = self._callee.running
        self._caller.close()
        self._callee.close()
        if running:
            await asyncio.wait(running, timeout=5.0)


class _Memory:
    """Carries bytes to one of two channels, in the next turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ends: list[Channel], peer: int) -> None:
        self._loop = loop
        self._ends = ends
        self._peer = peer

    def write(self, buffer: Buffer) -> None:
        self._loop.call_soon(self._ends[self._peer].receive, bytes(buffer))

    def write_all(self, buffers: Sequence[Buffer]) -> None:
        self.write(b"".join(buffers))

    def fill(self) -> None:
        """Nothing to do: bytes come whole."""

    def close(self) -> None:
        """Both ends are told by their owner."""
