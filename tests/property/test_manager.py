"""The manager against a small world of hosts and processes that fail at every moment."""

import dataclasses
from collections.abc import Callable

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from weaver.control.messages import (
    Application,
    Attached,
    End,
    Failed,
    Fault,
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
from weaver.manager.placement import Group
from weaver.manager.state import Desired, Spec, State, initial
from weaver.manager.step import replay, step

GROUPS = {
    "front": Group(components=("shop.Web",), replicas=2, entry="shop.Web"),
    "cart": Group(components=("shop.Cart",), replicas=3, routed=True),
}
APPLICATION = Application("shop", "build-1", "dep-1", "shop:Web")
HOSTS = ("h1", "h2")
SPEC = Spec(application=APPLICATION, groups=GROUPS, hosts=dict.fromkeys(HOSTS, ()))
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
    """An envelope: alive or not, connected or not, with its processes and what it has to say."""

    name: str
    alive: bool = False
    session: int = 0
    reaching: int = 0
    processes: dict[str, Process] = dataclasses.field(default_factory=dict[str, Process])
    down: dict[str, int] = dataclasses.field(default_factory=dict[str, int])
    orders: Orders | None = None
    outbox: list[events.Event] = dataclasses.field(default_factory=list[events.Event])


class World:
    def __init__(self, desired: Desired | None = None, epoch: int = 1) -> None:
        self.now = 0.0
        self.first = self.state = initial(SPEC, epoch=epoch, seed="s", desired=desired)
        self.hosts = {name: Host(name) for name in HOSTS}
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
                host.orders = message
                for replica in list(host.processes):
                    if replica not in message.replicas:
                        self.exit(host, replica, expected=True)
                for replica in message.replicas:
                    if replica not in host.processes:
                        self.start(host, replica)
            case Relay(message=relayed, replicas=named):
                inner = to_proclet.unpack(relayed)
                if isinstance(inner, NewRouting):
                    self.versions.append(inner.routing.version)
                if isinstance(inner, Probe):
                    answer = Probed(inner.nonce, "dep-1", "build-1")
                    for replica in named:
                        self.say(host, replica, answer)
            case Restart(replica=replica, incarnation=incarnation):
                process = host.processes.get(replica)
                if process is not None and process.incarnation == incarnation:
                    self.exit(host, replica, expected=True)
                    self.start(host, replica)
            case End():
                host.alive = False
                host.processes.clear()
                self.put(host, events.EnvelopeLost(host.name, host.session, "ended", gone=True))

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
        message = RegisterReplica(f"unix:/{process.pid}", build="build-1", deployment="dep-1")
        process.started = msgspec.structs.replace(process.started, registered=message)
        self.say(host, replica, message)

    def exit(self, host: Host, replica: str, *, expected: bool = False, loop: bool = False) -> None:
        process = host.processes.pop(replica)
        message = ReplicaExited(
            replica, process.incarnation, expected=expected, delay=0.1, crash_loop=loop
        )
        self.tell(host, message)

    def lose(self, host: Host, *, gone: bool) -> None:
        """The connection ends; what was on its way is lost."""
        session = host.session
        host.outbox.clear()
        host.session = 0
        if gone:
            host.alive = False
            host.processes.clear()
            host.down.clear()
            host.orders = None
        self.happen(events.EnvelopeLost(host.name, session, "lost", gone=gone))

    def answer(self, host: Host, *, succeeds: bool = True) -> None:
        """An attempt to reach the envelope comes to its end."""
        session, host.reaching = host.reaching, 0
        if not succeeds:
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
            self.now = max(self.now, self.timers[name])
            self.happen(events.TimerFired(name))

    def settle(self) -> None:
        """Nothing fails any more."""
        for _ in range(400):
            if self.finished:
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
            if not self.timers and not any(h.outbox or h.reaching for h in self.hosts.values()):
                return
            if not any(h.outbox or h.reaching for h in self.hosts.values()):
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
    for replica in state.replicas.values():
        if replica.stage == "lost":
            assert f"envelope:{replica.host}" in state.timers
        else:
            assert (replica.stage != "ready") == (f"replica:{replica.id}" in state.timers)
    check_routes(state)


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


Act = Callable[[World, Host, int], None]


def deliver(world: World, host: Host, n: int) -> None:
    if host.outbox:
        world.happen(host.outbox.pop(0))


def deliver_old(world: World, host: Host, n: int) -> None:
    if world.old:
        stale = world.old[n % len(world.old)]
        if not isinstance(stale, events.Began | events.StopRequested | events.TimerFired):
            world.happen(stale)


def reach(world: World, host: Host, n: int) -> None:
    if host.reaching:
        world.answer(host, succeeds=n % 4 != 0)


def disconnect(world: World, host: Host, n: int) -> None:
    if host.session:
        world.lose(host, gone=False)


def kill_envelope(world: World, host: Host, n: int) -> None:
    if host.session and n % 2:
        world.lose(host, gone=True)


def crash(world: World, host: Host, n: int) -> None:
    if host.processes:
        replica = sorted(host.processes)[n % len(host.processes)]
        world.exit(host, replica, loop=world.state.phase == "live" and n % 3 == 0)


def register(world: World, host: Host, n: int) -> None:
    waiting = [r for r, p in host.processes.items() if p.started.registered is None]
    if waiting:
        world.register(host, waiting[n % len(waiting)])


def repair(world: World, host: Host, n: int) -> None:
    world.repair(host)


def fire(world: World, host: Host, n: int) -> None:
    if world.timers and min(world.timers.values()) < world.now + 40:  # never to the deadline
        world.fire()


def fire_out_of_turn(world: World, host: Host, n: int) -> None:
    world.happen(events.TimerFired(["replica:cart-9", "trust:h1", "envelope:h2", "no"][n % 4]))


def scale(world: World, host: Host, n: int) -> None:
    world.happen(events.ScaleRequested(["front", "cart", "gone"][n % 3], n % 5))


ACTS: tuple[Act, ...] = (
    deliver, deliver, deliver, deliver, register, register, reach, reach, repair,
    crash, disconnect, kill_envelope, deliver_old, fire, fire_out_of_turn, scale,
)  # fmt: skip
acts = st.lists(
    st.tuples(st.sampled_from(ACTS), st.sampled_from(HOSTS), st.integers(0, 30)), max_size=120
)


def run(world: World, todo: list[tuple[Act, str, int]]) -> World:
    world.happen(events.Began())
    for act, host, n in todo:
        if world.finished is None:
            act(world, world.hosts[host], n)
    return world


def assert_converged(world: World) -> None:
    state = world.state
    assert state.phase == "live"
    for name in GROUPS:
        ready = [r for r in state.replicas.values() if r.group == name and r.stage == "ready"]
        assert len(ready) == state.desired.replicas[name]
        assert len(state.routing.groups[name].endpoints) == len(ready)
    running = sorted(r for host in world.hosts.values() for r in host.processes)
    assert running == sorted(state.desired.slots)


@settings(max_examples=150, deadline=None)
@given(acts)
def test_replicas_converge_to_the_wanted_number_when_failures_stop(
    todo: list[tuple[Act, str, int]],
) -> None:
    world = run(World(), todo)
    world.settle()
    if world.finished is None:
        assert_converged(world)
    else:
        assert world.finished.result == "failed"


@settings(max_examples=60, deadline=None)
@given(acts, acts)
def test_a_new_manager_adopts_what_runs(
    todo: list[tuple[Act, str, int]], later: list[tuple[Act, str, int]]
) -> None:
    first = run(World(), todo)
    first.settle()
    if first.finished is not None:
        return
    next_one = World(first.saved, epoch=2)
    next_one.hosts = first.hosts
    for host in next_one.hosts.values():
        host.session, host.reaching = 0, 0
        host.outbox.clear()
    pids = {p.pid for host in first.hosts.values() for p in host.processes.values()}
    next_one.happen(events.Began())
    next_one.settle()
    assert_converged(next_one)
    assert {p.pid for h in next_one.hosts.values() for p in h.processes.values()} == pids
    assert next_one.state.routing.version > first.state.routing.version
    homes = [w.state.routing.groups["cart"].assignment for w in (first, next_one)]
    assert (homes[0].starts, homes[0].owners) == (homes[1].starts, homes[1].owners)
    for act, name, n in later:
        act(next_one, next_one.hosts[name], n)
    next_one.settle()
    assert_converged(next_one)


@settings(max_examples=100, deadline=None)
@given(acts, st.booleans())
def test_a_stop_at_any_moment_ends_everything(
    todo: list[tuple[Act, str, int]], at_once: bool
) -> None:
    world = run(World(), todo)
    if world.finished is None:
        world.happen(events.StopRequested())
        if at_once and world.finished is None:
            world.happen(events.StopRequested(at_once=True))
    world.settle()
    assert world.finished is not None
    assert world.state.phase == "stopped"


@settings(max_examples=60, deadline=None)
@given(acts)
def test_the_log_of_events_replays_to_the_same_state(todo: list[tuple[Act, str, int]]) -> None:
    world = run(World(), todo)
    stored = [(now, msgspec.msgpack.encode(event)) for now, event in world.log]
    log = [(now, EVENT.decode(event)) for now, event in stored]
    assert replay(world.first, log) == world.state


@settings(max_examples=50, deadline=None)
@given(acts, st.sampled_from(["front-1", "cart-2"]))
def test_a_failed_start_before_the_deployment_is_live_fails_it_with_that_error(
    todo: list[tuple[Act, str, int]], replica: str
) -> None:
    world = run(World(), todo)
    state = world.state
    known = state.replicas.get(replica)
    if world.finished or state.phase != "starting" or known is None or known.proven:
        return
    envelope = state.envelopes[known.host]
    if envelope.reach != "attached" or known.stage == "stopping":
        return
    fault = Fault("no database", component="shop.Cart")
    number = known.incarnation
    world.happen(events.ReplicaSaid(known.host, envelope.session, replica, number, Failed(fault)))
    world.settle()
    assert world.finished == effects.Finished("failed", fault)
