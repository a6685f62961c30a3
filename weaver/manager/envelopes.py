"""What happens to the envelope of one host: it is reached, lost, reached again, and ends.

Observed state is what an envelope says when it is reached. A connection that ends is not the end of
replicas: they keep their routes for a while, and then only lose those.
"""

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
from weaver.manager.state import Envelope
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
                turn.report("listening", f"{name} is served at {address}")
        case EnvelopeFailed(fault=fault):
            turn.report("envelope failed", f"{envelope.host}: {fault.what}")
            if turn.state.phase == "starting":
                turn.fail(fault)


def lost(turn: Turn, envelope: Envelope, reason: str, *, gone: bool) -> None:
    """The connection has ended, or could not be made. `gone`: no process of it runs any more."""
    was_attached = envelope.reach == "attached"
    attempts = envelope.attempts + 1
    ending = turn.state.phase in {"stopping", "stopped"}
    told = was_attached and not turn.state.keeping
    if ending and (gone or told or attempts >= ATTEMPTS_TO_END):
        turn.ended(envelope)
        return
    trusted = envelope.trusted or turn.now + turn.state.spec.waits.trust
    turn.put_envelope(
        envelope,
        reach="waiting",
        attempts=attempts,
        until=turn.now + _delay(turn, attempts),
        trusted=0.0 if gone else trusted,
        orders=None,
        pid=0 if gone else envelope.pid,
    )
    because = f": {reason}" if reason else ""
    what = "has ended" if gone else "cannot be reached"
    text = f"the envelope on {envelope.host} {what}{because}"
    turn.report("envelope lost", text)
    if gone:
        for replica in turn.replicas_on(envelope.host):
            replicas.lose(turn, replica)
        if turn.state.spec.foreground:
            turn.fail(Fault(text, where=envelope.host, fix="start it again"))


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
    """A lost envelope has not come back: its replicas get no calls, where others can take them.

    Where none can, calls are still worth a try: losing the control plane must not end the service.
    """
    turn.put_envelope(envelope, trusted=0.0)
    served = {
        replica.group
        for replica in turn.state.replicas.values()
        if replica.stage == "ready" and replica.host != envelope.host
    }
    for replica in turn.replicas_on(envelope.host):
        if replica.group in served or replica.stage != "ready":
            replicas.lose(turn, replica)


def _attached(turn: Turn, envelope: Envelope, message: Attached) -> None:
    turn.put_envelope(
        envelope,
        reach="attached",
        attempts=0,
        until=0.0,
        trusted=0.0,
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
