"""The envelope's end of its conversation with the zygote.

Decides nothing about replicas: it has them forked, or says that this cannot be (`CannotFork`).
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any, Final

from weaver.control.messages import Application, Fault
from weaver.control.stream import Codec, Receiver, encode
from weaver.envelope.held import Held
from weaver.envelope.process import Process
from weaver.envelope.spawn import spawn, zygote_command
from weaver.envelope.zygote_messages import (
    Fork,
    Forked,
    FromZygote,
    Preload,
    Preloaded,
    PreloadFailed,
    Unsafe,
)
from weaver.errors import ProtocolError

PRELOAD_TIMEOUT: Final = 120.0
FORK_TIMEOUT: Final = 3.0
CHUNK: Final = 64 * 1024


class CannotFork(Exception):
    """Replicas have to be spawned: the application is not safe to fork, or the zygote has ended."""


class PreloadError(Exception):
    """The application does not import; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


class ZygoteLink:
    """One zygote, for one application. `stdout` and `stderr` get what its imports write."""

    def __init__(self, application: Application, runtime: str, *, stdout: int, stderr: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock, theirs = socket.socketpair()
        self._sock.setblocking(False)
        self._receiver: Receiver[Any] = Receiver(Codec(FromZygote))
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._tickets = 0
        self._why = ""
        self.unsafe = False  # because of what the application does at import
        self._writing = asyncio.Lock()
        self._order = encode(Preload(application, runtime))
        with theirs:
            number = theirs.fileno()
            try:
                self.process = spawn(
                    zygote_command(number), stdout=stdout, stderr=stderr, inherited=(number,)
                )
            except OSError:
                self._sock.close()
                raise
        self._loop.add_reader(self._sock, self._readable)

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return not self._why

    @property
    def forking(self) -> bool:
        """Whether a process may exist that nobody here knows yet."""
        return bool(self._forks)

    async def ready(self) -> None:
        """Wait until the application is imported. Raises PreloadError, CannotFork."""
        order, self._order = self._order, b""
        await self._send(order, ())
        done, _ = await asyncio.wait((self._ready,), timeout=PRELOAD_TIMEOUT)
        if not done:
            self.close(f"the import has not ended within {PRELOAD_TIMEOUT:g} s")
        self._ready.result()

    async def fork(
        self, name: str, descriptors: Sequence[int], listeners: dict[str, Held]
    ) -> Process:
        """A new replica with these as control socket, stdout and stderr. Raises CannotFork."""
        self._tickets += 1
        ticket = self._tickets
        future = self._forks[ticket] = self._loop.create_future()
        held = [number for held in listeners.values() for number in held.descriptors()]
        try:
            await self._send(encode(Fork(ticket, name, tuple(listeners))), (*descriptors, *held))
            done, _ = await asyncio.wait((future,), timeout=FORK_TIMEOUT)
            if not done:
                self.close(f"it has not forked within {FORK_TIMEOUT:g} s")
            return Process(future.result())
        finally:
            del self._forks[ticket]

    def close(self, why: str) -> None:
        """End it; what has been forked goes on. Safe to call twice."""
        if self._why:
            return
        self._why = why
        self._loop.remove_reader(self._sock)
        self._sock.close()
        self.process.kill()
        if not self._ready.done():
            self._ready.set_exception(CannotFork(why))
        for future in self._forks.values():
            if not future.done():
                future.set_exception(CannotFork(why))
        self._ready.exception()  # marks it as seen: perhaps nobody waits

    async def _send(self, data: bytes, descriptors: Sequence[int]) -> None:
        async with self._writing:
            while data and self.alive:
                try:
                    sent = socket.send_fds(self._sock, [data], list(descriptors))
                except BlockingIOError:
                    await self._writable()
                    continue
                except OSError as error:
                    self.close(f"the zygote has ended: {os.strerror(error.errno or 0)}")
                    break
                data, descriptors = data[sent:], ()
        if not self.alive:
            raise CannotFork(self._why)

    async def _writable(self) -> None:
        room: asyncio.Future[None] = self._loop.create_future()

        def writable() -> None:
            if not room.done():
                room.set_result(None)

        self._loop.add_writer(self._sock, writable)
        try:
            await asyncio.wait((room,), timeout=1.0)
        finally:
            if self.alive:
                self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            for message in self._receiver.feed(data):
                self._received(message)
        except ProtocolError as error:
            self.close(str(error))
        if not data:
            self.close("the zygote has ended")

    def _received(self, message: Any) -> None:
        match message:
            case Preloaded():
                self._ready.set_result(None)
            case PreloadFailed(fault=fault):
                self._ready.set_exception(PreloadError(fault))
            case Forked(ticket=ticket, pid=pid):
                future = self._forks.get(ticket)
                if future is not None and not future.done():
                    future.set_result(pid)
            case Unsafe(why=why):
                self.unsafe = True
                self.close(why)
            case _:
                pass
