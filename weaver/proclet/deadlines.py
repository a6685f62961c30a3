"""Deadlines of many calls with one timer: a wheel of 20 ms slots.

A timer per call costs 0.7 us on uvloop, a slot 0.04 us; being late by up to one slot is the price.
"""

import asyncio
from collections.abc import Callable
from typing import Final

TICK: Final = 0.02
"""Seconds per slot."""


class Deadlines:
    """Calls back with a number when its time has come; what has ended meanwhile is the owner's.

    `expired` is called on the event loop with each number, once. There is no removal: whoever
    finished forgets the number and ignores the call.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[int], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._slots: dict[int, list[int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0

    def add(self, number: int, when: float) -> None:
        """Call back about `number` soon after `when`, a time of the loop's clock."""
        slot = int(when / TICK) + 1
        numbers = self._slots.get(slot)
        if numbers is not None:
            numbers.append(number)
            return
        self._slots[slot] = [number]
        if self._timer is None or slot < self._next:
            self._arm(slot)

    def close(self) -> None:
        """Forget everything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._slots.clear()

    def _arm(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = slot
        self._timer = self._loop.call_at(slot * TICK, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._loop.time()
        due = sorted(slot for slot in self._slots if slot * TICK <= now + 0.001)
        for slot in due:
            for number in self._slots.pop(slot):
                self._expired(number)
        if self._slots:
            self._arm(min(self._slots))
