"""What the versions did since the step began, added up from the counts that ingresses report.

Each ingress counts from its own beginning, and is followed by its differences: what it had counted
before the first report does not belong to the step, and one that counts less than before has begun
anew. Decides what belongs to a step; it must not judge it.
"""

from collections.abc import Sequence
from typing import Final

from weaver.control.ingress import VersionCounts
from weaver.control.traffic import IngressReport
from weaver.manager.rollout import analysis
from weaver.manager.rollout.state import Sample
from weaver.manager.rollout.turn import Turn
from weaver.telemetry.histogram import add

KEPT: Final = 20
"""Failed requests that are kept as evidence: the latest ones."""


def count(turn: Turn, deployment: str, host: str, report: IngressReport) -> None:
    """Keep what an ingress reports, and add what is new to the step."""
    state, place = turn.state, (deployment, host, report.listener)
    turn.set(ingress={**state.ingress, place: report})
    if deployment != state.rollout.new:
        return
    known = state.counted.get(place)
    turn.set(counted={**state.counted, place: report.counts})
    if known is not None and state.rollout.phase in {"opening", "shifting"}:
        _add(turn, known.versions, report.counts.versions)
    failures = [f for f in report.failures if f.version == state.rollout.new]
    if failures:
        turn.set(seen=(*state.seen, *failures)[-KEPT:])
    _weigh(turn)


def _add(turn: Turn, before: Sequence[VersionCounts], now: Sequence[VersionCounts]) -> None:
    window, earlier = dict(turn.state.window), {counts.version: counts for counts in before}
    for counts in now:
        sample = window.get(counts.version, Sample())
        window[counts.version] = _sum(sample, _since(earlier.get(counts.version), counts))
    turn.set(window=window)


def _since(before: VersionCounts | None, now: VersionCounts) -> Sample:
    new = Sample(now.requests, now.errors, now.aborted, now.histogram)
    if before is None or now.requests < before.requests or now.errors < before.errors:
        return new
    earlier = (*before.histogram, *(0,) * (len(now.histogram) - len(before.histogram)))
    return Sample(
        now.requests - before.requests,
        now.errors - before.errors,
        max(now.aborted - before.aborted, 0),
        tuple(max(b - a, 0) for a, b in zip(earlier, now.histogram, strict=False)),
    )


def _sum(one: Sample, other: Sample) -> Sample:
    return Sample(
        one.requests + other.requests,
        one.errors + other.errors,
        one.aborted + other.aborted,
        add(one.histogram, other.histogram),
    )


def _weigh(turn: Turn) -> None:
    """Note how loaded the old version is, and since when the new one is far more so."""
    state = turn.state
    if state.rollout.phase not in {"opening", "shifting"}:
        return
    share = 1 - analysis.mean_share(state)
    if share > 0:
        load = analysis.in_flight(state, state.rollout.old) / share
        turn.set(load=max(load, 1.0))
    crowded = analysis.crowded(turn.state)
    turn.set(saturated=(state.saturated or turn.now) if crowded else 0.0)
