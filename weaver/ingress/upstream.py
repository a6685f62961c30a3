"""Connections to replicas, and those of them that wait for the next request.

Decides which idle connection is used again. It must not know what HTTP is: bytes that come while
nobody has asked end the connection.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Final, Protocol, TypeVar, cast

from weaver.ingress.credentials import Credentials
from weaver.transport.listening import split

_UNIX: Final = "unix:"
_TLS: Final = "tls:"
P = TypeVar("P", bound=asyncio.BaseProtocol)


class User(Protocol):
    """Whoever has asked something on a connection."""

    def answered(self, data: bytes) -> None:
        """The replica has sent bytes."""
        ...

    def replica_lost(self, error: Exception | None) -> None:
        """The connection has ended; `error` is None if the replica closed it in order."""
        ...

    def replica_full(self, *, full: bool) -> None:
        """Whether the replica reads more slowly than is written to it."""
        ...


class ReplicaConnection(asyncio.Protocol):
    """One connection to a replica; `user` is None while it is idle."""

    transport: asyncio.Transport

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self.held = False
        self._poll: select.poll | None = None
        self.user: User | None = None
        self.idle_since = 0.0  # 0: it has not been yet
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self.open = True
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self.user is None:
            self.close()  # nobody has asked: what follows could be taken for an answer
        else:
            self.user.answered(data)

    def eof_received(self) -> bool:
        """The peer sends nothing more: the connection ends."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self.open = False
        user, self.user = self.user, None
        self._pool.lost(self)
        if user is not None:
            user.replica_lost(exc)

    def pause_writing(self) -> None:
        """The peer reads slowly."""
        if self.user is not None:
            self.user.replica_full(full=True)

    def resume_writing(self) -> None:
        """There is room again."""
        if self.user is not None:
            self.user.replica_full(full=False)

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is ending."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def hold(self, *, held: bool) -> None:
        """Whether to stop reading."""
        if held != self.held and not self.transport.is_closing():
            self.held = held
            if held:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def close(self) -> None:
        """End the connection; its user hears nothing more."""
        self.user = None
        self._pool.lost(self)
        self.transport.abort()

    def finish(self) -> None:
        """End the connection after what was written has left; its user hears nothing more."""
        self.user = None
        self.transport.close()

    def is_stale(self) -> bool:
        """Whether there is something to read on this idle connection: its end, most likely."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._poll.poll(0))


class Pool:
    """The connections to one address: "unix:/path", "host:port" or "tls:host:port".

    `credentials` has what is shown there for `version`, when a connection is made.
    """

    def __init__(
        self,
        address: str,
        keep: int,
        version: str = "",
        credentials: Credentials | None = None,
    ) -> None:
        self.address = address
        self._keep = keep
        self._version = version
        self._credentials = credentials or Credentials()
        self._idle: list[ReplicaConnection] = []
        self._all: set[ReplicaConnection] = set()
        self._closed = False

    async def connect(self) -> ReplicaConnection:
        """A new connection. Raises OSError."""
        return await self.open(lambda: ReplicaConnection(self))

    async def open(self, create: Callable[[], P]) -> P:
        """A connection of its own kind, not one of the pool. Raises OSError."""
        address = self.address
        if address.startswith(_TLS):
            address = address.removeprefix(_TLS)
            return await self._credentials.connect(self._version, address, create)
        return await connect(address, create)

    def take(self) -> ReplicaConnection | None:
        """The idle connection that was used last."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
            connection.close()
        return None

    def take_open(self) -> ReplicaConnection | None:
        """The same, but one that is open this moment."""
        while (connection := self.take()) is not None and connection.is_stale():
            connection.close()
        return connection

    def give(self, connection: ReplicaConnection, now: float) -> None:
        """Keep a connection whose last answer is complete."""
        connection.user = None
        idle = self._idle
        if self._closed or len(idle) >= self._keep:
            connection.close()
            return
        if connection.held:
            connection.hold(held=False)
        connection.idle_since = now
        idle.append(connection)  # if it is closing already, `take` sees that

    def opened(self, connection: ReplicaConnection) -> None:
        """Watch over `connection`, which has been made."""
        self._all.add(connection)

    def lost(self, connection: ReplicaConnection) -> None:
        """Forget `connection`, which has ended."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def expire(self, before: float) -> None:
        """Close what has been idle since `before`."""
        for connection in [c for c in self._idle if c.idle_since < before]:
            connection.close()

    def retire(self) -> None:
        """Close what is idle, now and from now on; requests in flight go on."""
        self._closed = True
        for connection in self._idle.copy():
            connection.close()

    def abort(self) -> None:
        """Close all connections at once."""
        self._closed = True
        for connection in self._all.copy():
            connection.close()

    @property
    def unused(self) -> bool:
        """Whether it has no connection."""
        return not self._all


async def connect(address: str, create: Callable[[], P]) -> P:
    """A connection to "unix:/path" or "host:port". Raises OSError."""
    loop = asyncio.get_running_loop()
    if address.startswith(_UNIX):
        _, made = await loop.create_unix_connection(create, address.removeprefix(_UNIX))
    else:
        host, port = split(address)
        _, made = await loop.create_connection(create, host, port)
    return made
