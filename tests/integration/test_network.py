"""Replicas over real sockets: calls, streams, routed keys, failures, draining, refusals."""

import asyncio
import contextlib
import contextvars
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import weaver
from weaver.errors import (
    DeadlineExceeded,
    Overloaded,
    RemoteCallError,
    Unreachable,
)
from weaver.proclet.definition import define
from weaver.proclet.dispatcher import Dispatcher
from weaver.proclet.distributed import DistributedPlacement
from weaver.proclet.network import Network
from weaver.proclet.reference import DEFAULT_OPTIONS, Options
from weaver.proclet.threads import Workers
from weaver.routing import Assignment, Endpoint, Route, Routing
from weaver.rpc.handshake import Hello
from weaver.rpc.limits import Limits
from weaver.transport.tls import Identity

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("network-test", default="")


class NoFundsError(Exception):
    def __init__(self, missing: int) -> None:
        super().__init__(f"{missing} missing")
        self.missing = missing


@weaver.component
class Shelf:
    name: str = ""
    begun: list[str] = field(default_factory=list[str])
    cancelled: int = 0
    closed: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def echo(self, text: str) -> str:
        return text

    async def blob(self, data: bytes) -> bytes:
        return data

    async def who(self) -> str:
        return self.name

    @weaver.routed(by="user")
    async def mine(self, user: str) -> str:
        return f"{self.name}:{user}"

    async def hang(self, text: str) -> str:
        self.begun.append(text)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return text

    @weaver.idempotent
    async def hang_twice(self, text: str) -> str:
        return await self.hang(text)

    async def fail(self, missing: int) -> None:
        raise NoFundsError(missing)

    async def fail_remotely(self) -> None:
        self.begun.append("fail")
        raise Unreachable("somebody else is away")

    async def count(self, n: int) -> AsyncIterator[int]:
        try:
            for i in range(n):
                yield i
        finally:
            self.closed += 1

    def plain(self, text: str) -> str:
        return text.upper()

    async def semantics(self) -> str:
        task = asyncio.current_task()
        assert task is not None
        assert VARIABLE.get() == ""
        VARIABLE.set("mine")
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(10)
        except TimeoutError:
            pass
        async with asyncio.TaskGroup() as group:
            one = group.create_task(asyncio.sleep(0, "one"))
        assert await asyncio.wait_for(asyncio.sleep(0, 1), 5) == 1
        assert asyncio.current_task() is task
        assert VARIABLE.get() == "mine"
        return one.result()


@dataclass
class Replica:
    """One process's worth of data plane."""

    network: Network
    placement: DistributedPlacement
    shelf: Shelf
    workers: Workers
    address: str = ""
    hosts: bool = True
    missing: list[str] = field(default_factory=list[str])

    def method(self, name: str, options: Options = DEFAULT_OPTIONS) -> Callable[..., Any]:
        codec = self.network.definition.table.of(COMPONENT)[name]
        target: Callable[..., Any] = self.placement.target(
            codec, self.shelf if self.hosts else None, options
        )
        return target

    async def aclose(self) -> None:
        await self.network.aclose()
        self.workers.close()


DEFINITION = define([Shelf])
COMPONENT = next(iter(DEFINITION.graph.components))


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    if request.param == "tcp":
        return lambda _name: "127.0.0.1:0"
    return lambda name: f"unix:{tmp_path}/{name}.sock"


