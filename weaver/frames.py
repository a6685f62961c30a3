"""The byte layout of the data plane: one header, the optional fields, and the decoder.

Every frame is a header of 12 bytes and `length` bytes of payload, little-endian::

    0        4        8        10     11      12
    +--------+--------+--------+------+-------+------------------+---------------+
    | length | call   | method | kind | flags | fields by flag   | body          |
    | u32    | u32    | u16    | u8   | u8    |                  |               |
    +--------+--------+--------+------+-------+------------------+---------------+
                                              '------- payload: length bytes ----'

    flag            field                                        allowed on
    0x01 DEADLINE   u32 milliseconds that remain                 request
    0x02 TRACE      24 bytes                                     request
    0x04 CREDIT     u32 items, u32 bytes: the call streams       request
    0x08 METADATA   u16 length, then as many bytes               request
    0x10 LARGE      u32 size of the whole body; the rest of it   request, reply, error, item
                    follows in `request part` or `result part` frames

Fields stand in the order of the table. `method` is the method's index on a request, the outcome
on an error, the protocol's version on a hello, and 0 elsewhere; `call` is a token on ping and pong.

This file decides where each byte is, and refuses what cannot be a frame before it allocates
anything for it. It must not know what a frame means to a call: that is `weaver.rpc`.
"""

from collections.abc import Iterator
from struct import Struct, error
from typing import Final, NamedTuple

from weaver.errors import ProtocolError

HEADER: Final = Struct("<IIHBB")
HEADER_SIZE: Final = HEADER.size

MAX_PAYLOAD: Final = 256 * 1024
"""No frame is longer, but parts of large bodies: they hold nothing while their bytes come."""

MAX_PART: Final = 1024 * 1024
"""No part is longer: larger bodies are cut, so that none holds the line for long."""

# From the side that made the call ...
HELLO: Final = 1
REFUSAL: Final = 2
REQUEST: Final = 3
REQUEST_PART: Final = 4
CANCEL: Final = 5
CREDIT: Final = 6
# ... from the side that runs it ...
REPLY: Final = 7
ERROR: Final = 8
ITEM: Final = 9
END: Final = 10
RESULT_PART: Final = 11
# ... and about the connection.
DRAIN: Final = 12
DRAINED: Final = 13
PING: Final = 14
PONG: Final = 15

KIND_NAMES: Final = (
    "unknown kind 0", "hello", "refusal", "request", "request part", "cancel", "credit", "reply",
    "error", "item", "end", "result part", "drain", "drained", "ping", "pong",
)  # fmt: skip

WORDS: Final = Struct("<III")
"""The same header: length, call, and the rest as one number, which tells what is usual at once."""

FOUR_WORDS: Final = Struct("<IIII")
"""The same, and the first four bytes of the payload: the deadline, where there is one."""

DEADLINE_SIZE: Final = 4

HAS_DEADLINE: Final = 0x01
HAS_TRACE: Final = 0x02
HAS_CREDIT: Final = 0x04
HAS_METADATA: Final = 0x08
IS_LARGE: Final = 0x10

USUAL_REPLY: Final = REPLY << 16
"""The last word of the header of a reply without any field."""

USUAL_REQUEST: Final = HAS_DEADLINE << 8 | REQUEST
"""The upper half of the last word of a request with a deadline and no other field."""

TRACE_SIZE: Final = 24
MAX_METADATA: Final = 0xFFFF
MAX_U32: Final = 0xFFFF_FFFF

U32: Final = Struct("<I")
_U16: Final = Struct("<H")
PAIR: Final = Struct("<II")


Frame = tuple[int, int, int, int, bytes]
"""kind, flags, method, call, payload: the order in which a receiver asks for them."""


class Fields(NamedTuple):
    """The optional fields of one frame; zero or empty means absent.

    `credit` is (items, bytes) that the callee may send before more is granted. `total` is the size
    in bytes of a large body of which this frame carries the beginning.
    """

    deadline_ms: int = 0
    trace: bytes = b""
    credit: tuple[int, int] = (0, 0)
    metadata: bytes = b""
    total: int = 0


NO_FIELDS: Final = Fields()


