"""A rollout: one step from an event and a time to the next state and what is to be done."""

from collections.abc import Iterable

import msgspec

from weaver.control.messages import Fault
from weaver.manager.observed import Observed
from weaver.manager.rollout import bounds, counting, effects, facts, judging, phases
from weaver.manager.rollout.effects import Effect
from weaver.manager.rollout.events import (
    Began,
    Event,
    HookEnded,
    IngressReported,
    Steered,
    TimerFired,
    VersionObserved,
)
from weaver.manager.rollout.settle import settle
from weaver.manager.rollout.state import State
from weaver.manager.rollout.steering import steer
from weaver.manager.rollout.turn import Turn


def step(state: State, event: Event, now: float) -> tuple[State, list[Effect]]:
    """The next state, and the effects in the order in which they are to be carried out.

    `now` is in seconds of a clock that does not jump back. The state given is not changed.
    """
    turn = Turn(state, now)
    if state.fenced:
        return state, []
    _happen(turn, event)
    if _is_fenced(turn.state):
        turn.set(fenced=True, finished=True, timers={})
        return turn.state, [*map(effects.CancelTimer, state.timers), effects.Finished("fenced")]
    if facts.known(turn.state):
        judging.judge(turn)
        phases.advance(turn)
        judging.limit(turn)
    settle(turn, state)
    if isinstance(event, Began) and turn.state.rollout == state.rollout:
        turn.effects.insert(0, effects.Save(turn.state.rollout))
    return turn.state, turn.effects


def replay(state: State, log: Iterable[tuple[float, Event]]) -> State:
    """The state after a log of (time, event), beginning with the one that was initial."""
    for now, event in log:
        state, _ = step(state, event, now)
    return state


def _is_fenced(state: State) -> bool:
    return any(observed.result == "fenced" for observed in state.observed.values())


def _happen(turn: Turn, event: Event) -> None:
    match event:
        case Began():
            _begin(turn)
        case TimerFired(name=name):
            _fire(turn, name)
        case VersionObserved(deployment=deployment, observed=observed):
            _observe(turn, deployment, observed)
        case IngressReported(deployment=deployment, host=host, report=report):
            counting.count(turn, deployment, host, report)
        case HookEnded(which=which, fault=fault, lines=lines):
            if turn.state.hook == which:
                turn.set(hook="")
                phases.ended(turn, which, _with_lines(fault, lines))
        case Steered(action=action):
            steer(turn, action)


def _begin(turn: Turn) -> None:
    """Go on at the phase that was saved; a hook that may have run is not run again."""
    phase, plan, rollout = turn.state.rollout.phase, turn.state.plan, turn.state.rollout
    if phase == "before" and plan.before and (rollout.migrated or not rollout.held):
        why = "the manager ended while it ran, and whether it has ended is not known"
        fix = "look what it did, and deploy again"
        turn.set(hooked="before")
        phases.withdraw(turn, "failed", Fault("the before hook was interrupted", why=why, fix=fix))
        return
    if phase == "after" and plan.after:
        turn.set(hooked="after")
        turn.report("hook failed", "the after hook may have been interrupted; it is not run again")
    phases.rearm(turn)


def _fire(turn: Turn, name: str) -> None:
    """Act on a timer that is still set and whose time has come; others were set anew since."""
    state = turn.state
    if state.timers.get(name, float("inf")) > turn.now:
        return
    turn.set(timers={k: when for k, when in state.timers.items() if k != name})
    match name:
        case "phase":
            bounds.overdue(turn)
        case "step":
            turn.set(pausing=0.0, watched=True)
        case "capacity":
            judging.too_few(turn)
        case "ingress":
            judging.unserved(turn)
        case _:
            pass


def _observe(turn: Turn, deployment: str, observed: Observed) -> None:
    state = turn.state
    if deployment not in {state.rollout.old, state.rollout.new}:
        return
    if deployment not in state.observed:
        orders = (o for t in observed.traffic.values() for o in t.ingress.values())
        last = max((order.table.number for order in orders), default=0)
        turn.set(said={**state.said, deployment: observed.traffic}, tables=max(state.tables, last))
    turn.set(observed={**state.observed, deployment: observed})
    # What is lost with all its replicas, or was, takes no connections, whatever it said last.
    lost = {
        host
        for host, view in observed.hosts.items()
        if not any(view.ready.values())
        and not (view.attached and facts.view(state, deployment, host).attached)
    }
    reports = {
        place: report
        for place, report in state.ingress.items()
        if place[0] != deployment or place[1] not in lost
    }
    if len(reports) != len(state.ingress):
        turn.set(ingress=reports)


def _with_lines(fault: Fault | None, lines: tuple[str, ...]) -> Fault | None:
    text = "\n".join(lines)
    if fault is None or text in fault.why:
        return fault
    why = f"{fault.why}; its last lines:\n{text}" if fault.why else f"its last lines:\n{text}"
    return msgspec.structs.replace(fault, why=why)
