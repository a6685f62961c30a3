"""What processes use, from /proc: CPU to the nanosecond, memory without counting pages twice."""

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(roots: Iterable[int]) -> set[int]:
    """These processes and their descendants."""
    found: set[int] = set()
    for root in roots:
        process = psutil.Process(root)
        found |= {root, *(child.pid for child in process.children(recursive=True))}
    return found


def cpu_of(pids: Iterable[int]) -> dict[int, float]:
    """CPU seconds of each of these processes, with all of its threads, ended ones too."""
    used: dict[int, float] = {}
    for pid in pids:
        with contextlib.suppress(OSError):  # it has just ended
            used[pid] = time.clock_gettime(_clock_of(pid))
    return used


def spent(before: dict[int, float], after: dict[int, float]) -> float:
    """CPU seconds between two times; a process that ended between them is left out."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def _clock_of(pid: int) -> int:
    """The id that Linux gives to the clock of a process's CPU time."""
    return (~pid << 3) | 2


def pss_of(pids: Iterable[int]) -> float:
    """MiB of memory, shared pages divided among those who share them."""
    kib = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


def busy() -> float:
    """CPU seconds that all of the machine has used since it began."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq = (int(field) for field in fields[:7])
    return (user + nice + system + irq + softirq) / _TICKS


def stolen() -> float:
    """CPU seconds that the machine's host gave to others."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return int(fields[7]) / _TICKS


@dataclass(frozen=True)
class Usage:
    """CPU seconds of some processes and of the whole machine, `at` seconds of a steady clock."""

    processes: dict[int, float]
    busy: float
    stolen: float
    at: float

    @classmethod
    def now(cls, pids: Iterable[int]) -> "Usage":
        """What has been used so far."""
        return cls(cpu_of(pids), busy(), stolen(), time.monotonic())
