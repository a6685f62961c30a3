"""Whether a process still runs from a release: told by a lock, never by a pid.

An envelope holds it shared as long as it runs, however it ends; see `--hold` of the envelope. To
look, the lock is taken for a moment: who wants to hold it tries again for a while.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

_NAME = "running"


def is_running(release: Path) -> bool:
    """Whether anything runs from the release now."""
    try:
        descriptor = _lock(release, 0)
    except FileNotFoundError:  # nothing ever has
        return False
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


@contextlib.contextmanager
def idle(release: Path) -> Generator[bool, None, None]:
    """Whether nothing runs from the release; if so, nothing is started from it meanwhile."""
    descriptor = _lock(release, os.O_CREAT)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(release: Path, create: int) -> int | None:
    """A descriptor that has the lock, or None where others have it."""
    descriptor = os.open(str(release / _NAME), os.O_RDWR | create, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
