"""The envelope's socket: one manager at a time, with events replayed to one that comes back.

Decides who is listened to (the newest epoch) and what is sent when: no more than the peer reads.
It must not know what orders mean.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Final, Protocol

from weaver.control.faults import fault_of
from weaver.control.messages import (
    Attach,
    Attached,
    EnvelopeFailed,
    Event,
    Fenced,
    Heartbeat,
    Logs,
    Message,
    ToEnvelope,
)
from weaver.control.stream import Codec, Receiver, encode
from weaver.control.succession import Keep, Memo, Recall
from weaver.control.takeover import HandedOver, TakeOver
from weaver.envelope import takeover
from weaver.envelope.epoch import EpochFence, epoch_file
from weaver.envelope.held import Held
from weaver.envelope.replay import Replay
from weaver.errors import ProtocolError, WeaverError
from weaver.transport.listening import bind

ATTACH_TIMEOUT: Final = 10.0
LONGEST_PATH: Final = 107 if sys.platform == "linux" else 103
UNREAD: Final = 1024 * 1024
"""Bytes that may wait for a manager which reads slowly; more events stay in the replay."""


class Commanded(Protocol):
    """Who carries out what managers say."""

    def attached(self, epoch: int) -> Attached:
        """What there is to tell a manager that has been admitted."""
        ...

    def obey(self, message: Any) -> None:
        """Carry out a message of the manager."""
        ...

    def manager_lost(self) -> None:
        """The connection of the manager has ended, and no other has taken its place."""
        ...

    def hand_over(self, wanted: TakeOver) -> list[tuple[HandedOver, Held]]:
        """The listeners that another envelope gets of those it wants."""
        ...

    def no_manager(self) -> None:
        """A manager was turned away, though it may give orders: that cannot be written down."""
        ...


class ControlSocket:
    """Serves the Unix socket `path`, which it removes at the end."""

    def __init__(self, path: Path, replay: Replay, commanded: Commanded) -> None:
        check_path(path)
        private_directory(path.parent)
        self.manager: ManagerConnection | None = None
        self.replay = replay
        self.commanded = commanded
        self.fence = EpochFence(epoch_file(path))
        self.connections: set[ManagerConnection] = set()
        self.memo = b""  # of the manager, for the next one
        self._path = path
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. Raises ListenerError."""
        loop = asyncio.get_running_loop()
        sock = bind(f"unix:{self._path}")
        self._server = await loop.create_unix_server(lambda: ManagerConnection(self), sock=sock)

    def publish(self, message: Message) -> None:
        """Send an event, or keep it for the next manager."""
        self.replay.add(encode(message))
        self._pump()

    def publish_logs(self, logs: Logs) -> None:
        """Send log records, or keep them for the next manager as long as there is room."""
        self.replay.add_logs(encode(logs), len(logs.records) + logs.lost)
        self._pump()

    def mention(self, message: Message) -> None:
        """Send what is not worth keeping; it is dropped if there is nobody to read it now."""
        if self.manager is not None:
            self.manager.mention(message)

    async def close(self, patience: float) -> None:
        """Send what has been published, within `patience` seconds, and stop."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):  # before managers see the end, and start another one
                os.unlink(self._path)  # noqa: PTH108 - one system call, nothing to resolve
        for connection in self.connections:
            connection.close()
        await self._all_closed(patience)
        for connection in self.connections:
            connection.abort()
        await self._all_closed(1.0)

    async def _all_closed(self, patience: float) -> None:
        closed = [connection.closed for connection in self.connections]
        if closed:
            await asyncio.wait(closed, timeout=patience)

    def _pump(self) -> None:
        if self.manager is not None:
            self.manager.pump()


class ManagerConnection(asyncio.Protocol):
    """One connection: an `Attach` first, then orders one way and events the other."""

    def __init__(self, server: ControlSocket) -> None:
        self._server = server
        self._receiver: Receiver[Any] = Receiver(Codec(ToEnvelope))
        self._paused = False
        self._sent = 0
        self._closing = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: somebody has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(UNREAD)
        self._server.connections.add(self)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(ATTACH_TIMEOUT, transport.abort)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of the manager."""
        try:
            for message in self._receiver.feed(data):
                self._received(message)
        except ProtocolError as error:
            self._refuse(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the end."""
        del exc
        self._deadline.cancel()
        self._server.connections.discard(self)
        self.closed.set_result(None)
        if self._server.manager is self:
            self._server.manager = None
            self._server.commanded.manager_lost()

    def pause_writing(self) -> None:
        """asyncio: the manager does not read."""
        self._paused = True

    def resume_writing(self) -> None:
        """asyncio: it does again."""
        self._paused = False
        self.pump()

    def pump(self) -> None:
        """Send events as long as the manager reads them."""
        while not self._paused:
            kept = self._server.replay.after(self._sent)
            if kept is None:
                if self._closing:
                    self._transport.close()
                return
            if kept.lost:
                self.mention(Logs((), kept.lost))
            self._sent = kept.number
            self._send(Event(kept.number, kept.message))

    def mention(self, message: Message) -> None:
        """Send an event that is not kept."""
        if not self._paused:
            self._send(Event(0, encode(message)))

    def close(self) -> None:
        """End when the manager has been sent every event."""
        self._closing = True
        if self._server.manager is self:
            self.pump()
        else:
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        self._transport.abort()

    def _received(self, message: Any) -> None:
        if isinstance(message, Attach):
            self._attach(message)
        elif isinstance(message, Recall):
            self._recall()
        elif isinstance(message, TakeOver):
            self._hand_over(message)
        elif self._server.manager is not self:
            self._refuse("the first message of a manager is Attach")
        elif isinstance(message, Keep):
            self._server.memo = message.memo
        elif not isinstance(message, Heartbeat):
            self._server.commanded.obey(message)

    def _attach(self, attach: Attach) -> None:
        server = self._server
        try:
            reason = server.fence.admit(attach)
        except WeaverError as error:
            self._send(EnvelopeFailed(fault_of(error)))
            self._transport.close()
            server.commanded.no_manager()
            return
        if reason:
            self._refuse(reason)
            return
        self._deadline.cancel()
        former, server.manager = server.manager, self
        if former is not None and former is not self:
            former.fence("another manager has taken over")
        attached = server.commanded.attached(attach.epoch)
        # A number from another life of this envelope: everything kept is new to this manager.
        self._sent = attach.seen if attach.seen <= server.replay.newest else 0
        self._send(attached)
        self.pump()

    def _recall(self) -> None:
        server = self._server
        fence = server.fence
        attended = server.manager is not None
        self._send(Memo(fence.deployment, fence.epoch, server.memo, attended, True))
        self._transport.close()

    def _hand_over(self, wanted: TakeOver) -> None:
        descriptor = self._transport.get_extra_info("socket").fileno()
        with contextlib.suppress(OSError):  # it is gone, or no process of ours
            takeover.give(descriptor, self._server.commanded.hand_over(wanted))
        self._transport.close()

    def fence(self, reason: str) -> None:
        """Tell the peer that it is not listened to any more, and end."""
        self._refuse(reason)

    def _refuse(self, reason: str) -> None:
        fence = self._server.fence
        self._send(Fenced(fence.epoch, fence.deployment, reason))
        self._transport.close()

    def _send(self, message: Message | Memo) -> None:
        if not self._transport.is_closing():
            self._transport.write(encode(message))


def check_path(path: Path) -> None:
    """Refuse a path that is too long for the kernel. Raises WeaverError."""
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise WeaverError(
            f"the path of the control socket has {length} bytes",
            where=str(path),
            why=f"a Unix socket's path has at most {LONGEST_PATH}",
            fix="use a shorter directory: set XDG_RUNTIME_DIR",
        )


def private_directory(path: Path) -> None:
    """Make a directory that only this user may enter, or check that it is one."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = path.stat()
    except OSError as error:
        raise WeaverError(
            f"the directory {path} cannot be made or used",
            where=str(path),
            why=error.strerror or str(error),
            fix="free space or correct its permissions, or name another place",
        ) from error
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise WeaverError(
            f"the directory {path} is open to others",
            where=str(path),
            why="whoever can reach an envelope's socket can run code as you",
            fix=f"chmod 700 {path}, or name a directory of your own",
        )
