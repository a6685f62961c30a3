"""A rollout makes way for the newest version, also where it ends by itself at that moment."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_manager import FakeManager

from weaver.cli.making_way import make_way
from weaver.control.rollout import RolloutReport, VersionReport
from weaver.deployers import registry
from weaver.deployers.registry import Record

VERSIONS = (VersionReport("d2", "b" * 64), VersionReport("d1", "a" * 64, weight=1.0))
SHIFTING = RolloutReport("shop", "shifting", versions=VERSIONS)


@pytest.fixture(autouse=True)
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with tempfile.TemporaryDirectory(prefix="weaver-") as name:  # paths of sockets are short
        yield Path(name)


def note(deployment: str, socket: Path) -> Record:
    started = float(deployment[1:])
    record = Record(
        app="shop", deployment=deployment, version="v", pid=0, socket=str(socket), started=started
    )
    registry.write(record)
    return record


@pytest.mark.parametrize("goes", [False, True])
def test_the_new_version_of_a_rollout_is_superseded(sockets: Path, goes: bool) -> None:
    note("d1", sockets / "old")
    new = note("d2", sockets / "new")
    with (
        FakeManager(sockets / "old", [SHIFTING], deployment="d1"),
        FakeManager(sockets / "new", [SHIFTING]) as fake,
    ):
        ended: list[str] = []

        def meanwhile(name: str) -> bool:
            if name == "Steer":
                ended.append(registry.ended(new, "superseded").result)
            return bool(ended) and goes

        fake.meanwhile = meanwhile
        assert make_way("shop") == 1
        assert ended == ["superseded"]


def test_one_whose_manager_is_replaced_as_it_is_told_is_told_again(sockets: Path) -> None:
    note("d1", sockets / "old")
    new = note("d2", sockets / "first")
    with (
        FakeManager(sockets / "old", [SHIFTING], deployment="d1"),
        FakeManager(sockets / "first", [SHIFTING]) as first,
        FakeManager(sockets / "second", [SHIFTING]) as second,
    ):
        first.meanwhile = lambda name: name == "Steer" and bool(note("d2", sockets / "second"))

        def ends(name: str) -> bool:
            return name == "Steer" and not registry.ended(new, "superseded")

        second.meanwhile = ends
        assert make_way("shop") == 1
        assert "Steer" in first.requests
        assert second.steered == ["supersede"]
