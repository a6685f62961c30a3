"""Which of the releases on this machine `weaver prune` removes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from weaver.cli.main import execute
from weaver.deployers import registry
from weaver.deployers.local_releases import program, prune_here, reasons
from weaver.deployers.registry import Record
from weaver.packaging import places
from weaver.packaging.manifest import MANIFEST, Manifest, encode

RUNS, WARM, GOOD, BAD, LAST = (digit * 64 for digit in "abcde")


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def release(version: str, app: str = "shop", age: float = 100) -> Path:
    folder = places.release_of(version)
    inside = folder / "venv" / "lib" / "python3.11" / "site-packages"
    inside.mkdir(parents=True)
    (inside / MANIFEST).write_bytes(encode(Manifest("1", app, "shop:Web")))
    then = time.time() - age
    os.utime(folder, (then, then))
    return folder


def record(version: str, *, good: float = 0, ended: float = 0) -> Record:
    found = Record(
        app="shop",
        deployment=f"d{version[0]}",
        version=version,
        pid=os.getpid(),
        socket="/none",
        started=time.time() - 100,
        good=good,
        ended=ended,
    )
    registry.write(found)
    return found


def test_what_runs_was_good_or_came_last_stays(capsys: pytest.CaptureFixture[str]) -> None:
    folders = {version: release(version) for version in (RUNS, WARM, GOOD, BAD)}
    folders[LAST] = release(LAST, age=1)
    other = release("f" * 64, app="other", age=5)
    record(RUNS, good=30)
    record(WARM, good=20, ended=90)
    record(GOOD, good=10, ended=80)
    record(BAD, ended=85)
    assert execute(["prune", "shop", "--keep", "2", "--plan"]) == 0
    assert f"shop: would remove {GOOD[:12]}, {BAD[:12]} (" in capsys.readouterr().out
    assert all(folder.is_dir() for folder in folders.values())
    assert execute(["prune", "--keep", "2"]) == 0
    assert {v for v, folder in folders.items() if folder.exists()} == {RUNS, WARM, LAST}
    assert other.is_dir()  # the newest of its application
    assert f"this machine: shop: removed {GOOD[:12]}, {BAD[:12]} (" in capsys.readouterr().out


def test_a_release_that_a_process_was_started_from_stays() -> None:
    folder = release(BAD)
    release(LAST, age=1)
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    with subprocess.Popen([python, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert prune_here("shop", 1)["shop"].kept[folder.name] == "runs"
        process.communicate(b"\n")
    assert prune_here("shop", 1)["shop"].removed == (folder.name,)


def test_a_process_within_its_exec_is_asked_again() -> None:
    for _ in range(20):  # most are seen without arguments at first
        with subprocess.Popen(["sleep", "60"]) as process:
            assert program(Path(f"/proc/{process.pid}"), time.monotonic() + 30) == "sleep"
            process.kill()


def test_a_removal_that_is_interrupted_leaves_no_half_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = release(BAD)
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    release(LAST, age=1)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prune_here("shop", 1)
    assert not python.exists()  # or the next deploy would take it for a whole one


def test_the_latest_good_versions_are_counted_once_each() -> None:
    known = [record(v, good=g, ended=99) for v, g in ((GOOD, 1), (WARM, 2), (RUNS, 3))]
    again = record(RUNS, good=4, ended=99)
    assert set(reasons([*known, again], 2)) == {RUNS[:32], WARM[:32]}
