"""The manager against a small world of hosts and processes that fail at every moment."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from manager_acts import ACTS, Act, run
from manager_world import GROUPS, HOSTS, World

from weaver.control.messages import Failed, Fault
from weaver.manager import effects, events
from weaver.manager.step import replay

EVENT: msgspec.msgpack.Decoder[events.Event] = msgspec.msgpack.Decoder(events.Event)

acts = st.lists(
    st.tuples(st.sampled_from(ACTS), st.sampled_from(HOSTS), st.integers(0, 30)), max_size=120
)


def assert_converged(world: World) -> None:
    state = world.state
    assert state.phase == "live"
    for name in GROUPS:
        ready = [r for r in state.replicas.values() if r.group == name and r.stage == "ready"]
        assert len(ready) == state.desired.replicas[name]
        processes = {r: p for host in world.hosts.values() for r, p in host.processes.items()}
        for endpoint in state.routing.groups[name].endpoints:
            assert endpoint.address == f"unix:/{processes[endpoint.replica].pid}"
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
