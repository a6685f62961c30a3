"""What `weaver scale` is told: groups and numbers, and the application where there are several."""

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
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeManager]:
    """That of the one application that runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with tempfile.TemporaryDirectory(prefix="weaver-") as folder:
        path = Path(folder) / "m"
        record = Record(
            app="shop",
            deployment="d2",
            version="b" * 64,
            pid=os.getpid(),
            socket=str(path),
            started=time.time(),
        )
        registry.write(record)
        with FakeManager(path) as fake:
            yield fake


@pytest.mark.parametrize("words", [["shop", "front=2"], ["front=2"]])
def test_the_application_may_be_left_out_where_it_is_the_only_one(
    manager: FakeManager, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["scale", *words]) == 0
    assert capsys.readouterr().out == "front: 2 replicas wanted\n"
    assert manager.requests == ["Scale"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shop"], "Missing argument 'GROUP=N...'"),
        (["shop", "front"], '"front" is not GROUP=N'),
        (["front=0"], '"front=0" is not GROUP=N'),
        (["shp", "front=2"], 'no application called "shp"'),
    ],
)
def test_what_cannot_be_meant_is_refused(
    manager: FakeManager, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["scale", *words]) == 2
    assert message in capsys.readouterr().err
    assert manager.requests == []
