"""When replicas count as hung, and when they are started again: what orders say about it.

Decides the defaults. What follows from them is decided where processes are watched.
"""

from typing import Final, Self

import msgspec


class Restarts(msgspec.Struct, frozen=True):
    """When a replica that ended is started again. Times in seconds.

    At once the first time, then after `first` doubling to `most`, with jitter; as new after
    `healthy`. `crashes` within `window` are a crash loop.
    """

    first: float = 0.1
    most: float = 10.0
    healthy: float = 60.0
    crashes: int = 5
    window: float = 30.0


BEATS: Final = 3
"""Heartbeats that must be missed in a row: one may be late."""


class Heartbeats(msgspec.Struct, frozen=True):
    """A replica is hung that sends nothing for `missed` times `every` seconds."""

    every: float = 1.0
    missed: int = BEATS

    @classmethod
    def hung_after(cls, seconds: float) -> Self:
        """Those by which a replica counts as hung after so many seconds."""
        return cls(seconds / BEATS)
