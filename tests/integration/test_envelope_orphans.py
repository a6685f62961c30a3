"""No process is left behind, in whatever order manager, envelope, zygote and replicas die."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from envelope_fakes import FakeManager, attached, orders, start_envelope

from weaver.control.messages import Attached, End, FromReplica, ReplicaExited, ReplicaStarted
from weaver.control.restarts import Restarts

SECONDS = 3.0
MANAGER = """
import asyncio, sys
from pathlib import Path
from envelope_fakes import attached, orders, start_envelope

async def main():
    path = Path(sys.argv[1])
    envelope = start_envelope(path)
    async with attached(path) as manager:
        manager.send(orders(1, {"a": "idle", "b": "stubborn"}, preload=True))
        await manager.registered(2)
        print(envelope.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "e.sock"


@pytest.fixture
def envelope(path: Path) -> Iterator[psutil.Process]:
    process = start_envelope(path)
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


def assert_all_end(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=SECONDS)
    left = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    for process in left:
        process.kill()
    assert left == []


STOPPING: dict[str, Any] = {"on_manager_lost": "stop", "stop_after": 0.8}


async def running(manager: FakeManager, *, preload: bool, policy: str = "end") -> None:
    replicas = {"a": "idle", "b": "idle", "c": "stubborn"}
    manager.send(orders(1, replicas, preload=preload, on_manager_lost=policy, stop_after=0.8))
    await manager.registered(3)


@pytest.mark.parametrize("preload", [False, True])
async def test_replicas_end_with_their_envelope(
    path: Path, envelope: psutil.Process, preload: bool
) -> None:
    async with attached(path) as manager:
        await running(manager, preload=preload)
        family = envelope.children(recursive=True)
        assert len(family) >= 3 + preload
        os.kill(manager.all(ReplicaStarted)[0].pid, signal.SIGSTOP)
        envelope.kill()
        assert_all_end(family)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends them on Linux only")
async def test_a_replica_stopped_before_its_python_has_begun_ends_with_its_envelope(
    path: Path, envelope: psutil.Process
) -> None:
    async with attached(path) as manager:
        manager.send(orders(1, {"a": "idle"}, preload=False))
        async with asyncio.timeout(30):
            while not (young := [p for p in envelope.children() if is_child(p)]):
                await asyncio.sleep(0)
        young[0].suspend()
        envelope.kill()
        assert_all_end(young)


def is_child(process: psutil.Process) -> bool:
    """Whether a process has become the program of a replica."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return "weaver.envelope.child" in process.cmdline()
    return False


def test_everything_ends_with_the_manager_of_a_foreground_run(path: Path) -> None:
    with script(MANAGER, path) as manager:
        assert manager.stdout is not None
        envelope = psutil.Process(int(manager.stdout.readline()))
        family = [envelope, *envelope.children(recursive=True)]
        manager.kill()
    assert len(family) >= 4
    assert_all_end(family)
    assert not path.exists()


async def test_a_manager_that_goes_takes_a_foreground_run_with_it(
    path: Path, envelope: psutil.Process
) -> None:
    async with attached(path) as manager:
        await running(manager, preload=True)
        family = envelope.children(recursive=True)
    assert_all_end([envelope, *family])


async def test_a_manager_that_comes_back_at_once_keeps_a_foreground_run(
    path: Path, envelope: psutil.Process
) -> None:
    async with attached(path) as manager:
        await running(manager, preload=True)
    async with attached(path, epoch=1) as manager:
        await asyncio.sleep(0.8)  # longer than the grace: there is no event for what stays away
        manager.send(End(at_once=True))
        await manager.until_closed()
        assert {e.expected for e in manager.all(ReplicaExited)} == {True}


async def test_a_manager_that_dies_while_all_stops_does_not_delay_the_end(
    path: Path, envelope: psutil.Process
) -> None:
    async with attached(path) as manager:
        order = orders(1, {"c": "stubborn"}, preload=True, stop_timeout=60.0)
        manager.send(order)
        await manager.registered()
        family = envelope.children(recursive=True)
        manager.send(End())
    assert_all_end([envelope, *family])


async def test_a_deployment_goes_on_without_a_manager(path: Path, envelope: psutil.Process) -> None:
    async with attached(path) as manager:
        await running(manager, preload=True, policy="continue")
        first = manager.all(ReplicaStarted)[0]
    os.kill(first.pid, signal.SIGKILL)
    async with attached(path, epoch=2, seen=0) as manager:
        await manager.started(4)
        (answer,) = manager.all(Attached)
        assert len(answer.replicas) == 3
        manager.send(End(at_once=True))
        await manager.until_closed()
    assert_all_end([envelope])


async def test_a_deployment_stops_in_order_when_no_manager_comes_back_in_time(
    path: Path, envelope: psutil.Process
) -> None:
    async with attached(path) as manager:
        replicas = {"a": "idle", "b": "idle"}
        manager.send(orders(1, replicas, preload=True, **STOPPING))
        await manager.registered(2)
        family = envelope.children(recursive=True)
        began = time.monotonic()
    assert_all_end([envelope, *family])
    assert time.monotonic() - began > 0.8


async def test_a_manager_that_comes_back_in_time_keeps_a_deployment(
    path: Path, envelope: psutil.Process
) -> None:
    async with attached(path) as manager:
        await running(manager, preload=True, policy="stop")
    async with attached(path, epoch=1) as manager:
        await asyncio.sleep(1.2)  # longer than the patience: there is no event for what stays away
        assert manager.all(ReplicaExited) == []
        manager.send(End(at_once=True))
        await manager.until_closed()
    assert_all_end([envelope])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_only_sigterm_ends_an_envelope_and_all_its_replicas(
    path: Path, envelope: psutil.Process, number: signal.Signals
) -> None:
    async with attached(path) as manager:
        manager.send(orders(1, {"a": "idle"}, preload=True))
        await manager.registered()
        family = envelope.children(recursive=True)
        envelope.send_signal(number)
        if number != signal.SIGTERM:
            manager.send(End())
        await manager.until_closed()
        assert [e.expected for e in manager.all(ReplicaExited)] == [True]
    assert_all_end([envelope, *family])


def test_an_envelope_whose_starter_dies_before_it_attaches_ends(path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from envelope_fakes import start_envelope;"
        "e = start_envelope(Path(sys.argv[1]), '--parent', str(os.getpid()));"
        "print(e.pid, flush=True); os._exit(0)"
    )
    with script(code, path) as starter:
        assert starter.stdout is not None
        envelope = psutil.Process(int(starter.stdout.readline()))
    assert_all_end([envelope])


def script(code: str, path: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
@pytest.mark.parametrize("seed", range(3))
async def test_replicas_converge_whatever_dies_beneath_the_envelope(
    path: Path, envelope: psutil.Process, seed: int
) -> None:
    chance = random.Random(seed)
    names = [f"r{number}" for number in range(4)]
    async with attached(path) as manager:
        manager.send(
            orders(1, dict.fromkeys(names, "idle"), preload=True, restarts=Restarts(most=0.01))
        )
        await manager.registered(4)
        for _ in range(12):
            victim = chance.choice(envelope.children() or [psutil.Process()])
            if victim.pid == os.getpid():
                continue  # all were dead for a moment
            # One that is stopped while it imports may be silent for longer than a test can wait.
            with contextlib.suppress(psutil.NoSuchProcess):
                stop = signal.SIGSTOP if victim.name() in names else signal.SIGKILL
                victim.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM, stop]))
        await manager.until(lambda: running_now(manager) == set(names), 20.0)
        manager.send(orders(2, {}, preload=True))
        await manager.until(lambda: not running_now(manager))
        family = envelope.children(recursive=True)
        manager.send(End())
        await manager.until_closed()
    assert_all_end([envelope, *family])


def running_now(manager: FakeManager) -> set[str]:
    """The replicas whose latest process has registered, and lives."""
    found: set[str] = set()
    pids: dict[str, int] = {}
    for _, event in manager.events:
        if isinstance(event, ReplicaExited):
            found.discard(event.replica)
        elif isinstance(event, ReplicaStarted):
            pids[event.replica] = event.pid
        elif isinstance(event, FromReplica) and b"RegisterReplica" in event.message:
            found.add(event.replica)
    return {name for name in found if lives(pids[name])}


def lives(pid: int) -> bool:
    try:
        status = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return False
    return status not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
