"""All versions end, although each is served by itself and its manager may be replaced meanwhile."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from fake_manager import FakeManager

from weaver.cli import succession
from weaver.cli.stopping import stop
from weaver.deployers import registry
from weaver.deployers.registry import Record
from weaver.errors import Unreachable

FIRST, SECOND = os.getpid(), os.getppid()
"""Processes that live: a run in the foreground has ended with its own."""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="weaver-") as name:
        yield Path(name)


def note(deployment: str, socket: Path, *, pid: int = FIRST, foreground: bool = False) -> Record:
    record = Record(
        app="shop",
        deployment=deployment,
        version="v",
        pid=pid,
        socket=str(socket),
        started=float(deployment[1:]),
        foreground=foreground,
    )
    registry.write(record)
    return record


def test_the_end_of_the_newest_is_not_that_of_all(sockets: Path) -> None:
    old, new = note("d1", sockets / "old"), note("d2", sockets / "new")
    with ExitStack() as stack:
        newest = stack.enter_context(FakeManager(sockets / "new"))
        newest.meanwhile = lambda _: bool(registry.ended(new, "stopped"))
        oldest = stack.enter_context(FakeManager(sockets / "old"))
        oldest.meanwhile = lambda _: not registry.ended(old, "stopped")
        assert stop(new, at_once=False) == ()
        assert oldest.requests == ["StopDeployment"]


def test_the_next_manager_is_told_where_one_goes(sockets: Path) -> None:
    record = note("d2", sockets / "first")
    with ExitStack() as stack:
        first = stack.enter_context(FakeManager(sockets / "first"))
        first.meanwhile = lambda _: bool(note("d2", sockets / "second", pid=SECOND))
        second = stack.enter_context(FakeManager(sockets / "second"))
        second.meanwhile = lambda _: (
            not registry.ended(registry.latest(record), "stopped", unended=("a", "b"))
        )
        assert stop(record, at_once=True) == ("a", "b")
        assert second.requests == ["StopDeployment"]


def test_a_run_of_the_same_name_is_left_alone(sockets: Path) -> None:
    other = note("d1", sockets / "other", foreground=True)
    record = note("d2", sockets / "own", pid=SECOND, foreground=True)
    with ExitStack() as stack:
        fake = stack.enter_context(FakeManager(sockets / "other"))
        own = stack.enter_context(FakeManager(sockets / "own"))
        own.meanwhile = lambda _: not registry.ended(record, "stopped")
        assert stop(record, at_once=False) == ()
        assert fake.requests == []
        assert not registry.latest(other).ended


@pytest.mark.parametrize("foreground", [False, True])
def test_it_says_that_the_manager_has_gone(
    sockets: Path, monkeypatch: pytest.MonkeyPatch, foreground: bool
) -> None:
    monkeypatch.setattr(succession, "PATIENCE", 0.1)
    record = note("d2", sockets / "gone", foreground=foreground)
    with pytest.raises(Unreachable) as found:
        stop(record, at_once=False)
    assert isinstance(found.value, succession.ManagerGone) is not foreground
    assert msgspec.structs.asdict(registry.latest(record))["ended"] == 0
