"""One request, from its head to the last byte of its answer.

Decides when a request may be tried again: only if no replica can have processed it, or, on a
connection used again that ended without a byte, if it may be repeated by its method. It must not
know how clients' connections are read, nor how versions are chosen.
"""

import asyncio
from collections.abc import Sequence

from weaver.ingress.http import body, forwarding, response
from weaver.ingress.http.answer import AnswerReader
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.response import ResponseHead
from weaver.ingress.passage import Passage, clock
from weaver.ingress.upstream import Pool


class Exchange(Passage):
    """Carries one request of a client to a replica, and the answer back."""

    # What few requests change is in the class: a store less for each, in each request.
    tunnel = False
    _exact = False
    _turned = False
    _held: Sequence[bytes] = ()
    _connecting: asyncio.Task[None] | None = None
    _answer: AnswerReader | None = None
    _begun = False
    _framing = 0
    _tried: tuple[str, ...] = ()
    _asked_last = ""

    def be_exact(self) -> None:
        """Whoever asks has said which version it must be: no other may answer."""
        self._exact = True
        self._short = False

    # The way there.

    def _find(self) -> None:
        """Send the request to a replica, on a new connection, or answer for them."""
        attempts, replica = self._attempts, None
        if 0 < attempts < self._limits.attempts:
            replica = self.lane.enter(self._active, self._tried)
        if replica is None:
            why = "no replica can be reached" if attempts else "it has no replica"
            if not self._turns_to_another(502 if attempts else 503, why):
                self._fail(502 if attempts else 503, why)
            return
        self._attempts = attempts + 1
        self._replica = replica
        self._open(replica.pool)

    def _open(self, pool: Pool) -> None:
        self._client.hold(held=True)
        self._connecting = asyncio.get_running_loop().create_task(self._connect(pool))

    def _turns_to_another(self, status: int, why: str) -> bool:
        """Have another version answer: nobody of the chosen one has taken the request."""
        if (other := self.lane.fallback) is None or self._exact or self._turned:
            return False
        self._short = False
        self._witness(status, why)
        self.lane.tally.end(clock() - self._started, failed=True)
        self._turned, self.lane, self._cookie = True, other, ""
        self._attempts, self._tried, self._started = 1, (), clock()  # 1: on a new connection
        other.tally.requests += 1
        self._find()
        return True

    async def _connect(self, pool: Pool) -> None:
        try:
            async with asyncio.timeout(self._limits.connect_time):
                link = await pool.connect()
        except (OSError, TimeoutError):
            self._connecting, self._short = None, False
            if self._replica is not None:
                self._tried = (*self._tried, self._replica.id)
            self._leave(good=False, refused=True)
            self._find()
            return
        self._connecting = None
        self._link = link
        link.user = self
        link.write(b"".join((self.request, *self._held)))
        self._held = ()
        self._client.hold(held=False)

    def asked(self, payload: bytes, *, complete: bool) -> None:
        """More of the request's body has come."""
        self._active = clock()
        self._asked = complete
        if self.head.length < 0:
            payload = body.chunk(payload) if payload else b""
            if complete:
                payload += body.LAST_CHUNK
        if self._link is not None:
            self._link.write(payload)
        elif not self._over:
            self._held = (*self._held, payload)

    # The way back.

    def _read(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            head, limit = self.head, self._limits.head_bytes
            self._answer = answer = AnswerReader(head.method, limit, framed=not head.old)
        elif self.tunnel:
            self._client.write(data)
            return
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
            elif not self.head.old:
                self._client.write(forwarding.response_bytes(part.head, framing=0, close=False))

    def _begin(self, head: ResponseHead) -> bytes:
        self._framing = head.length
        if head.length in {response.CHUNKED, response.UNTIL_CLOSE}:
            self._framing = response.UNTIL_CLOSE if self.head.old else response.CHUNKED
        self._begun = True
        return forwarding.response_bytes(
            head, framing=self._framing, close=not self._keeps(), cookie=self._cookie
        )

    def _keeps(self) -> bool:
        return (
            self.head.keep_alive
            and self._asked
            and not self._client.closing
            and self._framing != response.UNTIL_CLOSE
        )

    def _pass(self, answer: AnswerReader, first: bytes, payload: bytes) -> None:
        """Send a part of the answer on; `first` is its head, or empty."""
        complete, head = answer.complete, answer.head
        assert head is not None
        if self._framing == response.CHUNKED != head.length:
            payload = body.chunk(payload) if payload else b""
            if complete:
                payload += body.LAST_CHUNK
        if first or payload:
            self._client.write(first + payload)
        if complete:
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
        self.lane.tally.end(self._active - self._started, failed=status >= 500)
        self._client.finished(keep=keep)

    # WebSockets.

    def _switch(self, head: ResponseHead, rest: bytes) -> None:
        if not self.head.upgrade:
            self._leave(good=False)
            self._fail(502, "the replica switched protocols without being asked")
            return
        self.tunnel = True
        first = forwarding.response_bytes(head, framing=0, close=False)
        self._client.write(first + rest)
        self._client.switched()

    def forward(self, data: bytes) -> None:
        """Send bytes of a tunnel to the replica."""
        self._active = clock()
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
        elif answer is None and link is not None and link.idle_since and self.head.repeatable:
            self._short = False
            self._leave(good=None)  # not its fault: only the connection had ended
            self._find()
        else:
            self._leave(good=False)
            what = "in the middle of" if answer is not None else "before"
            self._fail(502, f"the replica closed its connection {what} the answer")

    def _witness(self, status: int, why: str) -> None:
        head, replica = self.head, self._replica
        backend = replica.id if replica is not None else self._asked_last
        self.lane.witness(head.method, head.target, status, backend, why)

    def _fail(self, status: int, why: str) -> None:
        """Answer for the replica, or cut off what it has begun."""
        if status >= 500:
            self._witness(0 if self._begun or self.tunnel else status, why)
        self._drop_link()
        self._end(failed=status >= 500)
        if self._begun or self.tunnel:
            self._client.cut()
            return
        keep = self._asked and self.head.keep_alive and not self._client.closing
        text = f"{status}: version {self.lane.version}: {why}"
        bodyless = self.head.method == b"HEAD"
        self._client.write(forwarding.plain(status, text, close=not keep, bodyless=bodyless))
        self._client.finished(keep=keep)

    def broken(self) -> bool:
        """The request's body breaks a rule; whether the client can still be told by an answer."""
        self.abandon()
        return not self._begun and not self.tunnel

    def expire(self) -> bool:
        """There is no more time: whether the client can still be told by an answer, and was."""
        if self._over or self._begun or self.tunnel or not self._asked:
            return False
        self._leave(good=False)
        self._fail(504, "no answer before the last moment, and what waits for it ends now")
        return True

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
            self.lane.tally.end_tunnel()
        else:
            self.lane.tally.abort()

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
            self._asked_last = replica.id
            self.lane.leave(replica, good=good, refused=refused)

    def _end(self, *, failed: bool) -> None:
        if self._over:
            return
        self._leave(good=None)
        self._over = True
        if self.tunnel:
            self.lane.tally.end_tunnel()
        else:
            self.lane.tally.end(clock() - self._started, failed=failed)

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
