"""One deploy of an application at a time on this machine: the second one is told who is at work.

Released with the process that holds it. Hosts have locks of their own.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Generator

from weaver.deployers import registry
from weaver.deployers.directories import state_directory
from weaver.errors import UsageError, WeaverError


@contextlib.contextmanager
def deploying(app: str) -> Generator[None]:
    """Hold the lock of an application. Raises UsageError that names the owner."""
    path = state_directory("locks") / f"{registry.safe(app)}.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise WeaverError(
            f"the lock of {app} cannot be taken",
            where=str(path),
            why=error.strerror or str(error),
            fix="free space, or correct the permissions of the directory",
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(lock, 200, 0).decode(errors="replace").strip()
            raise UsageError(
                f"{app} is being deployed",
                where=owner or str(path),
                why="one deploy at a time: which version would win?",
                fix="wait until it is live; or end that command",
            ) from error
        with contextlib.suppress(OSError):  # it holds without; a full disk is told by what needs it
            os.ftruncate(lock, 0)
            owned = f"process {os.getpid()}, since {time.strftime('%H:%M:%S')}"
            os.pwrite(lock, owned.encode(), 0)
        yield
    finally:
        os.close(lock)
