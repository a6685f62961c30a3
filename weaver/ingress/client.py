"""One connection of a client: cuts its bytes into requests and answers them in their order.

Decides when a connection is read, how long its client may take, and how it ends without a reset
that destroys an answer. It must not know where requests go.
"""

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Protocol, cast

from weaver.ingress.exchange import Exchange
from weaver.ingress.http import body, forwarding, plain
from weaver.ingress.http.forwarding import Origin
from weaver.ingress.http.limits import Limits
from weaver.ingress.http.refusal import Refusal
from weaver.ingress.http.request import RequestHead, read_again, read_request
from weaver.ingress.replica import Lane
from weaver.transport import handover

_clock = time.monotonic


class Server(Protocol):
    """What clients are connected to.

    `draining` while it ends, and hears of connections that are at rest; `parting` when those that
    are left get one answer more at most. `turns` has the versions of requests, one after the
    other; None while requests may be pinned, or none has a weight.
    """

    limits: Limits
    draining: bool
    parting: bool
    turns: Iterator[Lane] | None

    def admit(self, client: "ClientConnection") -> bool:
        """Whether there is room for one more connection."""
        ...

    def left(self, client: "ClientConnection") -> None:
        """It has ended."""
        ...

    def rests(self, client: "ClientConnection") -> None:
        """While draining: it has no request any more, and is kept."""
        ...

    def refused(self) -> None:
        """A request was answered without any version."""
        ...

    def begin(
        self, client: "ClientConnection", head: RequestHead, payload: bytes, *, whole: bool
    ) -> Exchange:
        """The exchange of a request with the first bytes of its body. Raises `Refusal` (503)."""
        ...


