"""The control socket of an envelope: who may attach, and what one that comes back is told."""

import asyncio
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from envelope_fakes import attached, connect, orders, start_envelope

from weaver.control.messages import (
    Attach,
    Attached,
    End,
    Fenced,
    ReplicaExited,
    ReplicaStarted,
)
from weaver.control.succession import Keep, Memo
from weaver.deployers.deployer import connect_unix
from weaver.deployers.recall import recall


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where an envelope listens, in a directory that it makes; it is killed at the end."""
    envelope = start_envelope(tmp_path / "run" / "e.sock")
    yield tmp_path / "run" / "e.sock"
    envelope.kill()
    envelope.wait()


async def test_the_socket_is_private_and_goes_with_the_envelope(path: Path) -> None:
    async with attached(path) as manager:
        assert mode(path) == 0o600
        assert mode(path.parent) == 0o700
        manager.send(End())
        await manager.until_closed()
    assert not exists(path)


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = run_envelope(tmp_path / "e.sock")
    assert done.returncode == 1
    assert "is open to others" in done.stderr
    assert f"chmod 700 {tmp_path}" in done.stderr


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    done = run_envelope(tmp_path / ("x" * 100) / "e.sock")
    assert done.returncode == 1
    assert "at most 107" in done.stderr


async def test_a_second_envelope_on_the_same_socket_is_refused(path: Path) -> None:
    async with attached(path):
        done = run_envelope(path)
        assert done.returncode == 1
        assert "in use" in done.stderr


async def test_a_manager_that_comes_back_is_told_what_runs_and_what_it_missed(path: Path) -> None:
    async with attached(path) as first:
        first.send(orders(3, {"a": "idle"}, on_manager_lost="continue"))
        await first.registered()
        seen = next(n for n, event in first.events if isinstance(event, ReplicaStarted))
    async with attached(path, epoch=2, seen=seen) as second:
        (answer,) = second.all(Attached)
        (replica,) = answer.replicas
        assert (answer.orders, replica.replica, replica.state) == (3, "a", "running")
        assert replica.registered is not None
        await second.registered()
        assert second.all(ReplicaStarted) == []
        numbers = [n for n, _ in second.events if n]
        assert numbers == list(range(seen + 1, seen + 1 + len(numbers)))


async def test_events_without_a_manager_are_kept_for_the_next(path: Path) -> None:
    async with attached(path) as first:
        first.send(orders(1, {"a": "idle", "b": "crash"}, on_manager_lost="continue"))
        await first.exited(2)
    async with attached(path, epoch=2) as second:
        await second.exited(4)
        assert second.all(ReplicaExited)[:2] == first.all(ReplicaExited)[:2]
        assert second.records()


async def test_an_older_manager_is_fenced_off_also_by_the_next_envelope(path: Path) -> None:
    async with attached(path, epoch=5) as first, attached(path, epoch=6) as second:
        await first.until_closed()
        assert [f.epoch for f in first.all(Fenced)] == [6]
        first.send(End())
        assert await refusal(path, Attach("d1", 5)) == Fenced(
            6, "d1", "a manager with epoch 6 has taken over"
        )
        second.send(End())
        await second.until_closed()
    envelope = start_envelope(path)
    try:
        assert (await refusal(path, Attach("d1", 5))).epoch == 6
    finally:
        envelope.kill()
        envelope.wait()


async def test_what_a_manager_leaves_is_given_to_whoever_asks_and_fences_nobody(path: Path) -> None:
    async with attached(path, epoch=5) as first:
        assert await recalled(path) == Memo("d1", 5, b"", attended=True, hands_over=True)
        first.send(Keep(b"old"))
        first.send(Keep(b"what to run"))
        first.send(orders(1, {"a": "idle"}, on_manager_lost="continue"))
        await first.registered()
        assert await recalled(path) == Memo("d1", 5, b"what to run", attended=True, hands_over=True)
    assert await recalled(path) == Memo("d1", 5, b"what to run", hands_over=True)
    stranger = await connect(path)
    stranger.send(Keep(b"of nobody"))
    await stranger.until_closed()
    await stranger.close()
    assert (await recalled(path)).memo == b"what to run"


async def test_a_manager_of_another_deployment_is_refused(path: Path) -> None:
    async with attached(path, deployment="d1"):
        fenced = await refusal(path, Attach("d2", 9))
        assert fenced.reason == "this envelope belongs to deployment d1"


async def test_orders_before_attaching_are_refused(path: Path) -> None:
    manager = await connect(path)
    manager.send(orders(1, {"a": "idle"}))
    await manager.until_closed()
    assert "Attach" in manager.all(Fenced)[0].reason
    await manager.close()


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x05\x00\x00\x00hello"])
async def test_noise_ends_the_connection_and_nothing_else(path: Path, noise: bytes) -> None:
    manager = await connect(path)
    manager._writer.write(noise)
    await manager.until_closed()
    await manager.close()
    async with attached(path):
        pass


def test_a_daemon_returns_when_it_is_ready_and_survives_its_starter(tmp_path: Path) -> None:
    path = tmp_path / "run" / "e.sock"
    started = start_envelope(path, "--daemon")
    assert started.wait(30) == 0
    assert path.exists()

    async def end() -> None:
        async with attached(path) as manager:
            (answer,) = manager.all(Attached)
            assert os.getpgid(answer.pid) != os.getpgid(0)
            manager.send(End())
            await manager.until_closed()

    asyncio.run(end())


def test_a_daemon_that_cannot_listen_says_why(tmp_path: Path) -> None:
    path = tmp_path / "run" / "e.sock"
    path.parent.mkdir(mode=0o700)
    path.write_text("not a socket")
    done = run_envelope(path, "--daemon")
    assert done.returncode == 1
    assert "not a socket" in done.stderr


def test_a_release_is_held_as_long_as_it_runs(tmp_path: Path) -> None:
    path, held = tmp_path / "run" / "e.sock", tmp_path / "running"
    envelope = start_envelope(path, "--hold", str(held), "--daemon")
    assert envelope.wait(30) == 0
    with held.open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

        async def end() -> None:
            async with attached(path) as manager:
                manager.send(End())
                await manager.until_closed()

        asyncio.run(end())
        fcntl.flock(file, fcntl.LOCK_EX)


def test_a_release_that_is_only_looked_at_can_be_held(tmp_path: Path) -> None:
    path, held = tmp_path / "run" / "e.sock", tmp_path / "running"
    with held.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        envelope = start_envelope(path, "--hold", str(held))
        descriptors = Path(f"/proc/{envelope.pid}/fd")
        asyncio.run(eventually(lambda: held in [fd.resolve() for fd in descriptors.iterdir()]))
    try:
        asyncio.run(eventually(path.exists))
    finally:
        envelope.kill()
        envelope.wait()


def test_a_release_that_is_being_removed_is_refused(tmp_path: Path) -> None:
    path, held = tmp_path / "run" / "e.sock", tmp_path / "running"
    with held.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = run_envelope(path, "--hold", str(held))
    assert done.returncode == 1
    assert "the release cannot be held" in done.stderr


def test_what_was_ended_leaves_nothing_and_is_not_begun_again(tmp_path: Path) -> None:
    path, ended = tmp_path / "run" / "e.sock", tmp_path / "ended" / "d1"
    envelope = start_envelope(path, "--ended", str(ended), "--daemon")
    assert envelope.wait(30) == 0

    async def end() -> None:
        async with attached(path) as manager:
            manager.send(End())
            await manager.until_closed()
            await eventually(lambda: not path.parent.exists())

    asyncio.run(end())
    done = run_envelope(path, "--ended", str(ended))
    assert done.returncode == 1
    assert "this deployment has been ended" in done.stderr


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


def exists(path: Path) -> bool:
    return path.exists()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def refusal(path: Path, attach: Attach) -> Fenced:
    manager = await connect(path)
    manager.send(attach)
    await manager.until_closed()
    await manager.close()
    return manager.all(Fenced)[0]


async def recalled(path: Path) -> Memo:
    link = await connect_unix(path)
    assert link is not None
    return await recall(link, "here")


def run_envelope(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "weaver.envelope.main", "--socket", str(path)]
    return subprocess.run(
        [*command, "--host", "here", *options],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
