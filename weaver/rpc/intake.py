"""Frames that the end of a read cuts: what has come of them waits here for the rest.

The bytes of a part of a large body do not wait: they go where they belong as they come, and whoever
reads the socket may put them there itself. This file must not know what a part means to a call.
"""

from collections.abc import Sequence

from weaver.frames import HEADER, HEADER_SIZE, REQUEST_PART, RESULT_PART, FrameDecoder
from weaver.rpc.callee import Callee
from weaver.rpc.caller import Caller
from weaver.rpc.events import Event
from weaver.rpc.listener import Handler
from weaver.rpc.outbox import lane_key
from weaver.rpc.reassembly import Partial, Reassembly


class Intake:
    """What of one connection has come but is no whole frame yet; `decoder` has most of it.

    `poured` are the bytes that went into `room`. Every method but `filled` raises ProtocolError.
    """

    __slots__ = (
        "_body", "_call", "_callee", "_caller", "_kind", "_left", "_partials", "_room", "decoder",
        "poured",
    )  # fmt: skip

    def __init__(self, caller: Caller, callee: Callee, partials: Reassembly) -> None:
        self.decoder = FrameDecoder()
        self.poured = 0
        self._caller = caller
        self._callee = callee
        self._partials = partials
        self._body: Partial | None = None  # while a part of it comes
        self._call = 0
        self._kind = 0
        self._left = 0
        self._room: memoryview | None = None

    def receive(self, data: bytes, table: Sequence[Handler], events: list[Event]) -> None:
        """Take bytes that do not begin with a whole frame, or follow a part that is whole."""
        decoder = self.decoder
        at = 0
        while True:
            if self._body is not None:
                count = min(self._left, len(data) - at)
                self._body.pour(memoryview(data)[at : at + count])
                self._left -= count
                if self._left:
                    return
                at += count
                self._end(events)
            if decoder.partial or not self._goes_on(data, at):
                break
            decoder.partial = bytearray(HEADER_SIZE)  # in the place of this one
            at += HEADER_SIZE
        for kind, flags, method, call, payload in decoder.frames(data[at:] if at else data):
            table[kind](flags, method, call, payload, events)
        if len(decoder.partial) >= HEADER_SIZE:
            self._begin(decoder.partial)

    def _begin(self, begun: bytearray) -> None:
        """If these bytes begin a part of a large body, put what there is of it into its place."""
        size, call, _method, kind, flags = HEADER.unpack_from(begun)
        if kind == REQUEST_PART:
            body = self._callee.announced(flags, call, size)
        elif kind == RESULT_PART:
            body = self._caller.announced(flags, call, size)
        else:
            return
        self._body, self._kind, self._call = body, kind, call
        self._left = size + HEADER_SIZE - len(begun)
        if len(begun) > HEADER_SIZE:
            body.pour(memoryview(begun)[HEADER_SIZE:])

    def _end(self, events: list[Event]) -> None:
        self._body = None
        self.decoder.partial = bytearray()
        half = self._callee if self._kind == REQUEST_PART else self._caller
        half.poured(self._call, events)

    def room(self) -> memoryview | None:
        """Where the bytes that come next belong; None: they are to be received.

        Not to be used any more after another method of the connection was called. If more of the
        body follows, there is room for the next header, too: it comes with the same read, and is
        overwritten by what follows it. The last byte of a body is to be received: by then nobody
        holds the room any more, and the body need not be copied.
        """
        body = self._body
        room = None if body is None else body.room(self._left + HEADER_SIZE)
        self._room = room
        return room

    def filled(self, count: int) -> bytes | None:
        """So many bytes have been put into `room`; what is to be received now, if anything.

        It may be empty: receiving it ends the part.
        """
        room, self._room = self._room, None
        body = self._body
        if room is None or body is None:
            return None
        left = self._left
        if count < left:
            self._left = left - count
            self.poured += count
            body.filled(count)
            return None
        self._left = 0
        self.poured += left
        body.filled(left)
        behind = bytes(room[left:count])
        if not self._goes_on(behind, 0):
            return behind
        self.poured += HEADER_SIZE
        return None

    def _goes_on(self, data: bytes, at: int) -> bool:
        """Whether a part that is in order begins there: it does now, and nobody need be told."""
        if len(data) - at < HEADER_SIZE:
            return False
        size, call, _method, kind, flags = HEADER.unpack_from(data, at)
        if flags or kind not in (REQUEST_PART, RESULT_PART):
            return False
        body = self._partials.bodies.get(lane_key(call, from_caller=kind == REQUEST_PART))
        if body is None or not body.takes(size):
            return False
        body.announce(size)
        self._body, self._kind, self._call, self._left = body, kind, call, size
        return True

    def clear(self) -> None:
        """Forget all of it."""
        self._body = self._room = None
