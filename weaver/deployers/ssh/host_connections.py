"""One connection to each host, made anew where it has been lost, for the versions that run there.

Decides when a connection is made and when it is given up. What travels on it is not known here.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from weaver.deployers.ssh.connection import Connection
from weaver.deployers.ssh.faults import NoSession
from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.remote import Completed

MOST_THREADS: Final = 16

T = TypeVar("T")


class HostConnections:
    """Connections by the names of hosts. `dial` blocks, and raises WeaverError.

    Everybody who uses them calls `share` first and `leave` at the end; with the last one they end.
    """

    def __init__(self, dial: Callable[[Host], Connection]) -> None:
        self._dial = dial
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="weaver-ssh")
        self._connections: dict[str, Connection] = {}
        self._dialling: dict[str, asyncio.Lock] = {}
        self._users = 0

    def share(self) -> "HostConnections":
        """Count one more user."""
        self._users += 1
        return self

    def leave(self) -> None:
        """One user needs them no more; with the last one, every connection ends."""
        self._users -= 1
        if self._users:
            return
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def known(self, host: str) -> Connection | None:
        """The connection to a host, if there is one that lives."""
        connection = self._connections.get(host)
        return connection if connection is not None and connection.alive else None

    async def reach(self, host: Host) -> Connection:
        """The connection to a host, made anew where it has been lost. Raises WeaverError."""
        async with self._dialling.setdefault(host.name, asyncio.Lock()):
            connection = self.known(host.name)
            if connection is not None:
                return connection
            await self.drop(host.name)
            dialling = self._loop.run_in_executor(self._threads, self._dial, host)
            try:
                connection = await asyncio.shield(dialling)
            except asyncio.CancelledError:
                dialling.add_done_callback(self._close_unused)
                raise
            self._connections[host.name] = connection
            return connection

    async def run(self, host: Host, script: str, patience: float) -> Completed:
        """Run a script by the shell of a host, for at most so many seconds. Raises WeaverError."""
        stdin = script.encode()
        return await self.use(host, lambda c: c.run("sh -s", stdin=stdin, timeout=patience))

    async def use(self, host: Host, act: Callable[[Connection], T]) -> T:
        """What `act`, which blocks, returns of the connection to a host.

        Where links to envelopes are all the sessions that the host allows on one connection, it
        gets another one, for this time. Raises WeaverError.
        """
        connection = await self.reach(host)
        try:
            return await self.in_thread(lambda: act(connection))
        except NoSession:
            return await self.in_thread(lambda: self._beside(host, act))

    def _beside(self, host: Host, act: Callable[[Connection], T]) -> T:
        with self._dial(host) as connection:
            return act(connection)

    async def drop(self, host: str, dead: Connection | None = None) -> None:
        """Close the connection to a host, if it still is this one: the next use makes another."""
        connection = self._connections.get(host)
        if connection is None or (dead is not None and connection is not dead):
            return
        del self._connections[host]
        await self.in_thread(connection.close)

    async def in_thread(self, call: Callable[[], T]) -> T:
        """What a call returns that blocks."""
        return await self._loop.run_in_executor(self._threads, call)

    def _close_unused(self, dialled: asyncio.Future[Connection]) -> None:
        """Close a connection that nobody waits for any more."""
        if not dialled.cancelled() and dialled.exception() is None:
            threading.Thread(target=dialled.result().close, name="weaver-ssh-closer").start()
