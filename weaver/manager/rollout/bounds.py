"""What happens when a phase has lasted for as long as it may: every wait of a rollout ends here.

Decides what follows; it must not know how long that is.
"""

from weaver.control.messages import Fault
from weaver.manager.rollout import facts, phases, traffic
from weaver.manager.rollout.turn import Turn


def overdue(turn: Turn) -> None:
    """The present phase has lasted for as long as it may."""
    state = turn.state
    turn.set(until=0.0)
    match state.rollout.phase:
        case "before" | "after" as hook:
            seconds = state.plan.waits.hook
            phases.ended(turn, hook, Fault(f"the {hook} hook has not ended within {seconds:g} s"))
        case "opening":
            phases.withdraw(turn, "failed", _not_serving(turn))
        case "closing":
            _closing(turn)
        case "warm":
            _warm(turn)
        case "withdrawing":
            _withdrawing(turn)
        case "retiring":
            turn.report("not ended", f"{state.rollout.old} is not heard to have ended")
            phases.end(turn, "done")
        case "removing":
            turn.report("not ended", f"{state.rollout.new} is not heard to have ended")
            phases.end(turn, "withdrawn")
        case _:
            pass


def _closing(turn: Turn) -> None:
    if not facts.old_runs(turn.state):
        phases.withdraw(turn, "failed", _not_serving(turn))
        return
    turn.report("not drained", "the ingress has not ended in time; the rollout goes on")
    phases.enter(turn, "after")


def _warm(turn: Turn) -> None:
    """The old version is stopped only where the new one serves what it shall."""
    late = traffic.unrelieved(turn.state)
    if not late:
        phases.enter(turn, "retiring")
        return
    turn.report("waiting", f"{turn.state.rollout.old} still serves on {', '.join(late)}")
    turn.set(until=turn.now + turn.state.plan.waits.closing, watched=True)


def _withdrawing(turn: Turn) -> None:
    """The new version is stopped only where it stands before nobody."""
    state = turn.state
    if not facts.settled(state):
        phases.rearm(turn)  # the old version may not have been told anything yet
        return
    if hosts := traffic.bridged(state):
        turn.report("waiting", f"{state.rollout.old} does not serve yet on {', '.join(hosts)}")
        phases.rearm(turn)
        return
    turn.report("not drained", "the ingress has not ended in time; its version is stopped")
    phases.enter(turn, "removing")


def _not_serving(turn: Turn) -> Fault:
    state, new = turn.state, turn.state.rollout.new
    hosts = facts.deaf(state) if state.rollout.phase == "opening" else []
    seconds = state.plan.waits.opening
    where = ", ".join(hosts) or ", ".join(facts.meeting(state))
    return Fault(
        f"the ingress of {new} has not taken connections",
        where=where,
        why=f"it did not say that it serves within {seconds:g} s",
        fix="`weaver events` shows what its envelopes reported",
    )
