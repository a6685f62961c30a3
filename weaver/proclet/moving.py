"""Hands a web server's idle connections to other processes, for as long as it is told to.

Decides when each is tried: at once, after its answer, and now and then, for what could not go. It
must not know why they have to go.
"""

import asyncio
import socket
from collections.abc import Set as AbstractSet
from typing import Any, Final

from weaver.proclet.http_connection import Connection

AGAIN: Final = 0.1
"""Seconds until those are tried again that were neither idle nor answered meanwhile."""


AT_ONCE: Final = 256
"""How many move in one turn of the loop, so that requests get their turn too."""


class Mover:
    """Moves those of `connections` that can; the set is the server's own, and changes meanwhile."""

    def __init__(self, connections: AbstractSet[Any], sender: socket.socket | None) -> None:
        self._connections = connections
        self._sender = sender
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._held: set[Connection] = set()
        self.active = False

    def start(self) -> None:
        """Move what is idle, now and from now on. May be called twice."""
        if self._sender is not None:
            self.active = True
            self._move_all()

    def stop(self) -> None:
        """Let them stay. May be called twice."""
        self.active = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def settled(self, connection: Connection) -> None:
        """A connection has opened, or had its answer: when that has left, it can go."""
        if self.active and connection.movable:
            self._try(connection)

    def _try(self, connection: Connection) -> None:
        if connection in self._held:
            return
        if connection.hold():
            self._held.add(connection)
            self._loop.call_soon(self._loop.call_soon, self._move, connection)
        elif self._timer is None:
            self._move_later(AGAIN)

    def _move(self, connection: Connection) -> None:
        self._held.discard(connection)
        if not self.active or self._sender is None:
            connection.stay()
        elif not connection.move(self._sender):
            self._move_later(AGAIN)

    def _move_later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._move_all)

    def _move_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in tuple(self._connections):
            if len(self._held) >= AT_ONCE:
                self._move_later(0.0)
                return  # the others have to wait no longer than for these
            if isinstance(connection, Connection) and connection.movable:
                self._try(connection)
