"""The working copy of one step: the state as it becomes, and what is to be done.

Decides how a step changes a state that is never changed in place. It must not know what events
mean.
"""

from typing import Any

import msgspec

from weaver.control.messages import End, Fault, Orders, Relay, Restart
from weaver.manager.effects import Effect, Reach, Report, Send
from weaver.manager.state import Envelope, Replica, Result, State


class Turn:
    """One step at time `now`: `state` is replaced, `effects` are collected in order."""

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.effects: list[Effect] = []
        self.given_up: tuple[str, ...] = ()  # hosts, in this step

    def set(self, **changes: Any) -> None:
        """Replace fields of the state."""
        self.state = msgspec.structs.replace(self.state, **changes)

    def want(self, **changes: Any) -> None:
        """Replace fields of the desired state."""
        self.set(desired=msgspec.structs.replace(self.state.desired, **changes))

    def put(self, replica: Replica, **changes: Any) -> Replica:
        """Replace a replica, with these changes; returns the new one."""
        new = msgspec.structs.replace(replica, **changes)
        self.set(replicas={**self.state.replicas, new.id: new})
        return new

    def remove(self, replica: Replica) -> None:
        """Forget a replica, which runs no more: its name is free."""
        self.set(replicas={k: v for k, v in self.state.replicas.items() if k != replica.id})
        desired = self.state.desired
        if replica.id in desired.leaving:
            leaving = {k: slot for k, slot in desired.leaving.items() if k != replica.id}
            self.want(leaving=leaving)

    def put_envelope(self, envelope: Envelope, **changes: Any) -> Envelope:
        """Replace an envelope, with these changes; returns the new one."""
        new = msgspec.structs.replace(envelope, **changes)
        self.set(envelopes={**self.state.envelopes, new.host: new})
        return new

    def send(self, host: str, message: Orders | Relay | Restart | End) -> None:
        """Send a message to the envelope of a host, if it is attached."""
        envelope = self.state.envelopes[host]
        if envelope.reach == "attached":
            self.effects.append(Send(host, envelope.session, message))

    def broadcast(self, message: Relay | End) -> None:
        """Send a message to all attached envelopes."""
        for host in self.state.envelopes:
            self.send(host, message)

    def report(self, kind: str, text: str, replica: str = "") -> None:
        """Tell a person."""
        self.effects.append(Report(kind, text, replica))

    def replicas_on(self, host: str) -> list[Replica]:
        """The replicas of one host."""
        return [r for r in self.state.replicas.values() if r.host == host]

    def fail(self, fault: Fault) -> None:
        """The deployment has failed: it ends everything."""
        if self.state.phase in {"starting", "live"}:
            self.report("failed", fault.what)
            self.end("failed", fault)

    def end(self, result: Result, fault: Fault | None = None, *, at_once: bool = False) -> None:
        """Begin to end everything, or hurry where that has begun."""
        if self.state.phase == "stopped":
            return
        if self.state.phase != "stopping":
            # What failed or was never live serves nobody for whom an order would matter.
            orderly = self.state.phase == "live" and result != "failed" and not at_once
            keeping = tuple(self.state.spec.groups) if orderly else ()
            self.set(phase="stopping", result=result, fault=fault, keeping=keeping)
        elif self.state.at_once or not at_once:
            return
        else:
            self.set(keeping=())
        self.set(at_once=at_once, until=self.now + self.patience(at_once=at_once))
        if not self.state.keeping:
            self.broadcast(End(at_once))
        for envelope in self.state.envelopes.values():
            if envelope.reach == "waiting" and not envelope.pid:
                self.ended(envelope)

    def reach(self, envelope: Envelope) -> None:
        """Try to reach an envelope, also one that is attached: to hear again how things are."""
        session = envelope.session + 1
        until = self.now + self.state.spec.waits.reach
        self.put_envelope(envelope, reach="reaching", session=session, until=until)
        self.effects.append(Reach(envelope.host, session))

    def ended(self, envelope: Envelope) -> None:
        """Nothing runs on a host any more, or nothing that is this manager's."""
        self.put_envelope(
            envelope, reach="ended", until=0.0, trusted=0.0, moving=0.0, pid=0, listeners={}
        )
        replicas = {k: r for k, r in self.state.replicas.items() if r.host != envelope.host}
        self.set(replicas=replicas)

    def patience(self, *, at_once: bool = False) -> float:
        """Seconds for what shall end to do so: drain, stop, SIGTERM, and some for the way."""
        return 5.0 if at_once else 3 * self.state.spec.stop_timeout + 5.0
