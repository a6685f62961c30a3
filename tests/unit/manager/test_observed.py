"""What a rollout is told of a version, and what its machine does with orders of traffic."""

import msgspec

from weaver.control.ingress import Backend, Pinning, Table
from weaver.control.messages import (
    Application,
    Attached,
    Failed,
    Fault,
    Orders,
    Probed,
    RegisterReplica,
    ReplicaExited,
    ReplicaStarted,
    ReplicaState,
)
from weaver.control.traffic import IngressOrder, Traffic
from weaver.manager import effects, events
from weaver.manager.hosts import HostSpec
from weaver.manager.observed import HostView, Observed, observe
from weaver.manager.placement import Group
from weaver.manager.state import Desired, Spec, State, initial
from weaver.manager.step import step

GROUPS = {
    "front": Group(
        components=("shop.Web",), replicas=2, entry="shop.Web", listeners={"http": "127.0.0.1:0"}
    ),
    "cart": Group(components=("shop.Cart",)),
}
SPEC = Spec(
    application=Application("shop", "build-1", "shop-1", "shop:Web"),
    groups=GROUPS,
    hosts={"here": HostSpec()},
)


class Machine:
    """The machine of one version, with one host that does what it is told."""

    def __init__(self, desired: Desired | None = None, *, epoch: int = 1) -> None:
        self.state: State = initial(SPEC, epoch=epoch, seed="s", desired=desired)
        self.done: list[effects.Effect] = []
        self.tell(events.Began())

    def tell(self, event: events.Event) -> None:
        self.state, done = step(self.state, event, 1.0)
        self.done += done

    def said(self, message: events.FromHost) -> None:
        session = self.state.envelopes["here"].session
        self.tell(events.HostSaid("here", session, message))

    def replica(self, name: str, message: events.FromReplica, incarnation: int = 1) -> None:
        session = self.state.envelopes["here"].session
        self.tell(events.ReplicaSaid("here", session, name, incarnation, message))

    def start(self, name: str, incarnation: int = 1) -> None:
        self.said(ReplicaStarted(name, incarnation, 100, 0.0))
        self.replica(name, registered(name), incarnation)
        self.answer(name, incarnation)

    def answer(self, name: str, incarnation: int = 1) -> None:
        nonce = self.state.replicas[name].nonce
        self.replica(name, Probed(nonce, "shop-1", "build-1"), incarnation)

    def live(self) -> "Machine":
        self.said(Attached("here", 1, 1))
        for name in ("front-1", "front-2", "cart-1"):
            self.start(name)
        assert self.state.phase == "live"
        return self

    def orders(self) -> list[Orders]:
        sent = [effect.message for effect in self.done if isinstance(effect, effects.Send)]
        return [message for message in sent if isinstance(message, Orders)]


def registered(name: str) -> RegisterReplica:
    serving = {"http": f"unix:/run/{name}"} if name.startswith("front") else {}
    beyond = {"http": f"tls:10.0.0.1:{name[-1]}"} if name.startswith("front") else {}
    return RegisterReplica("unix:/rpc", (), "build-1", "shop-1", serving=serving, beyond=beyond)


BOTH = (Backend("front-1", "unix:/run/front-1"), Backend("front-2", "unix:/run/front-2"))
BEYOND = (Backend("front-1", "tls:10.0.0.1:1"), Backend("front-2", "tls:10.0.0.1:2"))
BEHIND = Traffic(accepting=False, ingress={"http": IngressOrder(Table(7))}, predecessor="/run/old")


def test_nobody_is_ready_before_the_health_gate() -> None:
    machine = Machine()
    assert observe(machine.state) == Observed(
        phase="starting", hosts={"here": HostView(attached=False, wanted={"http": 2})}
    )
    machine.said(Attached("here", 1, 1))
    machine.said(ReplicaStarted("front-1", 1, 100, 0.0))
    machine.replica("front-1", registered("front-1"))
    assert observe(machine.state).hosts["here"] == HostView(attached=True, wanted={"http": 2})
    machine.answer("front-1")
    assert observe(machine.state).hosts["here"].ready == {"http": BOTH[:1]}


def test_all_ready_replicas_of_a_listener_are_told() -> None:
    seen = observe(Machine().live().state)
    assert seen == Observed(
        phase="live",
        hosts={"here": HostView(True, {"http": 2}, {"http": BOTH}, {"http": BEYOND})},
    )


