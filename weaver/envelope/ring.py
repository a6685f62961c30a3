"""Log records on their way to the manager, and the last lines of each replica.

Bounded: where records come faster than they can be passed on, the oldest are dropped and counted.
Pure: it must not know when records are passed on.
"""

import collections
from collections.abc import Iterable
from typing import Final

from weaver.control.messages import LogRecord, Logs

RECORDS: Final = 10_000
LINES: Final = 30
LINE: Final = 2_000
"""The longest part of a line that is kept as one of the last, in characters."""


class LogRing:
    """Collects records until they are taken; `lines` are kept also after that."""

    def __init__(self, *, records: int = RECORDS, lines: int = LINES) -> None:
        self._waiting: collections.deque[LogRecord] = collections.deque(maxlen=records)
        self._most = records
        self._lines: dict[str, collections.deque[str]] = {}
        self._most_lines = lines
        self._lost = 0

    def add(self, records: Iterable[LogRecord], *, lost: int = 0) -> None:
        """Add records, oldest first; `lost` were dropped before they came here."""
        self._lost += lost
        for record in records:
            self._lost += len(self._waiting) == self._most
            self._waiting.append(record)
            if record.replica not in self._lines:
                self._lines[record.replica] = collections.deque(maxlen=self._most_lines)
            self._lines[record.replica].append(record.message[:LINE])

    def take(self) -> Logs | None:
        """What has come since the last time, or None."""
        if not self._waiting and not self._lost:
            return None
        logs = Logs(tuple(self._waiting), self._lost)
        self._waiting.clear()
        self._lost = 0
        return logs

    def last_lines(self, replica: str) -> tuple[str, ...]:
        """The last lines of a replica; forgets them."""
        return tuple(self._lines.pop(replica, ()))
