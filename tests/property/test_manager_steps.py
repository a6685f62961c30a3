"""Single decisions of the manager, in the same small world."""

import msgspec
import pytest
from manager_world import GROUPS, SPEC, World

from weaver.control.messages import (
    Ended,
    Orders,
    Probed,
    RegisterReplica,
    ReplicaExited,
    ReplicaStarted,
    Restart,
)
from weaver.manager import effects, events
from weaver.manager.ending import next_to_end
from weaver.manager.hosts import HostSpec, Slot
from weaver.manager.placement import EXTERNAL, Group
from weaver.manager.state import State, initial
from weaver.manager.status import report
from weaver.manager.step import step
from weaver.routing import Endpoint

FRONT = "front-1"


@pytest.fixture
def live() -> World:
    world = World()
    world.happen(events.Began())
    world.settle()
    assert world.state.phase == "live"
    return world


def host_of(world: World, replica: str) -> tuple[str, int]:
    host = world.state.replicas[replica].host
    return host, world.state.envelopes[host].session


def say(world: World, message: events.FromHost, *, session: int = 0) -> State:
    host, current = host_of(world, FRONT)
    world.happen(events.HostSaid(host, current + session, message))
    return world.state


def sent(world: World, event: events.Event) -> list[object]:
    """The messages that a step sends, without changing the world."""
    _, done = step(world.state, event, world.now)
    return [effect.message for effect in done if isinstance(effect, effects.Send)]


def crash(world: World, replica: str) -> None:
    host = world.hosts[world.state.replicas[replica].host]
    world.exit(host, replica)
    world.settle()
    assert world.state.replicas[replica].incarnation == 2


def test_the_end_of_an_earlier_incarnation_changes_nothing(live: World) -> None:
    crash(live, FRONT)
    before = live.state
    assert say(live, ReplicaExited(FRONT, 1)) == before
    assert say(live, ReplicaStarted(FRONT, 1, 7, 0.0)) == before


def test_the_end_of_the_present_incarnation_takes_the_route_at_once(live: World) -> None:
    state = say(live, ReplicaExited(FRONT, 1, delay=0.1))
    assert [e.replica for e in state.routing.groups["front"].endpoints] == ["front-2"]
    assert say(live, ReplicaExited(FRONT, 1, delay=0.1)) == state  # said twice


def test_what_an_earlier_incarnation_says_is_ignored(live: World) -> None:
    crash(live, FRONT)
    host, session = host_of(live, FRONT)
    before = live.state
    for message in (RegisterReplica("unix:/old"), Probed("s-1", "dep-1", "build-1")):
        live.happen(events.ReplicaSaid(host, session, FRONT, 1, message))
    assert live.state == before


def test_what_an_earlier_connection_says_is_ignored(live: World) -> None:
    before = live.state
    assert say(live, ReplicaExited(FRONT, 1), session=-1) == before
    host, session = host_of(live, FRONT)
    live.happen(events.EnvelopeLost(host, session - 1, gone=True))
    assert live.state == before


def test_an_answer_to_another_probe_does_not_make_a_replica_ready(live: World) -> None:
    say(live, ReplicaStarted(FRONT, 2, 77, 0.0))
    host, session = host_of(live, FRONT)
    registered = RegisterReplica("unix:/2", build="build-1", deployment="dep-1")
    live.happen(events.ReplicaSaid(host, session, FRONT, 2, registered))
    nonce = live.state.replicas[FRONT].nonce
    for answer, stage in (
        (Probed("s-1", "dep-1", "build-1"), "probing"),
        (Probed(nonce, "dep-1", "build-1"), "ready"),
    ):
        live.happen(events.ReplicaSaid(host, session, FRONT, 2, answer))
        assert live.state.replicas[FRONT].stage == stage


@pytest.mark.parametrize("answer", [("dep-0", "build-1"), ("dep-1", "build-0"), ("", "")])
def test_a_replica_of_another_deployment_or_build_is_replaced(
    live: World, answer: tuple[str, str]
) -> None:
    say(live, ReplicaStarted(FRONT, 2, 77, 0.0))
    host, session = host_of(live, FRONT)
    live.happen(events.ReplicaSaid(host, session, FRONT, 2, RegisterReplica("unix:/2")))
    nonce = live.state.replicas[FRONT].nonce
    wrong = events.ReplicaSaid(host, session, FRONT, 2, Probed(nonce, *answer))
    assert sent(live, wrong) == [Restart(FRONT, 2)]


