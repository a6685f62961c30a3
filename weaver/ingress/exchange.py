"""One request, from its head to the last byte of its answer.

Decides when a request may be tried again: only if no replica can have processed it, or, on a
connection used again that ended without a byte, if it may be repeated by its method. It must not
know how clients' connections are read, nor how versions are chosen.
"""

import asyncio
import time
from typing import Protocol

from weaver.control.ingress import Backend, FailedRequest
from weaver.ingress.counting import VersionTally
from weaver.ingress.http import body, forwarding, response
from weaver.ingress.http.answer import AnswerReader
from weaver.ingress.http.limits import Limits
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.request import RequestHead
from weaver.ingress.http.response import ResponseHead
from weaver.ingress.upstream import Pool, ReplicaConnection


class Route(Protocol):
    """The version of a request, and its replicas as they are now."""

    version: str
    tally: VersionTally
    cookie: str

    def next_backend(self) -> Backend | None:
        """A replica that was not tried for this request, or None."""
        ...

    def pool(self, backend: Backend) -> Pool:
        """Its connections."""
        ...

    def ended(self, backend: Backend) -> None:
        """The request no longer uses this replica."""
        ...

    def spare(self, backend: Backend) -> None:
        """It may be tried again: only its connection had ended."""
        ...

    def outcome(self, backend: Backend, *, good: bool, refused: bool = False) -> None:
        """What this replica did with the request."""
        ...

    def failed(self, request: FailedRequest) -> None:
        """Evidence against the version."""
        ...


class Client(Protocol):
    """The connection that a request came on."""

    @property
    def closing(self) -> bool:
        """Whether this request is the last one."""
        ...

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

    def cut(self) -> None:
        """The answer cannot be completed: end the connection, so that the client sees it."""
        ...


