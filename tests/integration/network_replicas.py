"""Replicas on real sockets in one process, for the tests of the data plane."""

import asyncio
import contextvars
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import weaver
from weaver.errors import (
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

    @weaver.idempotent
    @weaver.routed(by="user")
    async def mine_again(self, user: str) -> str:
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

    def plain_blob(self, data: bytes) -> bytes:
        return data

    def plain_fail(self, missing: int) -> str:
        raise NoFundsError(missing)

    def plain_hang(self, seconds: float) -> str:
        self.begun.append("plain")
        time.sleep(seconds)
        return self.name

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
        assert await asyncio.wait_for(asyncio.sleep(0, 1), 30) == 1
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
        host: str = "",
        prefer: str = "any",
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
            host=host,
            prefer=prefer,
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


async def until(condition: Callable[[], object], within: float = 40.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.002)


async def pair(make: Replicas, **options: Any) -> tuple[Replica, Replica]:
    callee = await make("shop-1", **options)
    caller = await make("front-1", hosts=False)
    caller.network.update(routing(1, callee))
    return caller, callee


def address_of_kind(kind: str, folder: Path) -> Callable[[str], str]:
    if kind == "tcp":
        return lambda _name: "127.0.0.1:0"
    return lambda name: f"unix:{folder}/{name}.sock"
