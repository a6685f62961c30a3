"""Who follows a log or events goes on with the next manager, and is told how it all ended."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fake_manager import FakeManager

from weaver.cli import succession
from weaver.cli.main import execute
from weaver.control.messages import LogRecord
from weaver.deployers import registry
from weaver.deployers.registry import Record


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Record, Path]]:
    """A deployment, and the socket of its manager."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with tempfile.TemporaryDirectory(prefix="weaver-") as folder:
        record = Record(
            app="shop",
            deployment="d2",
            version="b" * 64,
            pid=os.getpid(),
            socket=f"{folder}/m",
            started=time.time(),
        )
        registry.write(record)
        yield record, Path(folder) / "m"


@pytest.mark.parametrize(("words", "request_"), [("logs", "GetLogs"), ("events", "GetEvents")])
def test_the_end_of_a_deployment_ends_it(
    running: tuple[Record, Path], words: str, request_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record, path = running
    with FakeManager(path) as manager:
        manager.meanwhile = lambda name: (
            name == request_ and bool(registry.ended(record, "stopped"))
        )
        assert execute([words, "-f", "shop"]) == 0
    assert capsys.readouterr().err == "shop: stopped\n"


def line(number: int) -> LogRecord:
    return LogRecord(time.time() - 1000 + number, "INFO", f"line {number}", replica="front-1")


def shown(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    """The lines of the log, and what was said besides."""
    out, err = capsys.readouterr()
    return [text.partition("line ")[2] for text in out.splitlines()], err


@pytest.mark.parametrize(
    ("words", "expected"),
    [((), ["1", "1", "2", "3"]), (("-n", "1"), ["2", "3"]), (("-n", "0"), [])],
)
def test_another_manager_goes_on_with_the_log(
    running: tuple[Record, Path],
    words: tuple[str, ...],
    expected: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    record, path = running
    once_more = path.with_name("m2")
    one, two, three = line(1), line(2), line(3)
    with FakeManager(path) as before, FakeManager(once_more) as after:
        before.logs, after.logs = [one, one, two], [one, one, two, three]
        replaced = msgspec.structs.replace(record, socket=str(once_more))

        def takes_over(_: str) -> bool:
            registry.write(replaced)
            return False

        before.meanwhile = takes_over
        after.meanwhile = lambda _: not registry.ended(replaced, "stopped").ended
        assert execute(["logs", "-f", "shop", *words]) == 0
    lines, said = shown(capsys)
    assert lines == expected
    assert said == f"shop has a manager again, process {os.getpid()}\nshop: stopped\n"


def test_a_version_that_a_rollout_puts_beside_it_is_followed_as_well(
    running: tuple[Record, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    record, path = running
    newer = msgspec.structs.replace(
        record, deployment="d3", version="c" * 64, socket=f"{path}2", started=time.time()
    )
    with FakeManager(path) as before, FakeManager(Path(newer.socket)) as after:
        before.logs, after.logs = [line(1)], [line(2)]
        begun = threading.Event()

        def begins(_: str) -> bool:
            registry.write(newer)
            assert begun.wait(30)  # it is found while the older one runs
            return not registry.ended(record, "replaced").ended

        before.meanwhile = begins

        def stops(_: str) -> bool:
            begun.set()
            return not registry.ended(newer, "stopped").ended

        after.meanwhile = stops
        assert execute(["logs", "-f", "shop"]) == 0
    out, err = capsys.readouterr()
    assert sorted(text.split()[2:] for text in out.splitlines()) == [
        ["b" * 12, "front-1", "line", "1"],
        ["c" * 12, "front-1", "line", "2"],
    ]
    first, *ends = err.splitlines()
    assert first == f"shop {'c' * 12} runs beside it: shown as well"
    assert sorted(ends) == [
        f"shop {'b' * 12}: replaced by the next version",
        f"shop {'c' * 12}: stopped",
    ]


def test_a_version_that_is_named_is_followed_alone(
    running: tuple[Record, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    record, path = running
    newer = msgspec.structs.replace(record, deployment="d3", version="c" * 64, socket="/none")
    registry.write(newer)
    with FakeManager(path) as manager:
        manager.logs = [line(1)]
        manager.meanwhile = lambda _: not registry.ended(record, "replaced").ended
        assert execute(["logs", "-f", "shop@bbbb"]) == 0
    lines, said = shown(capsys)
    assert (lines, said) == (["1"], "shop: replaced by the next version\n")


def test_what_no_manager_takes_over_is_an_error_still(
    running: tuple[Record, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(succession, "PATIENCE", 0.1)
    _, path = running
    with FakeManager(path) as manager:
        manager.meanwhile = lambda _: True
        assert execute(["logs", "-f", "shop"]) == 1
    assert "the manager of shop has gone, and none has taken over" in capsys.readouterr().err


def test_a_run_in_the_foreground_has_no_other_manager(
    running: tuple[Record, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    record, path = running
    registry.write(msgspec.structs.replace(record, foreground=True))
    with FakeManager(path) as manager:
        manager.meanwhile = lambda _: True
        assert execute(["logs", "-f", "shop"]) == 1
    assert "the manager of shop cannot be reached" in capsys.readouterr().err
