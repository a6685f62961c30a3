"""What people may do to a rollout, and when: the commands, and why one is refused."""

from typing import Final

from weaver.control.messages import Fault
from weaver.manager.rollout import facts, phases
from weaver.manager.rollout.events import Action
from weaver.manager.rollout.state import Outcome, State
from weaver.manager.rollout.turn import Turn

_AHEAD: Final = frozenset({"starting", "before", "opening", "shifting"})
_OUTCOMES: Final[dict[str, Outcome]] = {
    "rollback": "rolled back",
    "abort": "aborted",
    "supersede": "superseded",
}


def refusal(state: State, action: Action) -> Fault | None:
    """Why a command cannot be carried out now, or None if it can."""
    if state.rollout.phase in {"withdrawing", "removing", "withdrawn"}:
        if action in _OUTCOMES:
            return None  # it is what happens anyway
        over = state.rollout.phase == "withdrawn"
        does = "has been taken back" if over else "is being taken back"
        return Fault(f"{state.rollout.new} {does}", fix="deploy it again")
    match action:
        case "pause" | "resume" | "promote":
            return _not_ahead(state, action)
        case "rollback":
            return _gone(state)
        case "abort":
            return _gone(state) if state.rollout.phase in _AHEAD else _moved(state)
        case "supersede":
            return None


def _not_ahead(state: State, action: Action) -> Fault | None:
    rollout = state.rollout
    if action == "promote" and rollout.phase == "warm":
        return None  # it ends the wait
    if rollout.phase not in _AHEAD:
        why = f"{rollout.new} serves everybody already"
        return Fault(f"there is nothing to {action}", why=why)
    if action == "resume" and not rollout.held:
        return Fault("there is nothing to resume", why="the rollout is not paused")
    return None


def _moved(state: State) -> Fault:
    new, fix = state.rollout.new, "`weaver rollback` takes it back"
    if not facts.old_runs(state):
        fix = "`weaver rollback VERSION` deploys one that is kept; `weaver stop` ends it"
    return Fault(f"{new} serves everybody already", fix=fix)


def _gone(state: State) -> Fault | None:
    rollout = state.rollout
    if rollout.phase in {"retiring", "done"}:
        return Fault(
            f"{rollout.old or 'an earlier version'} does not run any more",
            why=f"the rollout of {rollout.new} is over",
            fix="`weaver rollback VERSION` deploys one that is kept",
        )
    first = not rollout.old and rollout.phase in _AHEAD
    if facts.known(state) and not facts.old_runs(state) and not first:
        return Fault("there is no version to go back to", fix="`weaver history` shows all")
    return None


def steer(turn: Turn, action: Action) -> None:
    """Carry out a command; one that is refused is only reported."""
    fault = refusal(turn.state, action)
    if fault is not None:
        turn.report("refused", f"{action}: {fault.what}")
        return
    turn.report("steered", action)
    match action:
        case "pause":
            turn.decide(held=True)
        case "resume":
            turn.decide(held=False)
            _rearm(turn)
        case "promote" if turn.state.rollout.phase == "warm":
            turn.set(watched=True)  # it ends at once, unless some host needs the old version
        case "supersede" if turn.state.rollout.phase == "warm":
            phases.enter(turn, "retiring")
        case "promote":
            turn.decide(held=False, promoted=True)
            if turn.state.rollout.phase == "shifting":
                phases.shift(turn, len(turn.state.plan.steps) - 1)
            else:
                _rearm(turn)
        case "rollback" | "abort" | "supersede":
            phases.withdraw(turn, _OUTCOMES[action])


def _rearm(turn: Turn) -> None:
    """It may have been held for longer than the ingress, or a hook that begins now, may take."""
    rollout = turn.state.rollout
    if rollout.phase == "opening" or (rollout.phase == "before" and not rollout.migrated):
        phases.rearm(turn)
