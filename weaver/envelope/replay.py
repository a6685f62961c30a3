"""Numbered events of an envelope, kept so that a manager that comes back misses none.

Decides which are kept when there is no room: what happened to replicas is kept longer than their
logs, and each kind has its own bound. Pure: it must not know what carries the events.
"""

import collections
from typing import Final, NamedTuple

EVENTS: Final = 10_000
LOG_BYTES: Final = 4 * 1024 * 1024
GAPS: Final = 1_000


class Kept(NamedTuple):
    """An event to be sent. `lost` log records before it had to be forgotten."""

    number: int
    message: bytes
    lost: int = 0


class Replay:
    """The latest events, oldest first; `newest` is the number of the last one, 0 for none."""

    def __init__(self, *, events: int = EVENTS, log_bytes: int = LOG_BYTES) -> None:
        self.newest = 0
        self._most_events = events
        self._most_log_bytes = log_bytes
        self._kept: dict[int, bytes] = {}
        self._events: collections.deque[int] = collections.deque()
        self._logs: collections.deque[tuple[int, int]] = collections.deque()
        self._log_bytes = 0
        self._lost: collections.deque[tuple[int, int]] = collections.deque(maxlen=GAPS)

    def add(self, message: bytes) -> int:
        """Keep an event; returns its number."""
        number = self._number(message)
        self._events.append(number)
        if len(self._events) > self._most_events:
            del self._kept[self._events.popleft()]
        return number

    def add_logs(self, message: bytes, records: int) -> int:
        """Keep log records, forgetting the oldest beyond the bound; returns the event's number."""
        number = self._number(message)
        self._logs.append((number, records))
        self._log_bytes += len(message)
        while self._log_bytes > self._most_log_bytes:
            oldest, count = self._logs.popleft()
            self._log_bytes -= len(self._kept.pop(oldest))
            self._lost.append((oldest, count))
        return number

    def after(self, seen: int) -> Kept | None:
        """The oldest event kept of those with a number above `seen`; None where all are seen."""
        for number in range(seen + 1, self.newest + 1):
            message = self._kept.get(number)
            if message is not None:
                return Kept(number, message, self._lost_between(seen, number))
        return None

    def _number(self, message: bytes) -> int:
        self.newest += 1
        self._kept[self.newest] = message
        return self.newest

    def _lost_between(self, seen: int, number: int) -> int:
        if number == seen + 1:
            return 0
        return sum(count for at, count in self._lost if seen < at < number)
