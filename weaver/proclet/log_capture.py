"""What an application logs and prints, as log records that say where they come from.

The standard library's logging and `print` end here; structlog and warnings come through logging.
"""

import io
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from weaver.control.messages import LogRecord
from weaver.proclet import context

_MOST_LINE: Final = 16 * 1024
"""Characters of one printed line; longer ones are split."""

Take = Callable[[LogRecord], None]


class LogCapture(logging.Handler):
    """Hands every record of this process to `take`.

    `origin` holds the fields that are alike in all records; `places` maps source files to the
    component that is defined in them, where there is just one.
    """

    def __init__(self, take: Take, origin: Mapping[str, str], places: Mapping[str, str]) -> None:
        super().__init__()
        self._take = take
        self._origin = dict(origin)
        self._places = places
        self._former: tuple[Any, Any, int] = (None, None, logging.WARNING)

    def install(self) -> None:
        """Capture from now on. An application that sets up logging itself keeps its handlers."""
        root = logging.getLogger()
        self._former = (sys.stdout, sys.stderr, root.level)
        root.addHandler(self)
        if root.level == logging.WARNING:  # nobody has set it
            root.setLevel(os.environ.get("LOG_LEVEL", "INFO").upper())
        logging.captureWarnings(True)
        sys.stdout = Printed(self, "stdout")
        sys.stderr = Printed(self, "stderr")

    def remove(self) -> None:
        """Give `print` back its streams; to be called last."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr, level = self._former
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(level)
        logging.captureWarnings(False)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record of logging, from any thread."""
        try:
            message = self.format(record)
        except Exception:  # noqa: BLE001 - a wrong format string must not end the caller
            message = f"{record.msg} {record.args}"
        component = context.component.get() or self._places.get(record.pathname, "")
        self._take(
            LogRecord(
                record.created,
                record.levelname,
                message,
                logger=record.name,
                component=component,
                trace=context.trace.get().hex()[:32],
                **self._origin,
            )
        )

    def printed(self, text: str, stream: str) -> None:
        """Take a line that was printed."""
        frame = sys._getframe(2)  # noqa: SLF001 - whose print it is
        component = context.component.get() or self._places.get(frame.f_code.co_filename, "")
        level = "INFO" if stream == "stdout" else "ERROR"
        trace = context.trace.get().hex()[:32]
        self._take(
            LogRecord(
                time.time(), level, text, component=component, trace=trace, stream=stream,
                **self._origin,
            )
        )  # fmt: skip


class Printed(io.TextIOBase):
    """Stands for sys.stdout or sys.stderr: each whole line is a record."""

    def __init__(self, capture: LogCapture, stream: str) -> None:
        self._capture = capture
        self._stream = stream
        self._line = ""

    @property
    def encoding(self) -> str:  # type: ignore[override] # a constant here
        """Text of any kind can be printed."""
        return "utf-8"

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """The descriptor that would be printed to otherwise."""
        return 1 if self._stream == "stdout" else 2

    def write(self, text: str, /) -> int:
        """Take text; lines are handed on when they are complete."""
        self._line += text
        while "\n" in self._line or len(self._line) > _MOST_LINE:
            line, newline, rest = self._line.partition("\n")
            if not newline or len(line) > _MOST_LINE:
                line, rest = self._line[:_MOST_LINE], self._line[_MOST_LINE:]
            self._line = rest
            self._capture.printed(line, self._stream)
        return len(text)

    def flush(self) -> None:
        """Lines are handed on as they come: an unfinished one waits for its end."""
