"""Which replicas there are and on which hosts: numbers and hosts become slots, slots replicas.

A replica's slot is its number and its host; both stay over restarts. New ones take the lowest free
number, and the highest number goes first. What runs on a host that has been given up is replaced by
stand-ins elsewhere, as far as there is room, and comes back when its host does: the old copies end
first, then successors start, and each takes over from its stand-in when it is ready.
"""

import msgspec

from weaver.manager.assignment import assign
from weaver.manager.hosts import Places, Slot
from weaver.manager.scaling import number_of, retire
from weaver.manager.state import Desired, Replica, StandIn, State
from weaver.manager.turn import Turn
from weaver.routing import Assignment


def plan(turn: Turn) -> None:
    """Bring slots, owners of slices and replicas in line with what is wanted."""
    before = turn.state.desired
    draft = _Draft(turn.state)
    draft.take_over()
    draft.remove_surplus()
    for replica in draft.place():
        if draft.slots[replica].host in turn.given_up:
            turn.report("waiting", _waiting_text(replica, draft.slots[replica]), replica)
    draft.send_successors()
    desired = draft.result(before)
    if desired != before:
        turn.set(desired=desired)
    _order(turn)


def _waiting_text(replica: str, slot: Slot) -> str:
    return f"{replica} waits for {slot.host}: no other host may run it and has room"


