"""Calls over real sockets: values, errors, streams, routed keys, sharing out."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from network_replicas import (
    NoFundsError,
    Replicas,
    address_of_kind,
    ending,
    pair,
    routing,
    until,
)

from weaver.routing import Assignment, Routing


@pytest.fixture(params=["unix", "tcp"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Replicas:
    return Replicas(address_of_kind(request.param, tmp_path))


@ending
async def test_calls_and_their_errors_cross(make: Replicas) -> None:
    caller, _ = await pair(make)
    assert await caller.method("echo")("hé") == "hé"
    assert await asyncio.to_thread(caller.method("plain"), "abc") == "ABC"
    with pytest.raises(NoFundsError) as raised:
        await caller.method("fail")(7)
    assert raised.value.missing == 7
    assert await caller.method("semantics")() == "one"
    assert await caller.method("semantics")() == "one"  # nothing of the first call is left


@ending
async def test_many_calls_are_in_flight_at_once(make: Replicas) -> None:
    caller, callee = await pair(make)
    hang, echo = caller.method("hang"), caller.method("echo")
    tasks = [asyncio.create_task(hang(str(i))) for i in range(200)]
    await until(lambda: len(callee.shelf.begun) == 200)
    assert await asyncio.gather(*(echo(str(i)) for i in range(300))) == [str(i) for i in range(300)]
    callee.shelf.go_on.set()
    assert await asyncio.gather(*tasks) == [str(i) for i in range(200)]


@ending
async def test_large_values_travel_both_ways_beside_small_calls(make: Replicas) -> None:
    caller, _ = await pair(make)
    blob = bytes(range(256)) * 4096
    results = await asyncio.gather(
        *(caller.method("blob")(blob) for _ in range(8)),
        *(caller.method("echo")("small") for _ in range(50)),
    )
    assert results == [blob] * 8 + ["small"] * 50
    for _ in range(50):  # reads are ordinary ones again
        assert await caller.method("echo")("after") == "after"


@ending
async def test_small_calls_overtake_large_values_that_wait(make: Replicas) -> None:
    caller, _ = await pair(make)
    blob = bytes(8 * 2**20)
    large = [asyncio.create_task(caller.method("blob")(blob)) for _ in range(4)]
    await asyncio.sleep(0)
    assert await caller.method("echo")("small") == "small"
    assert not any(task.done() for task in large)
    assert await asyncio.gather(*large) == [blob] * 4


@ending
async def test_a_stream_keeps_its_order_and_leaving_it_closes_the_callee(make: Replicas) -> None:
    caller, callee = await pair(make)
    assert [n async for n in caller.method("count")(500)] == list(range(500))
    async with contextlib.aclosing(caller.method("count")(10_000)) as items:
        async for n in items:
            if n == 3:
                break
    await until(lambda: callee.shelf.closed == 2)


@ending
async def test_cancelling_the_caller_cancels_the_callee(make: Replicas) -> None:
    caller, callee = await pair(make)
    task = asyncio.create_task(caller.method("hang")("x"))
    await until(lambda: callee.shelf.begun)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: callee.shelf.cancelled)


@ending
async def test_calls_are_shared_out_among_replicas(make: Replicas) -> None:
    caller, one = await pair(make)
    two, three = await make("shop-2"), await make("shop-3")
    caller.network.update(routing(2, one, two, three))
    await caller.method("who")()
    await until(lambda: all(s.connected for s in caller.network.statistics))
    answers = await asyncio.gather(*(caller.method("who")() for _ in range(120)))
    assert set(answers) == {"shop-1", "shop-2", "shop-3"}


@ending
async def test_routed_calls_go_to_the_owner_also_from_its_own_group(
    make: Replicas,
) -> None:
    one, two = await make("shop-1"), await make("shop-2")
    caller = await make("front-1", hosts=False)
    half = Assignment(1, (0, 2**63), ("shop-1", "shop-2"))
    for replica in (one, two, caller):
        replica.network.update(routing(1, one, two, assignment=half))
    users = [f"user {n}" for n in range(40)]
    answers = await asyncio.gather(*(caller.method("mine")(user) for user in users))
    assert {a.partition(":")[0] for a in answers} == {"shop-1", "shop-2"}
    for replica in (one, two):
        assert await asyncio.gather(*(replica.method("mine")(u) for u in users)) == answers
        assert await asyncio.gather(*(replica.method("mine")(user=u) for u in users)) == answers
        assert await replica.method("who")() == replica.network.replica


@ending
async def test_an_older_routing_is_ignored(make: Replicas) -> None:
    caller, callee = await pair(make)
    caller.network.update(routing(5, callee))
    caller.network.update(Routing(4, {}))
    assert await caller.method("echo")("x") == "x"
