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
        self._ended: dict[Key, MethodStatistics] = {}

    def take(self, replica: str, incarnation: int, statistics: Statistics) -> None:
        """What a replica has measured since it started; older incarnations are ignored."""
        known = self._incarnations.get(replica, 0)
        if incarnation < known:
            return
        if incarnation > known and replica in self.latest:
            _add_up(self._ended, self.latest[replica].methods)
        self._incarnations[replica] = incarnation
        self.latest[replica] = statistics

    def restarted(self, replica: str) -> None:
        """The envelope of a replica counts incarnations anew."""
        if replica in self.latest:
            _add_up(self._ended, self.latest.pop(replica).methods)
        self._incarnations.pop(replica, None)

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
