"""Replicas that hang or crash again and again, and directories that vanish, under `multi run`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from multi_run_shop import BUILT_WITHIN, MultiRun, multi_run, project_for_session, until

from weaver.packaging.freeze import in_virtual_environment

pytestmark = pytest.mark.skipif(
    not in_virtual_environment(), reason="wheels are taken from a virtual environment"
)


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_for_session(tmp_path_factory)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """While this file exists, replicas of the group `books` cannot start."""
    return tmp_path / "broken"


@pytest.fixture
def shop(project: Path, broken: Path) -> Iterator[MultiRun]:
    with multi_run(project, TILL_BROKEN=str(broken)) as run:
        yield run.start().live()


def test_a_crash_loop_is_reported_with_its_last_lines_while_the_others_serve(
    shop: MultiRun, broken: Path
) -> None:
    assert shop.get("/lift") == (200, "lifted")
    before = shop.replica("books-1")
    assert before is not None
    broken.touch()
    os.kill(before.pid, signal.SIGKILL)

    def state() -> str:
        found = shop.replica("books-1")
        assert found is not None
        return found.state

    until(lambda: state() == "crash loop")
    events = shop.ask("events", "till")
    assert "books-1 ends again and again" in events
    assert "the till is broken" in events
    assert "the till is broken" in shop.ask("logs", "till", "--replica", "books-1")
    assert shop.get("/name/ann") == (200, "name of ann")

    began = time.monotonic()
    status, answer = shop.get("/lift")
    assert time.monotonic() - began < 20
    assert status == 500
    assert answer.startswith("Unreachable: ")
    assert "till.Weak" in answer
    assert "waited for" in answer

    broken.unlink()
    until(lambda: state() == "ready")
    assert shop.get("/lift") == (200, "lifted")


def test_a_crash_loop_fails_a_run_that_is_not_live_yet(project: Path, broken: Path) -> None:
    broken.touch()
    with multi_run(project, TILL_BROKEN=str(broken)) as run:
        assert run.start().wait() == 1
        assert "error: books-1 ends again and again" in run.output()
        assert "the till is broken" in run.output().split("error:")[-1]
        assert run.left() == []


def test_a_run_whose_log_nobody_reads_any_more_ends_in_order(project: Path) -> None:
    with multi_run(project) as run:
        command = [sys.executable, "-m", "weaver", "multi", "run"]
        run.process = subprocess.Popen(
            command, cwd=project, env=run.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        stdout, stderr = run.process.stdout, run.process.stderr
        assert stdout is not None
        assert stderr is not None
        lines = [stdout.readline() for _ in range(3)]
        assert lines[-1].startswith(b"see also: ")  # nothing is printed until something happens
        run.processes()
        found = run.replica("counts-1")
        assert found is not None
        stdout.close()  # as `head -3` does
        os.kill(found.pid, signal.SIGKILL)
        with stderr:
            said = stderr.read().decode()
        assert run.wait() == 1
        assert "error" not in said
        assert run.left() == []


def test_a_deployment_whose_start_fails_says_why_and_is_gone(project: Path) -> None:
    with multi_run(project, TILL_FAILS="1", WEAVER__LISTENERS__HTTP__ADDRESS="127.0.0.1:0") as run:
        done = run.run("deploy", within=BUILT_WITHIN)
        assert done.returncode == 1
        assert "error: Names.start failed: ValueError: no names today" in done.stderr
        assert f"where: {project / 'till.py'}:" in done.stderr
        said, _error = done.stderr.split("error: ")
        assert "last lines of log:\n  names-" in said
        assert "the list of names is empty" in said
        assert "weaver.manager" not in done.stderr
        assert run.left() == []
        (record,) = json.loads(run.ask("history", "till", "--json"))
        assert record["result"] == "failed"
        until(lambda: not psutil.pid_exists(record["pid"]))


def test_a_replica_that_hangs_dumps_its_stacks_and_is_replaced(shop: MultiRun) -> None:
    before = shop.replica("names-1")
    assert before is not None
    os.kill(before.pid, signal.SIGSTOP)
    began = time.monotonic()
    slowest = 0.0
    number = 0

    def is_replaced() -> bool:
        now = shop.replica("names-1")
        return now is not None and now.state == "ready" and now.pid != before.pid

    while not is_replaced():
        assert time.monotonic() < began + 30
        asked = time.monotonic()
        assert shop.get(f"/name/{number}") == (200, f"name of {number}")
        slowest = max(slowest, time.monotonic() - asked)
        number += 1
    assert slowest < 3  # others took its calls before it was replaced
    print(f"replaced after {time.monotonic() - began:.1f} s, slowest page {slowest:.1f} s")
    assert "names-1 was killed by SIGKILL: hung" in shop.ask("events", "till")
    dump = shop.ask("logs", "till", "--replica", "names-1")
    assert "most recent call first" in dump


def test_without_its_runtime_directory_a_run_goes_on_and_can_be_ended(shop: MultiRun) -> None:
    assert shop.get("/name/ann") == (200, "name of ann")
    shutil.rmtree(shop.runtime / "weaver")
    assert shop.process is not None
    for command in ("status", "stop"):
        done = shop.run(command, "till")
        assert "the manager of till cannot be reached" in done.stderr
        assert f"kill {shop.process.pid}" in done.stderr
        assert done.returncode == 1
    assert shop.get("/name/ann") == (200, "name of ann")
    shop.signal(signal.SIGTERM)
    assert shop.wait() == 0
    assert shop.output().count("web stopped") == 1
    assert shop.left() == []
