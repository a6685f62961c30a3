"""When a rollout goes from one phase to the next, and how each one begins.

Decides the order of phases and what ends each. It must not know what is ordered in them.
"""

from collections.abc import Callable, Mapping

from weaver.control.messages import Fault
from weaver.manager.rollout import facts, shares, traffic
from weaver.manager.rollout.state import Outcome, Phase, Rollout, Sample
from weaver.manager.rollout.turn import Turn

WITHDRAWABLE = frozenset({"starting", "before", "opening", "shifting", "closing", "after", "warm"})
"""Phases in which the old version, if there is one, still runs: everything can be taken back."""


def advance(turn: Turn) -> None:
    """Go through all phases that are over."""
    while _over(turn):
        pass


def enter(turn: Turn, phase: Phase) -> None:
    """Begin a phase."""
    turn.decide(phase=phase)
    turn.report(phase, _text(turn.state.rollout, turn.state.plan.steps))
    rearm(turn)


def rearm(turn: Turn) -> None:
    """Set the waits of the present phase as at its beginning."""
    waits, phase = turn.state.plan.waits, turn.state.rollout.phase
    bounds: Mapping[str, float] = {
        "before": waits.hook if turn.state.plan.before else 0.0,
        "opening": waits.opening,
        "closing": waits.closing,
        "after": waits.hook if turn.state.plan.after else 0.0,
        "warm": turn.state.plan.keep_warm or waits.closing,
        "retiring": waits.ending,
        "withdrawing": waits.closing,
        "removing": waits.ending,
    }
    seconds = bounds.get(phase, 0.0)
    turn.set(
        until=turn.now + seconds if seconds else 0.0,
        pausing=0.0,
        watched=False,
        short=0.0,
        deaf=0.0,
        saturated=0.0,
    )
    if phase == "shifting":
        _watch(turn)


def withdraw(turn: Turn, outcome: Outcome, fault: Fault | None = None) -> None:
    """Take it back: the old version serves everybody again, and the new one is stopped."""
    if turn.state.rollout.phase not in WITHDRAWABLE:
        return
    turn.decide(
        outcome=outcome,
        fault=fault,
        evidence=turn.state.seen,
        held=False,
    )
    enter(turn, "withdrawing")


def ended(turn: Turn, hook: str, fault: Fault | None) -> None:
    """A hook has ended, or has run for too long. One after the steps cannot take anything back."""
    turn.set(hooked=hook)
    if fault is None:
        return
    if hook == "before":
        withdraw(turn, "failed", fault)
    else:
        turn.report("hook failed", fault.what)
        turn.decide(fault=fault)


def shift(turn: Turn, step: int) -> None:
    """Begin a step."""
    turn.decide(step=step)
    enter(turn, "shifting")


def _watch(turn: Turn) -> None:
    """Count from now on, and keep what the old version did while it still got requests."""
    state = turn.state
    turn.set(
        pausing=0.0 if state.rollout.promoted else turn.now + state.plan.pause,
        window={},
        began=turn.now,
        baseline=_longer(state.baseline, state.window.get(state.rollout.old, Sample())),
    )


def _longer(kept: Sample, new: Sample) -> Sample:
    """The newer sample, unless it says hardly anything beside the one before."""
    return new if new.requests * 10 >= kept.requests else kept


def _over(turn: Turn) -> bool:
    """Go to the next phase if this one is over; whether it was."""
    check = _CHECKS.get(turn.state.rollout.phase)
    return check is not None and facts.settled(turn.state) and check(turn)


def _starting(turn: Turn) -> bool:
    new = facts.running(turn.state, turn.state.rollout.new)
    if new is None or new.phase != "live":
        return False
    enter(turn, "before")
    return True


def _before(turn: Turn) -> bool:
    state = turn.state
    migrates = state.plan.before and state.hooked != "before"
    if migrates and not (state.rollout.migrated or state.rollout.held):
        turn.decide(migrated=True)
    if migrates and turn.state.rollout.migrated:
        return False
    if state.until:
        turn.set(until=0.0)
    if state.rollout.held:
        return False
    enter(turn, "opening" if facts.meeting(turn.state) else "closing")
    return True


