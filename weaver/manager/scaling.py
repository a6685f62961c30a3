"""How many replicas of each group there are, and on which hosts.

A replica's slot is its number and its host; both stay over restarts. New ones take the lowest free
number and the host with the fewest, and the highest number goes first.
"""

import msgspec

from weaver.control.messages import Fault
from weaver.errors import did_you_mean
from weaver.manager.assignment import assign
from weaver.manager.placement import Group
from weaver.manager.state import Replica, Slot, State
from weaver.manager.turn import Turn
from weaver.routing import Assignment


def refusal(state: State, group: str, count: int) -> Fault | None:
    """Why a group cannot have this many replicas, or None if it can."""
    found = state.spec.groups.get(group)
    if found is None:
        return Fault(f'there is no group "{group}"', fix=did_you_mean(group, state.spec.groups))
    if found.external:
        return Fault(f"group {group} is a process that runs elsewhere", why="it has no replicas")
    least, most = found.least, found.most
    if count < least or (most is not None and count > most):
        limit = f"at least {least}" if most is None else f"from {least} to {most}"
        return Fault(
            f"group {group} cannot have {count} replicas",
            why=f"it may have {limit}",
            fix=f"give a number in that range, or change [groups.{group}] replicas",
        )
    if state.phase not in {"starting", "live"}:
        return Fault("the deployment is ending", fix="deploy it again")
    return None


def scale(turn: Turn, group: str, count: int) -> None:
    """Run this many replicas of a group from now on."""
    if refusal(turn.state, group, count) is None:
        replicas = {**turn.state.desired.replicas, group: count}
        turn.set(desired=msgspec.structs.replace(turn.state.desired, replicas=replicas))
        turn.report("scaled", f"{group} is to have {count} replicas")


def plan(turn: Turn) -> None:
    """Bring slots, owners of slices and replicas in line with the numbers that are wanted."""
    before = turn.state.desired
    numbers = {
        name: 0 if group.external else before.replicas.get(name, group.replicas)
        for name, group in turn.state.spec.groups.items()
    }
    slots = {k: s for k, s in before.slots.items() if s.group in numbers and s.host in _hosts(turn)}
    for name, wanted in numbers.items():
        own = sorted((k for k, s in slots.items() if s.group == name), key=number_of)
        for replica in own[wanted:]:
            del slots[replica]
        for _ in range(wanted - len(own)):
            host = _host_for(turn, name, turn.state.spec.groups[name], slots)
            if host is None:
                return
            slots[_free(turn, name, slots)] = Slot(name, host)
    homes = {
        name: _home(before.homes.get(name, Assignment()), name, slots)
        for name, group in turn.state.spec.groups.items()
        if group.routed
    }
    desired = msgspec.structs.replace(before, replicas=numbers, slots=slots, homes=homes)
    if desired != before:
        turn.set(desired=desired)
    _order(turn)


def number_of(replica: str) -> int:
    """The number in a replica id: 2 of "front-2"."""
    return int(replica.rpartition("-")[2])


def _hosts(turn: Turn) -> set[str]:
    return set(turn.state.envelopes)


def _home(previous: Assignment, group: str, slots: dict[str, Slot]) -> Assignment:
    own = [replica for replica, slot in slots.items() if slot.group == group]
    if set(previous.owners) == set(own):
        return previous
    return assign(previous, own)


def _free(turn: Turn, group: str, slots: dict[str, Slot]) -> str:
    """The lowest number that no replica has, also none that is still stopping."""
    numbers = range(1, len(slots) + len(turn.state.replicas) + 2)
    names = (f"{group}-{number}" for number in numbers)
    return next(n for n in names if n not in slots and n not in turn.state.replicas)


def _host_for(turn: Turn, name: str, group: Group, slots: dict[str, Slot]) -> str | None:
    allowed = [
        envelope.host
        for envelope in turn.state.envelopes.values()
        if not group.hosts
        or envelope.host in group.hosts
        or any(f"tag:{tag}" in group.hosts for tag in envelope.tags)
    ]
    if not allowed:
        turn.fail(
            Fault(
                f"group {name} may run on no host there is",
                why=f"[groups.{name}] hosts = {', '.join(group.hosts)}",
                fix=did_you_mean(group.hosts[0], turn.state.envelopes),
            )
        )
        return None
    placed = list(slots.values())
    return min(
        allowed,
        key=lambda host: (
            placed.count(Slot(name, host)),
            sum(slot.host == host for slot in placed),
            host,
        ),
    )


def _order(turn: Turn) -> None:
    """A replica for each slot; those without one stop."""
    slots = turn.state.desired.slots
    for name, slot in slots.items():
        if name not in turn.state.replicas:
            until = turn.now + turn.state.spec.waits.start
            turn.put(Replica(name, slot.group, slot.host, until=until))
    for replica in list(turn.state.replicas.values()):
        if replica.id not in slots and replica.stage != "stopping":
            retire(turn, replica)


def retire(turn: Turn, replica: Replica) -> None:
    """A replica is no longer wanted. Its name is free when its envelope has confirmed its end."""
    if replica.stage == "lost":
        turn.remove(replica)
    else:
        until = turn.now + 3 * turn.state.spec.stop_timeout
        turn.put(replica, stage="stopping", until=until, nonce="")
