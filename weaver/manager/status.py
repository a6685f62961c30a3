"""The state of a deployment as people and programs are shown it: `weaver status`."""

from weaver.control.operator import (
    DeploymentReport,
    GroupReport,
    ListenerReport,
    ReplicaReport,
)
from weaver.manager.envelopes import reachable
from weaver.manager.scaling import number_of
from weaver.manager.settle import wanted_in
from weaver.manager.state import Replica, State


def report(state: State, *, started: float = 0.0, traffic: float = 1.0) -> DeploymentReport:
    """The deployment now. `started` in seconds since the epoch, `traffic` from 0 to 1."""
    application = state.spec.application
    return DeploymentReport(
        app=application.app,
        version=application.version,
        deployment=application.deployment,
        state=_state(state),
        traffic=traffic,
        started=started,
        groups=tuple(_group(state, name) for name in state.spec.groups),
        listeners=_listeners(state),
        hosts={envelope.host: envelope.reach for envelope in state.envelopes.values()},
        fault=state.fault,
    )


def _state(state: State) -> str:
    return "failed" if state.result == "failed" else state.phase


def _group(state: State, name: str) -> GroupReport:
    own = (r for r in state.replicas.values() if r.group == name)
    return GroupReport(
        name=name,
        components=state.spec.groups[name].components,
        wanted=wanted_in(state, name),
        replicas=tuple(_replica(state, r) for r in sorted(own, key=lambda r: number_of(r.id))),
    )


def _replica(state: State, replica: Replica) -> ReplicaReport:
    stage = "crash loop" if replica.crash_loop and replica.stage != "ready" else replica.stage
    if state.envelopes[replica.host].distrusted:
        stage = "lost"  # whatever is to become of it
    return ReplicaReport(
        id=replica.id,
        pid=replica.pid,
        host=replica.host,
        state=stage,
        restarts=replica.restarts,
        started=replica.started,
    )


def _listeners(state: State) -> tuple[ListenerReport, ...]:
    """Where users are served: an envelope holds no more what none of its replicas is to serve."""
    served = {
        (slot.host, name)
        for slot in state.desired.slots.values()
        for name in state.spec.groups[slot.group].listeners
    }
    found = {
        (name, reachable(state, envelope.host, address))
        for envelope in state.envelopes.values()
        for name, address in envelope.listeners.items()
        if (envelope.host, name) in served and not envelope.distrusted
    }
    tls = {name for group in state.spec.groups.values() for name in group.tls}
    return tuple(
        ListenerReport(name, address, "https" if name in tls else "http")
        for name, address in sorted(found)
    )
