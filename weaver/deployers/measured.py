"""What the replicas of a deployment have measured, added up over restarts.

Replicas count from their start; what ended ones had counted is kept. It must not know how the sums
are shown.
"""

import itertools
from typing import Final

import msgspec

from weaver.control.messages import MethodStatistics, Statistics
from weaver.telemetry.histogram import merged

RECENT: Final = 10.0
"""Seconds at most over which the rate of calls is told, and half of them at least."""


class Measured:
    """The latest statistics of each replica, and the sums of those that have ended."""

    def __init__(self) -> None:
        self.latest: dict[str, Statistics] = {}
        self._incarnations: dict[str, int] = {}
        self._samples: dict[str, list[tuple[float, float]]] = {}
        self._before: dict[str, list[tuple[float, Statistics]]] = {}
        self._ended: tuple[MethodStatistics, ...] = ()

    def take(self, replica: str, incarnation: int, statistics: Statistics, now: float) -> None:
        """What a replica has measured since it started; older incarnations are ignored."""
        known = self._incarnations.get(replica, 0)
        if incarnation < known:
            return
        if incarnation > known and replica in self.latest:
            self._ended = merged((*self._ended, *self.latest[replica].methods))
            self._samples.pop(replica, None)
            self._before.pop(replica, None)
        before = self._before.setdefault(replica, [])
        if not before or now - before[-1][0] >= RECENT / 2:
            before[:-1] = []
            before.append((now, statistics))
        samples = self._samples.setdefault(replica, [])
        samples[1:] = [(now, statistics.cpu)]  # the first since it was asked, and the last
        self._incarnations[replica] = incarnation
        self.latest[replica] = statistics

    def forget(self, replica: str) -> None:
        """The replica has ended for good, or its envelope counts incarnations anew."""
        if replica in self.latest:
            self._ended = merged((*self._ended, *self.latest.pop(replica).methods))
        self._samples.pop(replica, None)
        self._before.pop(replica, None)
        self._incarnations.pop(replica, None)

    def loads(self) -> dict[str, float]:
        """How busy each replica was since this was asked last: CPU seconds per second, 0 to 1.

        One process executes Python on one core at a time. Replicas of which too little is known
        are left out.
        """
        found: dict[str, float] = {}
        for replica, samples in self._samples.items():
            (first, before), (last, after) = samples[0], samples[-1]
            if last > first:
                found[replica] = min(max((after - before) / (last - first), 0.0), 1.0)
            del samples[:-1]
        return found

    def methods(self, now: float) -> tuple[MethodStatistics, ...]:
        """The calls of each method by each caller, over all replicas there have been."""
        running = (
            _rated(statistics, *self._before[replica][0], now)
            for replica, statistics in self.latest.items()
        )
        return merged(itertools.chain(self._ended, *running))


def _rated(
    statistics: Statistics, when: float, before: Statistics, now: float
) -> list[MethodStatistics]:
    """What a replica has measured, with the rates of its calls since it was at `before`."""
    known = {(m.caller, m.component, m.method): m.calls for m in before.methods}
    seconds = max(now - when, 1.0)
    return [
        msgspec.structs.replace(
            m, rate=(m.calls - known.get((m.caller, m.component, m.method), 0)) / seconds
        )
        for m in statistics.methods
    ]
