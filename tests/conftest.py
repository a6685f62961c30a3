"""What holds for every test: a home of its own, nothing is left behind, generated data is the same.

HYPOTHESIS_PROFILE=explore looks for new failures; the default profile is deterministic.
"""

import asyncio
import compileall
import contextlib
import functools
import gc
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

PATIENCE = 20.0  # seconds that threads, processes and sockets may take to go
DESCRIPTORS = Path("/proc/self/fd")
THREADS = Path("/proc/self/task")


def pytest_configure(config: pytest.Config) -> None:
    """Give all workers of this run one home: nothing of the user's own is read or written.

    Builds are kept in it as in a user's: what one worker has built, none builds again.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # it has the environment of who has started it
    # Hundreds of processes will import weaver, and may be told to write no bytecode themselves.
    compileall.compile_dir(Path(__file__).parents[1] / "weaver", quiet=2)
    folder = Path(tempfile.mkdtemp(prefix="wv-home-", dir="/tmp"))  # short: sockets are in it
    config.add_cleanup(functools.partial(shutil.rmtree, folder, ignore_errors=True))
    (folder / "run").mkdir(mode=0o700)
    # ssh asks the system, and not HOME, where ~/.ssh is.
    (folder / "ssh_config").write_text(f"UserKnownHostsFile {folder}/.ssh/known_hosts\n")
    tools = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    os.environ.setdefault("PYRIGHT_PYTHON_CACHE_DIR", tools)  # where it has put itself
    os.environ.pop("SSH_AUTH_SOCK", None)
    os.environ |= {
        "HOME": str(folder),
        "WEAVER_SSH_CONFIG": str(folder / "ssh_config"),
        "XDG_CACHE_HOME": str(folder / ".cache"),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "XDG_DATA_HOME": str(folder / ".local" / "share"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "XDG_STATE_HOME": str(folder / ".local" / "state"),
    }


@pytest.fixture(autouse=True, scope="session")
def _libuv_is_ready() -> None:
    """libuv opens two pipes with its first loop and keeps them: no test is to blame for those."""
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.new_event_loop().close()


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread of weaver, a child process or a descriptor behind."""
    before = _held()
    yield
    left = _held() - before
    if not left:
        return
    gc.collect()  # what only the collector closes is not a leak of the test
    deadline = time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = _held() - before
    if left:
        pytest.fail("left behind: " + ", ".join(sorted(left)), pytrace=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files whose limits say that they take long: none is left for the end alone."""
    limits: dict[Path, float] = {}
    for item in items:
        limits[item.path] = max(limits.get(item.path, 0), _limit(item))
    items.sort(key=lambda item: -limits[item.path])


def _limit(item: pytest.Item) -> float:
    """The seconds that a test may take where they are its own, or those of all of its file."""
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark and mark.args else 0


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Fail an async test that ends while a task which it started is still running.

    The loop is idle but open at this point: closing it would cancel the task, and hide it.
    """
    loops = [
        value.get_loop()
        for value in pyfuncitem.funcargs.values()
        if isinstance(value, asyncio.Runner)
    ]
    before = {task for loop in loops for task in asyncio.all_tasks(loop)}
    result = yield
    left = {task for loop in loops for task in asyncio.all_tasks(loop)} - before
    if left:
        names = ", ".join(sorted(f"{task.get_name()} ({task.get_coro()!r})" for task in left))
        pytest.fail(f"tasks still running: {names}", pytrace=False)
    return result


def _held() -> set[str]:
    return _threads() | _children() | _descriptors()


def _threads() -> set[str]:
    return {
        f"thread {thread.name}"
        for thread in threading.enumerate()
        if thread.name.startswith("weaver-")
    }


def _children() -> set[str]:
    """Child processes, also those that have ended and were not waited for; Linux only."""
    found: set[str] = set()
    for thread in THREADS.iterdir() if THREADS.is_dir() else ():
        try:
            found.update((thread / "children").read_text().split())
        except OSError:  # the thread has ended, or this kernel does not tell
            continue
    return {f"child process {pid}" for pid in found}


def _descriptors() -> set[str]:
    """Open sockets, pipes and files with what they refer to; Linux only."""
    found: set[str] = set()
    for descriptor in DESCRIPTORS.iterdir() if DESCRIPTORS.is_dir() else ():
        try:
            found.add(f"descriptor {descriptor.name} ({descriptor.readlink()})")
        except OSError:  # closed since, or the one that lists the folder
            continue
    return found
