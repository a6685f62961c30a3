"""What waits to be written, and in which order it leaves.

Small frames go into one buffer, in order. A body of `NO_COPY` bytes or more never enters it: it
waits in the lane of its call and leaves in chunks, the lanes taking turns, so that a small frame
stands behind one chunk at most. Frames of a call that has a lane queue in that lane, which keeps
the order within each call. Large bodies are begun only while their sum fits the peer's reassembly;
the others wait, first come first served.

This file must not know what a call is beyond a key, nor who answers whom.
"""

from collections import deque
from typing import Final

from weaver.errors import ProtocolError
from weaver.frames import (
    HEADER,
    HEADER_SIZE,
    MAX_PART,
    REQUEST,
    REQUEST_PART,
    RESULT_PART,
    Fields,
    FrameDecoder,
    encode_fields,
)
from weaver.rpc.limits import MIB, NO_COPY, Limits

Body = bytes | bytearray | memoryview

_MOST_ANSWERED: Final = MIB


class LargeMessage:
    """One body on its way, cut where the sender happens to be."""

    __slots__ = ("_body", "_fields", "_head", "sent", "size")

    def __init__(self, kind: int, call: int, method: int, fields: Fields, body: Body) -> None:
        self._head = (call, method, kind)
        self._fields = fields
        self._body = memoryview(body)
        self.size = len(self._body)
        self.sent = 0

    def __len__(self) -> int:
        return self.size - self.sent

    def opening(self) -> bytes:
        """Header and fields of a body that is sent in parts: they follow by themselves.

        So their receiver knows where they belong before the first byte of them comes.
        """
        call, method, kind = self._head
        flags, fields = encode_fields(self._fields._replace(total=self.size))
        return HEADER.pack(len(fields), call, method, kind, flags) + fields

    def part(self, most: int) -> tuple[bytes, memoryview]:
        """The header of the next part, and its bytes, at most `most`."""
        start = self.sent
        piece = self._body[start : start + most]
        self.sent = start + len(piece)
        call, _, kind = self._head
        part = REQUEST_PART if kind == REQUEST else RESULT_PART
        return HEADER.pack(len(piece), call, 0, part, 0), piece

    def whole(self) -> tuple[bytes, memoryview]:
        """The frame of a body that is sent in one piece: what comes before the body, and that."""
        self.sent = self.size
        call, method, kind = self._head
        flags, fields = encode_fields(self._fields)
        head = HEADER.pack(len(fields) + self.size, call, method, kind, flags)
        return head + fields, self._body


class Lane:
    """The frames of one call, in order; the first one is always a large message."""

    __slots__ = ("call", "from_caller", "messages")

    def __init__(self, call: int, *, from_caller: bool) -> None:
        self.call = call
        self.from_caller = from_caller
        self.messages: deque[LargeMessage | bytes] = deque()

    @property
    def first(self) -> LargeMessage:
        """The large message whose turn it is."""
        first = self.messages[0]
        assert isinstance(first, LargeMessage)
        return first

    @property
    def begun(self) -> bool:
        """Whether a part of the first message has been taken."""
        return self.first.sent > 0


