"""What follows from the facts, after every event: orders of traffic, hooks, ends and timers.

Handlers of events change facts and phases only. Everything that is to be done is derived here by
comparing what is wanted with what was said last, so nothing depends on the order in which things
happened.
"""

import msgspec

from weaver.control.traffic import IngressOrder, Traffic
from weaver.manager.rollout import effects, facts, traffic
from weaver.manager.rollout.state import TERMINAL, State
from weaver.manager.rollout.traffic import with_number
from weaver.manager.rollout.turn import Turn
from weaver.manager.timers import changes


def settle(turn: Turn, before: State) -> None:
    """Derive all effects of a step that began with the state `before`."""
    if turn.state.rollout != before.rollout:
        turn.effects.insert(0, effects.Save(turn.state.rollout))
    if facts.known(turn.state):
        _cancel_hook(turn)
        _order(turn)
        _run_hook(turn)
        _end_versions(turn)
    _set_timers(turn)
    rollout = turn.state.rollout
    if rollout.phase in TERMINAL and not turn.state.finished:
        turn.set(finished=True)
        turn.effects.append(effects.Finished(rollout.outcome, rollout.fault, rollout.evidence))


def _order(turn: Turn) -> None:
    """Order what has changed; whoever begins to take connections is told first."""
    old, new = turn.state.rollout.old, turn.state.rollout.new
    orders: list[tuple[bool, effects.OrderTraffic]] = []
    for deployment in (new, old):
        observed = facts.running(turn.state, deployment)
        if observed is None or not _can_order(turn.state):
            continue
        derive = traffic.of_new if deployment == new else traffic.of_old
        said = turn.state.said[deployment]
        wanted = {
            host: _numbered(turn, orders_there, said.get(host))
            for host, orders_there in derive(turn.state, observed).items()
        }
        if wanted == said:
            continue
        begins = any(t.accepting and not said.get(h, t).accepting for h, t in wanted.items())
        orders.append((not begins, effects.OrderTraffic(deployment, wanted)))
    for _, order in sorted(orders, key=lambda pair: pair[0]):
        turn.set(said={**turn.state.said, order.deployment: order.traffic})
        turn.effects.append(order)


def _can_order(state: State) -> bool:
    """Not before replicas have been found again: until then, everybody looks dead.

    But to go back to a version that needs no ingress, nothing has to be known.
    """
    back = state.rollout.phase in {"withdrawing", "removing"}
    return facts.settled(state) or (back and not facts.fronted(state, state.rollout.old))


def _numbered(turn: Turn, wanted: Traffic, said: Traffic | None) -> Traffic:
    """The same with numbers for its tables: the known ones where nothing has changed."""
    ingress: dict[str, IngressOrder] = {}
    for listener, order in wanted.ingress.items():
        known = said.ingress.get(listener) if said is not None else None
        if known is not None and known == with_number(order, known.table.number):
            ingress[listener] = known
        else:
            turn.set(tables=turn.state.tables + 1)
            ingress[listener] = with_number(order, turn.state.tables)
    return msgspec.structs.replace(wanted, ingress=ingress)


def _wanted_hook(state: State) -> str:
    phase, plan = state.rollout.phase, state.plan
    if state.hooked == phase:
        return ""
    migrates = phase == "before" and plan.before and state.rollout.migrated
    return phase if migrates or (phase == "after" and plan.after) else ""


def _cancel_hook(turn: Turn) -> None:
    hook = turn.state.hook
    if hook and hook != _wanted_hook(turn.state):
        turn.set(hook="")
        turn.effects.append(effects.CancelHook("before" if hook == "before" else "after"))


def _run_hook(turn: Turn) -> None:
    hook = _wanted_hook(turn.state)
    if hook and not turn.state.hook:
        turn.set(hook=hook)
        turn.effects.append(effects.RunHook("before" if hook == "before" else "after"))


def _end_versions(turn: Turn) -> None:
    rollout = turn.state.rollout
    leaving = {"retiring": rollout.old, "removing": rollout.new}.get(rollout.phase, "")
    if leaving and leaving not in turn.state.ending:
        turn.set(ending=(*turn.state.ending, leaving))
        turn.effects.append(effects.EndVersion(leaving))


def _set_timers(turn: Turn) -> None:
    """Every wait has a time at which it has lasted too long, and every such time has a timer."""
    state = turn.state
    wanted = {
        "phase": state.until,
        "step": state.pausing,
        "capacity": state.short,
        "ingress": state.deaf,
    }
    timers = {name: when for name, when in wanted.items() if when}
    turn.effects += changes(state.timers, timers)
    if timers != state.timers:
        turn.set(timers=timers)
