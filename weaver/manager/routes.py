"""Where calls go: the routing that follows from which replicas are ready.

While a replica is down, its slices are lent to the ready ones; when it comes back, it has them
again. Versions only grow, and the routing of an earlier manager is left alone until its replicas
have been found again.
"""

import msgspec

from weaver.control.messages import NewRouting, Relay
from weaver.control.stream import encode
from weaver.manager.assignment import assign
from weaver.manager.placement import EXTERNAL
from weaver.manager.scaling import number_of
from weaver.manager.state import State
from weaver.manager.turn import Turn
from weaver.routing import Assignment, Endpoint, Route, Routing


def publish(turn: Turn, before: State) -> None:
    """Push a new routing to every replica if calls can go elsewhere than before."""
    _end_adoption(turn)
    if turn.state.adopting:
        return
    old = turn.state.routing
    version = old.version + 1
    groups = {
        name: _route(turn.state, before, name, old.groups.get(name), version)
        for name in turn.state.spec.groups
    }
    if groups == old.groups:
        return
    routing = Routing(version, groups)
    turn.set(routing=routing)
    turn.broadcast(Relay(encode(NewRouting(routing))))


def _end_adoption(turn: Turn) -> None:
    """Adoption ends when all envelopes are attached, and what runs there has been probed."""
    state = turn.state
    if state.adopting and state.phase == "live":
        reached = all(envelope.reach == "attached" for envelope in state.envelopes.values())
        pending = any(r.adopted and r.stage == "probing" for r in state.replicas.values())
        if not reached or pending:
            return
    turn.set(adopting=0.0)


def _route(state: State, before: State, name: str, old: Route | None, version: int) -> Route:
    group = state.spec.groups[name]
    if group.external:
        return Route(group.components, (Endpoint(EXTERNAL, group.external),))
    ready = sorted(
        (r for r in state.replicas.values() if r.group == name and r.stage == "ready"),
        key=lambda replica: number_of(replica.id),
    )
    endpoints = tuple(Endpoint(r.id, r.address, r.host, r.remote) for r in ready)
    home = state.desired.homes.get(name, Assignment())
    unmoved = before.desired.homes.get(name, Assignment()) == home
    if old is not None and old.endpoints == endpoints and unmoved:
        return old
    assignment = Assignment()
    if group.routed:
        assignment = assign(home, [r.id for r in ready])
        known = old.assignment if old is not None else Assignment()
        same = (known.starts, known.owners) == (assignment.starts, assignment.owners)
        number = known.version if same else version
        assignment = msgspec.structs.replace(assignment, version=number)
    return Route(group.components, endpoints, assignment)
