"""At which listeners of a host an ingress stands between both versions while traffic shifts.

Where both are to serve users, and where only the new one is, as on a host that has joined, if the
old one has replicas elsewhere for its share. Decides where; it must not know how much each gets.
"""

from weaver.control.traffic import Traffic
from weaver.manager.rollout import facts
from weaver.manager.rollout.beyond import beyond
from weaver.manager.rollout.state import Front, State


def front(state: State, listener: str) -> Front:
    """How users reach a listener during the rollout: as the new version has it, if it does."""
    plan = state.plan
    return plan.fronts.get(listener) or plan.old_fronts.get(listener) or Front()


def between(state: State, host: str) -> list[str]:
    """The listeners of a host of which both versions have their share, where the new one serves."""
    if old := facts.view(state, state.rollout.old, host).wanted:
        return list(old)
    new = facts.view(state, state.rollout.new, host).wanted
    return [listener for listener in new if _reaches_old(state, host, listener)]


def mixed(state: State) -> list[str]:
    """The hosts where the new version is to serve, and there are such listeners."""
    new = facts.running(state, state.rollout.new)
    if new is None:
        return []
    return [host for host, view in new.hosts.items() if view.wanted and between(state, host)]


def _reaches_old(state: State, host: str, listener: str) -> bool:
    """Whether the ingress of a host has, or had, replicas of the old version on other hosts.

    When those are gone for a moment, it stays: nobody else serves there.
    """
    if front(state, listener).mode == "haproxy" or not facts.old_runs(state):
        return False
    said = state.said.get(state.rollout.new, {}).get(host, Traffic())
    return listener in said.ingress or bool(beyond(state, state.rollout.old, host, listener))
