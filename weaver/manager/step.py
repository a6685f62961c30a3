"""The manager: one step from an event and a time to the next state and what is to be done."""

from collections.abc import Iterable

from weaver.control.messages import Fault
from weaver.manager import envelopes, load, replicas, scaling
from weaver.manager.effects import Effect
from weaver.manager.events import (
    Began,
    Broke,
    EnvelopeLost,
    Event,
    HostSaid,
    LoadMeasured,
    ReachFailed,
    ReplicaSaid,
    ScaleRequested,
    StopRequested,
    TimerFired,
    TrafficOrdered,
)
from weaver.manager.hosts import shortage
from weaver.manager.settle import overdue, settle, wanted_in
from weaver.manager.state import Envelope, State
from weaver.manager.turn import Turn


def step(state: State, event: Event, now: float) -> tuple[State, list[Effect]]:
    """The next state, and the effects in the order in which they are to be carried out.

    `now` is in seconds of a clock that does not jump back. The state given is not changed.
    """
    turn = Turn(state, now)
    if state.phase != "stopped":
        _happen(turn, event)
        settle(turn, state)
    return turn.state, turn.effects


def replay(state: State, log: Iterable[tuple[float, Event]]) -> State:
    """The state after a log of (time, event), beginning with the one that was initial."""
    for now, event in log:
        state, _ = step(state, event, now)
    return state


def _happen(turn: Turn, event: Event) -> None:
    match event:
        case Began():
            _begin(turn)
        case TimerFired(name=name):
            _fire(turn, name)
        case LoadMeasured(loads=loads):
            load.follow(turn, loads)
        case ScaleRequested() | TrafficOrdered() | StopRequested():
            _obey(turn, event)
        case Broke(fault=fault):
            turn.report("error", fault.what)
            if turn.state.phase == "starting":
                turn.fail(fault)
        case HostSaid() | ReplicaSaid() | EnvelopeLost() | ReachFailed():
            envelope = envelopes.current(turn, event.host, event.session)
            if envelope is not None:
                _hear(turn, envelope, event)


def _obey(turn: Turn, event: ScaleRequested | TrafficOrdered | StopRequested) -> None:
    match event:
        case ScaleRequested(group=group, replicas=count):
            scaling.scale(turn, group, count)
        case TrafficOrdered(traffic=traffic):
            turn.want(traffic=traffic)
        case StopRequested(at_once=at_once):
            turn.end("stopped", at_once=at_once)


def _hear(
    turn: Turn, envelope: Envelope, event: HostSaid | ReplicaSaid | EnvelopeLost | ReachFailed
) -> None:
    match event:
        case HostSaid(message=message):
            envelopes.said(turn, envelope, message)
        case ReplicaSaid(replica=replica, incarnation=incarnation, message=message):
            replicas.said(turn, envelope.host, replica, incarnation, message)
        case EnvelopeLost(reason=reason, gone=gone, silent=silent):
            envelopes.lost(turn, envelope, reason, gone=gone, silent=silent)
        case ReachFailed(fault=fault):
            envelopes.unreachable(turn, envelope, fault)


def _begin(turn: Turn) -> None:
    state = turn.state
    if state.phase == "starting":
        turn.set(until=turn.now + state.spec.waits.deploy)
        if (fault := _shortage(state)) is not None:
            turn.fail(fault)
            return
    if state.adopting:
        turn.set(adopting=turn.now + state.spec.waits.adopt)
    for envelope in state.envelopes.values():
        if envelope.session == 0:
            turn.reach(envelope)


def _shortage(state: State) -> Fault | None:
    spec = state.spec
    wanted = {name: wanted_in(state, name) for name, g in spec.groups.items() if not g.external}
    return shortage(spec.groups, spec.hosts, wanted)


def _fire(turn: Turn, name: str) -> None:
    """Act on a timer that is still set and whose time has come; others were set anew since."""
    state = turn.state
    if state.timers.get(name, float("inf")) > turn.now:
        return
    turn.set(timers={k: when for k, when in state.timers.items() if k != name})
    kind, _, subject = name.partition(":")
    match kind:
        case "deployment":
            overdue(turn)
        case "adoption":
            turn.set(adopting=0.0)
        case "envelope":
            envelopes.overdue(turn, state.envelopes[subject])
        case "trust":
            envelopes.distrust(turn, state.envelopes[subject])
        case "grace":
            envelopes.give_up(turn, state.envelopes[subject])
        case "replica":
            replicas.overdue(turn, state.replicas[subject])
        case _:
            pass
