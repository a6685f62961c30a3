"""Who takes users' connections on each host, in each phase: the orders of both versions.

There is always somebody: the old version stops taking connections on a host when the ingress there
says that it serves, and begins again before the ingress ends, or whenever nobody else could. It
must not know when phases change, nor what has been ordered before.
"""

from typing import Final

import msgspec

from weaver.control.ingress import Table
from weaver.control.traffic import IngressOrder, Traffic
from weaver.manager.observed import HostView, Observed
from weaver.manager.rollout import facts
from weaver.manager.rollout.between import between, front, mixed
from weaver.manager.rollout.shares import table, table_of_old
from weaver.manager.rollout.state import Front, Plan, State

_SHIFTS: Final = frozenset({"opening", "shifting"})
_MOVED: Final = frozenset({"closing", "after", "warm", "retiring", "done"})
_BACK: Final = frozenset({"withdrawing", "removing", "withdrawn"})


def with_number(order: IngressOrder, number: int) -> IngressOrder:
    """The same order with another number for its table."""
    return msgspec.structs.replace(order, table=msgspec.structs.replace(order.table, number=number))


def followed(state: State, observed: Observed) -> bool:
    """Whether each ingress that the new version is to have goes by its present table by now.

    Those of hosts that are not reached are not waited for.
    """
    new = state.rollout.new
    for host, traffic in of_new(state, observed).items():
        said = state.said[new].get(host, Traffic())
        for listener, order in traffic.ingress.items():
            known, report = said.ingress.get(listener), state.ingress.get((new, host, listener))
            if not observed.hosts[host].attached:
                continue
            if known is None or known != with_number(order, known.table.number):
                return False
            if report is None or not report.serving or report.counts.number < known.table.number:
                return False
    return True


def standby(plan: Plan, host: str) -> Traffic:
    """What a new version is ordered on a host before it may serve users.

    Also to be in its desired state when its machine begins: else its first replicas would serve.
    """
    return Traffic(accepting=False, predecessor=plan.predecessors.get(host, ""))


def of_new(state: State, observed: Observed) -> dict[str, Traffic]:
    """The orders of the new version; the numbers of their tables are 0."""
    phase, both = state.rollout.phase, set(mixed(state))
    traffic: dict[str, Traffic] = {}
    for host, view in observed.hosts.items():
        if phase in _MOVED:
            traffic[host] = _front_of_new(state, host, view)
        elif phase in _SHIFTS and host in both:
            traffic[host] = _between(state, host)
        elif phase in _BACK and _must_stay(state, host):
            accepting = state.said[state.rollout.new][host].accepting
            traffic[host] = Traffic() if accepting else _between(state, host)
        else:
            traffic[host] = standby(state.plan, host)
    return traffic


def of_old(state: State, observed: Observed) -> dict[str, Traffic]:
    """The orders of the old version; the numbers of their tables are 0."""
    return {
        host: Traffic(accepting=False, predecessor=_other(state, host))
        if _is_relieved(state, host)
        else _front_of_old(state, host, view)
        for host, view in observed.hosts.items()
    }


def _other(state: State, host: str) -> str:
    """Where the old version finds the listeners again, should its envelope be started anew."""
    return "" if state.rollout.phase == "withdrawn" else state.plan.successors.get(host, "")


def unrelieved(state: State) -> list[str]:
    """Hosts where the old version is needed, as the new one does not serve there what it shall.

    So are those where an ingress may send it requests yet: while a host is out of reach, it goes by
    the last orders that it got.
    """
    meeting = set(facts.meeting(state))
    return [
        host
        for host in mixed(state)
        if (host in meeting and not _is_relieved(state, host)) or _is_behind(state, host)
    ]


def _is_behind(state: State, host: str) -> bool:
    """Whether the ingress of a host is not heard to have followed its last orders."""
    new = state.rollout.new
    reached = facts.view(state, new, host).attached
    ordered = state.said[new].get(host, Traffic()).ingress
    for listener in between(state, host):
        report, order = state.ingress.get((new, host, listener)), ordered.get(listener)
        if report is None:
            if not reached and not facts.view(state, state.rollout.old, host).wanted:
                return True  # a host that has joined, and what it was told last is not known
            continue
        if order is not None:
            if report.serving and not reached and report.counts.number < order.table.number:
                return True
        elif report.serving or (report.draining and not reached):
            return True
    return False


def _is_relieved(state: State, host: str) -> bool:
    """Whether somebody else takes the old version's connections on a host."""
    old, new = (
        facts.view(state, state.rollout.old, host),
        facts.view(state, state.rollout.new, host),
    )
    if not new.wanted:
        return False
    if state.rollout.phase in _SHIFTS:
        return bool(old.wanted) and facts.serves(state, state.rollout.new, host, old.wanted)
    if state.rollout.phase not in _MOVED:
        return False
    said = state.said[state.rollout.old].get(host)
    if not new.attached and (said is None or said.accepting or said.ingress):
        return False  # it does not know yet that it is to take over
    common = [listener for listener in old.wanted if listener in new.wanted]
    if facts.fronted(state, state.rollout.new):
        return facts.serves(state, state.rollout.new, host, common)
    return all(new.ready.get(listener) for listener in common)


def bridged(state: State) -> list[str]:
    """Hosts where the new version goes on until the old one takes connections there again."""
    new = facts.running(state, state.rollout.new)
    return [] if new is None else [host for host in new.hosts if _must_stay(state, host)]


def _must_stay(state: State, host: str) -> bool:
    """Whether the new version has to go on until the old one takes connections there again.

    It does so at once when it is told, unless it needs an ingress of its own.
    """
    said, old = state.said[state.rollout.new].get(host), state.rollout.old
    view = facts.view(state, old, host)
    if said is None or not (said.ingress or said.accepting) or not view.wanted:
        return False
    if not view.attached:
        return True
    return facts.fronted(state, old) and not facts.serves(state, old, host, view.wanted)


def _between(state: State, host: str) -> Traffic:
    """The ingress between both versions, at every listener that both are to serve there."""
    plan = state.plan
    ingress: dict[str, IngressOrder] = {}
    for listener in between(state, host):
        ingress[listener] = _order(front(state, listener), table(state, host, listener))
    return Traffic(accepting=False, ingress=ingress, predecessor=plan.predecessors.get(host, ""))


def _front_of_new(state: State, host: str, view: HostView) -> Traffic:
    before = "" if state.rollout.phase == "done" else state.plan.predecessors.get(host, "")
    if not facts.fronted(state, state.rollout.new):
        return Traffic(predecessor=before)
    ingress = {
        listener: _order(state.plan.fronts.get(listener, Front()), table(state, host, listener))
        for listener in view.wanted
    }
    return Traffic(accepting=False, ingress=ingress, predecessor=before)


def _front_of_old(state: State, host: str, view: HostView) -> Traffic:
    other = _other(state, host)
    if not facts.fronted(state, state.rollout.old):
        return Traffic(predecessor=other)
    ingress = {
        listener: _order(
            state.plan.old_fronts.get(listener, Front()), table_of_old(state, host, listener)
        )
        for listener in view.wanted
    }
    return Traffic(accepting=False, ingress=ingress, predecessor=other)


def _order(front: Front, table: Table) -> IngressOrder:
    return IngressOrder(
        table,
        mode="proxy" if front.mode == "shared" else front.mode,
        workers=front.workers,
        most_workers=front.most_workers,
        certificate=front.certificate,
        key=front.key,
        socket=front.socket,
    )
