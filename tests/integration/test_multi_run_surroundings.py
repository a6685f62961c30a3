"""`weaver multi run` where it cannot write: it says what and why, and leaves nothing behind.

The directories are file systems of their own, in a namespace that the kernel lets any user make.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from multi_run_shop import MultiRun, multi_run, project_for_session, until

from weaver.packaging.freeze import in_virtual_environment


def _has_namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.skipif(
        not in_virtual_environment(), reason="wheels are taken from a virtual environment"
    ),
    pytest.mark.skipif(not _has_namespaces(), reason="this user may not make namespaces"),
]

FULL = 'mount -t tmpfs -o size=64k tmpfs "$0"; head -c 1M /dev/zero >"$0/fill" 2>&-; exec "$@"'
READ_ONLY = 'mount -t tmpfs -o ro tmpfs "$0"; exec "$@"'
SMALL = 'mount -t tmpfs -o size=4M tmpfs "$0"; exec "$@"'


def within(folder: Path, script: str) -> tuple[str, ...]:
    """What comes before a command so that it finds `folder` as the script leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    return ("unshare", "-Urm", "sh", "-c", script, str(folder))


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MultiRun]:
    with multi_run(project_for_session(tmp_path_factory)) as run:
        yield run.build()


@pytest.mark.parametrize("what", ["state", "runtime", "cache"])
@pytest.mark.parametrize(
    ("script", "why"),
    [(FULL, ("No space left on device", "disk is full")), (READ_ONLY, ("Read-only file system",))],
    ids=["full", "read-only"],
)
def test_a_directory_that_cannot_be_written_is_named_and_nothing_is_left(
    run: MultiRun, tmp_path: Path, what: str, script: str, why: tuple[str, ...]
) -> None:
    folder = {"state": run.state, "runtime": run.runtime, "cache": tmp_path / "cache"}[what]
    if what == "cache":
        run.env["XDG_CACHE_HOME"] = str(folder)
    run.prefix = within(folder, script)
    assert run.start().wait() == 1
    error = run.output().partition("error: ")[2]
    assert str(folder) in error
    assert any(text in error for text in why)
    assert "fix:" in error
    assert "Traceback" not in run.output()
    assert run.left() == []


def test_a_disk_that_fills_up_later_does_not_end_what_runs(run: MultiRun) -> None:
    run.prefix = within(run.state, SMALL)
    run.start().live()
    assert run.process is not None
    seen = Path(f"/proc/{run.process.pid}/root{run.state}")
    with (seen / "fill").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))
    run.env["XDG_STATE_HOME"] = str(seen)
    assert run.get("/name/ann") == (200, "name of ann")
    run.ask("scale", "till", "books=2")
    until(lambda: len(run.replicas("books")) == 2)
    assert "the journal of the deployment cannot be written" in run.ask("events", "till")
    assert run.get("/add/1") == (200, "1")
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert "cannot be written" in run.output()
    assert run.left() == []
