"""Which replica takes the next call: two at random, and the one that will be done sooner.

It decides what a replica costs (calls in flight times latency), and when one that keeps failing or
is far slower than the others is left out for a while: it comes back with a single call, and the
last one that is left is never left out. It must not know connections; time and chance are given.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

FAILURES: Final = 5
"""Failures in a row after which a replica is ejected."""

EJECTED_FOR: Final = 5.0
"""Seconds of the first ejection; each further one in a row takes as much longer."""

MOST_EJECTED_FOR: Final = 60.0

SLOWER: Final = 5.0
"""Times the median latency of the others at which a replica is ejected."""

LEAST_SLOW: Final = 0.01
"""Seconds of latency below which nothing counts as slow."""

_WEIGHT: Final = 0.1
"""How much one latency counts against all before it."""

_FADES: Final = 0.9
"""What is left of the latency of an idle replica each time that another is chosen: one that is
five times slower gets one call in sixteen."""

_STALE: Final = 0.5
"""Faded so far, a latency is replaced by the next one that is measured."""

_EXAMINED_EVERY: Final = 32
"""Answers of a replica between two comparisons with the others."""


class Load:
    """What callers in this process know of one replica. `latency` in seconds, 0 for unknown.

    `faded` is how much that still counts, from 0 to 1: less with each call that others got since.
    """

    __slots__ = (
        "answers", "ejected", "ejections", "faded", "failures", "in_flight", "latency", "probing",
    )  # fmt: skip

    def __init__(self) -> None:
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """The replica is a new process: what was known of it counts no more."""
        self.latency = 0.0
        self.faded = 1.0
        self.answers = 0
        self.failures = 0
        self.ejected = 0.0
        self.ejections = 0
        self.probing = False

    def answered(self, seconds: float) -> bool:
        """Count an answer after so many seconds; whether to compare it with the others now."""
        latency = self.latency
        if not latency or self.faded < _STALE:
            self.latency = seconds
        else:
            self.latency = latency + _WEIGHT * (seconds - latency)
        self.faded = 1.0
        self.failures = 0
        self.answers += 1
        if self.ejected:
            self.ejected = 0.0
            self.probing = False
            self.ejections = 0
        return not self.answers % _EXAMINED_EVERY and self.latency > LEAST_SLOW


class Loaded(Protocol):
    """Something that has a load."""

    @property
    def load(self) -> Load:
        """Its load."""
        ...


R = TypeVar("R", bound=Loaded)


class Balancer:
    """Chooses among replicas, and learns from their answers. `draw` gives numbers in [0, 1)."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._ejected = False

    def choose(self, replicas: Sequence[R], now: float) -> R:
        """One of some replicas, at least one; `now` in seconds of any steady clock."""
        count = len(replicas)
        if count == 1:
            return replicas[0]
        if self._ejected:
            for replica in replicas:
                load = replica.load
                if load.ejected and load.ejected <= now and not load.probing:
                    load.probing = True
                    return replica
            replicas = [r for r in replicas if not r.load.ejected] or replicas
            count = len(replicas)
            if count == 1:
                return replicas[0]
        drawn = self._draw() * count
        first = int(drawn)
        second = int((drawn - first) * (count - 1))
        if second >= first:
            second += 1
        return cheaper(replicas[first], replicas[second])

    def nearest(self, near: Sequence[R], replicas: Sequence[R], now: float) -> Sequence[R]:
        """Those of `near` that are not left out; all `replicas` where that is none.

        One of `near` whose time to come back has come is returned alone, for a single call.
        """
        if not self._ejected:
            return near or replicas
        for replica in near:
            load = replica.load
            if load.ejected and load.ejected <= now and not load.probing:
                load.probing = True
                return [replica]
        return [r for r in near if not r.load.ejected] or replicas

    def review(self, replicas: Iterable[Loaded]) -> None:
        """Look at all replicas, now and then: where none is left out, choosing is quick again."""
        self._ejected = any(replica.load.ejected for replica in replicas)

    def succeeded(self, load: Load, seconds: float, others: Iterable[Loaded], now: float) -> None:
        """A call was answered after so many seconds; `others` are the replicas of its group."""
        if load.answered(seconds):
            self.compare(load, others, now)

    def compare(self, load: Load, others: Iterable[Loaded], now: float) -> None:
        """Leave a replica out that is far slower than the others."""
        known = [r.load.latency for r in others if r.load is not load and r.load.latency]
        if known and load.latency > SLOWER * statistics.median(known):
            self.eject(load, others, now)

    def failed(self, load: Load, others: Iterable[Loaded], now: float) -> None:
        """A call of this replica had no answer, for no fault of the application."""
        load.failures += 1
        if load.probing or load.failures >= FAILURES:
            self.eject(load, others, now)

    def eject(self, load: Load, others: Iterable[Loaded], now: float) -> bool:
        """Leave a replica out for a while; False if too many are left out already."""
        loads = [replica.load for replica in others]
        left_out = sum(1 for other in loads if other.ejected and other is not load)
        if (left_out + 1) * 2 > len(loads):
            load.probing = False
            return False
        load.ejections += 1
        load.ejected = now + min(EJECTED_FOR * load.ejections, MOST_EJECTED_FOR)
        load.probing = False
        load.failures = 0
        load.latency = 0.0  # of the time before: its next answers say whether it is well again
        self._ejected = True
        return True


def cheaper(one: R, two: R) -> R:
    """The replica with less in flight times latency; the latency counts where both are known.

    What is known of the other one fades while nothing is in flight there: a latency that was large
    once, as of a first call, would else keep it without calls for good where few are made.
    """
    a, b = one.load, two.load
    if not a.latency or not b.latency:
        return one if a.in_flight <= b.in_flight else two
    cost = (a.in_flight + 1) * a.latency * a.faded
    if cost <= (b.in_flight + 1) * b.latency * b.faded:
        if not b.in_flight:
            b.faded *= _FADES
        return one
    if not a.in_flight:
        a.faded *= _FADES
    return two