def _opening(turn: Turn) -> bool:
    state = turn.state
    if not facts.meeting(state):
        enter(turn, "closing")
        return True
    if not facts.reached(state) or facts.deaf(state):
        return False
    if state.rollout.held:
        turn.set(until=0.0)
        return False
    shift(turn, len(state.plan.steps) - 1 if state.rollout.promoted else 0)
    return True


def _shifting(turn: Turn) -> bool:
    state = turn.state
    if not facts.meeting(state):
        enter(turn, "closing")
        return True
    if state.rollout.held or not (state.watched or state.rollout.promoted):
        return False
    if not facts.reached(state) or facts.deaf(state) or shares.lacking(state):
        return False
    if state.rollout.step + 1 < len(state.plan.steps):
        shift(turn, state.rollout.step + 1)
    else:
        enter(turn, "closing")
    return True


def _closing(turn: Turn) -> bool:
    state, new = turn.state, turn.state.rollout.new
    observed = facts.running(state, new)
    if observed is None or not facts.able(observed):
        return False
    if facts.undrained(state, new, traffic.of_new(state, observed)):
        return False
    if not traffic.followed(state, observed):
        return False  # an ingress may still send requests to the old version
    enter(turn, "after")
    return True


def _after(turn: Turn) -> bool:
    state = turn.state
    if state.plan.after and state.hooked != "after":
        return False
    if facts.old_runs(state):
        enter(turn, "warm")
    else:
        end(turn, "done")
    return True


def _warm(turn: Turn) -> bool:
    state = turn.state
    kept = state.plan.keep_warm and not state.watched
    if facts.old_runs(state) and (kept or traffic.unrelieved(state)):
        return False
    enter(turn, "retiring")
    return True


def _retiring(turn: Turn) -> bool:
    old = turn.state.observed.get(turn.state.rollout.old)
    if old is not None and old.phase != "stopped":
        return False
    end(turn, "done")
    return True


def _withdrawing(turn: Turn) -> bool:
    state, new = turn.state, turn.state.rollout.new
    observed = facts.running(state, new)
    if observed is not None:
        wanted = traffic.of_new(state, observed)
        if any(t.ingress or t.accepting for t in wanted.values()):
            return False
        if facts.undrained(state, new, wanted):
            return False
    enter(turn, "removing")
    return True


def _removing(turn: Turn) -> bool:
    if turn.state.observed[turn.state.rollout.new].phase != "stopped":
        return False
    end(turn, "withdrawn")
    return True


def end(turn: Turn, phase: Phase) -> None:
    """The rollout is over: "done" or "withdrawn"."""
    if phase == "done":
        turn.decide(outcome="promoted")
    enter(turn, phase)


_CHECKS: Mapping[str, Callable[[Turn], bool]] = {
    "starting": _starting,
    "before": _before,
    "opening": _opening,
    "shifting": _shifting,
    "closing": _closing,
    "after": _after,
    "warm": _warm,
    "retiring": _retiring,
    "withdrawing": _withdrawing,
    "removing": _removing,
}


def _text(rollout: Rollout, steps: tuple[float, ...]) -> str:
    old, new = rollout.old, rollout.new
    why = rollout.fault.what if rollout.fault is not None else rollout.outcome
    texts: Mapping[str, str] = {
        "before": f"{new} is live",
        "opening": f"an ingress begins between {old} and {new}",
        "shifting": f"{new} gets {steps[rollout.step]:.1%} of the requests",
        "closing": f"{new} takes all connections",
        "after": f"{new} serves everybody",
        "warm": f"{old} runs on for a rollback",
        "retiring": f"{old} is stopped",
        "done": f"{new} is the version that serves",
        "withdrawing": f"{new} is taken back: {why}",
        "removing": f"{new} is stopped",
        "withdrawn": f"{new} has been taken back: {why}",
    }
    return texts.get(rollout.phase, "")