class Replicas:
    """Makes replicas, and closes them before the test counts what it leaves behind."""

    def __init__(self, address: Callable[[str], str]) -> None:
        self.address = address
        self._made: list[Replica] = []

    async def __call__(
        self,
        name: str,
        *,
        hosts: bool = True,
        running: int = 1024,
        tls: Identity | None = None,
        **hello: Any,
    ) -> Replica:
        shelf = Shelf(name=name)
        workers = Workers(8)
        found: dict[str, Any] = {COMPONENT: shelf} if hosts else {}
        missing: list[str] = []
        facts: dict[str, Any] = {
            "deployment": "d1",
            "build": "b1",
            "methods": DEFINITION.table.hash,
        } | hello
        network = Network(
            DEFINITION,
            Dispatcher(DEFINITION.table, found.__getitem__, workers, most_running=running),
            hello=Hello(replica=name, **facts),
            timeout=30.0,
            limits=Limits(),
            replica=name,
            tls=tls,
            missing=missing.append,
        )
        replica = Replica(
            network, DistributedPlacement(network), shelf, workers, hosts=hosts, missing=missing
        )
        replica.address = await network.listen(self.address(name))
        self._made.append(replica)
        return replica

    async def aclose(self) -> None:
        await asyncio.gather(*(replica.aclose() for replica in self._made))


Make = Replicas


@pytest.fixture
def make(address: Callable[[str], str]) -> Replicas:
    return Replicas(address)


def ending(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(*args: Any, make: Replicas, **kwargs: Any) -> None:
        try:
            await test(*args, make=make, **kwargs)
        finally:
            await make.aclose()

    return run


def routing(version: int, *replicas: Replica, assignment: Assignment | None = None) -> Routing:
    endpoints = tuple(Endpoint(r.network.replica, r.address) for r in replicas)
    route = Route((COMPONENT,), endpoints, assignment or Assignment())
    return Routing(version, {"shop": route})


async def until(condition: Callable[[], object], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.002)


async def pair(make: Make, **options: Any) -> tuple[Replica, Replica]:
    callee = await make("shop-1", **options)
    caller = await make("front-1", hosts=False)
    caller.network.update(routing(1, callee))
    return caller, callee


@ending
async def test_calls_and_their_errors_cross(make: Make) -> None:
    caller, _ = await pair(make)
    assert await caller.method("echo")("hé") == "hé"
    assert await asyncio.to_thread(caller.method("plain"), "abc") == "ABC"
    with pytest.raises(NoFundsError) as raised:
        await caller.method("fail")(7)
    assert raised.value.missing == 7
    assert await caller.method("semantics")() == "one"
    assert await caller.method("semantics")() == "one"  # nothing of the first call is left


@ending
async def test_many_calls_are_in_flight_at_once(make: Make) -> None:
    caller, callee = await pair(make)
    hang, echo = caller.method("hang"), caller.method("echo")
    tasks = [asyncio.create_task(hang(str(i))) for i in range(200)]
    await until(lambda: len(callee.shelf.begun) == 200)
    assert await asyncio.gather(*(echo(str(i)) for i in range(300))) == [str(i) for i in range(300)]
    callee.shelf.go_on.set()
    assert await asyncio.gather(*tasks) == [str(i) for i in range(200)]


@ending
async def test_large_values_travel_both_ways_beside_small_calls(make: Make) -> None:
    caller, _ = await pair(make)
    blob = bytes(range(256)) * 4096
    results = await asyncio.gather(
        *(caller.method("blob")(blob) for _ in range(8)),
        *(caller.method("echo")("small") for _ in range(50)),
    )
    assert results == [blob] * 8 + ["small"] * 50


@ending
async def test_a_stream_keeps_its_order_and_leaving_it_closes_the_callee(make: Make) -> None:
    caller, callee = await pair(make)
    assert [n async for n in caller.method("count")(500)] == list(range(500))
    async with contextlib.aclosing(caller.method("count")(10_000)) as items:
        async for n in items:
            if n == 3:
                break
    await until(lambda: callee.shelf.closed == 2)


@ending
async def test_cancelling_the_caller_cancels_the_callee(make: Make) -> None:
    caller, callee = await pair(make)
    task = asyncio.create_task(caller.method("hang")("x"))
    await until(lambda: callee.shelf.begun)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: callee.shelf.cancelled)


@ending
async def test_a_deadline_ends_the_call_at_both_ends(make: Make) -> None:
    caller, callee = await pair(make)
    caller.network.timeout = 0.05
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await caller.method("hang")("x")
    await until(lambda: callee.shelf.cancelled)


