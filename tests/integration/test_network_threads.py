"""Plain callers over blocking sockets of their own."""

import asyncio
import time
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

from weaver.errors import (
    DeadlineExceeded,
)
from weaver.proclet import context


@pytest.fixture(params=["unix", "tcp"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Replicas:
    return Replicas(address_of_kind(request.param, tmp_path))


@ending
async def test_threads_call_over_connections_of_their_own(make: Replicas) -> None:
    caller, callee = await pair(make)
    plain, blob = caller.method("plain"), caller.method("plain_blob")
    texts = [f"text {n}" for n in range(50)]
    answers = await asyncio.gather(*(asyncio.to_thread(plain, text) for text in texts))
    assert answers == [text.upper() for text in texts]
    data = bytes(range(256)) * 8192
    assert await asyncio.to_thread(blob, data) == data
    with pytest.raises(NoFundsError):
        await asyncio.to_thread(caller.method("plain_fail"), 3)
    other = await make("shop-2")
    caller.network.update(routing(2, other))
    await asyncio.wait_for(callee.network.drain(), 30)  # idle connections do not hold it up
    assert await asyncio.to_thread(plain, "x") == "X"


@ending
async def test_a_thread_waits_no_longer_than_its_deadline(make: Replicas) -> None:
    caller, callee = await pair(make)
    plain_hang = caller.method("plain_hang")

    def limited() -> None:
        with context.limited_to(time.monotonic() + 0.05):
            plain_hang(0.3)

    with pytest.raises(DeadlineExceeded):
        await asyncio.to_thread(limited)
    assert callee.shelf.begun == ["plain"]
    assert await asyncio.to_thread(caller.method("plain"), "after") == "AFTER"


@ending
async def test_a_thread_finds_a_restarted_replica(make: Replicas) -> None:
    caller, callee = await pair(make)
    plain = caller.method("plain")
    assert await asyncio.to_thread(plain, "a") == "A"
    await callee.network.aclose()
    await until(lambda: not caller.network.statistics[0].connected)
    again = await make("shop-1")  # at the same path, which the caller may find by itself
    waiting = asyncio.create_task(asyncio.to_thread(plain, "b"))
    caller.network.update(routing(2, again))
    assert await waiting == "B"
