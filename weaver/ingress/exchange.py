"""One request, from its head to the last byte of its answer.

Decides when a request may be tried again: only if no replica can have processed it, or, on a
connection used again that ended without a byte, if it may be repeated by its method. It must not
know how clients' connections are read, nor how versions are chosen.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from weaver.ingress.http import body, forwarding, response
from weaver.ingress.http.answer import AnswerReader
from weaver.ingress.http.limits import Limits
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.request import IDEMPOTENT, RequestHead
from weaver.ingress.http.response import ResponseHead
from weaver.ingress.replica import Lane, Replica
from weaver.ingress.upstream import Pool, ReplicaConnection

_clock = time.monotonic


class Client(Protocol):
    """The connection that a request came on; `closing` if the request is the last one."""

    closing: bool

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
    """Carries one request of `client` to a replica, and the answer back.

    `request` is what a replica gets: the head, and with `whole` all of the body. `cookie` is a
    Set-Cookie for the answer.
    """

    # What most have is in the class: a store less for each, in each request.
    tunnel = False
    exact = False  # whoever asks has said which version it must be
    _turned = False
    _held: Sequence[bytes] = ()
    _connecting: asyncio.Task[None] | None = None
    _replica: Replica | None = None
    _link: ReplicaConnection | None = None
    _answer: AnswerReader | None = None
    _begun = False
    _framing = 0
    _attempts = 0
    _tried: tuple[str, ...] = ()
    _asked_last = ""
    _over = False

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
        self._client = client
        self._head = head
        self._request = request
        self._lane = lane
        self._limits = limits
        self._cookie = cookie
        self._started = self._active = _clock()
        self._asked = whole  # the whole request has come

    def start(self) -> None:
        """Begin. The client hears of the end by `finished` or `cut`, maybe at once."""
        tally = self._lane.tally
        tally.requests += 1
        tally.in_flight += 1
        self._attempt()

    # The way there.

    def _attempt(self) -> None:
        attempts, replica = self._attempts, None
        if attempts < self._limits.attempts:
            replica = self._lane.enter(self._active, self._tried)
        if replica is None:
            why = "no replica can be reached" if attempts else "it has no replica"
            if self._turns_to_another(502 if attempts else 503, why):
                return
            self._fail(502 if attempts else 503, why)
            return
        self._attempts = attempts + 1
        self._replica = replica
        self._asked_last = replica.id
        if not attempts:  # what is idle may have ended as the first one had
            head = self._head
            link = replica.pool.take(surely=head.length != 0 or head.method not in IDEMPOTENT)
            if link is not None:
                self._link = link
                link.user = self
                link.transport.write(self._request)
                return
        self._client.hold(held=True)
        self._connecting = asyncio.get_running_loop().create_task(self._connect(replica.pool))

    def _turns_to_another(self, status: int, why: str) -> bool:
        """Have another version answer: nobody of the chosen one has taken the request."""
        if (other := self._lane.fallback) is None or self.exact or self._turned:
            return False
        self._witness(status, why)
        self._lane.tally.end(_clock() - self._started, failed=True)
        self._turned, self._lane, self._cookie = True, other, ""
        self._attempts, self._tried, self._started = 1, (), _clock()  # 1: on a new connection
        self.start()
        return True

    async def _connect(self, pool: Pool) -> None:
        try:
            async with asyncio.timeout(self._limits.connect_time):
                link = await pool.connect()
        except (OSError, TimeoutError):
            self._connecting = None
            if self._replica is not None:
                self._tried = (*self._tried, self._replica.id)
            self._leave(good=False, refused=True)
            self._attempt()
            return
        self._connecting = None
        self._link = link
        link.user = self
        link.write(b"".join((self._request, *self._held)))
        self._held = ()
        self._client.hold(held=False)

    def asked(self, payload: bytes, *, complete: bool) -> None:
        """More of the request's body has come."""
        self._active = _clock()
        self._asked = complete
        if self._head.length < 0:
            payload = body.chunk(payload) if payload else b""
            if complete:
                payload += body.LAST_CHUNK
        if self._link is not None:
            self._link.write(payload)
        elif not self._over:
            self._held = (*self._held, payload)

    def replica_full(self, *, full: bool) -> None:
        """Whether the replica reads more slowly than the client sends."""
        self._client.hold(held=full)

    # The way back.

    def answered(self, data: bytes) -> None:
        """The replica has sent bytes."""
        self._active = now = _clock()
        replica = self._replica
        if replica is not None:
            replica.heard = now
        if self._answer is None:
            if replica is not None and self._head.method != b"HEAD":
                end = data.find(b"\r\n\r\n") + 4
                head = data[:end]
                known = replica.answers.get(head) or replica.read_answer(head)
                if known is not None and len(data) - end == known[1]:
                    self._pass_whole(replica, data, end, known[0])
                    return
            self._answer = AnswerReader(self._head.method, self._limits.head_bytes)
        elif self.tunnel:
            self._client.write(data)
            return
        self._read(self._answer, data)

    def _pass_whole(self, replica: Replica, data: bytes, end: int, status: int) -> None:
        """Send on a plain answer that has come as a whole: most do, so all is done in one go."""
        client, asked, lane = self._client, self._asked, self._lane
        keep = asked and self._head.keep_alive and not client.closing
        if not keep or self._cookie:
            head = forwarding.ended(data[:end], close=not keep, cookie=self._cookie)
            data = head + data[end:]
        client.write(data)
        if status >= 500:
            self._witness(status, "")
        link = self._link
        self._link = self._replica = None
        self._over = True
        if link is not None:
            if asked:
                replica.pool.give(link, self._active)
            else:
                link.close()
        lane.leave(replica, good=True)
        lane.tally.end(self._active - self._started, failed=status >= 500)
        client.finished(keep=keep)

    def _read(self, answer: AnswerReader, data: bytes) -> None:
        try:
            parts = answer.feed(data)
        except Refusal as refusal:
            self._leave(good=False)
            self._fail(502, refusal.what)
            return
        for part in parts:
            if part.head is None:
                self._pass(answer, b"", part.payload)
            elif part.head.status >= 200:
                self._pass(answer, self._begin(part.head), part.payload)
            elif part.head.status == 101:
                self._switch(part.head, answer.rest)
            elif not self._head.old:
                self._client.write(forwarding.response_bytes(part.head, framing=0, close=False))

    def _begin(self, head: ResponseHead) -> bytes:
        self._framing = head.length
        if head.length in {response.CHUNKED, response.UNTIL_CLOSE}:
            self._framing = response.UNTIL_CLOSE if self._head.old else response.CHUNKED
        self._begun = True
        return forwarding.response_bytes(
            head, framing=self._framing, close=not self._keeps(), cookie=self._cookie
        )

    def _keeps(self) -> bool:
        return (
            self._head.keep_alive
            and self._asked
            and not self._client.closing
            and self._framing != response.UNTIL_CLOSE
        )

    def _pass(self, answer: AnswerReader, first: bytes, payload: bytes) -> None:
        """Send a part of the answer on; `first` is its head, or empty."""
        complete = answer.complete
        if self._framing == response.CHUNKED:
            payload = body.chunk(payload) if payload else b""
            if complete:
                payload += body.LAST_CHUNK
        if first or payload:
            self._client.write(first + payload)
        if complete:
            head = answer.head
            assert head is not None
            reusable = head.keep_alive and self._asked and not answer.rest
            self._done(head.status, keep=self._keeps(), reusable=reusable)

    def _done(self, status: int, *, keep: bool, reusable: bool) -> None:
        """The answer is complete; with `reusable` the replica's connection may serve another."""
        if status >= 500:
            self._witness(status, "")
        link, self._link = self._link, None
        if link is not None and self._replica is not None:
            if reusable:
                self._replica.pool.give(link, self._active)
            else:
                link.close()
        self._leave(good=True)
        self._over = True
        self._lane.tally.end(self._active - self._started, failed=status >= 500)
        self._client.finished(keep=keep)

    # WebSockets.

    def _switch(self, head: ResponseHead, rest: bytes) -> None:
        if not self._head.upgrade:
            self._leave(good=False)
            self._fail(502, "the replica switched protocols without being asked")
            return
        self.tunnel = True
        first = forwarding.response_bytes(head, framing=0, close=False)
        self._client.write(first + rest)
        self._client.switched()

    def forward(self, data: bytes) -> None:
        """Send bytes of a tunnel to the replica."""
        self._active = _clock()
        if self._link is not None:
            self._link.write(data)

    # Ends.

    def replica_lost(self, error: Exception | None) -> None:
        """The replica's connection has ended."""
        link, self._link = self._link, None
        answer = self._answer
        if self.tunnel:
            self._leave(good=True)
            self._end(failed=False)
            self._client.cut()
        elif answer is not None and error is None and answer.closed():
            self._pass(answer, b"", b"")
        elif answer is None and link is not None and link.reused and self._head.repeatable:
            self._leave(good=None)  # not its fault: only the connection had ended
            self._attempt()
        else:
            self._leave(good=False)
            what = "in the middle of" if answer is not None else "before"
            self._fail(502, f"the replica closed its connection {what} the answer")

    def _witness(self, status: int, why: str) -> None:
        head, backend = self._head, self._asked_last
        self._lane.witness(head.method, head.target, status, backend, why)

    def _fail(self, status: int, why: str) -> None:
        """Answer for the replica, or cut off what it has begun."""
        if status >= 500:
            self._witness(0 if self._begun or self.tunnel else status, why)
        self._drop_link()
        self._end(failed=status >= 500)
        if self._begun or self.tunnel:
            self._client.cut()
            return
        keep = self._asked and self._head.keep_alive and not self._client.closing
        text = f"{status}: version {self._lane.version}: {why}"
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
        link = self._link
        if link is not None and (self._asked or self.tunnel):
            self._link = None
            link.finish()  # it shall have the whole request, or the last frames of the tunnel
        self._drop_link()
        self._leave(good=None)
        self._over = True
        if self.tunnel:
            self._lane.tally.end_tunnel()
        else:
            self._lane.tally.abort()

    def _drop_link(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._link is not None:
            self._link.close()
            self._link = None

    def _leave(self, *, good: bool | None, refused: bool = False) -> None:
        replica, self._replica = self._replica, None
        if replica is not None:
            self._lane.leave(replica, good=good, refused=refused)

    def _end(self, *, failed: bool) -> None:
        if self._over:
            return
        self._leave(good=None)
        self._over = True
        if self.tunnel:
            self._lane.tally.end_tunnel()
        else:
            self._lane.tally.end(_clock() - self._started, failed=failed)

    def hold_answer(self, *, held: bool) -> None:
        """Whether the client takes the answer more slowly than it comes."""
        if self._link is not None:
            self._link.hold(held=held)

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
