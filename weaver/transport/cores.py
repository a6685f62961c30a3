"""The cores of this machine that a process may use."""

import os


def usable() -> int:
    """How many there are; fewer than the machine has where the process is bound to some."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
