"""The manager's control loop over a real envelope and real processes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from weaver.control.messages import Application
from weaver.deployers.control_loop import ControlLoop, Outcome
from weaver.deployers.deployer import Command, Completed, SocketLink, connect_unix
from weaver.deployers.journal import Journal
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import Group
from weaver.manager.state import Spec

HERE = Path(__file__).parent
SPEC = Spec(
    application=Application("shop", "v1", "d1", "app:", project=str(HERE)),
    groups={
        "front": Group(
            components=("a.Web",), replicas=2, entry="a.Web", listeners={"http": "127.0.0.1:0"}
        ),
        "cart": Group(components=("a.Cart",), replicas=1, routed=True),
    },
    hosts={"here": HostSpec()},
    stop_timeout=2.0,
)


class OneEnvelope:
    """A deployer with one envelope, a child of this process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.process: asyncio.subprocess.Process | None = None

    async def start_envelope(self, host: str) -> None:
        command = [sys.executable, "-m", "weaver.envelope.main", "--socket", str(self._path)]
        command += ["--host", host, "--runtime", "manager_proclet"]
        environment = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[1]}"}
        self.process = await asyncio.create_subprocess_exec(*command, env=environment)
        while (link := await connect_unix(self._path)) is None:
            await asyncio.sleep(0.01)
        link.close()

    async def connect(self, host: str) -> SocketLink | None:
        return await connect_unix(self._path)

    async def execute(self, host: str, command: Command) -> Completed:
        raise AssertionError(f"nothing runs commands on {host}: {command.words}")

    def control_path(self, host: str) -> str:
        return f"/run/{host}.sock"

    async def has_ended(self, host: str) -> bool:
        assert self.process is not None
        try:
            await asyncio.wait_for(self.process.wait(), 1.0)
        except TimeoutError:
            return False
        return True


class Running:
    def __init__(self, loop: ControlLoop, deployer: OneEnvelope) -> None:
        self.loop = loop
        self.deployer = deployer
        self.ending = asyncio.ensure_future(loop.run())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            with self.loop.changes.follow() as changes:
                while not condition():
                    await changes.take()

    def ready(self) -> list[str]:
        return sorted(r.id for r in self.loop.state.replicas.values() if r.stage == "ready")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Running]:
    deployer = OneEnvelope(tmp_path / "e.sock")
    with Journal(tmp_path) as journal:
        running = Running(ControlLoop(SPEC, journal, deployer), deployer)
        try:
            yield running
        finally:
            if not running.ending.done():
                running.loop.request_stop()
                running.loop.request_stop(at_once=True)
            await asyncio.wait((running.ending,), timeout=50)
            assert deployer.process is not None
            async with asyncio.timeout(30):
                await deployer.process.wait()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_deployment_is_live_scaled_and_stopped_and_leaves_nothing(
    running: Running,
) -> None:
    loop = running.loop
    async with asyncio.timeout(20):
        await loop.wait_live()
    assert running.ready() == ["cart-1", "front-1", "front-2"]
    (listener,) = loop.status().report.listeners
    assert listener.name == "http"
    assert not listener.address.endswith(":0")
    loop.scale("cart", 3)
    await running.until(lambda: len(running.ready()) == 5)
    loop.scale("cart", 1)
    await running.until(lambda: len(loop.state.replicas) == 3)
    loop.scale("cart", 2)
    await running.until(lambda: running.ready() == ["cart-1", "cart-2", "front-1", "front-2"])
    pids = [replica.pid for replica in loop.state.replicas.values()]
    async with asyncio.timeout(20):
        await loop.stop(at_once=False)
        assert await running.ending == Outcome("stopped", None)
        assert running.deployer.process is not None
        assert await running.deployer.process.wait() == 0
    assert not [pid for pid in pids if alive(pid)]


async def test_a_killed_replica_is_replaced_and_routed_again(running: Running) -> None:
    loop = running.loop
    async with asyncio.timeout(20):
        await loop.wait_live()
    before = loop.state.replicas["front-1"]
    os.kill(before.pid, signal.SIGKILL)
    await running.until(lambda: loop.state.replicas["front-1"].incarnation > before.incarnation)
    await running.until(lambda: running.ready() == ["cart-1", "front-1", "front-2"])
    assert loop.state.replicas["front-1"].restarts == 1
    addresses = [e.address for e in loop.state.routing.groups["front"].endpoints]
    assert len(addresses) == 2
    assert before.address not in addresses


async def test_stopping_while_replicas_are_being_started_ends_them_too(running: Running) -> None:
    loop = running.loop
    await running.until(lambda: loop.state.envelopes["here"].reach == "attached")
    async with asyncio.timeout(15):
        await loop.stop(at_once=False)
        assert running.deployer.process is not None
        assert await running.deployer.process.wait() == 0
    assert "not ended" not in [entry.kind for entry in loop.history.latest]
