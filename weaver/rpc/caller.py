"""The calls that this side has made: from `send_request` to the one frame that ends each.

A call is in flight until its final frame (reply, end or error) arrives. A cancelled call stays in
flight, silent, until the callee confirms: so its id is free exactly when no frame for it can come,
a frame for a call that is not in flight is a fault of the peer, and this side never has fewer calls
in flight than the callee knows of. The record of a call is `None` (one reply), a `Window` (a
stream) or `_CANCELLED`. This file must not know the state of the connection beyond `refuse_new`.
"""

from collections import deque
from struct import Struct
from typing import Final

from weaver.errors import Overloaded, ProtocolError, UsageError
from weaver.frames import (
    CANCEL,
    CREDIT,
    END,
    ERROR,
    IS_LARGE,
    ITEM,
    KIND_NAMES,
    MAX_METADATA,
    MAX_U32,
    NO_FIELDS,
    PAIR,
    REPLY,
    REQUEST,
    TRACE_SIZE,
    USUAL_REQUEST,
    Fields,
    decode_fields,
)
from weaver.rpc.events import End, Event, Failed, Item, Outcome, Reply, call_error
from weaver.rpc.limits import Limits, check_size, in_words
from weaver.rpc.listener import Listener
from weaver.rpc.outbox import Body, Outbox, lane_key
from weaver.rpc.reassembly import Partial, Reassembly

_with_deadline: Final = Struct("<IIII").pack


class Window:
    """What the callee of a stream may still send, and what the reader has taken of it.

    `items` and `size` (bytes) may still come; `unconsumed` are the sizes of items that came and are
    not read; `due_items` and `due_size` have been read and are to be granted again.
    """

    __slots__ = (
        "_half_items",
        "_half_size",
        "due_items",
        "due_size",
        "items",
        "size",
        "unconsumed",
    )

    def __init__(self, items: int, size: int) -> None:
        self._half_items = items / 2
        self._half_size = size / 2
        self.items = items
        self.size = size
        self.unconsumed: deque[int] = deque()
        self.due_items = 0
        self.due_size = 0

    @property
    def worth_granting(self) -> bool:
        """Whether half of the window has been read, in either measure: the callee never starves."""
        return self.due_items >= self._half_items or self.due_size >= self._half_size


_MISSING: Final = Window(0, 0)
_CANCELLED: Final = Window(0, 0)


