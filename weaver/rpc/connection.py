"""One connection between two proclets, without the socket: bytes in, events out, and bytes to send.

It is symmetrical: both sides may call. It decides who may talk (handshake), how a connection is
drained and how it ends; `caller` and `callee` keep the calls of the two directions, `outbox` what
waits to be written. It must not know sockets, event loops or clocks: deadlines travel as the time
that remains, and whoever drives the connection lets them expire.

What the driver owes, after every call of a method: write what `data_to_send` returns, again and
again, while the transport takes more; act on the events, in order. It never stops reading because
it cannot write (two such sides would wait for each other for ever): the limits shed calls instead.
It lets callers wait while they do not have room (`has_room`), ends calls whose deadline has passed
(`send_cancel` where they were made, `send_error` where they run), and closes the transport when the
state is CLOSED and nothing is queued.

Which frames are accepted when is told in `weaver.rpc.state`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec

from weaver import frames
from weaver.errors import ProtocolError
from weaver.frames import DEADLINE_SIZE, HEADER_SIZE, MAX_PAYLOAD, PONG, USUAL_REPLY, USUAL_REQUEST
from weaver.rpc.callee import Callee
from weaver.rpc.caller import Caller
from weaver.rpc.events import Closed, Drained, Event, Opened, Outcome, PeerDraining, Pong
from weaver.rpc.handshake import MAGIC, VERSION, Hello, check_hello, decode_hello, encode_hello
from weaver.rpc.intake import Intake
from weaver.rpc.limits import Limits
from weaver.rpc.listener import Handler, Listener
from weaver.rpc.outbox import Body, Outbox
from weaver.rpc.reassembly import Reassembly
from weaver.rpc.state import State, Statistics

_CLOSED: Final = State.CLOSED  # reading it from the class takes 900 instructions
_words: Final = frames.WORDS.unpack_from
_four_words: Final = frames.FOUR_WORDS.unpack_from

_AT_HANDSHAKE: Final = 1
"""In the place of the method of a refusal: the refusing side has executed nothing."""


class _Ended(Exception):
    """The frame at hand has ended the connection."""


class Connection:
    """The state of one connection; drive it with `receive` and `data_to_send`.

    After every call of a method the driver writes what `data_to_send` returns. Events come in the
    order in which they happened. Not thread-safe. The `send_*` methods are those of `caller` and
    `callee`, which may as well be called there; `ours` and `theirs` hold a key for
    each call in flight that was made here, and that the peer made, `lanes` one for each that has a
    large body to send, `partials` one for each that receives one; they are to be read only.
    """

    __slots__ = (
        "_ack_due", "_decoder", "_hello", "_intake", "_open", "_outbox", "_partials", "_received",
        "_sent", "_state", "_table", "callee", "caller", "filled", "has_credit", "has_room",
        "lanes", "ours", "partials", "peer", "room", "send_credit", "send_end", "send_error",
        "send_item", "send_reply", "send_request", "theirs",
    )  # fmt: skip

    def __init__(self, hello: Hello, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._hello = hello
        self._state = State.NEW
        self._outbox = Outbox(limits)
        self._partials = Reassembly(limits.max_message, limits.max_reassembly)
        self.caller = Caller(limits, self._outbox, self._partials)
        self.callee = Callee(limits, self._outbox, self._partials)
        self._intake = Intake(self.caller, self.callee, self._partials)
        self._decoder = self._intake.decoder
        self._ack_due = False
        self._open = False
        self._received = 0
        self._sent = 0
        self.ours: Mapping[int, object] = self.caller.calls
        self.theirs: Mapping[int, object] = self.callee.calls
        self.lanes: Mapping[int, object] = self._outbox.lanes
        self.partials: Mapping[int, object] = self._partials.bodies
        self.peer: Hello | None = None
        # Bound here, not wrapped: a method that only forwards would cost 2 % of a small call.
        self.send_request = self.caller.send_request
        self.send_credit = self.caller.send_credit
        self.send_reply = self.callee.send_reply
        self.send_error = self.callee.send_error
        self.send_item = self.callee.send_item
        self.send_end = self.callee.send_end
        self.has_credit = self.callee.has_credit
        self.has_room = self._outbox.has_room
        self.room = self._intake.room
        self.filled = self._intake.filled
        self._table = self._new_table()
        self._outbox.put_control(frames.HELLO, MAGIC, VERSION, encode_hello(hello))

    def __repr__(self) -> str:
        peer = f" to {self.peer.replica or 'a peer'}" if self.peer else ""
        return (
            f"<Connection{peer} {self._state.value}, {len(self.caller.calls)} calls out,"
            f" {len(self.callee.calls)} in, {self._outbox.queued} bytes queued>"
        )

    @property
    def state(self) -> State:
        """NEW, OPEN, DRAINING or CLOSED."""
        return self._state

    @property
    def outgoing(self) -> int:
        """Calls that this side has made and that are in flight, cancelled ones included."""
        return len(self.caller.calls)

    @property
    def incoming(self) -> int:
        """Calls of the peer that are in flight."""
        return len(self.callee.calls)

    @property
    def acted(self) -> int:
        """Calls of the peer that began so far, and own calls that ended."""
        return self.callee.taken + self.caller.made - len(self.caller.calls)

    @property
    def one_large(self) -> bool:
        """Whether one call that has a large body to send is all that goes on."""
        return self._outbox.only_one(len(self.caller.calls) + len(self.callee.calls))

    @property
    def queued(self) -> int:
        """Bytes that `data_to_send` has not handed over yet."""
        return self._outbox.queued

    def statistics(self) -> Statistics:
        """What this connection has done and holds."""
        return Statistics(
            state=self._state,
            outgoing=self.outgoing,
            incoming=self.incoming,
            made=self.caller.made,
            taken=self.callee.taken,
            refused=self.callee.refused,
            queued=self.queued,
            partial=len(self._partials),
            reserved=self._partials.reserved,
            received=self._received + self._intake.poured,
            sent=self._sent,
        )

    def tell(self, listener: Listener) -> None:
        """Call the driver for ordinary frames while `receive` reads them, instead of events.

        What comes behind another event of the same read is an event as well: the order is kept.
        """
        self.caller.listener = self.callee.listener = listener

    def receive(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """What these bytes of the peer make happen, however they are cut.

        Never raises for what the peer does: a fault closes the connection, and the last event is
        `Closed` with the ProtocolError. Whole frames are cut here: the generator of `FrameDecoder`
        would cost 0.3 us a read and 0.1 us a frame.
        """
        events: list[Event] = []
        if self._state is _CLOSED:
            return events
        # The owner of another buffer may use it again.
        read = data if isinstance(data, bytes) else bytes(data)
        self._received += len(read)
        try:
            self._take(read, events)
            if self._ack_due:
                self._acknowledge_drain()
        except ProtocolError as error:
            self._refuse(error, events)
        except _Ended:
            pass
        return events

    def _take(self, read: bytes, events: list[Event]) -> None:
        table = self._table
        end = len(read)
        at = 0
        length: int  # said for the compiled core: else it compares objects
        word: int
        first: int = 0
        roomy = end - HEADER_SIZE - DEADLINE_SIZE  # up to there, a deadline is read with it
        last = -1 if self._decoder.partial else end - HEADER_SIZE
        while at <= last:
            if at <= roomy:
                length, call, word, first = _four_words(read, at)
            else:
                length, call, word = _words(read, at)
            body = at + HEADER_SIZE
            stop = body + length
            if stop > end or length > MAX_PAYLOAD:
                break
            if word == USUAL_REPLY and self._open:
                self.caller.on_usual_reply(call, read[body:stop], events)
            elif word >> 16 == USUAL_REQUEST and self._open and length >= DEADLINE_SIZE:
                self.callee.on_usual_request(
                    word & 0xFFFF, call, first, read[body + DEADLINE_SIZE : stop], events
                )
            else:
                kind = word >> 16 & 0xFF
                if kind > PONG:
                    break
                table[kind](word >> 24, word & 0xFFFF, call, read[body:stop], events)
            at = stop
        if at < end or not end:
            self._intake.receive(read[at:] if at else read, table, events)

    def data_to_send(self, chunks: int = 1) -> list[Body]:
        """Buffers to write now, in order: all small frames, then `chunks` pieces of large bodies.

        Call it again, while the writer takes more, until it returns nothing. What it returned
        counts as sent.
        """
        if not self._outbox.lanes:
            small = self.small_to_send()
            return [small] if small else []
        buffers = self._outbox.take(chunks)
        for buffer in buffers:
            self._sent += len(buffer)
        return buffers

    def small_to_send(self) -> bytearray:
        """As `data_to_send`, for the usual case that there are no `lanes`: one buffer, or empty."""
        outbox = self._outbox
        small = outbox.small
        if small:
            outbox.small = bytearray()
            if outbox.answered:
                outbox.answered = 0
            self._sent += len(small)
        return small

    def send_cancel(self, call: int) -> None:
        """Give a call up: no event follows for it. Nothing if the call is over already."""
        self.caller.send_cancel(call)
        if self._ack_due:
            self._acknowledge_drain()

    def ping(self, token: int = 0) -> None:
        """Ask the peer for a sign of life; `Pong(token)` follows. `token` is 32 bits."""
        if self._state is not State.CLOSED:
            self._outbox.put_control(frames.PING, token)

    def drain(self) -> None:
        """Take no new calls of the peer; `Drained` follows when it has none left. Idempotent."""
        if self.callee.draining or self._state is State.CLOSED:
            return
        self.callee.refuse_new()
        self._outbox.put_control(frames.DRAIN, 0)
        if self._state is State.OPEN:
            self._state = State.DRAINING

    def close(self, why: str = "this side closed the connection") -> list[Event]:
        """End at once; what is queued and not yet taken is dropped. Events: every call fails."""
        return self._end(why)

    def eof(self) -> list[Event]:
        """The peer closed the connection. Events: every call fails."""
        return self._end("the peer closed the connection")

    def fail(self, why: str) -> list[Event]:
        """The transport failed, for the reason `why`. Events: every call fails."""
        return self._end(why)

    def _end(
        self, why: str, error: ProtocolError | None = None, outcome: Outcome = Outcome.LOST
    ) -> list[Event]:
        events: list[Event] = []
        if self._state is State.CLOSED:
            return events
        self._state = State.CLOSED
        self._open = False
        self.caller.lose_all(outcome, why, events)
        self.callee.lose_all(events)
        self.caller.refuse_new(Outcome.UNSENT, why)
        self._outbox.clear()
        self._partials.clear()
        self._intake.clear()
        # The old one refers to this object: a closed connection is freed at once.
        self._table[:] = [_ignore] * len(self._table)
        self.caller.listener = self.callee.listener = None
        self._ack_due = False
        events.append(Closed(why, error))
        return events

    def _refuse(
        self, error: ProtocolError, events: list[Event], outcome: Outcome = Outcome.LOST
    ) -> None:
        """The peer broke the protocol: fail everything here, and tell the peer why."""
        at_handshake = _AT_HANDSHAKE if self._state is State.NEW else 0
        events += self._end(str(error), error, outcome)
        body = msgspec.msgpack.encode((error.what, error.why, error.fix))
        self._outbox.put_control(frames.REFUSAL, 0, at_handshake, body)

    def _on_hello(
        self, _flags: int, method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        peer = decode_hello(payload, call, method)
        try:
            check_hello(self._hello, peer)
        except ProtocolError as error:  # the peer compares the same values: it executes nothing
            self._refuse(error, events, Outcome.REFUSED)
            raise _Ended from error
        self.peer = peer
        self._state = State.DRAINING if self.callee.draining else State.OPEN
        self._table[:] = self._open_table()
        self._open = True
        events.append(Opened(peer))

    def _on_refusal(
        self, _flags: int, method: int, _call: int, payload: bytes, events: list[Event]
    ) -> None:
        try:
            what, why, fix = msgspec.msgpack.decode(payload, type=tuple[str, str, str])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            what, why, fix = "the peer refused the connection", "", ""
        error = ProtocolError(what, why=why, fix=fix)
        outcome = Outcome.REFUSED if method == _AT_HANDSHAKE else Outcome.LOST
        events += self._end(str(error), error, outcome)
        raise _Ended from error

    def _on_drain(
        self, _flags: int, _method: int, _call: int, _payload: bytes, events: list[Event]
    ) -> None:
        if self.caller.refusing:
            raise ProtocolError("the peer announced twice that it drains")
        self.caller.refuse_new(Outcome.DRAINING, "the peer is draining; it takes no new calls")
        self._ack_due = True
        events.append(PeerDraining())

    def _on_drained(
        self, _flags: int, _method: int, _call: int, _payload: bytes, events: list[Event]
    ) -> None:
        if not self.callee.draining or self.callee.no_more or self.callee.calls:
            raise ProtocolError("the peer announced its last call while this was not so")
        self.callee.no_more = True
        events.append(Drained())

    def _on_ping(
        self, _flags: int, _method: int, call: int, _payload: bytes, _events: list[Event]
    ) -> None:
        self._outbox.put_automatic(frames.PONG, call)

    def _on_pong(
        self, _flags: int, _method: int, call: int, _payload: bytes, events: list[Event]
    ) -> None:
        events.append(Pong(call))

    def _unexpected(
        self, kind: int, _flags: int, _method: int, call: int, _payload: bytes, _events: list[Event]
    ) -> None:
        raise ProtocolError(
            f"the peer sent a frame of kind {frames.KIND_NAMES[kind]!r} (call {call}),"
            f" which may not come while the connection is {self._state.value}"
        )

    def _acknowledge_drain(self) -> None:
        if not self.caller.calls:
            self._ack_due = False
            self._outbox.put_control(frames.DRAINED, 0)

    def _new_table(self) -> list[Handler]:
        table: list[Handler] = [
            partial(self._unexpected, kind) for kind in range(len(frames.KIND_NAMES))
        ]
        table[frames.HELLO] = self._on_hello
        table[frames.REFUSAL] = self._on_refusal
        return table

    def _open_table(self) -> list[Handler]:
        table = self._new_table()
        table[frames.HELLO] = partial(self._unexpected, frames.HELLO)
        table[frames.REQUEST] = self.callee.on_request
        table[frames.REQUEST_PART] = self.callee.on_part
        table[frames.CANCEL] = self.callee.on_cancel
        table[frames.CREDIT] = self.callee.on_credit
        table[frames.REPLY] = self.caller.on_reply
        table[frames.ERROR] = self.caller.on_error
        table[frames.ITEM] = self.caller.on_item
        table[frames.END] = self.caller.on_end
        table[frames.RESULT_PART] = self.caller.on_part
        table[frames.DRAIN] = self._on_drain
        table[frames.DRAINED] = self._on_drained
        table[frames.PING] = self._on_ping
        table[frames.PONG] = self._on_pong
        return table


def _ignore(
    _flags: int, _method: int, _call: int, _payload: bytes, _events: list[Event]
) -> None: ...
