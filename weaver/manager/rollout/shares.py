"""How much of a listener's traffic each version gets on a host, as a table for the ingress.

Never more than its ready replicas can carry: with one of two replicas, the new version gets half at
most. Where nobody of one version is ready, everything goes to the other, but to the old one as long
as other hosts have replicas of it. Decides weights; it must not know when steps change.
"""

from typing import Final

from weaver.control.ingress import Table, VersionShare
from weaver.manager.rollout import facts
from weaver.manager.rollout.between import front
from weaver.manager.rollout.beyond import beyond
from weaver.manager.rollout.state import Front, State

WHOLE: Final = 10_000
"""The sum of the weights in a table."""

_ALL_NEW: Final = frozenset({"closing", "after", "warm", "retiring", "done"})
_BACK: Final = frozenset({"withdrawing", "removing", "withdrawn"})


def target(state: State) -> float:
    """The share that the new version is to have now, from 0 to 1."""
    rollout = state.rollout
    if rollout.phase in _ALL_NEW:
        return 1.0
    return step_share(state) if rollout.phase == "shifting" else 0.0


def step_share(state: State) -> float:
    """The share of the present step."""
    steps = state.plan.steps
    return steps[min(state.rollout.step, len(steps) - 1)]


def capacity(state: State, deployment: str, host: str, listener: str) -> float:
    """Ready replicas of a listener as a share of those wanted, from 0 to 1."""
    view = facts.view(state, deployment, host)
    wanted = view.wanted.get(listener, 0)
    return min(1.0, len(view.ready.get(listener, ())) / wanted) if wanted else 0.0


def share(state: State, host: str, listener: str) -> float:
    """The share that the new version really gets of a listener on a host, from 0 to 1."""
    able = capacity(state, state.rollout.new, host, listener)
    if not able or state.rollout.phase in _BACK:
        return 0.0
    if not _has_old(state, host, listener):
        return 1.0
    return min(target(state), able)


def _has_old(state: State, host: str, listener: str) -> bool:
    """Whether the ingress of a host has anybody of the old version to turn to."""
    old = state.rollout.old
    if facts.view(state, old, host).ready.get(listener):
        return True
    return front(state, listener).mode != "haproxy" and bool(beyond(state, old, host, listener))


def lacking(state: State) -> list[str]:
    """Hosts that are reached, where the new version has too few ready replicas for the step."""
    old, new, least = state.rollout.old, state.rollout.new, step_share(state)
    return [
        host
        for host in facts.reached(state)
        if any(
            capacity(state, new, host, listener) < least
            for listener in facts.view(state, new, host).wanted
            if listener in facts.view(state, old, host).wanted
        )
    ]


def table(state: State, host: str, listener: str) -> Table:
    """The table of a listener on a host, between both versions; its number is 0."""
    rollout = state.rollout
    weight = round(share(state, host, listener) * WHOLE)
    shares: list[VersionShare] = []
    if facts.old_runs(state) and rollout.phase not in {"retiring", "done"}:
        backends = facts.view(state, rollout.old, host).ready.get(listener, ())
        others = beyond(state, rollout.old, host, listener)
        shares.append(VersionShare(rollout.old, WHOLE - weight, backends, others))
    else:
        weight = WHOLE
    if rollout.phase not in _BACK:
        backends = facts.view(state, rollout.new, host).ready.get(listener, ())
        others = beyond(state, rollout.new, host, listener)
        shares.append(VersionShare(rollout.new, weight, backends, others))
    return Table(0, tuple(shares), front(state, listener).pinning)


def table_of_old(state: State, host: str, listener: str) -> Table:
    """The table of the old version's own ingress: it knows no other."""
    old = state.rollout.old
    backends = facts.view(state, old, host).ready.get(listener, ())
    pinning = state.plan.old_fronts.get(listener, Front()).pinning
    others = beyond(state, old, host, listener)
    return Table(0, (VersionShare(old, WHOLE, backends, others),), pinning)
