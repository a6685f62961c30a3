"""What an application logs and prints, as log records that say where they come from.

The standard library's logging and `print` end here; structlog and warnings come through logging,
and so do errors of the event loop that nobody has handled.
"""

import functools
import logging
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Final

from weaver.control.messages import LogRecord
from weaver.proclet import context
from weaver.proclet.log_level import wanted_level
from weaver.proclet.printed import Printed
from weaver.proclet.whose import Whose

LONGEST: Final = 16 * 1024
"""Characters of one message; the rest is left out, and counted."""

OFTEN: Final = 0.05
"""Seconds: lines that come faster than one in so many are not written through one by one."""

Take = Callable[[LogRecord], None]

log = logging.getLogger("weaver")


def _nothing() -> None:
    """Where records leave the process by themselves."""


class LogCapture(logging.Handler):
    """Hands every record of this process to `take`.

    `origin` holds the fields that are alike in all records; `whose` finds the component. `through`
    is called when the records taken so far should leave this process, which may be about to crash.
    """

    def __init__(
        self,
        take: Take,
        origin: Mapping[str, str],
        whose: Whose,
        through: Callable[[], None] = _nothing,
    ) -> None:
        super().__init__()
        self._take = take
        self._through = through
        self._through_at = 0.0
        self._origin = dict(origin)
        self._whose = whose
        self._streams: tuple[Any, Any] = (None, None)
        self._level = logging.WARNING
        self._replaced: list[logging.Handler] = []

    def install(self) -> None:
        """Capture from now on. Handlers of the application's own stay, but not on the terminal.

        Those would write each record once more, as a line without origin. A formatter that is more
        than a pattern, as structlog's, goes on to make the messages.
        """
        root = logging.getLogger()
        self._streams, self._level = (sys.stdout, sys.stderr), root.level
        terminals = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
        for handler in root.handlers[:]:
            stream = getattr(handler, "stream", None)
            if stream is not None and stream in terminals:
                self._replace(handler)
        root.addHandler(self)
        logging.captureWarnings(True)
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            take = functools.partial(self._printed, name)
            former = getattr(sys, name)
            setattr(sys, name, Printed(take, former, descriptor, self._through))
        if root.level == logging.WARNING:  # nobody has set it
            root.setLevel(wanted_level())

    def remove(self) -> None:
        """Give `print` and logging back what they had; to be called last."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, Printed):
                stream.finish()
        sys.stdout, sys.stderr = self._streams
        root = logging.getLogger()
        root.removeHandler(self)
        for handler in self._replaced:
            root.addHandler(handler)
        root.setLevel(self._level)
        logging.captureWarnings(False)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record of logging, from any thread."""
        try:
            message = self.format(record)
        except Exception:  # noqa: BLE001 - a wrong format string must not end the caller
            message = f"{record.msg} {record.args}"
        frame = sys._getframe(1)  # noqa: SLF001 - whose record it is
        self._give(record.created, record.levelname, message, frame, logger=record.name)
        self._let_out(now=record.levelno >= logging.ERROR)

    def flush(self) -> None:
        """Write records through, as other handlers do."""
        self._through()

    def _let_out(self, *, now: bool) -> None:
        """Write through what must be, and what comes alone; of many, the link makes one message."""
        when = time.monotonic()
        if now or when > self._through_at + OFTEN:
            self._through_at = when
            self._through()

    def _replace(self, handler: logging.Handler) -> None:
        logging.getLogger().removeHandler(handler)
        self._replaced.append(handler)
        if handler.formatter is not None and type(handler.formatter) is not logging.Formatter:
            self.setFormatter(handler.formatter)

    def _printed(self, stream: str, text: str, frame: FrameType | None) -> None:
        level = "INFO" if stream == "stdout" else "ERROR"
        self._give(time.time(), level, text, frame, stream=stream)
        self._let_out(now=stream == "stderr")  # which is not buffered elsewhere either

    def _give(
        self, when: float, level: str, text: str, frame: FrameType | None, **fields: str
    ) -> None:
        self._take(
            LogRecord(
                when,
                level,
                _sendable(text),
                component=self._whose.find(frame),
                trace=context.trace.get().hex()[:32],
                **fields,
                **self._origin,
            )
        )


def _sendable(text: str) -> str:
    """Text that can be encoded, and of bounded length."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters)"
    try:
        text.encode()
    except UnicodeEncodeError:  # the name of a file, for instance, may hold any byte
        return text.encode("utf-8", "backslashreplace").decode()
    return text
