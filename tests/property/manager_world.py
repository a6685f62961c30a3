"""A small world of hosts and processes for the manager: it fails at every moment it is told to."""

import dataclasses

import msgspec

from weaver.control.messages import (
    Application,
    Attached,
    End,
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
    ToProclet,
)
from weaver.control.stream import Codec
from weaver.manager import effects, events
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import Group
from weaver.manager.state import Desired, Spec, State, initial
from weaver.manager.step import step

GROUPS = {
    "front": Group(components=("shop.Web",), replicas=2, entry="shop.Web", calls=("cart",)),
    "cart": Group(components=("shop.Cart",), replicas=3, routed=True),
}
APPLICATION = Application("shop", "build-1", "dep-1", "shop:Web")
HOSTS = ("h1", "h2")
SPEC = Spec(application=APPLICATION, groups=GROUPS, hosts=dict.fromkeys(HOSTS, HostSpec()))
EVENT: msgspec.msgpack.Decoder[events.Event] = msgspec.msgpack.Decoder(events.Event)
to_proclet: Codec[ToProclet] = Codec(ToProclet)


@dataclasses.dataclass
class Process:
    incarnation: int
    pid: int
    started: ReplicaState
    stopping: bool = False


@dataclasses.dataclass
class Host:
    """An envelope: alive or not, connected or not, with its processes and what it has to say.

    Nobody can connect to one that is `cut` off; it goes on by itself.
    """

    name: str
    alive: bool = False
    cut: bool = False
    session: int = 0
    reaching: int = 0
    processes: dict[str, Process] = dataclasses.field(default_factory=dict[str, Process])
    down: dict[str, int] = dataclasses.field(default_factory=dict[str, int])
    orders: Orders | None = None
    outbox: list[events.Event] = dataclasses.field(default_factory=list[events.Event])

    def is_busy(self) -> bool:
        """Whether something comes of it without time passing."""
        unregistered = any(p.started.registered is None for p in self.processes.values())
        return bool(self.outbox or self.reaching or unregistered)


