"""A rollout as people and programs are shown it: phases, weights, and both versions side by side.

Decides how a rollout's state is read; it changes nothing.
"""

from collections.abc import Mapping

from weaver.control.rollout import RolloutReport, VersionReport
from weaver.manager.rollout import shares
from weaver.manager.rollout.between import between, mixed
from weaver.manager.rollout.facts import old_runs
from weaver.manager.rollout.state import Sample, State
from weaver.manager.settle import wanted_in
from weaver.manager.state import State as Version
from weaver.telemetry.histogram import quantile


def report(state: State, versions: Mapping[str, Version], now: float) -> RolloutReport:
    """The rollout now, without log lines; times are of the clock of `now`.

    `versions` are the machines of those that run under this manager, by their deployments.
    """
    rollout = state.rollout
    application = versions[rollout.new].spec.application
    shown = [name for name in (rollout.new, rollout.old) if name in versions]
    return RolloutReport(
        app=application.app,
        phase=rollout.phase,
        held=rollout.held,
        step=rollout.step,
        steps=state.plan.steps,
        next_at=_next(state),
        outcome=rollout.outcome,
        verdict=rollout.fault,
        versions=tuple(_version(state, name, versions[name], now) for name in shown),
        evidence=rollout.evidence,
    )


def share(state: State, deployment: str) -> float:
    """The share of users' requests that a version gets now, from 0 to 1."""
    rollout = state.rollout
    if deployment not in {rollout.old, rollout.new}:
        return 0.0
    if not rollout.old or not old_runs(state):
        return 1.0 if deployment == rollout.new else 0.0
    new = shares.target(state)
    if rollout.phase == "shifting":
        found = [
            shares.share(state, host, listener)
            for host in mixed(state)
            for listener in between(state, host)
        ]
        new = sum(found) / len(found) if found else new
    return new if deployment == rollout.new else 1.0 - new


def _version(state: State, deployment: str, version: Version, now: float) -> VersionReport:
    sample = state.window.get(deployment, Sample())
    passed = now - state.began
    in_flight = sum(
        counts.in_flight
        for said in state.ingress.values()
        for counts in said.counts.versions
        if counts.version == deployment
    )
    return VersionReport(
        deployment=deployment,
        version=version.spec.application.version,
        weight=share(state, deployment),
        ready=sum(replica.stage == "ready" for replica in version.replicas.values()),
        settled=not version.adopting,
        wanted=sum(wanted_in(version, group) for group in version.spec.groups),
        requests=sample.requests,
        errors=sample.errors,
        in_flight=in_flight,
        rate=sample.requests / passed if state.began and passed > 0 else 0.0,
        p50=quantile(sample.histogram, 0.5),
        p99=quantile(sample.histogram, 0.99),
    )


def _next(state: State) -> float:
    """When it goes on by itself, 0 for no such time."""
    if state.rollout.held:
        return 0.0
    if state.rollout.phase == "shifting":
        return state.pausing
    return state.until if state.rollout.phase == "warm" else 0.0
