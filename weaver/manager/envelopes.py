"""What happens to the envelope of one host: it is reached, lost, reached again, and ends.

Observed state is what an envelope says when it is reached. A connection that ends is not the end of
replicas: they keep their routes for a while, lose only those, and after a longer while are started
on other hosts.
"""

import msgspec

from weaver.control.messages import (
    Attached,
    End,
    EnvelopeFailed,
    Fault,
    Fenced,
    ListenerHeld,
    ReplicaExited,
    ReplicaStarted,
)
from weaver.manager import replicas
from weaver.manager.events import FromHost
from weaver.manager.state import Envelope, State
from weaver.manager.turn import Turn

ATTEMPTS_TO_END = 3
"""How often an envelope that shall end is reached for in vain before it counts as ended."""


def current(turn: Turn, host: str, session: int) -> Envelope | None:
    """The envelope of a host, if this session with it is the one that counts."""
    envelope = turn.state.envelopes.get(host)
    if envelope is None or envelope.session != session:
        return None
    return envelope if envelope.reach in {"reaching", "attached"} else None


def said(turn: Turn, envelope: Envelope, message: FromHost) -> None:
    """An envelope reports something."""
    match message:
        case Attached():
            _attached(turn, envelope, message)
        case Fenced():
            _fenced(turn, envelope, message)
        case ReplicaStarted():
            replicas.started(turn, envelope.host, message)
        case ReplicaExited():
            replicas.exited(turn, envelope.host, message)
        case ListenerHeld(name=name, address=address):
            if envelope.listeners.get(name) != address:
                turn.put_envelope(envelope, listeners={**envelope.listeners, name: address})
                served = reachable(turn.state, envelope.host, address)
                turn.report("listening", f"{name} is served at {served}")
        case EnvelopeFailed(fault=fault):
            turn.report("envelope failed", f"{envelope.host}: {fault.what}")
            if turn.state.phase == "starting":
                turn.fail(fault)


def lost(turn: Turn, envelope: Envelope, reason: str, *, gone: bool, silent: bool = False) -> None:
    """The connection has ended, or could not be made. `gone`: no process of it runs any more.

    `silent`: it was given up because nothing was heard of it.
    """
    was_attached = envelope.reach == "attached"
    attempts = envelope.attempts + 1
    ending = turn.state.phase in {"stopping", "stopped"}
    told = was_attached and not turn.state.keeping
    if ending and (gone or told or attempts >= ATTEMPTS_TO_END):
        if not gone:
            turn.set(unended=(*turn.state.unended, envelope.host))
            heard = "is not heard to have ended" if told else "was not told to end"
            turn.report("not ended", f"{envelope.host} {heard}: {reason}")
        turn.ended(envelope)
        return
    waits = turn.state.spec.waits
    if silent:
        envelope = _fallen_silent(turn, envelope)
    moves = len(turn.state.envelopes) > 1 and envelope.host not in turn.state.desired.away
    distrusts = not gone and not envelope.distrusted
    turn.put_envelope(
        envelope,
        reach="waiting",
        attempts=attempts,
        until=turn.now + _delay(turn, attempts),
        trusted=(envelope.trusted or turn.now + waits.trust) if distrusts else 0.0,
        silences=envelope.silences,
        silent=envelope.silent,
        moving=(envelope.moving or turn.now + waits.moved) if moves else 0.0,
        orders=None,
        pid=0 if gone else envelope.pid,
    )
    what = "has ended" if gone else "cannot be reached"
    text = f"the envelope on {envelope.host} {what}" + (f": {reason}" if reason else "")
    turn.report("envelope lost", text)
    if gone:
        for replica in turn.replicas_on(envelope.host):
            if replica.stage == "stopping":
                turn.remove(replica)
            else:
                replicas.lose(turn, replica)
        if turn.state.spec.foreground:
            turn.fail(Fault(text, where=envelope.host, fix="start it again"))


def _fallen_silent(turn: Turn, envelope: Envelope) -> Envelope:
    """Trust it for a moment only; for longer if that happens often, as where a link is slow."""
    waits = turn.state.spec.waits
    again = envelope.silences and turn.now - envelope.silent < waits.steady
    silences = envelope.silences + 1 if again else 1
    patience = min(waits.silent * 2.0 ** min(silences - 1, 32), waits.trust)
    return msgspec.structs.replace(
        envelope, silences=silences, silent=turn.now, trusted=turn.now + patience
    )


def unreachable(turn: Turn, envelope: Envelope, fault: Fault) -> None:
    """An envelope could neither be connected to nor started."""
    if turn.state.phase == "starting":
        turn.fail(fault)
    lost(turn, envelope, fault.what, gone=False)