class Outbox:
    """Frames to be written; `take` hands them over.

    The hot paths of `caller` and `callee` append to `small` themselves, if `lanes` is empty and the
    body is shorter than `bulk`.
    """

    __slots__ = (
        "_active", "_chunk", "_max_open", "_open", "_waiting",
        "answered", "bulk", "high_water", "lane_bytes", "lanes", "small",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self.small = bytearray()
        self.lanes: dict[int, Lane] = {}
        self.lane_bytes = 0
        self.bulk = min(NO_COPY, limits.chunk + 1, limits.max_message + 1)
        self._chunk = limits.chunk
        self.high_water = limits.high_water
        self._max_open = limits.max_reassembly
        self._open = 0
        self._active: deque[Lane] = deque()
        self._waiting: deque[Lane] = deque()
        self.answered = 0

    @property
    def queued(self) -> int:
        """Bytes of frames and bodies that `take` has not handed over yet."""
        return len(self.small) + self.lane_bytes

    def has_room(self, size: int) -> bool:
        """Whether a call with so large a body may be made, or had better wait for the writer.

        A small one overtakes large ones, and so does not wait for them.
        """
        large = self.lane_bytes if size >= self.bulk else 0
        return len(self.small) + large < self.high_water

    def only_one(self, calls: int) -> bool:
        """Whether one of so many calls in flight has a large body here, and there is no other."""
        lanes = self.lanes
        return len(lanes) == 1 and calls == sum(lane.from_caller for lane in lanes.values())

    def put(
        self, kind: int, call: int, method: int, fields: Fields, body: Body, *, from_caller: bool
    ) -> None:
        """Queue a frame behind the other frames of its call."""
        key = lane_key(call, from_caller=from_caller)
        lane = self.lanes.get(key)
        size = len(body)
        if lane is None and size < self.bulk:
            flags, optional = encode_fields(fields)
            self.small += HEADER.pack(len(optional) + size, call, method, kind, flags) + optional
            self.small += body
            return
        if lane is None:
            lane = self.lanes[key] = Lane(call, from_caller=from_caller)
            self._waiting.append(lane)
        if size < self.bulk:
            flags, optional = encode_fields(fields)
            head = HEADER.pack(len(optional) + size, call, method, kind, flags)
            frame = b"".join((head, optional, body))
            lane.messages.append(frame)
            self.lane_bytes += len(frame)
        else:
            lane.messages.append(LargeMessage(kind, call, method, fields, body))
            self.lane_bytes += size

    def put_control(self, kind: int, call: int, method: int = 0, body: bytes = b"") -> None:
        """Queue a frame about the connection, ahead of all lanes."""
        self.small += HEADER.pack(len(body), call, method, kind, 0)
        self.small += body

    def put_automatic(self, kind: int, call: int, method: int = 0, body: bytes = b"") -> None:
        """Queue an answer that no driver asked for, ahead of all lanes.

        Raises ProtocolError when a peer provokes many of them without reading any.
        """
        self.answered += HEADER_SIZE + len(body)
        if self.answered > _MOST_ANSWERED:
            raise ProtocolError(
                f"the peer has provoked {self.answered} bytes of answers and reads none of them"
            )
        self.put_control(kind, call, method, body)

    def abort(self, call: int, *, from_caller: bool) -> bool | None:
        """Forget the lane of a call: None if there is none, else whether its body was begun."""
        lane = self.lanes.pop(lane_key(call, from_caller=from_caller), None)
        if lane is None:
            return None
        for message in lane.messages:
            self.lane_bytes -= len(message)
        if lane in self._active:
            self._active.remove(lane)
            self._open -= lane.first.size
        else:
            self._waiting.remove(lane)
        return lane.begun

    def take(self, chunks: int) -> list[Body]:
        """All small frames, then at most `chunks` pieces of large bodies; empty when idle.

        Pieces of one body that nothing else comes between are one frame.
        """
        buffers: list[Body] = []
        if self.small:
            buffers.append(self.small)
            self.taken()
        while self.lanes and chunks > 0:
            self._admit()
            if not self._active:
                break
            pieces = chunks if len(self._active) == 1 else 1
            self._take_part(buffers, min(self._chunk * pieces, MAX_PART))
            chunks -= pieces
        return buffers

    def taken(self) -> None:
        """The buffer `small` is the writer's now."""
        self.small = bytearray()
        self.answered = 0

    def unsent(self) -> set[int]:
        """The calls of which not one byte has been taken."""
        frames = FrameDecoder().frames(bytes(self.small))
        return {call for kind, _, _, call, _ in frames if kind == REQUEST}.union(
            lane.call for lane in self.lanes.values() if lane.from_caller and not lane.begun
        )

    def clear(self) -> None:
        """Drop all that is queued."""
        self.small = bytearray()
        self.lanes.clear()
        self._active.clear()
        self._waiting.clear()
        self.lane_bytes = self._open = self.answered = 0

    def _admit(self) -> None:
        while self._waiting:
            size = self._waiting[0].first.size
            if self._open + size > self._max_open:
                return
            self._open += size
            self._active.append(self._waiting.popleft())

    def _take_part(self, buffers: list[Body], most: int) -> None:
        lane = self._active.popleft()
        messages = lane.messages
        current = lane.first
        if not current.sent and current.size <= self._chunk:
            head, piece = current.whole()
        else:
            if not current.sent:
                buffers.append(current.opening())
            head, piece = current.part(most)
        buffers += (head, piece)
        self.lane_bytes -= len(piece)
        if current:
            self._active.append(lane)
            return
        self._open -= current.size
        messages.popleft()
        while messages and isinstance(following := messages[0], bytes):
            buffers.append(following)
            self.lane_bytes -= len(following)
            messages.popleft()
        if messages:
            self._waiting.append(lane)
        else:
            del self.lanes[lane_key(lane.call, from_caller=lane.from_caller)]


def lane_key(call: int, *, from_caller: bool) -> int:
    """Both sides number their calls by themselves, so the direction is part of the key."""
    return call * 2 + from_caller
