"""Which version a new one would follow, and the folder that paths of weaver.toml are of."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fake_manager import FakeManager
from kept_shop import deployed, manifest_of

from weaver.cli import local_deploy, rolling_back
from weaver.cli.serving import serving
from weaver.control.rollout import RolloutReport, VersionReport
from weaver.deployers import registry


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="weaver-") as name:
        yield Path(name)


def test_nothing_or_a_foreground_run_is_followed_by_nothing(folder: Path) -> None:
    assert serving("shop") is None
    found = deployed(folder, manifest_of())
    registry.write(msgspec.structs.replace(found, foreground=True))
    assert serving("shop") is None


def test_what_has_lost_its_manager_is_followed_all_the_same(folder: Path) -> None:
    found = deployed(folder, manifest_of())
    assert serving("shop") == found


@pytest.mark.parametrize(("phase", "new_serves"), [("shifting", False), ("warm", True)])
def test_in_a_rollout_it_is_the_one_that_would_be_left(
    folder: Path, sockets: Path, phase: str, new_serves: bool
) -> None:
    path = sockets / "manager.sock"
    old = deployed(folder, manifest_of("(a: int) -> int"), started=1, socket=str(path))
    new = deployed(folder, manifest_of("(b: int) -> int"), started=2, socket=str(path))
    versions = (VersionReport("d2", new.version), VersionReport("d1", old.version))
    with FakeManager(path, [RolloutReport("shop", phase, versions=versions)]):
        assert serving("shop") == (new if new_serves else old)


def test_the_folder_is_that_of_the_file_that_is_named(folder: Path) -> None:
    (folder / "sub").mkdir()
    assert local_deploy.folder_of(None) == folder
    assert local_deploy.folder_of(Path("sub")) == folder / "sub"
    assert local_deploy.folder_of(Path("sub/other.toml")) == folder / "sub"


def test_a_rollback_goes_on_in_the_folder_of_the_manager(folder: Path) -> None:
    found = deployed(folder, manifest_of())
    here = msgspec.structs.replace(found, pid=os.getpid())
    assert rolling_back.folder_of(here) == folder
    assert rolling_back.folder_of(msgspec.structs.replace(found, pid=2**22 + 1)) is None
