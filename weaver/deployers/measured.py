"""What the replicas of a deployment have measured, added up over restarts.

Replicas count from their start; what ended ones had counted is kept. It must not know how the sums
are shown.
"""

import itertools

from weaver.control.messages import MethodStatistics, Statistics

Key = tuple[str, str, str]


class Measured:
    """The latest statistics of each replica, and the sums of those that have ended."""

    def __init__(self) -> None:
        self.latest: dict[str, Statistics] = {}
        self._incarnations: dict[str, int] = {}
        self._samples: dict[str, list[tuple[float, float]]] = {}
        self._ended: dict[Key, MethodStatistics] = {}

    def take(self, replica: str, incarnation: int, statistics: Statistics, now: float) -> None:
        """What a replica has measured since it started; older incarnations are ignored."""
        known = self._incarnations.get(replica, 0)
        if incarnation < known:
            return
        if incarnation > known and replica in self.latest:
            _add_up(self._ended, self.latest[replica].methods)
            self._samples.pop(replica, None)
        samples = self._samples.setdefault(replica, [])
        samples[1:] = [(now, statistics.cpu)]  # the first since it was asked, and the last
        self._incarnations[replica] = incarnation
        self.latest[replica] = statistics

    def forget(self, replica: str) -> None:
        """The replica has ended for good, or its envelope counts incarnations anew."""
        if replica in self.latest:
            _add_up(self._ended, self.latest.pop(replica).methods)
        self._samples.pop(replica, None)
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

    def methods(self) -> tuple[MethodStatistics, ...]:
        """The calls of each method by each caller, over all replicas there have been."""
        total = dict(self._ended)
        for statistics in self.latest.values():
            _add_up(total, statistics.methods)
        return tuple(total[key] for key in sorted(total))


def _add_up(total: dict[Key, MethodStatistics], methods: tuple[MethodStatistics, ...]) -> None:
    for new in methods:
        key = (new.caller, new.component, new.method)
        old = total.get(key)
        total[key] = new if old is None else _sum(old, new)


def _sum(a: MethodStatistics, b: MethodStatistics) -> MethodStatistics:
    pairs = itertools.zip_longest(a.histogram, b.histogram, fillvalue=0)
    return MethodStatistics(
        a.caller,
        a.component,
        a.method,
        calls=a.calls + b.calls,
        errors=a.errors + b.errors,
        remote=a.remote + b.remote,
        sent_bytes=a.sent_bytes + b.sent_bytes,
        histogram=tuple(x + y for x, y in pairs),
    )