class Exchange:
    """Carries one request of `client` to a replica, and the answer back."""

    def __init__(
        self, client: Client, head: RequestHead, request: bytes, route: Route, limits: Limits
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._head = head
        self._request = request
        self._route = route
        self._limits = limits
        self._started = self._active = self._loop.time()
        self._held: list[bytes] = []
        self._asked = head.length == 0  # the whole request has come
        self._connecting: asyncio.Task[None] | None = None
        self._backend: Backend | None = None
        self._asked_last = ""
        self._replica: ReplicaConnection | None = None
        self._answer = AnswerReader(head.method, limits.head_bytes)
        self._begun = False
        self._framing = 0
        self._attempts = 0
        self._over = False
        self.tunnel = False

    def start(self) -> None:
        """Begin. The client hears of the end by `finished` or `cut`, maybe at once."""
        self._route.tally.begin()
        self._attempt()

    # The way there.

    def _attempt(self) -> None:
        backend = self._route.next_backend() if self._attempts < self._limits.attempts else None
        if backend is None:
            why = "no replica can be reached" if self._attempts else "it has no replica"
            self._fail(503 if not self._attempts else 502, why)
            return
        self._attempts += 1
        self._backend = backend
        self._asked_last = backend.id
        pool = self._route.pool(backend)
        replica = None
        if self._attempts == 1:  # what is idle may have ended as the first one had
            replica = pool.take(surely=not self._head.repeatable)
        if replica is not None:
            self._send(replica)
            return
        self._client.hold(held=True)
        self._connecting = self._loop.create_task(self._connect(pool))

    async def _connect(self, pool: Pool) -> None:
        try:
            async with asyncio.timeout(self._limits.connect_time):
                replica = await pool.connect()
        except (OSError, TimeoutError):
            self._connecting = None
            self._leave(good=False, refused=True)
            self._attempt()
            return
        self._connecting = None
        self._send(replica)

    def _send(self, replica: ReplicaConnection) -> None:
        self._replica = replica
        replica.user = self
        replica.write(b"".join((self._request, *self._held)))
        self._held.clear()
        self._client.hold(held=False)

    def asked(self, payload: bytes, *, complete: bool) -> None:
        """More of the request's body has come."""
        self._active = self._loop.time()
        self._asked = complete
        if self._head.length < 0:
            payload = body.chunk(payload) if payload else b""
            if complete:
                payload += body.LAST_CHUNK
        if self._replica is not None:
            self._replica.write(payload)
        elif not self._over:
            self._held.append(payload)

    def replica_full(self, *, full: bool) -> None:
        """Whether the replica reads more slowly than the client sends."""
        self._client.hold(held=full)

    # The way back.

    def answered(self, data: bytes) -> None:
        """The replica has sent bytes."""
        self._active = self._loop.time()
        if self.tunnel:
            self._client.write(data)
            return
        try:
            parts = self._answer.feed(data)
        except Refusal as refusal:
            self._leave(good=False)
            self._fail(502, refusal.what)
            return
        for part in parts:
            if part.head is None:
                self._pass(b"", part.payload)
            elif part.head.status >= 200:
                self._pass(self._begin(part.head), part.payload)
            elif part.head.status == 101:
                self._switch(part.head)
            elif not self._head.old:
                self._client.write(forwarding.response_bytes(part.head, framing=0, close=False))

    def _begin(self, head: ResponseHead) -> bytes:
        self._framing = head.length
        if head.length in {response.CHUNKED, response.UNTIL_CLOSE}:
            self._framing = response.UNTIL_CLOSE if self._head.old else response.CHUNKED
        self._begun = True
        return forwarding.response_bytes(
            head, framing=self._framing, close=not self._keeps(), cookie=self._route.cookie
        )

    def _keeps(self) -> bool:
        return (
            self._head.keep_alive
            and self._asked
            and not self._client.closing
            and self._framing != response.UNTIL_CLOSE
        )

    def _pass(self, first: bytes, payload: bytes) -> None:
        """Send a part of the answer on; `first` is its head, or empty."""
        complete = self._answer.complete
        if self._framing == response.CHUNKED:
            payload = body.chunk(payload) if payload else b""
            if complete:
                payload += body.LAST_CHUNK
        if first or payload:
            self._client.write(first + payload)
        if complete:
            self._complete()

    def _complete(self) -> None:
        head = self._answer.head
        assert head is not None
        keep = self._keeps()
        if head.status >= 500:
            self._witness(head.status, "")
        replica, self._replica = self._replica, None
        if replica is not None and self._backend is not None:
            if head.keep_alive and self._asked and not self._answer.rest:
                self._route.pool(self._backend).give(replica, self._active)
            else:
                replica.close()
        self._leave(good=True)
        self._end(failed=head.status >= 500)
        self._client.finished(keep=keep)

    # WebSockets.

    def _switch(self, head: ResponseHead) -> None:
        if not self._head.upgrade:
            self._leave(good=False)
            self._fail(502, "the replica switched protocols without being asked")
            return
        self.tunnel = True
        first = forwarding.response_bytes(head, framing=0, close=False)
        self._client.write(first + self._answer.rest)
        self._client.switched()

    def forward(self, data: bytes) -> None:
        """Send bytes of a tunnel to the replica."""
        self._active = self._loop.time()
        if self._replica is not None:
            self._replica.write(data)

    # Ends.

    def replica_lost(self, error: Exception | None) -> None:
        """The replica's connection has ended."""
        replica, self._replica = self._replica, None
        if self.tunnel:
            self._leave(good=True)
            self._end(failed=False)
            self._client.cut()
        elif error is None and self._answer.closed():
            self._pass(b"", b"")
        elif self._may_retry(replica):
            if self._backend is not None:
                self._route.spare(self._backend)
            self._leave(good=None)
            self._attempt()
        else:
            self._leave(good=False)
            what = "in the middle of" if self._answer.started else "before"
            self._fail(502, f"the replica closed its connection {what} the answer")

    def _may_retry(self, replica: ReplicaConnection | None) -> bool:
        if self._answer.started or replica is None:
            return False
        return replica.reused and self._head.repeatable

    def _witness(self, status: int, why: str) -> None:
        """Keep the request as evidence against its version."""
        self._route.failed(
            FailedRequest(
                version=self._route.version,
                time=time.time(),
                method=self._head.method.decode("latin-1"),
                path=self._head.target.partition(b"?")[0].decode("latin-1"),
                status=status,
                backend=self._asked_last,
                why=why,
            )
        )

    def _fail(self, status: int, why: str) -> None:
        """Answer for the replica, or cut off what it has begun."""
        if status >= 500:
            self._witness(0 if self._begun or self.tunnel else status, why)
        self._drop_replica()
        self._end(failed=status >= 500)
        if self._begun or self.tunnel:
            self._client.cut()
            return
        keep = self._asked and self._head.keep_alive and not self._client.closing
        text = f"{status}: version {self._route.version}: {why}"
        bodyless = self._head.method == b"HEAD"
        self._client.write(forwarding.plain(status, text, close=not keep, bodyless=bodyless))
        self._client.finished(keep=keep)

    def broken(self) -> bool:
        """The request's body breaks a rule; whether the client can still be told by an answer."""
        self.abandon()
        return not self._begun and not self.tunnel

    def abandon(self) -> None:
        """The client has gone."""
        if self._over:
            return
        replica = self._replica
        if replica is not None and (self._asked or self.tunnel):
            self._replica = None
            replica.finish()  # it shall have the whole request, or the last frames of the tunnel
        self._drop_replica()
        self._leave(good=None)
        self._over = True
        if self.tunnel:
            self._route.tally.end_tunnel()
        else:
            self._route.tally.abort()

    def _drop_replica(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._replica is not None:
            self._replica.close()
            self._replica = None

    def _leave(self, *, good: bool | None, refused: bool = False) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            self._route.ended(backend)
            if good is not None:
                self._route.outcome(backend, good=good, refused=refused)

    def _end(self, *, failed: bool) -> None:
        if self._over:
            return
        self._leave(good=None)
        self._over = True
        if self.tunnel:
            self._route.tally.end_tunnel()
        else:
            self._route.tally.end(self._loop.time() - self._started, failed=failed)

    def hold_answer(self, *, held: bool) -> None:
        """Whether the client takes the answer more slowly than it comes."""
        if self._replica is None or self._replica.transport.is_closing():
            return
        if held:
            self._replica.transport.pause_reading()
        else:
            self._replica.transport.resume_reading()

    def check(self, now: float) -> None:
        """End what has taken too long."""
        quiet = now - self._active
        if self._over or self._connecting is not None:
            return
        if self.tunnel or self._begun:
            if quiet > self._limits.quiet_time:
                self._fail(504, "nothing has come for too long")
        elif not self._asked:
            if quiet > self._limits.stall_time:
                self._fail(408, "the request's body did not come")
        elif quiet > self._limits.response_time:
            self._leave(good=False)
            self._fail(504, f"no answer within {self._limits.response_time:g} s")
