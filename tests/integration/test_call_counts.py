"""What is counted of calls: errors of co-located ones, and calls that leave the process."""

import asyncio
from pathlib import Path

import pytest
from network_replicas import COMPONENT, Replicas, address_of_kind, ending, routing

import weaver
from weaver.component import registry
from weaver.config.load import load
from weaver.deployers.in_process import InProcess
from weaver.proclet.definition import define
from weaver.proclet.forwarding import SAMPLED_EVERY, Edge
from weaver.proclet.reference import DEFAULT_OPTIONS
from weaver.routing import Assignment


@weaver.component
class Fragile:
    async def use(self, works: bool) -> None:
        if not works:
            raise ValueError("broken")


@weaver.component
class User:
    fragile: Fragile

    async def use(self, works: bool) -> None:
        await self.fragile.use(works)


@pytest.fixture
def make(tmp_path: Path) -> Replicas:
    return Replicas(address_of_kind("unix", tmp_path))


@pytest.mark.parametrize("works", [True, False])
async def test_errors_of_co_located_calls_are_told_from_the_sample(works: bool) -> None:
    definition = define([User])
    async with InProcess(definition, load(""), entry=registry.full_name(User)) as application:
        user: User = application.host.instances[registry.full_name(User)]
        for _ in range(4 * SAMPLED_EVERY):
            if works:
                await user.use(works)
            else:
                with pytest.raises(ValueError, match="broken"):
                    await user.use(works)
        (edge,) = application.host.edges.values()
        statistics = edge.statistics()
    assert statistics.calls == 4 * SAMPLED_EVERY
    assert statistics.errors == (0 if works else statistics.calls)
    assert sum(statistics.histogram) == 4
    assert statistics.remote == 0


async def test_every_co_located_call_is_counted_and_each_64th_is_timed() -> None:
    definition = define([User])
    async with InProcess(definition, load(""), entry=registry.full_name(User)) as application:
        user: User = application.host.instances[registry.full_name(User)]
        (edge,) = application.host.edges.values()
        for calls in range(1, 3 * SAMPLED_EVERY + 2):
            await user.use(works=True)
            statistics = edge.statistics()
            assert (statistics.calls, sum(statistics.histogram)) == (calls, calls // SAMPLED_EVERY)
            assert statistics.errors == 0


@ending
async def test_routed_calls_that_leave_a_process_that_hosts_the_callee_are_counted(
    make: Replicas,
) -> None:
    one, two = await make("shop-1"), await make("shop-2")
    half = Assignment(1, (0, 2**63), ("shop-1", "shop-2"))
    for replica in (one, two):
        replica.network.update(routing(1, one, two, assignment=half))
    left: list[None] = []
    codec = one.network.definition.table.of(COMPONENT)["mine"]
    mine = one.placement.target(codec, one.shelf, DEFAULT_OPTIONS, lambda: left.append(None))
    answers = await asyncio.gather(*(mine(f"user {n}") for n in range(40)))
    assert len(left) == sum(answer.startswith("shop-2:") for answer in answers) > 0


def test_there_are_never_more_errors_than_calls() -> None:
    edge = Edge("Web", "Cart", "get")
    edge.add(lambda: 70)
    edge.errors += 2 * SAMPLED_EVERY  # both calls of the sample
    assert edge.statistics().errors == 70


def test_calls_that_left_are_the_remote_ones() -> None:
    edge = Edge("Web", "Cart", "get")
    edge.add(lambda: 5)
    edge.leaves()
    assert (edge.statistics().calls, edge.statistics().remote) == (5, 1)
