"""Whether a process keeps looking for an answer after a read, instead of going to sleep at once.

An idle core takes 15 to 25 us to wake, which is most of the latency of a small call between two
processes. A peer that answers within tens of microseconds is worth turning the loop for; others are
not, and one that waits for our core must not. So looking has to be earned: see `Credit`.
"""

import asyncio
import resource
import sys
from time import monotonic
from typing import Final, Literal

from weaver.transport import cores

WINDOW: Final = 0.00004
"""Seconds that the loop turns after a read, at least; answers take 10 to 30 us where both turn."""

LONGEST: Final = 0.0002
"""Seconds that it turns at most: a peer that takes longer gains little."""

MOST: Final = 16
"""Credit that can be earned: after half as many windows without an answer it is gone."""

COST: Final = 2
"""Credit that a window without an answer costs, where an answer earns one."""

PROBED_EVERY: Final = 64
"""Reads without credit of which one is followed by a window, which may earn some."""

BUSY: Final = 8
"""Events of one read from which there is enough to do: latency is not what counts then."""

EXAMINED_EVERY: Final = 16
"""Answers between two looks at who ran on this core meanwhile."""

_WEIGHT: Final = 0.125


class Credit:
    """When to spin, from the times of reads alone; times in seconds of any steady clock.

    Both ends of a connection do so by themselves: what one end does makes the other's worth it.
    """

    __slots__ = ("_gap", "_last", "_reads", "answers", "credit", "until")

    def __init__(self) -> None:
        self.answers = 0
        self.credit = 0
        self.until = 0.0
        self._gap = LONGEST
        self._last = 0.0
        self._reads = 0

    def heard(self, now: float, happened: int) -> float:
        """A read has made so many things happen: until when to spin, or 0."""
        gap = now - self._last
        self._last = now
        if gap < 2 * LONGEST:
            self._gap += _WEIGHT * (gap - self._gap)
        if self.until:
            self.until = 0.0
            self.answers += 1
            self.credit = min(self.credit + 1, MOST)
        if happened >= BUSY:
            return 0.0
        if not self.credit:
            self._reads += 1
            if self._reads % PROBED_EVERY:
                return 0.0
        self.until = now + min(max(2 * self._gap, WINDOW), LONGEST)
        return self.until

    def expired(self) -> None:
        """The time to spin is over and nothing was heard."""
        self.until = 0.0
        self.credit = max(self.credit - COST, 0)

    def displaced(self, times: int) -> None:
        """This process had to give up its core so often in `EXAMINED_EVERY` answers.

        Where that is the rule the peer shares the core: it answers because we are made to wait.
        """
        if times * 2 >= EXAMINED_EVERY:
            self.credit = 0
            self.until = 0.0


class Spinner:
    """Keeps the running loop turning after reads of any connection, as far as `credit` allows.

    It asks for the next turn in each turn: timers, other sockets and tasks are served as ever, and
    the loop never sleeps.
    """

    __slots__ = ("_crowded", "_displaced", "_examined", "_loop", "_turning", "credit")

    def __init__(self) -> None:
        self.credit = Credit()
        self._crowded = False
        self._examined = 0
        self._displaced = _times_displaced()
        self._loop = asyncio.get_running_loop()
        self._turning = False

    def share(self, processes: int) -> None:
        """So many processes of the application are on this host, this one included.

        With more of them than cores, the next one of a chain of calls waits for the core on which
        another looks for answers: eleven on two cores took 15 % more CPU, and twice as long a page.
        """
        self._crowded = processes > cores.usable()
        if self._crowded:
            self.credit.displaced(EXAMINED_EVERY)

    def heard(self, now: float, happened: int) -> None:
        """A read at `now` of the monotonic clock has made so many things happen."""
        credit = self.credit
        if self._crowded or not credit.heard(now, happened):
            return
        if credit.answers - self._examined >= EXAMINED_EVERY:
            self._examine()
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _examine(self) -> None:
        before, self._displaced = self._displaced, _times_displaced()
        self._examined = self.credit.answers
        self.credit.displaced(self._displaced - before)

    def _turn(self) -> None:
        credit = self.credit
        if credit.until:
            if monotonic() < credit.until:
                self._loop.call_soon(self._turn)
                return
            credit.expired()
        self._turning = False


def _times_displaced() -> int:
    """How often the kernel has taken the core from this thread, where it tells: 1 us."""
    if sys.platform != "linux":
        return 0
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def worth_it(setting: Literal["auto", "off"]) -> bool:
    """Whether this process may spin: not on the only core it has, which its peers need."""
    if setting == "off":
        return False
    return cores.usable() > 1
