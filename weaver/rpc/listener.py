"""What the driver of a connection does with ordinary frames, while they are read.

A class to inherit from, not a protocol: where the core is compiled, its methods are then called
directly.
"""

from collections.abc import Callable

from weaver.rpc.events import Event

Handler = Callable[[int, int, int, bytes, list[Event]], None]
"""(flags, method, call, payload, events): acts on one frame and appends what happened."""


class Listener:
    """Both methods may use the connection that calls them, and must not raise."""

    def replied(self, call: int, body: bytes) -> None:
        """In place of `Reply`: the result of a call."""
        raise NotImplementedError

    def requested(self, call: int, method: int, body: bytes, deadline_ms: int) -> None:
        """In place of a `Request` without further fields; `deadline_ms` is 0 for none."""
        raise NotImplementedError
