"""What can be read from the facts: which versions run, on which hosts they meet, who serves.

Decides how observations are understood. It must not know what is done about them.
"""

from collections.abc import Iterable, Mapping

from weaver.control.traffic import Traffic
from weaver.manager.observed import HostView, Observed
from weaver.manager.rollout.state import State

NOWHERE = HostView()


def running(state: State, deployment: str) -> Observed | None:
    """A version that has not begun to end, if it has been observed."""
    observed = state.observed.get(deployment)
    if observed is None or observed.phase not in {"starting", "live"}:
        return None
    return observed


def old_runs(state: State) -> bool:
    """Whether there is a version to go back to."""
    return running(state, state.rollout.old) is not None


def known(state: State) -> bool:
    """Whether both versions have been observed."""
    rollout = state.rollout
    return rollout.new in state.observed and (not rollout.old or rollout.old in state.observed)


def settled(state: State) -> bool:
    """Whether both are known, and what an earlier manager had started has been found again."""
    return known(state) and all(
        observed.settled
        for observed in state.observed.values()
        if observed.phase in {"starting", "live"}
    )


def view(state: State, deployment: str, host: str) -> HostView:
    """A version on a host; it is nowhere if it does not run."""
    observed = running(state, deployment)
    return NOWHERE if observed is None else observed.hosts.get(host, NOWHERE)


def meeting(state: State) -> list[str]:
    """The hosts where both versions are to serve users: traffic shifts there, and nowhere else."""
    new = running(state, state.rollout.new)
    if new is None:
        return []
    return [
        host
        for host, mine in new.hosts.items()
        if mine.wanted and view(state, state.rollout.old, host).wanted
    ]


def reached(state: State) -> list[str]:
    """Those of them that take orders now, of both versions."""
    old, new = state.rollout.old, state.rollout.new
    return [
        host
        for host in meeting(state)
        if view(state, old, host).attached and view(state, new, host).attached
    ]


def able(observed: Observed) -> bool:
    """Whether a version has ready replicas on some host that is reached, or serves no listener."""
    serving = [view for view in observed.hosts.values() if view.wanted]
    return not serving or any(view.attached and any(view.ready.values()) for view in serving)


def fronted(state: State, deployment: str) -> bool:
    """Whether an ingress stands before all of a version's listeners for good.

    One that is not shared is enough: replicas take connections from all listeners or from none.
    """
    plan = state.plan
    fronts = plan.fronts if deployment == state.rollout.new else plan.old_fronts
    return any(front.mode != "shared" for front in fronts.values())


def serves(state: State, deployment: str, host: str, listeners: Iterable[str]) -> bool:
    """Whether the ingress of a version takes connections on a host, for each of the listeners."""
    reports = (state.ingress.get((deployment, host, listener)) for listener in listeners)
    return all(report is not None and report.serving > 0 for report in reports)


def deaf(state: State) -> list[str]:
    """Hosts that are reached, and where the ingress does not take the old version's connections."""
    old, new = state.rollout.old, state.rollout.new
    return [
        host
        for host in reached(state)
        if not serves(state, new, host, view(state, old, host).wanted)
    ]


def undrained(state: State, deployment: str, wanted: Mapping[str, Traffic]) -> list[str]:
    """Attached hosts where an ingress that is no longer wanted has not ended."""
    return sorted(
        {
            host
            for (owner, host, listener), report in state.ingress.items()
            if owner == deployment
            and (report.serving or report.draining)
            and view(state, deployment, host).attached
            and listener not in wanted[host].ingress
        }
    )
