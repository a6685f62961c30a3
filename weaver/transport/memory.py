"""Two connections joined in one process: for the `rpc` runner and for tests.

This file decides when bytes of one side reach the other. `MemoryLink` is deterministic and has
neither clock nor event loop; `MemoryPump` turns it once per tick of whatever loop it is given. It
must not know what an event means: it hands events over.
"""

from collections.abc import Callable

from weaver.rpc.connection import Connection
from weaver.rpc.events import Event
from weaver.rpc.state import State

Split = Callable[[int], int]
"""How many of so many waiting bytes are delivered next: 0 holds all of them back for this step."""

Events = tuple[list[Event], list[Event]]
"""What happened at the left and at the right connection."""


class MemoryLink:
    """Carries the bytes of two connections to each other.

    With `split` the bytes arrive in pieces of any size, as from a socket; without, all at once.
    While `fills` they are put where the connections have room for them, as from a socket, too.
    `hold_left` and `hold_right` stop what is on its way to that side.
    """

    def __init__(self, left: Connection, right: Connection, *, split: Split | None = None) -> None:
        self.left = left
        self.right = right
        self.hold_left = False
        self.hold_right = False
        self.fills = False
        self._split = split
        self._to_left = bytearray()
        self._to_right = bytearray()

    @property
    def in_transit(self) -> tuple[int, int]:
        """Bytes sent by one side and not yet received by the other: to the left, to the right."""
        return len(self._to_left), len(self._to_right)

    def step(self) -> Events:
        """Move what both sides have to send now, and deliver one piece each way.

        When all that a closed side has sent is delivered, the other side sees an end of file.
        """
        self._collect(self.left, self._to_right)
        self._collect(self.right, self._to_left)
        at_right = [] if self.hold_right else self._deliver(self._to_right, self.right)
        at_left = [] if self.hold_left else self._deliver(self._to_left, self.left)
        if _ended(self.left, self._to_right, self.right):
            at_right += self.right.eof()
        if _ended(self.right, self._to_left, self.left):
            at_left += self.left.eof()
        return at_left, at_right

    @property
    def idle(self) -> bool:
        """Whether a step would move nothing, apart from what is held."""
        to_left = self.right.queued or (self._to_left and not self.hold_left)
        to_right = self.left.queued or (self._to_right and not self.hold_right)
        return not (
            to_left
            or to_right
            or _ended(self.left, self._to_right, self.right)
            or _ended(self.right, self._to_left, self.left)
        )

    def settle(self, most: int = 100_000) -> Events:
        """Step until nothing moves. Raises RuntimeError after `most` steps: the two never rest."""
        at_left: list[Event] = []
        at_right: list[Event] = []
        for _ in range(most):
            if self.idle:
                return at_left, at_right
            left, right = self.step()
            at_left += left
            at_right += right
        raise RuntimeError(f"the link still moves bytes after {most} steps")

    def cut(self) -> Events:
        """The link breaks: what is on its way is lost, and both sides see an end of file."""
        self._to_left.clear()
        self._to_right.clear()
        return self.left.eof(), self.right.eof()

    @staticmethod
    def _collect(sender: Connection, pipe: bytearray) -> None:
        for buffer in sender.data_to_send():
            pipe += buffer

    def _deliver(self, pipe: bytearray, receiver: Connection) -> list[Event]:
        size = len(pipe)
        if self._split is not None and size:
            size = min(size, max(0, self._split(size)))
        if not size:
            return []
        room = receiver.room() if self.fills else None
        piece: bytes | None
        if room is None:
            piece = bytes(memoryview(pipe)[:size])
        else:
            size = min(size, len(room))
            room[:size] = memoryview(pipe)[:size]
            piece = receiver.filled(size)
        del pipe[:size]
        return [] if piece is None else receiver.receive(piece)


def _ended(sender: Connection, pipe: bytearray, receiver: Connection) -> bool:
    """Whether the receiver has got all that a closed sender had to say, and does not know yet."""
    over = sender.state is State.CLOSED and not sender.queued and not pipe
    return over and receiver.state is not State.CLOSED


class MemoryPump:
    """Turns a link by itself: once per tick of an event loop, and only while bytes are waiting.

    `call_soon` is that of the loop. `on_left` and `on_right` receive the events, after all bytes
    of the turn have been moved; call `wake` after every call of a method of either connection.
    """

    def __init__(
        self,
        link: MemoryLink,
        call_soon: Callable[[Callable[[], None]], object],
        on_left: Callable[[list[Event]], None],
        on_right: Callable[[list[Event]], None],
    ) -> None:
        self._link = link
        self._call_soon = call_soon
        self._on_left = on_left
        self._on_right = on_right
        self._scheduled = False

    def wake(self) -> None:
        """There may be something to move: do it in the next tick."""
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        link = self._link
        at_left, at_right = link.step()
        if at_left:
            self._on_left(at_left)
        if at_right:
            self._on_right(at_right)
        if not link.idle:
            self.wake()
