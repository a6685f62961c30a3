"""The calls that the peer has made: admission, and what goes back.

A call is in flight from its request until its final frame is queued; exactly one final frame
answers every request, also a refused or cancelled one. Frames about a call that is over are a
normal race with that final frame and are ignored; frames about a call that has not begun are a
fault of the peer. The record of a call is `None` (one reply) or a `Window` (a stream).
This file must not know which method runs, nor when.
"""

from typing import Final

from weaver.errors import ProtocolError, UsageError
from weaver.frames import (
    END,
    ERROR,
    HAS_CREDIT,
    HAS_DEADLINE,
    HAS_METADATA,
    HAS_TRACE,
    IS_LARGE,
    ITEM,
    MAX_U32,
    NO_FIELDS,
    PAIR,
    REPLY,
    REQUEST,
    U32,
    USUAL_REPLY,
    WORDS,
    Fields,
    decode_fields,
)
from weaver.rpc.events import Cancelled, Credit, Event, Outcome, Request
from weaver.rpc.limits import Limits, check_size, in_words
from weaver.rpc.listener import Listener
from weaver.rpc.outbox import Body, Outbox, lane_key
from weaver.rpc.reassembly import Partial, Reassembly

_words: Final = WORDS.pack

_ALLOWED: Final = HAS_DEADLINE | HAS_TRACE | HAS_CREDIT | HAS_METADATA | IS_LARGE


class Window:
    """What may still be sent on a stream: `items`, and `size` bytes, which one item may pass."""

    __slots__ = ("items", "size")

    def __init__(self, items: int, size: int) -> None:
        self.items = items
        self.size = size

    @property
    def open(self) -> bool:
        """Whether the next item may be sent."""
        return self.items > 0 and self.size > 0


_MISSING: Final = Window(0, 0)


