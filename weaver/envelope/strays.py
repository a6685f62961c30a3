"""Descendants that have become children of the envelope because their own parent ended.

A replica's processes end with it (see `process`); those that left its group come here. They are
waited for, and at the end of the envelope they are ended: nothing outlives it.
"""

import contextlib
import os
import signal
import time
from collections.abc import Collection
from typing import Final

from weaver.envelope.lineage import children

PATIENCE: Final = 1.0


def reap(known: Collection[int]) -> None:
    """Wait for those that have ended, except for the processes that are watched elsewhere."""
    for pid in children():
        if pid not in known:
            _wait(pid)


def end(known: Collection[int]) -> None:
    """End all that are left, and what becomes a child of ours by that."""
    deadline = time.monotonic() + PATIENCE
    while left := [pid for pid in children() if pid not in known]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # a child of ours: its pid is not used again yet
            _wait(pid)
        if time.monotonic() > deadline:
            return
        time.sleep(0.002)


def _wait(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
