"""Envelopes in memory, for tests of the control loop: they speak the real protocol, as bytes."""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from weaver.control.messages import (
    Attach,
    Attached,
    End,
    Event,
    Fenced,
    FromReplica,
    ListenerHeld,
    Message,
    NewRouting,
    Orders,
    Probe,
    Probed,
    RegisterReplica,
    Relay,
    ReplicaExited,
    ReplicaStarted,
    ReplicaState,
    Restart,
    ToEnvelope,
    ToProclet,
)
from weaver.control.stream import Codec, Receiver, encode
from weaver.deployers.deployer import Command, Completed
from weaver.errors import WeaverError
from weaver.routing import Routing

to_proclet: Codec[Any] = Codec(ToProclet)
pids = itertools.count(100)

Behaviour = Callable[["FakeEnvelope", str], None]
"""What a new process does, given the id of its replica."""


def serve(envelope: "FakeEnvelope", replica: str) -> None:
    state = envelope.replicas[replica]
    registered = RegisterReplica(f"unix:/{state.pid}", (), "build-1", "dep-1")
    envelope.change(replica, registered=registered, state="running")
    envelope.say(replica, registered)


def hang(envelope: "FakeEnvelope", replica: str) -> None:
    """Never register."""


class FakeEnvelope:
    def __init__(self, host: str, behave: dict[str, Behaviour]) -> None:
        self.host = host
        self.behave = behave
        self.pid = next(pids)
        self.epoch = 0
        self.orders: Orders | None = None
        self.replicas: dict[str, ReplicaState] = {}
        self.routing = Routing()
        self.events: list[bytes] = []
        self.link: FakeLink | None = None
        self.ended = False
        self.attaches: list[Attach] = []

    def connect(self) -> "FakeLink":
        if self.link is not None:
            self.link.end()
        self.link = FakeLink(self)
        return self.link

    def received(self, message: Message) -> None:
        match message:
            case Attach():
                self.attach(message)
            case Orders():
                self.obey(message)
            case Relay(message=relayed, replicas=named):
                self.relayed(to_proclet.unpack(relayed), named)
            case Restart(replica=replica):
                self.exit(replica, expected=True)
                self.start(replica)
            case End():
                self.die()
            case _:
                pass

    def attach(self, attach: Attach) -> None:
        assert self.link is not None
        self.attaches.append(attach)
        if attach.epoch < self.epoch:
            self.link.put(encode(Fenced(self.epoch, attach.deployment, "it is older")))
            self.link.end()
            return
        self.epoch = attach.epoch
        newest, number = len(self.events), self.orders.number if self.orders else 0
        replicas = tuple(self.replicas.values())
        attached = Attached(self.host, self.pid, self.epoch, newest, number, replicas)
        self.link.put(encode(attached))
        for number, event in enumerate(self.events[attach.seen :], attach.seen + 1):
            self.link.put(encode(Event(number, event)))

    def obey(self, orders: Orders) -> None:
        self.orders = orders
        for name, address in {
            n: a for group in orders.groups.values() for n, a in group.listeners.items()
        }.items():
            self.tell(ListenerHeld(name, address))
        for replica in [r for r in self.replicas if r not in orders.replicas]:
            self.exit(replica, expected=True)
            del self.replicas[replica]
        for replica in orders.replicas:
            if replica not in self.replicas:
                self.start(replica)

    def start(self, replica: str) -> None:
        assert self.orders is not None
        known = self.replicas.get(replica)
        incarnation = known.incarnation + 1 if known else 1
        group = self.orders.replicas[replica]
        state = ReplicaState(replica, group, incarnation, next(pids), restarts=incarnation - 1)
        self.replicas[replica] = state
        self.tell(ReplicaStarted(replica, incarnation, state.pid, 1.0))
        self.behave.get(group, serve)(self, replica)

    def exit(
        self,
        replica: str,
        *,
        expected: bool = False,
        crash_loop: bool = False,
        lines: tuple[str, ...] = (),
    ) -> None:
        incarnation = self.replicas[replica].incarnation
        self.change(replica, pid=0, state="waiting", registered=None)
        self.tell(
            ReplicaExited(replica, incarnation, 1, 0, "", lines, expected, crash_loop, delay=0.0)
        )

    def crash(self, replica: str) -> None:
        """A process ends, and another one is started for it."""
        self.exit(replica)
        self.start(replica)

    def relayed(self, message: Message, replicas: Iterable[str]) -> None:
        match message:
            case NewRouting(routing=routing):
                self.routing = routing
            case Probe(nonce=nonce):
                for replica in replicas:
                    self.say(replica, Probed(nonce, "dep-1", "build-1"))
            case _:
                pass

    def change(self, replica: str, **changes: Any) -> None:
        import msgspec

        self.replicas[replica] = msgspec.structs.replace(self.replicas[replica], **changes)

    def say(self, replica: str, message: Message) -> None:
        incarnation = self.replicas[replica].incarnation
        self.tell(FromReplica(replica, incarnation, encode(message)))

    def tell(self, message: Message) -> None:
        self.events.append(encode(message))
        if self.link is not None:
            self.link.put(encode(Event(len(self.events), self.events[-1])))

    def die(self) -> None:
        self.ended = True
        if self.link is not None:
            self.link.end()


class FakeLink:
    def __init__(self, envelope: FakeEnvelope) -> None:
        self._envelope = envelope
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._receiver: Receiver[Any] = Receiver(Codec(ToEnvelope))
        self.closed = False

    def send(self, data: bytes) -> None:
        if not self.closed and not self._envelope.ended:
            for message in self._receiver.feed(data):
                self._envelope.received(message)

    async def receive(self) -> bytes:
        return await self._queue.get()

    def close(self) -> None:
        self.end()

    def put(self, data: bytes) -> None:
        if not self.closed:
            self._queue.put_nowait(data)

    def end(self) -> None:
        """The connection ends, seen from both sides."""
        self.closed = True
        self._queue.put_nowait(b"")
        if self._envelope.link is self:
            self._envelope.link = None


class FakeDeployer:
    def __init__(self, **behave: Behaviour) -> None:
        self.behave = behave
        self.envelopes: dict[str, FakeEnvelope] = {}
        self.started = 0
        self.refusal: WeaverError | None = None

    async def start_envelope(self, host: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.started += 1
        self.envelopes[host] = FakeEnvelope(host, self.behave)

    async def connect(self, host: str) -> FakeLink | None:
        found = self.envelopes.get(host)
        return None if found is None or found.ended else found.connect()

    async def execute(self, host: str, command: Command) -> Completed:
        return Completed(3, f"{host}: {' '.join(command.words)}".encode(), b"")

    def control_path(self, host: str) -> str:
        return f"/run/{host}.sock"

    async def has_ended(self, host: str) -> bool:
        return self.envelopes[host].ended