def test_a_replica_that_answers_no_probe_is_asked_again_and_then_replaced(live: World) -> None:
    say(live, ReplicaStarted(FRONT, 2, 77, 0.0))
    host, session = host_of(live, FRONT)
    live.happen(events.ReplicaSaid(host, session, FRONT, 2, RegisterReplica("unix:/2")))
    state, asked = live.state, 0
    for _ in range(5):
        now = state.timers[f"replica:{FRONT}"]
        state, done = step(state, events.TimerFired(f"replica:{FRONT}"), now)
        messages = [effect.message for effect in done if isinstance(effect, effects.Send)]
        if Restart(FRONT, 2) in messages:
            break
        asked += len(messages)
    assert asked == SPEC.waits.probes - 1
    assert state.replicas[FRONT].stage == "restarting"


def test_a_replica_that_does_not_start_in_time_is_replaced(live: World) -> None:
    say(live, ReplicaStarted(FRONT, 2, 77, 0.0))
    live.now = live.timers[f"replica:{FRONT}"]
    assert Restart(FRONT, 2) in sent(live, events.TimerFired(f"replica:{FRONT}"))


def test_a_timer_that_was_set_anew_does_not_fire_early(live: World) -> None:
    state = say(live, ReplicaStarted(FRONT, 2, 77, 0.0))
    live.happen(events.TimerFired(f"replica:{FRONT}"))
    assert live.state == state


def test_a_name_is_not_used_again_before_its_replica_has_ended(live: World) -> None:
    live.happen(events.ScaleRequested("cart", 2))
    assert live.state.replicas["cart-3"].stage == "stopping"
    live.happen(events.ScaleRequested("cart", 3))
    assert "cart-4" in live.state.desired.slots
    live.settle()
    assert sorted(live.state.replicas) == ["cart-1", "cart-2", "cart-4", "front-1", "front-2"]


def test_a_replica_is_unrouted_before_its_envelope_is_told_to_stop_it(live: World) -> None:
    kinds = [type(message) for message in sent(live, events.ScaleRequested("front", 1))]
    assert Orders in kinds
    assert kinds[-1] is Orders
    assert kinds.count(Orders) == 1


def test_replicas_are_spread_over_hosts_and_stay_where_they_are(live: World) -> None:
    slots = live.state.desired.slots
    assert {slots["front-1"].host, slots["front-2"].host} == {"h1", "h2"}
    live.happen(events.ScaleRequested("front", 4))
    assert slots.items() <= live.state.desired.slots.items()


def test_a_group_runs_on_the_hosts_that_its_tags_allow() -> None:
    groups = {"cart": msgspec.structs.replace(GROUPS["cart"], hosts=("tag:big", "h3"))}
    hosts = {"h1": HostSpec(labels=("small",)), "h2": HostSpec(labels=("big",)), "h3": HostSpec()}
    spec = msgspec.structs.replace(SPEC, groups=groups, hosts=hosts)
    state, _ = step(initial(spec, epoch=1, seed="s"), events.Began(), 0.0)
    assert state.desired.slots == {
        "cart-1": Slot("cart", "h2"),
        "cart-2": Slot("cart", "h3"),
        "cart-3": Slot("cart", "h2"),
    }


def test_a_group_that_no_host_may_run_fails_the_deployment() -> None:
    groups = {"cart": msgspec.structs.replace(GROUPS["cart"], hosts=("tag:huge",))}
    spec = msgspec.structs.replace(SPEC, groups=groups)
    state, _ = step(initial(spec, epoch=1, seed="s"), events.Began(), 0.0)
    assert state.result == "failed"
    assert state.fault is not None
    assert state.fault.what == "group cart may run on no host there is"


