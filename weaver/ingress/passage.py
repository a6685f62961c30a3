"""The short way of a request: to a connection that waits, and back with a plain answer in one read.

Most go it, so what it does is done in few calls, and the object serves a client's next request of
the same kind. Decides when an answer may pass as it is; all else is for `Exchange`, which
inherits from this. It must not know how messages are read.
"""

import asyncio
import time
from typing import Final, Protocol

from weaver.ingress.http.limits import Limits
from weaver.ingress.http.request import RequestHead
from weaver.ingress.replica import Lane, Replica
from weaver.ingress.upstream import Pool, ReplicaConnection

clock: Final = time.monotonic


class Client(Protocol):
    """The connection that a request came on; `closing` if the request is the last one."""

    closing: bool
    transport: asyncio.Transport

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def hold(self, *, held: bool) -> None:
        """Whether to stop reading the request's body."""
        ...

    def switched(self) -> None:
        """The connection is a tunnel from now on."""
        ...

    def finished(self, *, keep: bool) -> None:
        """The answer is complete; without `keep` the connection ends after it."""
        ...

    def passed(self, now: float) -> None:
        """The same, at the end of the short way, with `keep`."""
        ...

    def cut(self) -> None:
        """The answer cannot be completed: end the connection, so that the client sees it."""
        ...


class Passage:
    """What an exchange is on the short way.

    `request` is what a replica gets: the head, and with `whole` all of the body. `cookie` is a
    Set-Cookie for the answer. Once it has passed, `lane` and `request` may be set to those of
    another request whose head says the same but in its first line, to start again.
    """

    def __init__(
        self,
        client: Client,
        head: RequestHead,
        request: bytes,
        lane: Lane,
        limits: Limits,
        *,
        whole: bool,
        cookie: str = "",
    ) -> None:
        self.lane = lane
        self.request = request
        self._client = client
        self.head = head
        self._limits = limits
        self._cookie = cookie
        self._asked = whole  # the whole request has come
        # Whether the answer may pass as it is, and this be used again.
        self._short = head.keep_alive and not cookie and head.method != b"HEAD"
        self._link: ReplicaConnection | None = None
        self._replica: Replica | None = None
        self._attempts = 0
        self._over = False
        self._started = self._active = 0.0

    def start(self) -> None:
        """Begin. The client hears of the end by `passed`, `finished` or `cut`, maybe at once."""
        lane, head = self.lane, self.head
        lane.tally.requests += 1
        self._over = False
        self._started = self._active = now = clock()
        replica = lane.enter(now)
        if replica is None:
            self._find()
            return
        self._attempts = 1
        self._replica = replica
        pool = replica.pool
        if (head.method == b"GET" and not head.length) or head.repeatable:
            link = pool.take()
        else:
            link = pool.take_open()
        if link is None:
            self._open(pool)
            return
        self._link = link
        link.user = self
        link.transport.write(self.request)

    def answered(self, data: bytes) -> None:
        """The replica has sent bytes."""
        self._active = now = clock()
        replica = self._replica
        if replica is None:
            return
        replica.heard = now
        client = self._client
        is_last = len(data) == replica.last_size and data.startswith(replica.last)
        short = self._short and self._asked and not client.closing
        if short and (is_last or replica.is_whole(data)):
            link = self._link
            self._over = True
            self._link = self._replica = None
            client.transport.write(data)  # if it is closing, that does nothing
            if link is not None:
                replica.pool.give(link, now)
            self.lane.passed(replica, now - self._started)
            client.passed(now)
        else:
            self._short = False
            self._read(data)

    def _find(self) -> None:
        """Have the request answered although no replica takes it."""
        raise NotImplementedError

    def _open(self, pool: Pool) -> None:
        """Send the request on a new connection."""
        raise NotImplementedError

    def _read(self, data: bytes) -> None:
        """Take bytes of an answer that does not go the short way."""
        raise NotImplementedError

    def replica_lost(self, error: Exception | None) -> None:
        """The replica's connection has ended."""
        raise NotImplementedError

    def replica_full(self, *, full: bool) -> None:
        """Whether the replica reads more slowly than the client sends."""
        self._client.hold(held=full)
