"""Lines on standard output by a thread of its own: whoever reads slowly, or not, holds nobody up.

Decides what is left out where lines come faster than they are read, and notices that nobody reads
any more. It must not know what the lines say, nor in which form: that of `missing`, too, is told.
"""

import collections
import os
import select
import threading
from collections.abc import Callable
from typing import Final

import click

MOST: Final = 10_000
"""Lines that may wait to be written."""


class Terminal:
    """Writes lines to a descriptor, in order; `close` it at the end.

    `unread` is called, by that thread, when nobody reads any more; what comes then is dropped.
    `missing` makes a line of what is said where lines were left out.
    """

    def __init__(
        self,
        descriptor: int,
        unread: Callable[[], None],
        missing: Callable[[str], str] = str,
        most: int = MOST,
    ) -> None:
        self._descriptor = descriptor
        self._unread = unread
        self._missing = missing
        self._lines: collections.deque[str] = collections.deque(maxlen=most)
        self._lost = 0
        self._closing = self._over = False
        self._ready = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="weaver-terminal", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Write a line soon; where too many wait, the oldest is dropped, and that is told."""
        with self._ready:
            if self._over:
                return
            self._lost += len(self._lines) == self._lines.maxlen
            self._lines.append(line)
            self._ready.notify()

    def close(self, within: float) -> None:
        """Return when all is written, or after so many seconds: nobody may read it."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join(within)

    def _write_all(self) -> None:
        told = False
        while text := self._next():
            try:
                _write(self._descriptor, text.encode("utf-8", "backslashreplace"))
            except BrokenPipeError:
                self._over = True
                self._unread()
                return
            except OSError as error:  # a full disk, for instance: it may have room later
                if not told:
                    told = True
                    click.echo(f"the log cannot be written: {error.strerror}", err=True)

    def _next(self) -> str:
        """All lines that wait, once there are some; "" when there will be none."""
        with self._ready:
            while not self._lines and not self._closing:
                self._ready.wait()
            lines = [*self._lines]
            self._lines.clear()
            if self._lost:
                text = f"({self._lost} lines are left out: they were not read in time)"
                lines.insert(0, self._missing(text))
                self._lost = 0
        return "".join(f"{line}\n" for line in lines)


def _write(descriptor: int, data: bytes) -> None:
    # Not by sys.stdout: at the end, Python would wait for the lock of a thread that hangs in it.
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # whoever shares the terminal has made it so
            select.select((), (descriptor,), ())
