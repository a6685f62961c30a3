"""A host that falls silent may be frozen: others take its calls soon, and not for nothing."""

import msgspec
from manager_world import GROUPS, SPEC, World

from weaver.manager import events
from weaver.manager.hosts import HostSpec
from weaver.manager.state import Waits

WAITS = Waits()
SPREAD = msgspec.structs.replace(
    SPEC,
    groups=GROUPS,
    hosts={name: HostSpec(address=f"10.0.0.{n}") for n, name in enumerate(("h1", "h2", "h3"), 1)},
)


def began() -> World:
    world = World(spec=SPREAD)
    world.happen(events.Began())
    world.settle()
    assert world.state.phase == "live"
    return world


def routed(world: World) -> set[str]:
    return {e.host for route in world.state.routing.groups.values() for e in route.endpoints}


def fall_silent(world: World, host: str) -> float:
    """Let it be silent for long; for how long it still had its routes."""
    world.hosts[host].cut = True
    began = world.now
    world.lose(world.hosts[host], gone=False, silent=True)
    while host in routed(world):
        assert world.now < began + WAITS.moved
        if world.hosts[host].reaching:
            world.answer(world.hosts[host])
        world.fire()
    return world.now - began


def come_back(world: World, host: str) -> None:
    world.hosts[host].cut = False
    world.settle(WAITS.retry_most + 2)
    assert host in routed(world)


def test_a_silent_host_soon_loses_its_routes_and_has_them_again_when_it_is_heard() -> None:
    world = began()
    before = routed(world)
    owners = world.state.routing.groups["cart"].assignment.owners
    assert fall_silent(world, "h1") <= WAITS.silent
    assert routed(world) == before - {"h1"}
    come_back(world, "h1")
    assert routed(world) == before
    assert world.state.routing.groups["cart"].assignment.owners == owners


def test_one_whose_connection_has_only_ended_keeps_them_for_longer() -> None:
    world = began()
    world.hosts["h1"].cut = True
    world.lose(world.hosts["h1"], gone=False)
    world.settle(WAITS.trust / 2)
    assert "h1" in routed(world)
    world.settle(WAITS.trust / 2 + 1)
    assert "h1" not in routed(world)


def test_one_that_often_falls_silent_is_waited_for_longer_each_time_until_it_is_steady() -> None:
    world = began()
    waited: list[float] = []
    for _ in range(6):
        waited.append(fall_silent(world, "h1"))
        come_back(world, "h1")
    assert [round(seconds) for seconds in waited] == [1, 2, 4, 8, 10, 10]
    world.now += WAITS.steady
    assert round(fall_silent(world, "h1")) == 1


def test_when_all_fall_silent_nobody_loses_a_route() -> None:
    world = began()
    before = routed(world)
    for host in world.hosts.values():
        host.cut = True
        world.lose(host, gone=False, silent=True)
        world.now += 0.3  # each at its own moment, within the time that one is waited for
    world.settle(WAITS.trust + 5)
    assert routed(world) == before