def test_a_replica_that_has_ended_is_no_backend_until_it_is_ready_again() -> None:
    machine = Machine().live()
    machine.said(ReplicaExited("front-1", 1, code=1, delay=0.1))
    assert observe(machine.state).hosts["here"].ready == {"http": BOTH[1:]}
    assert observe(machine.state).hosts["here"].beyond == {"http": BEYOND[1:]}
    assert machine.state.replicas["front-1"].serving == {}
    assert machine.state.replicas["front-1"].beyond == {}
    machine.start("front-1", 2)
    assert observe(machine.state).hosts["here"].ready == {"http": BOTH}


def test_a_crash_loop_is_told_with_what_ended_the_replica() -> None:
    machine = Machine().live()
    machine.replica("cart-1", Failed(Fault("the database is gone", component="shop.Cart")))
    machine.said(ReplicaExited("cart-1", 1, code=1, lines=("boom",), crash_loop=True, delay=1.0))
    seen = observe(machine.state).crash_loop
    assert seen is not None
    assert seen.replica == "cart-1"
    assert seen.fault is not None
    assert seen.fault.why == "the database is gone; its last lines:\nboom"
    machine.said(ReplicaStarted("cart-1", 2, 101, 0.0))
    assert observe(machine.state).crash_loop == seen
    machine.start("cart-1", 3)
    assert observe(machine.state).crash_loop is None


def test_traffic_is_ordered_on_the_host_and_kept() -> None:
    machine = Machine().live()
    assert machine.orders()[-1].traffic == Traffic()
    machine.tell(events.TrafficOrdered({"here": BEHIND}))
    assert machine.orders()[-1].traffic == BEHIND
    assert [e for e in machine.done if isinstance(e, effects.Save)][-1].desired.traffic == {
        "here": BEHIND
    }
    assert observe(machine.state).traffic == {"here": BEHIND}
    count = len(machine.orders())
    machine.tell(events.TrafficOrdered({"here": BEHIND}))
    assert len(machine.orders()) == count


def test_the_secret_of_cookies_is_in_orders_and_in_nothing_that_is_saved() -> None:
    machine = Machine().live()
    spec = msgspec.structs.replace(SPEC, secret=b"of this version")
    machine.state = msgspec.structs.replace(machine.state, spec=spec)
    table = Table(1, pinning=Pinning(cookie="version"))
    machine.tell(events.TrafficOrdered({"here": Traffic(ingress={"http": IngressOrder(table)})}))
    (order,) = machine.orders()[-1].traffic.ingress.values()
    assert order.table.pinning == Pinning(cookie="version", secret=b"of this version")
    saved = [e for e in machine.done if isinstance(e, effects.Save)][-1].desired
    assert b"of this version" not in msgspec.msgpack.encode(saved)
    assert observe(machine.state).traffic["here"].ingress["http"].table == table


def test_a_version_that_is_to_serve_nobody_is_told_so_in_its_first_order() -> None:
    machine = Machine(Desired(traffic={"here": BEHIND}))
    machine.said(Attached("here", 1, 1))
    assert machine.orders()[0].traffic == BEHIND


def test_the_next_manager_knows_what_was_ordered_and_where_replicas_serve() -> None:
    first = Machine().live()
    first.tell(events.TrafficOrdered({"here": BEHIND}))
    saved = msgspec.json.decode(msgspec.json.encode(first.state.desired), type=Desired)
    second = Machine(saved, epoch=2)
    seen = observe(second.state)
    assert not seen.settled
    assert seen.traffic == {"here": BEHIND}
    running = tuple(
        ReplicaState(r.id, r.group, 1, 100, "ready", registered=registered(r.id))
        for r in first.state.replicas.values()
    )
    second.said(Attached("here", 1, 2, replicas=running))
    assert not observe(second.state).settled
    for name in ("front-1", "front-2", "cart-1"):
        second.answer(name)
    seen = observe(second.state)
    assert seen.settled
    assert seen.hosts["here"].ready == {"http": BOTH}
    assert second.orders()[-1].traffic == BEHIND


def test_a_version_can_be_given_its_numbers_before_its_machine_begins() -> None:
    state = initial(SPEC, epoch=1, seed="s")
    for event in (events.ScaleRequested("front", 4), events.Began()):
        state, _ = step(state, event, 1.0)
    assert observe(state).hosts["here"].wanted == {"http": 4}


def test_equal_observations_are_equal() -> None:
    state = Machine().live().state
    later, _ = step(state, events.LoadMeasured({"front-1": 0.5}), 9.0)
    assert observe(later) == observe(state)