def test_an_external_process_takes_calls_and_is_never_started() -> None:
    outside = Group(components=("a.Fake",), replicas=0, least=0, external="unix:/test.sock")
    spec = msgspec.structs.replace(SPEC, groups={**GROUPS, "fakes": outside})
    state, _ = step(initial(spec, epoch=1, seed="s"), events.Began(), 0.0)
    assert state.routing.groups["fakes"].endpoints == (Endpoint(EXTERNAL, "unix:/test.sock"),)
    assert "fakes" not in {slot.group for slot in state.desired.slots.values()}
    state, _ = step(state, events.ScaleRequested("fakes", 1), 0.0)
    assert state.desired.replicas["fakes"] == 0


def test_the_end_of_main_ends_the_deployment_unless_it_outlives_its_entry(live: World) -> None:
    host, session = host_of(live, FRONT)
    ended = events.ReplicaSaid(host, session, FRONT, 1, Ended())
    assert step(live.state, ended, live.now)[0].phase == "stopping"
    lasting = msgspec.structs.replace(live.state.spec, outlives_entry=True)
    state = msgspec.structs.replace(live.state, spec=lasting)
    assert step(state, ended, live.now)[0].phase == "live"


def test_a_lost_envelope_keeps_its_routes_for_a_while_and_its_last_ones_for_ever(
    live: World,
) -> None:
    live.happen(events.ScaleRequested("front", 1))
    live.settle()
    (only,) = (r for r in live.state.replicas.values() if r.group == "front")
    routing = live.state.routing
    live.lose(live.hosts[only.host], gone=False)
    assert live.state.routing == routing
    live.now = live.timers.pop(f"trust:{only.host}")
    live.happen(events.TimerFired(f"trust:{only.host}"))
    groups = live.state.routing.groups
    assert [e.replica for e in groups["front"].endpoints] == [only.id]
    assert {e.host for e in groups["cart"].endpoints} == {"h1", "h2"} - {only.host}


def test_an_envelope_that_is_gone_takes_its_routes_with_it(live: World) -> None:
    live.lose(live.hosts["h1"], gone=True)
    routes = live.state.routing.groups.values()
    assert {e.host for route in routes for e in route.endpoints} == {"h2"}


def test_callers_end_before_those_they_call(live: World) -> None:
    live.happen(events.StopRequested())
    assert {r.stage for r in live.state.replicas.values() if r.group == "front"} == {"stopping"}
    assert {r.stage for r in live.state.replicas.values() if r.group == "cart"} == {"ready"}
    assert all(host.alive for host in live.hosts.values())
    live.settle()
    assert live.finished == effects.Finished("stopped")


def test_what_does_not_end_in_its_turn_holds_nothing_up(live: World) -> None:
    live.happen(events.StopRequested())
    for host in live.hosts.values():
        host.outbox.clear()  # nobody hears that the front has ended
    live.now = live.timers.pop("deployment")
    live.happen(events.TimerFired("deployment"))
    assert not any(host.alive for host in live.hosts.values())


def test_a_second_stop_ends_all_at_once(live: World) -> None:
    live.happen(events.StopRequested())
    live.happen(events.StopRequested(at_once=True))
    assert not any(host.alive for host in live.hosts.values())


def test_groups_that_call_each_other_end_together() -> None:
    groups = {
        "a": Group(components=("A",), calls=("a", "b")),
        "b": Group(components=("B",), calls=("c",)),
        "c": Group(components=("C",), calls=("b",)),
    }
    assert next_to_end(groups, ("a", "b", "c")) == {"a"}
    assert next_to_end(groups, ("b", "c")) == {"b", "c"}


def test_the_group_of_the_entry_ends_first_whatever_it_refers_to() -> None:
    groups = {"web": Group(components=("Web",), entry="Web"), "cart": Group(components=("C",))}
    assert next_to_end(groups, ("web", "cart")) == {"web"}


def test_status_shows_what_people_ask_for(live: World) -> None:
    say(live, ReplicaExited(FRONT, 1, crash_loop=True, delay=10.0))
    found = report(live.state, started=3.0)
    assert (found.app, found.version, found.state) == ("shop", "build-1", "live")
    (front, cart) = found.groups
    assert [(r.id, r.state) for r in front.replicas] == [
        ("front-1", "crash loop"),
        ("front-2", "ready"),
    ]
    assert (cart.wanted, [r.id for r in cart.replicas]) == (3, ["cart-1", "cart-2", "cart-3"])
