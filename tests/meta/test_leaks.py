"""The checks of tests/conftest.py: a test that leaves something behind fails, and says what."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = "PATIENCE = 20.0"  # with which nothing that is on its way is taken for forgotten
LEAKY = """
import asyncio, socket, subprocess, sys, threading

kept = []

async def test_task():
    kept.append(asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="forgotten"))

def test_socket():
    kept.append(socket.socket())

def test_process():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_thread():
    kept.append(threading.Event())
    threading.Thread(target=kept[-1].wait, name="weaver-forgotten", daemon=True).start()

async def test_tidy():
    with socket.socket():
        await asyncio.get_running_loop().create_task(asyncio.sleep(0))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("leaks")
    checks = (ROOT / "tests" / "conftest.py").read_text()
    assert PATIENCE in checks
    (folder / "conftest.py").write_text(checks.replace(PATIENCE, "PATIENCE = 0.5"))
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    (folder / "test_leaky.py").write_text(LEAKY)
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("test", "left"),
    [
        ("test_task", "tasks still running: forgotten"),
        ("test_socket", "(socket:["),
        ("test_process", "left behind: child process"),
        ("test_thread", "left behind: thread weaver-forgotten"),
    ],
)
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are seen on Linux only")
def test_what_is_left_behind_is_named(report: str, test: str, left: str) -> None:
    assert left in report
    assert f"ERROR test_leaky.py::{test}" in report or f"FAILED test_leaky.py::{test}" in report


def test_a_tidy_test_passes(report: str) -> None:
    assert "PASSED test_leaky.py::test_tidy" in report
    assert "ERROR test_leaky.py::test_tidy" not in report