class Callee:
    """The called half of a connection."""

    __slots__ = (
        "_limits", "_max_queued", "_most", "_newest", "_outbox", "_partials",
        "calls", "draining", "listener", "no_more", "refused", "taken",
    )  # fmt: skip

    def __init__(self, limits: Limits, outbox: Outbox, partials: Reassembly) -> None:
        self._limits = limits
        self._most = limits.max_calls  # 0 once every new call is refused
        self._max_queued = limits.max_queued
        self._outbox = outbox
        self._partials = partials
        self._newest = 0
        self.calls: dict[int, Window | None] = {}
        self.draining = False
        self.no_more = False
        self.taken = 0
        self.refused = 0
        self.listener: Listener | None = None

    def refuse_new(self) -> None:
        """From now on new calls are answered "draining"."""
        self.draining = True
        self._most = 0

    def send_reply(self, call: int, body: Body) -> None:
        """Answer a call; nothing happens if it was cancelled meanwhile.

        Raises UsageError for a streaming call, CodecError for a body over the limit: the call is
        then still in flight.
        """
        record = self.calls.get(call, _MISSING)
        if record is None:
            size = len(body)
            outbox = self._outbox
            if size < outbox.bulk:
                small = outbox.small
                small += _words(size, call, USUAL_REPLY)
                small += body
            else:
                check_size(size, self._limits)
                outbox.put(REPLY, call, 0, NO_FIELDS, body, from_caller=False)
            del self.calls[call]
        elif record is not _MISSING:
            raise UsageError(f"call {call} streams: answer it with send_item and send_end")

    def send_error(self, call: int, outcome: Outcome, body: Body = b"") -> None:
        """End a call or a stream without a result; nothing happens if it was cancelled meanwhile.

        `body` is the encoded exception for `Outcome.APPLICATION`, else a sentence in UTF-8.
        Raises UsageError for LOST and UNSENT, which no callee can know; CodecError as `send_reply`.
        """
        if outcome > Outcome.FAILED:
            raise UsageError(f"{outcome.name} is not an outcome that a callee can report")
        if self.calls.get(call, _MISSING) is _MISSING:
            return
        check_size(len(body), self._limits)
        self._outbox.put(ERROR, call, outcome, NO_FIELDS, body, from_caller=False)
        del self.calls[call]

    def send_item(self, call: int, body: Body) -> bool:
        """Send the next item of a stream; whether another one may be sent at once.

        After False wait for `Credit`, `Cancelled` or `Closed`. False also if the call was
        cancelled meanwhile. Raises UsageError without credit and for a call that does not stream,
        CodecError for a body over the limit.
        """
        window = self.calls.get(call, _MISSING)
        if window is _MISSING:
            return False
        if window is None:
            raise UsageError(f"call {call} does not stream: answer it with send_reply")
        if not window.open:
            raise UsageError(f"call {call} has no credit for an item", fix="wait for Credit")
        size = len(body)
        check_size(size, self._limits)
        self._outbox.put(ITEM, call, 0, NO_FIELDS, body, from_caller=False)
        window.items -= 1
        window.size -= size
        return window.open

    def send_end(self, call: int) -> None:
        """End a stream; nothing happens if it was cancelled. Raises UsageError if none."""
        window = self.calls.get(call, _MISSING)
        if window is None:
            raise UsageError(f"call {call} does not stream: answer it with send_reply")
        if window is not _MISSING:
            self._outbox.put(END, call, 0, NO_FIELDS, b"", from_caller=False)
            del self.calls[call]

    def has_credit(self, call: int) -> bool:
        """Whether `send_item` may be called for this call now."""
        window = self.calls.get(call)
        return window is not None and window.open

    def lose_all(self, events: list[Event]) -> None:
        """Nobody waits for the calls of the peer any more."""
        events.extend(
            Cancelled(call)
            for call in self.calls
            if lane_key(call, from_caller=True) not in self._partials
        )
        self.calls.clear()

    def on_usual_request(
        self, method: int, call: int, deadline_ms: int, body: bytes, events: list[Event]
    ) -> None:
        """A call with a deadline and nothing else."""
        calls = self.calls
        outbox = self._outbox
        if (
            len(calls) >= self._most
            or (call <= self._newest and call in calls)
            or len(outbox.small) + outbox.lane_bytes > self._max_queued
        ):
            self.on_request(HAS_DEADLINE, method, call, U32.pack(deadline_ms) + body, events)
            return
        if call > self._newest:  # noqa: PLR1730 - max() would cost 2 % of a small call
            self._newest = call
        calls[call] = None
        self.taken += 1
        listener = self.listener
        if listener is None or events:
            events.append(Request(call, method, body, deadline_ms))
        else:
            listener.requested(call, method, body, deadline_ms)

    def on_request(
        self, flags: int, method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        """A call, or the beginning of a large one: admit it, or answer that it is not executed."""
        fields, body = decode_fields(flags, payload, _ALLOWED)
        key = lane_key(call, from_caller=True)
        if call in self.calls or key in self._partials:
            raise ProtocolError(f"the peer sent a second request for call {call}")
        if self.no_more:
            raise ProtocolError(f"the peer sent request {call} after it had announced the last one")
        self._newest = max(self._newest, call)
        refusal = self._refusal(fields.total or len(body))
        if fields.total:
            wanted = refusal is None
            kept = self._partials.begin(key, REQUEST, method, fields, body, wanted=wanted)
            if wanted and not kept:
                refusal = (
                    Outcome.OVERLOADED,
                    f"the callee cannot receive {in_words(fields.total)} now",
                )
        if refusal is not None:
            self.refused += 1
            outcome, why = refusal
            self._outbox.put_automatic(ERROR, call, outcome, why.encode())
            return
        items, size = fields.credit
        self.calls[call] = Window(items, size) if flags & HAS_CREDIT else None
        self.taken += 1
        if not fields.total:
            events.append(_request(call, method, body, fields))

    def on_part(
        self, flags: int, _method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        """More of a large request."""
        self.announced(flags, call, len(payload)).pour(payload)
        self.poured(call, events)

    def announced(self, flags: int, call: int, size: int) -> Partial:
        """The request of which so many bytes come now."""
        decode_fields(flags, b"", 0)
        return self._partials.announce(lane_key(call, from_caller=True), size)

    def poured(self, call: int, events: list[Event]) -> None:
        """All that was announced has come."""
        whole = self._partials.finished(lane_key(call, from_caller=True))
        if whole is not None and whole.kept:
            events.append(_request(call, whole.method, whole.body(), whole.fields))

    def on_cancel(
        self, _flags: int, _method: int, call: int, _payload: bytes, events: list[Event]
    ) -> None:
        """The caller gives up: confirm it with a final frame unless one was sent already."""
        record = self.calls.pop(call, _MISSING)
        unfinished = self._partials.drop(lane_key(call, from_caller=True))
        answering = self._outbox.abort(call, from_caller=False) is not None
        if record is not _MISSING and not unfinished:
            events.append(Cancelled(call))
        if record is not _MISSING or answering:
            self._outbox.put_automatic(ERROR, call, Outcome.CANCELLED)
        else:
            self._must_be_past(call, "a cancel")

    def on_credit(
        self, _flags: int, _method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        """The caller has consumed items."""
        window = self.calls.get(call, _MISSING)
        if window is _MISSING:
            self._must_be_past(call, "a credit")
            return
        if window is None or len(payload) != PAIR.size:
            raise ProtocolError(f"the peer sent a credit for call {call}, which does not take it")
        items, size = PAIR.unpack(payload)
        blocked = not window.open
        window.items += items
        window.size += size
        if window.items > MAX_U32 or window.size > MAX_U32:
            raise ProtocolError(f"the peer granted {window.items} items to call {call}")
        if blocked and window.open:
            events.append(Credit(call))

    def _refusal(self, size: int) -> tuple[Outcome, str] | None:
        if self.draining:
            return Outcome.DRAINING, "the callee is draining; it takes no new calls"
        limits = self._limits
        if size > limits.max_message:
            return Outcome.REFUSED, (
                f"a request of {in_words(size)} exceeds the callee's limit of"
                f" {in_words(limits.max_message)}"
            )
        if len(self.calls) >= limits.max_calls:
            return Outcome.OVERLOADED, f"{limits.max_calls} calls of this peer are in flight"
        if self._outbox.queued > self._max_queued:
            return Outcome.OVERLOADED, (
                f"{in_words(self._outbox.queued)} of answers wait to be read"
            )
        return None

    def _must_be_past(self, call: int, what: str) -> None:
        if call > self._newest:
            raise ProtocolError(f"the peer sent {what} for call {call}, which has not begun")


def _request(call: int, method: int, body: bytes, fields: Fields) -> Request:
    return Request(
        call, method, body, fields.deadline_ms, fields.trace, fields.metadata,
        fields.credit[0] > 0,
    )  # fmt: skip
