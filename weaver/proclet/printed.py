"""Stands for sys.stdout and sys.stderr: what is printed, cut into lines.

Each thread has a line of its own, so that two that print at once do not mix their words.
"""

import io
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, BinaryIO, Final

LONGEST: Final = 16 * 1024
"""Characters of one line; longer ones are split."""

Take = Callable[[str, FrameType | None], None]


class Printed(io.TextIOBase):
    """Hands each whole line to `take`, with the frame that printed it.

    `former` is the stream in whose place this one is: bytes written to `.buffer` go there.
    `through` is called when lines that have been taken are to be out of this process.
    """

    def __init__(
        self, take: Take, former: Any, descriptor: int, through: Callable[[], None]
    ) -> None:
        self._take = take
        self._through = through
        self._former = former
        self._descriptor = descriptor
        self._lines: dict[int, str] = {}

    @property
    def encoding(self) -> str:  # type: ignore[override] # a constant here
        """Text of any kind can be printed."""
        return "utf-8"

    @property
    def buffer(self) -> BinaryIO:
        """For programs that print bytes."""
        buffer: BinaryIO = self._former.buffer
        return buffer

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """The descriptor that would be printed to otherwise."""
        return self._descriptor

    def reconfigure(self, **_options: object) -> None:
        """Accepted, as of any other standard stream: encoding and buffering do not matter here."""

    def write(self, text: str, /) -> int:
        """Take text; lines are handed on when they are complete."""
        me = threading.get_ident()
        *whole, rest = (self._lines.pop(me, "") + text).split("\n")
        while len(rest) > LONGEST:
            whole.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        if rest:
            self._lines[me] = rest
        for line in whole:
            self._give(line, sys._getframe(1))  # noqa: SLF001 - whose print it is
        return len(text)

    def flush(self) -> None:
        """Write whole lines through: a crash may follow. An unfinished one waits for its end."""
        self._through()

    def finish(self) -> None:
        """Hand on what has no end yet."""
        while self._lines:
            self._give(self._lines.popitem()[1], None)

    def _give(self, line: str, frame: FrameType | None) -> None:
        for begin in range(0, max(len(line), 1), LONGEST):
            self._take(line[begin : begin + LONGEST], frame)