class World:
    def __init__(
        self, desired: Desired | None = None, epoch: int = 1, *, spec: Spec = SPEC
    ) -> None:
        self.now = 0.0
        self.first = self.state = initial(spec, epoch=epoch, seed="s", desired=desired)
        self.hosts = {name: Host(name) for name in spec.hosts}
        self.timers: dict[str, float] = {}
        self.log: list[tuple[float, events.Event]] = []
        self.old: list[events.Event] = []
        self.versions: list[int] = []
        self.saved = desired or Desired()
        self.pids = 0
        self.finished: effects.Finished | None = None

    def happen(self, event: events.Event) -> None:
        self.log.append((self.now, event))
        self.old.append(event)
        before = self.state
        self.state, done = step(self.state, event, self.now)
        for effect in done:
            self.carry_out(effect)
        check(self, before)

    def carry_out(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Reach(host=name, session=session):
                self.hosts[name].reaching = session
            case effects.SetTimer(name=name, when=when):
                self.timers[name] = when
            case effects.CancelTimer(name=name):
                del self.timers[name]
            case effects.Save(desired=desired):
                self.saved = desired
            case effects.Finished():
                self.finished = effect
            case effects.Send(host=name, session=session, message=message):
                host = self.hosts[name]
                if host.alive and host.session == session:
                    self.receive(host, message)
            case effects.Report():
                pass

    def receive(self, host: Host, message: Orders | Relay | Restart | End) -> None:
        match message:
            case Orders():
                self.obey(host, message)
            case Relay(message=relayed, replicas=named):
                self.relay(host, to_proclet.unpack(relayed), named)
            case Restart(replica=replica, incarnation=incarnation):
                process = host.processes.get(replica)
                if process is not None and process.incarnation == incarnation:
                    self.exit(host, replica, expected=True)
                    self.start(host, replica)
            case End():
                host.alive = False
                host.processes.clear()
                self.put(host, events.EnvelopeLost(host.name, host.session, "ended", gone=True))

    def obey(self, host: Host, orders: Orders) -> None:
        host.orders = orders
        for replica in list(host.down):
            if replica not in orders.replicas and replica not in host.processes:
                number = host.down.pop(replica)  # forgotten: its incarnations begin anew
                self.tell(host, ReplicaExited(replica, number, expected=True))
        for replica in list(host.processes):
            if replica not in orders.replicas:
                self.exit(host, replica, expected=True)
        self.repair(host)

    def relay(self, host: Host, message: ToProclet, named: tuple[str, ...]) -> None:
        if isinstance(message, NewRouting):
            self.versions.append(message.routing.version)
        if isinstance(message, Probe):
            for replica in named:
                self.say(host, replica, Probed(message.nonce, "dep-1", "build-1"))

    def put(self, host: Host, event: events.Event) -> None:
        if host.session:
            host.outbox.append(event)

    def tell(self, host: Host, message: events.FromHost) -> None:
        self.put(host, events.HostSaid(host.name, host.session, message))

    def say(self, host: Host, replica: str, message: events.FromReplica) -> None:
        process = host.processes.get(replica)
        if process is not None:
            number = process.incarnation
            self.put(host, events.ReplicaSaid(host.name, host.session, replica, number, message))

    def start(self, host: Host, replica: str) -> None:
        number = host.down.get(replica, 0) + 1
        host.down[replica] = number
        self.pids += 1
        group = replica.rpartition("-")[0]
        found = ReplicaState(replica, group, number, self.pids, restarts=number - 1)
        host.processes[replica] = Process(number, self.pids, found)
        self.tell(host, ReplicaStarted(replica, number, self.pids, self.now))

    def register(self, host: Host, replica: str) -> None:
        process = host.processes[replica]
        message = RegisterReplica(
            f"unix:/{process.pid}",
            build="build-1",
            deployment="dep-1",
            remote=f"{host.name}:{process.pid}",
        )
        process.started = msgspec.structs.replace(process.started, registered=message)
        self.say(host, replica, message)

    def exit(self, host: Host, replica: str, *, expected: bool = False, loop: bool = False) -> None:
        process = host.processes.pop(replica)
        message = ReplicaExited(
            replica, process.incarnation, expected=expected, delay=0.1, crash_loop=loop
        )
        self.tell(host, message)

    def lose(self, host: Host, *, gone: bool, silent: bool = False) -> None:
        """The connection ends; what was on its way is lost."""
        session = host.session
        host.outbox.clear()
        host.session = 0
        if gone:
            host.alive = False
            host.processes.clear()
            host.down.clear()
            host.orders = None
        self.happen(events.EnvelopeLost(host.name, session, "lost", gone, silent))

    def answer(self, host: Host, *, succeeds: bool = True) -> None:
        """An attempt to reach the envelope comes to its end."""
        session, host.reaching = host.reaching, 0
        if host.cut or not succeeds:
            self.happen(events.EnvelopeLost(host.name, session, "refused"))
            return
        host.alive = True
        host.session = session
        host.outbox.clear()
        found = tuple(p.started for p in host.processes.values())
        self.tell(host, Attached(host.name, 1, self.state.epoch, replicas=found))

    def repair(self, host: Host) -> None:
        """Envelopes start by themselves what their orders say, also without a manager."""
        if host.alive and host.orders is not None:
            for replica in host.orders.replicas:
                if replica not in host.processes:
                    self.start(host, replica)

    def fire(self) -> None:
        if self.timers:
            name = min(self.timers, key=lambda n: (self.timers[n], n))
            self.now = max(self.now, self.timers.pop(name))
            self.happen(events.TimerFired(name))

    def settle(self, seconds: float = float("inf")) -> None:
        """Nothing fails any more, except that hosts stay cut off; for so long at most."""
        end = self.now + seconds
        for _ in range(5000):
            if self.finished or self.now > end:
                return
            for host in self.hosts.values():
                if host.reaching:
                    self.answer(host)
                self.repair(host)
                for replica, process in host.processes.items():
                    if process.started.registered is None:
                        self.register(host, replica)
                while host.outbox and not self.finished:
                    self.happen(host.outbox.pop(0))
            if any(host.is_busy() for host in self.hosts.values()):
                continue
            if not self.timers:
                return
            self.fire()


def check(world: World, before: State) -> None:
    state = world.state
    assert state.timers == world.timers
    assert state.routing.version >= before.routing.version
    assert world.versions == sorted(world.versions)
    if state.phase == "stopped":
        assert state.timers == {}
        return
    if state.phase in {"starting", "stopping"}:
        assert "deployment" in state.timers
    if state.adopting:
        assert "adoption" in state.timers
    for envelope in state.envelopes.values():
        waits = envelope.reach in {"waiting", "reaching"}
        assert waits == (f"envelope:{envelope.host}" in state.timers)
        lost = waits and envelope.attempts > 0 and state.phase in {"starting", "live"}
        if lost and len(state.envelopes) > 1 and envelope.host not in state.desired.away:
            assert f"grace:{envelope.host}" in state.timers
    for replica in state.replicas.values():
        if replica.stage == "lost":
            assert f"envelope:{replica.host}" in state.timers
        else:
            assert (replica.stage != "ready") == (f"replica:{replica.id}" in state.timers)
    check_routes(state)
    check_places(world)


def check_places(world: World) -> None:
    """No host has more replicas than slots, and no two processes have one name."""
    desired, state = world.state.desired, world.state
    assert desired.slots.keys().isdisjoint(desired.leaving)
    assert desired.leaving.keys() <= state.replicas.keys() or state.phase == "stopping"
    for name, host in state.spec.hosts.items():
        slots = [*desired.slots.values(), *desired.leaving.values()]
        if host.slots is not None:
            assert sum(slot.host == name for slot in slots) <= host.slots
            assert len(world.hosts[name].processes) <= host.slots
    running = [replica for host in world.hosts.values() for replica in host.processes]
    assert len(running) == len(set(running))


def check_routes(state: State) -> None:
    if state.adopting:
        return
    for name, route in state.routing.groups.items():
        ready = {r.id: r for r in state.replicas.values() if r.group == name and r.stage == "ready"}
        assert [e.replica for e in route.endpoints] == sorted(ready)
        assert all(e.address == ready[e.replica].address for e in route.endpoints)
        owners = route.assignment
        if name == "cart" and ready:
            assert owners.starts[0] == 0
            assert list(owners.starts) == sorted(set(owners.starts))
            assert len(owners.starts) == len(owners.owners)
            assert set(owners.owners) == set(ready)
        else:
            assert owners.starts == ()
