"""How processes are tied to each other: who inherits orphans, and who dies with its parent.

Linux does both in the kernel; elsewhere a replica ends when its control socket is closed, and
nothing inherits orphans. It must not know what the processes do.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

_SET_PDEATHSIG: Final = 1
_SET_NAME: Final = 15
_SET_CHILD_SUBREAPER: Final = 36
_ADOPTION: Final = 5.0  # seconds until an orphan must have been given its new parent

LINUX: Final = sys.platform == "linux"


def inherit_orphans() -> bool:
    """Let descendants whose parent ends become children of this process; False if it cannot be."""
    return LINUX and _prctl(_SET_CHILD_SUBREAPER, 1) == 0


def die_with(parent: int) -> None:
    """Let the kernel kill this process when `parent` does; exit now if that has happened.

    The kernel means the thread that made this process: `parent` must do that in its main thread.
    """
    if LINUX:
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it may have ended before the kernel was told
        os._exit(1)


def await_adoption(parent: int) -> None:
    """Wait until this orphan is a child of `parent`; exit if it becomes that of another."""
    former = os.getppid()
    deadline = time.monotonic() + _ADOPTION
    while former != parent and os.getppid() == former and time.monotonic() < deadline:
        time.sleep(0.0001)
    if os.getppid() != parent:
        os._exit(1)


def name_process(name: str) -> None:
    """Set the name that `ps` and `top` show: the first 15 bytes of it."""
    if LINUX:
        _prctl(_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def children() -> list[int]:
    """The processes whose parent is this one; empty where the system does not tell."""
    found: list[int] = []
    tasks = Path("/proc/self/task")
    for task in tasks.iterdir() if tasks.is_dir() else ():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:  # the thread has ended
            continue
    return found


def _prctl(option: int, argument: object) -> int:
    # Loaded here: only few processes need it. The unused arguments must be zero.
    result: int = ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0)
    return result
