"""Replicas under an envelope: started both ways, restarted, replaced, stopped, and reported."""

import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from envelope_fakes import FakeManager, attached, orders, start_envelope

from weaver.control.messages import (
    End,
    Ended,
    EnvelopeFailed,
    Failed,
    Heartbeat,
    ListenerHeld,
    NewRouting,
    Probed,
    RegisterReplica,
    Relay,
    ReplicaExited,
    ReplicaStarted,
    Restart,
)
from weaver.control.stream import encode
from weaver.routing import Routing

linux_only = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="forks on Linux only")
BOTH_WAYS = pytest.mark.parametrize("preload", [False, pytest.param(True, marks=linux_only)])


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where an envelope listens; when the test ends nothing of it may run."""
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    envelope = start_envelope(directory / "e.sock")
    family = psutil.Process(envelope.pid)
    yield directory / "e.sock"
    try:
        processes = family.children(recursive=True)
        envelope.wait(30)
    finally:
        envelope.kill()
        envelope.wait()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


@pytest.fixture
async def manager(path: Path) -> AsyncIterator[FakeManager]:
    async with attached(path) as manager:
        yield manager
        manager.send(End())
        await manager.until_closed()


def facts(registered: RegisterReplica) -> dict[str, str]:
    found: dict[str, str] = msgspec.json.decode(registered.build)
    return found


@BOTH_WAYS
async def test_a_replica_starts_with_its_environment_in_its_own_session(
    manager: FakeManager, preload: bool
) -> None:
    manager.send(orders(1, {"a": "idle"}, preload=preload))
    (registered,) = await manager.registered()
    (started,) = await manager.started()
    assert facts(registered)["env"] == "s3cret"
    assert facts(registered)["sid"] == "True"
    assert facts(registered)["preloaded_here"] == str(not preload)
    assert started.forked is preload
    assert "s3cret" not in " ".join(psutil.Process(started.pid).cmdline())


@BOTH_WAYS
async def test_a_killed_replica_is_started_again_and_its_end_reported(
    manager: FakeManager, preload: bool
) -> None:
    manager.send(orders(1, {"a": "idle"}, preload=preload))
    await manager.registered()
    os.kill(manager.all(ReplicaStarted)[0].pid, signal.SIGKILL)
    (exited,) = await manager.exited()
    assert (exited.signal, exited.incarnation, exited.expected) == (signal.SIGKILL, 1, False)
    assert "SIGKILL" in exited.reason
    assert exited.delay == 0.0
    assert "hello from a" in exited.lines
    assert "trouble" in exited.lines
    _, second = await manager.started(2)
    assert (second.incarnation, second.forked) == (2, preload)
    await manager.registered(2)


async def test_a_crash_loop_is_reported_and_others_go_on(manager: FakeManager) -> None:
    manager.send(orders(1, {"a": "idle", "b": "crash"}, preload=True))
    await manager.until(lambda: any(e.crash_loop for e in manager.all(ReplicaExited)))
    exits = manager.all(ReplicaExited)
    assert {e.replica for e in exits} == {"b"}
    assert [e.code for e in exits] == [3] * len(exits)
    assert "about to crash" in exits[0].lines
    assert [e.crash_loop for e in exits[:3]] == [False, False, True]


async def test_a_failure_to_start_is_passed_on_and_is_the_reason_of_the_end(
    manager: FakeManager,
) -> None:
    manager.send(orders(1, {"a": "fail"}))
    exited, *_ = await manager.exited()
    assert "a component did not start" in exited.reason
    assert manager.said(Failed)[0].fault.component == "Cart"


async def test_a_replica_that_is_no_longer_listed_is_stopped(manager: FakeManager) -> None:
    manager.send(orders(1, {"a": "idle", "b": "idle"}))
    await manager.registered(2)
    manager.send(orders(2, {"a": "idle"}))
    (exited,) = await manager.exited()
    assert (exited.replica, exited.expected, exited.code, exited.delay) == ("b", True, 0, None)


async def test_orders_that_are_older_change_nothing(manager: FakeManager) -> None:
    manager.send(orders(5, {"a": "idle"}))
    manager.send(orders(4, {}))
    await manager.registered()
    assert manager.all(ReplicaExited) == []


async def test_a_replica_is_replaced_on_demand_once(manager: FakeManager) -> None:
    manager.send(orders(1, {"a": "idle"}, preload=True))
    await manager.registered()
    manager.send(Restart("a", 1))
    manager.send(Restart("a", 1))
    await manager.registered(2)
    assert [(e.expected, e.delay) for e in manager.all(ReplicaExited)] == [(True, 0.0)]


async def test_an_application_that_has_ended_is_not_started_again(manager: FakeManager) -> None:
    manager.send(orders(1, {"a": "ends"}))
    (exited,) = await manager.exited()
    assert (exited.expected, exited.delay) == (True, None)
    assert len(manager.said(Ended)) == 1


@linux_only
async def test_a_stopped_process_is_noticed_dumped_and_replaced(manager: FakeManager) -> None:
    manager.send(orders(1, {"a": "idle"}, preload=True))
    await manager.registered()
    os.kill(manager.all(ReplicaStarted)[0].pid, signal.SIGSTOP)
    (exited,) = await manager.exited()
    assert exited.signal == signal.SIGKILL
    assert "hung" in exited.reason
    assert any("run_replica" in line for line in exited.lines)
    await manager.registered(2)


async def test_a_stubborn_replica_is_killed_after_its_time(manager: FakeManager) -> None:
    manager.send(orders(1, {"a": "stubborn"}, stop_timeout=0.1))
    await manager.registered()
    manager.send(End(at_once=True))
    (exited,) = await manager.exited()
    assert (exited.signal, exited.expected) == (signal.SIGKILL, True)


async def test_relayed_messages_reach_replicas_also_those_started_later(
    manager: FakeManager,
) -> None:
    manager.send(orders(1, {"a": "idle"}))
    await manager.registered()
    manager.send(Relay(encode(NewRouting(Routing(version=7)))))
    await manager.until(lambda: len(manager.said(Probed, "a")) == 1)
    manager.send(orders(2, {"a": "idle", "b": "idle"}))
    await manager.until(lambda: len(manager.said(Probed, "b")) == 1)
    assert manager.said(Probed, "b")[0].nonce == "routing 7"


async def test_heartbeats_are_passed_on_without_a_number(manager: FakeManager) -> None:
    manager.send(orders(1, {"a": "idle"}))
    await manager.until(lambda: bool(manager.said(Heartbeat)))
    numbers = [number for number, _ in manager.events if number]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_records_of_the_proclet_are_signed(manager: FakeManager) -> None:
    manager.send(orders(1, {"a": "logs"}))
    await manager.until(lambda: any(r.stream == "log" for r in manager.records()))
    (record,) = [r for r in manager.records() if r.message == "from the proclet"]
    assert (record.replica, record.group, record.version) == ("a", "logs", "v1")


@pytest.mark.parametrize(("target", "why"), [("threads:", "user-thread"), ("connects:", "socket")])
@linux_only
async def test_an_application_that_is_not_safe_to_fork_is_spawned(
    manager: FakeManager, target: str, why: str
) -> None:
    manager.send(orders(1, {"a": "idle"}, target=target, preload=True))
    await manager.registered()
    (started,) = await manager.started()
    assert started.forked is False
    warnings = [r.message for r in manager.records() if r.logger == "weaver.envelope"]
    assert any(why in text and "preload = false" in text for text in warnings)


@BOTH_WAYS
async def test_an_import_that_fails_is_reported_with_its_place(
    manager: FakeManager, preload: bool
) -> None:
    manager.send(orders(1, {"a": "idle"}, target="fails:", preload=preload))
    exited, *_ = await manager.exited()
    faults = [failed.fault for failed in manager.all(EnvelopeFailed)]
    faults += [failed.fault for failed in manager.said(Failed)]
    assert "there is no such module" in faults[0].why
    assert "envelope_fakes.py:" in faults[0].where
    assert "cannot be imported" in exited.reason


@BOTH_WAYS
async def test_an_import_that_takes_long_does_not_delay_the_end(
    manager: FakeManager, preload: bool
) -> None:
    manager.send(orders(1, {"a": "idle"}, target="sleeps:", preload=preload, stop_timeout=0.1))
    await manager.until(lambda: any(r.message == "importing" for r in manager.records()))
    manager.send(orders(2, {}, target="sleeps:", preload=preload, stop_timeout=0.1))
    (exited,) = await manager.exited()
    assert exited.expected


@linux_only
async def test_replicas_outlive_the_zygote_and_the_next_one_is_forked_again(
    manager: FakeManager, path: Path
) -> None:
    manager.send(orders(1, {"a": "idle"}, preload=True))
    await manager.registered()
    (started,) = await manager.started()
    envelope = psutil.Process(started.pid).parent()
    assert envelope is not None
    (zygote,) = [p for p in envelope.children() if p.name() == "weaver-zygote"]
    zygote.kill()
    zygote.wait(30)
    manager.send(orders(2, {"a": "idle", "b": "idle"}, preload=True))
    await manager.registered(2)
    assert manager.all(ReplicaExited) == []
    assert psutil.pid_exists(started.pid)


@linux_only
async def test_what_a_replica_has_started_ends_with_it_or_with_the_envelope(
    manager: FakeManager,
) -> None:
    manager.send(orders(1, {"a": "family"}, preload=True))
    await manager.until(lambda: bool(manager.said(Probed)))
    child, away = (psutil.Process(int(pid)) for pid in manager.said(Probed)[0].nonce.split())
    os.kill(manager.all(ReplicaStarted)[0].pid, signal.SIGKILL)
    await manager.exited()
    assert psutil.wait_procs([child], timeout=30)[1] == []
    manager.send(End())
    await manager.until_closed()
    assert psutil.wait_procs([away], timeout=30)[1] == []


@BOTH_WAYS
async def test_a_listener_is_held_across_the_death_of_its_replica(
    manager: FakeManager, preload: bool
) -> None:
    listeners = {"http": "127.0.0.1:0"}
    manager.send(orders(1, {"a": "serve"}, preload=preload, listeners=listeners))
    await manager.registered()
    (held,) = manager.all(ListenerHeld)
    first = ask(held.address)
    assert first == manager.all(ReplicaStarted)[0].pid
    os.kill(first, signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while not all_threads_stopped(first):  # no event tells
        assert time.monotonic() < deadline
    with socket.create_connection(address(held.address), timeout=30) as queued:
        os.kill(first, signal.SIGKILL)
        answered = int(queued.recv(100))
    assert answered == (await manager.started(2))[1].pid
    assert facts(manager.said(RegisterReplica)[0])["listeners"].startswith("http:")


async def test_a_port_in_use_is_reported_and_other_groups_start(manager: FakeManager) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        order = orders(1, {"a": "idle", "b": "logs"})
        blocked = msgspec.structs.replace(
            order.groups["idle"], listeners={"http": f"127.0.0.1:{port}"}
        )
        groups = {**order.groups, "idle": blocked}
        manager.send(msgspec.structs.replace(order, groups=groups))
        await manager.registered()
        (failed,) = manager.all(EnvelopeFailed)
        assert f"127.0.0.1:{port} is in use" in failed.fault.what
        assert {s.replica for s in manager.all(ReplicaStarted)} == {"b"}
    manager.send(msgspec.structs.replace(order, number=2, groups=groups))
    await manager.registered(2)


def all_threads_stopped(pid: int) -> bool:
    """Each thread stops by itself: one that has not yet could still accept a connection."""
    threads = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in threads)


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def ask(where: str) -> int:
    with socket.create_connection(address(where), timeout=30) as connection:
        return int(connection.recv(100))
