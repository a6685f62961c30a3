"""Over real sockets: deaths, retries, draining, deadlines, overload, and who is refused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from network_replicas import (
    COMPONENT,
    DEFINITION,
    Replicas,
    address_of_kind,
    ending,
    pair,
    routing,
    until,
)

from weaver.errors import (
    DeadlineExceeded,
    Overloaded,
    RemoteCallError,
    Unreachable,
)
from weaver.proclet.reference import Options
from weaver.routing import Assignment, Route, Routing


@pytest.fixture(params=["unix", "tcp"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Replicas:
    return Replicas(address_of_kind(request.param, tmp_path))


@ending
async def test_a_deadline_ends_the_call_at_both_ends(make: Replicas) -> None:
    caller, callee = await pair(make)
    await caller.method("echo")("x")  # connected: else the time may be over before the call leaves
    caller.network.timeout = 0.2
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await caller.method("hang")("x")
    await until(lambda: callee.shelf.cancelled)


@ending
async def test_without_a_replica_the_call_waits_and_asks_for_one(make: Replicas) -> None:
    caller = await make("front-1", hosts=False)
    caller.network.update(Routing(1, {"shop": Route((COMPONENT,))}))
    tasks = [asyncio.create_task(caller.method("echo")("late")) for _ in range(3)]
    await until(lambda: caller.missing)
    callee = await make("shop-1")
    caller.network.update(routing(2, callee))
    assert await asyncio.gather(*tasks) == ["late"] * 3
    assert caller.missing == [COMPONENT]


@ending
async def test_unreachable_says_for_what_it_waited(make: Replicas) -> None:
    caller, callee = await pair(make)
    await callee.network.aclose()
    caller.network.timeout = 0.1
    with pytest.raises(Unreachable, match=r"shop-1 at .*(refused|No such file)") as raised:
        await caller.method("echo")("x")
    assert raised.value.executed == "no"
    caller.network.update(Routing(2, {}))
    with pytest.raises(Unreachable, match="a group that hosts"):
        await caller.method("echo")("x")


@ending
async def test_a_call_in_flight_when_the_callee_dies_is_not_made_again(make: Replicas) -> None:
    caller, callee = await pair(make)
    other = await make("shop-2")
    task = asyncio.create_task(caller.method("hang")("once"))
    await until(lambda: callee.shelf.begun)
    caller.network.update(routing(2, callee, other))
    await callee.network.aclose()
    with pytest.raises(RemoteCallError) as raised:
        await task
    assert raised.value.executed == "maybe"
    assert other.shelf.begun == []


@ending
async def test_an_idempotent_call_in_flight_is_made_again_elsewhere(make: Replicas) -> None:
    caller, callee = await pair(make)
    other = await make("shop-2")
    other.shelf.go_on.set()
    task = asyncio.create_task(caller.method("hang_twice")("again"))
    once = asyncio.create_task(caller.method("hang_twice", Options(retry=False))("never"))
    await until(lambda: len(callee.shelf.begun) == 2)
    caller.network.update(routing(2, callee, other))
    await callee.network.aclose()
    assert await task == "again"
    assert other.shelf.begun == ["again"]
    with pytest.raises(RemoteCallError):
        await once


@ending
async def test_a_remote_call_error_of_the_method_is_no_reason_to_retry(
    make: Replicas,
) -> None:
    caller, callee = await pair(make)
    with pytest.raises(Unreachable, match="somebody else"):
        await caller.method("fail_remotely")()
    assert callee.shelf.begun == ["fail"]


@ending
async def test_a_restarted_replica_is_found_again(make: Replicas) -> None:
    caller, callee = await pair(make)
    assert await caller.method("echo")("one") == "one"
    await callee.network.aclose()
    await until(lambda: not caller.network.statistics[0].connected)
    again = await make("shop-1")
    caller.network.update(routing(2, again))
    assert await caller.method("echo")("two") == "two"


@ending
async def test_draining_lets_calls_finish_and_sends_new_ones_elsewhere(make: Replicas) -> None:
    caller, callee = await pair(make)
    other = await make("shop-2")
    in_flight = asyncio.create_task(caller.method("hang")("first"))
    await until(lambda: callee.shelf.begun)
    caller.network.update(routing(2, callee, other))
    draining = asyncio.create_task(callee.network.drain())
    await until(lambda: "shop-2" in {s.replica for s in caller.network.statistics if s.connected})
    answers = {await caller.method("who")() for _ in range(20)}
    while "shop-1" in answers:  # the word that it drains may still be on its way
        answers = {await caller.method("who")() for _ in range(20)}
    assert not draining.done()
    callee.shelf.go_on.set()
    assert await in_flight == "first"
    await asyncio.wait_for(draining, 30)


@ending
async def test_a_peer_that_leaves_the_routing_finishes_its_calls(make: Replicas) -> None:
    caller, callee = await pair(make)
    other = await make("shop-2")
    in_flight = asyncio.create_task(caller.method("hang")("first"))
    await until(lambda: callee.shelf.begun)
    caller.network.update(routing(2, other))
    assert await caller.method("who")() == "shop-2"
    callee.shelf.go_on.set()
    assert await in_flight == "first"
    await until(lambda: callee.network.incoming == 0)


@ending
async def test_more_calls_than_a_replica_runs_are_refused_and_not_executed(make: Replicas) -> None:
    caller, callee = await pair(make, running=4)
    tasks = [asyncio.create_task(caller.method("hang")(str(i))) for i in range(4)]
    await until(lambda: len(callee.shelf.begun) == 4)
    with pytest.raises(Overloaded) as raised:
        await caller.method("hang")("too many")
    assert raised.value.executed == "no"
    callee.shelf.go_on.set()
    await asyncio.gather(*tasks)
    assert await caller.method("hang")("now") == "now"


@ending
async def test_while_an_owner_is_away_equal_keys_go_to_one_other_replica(make: Replicas) -> None:
    one, two, three = await make("shop-1"), await make("shop-2"), await make("shop-3")
    caller = await make("front-1", hosts=False)
    everything = Assignment(1, (0,), ("shop-1",))
    caller.network.update(routing(1, one, two, three, assignment=everything))
    assert await caller.method("mine")("u") == "shop-1:u"
    await one.network.aclose()
    await until(lambda: not all(s.connected for s in caller.network.statistics))
    answers = {await caller.method("mine")("u") for _ in range(10)}
    assert len(answers) == 1
    assert answers <= {"shop-2:u", "shop-3:u"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"deployment": "d2"}, "d1 and d2"),
        ({"build": "b2"}, "b1 and b2"),
        ({"methods": b"x"}, r"\(78 and |and 78\)"),
    ],
)
@ending
async def test_another_program_is_refused_and_both_are_named(
    make: Replicas, changed: dict[str, Any], named: str
) -> None:
    caller, callee = await pair(make, **changed)
    caller.network.timeout = 0.2
    with pytest.raises(Unreachable, match=named) as raised:
        await caller.method("echo")("x")
    assert "shop-1" in str(raised.value)
    assert callee.network.incoming == 0


@ending
async def test_a_stranger_is_cut_off(make: Replicas) -> None:
    _, callee = await pair(make)
    if callee.address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(callee.address[5:])
    else:
        host, _, port = callee.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(reader.read(), 30)  # to the end of file
    writer.close()
    await writer.wait_closed()


@ending
async def test_a_deadline_that_passed_is_not_retried(make: Replicas) -> None:
    caller, callee = await pair(make)
    with pytest.raises(DeadlineExceeded):
        from weaver.proclet import paths

        codec = DEFINITION.table.of(COMPONENT)["hang_twice"]
        slow = paths.limited(codec.method, codec.label, 0.05, caller.method("hang_twice"))
        await slow("x")
    assert callee.shelf.begun == ["x"]
