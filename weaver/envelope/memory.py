"""Whether the kernel has ended a process of ours because memory ran out.

The kernel tells only how many processes of a control group it has killed so; a count that has
grown, together with a SIGKILL that was not ours, is the evidence. Linux only.
"""

import signal
from pathlib import Path

from weaver.envelope.process import Exit

_ROOT = Path("/sys/fs/cgroup")


def find_counter(membership: str, root: Path = _ROOT) -> Path | None:
    """The file with the count, from what /proc/self/cgroup says; None where there is none."""
    candidates: list[Path] = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            candidates.append(root / path.lstrip("/") / "memory.events")
        elif "memory" in controllers.split(","):
            candidates.append(root / "memory" / path.lstrip("/") / "memory.oom_control")
    return next((path for path in candidates if path.is_file()), None)


def own_counter() -> Path | None:
    """The file with the count for this process."""
    try:
        return find_counter(Path("/proc/self/cgroup").read_text())
    except OSError:
        return None


def count_kills(text: str) -> int:
    """The count in such a file."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.isdigit():
            return int(value)
    return 0


class MemoryKills:
    """Watches the count of a control group: by default that of this process and its children."""

    def __init__(self, counter: Path | None = None) -> None:
        self._counter = counter or own_counter()
        self._known = self._read()

    def explain(self, end: Exit) -> str:
        """What a SIGKILL that nobody here has sent was for, or ""."""
        if end.signal != signal.SIGKILL:
            return ""
        count, known = self._read(), self._known
        self._known = count
        if count > known:
            return "out of memory: the kernel ended it"
        return "not by its envelope: somebody else, or the kernel for want of memory"

    def _read(self) -> int:
        if self._counter is None:
            return 0
        try:
            return count_kills(self._counter.read_text())
        except OSError:
            return 0
