"""Large bodies on their way in: parts until they are whole, and never more than the limit.

A body that would exceed the limit, or that nobody waits for any more, is counted but not kept: its
parts are dropped as they come. This file must not know what is done with a body.
"""

from weaver.errors import ProtocolError
from weaver.frames import Fields
from weaver.rpc.limits import MIN_CHUNK


class Partial:
    """A body of `total` bytes with the frame that began it. `kept` tells whether it is kept."""

    __slots__ = ("_parts", "fields", "kept", "kind", "method", "received", "total")

    def __init__(self, kind: int, method: int, fields: Fields, *, kept: bool) -> None:
        self.kind = kind
        self.method = method
        self.fields = fields
        self.total = fields.total
        self.received = 0
        self.kept = kept
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> bool:
        """Whether the body is whole now. Raises ProtocolError when it is too long, or in crumbs."""
        self.received += len(part)
        if self.received > self.total:
            raise ProtocolError(
                f"the peer sent {self.received} bytes of a body that it announced with {self.total}"
            )
        whole = self.received == self.total
        if len(part) < MIN_CHUNK and (not whole or not part):
            raise ProtocolError(f"the peer sent a part of {len(part)} bytes of a large body")
        if self.kept:
            self._parts.append(part)
        return whole

    def body(self) -> bytes:
        """The whole body, in one piece."""
        return b"".join(self._parts)

    def discard(self) -> None:
        """Keep neither what has come nor what will."""
        self.kept = False
        self._parts.clear()


class Reassembly:
    """All partial bodies of one connection, by the key of their lane.

    `reserved` is the sum of what they announced: memory is used only as bytes arrive, but a body
    that is begun can always be finished.
    """

    __slots__ = ("_max_message", "_max_reserved", "_partials", "reserved")

    def __init__(self, max_message: int, max_reserved: int) -> None:
        self._partials: dict[int, Partial] = {}
        self._max_message = max_message
        self._max_reserved = max_reserved
        self.reserved = 0

    def __len__(self) -> int:
        return len(self._partials)

    def __contains__(self, key: object) -> bool:
        return key in self._partials

    def begin(
        self, key: int, kind: int, method: int, fields: Fields, first: bytes, *, wanted: bool
    ) -> bool:
        """Whether the body will be kept. Raises ProtocolError when the key is in use."""
        if key in self._partials:
            raise ProtocolError(f"the peer began a large body for call {key // 2} within another")
        total = fields.total
        fits = total <= self._max_message and self.reserved + total <= self._max_reserved
        partial = Partial(kind, method, fields, kept=wanted and fits)
        if partial.add(first):
            raise ProtocolError(f"the peer announced {total} bytes as a large body and sent all")
        self._partials[key] = partial
        if partial.kept:
            self.reserved += total
        return partial.kept

    def add(self, key: int, part: bytes) -> Partial | None:
        """The body, when this part makes it whole. Raises ProtocolError when none was begun."""
        partial = self._partials.get(key)
        if partial is None:
            raise ProtocolError(f"the peer sent a part of no large body, for call {key // 2}")
        if not partial.add(part):
            return None
        del self._partials[key]
        if partial.kept:
            self.reserved -= partial.total
        return partial

    def discard(self, key: int) -> None:
        """Nobody waits for this body any more; the rest of it may still come."""
        partial = self._partials.get(key)
        if partial is not None and partial.kept:
            partial.discard()
            self.reserved -= partial.total

    def drop(self, key: int) -> bool:
        """The sender has given up on this body. Whether there was one."""
        self.discard(key)
        return self._partials.pop(key, None) is not None

    def clear(self) -> None:
        """Forget all of them."""
        self._partials.clear()
        self.reserved = 0
