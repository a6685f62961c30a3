"""SIGTERM and Ctrl-C: the first asks for an orderly stop, the next one ends the process at once.

From before the event loop runs until after it is closed: a loop's own handlers would lose what
arrives while it closes, and an interpreter that waits for threads would not hear of it.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from weaver.application.ending import AT_ONCE, leave

log = logging.getLogger("weaver")

EXIT_INTERRUPTED = 130  # what shells report for a command that was ended by Ctrl-C


class Interrupts:
    """The interrupts of a run. Install it in the main thread; elsewhere it does nothing."""

    def __init__(self) -> None:
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._first: Callable[[], None] | None = None
        self._second: Callable[[], None] | None = None
        self._former: dict[int, Any] = {}

    def install(self) -> None:
        """Take the signals from whoever has them."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._arrived)

    def remove(self) -> None:
        """Give them back, unless threads are still waited for."""
        if any(t is not threading.main_thread() and not t.daemon for t in threading.enumerate()):
            return
        for number, former in self._former.items():
            signal.signal(number, former)

    def attach(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        """Call these on the running loop; the first at once if it has been asked for already."""
        self._loop = asyncio.get_running_loop()
        self._first, self._second = first, second
        if self._count:
            first()

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        loop = self._loop
        if loop is not None and loop.is_closed():
            leave(EXIT_INTERRUPTED if self._count > 1 else 0)
        if self._count > 1:  # also where the loop does not turn
            watch = threading.Timer(AT_ONCE, leave, (EXIT_INTERRUPTED,))
            watch.daemon = True
            watch.start()
        if loop is not None:
            loop.call_soon_threadsafe(self._tell, signal.Signals(number).name, self._count)

    def _tell(self, name: str, count: int) -> None:
        if count > 1:
            log.warning("%s again: ending at once", name)
            act = self._second
        else:
            log.info("%s: stopping; press Ctrl-C again to end at once", name)
            act = self._first
        if act is not None:
            act()
