"""The log of a deployment as its managers keep it: the latest records, also over their own end.

Two files in turn, of bounded size, which stay when the deployment is over. Envelopes tell a new
manager once more what they still have: what is known from the files is not added twice. A full disk
costs what comes then, only.
"""

import asyncio
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from weaver.control.messages import LogRecord
from weaver.deployers.feed import Feed
from weaver.deployers.left_logs import NEWER, OLDER, read

log = logging.getLogger("weaver.manager")

MOST: Final = 4 * 1024 * 1024
"""Bytes of the newer file, at which it becomes the older one."""

FLUSH: Final = 0.2
"""Seconds until records are written: many at once cost one system call."""

_encode: Final = msgspec.json.Encoder().encode

_Known = tuple[float, str, str]


class KeptLogs(Feed[LogRecord]):
    """The latest `size` records, with those in `folder` from before; `close` it at the end.

    To be used by one process at a time, on the running loop.
    """

    def __init__(self, size: int, folder: Path) -> None:
        super().__init__(size)
        self._newer, self._older = folder / NEWER, folder / OLDER
        self._known: set[_Known] = set()
        self._unwritten: list[LogRecord] = []
        self._timer: asyncio.TimerHandle | None = None
        self._failed = False
        self.latest.extend(read(folder))
        self._known.update(map(_known, self.latest))

    def add(self, entries: Iterable[LogRecord]) -> None:
        """Append records, oldest first, but for those that are here from before."""
        new = [entry for entry in entries if _known(entry) not in self._known]
        super().add(new)
        self._unwritten += new
        if self._timer is None and new:
            self._timer = asyncio.get_running_loop().call_later(FLUSH, self._write)

    def close(self) -> None:
        """Write what is not written yet. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._write()

    def _write(self) -> None:
        self._timer = None
        unwritten, self._unwritten = self._unwritten, []
        data = b"".join(_encode(record) + b"\n" for record in unwritten)
        try:
            descriptor = os.open(self._newer, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, data)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            if size >= MOST:
                self._newer.replace(self._older)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("the log of the application cannot be kept: %s", error)
            self._failed = True


def _known(record: LogRecord) -> _Known:
    return record.time, record.replica, record.message