class _Draft:
    """Desired state while it is being decided; `own` replicas are all but successors."""

    def __init__(self, state: State) -> None:
        desired, self._state = state.desired, state
        known = {name for name, group in state.spec.groups.items() if not group.external}

        def real(slots: dict[str, Slot]) -> dict[str, Slot]:
            hosts = state.spec.hosts
            return {k: s for k, s in slots.items() if s.group in known and s.host in hosts}

        self.slots = real(desired.slots)
        self.leaving = real(desired.leaving)
        self.homes = dict(desired.homes)
        self._index: dict[str, list[str]] | None = None
        self.stand_ins = {k: s for k, s in desired.stand_ins.items() if k in self.slots}
        self.numbers = {
            name: 0 if group.external else desired.replicas.get(name, group.replicas)
            for name, group in state.spec.groups.items()
        }

    def take_over(self) -> None:
        """Successors that are ready take over; those whose host is lost again are given up."""
        for replica, stand_in in list(self.stand_ins.items()):
            successor = self._state.replicas.get(stand_in.successor)
            if stand_in.home not in self._state.spec.hosts:
                del self.stand_ins[replica]
            elif stand_in.successor and not self._is_attached(stand_in.home):
                self.stand_ins[replica] = StandIn(stand_in.home)
                self._leave(stand_in.successor)
            elif successor is not None and successor.stage == "ready":
                del self.stand_ins[replica]
                self._leave(replica)
                self._hand_over(replica, successor.id)

    def remove_surplus(self) -> None:
        """Replicas beyond the wanted number leave, each with its successor."""
        for name, wanted in self.numbers.items():
            own = self._own(name)
            if len(own) <= wanted:
                continue
            away = self._state.desired.away
            own.sort(key=lambda replica: self.slots[replica].host in away)  # those first to go
            for replica in own[wanted:]:
                self._leave(replica)
                stand_in = self.stand_ins.pop(replica, None)
                if stand_in is not None and stand_in.successor:
                    self._leave(stand_in.successor)

    def place(self) -> list[str]:
        """Give the missing replicas places, and those of hosts given up other ones.

        Returns those that have to wait for their host.
        """
        state, away = self._state, set(self._state.desired.away)
        missing = [
            name
            for name, wanted in self.numbers.items()
            for _ in range(wanted - len(self._own(name)))
        ]
        moving = [
            replica
            for name in self.numbers
            for replica in self._own(name)
            if self.slots[replica].host in away
        ]
        if not missing and not moving:
            return []
        closed = {e.host for e in state.envelopes.values() if e.host in away or e.distrusted}
        if moving:
            closed |= {e.host for e in state.envelopes.values() if e.reach != "attached"}
        taken = [*self.slots.values(), *self.leaving.values()]
        places = Places(state.spec.groups, state.spec.hosts, taken, closed)
        found = places.find([*missing, *(self.slots[replica].group for replica in moving)])
        for slot in found[: len(missing)]:
            if slot is not None:
                self._add(self._free(slot.group), slot)
        waiting: list[str] = []
        for replica, slot in zip(moving, found[len(missing) :], strict=True):
            if slot is None:
                waiting.append(replica)
            else:
                self._move(replica, slot)
        return waiting

    def send_successors(self) -> None:
        """Where a host is back and nothing of before runs there, what stands in for it returns."""
        for replica, stand_in in self.stand_ins.items():
            home = stand_in.home
            if stand_in.successor or not self._is_attached(home):
                continue
            if any(slot.host == home for slot in self.leaving.values()):
                continue
            taken = [*self.slots.values(), *self.leaving.values()]
            if Places(self._state.spec.groups, self._state.spec.hosts, taken).has_room(home):
                successor = self._free(self.slots[replica].group)
                self._add(successor, Slot(self.slots[replica].group, home))
                self.stand_ins[replica] = StandIn(home, successor)

    def result(self, before: Desired) -> Desired:
        """The desired state that has been decided."""
        groups = self._state.spec.groups
        homes = {name: self._home(name) for name, group in groups.items() if group.routed}
        return msgspec.structs.replace(
            before,
            replicas=self.numbers,
            slots=self.slots,
            homes=homes,
            leaving=self.leaving,
            stand_ins=self.stand_ins,
        )

    def _is_attached(self, host: str) -> bool:
        return self._state.envelopes[host].reach == "attached"

    def _own(self, group: str) -> list[str]:
        return list(self._by_group().get(group, ()))

    def _by_group(self) -> dict[str, list[str]]:
        """The own replicas of each group by number; looked up often, and seldom changed."""
        if self._index is None:
            successors = {stand_in.successor for stand_in in self.stand_ins.values()}
            self._index = {}
            for replica, slot in self.slots.items():
                if replica not in successors:
                    self._index.setdefault(slot.group, []).append(replica)
            for own in self._index.values():
                own.sort(key=number_of)
        return self._index

    def _add(self, replica: str, slot: Slot) -> None:
        self.slots[replica] = slot
        self._index = None

    def _leave(self, replica: str) -> None:
        self.leaving[replica] = self.slots.pop(replica)
        self._index = None

    def _move(self, replica: str, slot: Slot) -> None:
        """Another one takes its place, and is the owner of its slices."""
        stand_in = self.stand_ins.pop(replica, None)
        home = stand_in.home if stand_in is not None else self.slots[replica].host
        if stand_in is not None and stand_in.successor:
            self._leave(stand_in.successor)
        self._leave(replica)
        new = self._free(slot.group)
        self._add(new, slot)
        if home != slot.host:
            self.stand_ins[new] = StandIn(home)
        self._hand_over(replica, new)

    def _hand_over(self, replica: str, to: str) -> None:
        group = self.slots[to].group
        home = self.homes.get(group)
        if home is not None:
            owners = tuple(to if owner == replica else owner for owner in home.owners)
            self.homes[group] = msgspec.structs.replace(home, owners=owners)

    def _home(self, group: str) -> Assignment:
        previous, own = self.homes.get(group, Assignment()), self._own(group)
        return previous if set(previous.owners) == set(own) else assign(previous, own)

    def _free(self, group: str) -> str:
        """The lowest number that no replica has, also none that may still run."""
        taken = self.slots.keys() | self.leaving.keys() | self._state.replicas.keys()
        names = (f"{group}-{number}" for number in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)


def _order(turn: Turn) -> None:
    """A replica for each slot; those without one stop."""
    desired = turn.state.desired
    for name, slot in desired.slots.items():
        if name not in turn.state.replicas:
            until = turn.now + turn.state.spec.waits.start
            turn.put(Replica(name, slot.group, slot.host, until=until))
    for replica in list(turn.state.replicas.values()):
        if replica.id not in desired.slots and replica.stage != "stopping":
            retire(turn, replica)
    for name, slot in desired.leaving.items():
        if name not in turn.state.replicas:
            retire(turn, Replica(name, slot.group, slot.host))