class ClientConnection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client."""

    transport: asyncio.Transport

    def __init__(self, server: Server, scheme: str) -> None:
        self._server = server
        self._limits = server.limits
        self._buffer = b""
        self._exchange: Exchange | None = None
        self._body: body.Body | None = None
        self._known: RequestHead | None = None
        self._spare: Exchange | None = None
        self._since = _clock()  # of the request's first byte, or of the last answer's end
        self._reading = True
        self._held = False
        self._unsent = 0
        self._full_since: float | None = None
        self._parsing = False
        self._ending = False
        self._still = False
        self.portable = scheme == "http"
        self.closing = server.parting  # whether this request is the last one
        self.origin = Origin("", scheme)

    @property
    def idle(self) -> bool:
        """Whether no request is in flight, and none has begun to arrive."""
        return self._exchange is None and not self._buffer and not self._ending

    @property
    def is_tunnel(self) -> bool:
        """Whether it has left HTTP behind."""
        return self._exchange is not None and self._exchange.tunnel

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        peer: object = transport.get_extra_info("peername")  # a path for Unix sockets
        address = str(cast("tuple[object, ...]", peer)[0]) if isinstance(peer, tuple) else ""
        self.origin.client = address
        if not self._server.admit(self):
            self._refuse(Refusal(503, "there are too many connections"))

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        exchange = self._exchange
        if exchange is None:
            spare = self._spare
            if spare is not None and self._again(spare, data):
                return
            if self._ending:
                return
            if self._buffer:
                self._buffer += data
                self._next()
                return
            self._buffer = data
            self._next()
            if self._buffer:
                self._since = _clock()
        elif exchange.tunnel:
            exchange.forward(data)
        elif self._body is not None:
            self._read_body(data)
        else:
            self._buffer += data
            self._update_reading()

    def eof_received(self) -> bool:
        """The peer sends nothing more: the connection ends."""
        return False  # as the replicas' own server: who closes does not want an answer

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        del exc
        self._ending = True
        self._spare = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
        self._server.left(self)

    def pause_writing(self) -> None:
        """The peer reads slowly."""
        self._full_since = _clock()
        self._spare = None
        self._unsent = self.transport.get_write_buffer_size()
        if self._exchange is not None:
            self._exchange.hold_answer(held=True)
        self._update_reading()

    def resume_writing(self) -> None:
        """There is room again."""
        self._full_since = None
        if self._exchange is not None:
            self._exchange.hold_answer(held=False)
        self._update_reading()
        self._next()

    # Requests.

    def _again(self, spare: Exchange, data: bytes) -> bool:
        """Begin a plain request that has come as a whole, if it is one: most are."""
        self._spare = None
        turns = self._server.turns
        if turns is None:
            return False
        head, line, limit = spare.head, None, self._limits.head_bytes
        block = head.block
        if block and data.endswith(block) and len(data) <= limit:
            line = plain.line(data, 0, len(data) - len(block))
        if line is not None:
            head.raw = data
            first, head.method, head.target = line.group(0, 1, 2)
            if not head.forwarded:
                head.forwarded = block[:-2] + self.origin.lines(head.host)
            request = first + head.forwarded
        elif head.is_plain and read_again(head, data, limit):
            request = head.raw[:-2] + self.origin.lines(head.host) + data[len(head.raw) :]
        else:
            return False
        spare.lane = next(turns)
        spare.request = request
        self._exchange = spare
        spare.start()
        return True

    def _next(self) -> None:
        """Begin the requests that have come, one after the other's answer."""
        if self._parsing:
            return
        self._parsing = True
        try:
            while self._buffer and self._exchange is None and self._full_since is None:
                if self._ending or not self._begin():
                    break
        except Refusal as refusal:
            self._refuse(refusal)
        finally:
            self._parsing = False
        if self._buffer or self._held or not self._reading:
            self._update_reading()

    def _begin(self) -> bool:
        """Begin one request; False if its head is not complete."""
        data = self._buffer
        if data.startswith(b"\r\n"):  # some clients end a body with it; one is ignored
            data = data[2:]
        head = read_request(data, self._limits.head_bytes, self._known)
        if head is None:
            return False
        self._known = head
        rest, length = data[len(head.raw) :], head.length
        if 0 <= length <= len(rest):
            payload = rest[:length]
            self._exchange = exchange = self._server.begin(self, head, payload, whole=True)
            self._buffer = rest[length:]
            exchange.start()
            return True
        self._buffer = b""
        self._body = body.ChunkedBody() if length < 0 else body.FixedBody(length)
        self._exchange = exchange = self._server.begin(self, head, b"", whole=False)
        exchange.start()
        if self._exchange is not exchange:
            self._buffer = rest
        elif rest:
            self._read_body(rest)
        return True

    def _read_body(self, data: bytes) -> None:
        assert self._body is not None
        assert self._exchange is not None
        try:
            payload, rest = self._body.feed(data)
        except Refusal as refusal:
            exchange, self._exchange = self._exchange, None
            if exchange.broken():
                self._refuse(refusal)
            else:
                self.cut()
            return
        complete = self._body.complete
        if complete:
            self._body = None
            self._buffer = rest
        if payload or complete:
            self._exchange.asked(payload, complete=complete)
        self._update_reading()

    def _refuse(self, refusal: Refusal) -> None:
        self._server.refused()
        text = f"{refusal.status}: {refusal.what}" + (f" ({refusal.why})" if refusal.why else "")
        self.write(forwarding.plain(refusal.status, text, close=True))
        self.end()

    # What the exchange asks for.

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is ending."""
        if not self._ending and not self.transport.is_closing():
            self.transport.write(data)

    def hold(self, *, held: bool) -> None:
        """Whether to stop reading the request's body."""
        self._held = held
        if held or not self._reading:
            self._update_reading()

    def switched(self) -> None:
        """The connection is a tunnel from now on."""
        data, self._buffer = self._buffer, b""
        if data and self._exchange is not None:
            self._exchange.forward(data)
        self._update_reading()

    def finished(self, *, keep: bool) -> None:
        """The answer is complete."""
        self._exchange = None
        self._held = False
        self._since = _clock()
        if not keep or self._body is not None:
            self.end()
        elif self._buffer or not self._reading:
            self._next()
        elif self._server.draining:
            self._server.rests(self)

    def passed(self, now: float) -> None:
        """The answer is complete, and the exchange can be used again."""
        self._since = now
        if self._buffer or self._full_since is not None or self._server.draining:
            self.finished(keep=True)
        else:
            self._spare, self._exchange = self._exchange, None

    def keep_still(self) -> bool:
        """Read nothing more, if it is idle and can be handed over; whether that is so."""
        if self._still or not (self.idle and self.portable) or self.transport.is_closing():
            return False
        self._still = True
        self.transport.pause_reading()
        return True

    def hand_over(self, sender: socket.socket) -> bool:
        """Leave a still connection to another process, or go on with it.

        Call it when the loop has turned twice since `keep_still`: uvloop writes at the end of a
        turn, and does not count until then what is to be written.
        """
        transport = self.transport
        if self._ending or transport.is_closing():
            return False
        self._still = False
        unsent = transport.get_write_buffer_size()
        if not unsent and handover.send(sender, transport.get_extra_info("socket").fileno()):
            self._ending = True
            self._spare = None
            transport.abort()  # this process's descriptor of it
            return True
        if self._reading:
            transport.resume_reading()
        return False

    def cut(self) -> None:
        """End the connection after what was written, without the end of an answer."""
        self._exchange = None
        self._ending = True
        self.transport.close()

    def give_up(self) -> None:
        """End the connection now; whose answer has not begun, is told so."""
        self.closing = True
        told = self._exchange is not None and self._exchange.expire()
        (self.transport.close if told else self.transport.abort)()

    def end(self) -> None:
        """Tell the client that nothing follows, and read what it still sends, for a while."""
        if self._ending:
            return
        self._ending = True
        self._spare = None
        self._buffer = b""
        self._body = None
        self._since = _clock()
        if self.transport.is_closing():
            return
        if self._still:
            self._still = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._update_reading()
        else:
            self.transport.close()

    def _update_reading(self) -> None:
        """Read unless something stands against it."""
        if self.transport.is_closing():
            return
        waiting = self._exchange is not None and self._body is None and not self._exchange.tunnel
        full = waiting and len(self._buffer) > self._limits.pipelined_bytes
        # Whoever does not take answers may not ask more; a tunnel has its two ways apart.
        blocked = self._exchange is None and self._full_since is not None
        reading = self._ending or not (self._held or full or blocked)
        if reading != self._reading:
            self._reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    # Time.

    def check(self, now: float) -> None:
        """End what has taken too long."""
        limits = self._limits
        if self._ending:
            if now - self._since > limits.linger_time and not self._unsent_shrinks():
                self.transport.abort()
        elif self._full_since is not None and not self._unsent_shrinks():
            if now - self._full_since > limits.stall_time:
                self.transport.abort()
        elif self._exchange is not None:
            self._exchange.check(now)
        elif self._buffer:
            if now - self._since > limits.header_time:
                self._refuse(Refusal(408, "the head of the request did not come in time"))
        elif now - self._since > limits.idle_time:
            self.end()

    def _unsent_shrinks(self) -> bool:
        """Whether the client has taken bytes since the last time."""
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        shrinks = 0 < self._unsent < before
        if shrinks and self._full_since is not None:
            self._full_since = _clock()
        return shrinks
