"""How many replicas of each group there are to be, and the end of one that is not wanted."""

import collections

import msgspec

from weaver.control.messages import Fault
from weaver.errors import did_you_mean
from weaver.manager.hosts import Places, too_few
from weaver.manager.state import Replica, State
from weaver.manager.turn import Turn


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
    return _no_room(state, group, count)


def _no_room(state: State, group: str, count: int) -> Fault | None:
    """Why there is no place for so many, where others stay where they are; None if there is."""
    slots = [s for s in state.desired.slots.values() if s.host in state.spec.hosts]
    successors = {stand_in.successor for stand_in in state.desired.stand_ins.values()}
    present = collections.Counter(
        s.group for k, s in state.desired.slots.items() if s in slots and k not in successors
    )
    places = Places(state.spec.groups, state.spec.hosts, slots)
    found = places.find([group] * (count - present[group]))
    if None not in found:
        return None
    present[group] += len(found) - found.count(None)
    return too_few(group, state.spec.groups[group], state.spec.hosts, count, present)


def scale(turn: Turn, group: str, count: int) -> None:
    """Run this many replicas of a group from now on."""
    if refusal(turn.state, group, count) is None:
        replicas = {**turn.state.desired.replicas, group: count}
        turn.set(desired=msgspec.structs.replace(turn.state.desired, replicas=replicas))
        turn.report("scaled", f"{group} is to have {count} replicas")


def number_of(replica: str) -> int:
    """The number in a replica id: 2 of "front-2"."""
    return int(replica.rpartition("-")[2])


def retire(turn: Turn, replica: Replica) -> None:
    """A replica is no longer wanted. Its name is free when its envelope has confirmed its end."""
    until = turn.now + 3 * turn.state.spec.stop_timeout
    turn.put(replica, stage="stopping", until=until, nonce="")
