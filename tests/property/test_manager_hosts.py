"""The manager over many hosts: places, hosts that are lost for long, and their return."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from manager_acts import ACTS, Act, act_on, run
from manager_world import GROUPS, SPEC, Host, World

from weaver.manager import effects, events
from weaver.manager.hosts import HostSpec, Slot
from weaver.manager.scaling import refusal
from weaver.manager.state import State, Waits
from weaver.manager.status import report
from weaver.manager.step import step

HOSTS = ("h1", "h2", "h3")
MANY = msgspec.structs.replace(
    SPEC,
    groups={**GROUPS, "cart": msgspec.structs.replace(GROUPS["cart"], hosts=("tag:big", "h3"))},
    hosts={
        "h1": HostSpec(labels=("big",), slots=3, address="10.0.0.1"),
        "h2": HostSpec(labels=("big",), slots=3, address="10.0.0.2"),
        "h3": HostSpec(slots=4, address="10.0.0.3"),
    },
)
LONG = Waits().moved + 200
"""Seconds after which whatever is lost has been given up, and what replaces it runs."""


def cut(world: World, host: Host, n: int) -> None:
    """The network to a host is gone; what runs there does not know."""
    host.cut = True
    if host.session:
        world.lose(host, gone=False)


def join(world: World, host: Host, n: int) -> None:
    host.cut = False


def power_off(world: World, host: Host, n: int) -> None:
    cut(world, host, n)
    host.processes.clear()
    host.down.clear()
    host.orders = None
    host.alive = False


def wait(world: World, host: Host, n: int) -> None:
    if world.state.phase == "live":
        world.settle(5.0 * n)


CUTS: tuple[Act, ...] = (*ACTS, cut, cut, join, power_off, wait, wait)
acts = st.lists(
    st.tuples(st.sampled_from(CUTS), st.sampled_from(HOSTS), st.integers(0, 30)), max_size=80
)


def began() -> World:
    world = World(spec=MANY)
    world.happen(events.Began())
    world.settle()
    assert world.state.phase == "live"
    return world


def join_all(world: World) -> None:
    for host in world.hosts.values():
        host.cut = False
    world.settle()


def assert_all_run(world: World) -> None:
    """Each group has what it shall have, where it may be, and nothing else runs."""
    state = world.state
    assert state.phase == "live"
    desired = state.desired
    assert (desired.away, desired.leaving, desired.stand_ins) == ((), {}, {})
    for name in MANY.groups:
        own = [r for r in state.replicas.values() if r.group == name]
        assert [r.stage for r in own] == ["ready"] * desired.replicas[name]
    running = {replica: host.name for host in world.hosts.values() for replica in host.processes}
    assert running == {replica: slot.host for replica, slot in desired.slots.items()}
    for name, host in world.hosts.items():
        assert len(host.processes) <= (MANY.hosts[name].slots or 0)


def next_manager(world: World) -> World:
    """Another manager, which knows what was saved."""
    new = World(world.saved, world.state.epoch + 1, spec=MANY)
    new.hosts, new.pids = world.hosts, world.pids
    for host in new.hosts.values():
        host.session, host.reaching = 0, 0
        host.outbox.clear()
    new.happen(events.Began())
    return new


@settings(max_examples=100, deadline=None)
@given(acts)
def test_all_replicas_run_once_all_hosts_are_back(todo: list[tuple[Act, str, int]]) -> None:
    world = run(World(spec=MANY), todo)
    join_all(world)
    if world.finished is None:
        assert_all_run(world)
    else:
        assert world.finished.result == "failed"


@settings(max_examples=60, deadline=None)
@given(acts, acts)
def test_a_new_manager_goes_on_with_lost_hosts(
    todo: list[tuple[Act, str, int]], later: list[tuple[Act, str, int]]
) -> None:
    world = began()
    act_on(world, todo)
    if world.finished is not None:
        return
    away = world.state.desired.away
    world = next_manager(world)
    assert world.state.desired.away == away
    act_on(world, later)
    if world.finished is None:
        join_all(world)
        assert_all_run(world)


@settings(max_examples=40, deadline=None)
@given(acts, st.sampled_from(HOSTS))
def test_without_one_host_all_replicas_run_on_the_others_as_far_as_there_is_room(
    todo: list[tuple[Act, str, int]], lost: str
) -> None:
    world = began()
    act_on(world, todo)
    if world.finished is not None:
        return
    for host in world.hosts.values():
        host.cut = False
    power_off(world, world.hosts[lost], 0)
    world.settle(LONG)
    state = world.state
    ready = {r.id: r for r in state.replicas.values() if r.stage == "ready" and r.host != lost}
    room = sum(h.slots or 0 for name, h in MANY.hosts.items() if name != lost)
    assert len(ready) == min(sum(state.desired.replicas.values()), room)
    routed = {e.replica for route in state.routing.groups.values() for e in route.endpoints}
    assert routed == set(ready)
    join_all(world)
    assert_all_run(world)


@settings(max_examples=40, deadline=None)
@given(acts, st.booleans())
def test_a_stop_with_lost_hosts_comes_to_an_end(
    todo: list[tuple[Act, str, int]], at_once: bool
) -> None:
    world = run(World(spec=MANY), todo)
    if world.finished is None:
        world.happen(events.StopRequested(at_once))
    world.settle()
    assert world.finished is not None
    assert not any(host.processes for host in world.hosts.values() if host.alive and not host.cut)


def reports(world: World, event: events.Event) -> list[str]:
    """The kinds of what a step tells people, without changing the world."""
    _, done = step(world.state, event, world.now)
    return [effect.kind for effect in done if isinstance(effect, effects.Report)]


def endpoints(state: State, group: str) -> set[str]:
    return {e.replica for e in state.routing.groups[group].endpoints}


def on(world: World, host: str) -> set[str]:
    return {k for k, slot in world.state.desired.slots.items() if slot.host == host}


def test_a_lost_host_is_replaced_after_the_grace_time_and_takes_its_replicas_back() -> None:
    world = began()
    before = on(world, "h1")
    owners = world.state.desired.homes["cart"]
    cut(world, world.hosts["h1"], 0)
    world.settle(MANY.waits.trust)
    assert on(world, "h1") == before
    assert {e.host for r in world.state.routing.groups.values() for e in r.endpoints} == {
        "h2",
        "h3",
    }
    world.settle(MANY.waits.moved)
    assert on(world, "h1") == set()
    assert world.state.desired.away == ("h1",)
    assert {s.home for s in world.state.desired.stand_ins.values()} == {"h1"}
    stand_ins = set(world.state.desired.stand_ins)
    assert {r.stage for r in world.state.replicas.values() if r.id in stand_ins} == {"ready"}
    assert len(world.hosts["h1"].processes) == len(before)  # it does not know
    moved = world.state.desired.homes["cart"]
    assert moved.starts == owners.starts  # stand-ins own what was owned by those they stand for
    join_all(world)
    assert_all_run(world)
    assert on(world, "h1") == before
    assert world.state.desired.homes["cart"] == owners


def test_old_copies_end_before_successors_start_and_stand_ins_serve_until_those_are_ready() -> None:
    world = began()
    cut(world, world.hosts["h1"], 0)
    world.settle(MANY.waits.moved + 10)
    stand_ins = world.state.desired.stand_ins
    old = set(world.hosts["h1"].processes)
    assert old.isdisjoint(world.state.desired.slots)
    world.hosts["h1"].cut = False
    while world.state.envelopes["h1"].reach != "attached":
        if world.hosts["h1"].reaching:
            world.answer(world.hosts["h1"])
            world.happen(world.hosts["h1"].outbox.pop(0))
        else:
            world.fire()
    assert world.state.desired.leaving.keys() == old
    assert not world.hosts["h1"].processes
    assert stand_ins.keys() <= endpoints(world.state, "front") | endpoints(world.state, "cart")
    while world.hosts["h1"].outbox:
        world.happen(world.hosts["h1"].outbox.pop(0))
    successors = {s.successor for s in world.state.desired.stand_ins.values()}
    assert successors == set(world.hosts["h1"].processes)
    assert stand_ins.keys() <= endpoints(world.state, "front") | endpoints(world.state, "cart")


def test_replicas_that_no_other_host_may_run_wait_for_theirs_and_that_is_told() -> None:
    groups = {"front": msgspec.structs.replace(GROUPS["front"], hosts=("h1",), calls=())}
    hosts = {"h1": HostSpec(), "h2": HostSpec()}
    world = World(spec=msgspec.structs.replace(SPEC, groups=groups, hosts=hosts))
    world.happen(events.Began())
    world.settle()
    cut(world, world.hosts["h1"], 0)
    slots = world.state.desired.slots
    while min(world.timers, key=lambda n: world.timers[n]) != "grace:h1":
        if world.hosts["h1"].reaching:
            world.answer(world.hosts["h1"])
        else:
            world.fire()
    world.now = world.timers.pop("grace:h1")
    fired = events.TimerFired("grace:h1")
    assert reports(world, fired) == ["host lost", "waiting", "waiting"]
    world.happen(fired)
    world.settle(LONG)
    assert world.state.desired.slots == slots
    assert endpoints(world.state, "front") == {"front-1", "front-2"}  # calls are worth a try
    join_all(world)
    assert {p.incarnation for p in world.hosts["h1"].processes.values()} == {1}


def test_a_manager_that_is_cut_off_itself_moves_nothing() -> None:
    world = began()
    slots = world.state.desired.slots
    for host in world.hosts.values():
        cut(world, host, 0)
    world.settle(10 * LONG)
    assert world.state.desired.slots == slots
    world.hosts["h1"].cut = False
    world.settle(MANY.waits.moved / 2)
    assert world.state.envelopes["h1"].reach == "attached"
    assert world.state.desired.slots == slots
    join_all(world)
    assert world.state.desired.slots == slots
    assert {p.incarnation for h in world.hosts.values() for p in h.processes.values()} == {1}


def test_orders_hold_each_hosts_own_address_and_certificates() -> None:
    world = began()
    for name, host in world.hosts.items():
        assert host.orders is not None
        assert host.orders.advertise == MANY.hosts[name].address
    (endpoint, *_) = world.state.routing.groups["front"].endpoints
    assert endpoint.address_from(endpoint.host) == endpoint.address
    assert endpoint.address_from("another") == endpoint.remote != endpoint.address


def test_every_host_of_the_entry_serves_its_listeners_at_its_own_address() -> None:
    front = msgspec.structs.replace(GROUPS["front"], listeners={"http": "0.0.0.0:8080"})
    world = World(spec=msgspec.structs.replace(MANY, groups={**MANY.groups, "front": front}))
    world.happen(events.Began())
    world.settle()
    serving = {slot.host for slot in world.state.desired.slots.values() if slot.group == "front"}
    assert len(serving) == 2
    state = world.state
    for name, host in world.hosts.items():
        assert host.orders is not None
        listeners = {k for g in host.orders.groups.values() for k in g.listeners}
        assert listeners == ({"http"} if name in serving else set())
        if name in serving:
            envelope = msgspec.structs.replace(
                state.envelopes[name], listeners={"http": "0.0.0.0:8080"}
            )
            state = msgspec.structs.replace(state, envelopes={**state.envelopes, name: envelope})
    found = {listener.address for listener in report(state).listeners}
    assert found == {f"{MANY.hosts[name].address}:8080" for name in serving}


def test_a_deployment_that_has_not_enough_slots_fails_before_anything_starts() -> None:
    groups = {"cart": msgspec.structs.replace(GROUPS["cart"], replicas=9, hosts=("tag:big",))}
    world = World(spec=msgspec.structs.replace(MANY, groups=groups))
    world.happen(events.Began())
    assert world.finished is not None
    assert world.finished.fault is not None
    assert world.finished.fault.what == (
        "group cart is to have 9 replicas, but there is room for 6"
    )
    assert "h1 has 3, h2 has 3" in world.finished.fault.why
    assert not any(host.reaching for host in world.hosts.values())


def test_a_group_is_not_scaled_beyond_the_slots_of_its_hosts() -> None:
    world = began()
    assert refusal(world.state, "cart", 8) is None
    fault = refusal(world.state, "cart", 9)
    assert fault is not None
    assert fault.what == "group cart is to have 9 replicas, but there is room for 8"
    world.happen(events.ScaleRequested("cart", 9))
    assert world.state.desired.replicas["cart"] == 3
    world.happen(events.ScaleRequested("cart", 8))
    world.settle()
    assert_all_run(world)


def test_slots_of_a_host_stay_when_the_manager_changes_and_hosts_leave_the_file() -> None:
    world = began()
    fewer = msgspec.structs.replace(MANY, hosts={k: MANY.hosts[k] for k in ("h2", "h3")})
    new = World(world.saved, 2, spec=fewer)
    new.happen(events.Began())
    new.settle()
    slots = new.state.desired.slots
    assert {slot.host for slot in slots.values()} == {"h2", "h3"}
    kept = {k: s for k, s in world.state.desired.slots.items() if s.host != "h1"}
    assert kept.items() <= slots.items()
    assert all(isinstance(slot, Slot) for slot in slots.values())


def test_a_host_that_joins_takes_what_waits_for_a_lost_one_and_keeps_the_rest_in_place() -> None:
    few = msgspec.structs.replace(MANY, hosts={k: MANY.hosts[k] for k in ("h1", "h2")})
    world = World(spec=few)
    world.happen(events.Began())
    world.settle()
    power_off(world, world.hosts["h1"], 0)
    world.settle(LONG)
    waiting = on(world, "h1")
    assert waiting  # the other one has no room for all of them
    staying = on(world, "h2")
    world.hosts["h3"] = Host("h3")
    joined = next_manager(world)
    joined.settle(LONG)
    assert joined.state.envelopes["h3"].reach == "attached"
    assert on(joined, "h1") == set()
    assert staying <= on(joined, "h2")
    assert len(on(joined, "h3")) == len(waiting)
    own = [r for r in joined.state.replicas.values() if r.host != "h1"]
    assert {r.stage for r in own} == {"ready"}
    reached = report(joined.state).hosts
    assert (reached["h2"], reached["h3"]) == ("attached", "attached")
    assert reached["h1"] != "attached"
