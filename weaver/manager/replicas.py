"""What happens to one replica: from its order over start, probe and calls to its end.

The envelope starts and restarts processes by itself and reports; here it is decided when a replica
takes calls, and what to do about one that takes too long. Reports about earlier incarnations are
ignored.
"""

from weaver.control.messages import (
    Ended,
    Failed,
    Fault,
    NewRouting,
    Probe,
    Probed,
    RegisterReplica,
    Relay,
    ReplicaExited,
    ReplicaStarted,
    ReplicaState,
    Restart,
    StartComponent,
)
from weaver.control.stream import encode
from weaver.manager.events import FromReplica
from weaver.manager.state import Replica
from weaver.manager.turn import Turn


def started(turn: Turn, host: str, message: ReplicaStarted) -> None:
    """A process runs for a replica."""
    replica = _known(turn, host, message.replica)
    if replica is not None and message.incarnation > replica.incarnation:
        _begin(turn, replica, message.incarnation, pid=message.pid, started=message.time)


def exited(turn: Turn, host: str, message: ReplicaExited) -> None:
    """A replica's process has ended."""
    replica = _known(turn, host, message.replica)
    if replica is None or message.incarnation < replica.incarnation:
        return
    if message.incarnation == replica.incarnation and replica.stage in {"down", "ordered"}:
        return  # said twice
    if replica.stage == "ordered" and message.expected:
        return  # of one that had this name before
    ending = turn.state.phase == "stopping" and message.expected
    if replica.stage == "stopping" or ending:
        turn.remove(replica)
        turn.report("stopped", f"{replica.id} has stopped", replica.id)
        return
    looping = message.crash_loop and not replica.crash_loop
    replica = turn.put(
        replica,
        stage="down",
        until=turn.now + (message.delay or 0.0) + turn.state.spec.waits.start,
        incarnation=message.incarnation,
        pid=0,
        address="",
        remote="",
        serving={},
        beyond={},
        nonce="",
        adopted=False,
        crash_loop=message.crash_loop,
    )
    turn.report("exited", _exit_text(message), replica.id)
    if looping:
        fault = _loop_fault(replica, message)
        turn.put(replica, fault=fault)
        turn.report("crash loop", f"{fault.what}: {fault.why}", replica.id)
        if turn.state.phase == "starting":
            turn.fail(fault)


def said(turn: Turn, host: str, replica_id: str, incarnation: int, message: FromReplica) -> None:
    """A proclet reports something."""
    replica = _known(turn, host, replica_id)
    if replica is None or incarnation < replica.incarnation:
        return
    if incarnation > replica.incarnation:
        replica = _begin(turn, replica, incarnation)
    match message:
        case RegisterReplica():
            _registered(turn, replica, message)
        case Probed():
            _probed(turn, replica, message)
        case Failed(fault=fault):
            _failed(turn, replica, fault)
        case Ended():
            spec = turn.state.spec
            if spec.groups[replica.group].entry and not spec.outlives_entry:
                turn.report("ended", "the application has ended by itself", replica.id)
                turn.end("ended")
        case StartComponent():
            _send_routing(turn, replica)


def overdue(turn: Turn, replica: Replica) -> None:
    """A replica has been in its stage for longer than it may."""
    waits = turn.state.spec.waits
    match replica.stage:
        case "probing" if replica.probes < waits.probes:
            probe(turn, replica)
        case "probing":
            _replace(turn, replica, f"did not answer {replica.probes} probes")
        case "starting":
            _replace(turn, replica, f"has not started within {waits.start:g} s")
        case "restarting":
            _replace(turn, replica, "has not ended")
        case "ordered" | "down" | "stopping":
            # Something was missed: the envelope says how things are when it is attached anew.
            turn.put(replica, until=turn.now + waits.start)
            envelope = turn.state.envelopes[replica.host]
            if envelope.reach == "attached":
                turn.reach(envelope)
        case "ready" | "lost":
            turn.put(replica, until=0.0)


def adopt(turn: Turn, replica: Replica, found: ReplicaState | None) -> None:
    """An envelope has been reached again; `found` is what it says of the replica, if it runs."""
    waits = turn.state.spec.waits
    if replica.stage == "stopping":
        if found is None:
            turn.remove(replica)
        return
    if found is None:
        turn.put(_blank(replica), stage="ordered", until=turn.now + waits.start)
        return
    same = (found.incarnation, found.pid) == (replica.incarnation, replica.pid)
    if same and replica.stage == "ready" and found.registered is not None:
        return
    unknown = replica.incarnation == 0 and not replica.proven
    replica = turn.put(
        _blank(replica),
        incarnation=found.incarnation,
        pid=found.pid,
        restarts=found.restarts,
        started=found.started,
        stage="starting" if found.pid else "down",
        until=turn.now + waits.start,
    )
    if found.state == "stopping":
        turn.put(replica, stage="restarting", until=_end_of_stop(turn))
    elif found.pid and found.registered is not None:
        replica = turn.put(replica, adopted=unknown)
        _registered(turn, replica, found.registered)


def lose(turn: Turn, replica: Replica) -> None:
    """Nothing is known any more of a replica: it gets no calls until its envelope is reached."""
    if replica.stage != "stopping":
        turn.put(_blank(replica), stage="lost", until=0.0, incarnation=0)


