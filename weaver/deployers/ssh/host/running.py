"""Whether a process still runs from a release: told by a lock, never by a pid.

The starter of a process opens the lock and lets it be inherited: it is held until the last of the
processes has ended, however it did.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

from weaver.deployers.ssh.host.place import Fault

_NAME = "running"


def hold(release: Path) -> int:
    """A descriptor for processes to inherit; while one of them has it, the release stays.

    The caller closes its own.
    """
    descriptor = _lock(release, os.O_CREAT, fcntl.LOCK_SH)
    if descriptor is None or not (release / _NAME).exists():  # it was moved while it was opened
        if descriptor is not None:
            os.close(descriptor)
        raise Fault("busy", "the release is just being removed", str(release))
    os.set_inheritable(descriptor, True)
    return descriptor


def is_running(release: Path) -> bool:
    """Whether anything runs from the release now."""
    try:
        descriptor = _lock(release, 0, fcntl.LOCK_EX)
    except FileNotFoundError:  # nothing ever has
        return False
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


@contextlib.contextmanager
def idle(release: Path) -> Generator[bool, None, None]:
    """Whether nothing runs from the release; if so, nothing is started from it meanwhile."""
    descriptor = _lock(release, os.O_CREAT, fcntl.LOCK_EX)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(release: Path, create: int, kind: int) -> int | None:
    """A descriptor that has the lock, or None where others have it."""
    descriptor = os.open(str(release / _NAME), os.O_RDWR | create, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
