"""The latest entries of something that goes on (log records, events), for readers who follow it.

Bounded on both sides: old entries are forgotten, and a reader who does not keep up loses some and
is told how many. It must not know who reads.
"""

import asyncio
import collections
import contextlib
from collections.abc import Generator, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Feed(Generic[T]):
    """Keeps the latest `size` entries; `follow` gives each later one to a reader."""

    def __init__(self, size: int) -> None:
        self.latest: collections.deque[T] = collections.deque(maxlen=size)
        self._size = size
        self._readers: set[Reader[T]] = set()

    def add(self, entries: Iterable[T]) -> None:
        """Append entries, oldest first."""
        new = list(entries)
        self.latest.extend(new)
        for reader in self._readers:
            reader.put(new)

    @contextlib.contextmanager
    def follow(self) -> Generator["Reader[T]"]:
        """A reader of all entries added from now on."""
        reader = Reader[T](self._size)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)


class Reader(Generic[T]):
    """One follower's queue; `lost` counts the entries it was too slow for."""

    def __init__(self, size: int) -> None:
        self.lost = 0
        self._waiting: collections.deque[T] = collections.deque(maxlen=size)
        self._ready = asyncio.Event()

    def put(self, entries: list[T]) -> None:
        """Add entries, dropping the oldest where there are too many."""
        room = self._waiting.maxlen or 0
        self.lost += max(0, len(self._waiting) + len(entries) - room)
        self._waiting.extend(entries)
        self._ready.set()

    async def take(self) -> list[T]:
        """Everything that has come since the last time; waits for at least one."""
        await self._ready.wait()
        return self.rest()

    def rest(self) -> list[T]:
        """Everything that has come since the last time, if anything has."""
        self._ready.clear()
        entries = list(self._waiting)
        self._waiting.clear()
        return entries