def probe(turn: Turn, replica: Replica) -> None:
    """Ask a replica whether it is what it should be."""
    number = turn.state.nonces + 1
    turn.set(nonces=number)
    nonce = f"{turn.state.seed}-{number}"
    turn.put(
        replica,
        stage="probing",
        until=turn.now + turn.state.spec.waits.probe,
        nonce=nonce,
        probes=replica.probes + 1,
    )
    turn.send(replica.host, Relay(encode(Probe(nonce)), (replica.id,)))


def _known(turn: Turn, host: str, replica_id: str) -> Replica | None:
    replica = turn.state.replicas.get(replica_id)
    return replica if replica is not None and replica.host == host else None


def _blank(replica: Replica) -> Replica:
    """A replica of which no process is known."""
    return Replica(
        replica.id,
        replica.group,
        replica.host,
        stage=replica.stage,
        restarts=replica.restarts,
        proven=replica.proven,
        crash_loop=replica.crash_loop,
        fault=replica.fault,
    )


def _begin(
    turn: Turn, replica: Replica, incarnation: int, *, pid: int = 0, started: float = 0.0
) -> Replica:
    stopping = replica.stage == "stopping"
    new = turn.put(
        _blank(replica),
        incarnation=incarnation,
        pid=pid,
        started=started,
        restarts=replica.restarts + (1 if replica.incarnation else 0),
        stage="stopping" if stopping else "starting",
        until=replica.until if stopping else turn.now + turn.state.spec.waits.start,
        fault=replica.fault if replica.crash_loop else None,
    )
    _send_routing(turn, new)  # its components may call others while they start
    return new


def _send_routing(turn: Turn, replica: Replica) -> None:
    routing = turn.state.routing
    if routing.groups:
        turn.send(replica.host, Relay(encode(NewRouting(routing)), (replica.id,)))


def _registered(turn: Turn, replica: Replica, message: RegisterReplica) -> None:
    if replica.stage != "starting":
        return
    replica = turn.put(
        replica,
        address=message.address,
        remote=message.remote,
        serving=message.serving,
        beyond=message.beyond,
    )
    if not _is_ours(turn, replica, message.deployment, message.build, asked=False):
        return
    _send_routing(turn, replica)  # what came while its process was being connected did not arrive
    probe(turn, replica)


def _probed(turn: Turn, replica: Replica, message: Probed) -> None:
    if replica.stage != "probing" or message.nonce != replica.nonce:
        return
    if not _is_ours(turn, replica, message.deployment, message.build, asked=True):
        return
    turn.put(
        replica, stage="ready", until=0.0, nonce="", proven=True, adopted=False, crash_loop=False
    )
    turn.report("ready", f"{replica.id} takes calls", replica.id)


def _is_ours(turn: Turn, replica: Replica, deployment: str, build: str, *, asked: bool) -> bool:
    """Whether a replica is of this deployment and build; if not, it is replaced."""
    own = turn.state.spec.application
    wrong = [
        f"{what} {found or 'unknown'} instead of {wanted}"
        for what, found, wanted in (
            ("deployment", deployment, own.deployment),
            ("build", build, own.version),
        )
        if found != wanted and (found or asked)
    ]
    if not wrong:
        return True
    fault = Fault(
        f"{replica.id} is not part of this deployment",
        where=replica.host,
        why=f"it says that it is of {' and '.join(wrong)}",
        fix="end the process that answers in its place",
    )
    if turn.state.phase == "starting":
        turn.fail(fault)
    _replace(turn, replica, fault.why)
    return False


def _failed(turn: Turn, replica: Replica, fault: Fault) -> None:
    turn.put(replica, fault=fault)
    turn.report("failed", f"{replica.id}: {fault.what}", replica.id)
    if turn.state.phase == "starting" and not replica.proven:
        turn.fail(fault)


def _replace(turn: Turn, replica: Replica, why: str) -> None:
    turn.report("replaced", f"{replica.id} {why}", replica.id)
    turn.put(replica, stage="restarting", until=_end_of_stop(turn), nonce="", adopted=False)
    turn.send(replica.host, Restart(replica.id, replica.incarnation))


def _end_of_stop(turn: Turn) -> float:
    """When a replica that was told to stop has ended: it drains, stops, and is killed."""
    return turn.now + 3 * turn.state.spec.stop_timeout


def _exit_text(message: ReplicaExited) -> str:
    if message.reason.startswith(("killed by", "exit code")):  # the envelope has said how already
        return f"{message.replica} {'was' if message.signal else 'ended with'} {message.reason}"
    how = f"was killed by signal {message.signal}" if message.signal else f"exited {message.code}"
    because = f": {message.reason}" if message.reason else ""
    return f"{message.replica} {how}{because}"


def _loop_fault(replica: Replica, message: ReplicaExited) -> Fault:
    last = replica.fault.what if replica.fault else _exit_text(message)
    lines = "\n".join(message.lines)
    return Fault(
        f"{replica.id} ends again and again",
        where=replica.host,
        why=f"{last}; its last lines:\n{lines}" if lines else last,
        fix="correct what ends it; `weaver logs` shows more",
        component=replica.fault.component if replica.fault else "",
    )
