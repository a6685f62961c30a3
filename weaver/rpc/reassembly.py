"""Large bodies on their way in: parts until they are whole, and never more than the limit.

A body lies in blocks, into which whoever reads the socket may put the bytes itself; what fits one
block is never copied again. A body that would exceed the limit, or that nobody waits for any more,
is counted but not kept: its parts are dropped as they come. This file must not know what is done
with a body.
"""

from typing import Final

from weaver.errors import ProtocolError
from weaver.frames import Fields
from weaver.rpc.block import Block
from weaver.rpc.limits import MIB, MIN_CHUNK

BLOCK: Final = 4 * MIB
"""Memory is taken for at most so much of a body at once, when the first byte of it comes."""

_NOTHING: Final = memoryview(b"")


class Partial:
    """A body of `total` bytes with the frame that began it. `kept` tells whether it is kept.

    `announce` each part, then `pour` its bytes, or put them into `room` and say so with `filled`.
    """

    __slots__ = (
        "_announced", "_at", "_block", "_blocks", "fields", "kept", "kind", "method", "received",
        "total",
    )  # fmt: skip

    def __init__(self, kind: int, method: int, fields: Fields, *, kept: bool) -> None:
        self.kind = kind
        self.method = method
        self.fields = fields
        self.total = fields.total
        self.received = 0
        self.kept = kept
        self._announced = 0
        self._blocks: list[Block] = []
        self._block = _NOTHING  # that is being filled, so far
        self._at = 0

    @property
    def whole(self) -> bool:
        """Whether the last byte has come."""
        return self.received == self.total

    def announce(self, size: int) -> None:
        """A part of so many bytes begins. Raises ProtocolError when it is too long, or a crumb."""
        self._announced += size
        if self._announced > self.total:
            raise ProtocolError(
                f"the peer sent {self._announced} bytes of a body that it announced with"
                f" {self.total}"
            )
        if size < MIN_CHUNK and (self._announced < self.total or not size):
            raise ProtocolError(f"the peer sent a part of {size} bytes of a large body")

    def takes(self, size: int) -> bool:
        """Whether a part of so many bytes, which is no crumb, may come."""
        return size >= MIN_CHUNK and self._announced + size <= self.total

    def room(self, most: int) -> memoryview | None:
        """Where the next bytes belong, at most `most`, and never the last one; None: nowhere.

        To be held no longer than until the next call of a method.
        """
        missing = self.total - self.received - 1
        if not self.kept or not missing:
            return None
        if self._at == len(self._block):
            self._next_block()
        return self._block[self._at : self._at + min(most, missing)]

    def _next_block(self) -> None:
        block = Block(bytes(min(self.total - self.received, BLOCK)))
        self._blocks.append(block)
        self._block = block.getbuffer()
        self._at = 0

    def filled(self, count: int) -> None:
        """So many bytes have been put into `room`, or dropped."""
        self.received += count
        self._at += count

    def pour(self, data: bytes | memoryview) -> None:
        """Take these bytes of the part that was announced."""
        if not self.kept:
            self.received += len(data)
            return
        rest = memoryview(data)
        while rest:
            if self._at == len(self._block):
                self._next_block()
            piece = rest[: len(self._block) - self._at]
            self._block[self._at : self._at + len(piece)] = piece
            self.filled(len(piece))
            rest = rest[len(piece) :]

    def body(self) -> bytes:
        """The whole body, in one piece.

        A BytesIO hands its content out without a copy, if nobody else can write to it any more.
        """
        self._block = _NOTHING
        blocks = self._blocks
        return blocks[0].getvalue() if len(blocks) == 1 else b"".join(b.getbuffer() for b in blocks)

    def discard(self) -> None:
        """Keep neither what has come nor what will."""
        self.kept = False
        self._blocks.clear()
        self._block = _NOTHING


class Reassembly:
    """All partial bodies of one connection, by the key of their lane.

    `reserved` is the sum of what they announced: memory is used only as bytes arrive, but a body
    that is begun can always be finished.
    """

    __slots__ = ("_max_message", "_max_reserved", "bodies", "reserved")

    def __init__(self, max_message: int, max_reserved: int) -> None:
        self.bodies: dict[int, Partial] = {}
        self._max_message = max_message
        self._max_reserved = max_reserved
        self.reserved = 0

    def __len__(self) -> int:
        return len(self.bodies)

    def __contains__(self, key: object) -> bool:
        return key in self.bodies

    def begin(
        self, key: int, kind: int, method: int, fields: Fields, first: bytes, *, wanted: bool
    ) -> bool:
        """Whether the body will be kept. Raises ProtocolError when the key is in use."""
        if key in self.bodies:
            raise ProtocolError(f"the peer began a large body for call {key // 2} within another")
        total = fields.total
        fits = total <= self._max_message and self.reserved + total <= self._max_reserved
        partial = Partial(kind, method, fields, kept=wanted and fits)
        if first:
            partial.announce(len(first))
            partial.pour(first)
        if partial.whole:
            raise ProtocolError(f"the peer announced {total} bytes as a large body and sent all")
        self.bodies[key] = partial
        if partial.kept:
            self.reserved += total
        return partial.kept

    def announce(self, key: int, size: int) -> Partial:
        """The body of which so many bytes come now. Raises ProtocolError when none was begun."""
        partial = self.bodies.get(key)
        if partial is None:
            raise ProtocolError(f"the peer sent a part of no large body, for call {key // 2}")
        partial.announce(size)
        return partial

    def finished(self, key: int) -> Partial | None:
        """The body, if it is whole: it is forgotten here."""
        partial = self.bodies[key]
        if not partial.whole:
            return None
        del self.bodies[key]
        if partial.kept:
            self.reserved -= partial.total
        return partial

    def discard(self, key: int) -> None:
        """Nobody waits for this body any more; the rest of it may still come."""
        partial = self.bodies.get(key)
        if partial is not None and partial.kept:
            partial.discard()
            self.reserved -= partial.total

    def drop(self, key: int) -> bool:
        """The sender has given up on this body. Whether there was one."""
        self.discard(key)
        return self.bodies.pop(key, None) is not None

    def clear(self) -> None:
        """Forget all of them."""
        self.bodies.clear()
        self.reserved = 0
