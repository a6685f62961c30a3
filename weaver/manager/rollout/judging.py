"""Whether the new version may go on: what takes it back by itself.

Decides what counts as a reason. It must not know how samples are compared (`analysis`).
"""

from weaver.control.messages import Fault
from weaver.manager.rollout import analysis, facts, phases, shares
from weaver.manager.rollout.turn import Turn


def judge(turn: Turn) -> None:
    """Take the new version back if it has ended, or goes wrong while the old one does not."""
    state = turn.state
    new = state.observed[state.rollout.new]
    if new.phase in {"stopping", "stopped"}:
        ended = Fault(f"{state.rollout.new} has ended", why=new.result)
        phases.withdraw(turn, "failed", new.fault or ended)
        return
    old = facts.running(state, state.rollout.old)
    if old is None:
        return
    if new.crash_loop is not None and old.crash_loop is None:
        loop = new.crash_loop
        fault = loop.fault or Fault(f"{loop.replica} ends again and again")
        phases.withdraw(turn, "failed", fault)
    elif state.rollout.phase == "shifting":
        found = analysis.verdict(state, turn.now)
        if found is not None:
            phases.withdraw(turn, "failed", found)


def limit(turn: Turn) -> None:
    """Bound how long a step may lack ready replicas, or an ingress that serves."""
    state = turn.state
    shifting = state.rollout.phase == "shifting" and facts.settled(state)
    waits = state.plan.waits
    lacks = shifting and (not facts.reached(state) or bool(shares.lacking(state)))
    short = (state.short or turn.now + waits.capacity) if lacks else 0.0
    deaf = (state.deaf or turn.now + waits.opening) if shifting and facts.deaf(state) else 0.0
    if (short, deaf) != (state.short, state.deaf):
        turn.set(short=short, deaf=deaf)


def too_few(turn: Turn) -> None:
    """A step has lacked ready replicas for too long."""
    state = turn.state
    turn.set(short=0.0)
    lacking = shares.lacking(state)
    seconds = state.plan.waits.capacity
    if not lacking:
        turn.report("waiting", "no host is reached where both versions are to serve users")
        return
    fault = Fault(
        f"{state.rollout.new} has too few ready replicas",
        where=", ".join(lacking),
        why=f"it could not take {shares.step_share(state):.0%} of the requests for {seconds:g} s",
        fix="`weaver logs` shows what its replicas did",
    )
    phases.withdraw(turn, "failed", fault)


def unserved(turn: Turn) -> None:
    """An ingress has not taken connections for too long."""
    state = turn.state
    turn.set(deaf=0.0)
    seconds = state.plan.waits.opening
    fault = Fault(
        "the ingress does not take connections",
        where=", ".join(facts.deaf(state)),
        why=f"no worker has served for {seconds:g} s",
        fix="`weaver events` shows what its envelopes reported",
    )
    phases.withdraw(turn, "failed", fault)