@ending
async def test_without_a_replica_the_call_waits_and_asks_for_one(make: Make) -> None:
    caller = await make("front-1", hosts=False)
    caller.network.update(Routing(1, {"shop": Route((COMPONENT,))}))
    tasks = [asyncio.create_task(caller.method("echo")("late")) for _ in range(3)]
    await until(lambda: caller.missing)
    callee = await make("shop-1")
    caller.network.update(routing(2, callee))
    assert await asyncio.gather(*tasks) == ["late"] * 3
    assert caller.missing == [COMPONENT]


@ending
async def test_unreachable_says_for_what_it_waited(make: Make) -> None:
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
async def test_a_call_in_flight_when_the_callee_dies_is_not_made_again(make: Make) -> None:
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
async def test_an_idempotent_call_in_flight_is_made_again_elsewhere(make: Make) -> None:
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
async def test_a_remote_call_error_of_the_method_itself_is_no_reason_to_retry(make: Make) -> None:
    caller, callee = await pair(make)
    with pytest.raises(Unreachable, match="somebody else"):
        await caller.method("fail_remotely")()
    assert callee.shelf.begun == ["fail"]


@ending
async def test_a_restarted_replica_is_found_again(make: Make) -> None:
    caller, callee = await pair(make)
    assert await caller.method("echo")("one") == "one"
    await callee.network.aclose()
    await until(lambda: not caller.network.statistics[0].connected)
    again = await make("shop-1")
    caller.network.update(routing(2, again))
    assert await caller.method("echo")("two") == "two"


@ending
async def test_draining_lets_calls_finish_and_sends_new_ones_elsewhere(make: Make) -> None:
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
    await asyncio.wait_for(draining, 10)


@ending
async def test_a_peer_that_leaves_the_routing_finishes_its_calls(make: Make) -> None:
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
async def test_more_calls_than_a_replica_runs_are_refused_and_not_executed(make: Make) -> None:
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
async def test_calls_are_shared_out_among_replicas(make: Make) -> None:
    caller, one = await pair(make)
    two, three = await make("shop-2"), await make("shop-3")
    caller.network.update(routing(2, one, two, three))
    await caller.method("who")()
    await until(lambda: all(s.connected for s in caller.network.statistics))
    answers = await asyncio.gather(*(caller.method("who")() for _ in range(120)))
    assert set(answers) == {"shop-1", "shop-2", "shop-3"}


@ending
async def test_routed_calls_go_to_the_owner_also_from_a_replica_of_the_group(make: Make) -> None:
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
async def test_while_an_owner_is_away_equal_keys_go_to_one_other_replica(make: Make) -> None:
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
    make: Make, changed: dict[str, Any], named: str
) -> None:
    caller, callee = await pair(make, **changed)
    caller.network.timeout = 0.2
    with pytest.raises(Unreachable, match=named) as raised:
        await caller.method("echo")("x")
    assert "shop-1" in str(raised.value)
    assert callee.network.incoming == 0


@ending
async def test_a_stranger_is_cut_off(make: Make) -> None:
    _, callee = await pair(make)
    if callee.address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(callee.address[5:])
    else:
        host, _, port = callee.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(reader.read(), 10)  # to the end of file
    writer.close()
    await writer.wait_closed()


@ending
async def test_an_older_routing_is_ignored(make: Make) -> None:
    caller, callee = await pair(make)
    caller.network.update(routing(5, callee))
    caller.network.update(Routing(4, {}))
    assert await caller.method("echo")("x") == "x"


@ending
async def test_a_deadline_that_passed_is_not_retried(make: Make) -> None:
    caller, callee = await pair(make)
    with pytest.raises(DeadlineExceeded):
        from weaver.proclet import paths

        codec = DEFINITION.table.of(COMPONENT)["hang_twice"]
        slow = paths.limited(codec.method, codec.label, 0.05, caller.method("hang_twice"))
        await slow("x")
    assert callee.shelf.begun == ["x"]
