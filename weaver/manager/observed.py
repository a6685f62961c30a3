"""What a rollout must know of one version: where it can serve users, and whether it goes wrong.

Decides which facts of a version's machine matter to users' traffic. It must not know that there is
another version.
"""

import msgspec

from weaver.control.ingress import Backend
from weaver.control.messages import Fault
from weaver.control.traffic import Traffic
from weaver.manager.scaling import number_of
from weaver.manager.state import Phase, Result, State


class CrashLoop(msgspec.Struct, frozen=True):
    """A replica that ends again and again, and why it ended last."""

    replica: str
    fault: Fault | None = None


class HostView(msgspec.Struct, frozen=True):
    """One version on one host. `attached`: its envelope takes orders now.

    `wanted` maps listeners to how many replicas are to serve them there, `ready` to those that do,
    at the address where an ingress of the host reaches them; `beyond` those that do at that for an
    ingress of other hosts.
    """

    attached: bool = False
    wanted: dict[str, int] = {}
    ready: dict[str, tuple[Backend, ...]] = {}
    beyond: dict[str, tuple[Backend, ...]] = {}


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """One version now. `settled`: what an earlier manager had started has been found again.

    `traffic` is what the version's envelopes have been ordered last.
    """

    phase: Phase
    result: Result = ""
    fault: Fault | None = None
    settled: bool = True
    hosts: dict[str, HostView] = {}
    traffic: dict[str, Traffic] = {}
    crash_loop: CrashLoop | None = None


def observe(state: State) -> Observed:
    """The version now. Equal values mean that nothing a rollout asks for has changed."""
    return Observed(
        phase=state.phase,
        result=state.result,
        fault=state.fault,
        settled=not state.adopting,
        hosts={host: _host(state, host) for host in state.spec.hosts},
        traffic=state.desired.traffic,
        crash_loop=_crash_loop(state),
    )


def _host(state: State, host: str) -> HostView:
    wanted: dict[str, int] = {}
    for slot in state.desired.slots.values():
        if slot.host == host and slot.group in state.spec.groups:
            for listener in state.spec.groups[slot.group].listeners:
                wanted[listener] = wanted.get(listener, 0) + 1
    ready: dict[str, tuple[Backend, ...]] = {}
    beyond: dict[str, tuple[Backend, ...]] = {}
    own = [r for r in state.replicas.values() if r.host == host and r.stage == "ready"]
    for replica in sorted(own, key=lambda r: (r.group, number_of(r.id))):
        for listener in state.spec.groups[replica.group].listeners:
            if address := replica.serving.get(listener):
                ready[listener] = (*ready.get(listener, ()), Backend(replica.id, address))
            if address := replica.beyond.get(listener):
                beyond[listener] = (*beyond.get(listener, ()), Backend(replica.id, address))
    attached = state.envelopes[host].reach == "attached"
    return HostView(attached, wanted, ready, beyond)


def _crash_loop(state: State) -> CrashLoop | None:
    for replica in state.replicas.values():
        if replica.crash_loop and replica.stage not in {"ready", "stopping"}:
            return CrashLoop(replica.id, replica.fault)
    return None
