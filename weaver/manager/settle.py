"""What follows from the facts, after every event: decisions, routing, orders and timers.

Handlers of events change facts only. Everything that is to be done is derived here by comparing
what is with what was said last, so nothing depends on the order in which things happened.
"""

import msgspec

from weaver.control.messages import Application, Fault, GroupOrder, Orders
from weaver.control.traffic import IngressOrder, Traffic
from weaver.manager import effects
from weaver.manager.ending import advance, proceed
from weaver.manager.envelopes import withdraw
from weaver.manager.placement import Group
from weaver.manager.plan import plan
from weaver.manager.routes import publish
from weaver.manager.state import Spec, State
from weaver.manager.timers import changes
from weaver.manager.turn import Turn


def settle(turn: Turn, before: State) -> None:
    """Derive all effects of a step that began with the state `before`."""
    if turn.state.phase in {"starting", "live"}:
        withdraw(turn)
        plan(turn)
    proceed(turn)
    _decide(turn)
    if turn.state.desired != before.desired:
        turn.effects.append(effects.Save(turn.state.desired))
    publish(turn, before)  # before orders: no call goes to a replica that is about to stop
    if turn.state.phase in {"starting", "live"} or turn.state.keeping:
        _order_all(turn)
    _set_timers(turn)


def unready(state: State) -> str:
    """What a deployment that is not live waits for: "shop has 1 of 2 replicas (shop-2: ...)"."""
    texts: list[str] = []
    for name in state.spec.groups:
        wanted = wanted_in(state, name)
        own = [r for r in state.replicas.values() if r.group == name]
        ready = sum(r.stage == "ready" for r in own)
        if ready < wanted:
            stages = ", ".join(f"{r.id} is {r.stage}" for r in own if r.stage != "ready")
            texts.append(f"{name} has {ready} of {wanted} replicas ({stages})")
    return "; ".join(texts)


def wanted_in(state: State, group: str) -> int:
    """How many replicas a group is to have."""
    return state.desired.replicas.get(group, state.spec.groups[group].replicas)


def overdue(turn: Turn) -> None:
    """The deployment has been starting, or stopping, for longer than it may."""
    if turn.state.phase == "starting":
        waits = turn.state.spec.waits
        turn.fail(
            Fault(
                f"the deployment was not live within {waits.deploy:g} s",
                why=unready(turn.state),
                fix="`weaver logs` shows what its replicas did; if they need longer, raise [app] "
                "start_timeout",
            )
        )
    elif turn.state.phase == "stopping" and turn.state.keeping:
        advance(turn)
    elif turn.state.phase == "stopping":
        late = [e.host for e in turn.state.envelopes.values() if e.reach != "ended"]
        if late:
            turn.set(unended=(*turn.state.unended, *late))
            turn.report("not ended", f"envelopes that have not ended: {', '.join(late)}")
        _finish(turn)


def _decide(turn: Turn) -> None:
    state = turn.state
    if state.phase == "starting" and not unready(state):
        turn.want(live=True)
        turn.set(phase="live", until=0.0)
        turn.report("live", "every group has its replicas")
    elif state.phase == "stopping" and all(
        envelope.reach == "ended" for envelope in state.envelopes.values()
    ):
        _finish(turn)


def _finish(turn: Turn) -> None:
    state = turn.state
    turn.set(phase="stopped", until=0.0, adopting=0.0, replicas={}, keeping=())
    for envelope in turn.state.envelopes.values():
        turn.put_envelope(envelope, reach="ended", until=0.0, trusted=0.0, moving=0.0)
    turn.effects.append(effects.Finished(state.result, state.fault))


def _order_all(turn: Turn) -> None:
    groups = turn.state.keeping or turn.state.spec.groups
    replicas: dict[str, dict[str, str]] = {host: {} for host in turn.state.envelopes}
    for name, slot in turn.state.desired.slots.items():
        if slot.group in groups and slot.host in replicas:
            replicas[slot.host][name] = slot.group
    for host, own in replicas.items():
        _order(turn, host, own)


def _order(turn: Turn, host: str, replicas: dict[str, str]) -> None:
    """Send a host its orders if they differ from what it was sent last."""
    envelope = turn.state.envelopes[host]
    if envelope.reach != "attached":
        return
    spec = turn.state.spec
    used = set(replicas.values())
    number = envelope.orders.number if envelope.orders is not None else 0
    orders = Orders(
        number=number,
        groups={name: _group_order(g) for name, g in spec.groups.items() if name in used},
        replicas=replicas,
        restarts=spec.restarts,
        heartbeats=spec.heartbeats,
        stop_timeout=spec.stop_timeout,
        application=_application(spec, host),
        on_manager_lost=spec.on_manager_lost,
        stop_after=spec.stop_after,
        advertise=spec.hosts[host].address,
        traffic=_signing(turn.state.desired.traffic.get(host, Traffic()), spec.secret),
        identities=spec.hosts[host].identities,
    )
    if orders == envelope.orders:
        return
    turn.set(orders=turn.state.orders + 1)
    orders = msgspec.structs.replace(orders, number=turn.state.orders)
    turn.put_envelope(envelope, orders=orders)
    turn.send(host, orders)


def _signing(traffic: Traffic, secret: bytes) -> Traffic:
    """Orders of traffic with the secret of cookies, which is not among what is saved."""
    ingress: dict[str, IngressOrder] = {}
    for listener, order in traffic.ingress.items():
        pinning = order.table.pinning
        if pinning.cookie:
            pinning = msgspec.structs.replace(pinning, secret=secret)
        table = msgspec.structs.replace(order.table, pinning=pinning)
        ingress[listener] = msgspec.structs.replace(order, table=table)
    return msgspec.structs.replace(traffic, ingress=ingress)


def _application(spec: Spec, host: str) -> Application:
    """The application, with what this host shows to the others."""
    certificates = spec.hosts[host].certificates
    if certificates is None:
        return spec.application
    return msgspec.structs.replace(spec.application, certificates=certificates)


def _group_order(group: Group) -> GroupOrder:
    return GroupOrder(group.components, group.entry, group.preload, group.listeners, group.prefer)


def _set_timers(turn: Turn) -> None:
    """Every wait has a time at which it has lasted too long, and every such time has a timer."""
    state = turn.state
    wanted = {"deployment": state.until, "adoption": state.adopting}
    for envelope in state.envelopes.values():
        wanted[f"envelope:{envelope.host}"] = envelope.until
        wanted[f"trust:{envelope.host}"] = envelope.trusted
        wanted[f"grace:{envelope.host}"] = envelope.moving
    for replica in state.replicas.values():
        wanted[f"replica:{replica.id}"] = replica.until
    timers = {name: when for name, when in wanted.items() if when}
    turn.effects += changes(state.timers, timers)
    if timers != state.timers:
        turn.set(timers=timers)
