"""The manager's socket: what the command line asks, and what it is told."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from weaver.control.messages import LogRecord, Profiled
from weaver.control.operator import (
    DeploymentReport,
    Execute,
    Executed,
    GetEvents,
    GetLogs,
    GetStatus,
    HistoryEvent,
    LogFilter,
    Records,
    Scale,
    Status,
    StopDeployment,
)
from weaver.deployers.feed import Feed
from weaver.deployers.manager_client import ask, ask_status
from weaver.deployers.manager_server import ManagerServer
from weaver.deployers.registry import Record
from weaver.errors import Unreachable, UsageError, WeaverError

T = TypeVar("T")


class FakeDeployment:
    def __init__(self) -> None:
        self.logs: Feed[LogRecord] = Feed(5)
        self.history: Feed[HistoryEvent] = Feed(5)
        self.changes: Feed[None] = Feed(1)
        self.spans: Feed[bytes] = Feed(10)
        self.state = "live"
        self.scaled: list[tuple[str, int]] = []

    def status(self) -> Status:
        return Status(DeploymentReport("shop", "v", "d", self.state))

    def scale(self, group: str, replicas: int) -> None:
        if group != "front":
            raise UsageError(f'there is no group "{group}"', fix='did you mean "front"?')
        self.scaled.append((group, replicas))

    async def profile(self, replica: str, seconds: float) -> Profiled:
        return Profiled({f"{replica};{seconds:g}": 1})

    async def execute(self, request: Execute) -> Executed:
        return Executed("web1", 3, b" ".join(word.encode() for word in request.words), b"")

    async def stop(self, *, at_once: bool) -> None:
        self.state = "stopped at once" if at_once else "stopped"


class Running:
    def __init__(self, path: Path) -> None:
        self.deployment = FakeDeployment()
        self.server = ManagerServer(self.deployment, path)
        self.record = Record(
            app="shop", deployment="d", version="v", pid=1, socket=str(path), started=0.0
        )


async def asked(running: Running, ask_it: Callable[[], T]) -> T:
    """What a client in another thread gets; the server is done with it when this returns."""
    try:
        return await asyncio.to_thread(ask_it)
    finally:
        await running.server.settle(5.0)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    found = Running(tmp_path / "manager.sock")
    async with found.server:
        yield found


async def test_status_is_what_the_deployment_says(running: Running) -> None:
    status = await asked(running, lambda: ask_status(running.record))
    assert status == running.deployment.status()


async def test_the_socket_is_private_and_goes_with_the_server(tmp_path: Path) -> None:
    found = Running(tmp_path / "m.sock")
    path = found.record.socket
    async with found.server:
        assert os.stat(path).st_mode & 0o777 == 0o600  # noqa: PTH116 # a test may block
    with pytest.raises(Unreachable, match="manager of shop cannot be reached"):
        ask_status(found.record)


@pytest.mark.parametrize("turns", range(6))
async def test_whoever_comes_as_the_server_ends_is_not_left_waiting(
    tmp_path: Path, turns: int
) -> None:
    """The server ends as many turns of the loop after the kernel has let the client in."""
    found = Running(tmp_path / "m.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        async with found.server:
            client.connect(found.record.socket)
            for _ in range(turns):
                await asyncio.sleep(0)
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""


async def test_a_follower_of_the_status_is_told_of_every_change(running: Running) -> None:
    answers = ask(running.record, GetStatus(follow=True))
    first = await asyncio.to_thread(next, answers)
    running.deployment.state = "stopping"
    running.deployment.changes.add([None])
    second = await asyncio.to_thread(next, answers)
    assert [a.report.state for a in (first, second) if isinstance(a, Status)] == [
        "live",
        "stopping",
    ]
    answers.close()
    await running.server.settle(5.0)


def record(text: str, *, component: str = "shop.Cart", level: str = "INFO") -> LogRecord:
    return LogRecord(1.0, level, text, component=component, replica="front-1", group="front")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (LogFilter(), ["a", "b", "c"]),
        (LogFilter(tail=1), ["c"]),
        (LogFilter(tail=0), []),
        (LogFilter(component="Cart"), ["a", "c"]),
        (LogFilter(component="shop.Web"), ["b"]),
        (LogFilter(level="warning"), ["c"]),
        (LogFilter(text="B"), ["b"]),
        (LogFilter(replica="front"), ["a", "b", "c"]),
        (LogFilter(replica="front-2"), []),
        (LogFilter(since=2.0), []),
    ],
)
async def test_log_records_are_filtered(
    running: Running, wanted: LogFilter, expected: list[str]
) -> None:
    running.deployment.logs.add(
        [record("a"), record("b", component="shop.Web"), record("c", level="ERROR")]
    )
    answers = await asked(running, lambda: list(ask(running.record, GetLogs(wanted))))
    assert [r.message for a in answers if isinstance(a, Records) for r in a.records] == expected


async def test_followed_logs_go_on_with_what_comes(running: Running) -> None:
    running.deployment.logs.add([record("old")])
    answers = ask(running.record, GetLogs(LogFilter(), follow=True))
    first = await asyncio.to_thread(next, answers)
    running.deployment.logs.add([record("new")])
    second = await asyncio.to_thread(next, answers)
    assert isinstance(first, Records)
    assert isinstance(second, Records)
    assert [r.message for r in (*first.records, *second.records)] == ["old", "new"]
    answers.close()
    await running.server.settle(5.0)


async def test_events_scaling_and_stopping_are_carried_out(running: Running) -> None:
    running.deployment.history.add([HistoryEvent(1.0, "start", "front-1 started")])

    def session() -> None:
        assert len(list(ask(running.record, GetEvents()))) == 1
        assert list(ask(running.record, Scale("front", 3))) == []
        done = ask(running.record, Execute("front", ("echo", "a b"), 1.0))
        assert list(done) == [Executed("web1", 3, b"echo a b", b"")]
        assert list(ask(running.record, StopDeployment(at_once=True))) == []

    await asked(running, session)
    assert running.deployment.scaled == [("front", 3)]
    assert running.deployment.state == "stopped at once"


async def test_a_refusal_arrives_with_its_fix(running: Running) -> None:
    with pytest.raises(WeaverError, match="no group") as caught:
        await asked(running, lambda: list(ask(running.record, Scale("frnt", 3))))
    assert caught.value.fix == 'did you mean "front"?'


async def test_a_stranger_is_dropped_and_others_are_served(running: Running) -> None:
    reader, writer = await asyncio.open_unix_connection(running.record.socket)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    await asked(running, lambda: ask_status(running.record))


def test_a_manager_that_does_not_answer_is_reported_in_time(tmp_path: Path) -> None:
    import socket

    path = tmp_path / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        silent = Record(app="a", deployment="d", version="v", pid=1, socket=str(path), started=0)
        with pytest.raises(Unreachable, match="timed out"):
            list(ask(silent, GetStatus(), timeout=0.05))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_the_registry_finds_what_runs(state: Path) -> None:
    from weaver.deployers import registry

    with pytest.raises(UsageError, match="no application runs here"):
        registry.current(None)
    shop = Record(app="shop", deployment="1", version="v", pid=1, socket="s", started=time.time())
    registry.write(shop)
    assert registry.current(None) == registry.current("shop") == shop
    with pytest.raises(UsageError, match='did you mean "shop"'):
        registry.current("shpo")
    registry.ended(shop, "stopped")
    assert registry.records("shop")[0].result == "stopped"
    with pytest.raises(UsageError):
        registry.current("shop")


def test_damaged_records_are_left_out_and_old_ones_pruned(state: Path) -> None:
    from weaver.deployers import registry

    for number in range(registry.KEPT + 3):
        registry.write(
            Record(
                app="shop", deployment=str(number), version="v", pid=1, socket="s",
                started=number, ended=number + 1,
            )
        )  # fmt: skip
    (state / "weaver" / "deployments" / "shop" / "9.json").write_bytes(b"{")
    names = [r.deployment for r in registry.records()]
    assert "9" not in names
    assert len(names) <= registry.KEPT + 1
    assert names[-1] == str(registry.KEPT + 2)


def test_an_unusable_state_directory_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from weaver.deployers.directories import state_directory

    (tmp_path / "weaver").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(WeaverError, match="cannot be made or used"):
        state_directory("deployments")


async def test_a_reader_who_is_too_slow_loses_the_oldest_and_knows_it() -> None:
    feed: Feed[int] = Feed(3)
    with feed.follow() as reader:
        feed.add(range(5))
        assert await reader.take() == [2, 3, 4]
        assert reader.lost == 2
    feed.add([9])
    assert list(feed.latest) == [3, 4, 9]
