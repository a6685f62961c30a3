"""Replicas as a worker sees them, and which of a version's gets the next request.

Decides by what is in flight; equal ones take turns. Replicas of other hosts get requests while none
of this host can take them. It must not know what a request is.
"""

import time
from collections.abc import Collection, Sequence
from typing import Final, Protocol, TypeVar

from weaver.control.ingress import Backend, FailedRequest
from weaver.ingress.counting import Tallies
from weaver.ingress.ejection import Ejection
from weaver.ingress.http import body, plain
from weaver.ingress.upstream import Pool
from weaver.telemetry.histogram import BUCKETS

_ANSWERS: Final = 32
_LONGEST: Final = 4096
_ENOUGH: Final = 2
"""Replicas of this host that have refused a request, until others are tried before the rest."""


class Replica:
    """One replica: the connections to it, and how many requests are in flight there.

    `heard` is when it last sent a byte, or began to be asked; `probes` how many probes it has
    answered since it last answered a request. `sizes` are plain heads of good answers that were
    read lately, with the size of the whole answer, -1 if that is in chunks: many are equal. `last`
    is the one that passed last, of an answer of `last_size`.
    """

    __slots__ = ("heard", "id", "in_flight", "last", "last_size", "pool", "probes", "sizes")

    def __init__(self, backend: Backend, pool: Pool) -> None:
        self.id = backend.id
        self.pool = pool
        self.in_flight = 0
        self.heard = 0.0
        self.probes = 0
        self.sizes: dict[bytes, int] = {}
        self.last = b""
        self.last_size = 0

    def is_whole(self, data: bytes) -> bool:
        """Whether `data` is an answer that may pass as it is: plain, good and complete."""
        end = data.find(b"\r\n\r\n") + 4
        head = data[:end]
        size = self.sizes.get(head) or self._size_with(head)
        if size < 0:
            return body.is_whole(data, end)
        if size != len(data):
            return False
        self.last, self.last_size = head, size
        return True

    def _size_with(self, head: bytes) -> int:
        """The size of an answer with this head; 0 if it is not plain, good and short."""
        match = plain.response(head) if len(head) <= _LONGEST else None
        if match is None or match[1] >= b"500":
            return 0
        if len(self.sizes) >= _ANSWERS:
            self.sizes.clear()
        size = self.sizes[head] = -1 if match[2] is None else len(head) + int(match[2])
        return size


class Lane:
    """One version: its replicas, its sums, and evidence against it.

    `beyond` are its replicas on other hosts. `fallback` is the version that answers where no
    replica of this one can be reached. `ejection` is its own: versions may have replicas of one id.
    """

    __slots__ = (
        "_tallies", "_turn", "beyond", "ejection", "fallback", "replicas", "tally", "version"
    )  # fmt: skip

    def __init__(self, version: str, tallies: Tallies, ejection: Ejection) -> None:
        self.version = version
        self.tally = tallies.of(version)
        self.replicas: list[Replica] = []
        self.beyond: list[Replica] = []
        self.fallback: Lane | None = None
        self._tallies = tallies
        self.ejection = ejection
        self._turn = 0

    def enter(self, now: float, tried: Collection[str] = ()) -> Replica | None:
        """Count a request at the replica that should get it, none of those `tried`; or None."""
        replicas = self.replicas
        if tried or self.ejection.records or not replicas:
            replica = self._among(now, tried)
            if replica is None:
                return None
            self.ejection.tries(replica.id, now)
            load = replica.in_flight
        else:  # as `least_loaded`, without a call
            replica = replicas.pop(0)
            replicas.append(replica)  # the last one of those with as little, next time
            load = replica.in_flight
            if load:
                for other in replicas:
                    if other.in_flight < load:
                        replica = other
                        load = replica.in_flight
        if not load:
            replica.heard = now
        replica.in_flight = load + 1
        return replica

    def _among(self, now: float, tried: Collection[str]) -> Replica | None:
        self._turn += 1
        if self.beyond and (found := self._anywhere(now, tried)) is not None:
            return found
        out = self.ejection.out([replica.id for replica in self.replicas], now)
        found = least_loaded(self.replicas, self._turn, {*tried, *out})
        if found is None and out:  # rather one that has failed than none
            found = least_loaded(self.replicas, self._turn, tried)
        return found or least_loaded(self.beyond, self._turn, tried)

    def _anywhere(self, now: float, tried: Collection[str]) -> Replica | None:
        """One that has not failed lately, of this host if possible; None if all have."""
        ejection, turn = self.ejection, self._turn
        first, second = self.replicas, self.beyond
        if len(tried) >= _ENOUGH:  # there are few attempts, and the host may have lost all of them
            first, second = second, first
        without = {r.id for r in (*first, *second) if ejection.is_out(r.id, now)}.union(tried)
        return least_loaded(first, turn, without) or least_loaded(second, turn, without)

    def leave(self, replica: Replica, *, good: bool | None, refused: bool = False) -> None:
        """A request is no longer there; `good` is None if that says nothing of the replica."""
        replica.in_flight -= 1
        if good:
            replica.probes = 0
            if self.ejection.records:
                self.ejection.succeeded(replica.id)
        elif good is not None:
            self.ejection.failed(replica.id, time.monotonic(), refused=refused)

    def passed(self, replica: Replica, seconds: float) -> None:
        """A request has left `replica` with a good answer, `seconds` after it came."""
        replica.in_flight -= 1
        replica.probes = 0
        if self.ejection.records:
            self.ejection.succeeded(replica.id)
        histogram = self.tally.histogram
        index = int(seconds * 1e6).bit_length()  # as `VersionTally.end`, without a call
        histogram[index if index < BUCKETS else -1] += 1

    def witness(self, method: bytes, target: bytes, status: int, backend: str, why: str) -> None:
        """Keep a request that failed as evidence."""
        self._tallies.failed(
            FailedRequest(
                version=self.version,
                time=time.time(),
                method=method.decode("latin-1"),
                path=target.partition(b"?")[0].decode("latin-1"),
                status=status,
                backend=backend,
                why=why,
            )
        )


class Loaded(Protocol):
    """What requests are counted at."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests there now."""
        ...


L = TypeVar("L", bound=Loaded)


def least_loaded(replicas: Sequence[L], turn: int, without: Collection[str] = ()) -> L | None:
    """The one with the fewest requests in flight; equal ones in turn. None if all are out."""
    count = len(replicas)
    best: L | None = None
    lowest = 0
    for i in range(turn, turn + count):
        replica = replicas[i % count]
        if without and replica.id in without:
            continue
        load = replica.in_flight
        if best is None or load < lowest:
            if not load:
                return replica
            best, lowest = replica, load
    return best