class Caller:
    """The calling half of a connection."""

    __slots__ = (
        "_limits",
        "_most",
        "_next",
        "_outbox",
        "_partials",
        "_refusal",
        "calls",
        "listener",
        "made",
    )

    def __init__(self, limits: Limits, outbox: Outbox, partials: Reassembly) -> None:
        self._limits = limits
        self._most = limits.max_calls  # 0 once every new call is refused
        self._outbox = outbox
        self._partials = partials
        self._refusal: tuple[Outcome, str] | None = None
        self._next = 1
        self.calls: dict[int, Window | None] = {}
        self.made = 0
        self.listener: Listener | None = None

    def send_ordinary(self, method: int, body: Body, deadline_ms: int) -> int:
        """As `send_request`, for a small body and nothing but a deadline, if all is quiet.

        Returns 0, and has done nothing, for a call that needs more thought: use `send_request`,
        and wait before until the connection is writable.
        """
        calls = self.calls
        outbox = self._outbox
        small = outbox.small
        size = len(body)
        call = self._next
        if (
            size >= outbox.bulk
            or len(calls) >= self._most
            or call in calls
            or not deadline_ms
            or outbox.lanes
            or len(small) >= outbox.high_water
        ):
            return 0
        small += _with_deadline(size + 4, call, USUAL_REQUEST << 16 | method, deadline_ms)
        small += body
        calls[call] = None
        self._next = call + 1 if call < MAX_U32 else 1
        self.made += 1
        return call

    def send_request(
        self,
        method: int,
        body: Body,
        *,
        deadline_ms: int = 0,
        trace: bytes = b"",
        metadata: bytes = b"",
        credit: int = 0,
    ) -> int:
        """Queue a call and return its id.

        `deadline_ms` is the time that remains (0: none; 32 bits), `trace` 24 bytes, `metadata` at
        most 65535; `credit` > 0 makes it a streaming call that may send so many items at first.
        Raises Overloaded at the limit of calls in flight, ConnectionLost when the connection is
        closed, RemoteCallError when the peer is draining (all three: not executed), CodecError for
        a body over the limit.
        """
        if deadline_ms and not (trace or metadata or credit):
            call = self.send_ordinary(method, body, deadline_ms)
            if call:
                return call
        if self._refusal is not None:
            raise call_error(self._refusal[0], self._refusal[1].encode())
        if len(self.calls) >= self._most:
            raise Overloaded(
                f"{self._most} calls are in flight on this connection",
                fix="make fewer calls at once, or run more replicas",
            )
        fields = Fields(deadline_ms, trace, (credit, 0), metadata)
        check_size(len(body), self._limits)
        if fields.trace and len(fields.trace) != TRACE_SIZE:
            raise UsageError(f"a trace has {TRACE_SIZE} bytes, not {len(fields.trace)}")
        if len(fields.metadata) > MAX_METADATA:
            raise UsageError(
                f"metadata of {len(fields.metadata)} bytes exceeds the limit of {MAX_METADATA}",
                fix="put less into the baggage of the call",
            )
        call = self._next
        while call in self.calls:
            call = call + 1 if call < MAX_U32 else 1
        window = Window(credit, self._limits.stream_window) if credit else None
        fields = fields._replace(credit=(credit, self._limits.stream_window if credit else 0))
        self._outbox.put(REQUEST, call, method, fields, body, from_caller=True)
        self.calls[call] = window
        self._next = call + 1 if call < MAX_U32 else 1
        self.made += 1
        return call

    def send_credit(self, call: int, items: int = 1) -> None:
        """Say that `items` items have been consumed: call it for each; nothing if the call is over.

        The callee is told when half of the window is free again, in items or in bytes.
        Raises UsageError for more items than were received and not yet consumed.
        """
        window = self.calls.get(call)
        if window is None or window is _CANCELLED:
            return
        if not 0 < items <= len(window.unconsumed):
            raise UsageError(
                f"credit for {items} items of call {call}; {len(window.unconsumed)} can be granted"
            )
        window.due_items += items
        window.due_size += sum(window.unconsumed.popleft() for _ in range(items))
        if window.worth_granting:
            window.items += window.due_items
            window.size += window.due_size
            credit = PAIR.pack(window.due_items, window.due_size)
            window.due_items = window.due_size = 0
            self._outbox.put(CREDIT, call, 0, NO_FIELDS, credit, from_caller=True)

    def send_cancel(self, call: int) -> None:
        """Give a call up: no event follows for it. Nothing if the call is over already."""
        record = self.calls.get(call, _MISSING)
        if record is _MISSING or record is _CANCELLED:
            return
        if self._outbox.abort(call, from_caller=True) is False:
            del self.calls[call]  # not one byte of it has left
            return
        self._outbox.put(CANCEL, call, 0, NO_FIELDS, b"", from_caller=True)
        self._silence(call)

    @property
    def refusing(self) -> bool:
        """Whether `send_request` raises, whatever is asked."""
        return self._refusal is not None

    def refuse_new(self, outcome: Outcome, why: str) -> None:
        """From now on `send_request` raises."""
        self._refusal = (outcome, why)
        self._most = 0

    def lose_all(self, outcome: Outcome, why: str, events: list[Event]) -> None:
        """Every call in flight fails; those never sent provably did not run."""
        unsent = self._outbox.unsent()
        body = why.encode()
        for call, record in self.calls.items():
            if record is not _CANCELLED:
                lost = outcome is Outcome.LOST and call in unsent
                events.append(Failed(call, Outcome.UNSENT if lost else outcome, body))
        self.calls.clear()

    def on_usual_reply(self, call: int, payload: bytes, events: list[Event]) -> None:
        """The result of a call, without any flag."""
        if (
            self.calls.get(call, _MISSING) is None
            and not self._outbox.lanes
            and not self._partials.reserved
        ):
            del self.calls[call]
            listener = self.listener
            if listener is None or events:
                events.append(Reply(call, payload))
            else:
                listener.replied(call, payload)
        else:
            self._on_result(REPLY, 0, 0, call, payload, events)

    def on_reply(
        self, flags: int, method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        """The result of a call, or the beginning of a large one."""
        self._on_result(REPLY, flags, method, call, payload, events)

    def on_error(
        self, flags: int, method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        """The call is over without a result; `method` is the outcome."""
        self._on_result(ERROR, flags, method, call, payload, events)

    def on_item(
        self, flags: int, method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        """An item of a stream, or the beginning of a large one."""
        self._on_result(ITEM, flags, method, call, payload, events)

    def on_end(
        self, flags: int, method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        """A stream is over."""
        self._on_result(END, flags, method, call, payload, events)

    def on_part(
        self, flags: int, _method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        """More of a large result."""
        self.announced(flags, call, len(payload)).pour(payload)
        self.poured(call, events)

    def announced(self, flags: int, call: int, size: int) -> Partial:
        """The result of which so many bytes come now."""
        decode_fields(flags, b"", 0)
        return self._partials.announce(lane_key(call, from_caller=False), size)

    def poured(self, call: int, events: list[Event]) -> None:
        """All that was announced has come."""
        whole = self._partials.finished(lane_key(call, from_caller=False))
        if whole is not None:
            self._deliver(whole.kind, whole.method, call, whole.body(), events)

    def _on_result(
        self, kind: int, flags: int, method: int, call: int, payload: bytes, events: list[Event]
    ) -> None:
        allowed = IS_LARGE if kind != END else 0
        fields, body = decode_fields(flags, payload, allowed) if flags else (NO_FIELDS, payload)
        record = self._expect(kind, call)
        if kind == ERROR and not Outcome.APPLICATION <= method <= Outcome.FAILED:
            raise ProtocolError(f"the peer sent an error of unknown outcome {method}")
        if kind == ITEM and record is not None and record is not _CANCELLED:
            if record.items <= 0 or record.size <= 0:
                raise ProtocolError(f"the peer sent an item of call {call} beyond its credit")
            record.items -= 1
            record.size -= fields.total or len(body)
        if fields.total:
            self._begin(kind, method, call, fields, body, events)
        else:
            self._deliver(kind, method, call, body, events)

    def _expect(self, kind: int, call: int) -> Window | None:
        """The record of a call of which such a frame may come now; raises ProtocolError if none."""
        record = self.calls.get(call, _MISSING)
        if record is _MISSING:
            raise _unexpected(kind, call, "is not in flight")
        if record is None and kind in (ITEM, END):
            raise _unexpected(kind, call, "does not stream")
        if record is not None and record is not _CANCELLED and kind == REPLY:
            raise _unexpected(kind, call, "streams")
        if kind == ERROR:
            begun = self._outbox.abort(call, from_caller=True)
            if begun is False:
                raise _unexpected(kind, call, "has not been sent")
            if begun:  # refused while its body was on the way: no part may follow
                self._outbox.put(CANCEL, call, 0, NO_FIELDS, b"", from_caller=True)
            self._partials.drop(lane_key(call, from_caller=False))
        elif lane_key(call, from_caller=True) in self._outbox.lanes:
            raise _unexpected(kind, call, "has not been sent wholly")
        elif lane_key(call, from_caller=False) in self._partials:
            raise _unexpected(kind, call, "is in the middle of a large body")
        return record

    def _begin(
        self, kind: int, method: int, call: int, fields: Fields, body: bytes, events: list[Event]
    ) -> None:
        wanted = self.calls[call] is not _CANCELLED
        key = lane_key(call, from_caller=False)
        if self._partials.begin(key, kind, method, fields, body, wanted=wanted) or not wanted:
            return
        why = f"a result of {in_words(fields.total)} is more than this side can receive now"
        events.append(Failed(call, Outcome.FAILED, why.encode()))
        self._outbox.put(CANCEL, call, 0, NO_FIELDS, b"", from_caller=True)
        self._silence(call)

    def _deliver(self, kind: int, method: int, call: int, body: bytes, events: list[Event]) -> None:
        record = self.calls[call] if kind == ITEM else self.calls.pop(call)
        if record is _CANCELLED:
            return
        if kind == REPLY:
            events.append(Reply(call, body))
        elif kind == END:
            events.append(End(call))
        elif kind == ERROR:
            events.append(Failed(call, Outcome(method), body))
        elif record is not None:
            record.unconsumed.append(len(body))
            events.append(Item(call, body))

    def _silence(self, call: int) -> None:
        self.calls[call] = _CANCELLED
        self._partials.discard(lane_key(call, from_caller=False))


def _unexpected(kind: int, call: int, why: str) -> ProtocolError:
    name = KIND_NAMES[kind]
    article = "an" if name[0] in "aeiou" else "a"
    return ProtocolError(f"the peer sent {article} {name} for call {call}, which {why}")
