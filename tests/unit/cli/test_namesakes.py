"""Two applications of one name: whoever names it is told which one is meant, and how the other."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_manager import FakeManager

from weaver.cli.main import execute
from weaver.deployers import registry
from weaver.deployers.registry import Record


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def processes() -> Iterator[tuple[int, int]]:
    """Two that could be managers of weaver's."""
    command = [sys.executable, "-c", "input()", "weaver"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE) as first,
        subprocess.Popen(command, stdin=subprocess.PIPE) as second,
    ):
        yield first.pid, second.pid
        for process in (first, second):
            process.communicate(b"\n")


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="weaver-") as name:
        yield Path(name)


def note(deployment: str, pid: int, socket: Path, *, foreground: bool = True) -> Record:
    record = Record(
        app="shop",
        deployment=deployment,
        version="b" * 64,
        pid=pid,
        socket=str(socket),
        started=time.time() - 1000 + float(deployment[1:]),
        foreground=foreground,
    )
    registry.write(record)
    return record


def test_a_command_says_which_one_it_is_about(
    processes: tuple[int, int], sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = processes
    note("d1", first, sockets / "1")
    note("d2", second, sockets / "2")
    with FakeManager(sockets / "1", deployment="d1"), FakeManager(sockets / "2") as newest:
        for words, code in ((["logs", "shop"], 0), (["logs"], 0), (["metrics", "shop"], 0)):
            assert execute(words) == code
            shown = capsys.readouterr().err
            assert "2 deployments called shop run here, each by itself" in shown
            assert f"shop@d2 (in the foreground, process {second}," in shown
            assert f"to mean the other one: shop@d1 (in the foreground, process {first}," in shown
        assert newest.requests == ["GetLogs", "GetLogs", "GetStatus"]
        assert execute(["logs", "shop@d1"]) == 0
        assert capsys.readouterr().err == ""


def test_stop_ends_the_one_it_names(
    processes: tuple[int, int], sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = processes
    old = note("d1", first, sockets / "1")
    new = note("d2", second, sockets / "2")
    with FakeManager(sockets / "1", deployment="d1") as oldest, FakeManager(sockets / "2") as fake:
        oldest.meanwhile = lambda name: name == "StopDeployment" and not registry.ended(old, "ok")
        assert execute(["stop", "shop@d1"]) == 0
        assert "StopDeployment" in oldest.requests
        assert fake.requests == []
        fake.meanwhile = lambda name: name == "StopDeployment" and not registry.ended(new, "ok")
        assert execute(["stop", "shop"]) == 0
    assert capsys.readouterr() == ("shop: stopped\nshop: stopped\n", "")


def test_status_shows_all_and_says_what_the_name_means(
    processes: tuple[int, int], sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = processes
    note("d1", first, sockets / "1")
    note("d2", second, sockets / "2")
    with FakeManager(sockets / "1", deployment="d1"), FakeManager(sockets / "2"):
        assert execute(["status", "shop"]) == 0
        shown = capsys.readouterr().out
        assert shown.index("deployment d2") < shown.index("deployment d1")
        assert "shop alone is the newest, shop@d2 (" in shown
        assert execute(["status", "shop@d1"]) == 0
        assert "alone is the newest" not in capsys.readouterr().out


def test_the_versions_of_a_rollout_are_one_application(
    processes: tuple[int, int], sockets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note("d1", processes[0], sockets / "1", foreground=False)
    note("d2", processes[0], sockets / "2", foreground=False)
    with FakeManager(sockets / "2"):
        assert execute(["logs", "shop"]) == 0
    assert capsys.readouterr().err == ""
