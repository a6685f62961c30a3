"""Whether the new version fails where the old one does not: the comparison during a step.

Both versions are compared over the same time, since the step began, under the same traffic; when
the old one gets none any more (the last step), with what it did in the step before. What is as bad
in the old version is no reason. Three things are looked at with every report of an ingress:

- errors: a sequential two-proportion test, whether the new rate exceeds the old one by more than
  `abort_on.error_rate`. A version that fails half of its requests is found after about ten of them.
- latency: `weaver.manager.rollout.latency`, from fifty requests on.
- saturation: requests in flight that grow without ending, which neither of the others sees.

`LEVEL` is the probability with which a version that is no worse is taken back by one of the first
two within one step, however long it lasts and however often it is looked at; over a rollout of four
steps it is below one in a thousand. That holds where requests fail independently. What hits both
versions at once (a slow database, a full disk) shows in both, and so does not count.
"""

import math
from typing import Final

from weaver.control.ingress import VersionCounts
from weaver.control.messages import Fault
from weaver.manager.rollout import facts, shares
from weaver.manager.rollout.between import between, mixed
from weaver.manager.rollout.latency import evidence_of_slowness
from weaver.manager.rollout.sequential import evidence_above, evidence_of_excess
from weaver.manager.rollout.state import Sample, State
from weaver.telemetry.histogram import quantile

LEVEL: Final = 1e-4
NATS: Final = math.log(1 / LEVEL)

ALONE: Final = 0.1
"""Most errors of a new version that there is nothing to compare with."""

CROWD: Final = 32
"""Requests in flight for each ready replica, below which nothing is too many."""
CROWDED: Final = 10.0
"""How many times as many as the old version has for the same share are too many."""
PATIENCE: Final = 5.0
"""Seconds for which there must have been too many."""


def verdict(state: State, now: float) -> Fault | None:
    """Why the new version should be taken back now, or None."""
    new = state.window.get(state.rollout.new, Sample())
    return _errors(state, new) or _latency(state, new) or _saturation(state, now)


def reference(state: State) -> Sample:
    """What the old version did: in this step, or in the last one in which it got requests."""
    if mean_share(state) >= 1:
        return state.baseline
    return state.window.get(state.rollout.old, Sample())


def in_flight(state: State, deployment: str) -> int:
    """Requests that are being answered now, on all hosts; tunnels are among them."""
    return sum(counts.in_flight for counts in _latest(state, deployment))


def crowded(state: State) -> bool:
    """Whether the new version has far more requests in flight than its share of them explains."""
    rollout = state.rollout
    ready = sum(
        len(backends)
        for host in facts.reached(state)
        for backends in facts.view(state, rollout.new, host).ready.values()
    )
    share = mean_share(state)
    pending = in_flight(state, rollout.new)
    if not share or not state.load or pending < CROWD * max(ready, 1):
        return False
    return pending / share > CROWDED * state.load


def mean_share(state: State) -> float:
    """The share of the new version over all hosts and listeners of which both have their share."""
    found = [
        shares.share(state, host, listener)
        for host in mixed(state)
        for listener in between(state, host)
    ]
    return sum(found) / len(found) if found else shares.target(state)


def _latest(state: State, deployment: str) -> list[VersionCounts]:
    return [
        counts
        for (owner, _, _), report in state.ingress.items()
        if owner == state.rollout.new
        for counts in report.counts.versions
        if counts.version == deployment
    ]


def _errors(state: State, new: Sample) -> Fault | None:
    old, most = reference(state), state.plan.error_rate
    name = state.rollout.new
    if mean_share(state) >= 1 and not old.requests:
        if evidence_above(new.errors, new.requests, max(most, ALONE)) < NATS:
            return None
        why = f"{new.errors} of {new.requests}, and there is nothing to compare with"
    else:
        evidence = evidence_of_excess(old.errors, old.requests, new.errors, new.requests, most)
        if evidence < NATS:
            return None
        why = (
            f"{new.errors} of {new.requests} against {old.errors} of {old.requests} of "
            f"{state.rollout.old}, and [rollout] abort_on.error_rate admits {most:.2%} more"
        )
    rate = new.errors / new.requests
    fix = "correct the new version; `weaver history` keeps the failed requests"
    return Fault(f"{name} fails {rate:.1%} of its requests", why=why, fix=fix)


def _latency(state: State, new: Sample) -> Fault | None:
    old, factor = reference(state), state.plan.p99_factor
    if evidence_of_slowness(old.histogram, new.histogram, factor) < NATS:
        return None
    slow, fast = quantile(new.histogram, 0.99), quantile(old.histogram, 0.99)
    return Fault(
        f"{state.rollout.new} is slower than {state.rollout.old}",
        why=f"99 % of its requests take up to {slow * 1000:.3g} ms, against {fast * 1000:.3g} ms, "
        f"and [rollout] abort_on.p99_factor is {factor:g}",
        fix="correct the new version, or admit a larger factor",
    )


def _saturation(state: State, now: float) -> Fault | None:
    if not state.saturated or now - state.saturated < PATIENCE:
        return None
    pending = in_flight(state, state.rollout.new)
    return Fault(
        f"{state.rollout.new} does not answer: {pending} requests wait for it",
        why=f"for its share of the requests, {state.rollout.old} has a tenth of that at most",
        fix="`weaver logs` shows what its replicas did",
    )
