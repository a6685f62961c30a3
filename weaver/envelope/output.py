"""What a process writes to its stdout or stderr, cut into lines.

Decides where a line ends that has no end: at `LONGEST` bytes. It must not know where lines go.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final

LONGEST: Final = 16 * 1024
CHUNK: Final = 64 * 1024


class Output:
    """Reads a pipe on the event loop, which it owns, and gives every line to `take`."""

    def __init__(self, descriptor: int, take: Callable[[list[str]], None]) -> None:
        self._descriptor = descriptor
        self._take = take
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        """Read what is there, also a line without an end, and stop; safe to call twice."""
        while self._descriptor >= 0 and self._read():
            pass
        self._end()

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._end()
            return False
        *lines, rest = (self._rest + data).split(b"\n")
        while len(rest) > LONGEST:
            lines.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        self._rest = rest
        self._give(lines)
        return True

    def _end(self) -> None:
        if self._descriptor < 0:
            return
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        if self._rest:
            self._give([self._rest])
            self._rest = b""

    def _give(self, lines: list[bytes]) -> None:
        if lines:
            self._take([line.decode("utf-8", "replace").rstrip("\r") for line in lines])