def encode_fields(fields: Fields) -> tuple[int, bytes]:
    """Flags and bytes of the fields that are set; the caller has checked their ranges."""
    flags = 0
    parts: list[bytes] = []
    if fields.deadline_ms:
        flags |= HAS_DEADLINE
        parts.append(U32.pack(fields.deadline_ms))
    if fields.trace:
        flags |= HAS_TRACE
        parts.append(fields.trace)
    if fields.credit[0]:
        flags |= HAS_CREDIT
        parts.append(PAIR.pack(*fields.credit))
    if fields.metadata:
        flags |= HAS_METADATA
        parts += (_U16.pack(len(fields.metadata)), fields.metadata)
    if fields.total:
        flags |= IS_LARGE
        parts.append(U32.pack(fields.total))
    return flags, b"".join(parts)


def decode_fields(flags: int, payload: bytes, allowed: int) -> tuple[Fields, bytes]:
    """The fields that `flags` announces and the body after them.

    Raises ProtocolError for a flag outside of `allowed` and for a payload too short for its fields.
    """
    if flags & ~allowed:
        raise ProtocolError(f"the peer sent a frame with flags {flags:#04x}; {allowed:#04x} may be")
    deadline, trace, credit, metadata, total = NO_FIELDS
    at = 0
    try:
        if flags & HAS_DEADLINE:
            (deadline,) = U32.unpack_from(payload, at)
            at += 4
        if flags & HAS_TRACE:
            trace = payload[at : at + TRACE_SIZE]
            at += TRACE_SIZE
        if flags & HAS_CREDIT:
            items, size = PAIR.unpack_from(payload, at)
            credit = (items, size)
            at += 8
        if flags & HAS_METADATA:
            (length,) = _U16.unpack_from(payload, at)
            metadata = payload[at + 2 : at + 2 + length]
            at += 2 + length
        if flags & IS_LARGE:
            (total,) = U32.unpack_from(payload, at)
            at += 4
    except error:
        at = len(payload) + 1
    if at > len(payload):
        raise ProtocolError(
            f"the peer sent a frame of {len(payload)} bytes: too short for its fields"
        )
    return Fields(deadline, trace, credit, metadata, total), payload[at:]


class FrameDecoder:
    """Cuts a stream of bytes into frames, wherever the reads happen to end.

    Holds at most one frame that is not complete, in `partial`. After a ProtocolError it must not be
    used again.
    """

    __slots__ = ("partial",)

    def __init__(self) -> None:
        self.partial = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes of the frame that is not complete yet."""
        return len(self.partial)

    def frames(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes, in order; run it to its end before the next call.

        Raises ProtocolError when a header is of no known kind or announces too many
        bytes: before anything is allocated for it, and after the frames that came before it.
        """
        at = 0
        if self.partial:
            first, at = self._complete(data)
            if first is not None:
                yield first
        end = len(data)
        unpack = HEADER.unpack_from
        while end - at >= HEADER_SIZE:
            length, call, method, kind, flags = unpack(data, at)
            body = at + HEADER_SIZE
            stop = body + length
            if length > MAX_PAYLOAD or kind > PONG:
                _check(length, kind)
            if stop > end:
                break
            yield kind, flags, method, call, data[body:stop]
            at = stop
        if at < end:
            self.partial += memoryview(data)[at:]

    def _complete(self, data: bytes) -> tuple[Frame | None, int]:
        """The frame begun by an earlier read, if `data` ends it, and where the next one begins."""
        partial = self.partial
        missing = HEADER_SIZE - len(partial)
        at = 0
        if missing > 0:
            at = min(missing, len(data))
            partial += data[:at]
            if at < missing:
                return None, at
        length, call, method, kind, flags = HEADER.unpack_from(partial)
        if length > MAX_PAYLOAD or kind > PONG:
            _check(length, kind)
        stop = at + HEADER_SIZE + length - len(partial)
        partial += memoryview(data)[at:stop]
        if stop > len(data):
            return None, len(data)
        payload = bytes(memoryview(partial)[HEADER_SIZE:])
        self.partial = bytearray()
        return (kind, flags, method, call, payload), stop


def _check(length: int, kind: int) -> None:
    longest = MAX_PART if kind in (REQUEST_PART, RESULT_PART) else MAX_PAYLOAD
    if length <= longest and kind <= PONG:
        return
    raise ProtocolError(
        f"the peer announced a frame of {length} bytes; the longest is {longest}"
        if length > longest
        else f"the peer sent a frame of unknown kind {kind}",
        why="the stream is corrupt, or the peer does not speak the protocol of weaver",
    )
