"""Deadlines of many calls with one timer, which looks at all of them when the first is due.

A timer per call costs 0.7 us on uvloop, a comparison 0.03 us; being late by up to 20 ms is the
price. Nothing is kept per call: what has ended needs no removal.
"""

import asyncio
from collections.abc import Callable
from typing import Final

TICK: Final = 0.02
"""Seconds between two looks, at least."""

NEVER: Final = float("inf")


class Deadlines:
    """Calls `look` with the loop's time when something may be due; it says when to look again.

    `look` ends what is due and returns the earliest deadline of the rest, or infinity.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[float], float]) -> None:
        self._loop = loop
        self._look = look
        self._timer: asyncio.TimerHandle | None = None
        self.next = NEVER

    def add(self, when: float) -> None:
        """Look soon after `when`, too, a time of the loop's clock."""
        if when >= self.next:
            return
        self.next = when
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(max(when, self._loop.time()) + TICK, self._turn)

    def close(self) -> None:
        """Look no more."""
        self.next = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._timer = None
        self.next = NEVER
        self.add(self._look(self._loop.time()))
