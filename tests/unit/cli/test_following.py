"""Who follows a log or events is told how the deployment ended, if it has."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_manager import FakeManager

from weaver.cli.main import execute
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


def test_a_manager_that_is_gone_is_an_error_still(
    running: tuple[Record, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, path = running
    with FakeManager(path) as manager:
        manager.meanwhile = lambda _: True
        assert execute(["logs", "-f", "shop"]) == 1
    assert "the manager of shop cannot be reached" in capsys.readouterr().err
