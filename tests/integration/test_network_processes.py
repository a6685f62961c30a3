"""A replica in a process of its own: killed in the middle of calls, and started again."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_replicas import COMPONENT, DEFINITION, Replica, Replicas, ending, until

from weaver.errors import ConnectionLost
from weaver.manager.assignment import assign
from weaver.routing import Assignment, Endpoint, Route, Routing

PROGRAM = """
import asyncio, sys
from network_replicas import Replicas

async def main(path: str) -> None:
    replica = await Replicas(lambda _name: f"unix:{path}")("shop-1")
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


class Process:
    """Runs the replica on one socket path; `start` after `kill` is a restart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number is signal.SIGKILL:
            self._process.communicate()

    def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()
            if self._process.stdout is not None and not self._process.stdout.closed:
                self._process.communicate()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "shop.sock")
    yield process
    process.close()


@pytest.fixture
def make(tmp_path: Path) -> Replicas:
    return Replicas(lambda name: f"unix:{tmp_path}/{name}.sock")


async def calling(make: Replicas, process: Process) -> Replica:
    await asyncio.to_thread(process.start)
    caller = await make("front-1", hosts=False)
    endpoint = Endpoint("shop-1", f"unix:{process.path}")
    caller.network.update(Routing(1, {"shop": Route((COMPONENT,), (endpoint,))}))
    assert await caller.method("echo")("x") == "x"
    return caller


@ending
async def test_a_kill_fails_what_is_in_flight_and_a_restart_serves_again(
    make: Replicas, process: Process
) -> None:
    caller = await calling(make, process)
    assert DEFINITION.table.hash  # the other process has the same table, or would be refused
    once = [asyncio.create_task(caller.method("hang")(str(n))) for n in range(20)]
    again = [asyncio.create_task(caller.method("hang_twice")("slow")) for _ in range(5)]
    await until(lambda: caller.network.statistics[0].in_flight == 25)
    process.kill()
    results = await asyncio.gather(*once, return_exceptions=True)
    assert all(isinstance(r, ConnectionLost) and r.executed == "maybe" for r in results)
    waiting = asyncio.create_task(caller.method("echo")("patient"))
    await asyncio.to_thread(process.start)
    assert await waiting == "patient"
    await until(lambda: caller.network.statistics[0].in_flight == 5)  # made again
    for task in again:
        task.cancel()
    await asyncio.gather(*again, return_exceptions=True)


@ending
async def test_calls_move_away_from_a_replica_that_is_stopped(
    make: Replicas, process: Process
) -> None:
    caller = await calling(make, process)
    other = await make("shop-2")
    endpoints = (
        Endpoint("shop-1", f"unix:{process.path}"),
        Endpoint("shop-2", other.address),
    )
    caller.network.update(Routing(2, {"shop": Route((COMPONENT,), endpoints)}))
    await until(lambda: all(s.connected for s in caller.network.statistics))
    process.kill(signal.SIGSTOP)
    calls = [asyncio.create_task(caller.method("who")()) for _ in range(20)]
    await until(
        lambda: any(s.ejected for s in caller.network.statistics if s.replica == "shop-1"),
        within=20,
    )
    assert {await caller.method("who")() for _ in range(50)} == {"shop-2"}
    process.kill(signal.SIGCONT)
    assert set(await asyncio.gather(*calls)) <= {"", "shop-1", "shop-2"}


@ending
async def test_calls_of_keys_whose_owner_is_stopped_go_to_another_until_it_goes_on(
    make: Replicas, process: Process
) -> None:
    caller = await calling(make, process)
    other = await make("shop-2")
    endpoints = (
        Endpoint("shop-1", f"unix:{process.path}"),
        Endpoint("shop-2", other.address),
    )
    owned = Route((COMPONENT,), endpoints, assign(Assignment(), ["shop-1"]))
    caller.network.update(Routing(2, {"shop": owned}))
    await until(lambda: all(s.connected for s in caller.network.statistics))
    assert await caller.method("mine")("ann") == "shop-1:ann"
    process.kill(signal.SIGSTOP)
    once = asyncio.create_task(caller.method("mine")("bob"))
    async with asyncio.timeout(20):
        assert await caller.method("mine_again")("ann") == "shop-2:ann"  # taken back, made again
        assert await caller.method("mine")("ann") == "shop-2:ann"  # not sent to the owner
    assert not once.done()  # it may have been executed: nobody but the owner can answer
    process.kill(signal.SIGCONT)
    assert await once == "shop-1:bob"

    async def is_back() -> bool:
        found: str = await caller.method("mine")("ann")
        return found == "shop-1:ann"

    async with asyncio.timeout(20):
        while not await is_back():
            await asyncio.sleep(0.01)


@ending
async def test_with_every_replica_stopped_calls_wait_for_one_that_goes_on(
    make: Replicas, process: Process
) -> None:
    caller = await calling(make, process)
    process.kill(signal.SIGSTOP)
    call = asyncio.create_task(caller.method("mine_again")("ann"))
    (peer,) = caller.network._peers.values()
    await until(lambda: peer.quiet)
    later = asyncio.create_task(caller.method("who")())
    assert not call.done()
    process.kill(signal.SIGCONT)
    assert await call == "shop-1:ann"
    assert await later == "shop-1"
    await until(lambda: not peer.quiet)
