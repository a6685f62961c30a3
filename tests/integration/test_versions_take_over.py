"""Listeners that go from the envelope of one version to that of the next, under clients."""

import asyncio
import os
import signal
import socket
import stat
from pathlib import Path

import psutil
import pytest
from moving_parts import Client
from versions_side_by_side import Version, version

from weaver.control.messages import (
    Attached,
    End,
    EnvelopeFailed,
    ListenerHeld,
    RegisterReplica,
    ReplicaExited,
)
from weaver.control.takeover import TakeOver
from weaver.control.traffic import Traffic
from weaver.envelope import takeover

QUIET = Traffic(accepting=False)


def after(old: Version, *, accepting: bool = False) -> Traffic:
    return Traffic(accepting=accepting, predecessor=str(old.path))


async def up(one: Version, count: int = 1) -> list[RegisterReplica]:
    await one.manager.until(lambda: len(one.manager.said(RegisterReplica)) >= count, 30)
    return one.manager.said(RegisterReplica)


def port_of(one: Version) -> int:
    return int(one.manager.all(ListenerHeld)[-1].address.rpartition(":")[2])


async def pids(one: Version) -> set[int]:
    return {started.pid for started in await one.manager.started()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def exists(path: Path) -> bool:
    return path.exists()


async def end(one: Version) -> None:
    one.manager.send(End())
    await one.manager.until_closed(20)


async def test_clients_notice_nothing_of_a_new_version_nor_of_the_way_back(tmp_path: Path) -> None:
    async with version("old", tmp_path) as old, version("new", tmp_path) as new:
        old.order("127.0.0.1:0", Traffic(), replicas=2)
        await up(old, 2)
        port = port_of(old)
        done = asyncio.Event()
        seen: set[int] = set()

        async def keep_asking(pause: float) -> None:
            client = await Client.open(port)
            while not done.is_set():
                seen.add((await client.ask("/slow" if pause > 0.1 else "/")).pid)
                await asyncio.sleep(pause)
            client.close()

        async def connect_anew() -> None:
            while not done.is_set():
                client = await Client.open(port)
                seen.add((await client.ask()).pid)
                client.close()

        async def served_by(one: Version) -> None:
            async with asyncio.timeout(20):
                while seen != await pids(one):
                    seen.clear()
                    await asyncio.sleep(0.5)

        async with asyncio.TaskGroup() as group:
            for pause in (0.0, 0.01, 0.05, 0.2, 0.3):
                group.create_task(keep_asking(pause))
            group.create_task(connect_anew())
            new.order("127.0.0.1:0", after(old), replicas=2)
            await up(new, 2)
            assert port_of(new) == port
            for _ in range(2):
                new.order("127.0.0.1:0", after(old, accepting=True), replicas=2)
                old.order("127.0.0.1:0", QUIET, replicas=2)
                await served_by(new)
                old.order("127.0.0.1:0", Traffic(), replicas=2)
                new.order("127.0.0.1:0", after(old), replicas=2)
                await served_by(old)
            new.order("127.0.0.1:0", after(old, accepting=True), replicas=2)
            old.order("127.0.0.1:0", QUIET, replicas=2)
            await end(old)
            await served_by(new)
            done.set()
        await end(new)


async def test_the_file_of_a_unix_socket_stays_until_the_last_version_ends(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/users.sock"
    path = tmp_path / "users.sock"
    async with version("old", tmp_path) as old, version("new", tmp_path) as new:
        old.order(address, Traffic())
        await up(old)
        new.order(address, after(old))
        await up(new)
        inode = path.stat().st_ino
        await end(old)
        assert path.stat().st_ino == inode
        new.order(address, after(old, accepting=True))
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.close()
        await end(new)
        assert not path.exists()


async def test_the_file_stays_also_where_the_new_version_is_withdrawn(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/users.sock"
    async with version("old", tmp_path) as old, version("new", tmp_path) as new:
        old.order(address, Traffic())
        await up(old)
        new.order(address, after(old))
        await up(new)
        await end(new)
        assert (tmp_path / "users.sock").exists()
        await end(old)
        assert not (tmp_path / "users.sock").exists()


async def test_where_the_former_version_is_gone_or_listens_elsewhere_listeners_are_bound(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        free = f"127.0.0.1:{found.getsockname()[1]}"
    async with version("old", tmp_path) as old, version("new", tmp_path) as new:
        old.order("127.0.0.1:0", Traffic())
        await up(old)
        new.order(free, after(old, accepting=True))
        await up(new)
        assert new.manager.all(ListenerHeld)[-1].address == free
    async with version("newer", tmp_path) as newer:
        newer.order(free, after(old, accepting=True))
        await up(newer)
        client = await Client.open(port_of(newer))
        await client.ask()
        client.close()


async def test_a_listener_of_another_name_is_taken_over_at_its_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        address = f"127.0.0.1:{found.getsockname()[1]}"
    async with version("old", tmp_path) as old, version("new", tmp_path) as new:
        old.order(address, Traffic())
        await up(old)
        code = new.folder / "twosided.py"
        text = code.read_text().replace("http: weaver", "web: weaver")
        code.write_text(text.replace(".http.", ".web."))
        new.order(address, after(old, accepting=True), listener="web")
        await up(new)
        assert not new.manager.all(EnvelopeFailed)
        assert new.manager.all(ListenerHeld)[-1].address == address


async def test_replicas_of_deployed_versions_serve_an_ingress_on_private_sockets(
    tmp_path: Path,
) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", QUIET)
        path = Path((await up(one))[0].serving["http"].removeprefix("unix:"))
        assert path.parent == one.path.parent
        assert mode(path) == 0o600
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n"
            b"X-Forwarded-Proto: https\r\n\r\n"
        )
        answer = await reader.readuntil(b" https 0")  # of hours, the date begins with " 0", too
        assert b" 192.0.2.7:0 https" in answer
        writer.close()
        started = (await one.manager.started())[0]
        os.kill(started.pid, 9)
        second = Path((await up(one, 2))[1].serving["http"].removeprefix("unix:"))
        assert second != path
        await one.manager.until(lambda: bool(one.manager.all(ReplicaExited)))
        assert not exists(path)
        await end(one)
        assert not exists(second)


async def test_a_version_in_the_foreground_has_no_private_sockets(tmp_path: Path) -> None:
    async with version("one", tmp_path) as one:
        one.order("127.0.0.1:0", Traffic(), on_manager_lost="end")
        assert (await up(one))[0].serving == {}


async def test_an_attached_manager_is_not_fenced_off_by_a_take_over(tmp_path: Path) -> None:
    async with version("old", tmp_path) as old, version("new", tmp_path) as new:
        old.order("127.0.0.1:0", Traffic())
        await up(old)
        new.order("127.0.0.1:0", after(old))
        await up(new)
        assert len(old.manager.all(Attached)) == 1
        assert not old.manager.closed


async def test_connections_of_a_unix_socket_move_as_well(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/users.sock"
    async with version("old", tmp_path) as old, version("new", tmp_path) as new:
        old.order(address, Traffic())
        await up(old)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "users.sock"))

        async def answered_by() -> int:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            return int((await reader.readuntil(b" http 0")).split()[0])

        assert {await answered_by()} == await pids(old)
        new.order(address, after(old, accepting=True))
        await up(new)
        old.order(address, QUIET)
        async with asyncio.timeout(20):
            while {await answered_by()} != await pids(new):
                await asyncio.sleep(0.01)
        await end(old)
        assert {await answered_by()} == await pids(new)
        writer.close()


async def test_nobody_is_refused_when_the_former_envelope_is_killed(tmp_path: Path) -> None:
    async with version("old", tmp_path) as old, version("new", tmp_path) as new:
        old.order("127.0.0.1:0", Traffic())
        await up(old)
        port = port_of(old)
        new.order("127.0.0.1:0", after(old))
        await up(new)
        held = descriptors(new.process.pid)
        replicas = await pids(old)
        os.kill(old.process.pid, signal.SIGKILL)
        while any(map(runs, replicas)):
            await asyncio.sleep(0.01)
        waiting = [await Client.open(port) for _ in range(20)]
        for client in waiting:
            client.send()
        new.order("127.0.0.1:0", after(old, accepting=True))
        fresh = await Client.open(port)
        assert {(await fresh.ask()).pid} == await pids(new)
        fresh.close()
        for client in waiting:
            assert {(await client.receive()).pid} == await pids(new)
            client.close()
        assert descriptors(new.process.pid) == held


async def test_an_envelope_leaks_nothing_by_being_asked_for_its_listeners(tmp_path: Path) -> None:
    async with version("old", tmp_path) as old:
        old.order("127.0.0.1:0", Traffic())
        await up(old)
        held = descriptors(old.process.pid)
        for _ in range(20):
            taken = await takeover.take(str(old.path), TakeOver({"http": "127.0.0.1:0"}))
            assert list(taken.listeners) == ["http"]
            assert taken.listeners["http"].listening.getsockname()[1] == port_of(old)
            taken.listeners["http"].close()
            others = await takeover.take(str(old.path), TakeOver({"http": "127.0.0.1:1"}))
            assert others == ({}, {})
        async with asyncio.timeout(20):
            while descriptors(old.process.pid) != held:
                await asyncio.sleep(0.01)


async def test_who_does_not_answer_is_waited_for_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "WITHIN", 0.2)
    path = str(tmp_path / "mute.sock")
    wanted = TakeOver({"http": "127.0.0.1:0"})
    assert await takeover.take(path, wanted) == ({}, {})
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(path)
        mute.listen()
        assert await takeover.take(path, wanted) == ({}, {})
