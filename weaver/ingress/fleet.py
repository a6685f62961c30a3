"""All versions and replicas of one worker, over the tables it is given.

Decides what of the one table lives on in the next: whatever is equal. Pools of replicas that are
gone end with their last request. It must not know how a version is chosen.
"""

from collections.abc import Iterable, Mapping

from weaver.control.ingress import Backend, Table, VersionCounts
from weaver.ingress.counting import Tallies
from weaver.ingress.credentials import Credentials
from weaver.ingress.ejection import Ejection
from weaver.ingress.replica import Lane, Replica
from weaver.ingress.upstream import Pool


class Fleet:
    """Keeps `idle` connections to each replica."""

    def __init__(self, idle: int) -> None:
        self._idle = idle
        self._lanes: dict[str, Lane] = {}
        self._replicas: dict[tuple[str, Backend], Replica] = {}
        self._retired: list[Pool] = []
        self.credentials = Credentials()
        self.tallies = Tallies()

    def use(self, table: Table) -> Mapping[str, Lane]:
        """Have the versions and replicas of `table`; all lanes there are, now and later."""
        before, self._replicas = self._replicas, {}
        for share in table.shares:
            version, known = share.version, set[str]()
            for backend in (*share.backends, *share.beyond):
                replica = self._replicas.get((version, backend)) or before.get((version, backend))
                if replica is None:
                    pool = Pool(backend.address, self._idle, version, self.credentials)
                    replica = Replica(backend, pool)
                else:
                    known.add(backend.id)
                self._replicas[version, backend] = replica
            lane = self.lane(version)
            lane.replicas = [self._replicas[version, backend] for backend in share.backends]
            lane.beyond = [self._replicas[version, backend] for backend in share.beyond]
            lane.ejection.keep(known)  # others have been started anew
        self._set_fallbacks(table)
        for gone in before.keys() - self._replicas.keys():
            before[gone].pool.retire()
            self._retired.append(before[gone].pool)
        return self._lanes

    def _set_fallbacks(self, table: Table) -> None:
        """Whom a version's requests go to where none of its replicas takes them.

        Also one without any weight: it is in the table, so it may serve, and better than nobody.
        """
        able = [share for share in table.shares if share.backends or share.beyond]
        able.sort(key=lambda share: -share.weight)
        for lane in self._lanes.values():
            others = (share.version for share in able if share.version != lane.version)
            found = next(others, None)
            lane.fallback = None if found is None else self._lanes[found]

    def lane(self, version: str) -> Lane:
        """What is known of `version`."""
        lane = self._lanes.get(version)
        if lane is None:
            lane = self._lanes[version] = Lane(version, self.tallies, Ejection())
        return lane

    @property
    def lanes(self) -> Iterable[Lane]:
        """All versions there have been."""
        return self._lanes.values()

    def has(self, replica: Replica) -> bool:
        """Whether it is in the table."""
        return any(known is replica for known in self._replicas.values())

    def versions(self) -> tuple[VersionCounts, ...]:
        """The sums of all versions that were ever asked."""
        return self.tallies.versions()

    def expire(self, before: float) -> None:
        """Close connections that have been idle since `before`."""
        for replica in self._replicas.values():
            replica.pool.expire(before)
        self._retired = [pool for pool in self._retired if not pool.unused]

    def abort(self) -> None:
        """Close all connections at once."""
        for pool in (*(replica.pool for replica in self._replicas.values()), *self._retired):
            pool.abort()