def overdue(turn: Turn, envelope: Envelope) -> None:
    """An envelope has been waited for long enough."""
    match envelope.reach:
        case "waiting":
            turn.reach(envelope)
        case "reaching":
            seconds = turn.state.spec.waits.reach
            lost(turn, envelope, f"no answer within {seconds:g} s", gone=False)
        case "attached" | "ended":
            turn.put_envelope(envelope, until=0.0)


def distrust(turn: Turn, envelope: Envelope) -> None:
    """A lost envelope has not come back for a while."""
    turn.put_envelope(envelope, trusted=0.0, distrusted=True)


def withdraw(turn: Turn) -> None:
    """Replicas of hosts lost for a while get no calls, where others can take them.

    Where none can, calls are still worth a try: losing the control plane must not end the service.
    """
    state = turn.state
    distrusted = {e.host for e in state.envelopes.values() if e.distrusted}
    if not distrusted:
        return
    attached = {e.host for e in state.envelopes.values() if e.reach == "attached"}
    ready = [r for r in state.replicas.values() if r.stage == "ready"]
    served = {replica.group for replica in ready if replica.host in attached}
    for replica in list(state.replicas.values()):
        loses = replica.stage != "ready" or replica.group in served
        if replica.host in distrusted and replica.stage != "lost" and loses:
            replicas.lose(turn, replica)


def give_up(turn: Turn, envelope: Envelope) -> None:
    """A lost envelope has not come back for a long while: others take over from its replicas.

    Not while nothing else can be reached either: it is this manager that is cut off then.
    """
    state, patience = turn.state, turn.state.spec.waits.moved
    if state.phase not in {"starting", "live"}:
        turn.put_envelope(envelope, moving=0.0)
    elif state.phase == "starting" or state.adopting or not _is_connected(state):
        turn.put_envelope(envelope, moving=turn.now + patience)
    else:
        turn.put_envelope(envelope, moving=0.0, trusted=0.0, distrusted=True)
        turn.want(away=tuple(sorted({*state.desired.away, envelope.host})))
        turn.given_up = (*turn.given_up, envelope.host)
        text = f"{envelope.host} could not be reached for {patience:g} s: its replicas move"
        turn.report("host lost", text)


def _is_connected(state: State) -> bool:
    """Whether some envelope is attached, or only asked again how things are."""
    return any(
        e.reach == "attached" or (e.reach == "reaching" and not e.attempts)
        for e in state.envelopes.values()
    )


def reachable(state: State, host: str, address: str) -> str:
    """The address of a listener on a host, as it is dialled: for all interfaces, that of the host.

    The same where the host has no address that others dial.
    """
    own, (bound, _, port) = state.spec.hosts[host].address, address.rpartition(":")
    if not own or bound not in {"0.0.0.0", "[::]"}:  # noqa: S104 # compared, not bound
        return address
    return f"[{own}]:{port}" if ":" in own else f"{own}:{port}"


def _attached(turn: Turn, envelope: Envelope, message: Attached) -> None:
    _return(turn, envelope)
    turn.put_envelope(
        envelope,
        reach="attached",
        attempts=0,
        until=0.0,
        trusted=0.0,
        distrusted=False,
        moving=0.0,
        pid=message.pid,
        orders=None,
        listeners=message.listeners,
    )
    if turn.state.phase in {"stopping", "stopped"} and not turn.state.keeping:
        turn.send(envelope.host, End(turn.state.at_once))
        return
    found = {replica.replica: replica for replica in message.replicas}
    for replica in turn.replicas_on(envelope.host):
        replicas.adopt(turn, replica, found.get(replica.id))


def _return(turn: Turn, envelope: Envelope) -> None:
    """A host is back; when it is the first one to be, the others get time to come back, too."""
    state, host = turn.state, envelope.host
    if host in state.desired.away:
        turn.want(away=tuple(name for name in state.desired.away if name != host))
        turn.report("host back", f"{host} is back")
    if envelope.attempts and not _is_connected(state):
        for other in state.envelopes.values():
            if other.moving:
                turn.put_envelope(other, moving=turn.now + state.spec.waits.moved)


def _fenced(turn: Turn, envelope: Envelope, message: Fenced) -> None:
    fault = Fault(
        "another manager has taken over this deployment",
        where=envelope.host,
        why=message.reason or f"its epoch is {message.epoch}, this one's {turn.state.epoch}",
        fix="let that one act: `weaver status` asks it",
    )
    turn.report("fenced", fault.what)
    # Nothing is ended: what runs belongs to the other manager now.
    for other in turn.state.envelopes.values():
        turn.ended(other)
    turn.set(phase="stopping", result="fenced", fault=fault, until=turn.now)


def _delay(turn: Turn, attempts: int) -> float:
    waits = turn.state.spec.waits
    return min(waits.retry * 2.0 ** min(attempts - 1, 32), waits.retry_most)
