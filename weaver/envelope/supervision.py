"""What shall run and what does: when each replica is started, stopped, replaced, or hung.

Pure: the time is given, in seconds of a clock that does not jump back, and nothing is started
here. Restarts follow `weaver.manager.restart`.
"""

import enum
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from weaver.control.messages import GroupOrder, Orders, RegisterReplica, ReplicaState
from weaver.control.restarts import Restarts
from weaver.manager.restart import RestartPolicy

START_TIMEOUT: Final = 60.0
"""Seconds that a replica which has not registered may be silent: an import, a slow `start`."""

FIRST_WORD: Final = 5.0
"""The same for one that has been forked, and so has imported all, until it has said anything."""


class Phase(enum.Enum):
    """Where a replica is in its life; the values are what `ReplicaState.state` says."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


LIVE: Final = frozenset({Phase.STARTING, Phase.RUNNING, Phase.STOPPING})


class Replica:
    """One replica and its present process, if it has one; `incarnation` counts them."""

    def __init__(self, name: str, group: str, order: GroupOrder, restarts: Restarts) -> None:
        self.name = name
        self.group = group
        self.order = order
        self.policy = RestartPolicy(restarts)
        self.phase = Phase.WAITING
        self.wanted = True
        self.finished = False  # its application has ended: it is not started again
        self.incarnation = 0
        self.due = 0.0
        self.pid = 0
        self.started = 0.0  # in seconds since the epoch; the other times are of the given clock
        self.began = 0.0
        self.heard = 0.0
        self.young = False  # forked, and has said nothing yet
        self.registered: RegisterReplica | None = None

    def state(self) -> ReplicaState:
        """The replica as a manager is told."""
        return ReplicaState(
            self.name,
            self.group,
            self.incarnation,
            self.pid,
            self.phase.value,
            max(self.incarnation - 1, 0),
            self.started,
            self.registered,
        )


class Unwanted(NamedTuple):
    """Replicas that shall not run: those with a process to be stopped, and those without one."""

    stopping: list[Replica]
    forgotten: list[Replica]


class Supervision:
    """The replicas of one envelope. Whoever owns it starts, watches and ends the processes."""

    def __init__(self) -> None:
        self.orders: Orders | None = None
        self.replicas: dict[str, Replica] = {}
        self.ending = False
        self._checked: float | None = None

    # --- what shall run ---

    def completed(self, orders: Orders) -> Orders:
        """Orders with what a manager that has taken over may not have: this host's keys."""
        current = None if self.orders is None else self.orders.application
        if current is None:
            return orders
        ordered = orders.application
        if ordered is None:
            return msgspec.structs.replace(orders, application=current)
        if ordered.certificates is None:
            ordered = msgspec.structs.replace(ordered, certificates=current.certificates)
        return msgspec.structs.replace(orders, application=ordered)

    def apply(self, orders: Orders, now: float) -> Unwanted:
        """Take orders; returns what is not wanted any more. Old orders change nothing."""
        if self.ending or (self.orders is not None and orders.number < self.orders.number):
            return Unwanted([], [])
        self.orders = orders
        unwanted = self._unwant(
            [replica for replica in self.replicas.values() if not self._is_as_ordered(replica)]
        )
        for name, group in orders.replicas.items():
            existing = self.replicas.get(name)
            if existing is None and group in orders.groups:
                replica = Replica(name, group, orders.groups[group], orders.restarts)
                replica.due = now
                self.replicas[name] = replica
        return unwanted

    def end(self) -> Unwanted:
        """Nothing shall run any more."""
        self.ending = True
        return self._unwant(list(self.replicas.values()))

    def startable(self, now: float, without: Iterable[str] = ()) -> list[Replica]:
        """The replicas whose time has come, except those of the groups `without`."""
        excluded = set(without)
        return [
            replica
            for replica in self.replicas.values()
            if replica.phase is Phase.WAITING
            and replica.due <= now
            and replica.group not in excluded
        ]

    def has_another(self, replica: Replica) -> bool:
        """Whether another replica of its group runs, and is to go on."""
        return any(
            other.group == replica.group and other.phase is Phase.RUNNING and other is not replica
            for other in self.replicas.values()
        )

    def next_due(self, now: float) -> float | None:
        """Seconds until a replica's time comes, or None."""
        due = [r.due for r in self.replicas.values() if r.phase is Phase.WAITING and r.due > now]
        return min(due) - now if due else None

    # --- what happens to processes ---

    def starting(self, replica: Replica, now: float) -> None:
        """A process is about to be started for it."""
        replica.phase = Phase.STARTING
        replica.incarnation += 1
        replica.registered = None
        replica.pid = 0
        replica.young = False
        replica.heard = replica.began = now
        replica.policy.started(now)

    def restart(self, name: str, incarnation: int) -> Replica | None:
        """The replica to be stopped so that it starts anew; None if that is past or unknown."""
        replica = self.replicas.get(name)
        if replica is None or replica.incarnation != incarnation:
            return None
        if replica.phase not in {Phase.STARTING, Phase.RUNNING}:
            return None
        replica.phase = Phase.STOPPING
        return replica

    def exited(self, replica: Replica, now: float, jitter: float) -> tuple[float | None, bool]:
        """Its process has ended: the seconds until the next start or None, and if it crash-loops.

        A replica that is not wanted is forgotten; one whose application has ended stays, ended.
        """
        asked = replica.phase is Phase.STOPPING
        replica.pid = 0
        replica.registered = None
        if not replica.wanted:
            return self._forgotten(replica, now), False
        if replica.finished:
            replica.phase = Phase.ENDED
            return None, False
        replica.phase = Phase.WAITING
        replica.due = now
        if asked:
            return 0.0, False
        verdict = replica.policy.exited(now, jitter)
        # Delays keep starts apart: one that was long ago is far enough from the next.
        replica.due = max(now, replica.began + verdict.delay)
        return replica.due - now, verdict.crash_loop

    def hung(self, now: float) -> list[Replica]:
        """The replicas that have been silent for too long. Call it once each heartbeat.

        When this itself is called late, the envelope did not run: silence then means nothing.
        """
        if self.orders is None:
            return []
        every, missed = self.orders.heartbeats.every, self.orders.heartbeats.missed
        late, self._checked = now - (self._checked or now), now
        if late > 2 * every:
            for replica in self.replicas.values():
                replica.heard = max(replica.heard, now - every)
        found: list[Replica] = []
        for replica in self.replicas.values():
            limit = every * missed
            if replica.phase is Phase.STARTING:
                limit = max(limit, FIRST_WORD if replica.young else START_TIMEOUT)
            if replica.phase in {Phase.STARTING, Phase.RUNNING} and now - replica.heard > limit:
                found.append(replica)
        return found

    # --- private ---

    def _is_as_ordered(self, replica: Replica) -> bool:
        orders = self.orders
        assert orders is not None
        same = orders.replicas.get(replica.name) == replica.group
        return same and orders.groups.get(replica.group) == replica.order

    def _unwant(self, replicas: list[Replica]) -> Unwanted:
        unwanted = Unwanted([], [])
        for replica in replicas:
            replica.wanted = False
            if replica.phase not in LIVE:
                del self.replicas[replica.name]
                unwanted.forgotten.append(replica)
            elif replica.phase is not Phase.STOPPING:
                replica.phase = Phase.STOPPING
                unwanted.stopping.append(replica)
        return unwanted

    def _forgotten(self, replica: Replica, now: float) -> float | None:
        """Forget it; seconds until its successor of the same name starts, if there is to be one."""
        del self.replicas[replica.name]
        orders = self.orders
        group = orders.replicas.get(replica.name) if orders is not None else None
        if self.ending or orders is None or group is None or group not in orders.groups:
            return None
        successor = Replica(replica.name, group, orders.groups[group], orders.restarts)
        successor.incarnation = replica.incarnation
        successor.due = now
        self.replicas[replica.name] = successor
        return 0.0
